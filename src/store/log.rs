//! The log: what is gathered, what is on its way to the disk, and what the files hold.
//!
//! Publishers append under one lock, into memory; `writer` takes what was gathered, writes it and syncs it, while
//! the next batch gathers. Everything but `Log::append` is rare or is done for many messages at once.
//!
//! A file's life: made or used again (`rotate`), appended to, full (`Piece::full`), of no more use when its last
//! slot is settled (`count_settled`), then free for use again (`keeper`).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use rustc_hash::FxHashMap;

use super::inbox::{FileState, Inbox, Sleep, Spare};
use super::index::Index;
use super::keeper::{Job, Jobs};
use super::marking::OpenMarks;
use super::medium::Medium;
use super::reclaim::Survivors;
use super::record::{self, DATA_START, Stamp, u32_of};
use super::{Appended, Batch, Health, NewRecord, Outcome, Place, Refused, Runs};

/// Bytes of a file: few enough that a steady flow soon uses files again, whose blocks sync faster than new ones,
/// and many enough that a file of 1 KiB messages holds 15 000.
const FILE_BYTES: u32 = 16 << 20;
/// Bytes gathered from which publishers should wait: some syncs of a fast disk.
const CONGESTED_BYTES: usize = 8 << 20;
/// Set in the numbers of spill files.
pub(super) const SPILL_BIT: u32 = 1 << 31;

/// Whether a log's records are to be there after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Synced, marked and indexed.
    Kept,
    /// Written only.
    Spilled,
}

/// How a log is laid out.
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

/// A log and what its threads share.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) durability: Durability,
    pub(super) options: Options,
    inbox: Mutex<Inbox>,
    /// Rings for the writer.
    pub(super) bell: Condvar,
    synced: AtomicU64,
    /// The first batch that failed; every later one fails, too.
    failed_from: AtomicU64,
    latest: AtomicU64,
    is_congested: AtomicBool,
    health: AtomicU8,
    pub(super) jobs: Mutex<Jobs>,
    pub(super) jobs_bell: Condvar,
    pub(super) marks: Mutex<FxHashMap<u32, OpenMarks>>,
    pub(super) watcher: OnceLock<Watcher>,
    pub(super) survivors: Mutex<Option<Survivors>>,
    /// Held by whoever syncs marks.
    pub(super) syncing: Mutex<()>,
}

/// Who is told when the health changes.
pub(super) struct Watcher(pub(super) Box<dyn Fn(Health) + Send + Sync>);

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

