//! Deliveries that a client keeps for too long, and the time of the next check for them (`consumer_timeout`).
//!
//! A channel is closed up to one interval late, as RabbitMQ does it by its channels' ticks.

use std::sync::Arc;

use super::consumers::DeliveryOrigin;
use crate::broker::time::Millis;

/// Milliseconds between two checks, at least and at most.
const INTERVAL_MS: std::ops::RangeInclusive<Millis> = 100..=5_000;

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

/// Deliveries of one origin up to a tag, which were kept for longer than `timeout_ms`.
#[derive(Clone, Debug)]
pub(super) struct OverdueDeliveries {
    pub(super) origin: Arc<DeliveryOrigin>,
    pub(super) up_to: u64,
    pub(super) timeout_ms: Millis,
}
