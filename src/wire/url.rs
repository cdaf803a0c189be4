//! Broker URLs: `amqp://user:password@host:port/vhost?parameters`, by RabbitMQ's URI rules.
//!
//! Every part may be absent, and every part may hold percent-escapes (the vhost `/` is written `%2F`).
//! A password never leaves this type by accident: `Display`, `Debug` and every error mask it.
//!
//! Source: <https://www.rabbitmq.com/uri-spec> and <https://www.rabbitmq.com/uri-query-parameters>.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::constants::{PORT_AMQP, PORT_AMQPS};

/// The characters that are escaped within one part of a URL.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'/').add(b':').add(b'?').add(b'@');

/// The scheme of a URL: with or without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `amqp://`: in the clear
    Amqp,
    /// `amqps://`: TLS
    Amqps,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Amqp => "amqp",
            Self::Amqps => "amqps",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Amqp => PORT_AMQP,
            Self::Amqps => PORT_AMQPS,
        }
    }
}

/// A text that is shown as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that logs in with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A broker's URL, taken apart. `None` is a part that was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmqpUrl {
    pub scheme: Scheme,
    /// A name or an address, IPv6 without its brackets; `localhost` when not written.
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<Password>,
    /// `amqp://host` has none (`None`), `amqp://host/` the one without a name (`Some("")`).
    pub vhost: Option<String>,
    pub parameters: UrlParameters,
}

/// The parameters behind the `?`; one that is not known is passed over, as RabbitMQ does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlParameters {
    /// Seconds; 0 turns heartbeats off
    pub heartbeat_s: Option<u16>,
    /// Bytes; 0 is no limit
    pub frame_max: Option<u32>,
    pub channel_max: Option<u16>,
    /// Written in milliseconds
    pub connection_timeout: Option<Duration>,
    pub cacertfile: Option<PathBuf>,
    pub certfile: Option<PathBuf>,
    pub keyfile: Option<PathBuf>,
    pub verify: Option<Verify>,
    /// The name the broker's certificate must have; `disable` asks for none.
    pub server_name_indication: Option<String>,
    /// Mechanisms to log in with, in lower case
    pub auth_mechanism: Vec<String>,
}

/// Says if the broker's certificate is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// `verify_peer`
    Peer,
    /// `verify_none`
    None,
}

/// The reason why a text is not a broker URL. Never holds the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("it does not begin with amqp:// or amqps://")]
    Scheme,
    #[error("'{text}' is not a port")]
    Port { text: String },
    #[error("the brackets of the IPv6 address do not match")]
    Brackets,
    #[error(
        "the {part} holds a percent sign that is not an escape, or an escape that is not UTF-8"
    )]
    Escape { part: &'static str },
    #[error("the vhost holds a slash: write %2F for one that belongs to its name")]
    VhostSlash,
    #[error("'{value}' is not a value for the parameter '{name}'")]
    Parameter { name: String, value: String },
}

impl FromStr for AmqpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = split_scheme(text)?;
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        // A password with an unescaped `@` is common; no host holds one.
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, authority),
        };
        let (user, password) = split_login(login)?;
        let (host, port) = split_address(address)?;
        let vhost = match path {
            Some(path) if path.contains('/') => return Err(UrlError::VhostSlash),
            Some(path) => Some(unescape("vhost", path)?),
            None => None,
        };
        Ok(Self {
            scheme,
            host: if host.is_empty() { "localhost".into() } else { host },
            port: port.unwrap_or(scheme.port()),
            user,
            password,
            vhost,
            parameters: parse_parameters(query)?,
        })
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = |text| utf8_percent_encode(text, ESCAPED);
        write!(f, "{}://", self.scheme.name())?;
        if let Some(user) = &self.user {
            write!(f, "{}", escape(user))?;
            if self.password.is_some() {
                f.write_str(":***")?;
            }
            f.write_str("@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", escape(&self.host), self.port)?;
        }
        match &self.vhost {
            Some(vhost) => write!(f, "/{}", escape(vhost)),
            None => Ok(()),
        }
    }
}

