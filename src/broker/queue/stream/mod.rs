//! Streams: queues whose messages stay, so that any number of consumers can read them again, from any offset.
//!
//! A message gets the next offset and keeps it, also over restarts. Each consumer has a place of its own; an
//! acknowledgement gives it credit and does nothing else. Messages are deleted by age and size only, a whole segment at
//! a time.
//!
//! Consumers see only messages that are on disk, so that an offset they have seen never names another message after a
//! crash. Consumers at the end are served from memory (`recent`). All others read from the store on its own thread,
//! each a piece at a time (`reading`), so that no other client waits for a consumer that is behind.
//!
//! This is the data, which a queue has under its lock; `stream_queue` has what a queue does that is a stream. Reading
//! order: `publish` (a message comes in), `reader`, `readers` and `deal` (it goes out), `start` (the offset at which a
//! consumer begins), `index` (the places of the messages), `retention`, `marker` and `recover` (the messages that stay,
//! and their offsets).

mod deal;
pub(in crate::broker::queue) mod filter;
pub(in crate::broker::queue) mod index;
mod marker;
pub(in crate::broker::queue) mod order;
mod publish;
mod reader;
mod readers;
pub(in crate::broker::queue) mod reading;
mod recent;
mod recover;
pub(in crate::broker::queue) mod retention;
pub(in crate::broker::queue) mod start;
mod synced;
#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use self::index::{Index, Places, kept_places};
use self::marker::Marker;
use self::reader::Reader;
use self::recent::Recent;
use self::synced::Synced;
use super::backlog::pages::Pages;
use super::backlog::purge::Purged;
use super::consumers::consumer::ConsumerId;
use crate::broker::memory::{Memory, REPORT_BYTES};
use crate::broker::time::Millis;
use crate::store::Place;

/// The state of a queue that is a stream.
#[derive(Debug)]
pub(super) struct Stream {
    index: Index,
    recent: Recent,
    synced: Synced,
    readers: FxHashMap<ConsumerId, Reader>,
    /// Bytes of messages that were read for them and not delivered yet.
    ahead_bytes: u64,
    /// Consumers that have had all messages there are.
    at_end: Vec<ConsumerId>,
    /// The place of the marker with the offset of the first message; before the first deletion there is none, and the
    /// offset is 0.
    marker: Option<Place>,
    /// While it is recovered: all markers that were found.
    found: Vec<Marker>,
    /// Segments are about to be deleted.
    is_retiring: bool,
    /// The time before which a failed deletion is not tried again.
    retire_not_before: Millis,
    /// Bytes in memory that the broker's [`Memory`] knows of.
    reported_bytes: u64,
}

/// The state that only a stream has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    pub readers: usize,
    pub segments: usize,
    /// The time at which its first message was published, in milliseconds since 1970; 0 if it has none.
    pub first_at_ms: u64,
}

impl Stream {
    pub(super) fn new(pages: Pages) -> Self {
        Self {
            index: Index::new(pages),
            recent: Recent::default(),
            synced: Synced::default(),
            readers: FxHashMap::default(),
            ahead_bytes: 0,
            at_end: Vec::new(),
            marker: None,
            found: Vec::new(),
            is_retiring: false,
            retire_not_before: 0,
            reported_bytes: 0,
        }
    }

    pub(super) fn info(&self) -> StreamInfo {
        let (segments, first_at_ms) = (self.index.segments_len(), self.index.first_at());
        StreamInfo { readers: self.readers.len(), segments, first_at_ms }
    }

    /// Returns the number of messages.
    pub(super) fn len(&self) -> u64 {
        self.index.len()
    }

    /// Bytes of their bodies.
    pub(super) fn body_bytes(&self) -> u64 {
        self.index.body_bytes()
    }

    /// Tells the broker how much memory is taken, when that has changed by much.
    pub(super) fn report(&mut self, memory: &Memory) {
        let bytes = self.recent.bytes() + self.ahead_bytes;
        if bytes.abs_diff(self.reported_bytes) >= REPORT_BYTES {
            memory.report(self.reported_bytes, bytes);
            self.reported_bytes = bytes;
        }
    }

    /// Bytes that the broker's [`Memory`] counts for it.
    pub(super) fn reported_bytes(&self) -> u64 {
        self.reported_bytes
    }

    /// Takes all messages out.
    pub(super) fn drop_all(&mut self) -> Purged {
        self.recent.clear();
        self.readers.clear();
        self.ahead_bytes = 0;
        self.at_end.clear();
        let mut purged = Purged::default();
        purged.places.extend(self.marker.take());
        for places in self.index.take_all() {
            match places {
                Places::Here(places) => {
                    purged.places.extend(kept_places(&places));
                }
                Places::Paged(page) => purged.pages.push(page),
            }
        }
        purged
    }
}
