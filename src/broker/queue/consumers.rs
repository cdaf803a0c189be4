//! The consumers of a queue: who may get the next message, in turn.
//!
//! As in RabbitMQ (`rabbit_queue_consumers`) a consumer is either active, standing in the round-robin, or
//! blocked because it has no credit; it comes back to the end of the line when credit does. So finding the next
//! receiver costs the same for one consumer and for ten thousand.
//!
//! A consumer of a higher priority stands before all of lower ones, at the end of its own. Of a queue with a single
//! active consumer only that one stands in line (`single`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::single::Single;
use crate::broker::mailbox::{ConsumerSlot, Mailbox};
use crate::wire::{FieldTable, FieldValue, ShortStr};

/// The prefetch limit that all consumers of a channel share (`basic.qos` with `global`).
///
/// One connection's task changes it; queues of other tasks read it, so it is atomic.
#[derive(Debug, Default)]
pub struct ChannelLimit {
    /// Most unacknowledged deliveries; 0 for no limit.
    most: AtomicU32,
    used: AtomicU32,
}

impl ChannelLimit {
    pub fn set_most(&self, most: u32) {
        self.most.store(most, Ordering::Release);
    }

    pub fn most(&self) -> u32 {
        self.most.load(Ordering::Acquire)
    }

    fn has_credit(&self) -> bool {
        let most = self.most();
        most == 0 || self.used.load(Ordering::Acquire) < most
    }

    /// Takes one delivery's worth of a limit that is set; whether there was any left.
    fn try_take(&self) -> bool {
        let most = self.most();
        let below = |used: u32| (most == 0 || used < most).then_some(used + 1);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, below).is_ok()
    }

    /// Counts deliveries that must be acknowledged.
    pub(super) fn take(&self, count: u32) {
        self.used.fetch_add(count, Ordering::AcqRel);
    }

    /// Counts `count` deliveries as settled.
    pub fn give_back(&self, count: u32) {
        self.used.fetch_sub(count, Ordering::AcqRel);
    }
}

/// What a connection asks for with `basic.consume`.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub tag: ShortStr,
    /// Name of the connection and number of its channel, for listings.
    pub connection: Arc<str>,
    pub channel: u16,
    pub slot: ConsumerSlot,
    pub mailbox: Arc<Mailbox>,
    pub limit: Arc<ChannelLimit>,
    /// Most unacknowledged deliveries of this consumer; 0 for no limit.
    pub prefetch: u32,
    pub no_ack: bool,
    pub exclusive: bool,
    pub arguments: FieldTable,
}

impl Subscription {
    /// `x-priority`; 0 when it is not said.
    pub fn priority(&self) -> i64 {
        self.arguments.get("x-priority").and_then(FieldValue::as_integer).unwrap_or_default()
    }
}

/// Names one consumer of one queue, also after it has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerId {
    at: usize,
    serial: u64,
}

#[derive(Debug)]
pub(super) struct Consumer {
    serial: u64,
    pub(super) subscription: Subscription,
    /// `x-priority`
    pub(super) priority: i64,
    /// Deliveries not settled yet.
    pub(super) in_flight: u32,
    /// How many were blocked before it; `None` while it stands in line.
    blocked: Option<u64>,
}

impl Consumer {
    /// A channel whose limit is used up gets nothing, not even what needs no acknowledgement (RabbitMQ:
    /// `rabbit_limiter:can_send`).
    fn has_credit(&self) -> bool {
        let wanted = &self.subscription;
        (wanted.no_ack || wanted.prefetch == 0 || self.in_flight < wanted.prefetch)
            && wanted.limit.has_credit()
    }

    /// How many messages it may be given now, at least one when it [`Self::has_credit`].
    ///
    /// A channel's common limit is asked for one message at a time: other queues take from it as well.
    pub(super) fn credit(&self) -> u32 {
        let wanted = &self.subscription;
        match (wanted.no_ack, wanted.prefetch, wanted.limit.most()) {
            (true, _, _) | (false, 0, 0) => u32::MAX,
            (false, prefetch, 0) => prefetch - self.in_flight.min(prefetch),
            (false, _, _) => 1,
        }
    }

    /// Takes the consumer's share of its channel's limit for what it is about to be given.
    ///
    /// `None` when a queue on another thread was quicker.
    pub(super) fn share(&self) -> Option<Share> {
        let limit = &self.subscription.limit;
        match (self.subscription.no_ack, limit.most()) {
            (true, _) => Some(Share::Free),
            (false, 0) => Some(Share::Unlimited),
            (false, _) => limit.try_take().then_some(Share::One),
        }
    }

    /// Counts deliveries to this consumer.
    pub(super) fn count_deliveries(&mut self, count: u32) {
        if !self.subscription.no_ack {
            self.in_flight += count;
        }
    }
}

/// What a run of deliveries costs of a channel's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Nothing: they need no acknowledgement.
    Free,
    /// Each counts, in case a limit is set later.
    Unlimited,
    /// One, taken already.
    One,
}

impl Share {
    /// Counts what was really given.
    pub(super) fn count(self, limit: &ChannelLimit, given: u32) {
        match (self, given) {
            (Self::Free, _) | (Self::One, 1..) => {}
            (Self::Unlimited, _) => limit.take(given),
            (Self::One, 0) => limit.give_back(1),
        }
    }
}

/// All consumers of a queue.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    pub(super) slots: Vec<Option<Consumer>>,
    free: Vec<usize>,
    /// Those that may have credit, next receiver first.
    active: VecDeque<usize>,
    count: usize,
    next_serial: u64,
    /// How often a consumer was blocked.
    blockings: u64,
    /// Some consumer has, or had, a priority.
    has_priorities: bool,
    /// Who is served, when only one is.
    pub(super) single: Option<Box<Single>>,
}

