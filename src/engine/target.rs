//! The broker that a command works with: `--url`, `--local`, a context, the environment or the default, as one checked
//! value.
//!
//! The order of precedence is that of [`super::choice`]; a broker that was named is never swapped for another one.
//! Nothing here opens a connection.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::tls::{ClientIdentity, ServerNameCheck};
use crate::client::{Endpoint, Login, Options, TlsOptions};
use crate::engine::choice::{Choice, NamedUrl, choose};
use crate::engine::directory::{DataDirectory, default_directory};
use crate::engine::error::Error;
use crate::engine::management::Api;
use crate::engine::target_options::{TargetOptions, TlsFiles};
use crate::wire::ShortStr;
use crate::wire::url::{AmqpUrl, Password, Scheme, Verify};

/// The broker that is meant when none is named.
const DEFAULT_URL: &str = "amqp://guest:guest@localhost:5672";
/// The time that connecting or one answer may take by default: long enough for a loaded broker to declare a queue on a
/// slow disk, short enough that a script notices.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// One broker, named. `Display` masks the password.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) broker: BrokerAddress,
    pub(super) options: Options,
    pub(super) api: Api,
    pub(super) api_source: ApiSource,
    shown: String,
    is_named: bool,
    is_vhost_named: bool,
}

/// The reason why the management API is expected at its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiSource {
    /// The broker's own socket
    InDirectory,
    /// `--http-url` or `MQ_HTTP_URL`
    Named,
    /// Nothing was said: where RabbitMQ has it, unless the broker says something else.
    Guessed,
}

/// A broker's URL and its password, if that stands elsewhere.
struct UrlWithPassword {
    url: String,
    /// The option, variable, file or context with the URL
    by: String,
    password: Option<Password>,
    is_named: bool,
}

/// The address or the directory of the broker.
#[derive(Clone, Debug)]
pub(super) enum BrokerAddress {
    At(Endpoint),
    Of(DataDirectory),
}

impl Target {
    /// Decides which broker is meant: an option first, then `MQ_URL`, `MQ_LOCAL` or `MQ_CONTEXT` from `environment`, then
    /// `AMQP_URL`, then `RABBITMQ_URL`, then the project file, then the context in use, then
    /// `amqp://guest:guest@localhost:5672`. An empty variable is one that is not set.
    ///
    /// `MQ_HTTP_URL` belongs to the broker of the environment, so a URL or a context that was given outranks it.
    ///
    /// Runs the password command of a context.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when a URL is none, or when two different brokers are named; [`Error::SettingsFile`] when the
    /// file of a context or a project cannot be used.
    pub fn resolve(
        options: TargetOptions,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let environment = |name: &str| environment(name).filter(|value| !value.is_empty());
        let choice = choose(&options, &environment)?;
        let is_given = options.url.is_some() || options.context.is_some();
        let of_environment = || environment("MQ_HTTP_URL").filter(|_| !is_given);
        let is_vhost_named = options.vhost.is_some();
        let mut options = options;
        let broker = match choice {
            Choice::Directory(directory) => {
                let directory = match directory {
                    Some(directory) => directory,
                    None => default_directory(environment)?,
                };
                return Self::of_directory(directory, &options);
            }
            Choice::Url(NamedUrl { url, by, http_url, vhost }) => {
                options.vhost = options.vhost.or(vhost);
                options.http_url = options.http_url.or_else(of_environment).or(http_url);
                UrlWithPassword { url, by, password: None, is_named: true }
            }
            Choice::Context(chosen) => {
                let context = chosen.found.contexts.get(&chosen.name)?.clone();
                options.vhost = options.vhost.or(chosen.vhost).or(context.vhost);
                options.http_url = options.http_url.or_else(of_environment).or(context.http_url);
                options.tls = options.tls.or(context.tls);
                let password = chosen.found.password(&chosen.name, environment)?;
                let by = format!("context '{}'", chosen.name);
                UrlWithPassword { url: context.url, by, password, is_named: true }
            }
            Choice::Unnamed { vhost } => {
                options.vhost = options.vhost.or(vhost);
                options.http_url = options.http_url.or_else(of_environment);
                let (url, by) = (DEFAULT_URL.to_owned(), "the default".to_owned());
                UrlWithPassword { url, by, password: None, is_named: false }
            }
        };
        Ok(Self { is_vhost_named, ..Self::at_url(broker, options)? })
    }

    fn of_directory(directory: PathBuf, options: &TargetOptions) -> Result<Self, Error> {
        if options.http_url.is_some() || options.tls != TlsFiles::default() {
            return Err(Error::usage(
                "--local takes neither --http-url nor TLS files",
                "the broker of a directory is reached through the sockets in it",
            ));
        }
        let directory = DataDirectory::new(directory);
        let client = Options { login: Login::Owner, ..client_options(None, options)? };
        let api = Api::on_socket(directory.http_socket(), &client);
        let shown = directory.to_string();
        let broker = BrokerAddress::Of(directory);
        let api_source = ApiSource::InDirectory;
        Ok(Self {
            broker,
            options: client,
            api,
            api_source,
            shown,
            is_named: true,
            is_vhost_named: options.vhost.is_some(),
        })
    }

