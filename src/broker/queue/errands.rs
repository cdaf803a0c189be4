//! What a queue has to tell the store, or to ask it: gathered under the queue's lock, done when that has been given
//! back.
//!
//! A queue settles what it drops itself (what expires, is purged or goes with the queue) and remembers what it has
//! delivered. Whoever is given a message settles that one. So a slot is settled once, by one side. That a message was
//! delivered may be told after its settlement: the client is as fast as that.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};

use super::emptied::Emptied;
use super::{ConsumerId, Millis, Queue, State};
use crate::broker::dead_letter;
use crate::broker::memory::REPORT_BYTES;
use crate::store::{Batch, Place, Runs, Store};

/// What the store is to be told and asked, if anything.
#[derive(Debug, Default)]
pub(super) struct Errands(Option<Errand>);

#[derive(Debug, Default)]
struct Errand {
    delivered: Runs,
    dropped: Runs,
    /// Dropped all at once; when that was.
    emptied: Option<Box<(Emptied, Millis)>>,
    /// Messages are to be read; when that was asked for.
    fetch: Option<Millis>,
    /// Messages have died; when.
    bury: Option<Millis>,
    /// What a stream has to ask.
    stream: Option<Box<StreamErrand>>,
}

/// What a stream has to ask the store, and when that was.
#[derive(Debug, Default)]
struct StreamErrand {
    /// Consumers that messages are to be read for.
    reads: Vec<ConsumerId>,
    awaited: Option<Batch>,
    retires: bool,
    now: Millis,
}

impl Errands {
    /// Remembers that a message was given to a client, who is to settle it.
    #[inline]
    pub(super) fn delivered(&mut self, place: Option<Place>) {
        if let Some(place) = place
            && !place.is_spilled()
        {
            self.0.get_or_insert_default().delivered.push(place);
        }
    }

    /// Remembers that the queue itself dropped messages.
    #[inline]
    pub(super) fn dropped(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            self.0.get_or_insert_default().dropped.push(place);
        }
    }

    /// The same of all that waited, or were to be read to be dropped: once under one lock.
    pub(super) fn emptied(&mut self, emptied: Emptied, now: Millis) {
        if emptied.len() > 0 {
            let errand = self.0.get_or_insert_default();
            debug_assert!(errand.emptied.is_none());
            errand.emptied = Some(Box::new((emptied, now)));
        }
    }

    /// Remembers that messages are to be read.
    pub(super) fn fetch(&mut self, now: Millis) {
        self.0.get_or_insert_default().fetch = Some(now);
    }

    /// Remembers that the dead are to be buried.
    pub(super) fn bury(&mut self, now: Millis) {
        self.0.get_or_insert_default().bury = Some(now);
    }

    fn of_stream(&mut self, now: Millis) -> &mut StreamErrand {
        let errand = self.0.get_or_insert_default().stream.get_or_insert_default();
        errand.now = now;
        errand
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

impl StreamErrand {
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

impl Errand {
    #[inline(never)]
    fn run(self, queue: &Queue) {
        let store = queue.shared.store();
        if let Some(store) = store {
            self.tell(queue, store);
        }
        if let Some(emptied) = self.emptied {
            let (emptied, now) = *emptied;
            queue.drop_emptied(store, emptied, now);
        }
        if let (Some(now), Some(queue)) = (self.bury, queue.this.upgrade()) {
            dead_letter::in_turn(queue, now);
        }
    }

    fn tell(&self, queue: &Queue, store: &Arc<Store>) {
        if !self.delivered.is_empty() {
            store.mark_delivered(&self.delivered);
        }
        if !self.dropped.is_empty() {
            store.settle(&self.dropped);
        }
        if let Some(now) = self.fetch {
            queue.fetch_later(store, now);
        }
        if let Some(stream) = &self.stream {
            stream.tell(queue, store);
        }
    }
}

/// The locked state of a queue; its errands are run when the lock has been given back.
///
/// Cost beside the lock: two comparisons when there is none.
pub(super) struct Held<'a> {
    state: MutexGuard<'a, State>,
    /// Behind the guard, as fields are dropped in this order.
    after: After<'a>,
}

struct After<'a> {
    queue: &'a Queue,
    errand: Option<Errand>,
}

impl<'a> Held<'a> {
    #[inline]
    pub(super) fn new(state: MutexGuard<'a, State>, queue: &'a Queue) -> Self {
        Self { state, after: After { queue, errand: None } }
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
        let resident_bytes = state.resident_bytes();
        if resident_bytes.abs_diff(state.reported_bytes) >= REPORT_BYTES {
            self.after.queue.shared.memory.report(state.reported_bytes, resident_bytes);
            state.reported_bytes = resident_bytes;
        }
        if state.errands.0.is_some() {
            self.after.errand = state.errands.0.take();
        }
    }
}

impl Drop for After<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(errand) = self.errand.take() {
            errand.run(self.queue);
        }
    }
}
