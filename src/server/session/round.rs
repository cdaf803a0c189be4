//! Work that the frames of one round leave for its end: confirms, settlements, memory to give back.
//!
//! A round is the frames that one call of the session handles. All of this is empty again when the call returns.

use std::sync::Arc;

use crate::broker::queue::Queue;
use crate::store::{SlotRanges, Store};

/// The work that is left for the end of a round.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The most demanding publish.
    pub(super) published: RoundPublished,
    /// Places of settled messages that the store does not know of yet.
    pub(super) settled: SlotRanges,
    /// Queues whose messages were rejected.
    pub(super) rejected: Vec<Arc<Queue>>,
    /// Channels with confirms to send before the bytes of this round leave.
    pub(super) confirming: Vec<u16>,
    /// Channels that had a frame: they may hold memory, and listings show them as they were.
    pub(super) gathered: Vec<u16>,
}

/// The most demanding publish of a round, the least demanding first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RoundPublished {
    #[default]
    Nothing,
    Something,
    /// Something that the store is to keep.
    ToKeep,
}

impl Round {
    /// Settles with the store the deliveries that were settled since the last time.
    pub(super) fn tell_settled(&mut self, store: Option<&Store>) {
        if self.settled.is_empty() {
            return;
        }
        let settled = std::mem::take(&mut self.settled);
        if let Some(store) = store {
            store.settle(&settled);
        }
    }

    /// Panics unless everything is done.
    #[cfg(debug_assertions)]
    pub(super) fn assert_over(&self) {
        assert_eq!(self.published, RoundPublished::Nothing, "the store is told of publishes");
        assert!(self.settled.is_empty(), "the store is told of what is settled");
        assert!(self.rejected.is_empty(), "rejected messages are waited for");
        assert!(self.confirming.is_empty(), "confirms are sent: {:?}", self.confirming);
        assert!(self.gathered.is_empty(), "memory is given back: {:?}", self.gathered);
    }
}
