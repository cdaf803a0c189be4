//! The log: what is gathered, what is on its way to the disk, and what the files hold.
//!
//! Publishers append under one lock, into memory; `writer` takes what was gathered, writes it and syncs it, while
//! the next batch gathers. Everything but `Log::append` is rare or is done for many messages at once.
//!
//! A file's life: made or used again (`rotate`), appended to, full (`Written::full`), of no more use when its last
//! slot is settled (`count_settled`), then free for use again (`keeper`).

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use rustc_hash::FxHashMap;

use super::index::Index;
use super::keeper::{Job, Jobs};
use super::marks::Slots;
use super::medium::{Medium, MediumFile};
use super::reclaim::Survivors;
use super::record::{self, DATA_START, FILE_HEADER_LEN, FileHeader, FileKind, Stamp, u32_of};
use super::{Appended, Batch, Health, NewRecord, Outcome, Place, Refused, Run, Runs};

/// Bytes of a file: few enough that a steady flow soon uses files again, whose blocks sync faster than new ones,
/// and many enough that a file of 1 KiB messages holds 15 000.
const FILE_BYTES: u32 = 16 << 20;
/// Bytes gathered from which publishers should wait: some syncs of a fast disk.
const CONGESTED_BYTES: usize = 8 << 20;
/// Buffers kept for the batches to come, and how large each may be.
const BUFFERS_KEPT: usize = 2;
const BUFFER_KEPT_BYTES: usize = 4 << 20;
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
}

/// Who is told when the health changes.
pub(super) struct Watcher(pub(super) Box<dyn Fn(Health) + Send + Sync>);

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

/// What happens under the log's lock.
pub(super) struct Inbox {
    /// The batch that gathers, not counted while it is empty.
    pub(super) gathering: Batch,
    pub(super) pieces: Vec<Piece>,
    pub(super) gathered_bytes: usize,
    pub(super) settled: Runs,
    pub(super) delivered: Runs,
    /// Settled slots whose marks could not be written when it was their time.
    pub(super) unmarked: Runs,
    /// Somebody waits for the marks of this batch.
    pub(super) sync_marks: bool,
    pub(super) active: Active,
    /// What is being written now.
    pub(super) flight: Option<Arc<Vec<Piece>>>,
    /// What could not be written, and is still read from.
    pub(super) lost: Vec<Arc<Vec<Piece>>>,
    pub(super) files: FxHashMap<u32, FileState>,
    /// Where slots went whose file was given up while some still waited.
    pub(super) moved: FxHashMap<(u32, u32), Place>,
    /// The file that is being given up, and its slots that were settled since that began.
    pub(super) moving: Option<(u32, Slots)>,
    pub(super) spares: Vec<Spare>,
    pub(super) next_sequence: u64,
    pub(super) next_number: u32,
    pub(super) next_name: u32,
    pub(super) waiters: Vec<(Batch, Waker)>,
    pub(super) sleep: Sleep,
    pub(super) is_closing: bool,
    /// Buffers of batches that have been written.
    pub(super) buffers: Vec<Vec<u8>>,
}

/// Whether the writer must be rung for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    Awake,
    /// It waits a little for company of settlements.
    Light,
    Deep,
}

/// Neighbouring records on their way into a file.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) number: u32,
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) name: String,
    pub(super) offset: u32,
    /// To be written first, when these are the file's first records.
    pub(super) header: Option<[u8; FILE_HEADER_LEN]>,
    pub(super) bytes: Vec<u8>,
    /// The file is full behind this piece.
    pub(super) full: Option<Index>,
}

/// The file that is appended to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) capacity: u32,
    pub(super) needs_header: bool,
    pub(super) index: Index,
}

/// A file that holds nothing.
#[derive(Clone, Debug)]
pub(super) struct Spare {
    pub(super) name: String,
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) capacity: u32,
}

