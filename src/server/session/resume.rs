//! The end of a round, and the ends of waits: confirms and commits that are on disk, messages that were read, alarms.

use super::round::RoundPublished;
use super::state::{Context, Phase, Running, Session};
use super::tx;
use crate::broker::time::Millis;
use crate::store::{Batch, Outcome, Store};
use crate::wire::frame;
use crate::wire::method::connection;
use crate::wire::shortstr::literal;

impl Session {
    /// Ends the waits whose batch is there: confirms, `tx.commit-ok`, reading on; answers whether the first one was
    /// there.
    pub(super) fn end_waits(&mut self, now: Millis, out: &mut Vec<u8>) -> bool {
        let Phase::Running(running) = &mut self.phase else { return false };
        let (Some(awaited), Some(store)) = (running.waits.awaits(), &self.cx.broker.store) else {
            return false;
        };
        if store.outcome(awaited) == Outcome::Waiting {
            return false;
        }
        if let Some((channel, batch)) = running.on_batch(store, out) {
            match store.outcome(batch) {
                Outcome::Synced => tx::write_commit_ok(channel, out),
                Outcome::Waiting | Outcome::Failed => {
                    self.on_fault(channel, &tx::partly_committed(), now, out);
                    self.tell_settled();
                }
            }
        }
        self.resume(now);
        true
    }

    /// Answers the `basic.get` whose message has been read.
    pub(super) fn on_get_read(&mut self, now: Millis, out: &mut Vec<u8>) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Some((number, get)) = running.waits.take_get() else { return };
        let mut got = Ok(());
        // The broker may have closed the channel meanwhile.
        if running.channels.get(&number).is_some_and(|channel| !channel.awaits_close_ok) {
            got = running.on_get(&self.cx, number, get, now, out);
            running.round.gathered.push(number);
            running.finish_round(&self.cx, now, out);
        }
        self.resume(now);
        if let Err(fault) = got {
            self.on_fault(number, &fault, now, out);
        }
    }

    /// Notes that one of the queues with rejected messages has read them.
    pub(super) fn on_dead_letters_read(&mut self, now: Millis) {
        let Phase::Running(running) = &mut self.phase else { return };
        running.waits.end_dead_letters();
        self.resume(now);
    }

    /// Reads on unless something else holds the connection; the time without reading counts for no heartbeat.
    fn resume(&mut self, now: Millis) {
        if !self.is_held() {
            self.cx.heartbeat.on_received(now);
        }
    }

    /// Settles with the store the messages that were settled by writing them.
    pub(super) fn tell_settled(&mut self) {
        if let Phase::Running(running) = &mut self.phase {
            running.round.tell_settled(self.cx.broker.store.as_deref());
        }
    }

    /// Stops a connection at the content of a message, because an alarm is on.
    ///
    /// RabbitMQ (`rabbit_reader`) handles the frame that it stops at, and so takes a message without a body. Here the
    /// message waits, however small it is.
    #[cold]
    pub(super) fn block(&mut self, out: &mut Vec<u8>) {
        let Phase::Running(running) = &mut self.phase else { return };
        running.waits.set_blocked(true);
        self.cx.connection.is_blocked.set(true);
        if running.wants_blocked {
            let reason = literal(self.cx.broker.alarm.reason());
            frame::write_method(out, 0, &connection::Blocked { reason }.into());
        }
    }

    /// Goes on with a connection that an alarm has stopped.
    pub(super) fn on_unblocked(&mut self, now: Millis, out: &mut Vec<u8>) {
        let Phase::Running(running) = &mut self.phase else { return };
        // Another alarm may have begun since this was posted; its end will be posted as well.
        if !running.waits.is_blocked() || self.cx.broker.alarm.is_on() {
            return;
        }
        running.waits.set_blocked(false);
        self.cx.connection.is_blocked.set(false);
        if running.wants_blocked {
            frame::write_method(out, 0, &connection::Unblocked {}.into());
        }
        self.resume(now);
    }
}

impl Running {
    /// Does the work that the frames of a round left for its end: confirms, settlements, memory back to the allocator;
    /// then holds the connection if the store is congested.
    pub(super) fn finish_round(&mut self, cx: &Context, now: Millis, out: &mut Vec<u8>) {
        let store = cx.broker.store.as_deref();
        for number in std::mem::take(&mut self.round.confirming) {
            let Some(channel) = self.channels.get_mut(&number) else { continue };
            if let Some(batch) = channel.write_confirms(store, out) {
                self.waits.add_confirms(number, batch);
            }
        }
        self.round.tell_settled(store);
        for number in std::mem::take(&mut self.round.gathered) {
            if let Some(channel) = self.channels.get_mut(&number) {
                channel.end_round(now);
            }
        }
        let published = std::mem::take(&mut self.round.published);
        if published == RoundPublished::Nothing {
            return;
        }
        if published == RoundPublished::ToKeep
            && let Some(store) = store
        {
            // Only now: the messages of this round are with their consumers.
            store.wake_writer();
        }
        if published == RoundPublished::ToKeep
            && let Some(store) = store
            && store.is_congested()
        {
            self.waits.hold_until(store.latest());
        }
    }

    /// Sends confirms that are due and ends the waits for batches that are there; returns a commit that ends with them.
    fn on_batch(&mut self, store: &Store, out: &mut Vec<u8>) -> Option<(u16, Batch)> {
        let is_there = |batch: Batch| store.outcome(batch) != Outcome::Waiting;
        let commit = self.waits.take_commit(is_there);
        let channels = &mut self.channels;
        let confirm = |number: u16| channels.get_mut(&number)?.write_confirms(Some(store), out);
        self.waits.on_batch(is_there, confirm);
        commit
    }
}
