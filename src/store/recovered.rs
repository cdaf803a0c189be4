//! Messages that are found when a directory is opened, and the report of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::counts::Counts;
use super::damage::DamagedRecord;
use super::place::{Place, QueueId};
use super::spill::Spill;

/// A slot that waits for its queue.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub place: Place,
    /// Grows with every record, also from one run of the broker to the next: the order of a queue.
    pub sequence: u64,
    pub published_at: u64,
    pub time_to_live_ms: Option<u64>,
    /// An early release did not tell 0 from none: then it is none.
    pub priority: Option<u8>,
    /// It was delivered before.
    pub redelivered: bool,
    /// The number of times it came back, where that was counted more than once or not as a failure.
    pub counts: Option<Counts>,
    pub body_len: u32,
}

/// A receiver of the messages that a directory holds.
pub trait Recovered {
    /// Gets the spill, for queues that put messages there while memory is short. Called first.
    fn on_spill(&mut self, _spill: &Arc<Spill>) {}
    /// True if the queue still exists; messages of other queues are dropped.
    fn is_known(&self, queue: QueueId) -> bool;
    /// Gets a slot, mostly in the order of sequences; those that were moved by reclaiming come late.
    fn on_waiting(&mut self, queue: QueueId, waiting: Waiting);
}

/// The result of opening a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    pub messages: u64,
    pub files: u64,
    /// Damage that no earlier start found; its bytes were copied to files of their own.
    pub damaged: Vec<DamagedRecord>,
    /// Files of marks, and how many marks in each are not whole: those messages may come again.
    pub broken_marks: Vec<(PathBuf, u64)>,
    /// Indexes that are not whole: their files of messages were read instead.
    pub broken_indexes: Vec<PathBuf>,
}
