//! Names on the command line, as a broker will take them.
//!
//! To a broker the empty name of a queue means one of its own choice, or the last one declared. On a command line it is
//! a variable that is not set.

use crate::engine::ShortStr;

/// The reason why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::commands) enum InvalidName {
    #[error("it is empty")]
    Empty,
    #[error("it is empty, and a queue has a name")]
    EmptyQueue,
    #[error("it has a line break, which brokers remove from names")]
    Broken,
    #[error("it has {bytes} bytes, and a name has at most 255")]
    TooLong { bytes: usize },
}

/// Reads the name of an exchange, which may be that of the default exchange.
///
/// A broker leaves the line ends out when it declares or deletes an exchange, and says no word of the name it took.
pub(in crate::commands) fn exchange(text: &str) -> Result<ShortStr, InvalidName> {
    if text.contains(['\r', '\n']) {
        return Err(InvalidName::Broken);
    }
    ShortStr::try_from(text).map_err(|_| InvalidName::TooLong { bytes: text.len() })
}

/// Reads the name of a user or a vhost.
pub(in crate::commands) fn not_empty(text: &str) -> Result<ShortStr, InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty);
    }
    ShortStr::try_from(text).map_err(|_| InvalidName::TooLong { bytes: text.len() })
}

/// Reads the name of a queue.
pub(in crate::commands) fn queue(text: &str) -> Result<ShortStr, InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::EmptyQueue);
    }
    ShortStr::try_from(text).map_err(|_| InvalidName::TooLong { bytes: text.len() })
}
