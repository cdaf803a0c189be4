//! The durable part of a broker: persistent messages in numbered files, definitions in an embedded database. The store
//! knows records and files, not AMQP.
//!
//! A *record* is one message with the queues it went to; each of its queues has a *slot* in the record's file, and a
//! [`Place`] names one slot. The log is a set of files, each one on its own: its records; beside it the *marks* (which
//! slots are settled or delivered); and, once it is full, an *index* of its slots. A file whose slots are all settled
//! is used again. So no message is written twice unless its file is nearly empty, and no file waits for another.
//!
//! `design` draws every file byte by byte, and argues why no crash loses a confirmed message.
//!
//! # What survives
//!
//! - **Synced** ([`Outcome::Synced`] for the [`Batch`] of a record): a power cut. `fdatasync` has returned.
//! - **Settled or delivered** ([`Store::settle`], [`Store::mark_delivered`]): a `kill -9` 10 ms later, however long
//!   the disk takes for a sync, and a power cut a second later. A crash before that delivers the message again; it never
//!   loses one. [`Store::settle_synced`] is settled for good when its batch is synced.
//! - **Spilled** ([`Store::spill`]): nothing. It saves memory only.
//!
//! # The order on disk
//!
//! - A record is on disk before its confirm.
//! - A mark of [`Store::settle`] waits for no record: it may be on disk before its own record, and before earlier ones.
//! - A record is on disk before the settlement of the message that it takes the place of
//!   ([`Store::append_replacement`], [`Store::settle_replaced`]). A message that moves from queue to queue must be
//!   settled this way, or a crash can take both.
//! - The publishes of a transaction are on disk before its settlements, and these before its commit
//!   ([`Store::settle_synced`]).
//! - The copy of a record is on disk before any reader is sent to it (`reclaim`).
//!
//! # Damage
//!
//! One policy holds for a start, `mq store check` and the reading of messages, which share its functions
//! (`recovery::find`, `damage`), however the broker ended.
//!
//! - **A record.** Every whole record is kept and delivered, whatever stands around it. One that is not whole is named
//!   (file, offset, queue if that can be read) and copied to a file beside its own, before anything else is done
//!   with it. That copy is never written over. Once it is there, later starts and checks do not name the record again.
//!   Records behind it are found by their checksums, and say themselves which slots they have, so that marks fit. A record
//!   that an index covers is not read by a start; it is named when it is read for its queue. The queue then settles it; a
//!   stream keeps it, because offsets must not change. A record whose slots are all settled is not named.
//! - **A torn end.** A power cut may leave any part of the writes since the last sync. That is treated as a damaged
//!   record: a start cannot tell, of the last batch, whether it was confirmed. So every text says "may have been
//!   confirmed". If the synced mark (`synced`), a later batch or an index proves that the bytes were synced, the text says
//!   that they were changed on the disk; else, that they were changed or not completely written.
//! - **Marks.** Those that are not whole are counted in a warning; their messages may come again. If a file of marks is
//!   missing, which nothing tells, all messages of its file come again.
//! - **An index.** It is a shortcut: if it is missing, nothing is said; if it is not whole, there is a warning. The file of
//!   messages is read instead.
//! - **The synced mark.** It stands twice; if both are damaged, the log is as one that was never idle.
//! - **The header of a file of messages, the definitions, the format.** The broker does not start: without them whole
//!   messages would be lost, or many settled ones would come back. Nothing is changed, and the error names the file. The
//!   same holds for a record in a file of format 1 whose header is damaged, if the file has marks, because it cannot be
//!   told which slots they mean. [`repair`] mends these, for files of messages; definitions must come from a copy.
//!
//! # Floors
//!
//! ```text
//! Store (this file), repair, check, recovery      opening a directory, and the public calls
//! threads: writer  marker  maintenance  reading   work on the disk, as methods of the log; reclaim, free_files, marking
//! log                                             append, settle, health
//! state                                           under the log's lock: gathering, files, pending_marks, moves
//! damage  scan  replaced  open_marks  jobs        one file as it is found; small owners
//! record  marks  index  synced  counts            bytes
//! place  batch  message  error  medium  locks     words
//! ```
//!
//! Reading order: [`Store::append`], `log`, `state`, `writer` (writes records and syncs them), `marker` (writes marks
//! and never waits for a sync), `maintenance` (everything that no confirm waits for), `recovery`.

