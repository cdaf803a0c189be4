//! One consumer of a stream: its offset and its credit.

use std::collections::VecDeque;
use std::sync::Arc;

use super::filter::Filter;
use super::start::StartOffset;
use crate::broker::mailbox::{ConsumerSlot, Mailbox};
use crate::broker::message::Message;
use crate::broker::queue::consumers::channel_limit::ChannelLimit;
use crate::broker::queue::consumers::consumer::Subscription;

/// A message with its offset.
pub(in crate::broker::queue) type Offered = (u64, Message);

/// A consumer of a stream.
#[derive(Debug)]
pub(in crate::broker::queue) struct Reader {
    pub(super) slot: ConsumerSlot,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) limit: Arc<ChannelLimit>,
    prefetch: u32,
    in_flight: u32,
    /// The offset that is looked at next; all messages before it are delivered, in `ahead`, or were not wanted.
    pub(super) next: u64,
    pub(super) not_before: Option<u64>,
    pub(super) filter: Option<Arc<Filter>>,
    /// Messages that were read from the store and are to be delivered.
    pub(super) ahead: VecDeque<Offered>,
    pub(super) ahead_bytes: u64,
    pub(super) is_reading: bool,
    /// It is on the list of those that have had everything.
    pub(super) is_at_end: bool,
}

impl Reader {
    pub(super) fn new(
        subscription: &Subscription,
        begin: StartOffset,
        filter: Option<Filter>,
    ) -> Self {
        Self {
            slot: subscription.slot,
            mailbox: Arc::clone(&subscription.mailbox),
            limit: Arc::clone(&subscription.limit),
            prefetch: subscription.prefetch,
            in_flight: 0,
            next: begin.next,
            not_before: begin.not_before,
            filter: filter.map(Arc::new),
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            is_reading: false,
            is_at_end: false,
        }
    }

    pub(super) fn has_credit(&self) -> bool {
        self.in_flight < self.prefetch
    }

    /// Counts one delivery.
    pub(super) fn take_credit(&mut self) {
        self.in_flight += 1;
        self.limit.take(1);
    }

    /// Counts deliveries that were settled.
    pub(super) fn give_credit(&mut self, count: u32) {
        self.in_flight -= count.min(self.in_flight);
    }

    /// Answers whether it wants a message.
    pub(super) fn takes(&self, message: &Message) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.takes(message.properties()))
    }

    /// Takes in messages that were read for it.
    pub(super) fn offer(&mut self, read: Vec<Offered>) {
        for (offset, message) in read {
            self.ahead_bytes += message.len() as u64;
            self.ahead.push_back((offset, message));
        }
    }

    /// Takes the first of the messages that were read.
    pub(super) fn take_offered(&mut self) -> Option<Offered> {
        let offered = self.ahead.pop_front()?;
        self.ahead_bytes -= offered.1.len() as u64;
        if self.ahead.is_empty() {
            self.ahead = VecDeque::new();
        }
        Some(offered)
    }
}
