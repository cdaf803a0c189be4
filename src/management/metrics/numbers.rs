//! The numbers of one object, or the sums of many: what a family takes its values from.

use crate::broker::queue::QueueInfo;
use crate::broker::registry::{Channel, Connection};
use crate::broker::sizes::Sizes;
use crate::broker::stats::{ConnectionCounters, ExchangeCounters, MessageCounters, QueueCounters};

/// Numbers with their labels, as they stand between the braces.
pub(super) type Rows<T> = Vec<(String, T)>;

/// The numbers of a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueueNumbers {
    pub(super) ready: u64,
    pub(super) ready_bytes: u64,
    pub(super) unacked: u64,
    pub(super) unacked_bytes: u64,
    /// Dead letters that count as messages of the queue.
    pub(super) letters: u64,
    pub(super) letter_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) consumers: u64,
    pub(super) consumer_capacity: f64,
    /// Messages that were published to it: of one queue, dead letters too.
    pub(super) published: u64,
    pub(super) counters: QueueCounters,
}

impl QueueNumbers {
    pub(super) fn of(info: &QueueInfo) -> Self {
        Self {
            ready: info.ready,
            ready_bytes: info.ready_bytes,
            unacked: info.unacked,
            unacked_bytes: info.unacked_bytes,
            letters: info.letters,
            letter_bytes: info.letter_bytes,
            memory_bytes: info.memory_bytes,
            consumers: info.consumers,
            consumer_capacity: info.consumer_capacity,
            published: info.counters.publish,
            counters: info.counters,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.ready += other.ready;
        self.ready_bytes += other.ready_bytes;
        self.unacked += other.unacked;
        self.unacked_bytes += other.unacked_bytes;
        self.letters += other.letters;
        self.letter_bytes += other.letter_bytes;
        self.memory_bytes += other.memory_bytes;
        self.consumers += other.consumers;
        self.consumer_capacity += other.consumer_capacity;
        self.published += other.published;
        self.counters += other.counters;
    }
}

/// The numbers of a channel.
#[derive(Debug, Default)]
pub(super) struct ChannelNumbers {
    pub(super) consumers: u64,
    pub(super) unacked: u64,
    pub(super) unconfirmed: u64,
    pub(super) uncommitted: u64,
    pub(super) uncommitted_acks: u64,
    pub(super) prefetch: u64,
    pub(super) global_prefetch: u64,
    /// Publishes that were to be confirmed.
    pub(super) to_confirm: u64,
    /// Channels that have published.
    pub(super) publishers: u64,
    pub(super) sizes: Sizes,
    pub(super) counters: MessageCounters,
}

impl ChannelNumbers {
    pub(super) fn of(channel: &Channel) -> Self {
        let mut numbers = Self::default();
        numbers.add(channel);
        numbers
    }

    pub(super) fn add(&mut self, channel: &Channel) {
        self.consumers += channel.consumers.get();
        self.unacked += channel.unacked.get();
        self.unconfirmed += channel.unconfirmed.get();
        self.uncommitted += channel.uncommitted.get();
        self.uncommitted_acks += channel.uncommitted_acks.get();
        self.prefetch += u64::from(channel.prefetch.get());
        self.global_prefetch += u64::from(channel.global_prefetch.get());
        self.to_confirm += channel.published_to_confirm();
        self.publishers += u64::from(channel.counters.publish.get() > 0);
        channel.add_sizes(&mut self.sizes);
        self.counters.absorb(&channel.counters);
    }
}

/// The numbers of a connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionNumbers {
    pub(super) unsent_bytes: u64,
    pub(super) channels: u64,
    pub(super) counters: ConnectionCounters,
}

impl ConnectionNumbers {
    pub(super) fn of(connection: &Connection) -> Self {
        let mut numbers = Self::default();
        numbers.add(connection);
        numbers
    }

    pub(super) fn add(&mut self, connection: &Connection) {
        self.unsent_bytes += connection.unsent_bytes.get();
        self.channels += connection.channels().len() as u64;
        self.counters.absorb(&connection.counters);
    }
}

/// The numbers of an exchange.
#[derive(Debug, Default)]
pub(super) struct ExchangeNumbers {
    pub(super) published: u64,
    /// Messages that went to a queue, counted once for each.
    pub(super) routed: u64,
    /// Counted for all exchanges together only.
    pub(super) channels: Option<MessageCounters>,
}

impl ExchangeNumbers {
    pub(super) fn of(counters: &ExchangeCounters) -> Self {
        let mut numbers = Self::default();
        numbers.add(counters);
        numbers
    }

    pub(super) fn add(&mut self, counters: &ExchangeCounters) {
        self.published += counters.publish_in.get();
        self.routed += counters.publish_out.get();
    }
}
