//! A command line of RabbitMQ's programs, read as they read it.
//!
//! Options stand before or behind the command: `--name value`, `--name=value`, `-n value`, `--no-name` for one that has
//! no value. A word that is neither an option nor the value of one is the command, and the others are its arguments.

use std::collections::HashMap;
use std::time::Duration;

use super::names::{self, CommandName, CtlRelease, SwitchKind, SwitchName};
use crate::commands::admin::Program;

/// The options of every command, and those of `mq` that name the broker.
const GLOBAL: &str = "node:text:n quiet:flag:q silent:flag:s vhost:text:p timeout:number:t longnames:flag:l \
    formatter:text printer:text file:text script-name:text rabbitmq-home:text data-dir:text mnesia-dir:text \
    plugins-dir:text enabled-plugins-file:text aliases-file:text erlang-cookie:text help:flag:? dry-run:flag \
    print-stacktrace:flag table-headers:flag version:flag url:text http-url:text compat:text tls-ca:text \
    tls-cert:text tls-key:text";

/// The timeout of lists of queues when none is given, in seconds.
const TIMEOUT: f64 = 60.0;

/// An invocation.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) tool: Program,
    pub(super) release: CtlRelease,
    /// All words, as they were typed.
    typed: Vec<String>,
    /// The command's name, if there is one.
    pub(super) name: Option<String>,
    pub(super) command: Option<&'static CommandName>,
    /// The arguments behind the command.
    pub(super) words: Vec<String>,
    switches: HashMap<&'static str, String>,
    /// Options that the command does not take, with their values.
    pub(super) invalid: Vec<(String, String)>,
}

/// A word of a command line.
enum Word {
    Switch(SwitchName, String),
    Invalid(String, String),
    Plain(String),
}

impl Asked {
    /// Reads the words behind the program's name.
    pub(super) fn read(tool: Program, typed: Vec<String>) -> Self {
        // The first look finds the command, whose options then are known.
        let every = || {
            names::of_tool(tool, CtlRelease::V4_3).chain(names::of_tool(tool, CtlRelease::V3_10))
        };
        let all: Vec<SwitchName> =
            names::switches(GLOBAL).chain(every().flat_map(CommandName::switches)).collect();
        let name = Self::words(&typed, &all).into_iter().find_map(|word| match word {
            Word::Plain(name) => Some(name),
            Word::Switch(..) | Word::Invalid(..) => None,
        });
        let command = name.as_ref().and_then(|name| every().find(|row| row.name == name));
        let own = command.into_iter().flat_map(CommandName::switches);
        let known: Vec<SwitchName> = own.chain(names::switches(GLOBAL)).collect();
        let release = CtlRelease::default();
        let mut asked = Self {
            tool,
            release,
            name,
            command,
            words: Vec::new(),
            switches: HashMap::new(),
            invalid: Vec::new(),
            typed,
        };
        let known = if command.is_some() { known } else { all };
        for word in Self::words(&asked.typed, &known) {
            match word {
                Word::Switch(switch, value) => _ = asked.switches.insert(switch.name, value),
                Word::Invalid(name, value) => asked.invalid.push((name, value)),
                Word::Plain(word) => asked.words.push(word),
            }
        }
        if !asked.words.is_empty() {
            asked.words.remove(0);
        }
        let variable = std::env::var("MQ_COMPAT").ok();
        if let Some(compat) = asked.optional("compat").or(variable.as_deref()) {
            asked.release = CtlRelease::of(compat);
        }
        asked
    }

    /// Splits a command line by the options that are known.
    fn words(typed: &[String], known: &[SwitchName]) -> Vec<Word> {
        let mut words = Vec::new();
        let mut typed = typed.iter().cloned().peekable();
        while let Some(word) = typed.next() {
            let is_option = word.len() > 1 && word.starts_with('-') && word.parse::<f64>().is_err();
            if word == "--" {
                words.extend(typed.by_ref().map(Word::Plain));
            } else if is_option {
                let (option, given) = match word.split_once('=') {
                    Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
                    None => (word, None),
                };
                words.push(Self::option(option, given, known, &mut typed));
            } else {
                words.push(Word::Plain(word));
            }
        }
        words
    }