impl Log {
    pub(super) fn new(
        medium: Arc<dyn Medium>,
        durability: Durability,
        options: Options,
        inbox: Inbox,
    ) -> Self {
        let done = inbox.gathering.0 - 1;
        Self {
            medium,
            durability,
            options,
            inbox: Mutex::new(inbox),
            bell: Condvar::new(),
            synced: AtomicU64::new(done),
            failed_from: AtomicU64::new(u64::MAX),
            latest: AtomicU64::new(done),
            is_congested: AtomicBool::new(false),
            health: AtomicU8::new(0),
            jobs: Mutex::default(),
            jobs_bell: Condvar::new(),
            marks: Mutex::default(),
            watcher: OnceLock::new(),
            survivors: Mutex::default(),
            syncing: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record for the next batch.
    ///
    /// Cost: a checksum, then under the lock one copy and an index entry for each queue.
    #[inline]
    pub(super) fn append(&self, new: &NewRecord<'_>) -> Result<Appended, Refused> {
        debug_assert!(!new.queues.is_empty());
        let payload_checksum = record::payload_checksum(new);
        let len = record::padded(record::len_of(new));
        let mut inbox = self.lock();
        if self.health() == Health::Failed || inbox.is_closing {
            return Err(Refused(Health::Failed));
        }
        if inbox.active.index.end as usize + len > inbox.active.capacity as usize {
            self.rotate(&mut inbox, len)?;
        }
        let batch = inbox.gathering;
        let sequence = inbox.next_sequence;
        inbox.next_sequence += 1;
        let (number, offset, batch_start) = inbox.piece();
        let piece = inbox.pieces.last_mut().expect("it has just been opened");
        let stamp =
            Stamp { number, batch, batch_start, sequence, payload_checksum, is_delivered: false };
        let head = record::encode(new, &stamp, &mut piece.bytes);
        let inbox = &mut *inbox;
        let slot = u32_of(inbox.active.index.slots.len());
        inbox.active.index.add(&head, new.queues.iter().copied(), offset);
        let state = inbox.files.get_mut(&number).expect("the active file has a state");
        state.slots += head.queues;
        state.live += head.queues;
        inbox.gathered_bytes += len;
        if inbox.gathered_bytes > CONGESTED_BYTES {
            self.is_congested.store(true, Ordering::Release);
        }
        self.latest.store(batch.0, Ordering::Release);
        let file = NonZeroU32::new(number).expect("files are numbered from 1");
        Ok(Appended { first: Place { file, slot, offset }, batch })
    }

    /// Has the writer begin, if it waits and there is something to write.
    pub(super) fn ring(&self) {
        Self::ring_for(&mut self.lock(), &self.bell);
    }

    fn ring_for(inbox: &mut Inbox, bell: &Condvar) {
        if inbox.sleep != Sleep::Awake && inbox.is_urgent() {
            inbox.sleep = Sleep::Awake;
            bell.notify_one();
        }
    }

    /// Begins the next file, one with room for a record of `len` bytes.
    fn rotate(&self, inbox: &mut Inbox, len: usize) -> Result<(), Refused> {
        let capacity = self.options.file_bytes.max(DATA_START + u32_of(len));
        let spare = match inbox.spares.pop() {
            Some(spare) => spare,
            None if self.health() == Health::Well => match self.make_spare(inbox.take_name()) {
                Ok(spare) => spare,
                Err(error) => return Err(self.refuse(&error)),
            },
            None => return Err(Refused(Health::Full)),
        };
        let spare = if spare.capacity < capacity {
            if let Err(error) = spare.file.set_len(capacity.into()) {
                // It may have got part of it.
                let _ = spare.file.set_len(spare.capacity.into());
                inbox.spares.push(spare);
                return Err(self.refuse(&error));
            }
            Spare { capacity, ..spare }
        } else {
            spare
        };
        let full = inbox.begin(spare, self.durability);
        // What was written already is full now; else its last piece says so when it is written.
        let is_flying = inbox.is_flying(full.0);
        match inbox.pieces.last_mut() {
            Some(piece) if piece.number == full.0 => piece.full = Some(full.1),
            _ if is_flying => inbox.full_after_flight.push(full),
            _ => self.on_full(inbox, full.0, full.1),
        }
        if inbox.spares.is_empty() {
            self.order(Job::Prepare);
        }
        Ok(())
    }

    /// There is no room for another file. The keeper tries again from time to time.
    fn refuse(&self, error: &std::io::Error) -> Refused {
        tracing::warn!(%error, "no room for messages");
        self.order(Job::Prepare);
        Refused(Health::Full)
    }

    pub(super) fn make_spare(&self, name: String) -> std::io::Result<Spare> {
        let capacity = self.options.file_bytes;
        let file = self.medium.create(&name, capacity.into())?;
        Ok(Spare { name, file, capacity })
    }

    /// Takes a file that nothing will be appended to any more, all of it being written.
    pub(super) fn on_full(&self, inbox: &mut Inbox, number: u32, index: Index) {
        let Some(state) = inbox.files.get_mut(&number) else { return };
        state.is_full = true;
        if state.live > 0 && self.durability == Durability::Kept {
            self.order(Job::Index { number, name: state.name.clone(), index });
        }
        self.drop_if_dead(inbox, number);
    }

    /// Gives up a file without live slots.
    fn drop_if_dead(&self, inbox: &mut Inbox, number: u32) {
        if !inbox.files.get(&number).is_some_and(FileState::is_dead) {
            return;
        }
        if let Some(state) = inbox.files.remove(&number) {
            let FileState { name, capacity, .. } = state;
            self.order(Job::Recycle { number, name, capacity });
        }
    }

    /// Notes that slots are settled, following those that were moved.
    pub(super) fn count_settled(&self, inbox: &mut Inbox, runs: &Runs) {
        for run in runs.iter() {
            let number = run.file.get();
            let Some(state) = inbox.files.get_mut(&number) else {
                // Its file was given up while this was on its way.
                inbox.settle_moved(*run);
                continue;
            };
            state.live = state.live.saturating_sub(run.count);
            if let Some((moving, settled)) = &mut inbox.moving
                && *moving == number
            {
                settled.insert_run(*run);
            }
            self.drop_if_dead(inbox, number);
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

    /// Nothing that is not on its way to the disk yet will ever be there.
    pub(super) fn fail_from_now(&self) {
        let batch = self.lock().gathering;
        self.set_failed(batch);
    }

    pub(super) fn wake_after(&self, batch: Batch, waker: &Waker) {
        let mut inbox = self.lock();
        if self.outcome(batch) == Outcome::Waiting {
            inbox.waiters.push((batch, waker.clone()));
            Self::ring_for(&mut inbox, &self.bell);
            return;
        }
        drop(inbox);
        waker.wake_by_ref();
    }

    /// Holds this thread up while the batch is [`Outcome::Waiting`].
    pub(super) fn wait_for(&self, batch: Batch) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        self.wake_after(batch, &waker);
        while self.outcome(batch) == Outcome::Waiting {
            thread::park();
        }
    }

    pub(super) fn settle(&self, slots: &Runs) {
        let mut inbox = self.lock();
        inbox.add_settled(slots);
        self.ring_lightly(&mut inbox);
    }

    pub(super) fn settle_synced(&self, slots: &Runs) -> Batch {
        let mut inbox = self.lock();
        // The writer of a log that is being closed may have looked for the last time.
        let batch = Batch(inbox.gathering.0 + u64::from(inbox.is_closing));
        inbox.add_settled(slots);
        inbox.sync_marks = true;
        self.latest.store(batch.0, Ordering::Release);
        if self.health() == Health::Failed || inbox.is_closing {
            self.failed_from.fetch_min(batch.0, Ordering::AcqRel);
        }
        inbox.sleep = Sleep::Awake;
        self.bell.notify_one();
        batch
    }

    pub(super) fn mark_delivered(&self, slots: &Runs) {
        let mut inbox = self.lock();
        inbox.add_delivered(slots);
        self.ring_lightly(&mut inbox);
    }

    /// Lets the writer know of work that can wait for company.
    fn ring_lightly(&self, inbox: &mut Inbox) {
        if inbox.sleep == Sleep::Deep {
            inbox.sleep = Sleep::Awake;
            self.bell.notify_one();
        }
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

    pub(super) fn order(&self, job: Job) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.add(job);
        self.jobs_bell.notify_one();
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
