//! The options of `rabbitmqadmin`, and its configuration file.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use super::dead::Dead;
use crate::engine::{Error, Target, TargetOptions, TlsFiles, escape};

/// An option: its long and short names, its key in the configuration file, and whether it has a value.
struct AdminOption {
    long: &'static str,
    short: &'static str,
    key: &'static str,
    has_value: bool,
}

const fn value(long: &'static str, short: &'static str, key: &'static str) -> AdminOption {
    AdminOption { long, short, key, has_value: true }
}

const fn flag(long: &'static str, short: &'static str, key: &'static str) -> AdminOption {
    AdminOption { long, short, key, has_value: false }
}

const OPTIONS: &[AdminOption] = &[
    value("config", "c", "config"),
    value("node", "N", "node"),
    value("host", "H", "hostname"),
    value("port", "P", "port"),
    value("path-prefix", "", "path_prefix"),
    value("vhost", "V", "vhost"),
    value("username", "u", "username"),
    value("password", "p", "password"),
    value("base-uri", "U", "base_uri"),
    flag("quiet", "q", "quiet"),
    flag("ssl", "s", "ssl"),
    value("ssl-key-file", "", "ssl_key_file"),
    value("ssl-cert-file", "", "ssl_cert_file"),
    value("ssl-ca-cert-file", "", "ssl_ca_cert_file"),
    flag("ssl-disable-hostname-verification", "", "ssl_disable_hostname_verification"),
    flag("ssl-insecure", "k", "ssl_insecure"),
    value("request-timeout", "t", "request_timeout"),
    value("format", "f", "format"),
    value("sort", "S", "sort"),
    flag("sort-reverse", "R", "sort_reverse"),
    value("depth", "d", "depth"),
    flag("bash-completion", "", "bash_completion"),
    flag("version", "", "version"),
    flag("help", "h", "help"),
    // Those of version 2
    flag("tls", "", "ssl"),
    value("tls-ca-cert-file", "", "ssl_ca_cert_file"),
    value("tls-cert-file", "", "ssl_cert_file"),
    value("tls-key-file", "", "ssl_key_file"),
    flag("insecure", "", "ssl_insecure"),
    flag("non-interactive", "", "non_interactive"),
    value("table-style", "", "table_style"),
    // Those of `mq` that name the broker
    value("http-url", "", "http_url"),
];

/// The long names of all options.
pub(super) fn option_names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|option| option.long)
}

/// Arguments of version 2 that may stand without a value.
const FLAGS: [&str; 4] = ["idempotently", "stdout", "stdin", "approve"];

/// The time that one answer may take by default, in seconds.
const TIMEOUT_S: u64 = 120;

/// Finds the name of an argument by the words of its command, the name that was typed, and whether an option has it.
type FindArgument = fn(&[String], &str, bool) -> Option<String>;

/// A command line of the program.
#[derive(Clone, Debug, Default)]
pub(super) struct AdminSettings {
    given: HashMap<String, String>,
    /// The words that are no options
    pub(super) words: Vec<String>,
    /// The arguments of version 2, which have names: `--name q`
    named: HashMap<String, String>,
    /// Finds the argument of version 2 that an option is, behind these words
    argument: Option<FindArgument>,
    /// `MQ_HTTP_URL`, if no option names a host
    environment_url: Option<String>,
}

impl AdminSettings {
    /// Reads the words behind the program's name, and the configuration file.
    pub(super) fn read(
        typed: Vec<String>,
        variable: impl Fn(&str) -> Option<String>,
        argument: FindArgument,
    ) -> Result<Self, Dead> {
        let mut settings = Self { argument: Some(argument), ..Self::default() };
        let mut typed = typed.into_iter();
        while let Some(word) = typed.next() {
            if word == "--" {
                settings.words.extend(typed.by_ref());
            } else if word.len() > 1 && word.starts_with('-') {
                settings.take(&word, &mut typed)?;
            } else {
                settings.words.push(word);
            }
        }
        settings.read_file(&variable)?;
        if let Some(url) = settings.text("base_uri").map(str::to_owned) {
            settings.given.insert("http_url".to_owned(), url);
        }
        let names_host =
            ["hostname", "port", "http_url"].iter().any(|key| settings.text(key).is_some());
        settings.environment_url =
            variable("MQ_HTTP_URL").filter(|url| !url.is_empty() && !names_host);
        Ok(settings)
    }

