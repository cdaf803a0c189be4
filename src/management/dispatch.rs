//! From a row of the table of routes to the answer of a request.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get, on};
use axum::{Json, Router};
use serde_json::Value;

use super::auth::RequiredRole;
use super::change_request::{ChangeOutcome, ChangeRequest};
use super::listing::{self, Selection};
use super::refusal::Refusal;
use super::state::Management;
use super::view::{Names, View};
use crate::broker::auth::User;
use crate::broker::publish::Published;
use crate::moment;

/// Bytes a request may have: definitions of a hundred thousand queues fit (RabbitMQ: `max_http_body_size`).
const BODY_BYTES_MAX: usize = 64 << 20;

/// The refusal of a message that a queue has no room for, in RabbitMQ's words.
const REJECTED: &str = "rejected Unable to publish message. Check queue limits.";

/// The refusal of a message that the disk does not take.
const NOT_KEPT: &str = "rejected Unable to publish message. The broker cannot write to its disk.";

/// One route: the method and the path of a request, who may make it, and what answers it.
pub(super) type RouteRow = (Method, &'static str, RequiredRole, Responder);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// `HEAD` too
    Get,
    Put,
    Post,
    Delete,
    /// All methods that have no row at the same path
    Any,
}

/// The function that answers a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Responder {
    /// One object that is always there
    Always(fn(&View<'_>) -> Value),
    /// One object
    One(fn(&View<'_>, &Names) -> Result<Value, Refusal>),
    /// A list that is always there, as far as it is wanted
    AlwaysList(fn(&View<'_>) -> Vec<Value>),
    /// A list, as far as it is wanted
    List(fn(&View<'_>, &Names) -> Result<Vec<Value>, Refusal>),
    /// A list that selects its rows by itself
    Selected(fn(&View<'_>, &Names, &Selection) -> Result<Value, Refusal>),
    /// A change
    Change(fn(&ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal>),
    /// 501
    NotThereYet,
}

type RouteHandler = MethodRouter<Arc<Management>>;

/// Makes a router of the table.
pub(super) fn router(rows: &[RouteRow]) -> Router<Arc<Management>> {
    let add = |router: Router<_>, &(method, path, who, answer): &RouteRow| {
        router.route(path, handler(method, who, answer))
    };
    rows.iter().fold(Router::new(), add).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

fn handler(method: Method, who: RequiredRole, answer: Responder) -> RouteHandler {
    let filter = match method {
        Method::Get => MethodFilter::GET,
        Method::Put => MethodFilter::PUT,
        Method::Post => MethodFilter::POST,
        Method::Delete => MethodFilter::DELETE,
        Method::Any => return any(async || Refusal::NotThereYet),
    };
    match answer {
        Responder::Change(change) => changing(filter, who, change),
        Responder::NotThereYet => on(filter, async || Refusal::NotThereYet),
        Responder::Always(answer) => {
            reading(who, move |view, _, selection| Ok(selection.of_object(answer(view))))
        }
        Responder::One(answer) => {
            reading(
                who,
                move |view, names, selection| Ok(selection.of_object(answer(view, names)?)),
            )
        }
        Responder::AlwaysList(answer) => {
            reading(who, move |view, _, selection| selection.of_list(answer(view)))
        }
        Responder::List(answer) => {
            reading(who, move |view, names, selection| selection.of_list(answer(view, names)?))
        }
        Responder::Selected(answer) => reading(who, answer),
    }
}

fn reading<F>(who: RequiredRole, answer: F) -> RouteHandler
where
    F: Fn(&View<'_>, &Names, &Selection) -> Result<Value, Refusal>,
    F: Clone + Send + Sync + 'static,
{
    get(
        async move |State(management): State<Arc<Management>>,
                    Extension(user): Extension<User>,
                    Path(names): Path<HashMap<String, String>>,
                    Query(query): Query<listing::Query>|
                    -> Result<Response, Refusal> {
            who.check(&user)?;
            let selection = Selection::new(&query)?;
            let view = management.view(&user, &query)?;
            moment::reach("http.read");
            let body = answer(&view, &Names(names), &selection)?;
            Ok(Json(body).into_response())
        },
    )
}

fn changing(
    method: MethodFilter,
    who: RequiredRole,
    change: fn(&ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal>,
) -> RouteHandler {
    on(
        method,
        async move |State(management): State<Arc<Management>>,
                    Extension(user): Extension<User>,
                    Path(names): Path<HashMap<String, String>>,
                    Query(query): Query<listing::Query>,
                    headers: HeaderMap,
                    body: Bytes|
                    -> Result<ChangeOutcome, Refusal> {
            let view = management.view(&user, &query)?;
            who.check(&user)?;
            let done = change(&ChangeRequest { view, names: Names(names), query, body, headers })?;
            if let ChangeOutcome::Published(receipt) = &done {
                match poll_fn(|cx| receipt.poll(cx)).await {
                    Published::Nowhere | Published::InMemory | Published::OnDisk(_) => {}
                    Published::Refused => return Err(Refusal::bad_request(REJECTED)),
                    Published::NotKept => return Err(Refusal::bad_request(NOT_KEPT)),
                }
            }
            Ok(done)
        },
    )
}
