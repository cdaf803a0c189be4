//! A request for a change, and the answer to it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::auth::RequiredRole;
use super::body::Body;
use super::refusal::Refusal;
use super::view::{Names, View};
use super::{json as convert, listing};
use crate::broker::admin::Put;
use crate::broker::auth::Rights;
use crate::broker::publish::{Publisher, Receipt};
use crate::broker::vhost::Vhost;
use crate::wire::ShortStr;

/// A request for a change.
#[derive(Debug)]
pub(super) struct ChangeRequest<'a> {
    pub(super) view: View<'a>,
    pub(super) names: Names,
    pub(super) query: listing::Query,
    pub(super) body: Bytes,
    pub(super) headers: HeaderMap,
}

/// The answer to a change.
#[derive(Clone, Debug)]
pub(super) enum ChangeOutcome {
    Created,
    /// 204: replaced, deleted, or nothing to tell.
    Quietly,
    /// 202: it is being done.
    Accepted,
    /// A binding, found there.
    Bound {
        location: String,
    },
    /// 200, with this.
    Told(Value),
    /// A message, which is to be safe before it is said.
    Published(Receipt),
}

impl From<Put> for ChangeOutcome {
    fn from(put: Put) -> Self {
        match put {
            Put::Created => Self::Created,
            Put::Replaced => Self::Quietly,
        }
    }
}

/// The answer to a deletion, by whether there was anything to delete.
pub(super) fn gone(was_there: bool) -> Result<ChangeOutcome, Refusal> {
    if was_there { Ok(ChangeOutcome::Quietly) } else { Err(Refusal::NotFound) }
}

impl IntoResponse for ChangeOutcome {
    fn into_response(self) -> Response {
        match self {
            Self::Created => StatusCode::CREATED.into_response(),
            Self::Quietly => StatusCode::NO_CONTENT.into_response(),
            Self::Accepted => StatusCode::ACCEPTED.into_response(),
            Self::Bound { location } => {
                (StatusCode::CREATED, [(header::LOCATION, location)]).into_response()
            }
            Self::Told(answer) => Json(answer).into_response(),
            Self::Published(receipt) => {
                Json(json!({"routed": receipt.is_routed()})).into_response()
            }
        }
    }
}

impl ChangeRequest<'_> {
    pub(super) fn body(&self) -> Result<Body, Refusal> {
        Body::read(&self.body)
    }

    /// The body of a declaration or a binding.
    pub(super) fn body_with_arguments(&self) -> Result<Body, Refusal> {
        let body = self.body()?;
        body.check_given("arguments").map(|()| body)
    }

    /// The part of the path that the route calls `name`, as a name of something.
    pub(super) fn name(&self, name: &str) -> Result<ShortStr, Refusal> {
        convert::name_of(self.names.get(name)?)
    }

    /// Checks that the user is one of `who`, for a handler that asks more than its route does.
    pub(super) fn require(&self, who: RequiredRole) -> Result<(), Refusal> {
        who.check(self.view.user)
    }

    /// The vhost in the path; there is none is told in other words than when it is only looked at.
    pub(super) fn vhost(&self) -> Result<Arc<Vhost>, Refusal> {
        self.view.broker.vhost(self.names.vhost()?).map_err(|_| Refusal::vhost_not_found())
    }

    /// The vhost in the path, in which the user does something as over AMQP.
    pub(super) fn inside(&self) -> Result<(Arc<Vhost>, Arc<Rights>), Refusal> {
        let vhost = self.vhost()?;
        let rights = self.view.broker.permissions.rights(&self.view.user.name, vhost.name());
        Ok((vhost, rights.ok_or_else(|| self.view.outside())?))
    }

    /// The publishing side of the request. RabbitMQ opens a connection of its own for each, with such a name.
    pub(super) fn publisher(&self, vhost: Arc<Vhost>, rights: Arc<Rights>) -> Publisher {
        let View { broker, user, .. } = &self.view;
        let name = broker.name_of_request();
        broker.publisher(vhost, rights, user.name.clone(), name.into())
    }

    pub(super) fn says_yes(&self, parameter: &str) -> bool {
        self.query.get(parameter).is_some_and(|value| value == "true")
    }
}