pub mod backup;
mod batch;
mod blocking;
mod check;
mod counts;
mod damage;
pub mod definitions;
mod design;
mod error;
mod files;
pub mod format;
mod free_files;
mod gathering;
mod index;
pub mod io_counters;
mod jobs;
pub mod locks;
mod log;
mod maintenance;
mod marker;
mod marking;
mod marks;
pub mod medium;
mod message;
mod moves;
mod open_marks;
mod pending_marks;
mod place;
mod reading;
mod reclaim;
mod record;
mod recovered;
mod recovery;
mod repair;
mod replaced;
mod scan;
mod slot_ranges;
mod spill;
mod state;
mod survivors;
mod synced;
mod threads;
mod writer;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Waker;
use std::thread::JoinHandle;

pub use batch::{Appended, Batch, Health, Outcome, Refused};
pub use blocking::{Blocking, Runner};
pub use check::{CheckReport, check, check_on};
pub use counts::{Counted, CountedAt, Counts};
pub use damage::{DamageCause, DamagedRecord};
pub use error::StoreError;
pub use log::Options;
pub use message::{DEAD_BIT, NewRecord, Record};
pub use place::{Place, QueueId};
pub use recovered::{OpenReport, Recovered, Waiting};
pub use repair::{Repaired, repair, repair_on};
pub use slot_ranges::{SlotRange, SlotRanges};
pub use spill::Spill;

use self::format::{MESSAGES_FOLDER, SPILL_FOLDER};
use self::io_counters::{IoCounters, TakenIn};
use self::jobs::Job;
use self::log::{Log, StoreWatcher};
use self::medium::{Access, Directory, Medium};
use self::pending_marks::BatchWaits;
use crate::lock::Mutex;

/// The messages of a data directory.
#[derive(Debug)]
pub struct Store {
    kept: Arc<Log>,
    spill: Arc<Spill>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    io: Arc<IoCounters>,
}

impl Store {
    /// Opens the directory's messages, makes files and folders that are missing, and starts the threads that keep them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] naming the file, and the offset of what is damaged; nothing was changed then.
    pub fn open(
        directory: &Path,
        recovered: &mut dyn Recovered,
    ) -> Result<(Self, OpenReport), StoreError> {
        let io = Arc::default();
        let folder = |name: &str| {
            let path = directory.join(name);
            let opened = Directory::open(&path, Access::Write);
            opened
                .map(|medium| Arc::new(medium.counting(&io)) as Arc<dyn Medium>)
                .map_err(|source| StoreError::Io { action: "open", path, source })
        };
        let (store, report) = Self::open_on(
            folder(MESSAGES_FOLDER)?,
            folder(SPILL_FOLDER)?,
            Options::default(),
            recovered,
        )?;
        // The folders and the definitions have names, which must be there after a power cut.
        for path in [Some(directory), directory.parent()].into_iter().flatten() {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            backup::sync_folder(path)?;
        }
        let store = Self { io, ..store };
        store.start_threads();
        Ok((store, report))
    }

    /// Opens on any medium, and starts no threads: [`Store::step`] does their work.
    pub fn open_on(
        kept: Arc<dyn Medium>,
        spill: Arc<dyn Medium>,
        options: Options,
        recovered: &mut dyn Recovered,
    ) -> Result<(Self, OpenReport), StoreError> {
        let found = recovery::find(&*kept)?;
        let spill = Arc::new(Spill::new(spill, options));
        spill.clear()?;
        recovered.on_spill(&spill);
        let (log, report) = recovery::open(kept, found, options, recovered)?;
        let (kept, threads, io) = (Arc::new(log), Mutex::default(), Arc::default());
        Ok((Self { kept, spill, threads, io }, report))
    }

    /// Starts the threads of a store that was opened without.
    pub fn start_threads(&self) {
        let mut threads = self.threads.lock();
        threads.extend(threads::start(&self.kept));
    }

    /// Returns the operations on its files since it was opened.
    pub fn io(&self) -> &IoCounters {
        &self.io
    }

    /// Returns what it has taken in since it was opened.
    pub fn taken_in(&self) -> TakenIn {
        self.kept.lock().gathering.taken_in()
    }

