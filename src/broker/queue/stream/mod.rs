//! Streams: queues whose messages stay, and are read as often as anybody likes from wherever he likes.
//!
//! A message gets the next offset and keeps it, also over restarts. Each consumer has a place of its own; what it
//! acknowledges gives it credit and nothing else. Messages go by age and size only, a whole segment at a time.
//!
//! Consumers see what is on disk, so that an offset they have seen never names another message after a crash. Those
//! at the end are served from memory (`recent`), all others read from the store on its own thread, each a piece at a
//! time (`reading`): nobody waits for who is far behind.
//!
//! A stream is the state of a [`Queue`](super::Queue) under its lock. Reading order: `publish` (what comes in),
//! `reader` and `deal` (what goes out), `start` (where a consumer begins), `index` (where the messages are),
//! `retention` and `recover` (what stays, and which offset it has).

mod consume;
mod deal;
mod filter;
mod index;
mod order;
mod publish;
mod reader;
mod reading;
mod recent;
mod recover;
mod refusals;
mod retention;
mod start;
mod synced;
#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

pub use order::StreamOrder;
pub use refusals::Refusal;

use self::index::Index;
use self::reader::Reader;
use self::recent::Recent;
use self::recover::Marker;
use self::synced::Synced;
use super::emptied::Emptied;
use super::pages::Pages;
use super::{ConsumerId, Entry, Millis, Queue, Returns, State};
use crate::broker::arguments::QueueKind;
use crate::broker::memory::{Memory, REPORT_BYTES};
use crate::store::Place;

/// What a queue is that is a stream.
#[derive(Debug)]
pub(super) struct Stream {
    index: Index,
    recent: Recent,
    synced: Synced,
    readers: FxHashMap<ConsumerId, Reader>,
    /// Bytes of messages that were read for them and not delivered yet.
    ahead_bytes: u64,
    /// Those that have had everything there is.
    at_end: Vec<ConsumerId>,
    /// Where the store has what says which offset the first message has; before the first was deleted it is 0.
    marker: Option<Place>,
    /// While it is recovered: all of those that were found.
    found: Vec<Marker>,
    /// Segments are about to be deleted.
    is_retiring: bool,
    /// They could not be, and that is not tried again before.
    retire_not_before: Millis,
    /// Bytes in memory that the broker's [`Memory`] knows of.
    reported_bytes: u64,
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

    /// How many messages there are.
    pub(super) fn len(&self) -> u64 {
        self.index.len()
    }

    /// Bytes of their bodies.
    pub(super) fn body_bytes(&self) -> u64 {
        self.index.body_bytes()
    }

    /// Tells the broker how much memory is taken, when that has changed by much.
    fn report(&mut self, memory: &Memory) {
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
    pub(super) fn drop_all(&mut self) -> Emptied {
        self.recent.clear();
        self.readers.clear();
        self.ahead_bytes = 0;
        self.at_end.clear();
        let mut emptied = Emptied::default();
        emptied.near.extend(self.marker.take().map(placed));
        for places in self.index.take_all() {
            match places {
                index::Places::Here(places) => {
                    emptied.near.extend(places.into_iter().map(|stored| placed(stored.place)));
                }
                index::Places::Paged(page) => emptied.pages.push(page),
            }
        }
        emptied
    }
}

/// An entry of which only the place counts.
fn placed(place: Place) -> Entry {
    let place = Some(place).filter(|place| *place != publish::NOWHERE);
    Entry {
        message: None,
        place,
        body_len: 0,
        position: 0,
        deadline: Millis::MAX,
        redelivered: false,
        returns: Returns::default(),
        level: 0,
    }
}

impl Queue {
    /// Whether it is a stream.
    #[inline]
    pub fn is_stream(&self) -> bool {
        self.settings.wanted.kind == QueueKind::Stream
    }

    /// A time of the broker's in milliseconds since 1970, as the store has them.
    fn unix_ms(&self, now: Millis) -> u64 {
        self.shared.unix_ms(now)
    }
}

impl State {
    /// How many messages wait for who comes, or may be read by him.
    pub(super) fn len(&self) -> u64 {
        self.stream.as_deref().map_or(self.waiting() as u64, Stream::len)
    }

    /// Bytes of their bodies.
    pub(super) fn bytes(&self) -> u64 {
        self.stream.as_deref().map_or(self.waiting_bytes(), Stream::body_bytes)
    }
}
