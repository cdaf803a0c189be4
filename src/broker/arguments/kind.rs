//! The types of queues.

use super::noun::precondition;
use crate::wire::{Fault, FieldTable, FieldValue};

/// The type of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueKind {
    #[default]
    Classic,
    Quorum,
    Stream,
}

impl QueueKind {
    /// Knows a type by its name or by that of RabbitMQ's module, which older directories and definitions have.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Classic, Self::Quorum, Self::Stream]
            .into_iter()
            .find(|kind| name == kind.name() || name == kind.module())
    }

    /// The name, as `x-queue-type` and the management API have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// The name in error texts: that of RabbitMQ's module.
    pub fn module(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
            Self::Stream => "rabbit_stream_queue",
        }
    }

    /// The type that arguments ask for.
    pub fn of(arguments: &FieldTable) -> Self {
        let name = arguments.get("x-queue-type").and_then(FieldValue::as_str);
        name.and_then(Self::from_name).unwrap_or_default()
    }

    /// Answers if the server may make a name for such a queue.
    pub fn may_be_server_named(self) -> bool {
        self == Self::Classic
    }

    /// Checks that a replicated queue is nothing it cannot be (RabbitMQ: `rabbit_queue_type_util`).
    pub(super) fn check_lifetime(self, lifetime: Lifetime, noun: &str) -> Result<(), Fault> {
        let refused = match lifetime {
            _ if self == Self::Classic => return Ok(()),
            Lifetime { is_auto_delete: true, .. } => "auto-delete",
            Lifetime { is_exclusive: true, .. } => "exclusive-owner",
            Lifetime { is_durable: false, .. } => "non-durable",
            Lifetime { .. } => return Ok(()),
        };
        Err(precondition(format!("invalid property '{refused}' for {noun}")))
    }
}

/// The properties of a declaration that decide how long a queue lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    pub is_durable: bool,
    pub is_exclusive: bool,
    pub is_auto_delete: bool,
}
