//! The work that a queue leaves for after its unlock: calls to the store and to the publisher of dead letters. It is
//! gathered under the queue's lock and done when the lock is released (`lock`).
//!
//! A queue settles the messages that it drops itself (because they expire, are purged or go with the queue) and
//! remembers which ones it has delivered. The code that is given a message settles that one. So a slot is settled once,
//! by one side. The store may hear that a message was delivered after it hears of the settlement, because a client can
//! be that fast.

use super::backlog::purge::Purged;
use super::consumers::consumer::ConsumerId;
use crate::broker::entry::Entry;
use crate::broker::time::Millis;
use crate::store::{Batch, Counted, CountedAt, Counts, Place, SlotRanges};

/// The work to do after the unlock, if there is any.
#[derive(Debug, Default)]
pub(super) struct AfterUnlock(pub(super) Option<Work>);

#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) delivered: SlotRanges,
    pub(super) counted: Vec<Counted>,
    pub(super) dropped: SlotRanges,
    /// The messages dropped all at once, and the time of that.
    pub(super) purged: Option<Box<(Purged, Millis)>>,
    /// The time at which a read of messages was asked for.
    pub(super) read_ahead: Option<Millis>,
    /// The time at which publishing of dead letters was asked for.
    pub(super) letters: Option<Millis>,
    /// The requests of a stream.
    pub(super) stream: Option<Box<StreamWork>>,
}

/// The requests of a stream to the store, and the time of the last one.
#[derive(Debug, Default)]
pub(super) struct StreamWork {
    /// Consumers that messages are to be read for.
    pub(super) reads: Vec<ConsumerId>,
    pub(super) awaited: Option<Batch>,
    pub(super) retires: bool,
    pub(super) now: Millis,
}

impl AfterUnlock {
    /// Remembers that a message was given to a client, who is to settle it.
    #[inline]
    pub(super) fn delivered(&mut self, entry: &Entry) {
        if let Some(place) = entry.place
            && !place.is_spilled()
        {
            let work = self.0.get_or_insert_default();
            match entry.delivery_count.when_given() {
                None => work.delivered.push(place),
                Some(counted) => work.count(place, counted),
            }
        }
    }

    /// Remembers how often a message came back that was given back to a quorum queue.
    pub(super) fn returned(&mut self, entry: &Entry) {
        if let Some(place) = entry.place
            && !place.is_spilled()
            && let Some(counted) = entry.delivery_count.when_back()
        {
            self.0.get_or_insert_default().count(place, counted);
        }
    }

    /// Remembers that the queue itself dropped messages.
    #[inline]
    pub(super) fn dropped(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            self.0.get_or_insert_default().dropped.push(place);
        }
    }

    /// Remembers messages that were dropped all at once: those that waited, or were to be read to be dropped. At most
    /// once under one lock.
    pub(super) fn purged(&mut self, purged: Purged, now: Millis) {
        if purged.len() > 0 {
            let work = self.0.get_or_insert_default();
            debug_assert!(work.purged.is_none());
            work.purged = Some(Box::new((purged, now)));
        }
    }

    /// Remembers that messages are to be read.
    pub(super) fn read_ahead(&mut self, now: Millis) {
        self.0.get_or_insert_default().read_ahead = Some(now);
    }

    /// Remembers that dead letters are to be published.
    pub(super) fn publish_letters(&mut self, now: Millis) {
        self.0.get_or_insert_default().letters = Some(now);
    }

    fn of_stream(&mut self, now: Millis) -> &mut StreamWork {
        let work = self.0.get_or_insert_default().stream.get_or_insert_default();
        work.now = now;
        work
    }

    /// Remembers that messages of a stream are to be read for a consumer.
    pub(super) fn read_stream(&mut self, consumer: ConsumerId, now: Millis) {
        self.of_stream(now).reads.push(consumer);
    }

    /// Remembers that a stream waits for a batch to be on disk.
    pub(super) fn await_sync(&mut self, batch: Batch, now: Millis) {
        self.of_stream(now).awaited = Some(batch);
    }

    /// Remembers that a stream has segments to be deleted.
    pub(super) fn retire_stream(&mut self, now: Millis) {
        self.of_stream(now).retires = true;
    }
}

impl Work {
    fn count(&mut self, place: Place, (counts, at): (Counts, CountedAt)) {
        self.counted.push(Counted { place, counts, at });
    }
}