    fn log_of(&self, file: NonZeroU32) -> &Arc<Log> {
        match self.spill.log() {
            Some(spilled) if place::is_spilled(file) => spilled,
            _ => &self.kept,
        }
    }

    /// Takes a record; it can be read from now on, and is safe when its batch is [`Outcome::Synced`].
    ///
    /// Cost: one lock and one copy.
    #[inline]
    pub fn append(&self, new: &NewRecord<'_>) -> Result<Appended, Refused> {
        let appended = self.kept.append(new);
        self.kept.wake_writer();
        appended
    }

    /// Appends, and leaves it to the caller to call [`Self::wake_writer`]: nothing is written before.
    ///
    /// A writer that is woken at once takes the processor from the thread that hands the message to its consumers.
    #[inline]
    pub fn append_without_waking(&self, new: &NewRecord<'_>) -> Result<Appended, Refused> {
        self.kept.append(new)
    }

    /// Makes a file for a record that is larger than files are, so that its append waits for no disk.
    pub fn make_room_for(&self, new: &NewRecord<'_>) -> Result<(), Refused> {
        self.kept.make_room_for(new).map(|_| ())
    }

    /// Has records be written that were appended without waking the writer.
    pub fn wake_writer(&self) {
        self.kept.wake_writer();
    }

    /// Puts a record (of one queue) where it need not survive, to save memory.
    pub fn spill(&self, new: &NewRecord<'_>) -> Result<Place, Refused> {
        self.spill.append(new)
    }

    /// Settles slots, spilled ones as well as kept ones: their messages do not come back.
    ///
    /// It waits for no record: a message that was moved is settled by [`Self::settle_replaced`].
    #[inline]
    pub fn settle(&self, slots: &SlotRanges) {
        self.of_each_log(slots, Log::settle);
    }

    /// Settles slots with the batch that is answered: when it is synced, the marks are, and everything appended before.
    pub fn settle_synced(&self, slots: &SlotRanges) -> Batch {
        let (kept, spilled) = slots.by_log();
        if let Some(log) = self.spill.log() {
            log.settle(&spilled);
        }
        self.kept.settle_synced(&kept)
    }

    /// Takes a record that is to take the place of another one, once its queues have it ([`Self::settle_replaced`]).
    /// Nothing is written before [`Self::wake_writer`].
    pub fn append_replacement(&self, new: &NewRecord<'_>) -> Result<Appended, Refused> {
        self.kept.append_replacement(new)
    }

    /// Settles places whose messages stand in other records now, each when its record is on disk or is settled
    /// itself. A crash before that finds the message at the old place, perhaps at both.
    pub fn settle_replaced(&self, replaced: &[(Place, Appended)]) {
        let is_spilled = |(place, _): &&(Place, Appended)| place.is_spilled();
        let (spilled, kept): (Vec<_>, Vec<_>) = replaced.iter().partition(is_spilled);
        self.settle(&spilled.into_iter().map(|(place, _)| place).collect());
        if !kept.is_empty() {
            self.kept.settle_replaced(&kept);
        }
    }

    /// Marks slots as delivered: after a start their messages are redelivered ones.
    #[inline]
    pub fn mark_delivered(&self, slots: &SlotRanges) {
        self.of_each_log(slots, Log::mark_delivered);
    }

    /// Marks the number of times that kept messages came back to their queues; they count as delivered.
    pub fn mark_counted(&self, counted: &[Counted]) {
        self.kept.mark_counted(counted);
    }

    fn of_each_log(&self, slots: &SlotRanges, act: impl Fn(&Log, &SlotRanges)) {
        if slots.is_empty() {
            return;
        }
        let Some(spill) = self.spill.log() else { return act(&self.kept, slots) };
        let (kept, spilled) = slots.by_log();
        for (log, slots) in [(&self.kept, kept), (spill, spilled)] {
            if !slots.is_empty() {
                act(log, &slots);
            }
        }
    }

    /// The state of a batch. Cost: two atomic loads.
    #[inline]
    pub fn outcome(&self, batch: Batch) -> Outcome {
        self.kept.outcome(batch)
    }

    /// Wakes `waker` once, when `batch` is not [`Outcome::Waiting`] any more; at once if it is not now.
    pub fn wake_after(&self, batch: Batch, waker: &Waker) {
        self.kept.wake_after(batch, waker);
    }

