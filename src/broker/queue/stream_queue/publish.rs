//! Publishes to a stream: a message gets an offset, and the consumers that wait for it get it when it is on disk.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use crate::broker::message::Message;
use crate::broker::queue::state::{Queue, State};
use crate::broker::queue::taken::Taken;
use crate::broker::time::Millis;
use crate::store::{Batch, Place, Store};

impl Queue {
    /// Appends a message; one that the store has refused is not taken.
    ///
    /// Cost: one push, and once in a thousand messages the write of a page.
    #[inline(never)]
    pub(in crate::broker::queue) fn push_to_stream(
        &self,
        state: &mut State,
        message: Message,
        place: Option<Place>,
        now: Millis,
    ) -> Taken {
        let store = self.shared.store();
        let Some(stream) = state.kind.stream_mut() else { return Taken::Refused };
        if store.is_some() && place.is_none() {
            return Taken::Refused;
        }
        state.counters.publish += 1;
        let limits = state.limits.as_deref();
        let segment_max_bytes = limits.and_then(|limits| limits.segment_max_bytes);
        let closes = stream.push(message, place, self.unix_ms(now), segment_max_bytes);
        match store {
            Some(store) => stream.await_batch(store.latest(), self.shared.memory.is_short()),
            None => stream.needs_no_disk(),
        }
        stream.report(&self.shared.memory);
        if closes {
            self.retire_if_due(state, now);
            self.arm(state);
        }
        self.deal_at_end(state, now);
        Taken::Yes
    }

    /// Gives the consumers at the end the messages that are on disk by now, and has the others waited for.
    pub(super) fn deal_at_end(&self, state: &mut State, now: Millis) {
        let Some(stream) = state.kind.stream_mut() else { return };
        let served = stream.take_served_at_end(self.shared.store().map(Arc::as_ref));
        if !served.is_empty() {
            self.deal_to(state, served, now);
        }
        state.await_sync(now);
    }

    /// Has [`Self::on_synced`] called on the store's reading thread when a batch is on disk.
    pub(in crate::broker::queue) fn wake_when_synced(
        &self,
        store: &Arc<Store>,
        batch: Batch,
        now: Millis,
    ) {
        let bell = Bell { queue: self.this.clone(), store: Arc::downgrade(store), now };
        store.wake_after(batch, &Waker::from(Arc::new(bell)));
    }

    fn on_synced(&self, now: Millis) {
        let mut held = self.lock();
        let state = &mut *held;
        if let Some(stream) = state.kind.stream_mut() {
            stream.end_wait();
        }
        self.deal_at_end(state, now);
    }
}

impl State {
    /// Has consumers at the end dealt to when more is on disk.
    pub(super) fn await_sync(&mut self, now: Millis) {
        let Some(stream) = self.kind.stream_mut() else { return };
        if let Some(batch) = stream.take_awaited() {
            self.after_unlock.await_sync(batch, now);
        }
    }
}

/// Rings when a batch is on disk: on the writer's thread, which has the next to write.
struct Bell {
    queue: Weak<Queue>,
    store: Weak<Store>,
    /// The time at which that was asked for.
    now: Millis,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let Some(store) = self.store.upgrade() else { return };
        let (queue, now) = (self.queue.clone(), self.now);
        store.read_later(Box::new(move |_| {
            if let Some(queue) = queue.upgrade() {
                queue.on_synced(now);
            }
        }));
    }
}
