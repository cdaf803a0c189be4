//! The management API of a broker: where it is, and one request to it.
//!
//! Requests run on one `reqwest` client, over TCP or the Unix socket of a data directory. Lists are taken as the
//! JSON that came: the row types of the crate `rabbitmq_http_client` refuse what RabbitMQ 3.10 leaves out (a
//! consumer without `consumer_timeout`) and drop fields that people ask for by name. That crate reads every answer
//! of ours in the tests of `management`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::client::{Login, Options, TlsOptions, tls};
use crate::engine::error::{Cause, Error, Service};
use crate::wire::constants::PORT_MANAGEMENT;
use crate::wire::url::{AmqpUrl, Password, Scheme};

/// The management API's port with TLS.
const PORT_MANAGEMENT_TLS: u16 = 15671;

/// Where a broker's management API is and who asks. `Display` shows no password.
#[derive(Clone, Debug)]
pub(super) struct Api {
    /// With `/api` at the end, without credentials
    endpoint: String,
    socket: Option<PathBuf>,
    tls: Option<TlsOptions>,
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
                format!("the URL of the management API is none: {why}"),
                "write it like http://host:15672",
            )
        };
        let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it does not begin with http:// or https://".into()));
        }
        let decode = |part: &str| {
            let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
            decoded.map(String::from).map_err(|_| wrong("its login is not UTF-8".into()))
        };
        let user = decode(url.username())?;
        let password = url.password().map(&decode).transpose()?;
        // Both can only fail for URLs without a host, and these are http.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let base = url.as_str().trim_end_matches('/');
        let endpoint = format!("{}/api", base.strip_suffix("/api").unwrap_or(base));
        let mut api = Self::new(endpoint, options, tls, None);
        if !user.is_empty() {
            api.user = user;
        }
        if let Some(password) = password {
            api.password = Password::new(password);
        }
        Ok(api)
    }

    fn new(
        endpoint: String,
        options: &Options,
        tls: Option<TlsOptions>,
        socket: Option<PathBuf>,
    ) -> Self {
        let (user, password) = match &options.login {
            Login::Plain { user, password } => (user.clone(), password.clone()),
            Login::External => ("guest".into(), Password::new("guest")),
        };
        Self { endpoint, socket, tls, user, password, timeout: options.timeout }
    }

    /// The HTTP client every request goes through.
    ///
    /// No proxy: the broker is where the user said. TLS gets no trusted certificates unless the URL asks for TLS,
    /// because reading the system's takes longer than the request.
    pub(super) fn http(&self) -> Result<reqwest::Client, Error> {
        let encrypted = self.endpoint.starts_with("https:");
        let config = match &self.tls {
            Some(options) if encrypted => tls::client_config(options),
            None if encrypted => tls::client_config(&TlsOptions::default()),
            _ => no_tls(),
        };
        let config = config.map_err(|error| self.unreachable(Cause::new(error.to_string())))?;
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(self.timeout)
            .tls_backend_preconfigured(config);
        let builder = match &self.socket {
            Some(socket) => builder.unix_socket(socket.as_path()),
            None => builder,
        };
        builder.build().map_err(|error| self.unreachable(Cause::new(innermost(&error))))
    }

    /// Asks for a path below `/api`.
    pub(super) async fn get(&self, doing: &str, path: &str) -> Result<Value, Error> {
        let request = self
            .http()?
            .get(format!("{}/{path}", self.endpoint))
            .basic_auth(&self.user, Some(self.password.reveal()));
        let response = request.send().await.map_err(|error| self.failed(doing, &error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.failed(doing, &error))?;
        if !status.is_success() {
            return Err(refused(doing, status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| Error::Protocol {
            doing: doing.into(),
            source: Cause::new(format!("it is no JSON: {error}")),
        })
    }

    fn failed(&self, doing: &str, error: &reqwest::Error) -> Error {
        if error.is_timeout() {
            let (doing, waited) = (doing.into(), self.timeout);
            return Error::TimedOut { doing, waited, blocked: None };
        }
        self.unreachable(Cause::new(innermost(error)))
    }

    fn unreachable(&self, source: Cause) -> Error {
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
pub(super) fn escape(part: &str) -> String {
    utf8_percent_encode(part, NON_ALPHANUMERIC).to_string()
}

fn no_tls() -> Result<ClientConfig, crate::client::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| crate::client::Error::Tls { why: error.to_string() })?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// RabbitMQ answers `{"error":..., "reason":...}`; a proxy in between may answer anything.
fn refused(doing: &str, status: StatusCode, body: &[u8]) -> Error {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let reason = told["reason"].as_str().or(told["error"].as_str());
    let text = reason.or(status.canonical_reason()).unwrap_or("refused").to_owned();
    Error::Refused { doing: doing.into(), code: status.as_u16(), text, nearest: Vec::new() }
}

/// The last reason of a chain: reqwest's own words name the URL, which was said already.
fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
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
    }
}
