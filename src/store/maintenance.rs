//! The maintenance thread, for work that no confirm and no reader waits for: indexes, making files and using them
//! again, syncing marks, giving up sparse files; and beside it the thread that reads messages back, which waits for
//! none of that.
//!
//! Each does its jobs in their order. Every 500 ms the maintenance thread also does a round ([`Log::on_round`]): work
//! that is not worth a job, and work that the disk refused.

use std::time::{Duration, Instant};

use super::batch::Health;
use super::index::index_name;
use super::jobs::{IndexOf, Jobs, MaintenanceJob, Reading};
use super::log::{Log, LogDurability};
use super::pending_marks::{BatchWaits, Retry};
use super::synced::{self, MarkSynced};
use crate::{bug, moment};

/// The time from one round to the next: marks are synced, and room is looked for on a full disk, once a round.
const ROUND: Duration = Duration::from_millis(500);

impl Log {
    /// Does jobs until the log is closed.
    #[expect(clippy::disallowed_methods, reason = "no one else asks when the last round was")]
    pub(super) fn maintain_until_closed(&self) {
        let mut round_at = Instant::now();
        loop {
            {
                let wanting = |jobs: &mut Jobs| !jobs.has_others() && !jobs.is_closing();
                // A round that took longer than planned is followed by the next at once.
                let left = ROUND.saturating_sub(round_at.elapsed());
                let jobs = self.lock_jobs();
                let jobs = self.maintenance_wakeup.wait_timeout_while(jobs, left, wanting);
                if jobs.is_closing() {
                    return;
                }
            }
            moment::reach("store.maintain");
            self.do_jobs_until(|| round_at.elapsed() >= ROUND);
            if round_at.elapsed() >= ROUND {
                self.reclaim_while_worth_it();
                self.on_round();
                round_at = Instant::now();
            }
        }
    }

    /// Reads until the log is closed.
    pub(super) fn read_until_closed(&self) {
        loop {
            let wanting = |jobs: &mut Jobs| !jobs.has_reads() && !jobs.is_closing();
            let mut jobs = self.reader_wakeup.wait_while(self.lock_jobs(), wanting);
            if jobs.is_closing() {
                return;
            }
            let read = jobs.take_read();
            drop(jobs);
            read.into_iter().for_each(do_read);
        }
    }

    /// Does every job that waits, readings first: for a log whose threads have ended or never began.
    pub(super) fn do_jobs(&self) {
        let next = || self.lock_jobs().take_read();
        while let Some(read) = next() {
            do_read(read);
        }
        self.do_jobs_until(|| false);
    }

    /// Does the maintenance thread's jobs until there are none, or `is_over` says that something else is due.
    fn do_jobs_until(&self, is_over: impl Fn() -> bool) {
        while !is_over() {
            let next = self.lock_jobs().take();
            match next {
                Some(MaintenanceJob::Index(of)) => self.put_off_index(of),
                Some(MaintenanceJob::Recycle { number }) => self.recycle(number),
                Some(MaintenanceJob::Prepare) => return self.prepare(),
                Some(MaintenanceJob::BackUp(copying)) => copying(),
                None => return,
            }
        }
    }

    /// Does one round of work: every 500 ms, and when the log is closed.
    pub(super) fn on_round(&self) {
        self.keep_promises();
        self.mark_synced(MarkSynced::WhenIdle);
        self.end_move();
        self.retry_recycling();
        if self.health() == Health::Full {
            self.prepare();
        }
        self.end_empty_survivors();
        self.remove_idle();
        if self.durability == LogDurability::Spilled {
            self.give_up_empty();
        }
    }

    /// Does the part of a round that others wait for: long work of this thread does it too, in between.
    pub(super) fn keep_promises(&self) {
        if let Err(error) = self.sync_marks() {
            tracing::error!(
                ?error,
                "acknowledgements cannot be synced: nothing is confirmed any more"
            );
            self.fail_from_now();
        }
        self.retry_marks();
        // A publisher that has not woken the writer may have ended before it did.
        self.wake_writer();
        self.retry_writing();
    }

    /// Has marks be tried again that could not be written.
    fn retry_marks(&self) {
        let mut state = self.lock();
        match state.marks.retry() {
            Retry::Writer => self.writer_wakeup.notify_one(),
            Retry::Marker => self.wake_marker(&mut state),
            Retry::Nothing => {}
        }
    }

