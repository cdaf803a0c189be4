//! The approximate ages of the deliveries of a channel, and the time of the next check (`consumer_timeout`).
//!
//! A delivery costs nothing for it. At each check a channel records which tag it gave last; a delivery that is still
//! open from a record as old as the timeout came too long ago. So a channel is closed up to one interval late, as
//! RabbitMQ does it by its channels' ticks.

use std::collections::VecDeque;
use std::sync::Arc;

use super::consumers::DeliveryOrigin;
use crate::broker::time::Millis;

/// Milliseconds between two checks, at least and at most.
const INTERVAL_MS: std::ops::RangeInclusive<Millis> = 100..=5_000;

/// Records that a channel keeps; of more, every other one is forgotten.
const RECORDS_MAX: usize = 64;

/// The time of the next check of a connection's channels, and the interval: by the shortest timeout there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextCheck {
    pub(super) shortest_ms: Millis,
    pub(super) at: Millis,
}

impl NextCheck {
    pub(super) fn new(shortest_ms: Millis, now: Millis) -> Self {
        let mut check = Self { shortest_ms, at: now };
        check.postpone(now);
        check
    }

    /// Sets the time of the check after this one.
    pub(super) fn postpone(&mut self, now: Millis) {
        self.at = now + (self.shortest_ms / 10).clamp(*INTERVAL_MS.start(), *INTERVAL_MS.end());
    }
}

/// The tags that a channel had given at its last checks.
#[derive(Debug, Default)]
pub(super) struct DeliveryAges(VecDeque<(u64, Millis)>);

impl DeliveryAges {
    /// Records the last tag given, and forgets records before the oldest delivery that is not settled.
    pub(super) fn record(&mut self, oldest: Option<u64>, last: u64, now: Millis) {
        let Some(oldest) = oldest else {
            self.0.clear();
            return;
        };
        while self.0.pop_front_if(|(tag, _)| *tag < oldest).is_some() {}
        if self.0.back().is_none_or(|(tag, _)| *tag < last) {
            self.0.push_back((last, now));
        }
        if self.0.len() > RECORDS_MAX {
            // The last one stays; a delivery whose record goes counts as given at the next one.
            let mut is_kept = self.0.len().is_multiple_of(2);
            self.0.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
        }
    }

    /// The time by which a delivery had been given for certain.
    fn given_by(&self, tag: u64) -> Option<Millis> {
        let at = self.0.partition_point(|(recorded, _)| *recorded < tag);
        self.0.get(at).map(|(_, at)| *at)
    }

    /// Tells whether a delivery was given at least `timeout_ms` ago.
    pub(super) fn is_overdue(&self, tag: u64, timeout_ms: Millis, now: Millis) -> bool {
        self.given_by(tag).is_some_and(|at| now - at >= timeout_ms)
    }
}

/// Deliveries of one origin up to a tag, which were kept for longer than `timeout_ms`.
#[derive(Clone, Debug)]
pub(super) struct OverdueDeliveries {
    pub(super) origin: Arc<DeliveryOrigin>,
    pub(super) up_to: u64,
    pub(super) timeout_ms: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_before_a_record_is_overdue_when_the_record_is_old() {
        let mut ages = DeliveryAges::default();
        let mut look = |oldest: Option<u64>, last, now| {
            ages.record(oldest, last, now);
            oldest.is_some_and(|oldest| ages.is_overdue(oldest, 100, now))
        };
        assert!(!look(None, 0, 0));
        assert!(!look(Some(1), 3, 10));
        assert!(!look(Some(1), 5, 20));
        assert!(!look(Some(3), 5, 109));
        // The third was given before the first record, the fourth after it.
        assert!(look(Some(3), 5, 110));
        assert!(!look(Some(4), 5, 119));
        assert!(look(Some(4), 5, 120));
        assert!(!look(None, 5, 130));
        assert!(!look(Some(6), 6, 140));
        assert!(look(Some(6), 6, 240));
    }

    /// A short time of another queue has the channel looked at very often.
    #[test]
    fn a_channel_keeps_few_records_and_the_last_one() {
        let mut ages = DeliveryAges::default();
        for now in 1..=10_000 {
            ages.record(Some(1), now, now);
            assert!(ages.0.len() <= RECORDS_MAX, "at {now}");
            assert_eq!(ages.given_by(now), Some(now));
        }
        assert_eq!(ages.given_by(1), Some(1));
    }
}
