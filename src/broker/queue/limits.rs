//! The limits that apply to a queue now, and the effects of a change.

use super::life::Life;
use super::outbox::DeathReason;
use super::state::{Queue, State};
use super::taken::Taken;
use crate::broker::arguments::{Limits, Overflow};
use crate::broker::entry::Entry;
use crate::broker::message::Message;
use crate::broker::time::Millis;
use crate::store::Place;

impl Queue {
    /// Replaces the limits: a policy came, changed or went.
    ///
    /// Messages that wait keep the time to live they came with, as in RabbitMQ.
    pub fn set_limits(&self, limits: Limits, now: Millis) {
        let mut state = self.lock();
        let expires_ms = state.limits.as_deref().and_then(|limits| limits.expires_ms);
        if limits.expires_ms != expires_ms {
            // RabbitMQ: the time begins anew (`rabbit_amqqueue_process:init_exp`).
            state.used_at = state.used_at.max(now);
        }
        let timeout_ms = limits.consumer_timeout_ms;
        if timeout_ms.is_some() && timeout_ms != state.consumer_timeout() {
            state.tell_consumer_timeout();
        }
        state.limits = boxed(limits);
        state.refresh_fast_path();
        state.trim(now);
        self.retire_if_due(&mut state, now);
        self.arm(&mut state);
    }

    /// Marks the queue as used now, which puts off its own expiry (`x-expires`); answers whether it stays, for all
    /// that is known.
    pub fn touch(&self, now: Millis) -> bool {
        let mut state = self.lock();
        state.used_at = state.used_at.max(now);
        state.life == Life::Living
    }

    /// Returns the limits that apply now.
    pub fn limits(&self) -> Limits {
        self.lock().limits.as_deref().cloned().unwrap_or_default()
    }
}

/// The number of messages that a queue drops under one lock: a fraction of a millisecond. The timer goes on with more.
const PIECE_LEN: usize = if cfg!(test) { 64 } else { 256 };

/// The result of dropping expired messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// None is left, as far as can be seen.
    All,
    /// There are more.
    Some,
}

/// A queue without limits has none to look at.
pub(super) fn boxed(limits: Limits) -> Option<Box<Limits>> {
    (!limits.is_none()).then(|| Box::new(limits))
}

impl State {
    /// Recomputes whether publishes need care; called whenever the limits or the priorities change.
    pub(super) fn refresh_fast_path(&mut self) {
        self.is_special = self.limits.is_some()
            || self.backlog.has_priorities()
            || !self.kind.takes_publishes_plainly();
    }