    /// Writes the synced mark of the active file, if all of the file is synced.
    fn mark_synced(&self, when: MarkSynced) {
        if self.durability == LogDurability::Spilled || self.health() == Health::Failed {
            return;
        }
        let mut mark = self.synced_mark.lock();
        let state = self.lock();
        let active = state.gathering.active();
        let now = (active.header.number, active.index.end);
        let is_empty = active.index.slots.is_empty();
        if !mark.is_due(now, when) || is_empty || !state.gathering.is_all_written() {
            return;
        }
        let (name, header) = (active.name.clone(), active.header);
        drop(state);
        let bytes = synced::encode(header, now.1);
        // Opened for itself: the writer, which may be back at work, gets the error of its own sync.
        let opened = self.medium.open(&name);
        let file = opened.and_then(|file| {
            file.write_at(&bytes, mark.offset())?;
            Ok(file)
        });
        let file = match file {
            Ok(file) => file,
            Err(error) => {
                tracing::debug!(%error, name, "the synced mark is not written");
                return;
            }
        };
        if let Err(error) = file.sync() {
            tracing::error!(%error, name, "the synced mark cannot be synced: nothing is confirmed any more");
            self.fail_what_is_not_synced();
            return;
        }
        tracing::debug!(name, end = now.1, "the log is idle: all its messages are synced");
        mark.on_written(now);
    }

    /// Gives the room of the active file back when nothing that was spilled is needed any more; the next record
    /// begins another file.
    fn give_up_empty(&self) {
        let mut state = self.lock();
        let number = state.gathering.active().header.number;
        let file = state.files.get(number);
        let is_empty = file.is_some_and(|file| file.slots() > 0 && file.live() == 0);
        if !is_empty || state.has_batch() || !state.gathering.is_all_written() {
            return;
        }
        state.files.forget(number);
        let (name, file) = state.gathering.give_up_active();
        drop(state);
        drop(file);
        self.remove(&name);
    }

    /// Gives up sparse files, with other jobs in between; a log that is being closed keeps them for the next time.
    pub(super) fn reclaim_while_worth_it(&self) {
        while self.reclaim() {
            self.do_jobs_until(|| false);
            if self.lock_jobs().is_closing() {
                return;
            }
        }
    }

    fn put_off_index(&self, of: IndexOf) {
        let due = self.lock_jobs().put_off(of);
        if let Some(due) = due {
            self.write_index(&due);
        }
    }

    /// Writes the index of a file; without one the file is read whole at the next start.
    pub(super) fn write_index(&self, of: &IndexOf) {
        let IndexOf { number, name, index } = of;
        let number = *number;
        // Data that was not written must not be believed to be there.
        if self.health() == Health::Failed || !self.lock().files.has(number) {
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

    /// Writes the indexes and marks that make the next start quick, and removes files that an empty directory does not
    /// have.
    ///
    /// The threads have ended.
    pub(super) fn finish(&self) {
        self.write_once();
        self.do_jobs();
        // Marks that cannot be written now come again with the next start.
        let _ = self.mark_once(BatchWaits::No);
        self.do_jobs();
        self.on_round();
        let put_off = self.lock_jobs().take_put_off();
        for of in &put_off {
            self.write_index(of);
        }
        self.finish_survivors();
        self.mark_synced(MarkSynced::AtTheEnd);
        let active = {
            let state = self.lock();
            let active = state.gathering.active();
            let (number, index) = (active.header.number, active.index.clone());
            IndexOf { number, name: active.name.clone(), index }
        };
        if self.durability == LogDurability::Kept {
            self.write_index(&active);
        }
    }

    /// Tells the threads to end when they have done the work that waits.
    pub(super) fn begin_close(&self) {
        self.lock().is_closing = true;
        self.writer_wakeup.notify_one();
        self.marker_wakeup.notify_one();
    }

    pub(super) fn close_jobs(&self) {
        self.lock_jobs().close();
        self.maintenance_wakeup.notify_one();
        self.reader_wakeup.notify_one();
    }
}

/// Reads; after a bug the queue that wanted it orders another reading.
fn do_read(read: Reading) {
    bug::contain("a reading of messages", read);
}
