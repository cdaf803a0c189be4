//! The thread for everything that no confirm waits for: reading back, indexes, using files again, syncing marks.
//!
//! Reading comes first, then the jobs in their order. Twice a second it looks after what was left for later.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::Health;
use super::inbox::{Inbox, LateMarks, Spare};
use super::index::Index;
use super::log::{Durability, Log};
use super::marks::marks_name;
use super::record::{FileHeader, FileKind};
use super::writer::MarksNow;

/// How often marks are synced, and how often room is looked for on a full disk.
const ROUND: Duration = Duration::from_millis(500);
/// Free files kept while messages flow, and when the log is idle: one, as in an empty directory.
const SPARES_BUSY: usize = 4;
const SPARES_IDLE: usize = 1;
/// Full files whose index is put off: in a steady flow they are of no use any more before it is needed.
const INDEXES_PUT_OFF: usize = 3;

/// The file of a log file's index.
pub(super) fn index_name(log: &str) -> String {
    log.replace(".log", ".index")
}

/// Something to do for the keeper.
pub(super) enum Job {
    Read(Box<dyn FnOnce() + Send>),
    /// A file is full.
    Index {
        number: u32,
        name: String,
        index: Index,
    },
    /// A file holds nothing any more.
    Recycle {
        number: u32,
        name: String,
        capacity: u32,
    },
    /// There should be a free file.
    Prepare,
}

/// What waits for the keeper.
#[derive(Default)]
pub(super) struct Jobs {
    reads: VecDeque<Box<dyn FnOnce() + Send>>,
    others: VecDeque<Job>,
    /// Indexes to be written if their file is still needed a while later.
    put_off: VecDeque<(u32, String, Index)>,
    is_closing: bool,
    wants_room: bool,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("reads", &self.reads.len()).finish_non_exhaustive()
    }
}

impl Jobs {
    pub(super) fn add(&mut self, job: Job) {
        match job {
            Job::Read(job) => self.reads.push_back(job),
            Job::Prepare => self.wants_room = true,
            Job::Index { .. } | Job::Recycle { .. } => self.others.push_back(job),
        }
    }

    fn has_job(&self) -> bool {
        !self.reads.is_empty() || !self.others.is_empty()
    }

    fn next(&mut self) -> Option<Job> {
        if let Some(read) = self.reads.pop_front() {
            return Some(Job::Read(read));
        }
        self.others.pop_front()
    }
}

