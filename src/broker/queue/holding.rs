//! Holds the messages of a delayed exchange in a queue, and releases those that are due.
//!
//! Reading order: [`State::hold`], then [`State::release_due`].

use std::sync::Arc;

use super::backlog::pages::may_pass;
use super::outbox::DeathReason;
use super::state::{Queue, State};
use crate::broker::entry::Entry;
use crate::broker::message::Message;
use crate::broker::routing_properties::Details;
use crate::broker::time::Millis;
use crate::broker::time::StartedAt;
use crate::store::{Place, Store};

/// The number of messages released under one lock, and read with one call when the broker starts.
const PIECE_LEN: usize = if cfg!(test) { 8 } else { 1024 };

impl State {
    /// Holds a message until it is due.
    pub(super) fn hold(&mut self, message: Message, place: Option<Place>, now: Millis) {
        let details = Details::read(message.properties());
        let due = now.saturating_add(details.delay_ms().unwrap_or_default());
        let entry = self.backlog.place(message, place, Millis::MAX);
        if let Some(delayed) = self.kind.delayed_mut() {
            delayed.insert(due, entry);
        }
    }

    /// Tells when the first message is due.
    pub(super) fn due_at(&self) -> Option<Millis> {
        self.kind.delayed()?.due_at()
    }

    /// Drops all messages that are held.
    pub(super) fn drop_delayed(&mut self) {
        if let Some(delayed) = self.kind.delayed_mut() {
            let held = delayed.take_all();
            self.after_unlock.dropped(held.into_values().filter_map(|entry| entry.place));
        }
    }

    /// Releases messages that are due, at most one piece; the timer goes on with the others.
    pub(super) fn release_due(&mut self, now: Millis) {
        for _ in 0..PIECE_LEN {
            let Some(delayed) = self.kind.delayed_mut() else { return };
            let Some(entry) = delayed.pop_due(now) else { return };
            self.dead_letter(entry, DeathReason::Due, now);
        }
    }
}

impl Queue {
    /// Reads the messages that the store gave back, to know when each is due; no other code uses the queue yet.
    pub(super) fn read_delayed(&self, store: &Arc<Store>, at: StartedAt) {
        let unread = match self.lock().kind.delayed_mut() {
            Some(delayed) => delayed.take_unread(),
            None => return,
        };
        for piece in unread.chunks(PIECE_LEN) {
            let places: Vec<Place> = piece.iter().map(|waiting| waiting.place).collect();
            let mut delays = Vec::with_capacity(piece.len());
            store.read(&places, &mut |nth, read| match read {
                Ok(record) => {
                    let message = Message::from_record(&record);
                    let details = Details::read(message.properties());
                    delays.push((nth, details.delay_ms().unwrap_or_default()));
                }
                // It is due at once, and read again then.
                Err(error) if may_pass(&error) => delays.push((nth, 0)),
                Err(error) => {
                    self.lock().unreadable += 1;
                    self.log_unreadable(places[nth], &error);
                }
            });
            let mut state = self.lock();
            let Some(held) = state.kind.delayed_mut() else { return };
            for (nth, delay) in delays {
                let waiting = &piece[nth];
                let due_unix_ms = waiting.published_at.saturating_add(delay);
                let due = due_unix_ms.saturating_add(at.now).saturating_sub(at.unix_ms);
                held.insert(due, Entry::recovered(waiting, Millis::MAX));
            }
        }
    }
}
