//! Counters, in the categories of RabbitMQ's `message_stats`.
//!
//! Those of a queue live under its lock; those shared by several connections are relaxed atomics: they are
//! read for display only and order nothing.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::login_sources::LoginSources;

/// Counts of what happened to the messages of a queue since it was declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounters {
    pub publish: u64,
    pub deliver: u64,
    pub deliver_no_ack: u64,
    pub get: u64,
    pub get_no_ack: u64,
    pub get_empty: u64,
    pub redeliver: u64,
    pub ack: u64,
}

impl AddAssign for QueueCounters {
    fn add_assign(&mut self, other: Self) {
        self.publish += other.publish;
        self.deliver += other.deliver;
        self.deliver_no_ack += other.deliver_no_ack;
        self.get += other.get;
        self.get_no_ack += other.get_no_ack;
        self.get_empty += other.get_empty;
        self.redeliver += other.redeliver;
        self.ack += other.ack;
    }
}

/// A counter that several threads add to.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The same for a counter that only one thread adds to: it locks no memory.
    #[inline]
    pub fn add_alone(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }

    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of AMQP's type `short`, such as a prefetch count, as others see it.
#[derive(Debug, Default)]
pub struct ShortNumber(AtomicU16);

impl ShortNumber {
    pub fn set(&self, value: u16) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u16 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of things that fit into memory, as others see it, in four bytes. A larger one is shown as the largest.
#[derive(Debug, Default)]
pub struct LongNumber(AtomicU32);

impl LongNumber {
    pub fn set(&self, value: u64) {
        self.0.store(u32::try_from(value).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        u64::from(self.0.load(Ordering::Relaxed))
    }
}

/// A fact that is true or false, as others see it.
#[derive(Debug, Default)]
pub struct FlagState(AtomicBool);

impl FlagState {
    pub fn set(&self, value: bool) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name { $(pub $field: Counter,)* }

        impl $name {
            /// Every counter with its name.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field.get()),)*]
            }

            /// Adds the counts of another.
            pub fn absorb(&self, other: &Self) {
                $(self.$field.add(other.$field.get());)*
            }
        }
    };
}

counters! {
    /// Messages that passed an exchange.
    ExchangeCounters { publish_in, publish_out }
}

counters! {
    /// Counts of what a channel, a vhost or the whole broker did with messages.
    MessageCounters {
        publish, confirm, return_unroutable, drop_unroutable, get, get_no_ack, get_empty, deliver,
        deliver_no_ack, redeliver, ack,
    }
}

counters! {
    /// Messages that died of each reason, with a dead letter exchange; and how many letters all their queues have,
    /// where they are sent at least once (RabbitMQ: `rabbit_global_counters`).
    LetterCounters { maxlen, expired, rejected, delivery_limit, confirmed }
}

/// The dead letters of all queues, by type of queue and by how surely they arrive.
#[derive(Debug, Default)]
pub struct Letters {
    /// Those of classic queues, which are sent at most once.
    pub classic: LetterCounters,
    /// Those of quorum queues that are sent at most once.
    pub quorum: LetterCounters,
    /// Those that are sent at least once, by quorum queues.
    pub at_least_once: LetterCounters,
}

counters! {
    /// Bytes and packets of a connection.
    ConnectionCounters { received_bytes, received_packets, sent_bytes, sent_packets }
}

counters! {
    /// Logins of a protocol.
    LoginCounters { succeeded, failed }
}

/// Logins of all clients.
#[derive(Debug, Default)]
pub struct Logins {
    pub amqp: LoginCounters,
    pub http: LoginCounters,
    pub sources: LoginSources,
}

counters! {
    /// Counts of connections, channels and queues that came and went since the broker started.
    ChurnCounters {
        connection_created, connection_closed, channel_created, channel_closed, queue_declared,
        queue_created, queue_deleted,
    }
}

impl ChurnCounters {
    /// Channels that are open now, of all connections.
    pub fn channels_open(&self) -> usize {
        let open = self.channel_created.get().saturating_sub(self.channel_closed.get());
        usize::try_from(open).unwrap_or(usize::MAX)
    }
}
