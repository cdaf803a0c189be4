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

mod aside;
mod check;
pub mod definitions;
mod error;
pub mod format;
mod inbox;
mod index;
mod keeper;
mod log;
mod marking;
mod marks;
pub mod medium;
mod reading;
mod reclaim;
mod record;
mod recovery;
mod scan;
mod spill;
mod writer;

use std::num::NonZeroU32;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::thread::JoinHandle;

pub use aside::{Aside, Runner};
pub use check::{CheckReport, check};
pub use error::StoreError;
pub use log::Options;
pub use spill::Spill;

use self::log::{Log, SPILL_BIT, Watcher};
use self::medium::{Access, Directory, Medium};
use self::scan::Trust;
use self::writer::MarksNow;

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
    pub time_to_live_ms: Option<u64>,
    pub priority: u8,
    /// What its owner remembers of it, given back as it is.
    pub note: u8,
    /// Bytes of exchange and routing key at the start of `bytes`, and of the properties behind them.
    pub names_len: usize,
    pub properties_len: usize,
    pub bytes: &'a [u8],
}

/// A record read back.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub time_to_live_ms: Option<u64>,
    pub note: u8,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<Run>);

/// Neighbouring slots of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub file: NonZeroU32,
    pub first: u32,
    pub count: u32,
}

impl Run {
    fn end(self) -> u32 {
        self.first + self.count
    }

    fn slots(self) -> Range<u32> {
        self.first..self.end()
    }

    /// Its slots as places whose records are not looked for.
    fn places(self) -> impl Iterator<Item = Place> {
        self.slots().map(move |slot| Place { file: self.file, slot, offset: 0 })
    }
}

