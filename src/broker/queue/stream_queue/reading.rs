//! Reads for consumers of a stream that are not at the end: on the store's own thread and under no lock, a piece for
//! each at a time, so that a consumer that is behind keeps neither publishers nor other consumers waiting.
//!
//! Reading order: [`Queue::read_stream_later`] (asks), `Queue::read_stream` (reads, and deals).

use std::sync::Arc;

use crate::broker::queue::consumers::consumer::ConsumerId;
use crate::broker::queue::state::{Queue, State};
use crate::broker::queue::stream::reading::StreamRead;
use crate::broker::time::Millis;
use crate::store::Store;

impl Queue {
    /// Has more read for a consumer.
    pub(in crate::broker::queue) fn read_stream_later(
        &self,
        store: &Arc<Store>,
        id: ConsumerId,
        now: Millis,
    ) {
        self.read_later(store, now, move |queue, store| queue.read_stream(store, id, now));
    }

    fn read_stream(&self, store: &Store, id: ConsumerId, now: Millis) {
        let Some(wanted) = self.wanted_by(id) else { return };
        let mut read = wanted.read(store);
        let mut held = self.lock();
        let state = &mut *held;
        let Some(stream) = state.kind.stream_mut() else { return };
        stream.take_in(id, &mut read);
        state.unreadable += read.damaged.len() as u64 + read.lost;
        match read.put_off {
            Some(error) => state.backlog.put_off(&error, now),
            None => state.backlog.has_read(),
        }
        self.resume_stream(state, [id], now);
        self.arm(state);
        drop(held);
        for (place, error) in read.damaged {
            self.log_unreadable(place, &error);
        }
    }

    fn wanted_by(&self, id: ConsumerId) -> Option<StreamRead> {
        let is_short = self.shared.memory.is_short();
        let state = self.lock();
        state.kind.stream()?.wanted_by(id, is_short)
    }
}

impl State {
    /// Reads again for consumers whose reading had been put off.
    pub(in crate::broker::queue) fn read_stream_again(&mut self, now: Millis) {
        let Some(stream) = self.kind.stream() else { return };
        for id in stream.awaiting_reads() {
            self.after_unlock.read_stream(id, now);
        }
    }
}
