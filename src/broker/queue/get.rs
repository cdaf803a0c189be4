//! `basic.get`: the first message for who asks, read from the store when it is not in memory.
//!
//! What cannot be read now keeps its place, and who asked is told. Begin with [`Queue::get`].

use super::end::Life;
use super::limits::Expired;
use super::pages::may_pass;
use super::quorum::Place;
use super::{Entry, Millis, Queue, Refusal, State, count_u32};
use crate::broker::message::Message;
use crate::store::StoreError;
use crate::wire::{Fault, ReplyCode};

impl Queue {
    /// Takes the first message for `basic.get`; with it, how many still wait.
    ///
    /// Whoever is given a message settles its place with the store, here as with a consumer, and also with `no_ack`.
    /// Cost: one lock; a read and a second lock when the message is not in memory.
    ///
    /// # Errors
    ///
    /// `RESOURCE_LOCKED` when it is a quorum queue that serves one consumer only, `RESOURCE_ERROR` when the first message
    /// cannot be read just now; it waits on.
    /// `NOT_IMPLEMENTED` for a stream.
    pub fn get(&self, no_ack: bool, now: Millis) -> Result<Option<(Entry, u32)>, Fault> {
        self.check_no_stream(Refusal::Get)?;
        self.check_gettable()?;
        loop {
            let Some((mut entry, left)) = self.take_first(no_ack, now)? else { return Ok(None) };
            if entry.message.is_some() {
                return Ok(Some((entry, left)));
            }
            match self.read(&entry) {
                Ok(message) => {
                    entry.message = Some(message);
                    self.lock().count_get(&entry, no_ack);
                    return Ok(Some((entry, left)));
                }
                Err(error) if may_pass(&error) => return Err(self.put_off_get(entry, &error, now)),
                Err(error) => self.pass_over(&entry, &error),
            }
        }
    }

    fn check_gettable(&self) -> Result<(), Fault> {
        let is_single = self.settings.wanted.is_single_active_consumer && self.is_quorum();
        if !is_single {
            return Ok(());
        }
        let text = format!(
            "cannot obtain access to locked {}. basic.get operations are not supported by quorum queues \
             with single active consumer",
            self.noun()
        );
        Err(Fault::new(ReplyCode::ResourceLocked, text))
    }

    /// Takes the first entry; it is counted as given away if it has its message.
    fn take_first(&self, no_ack: bool, now: Millis) -> Result<Option<(Entry, u32)>, Fault> {
        let mut state = self.lock();
        state.used_at = now;
        // The next may be on a page again when all of one have expired.
        loop {
            state.bring_up();
            if let Err(error) = state.ready.load_front() {
                state.put_off(&error, now);
                self.arm(&mut state);
                return Err(self.cannot_read());
            }
            if state.expire(now) == Expired::Some {
                drop(state);
                self.shared.aside.run(|| while self.lock().expire(now) == Expired::Some {});
                state = self.lock();
                continue;
            }
            if !state.ready.is_front_paged() {
                break;
            }
        }
        let taken = state.ready.pop_front();
        state.bring_up_next();
        self.arm(&mut state);
        let Some(entry) = taken else {
            state.counters.get_empty += 1;
            return Ok(None);
        };
        if entry.message.is_some() {
            state.count_get(&entry, no_ack);
        }
        // What has expired behind it is no more (RabbitMQ: `rabbit_amqqueue_process:fetch`).
        state.expire(now);
        Ok(Some((entry, count_u32(state.waiting()))))
    }

    /// Reads the message of an entry that was taken out.
    fn read(&self, entry: &Entry) -> Result<Message, StoreError> {
        let mut found = Err(StoreError::Settled);
        if let (Some(store), Some(place)) = (self.shared.store(), entry.place) {
            store.read(&[place], &mut |_, read| {
                found = read.map(|record| Message::from_record(&record));
            });
        }
        found
    }

    /// Leaves out an entry whose message there is no more.
    fn pass_over(&self, entry: &Entry, error: &StoreError) {
        if let (Some(place), StoreError::Damaged { .. }) = (entry.place, error) {
            self.lock().unreadable += 1;
            self.log_unreadable(place, error);
        }
    }

    /// Gives an entry its place again; answers what its reader is told.
    fn put_off_get(&self, entry: Entry, error: &StoreError, now: Millis) -> Fault {
        let mut state = self.lock();
        if state.life == Life::Over {
            state.errands.dropped(entry.place);
        } else {
            state.put_back_all(vec![entry], Place::Old);
            state.put_off(error, now);
            state.deal(now);
            self.arm(&mut state);
        }
        self.cannot_read()
    }

    /// Without the reason, which is in the log and no client's business.
    fn cannot_read(&self) -> Fault {
        let text = format!("cannot read a message of {}", self.noun());
        Fault::new(ReplyCode::ResourceError, text)
    }
}

impl State {
    /// Counts a message as given to a `basic.get`.
    fn count_get(&mut self, entry: &Entry, no_ack: bool) {
        self.counters.redeliver += u64::from(entry.redelivered);
        if no_ack {
            self.counters.get_no_ack += 1;
        } else {
            self.counters.get += 1;
            self.unacked += 1;
            self.unacked_bytes += u64::from(entry.body_len);
            self.errands.delivered(entry.place);
        }
    }
}