impl Runs {
    /// Adds a slot.
    #[inline]
    pub fn push(&mut self, place: Place) {
        match self.0.last_mut() {
            Some(run) if run.file == place.file && run.end() == place.slot => {
                run.count += 1;
            }
            _ => self.0.push(Run { file: place.file, first: place.slot, count: 1 }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Slots that are kept, and slots that were spilled.
    fn by_log(&self) -> (Self, Self) {
        let (spilled, kept) = self.0.iter().partition(|run| is_spilled(run.file));
        (Self(kept), Self(spilled))
    }
}

impl FromIterator<Place> for Runs {
    fn from_iter<I: IntoIterator<Item = Place>>(places: I) -> Self {
        let mut runs = Self::default();
        places.into_iter().for_each(|place| runs.push(place));
        runs
    }
}

/// A slot that waits for its queue, as it is found when a directory is opened.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub place: Place,
    /// Grows with every record, also from one run of the broker to the next: the order of a queue.
    pub sequence: u64,
    pub published_at: u64,
    pub time_to_live_ms: Option<u64>,
    pub priority: u8,
    /// It was delivered before.
    pub redelivered: bool,
    pub body_len: u32,
}

/// Who is told what a directory holds.
pub trait Recovered {
    /// What can be put there while memory is short, from now on: comes first. Whoever keeps little needs it not.
    fn on_spill(&mut self, _spill: &Arc<Spill>) {}
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
pub struct Store {
    kept: Arc<Log>,
    spill: Arc<Spill>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The folders of a data directory that files of messages are in.
const KEPT_FOLDER: &str = "messages";
const SPILL_FOLDER: &str = "spill";

impl Store {
    /// Opens the directory's messages, making what is not there, and starts the threads that keep them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] naming the file, and the offset of what is damaged; nothing was changed then.
    pub fn open(
        directory: &Path,
        recovered: &mut dyn Recovered,
    ) -> Result<(Self, Report), StoreError> {
        let folder = |name: &str| {
            let path = directory.join(name);
            let opened = Directory::open(&path, Access::Write);
            opened
                .map(|medium| Arc::new(medium) as Arc<dyn Medium>)
                .map_err(|source| StoreError::Io { action: "open", path, source })
        };
        let (store, report) = Self::open_on(
            folder(KEPT_FOLDER)?,
            folder(SPILL_FOLDER)?,
            Options::default(),
            recovered,
        )?;
        // The folders and the definitions have names, which must be there after a power cut.
        for path in [Some(directory), directory.parent()].into_iter().flatten() {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            let synced = std::fs::File::open(path).and_then(|folder| folder.sync_all());
            synced.map_err(|source| scan::cannot("sync", path.to_path_buf(), source))?;
        }
        store.start_threads();
        Ok((store, report))
    }

    /// The same on any medium and without threads: [`Store::step`] does what they would.
    pub fn open_on(
        kept: Arc<dyn Medium>,
        spill: Arc<dyn Medium>,
        options: Options,
        recovered: &mut dyn Recovered,
    ) -> Result<(Self, Report), StoreError> {
        let found = recovery::find(&*kept, Trust::Indexes)?;
        let spill = Arc::new(Spill::new(spill, options));
        spill.clear()?;
        recovered.on_spill(&spill);
        let (log, report) = recovery::open(kept, found, options, recovered)?;
        Ok((Self { kept: Arc::new(log), spill, threads: Mutex::default() }, report))
    }

    /// Starts the threads of a store that was opened without.
    pub fn start_threads(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.extend(spill::start(&self.kept));
    }

    /// Does what the threads would do now: for tests, which cut it at every point.
    pub fn step(&self) {
        self.kept.write_once(MarksNow::Yes);
        self.kept.do_jobs();
    }

    /// What the keeper does from time to time, for tests.
    pub fn step_round(&self) {
        self.kept.reclaim_while_worth_it();
        self.kept.on_round();
        self.kept.do_jobs();
    }

    fn log_of(&self, file: NonZeroU32) -> &Arc<Log> {
        match self.spill.log() {
            Some(spilled) if file.get() & SPILL_BIT != 0 => spilled,
            _ => &self.kept,
        }
    }

    /// Takes a record; it can be read from now on, and is safe when its batch is [`Outcome::Synced`].
    ///
    /// Cost: one lock and one copy.
    #[inline]
    pub fn append(&self, new: &NewRecord<'_>) -> Result<Appended, Refused> {
        let appended = self.kept.append(new);
        self.kept.ring();
        appended
    }

    /// The same for who has more to do first: nothing is written before [`Self::ring`].
    ///
    /// A writer that is woken at once takes the processor from whoever hands the message to its consumers.
    #[inline]
    pub fn append_quietly(&self, new: &NewRecord<'_>) -> Result<Appended, Refused> {
        self.kept.append(new)
    }

    /// Has what was appended quietly be written.
    pub fn ring(&self) {
        self.kept.ring();
    }

    /// Puts a record (of one queue) where it need not survive, to save memory.
    pub fn spill(&self, new: &NewRecord<'_>) -> Result<Place, Refused> {
        self.spill.append(new)
    }

    /// Settles slots: they do not come back. Spilled ones as well as kept ones.
    #[inline]
    pub fn settle(&self, slots: &Runs) {
        self.of_each_log(slots, Log::settle);
    }

    /// The same, and on disk when the batch is synced, as is everything appended before.
    pub fn settle_synced(&self, slots: &Runs) -> Batch {
        let (kept, spilled) = slots.by_log();
        if let Some(log) = self.spill.log() {
            log.settle(&spilled);
        }
        self.kept.settle_synced(&kept)
    }

    /// Remembers that slots were delivered: they come back marked as redelivered.
    #[inline]
    pub fn mark_delivered(&self, slots: &Runs) {
        self.of_each_log(slots, Log::mark_delivered);
    }

    fn of_each_log(&self, slots: &Runs, act: impl Fn(&Log, &Runs)) {
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

    /// What has become of a batch. Cost: two atomic loads.
    #[inline]
    pub fn outcome(&self, batch: Batch) -> Outcome {
        self.kept.outcome(batch)
    }

    /// Wakes `waker` once, when `batch` is not [`Outcome::Waiting`] any more; at once if it is not now.
    pub fn wake_after(&self, batch: Batch, waker: &Waker) {
        self.kept.wake_after(batch, waker);
    }

    /// Whether more is under way to the disk than should be: who publishes should first wait for `Self::latest`.
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

    /// Calls `watch` whenever the health has changed, from the store's own threads or from who appends. The first
    /// watcher stays.
    pub fn watch_health(&self, watch: Box<dyn Fn(Health) + Send + Sync>) {
        // A second watcher is not there to be told.
        let _ = self.kept.watcher.set(Watcher(watch));
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
        for places in places.chunk_by(|one, other| is_spilled(one.file) == is_spilled(other.file)) {
            self.log_of(places[0].file).read(places, &mut |nth, record| take(at + nth, record));
            at += places.len();
        }
    }

    /// Runs a reading job on the store's own thread.
    pub fn read_later(self: &Arc<Self>, job: Box<dyn FnOnce(&Store) + Send>) {
        let store = Arc::clone(self);
        self.kept.order(keeper::Job::Read(Box::new(move || job(&store))));
    }

    /// Writes everything down, marks included, and stops the store's threads. A second call does nothing.
    pub fn close(&self) {
        let logs: Vec<&Arc<Log>> =
            [Some(&self.kept), self.spill.log()].into_iter().flatten().collect();
        let mut threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
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

fn is_spilled(file: NonZeroU32) -> bool {
    file.get() & SPILL_BIT != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that waits, by queue.
    #[derive(Default)]
    struct Found(Vec<(QueueId, Waiting)>);

    impl Recovered for Found {
        fn is_known(&self, queue: QueueId) -> bool {
            queue.0 < 100
        }

        fn on_waiting(&mut self, queue: QueueId, waiting: Waiting) {
            self.0.push((queue, waiting));
        }
    }

    fn open(directory: &Path) -> (Store, Vec<(QueueId, Waiting)>) {
        let mut found = Found::default();
        let (store, _) = Store::open(directory, &mut found).unwrap();
        (store, found.0)
    }

    fn append(store: &Store, queues: &[u32], body: &[u8]) -> Appended {
        let queues: Vec<QueueId> = queues.iter().map(|id| QueueId(*id)).collect();
        let new = NewRecord {
            queues: &queues,
            published_at: 7,
            time_to_live_ms: None,
            priority: 2,
            note: 0,
            names_len: 0,
            properties_len: 0,
            bytes: body,
        };
        store.append(&new).unwrap()
    }

    fn wait(store: &Store, batch: Batch) -> Outcome {
        store.kept.wait_for(batch);
        store.outcome(batch)
    }

    fn runs(places: &[Place]) -> Runs {
        places.iter().copied().collect()
    }

    fn bodies(store: &Store, places: &[Place]) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        store.read(places, &mut |_, record| bodies.push(record.unwrap().bytes.to_vec()));
        bodies
    }

    #[test]
    fn what_was_synced_is_there_after_the_store_is_gone_and_what_was_settled_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (store, found) = open(directory.path());
        assert!(found.is_empty());
        let one = append(&store, &[1, 2], b"one");
        let two = append(&store, &[1], &vec![7; 100_000]);
        let gone = append(&store, &[500], b"no queue");
        assert_eq!(bodies(&store, &[one.first, two.first]), [b"one".to_vec(), vec![7; 100_000]]);
        assert_eq!(wait(&store, gone.batch), Outcome::Synced);
        let batch = store.settle_synced(&runs(&[one.first]));
        assert_eq!(wait(&store, batch), Outcome::Synced);
        // As after a kill: nothing is closed.
        std::mem::forget(store);
        let (store, found) = open(directory.path());
        let queues: Vec<u32> = found.iter().map(|(queue, _)| queue.0).collect();
        assert_eq!(queues, [2, 1]);
        let places: Vec<Place> = found.iter().map(|(_, waiting)| waiting.place).collect();
        assert_eq!(bodies(&store, &places), [b"one".to_vec(), vec![7; 100_000]]);
        let three = append(&store, &[1], b"three");
        assert_eq!(wait(&store, three.batch), Outcome::Synced);
        store.close();
        drop(store);
        let (store, found) = open(directory.path());
        let sequences: Vec<u64> = found.iter().map(|(_, waiting)| waiting.sequence).collect();
        assert!(sequences.is_sorted(), "{sequences:?}");
        assert_eq!(found.len(), 3);
        store.close();
    }

    #[test]
    fn files_are_used_again_when_their_messages_are_settled() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = open(directory.path());
        let body = vec![1; 1 << 20];
        let mut kept = Vec::new();
        for _ in 0..200 {
            let appended = append(&store, &[1], &body);
            kept.push(appended.first);
            assert_eq!(wait(&store, appended.batch), Outcome::Synced);
            if kept.len() == 10 {
                let batch = store.settle_synced(&runs(&kept));
                kept.clear();
                assert_eq!(wait(&store, batch), Outcome::Synced);
            }
        }
        store.close();
        let files = std::fs::read_dir(directory.path().join(KEPT_FOLDER)).unwrap();
        let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes <= 3 * u64::from(Options::default().file_bytes), "{bytes} bytes");
        let (store, found) = open(directory.path());
        assert!(found.is_empty());
        store.close();
    }

    #[test]
    fn spilled_messages_are_read_back_and_gone_after_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = open(directory.path());
        let new = NewRecord {
            queues: &[QueueId(1)],
            published_at: 0,
            time_to_live_ms: Some(5),
            priority: 0,
            note: 0,
            names_len: 0,
            properties_len: 0,
            bytes: b"spilled",
        };
        let places: Vec<Place> = (0..1000).map(|_| store.spill(&new).unwrap()).collect();
        assert!(bodies(&store, &places).iter().all(|body| body == b"spilled"));
        let settled = runs(&places);
        store.settle(&settled);
        store.close();
        let (store, found) = open(directory.path());
        assert!(found.is_empty());
        store.close();
    }

    /// A directory with small files and no threads.
    fn small(directory: &Path) -> (Store, Vec<(QueueId, Waiting)>) {
        let folder = |name: &str| -> Arc<dyn Medium> {
            Arc::new(Directory::open(&directory.join(name), Access::Write).unwrap())
        };
        let options = Options { file_bytes: 64 << 10 };
        let mut found = Found::default();
        let (kept, spill) = (folder(KEPT_FOLDER), folder(SPILL_FOLDER));
        let (store, _) = Store::open_on(kept, spill, options, &mut found).unwrap();
        (store, found.0)
    }

    #[test]
    fn a_slow_queue_does_not_hold_the_room_of_a_busy_one() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = small(directory.path());
        let (mut slow, mut settled) = (Vec::new(), Runs::default());
        for nth in 0..20_000_u32 {
            if nth % 100 == 0 {
                slow.push((nth, append(&store, &[2], &nth.to_le_bytes()).first));
            }
            settled.push(append(&store, &[1], &[7; 200]).first);
            if nth % 50 == 0 {
                store.settle(&std::mem::take(&mut settled));
                store.step();
            }
            if nth % 2000 == 0 {
                store.step_round();
            }
        }
        store.settle(&settled);
        store.step();
        store.step_round();
        let files = std::fs::read_dir(directory.path().join(KEPT_FOLDER)).unwrap();
        let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes < 10 * (64 << 10), "{bytes} bytes for 200 small messages");
        // Half of them are settled by the places they had at first.
        let (early, late) = slow.split_at(100);
        let early: Vec<Place> = early.iter().map(|(_, place)| *place).collect();
        store.settle(&runs(&early));
        let places: Vec<Place> = late.iter().map(|(_, place)| *place).collect();
        let expected: Vec<_> = late.iter().map(|(nth, _)| nth.to_le_bytes().to_vec()).collect();
        assert_eq!(bodies(&store, &places), expected);
        store.step();
        drop(store);
        let (store, mut found) = small(directory.path());
        found.sort_by_key(|(_, waiting)| waiting.sequence);
        let places: Vec<Place> = found.iter().map(|(_, waiting)| waiting.place).collect();
        assert_eq!(bodies(&store, &places), expected);
    }

