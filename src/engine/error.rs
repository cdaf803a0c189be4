//! Every way a command can fail, in the user's words.
//!
//! `Display` says what could not be done, `source()` why, [`Error::hint`] what to do, [`Error::category`] which
//! exit code. Passwords are masked before a text gets here.

use std::io;
use std::time::Duration;

/// What kind of failure it is; the number is the exit code (sysexits, as rabbitmqctl has them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// 64: the command was not asked for properly.
    Usage = 64,
    /// 65: the broker refused (not found, precondition, conflict).
    Refused = 65,
    /// 69: no broker was reached, or it went away.
    Unreachable = 69,
    /// 70: a bug, here or in the broker.
    Bug = 70,
    /// 75: no answer in time.
    TimedOut = 75,
    /// 77: login or access refused.
    Denied = 77,
}

/// Why an engine call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{problem}")]
    Usage { problem: String, hint: Option<String> },
    #[error("cannot reach a broker at {place}")]
    Unreachable { place: String, source: io::Error },
    #[error("the broker at {place} went away")]
    WentAway { place: String, why: String },
    #[error("the process that ran the broker of {directory} has ended")]
    HostEnded { directory: String },
    #[error("the broker refused to {doing}")]
    Refused { doing: String, code: u16, text: String, nearest: Vec<String> },
    #[error("no answer to {doing} within {}", humantime::format_duration(*.waited))]
    TimedOut { doing: String, waited: Duration },
    #[error("the broker did not keep to the protocol")]
    Protocol { why: String },
    #[error("NOT_IMPLEMENTED: {name}")]
    NotImplemented { name: &'static str },
}

impl Error {
    pub(crate) fn not_implemented(name: &'static str) -> Self {
        Self::NotImplemented { name }
    }

    /// The exit code's kind.
    pub fn category(&self) -> Category {
        match self {
            Self::Usage { .. } => Category::Usage,
            Self::Unreachable { .. } | Self::WentAway { .. } | Self::HostEnded { .. } => {
                Category::Unreachable
            }
            Self::Refused { code: 403, .. } => Category::Denied,
            Self::Refused { .. } => Category::Refused,
            Self::TimedOut { .. } => Category::TimedOut,
            Self::Protocol { .. } | Self::NotImplemented { .. } => Category::Bug,
        }
    }

    /// What the user can do about it: one sentence, printed after `hint:`.
    pub fn hint(&self) -> Option<String> {
        None
    }
}
