//! The end of a command that failed: the text on stderr and the exit code, as RabbitMQ's programs have them.

use serde_json::Value;

use super::asked::Asked;
use crate::commands::CommandError;
use crate::engine::Error;
use crate::json_text;

/// The command line is wrong, or names something that is not there.
pub(super) const USAGE: u8 = 64;
/// An argument is wrong, or the thing that it names is not there.
pub(super) const DATA: u8 = 65;
/// There is no such user.
pub(super) const NO_USER: u8 = 67;
/// The broker refused, or cannot be reached.
pub(super) const UNAVAILABLE: u8 = 69;
/// The thing is there already, or an error that nobody expected.
pub(super) const SOFTWARE: u8 = 70;
/// The time was up.
pub(super) const TIMED_OUT: u8 = 75;

/// A command that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The text for stderr, without the end of its last line
    pub(super) text: String,
    pub(super) code: u8,
}

/// An argument that the command does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WrongWords {
    TooMany,
    NotEnough,
    /// The argument itself is wrong
    BadArgument,
    /// The same, with the reason
    Bad(String),
    /// The argument is none of those that there are, which is not told as an error of the command line
    Unsupported(String),
    /// In words of its own
    Said(String),
}

impl Failure {
    /// A text as it is.
    pub(super) fn plain(code: u8, text: impl Into<String>) -> Self {
        Self { text: text.into(), code }
    }

    /// A text under `Error:`.
    pub(super) fn error(code: u8, text: impl AsRef<str>) -> Self {
        Self { text: format!("Error:\n{}", text.as_ref()), code }
    }

    /// There is no such virtual host.
    pub(super) fn no_vhost(name: &str) -> Self {
        Self::plain(DATA, format!("Virtual host '{name}' does not exist"))
    }

    /// There is no such queue, exchange or the like.
    pub(super) fn no_object() -> Self {
        Self::plain(DATA, "Object (queue, stream, exchange, etc) was not found")
    }

    /// A text that is not JSON.
    pub(super) fn not_json(text: &str, is_3_10: bool) -> Self {
        Self::error(
            UNAVAILABLE,
            if is_3_10 {
                "JSON decoding error. Reason: badarg".to_owned()
            } else {
                format!(
                    "Could not parse JSON document: {{error,{{failed_to_decode_json,<<\"{text}\">>}}}}"
                )
            },
        )
    }

    /// The failure that an error of ours is, where the command says nothing better.
    pub(super) fn of(error: CommandError, asked: &Asked, node: &str) -> Self {
        let hint = |text: String, hint: Option<String>| match hint {
            Some(hint) => format!("{text}\nhint: {hint}"),
            None => text,
        };
        match error {
            CommandError::Engine(error) => Self::of_engine(&error, asked, node),
            CommandError::CheckFailed { problems } => Self::error(UNAVAILABLE, problems.join("\n")),
            CommandError::TimedOut { problem } => {
                Self::plain(TIMED_OUT, format!("Error: {problem}"))
            }
            CommandError::Interrupted => Self::plain(130, ""),
            error @ CommandError::Usage { .. } => {
                Self::error(UNAVAILABLE, hint(error.to_string(), error.hint()))
            }
            error => Self::error(UNAVAILABLE, hint(error.to_string(), error.hint())),
        }
    }

    fn of_engine(error: &Error, asked: &Asked, node: &str) -> Self {
        let name = asked.name.as_deref().unwrap_or_default();
        match error {
            Error::Unreachable { .. } => {
                let why = std::error::Error::source(error)
                    .map_or_else(String::new, |why| format!(": {why}"));
                Self::plain(
                    UNAVAILABLE,
                    format!(
                        "Error: unable to perform an operation on node '{node}'. Please see diagnostics information \
                         and suggestions below.\n\n{error}{why}\n\n\
                         This program asks the management API, http://127.0.0.1:15672 unless --http-url or \
                         MQ_HTTP_URL names another."
                    ),
                )
            }
            Error::TimedOut { waited, .. } => Self::plain(
                TIMED_OUT,
                format!(
                    "Error: operation {name} on node {node} timed out. Timeout value used: {}",
                    waited.as_millis()
                ),
            ),
            Error::Refused { code: 401 | 403, text, .. } => Self::error(
                UNAVAILABLE,
                format!(
                    "{text}\nThis program logs in to the management API: name the user in --http-url \
                     http://USER:PASSWORD@HOST:PORT, in MQ_HTTP_URL, or in RABBITMQ_DEFAULT_USER and _PASS."
                ),
            ),
            Error::Refused { text, .. } => Self::error(UNAVAILABLE, text.trim_end()),
            error => {
                let why = std::error::Error::source(error)
                    .map_or_else(String::new, |why| format!(": {why}"));
                Self::error(UNAVAILABLE, format!("{error}{why}"))
            }
        }
    }
}

/// The reason of a refusal; `None` for any other error.
pub(super) fn refusal(error: &CommandError) -> Option<(u16, &str)> {
    match error {
        CommandError::Engine(Error::Refused { code, text, .. }) => Some((*code, text)),
        CommandError::PartlyDone { error, .. } => refusal(error),
        _ => None,
    }
}

/// A JSON text, or the failure of one that is none.
pub(super) fn json(text: &str, asked: &Asked) -> Result<Value, Failure> {
    let is_3_10 = asked.release == super::names::CtlRelease::V3_10;
    json_text::read(text.as_bytes()).map_err(|_| Failure::not_json(text, is_3_10))
}
