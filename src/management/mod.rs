//! HTTP in front of a broker: RabbitMQ's management API.
//!
//! Every answer is a pure function of the broker: `View` in, JSON out, one file for a family of objects. Shapes
//! and texts are RabbitMQ's, so that its clients (`rabbitmq_http_client`, exporters, our own commands) read ours.
//! Fields whose number is not known here are absent or null, never invented; objects that cannot exist here yet
//! are empty lists; paths that are not there yet answer 501.
//!
//! Names only the broker and wire values. The caller makes the listeners (see [`serve`]) and describes them in
//! [`ServerInfo`].
//!
//! `metrics` tells the same to Prometheus, on a listener of its own.
//!
//! Reading order: `routes` (the table of requests), `dispatch` (from a row to an answer), `view`, then any family;
//! `change_request` and `change` for what is put and deleted, `definition_lists` for definitions. `state` keeps the
//! samples of rates, `histories` their past.

mod arguments;
mod attempts;
mod auth;
mod bindings;
mod body;
mod change;
mod change_request;
mod channels;
mod compression;
mod configuration;
mod connections;
mod consumers;
mod definition_lists;
mod definitions;
mod dispatch;
mod exchanges;
mod facts;
mod failed_logins;
mod features;
mod file;
mod headers;
mod health;
mod histories;
mod history;
mod http_settings;
mod https;
mod idle_timeout;
mod import;
mod json;
mod listing;
mod memory;
mod message_stats;
mod metrics;
mod node_numbers;
mod nodes;
mod overview;
mod owner;
mod policies;
mod process;
mod queues;
mod ranges;
mod rates;
mod refusal;
mod routes;
mod sampling;
mod server_info;
mod serving;
mod state;
mod subject;
mod unacked;
mod users;
mod vhosts;
mod view;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode;

pub use self::configuration::{ConfigurationEntry, EffectiveConfiguration, LastLines, LogControl};
pub use self::http_settings::{HeaderName, HeaderValue, HttpSettings};
pub use self::https::HttpsListener;
pub use self::import::{DefinitionsFile, ImportError};
pub use self::nodes::started_plugins;
pub use self::owner::OwnerListener;
pub use self::process::{ProcessControls, ResetControl, StopControl};
pub use self::server_info::{Listener, METRICS, ServerInfo};
pub use self::serving::{Caller, serve};
pub use self::state::Management;
pub use axum::Router;
pub use axum::serve::Listener as HttpListener;

use self::refusal::Refusal;
use crate::bug;

/// Makes RabbitMQ's management API below `/api`, for [`serve`] or any other server.
pub fn router(management: Arc<Management>) -> Router {
    let log_in = async |State(management): State<Arc<Management>>, request: Request, next: Next| {
        management.gate.log_in(request, next).await
    };
    let log_in = from_fn_with_state(Arc::clone(&management), log_in);
    let (open, closed) = dispatch::routers(routes::ROUTES);
    let all = closed.route_layer(log_in).merge(open).layer(map_request(readable));
    let missing = async || Refusal::NotFound;
    let headers = from_fn_with_state(Arc::clone(&management.server.http), headers::completed);
    let router = Router::new().nest("/api", all).fallback(missing).with_state(management);
    around(router.layer(headers))
}

/// The same behind the prefix that paths have on listeners of TCP.
pub fn prefixed_router(management: Arc<Management>) -> Router {
    let prefix = management.server.http.path_prefix().to_owned();
    let router = router(management);
    if prefix.is_empty() {
        return router;
    }
    Router::new().nest(&prefix, router).fallback(async || Refusal::NotFound)
}

/// Makes the metrics below `/metrics`, for a listener of their own.
pub fn metrics_router(management: Arc<Management>) -> Router {
    around(metrics::router(management))
}

/// The layers that every request passes first. They stand around the router, because layers within it would come after
/// the choice of the route.
fn around(router: Router) -> Router {
    Router::new()
        .fallback_service(router)
        .layer(from_fn(contained))
        .layer(from_fn(compression::compressed))
        .layer(map_request(async |request: Request| without_last_slash(request)))
}

/// A path may end in one slash, which means nothing (RabbitMQ: `cowboy_router`).
fn without_last_slash(mut request: Request) -> Request {
    let uri = request.uri();
    if let Some(path) = uri.path().strip_suffix('/')
        && !path.is_empty()
        && !path.ends_with('/')
    {
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = format!("{path}{query}").parse().ok();
        if let Ok(shorter) = Uri::from_parts(parts) {
            *request.uri_mut() = shorter;
        }
    }
    request
}

/// Refuses a path that is not percent-encoded UTF-8.
async fn readable(request: Request) -> Result<Request, Refusal> {
    let path = request.uri().path().as_bytes();
    let is_hex = |at: usize| path.get(at).is_some_and(u8::is_ascii_hexdigit);
    let is_encoded =
        (0..path.len()).all(|at| path[at] != b'%' || (is_hex(at + 1) && is_hex(at + 2)));
    if is_encoded && percent_decode(path).decode_utf8().is_ok() {
        return Ok(request);
    }
    Err(Refusal::bad_request("the path is not percent-encoded UTF-8"))
}

/// Answers 500 when a bug ends a request; its connection and all others go on.
async fn contained(request: Request, next: Next) -> Response {
    let mut answer = pin!(next.run(request));
    let poll = |cx: &mut Context<'_>| {
        let polled = bug::contain("an HTTP request", || answer.as_mut().poll(cx));
        polled.unwrap_or_else(|| Poll::Ready(Refusal::Bug.into_response()))
    };
    poll_fn(poll).await
}
