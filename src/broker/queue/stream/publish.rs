//! Publishes to a stream: a message gets an offset, and the consumers that wait for it get it when it is on disk.

use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use super::index::SEGMENT_BYTES;
use super::recent::{RECENT_BYTES, RECENT_BYTES_SHORT};
use crate::broker::message::Message;
use crate::broker::queue::backlog::stored::Stored;
use crate::broker::queue::state::{Queue, State};
use crate::broker::queue::taken::Taken;
use crate::broker::time::Millis;
use crate::store::{Batch, Place, Store};

/// The place of a message that only memory has.
pub(super) const NOWHERE: Place = Place { file: NonZeroU32::MAX, slot: 0, offset: 0 };

/// The places of the messages that the store has.
pub(super) fn kept_places(stored: &[Stored]) -> impl Iterator<Item = Place> {
    stored.iter().map(|stored| stored.place).filter(|place| *place != NOWHERE)
}

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
        let segment_bytes = limits.and_then(|limits| limits.segment_max_bytes);
        let stored = Stored {
            position: 0,
            deadline_and_flag: self.unix_ms(now) << 1,
            place: place.unwrap_or(NOWHERE),
            body_len: u32::try_from(message.body().len()).unwrap_or(u32::MAX),
        };
        stream.recent.push(stream.index.next(), message);
        let closes = stream.index.push(stored, segment_bytes.unwrap_or(SEGMENT_BYTES));
        match store {
            Some(store) => {
                let is_short = self.shared.memory.is_short();
                let most = if is_short { RECENT_BYTES_SHORT } else { RECENT_BYTES };
                stream.recent.shrink_to(most);
                stream.synced.add(stream.index.next(), store.latest());
            }
            None => stream.synced.set(stream.index.next()),
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
        let before = stream.synced.up_to();
        if let Some(store) = self.shared.store() {
            stream.synced.advance(|batch| store.outcome(batch));
        }
        if stream.at_end.is_empty() {
            return;
        }
        // Without a store it has moved before.
        if stream.synced.up_to() > before || self.shared.store().is_none() {
            let waiting = std::mem::take(&mut stream.at_end);
            for id in &waiting {
                if let Some(reader) = stream.readers.get_mut(id) {
                    reader.is_at_end = false;
                }
            }
            self.deal_to(state, waiting, now);
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
            stream.synced.end_wait();
        }
        self.deal_at_end(state, now);
    }
}

impl State {
    /// Has consumers at the end dealt to when more is on disk.
    pub(super) fn await_sync(&mut self, now: Millis) {
        let Some(stream) = self.kind.stream_mut() else { return };
        if stream.at_end.is_empty() {
            return;
        }
        if let Some(batch) = stream.synced.take_awaited() {
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