    fn at_url(broker: UrlWithPassword, options: TargetOptions) -> Result<Self, Error> {
        let UrlWithPassword { url, by, password, is_named } = broker;
        let mut parsed: AmqpUrl = url.parse().map_err(|error| {
            Error::usage(
                format!("the broker's URL in {by} is not an AMQP URL: {error}"),
                "write it like amqp://user:password@host:5672/vhost",
            )
        })?;
        parsed.password = password.or(parsed.password);
        let client = client_options(Some(&parsed), &options)?;
        let tls = match parsed.scheme {
            Scheme::Amqps => Some(tls_options(&parsed, options.tls)?),
            Scheme::Amqp if options.tls != TlsFiles::default() => {
                return Err(Error::usage(
                    "TLS files are given, but the broker's URL does not use TLS",
                    "write amqps:// instead of amqp://",
                ));
            }
            Scheme::Amqp => None,
        };
        let (api, api_source) = match options.http_url {
            Some(url) => (Api::at(&url, tls.clone(), &client)?, ApiSource::Named),
            None => (Api::beside(&parsed, tls.clone(), &client), ApiSource::Guessed),
        };
        let shown = parsed.to_string();
        let is_vhost_named = options.vhost.is_some();
        let place = Endpoint::Tcp { host: parsed.host, port: parsed.port, tls };
        Ok(Self {
            broker: BrokerAddress::At(place),
            options: client,
            api,
            api_source,
            shown,
            is_named,
            is_vhost_named,
        })
    }

    /// Another broker, at `url`, with the same timeout. TLS files are named in its URL.
    pub fn another(&self, url: &str) -> Result<Self, Error> {
        let (url, timeout) = (Some(url.to_owned()), Some(self.timeout()));
        Self::resolve(TargetOptions { url, timeout, ..TargetOptions::default() }, |_| None)
    }

    /// True if a broker was named; false if the default is meant.
    pub fn is_named(&self) -> bool {
        self.is_named
    }

    /// True if the virtual host was named by itself (`--vhost`), not as part of a URL.
    pub fn is_vhost_named(&self) -> bool {
        self.is_vhost_named
    }

    /// The virtual host commands work in.
    pub fn vhost(&self) -> &str {
        &self.options.vhost
    }

    /// Returns the place at which the broker listens; that of a directory holds while a process runs its broker.
    pub(super) fn place(&self) -> Endpoint {
        match &self.broker {
            BrokerAddress::At(place) => place.clone(),
            BrokerAddress::Of(directory) => directory.amqp_place(),
        }
    }

    /// Returns the time that connecting or one answer may take.
    pub fn timeout(&self) -> Duration {
        self.options.timeout
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Makes the options of the connection from the URL and the command line.
///
/// RabbitMQ's rules name the vhost without a name in `amqp://host/`. No broker has one and most clients (pika,
/// kombu, amqplib) take the slash for the default vhost, so it is that here too.
fn client_options(url: Option<&AmqpUrl>, options: &TargetOptions) -> Result<Options, Error> {
    let named = options.vhost.as_deref().or(url.and_then(|url| url.vhost.as_deref()));
    let vhost = named.filter(|vhost| !vhost.is_empty()).unwrap_or("/");
    let vhost = ShortStr::try_from(vhost).map_err(|error| {
        Error::usage(format!("the vhost's name: {error}"), "give a shorter one")
    })?;
    let mut client = Options { vhost, timeout: DEFAULT_TIMEOUT, ..Options::default() };
    if let Some(url) = url {
        let parameters = &url.parameters;
        client.heartbeat_s = parameters.heartbeat_s;
        client.frame_max = parameters.frame_max;
        client.channel_max = parameters.channel_max;
        client.timeout = parameters.connection_timeout.unwrap_or(DEFAULT_TIMEOUT);
        client.login = login(url)?;
    }
    client.timeout = options.timeout.unwrap_or(client.timeout);
    Ok(client)
}

fn login(url: &AmqpUrl) -> Result<Login, Error> {
    let mechanisms = &url.parameters.auth_mechanism;
    let knows = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
    if mechanisms.is_empty() || knows("plain") {
        let user = url.user.clone().unwrap_or_else(|| "guest".into());
        let password = url.password.clone().unwrap_or_else(|| Password::new("guest"));
        return Ok(Login::Plain { user, password });
    }
    if knows("external") {
        return Ok(Login::External);
    }
    Err(Error::usage(
        "the URL asks for an authentication mechanism that mq does not have",
        "auth_mechanism may be plain or external",
    ))
}

fn tls_options(url: &AmqpUrl, files: TlsFiles) -> Result<TlsOptions, Error> {
    let parameters = &url.parameters;
    let cert = files.cert.or_else(|| parameters.certfile.clone());
    let key = files.key.or_else(|| parameters.keyfile.clone());
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some(ClientIdentity { cert, key }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Error::usage(
                "a certificate and its key must be given together",
                "give both --tls-cert and --tls-key",
            ));
        }
    };
    let server_name = match (parameters.verify, parameters.server_name_indication.as_deref()) {
        (Some(Verify::None), _) => ServerNameCheck::NotVerified,
        (_, None | Some("disable")) => ServerNameCheck::Host,
        (_, Some(name)) => ServerNameCheck::Name(name.into()),
    };
    let ca = files.ca.or_else(|| parameters.cacertfile.clone());
    Ok(TlsOptions { ca, identity, server_name })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Environment = &'static [(&'static str, &'static str)];

