//! A message comes into a stream: it gets the next offset, and consumers see it when it is on disk.

use super::Stream;
use super::index::{NOWHERE, SEGMENT_BYTES};
use super::recent::{RECENT_BYTES, RECENT_BYTES_SHORT};
use crate::broker::message::Message;
use crate::broker::queue::backlog::stored::Stored;
use crate::broker::queue::consumers::consumer::ConsumerId;
use crate::store::{Batch, Place, Store};

impl Stream {
    /// Appends a message that was published at a time in milliseconds since 1970; answers whether its segment is closed
    /// by it.
    pub(in crate::broker::queue) fn push(
        &mut self,
        message: Message,
        place: Option<Place>,
        published_at: u64,
        segment_max_bytes: Option<u64>,
    ) -> bool {
        let stored = Stored {
            position: 0,
            deadline_and_flag: published_at << 1,
            place: place.unwrap_or(NOWHERE),
            body_len: u32::try_from(message.body().len()).unwrap_or(u32::MAX),
        };
        self.recent.push(self.index.next(), message);
        self.index.push(stored, segment_max_bytes.unwrap_or(SEGMENT_BYTES))
    }

    /// Says that all messages are on disk when the batch is, and keeps in memory what recent readers need; less with
    /// `is_short`, when memory is short.
    pub(in crate::broker::queue) fn await_batch(&mut self, batch: Batch, is_short: bool) {
        self.recent.shrink_to(if is_short { RECENT_BYTES_SHORT } else { RECENT_BYTES });
        self.synced.add(self.index.next(), batch);
    }

    /// Says that all messages need no disk.
    pub(in crate::broker::queue) fn needs_no_disk(&mut self) {
        self.synced.set(self.index.next());
    }

    /// Sees which messages are on disk by now, and takes out the consumers at the end if there are more for them.
    pub(in crate::broker::queue) fn take_served_at_end(
        &mut self,
        store: Option<&Store>,
    ) -> Vec<ConsumerId> {
        let before = self.synced.up_to();
        if let Some(store) = store {
            self.synced.advance(|batch| store.outcome(batch));
        }
        // Without a store it has moved before.
        if store.is_some() && self.synced.up_to() == before {
            return Vec::new();
        }
        let served = std::mem::take(&mut self.at_end);
        for id in &served {
            if let Some(reader) = self.readers.get_mut(id) {
                reader.is_at_end = false;
            }
        }
        served
    }

    /// The batch that is to be waited for, once, for the consumers at the end.
    pub(in crate::broker::queue) fn take_awaited(&mut self) -> Option<Batch> {
        if self.at_end.is_empty() { None } else { self.synced.take_awaited() }
    }

    /// Says that the wait for a batch is over.
    pub(in crate::broker::queue) fn end_wait(&mut self) {
        self.synced.end_wait();
    }
}
