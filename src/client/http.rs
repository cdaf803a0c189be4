//! One HTTP request to the server at an [`Endpoint`]: commands ask the management API this way.
//!
//! Each request has a connection of its own, because a command makes one to three of them and then ends. There is no
//! proxy and no redirect: the broker is where the user said.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::connect::{Dialed, Endpoint, Stream};
use super::error::Error;
use crate::wire::url::Password;

pub use hyper::Method;

/// Bytes that the body of an answer may have: over a million queues of 500 bytes each.
const BODY_MAX: usize = 1 << 30;

/// An answer, whatever its status is.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: StatusCode,
    pub body: Bytes,
}

/// A request, without the place that it goes to.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    /// The path, the query and the `Host` header come from it.
    pub uri: Uri,
    /// JSON; no bytes for none
    pub body: Bytes,
    pub headers: Vec<(&'static str, String)>,
}

/// Connects to `place`, sends the request with basic authentication if there is a login, and waits for the whole answer.
///
/// # Errors
///
/// [`Error::TimedOut`] when the answer takes longer than `limit`, [`Error::Connect`] and [`Error::Tls`] as
/// [`Dialed::to`], [`Error::Lost`] when what answers does not speak HTTP, sends more than 1 GiB or ends the connection.
pub async fn send(
    place: &Endpoint,
    request: Request,
    login: Option<(&str, &Password)>,
    limit: Duration,
) -> Result<HttpResponse, Error> {
    let Request { method, uri, body, headers } = request;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = match (uri.host(), uri.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json");
    if let Some((user, password)) = login {
        let login = STANDARD.encode(format!("{user}:{}", password.reveal()));
        request = request.header(AUTHORIZATION, format!("Basic {login}"));
    }
    let with_header = |request: hyper::http::request::Builder, (name, value): &(&str, String)| {
        request.header(*name, value)
    };
    let request = headers.iter().fold(request, with_header);
    let request = request.body(Full::new(body)).map_err(|error| lost(&error))?;
    let asking = async {
        match Dialed::to(place, limit).await?.into_stream() {
            Stream::Tcp(stream) => ask(stream, request).await,
            Stream::Tls(stream) => ask(stream, request).await,
            Stream::Unix(stream) => ask(stream, request).await,
        }
    };
    timeout(limit, asking).await.unwrap_or(Err(Error::TimedOut { waited: limit }))
}

async fn ask<S>(stream: S, request: hyper::Request<Full<Bytes>>) -> Result<HttpResponse, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| lost(&error))?;
    let asking = async move {
        let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
        Ok(HttpResponse { status, body: body.map_err(|error| lost(&*error))?.to_bytes() })
    };
    // The connection ends when the sender is gone; the reason of a failure reaches the request too.
    let (answer, _) = tokio::join!(asking, connection);
    answer
}

/// The innermost reason, because the outer ones only say that a request failed.
fn lost(error: &(dyn std::error::Error + 'static)) -> Error {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    Error::Lost { why: innermost.to_string() }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;

    /// Asks a peer that reads the request and says `answer`, or nothing.
    async fn asked(answer: Option<&'static str>) -> (Result<HttpResponse, Error>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = [0; 1024];
            let count = stream.read(&mut heard).await.unwrap();
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            // The peer ends the connection, or takes the limit of the request.
            let _ = stream.read(&mut [0; 1]).await;
            String::from_utf8_lossy(&heard[..count]).into_owned()
        };
        let place = Endpoint::Unix(path.clone());
        let request = Request {
            method: Method::PUT,
            uri: "http://h:1/api/x?y=%2F".parse().unwrap(),
            body: Bytes::from_static(b"{\"a\":1}"),
            headers: vec![("X-Reason", "why".to_owned())],
        };
        let password = Password::new("p");
        let limit = Duration::from_millis(if answer.is_some() { 10_000 } else { 50 });
        tokio::join!(send(&place, request, Some(("u", &password)), limit), serving)
    }

    #[tokio::test]
    async fn an_answer_comes_whole() {
        let told = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";
        let (answer, heard) = asked(Some(told)).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (404, &b"{}"[..]));
        assert!(heard.starts_with("PUT /api/x?y=%2F HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains("x-reason: why\r\n") && heard.ends_with("{\"a\":1}"), "{heard}");
        assert!(heard.contains("host: h:1\r\n"), "{heard}");
        assert!(heard.contains("authorization: Basic dTpw\r\n"), "{heard}");
    }

    #[tokio::test]
    async fn a_peer_that_does_not_speak_http_or_says_nothing_is_an_error() {
        let (answer, _) = asked(Some("AMQP\0\0\x09\x01 and no more")).await;
        assert!(matches!(answer, Err(Error::Lost { .. })), "{answer:?}");
        let (answer, _) = asked(None).await;
        assert!(matches!(answer, Err(Error::TimedOut { .. })), "{answer:?}");
    }
}