    fn take(&mut self, word: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), Dead> {
        let unknown = || Dead::Misused(format!("no such option: {word}"));
        let needs = || Dead::Misused(format!("{word} option requires 1 argument"));
        let (name, joined) = if let Some(long) = word.strip_prefix("--") {
            match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            }
        } else {
            let (name, joined) = word[1..].split_at_checked(1).ok_or_else(unknown)?;
            (name, (!joined.is_empty()).then(|| joined.to_owned()))
        };
        let is_option = OPTIONS.iter().any(|one| one.long == name);
        if let Some(argument) = self.argument.and_then(|find| find(&self.words, name, is_option)) {
            let value = match joined {
                Some(value) => value,
                None if FLAGS.contains(&name) => "true".to_owned(),
                None => rest.next().ok_or_else(needs)?,
            };
            self.named.insert(argument.replace('-', "_"), value);
            return Ok(());
        }
        let option = if word.starts_with("--") {
            // A name may be cut short as long as one option is meant.
            let mut like = OPTIONS.iter().filter(|one| one.long.starts_with(name));
            let exact = OPTIONS.iter().find(|one| one.long == name);
            exact.or_else(|| like.next().filter(|_| like.next().is_none()))
        } else {
            OPTIONS.iter().find(|one| one.short == name)
        };
        let option = option.ok_or_else(unknown)?;
        if !option.has_value {
            self.given.insert(option.key.to_owned(), "True".to_owned());
            // Short options without values may stand together.
            return match joined.filter(|_| !word.starts_with("--")) {
                Some(more) => self.take(&format!("-{more}"), rest),
                None => Ok(()),
            };
        }
        let value = joined.or_else(|| rest.next()).ok_or_else(needs)?;
        self.given.insert(option.key.to_owned(), value);
        Ok(())
    }

    /// The arguments of version 2, with `_` in their names.
    pub(super) fn named(&self) -> HashMap<String, String> {
        self.named.clone()
    }

    pub(super) fn has_named_arguments(&self) -> bool {
        !self.named.is_empty()
    }

    /// The address of the management API, without a password.
    pub(super) fn shown_url(&self) -> String {
        let url = self.url();
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        format!("{scheme}://{}", place.trim_end_matches('/'))
    }

    /// Takes what the section of the node says and the command line does not.
    fn read_file(&mut self, variable: &impl Fn(&str) -> Option<String>) -> Result<(), Dead> {
        let named = self.text("config").map(str::to_owned);
        let usual = || Some(format!("{}/.rabbitmqadmin.conf", variable("HOME")?));
        let Some(file) = named.clone().or_else(usual) else { return Ok(()) };
        let text = match (fs::read_to_string(&file), named) {
            (Ok(text), _) => text,
            (Err(_), None) => return Ok(()),
            (Err(_), Some(_)) => {
                return Err(Dead::Misused(format!("Could not read config file '{file}'")));
            }
        };
        let node = self.text("node").unwrap_or("default").to_owned();
        let Some(section) = section(&text, &node) else {
            if node == "default" {
                return Ok(());
            }
            return Err(Dead::Misused(format!(
                "Could not read section '{node}' in config file '{file}':\n   No section: '{node}'"
            )));
        };
        for (key, value) in section {
            self.given.entry(key).or_insert(value);
        }
        Ok(())
    }

    /// The value of an option.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(String::as_str)
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.text(key) == Some("True")
    }

    /// True unless only results are to be printed.
    pub(super) fn is_verbose(&self) -> bool {
        !self.is_set("quiet")
    }

    pub(super) fn format(&self) -> &str {
        self.text("format").unwrap_or("table")
    }

    pub(super) fn depth(&self) -> Result<usize, Dead> {
        let text = self.text("depth").unwrap_or("1");
        text.parse().map_err(|_| Dead::Misused(format!("the depth '{text}' is not a number")))
    }

    /// The virtual host of objects that are made or deleted.
    pub(super) fn vhost(&self) -> &str {
        self.text("vhost").or_else(|| self.text("declare_vhost")).unwrap_or("/")
    }

    /// The host, as messages name it.
    pub(super) fn host(&self) -> &str {
        self.text("hostname").unwrap_or("localhost")
    }

    /// The broker to ask.
    pub(super) fn target(&self) -> Result<Target, Error> {
        let path = |key: &str| self.text(key).map(Into::into);
        let tls = TlsFiles {
            ca: path("ssl_ca_cert_file"),
            cert: path("ssl_cert_file"),
            key: path("ssl_key_file"),
        };
        let timeout = self.text("request_timeout").and_then(|text| text.parse().ok());
        let mut options = TargetOptions {
            http_url: Some(self.url()),
            timeout: Some(Duration::from_secs(timeout.unwrap_or(TIMEOUT_S))),
            ..TargetOptions::default()
        };
        if self.url().starts_with("https") {
            // TLS files belong to a broker's URL; no connection of AMQP is made to it.
            let verify = if self.is_set("ssl_insecure") { "?verify=verify_none" } else { "" };
            options.url = Some(format!("amqps://localhost{verify}"));
            options.tls = tls;
        }
        Target::resolve(options, |_| None)
    }

    fn url(&self) -> String {
        let named =
            self.text("http_url").map(str::to_owned).or_else(|| self.environment_url.clone());
        let login = |url: &str| {
            let (user, password) = (self.text("username"), self.text("password"));
            if user.is_none() && password.is_none() {
                return url.to_owned();
            }
            let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
            let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
            let (user, password) = (user.unwrap_or("guest"), password.unwrap_or("guest"));
            format!("{scheme}://{}:{}@{place}", escape(user), escape(password))
        };
        if let Some(url) = named {
            return login(&url);
        }
        let scheme = if self.is_set("ssl") { "https" } else { "http" };
        let host = self.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = self.text("port").unwrap_or("15672");
        let prefix = self.text("path_prefix").unwrap_or_default().trim_end_matches('/');
        login(&format!("{scheme}://{host}:{port}{prefix}"))
    }
}

