//! The counts of objects that have ended, so that sums over all objects never fall.

use super::sizes::Sizes;
use super::stats::{ConnectionCounters, Counter, ExchangeCounters, MessageCounters, QueueCounters};
use crate::lock::Mutex;

/// The counts of all queues of a type that are gone.
#[derive(Debug, Default)]
pub struct EndedQueues(Mutex<QueueCounters>);

impl EndedQueues {
    pub fn add(&self, counters: QueueCounters) {
        *self.0.lock() += counters;
    }

    pub fn get(&self) -> QueueCounters {
        *self.0.lock()
    }
}

/// The counts of objects that have ended, so that sums over all objects never fall.
#[derive(Debug, Default)]
pub struct EndedCounts {
    pub classic: EndedQueues,
    pub quorum: EndedQueues,
    pub stream: EndedQueues,
    pub exchanges: ExchangeCounters,
    /// Channels of vhosts that are gone; a vhost keeps the counts of its own.
    pub channels: MessageCounters,
    /// Publishes on channels that had asked for confirms.
    pub to_confirm: Counter,
    /// Publishes of channels by size.
    pub sizes: Mutex<Sizes>,
    pub connections: ConnectionCounters,
}
