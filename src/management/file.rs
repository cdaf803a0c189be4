//! Answers that are saved as files: definitions.
//!
//! RabbitMQ: `generate_etag` and `download=` of `rabbit_mgmt_wm_definitions`.

use std::fmt::Write as _;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use super::refusal::Refusal;

/// Bytes of a digest that tell two contents apart.
const TAG_BYTES: usize = 16;

/// Adds the name of the file that the request asks for, and a tag of the content; answers 304 to a request that has the
/// content.
pub(super) async fn as_file(request: Request, next: Next) -> Response {
    let disposition = match disposition(request.uri().query().unwrap_or_default()) {
        Ok(disposition) => disposition,
        Err(refusal) => return refusal.into_response(),
    };
    let known = request.headers().clone();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // The body is in memory already.
    let content = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let tag = tag(&content);
    let is_known = has_tag(&known, &tag);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    if let Some(disposition) = disposition {
        parts.headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Response::from_parts(parts, content.into())
}

/// The header for `download=NAME`.
fn disposition(query: &str) -> Result<Option<HeaderValue>, Refusal> {
    let name = query.split('&').find_map(|pair| pair.strip_prefix("download="));
    let Some(name) = name else { return Ok(None) };
    let name = percent_decode_str(name).decode_utf8_lossy();
    let value = HeaderValue::from_str(&format!("attachment; filename={name}"));
    value.map(Some).map_err(|_| Refusal::bad_request("download is not the name of a file"))
}

/// The tag of a content.
fn tag(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let mut tag = String::from("\"");
    for byte in &digest[..TAG_BYTES] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Answers if a request has the content of a tag (RFC 9110, 13.1.2).
fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known.filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(','));
    known.any(|one| {
        let one = one.trim();
        one == "*" || one.trim_start_matches("W/") == tag
    })
}
