//! The errors of the client, one variant for each thing that its caller can do next.
//!
//! One cause may have to be told to many waiting calls, so errors are cheap to clone.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::tls::{self, FileError, TlsFailure};
use crate::wire::fault::FaultLevel;

/// An error between us and a broker.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {place}")]
    Connect { place: String, source: Arc<io::Error> },
    /// Files or certificates are wrong.
    #[error("cannot set up TLS: {why}")]
    Tls { why: String, hint: String },
    /// The peer is no broker that speaks AMQP 0-9-1.
    #[error("{why}")]
    Foreign { why: String, hint: String },
    #[error(transparent)]
    Refused(Arc<Refusal>),
    #[error("the connection was lost: {why}")]
    Lost { why: String },
    #[error("the peer broke AMQP 0-9-1: {why}")]
    Protocol { why: String },
    #[error("no answer within {}", humantime::format_duration(*.waited))]
    TimedOut { waited: Duration },
    #[error("it is already closed")]
    Closed,
}

/// A `connection.close` or `channel.close` of the broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {text}")]
pub struct Refusal {
    /// The part that it closed
    pub level: FaultLevel,
    pub code: u16,
    /// The reply text, `NAME - explanation` in RabbitMQ's case
    pub text: String,
    /// Class and method the broker blames, zeros when none
    pub method: (u16, u16),
}

impl From<TlsFailure> for Error {
    fn from(TlsFailure { why, hint }: TlsFailure) -> Self {
        Self::Tls { why, hint }
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        let why = format!("{error}: {}", error.why);
        Self::Tls { why, hint: error.hint }
    }
}

impl Error {
    pub(crate) fn protocol(why: impl Into<String>) -> Self {
        Self::Protocol { why: why.into() }
    }

    /// A stream that failed: by an alert of TLS, which may come after the handshake, or because it was cut.
    pub(crate) fn lost(error: &io::Error) -> Self {
        match tls::of_client(error, "") {
            Some(trouble) => trouble.into(),
            None => Self::Lost { why: error.to_string() },
        }
    }

    /// The broker's refusal, when that is the reason.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