impl Consumers {
    /// Consumers of a queue that serves one at a time.
    pub(super) fn one_at_a_time(single: Single) -> Self {
        Self { single: Some(Box::new(single)), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.slots.iter().flatten()
    }

    /// Share of the consumers that could take a message now, 0 to 1; 0 without consumers.
    pub(super) fn capacity(&self) -> f64 {
        let able = self.iter().filter(|consumer| consumer.has_credit()).count();
        #[expect(clippy::cast_precision_loss, reason = "a share for display")]
        let share = able as f64 / self.count.max(1) as f64;
        share
    }

    pub(super) fn has_exclusive(&self) -> bool {
        self.iter().any(|consumer| consumer.subscription.exclusive)
    }

    pub(super) fn add(&mut self, subscription: Subscription) -> ConsumerId {
        let serial = self.next_serial;
        self.next_serial += 1;
        let priority = subscription.priority();
        self.has_priorities |= priority != 0;
        let consumer = Consumer { serial, subscription, priority, in_flight: 0, blocked: None };
        let at = self.free.pop().unwrap_or(self.slots.len());
        if at == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[at] = Some(consumer);
        self.count += 1;
        if self.single.is_some() {
            self.apply(at);
        } else {
            self.stand_in_line(at);
        }
        ConsumerId { at, serial }
    }

    /// Puts a consumer at the end of the line, or of its priority's part of it.
    ///
    /// Cost: with priorities as many moves as there are consumers of lower ones, eight bytes each.
    #[inline]
    pub(super) fn stand_in_line(&mut self, at: usize) {
        if self.has_priorities {
            let behind = behind(&self.slots, &self.active, at);
            self.active.insert(behind, at);
        } else {
            self.active.push_back(at);
        }
    }

    /// Takes a consumer out of the line.
    pub(super) fn leave_line(&mut self, at: usize) {
        self.active.retain(|&other| other != at);
    }

    /// Takes a consumer out; answers whether it was the one that is served, so that [`Self::hand_over`] is to follow.
    pub(super) fn remove(&mut self, id: ConsumerId) -> Option<bool> {
        self.get_mut(id)?;
        self.leave_line(id.at);
        self.count -= 1;
        self.free.push(id.at);
        self.slots[id.at] = None;
        Some(self.left(id.at))
    }

    pub(super) fn remove_all(&mut self) -> Vec<Subscription> {
        self.active.clear();
        self.free.clear();
        self.count = 0;
        if let Some(single) = &mut self.single {
            single.forget_all();
        }
        self.slots.drain(..).flatten().map(|consumer| consumer.subscription).collect()
    }

    fn get_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.slots.get_mut(id.at)?.as_mut().filter(|consumer| consumer.serial == id.serial)
    }

    /// The consumer whose turn it is; one without credit leaves the line.
    #[inline]
    pub(super) fn next(&mut self) -> Option<&mut Consumer> {
        loop {
            let &at = self.active.front()?;
            let consumer = self.slots[at].as_mut().expect("who is in line is there");
            if consumer.has_credit() {
                break;
            }
            consumer.blocked = Some(self.blockings);
            self.blockings += 1;
            self.active.pop_front();
        }
        let &at = self.active.front()?;
        self.slots[at].as_mut()
    }

    /// Sends the consumer whose turn it was to the end of the line.
    #[inline]
    pub(super) fn rotate(&mut self) {
        if self.active.len() > 1 {
            if self.has_priorities {
                let Some(at) = self.active.pop_front() else { return };
                self.stand_in_line(at);
            } else {
                self.active.rotate_left(1);
            }
        }
    }

    /// Takes the consumer whose turn it is out of the line until it is unblocked.
    pub(super) fn block_front(&mut self) {
        if let Some(at) = self.active.pop_front()
            && let Some(consumer) = &mut self.slots[at]
        {
            consumer.blocked = Some(self.blockings);
            self.blockings += 1;
        }
    }

    /// Counts settled deliveries of a consumer, which may bring it back into the line.
    pub(super) fn settle(&mut self, id: ConsumerId, count: u32) {
        let Some(consumer) = self.get_mut(id) else { return };
        consumer.in_flight -= count.min(consumer.in_flight);
        self.unblock_at(id.at);
        if self.single.is_some() {
            self.fade(id.at);
        }
    }

    fn unblock_at(&mut self, at: usize) {
        if let Some(Some(consumer)) = self.slots.get_mut(at)
            && consumer.blocked.is_some()
            && consumer.has_credit()
        {
            consumer.blocked = None;
            self.stand_in_line(at);
        }
    }

    /// Looks again at consumers: their channel's limit or their mailbox may have room now. Who was blocked first is the
    /// first in line.
    pub(super) fn unblock(&mut self, ids: impl IntoIterator<Item = ConsumerId>) {
        let mut blocked = Vec::new();
        for id in ids {
            let consumer = self.get_mut(id);
            blocked.extend(consumer.and_then(|consumer| Some((consumer.blocked?, id.at))));
        }
        blocked.sort_unstable();
        for (_, at) in blocked {
            self.unblock_at(at);
        }
    }
}

/// Where in a line a consumer belongs: behind all of its priority or a higher one.
pub(super) fn behind(slots: &[Option<Consumer>], line: &VecDeque<usize>, at: usize) -> usize {
    let priority = |at: usize| slots[at].as_ref().map(|consumer| consumer.priority);
    let own = priority(at);
    line.partition_point(|&other| priority(other) >= own)
}
