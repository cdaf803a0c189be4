//! Batches: records that are synced together, and the health of the disk that takes them.

use super::place::Place;

/// Records that are synced together, numbered from 1 in the order of their syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Batch(pub u64);

/// The answer to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The place of its first queue; [`Place::nth`] has the others.
    pub first: Place,
    pub batch: Batch,
}

/// The state of a batch.
///
/// ```text
///           records written, `fdatasync` returned,
///           marks of its transactions synced
/// Waiting --------------------------------------------> Synced
///    | ^
///    | '--- the disk has no room for a file or a mark: tried again every 500 ms
///    |
///    '---- a write or a sync failed, here or in an earlier batch ---> Failed
/// ```
///
/// `Synced` and `Failed` are final. A batch gathers and is written while it is `Waiting`; publishers cannot tell these
/// two apart, and need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Waiting,
    /// On disk: `fdatasync` has returned.
    Synced,
    /// It could not be written or synced, and never will be.
    Failed,
}

/// The health of the disk.
///
/// ```text
///        no room for another file
///  Well ---------------------------> Full
///   ^                                  |
///   '------ a file was made or freed --'
///
///  Well, Full -- a write or a sync failed --> Failed   (until the broker is started again)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Well,
    /// There is no room for another file; messages that were appended still fit, most likely. Publishers should pause.
    Full,
    /// A write or a sync failed: no message is taken any more until the next start.
    Failed,
}

/// The reason why a record was not taken; no part of it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store accepts no messages: {}", match .0 {
    Health::Full => "the disk is full",
    Health::Well | Health::Failed => "the disk failed",
})]
pub struct Refused(pub Health);
