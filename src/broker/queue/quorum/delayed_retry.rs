//! Messages that have come back to a quorum queue and wait before they are delivered again.
//!
//! Meanwhile they are neither ready nor unacknowledged, and not in memory if the store has them. When its time has
//! come, a message takes its place among the ready ones again.

use std::collections::BTreeMap;

use crate::broker::entry::Entry;
use crate::broker::time::Millis;

/// Messages that come back under one lock; the timer goes on with more.
const PIECE_LEN: usize = 256;

/// Messages by when they are ready again; of one time in the order they came.
#[derive(Debug, Default)]
pub(in crate::broker::queue) struct DelayedRetry {
    waiting: BTreeMap<(Millis, u64), Entry>,
    next: u64,
}

impl DelayedRetry {
    /// Keeps a message until then, without its body if the store has it.
    pub(in crate::broker::queue) fn insert(&mut self, until: Millis, mut entry: Entry) {
        entry.forget_message();
        self.waiting.insert((until, self.next), entry);
        self.next += 1;
    }

    /// Tells when the first is ready again.
    pub(in crate::broker::queue) fn due_at(&self) -> Option<Millis> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes those whose time has come, at most a piece of them.
    pub(in crate::broker::queue) fn take_due(&mut self, now: Millis) -> Vec<Entry> {
        let mut due = Vec::new();
        while due.len() < PIECE_LEN
            && let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now)
        {
            due.push(first.remove());
        }
        due
    }

    /// Takes all.
    pub(in crate::broker::queue) fn take_all(&mut self) -> BTreeMap<(Millis, u64), Entry> {
        std::mem::take(&mut self.waiting)
    }
}
