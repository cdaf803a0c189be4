//! The management API of a broker: where it is, and one call of it.
//!
//! Requests go over TCP, TLS or the Unix socket of a data directory ([`client::http`]). Lists are taken as the
//! JSON that came: the row types of the crate `rabbitmq_http_client` refuse what RabbitMQ 3.10 leaves out (a
//! consumer without `consumer_timeout`) and drop fields that people ask for by name. That crate reads every answer
//! of ours in the tests of `management`.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hyper::{StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::client::http::{self, Request};
use crate::client::tls::ServerNameCheck;
use crate::client::{self, Endpoint, Login, Options, TlsOptions};
use crate::engine::error::{Cause, Error, Service};
use crate::wire::constants::PORT_MANAGEMENT;
use crate::wire::url::{AmqpUrl, Password, Scheme};

pub use crate::client::http::Method;

/// A question is asked so often while RabbitMQ answers 500, as it does to a list of what another client deletes.
const ASKED_MAX: u32 = 3;
/// The time between two of these.
const ASKED_AFTER: Duration = Duration::from_millis(100);
/// The management API's port with TLS.
const PORT_MANAGEMENT_TLS: u16 = 15671;

/// One call of the management API.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// Below `/api`, its parts escaped
    pub path: String,
    pub body: Option<Value>,
    pub headers: Vec<(&'static str, String)>,
}

impl Call {
    /// A call with nothing but its path.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, headers: Vec::new() }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, path) }
    }

    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path) }
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// The same call, with the reason that the broker tells others.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.headers.push(("X-Reason", reason.to_owned()));
        self
    }
}

/// The address of a broker's management API, and the credentials to ask it with. `Display` shows no password.
#[derive(Clone, Debug)]
pub(super) struct Api {
    /// With `/api` at the end, without credentials
    endpoint: String,
    socket: Option<PathBuf>,
    tls: Option<TlsOptions>,
    /// Logs in without a password where it can.
    is_owner: bool,
    user: String,
    password: Password,
    timeout: Duration,
}

impl Api {
    /// The API that is served on a Unix socket.
    pub(super) fn on_socket(socket: PathBuf, options: &Options) -> Self {
        Self::new("http://localhost/api".into(), options, None, Some(socket))
    }

    /// The API at its usual port beside the broker of `url`.
    pub(super) fn beside(url: &AmqpUrl, tls: Option<TlsOptions>, options: &Options) -> Self {
        let (scheme, port) = match url.scheme {
            Scheme::Amqp => ("http", PORT_MANAGEMENT),
            Scheme::Amqps => ("https", PORT_MANAGEMENT_TLS),
        };
        let host =
            if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
        Self::new(format!("{scheme}://{host}:{port}/api"), options, tls, None)
    }

