//! What survives: persistent messages in numbered files, definitions in an embedded database. Knows records and
//! files, not AMQP.
//!
//! # What each level survives
//!
//! - **Synced** ([`Outcome::Synced`] for the [`Batch`] of a record): a power cut. `fdatasync` has returned.
//! - **Settled or delivered** ([`Store::settle`], [`Store::mark_delivered`]): a `kill -9` within milliseconds, a power
//!   cut within a second. What a crash takes back is a message that comes again, never one that is gone.
//!   [`Store::settle_synced`] is settled for good when its batch is.
//! - **Spilled** ([`Store::spill`]): nothing but a lack of memory.
//!
//! # The parts
//!
//! A *record* is one message with the queues it went to; each of its queues has a *slot* in the record's file, and a
//! [`Place`] names one slot. The log is a set of files, each one on its own: its records, and beside it the *marks*
//! (which slots are settled or delivered) and, once it is full, an *index* of its slots. A file whose slots are all
//! settled is used again. So nothing is written twice, and no file waits for another.
//!
//! Reading order: [`Store::append`], `writer` (the one thread that writes and syncs), `keeper` (the thread for all
//! that no confirm waits for: indexes, recycling, reading back), `recovery`.

pub mod definitions;
mod error;
pub mod format;

use std::num::NonZeroU32;
use std::task::Waker;

pub use error::StoreError;

/// A queue as the store knows it: given once, never again to another queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u32);

/// Where a message of one queue is. 12 bytes; so is an `Option` of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file's number, which no other file ever had; the top bit says that it is a spill file.
    pub file: NonZeroU32,
    /// The slot in the file, counted from 0.
    pub slot: u32,
    /// Where the record begins, in bytes.
    pub offset: u32,
}

impl Place {
    /// The place of the `nth` queue of the record whose first queue has this one.
    #[must_use]
    pub fn nth(self, nth: u32) -> Self {
        Self { slot: self.slot + nth, ..self }
    }

    /// Whether it is in a spill file: nothing to be remembered beyond this run of the broker.
    #[must_use]
    pub fn is_spilled(self) -> bool {
        self.file.get() >> 31 == 1
    }
}

/// A message to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// The queues it goes to, at least one.
    pub queues: &'a [QueueId],
    /// When, in milliseconds since 1970.
    pub published_at: u64,
    /// The message's own time to live, in milliseconds.
    pub time_to_live_ms: Option<u32>,
    pub priority: u8,
    /// Bytes of exchange and routing key at the start of `bytes`, and of the properties behind them.
    pub names_len: usize,
    pub properties_len: usize,
    pub bytes: &'a [u8],
}

/// A record read back.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub time_to_live_ms: Option<u32>,
    pub names_len: usize,
    pub properties_len: usize,
    pub bytes: &'a [u8],
}

/// Records that are synced together, numbered from 1 in the order of their syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Batch(pub u64);

/// What a record was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The place of its first queue; [`Place::nth`] has the others.
    pub first: Place,
    pub batch: Batch,
}

/// What has become of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Waiting,
    /// On disk, `fdatasync` has returned.
    Synced,
    /// It could not be written or synced, and never will be.
    Failed,
}

/// How the disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Well,
    /// There is no room for another file; what is under way still fits, most likely. Publishers should pause.
    Full,
    /// A write or a sync failed: nothing is taken any more until the next start.
    Failed,
}

/// Why a record was not taken; nothing of it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store takes no messages: {}", match .0 {
    Health::Full => "the disk is full",
    Health::Well | Health::Failed => "the disk failed",
})]
pub struct Refused(pub Health);

/// Slots of several files, neighbours joined into runs.
#[derive(Clone, Debug, Default)]
pub struct Runs(Vec<Run>);

/// Neighbouring slots of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub file: NonZeroU32,
    pub first: u32,
    pub count: u32,
}

