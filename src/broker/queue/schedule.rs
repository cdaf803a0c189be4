//! Messages that a delayed exchange keeps until their time has come.
//!
//! They are in a queue that no client sees, in the order of their times. One whose time has come leaves it as a dead
//! letter does (`grave`): routed by its exchange, in the store where it must be kept, and only then settled here. A
//! message that the store has is not in memory meanwhile.
//!
//! Begin with [`State::hold`], then [`State::release_due`].

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::pages::may_pass;
use super::{Entry, Millis, Queue, Settings, StartedAt, State};
use crate::broker::arguments::QueueArguments;
use crate::broker::dead_letter::Reason;
use crate::broker::exchange::{Details, ExchangeSettings};
use crate::broker::message::Message;
use crate::store::{Place, Store, Waiting};
use crate::wire::{FieldTable, ShortStr};

/// How the names of such queues begin: no client may declare one.
const HOLDER_PREFIX: &str = "amq.delayed.";

/// Messages that are let go under one lock, and read with one call when the broker starts.
const PIECE_LEN: usize = if cfg!(test) { 8 } else { 1024 };

/// Messages by when they are due; of one time in the order they came.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    held: BTreeMap<(Millis, u64), Entry>,
    next: u64,
    /// Given back by the store, which does not know when they are due.
    unread: Vec<Waiting>,
}

impl Schedule {
    /// When the first is due.
    pub(super) fn due_at(&self) -> Option<Millis> {
        self.held.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    fn insert(&mut self, due: Millis, entry: Entry) {
        self.held.insert((due, self.next), entry);
        self.next += 1;
    }

    /// Remembers a message for when the store can be read.
    pub(super) fn recover(&mut self, waiting: Waiting) {
        self.unread.push(waiting);
    }
}

impl State {
    /// Keeps a message until its time has come.
    pub(super) fn hold(&mut self, message: Message, place: Option<Place>, now: Millis) {
        let details = Details::read(message.properties()).unwrap_or_default();
        let due = now.saturating_add(details.delay_ms().unwrap_or_default());
        let mut entry = self.ready.place(message, place, Millis::MAX);
        entry.forget_message();
        if let Some(schedule) = &mut self.schedule {
            schedule.insert(due, entry);
        }
    }

    /// When the first is due that is kept until then.
    pub(super) fn due_at(&self) -> Option<Millis> {
        self.schedule.as_deref().and_then(Schedule::due_at)
    }

    /// Drops them all.
    pub(super) fn drop_held(&mut self) {
        if let Some(schedule) = &mut self.schedule {
            let held = std::mem::take(&mut schedule.held);
            self.errands.dropped(held.into_values().filter_map(|entry| entry.place));
        }
    }

    /// Lets those go whose time has come; the timer goes on with more than a piece.
    pub(super) fn release_due(&mut self, now: Millis) {
        for _ in 0..PIECE_LEN {
            let Some(schedule) = &mut self.schedule else { return };
            let Some(first) = schedule.held.first_entry().filter(|first| first.key().0 <= now)
            else {
                return;
            };
            let entry = first.remove();
            self.die(entry, Reason::Due, now);
        }
    }
}

impl Settings {
    /// What the queue is declared with that keeps the messages of a delayed exchange. As its dead letters they go back
    /// to the exchange.
    pub(in crate::broker) fn of_holder(vhost: &ShortStr, exchange: &ExchangeSettings) -> Self {
        let exchange_name = exchange.name.as_str();
        let mut hasher = DefaultHasher::new();
        exchange_name.hash(&mut hasher);
        let name = format!("{HOLDER_PREFIX}{:016x}", hasher.finish());
        let arguments = FieldTable::new().with("x-dead-letter-exchange", exchange_name);
        let wanted = QueueArguments {
            dead_letter_exchange: Some(exchange.name.clone()),
            ..QueueArguments::default()
        };
        Self {
            id: None,
            name: ShortStr::truncated(&name),
            vhost: vhost.clone(),
            is_durable: exchange.is_durable,
            is_auto_delete: false,
            exclusive_owner: None,
            arguments,
            wanted,
        }
    }

    /// The delayed exchange whose messages the queue keeps.
    pub(in crate::broker) fn holds_for(&self) -> Option<&ShortStr> {
        let is_holder = self.name.starts_with(HOLDER_PREFIX);
        self.wanted.dead_letter_exchange.as_ref().filter(|_| is_holder)
    }
}

impl Queue {
    /// How many messages wait for their time.
    pub fn held_len(&self) -> usize {
        self.lock().schedule.as_deref().map_or(0, Schedule::len)
    }

    /// Reads what the store gave back, to know when each is due; nobody uses the queue yet.
    pub(super) fn read_schedule(&self, store: &Arc<Store>, at: StartedAt) {
        let unread = match &mut self.lock().schedule {
            Some(schedule) => std::mem::take(&mut schedule.unread),
            None => return,
        };
        for piece in unread.chunks(PIECE_LEN) {
            let places: Vec<Place> = piece.iter().map(|waiting| waiting.place).collect();
            let mut delays = Vec::with_capacity(piece.len());
            store.read(&places, &mut |nth, read| match read {
                Ok(record) => {
                    let message = Message::from_record(&record);
                    let details = Details::read(message.properties()).unwrap_or_default();
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
            let Some(schedule) = &mut state.schedule else { return };
            for (nth, delay) in delays {
                let waiting = &piece[nth];
                let due_unix_ms = waiting.published_at.saturating_add(delay);
                let due = due_unix_ms.saturating_add(at.now).saturating_sub(at.unix_ms);
                schedule.insert(due, Entry::recovered(waiting, Millis::MAX));
            }
        }
    }
}
