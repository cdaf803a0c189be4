//! The log: publishers append under one lock, into memory, and the writer takes what has gathered to the disk.
//!
//! While a batch is written and synced, the next one gathers. Everything but [`Log::append`] is rare, or is done for
//! many messages at once. The state is in `state`, divided among four owners; the threads are in `writer`, `marker`,
//! `maintenance` and `reading`, as methods of [`Log`].
//!
//! If no file is free when one is full, the next is begun in memory, and the writer makes it before it writes the
//! batch: an append never waits for the disk. The life of a file is drawn at [`FileLife`](super::files::FileLife).

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use super::batch::{Appended, Batch, Health, Outcome, Refused};
use super::blocking::{self, Blocking};
use super::counts::Counted;
use super::files::FreeFile;
use super::gathering::Active;
use super::jobs::{IndexOf, Job, Jobs};
use super::medium::Medium;
use super::message::NewRecord;
use super::open_marks::MarkFiles;
use super::place::Place;
use super::record::{self, DATA_START, FileHeader, FileKind, u32_of};
use super::slot_ranges::SlotRanges;
use super::state::{self, LockedLog, LogState};
use super::survivors::Survivors;
use super::synced::SyncedMark;
use crate::lock::{Condvar, Mutex};

/// Bytes of a file: few enough that a steady flow soon uses files again, whose blocks sync faster than new ones,
/// and many enough that a file of 1 KiB messages holds 15 000.
const FILE_BYTES: u32 = 16 << 20;
/// Bytes gathered from which publishers should wait: some syncs of a fast disk.
const CONGESTED_BYTES: usize = 8 << 20;
/// A thread that waits for the disk looks this often whether it is full.
const HEALTH_LOOK: Duration = Duration::from_millis(100);

/// The durability of a log's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogDurability {
    /// Synced, marked and indexed.
    Kept,
    /// Written only.
    Spilled,
}

/// The layout of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a file; one with a larger record is as large as that needs.
    pub file_bytes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { file_bytes: FILE_BYTES }
    }
}

/// A log and the state that its threads share.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) durability: LogDurability,
    pub(super) options: Options,
    state: Mutex<LogState>,
    /// Wakes the writer.
    pub(super) writer_wakeup: Condvar,
    /// Wakes the marker.
    pub(super) marker_wakeup: Condvar,
    /// Held while marks are written, from when they are taken until they are counted.
    pub(super) marking: Mutex<()>,
    synced: AtomicU64,
    /// The first batch that failed; every later one fails, too.
    failed_from: AtomicU64,
    latest: AtomicU64,
    is_congested: AtomicBool,
    health: AtomicU8,
    jobs: Mutex<Jobs>,
    /// Wakes the maintenance thread.
    pub(super) maintenance_wakeup: Condvar,
    /// Wakes the reader.
    pub(super) reader_wakeup: Condvar,
    pub(super) mark_files: Mutex<MarkFiles>,
    pub(super) watcher: OnceLock<StoreWatcher>,
    /// Runs the work of a publisher that waits for the disk, because its message is large.
    pub(super) blocking: OnceLock<Blocking>,
    pub(super) survivors: Mutex<Option<Survivors>>,
    pub(super) synced_mark: Mutex<SyncedMark>,
    /// Held while marks are synced.
    pub(super) syncing: Mutex<()>,
}

/// The receiver of changes of the health.
pub(super) struct StoreWatcher(pub(super) Box<dyn Fn(Health) + Send + Sync>);

impl std::fmt::Debug for StoreWatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreWatcher")
    }
}

impl Log {
    pub(super) fn new(
        medium: Arc<dyn Medium>,
        durability: LogDurability,
        options: Options,
        state: LogState,
    ) -> Self {
        let done = state.gathering.batch().0 - 1;
        Self {
            medium,
            durability,
            options,
            state: Mutex::new(state),
            writer_wakeup: Condvar::new(),
            marker_wakeup: Condvar::new(),
            marking: Mutex::default(),
            synced: AtomicU64::new(done),
            failed_from: AtomicU64::new(u64::MAX),
            latest: AtomicU64::new(done),
            is_congested: AtomicBool::new(false),
            health: AtomicU8::new(0),
            jobs: Mutex::default(),
            maintenance_wakeup: Condvar::new(),
            reader_wakeup: Condvar::new(),
            mark_files: Mutex::default(),
            watcher: OnceLock::new(),
            blocking: OnceLock::new(),
            survivors: Mutex::default(),
            synced_mark: Mutex::default(),
            syncing: Mutex::default(),
        }
    }

