//! Deletes messages of a stream by age and size: whole segments, never the one that is written to.
//!
//! Before anything is deleted a *marker* is appended to the log: a record of the stream without a message, which has
//! the next offset and the first one that is kept. All records before it in the log have lower offsets, so after a
//! restart they are counted back from there, however many are gone. Deleted messages are settled when the marker is on
//! disk; if a crash loses that, the messages that come back are known by their offsets and deleted again.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use super::index::{Places, Retention};
use super::order;
use super::publish::kept_places;
use crate::broker::queue::backlog::pages::Page;
use crate::broker::queue::state::{Queue, State};
use crate::broker::time::Millis;
use crate::lock::Mutex;
use crate::store::{Batch, NewRecord, Outcome, Place, SlotRanges, Store, Waiting};

/// Set in the time to live of a marker; no message lives so long.
const MARKER_BIT: u64 = 1 << 62;

/// The pause before a deletion is tried again when the log had no room for the marker.
const RETRY_AFTER_MS: Millis = 1_000;

/// Pages of deleted messages that are settled in one go: about ten milliseconds of the store's reading thread.
const PAGES_AT_ONCE: usize = 16;

/// A record of the offsets of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) place: Place,
    /// Records with lower sequences have lower offsets than `next`.
    pub(super) sequence: u64,
    pub(super) next: u64,
    pub(super) first: u64,
}

impl Marker {
    /// Reads the marker from a record that was found, if it is one.
    pub(super) fn of(waiting: &Waiting) -> Option<Self> {
        let marked = waiting.time_to_live_ms.filter(|ttl| ttl & MARKER_BIT != 0)?;
        let &Waiting { place, sequence, published_at: next, .. } = waiting;
        Some(Self { place, sequence, next, first: marked & !MARKER_BIT })
    }
}

impl Queue {
    /// Returns the limits that hold now.
    fn retention(&self, state: &State, now: Millis) -> Retention {
        let limits = state.limits.as_deref();
        let age_ms = limits.and_then(|limits| limits.max_age_ms);
        Retention {
            max_bytes: limits.and_then(|limits| limits.max_length_bytes),
            not_before: age_ms.map(|age_ms| self.unix_ms(now).saturating_sub(age_ms)),
        }
    }

    /// Has segments deleted if there are too many or too old ones.
    pub(in crate::broker::queue) fn retire_if_due(&self, state: &mut State, now: Millis) {
        let retention = self.retention(state, now);
        let Some(stream) = state.kind.stream_mut() else { return };
        if stream.is_retiring
            || now < stream.retire_not_before
            || !stream.index.is_exceeding(retention)
        {
            return;
        }
        if self.shared.store().is_none() {
            drop(stream.index.retire(retention));
            stream.recent.forget_before(stream.index.first());
            return;
        }
        stream.is_retiring = true;
        state.after_unlock.retire_stream(now);
    }

    /// Returns the time at which a segment will be too old.
    pub(in crate::broker::queue) fn retires_at(&self, state: &State) -> Option<Millis> {
        let age_ms = state.limits.as_deref()?.max_age_ms?;
        let stream = state.kind.stream().filter(|stream| !stream.is_retiring)?;
        let at = stream.index.reaches_age_at(age_ms)?.saturating_sub(self.unix_ms(0));
        Some(at.saturating_add(1).max(stream.retire_not_before))
    }

    /// Has segments deleted on the store's reading thread.
    pub(in crate::broker::queue) fn retire_stream_later(&self, store: &Arc<Store>, now: Millis) {
        self.read_later(store, now, move |queue, store| queue.retire_stream(store, now));
    }

    fn retire_stream(self: &Arc<Self>, store: &Store, now: Millis) {
        // No message may be in the log and not in the stream while the marker is written.
        let order = order::lock(&self.shared.stream_order);
        let mut held = self.lock();
        let state = &mut *held;
        let retention = self.retention(state, now);
        let (Some(id), Some(stream)) = (self.settings.id, state.kind.stream_mut()) else { return };
        stream.is_retiring = false;
        let (first, next) = (stream.index.first_after(retention), stream.index.next());
        if first == stream.index.first() {
            self.arm(state);
            return;
        }
        let queues = [id];
        let record = NewRecord {
            published_at: next,
            time_to_live_ms: Some(first | MARKER_BIT),
            ..NewRecord::of_bytes(&queues, &[])
        };
        let Ok(appended) = store.append_without_waking(&record) else {
            stream.retire_not_before = now.saturating_add(RETRY_AFTER_MS);
            self.arm(state);
            return;
        };
        let mut gone = stream.index.retire(retention);
        stream.recent.forget_before(first);
        let earlier = stream.marker.replace(appended.first);
        self.arm(state);
        drop(held);
        drop(order);
        store.wake_writer();
        gone.reverse();
        self.settle_after(store, appended.batch, Retired { gone, earlier, now });
    }

    /// Settles the deleted messages when their marker is on disk.
    fn settle_after(self: &Arc<Self>, store: &Store, batch: Batch, retired: Retired) {
        let bell = Bell {
            queue: Arc::clone(self),
            store: self.shared.store().map(Arc::downgrade).unwrap_or_default(),
            batch,
            retired: Mutex::new(Some(retired)),
        };
        store.wake_after(batch, &Waker::from(Arc::new(bell)));
    }

    /// Settles deleted messages, some now and the rest after other reads. The last comes first.
    fn settle_retired(self: &Arc<Self>, store: &Store, mut gone: Vec<Places>, now: Millis) {
        let rest = gone.len().saturating_sub(PAGES_AT_ONCE);
        let mut pages: Vec<Page> = Vec::new();
        for places in gone.drain(rest..).rev() {
            match places {
                Places::Paged(page) => pages.push(page),
                Places::Here(places) => {
                    store.settle(&kept_places(&places).collect());
                }
            }
        }
        self.drop_pages(store, &pages, now);
        if let Some(all) = self.shared.store().filter(|_| !gone.is_empty()) {
            let queue = Arc::clone(self);
            all.read_later(Box::new(move |store| queue.settle_retired(store, gone, now)));
        }
    }
}

/// The deleted messages that are to be settled.
#[derive(Debug)]
struct Retired {
    /// The last comes first.
    gone: Vec<Places>,
    /// The marker before.
    earlier: Option<Place>,
    now: Millis,
}

/// Rings when a marker is on disk, or never will be: on the writer's thread, which has the next batch to write.
struct Bell {
    queue: Arc<Queue>,
    store: Weak<Store>,
    batch: Batch,
    retired: Mutex<Option<Retired>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let retired = self.retired.lock().take();
        let (Some(store), Some(retired)) = (self.store.upgrade(), retired) else { return };
        if store.outcome(self.batch) != Outcome::Synced {
            return;
        }
        let queue = Arc::clone(&self.queue);
        store.read_later(Box::new(move |store| {
            let Retired { gone, earlier, now } = retired;
            store.settle(&SlotRanges::from_iter(earlier));
            queue.settle_retired(store, gone, now);
        }));
    }
}
