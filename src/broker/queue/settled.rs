//! Deliveries that are settled or come back.

use super::consumers::consumer::ConsumerId;
use crate::broker::entry::Entry;

/// Deliveries that are settled in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub count: u64,
    pub bytes: u64,
    /// Acknowledged; otherwise rejected or dropped.
    pub is_ack: bool,
}

/// A delivery on its way back.
#[derive(Clone, Debug)]
pub struct Returned {
    pub entry: Entry,
    /// `None` for `basic.get`.
    pub consumer: Option<ConsumerId>,
    /// It was not counted as unacknowledged.
    pub no_ack: bool,
    /// It was rejected, or lost with its consumer; as all are that come back with it.
    pub has_failed: bool,
}