    #[inline]
    pub(super) fn lock(&self) -> LockedLog<'_> {
        state::lock(&self.state)
    }

    /// Bytes of a record in a file. Makes a file for one that is larger than files are.
    #[inline]
    pub(super) fn make_room_for(&self, new: &NewRecord<'_>) -> Result<usize, Refused> {
        let len = record::padded(record::len_of(new));
        if len > (self.options.file_bytes - DATA_START) as usize {
            self.make_large(len)?;
        }
        Ok(len)
    }

    /// Takes a record for the next batch.
    ///
    /// Cost: a checksum, then under the lock one copy and an index entry for each queue.
    #[inline]
    pub(super) fn append(&self, new: &NewRecord<'_>) -> Result<Appended, Refused> {
        debug_assert!(!new.queues.is_empty());
        let payload_checksum = record::payload_checksum(new);
        let len = self.make_room_for(new)?;
        let mut locked = self.lock();
        let state = &mut *locked;
        if self.health() == Health::Failed || state.is_closing {
            return Err(Refused(Health::Failed));
        }
        if !state.gathering.has_room(len) {
            self.rotate(state, len)?;
        }
        let appended = state.gathering.append(new, payload_checksum, len);
        state.files.add_slots(appended.first.file.get(), u32_of(new.queues.len()));
        if state.gathering.bytes() > CONGESTED_BYTES {
            self.is_congested.store(true, Ordering::Release);
        }
        self.latest.store(appended.batch.0, Ordering::Release);
        Ok(appended)
    }

    /// Wakes the writer if it waits and there is something to write.
    pub(super) fn wake_writer(&self) {
        self.wake_writer_of(&mut self.lock());
    }

    fn wake_writer_of(&self, state: &mut LogState) {
        if state.asleep.writer && state.can_write() {
            state.asleep.writer = false;
            self.writer_wakeup.notify_one();
        }
    }

    /// Wakes the marker if it waits: there are marks to be written.
    pub(super) fn wake_marker(&self, state: &mut LogState) {
        if state.asleep.marker {
            state.asleep.marker = false;
            self.marker_wakeup.notify_one();
        }
    }

    /// Begins the next file, one with room for a record of `len` bytes: a free one, or one that the writer makes.
    fn rotate(&self, state: &mut LogState, len: usize) -> Result<(), Refused> {
        let capacity = self.capacity_for(len);
        let free = state.files.take_free(capacity);
        if free.is_none() && self.health() != Health::Well {
            return Err(Refused(Health::Full));
        }
        let header = FileHeader::begun(FileKind::Log, state.files.take_number());
        let (name, file, capacity) = match free {
            Some(FreeFile { name, file, capacity }) => (name, Some(file), capacity),
            None => (state.files.take_name(), None, capacity),
        };
        state.files.begin(header, name.clone(), capacity);
        let needs_header = self.durability == LogDurability::Kept;
        let next = Active::begun(header, name, file, capacity, needs_header);
        if let Some(full) = state.gathering.go_on_in(next) {
            self.on_full(state, full);
        }
        if state.files.count_free() == 0 {
            self.order(Job::Prepare);
        }
        Ok(())
    }

    /// Bytes of a file that a record of `len` bytes has room in.
    fn capacity_for(&self, len: usize) -> u32 {
        self.options.file_bytes.max(DATA_START + u32_of(len))
    }

    /// Makes a free file for a record that is larger than files are, unless there is one; waits for the disk, under no
    /// lock. If the disk has no room for it, its publisher is told, and no other is held up.
    #[cold]
    fn make_large(&self, len: usize) -> Result<(), Refused> {
        let capacity = self.capacity_for(len);
        if self.durability == LogDurability::Spilled {
            // A spill has no publisher to tell, and may be made under the lock of a queue: the writer makes the file.
            return Ok(());
        }
        if self.health() != Health::Well {
            return Err(Refused(self.health()));
        }
        let name = {
            let mut state = self.lock();
            if state.files.has_free(capacity) {
                return Ok(());
            }
            state.files.take_name()
        };
        let work = || self.make_free_file(name, capacity);
        let made = match self.blocking.get() {
            Some(blocking) => blocking.run(work),
            None => work(),
        };
        match made {
            Ok(file) => self.lock().files.add_free(file),
            Err(error) => {
                tracing::warn!(%error, bytes = capacity, "no room for a large message");
                return Err(Refused(Health::Full));
            }
        }
        Ok(())
    }

    pub(super) fn make_free_file(&self, name: String, capacity: u32) -> std::io::Result<FreeFile> {
        let file = self.medium.create(&name, capacity.into())?;
        Ok(FreeFile { name, file, capacity })
    }

    /// Takes a file that nothing will be appended to any more, all of it being written.
    pub(super) fn on_full(&self, state: &mut LogState, full: IndexOf) {
        let number = full.number;
        let Some(file) = state.files.fill(number) else { return };
        if file.live() > 0 && self.durability == LogDurability::Kept {
            self.order(Job::Index(full));
        }
        self.free_if_unused(state, number);
    }

    /// Has a file be freed if it is of no more use.
    fn free_if_unused(&self, state: &mut LogState, number: u32) {
        if state.may_free(number) {
            state.files.begin_freeing(number);
            self.order(Job::Recycle { number });
        }
    }

    /// Has every file be freed that is of no more use.
    pub(super) fn free_unused(&self, state: &mut LogState) {
        for number in state.files.numbers() {
            self.free_if_unused(state, number);
        }
    }

    /// Counts slots that are settled.
    pub(super) fn count_settled(&self, state: &mut LogState, slots: &SlotRanges) {
        for range in slots.iter() {
            let number = range.file.get();
            state.files.settle(number, range.count);
            self.free_if_unused(state, number);
        }
    }

    #[inline]
    pub(super) fn outcome(&self, batch: Batch) -> Outcome {
        // Asked first: a batch that failed stays so, whatever is synced after it.
        if batch.0 >= self.failed_from.load(Ordering::Acquire) {
            return Outcome::Failed;
        }
        if batch.0 <= self.synced.load(Ordering::Acquire) {
            return Outcome::Synced;
        }
        Outcome::Waiting
    }

    pub(super) fn set_synced(&self, batch: Batch) {
        self.synced.store(batch.0, Ordering::Release);
    }

    /// Nothing from `batch` on will ever be on disk.
    pub(super) fn set_failed(&self, batch: Batch) {
        self.failed_from.fetch_min(batch.0, Ordering::AcqRel);
        self.set_health(Health::Failed);
    }

    /// Ends the confirms after a bug in one of the threads: what is synced is, and nothing else is said to be. Messages
    /// stay in memory, and can be read.
    pub(super) fn fail_by_bug(&self, thread: &str) {
        self.fail_what_is_not_synced();
        tracing::error!(
            thread,
            "nothing is confirmed any more: a bug has ended work on the messages' files"
        );
        let mut state = self.lock();
        state.gathering.on_failed();
        state.marks.end_by_bug();
        let woken = state.gathering.take_waiters(Batch(u64::MAX));
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Fails every batch that is not synced, also the one on its way to the disk.
    pub(super) fn fail_what_is_not_synced(&self) {
        let next = self.synced.load(Ordering::Acquire) + 1;
        self.set_failed(Batch(next));
    }

    /// Fails the batch that gathers, and all later ones.
    pub(super) fn fail_from_now(&self) {
        let batch = self.lock().gathering.batch();
        self.set_failed(batch);
    }

    pub(super) fn wake_after(&self, batch: Batch, waker: &Waker) {
        let mut state = self.lock();
        if self.outcome(batch) == Outcome::Waiting {
            state.gathering.add_waiter(batch, waker);
            self.wake_writer_of(&mut state);
            return;
        }
        drop(state);
        waker.wake_by_ref();
    }

    /// Holds this thread up while the batch is [`Outcome::Waiting`] and the disk has room.
    pub(super) fn wait_for(&self, batch: Batch) {
        let waker = blocking::waker_of_this_thread();
        self.wake_after(batch, &waker);
        while self.outcome(batch) == Outcome::Waiting && self.health() == Health::Well {
            // Nothing wakes it when the disk becomes full.
            thread::park_timeout(HEALTH_LOOK);
        }
    }

    pub(super) fn settle(&self, slots: &SlotRanges) {
        let mut state = self.lock();
        state.settle(slots);
        self.wake_marker(&mut state);
    }

    pub(super) fn settle_synced(&self, slots: &SlotRanges) -> Batch {
        let mut state = self.lock();
        // The writer of a log that is being closed may have looked for the last time.
        let batch = Batch(state.gathering.batch().0 + u64::from(state.is_closing));
        state.marks.settle_with_batch(slots);
        self.latest.store(batch.0, Ordering::Release);
        if self.health() == Health::Failed || state.is_closing {
            self.failed_from.fetch_min(batch.0, Ordering::AcqRel);
        }
        state.asleep.writer = false;
        self.writer_wakeup.notify_one();
        batch
    }

    pub(super) fn append_replacement(&self, new: &NewRecord<'_>) -> Result<Appended, Refused> {
        let appended = self.append(new)?;
        let mut state = self.lock();
        if self.outcome(appended.batch) == Outcome::Waiting {
            state.marks.add_replacement(appended, u32_of(new.queues.len()));
        }
        Ok(appended)
    }

    pub(super) fn settle_replaced(&self, replaced: &[(Place, Appended)]) {
        let mut state = self.lock();
        let mut settled = SlotRanges::default();
        for &(place, by) in replaced {
            let is_safe = match self.outcome(by.batch) {
                Outcome::Waiting => state.marks.replace(by.first, place),
                Outcome::Synced => true,
                // The next start finds the message where it was.
                Outcome::Failed => false,
            };
            if is_safe {
                settled.push(place);
            }
        }
        state.settle(&settled);
        self.wake_marker(&mut state);
    }

    pub(super) fn mark_delivered(&self, slots: &SlotRanges) {
        let mut state = self.lock();
        state.add_delivered(slots);
        self.wake_marker(&mut state);
    }

    pub(super) fn mark_counted(&self, counted: &[Counted]) {
        let mut state = self.lock();
        state.add_counted(counted);
        self.wake_marker(&mut state);
    }

    pub(super) fn is_congested(&self) -> bool {
        self.is_congested.load(Ordering::Acquire)
    }

    pub(super) fn end_congestion(&self) {
        self.is_congested.store(false, Ordering::Release);
    }

    pub(super) fn latest(&self) -> Batch {
        Batch(self.latest.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn health(&self) -> Health {
        match self.health.load(Ordering::Acquire) {
            0 => Health::Well,
            1 => Health::Full,
            _ => Health::Failed,
        }
    }

    /// A failure is for good; the watcher hears of every change.
    pub(super) fn set_health(&self, health: Health) {
        let code = match health {
            Health::Well => 0,
            Health::Full => 1,
            Health::Failed => 2,
        };
        let change = |now: u8| (now != code && now != 2).then_some(code);
        let changed = self.health.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok();
        if changed && let Some(watcher) = self.watcher.get() {
            (watcher.0)(health);
        }
    }

    pub(super) fn lock_jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock()
    }

    /// Has a job be done by the maintenance thread, or by the reader.
    pub(super) fn order(&self, job: Job) {
        let is_read = matches!(job, Job::Read(_));
        let wakeup = if is_read { &self.reader_wakeup } else { &self.maintenance_wakeup };
        let mut jobs = self.lock_jobs();
        jobs.add(job);
        wakeup.notify_one();
    }
}
