//! One consumer of a queue, and its credit: how many more messages it may be given.

use std::sync::Arc;

use super::channel_limit::ChannelLimit;
use crate::broker::mailbox::{ConsumerSlot, Mailbox};
use crate::wire::{FieldTable, FieldValue, ShortStr};

/// A consumer as its connection asks for it with `basic.consume`.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub tag: ShortStr,
    /// The name of the connection and the number of its channel, for listings.
    pub connection: Arc<str>,
    pub channel: u16,
    pub slot: ConsumerSlot,
    pub mailbox: Arc<Mailbox>,
    pub limit: Arc<ChannelLimit>,
    /// The most unacknowledged deliveries of this consumer; 0 for no limit.
    pub prefetch: u32,
    pub no_ack: bool,
    pub exclusive: bool,
    pub arguments: FieldTable,
}

impl Subscription {
    /// Reads `x-priority`; 0 if it is not given.
    pub fn priority(&self) -> i64 {
        self.arguments.get("x-priority").and_then(FieldValue::as_integer).unwrap_or_default()
    }
}

/// Names one consumer of one queue, also after it has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerId {
    pub(super) at: usize,
    pub(super) serial: u64,
}

/// A consumer that is there.
#[derive(Debug)]
pub(in crate::broker::queue) struct Consumer {
    pub(super) serial: u64,
    subscription: Subscription,
    /// `x-priority`
    pub(super) priority: i64,
    /// Deliveries not settled yet.
    in_flight: u32,
    /// The number of consumers that were blocked before it; `None` while it stands in line.
    pub(super) blocked: Option<u64>,
}

impl Consumer {
    pub(super) fn new(serial: u64, subscription: Subscription) -> Self {
        let priority = subscription.priority();
        Self { serial, subscription, priority, in_flight: 0, blocked: None }
    }

    #[inline]
    pub(in crate::broker::queue) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    pub(super) fn into_subscription(self) -> Subscription {
        self.subscription
    }

    #[inline]
    pub(in crate::broker::queue) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Answers whether it may be given a message. A channel whose limit is used up gets nothing, not even messages that
    /// need no acknowledgement (RabbitMQ: `rabbit_limiter:can_send`).
    #[inline]
    pub(super) fn has_credit(&self) -> bool {
        let wanted = &self.subscription;
        (wanted.no_ack || wanted.prefetch == 0 || self.in_flight < wanted.prefetch)
            && wanted.limit.has_credit()
    }

    /// Counts the messages that it may be given now: at least one when it [`Self::has_credit`].
    ///
    /// The common limit of a channel is asked for one message at a time, because other queues take from it as well.
    #[inline]
    pub(in crate::broker::queue) fn credit(&self) -> u32 {
        let wanted = &self.subscription;
        match (wanted.no_ack, wanted.prefetch, wanted.limit.most()) {
            (true, _, _) | (false, 0, 0) => u32::MAX,
            (false, prefetch, 0) => prefetch - self.in_flight,
            (false, _, _) => 1,
        }
    }

    /// Takes the consumer's share of its channel's limit for the next delivery; `None` if a queue on another thread was
    /// quicker.
    #[inline]
    pub(in crate::broker::queue) fn share(&self) -> Option<Share> {
        let limit = &self.subscription.limit;
        match (self.subscription.no_ack, limit.most()) {
            (true, _) => Some(Share::Free),
            (false, 0) => Some(Share::Unlimited),
            (false, _) => limit.try_take().then_some(Share::One),
        }
    }

    /// Counts deliveries to this consumer.
    #[inline]
    pub(in crate::broker::queue) fn count_deliveries(&mut self, count: u32) {
        if !self.subscription.no_ack {
            self.in_flight += count;
        }
    }

    /// Counts deliveries as settled. Those that needed no acknowledgement were not counted.
    pub(super) fn count_settled(&mut self, count: u32) {
        if !self.subscription.no_ack {
            self.in_flight -= count;
        }
    }
}

/// The cost of a run of deliveries in a channel's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) enum Share {
    /// Nothing: they need no acknowledgement.
    Free,
    /// Each counts, in case a limit is set later.
    Unlimited,
    /// One, which is taken already.
    One,
}

impl Share {
    /// Counts the messages that were really given.
    #[inline]
    pub(in crate::broker::queue) fn count(self, limit: &ChannelLimit, given: u32) {
        match (self, given) {
            (Self::Free, _) | (Self::One, 1..) => {}
            (Self::Unlimited, _) => limit.take(given),
            (Self::One, 0) => limit.give_back(1),
        }
    }
}
