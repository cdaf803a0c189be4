//! Answers in gzip, for clients that take it: the lists of the API and the metrics.
//!
//! RabbitMQ: `cowboy_compress_h`, its least size included.

use std::io::Write as _;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes that an answer must have more than, or it is sent as it is.
const SMALL_BYTES: u64 = 300;

/// Compresses the answer to a request, if its client takes gzip.
pub(super) async fn compressed(request: Request, next: Next) -> Response {
    let is_wanted = accepts_gzip(request.headers());
    let response = next.run(request).await;
    let is_large = response.body().size_hint().exact().is_some_and(|bytes| bytes > SMALL_BYTES);
    if !is_wanted || !is_large || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // The body is in memory already.
    let Ok(plain) = to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let Ok(packed) = gzip(&plain) else { return Response::from_parts(parts, plain.into()) };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, packed.into())
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Answers if a client takes gzip (RFC 9110, 12.5.3); one that takes anything is sent the plain text, as by RabbitMQ.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings =
        codings.filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_gzip
            && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_by_those_who_say_so() {
        #[rustfmt::skip]
        let cases = [
            ("gzip",                     true),
            ("deflate, GZIP;q=0.5, br",  true),
            ("gzip;q=0",                 false),
            ("*",                        false), // as RabbitMQ
            ("identity",                 false),
            ("gzipped",                  false),
        ];
        for (value, expected) in cases {
            let headers = [(header::ACCEPT_ENCODING, HeaderValue::from_static(value))];
            assert_eq!(accepts_gzip(&headers.into_iter().collect()), expected, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