/// The settings of a section of a configuration file.
fn section(text: &str, name: &str) -> Option<Vec<(String, String)>> {
    let mut lines = text.lines().map(str::trim);
    let heading = format!("[{name}]");
    lines.by_ref().find(|line| *line == heading)?;
    let own = lines.take_while(|line| !line.starts_with('['));
    let own = own.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let pairs = own.filter_map(|line| {
        let (key, value) = line.split_once(['=', ':'])?;
        let value = value.split(" #").next().unwrap_or_default();
        Some((key.trim().to_lowercase(), value.trim().to_owned()))
    });
    Some(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> AdminSettings {
        AdminSettings::read(line.split(' ').map(str::to_owned).collect(), |_| None, |_, _, _| None)
            .unwrap()
    }

    #[test]
    fn options_and_words_are_told_apart() {
        let settings = read("-H h -P1 --username=u -p x -q list queues -f tsv -V v name --dep 2");
        assert_eq!(settings.words, ["list", "queues", "name"]);
        assert_eq!(settings.url(), "http://u:x@h:1");
        assert_eq!((settings.format(), settings.vhost()), ("tsv", "v"));
        assert_eq!(settings.depth().unwrap(), 2);
        assert!(!settings.is_verbose());
        assert_eq!(read("list queues").url(), "http://localhost:15672");
        assert_eq!(read("-s --path-prefix /p list queues").url(), "https://localhost:15672/p");
        assert_eq!(read("-U http://a:b@c:9/ list queues").url(), "http://a:b@c:9/");
    }

    #[test]
    fn a_section_of_the_file_is_read() {
        let text = "# hosts\n[default]\nhostname = a\n\n[other]\nport = 15671 # TLS\nssl = True\n";
        let other = section(text, "other").unwrap();
        assert_eq!(other, [("port".into(), "15671".into()), ("ssl".into(), "True".into())]);
        assert_eq!(section(text, "none"), None);
    }
}
