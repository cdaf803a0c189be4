//! Settles messages that were got without a channel, as over HTTP.

use std::sync::Arc;

use super::settled::{Returned, Settled};
use super::state::Queue;
use crate::broker::entry::Entry;
use crate::broker::time::Millis;
use crate::store::SlotRanges;

/// The outcome of messages that were got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Acknowledged,
    Rejected,
    /// Given back to the self.
    Requeued,
    /// The same, and that counts as a failure.
    Returned,
}

impl Queue {
    /// Settles messages that were got from the queue, or gives them back; they are in the order they were got in.
    pub fn finish(self: &Arc<Self>, entries: Vec<Entry>, fate: Fate, now: Millis) {
        let settle = |entries: &[Entry]| {
            let mut places = SlotRanges::default();
            entries.iter().filter_map(|entry| entry.place).for_each(|place| places.push(place));
            if let Some(store) = self.shared.store()
                && !places.is_empty()
            {
                store.settle(&places);
            }
        };
        match fate {
            Fate::Acknowledged => {
                let bytes = entries.iter().map(|entry| u64::from(entry.body_len)).sum();
                let count = entries.len() as u64;
                self.settle(None, Settled { count, bytes, is_ack: true }, now);
                settle(&entries);
            }
            Fate::Rejected => {
                let mut entries = entries;
                for entry in &mut entries {
                    entry.delivery_count.count(true);
                }
                settle(&self.reject(None, entries, now));
            }
            Fate::Requeued | Fate::Returned => {
                let has_failed = fate == Fate::Returned;
                let mut returned: Vec<_> = entries
                    .into_iter()
                    .map(|mut entry| {
                        entry.redelivered = true;
                        entry.delivery_count.count(has_failed);
                        Returned { entry, consumer: None, no_ack: false, has_failed }
                    })
                    .collect();
                if !self.is_quorum() {
                    returned.sort_by_key(|one| one.entry.position);
                }
                self.requeue(returned, now);
            }
        }
    }
}