impl Runs {
    /// Adds a slot.
    #[inline]
    pub fn push(&mut self, place: Place) {
        match self.0.last_mut() {
            Some(run) if run.file == place.file && run.first + run.count == place.slot => {
                run.count += 1;
            }
            _ => self.0.push(Run { file: place.file, first: place.slot, count: 1 }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A slot that waits for its queue, as it is found when a directory is opened.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub place: Place,
    /// Grows with every record, also from one run of the broker to the next: the order of a queue.
    pub sequence: u64,
    pub published_at: u64,
    pub time_to_live_ms: Option<u32>,
    pub priority: u8,
    /// It was delivered before.
    pub redelivered: bool,
    pub body_len: u32,
}

/// Who is told what a directory holds.
pub trait Recovered {
    /// Whether the queue is still there; what waits for others is dropped.
    fn is_known(&self, queue: QueueId) -> bool;
    /// A slot, mostly in the order of sequences; those that were moved by reclaiming come late.
    fn on_waiting(&mut self, queue: QueueId, waiting: Waiting);
}

/// What opening a directory found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub messages: u64,
    pub files: u64,
    /// Bytes of records that were never synced and not whole, which were cut.
    pub cut_bytes: u64,
}

/// The messages of a data directory.
#[derive(Debug)]
pub struct Store {}

#[expect(unused_variables, reason = "skeleton")]
impl Store {
    /// Opens the directory's messages, making what is not there.
    pub fn open(
        directory: &std::path::Path,
        recovered: &mut dyn Recovered,
    ) -> Result<(Self, Report), StoreError> {
        unimplemented!()
    }

    /// Takes a record; it can be read from now on, and is safe when its batch is [`Outcome::Synced`].
    ///
    /// Cost: one lock and one copy.
    pub fn append(&self, new: &NewRecord<'_>) -> Result<Appended, Refused> {
        unimplemented!()
    }

    /// Puts a record (of one queue) where it need not survive, to save memory.
    pub fn spill(&self, new: &NewRecord<'_>) -> Result<Place, Refused> {
        unimplemented!()
    }

    /// Settles slots: they do not come back. Spilled ones as well as kept ones.
    pub fn settle(&self, slots: &Runs) {
        unimplemented!()
    }

    /// The same, and on disk when the batch is synced, as is everything appended before.
    pub fn settle_synced(&self, slots: &Runs) -> Batch {
        unimplemented!()
    }

    /// Remembers that slots were delivered: they come back marked as redelivered.
    pub fn mark_delivered(&self, slots: &Runs) {
        unimplemented!()
    }

    /// What has become of a batch. Cost: two atomic loads.
    pub fn outcome(&self, batch: Batch) -> Outcome {
        unimplemented!()
    }

    /// Wakes `waker` once, when `batch` is not [`Outcome::Waiting`] any more; at once if it is not now.
    pub fn wake_after(&self, batch: Batch, waker: &Waker) {
        unimplemented!()
    }

    /// Whether more is under way to the disk than should be: who publishes should first wait for `Self::latest`.
    pub fn is_congested(&self) -> bool {
        unimplemented!()
    }

    /// The batch that is being gathered or was gathered last.
    pub fn latest(&self) -> Batch {
        unimplemented!()
    }

    pub fn health(&self) -> Health {
        unimplemented!()
    }

    /// Calls `watch` whenever the health has changed, from the store's own threads. At most one watcher.
    pub fn watch_health(&self, watch: Box<dyn Fn(Health) + Send + Sync>) {
        unimplemented!()
    }

    /// Reads records, neighbours with one read. `take` gets the index into `places` and the record; called in order.
    ///
    /// Blocks for the disk when the page cache does not have them.
    pub fn read(
        &self,
        places: &[Place],
        take: &mut dyn FnMut(usize, Result<Record<'_>, StoreError>),
    ) {
        unimplemented!()
    }

    /// Runs a reading job on the store's own thread.
    pub fn read_later(&self, job: Box<dyn FnOnce(&Store) + Send>) {
        unimplemented!()
    }

    /// Writes everything down, marks included, and stops the store's threads. Idempotent.
    pub fn close(&self) {
        unimplemented!()
    }
}
