//! Why the client could not go on, by what its caller can do next.
//!
//! One cause may have to be told to many waiting calls, so errors are cheap to clone.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::wire::fault::Level;

/// What went wrong between us and a broker.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {place}")]
    Connect { place: String, source: Arc<io::Error> },
    #[error("cannot set up TLS: {why}")]
    Tls { why: String },
    #[error(transparent)]
    Refused(Arc<Refusal>),
    #[error("the connection was lost: {why}")]
    Lost { why: String },
    #[error("the peer sent what AMQP 0-9-1 does not allow: {why}")]
    Protocol { why: String },
    #[error("no answer within {}", humantime::format_duration(*.waited))]
    TimedOut { waited: Duration },
    #[error("it was closed before")]
    Closed,
}

/// A `connection.close` or `channel.close` of the broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {text}")]
pub struct Refusal {
    /// What it closed
    pub level: Level,
    pub code: u16,
    /// The reply text, `NAME - explanation` in RabbitMQ's case
    pub text: String,
    /// Class and method the broker blames, zeros when none
    pub method: (u16, u16),
}

impl Error {
    pub(crate) fn protocol(why: impl Into<String>) -> Self {
        Self::Protocol { why: why.into() }
    }

    pub(crate) fn lost(error: &io::Error) -> Self {
        Self::Lost { why: error.to_string() }
    }

    /// The broker's refusal, when that is the reason.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
