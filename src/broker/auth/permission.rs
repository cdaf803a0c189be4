//! One permission: patterns for the names of queues and exchanges, or for routing keys.

use super::bad_pattern::BadPattern;
use super::pattern::Pattern;
use crate::wire::ShortStr;

/// The permission of a user in a vhost: patterns for the names of queues and exchanges.
#[derive(Clone, Debug, PartialEq)]
pub struct Permission {
    pub configure: Pattern,
    pub write: Pattern,
    pub read: Pattern,
}

/// The routing keys that a user may write to a topic exchange, and read from it.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicPermission {
    pub exchange: ShortStr,
    pub write: Pattern,
    pub read: Pattern,
}

impl Permission {
    /// Reads the three patterns.
    ///
    /// # Errors
    ///
    /// When one of them is no valid pattern.
    pub fn new(configure: &str, write: &str, read: &str) -> Result<Self, BadPattern> {
        Ok(Self {
            configure: Pattern::of_permission(configure)?,
            write: Pattern::of_permission(write)?,
            read: Pattern::of_permission(read)?,
        })
    }

    /// Permission to do everything.
    pub fn full() -> Self {
        Self::new(".*", ".*", ".*").expect("a pattern of ours is one")
    }

    pub(super) fn is_everything(&self) -> bool {
        [&self.configure, &self.write, &self.read].into_iter().all(Pattern::is_everything)
    }
}

impl TopicPermission {
    /// Reads the two patterns, whose variables are not filled in yet.
    ///
    /// # Errors
    ///
    /// When one of them is no valid pattern.
    pub fn new(exchange: ShortStr, write: &str, read: &str) -> Result<Self, BadPattern> {
        let (write, read) = (Pattern::of_permission(write)?, Pattern::of_permission(read)?);
        Ok(Self { exchange, write, read })
    }
}
