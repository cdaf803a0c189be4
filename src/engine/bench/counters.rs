//! The state that the threads of a run share: its phase, its clock, and counters for the figures of each thread.
//!
//! A thread writes its own counters only, after each write or read; the reader of the totals reads all of them. Each
//! has cache lines of its own, so that threads do not slow each other down.

use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::latency::Latency;
use crate::lock::Mutex;

/// The phase of a run; phases only advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Messages are published and consumed
    Load,
    /// Nothing new is published; what is under way is consumed
    Drain,
    /// All threads stop
    Over,
}

/// A number that one thread writes.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counters of a publisher.
#[derive(Debug, Default)]
pub(super) struct PublisherCounters {
    /// Messages that are about to be written, or were: never less than what a consumer can see
    pub(super) claimed: Counter,
    pub(super) sent: Counter,
    pub(super) confirmed: Counter,
    /// Messages that the broker did not take (`basic.nack`)
    pub(super) refused: Counter,
    /// Nanoseconds in which the broker did not want any
    pub(super) blocked_ns: Counter,
    times: Mutex<PublisherTimes>,
}

#[derive(Debug, Default)]
pub(super) struct PublisherTimes {
    /// From when a message was due to its confirm
    pub(super) confirm: Latency,
    /// From when a message was due to when it was sent
    pub(super) lag: Latency,
}

/// The counters of a consumer.
#[derive(Debug, Default)]
pub(super) struct ConsumerCounters {
    pub(super) delivered: Counter,
    /// From when a message was due to its delivery
    times: Mutex<Latency>,
}

impl PublisherCounters {
    #[inline]
    pub(super) fn times(&self) -> MutexGuard<'_, PublisherTimes> {
        self.times.lock()
    }
}

impl ConsumerCounters {
    #[inline]
    pub(super) fn times(&self) -> MutexGuard<'_, Latency> {
        self.times.lock()
    }
}

/// All counters of a run.
#[derive(Debug)]
pub(super) struct RunCounters {
    phase: AtomicU8,
    start: Instant,
    pub(super) publishers: Vec<PublisherCounters>,
    pub(super) consumers: Vec<ConsumerCounters>,
    /// Queues each message reaches
    copies: u64,
}

/// The sums of all counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) sent: u64,
    pub(super) confirmed: u64,
    pub(super) refused: u64,
    pub(super) delivered: u64,
    pub(super) blocked_ns: u64,
}

impl RunCounters {
    pub(super) fn new(publishers: u32, consumers: u32, copies: u64) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Load as u8),
            start: now(),
            publishers: (0..publishers).map(|_| PublisherCounters::default()).collect(),
            consumers: (0..consumers).map(|_| ConsumerCounters::default()).collect(),
            copies,
        }
    }

    /// Nanoseconds since the run began: the clock of all stamps.
    #[inline]
    pub(super) fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn go_on_to(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
    }

    #[inline]
    pub(super) fn has_come_to(&self, phase: Phase) -> bool {
        self.phase.load(Relaxed) >= phase as u8
    }

    /// Messages sent and not delivered yet.
    pub(super) fn backlog(&self) -> u64 {
        // Delivered first: a backlog is never taken for smaller than it is.
        let delivered: u64 = self.consumers.iter().map(|counters| counters.delivered.get()).sum();
        let sent: u64 = self.publishers.iter().map(|counters| counters.sent.get()).sum();
        (sent * self.copies).saturating_sub(delivered)
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for counters in &self.consumers {
            totals.delivered += counters.delivered.get();
        }
        for counters in &self.publishers {
            totals.sent += counters.sent.get();
            totals.confirmed += counters.confirmed.get();
            totals.refused += counters.refused.get();
            totals.blocked_ns += counters.blocked_ns.get();
        }
        totals
    }

    /// Takes the times off all counters: those of deliveries, of confirms, and of the publishers' own delay.
    pub(super) fn take_times(&self) -> [Latency; 3] {
        let [mut delivery, mut confirm, mut lag] = std::array::from_fn(|_| Latency::new());
        for counters in &self.consumers {
            let mut times = counters.times();
            delivery.absorb(&times);
            times.clear();
        }
        for counters in &self.publishers {
            let mut times = counters.times();
            confirm.absorb(&times.confirm);
            lag.absorb(&times.lag);
            times.confirm.clear();
            times.lag.clear();
        }
        [delivery, confirm, lag]
    }
}

#[expect(clippy::disallowed_methods, reason = "how long messages take is what is asked")]
fn now() -> Instant {
    Instant::now()
}
