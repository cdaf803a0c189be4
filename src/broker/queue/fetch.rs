//! Between a queue and the store: what is written away when memory is short, and read again before it is delivered.
//!
//! Reading happens on the store's own thread and under no lock; one window at a time for each queue. The consumers
//! are dealt to again when it has come.
//!
//! Reading order: `Queue::push_back_or_far`, `State::fetch` (asks), [`Queue::fetch`] (reads and takes in).

use std::sync::Arc;

use super::ready::{Found, Wanted};
use super::{Entry, Millis, Queue, Returned, State};
use crate::broker::message::Message;
use crate::store::{Place, QueueId, Store, StoreError};

/// Bytes a queue may have in memory however short that is: a thousand busy queues still fit.
pub(super) const RESIDENT_BYTES_KEPT: u64 = 256 << 10;

/// Stands in the records of queues that are not in the store: nobody asks for it, as a spilled record is never found
/// again by its queue.
const NOT_KEPT: QueueId = QueueId(0);

impl Queue {
    /// Takes a message into a queue that is long already: with its body, or only as a place when memory is short or
    /// others stand before it that way.
    ///
    /// One that can be written nowhere stays in memory.
    #[inline(never)]
    pub(super) fn push_back_or_far(&self, state: &mut State, entry: Entry) {
        let memory = &self.shared.memory;
        let is_short = match entry.place {
            Some(_) => memory.is_short(),
            None => memory.is_very_short(),
        };
        let place = match (entry.place, is_short || state.ready.has_far()) {
            (_, false) => None,
            (Some(place), true) => Some(place),
            (None, true) => self.spill(&entry),
        };
        match place {
            Some(place) => state.ready.push_far(entry, place),
            None => state.ready.push_back(entry),
        }
    }

    /// Writes a message away that need not survive.
    fn spill(&self, entry: &Entry) -> Option<Place> {
        let queues = [self.settings.id.unwrap_or(NOT_KEPT)];
        // Nobody will ask when it was published: it is gone after a restart.
        let record = entry.message.as_ref()?.to_record(&queues, 0);
        self.shared.store()?.spill(&record).ok()
    }

    /// Has [`Self::fetch`] called on the store's thread.
    pub(super) fn fetch_later(&self, store: &Arc<Store>, now: Millis) {
        let this = self.this.clone();
        store.read_later(Box::new(move |store| {
            if let Some(queue) = this.upgrade() {
                queue.fetch(store, now);
            }
        }));
    }

    /// Reads what is missing at the front and deals it.
    ///
    /// `now` is when that was asked for. That it has passed meanwhile does no harm: a message that expires while it
    /// is read goes when the timer of the queue says so, and one that is delivered in the same millisecond could
    /// as well have been delivered before.
    fn fetch(&self, store: &Store, now: Millis) {
        let wanted = self.lock().ready.window();
        let places: Vec<Place> = wanted.iter().map(|wanted| wanted.place).collect();
        let mut found = Vec::with_capacity(wanted.len());
        store.read(&places, &mut |at, read| {
            let Some(&Wanted { position, place }) = wanted.get(at) else { return };
            let message = match read {
                Ok(record) => Some(Message::from_record(&record)),
                Err(error) => {
                    self.log_unreadable(place, &error);
                    None
                }
            };
            found.push(Found { position, message });
        });
        self.take_in(found, now);
    }

    /// Takes in what was read, and deals.
    fn take_in(&self, found: Vec<Found>, now: Millis) {
        let mut state = self.lock();
        state.is_fetching = false;
        state.unreadable += state.ready.fill(found).len() as u64;
        state.deal(now);
        self.arm(&mut state);
    }

    /// Reads the message of an entry that was taken out; whether that could be done.
    pub(super) fn read(&self, entry: &mut Entry) -> bool {
        let (Some(store), Some(place)) = (self.shared.store(), entry.place) else { return false };
        store.read(&[place], &mut |_, read| match read {
            Ok(record) => entry.message = Some(Message::from_record(&record)),
            Err(error) => self.log_unreadable(place, &error),
        });
        entry.message.is_some()
    }

    /// The record stays where it is, unsettled: it is not the broker that throws it away.
    #[cold]
    fn log_unreadable(&self, place: Place, error: &StoreError) {
        let (queue, vhost) = (&self.settings.name, &self.settings.vhost);
        tracing::error!(%queue, %vhost, ?place, %error, "a message cannot be read");
    }
}

impl State {
    /// Asks for what is missing, unless that is under way.
    pub(super) fn fetch(&mut self, now: Millis) {
        if !self.is_fetching {
            self.is_fetching = true;
            self.errands.fetch(now);
        }
    }

    /// Takes back that a message was given to somebody.
    pub(super) fn forget_unreadable(&mut self, returned: &Returned) {
        self.unreadable += 1;
        self.uncount(returned);
    }
}
