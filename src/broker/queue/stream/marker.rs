//! Markers: records of a stream without a message, which keep its offsets while messages are deleted.
//!
//! A marker has the next offset and the first one that is kept. All records before it in the log have lower offsets, so
//! after a restart they are counted back from there, however many are gone.

use crate::store::{NewRecord, Place, QueueId, Waiting};

/// Set in the time to live of a marker; no message lives so long.
const MARKER_BIT: u64 = 1 << 62;

/// A record of the offsets of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) place: Place,
    /// Records with lower sequences have lower offsets than `next`.
    pub(super) sequence: u64,
    pub(super) next: u64,
    pub(super) first: u64,
}

impl Marker {
    /// Reads the marker from a record that was found, if it is one.
    pub(super) fn of(waiting: &Waiting) -> Option<Self> {
        let marked = waiting.time_to_live_ms.filter(|ttl| ttl & MARKER_BIT != 0)?;
        let &Waiting { place, sequence, published_at: next, .. } = waiting;
        Some(Self { place, sequence, next, first: marked & !MARKER_BIT })
    }

    /// The record of a marker: the next offset, and the first one that is kept.
    pub(super) fn record(queues: &[QueueId], next: u64, first: u64) -> NewRecord<'_> {
        NewRecord {
            published_at: next,
            time_to_live_ms: Some(first | MARKER_BIT),
            ..NewRecord::of_bytes(queues, &[])
        }
    }
}