impl Log {
    /// Does jobs until the log is closed.
    #[expect(
        clippy::disallowed_methods,
        reason = "how long ago the last round was is nobody else's time"
    )]
    pub(super) fn keep_until_closed(&self) {
        let mut round_at = Instant::now();
        loop {
            {
                let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                let wanting =
                    |jobs: &mut Jobs| !jobs.has_job() && !jobs.wants_room && !jobs.is_closing;
                let left = ROUND.saturating_sub(round_at.elapsed());
                let waited = self.jobs_bell.wait_timeout_while(jobs, left, wanting);
                let (jobs, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if jobs.is_closing {
                    return;
                }
            }
            self.do_jobs_until(|| round_at.elapsed() >= ROUND);
            if round_at.elapsed() >= ROUND {
                self.reclaim_while_worth_it();
                self.on_round();
                round_at = Instant::now();
            }
        }
    }

    /// Does every job that waits.
    pub(super) fn do_jobs(&self) {
        self.do_jobs_until(|| false);
    }

    /// Does jobs until there are none, or `is_over` says that something else is due.
    fn do_jobs_until(&self, is_over: impl Fn() -> bool) {
        while !is_over() {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(job) = jobs.next() else {
                let wants_room = std::mem::take(&mut jobs.wants_room);
                drop(jobs);
                if wants_room {
                    self.prepare();
                }
                return;
            };
            drop(jobs);
            match job {
                Job::Read(read) => read(),
                Job::Index { number, name, index } => self.put_off_index(number, name, index),
                Job::Recycle { number, name, capacity } => self.recycle(number, &name, capacity),
                Job::Prepare => {}
            }
        }
    }

    /// What is done from time to time.
    pub(super) fn on_round(&self) {
        if let Err(error) = self.sync_marks() {
            tracing::error!(
                ?error,
                "acknowledgements cannot be synced: nothing is confirmed any more"
            );
            self.fail_from_now();
        }
        self.retry_marks();
        // Whoever appended quietly may have ended before it rang.
        self.ring();
        if self.health() == Health::Full {
            self.prepare();
        }
        self.end_empty_survivors();
        let gone = {
            let mut inbox = self.lock();
            let keep = match self.durability {
                Durability::Kept => inbox.spares.len().min(SPARES_IDLE),
                Durability::Spilled => 0,
            };
            inbox.spares.split_off(keep)
        };
        for spare in gone {
            self.remove(&spare.name);
        }
        if self.durability == Durability::Spilled {
            self.give_up_empty();
        }
    }

    /// Has the writer try again to write marks that it could not.
    fn retry_marks(&self) {
        let mut inbox = self.lock();
        let is_awaited = inbox.late_marks == LateMarks::Awaited;
        if is_awaited || !inbox.unmarked.is_empty() || !inbox.moved_late.is_empty() {
            inbox.sync_marks = true;
            self.bell.notify_one();
        }
    }

    /// Gives the room of the active file back when nothing that was spilled is needed any more; the next record
    /// begins another file.
    fn give_up_empty(&self) {
        let mut inbox = self.lock();
        let number = inbox.active.number;
        let is_empty =
            inbox.files.get(&number).is_some_and(|state| state.slots > 0 && state.live == 0);
        if !is_empty || inbox.has_work() || inbox.unwritten().next().is_some() {
            return;
        }
        inbox.files.remove(&number);
        inbox.active.capacity = 0;
        // It stays open until there is another.
        if let Err(error) = inbox.active.file.set_len(0) {
            tracing::debug!(%error, "a spill file keeps its room");
        }
        let name = inbox.active.name.clone();
        drop(inbox);
        self.remove(&name);
    }

    /// Gives up sparse files, with other jobs in between; a log that is being closed keeps them for the next time.
    pub(super) fn reclaim_while_worth_it(&self) {
        while self.reclaim() {
            self.do_jobs();
            if self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_closing {
                return;
            }
        }
    }

    /// Sees to it that there is a free file.
    fn prepare(&self) {
        let name = {
            let mut inbox = self.lock();
            if !inbox.spares.is_empty() {
                drop(inbox);
                self.set_health(Health::Well);
                return;
            }
            inbox.take_name()
        };
        match self.make_spare(name) {
            Ok(spare) => self.add_spare(spare),
            Err(error) => {
                if self.health() == Health::Well {
                    tracing::warn!(%error, "no room for more messages: publishers are blocked");
                }
                self.set_health(Health::Full);
            }
        }
    }

    fn add_spare(&self, spare: Spare) {
        self.lock().spares.push(spare);
        self.set_health(Health::Well);
    }

    fn put_off_index(&self, number: u32, name: String, index: Index) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.put_off.push_back((number, name, index));
        if jobs.put_off.len() <= INDEXES_PUT_OFF {
            return;
        }
        let due = jobs.put_off.pop_front();
        drop(jobs);
        if let Some((number, name, index)) = due {
            self.write_index(number, &name, &index);
        }
    }

    /// Writes the index of a file; without one the file is read whole at the next start.
    pub(super) fn write_index(&self, number: u32, name: &str, index: &Index) {
        // What was not written must not be believed to be there.
        if self.health() == Health::Failed || !self.lock().files.contains_key(&number) {
            return;
        }
        let bytes = index.encode(number);
        let written = self.medium.open_or_make(&index_name(name)).and_then(|file| {
            file.set_len(bytes.len() as u64)?;
            file.write_at(&bytes, 0)
        });
        if let Err(error) = written {
            tracing::debug!(%error, name, "no index");
        }
    }

    /// Makes a file free for use again, which must be on disk before anything is written over it.
    fn recycle(&self, number: u32, name: &str, capacity: u32) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        let freed = self.free(number, name, capacity);
        {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.put_off.retain(|(of, ..)| *of != number);
        }
        let spare = match freed {
            Ok(spare) => spare,
            Err(error) => {
                tracing::warn!(%error, name, "a file cannot be used again");
                return;
            }
        };
        // Before the file is used again or gone: marks and index of another use must not be found beside it.
        for beside in [marks_name(name), index_name(name)] {
            if let Err(error) = self.medium.remove(&beside) {
                tracing::debug!(%error, beside, "a file stays");
            }
        }
        let is_wanted = self.lock().spares.len() < SPARES_BUSY;
        if is_wanted {
            self.add_spare(spare);
        } else {
            self.remove(name);
        }
    }

    fn free(&self, number: u32, name: &str, capacity: u32) -> io::Result<Spare> {
        if self.health() == Health::Failed {
            return Err(io::Error::other("the disk has failed"));
        }
        let file = self.medium.open(name)?;
        if self.durability == Durability::Kept {
            file.write_at(&FileHeader { kind: FileKind::Free, number }.encode(), 0)?;
            file.sync()?;
        }
        let wanted = self.options.file_bytes;
        if capacity != wanted {
            file.set_len(wanted.into())?;
        }
        Ok(Spare { name: name.to_owned(), file, capacity: wanted })
    }

    fn remove(&self, name: &str) {
        if let Err(error) = self.medium.remove(name) {
            tracing::warn!(%error, name, "a file cannot be removed");
        }
    }

    /// Writes down what makes the next start quick, and gives back what an empty directory does not have.
    ///
    /// The threads have ended.
    pub(super) fn finish(&self) {
        self.write_once(MarksNow::Yes);
        self.do_jobs();
        self.on_round();
        let put_off = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut jobs.put_off)
        };
        for (number, name, index) in put_off {
            self.write_index(number, &name, &index);
        }
        self.finish_survivors();
        let inbox = self.lock();
        let Inbox { active, .. } = &*inbox;
        let (number, name, index) = (active.number, active.name.clone(), active.index.clone());
        drop(inbox);
        if self.durability == Durability::Kept {
            self.write_index(number, &name, &index);
        }
    }

    /// Tells the threads to end when they have done what waits.
    pub(super) fn begin_close(&self) {
        self.lock().is_closing = true;
        self.bell.notify_one();
    }

    pub(super) fn close_jobs(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_closing = true;
        self.jobs_bell.notify_one();
    }
}
