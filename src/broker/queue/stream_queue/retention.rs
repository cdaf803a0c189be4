//! Deletes messages of a stream by age and size, on the store's reading thread.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use crate::broker::queue::backlog::pages::Page;
use crate::broker::queue::state::{Queue, State};
use crate::broker::queue::stream::index::{Places, Retention, kept_places};
use crate::broker::queue::stream::order;
use crate::broker::queue::stream::retention::Retired;
use crate::broker::time::Millis;
use crate::lock::Mutex;
use crate::store::{Outcome, SlotRanges, Store};

/// Pages of deleted messages that are settled in one go: about ten milliseconds of the store's reading thread.
const PAGES_AT_ONCE: usize = 16;

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
        if stream.begin_retiring(retention, self.shared.store().is_some(), now) {
            state.after_unlock.retire_stream(now);
        }
    }

    /// Returns the time at which a segment will be too old.
    pub(in crate::broker::queue) fn retires_at(&self, state: &State) -> Option<Millis> {
        let age_ms = state.limits.as_deref()?.max_age_ms?;
        state.kind.stream()?.retires_at(age_ms, self.unix_ms(0))
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
        let retired = stream.retire(id, retention, store, now);
        self.arm(state);
        drop(held);
        drop(order);
        let Some(mut retired) = retired else { return };
        store.wake_writer();
        retired.gone.reverse();
        self.settle_after(store, retired, now);
    }

    /// Settles the deleted messages when their marker is on disk.
    fn settle_after(self: &Arc<Self>, store: &Store, retired: Retired, now: Millis) {
        let batch = retired.batch;
        let bell = Bell {
            queue: Arc::clone(self),
            store: self.shared.store().map(Arc::downgrade).unwrap_or_default(),
            retired: Mutex::new(Some(retired)),
            now,
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

/// Rings when a marker is on disk, or never will be: on the writer's thread, which has the next batch to write.
struct Bell {
    queue: Arc<Queue>,
    store: Weak<Store>,
    /// The last comes first.
    retired: Mutex<Option<Retired>>,
    /// The time of the deletion.
    now: Millis,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let retired = self.retired.lock().take();
        let (Some(store), Some(retired)) = (self.store.upgrade(), retired) else { return };
        if store.outcome(retired.batch) != Outcome::Synced {
            return;
        }
        let (queue, now) = (Arc::clone(&self.queue), self.now);
        store.read_later(Box::new(move |store| {
            let Retired { gone, earlier, .. } = retired;
            store.settle(&SlotRanges::from_iter(earlier));
            queue.settle_retired(store, gone, now);
        }));
    }
}
