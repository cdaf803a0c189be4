//! Settles the deliveries of a queue as clients decide: acknowledged, dropped, or rejected and so dead-lettered; or
//! given back, to where they stood ([`Queue::put_back`]).

use super::backlog::return_to::ReturnTo;
use super::consumers::consumer::ConsumerId;
use super::life::Life;
use super::outbox::DeathReason;
use super::returns::ReturnCause;
use super::settled::{Returned, Settled};
use super::state::{Queue, State};
use crate::broker::entry::Entry;
use crate::broker::time::Millis;
use crate::moment;

/// The counts that a returned delivery is part of, without its entry.
struct Count {
    consumer: Option<ConsumerId>,
    no_ack: bool,
    has_failed: bool,
    bytes: u64,
}

impl Returned {
    fn apart(self) -> (Count, Entry) {
        let Self { entry, consumer, no_ack, has_failed } = self;
        (Count { consumer, no_ack, has_failed, bytes: entry.body_len.into() }, entry)
    }
}

impl Queue {
    /// Forgets `count` deliveries of a consumer (`None`: of `basic.get`) that were acknowledged or dropped.
    ///
    /// Cost: one lock for the whole run of deliveries; the consumer is dealt what its credit allows.
    pub fn settle(&self, consumer: Option<ConsumerId>, settled: Settled, now: Millis) {
        self.settle_in(&mut self.lock(), consumer, settled, now);
    }

    fn settle_in(
        &self,
        state: &mut State,
        consumer: Option<ConsumerId>,
        settled: Settled,
        now: Millis,
    ) {
        state.counters.ack += if settled.is_ack { settled.count } else { 0 };
        if state.kind.is_stream() {
            return self.settle_with_stream(state, consumer, settled, now);
        }
        state.unacked.remove(settled.count, settled.bytes);
        if let Some(id) = consumer {
            state.consumers.settle(id, u32::try_from(settled.count).unwrap_or(u32::MAX));
            state.deal(now);
            self.arm(state);
        }
    }

    /// Takes back deliveries of a consumer (`None`: of `basic.get`) that were rejected; answers those that go nowhere
    /// else, for who asks to settle.
    pub fn reject(
        &self,
        consumer: Option<ConsumerId>,
        entries: Vec<Entry>,
        now: Millis,
    ) -> Vec<Entry> {
        let bytes = entries.iter().map(|entry| u64::from(entry.body_len)).sum();
        let settled = Settled { count: entries.len() as u64, bytes, is_ack: false };
        let mut in_transit = InTransit { queue: self, entries, now };
        moment::reach("queue.settle");
        let mut state = self.lock();
        // A message in a stream does not die of a rejection.
        if !state.kind.is_stream() && state.has_dead_letter_exchange() {
            in_transit.entries.reverse();
            while let Some(entry) = in_transit.entries.pop() {
                state.dead_letter(entry, DeathReason::Rejected, now);
            }
        }
        self.settle_in(&mut state, consumer, settled, now);
        std::mem::take(&mut in_transit.entries)
    }

    /// Takes back deliveries that no client has any more: they were not acknowledged, or never left the broker.
    /// `returned` must be in the order of positions; for a quorum queue in that of deliveries.
    pub fn put_back(&self, returned: Vec<Returned>, now: Millis) {
        self.take_back(returned, ReturnCause::Loss, now);
    }

    /// The same for deliveries that a client gave back.
    pub fn requeue(&self, returned: Vec<Returned>, now: Millis) {
        self.take_back(returned, ReturnCause::Client, now);
    }

    fn take_back(&self, returned: Vec<Returned>, cause: ReturnCause, now: Millis) {
        let has_failed = returned.first().is_some_and(|first| first.has_failed);
        if self.is_stream() {
            return self.put_back_to_stream(&mut self.lock(), &returned, now);
        }
        let (counts, entries) =
            returned.into_iter().map(Returned::apart).unzip::<_, _, Vec<_>, _>();
        let mut in_transit = InTransit { queue: self, entries, now };
        moment::reach("queue.settle");
        let mut state = self.lock();
        for (count, entry) in counts.iter().zip(&in_transit.entries) {
            state.uncount(count);
            // A failure is what was remembered of its delivery, if it had to be settled.
            if !count.has_failed || count.no_ack {
                state.after_unlock.returned(entry);
            }
        }
        let mut entries = std::mem::take(&mut in_transit.entries);
        if state.life == Life::Deleted {
            state.after_unlock.dropped(entries.iter().filter_map(|entry| entry.place));
            return;
        }
        let rule = self.delivery_rule(&state);
        if let Some(rule) = rule {
            entries = state.drop_over_limit(entries, rule, now);
        }
        // 3.10 knows nothing of it.
        if self.is_quorum() && !self.shared.compat.get().is_3_10() {
            entries = state.delay_retry(entries, has_failed, now);
        }
        state.backlog.put_back(entries, self.place_of_returned(rule, cause));
        // Messages that are too many or too old by now go before a consumer gets them again (RabbitMQ:
        // `rabbit_amqqueue_process:requeue_and_run`).
        state.trim(now);
        state.expire(now);
        state.deal(now);
        self.arm(&mut state);
    }
}

/// Messages that are between a client and their queue. Should a bug stop them there, the queue has them as if they were
/// new.
struct InTransit<'a> {
    queue: &'a Queue,
    entries: Vec<Entry>,
    now: Millis,
}

impl Drop for InTransit<'_> {
    fn drop(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let mut state = self.queue.lock();
        if !state.kind.is_stream() {
            let entries = std::mem::take(&mut self.entries);
            state.backlog.put_back(entries, ReturnTo::OldPosition);
            state.deal(self.now);
            self.queue.arm(&mut state);
        }
    }
}

impl State {
    /// Forgets that a message was given to a client.
    fn uncount(&mut self, count: &Count) {
        if !count.no_ack {
            self.unacked.remove(1, count.bytes);
        }
        if let Some(id) = count.consumer {
            self.consumers.settle(id, 1);
        }
    }
}
