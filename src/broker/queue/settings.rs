//! The settings of a queue: its name, flags and arguments, as it was declared.

use std::sync::Arc;

use crate::broker::arguments::{QueueArguments, QueueKind};
use crate::broker::registry::ConnectionId;
use crate::broker::stable_hash::StableHash;
use crate::store::QueueId;
use crate::wire::{FieldTable, ShortStr};

/// The prefix of the names of queues that hold the messages of a delayed exchange; no client may declare one.
const HOLDER_PREFIX: &str = "amq.delayed.";

/// The settings that a queue was declared with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store's number for it; only a queue whose messages survive has one.
    pub id: Option<QueueId>,
    pub name: ShortStr,
    pub vhost: ShortStr,
    pub is_durable: bool,
    pub is_auto_delete: bool,
    /// The connection that alone may use the queue.
    pub exclusive_owner: Option<ConnectionId>,
    /// The user that has declared it, if that is known.
    pub declared_by: Option<ShortStr>,
    pub arguments: FieldTable,
    pub kind: QueueKind,
    /// The parsed arguments; the queue's state has the limits that apply now. Queues without arguments share them.
    pub wanted: Arc<QueueArguments>,
}

impl Settings {
    /// Makes the settings of the queue that keeps the messages of a delayed exchange. As its dead letters they go back
    /// to the exchange.
    pub(in crate::broker) fn of_holder(
        vhost: &ShortStr,
        exchange: &ShortStr,
        is_durable: bool,
    ) -> Self {
        let name = format!("{HOLDER_PREFIX}{:016x}", StableHash::of_text(exchange));
        let arguments = FieldTable::new().with("x-dead-letter-exchange", exchange.as_str());
        let wanted = QueueArguments {
            dead_letter_exchange: Some(exchange.clone()),
            ..QueueArguments::default()
        };
        Self {
            id: None,
            name: ShortStr::truncated(&name),
            vhost: vhost.clone(),
            is_durable,
            is_auto_delete: false,
            exclusive_owner: None,
            declared_by: None,
            arguments,
            kind: wanted.kind,
            wanted: wanted.shared(),
        }
    }

    /// The delayed exchange whose messages the queue keeps.
    pub(in crate::broker) fn holds_for(&self) -> Option<&ShortStr> {
        let is_holder = self.name.starts_with(HOLDER_PREFIX);
        self.wanted.dead_letter_exchange.as_ref().filter(|_| is_holder)
    }
}
