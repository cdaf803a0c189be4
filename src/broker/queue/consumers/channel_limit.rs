//! The prefetch limit of a channel, shared by its consumers.

use std::sync::atomic::{AtomicU32, Ordering};

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

    #[inline]
    pub fn most(&self) -> u32 {
        self.most.load(Ordering::Acquire)
    }

    #[inline]
    pub(in crate::broker::queue) fn has_credit(&self) -> bool {
        let most = self.most();
        most == 0 || self.used.load(Ordering::Acquire) < most
    }

    /// Takes one delivery's worth of a limit that is set; whether there was any left.
    #[inline]
    pub(in crate::broker::queue) fn try_take(&self) -> bool {
        let most = self.most();
        let below = |used: u32| (most == 0 || used < most).then_some(used + 1);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, below).is_ok()
    }

    /// Counts deliveries that must be acknowledged.
    pub(in crate::broker::queue) fn take(&self, count: u32) {
        self.used.fetch_add(count, Ordering::AcqRel);
    }

    /// Counts `count` deliveries as settled.
    pub fn give_back(&self, count: u32) {
        self.used.fetch_sub(count, Ordering::AcqRel);
    }
}
