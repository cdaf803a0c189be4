//! The writing half of the management API: what is put, posted and deleted.
//!
//! A change is a function of what was [`Asked`]; it looks first whether the user may, then at the body, then has the
//! broker do it. Status codes and reasons are RabbitMQ's.

mod body;
mod connections;
mod limits;
mod messages;
mod parameters;
mod permissions;
pub(super) mod policies;
mod topology;
mod users;
mod vhosts;

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use serde_json::{Value, json};

pub(super) use self::body::Body;
pub(super) use self::parameters::{CLUSTER_NAME, no_component, read as read_parameter};
pub(super) use self::permissions::{read as read_permission, read_topic};
pub(super) use self::policies::read as read_policy;
pub(super) use self::topology::{NOBODY, read_binding, read_exchange, read_queue};
pub(super) use self::users::read as read_user;
pub(super) use self::vhosts::read as read_vhost;

use super::auth::{ADMINISTRATOR, MONITORING, POLICYMAKER};
use super::refusal::Refusal;
use super::view::{Names, View};
use super::{Handler, Management, Routes, definitions, features, listing};
use crate::broker::admin::Put;
use crate::broker::auth::{Rights, User};
use crate::broker::errand::Receipt;
use crate::broker::vhost::Vhost;
use crate::wire::ShortStr;

/// Bytes a request may have: definitions of a hundred thousand queues fit (RabbitMQ: `max_http_body_size`).
const BODY_BYTES_MAX: usize = 64 << 20;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) view: View<'a>,
    pub(super) names: Names,
    pub(super) query: listing::Query,
    pub(super) body: Bytes,
    headers: HeaderMap,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Created,
    /// 204: replaced, deleted, or nothing to tell.
    Quietly,
    /// A binding, found there.
    Bound {
        location: String,
    },
    /// 200, with this.
    Told(Value),
    /// A message, which is to be safe before it is said.
    Published(Receipt),
}

impl From<Put> for Done {
    fn from(put: Put) -> Self {
        match put {
            Put::Created => Self::Created,
            Put::Replaced => Self::Quietly,
        }
    }
}

/// The answer to a deletion, by whether there was anything to delete.
fn gone(was_there: bool) -> Result<Done, Refusal> {
    if was_there { Ok(Done::Quietly) } else { Err(Refusal::NotFound) }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        match self {
            Self::Created => StatusCode::CREATED.into_response(),
            Self::Quietly => StatusCode::NO_CONTENT.into_response(),
            Self::Bound { location } => {
                (StatusCode::CREATED, [(header::LOCATION, location)]).into_response()
            }
            Self::Told(answer) => Json(answer).into_response(),
            Self::Published(receipt) => Json(json!({"routed": receipt.is_routed})).into_response(),
        }
    }
}

impl Asked<'_> {
    fn body(&self) -> Result<Body, Refusal> {
        Body::read(&self.body)
    }

    /// The part of the path that the route calls `name`, as a name of something.
    fn name(&self, name: &str) -> Result<ShortStr, Refusal> {
        super::json::name_of(self.names.get(name)?)
    }

    pub(super) fn administrator(&self) -> Result<(), Refusal> {
        self.require(ADMINISTRATOR, "Not administrator user")
    }

    fn monitor(&self) -> Result<(), Refusal> {
        self.require(MONITORING, "Not monitor user")
    }

    fn policymaker(&self) -> Result<(), Refusal> {
        self.require(POLICYMAKER, "User not authorised to access object")
    }

    fn require(&self, tags: &[&str], reason: &'static str) -> Result<(), Refusal> {
        if self.view.user.has_tag(tags) { Ok(()) } else { Err(Refusal::NotAuthorised { reason }) }
    }

    /// The vhost in the path; there is none is told in other words than when it is only looked at.
    fn vhost(&self) -> Result<Arc<Vhost>, Refusal> {
        self.view.broker.vhost(self.names.vhost()?).map_err(|_| Refusal::vhost_not_found())
    }

    /// The vhost in the path, in which the user does something as over AMQP.
    fn inside(&self) -> Result<(Arc<Vhost>, Arc<Rights>), Refusal> {
        let vhost = self.vhost()?;
        let rights = self.view.broker.permissions.rights(&self.view.user.name, vhost.name());
        let reason = "User not authorised to access virtual host";
        Ok((vhost, rights.ok_or(Refusal::NotAuthorised { reason })?))
    }

    fn says_yes(&self, parameter: &str) -> bool {
        self.query.get(parameter).is_some_and(|value| value == "true")
    }
}