    /// The API at a URL of its own, whose credentials beat those of the broker's URL.
    pub(super) fn at(
        text: &str,
        tls: Option<TlsOptions>,
        options: &Options,
    ) -> Result<Self, Error> {
        let wrong = |why: String| {
            Error::usage(
                format!("the URL of the management API is invalid: {why}"),
                "write it like http://host:15672",
            )
        };
        let url: Uri = text.parse().map_err(|error| wrong(format!("{error}")))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(wrong("it does not begin with http:// or https://".into()));
        }
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        let decode = |part: &str| {
            let decoded = percent_decode_str(part).decode_utf8();
            decoded.map(String::from).map_err(|_| wrong("its login is not UTF-8".into()))
        };
        let user = decode(user)?;
        let password = password.map(decode).transpose()?;
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if has_port && url.port_u16().is_none() {
            return Err(wrong("its port is not a number from 0 to 65535".into()));
        }
        let scheme = url.scheme_str().unwrap_or_default();
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/api").unwrap_or(path);
        let endpoint = format!("{scheme}://{address}{path}/api");
        let mut api = Self::new(endpoint, options, tls, None);
        if !user.is_empty() {
            api.user = user;
        }
        if let Some(password) = password {
            api.password = Password::new(password);
        }
        Ok(api)
    }

    /// The same questions at the address that the broker at `host` announces.
    ///
    /// # Errors
    ///
    /// When it is for the broker's own machine only, or would show the password to the network between.
    pub(super) fn announced(self, host: &str, address: SocketAddr) -> Result<Self, Error> {
        let is_here = host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback());
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let endpoint = match address.ip() {
            any if any.is_unspecified() => format!("http://{host}:{}/api", address.port()),
            _ => format!("http://{address}/api"),
        };
        let api = Self { endpoint, ..self };
        let why = match (is_here, api.tls.is_some()) {
            (false, _) if address.ip().is_loopback() => {
                "it listens on the broker's own machine only"
            }
            (false, true) => {
                "it does not use TLS, so the password would be readable on the network"
            }
            (true, _) | (false, false) => return Ok(Self { tls: None, ..api }),
        };
        Err(api.unreachable(Cause::new(why)))
    }

    fn new(
        endpoint: String,
        options: &Options,
        tls: Option<TlsOptions>,
        socket: Option<PathBuf>,
    ) -> Self {
        let is_owner = options.login == Login::Owner;
        let (user, password) = match &options.login {
            Login::Plain { user, password } => (user.clone(), password.clone()),
            Login::External | Login::Owner => ("guest".into(), Password::new("guest")),
        };
        Self { endpoint, socket, tls, is_owner, user, password, timeout: options.timeout }
    }

    /// The same API, asked by another user.
    pub(super) fn as_user(&self, user: &str, password: &str) -> Self {
        let password = Password::new(password);
        Self { user: user.to_owned(), password, is_owner: false, ..self.clone() }
    }

    /// The login of a request: none on the socket of a broker that runs under our account, which asks for none.
    fn login(&self) -> Option<(&str, &Password)> {
        let own = rustix::process::geteuid().as_raw();
        let socket = self.socket.as_ref().filter(|_| self.is_owner);
        let is_ours = |socket: &PathBuf| fs::metadata(socket).is_ok_and(|found| found.uid() == own);
        (!socket.is_some_and(is_ours)).then_some((&self.user, &self.password))
    }

    /// Asks for a path below `/api`.
    pub(super) async fn get(&self, doing: &str, path: &str) -> Result<Value, Error> {
        let call = Call::get(path);
        for _ in 1..ASKED_MAX {
            match self.send(doing, &call).await {
                Err(Error::Refused { code: 500, .. }) => tokio::time::sleep(ASKED_AFTER).await,
                answer => return answer,
            }
        }
        self.send(doing, &call).await
    }

    /// Makes one call; an answer without a body is `null`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with the status and the reason of the API, [`Error::NotOffered`] if it does not know such a
    /// call.
    pub(super) async fn send(&self, doing: &str, call: &Call) -> Result<Value, Error> {
        let body = self.ask(doing, call).await?;
        if body.is_empty() && call.method != Method::GET {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            let why = format!("the server at this address is not a management API: its answer is not JSON, {error}");
            self.unreachable(Cause::new(why))
        })
    }

    /// Asks for a path below `/api` whose answer may be any text.
    pub(super) async fn text(&self, doing: &str, path: &str) -> Result<String, Error> {
        let body = self.ask(doing, &Call::get(path)).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Makes one call; answers with the body.
    async fn ask(&self, doing: &str, call: &Call) -> Result<Bytes, Error> {
        let url = format!("{}/{}", self.endpoint, call.path);
        let url: Uri = url.parse().map_err(|error| {
            self.unreachable(Cause::new(format!("'{url}' is not a URL: {error}")))
        })?;
        let place = self.place(&url);
        let body = call.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let request = Request {
            method: call.method.clone(),
            uri: url,
            body: body.into(),
            headers: call.headers.clone(),
        };
        let asked = http::send(&place, request, self.login(), self.timeout).await;
        let answer = asked.map_err(|error| self.failed(doing, error))?;
        if !answer.status.is_success() {
            return Err(refused(doing, answer.status, &answer.body));
        }
        Ok(answer.body)
    }

    /// Returns the place at which the API with this URL listens.
    fn place(&self, url: &Uri) -> Endpoint {
        if let Some(socket) = &self.socket {
            return Endpoint::Unix(socket.clone());
        }
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_encrypted = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        let tls = is_encrypted.then(|| {
            let mut tls = self.tls.clone().unwrap_or_default();
            if let ServerNameCheck::Name(_) = tls.server_name {
                // That is the name of what speaks AMQP.
                tls.server_name = ServerNameCheck::Host;
            }
            tls
        });
        Endpoint::Tcp { host, port, tls }
    }

    fn failed(&self, doing: &str, error: client::Error) -> Error {
        let why = match error {
            client::Error::TimedOut { waited } => {
                return Error::TimedOut { doing: doing.into(), waited, blocked: None };
            }
            client::Error::Connect { source, .. } if source.kind() == io::ErrorKind::TimedOut => {
                return Error::TimedOut {
                    doing: doing.into(),
                    waited: self.timeout,
                    blocked: None,
                };
            }
            client::Error::Connect { source, .. } => source.to_string(),
            client::Error::Lost { why } => why,
            error => error.to_string(),
        };
        self.unreachable(Cause::new(why))
    }

    pub(super) fn unreachable(&self, source: Cause) -> Error {
        Error::Unreachable { what: Service::Management, place: self.to_string(), source }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "{}", socket.display()),
            None => f.write_str(self.endpoint.trim_end_matches("/api")),
        }
    }
}

