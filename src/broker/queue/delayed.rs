//! Messages that a delayed exchange holds until they are due.
//!
//! They are in a queue that no client sees, in the order of their times. A message that is due leaves it as a dead
//! letter does (`outbox`): routed by its exchange, in the store where it must be kept, and only then settled here. A
//! message that the store has is not in memory meanwhile.

use std::collections::BTreeMap;

use crate::broker::entry::Entry;
use crate::broker::time::Millis;
use crate::store::Waiting;

/// Messages by when they are due; of one time in the order they came.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    held: BTreeMap<(Millis, u64), Entry>,
    next: u64,
    /// Given back by the store, which does not know when they are due.
    unread: Vec<Waiting>,
}

impl Delayed {
    /// Tells when the first is due.
    pub(super) fn due_at(&self) -> Option<Millis> {
        self.held.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Holds a message until it is due, without its body if the store has it.
    pub(super) fn insert(&mut self, due: Millis, mut entry: Entry) {
        entry.forget_message();
        self.held.insert((due, self.next), entry);
        self.next += 1;
    }

    /// Takes the first message if it is due.
    pub(super) fn pop_due(&mut self, now: Millis) -> Option<Entry> {
        let first = self.held.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// Takes all.
    pub(super) fn take_all(&mut self) -> BTreeMap<(Millis, u64), Entry> {
        std::mem::take(&mut self.held)
    }

    /// Remembers a message for when the store can be read.
    pub(super) fn recover(&mut self, waiting: Waiting) {
        self.unread.push(waiting);
    }

    /// Takes the messages that must be read to know when they are due.
    pub(super) fn take_unread(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.unread)
    }
}