type Change = fn(&Asked<'_>) -> Result<Done, Refusal>;

fn put(change: Change) -> Handler {
    answering(MethodFilter::PUT, change)
}

fn post(change: Change) -> Handler {
    answering(MethodFilter::POST, change)
}

fn delete(change: Change) -> Handler {
    answering(MethodFilter::DELETE, change)
}

fn answering(method: MethodFilter, change: Change) -> Handler {
    on(
        method,
        async move |State(management): State<Arc<Management>>,
                    Extension(user): Extension<User>,
                    Path(names): Path<HashMap<String, String>>,
                    Query(query): Query<listing::Query>,
                    headers: HeaderMap,
                    body: Bytes|
                    -> Result<Done, Refusal> {
            let view = View::new(&management, &user);
            let done = change(&Asked { view, names: Names(names), query, body, headers })?;
            if let Done::Published(receipt) = &done
                && !poll_fn(|cx| receipt.poll(&management.broker, cx)).await
            {
                return Err(Refusal::bad_request("rejected"));
            }
            Ok(done)
        },
    )
}

fn enable_feature(asked: &Asked<'_>) -> Result<Done, Refusal> {
    asked.administrator()?;
    features::check_known(asked.names.get("name")?)?;
    Ok(Done::Quietly)
}

/// Everything that can be changed.
pub(super) fn routes() -> Routes {
    let routes = Router::new()
        .route("/users/bulk-delete", post(users::delete_many))
        .route("/users/{user}", put(users::put).merge(delete(users::delete)))
        .route(
            "/user-limits/{user}/{name}",
            put(limits::of_user).merge(delete(limits::clear_of_user)),
        )
        .route("/vhosts/{vhost}", put(vhosts::put).merge(delete(vhosts::delete)))
        .route(
            "/vhost-limits/{vhost}/{name}",
            put(limits::of_vhost).merge(delete(limits::clear_of_vhost)),
        )
        .route(
            "/permissions/{vhost}/{user}",
            put(permissions::put).merge(delete(permissions::delete)),
        )
        .route(
            "/topic-permissions/{vhost}/{user}",
            put(permissions::put_topic).merge(delete(permissions::delete_topics)),
        )
        .route(
            "/topic-permissions/{vhost}/{user}/{exchange}",
            put(permissions::put_topic).merge(delete(permissions::delete_topics)),
        )
        .route("/policies/{vhost}/{name}", put(policies::put).merge(delete(policies::delete)))
        .route(
            "/operator-policies/{vhost}/{name}",
            put(policies::put_operators).merge(delete(policies::delete_operators)),
        )
        .route(
            "/parameters/{component}/{vhost}/{name}",
            put(parameters::put).merge(delete(parameters::delete)),
        )
        .route(
            "/global-parameters/{name}",
            put(parameters::put_global).merge(delete(parameters::delete_global)),
        )
        .route("/cluster-name", put(parameters::name_cluster))
        .route("/connections/{connection}", delete(connections::close))
        .route("/connections/username/{user}", delete(connections::close_of_user))
        .route("/feature-flags/{name}/enable", put(enable_feature))
        .route("/definitions", post(definitions::import))
        .route("/definitions/{vhost}", post(definitions::import_into_vhost))
        .merge(topology_routes());
    routes.layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

fn topology_routes() -> Routes {
    const TO_QUEUE: &str = "/bindings/{vhost}/e/{exchange}/q/{queue}";
    const TO_EXCHANGE: &str = "/bindings/{vhost}/e/{exchange}/e/{destination}";
    let with_key = |path: &str| format!("{path}/{{properties_key}}");
    Router::new()
        .route(
            "/queues/{vhost}/{queue}",
            put(topology::declare_queue).merge(delete(topology::delete_queue)),
        )
        .route("/queues/{vhost}/{queue}/contents", delete(topology::purge))
        .route("/queues/{vhost}/{queue}/actions", post(topology::act))
        .route("/queues/{vhost}/{queue}/get", post(messages::get))
        .route("/exchanges/{vhost}/{exchange}/publish", post(messages::publish))
        .route(
            "/exchanges/{vhost}/{exchange}",
            put(topology::declare_exchange).merge(delete(topology::delete_exchange)),
        )
        .route(TO_QUEUE, post(topology::bind))
        .route(TO_EXCHANGE, post(topology::bind))
        .route(&with_key(TO_QUEUE), delete(topology::unbind))
        .route(&with_key(TO_EXCHANGE), delete(topology::unbind))
}
