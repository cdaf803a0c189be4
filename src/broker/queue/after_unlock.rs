//! The work that a queue leaves for after its unlock: calls to the store and to the publisher of dead letters. It is
//! gathered under the queue's lock and done when the lock is released.
//!
//! A queue settles the messages that it drops itself (because they expire, are purged or go with the queue) and
//! remembers which ones it has delivered. The code that is given a message settles that one. So a slot is settled once,
//! by one side. The store may hear that a message was delivered after it hears of the settlement, because a client can
//! be that fast.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::backlog::purge::Purged;
use super::turn::in_turn;
use super::{ConsumerId, Queue, State};
use crate::broker::entry::Entry;
use crate::broker::memory::REPORT_BYTES;
use crate::broker::time::Millis;
use crate::store::locks::Locked;
use crate::store::{Batch, Counted, CountedAt, Counts, Place, SlotRanges, Store};
use crate::{bug, moment};

/// The work to do after the unlock, if there is any.
#[derive(Debug, Default)]
pub(super) struct AfterUnlock(Option<Work>);

#[derive(Debug, Default)]
struct Work {
    delivered: SlotRanges,
    counted: Vec<Counted>,
    dropped: SlotRanges,
    /// The messages dropped all at once, and the time of that.
    purged: Option<Box<(Purged, Millis)>>,
    /// The time at which a read of messages was asked for.
    read_ahead: Option<Millis>,
    /// The time at which publishing of dead letters was asked for.
    letters: Option<Millis>,
    /// The requests of a stream.
    stream: Option<Box<StreamWork>>,
}

/// The requests of a stream to the store, and the time of the last one.
#[derive(Debug, Default)]
struct StreamWork {
    /// Consumers that messages are to be read for.
    reads: Vec<ConsumerId>,
    awaited: Option<Batch>,
    retires: bool,
    now: Millis,
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

impl StreamWork {
    fn tell(&self, queue: &Queue, store: &Arc<Store>) {
        for id in &self.reads {
            queue.read_stream_later(store, *id, self.now);
        }
        if let Some(batch) = self.awaited {
            queue.wake_when_synced(store, batch, self.now);
        }
        if self.retires {
            queue.retire_stream_later(store, self.now);
        }
    }
}

impl Work {
    fn count(&mut self, place: Place, (counts, at): (Counts, CountedAt)) {
        self.counted.push(Counted { place, counts, at });
    }

    #[inline(never)]
    fn run(self, queue: &Queue) {
        let store = queue.shared.store();
        if let Some(store) = store
            && bug::contain("a queue's call of the store", || self.tell(queue, store)).is_none()
            && let Some(now) = self.read_ahead
        {
            queue.read_again(now);
        }
        if let Some(purged) = self.purged {
            let (purged, now) = *purged;
            bug::contain("the end of messages", || queue.drop_purged(store, purged, now));
        }
        if let (Some(now), Some(queue)) = (self.letters, queue.this.upgrade()) {
            in_turn(queue, now);
        }
    }

    fn tell(&self, queue: &Queue, store: &Arc<Store>) {
        moment::reach("queue.errand");
        if !self.delivered.is_empty() {
            store.mark_delivered(&self.delivered);
        }
        if !self.counted.is_empty() {
            store.mark_counted(&self.counted);
        }
        if !self.dropped.is_empty() {
            store.settle(&self.dropped);
        }
        if let Some(now) = self.read_ahead {
            queue.read_ahead_later(store, now);
        }
        if let Some(stream) = &self.stream {
            stream.tell(queue, store);
        }
    }
}

/// The locked state of a queue; its work is done when the lock has been given back.
///
/// Cost beside the lock: two comparisons when there is none.
pub(super) struct Held<'a> {
    state: Locked<'a, State>,
    /// Behind the guard, as fields are dropped in this order.
    after: After<'a>,
}

struct After<'a> {
    queue: &'a Queue,
    work: Option<Work>,
}

impl<'a> Held<'a> {
    #[inline]
    pub(super) fn new(state: Locked<'a, State>, queue: &'a Queue) -> Self {
        Self { state, after: After { queue, work: None } }
    }
}

impl Deref for Held<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        let state = &mut *self.state;
        #[cfg(debug_assertions)]
        if !std::thread::panicking() {
            state.assert_sound();
        }
        let resident_bytes = state.backlog.resident_bytes();
        if resident_bytes.abs_diff(state.reported_bytes) >= REPORT_BYTES {
            self.after.queue.shared.memory.report(state.reported_bytes, resident_bytes);
            state.reported_bytes = resident_bytes;
        }
        if state.after_unlock.0.is_some() {
            self.after.work = state.after_unlock.0.take();
        }
    }
}

impl Drop for After<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            work.run(self.queue);
        }
    }
}
