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
use std::time::{Duration, Instant};

use super::inbox::{OpenMarks, Piece, Sleep};
use super::index::Index;
use super::log::{Durability, Log};
use super::marks::{self, MARK_LEN, Mark, marks_name};
use super::{Batch, Health, Run, Runs, StoreError, scan};

/// How long settlements wait for company; what a `kill -9` may make come again is hardly older than this.
const MARKS_PAUSE: Duration = Duration::from_millis(5);

/// Whether settlements that nobody waits for are written down with this batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarksNow {
    Yes,
    /// There will be more of them soon.
    Later,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    ForBatch,
    /// There was no batch for as long as marks may wait.
    Out,
}

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
    #[expect(
        clippy::disallowed_methods,
        reason = "how long marks have waited is nobody else's time"
    )]
    pub(super) fn write_until_closed(&self) {
        let mut marked_at = Instant::now();
        while let Some(waited) = self.wait_for_work() {
            let is_due = waited == Waited::Out || marked_at.elapsed() >= MARKS_PAUSE;
            if is_due {
                marked_at = Instant::now();
            }
            self.write_once(if is_due { MarksNow::Yes } else { MarksNow::Later });
        }
    }

    /// Waits for something to do; `None` when the log is closed and nothing is left.
    fn wait_for_work(&self) -> Option<Waited> {
        let mut inbox = self.lock();
        let mut waited = Waited::ForBatch;
        while !inbox.is_urgent() {
            if inbox.has_work() {
                inbox.sleep = Sleep::Light;
                let (guard, pause) = self
                    .bell
                    .wait_timeout(inbox, MARKS_PAUSE)
                    .unwrap_or_else(PoisonError::into_inner);
                inbox = guard;
                if pause.timed_out() {
                    waited = Waited::Out;
                    break;
                }
            } else {
                inbox.sleep = Sleep::Deep;
                inbox = self.bell.wait(inbox).unwrap_or_else(PoisonError::into_inner);
            }
        }
        inbox.sleep = Sleep::Awake;
        if inbox.is_closing {
            waited = Waited::Out;
        }
        inbox.has_work().then_some(waited)
    }

    /// Does all there is to do now; answers whether there was anything.
    pub(super) fn write_once(&self, marks: MarksNow) -> bool {
        let Some(mut work) = self.take_work(marks) else { return false };
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

    fn take_work(&self, marks: MarksNow) -> Option<Work> {
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
        let mut work = Work {
            batch,
            pieces,
            full,
            settled: Runs::default(),
            unmarked: Runs::default(),
            delivered: Runs::default(),
            sync_marks: std::mem::take(&mut inbox.sync_marks),
        };
        if marks == MarksNow::Yes || work.sync_marks {
            work.settled = std::mem::take(&mut inbox.settled);
            work.unmarked = std::mem::take(&mut inbox.unmarked);
            work.delivered = std::mem::take(&mut inbox.delivered);
        }
        Some(work)
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
