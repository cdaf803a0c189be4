//! What becomes of a queue's deliveries when clients have made up their minds: acknowledged, dropped, or rejected and so
//! dead-lettered; or given back, to where they stood ([`Queue::put_back`]).

use super::end::Life;
use super::quorum::Cause;
use super::{ConsumerId, Entry, Millis, Queue, State};
use crate::broker::dead_letter::Reason;

/// Deliveries that are settled in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub count: u64,
    pub bytes: u64,
    /// Acknowledged; otherwise rejected or dropped.
    pub is_ack: bool,
}

/// A delivery on its way back.
#[derive(Clone, Debug)]
pub struct Returned {
    pub entry: Entry,
    /// `None` for `basic.get`.
    pub consumer: Option<ConsumerId>,
    /// It was not counted as unacknowledged.
    pub no_ack: bool,
    /// It was rejected, or lost with its consumer; as all are that come back with it.
    pub has_failed: bool,
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
        state.unacked = state.unacked.saturating_sub(settled.count);
        state.unacked_bytes = state.unacked_bytes.saturating_sub(settled.bytes);
        state.counters.ack += if settled.is_ack { settled.count } else { 0 };
        if let Some(id) = consumer {
            if state.stream.is_some() {
                return self.settle_with_stream(state, id, settled, now);
            }
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
        let mut state = self.lock();
        let mut left = entries;
        // What is in a stream does not die of a rejection.
        if state.stream.is_none() && state.has_dead_letter_exchange() {
            left.drain(..).for_each(|entry| state.die(entry, Reason::Rejected, now));
        }
        self.settle_in(&mut state, consumer, settled, now);
        left
    }

    /// Takes back what nobody has any more: it was not acknowledged, or never left the broker. `returned` must be in the
    /// order of positions; for a quorum queue in that of deliveries.
    pub fn put_back(&self, returned: Vec<Returned>, now: Millis) {
        self.take_back(returned, Cause::Loss, now);
    }

    /// The same for what a client gave back.
    pub fn requeue(&self, returned: Vec<Returned>, now: Millis) {
        self.take_back(returned, Cause::Client, now);
    }

    fn take_back(&self, returned: Vec<Returned>, cause: Cause, now: Millis) {
        let mut state = self.lock();
        if state.stream.is_some() {
            return self.put_back_to_stream(&mut state, &returned, now);
        }
        let has_failed = returned.first().is_some_and(|first| first.has_failed);
        let mut entries = Vec::with_capacity(returned.len());
        for one in returned {
            state.uncount(&one);
            entries.push(one.entry);
        }
        if state.life == Life::Over {
            state.errands.dropped(entries.iter().filter_map(|entry| entry.place));
            return;
        }
        let rule = self.delivery_rule(&state);
        if let Some(rule) = rule {
            entries = state.let_go_of_poison(entries, rule, now);
        }
        // 3.10 knows nothing of it.
        if self.is_quorum() && !self.shared.compat.get().is_3_10() {
            entries = state.defer(entries, has_failed, now);
        }
        state.put_back_all(entries, self.place_of_returned(rule, cause));
        // What is too much or too old by now goes before anybody gets it again
        // (RabbitMQ: `rabbit_amqqueue_process:requeue_and_run`).
        state.trim(now);
        state.expire(now);
        state.deal(now);
        self.arm(&mut state);
    }
}

impl State {
    /// Forgets that a message was given to somebody.
    fn uncount(&mut self, returned: &Returned) {
        if !returned.no_ack {
            self.unacked = self.unacked.saturating_sub(1);
            let bytes = u64::from(returned.entry.body_len);
            self.unacked_bytes = self.unacked_bytes.saturating_sub(bytes);
        }
        if let Some(id) = returned.consumer {
            self.consumers.settle(id, 1);
        }
    }
}
