//! The deliveries of a queue that no client has settled yet.

/// The number of unacknowledged deliveries, and the bytes of their bodies. Deliveries of a stream are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unacked {
    count: u64,
    bytes: u64,
}

impl Unacked {
    /// Counts deliveries that must be acknowledged.
    #[inline]
    pub(super) fn add(&mut self, count: u64, bytes: u64) {
        self.count += count;
        self.bytes += bytes;
    }

    /// Counts deliveries as settled or given back. Each is settled once: more than were counted is a bug.
    #[inline]
    pub(super) fn remove(&mut self, count: u64, bytes: u64) {
        debug_assert!(count <= self.count && bytes <= self.bytes, "{count} of {self:?}");
        self.count -= count;
        self.bytes -= bytes;
    }

    pub(super) fn count(self) -> u64 {
        self.count
    }

    pub(super) fn bytes(self) -> u64 {
        self.bytes
    }
}