    /// The move of a file's last messages was cut short by a crash; later the copies are settled and given up.
    #[test]
    fn an_original_does_not_come_back_when_its_copy_is_gone() {
        let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let folder = |directory: &tempfile::TempDir| directory.path().join(KEPT_FOLDER);
        let files = |directory| std::fs::read_dir(folder(directory)).unwrap().map(Result::unwrap);
        let (store, _) = small(here.path());
        let mut slow = Vec::new();
        for nth in 0..4000_u32 {
            if nth % 500 == 0 {
                slow.push(append(&store, &[2], &nth.to_le_bytes()).first);
            }
            let busy = append(&store, &[1], &[7; 200]).first;
            store.settle(&runs(&[busy]));
            store.step();
        }
        std::fs::create_dir(folder(&there)).unwrap();
        for file in files(&here) {
            std::fs::copy(file.path(), folder(&there).join(file.file_name())).unwrap();
        }
        store.settle(&runs(&slow[..1]));
        store.step();
        store.step_round();
        let is_survivors = |path: &Path| std::fs::read(path).unwrap()[12] == 2;
        let logs = files(&here).map(|file| file.path());
        let mut logs = logs.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        let survivors = logs.find(|path| is_survivors(path)).expect("some were moved");
        std::fs::copy(survivors, folder(&there).join("00009999.log")).unwrap();

        let (store, found) = small(there.path());
        assert_eq!(found.len(), slow.len());
        let mut places: Vec<Place> = found.iter().map(|(_, waiting)| waiting.place).collect();
        places.retain(|place| bodies(&store, &[*place]) != [0_u32.to_le_bytes()]);
        assert_eq!(places.len(), slow.len() - 1);
        let batch = store.settle_synced(&runs(&places));
        store.step();
        assert_eq!(store.outcome(batch), Outcome::Synced);
        store.step_round();
        drop(store);
        let (store, found) = small(there.path());
        let left: Vec<Place> = found.iter().map(|(_, waiting)| waiting.place).collect();
        assert_eq!(bodies(&store, &left), [0_u32.to_le_bytes()]);
    }
}