/// A file with records.
#[derive(Clone, Debug)]
pub(super) struct FileState {
    pub(super) name: String,
    pub(super) slots: u32,
    /// Slots not settled.
    pub(super) live: u32,
    pub(super) capacity: u32,
    /// Nothing is appended any more, and all has been written.
    pub(super) is_full: bool,
}

/// The marks of a file, open for adding to.
#[derive(Debug)]
pub(super) struct OpenMarks {
    pub(super) file: Arc<dyn MediumFile>,
    pub(super) len: u64,
    pub(super) is_dirty: bool,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("gathering", &self.gathering).finish_non_exhaustive()
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
        record::encode(new, &stamp, &mut piece.bytes);
        let head = record::head(&piece.bytes[piece.bytes.len() - len..], number)
            .expect("it has just been written");
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
        if inbox.sleep != Sleep::Awake {
            inbox.sleep = Sleep::Awake;
            self.bell.notify_one();
        }
        let file = NonZeroU32::new(number).expect("files are numbered from 1");
        Ok(Appended { first: Place { file, slot, offset }, batch })
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
                inbox.spares.push(spare);
                return Err(self.refuse(&error));
            }
            Spare { capacity, ..spare }
        } else {
            spare
        };
        let full = inbox.begin(spare, self.durability);
        // What was written already is full now; else its last piece says so when it is written.
        match inbox.pieces.last_mut() {
            Some(piece) if piece.number == full.0 => piece.full = Some(full.1),
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
        let is_dead = |state: &FileState| state.is_full && state.live == 0;
        if !inbox.files.get(&number).is_some_and(is_dead) {
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
                for slot in run.first..run.first + run.count {
                    settled.insert(slot);
                }
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

    pub(super) fn wake_after(&self, batch: Batch, waker: &Waker) {
        let mut inbox = self.lock();
        if self.outcome(batch) == Outcome::Waiting {
            inbox.waiters.push((batch, waker.clone()));
            return;
        }
        drop(inbox);
        waker.wake_by_ref();
    }

    pub(super) fn settle(&self, slots: &Runs) {
        let mut inbox = self.lock();
        inbox.add_settled(slots);
        self.ring_lightly(&mut inbox);
    }

    pub(super) fn settle_synced(&self, slots: &Runs) -> Batch {
        let mut inbox = self.lock();
        let batch = inbox.gathering;
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

impl Inbox {
    /// A log's state around its first active file.
    pub(super) fn new(active: Active, files: FxHashMap<u32, FileState>) -> Self {
        let number = active.number;
        Self {
            gathering: Batch(1),
            pieces: Vec::new(),
            gathered_bytes: 0,
            settled: Runs::default(),
            delivered: Runs::default(),
            unmarked: Runs::default(),
            sync_marks: false,
            active,
            flight: None,
            lost: Vec::new(),
            files,
            moved: FxHashMap::default(),
            moving: None,
            spares: Vec::new(),
            next_sequence: 1,
            next_number: number + 1,
            next_name: 1,
            waiters: Vec::new(),
            sleep: Sleep::Awake,
            is_closing: false,
            buffers: Vec::new(),
        }
    }

    pub(super) fn take_name(&mut self) -> String {
        let name = format!("{:08}.log", self.next_name);
        self.next_name += 1;
        name
    }

    /// Makes a spare file the active one; answers number and index of the one before.
    pub(super) fn begin(&mut self, spare: Spare, durability: Durability) -> (u32, Index) {
        let number = self.next_number;
        self.next_number += 1;
        let Spare { name, file, capacity } = spare;
        let state = FileState { name: name.clone(), slots: 0, live: 0, capacity, is_full: false };
        self.files.insert(number, state);
        let needs_header = durability == Durability::Kept;
        let index = Index::empty(DATA_START);
        let next = Active { number, name, file, capacity, needs_header, index };
        let before = std::mem::replace(&mut self.active, next);
        (before.number, before.index)
    }

    /// The piece that the next record goes into: its file, where the record will be, and where the batch begins.
    fn piece(&mut self) -> (u32, u32, u32) {
        let active = &mut self.active;
        if self.pieces.last().is_none_or(|piece| piece.number != active.number) {
            let header = FileHeader { kind: FileKind::Log, number: active.number };
            let needs_header = std::mem::take(&mut active.needs_header);
            self.pieces.push(Piece {
                number: active.number,
                file: Arc::clone(&active.file),
                name: active.name.clone(),
                offset: active.index.end,
                header: needs_header.then(|| header.encode()),
                bytes: self.buffers.pop().unwrap_or_default(),
                full: None,
            });
        }
        let batch_start = if self.pieces.len() == 1 { self.pieces[0].offset } else { 0 };
        (active.number, active.index.end, batch_start)
    }

    pub(super) fn add_settled(&mut self, slots: &Runs) {
        let resolved = self.resolve(slots);
        self.settled.append(resolved.as_ref().unwrap_or(slots));
        if resolved.is_some() {
            // Whoever settles a slot asks for it no more.
            for run in slots.iter() {
                for slot in run.first..run.first + run.count {
                    let mut at = (run.file.get(), slot);
                    while let Some(next) = self.moved.remove(&at) {
                        at = (next.file.get(), next.slot);
                    }
                }
            }
        }
    }

    /// Settles the slots of a run that were moved, where they are now.
    fn settle_moved(&mut self, run: Run) {
        if self.moved.is_empty() {
            return;
        }
        let mut slots = Runs::default();
        for slot in run.first..run.first + run.count {
            let place = Place { file: run.file, slot, offset: 0 };
            if self.moved.contains_key(&(run.file.get(), slot)) {
                slots.push(place);
            }
        }
        self.add_settled(&slots);
    }

    pub(super) fn add_delivered(&mut self, slots: &Runs) {
        let resolved = self.resolve(slots);
        self.delivered.append(resolved.as_ref().unwrap_or(slots));
    }

    /// Slots where they are now; `None` when none of them was moved.
    fn resolve(&self, slots: &Runs) -> Option<Runs> {
        if self.moved.is_empty() || slots.iter().all(|run| self.files.contains_key(&run.file.get()))
        {
            return None;
        }
        let mut resolved = Runs::default();
        for run in slots.iter() {
            for slot in run.first..run.first + run.count {
                resolved.push(self.resolve_place(Place { file: run.file, slot, offset: 0 }));
            }
        }
        Some(resolved)
    }

    /// Where a slot is now.
    pub(super) fn resolve_place(&self, mut place: Place) -> Place {
        while let Some(next) = self.moved.get(&(place.file.get(), place.slot)) {
            place = *next;
        }
        place
    }

    /// Whether the writer has anything to do, and whether it can wait.
    pub(super) fn is_urgent(&self) -> bool {
        !self.pieces.is_empty() || self.sync_marks || self.is_closing
    }

    pub(super) fn has_work(&self) -> bool {
        !self.pieces.is_empty()
            || self.sync_marks
            || !self.settled.is_empty()
            || !self.delivered.is_empty()
    }

    /// Keeps the memory of pieces that were written for those to come.
    pub(super) fn keep_buffers(&mut self, pieces: Vec<Piece>) {
        for Piece { mut bytes, .. } in pieces {
            if self.buffers.len() < BUFFERS_KEPT && bytes.capacity() <= BUFFER_KEPT_BYTES {
                bytes.clear();
                self.buffers.push(bytes);
            }
        }
    }

    /// The pieces that are in memory only, oldest first.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = &Piece> {
        let flying = self.flight.iter().chain(&self.lost).flat_map(|flight| flight.iter());
        flying.chain(&self.pieces)
    }

    /// Takes those who wait for a batch up to `batch`.
    pub(super) fn take_waiters(&mut self, batch: Batch) -> VecDeque<Waker> {
        let mut woken = VecDeque::new();
        self.waiters.retain(|(until, waker)| {
            let is_due = *until <= batch;
            if is_due {
                woken.push_back(waker.clone());
            }
            !is_due
        });
        woken
    }
}