    fn option(
        option: String,
        given: Option<String>,
        known: &[SwitchName],
        rest: &mut std::iter::Peekable<impl Iterator<Item = String>>,
    ) -> Word {
        let found = match option.strip_prefix("--") {
            Some(long) => known.iter().find(|one| one.name == long.replace('_', "-")),
            None => known.iter().find(|one| one.short == option.strip_prefix('-')),
        };
        let Some(&switch) = found else {
            let negated = option.strip_prefix("--no-").and_then(|name| {
                known.iter().find(|one| one.name == name && one.kind == SwitchKind::Flag)
            });
            return match negated {
                Some(&switch) => Word::Switch(switch, "false".to_owned()),
                None => Word::Invalid(option, given.unwrap_or_default()),
            };
        };
        let value = match (switch.kind, given) {
            (SwitchKind::Flag, None) => "true".to_owned(),
            (_, Some(value)) => value,
            (SwitchKind::Text | SwitchKind::Number, None) => {
                let Some(value) = rest.next() else { return Word::Invalid(option, String::new()) };
                value
            }
        };
        let is_right = match switch.kind {
            SwitchKind::Flag => matches!(value.as_str(), "true" | "false"),
            SwitchKind::Number => value.parse::<f64>().is_ok(),
            SwitchKind::Text => true,
        };
        if is_right { Word::Switch(switch, value) } else { Word::Invalid(option, value) }
    }

    pub(super) fn optional(&self, switch: &str) -> Option<&str> {
        self.switches.get(switch).map(String::as_str)
    }

    pub(super) fn is_set(&self, switch: &str) -> bool {
        self.optional(switch) == Some("true")
    }

    pub(super) fn number(&self, switch: &str) -> Option<f64> {
        self.optional(switch).and_then(|value| value.parse().ok())
    }

    /// The argument at a place, or an empty text.
    pub(super) fn word(&self, place: usize) -> &str {
        self.words.get(place).map_or("", String::as_str)
    }

    pub(super) fn vhost(&self) -> &str {
        self.optional("vhost").unwrap_or("/")
    }

    /// The formatter that was asked for.
    pub(super) fn formatter(&self) -> Option<&str> {
        self.optional("formatter")
    }

    /// `--timeout` in seconds.
    pub(super) fn timeout_s(&self) -> Option<f64> {
        self.number("timeout").filter(|seconds| *seconds > 0.0)
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout_s().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// The timeout as lists of queues show it.
    pub(super) fn shown_timeout(&self) -> String {
        format!("{:?}", self.timeout_s().unwrap_or(TIMEOUT))
    }

    /// Answers whether what the command is about to do is not announced.
    pub(super) fn is_quiet(&self) -> bool {
        let is_for_machines = matches!(self.formatter(), Some("json" | "csv" | "json_stream"));
        self.is_set("quiet") || self.is_set("silent") || is_for_machines
    }

    pub(super) fn has_headers(&self) -> bool {
        !self.is_set("silent") && self.optional("table-headers") != Some("false")
    }

    /// The options of the command itself, as arguments.
    pub(super) fn own_switches(&self) -> Vec<String> {
        let own = self.command.into_iter().flat_map(CommandName::switches);
        own.filter_map(|switch| {
            let value = self.optional(switch.name)?;
            match switch.kind {
                SwitchKind::Flag => (value == "true").then(|| format!("--{}", switch.name)),
                SwitchKind::Text | SwitchKind::Number => Some(format!("--{}={value}", switch.name)),
            }
        })
        .collect()
    }

    /// The command line behind the program's name.
    pub(super) fn typed(&self) -> String {
        self.typed.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Asked {
        Asked::read(Program::Ctl, line.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn options_stand_before_and_behind_the_command() {
        for line in [
            "-p v --priority 3 set_policy -q a b c",
            "set_policy a b c -p v -q --priority=3",
            "--vhost=v set_policy --quiet a --priority 3 b c",
        ] {
            let asked = read(line);
            assert_eq!(asked.name.as_deref(), Some("set_policy"), "{line}");
            assert_eq!(asked.words, ["a", "b", "c"], "{line}");
            assert_eq!((asked.vhost(), asked.optional("priority")), ("v", Some("3")), "{line}");
            assert!(asked.is_quiet() && asked.invalid.is_empty(), "{line}");
        }
    }

    #[test]
    fn options_that_are_none_are_named_with_their_values() {
        #[rustfmt::skip]
        let cases = [
            ("list_users --nosuch",             "--nosuch",     ""),
            ("encode --passphrase p x",         "--passphrase", ""),
            ("set_policy a b c --priority x",   "--priority",   "x"),
            ("add_user u --apply-to=x",         "--apply-to",   "x"),
        ];
        for (line, name, value) in cases {
            assert_eq!(read(line).invalid, [(name.to_owned(), value.to_owned())], "{line}");
        }
        assert!(!read("list_queues --no-table-headers").has_headers());
        assert_eq!(read("set_vhost_limits -- -1").words, ["-1"]);
        assert_eq!(read("set_vhost_limits -1").words, ["-1"]);
    }
}