fn split_scheme(text: &str) -> Result<(Scheme, &str), UrlError> {
    let (name, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
    match name.to_ascii_lowercase().as_str() {
        "amqp" => Ok((Scheme::Amqp, rest)),
        "amqps" => Ok((Scheme::Amqps, rest)),
        _ => Err(UrlError::Scheme),
    }
}

fn split_login(login: Option<&str>) -> Result<(Option<String>, Option<Password>), UrlError> {
    let Some(login) = login else { return Ok((None, None)) };
    match login.split_once(':') {
        Some((user, password)) => Ok((
            Some(unescape("user name", user)?),
            Some(Password(unescape("password", password)?)),
        )),
        None => Ok((Some(unescape("user name", login)?), None)),
    }
}

fn split_address(address: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = if let Some(inside) = address.strip_prefix('[') {
        let (host, rest) = inside.split_once(']').ok_or(UrlError::Brackets)?;
        match rest {
            "" => (host, None),
            rest => (host, Some(rest.strip_prefix(':').ok_or(UrlError::Brackets)?)),
        }
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    let port = match port {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(|_| UrlError::Port { text: text.into() })?),
    };
    Ok((unescape("host", host)?, port))
}

fn unescape(part: &'static str, text: &str) -> Result<String, UrlError> {
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let broken = |(at, &byte): (usize, &u8)| byte == b'%' && !(is_hex(at + 1) && is_hex(at + 2));
    if bytes.iter().enumerate().any(broken) {
        return Err(UrlError::Escape { part });
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| UrlError::Escape { part })
}

fn parse_parameters(query: &str) -> Result<UrlParameters, UrlError> {
    let mut found = UrlParameters::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = unescape("parameter", value)?;
        match name {
            "heartbeat" => found.heartbeat_s = Some(number(name, &value)?),
            "frame_max" => found.frame_max = Some(number(name, &value)?),
            "channel_max" => found.channel_max = Some(number(name, &value)?),
            "connection_timeout" => {
                found.connection_timeout = Some(Duration::from_millis(number(name, &value)?));
            }
            "cacertfile" => found.cacertfile = Some(value.into()),
            "certfile" => found.certfile = Some(value.into()),
            "keyfile" => found.keyfile = Some(value.into()),
            "verify" => {
                found.verify = Some(match value.as_str() {
                    "verify_peer" => Verify::Peer,
                    "verify_none" => Verify::None,
                    _ => return Err(UrlError::Parameter { name: name.into(), value }),
                });
            }
            "server_name_indication" => found.server_name_indication = Some(value),
            "auth_mechanism" => found.auth_mechanism.push(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    Ok(found)
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, UrlError> {
    value.parse().map_err(|_| UrlError::Parameter { name: name.into(), value: value.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RabbitMQ's URI specification, and the rows that people stumble over.
    #[test]
    fn urls_are_read_by_rabbitmqs_rules() {
        #[rustfmt::skip]
        let cases = [
            // url, user, password, host, port, vhost
            ("amqp://user:pass@host:10000/vhost", Some("user"), Some("pass"), "host", 10000, Some("vhost")),
            ("amqp://user%61:%61pass@ho%61st:10000/v%2fhost", Some("usera"), Some("apass"), "hoast", 10000, Some("v/host")),
            ("amqp://",                    None,         None,     "localhost", 5672,  None),
            ("amqp://:@/",                 Some(""),     Some(""), "localhost", 5672,  Some("")),
            ("amqp://user@",               Some("user"), None,     "localhost", 5672,  None),
            ("amqp://user:pass@",          Some("user"), Some("pass"), "localhost", 5672, None),
            ("amqp://host",                None,         None,     "host",      5672,  None),
            ("amqp://:10000",              None,         None,     "localhost", 10000, None),
            ("amqp:///vhost",              None,         None,     "localhost", 5672,  Some("vhost")),
            ("amqp://host/",               None,         None,     "host",      5672,  Some("")), // no name is a name
            ("amqp://host/%2F",            None,         None,     "host",      5672,  Some("/")),
            ("amqp://[::1]",               None,         None,     "::1",       5672,  None),
            ("amqps://[::1]:99/v?x=1",     None,         None,     "::1",       99,    Some("v")),
            ("AMQPS://host",               None,         None,     "host",      5671,  None),
            ("amqp://u:p@ss@host",         Some("u"),    Some("p@ss"), "host",  5672,  None), // not escaped, still clear
            ("amqp://host#part",           None,         None,     "host",      5672,  None),
        ];
        for (text, user, password, host, port, vhost) in cases {
            let url: AmqpUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.user.as_deref(), user, "{text}");
            assert_eq!(url.password.as_ref().map(Password::reveal), password, "{text}");
            assert_eq!((url.host.as_str(), url.port), (host, port), "{text}");
            assert_eq!(url.vhost.as_deref(), vhost, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_told_without_its_password() {
        #[rustfmt::skip]
        let cases = [
            ("localhost:5672",            "it does not begin with amqp:// or amqps://"),
            ("http://u:secret@host",      "it does not begin with amqp:// or amqps://"),
            ("amqp://u:secret@host:x",    "'x' is not a port"),
            ("amqp://u:secret@host:99999","'99999' is not a port"),
            ("amqp://[::1",               "the brackets of the IPv6 address do not match"),
            ("amqp://u:secret%zz@host",   "the password holds a percent sign that is not an escape, or an escape that is not UTF-8"),
            ("amqp://host/%ff",           "the vhost holds a percent sign that is not an escape, or an escape that is not UTF-8"),
            ("amqp://host/a/b",           "the vhost holds a slash: write %2F for one that belongs to its name"),
            ("amqp://host?heartbeat=-1",  "'-1' is not a value for the parameter 'heartbeat'"),
            ("amqp://host?verify=maybe",  "'maybe' is not a value for the parameter 'verify'"),
        ];
        for (text, told) in cases {
            let error = text.parse::<AmqpUrl>().expect_err(text).to_string();
            assert_eq!(error, told, "{text}");
            assert!(!error.contains("secret"), "{text}");
        }
    }

    #[test]
    fn parameters_are_read() {
        let url: AmqpUrl =
            "amqps://h?heartbeat=0&frame_max=8192&channel_max=7&connection_timeout=1500\
            &cacertfile=/a%20b.pem&certfile=c&keyfile=k&verify=verify_none\
            &server_name_indication=x&auth_mechanism=PLAIN&unknown=1"
                .parse()
                .unwrap();
        assert_eq!(
            url.parameters,
            UrlParameters {
                heartbeat_s: Some(0),
                frame_max: Some(8192),
                channel_max: Some(7),
                connection_timeout: Some(Duration::from_millis(1500)),
                cacertfile: Some("/a b.pem".into()),
                certfile: Some("c".into()),
                keyfile: Some("k".into()),
                verify: Some(Verify::None),
                server_name_indication: Some("x".into()),
                auth_mechanism: vec!["plain".into()],
            }
        );
    }

    #[test]
    fn a_shown_url_masks_the_password() {
        let cases = [
            ("amqp://u:secret@h/%2F", "amqp://u:***@h:5672/%2F"),
            ("amqps://h", "amqps://h:5671"),
            ("amqp://u@[::1]:1/a%2Fb", "amqp://u@[::1]:1/a%2Fb"),
        ];
        for (text, shown) in cases {
            let url: AmqpUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
        }
    }
}
