//! From a row of the table of routes to the answer of a request.

use std::collections::HashMap;
use std::future::{poll_fn, ready};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Form, Path, Query, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get, on};
use axum::{Json, Router};
use indexmap::IndexMap;
use serde_json::Value;

use super::auth::{RequiredRole, nobody};
use super::change_request::{ChangeOutcome, ChangeRequest};
use super::file;
use super::listing::{self, Selection};
use super::refusal::Refusal;
use super::serving::Caller;
use super::state::Management;
use super::unacked;
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
    /// One object, which may be saved as a file and asked for only if it has changed
    File(fn(&View<'_>, &Names) -> Result<Value, Refusal>),
    /// A token for a name and a password; no other login is asked for
    Login,
    /// The deliveries of a queue, which its connections are asked for
    Unacked,
    /// 501
    NotThereYet,
}

type RouteHandler = MethodRouter<Arc<Management>>;

/// Makes two routers of the table: one of the paths that no login is asked for, one of all others.
pub(super) fn routers(rows: &[RouteRow]) -> (Router<Arc<Management>>, Router<Arc<Management>>) {
    let mut paths: IndexMap<&str, Vec<&RouteRow>> = IndexMap::new();
    for row in rows {
        paths.entry(row.1).or_default().push(row);
    }
    let (mut open, mut closed) = (Router::new(), Router::new());
    for (path, rows) in paths {
        let handlers = of_path(&rows);
        let is_open =
            |row: &&RouteRow| row.2 == RequiredRole::Anyone || matches!(row.3, Responder::Login);
        if rows.iter().any(is_open) {
            open = open.route(path, handlers);
        } else {
            closed = closed.route(path, handlers);
        }
    }
    let limit = DefaultBodyLimit::max(BODY_BYTES_MAX);
    (open.layer(Extension(nobody())).layer(limit), closed.layer(limit))
}

/// The handlers of one path; each answer lists the methods, as RabbitMQ's do.
fn of_path(rows: &[&RouteRow]) -> RouteHandler {
    let add = |all: RouteHandler, &&(method, _, who, answer): &&RouteRow| {
        all.merge(handler(method, who, answer))
    };
    let handlers = rows.iter().fold(MethodRouter::new(), add);
    let has = |method: Method| rows.iter().any(|row| row.0 == method);
    if has(Method::Any) {
        return handlers;
    }
    let names = [
        (Method::Get, "HEAD, GET"),
        (Method::Put, "PUT"),
        (Method::Post, "POST"),
        (Method::Delete, "DELETE"),
    ];
    let names = names.into_iter().filter(|(method, _)| has(*method)).map(|(_, name)| name);
    let allowed: Vec<_> = names.chain(["OPTIONS"]).collect();
    let allowed = HeaderValue::from_str(&allowed.join(", ")).ok();
    let tell = move |mut response: Response| {
        if let Some(allowed) = allowed.clone() {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        ready(response)
    };
    handlers.options(async || StatusCode::OK).layer(map_response(tell))
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
        Responder::File(answer) => {
            reading(
                who,
                move |view, names, selection| Ok(selection.of_object(answer(view, names)?)),
            )
            .layer(from_fn(file::as_file))
        }
        Responder::Login => on(filter, log_in),
        Responder::Unacked => get(list_unacked),
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

/// `GET /queues/:vhost/:queue/unacked`.
async fn list_unacked(
    State(management): State<Arc<Management>>,
    Extension(user): Extension<User>,
    Path(names): Path<HashMap<String, String>>,
    Query(query): Query<listing::Query>,
) -> Result<Response, Refusal> {
    RequiredRole::EveryUser.check(&user)?;
    let (selection, names) = (Selection::new(&query)?, Names(names));
    let survey = unacked::ask(&management.view(&user, &query)?, &names)?;
    let deliveries = unacked::answers(survey).await?;
    let view = management.view(&user, &query)?;
    let body = unacked::list(&view, &names, &selection, deliveries)?;
    Ok(Json(body).into_response())
}

/// `POST /login`.
async fn log_in(
    State(management): State<Arc<Management>>,
    request: Extensions,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let token = management.gate.token(&form, Caller::of(&request))?;
    Ok(Json(token).into_response())
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
