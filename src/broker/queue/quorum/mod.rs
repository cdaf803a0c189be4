//! The differences of a quorum queue, on one node: returns of each message are counted, told to the client that gets
//! it, and limited.
//!
//! RabbitMQ 3.10 counts every return and tells `basic.get` the count from the first time on; 4 has a limit without
//! being asked, and since 4.3 only failures count toward it: rejections and consumers that were lost (`rabbit_fifo`).
//!
//! Counts survive the broker (`store::Counted`): a delivery that a client had when the broker stopped has come back
//! once more, as a failure, and dies when the broker starts if that is one return too many.
//!
//! A message that comes back stands behind those that came back before it and in front of all others, whatever its
//! priority (`backlog::priorities`). In 3.10, if returns have no limit, a message that a client gave back begins anew
//! behind all others (`rabbit_fifo`: `return`, `requeue`).

pub(in crate::broker::queue) mod delayed_retry;

use self::delayed_retry::DelayedRetry;
use crate::broker::delivery_count::DeliveryCount;

/// Returns that RabbitMQ 4 allows when nothing is said.
pub(in crate::broker::queue) const DELIVERY_LIMIT: u16 = 20;

/// The number of returns that a message may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) struct DeliveryRule(pub(in crate::broker::queue) u16);

impl DeliveryRule {
    pub(in crate::broker::queue) fn is_passed_by(self, returned: DeliveryCount) -> bool {
        returned.limited() > self.0
    }
}

/// The state that only a quorum queue has.
#[derive(Debug, Default)]
pub(in crate::broker::queue) struct Quorum {
    /// Messages that came back and wait before they are ready again.
    pub(in crate::broker::queue) delayed_retry: DelayedRetry,
}
