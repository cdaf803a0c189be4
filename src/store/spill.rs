//! The spill: a log for messages that memory has no room for. It is written, never synced, and removed at the next
//! start.
//!
//! It begins when the first record comes, so that a broker with enough memory has neither its files nor its threads.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rustc_hash::FxHashMap;

use super::batch::{Batch, Health, Refused};
use super::error::{StoreError, cannot};
use super::files::{Files, LogFile};
use super::gathering::{Active, Gathering};
use super::log::{Log, LogDurability, Options};
use super::medium::Medium;
use super::message::{NewRecord, Record};
use super::place::{Place, SPILL_BIT};
use super::record::{FileHeader, FileKind};
use super::slot_ranges::SlotRanges;
use super::state::LogState;
use super::threads;
use crate::lock::Mutex;

/// A log for records that need not survive.
#[derive(Debug)]
pub struct Spill {
    log: OnceLock<Arc<Log>>,
    medium: Arc<dyn Medium>,
    options: Options,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Spill {
    pub(super) fn new(medium: Arc<dyn Medium>, options: Options) -> Self {
        Self { log: OnceLock::new(), medium, options, threads: Mutex::default() }
    }

    /// Removes the messages that an earlier broker spilled.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        let medium = &*self.medium;
        let names = medium.list().map_err(|source| cannot("list", medium.path(""), source))?;
        for name in names {
            medium.remove(&name).map_err(|source| cannot("remove", medium.path(&name), source))?;
        }
        Ok(())
    }

    /// The log, if it has begun.
    #[inline]
    pub(super) fn log(&self) -> Option<&Arc<Log>> {
        self.log.get()
    }

    /// Takes a record of one queue; it can be read from now on.
    ///
    /// # Errors
    ///
    /// Nothing was kept: the disk is full or has failed.
    pub fn append(&self, new: &NewRecord<'_>) -> Result<Place, Refused> {
        if self.log.get().is_none() {
            self.begin();
        }
        let log = self.log.get().ok_or(Refused(Health::Failed))?;
        let first = log.append(new)?.first;
        log.wake_writer();
        Ok(first)
    }

    /// Waits while more than 8 MiB are on their way to the disk, as these are in memory still: for callers that append
    /// much at once and hold up no other work.
    pub fn wait_for_room(&self) {
        let Some(log) = self.log.get().filter(|log| log.is_congested()) else { return };
        log.wait_for(log.latest());
    }

    /// Reads records, as [`super::Store::read`] does.
    pub fn read(
        &self,
        places: &[Place],
        take: &mut dyn FnMut(usize, Result<Record<'_>, StoreError>),
    ) {
        match self.log.get() {
            Some(log) => log.read(places, take),
            None => (0..places.len()).for_each(|nth| take(nth, Err(StoreError::Settled))),
        }
    }

    /// Gives up records.
    pub fn settle(&self, slots: &SlotRanges) {
        if let Some(log) = self.log.get() {
            log.settle(slots);
        }
    }

    /// Begins the log; its first file is made by its writer.
    fn begin(&self) {
        // Held, so that only one begins.
        let mut threads = self.threads.lock();
        if self.log.get().is_some() {
            return;
        }
        let log = Arc::new(open(Arc::clone(&self.medium), self.options));
        if self.log.set(Arc::clone(&log)).is_ok() {
            threads.extend(threads::start(&log));
        }
    }

    pub(super) fn take_threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.threads.lock())
    }
}

fn open(medium: Arc<dyn Medium>, options: Options) -> Log {
    let name = format!("{:08}.log", 1);
    let capacity = options.file_bytes;
    let number = SPILL_BIT | 1;
    let header = FileHeader::begun(FileKind::Log, number);
    let file = LogFile::begun(header, name.clone(), capacity);
    let active = Active::begun(header, name, None, capacity, false);
    let files = Files::new(FxHashMap::from_iter([(number, file)]), number + 1, 2);
    let state = LogState::new(Gathering::new(active, Batch(1), 1), files);
    Log::new(medium, LogDurability::Spilled, options, state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::medium::{Access, Directory};
    use crate::store::pending_marks::BatchWaits;
    use crate::store::place::QueueId;

    fn new_record(bytes: &[u8]) -> NewRecord<'_> {
        NewRecord::of_bytes(&[QueueId(1)], bytes)
    }

    #[test]
    fn who_waits_for_room_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let medium = Arc::new(Directory::open(directory.path(), Access::Write).unwrap());
        let spill = Spill::new(medium, Options::default());
        spill.wait_for_room();
        let body = vec![7; 1 << 20];
        let new = new_record(&body);
        for _ in 0..40 {
            spill.append(&new).unwrap();
            spill.wait_for_room();
            assert!(!spill.log().unwrap().is_congested());
        }
        let log = spill.log().unwrap();
        log.begin_close();
        log.close_jobs();
        assert!(spill.take_threads().into_iter().all(|thread| thread.join().is_ok()));
    }

    #[test]
    fn what_is_settled_takes_no_room_and_more_can_come() {
        let directory = tempfile::tempdir().unwrap();
        let medium = Arc::new(Directory::open(directory.path(), Access::Write).unwrap());
        let log = open(medium, Options { file_bytes: 64 << 10 });
        for round in 0..3 {
            let body = [round; 1000];
            let new = new_record(&body);
            let places: Vec<Place> = (0..200).map(|_| log.append(&new).unwrap().first).collect();
            log.write_once();
            log.mark_once(BatchWaits::No).unwrap();
            log.on_round();
            let mut found = 0;
            log.read(&places, &mut |_, read| {
                found += usize::from(read.is_ok_and(|record| record.bytes == body));
            });
            assert_eq!(found, 200);
            log.settle(&places.iter().copied().collect());
            log.write_once();
            log.mark_once(BatchWaits::No).unwrap();
            log.do_jobs();
            log.on_round();
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "round {round}");
        }
    }
}
