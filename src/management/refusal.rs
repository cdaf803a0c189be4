//! Answers that say no, in the words of RabbitMQ's management API.
//!
//! One error a layer: variants by status, so that no handler writes a status code itself.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    /// There is no such object or path.
    NotFound,
    /// The request cannot be understood: the error's name and its reason.
    BadRequest { error: &'static str, reason: String },
    /// Nobody said who asks.
    NoCredentials,
    /// Name and password do not fit, or the user may not log in from there.
    LoginFailed,
    /// The user is known and may not do this.
    NotAuthorised { reason: &'static str },
    /// RabbitMQ has this path and we do not have it yet.
    NotThereYet,
    /// A health check that failed, with its own answer.
    Unhealthy(Value),
}

impl Refusal {
    /// The answer to values RabbitMQ would not take.
    pub(super) fn bad_request(reason: impl Into<String>) -> Self {
        Self::BadRequest { error: "bad_request", reason: reason.into() }
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
            Self::NoCredentials => {
                let realm = [(header::WWW_AUTHENTICATE, "Basic realm=\"RabbitMQ Management\"")];
                return (StatusCode::UNAUTHORIZED, realm).into_response();
            }
            Self::LoginFailed => (
                StatusCode::UNAUTHORIZED,
                json!({"error": "not_authorized", "reason": "Login failed"}),
            ),
            // RabbitMQ spells the two differently, and never sends 403.
            Self::NotAuthorised { reason } => {
                (StatusCode::UNAUTHORIZED, json!({"error": "not_authorised", "reason": reason}))
            }
            Self::NotThereYet => (
                StatusCode::NOT_IMPLEMENTED,
                json!({
                    "error": "not_implemented",
                    "reason": "RabbitMQ has this path, mq does not have it yet",
                }),
            ),
            Self::Unhealthy(answer) => (StatusCode::SERVICE_UNAVAILABLE, answer),
        };
        (status, Json(body)).into_response()
    }
}
