//! The headers that every answer of the API has: how long it may be kept, what it depends on, which pages may read it.
//!
//! RabbitMQ: `rabbit_mgmt_headers`, `rabbit_mgmt_cors` and cowboy's; the values are those that 4.3.6 sends.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::http_settings::HttpSettings;

const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-cache");
const TO_VALIDATE: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");
const DEPENDS: HeaderValue = HeaderValue::from_static("accept, accept-encoding, origin");
/// Of an answer that was made before the wanted type of content was looked at.
const DEPENDS_EARLY: HeaderValue = HeaderValue::from_static("origin, accept-encoding");

/// Adds the headers to the answer to a request.
pub(super) async fn completed(
    State(settings): State<Arc<HttpSettings>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let origin = allowed_origin(&settings, request.headers());
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = next.run(request).await;
    let status = response.status();
    let headers = response.headers_mut();
    let is_answer = matches!(status, StatusCode::OK | StatusCode::NOT_MODIFIED);
    let is_early = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::METHOD_NOT_ALLOWED)
        || method == Method::OPTIONS;
    let is_kept = !is_answer || method == Method::OPTIONS;
    headers.insert(header::CACHE_CONTROL, if is_kept { TO_VALIDATE } else { NOT_KEPT });
    headers.insert(header::VARY, if is_early { DEPENDS_EARLY } else { DEPENDS });
    for (name, value) in &settings.headers {
        headers.insert(name, value.clone());
    }
    if let Some(origin) = origin {
        if method == Method::OPTIONS {
            put_preflight(headers, wanted, settings.cors_max_age_s);
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let yes = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
    response
}

/// The origin of a request, if its pages may ask.
fn allowed_origin(settings: &HttpSettings, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let is_allowed = settings.cors_origins.iter().any(|one| one == "*" || origin == one.as_str());
    is_allowed.then(|| origin.clone())
}

/// Tells a browser what its page may do, before it does it.
fn put_preflight(headers: &mut HeaderMap, wanted: Option<HeaderValue>, max_age_s: Option<u32>) {
    if let Some(methods) = headers.get(header::ALLOW).cloned() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(wanted) = wanted {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
    if let Some(seconds) = max_age_s {
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, seconds.into());
    }
}