    fn resolve(options: TargetOptions, environment: Environment) -> Result<Target, Error> {
        let find = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Target::resolve(options, find)
    }

    fn url(text: &str) -> TargetOptions {
        TargetOptions { url: Some(text.into()), ..TargetOptions::default() }
    }

    fn local(directory: Option<&str>) -> TargetOptions {
        TargetOptions { local: Some(directory.map(Into::into)), ..TargetOptions::default() }
    }

    #[test]
    fn the_broker_is_what_was_named_first() {
        let nothing = TargetOptions::default;
        #[rustfmt::skip]
        let cases: [(TargetOptions, Environment, &str, &str); 14] = [
            (nothing(), &[],                                  "amqp://guest:***@localhost:5672", "/"),
            (nothing(), &[("MQ_URL", "amqp://u:p@h/v")],      "amqp://u:***@h:5672/v",           "v"),
            (nothing(), &[("MQ_LOCAL", "/d")],                "/d",                              "/"),
            (nothing(), &[("MQ_LOCAL", ""), ("MQ_URL", "")],  "amqp://guest:***@localhost:5672", "/"),
            (nothing(), &[("AMQP_URL", "amqp://a"), ("RABBITMQ_URL", "amqp://r")], "amqp://a:5672", "/"),
            (nothing(), &[("AMQP_URL", ""), ("RABBITMQ_URL", "amqp://r")],         "amqp://r:5672", "/"),
            (nothing(), &[("AMQP_URL", "amqp://a"), ("MQ_URL", "amqp://m")],       "amqp://m:5672", "/"),
            (nothing(), &[("AMQP_URL", "amqp://a"), ("MQ_LOCAL", "/d")],           "/d",            "/"),
            (local(Some("/e")), &[("AMQP_URL", "amqp://a")],                       "/e",            "/"),
            (url("amqp://h/%2F"), &[("MQ_URL", "amqp://x")],  "amqp://h:5672/%2F",               "/"),
            (url("amqp://h/"), &[("MQ_LOCAL", "/d")],         "amqp://h:5672/",                  "/"),
            (local(Some("/e")), &[("MQ_URL", "amqp://x")],    "/e",                              "/"),
            (local(None), &[("XDG_DATA_HOME", "/data")],      "/data/mq",                        "/"),
            (local(None), &[("HOME", "/home/u")],             "/home/u/.local/share/mq",         "/"),
        ];
        for (options, environment, shown, vhost) in cases {
            let told = format!("{options:?} {environment:?}");
            let target = resolve(options, environment).unwrap();
            assert_eq!((target.to_string().as_str(), target.vhost()), (shown, vhost), "{told}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        let cases: [(TargetOptions, Environment); 6] = [
            (TargetOptions::default(), &[("MQ_URL", "amqp://x"), ("MQ_LOCAL", "/d")]),
            (TargetOptions { local: Some(None), ..url("amqp://h") }, &[]),
            (url("http://h"), &[]),
            (url("amqp://h?auth_mechanism=gssapi"), &[]),
            (url("amqps://h?certfile=c"), &[]),
            (TargetOptions { http_url: Some("ftp://h".into()), ..TargetOptions::default() }, &[]),
        ];
        for (options, environment) in cases {
            let told = format!("{options:?} {environment:?}");
            let error = resolve(options, environment).expect_err(&told);
            assert_eq!(error.category(), crate::engine::Category::Usage, "{told}");
            assert!(error.hint().is_some(), "{told}");
        }
    }

    #[test]
    fn options_beat_the_url() {
        let options = TargetOptions {
            vhost: Some("other".into()),
            timeout: Some(Duration::from_secs(1)),
            ..url("amqp://h/v?connection_timeout=5000&heartbeat=7")
        };
        let target = resolve(options, &[]).unwrap();
        assert_eq!(target.vhost(), "other");
        assert_eq!(target.timeout(), Duration::from_secs(1));
        assert_eq!(target.options.heartbeat_s, Some(7));
    }
}