    /// True if more than 8 MiB are on their way to the disk: a publisher should first wait for [`Self::latest`].
    #[inline]
    pub fn is_congested(&self) -> bool {
        self.kept.is_congested()
    }

    /// The batch that is being gathered or was gathered last.
    pub fn latest(&self) -> Batch {
        self.kept.latest()
    }

    #[inline]
    pub fn health(&self) -> Health {
        self.kept.health()
    }

    /// Calls `watch` whenever the health has changed, on the store's own threads or on one that appends. A second call
    /// does nothing.
    pub fn watch_health(&self, watch: Box<dyn Fn(Health) + Send + Sync>) {
        // A second watcher is not there to be told.
        let _ = self.kept.watcher.set(StoreWatcher(watch));
    }

    /// Sets how a publisher waits for the disk if its message is larger than files are.
    pub fn run_blocking_by(&self, blocking: Blocking) {
        // There is one broker, which says it once.
        let _ = self.kept.blocking.set(blocking);
    }

    /// Reads records, neighbours with one read. `take` gets the index into `places` and the record; called in order.
    ///
    /// Blocks for the disk when the page cache does not have them.
    pub fn read(
        &self,
        places: &[Place],
        take: &mut dyn FnMut(usize, Result<Record<'_>, StoreError>),
    ) {
        let mut at = 0;
        for places in places.chunk_by(|one, other| one.is_spilled() == other.is_spilled()) {
            self.log_of(places[0].file).read(places, &mut |nth, record| take(at + nth, record));
            at += places.len();
        }
    }

    /// Copies a record that was read as [`StoreError::Damaged`] to a file of its own, unless it was; answers that file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Settled`] if its file is not kept any more, [`StoreError::Io`] if the disk refuses.
    pub fn copy_damaged(&self, place: Place) -> Result<PathBuf, StoreError> {
        if place.is_spilled() { Err(StoreError::Settled) } else { self.kept.copy_damaged(place) }
    }

    /// Runs a reading job on the store's own thread.
    pub fn read_later(self: &Arc<Self>, job: Box<dyn FnOnce(&Store) + Send>) {
        let store = Arc::clone(self);
        self.kept.order(Job::Read(Box::new(move || job(&store))));
    }

    /// Copies the messages and the definitions of a running broker into an empty directory. Waits for the disk, and for
    /// the store's other work.
    ///
    /// # Errors
    ///
    /// [`StoreError`] naming the file that cannot be read or written. The directory is no backup then.
    pub fn back_up(
        &self,
        to: &Path,
        definitions: &definitions::Definitions,
    ) -> Result<backup::BackupReport, StoreError> {
        backup::of_running(&self.kept, definitions, to)
    }

    /// Writes everything that is in memory, marks included, and stops the store's threads. A second call does nothing.
    pub fn close(&self) {
        let logs: Vec<&Arc<Log>> =
            [Some(&self.kept), self.spill.log()].into_iter().flatten().collect();
        let mut threads = std::mem::take(&mut *self.threads.lock());
        threads.extend(self.spill.take_threads());
        for log in &logs {
            log.begin_close();
            log.close_jobs();
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended by a bug");
            }
        }
        for log in logs {
            log.finish();
        }
    }
}

/// Steps of a store without threads, for tests that decide what happens when.
impl Store {
    /// Does the work of all threads.
    pub fn step(&self) {
        self.step_writer();
        self.kept.do_jobs();
    }

    /// Does the work of the writer and of the marker.
    pub fn step_writer(&self) {
        self.kept.write_once();
        // Marks that could not be written are tried again.
        let _ = self.kept.mark_once(BatchWaits::No);
    }

    /// Copies the messages to another medium, after the work of the writer.
    ///
    /// # Errors
    ///
    /// [`StoreError`] naming the file that cannot be read or written.
    pub fn step_backup(&self, to: &dyn Medium) -> Result<backup::BackupReport, StoreError> {
        self.step_writer();
        self.kept.back_up(to)
    }

    /// Does the work of the marker; `false` if it cannot, for an error or because marks are being written.
    pub fn step_marks(&self) -> bool {
        self.kept.try_mark_once()
    }

    /// Does one round of the maintenance thread.
    pub fn step_round(&self) {
        self.kept.reclaim_while_worth_it();
        self.kept.on_round();
        self.kept.do_jobs();
    }
}

#[cfg(test)]
mod tests;
