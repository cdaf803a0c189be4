//! The log for what memory has no room for: written, never synced, and gone at the next start.
//!
//! It begins when the first record comes, so that a broker with enough memory has neither its files nor its threads.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use rustc_hash::FxHashMap;

use super::inbox::{Active, FileState, Inbox};
use super::index::Index;
use super::log::{Durability, Log, Options, SPILL_BIT};
use super::medium::Medium;
use super::record::DATA_START;
use super::scan::cannot;
use super::{Health, NewRecord, Place, Record, Refused, Runs, StoreError};

/// Where records are put that need not survive.
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

    /// Removes what an earlier broker spilled.
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
            self.begin()?;
        }
        let log = self.log.get().ok_or(Refused(Health::Failed))?;
        let first = log.append(new)?.first;
        log.ring();
        Ok(first)
    }

    /// Waits while more is under way to the disk than should be, as that is in memory still: for those who append
    /// much at once and hold up nobody.
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
    pub fn settle(&self, slots: &Runs) {
        if let Some(log) = self.log.get() {
            log.settle(slots);
        }
    }

    fn begin(&self) -> Result<(), Refused> {
        // Held, so that only one begins.
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if self.log.get().is_some() {
            return Ok(());
        }
        let log = open(Arc::clone(&self.medium), self.options).map_err(|error| {
            tracing::warn!(%error, "nothing can be spilled and all stays in memory");
            Refused(Health::Full)
        })?;
        let log = Arc::new(log);
        if self.log.set(Arc::clone(&log)).is_ok() {
            threads.extend(start(&log));
        }
        Ok(())
    }

    pub(super) fn take_threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Starts the two threads of a log.
pub(super) fn start(log: &Arc<Log>) -> [JoinHandle<()>; 2] {
    let (writer, keeper) = (Arc::clone(log), Arc::clone(log));
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    let writer = named("mq-writer").spawn(move || writer.write_until_closed());
    let keeper = named("mq-keeper").spawn(move || keeper.keep_until_closed());
    [writer, keeper].map(|thread| thread.expect("the operating system has room for two threads"))
}

fn open(medium: Arc<dyn Medium>, options: Options) -> Result<Log, StoreError> {
    let name = format!("{:08}.log", 1);
    let capacity = options.file_bytes;
    let made = medium.create(&name, capacity.into());
    let file = made.map_err(|source| cannot("create", medium.path(&name), source))?;
    let number = SPILL_BIT | 1;
    let state = FileState::begun(name.clone(), capacity);
    let index = Index::empty(DATA_START);
    let active = Active { number, name, file, capacity, needs_header: false, index };
    let mut inbox = Inbox::new(active, FxHashMap::from_iter([(number, state)]));
    inbox.next_name = 2;
    Ok(Log::new(medium, Durability::Spilled, options, inbox))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::QueueId;
    use crate::store::medium::{Access, Directory};
    use crate::store::writer::MarksNow;

    fn new_record(bytes: &[u8]) -> NewRecord<'_> {
        NewRecord {
            queues: &[QueueId(1)],
            published_at: 0,
            time_to_live_ms: None,
            priority: 0,
            note: 0,
            names_len: 0,
            properties_len: 0,
            bytes,
        }
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
        let log = open(medium, Options { file_bytes: 64 << 10 }).unwrap();
        for round in 0..3 {
            let body = [round; 1000];
            let new = new_record(&body);
            let places: Vec<Place> = (0..200).map(|_| log.append(&new).unwrap().first).collect();
            log.write_once(MarksNow::Yes);
            log.on_round();
            let mut found = 0;
            log.read(&places, &mut |_, read| {
                found += usize::from(read.is_ok_and(|record| record.bytes == body));
            });
            assert_eq!(found, 200);
            log.settle(&places.iter().copied().collect());
            log.write_once(MarksNow::Yes);
            log.do_jobs();
            log.on_round();
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "round {round}");
        }
    }
}
