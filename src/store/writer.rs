//! The thread that writes what was gathered and syncs it, one batch after the other.
//!
//! A confirm waits for the `fdatasync` that covers its record, and for nothing else: marks are written after those
//! who wait have been woken, unless somebody waits for the marks (`tx.commit`). While a batch is written the next
//! one gathers, so the busier the broker, the more records share a sync.
//!
//! Start reading at [`Log::write_once`].

use std::error::Error as _;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::index::Index;
use super::log::{Durability, Log, OpenMarks, Piece, Sleep};
use super::marks::{self, MARK_LEN, Mark, marks_name};
use super::{Batch, Health, Run, Runs, StoreError, scan};

/// How long settlements wait for company; what a `kill -9` may make come again is no older than this.
const MARKS_PAUSE: Duration = Duration::from_millis(5);
/// What is done in one go.
struct Work {
    batch: Batch,
    pieces: Arc<Vec<Piece>>,
    /// Files that are full once the pieces are written.
    full: Vec<(u32, Index)>,
    settled: Runs,
    /// The settled slots, with those whose marks could not be written earlier.
    unmarked: Runs,
    delivered: Runs,
    sync_marks: bool,
}

impl Log {
    /// Writes until the log is closed.
    pub(super) fn write_until_closed(&self) {
        while self.wait_for_work() {
            self.write_once();
        }
    }

    /// Waits for something to do; `false` when the log is closed and nothing is left.
    fn wait_for_work(&self) -> bool {
        let mut inbox = self.lock();
        while !inbox.is_urgent() {
            if inbox.has_work() {
                inbox.sleep = Sleep::Light;
                let waited = self.bell.wait_timeout(inbox, MARKS_PAUSE);
                let (guard, pause) = waited.unwrap_or_else(PoisonError::into_inner);
                inbox = guard;
                if pause.timed_out() {
                    break;
                }
            } else {
                inbox.sleep = Sleep::Deep;
                inbox = self.bell.wait(inbox).unwrap_or_else(PoisonError::into_inner);
            }
        }
        inbox.sleep = Sleep::Awake;
        inbox.has_work()
    }

    /// Does all there is to do now; answers whether there was anything.
    pub(super) fn write_once(&self) -> bool {
        let Some(mut work) = self.take_work() else { return false };
        let has_batch = !work.pieces.is_empty() || work.sync_marks;
        let mut written = self.write_pieces(&work.pieces);
        work.settled.join();
        work.unmarked.append(&work.settled);
        work.unmarked.join();
        work.delivered.join();
        if work.sync_marks && written.is_ok() {
            let marked = self.write_marks(&work).and_then(|()| self.sync_marks());
            written = marked.map_err(|source| scan::cannot("write", self.medium.path(""), source));
        }
        match &written {
            Ok(()) if has_batch => self.set_synced(work.batch),
            Ok(()) => {}
            Err(_) if self.health() == Health::Failed => self.set_failed(work.batch),
            Err(error) => {
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, cause, "nothing is confirmed any more");
                self.set_failed(work.batch);
            }
        }
        self.land(&mut work, written.is_ok());
        let marked = if work.sync_marks { Ok(()) } else { self.write_marks(&work) };
        let mut inbox = self.lock();
        if let Err(error) = marked {
            tracing::warn!(%error, "acknowledgements cannot be written yet");
            inbox.unmarked.append(&work.unmarked);
        }
        self.count_settled(&mut inbox, &work.settled);
        true
    }

    fn take_work(&self) -> Option<Work> {
        let mut inbox = self.lock();
        let inbox = &mut *inbox;
        let has_batch = !inbox.pieces.is_empty() || inbox.sync_marks;
        let is_last_try = inbox.is_closing && !inbox.unmarked.is_empty();
        if !inbox.has_work() && !is_last_try {
            return None;
        }
        let mut pieces = std::mem::take(&mut inbox.pieces);
        let full = pieces.iter_mut().filter_map(|piece| Some((piece.number, piece.full.take()?)));
        let full = full.collect();
        let pieces = Arc::new(pieces);
        let batch = inbox.gathering;
        if has_batch {
            inbox.gathering.0 += 1;
        }
        inbox.gathered_bytes = 0;
        if !pieces.is_empty() {
            inbox.flight = Some(Arc::clone(&pieces));
        }
        self.end_congestion();
        Some(Work {
            batch,
            pieces,
            full,
            settled: std::mem::take(&mut inbox.settled),
            unmarked: std::mem::take(&mut inbox.unmarked),
            delivered: std::mem::take(&mut inbox.delivered),
            sync_marks: std::mem::take(&mut inbox.sync_marks),
        })
    }

    /// Writes all pieces, then syncs their files in order.
    fn write_pieces(&self, pieces: &[Piece]) -> Result<(), StoreError> {
        let cannot = |action, piece: &Piece, source| {
            scan::cannot(action, self.medium.path(&piece.name), source)
        };
        if self.health() == Health::Failed {
            let source = io::Error::other("an earlier write has failed");
            return Err(scan::cannot("write", self.medium.path(""), source));
        }
        for piece in pieces {
            let write = || {
                if let Some(header) = &piece.header {
                    piece.file.write_at(header, 0)?;
                }
                piece.file.write_at(&piece.bytes, piece.offset.into())
            };
            write().map_err(|source| cannot("write", piece, source))?;
        }
        if self.durability == Durability::Kept {
            for piece in pieces {
                piece.file.sync().map_err(|source| cannot("sync", piece, source))?;
            }
        }
        Ok(())
    }

    /// Tells who waits for the batch, and gives its memory back.
    fn land(&self, work: &mut Work, is_written: bool) {
        let mut inbox = self.lock();
        let flight = inbox.flight.take();
        if is_written {
            drop(flight);
            for (number, index) in work.full.drain(..) {
                self.on_full(&mut inbox, number, index);
            }
            // Who reads from it just now keeps its buffers.
            let pieces = Arc::try_unwrap(std::mem::take(&mut work.pieces)).unwrap_or_default();
            inbox.keep_buffers(pieces);
        } else {
            // Queues may have nothing but the place of these messages.
            inbox.lost.extend(flight);
        }
        let woken = inbox.take_waiters(work.batch);
        drop(inbox);
        for waker in woken {
            waker.wake();
        }
    }

    /// Adds the marks of this work to the marks of its files.
    fn write_marks(&self, work: &Work) -> io::Result<()> {
        if self.durability == Durability::Spilled {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for (runs, mark) in [(&work.unmarked, Mark::Settled), (&work.delivered, Mark::Delivered)] {
            for runs in runs.by_file() {
                bytes.clear();
                marks::encode(runs, mark, &mut bytes);
                self.add_marks(runs[0], &bytes)?;
            }
        }
        Ok(())
    }

    fn add_marks(&self, of: Run, bytes: &[u8]) -> io::Result<()> {
        let number = of.file.get();
        let name = match self.lock().files.get(&number) {
            Some(state) => marks_name(&state.name),
            // It is of no use any more, and so are its marks.
            None => return Ok(()),
        };
        let mut open = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match open.entry(number) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let file = self.medium.open_or_make(&name)?;
                let len = file.len()?.next_multiple_of(MARK_LEN as u64);
                entry.insert(OpenMarks { file, len, is_dirty: false })
            }
        };
        entry.file.write_at(bytes, entry.len)?;
        entry.len += bytes.len() as u64;
        entry.is_dirty = true;
        Ok(())
    }
}
