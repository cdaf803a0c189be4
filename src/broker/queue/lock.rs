//! The lock of a queue. Who has it, has the state; the work that is left for then is done when it has been given back.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::after_unlock::{StreamWork, Work};
use super::state::{Queue, State};
use super::turn::in_turn;
use crate::broker::memory::REPORT_BYTES;
use crate::store::Store;
use crate::store::locks::{self, Locked};
use crate::{bug, moment};

impl Queue {
    #[inline]
    pub(super) fn lock(&self) -> LockedQueue<'_> {
        LockedQueue::new(locks::lock(&self.state), self)
    }
}

/// The locked state of a queue; its work is done when the lock has been given back.
///
/// Cost beside the lock: two comparisons when there is none.
pub(super) struct LockedQueue<'a> {
    state: Locked<'a, State>,
    /// Behind the guard, as fields are dropped in this order.
    after: AfterWork<'a>,
}

struct AfterWork<'a> {
    queue: &'a Queue,
    work: Option<Work>,
}

impl<'a> LockedQueue<'a> {
    #[inline]
    fn new(state: Locked<'a, State>, queue: &'a Queue) -> Self {
        Self { state, after: AfterWork { queue, work: None } }
    }
}

impl Deref for LockedQueue<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for LockedQueue<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for LockedQueue<'_> {
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

impl Drop for AfterWork<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            work.run(self.queue);
        }
    }
}

impl Work {
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
        moment::reach("queue.after_unlock");
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
