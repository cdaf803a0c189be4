//! One context: a broker's addresses, and the source of its password.

use crate::engine::target_options::TlsFiles;
use crate::wire::url::{AmqpUrl, Password};

/// A broker, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedContext {
    /// An AMQP URL, in which no password stands
    pub url: String,
    /// The URL of the management API, in which no password stands
    pub http_url: Option<String>,
    /// The virtual host; beats the one in the URL
    pub vhost: Option<String>,
    pub tls: TlsFiles,
    pub password: PasswordSource,
}

/// The source of a context's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// The URL needs none.
    None,
    /// The file
    Stored(Password),
    /// The first line that a command of the shell prints
    Command(String),
    /// A variable of the environment
    Environment(String),
}

impl NamedContext {
    /// The virtual host that commands work in.
    pub fn effective_vhost(&self) -> String {
        let of_url = || self.url.parse::<AmqpUrl>().ok().and_then(|url| url.vhost);
        let vhost = self.vhost.clone().or_else(of_url).filter(|vhost| !vhost.is_empty());
        vhost.unwrap_or_else(|| "/".to_owned())
    }

    /// The option whose URL holds a password.
    pub fn revealing_url(&self) -> Option<&'static str> {
        let http_url = self.http_url.as_deref().unwrap_or_default();
        let urls = [("--url", self.url.as_str()), ("--http-url", http_url)];
        urls.into_iter().find(|(_, url)| holds_password(url)).map(|(option, _)| option)
    }

    /// Answers whether the login of the URL lacks a password. A URL without a user means the default user, whose
    /// password is known.
    pub fn lacks_password(&self) -> bool {
        let parsed = self.url.parse::<AmqpUrl>();
        parsed.is_ok_and(|url| {
            let mechanisms = &url.parameters.auth_mechanism;
            let takes_password =
                mechanisms.is_empty() || mechanisms.iter().any(|one| one == "plain");
            url.user.is_some() && takes_password
        })
    }
}

/// Refuses a URL with a password, and an AMQP URL that is none.
pub(super) fn check_url(name: &str, url: &str) -> Result<(), String> {
    if name == "url" {
        let parsed = url.parse::<AmqpUrl>();
        parsed.map_err(|error| format!("{name} is not an AMQP URL: {error}"))?;
    }
    if holds_password(url) { Err(format!("{name} holds a password")) } else { Ok(()) }
}

/// Reads the login as [`AmqpUrl`] does: the last `@` ends it, the first `:` ends the user.
fn holds_password(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'))
}
