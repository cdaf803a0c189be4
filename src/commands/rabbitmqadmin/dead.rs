//! The end of a run of `rabbitmqadmin` that failed.

use std::io;

use crate::commands::CommandError;
use crate::engine::Error;

/// The end of a command that failed: the text for stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dead {
    /// The command line is wrong.
    Misused(String),
    /// The broker refused, or cannot be reached.
    Died(String),
    /// In words of its own
    Said(String),
}

impl From<io::Error> for Dead {
    fn from(error: io::Error) -> Self {
        Self::Died(error.to_string())
    }
}

impl Dead {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Misused(text) => format!("\nERROR: {text}\n\nrabbitmqadmin --help for help\n"),
            Self::Died(text) => format!("*** {text}\n"),
            Self::Said(text) => text.clone(),
        }
    }

    /// The end that an error of a call is.
    pub(super) fn of(error: CommandError, path: &str) -> Self {
        let source = |error: &Error| {
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
        };
        match error {
            CommandError::Engine(Error::Refused { code: 401, .. }) => {
                Self::Died(format!("Access refused: /api/{path}"))
            }
            CommandError::Engine(Error::Refused { code: 404, .. }) => {
                Self::Died(format!("Not found: /api/{path}"))
            }
            CommandError::Engine(Error::Refused { code: 400, text, .. }) => Self::Died(text),
            CommandError::Engine(Error::Refused { code, text, .. }) => {
                Self::Died(format!("Received response {code} for path /api/{path}\n{text}"))
            }
            CommandError::Engine(error @ Error::Unreachable { .. }) => {
                Self::Died(format!("Could not connect: {}", source(&error)))
            }
            CommandError::Engine(Error::TimedOut { waited, .. }) => Self::Died(format!(
                "Timed out getting HTTP response (request timeout: {} seconds)",
                waited.as_secs()
            )),
            error => Self::Died(error.to_string()),
        }
    }
}
