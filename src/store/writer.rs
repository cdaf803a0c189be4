//! The thread that writes what was gathered and syncs it, one batch after the other.
//!
//! A confirm waits for the `fdatasync` that covers its record, and for nothing else: marks are written by `marker`,
//! unless a client waits for them (`tx.commit`). While a batch is written the next one gathers, so the busier the
//! broker, the more records share a sync.
//!
//! Start reading at [`Log::write_once`].

use std::error::Error as _;
use std::io;

use super::batch::{Batch, Health, Outcome};
use super::error::{StoreError, cannot};
use super::gathering::{FileToCreate, Gathered, Piece};
use super::jobs::Job;
use super::log::{Log, LogDurability};
use super::open_marks::MarkError;
use super::pending_marks::BatchWaits;
use super::slot_ranges::SlotRanges;
use super::state::LogState;
use crate::moment;

/// A batch, and the other work that is done with it.
struct BatchWork {
    gathered: Gathered,
    /// Slots that are settled for good with the batch, and not before its records are on disk.
    settled: SlotRanges,
    sync_marks: bool,
}

impl Log {
    /// Writes until the log is closed.
    pub(super) fn write_until_closed(&self) {
        while self.wait_for_batch() {
            self.write_once();
        }
    }

    /// Waits for a batch; `false` when the log is closed and there is none.
    fn wait_for_batch(&self) -> bool {
        let mut state = self.lock();
        while !state.can_write() && !state.is_closing {
            state.asleep.writer = true;
            state = state.wait(&self.writer_wakeup);
        }
        state.asleep.writer = false;
        state.can_write()
    }

    /// Writes and syncs the batch that has gathered, if there is one. A batch waits while the disk has no room for a
    /// file that it needs.
    pub(super) fn write_once(&self) {
        let Some(mut work) = self.take_work() else { return };
        let written = self.write_pieces(&work.gathered.pieces);
        let mut marked = Ok(());
        if work.sync_marks && written.is_ok() {
            self.lock().settle(&work.settled);
            marked = self.mark_once(BatchWaits::Yes).and_then(|()| self.sync_marks());
        }
        let outcome = match (&written, &marked) {
            (Ok(()), Ok(())) => Outcome::Synced,
            // Its records are safe and its marks will be: the batch waits for them.
            (Ok(()), Err(MarkError::NotWritten(_))) => Outcome::Waiting,
            _ => Outcome::Failed,
        };
        match outcome {
            Outcome::Synced => self.set_synced(work.gathered.batch),
            Outcome::Waiting => {}
            Outcome::Failed => {
                self.fail(work.gathered.batch, written.as_ref().err(), marked.as_ref().err());
            }
        }
        self.end_batch(&mut work, written.is_ok(), outcome);
    }

    /// Says once why nothing is confirmed any more.
    fn fail(&self, batch: Batch, written: Option<&StoreError>, marked: Option<&MarkError>) {
        if self.health() != Health::Failed {
            let cause = written.and_then(|error| error.source()).map(ToString::to_string);
            let error = written.map(ToString::to_string);
            tracing::error!(error, cause, ?marked, "nothing is confirmed any more");
        }
        self.set_failed(batch);
    }

    /// Takes the batch that has gathered, once its files are made.
    fn take_work(&self) -> Option<BatchWork> {
        loop {
            let unmade = {
                let mut state = self.lock();
                let unmade = state.gathering.unmade(&state.files);
                if unmade.is_empty() || self.health() == Health::Failed {
                    return self.take_gathered(&mut state);
                }
                unmade
            };
            for file in unmade {
                if let Err(error) = self.make_file(&file) {
                    self.on_no_room(&error);
                    let mut state = self.lock();
                    state.asleep.lacks_room = !state.is_closing;
                    // The next start finds nothing of it, and nothing of it was confirmed.
                    return if state.is_closing { self.take_gathered(&mut state) } else { None };
                }
            }
        }
    }

    /// Makes a file that records have gathered for. A free file that is too small or came too late gives its room up
    /// for it.
    fn make_file(&self, unmade: &FileToCreate) -> io::Result<()> {
        loop {
            match self.medium.create(&unmade.name, unmade.capacity.into()) {
                Ok(file) => {
                    self.lock().gathering.on_made(unmade.number, &file);
                    return Ok(());
                }
                Err(error) => {
                    let free = self.lock().files.take_any_free();
                    let Some(free) = free else { return Err(error) };
                    self.remove(&free.name);
                }
            }
        }
    }

    fn take_gathered(&self, state: &mut LogState) -> Option<BatchWork> {
        let has_records = state.gathering.has_records();
        let sync_marks = state.marks.take_awaited(has_records);
        if !has_records && !sync_marks {
            return None;
        }
        let gathered = state.gathering.take();
        self.end_congestion();
        if state.needs_free_file() && self.health() == Health::Well {
            self.order(Job::Prepare);
        }
        let settled = state.marks.take_settled_with_batch();
        Some(BatchWork { gathered, settled, sync_marks })
    }

    /// Writes all pieces, then syncs their files in order.
    fn write_pieces(&self, pieces: &[Piece]) -> Result<(), StoreError> {
        moment::reach("store.write");
        let failed =
            |action, piece: &Piece, source| cannot(action, self.medium.path(&piece.name), source);
        if self.health() == Health::Failed {
            let source = io::Error::other("an earlier write has failed");
            return Err(cannot("write", self.medium.path(""), source));
        }
        for piece in pieces {
            let write = || {
                let file = piece.file.as_ref().ok_or(io::ErrorKind::StorageFull)?;
                if let Some(header) = &piece.header {
                    file.write_at(header, 0)?;
                }
                file.write_at(&piece.bytes, piece.offset.into())
            };
            write().map_err(|source| failed("write", piece, source))?;
        }
        if self.durability == LogDurability::Kept {
            for piece in pieces {
                let synced = piece.file.as_ref().map_or(Ok(()), |file| file.sync());
                synced.map_err(|source| failed("sync", piece, source))?;
            }
        }
        Ok(())
    }

    /// Wakes the threads that wait for the batch, and gives its memory back.
    fn end_batch(&self, work: &mut BatchWork, is_written: bool, outcome: Outcome) {
        let batch = work.gathered.batch;
        let mut state = self.lock();
        if is_written {
            for full in state.gathering.on_written(&mut work.gathered) {
                self.on_full(&mut state, full);
            }
        } else {
            // Queues may have nothing but the place of these messages.
            state.gathering.on_failed();
        }
        if outcome == Outcome::Synced && state.marks.has_replacements() {
            let replaced = state.marks.take_replaced_until(batch);
            state.settle(&replaced);
            self.wake_marker(&mut state);
        }
        let woken = match outcome {
            Outcome::Waiting => Vec::new(),
            Outcome::Synced | Outcome::Failed => state.gathering.take_waiters(batch),
        };
        drop(state);
        for waker in woken {
            waker.wake();
        }
    }
}