/// One part of a path: every character that could end it is escaped (the vhost `/` is `%2F`).
pub fn escape(part: &str) -> String {
    utf8_percent_encode(part, NON_ALPHANUMERIC).to_string()
}

/// RabbitMQ answers `{"error":..., "reason":...}`; a proxy in between may answer anything.
fn refused(doing: &str, status: StatusCode, body: &[u8]) -> Error {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let reason = match &told["reason"] {
        Value::Null => told["error"].as_str().map(str::to_owned),
        Value::String(text) => Some(text.clone()),
        // The reason of a pattern that is refused is a list.
        other => Some(other.to_string()),
    };
    let usual = || status.canonical_reason().unwrap_or("refused").to_owned();
    let text = reason.unwrap_or_else(usual);
    if matches!(status, StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED) {
        return Error::not_offered(doing, &text);
    }
    Error::Refused { doing: doing.into(), code: status.as_u16(), text, nearest: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_found_from_either_url() {
        let options = Options::default();
        #[rustfmt::skip]
        let beside = [
            ("amqp://h/v",     "http://h:15672/api"),
            ("amqp://[::1]:1", "http://[::1]:15672/api"),
            ("amqps://h",      "https://h:15671/api"),
        ];
        for (url, endpoint) in beside {
            let api = Api::beside(&url.parse().unwrap(), None, &options);
            assert_eq!(api.endpoint, endpoint, "{url}");
        }
        #[rustfmt::skip]
        let at = [
            ("http://h:1",           "http://h:1/api",      "guest"),
            ("http://h:1/api/",      "http://h:1/api",      "guest"),
            ("https://u:p@h/prefix", "https://h/prefix/api", "u"),
            ("http://u%40x:p@h",     "http://h/api",        "u@x"),
        ];
        for (url, endpoint, user) in at {
            let api = Api::at(url, None, &options).unwrap();
            assert_eq!((api.endpoint.as_str(), api.user.as_str()), (endpoint, user), "{url}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_apis_words() {
        let body = br#"{"error":"not_authorised","reason":"Not management user"}"#;
        let error = refused("list queues", StatusCode::UNAUTHORIZED, body);
        assert_eq!(error.to_string(), "the broker refused to list queues: 401 Not management user");
        assert_eq!(error.category(), crate::engine::Category::Denied);
        let error = refused("list queues", StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(error.to_string(), "the broker refused to list queues: 502 Bad Gateway");
        let error = refused("restart it", StatusCode::NOT_IMPLEMENTED, b"");
        assert_eq!(error.to_string(), "this broker cannot restart it");
        assert_eq!(error.category(), crate::engine::Category::Unreachable);
    }
}
