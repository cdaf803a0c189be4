//! Refusals of requests, in the words of RabbitMQ's management API.
//!
//! One error a layer: variants by status, so that no handler writes a status code itself.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::wire::{Fault, ReplyCode};

const TOO_MANY_LOGINS: &str =
    "too many failed logins from this address; wait for the time that Retry-After says";

/// The reason for refusing a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    /// There is no such object or path.
    NotFound,
    /// The request cannot be understood: the error's name and its reason.
    BadRequest { error: &'static str, reason: String },
    /// The same with a reason that is no text.
    BadReason(Value),
    /// The object of the request, or the vhost it should be in, does not exist.
    Missing { reason: String },
    /// It is protected from deletion.
    Protected { reason: String },
    /// The request has no credentials.
    NoCredentials,
    /// Name and password do not fit, or the user may not log in from there.
    LoginFailed { reason: &'static str },
    /// The address has failed too often; its logins are not looked at for this time.
    TooManyLogins { wait: Duration },
    /// The user is known and may not do this.
    NotAuthorised { reason: &'static str },
    /// The user has no right to do it: what it did, in AMQP's words.
    AccessRefused { reason: String },
    /// RabbitMQ has this path and we do not have it yet.
    NotThereYet,
    /// It cannot be done on this node.
    Unavailable { reason: &'static str },
    /// A health check that failed, with its own answer.
    Unhealthy(Value),
    /// A bug has ended the request.
    Bug,
}

impl Refusal {
    /// The answer to values RabbitMQ would not take.
    pub(super) fn bad_request(reason: impl Into<String>) -> Self {
        Self::BadRequest { error: "bad_request", reason: reason.into() }
    }

    /// The answer to a change in a vhost that is not there.
    pub(super) fn vhost_not_found() -> Self {
        Self::Missing { reason: "vhost_not_found".to_owned() }
    }

    /// The reason as a text.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::BadRequest { reason, .. }
            | Self::Missing { reason }
            | Self::AccessRefused { reason }
            | Self::Protected { reason } => reason.clone(),
            Self::BadReason(reason) | Self::Unhealthy(reason) => reason.to_string(),
            Self::NotAuthorised { reason }
            | Self::LoginFailed { reason }
            | Self::Unavailable { reason } => (*reason).to_owned(),
            Self::TooManyLogins { .. } => TOO_MANY_LOGINS.to_owned(),
            Self::NotFound => "Not Found".to_owned(),
            Self::NoCredentials => "Login failed".to_owned(),
            Self::NotThereYet => "it is not implemented".to_owned(),
            Self::Bug => "a bug of the broker".to_owned(),
        }
    }

    /// Says which parameter of a vhost it is about, as RabbitMQ does when definitions come in.
    pub(super) fn about(self, vhost: &str, name: &str) -> Self {
        Self::bad_request(format!("{} ({vhost}/{name})", self.reason()))
    }
}

/// A refusal of AMQP, in the same words, without the code.
impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault.code {
            ReplyCode::NotFound => Self::Missing { reason: fault.text },
            ReplyCode::AccessRefused => Self::NotAuthorised { reason: "Access refused." },
            _ => Self::bad_request(fault.text),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::NotFound => {
                (StatusCode::NOT_FOUND, json!({"error": "Object Not Found", "reason": "Not Found"}))
            }
            Self::BadRequest { error, reason } => {
                (StatusCode::BAD_REQUEST, json!({"error": error, "reason": reason}))
            }
            Self::BadReason(reason) => {
                (StatusCode::BAD_REQUEST, json!({"error": "bad_request", "reason": reason}))
            }
            Self::Missing { reason } => {
                (StatusCode::NOT_FOUND, json!({"error": "not_found", "reason": reason}))
            }
            Self::Protected { reason } => (
                StatusCode::PRECONDITION_FAILED,
                json!({"error": "precondition_failed", "reason": reason}),
            ),
            Self::NoCredentials => {
                let realm = [(header::WWW_AUTHENTICATE, "Basic realm=\"RabbitMQ Management\"")];
                return (StatusCode::UNAUTHORIZED, realm).into_response();
            }
            Self::LoginFailed { reason } => {
                (StatusCode::UNAUTHORIZED, json!({"error": "not_authorized", "reason": reason}))
            }
            Self::TooManyLogins { wait } => {
                let seconds = HeaderValue::from(wait.as_secs() + 1);
                let body = json!({"error": "too_many_requests", "reason": TOO_MANY_LOGINS});
                let headers = [(header::RETRY_AFTER, seconds)];
                return (StatusCode::TOO_MANY_REQUESTS, headers, Json(body)).into_response();
            }
            // RabbitMQ spells the two differently, and never sends 403.
            Self::NotAuthorised { reason } => {
                (StatusCode::UNAUTHORIZED, json!({"error": "not_authorised", "reason": reason}))
            }
            Self::AccessRefused { reason } => {
                (StatusCode::UNAUTHORIZED, json!({"error": "not_authorised", "reason": reason}))
            }
            Self::NotThereYet => (
                StatusCode::NOT_IMPLEMENTED,
                json!({
                    "error": "not_implemented",
                    "reason": "mq does not implement this path of RabbitMQ's management API",
                }),
            ),
            Self::Unavailable { reason } => (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({"error": "service_unavailable", "reason": reason}),
            ),
            Self::Unhealthy(answer) => (StatusCode::SERVICE_UNAVAILABLE, answer),
            Self::Bug => (
                StatusCode::INTERNAL_SERVER_ERROR,
                json!({"error": "internal_server_error", "reason": "an internal error; the broker's log has its details"}),
            ),
        };
        (status, Json(body)).into_response()
    }
}
