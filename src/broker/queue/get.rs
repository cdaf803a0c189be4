//! `basic.get`: returns the first message, once it has been read if it is not in memory.
//!
//! A message that cannot be read now keeps its place, and the caller is told. Begin with [`Queue::get`].

use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};

use super::counts::count_u32;
use super::limits::Expired;
use super::state::{Queue, State};
use super::stream_queue::refusals::Refusal;
use crate::broker::entry::Entry;
use crate::broker::time::Millis;
use crate::wire::{Fault, ReplyCode};

/// The answer of a queue to `basic.get`.
#[derive(Debug)]
pub enum GetAnswer {
    /// The first message, and how many still wait.
    Message(Entry, u32),
    Nothing,
    /// The first message is being read.
    Unread,
}

/// Wakes a thread that waits for a message to be read.
struct WakeThread(mpsc::Sender<()>);

impl Wake for WakeThread {
    fn wake(self: Arc<Self>) {
        // It may wait no longer.
        let _ = self.0.send(());
    }
}

impl Queue {
    /// Takes the first message for `basic.get`, and counts the messages that still wait. If the message must be read
    /// first, `reader` is woken when that is done, and the caller asks again.
    ///
    /// The caller that is given a message settles its place with the store, as the receiver of a delivery does, and
    /// also with `no_ack`. Cost: one lock.
    ///
    /// # Errors
    ///
    /// `RESOURCE_LOCKED` when it is a quorum queue that serves one consumer only, `RESOURCE_ERROR` when the first
    /// message could not be read within the last second; it waits on. `NOT_IMPLEMENTED` for a stream.
    pub fn get(&self, no_ack: bool, now: Millis, reader: &Waker) -> Result<GetAnswer, Fault> {
        self.check_no_stream(Refusal::Get)?;
        self.check_gettable()?;
        let mut state = self.lock();
        state.used_at = now;
        state.backlog.select_highest();
        while state.expire(now) == Expired::Some {
            drop(state);
            self.shared.blocking.run(|| while self.lock().expire(now) == Expired::Some {});
            state = self.lock();
            state.backlog.select_highest();
        }
        if state.backlog.is_front_missing() {
            if state.backlog.is_put_off(now) {
                return Err(self.cannot_read());
            }
            state.backlog.wake_when_read(reader);
            state.ask_to_read(now);
            self.arm(&mut state);
            return Ok(GetAnswer::Unread);
        }
        let taken = state.backlog.pop_resident();
        state.backlog.select_highest();
        self.arm(&mut state);
        let Some(entry) = taken else {
            state.counters.get_empty += 1;
            return Ok(GetAnswer::Nothing);
        };
        state.count_get(&entry, no_ack);
        // Expired messages behind it are dropped (RabbitMQ: `rabbit_amqqueue_process:fetch`).
        state.expire(now);
        Ok(GetAnswer::Message(entry, count_u32(state.backlog.len())))
    }

    /// The same for a caller that may block its thread until the message is read; other work of the thread goes on
    /// meanwhile.
    pub fn get_waiting(&self, no_ack: bool, now: Millis) -> Result<Option<(Entry, u32)>, Fault> {
        let (read, is_read) = mpsc::channel();
        let reader = Waker::from(Arc::new(WakeThread(read)));
        loop {
            match self.get(no_ack, now, &reader)? {
                GetAnswer::Message(entry, left) => return Ok(Some((entry, left))),
                GetAnswer::Nothing => return Ok(None),
                GetAnswer::Unread => {
                    self.shared.blocking.run(|| is_read.recv()).map_err(|_| self.cannot_read())?;
                }
            }
        }
    }

    fn check_gettable(&self) -> Result<(), Fault> {
        let is_single = self.settings.wanted.is_single_active_consumer && self.is_quorum();
        if !is_single {
            return Ok(());
        }
        // RabbitMQ 4 prints its term for the type.
        let kind = if self.shared.compat.get().is_3_10() { "quorum" } else { "<<\"quorum\">>" };
        let text = format!(
            "cannot obtain access to locked {}. basic.get operations are not supported by {kind} queues \
             with single active consumer",
            self.noun()
        );
        Err(Fault::new(ReplyCode::ResourceLocked, text))
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
        self.counters.redeliver += u64::from(entry.is_redelivered());
        if no_ack {
            self.counters.get_no_ack += 1;
        } else {
            self.counters.get += 1;
            self.unacked.add(1, entry.body_len.into());
            self.after_unlock.delivered(entry);
        }
    }
}
