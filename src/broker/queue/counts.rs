//! Counts as AMQP tells them.

/// Ready messages and consumers, as `queue.declare-ok` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub ready: u32,
    pub consumers: u32,
}

/// A count, or the highest that AMQP can tell.
pub(super) fn count_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