    /// Answers whether the queue has limits, beside those that its messages carry themselves.
    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.limits.is_some()
    }

    /// Answers whether there is no room for a message, so that it is refused (RabbitMQ:
    /// `rabbit_amqqueue_process:will_overflow`, which looks at no consumer).
    #[inline(never)]
    pub(super) fn is_full_for(&self, message: &Message) -> bool {
        let Some(limits) = self.limits.as_deref().filter(|limits| limits.may_reject()) else {
            return false;
        };
        let (letters, letter_bytes) = self.counted_letters();
        let bytes = self.backlog.bytes() + letter_bytes + message.body().len() as u64;
        limits.is_exceeded_by((self.backlog.len() + letters) as u64 + 1, bytes)
    }

    /// Refuses a message; the dead letter exchange gets it if the overflow setting says so.
    #[cold]
    pub(super) fn refuse(&mut self, message: Message, place: Option<Place>, now: Millis) -> Taken {
        let overflow = self.limits.as_deref().map(|limits| limits.overflow);
        if overflow == Some(Overflow::RejectPublishDlx) && self.has_dead_letter_exchange() {
            let entry = Entry { message: Some(message), ..Entry::unplaced(place) };
            self.dead_letter(entry, DeathReason::MaxLen, now);
            Taken::Died
        } else {
            self.after_unlock.dropped(place);
            Taken::Refused
        }
    }

    /// Answers whether more messages wait than the limits allow.
    fn is_too_long(&self) -> bool {
        let is_exceeded = |limits: &Limits| {
            limits.overflow == Overflow::DropHead
                && limits.is_exceeded_by(self.backlog.len() as u64, self.backlog.bytes())
        };
        self.limits.as_deref().is_some_and(is_exceeded)
    }

    /// Returns the time to go on dropping: at once, unless the first message is being read or could not be.
    pub(super) fn trim_at(&self) -> Option<Millis> {
        let is_due = self.is_limited() && self.is_too_long() && !self.backlog.is_front_being_read();
        is_due.then(|| self.backlog.reads_again_at().unwrap_or(0))
    }

    /// Drops the oldest messages while more wait than the limits allow; goes on when the page of the first one has been
    /// read.
    pub(super) fn trim(&mut self, now: Millis) {
        for _ in 0..PIECE_LEN {
            if !self.is_too_long() || self.backlog.is_front_put_off(now) {
                return;
            }
            if self.backlog.is_front_paged() {
                return self.ask_to_read(now);
            }
            if let Some(entry) = self.backlog.pop_front() {
                self.dead_letter(entry, DeathReason::MaxLen, now);
            }
        }
    }

    /// Drops expired messages at the head (RabbitMQ: a classic queue looks at its head only).
    ///
    /// Drops at most one piece; the caller sets the timer, which goes on. Dropping also goes on when the page of the
    /// first message has been read.
    #[inline]
    pub(super) fn expire(&mut self, now: Millis) -> Expired {
        if self.backlog.has_deadlines() { self.expire_some(now) } else { Expired::All }
    }

    fn expire_some(&mut self, now: Millis) -> Expired {
        for _ in 0..PIECE_LEN {
            if self.backlog.is_front_put_off(now) {
                return Expired::All;
            }
            if !self.backlog.has_expired(now) {
                return Expired::All;
            }
            if self.backlog.is_front_paged() {
                self.ask_to_read(now);
                return Expired::All;
            }
            if let Some(entry) = self.backlog.pop_front() {
                self.dead_letter(entry, DeathReason::Expired, now);
            }
        }
        if self.backlog.has_expired(now) { Expired::Some } else { Expired::All }
    }

    /// Returns the time at which an unused queue is deleted: without consumers, `x-expires` after its last use.
    pub(super) fn expires_at(&self) -> Option<Millis> {
        let after = self.limits.as_deref()?.expires_ms?;
        let is_unused = self.consumers.len() == 0 && self.life != Life::Deleted;
        is_unused.then(|| self.used_at.saturating_add(after))
    }

    /// Returns the time at which a message expires here, by the smaller of the queue's and its own time to live
    /// (RabbitMQ: "TTL").
    #[inline]
    pub(super) fn deadline(&self, message: &Message, now: Millis) -> Millis {
        let own = self.limits.as_deref().and_then(|limits| limits.message_ttl_ms);
        match (own, message.time_to_live_ms()) {
            (None, None) => Millis::MAX,
            (Some(ttl), None) | (None, Some(ttl)) => now.saturating_add(ttl),
            (Some(one), Some(other)) => now.saturating_add(one.min(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::queue::settled::Returned;
    use crate::broker::queue::subscribe::Left;
    use crate::broker::queue::taken::Taken;
    use crate::broker::queue::tests::Bench;

    #[test]
    fn a_shorter_limit_drops_the_oldest_piece_by_piece() {
        let bench = Bench::new();
        let count = u32::try_from(PIECE_LEN * 3).unwrap();
        (0..count).for_each(|number| bench.push_kept(number));
        bench.queue.set_limits(Limits { max_length: Some(10), ..Limits::default() }, 0);
        let first = bench.queue.counts().ready;
        assert_eq!(first as usize, PIECE_LEN * 2);
        assert_eq!(bench.queue.lock().timer_at, Some(0), "the timer goes on at once");
        (0..2).for_each(|_| assert!(!bench.queue.on_time(0)));
        assert_eq!(bench.queue.counts().ready, 10);
        assert_eq!(bench.get(true, 0).map(|(entry, _)| Bench::number(&entry)), Some(count - 10));
    }

    #[test]
    fn what_comes_back_may_be_too_much() {
        let bench = Bench::new();
        bench.queue.set_limits(Limits { max_length_bytes: Some(2048), ..Limits::default() }, 0);
        (0..2).for_each(|number| bench.push_kept(number));
        let consumer = bench.subscribe(1);
        let taken = bench.take(1);
        bench.push_kept(2);
        assert_eq!(bench.queue.unsubscribe(consumer, 0), Left::Stays);
        let back = |entry| Returned { entry, consumer: None, no_ack: false, has_failed: false };
        bench.queue.put_back(taken.into_iter().map(back).collect(), 0);
        assert_eq!(bench.get(true, 0).map(|(entry, _)| Bench::number(&entry)), Some(1));
    }

    #[test]
    fn a_full_queue_refuses_what_it_is_told_to_refuse() {
        let bench = Bench::new();
        let limits =
            Limits { max_length: Some(1), overflow: Overflow::RejectPublish, ..Limits::default() };
        bench.queue.set_limits(limits, 0);
        let push = || bench.queue.push(Bench::message(0), Some(bench.append(0)), 0);
        assert_eq!([push(), push()], [Taken::Yes, Taken::Refused]);
        bench.queue.set_limits(Limits::default(), 0);
        assert_eq!(push(), Taken::Yes);
    }

    #[test]
    fn a_new_time_to_expire_begins_when_it_is_told() {
        let bench = Bench::new();
        bench.queue.set_limits(Limits { expires_ms: Some(100), ..Limits::default() }, 50);
        assert!(!bench.queue.on_time(149));
        assert!(bench.queue.on_time(150));
        bench.queue.set_limits(Limits::default(), 150);
        assert!(!bench.queue.on_time(1_000));
    }

    #[test]
    fn whoever_gets_from_a_queue_does_not_wait_for_the_timer() {
        let bench = Bench::new();
        bench.queue.set_limits(Limits { message_ttl_ms: Some(5), ..Limits::default() }, 0);
        let count = u32::try_from(PIECE_LEN * 3).unwrap();
        (0..count).for_each(|number| bench.push_kept(number));
        bench.queue.set_limits(Limits::default(), 0);
        bench.push_kept(count);
        assert_eq!(bench.get(true, 5).map(|(entry, _)| Bench::number(&entry)), Some(count));
    }
}
