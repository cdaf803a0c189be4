//! The thread that writes what was gathered and syncs it, one batch after the other.
//!
//! A confirm waits for the `fdatasync` that covers its record, and for nothing else: marks are written after those
//! who wait have been woken, unless somebody waits for the marks (`tx.commit`). While a batch is written the next
//! one gathers, so the busier the broker, the more records share a sync.
//!
//! Start reading at [`Log::write_once`].

use std::collections::VecDeque;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::inbox::{LateMarks, Piece, Sleep};
use super::index::Index;
use super::log::{Durability, Log};
use super::marking::MarkError;
use super::marks::Mark;
use super::{Batch, Health, Outcome, Runs, StoreError, scan};

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
    /// Slots whose copies count, or that are void copies themselves.
    moved: Runs,
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

    /// Does all there is to do now.
    pub(super) fn write_once(&self, marks: MarksNow) {
        let Some(mut work) = self.take_work(marks) else { return };
        let has_batch = !work.pieces.is_empty() || work.sync_marks;
        work.settled.join();
        work.unmarked.append(&work.settled);
        work.unmarked.join();
        work.delivered.join();
        let written = self.write_pieces(&work.pieces);
        let mut marked = Ok(());
        if work.sync_marks && written.is_ok() {
            marked = self.write_all_marks(&work).and_then(|()| self.sync_marks());
        }
        let outcome = match (&written, &marked) {
            (Ok(()), Ok(())) => Outcome::Synced,
            // Its records are safe and its marks will be: the batch waits for them.
            (Ok(()), Err(MarkError::NotWritten(_))) => Outcome::Waiting,
            _ => Outcome::Failed,
        };
        match outcome {
            Outcome::Synced if has_batch => self.set_synced(work.batch),
            Outcome::Synced | Outcome::Waiting => {}
            Outcome::Failed => self.fail(work.batch, written.as_ref().err(), marked.as_ref().err()),
        }
        self.land(&mut work, written.is_ok(), outcome);
        if !work.sync_marks && written.is_ok() {
            marked = self.write_all_marks(&work);
        }
        self.end_work(&work, written.is_ok(), marked);
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

    fn write_all_marks(&self, work: &Work) -> Result<(), MarkError> {
        self.write_marks(&work.moved, Mark::Moved)?;
        self.write_marks(&work.unmarked, Mark::Settled)?;
        self.write_marks(&work.delivered, Mark::Delivered)
    }

    /// Counts what was settled, and keeps for later what could not be marked.
    fn end_work(&self, work: &Work, is_written: bool, marked: Result<(), MarkError>) {
        let mut inbox = self.lock();
        inbox.in_hand = Runs::default();
        if let Err(error) = marked {
            if inbox.late_marks == LateMarks::None {
                tracing::warn!(?error, "acknowledgements cannot be written yet");
            }
            let is_awaited = work.sync_marks || inbox.late_marks == LateMarks::Awaited;
            inbox.late_marks = if is_awaited { LateMarks::Awaited } else { LateMarks::Some };
            inbox.unmarked.append(&work.unmarked);
            inbox.delivered.append(&work.delivered);
            inbox.moved_late.append(&work.moved);
        } else {
            if is_written && (work.sync_marks || inbox.late_marks == LateMarks::Some) {
                inbox.late_marks = LateMarks::None;
            }
            self.count_settled(&mut inbox, &work.moved);
        }
        self.count_settled(&mut inbox, &work.settled);
    }

    fn take_work(&self, marks: MarksNow) -> Option<Work> {
        let mut inbox = self.lock();
        let inbox = &mut *inbox;
        // A batch whose marks are late is not passed by another one.
        let sync_marks = std::mem::take(&mut inbox.sync_marks)
            || (inbox.late_marks == LateMarks::Awaited && !inbox.pieces.is_empty());
        let has_batch = !inbox.pieces.is_empty() || sync_marks;
        let is_last_try = inbox.is_closing && !inbox.unmarked.is_empty();
        if !has_batch && !inbox.has_work() && !is_last_try {
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
            moved: Runs::default(),
            sync_marks,
        };
        if marks == MarksNow::Yes || work.sync_marks {
            work.settled = std::mem::take(&mut inbox.settled);
            work.unmarked = std::mem::take(&mut inbox.unmarked);
            work.delivered = std::mem::take(&mut inbox.delivered);
            work.moved = std::mem::take(&mut inbox.moved_late);
            inbox.take_in_hand(&work.settled, &work.unmarked);
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
    fn land(&self, work: &mut Work, is_written: bool, outcome: Outcome) {
        let mut inbox = self.lock();
        let flight = inbox.flight.take();
        let late = std::mem::take(&mut inbox.full_after_flight);
        if is_written {
            drop(flight);
            for (number, index) in work.full.drain(..).chain(late) {
                self.on_full(&mut inbox, number, index);
            }
            // Who reads from it just now keeps its buffers.
            let pieces = Arc::try_unwrap(std::mem::take(&mut work.pieces)).unwrap_or_default();
            inbox.keep_buffers(pieces);
        } else {
            // Queues may have nothing but the place of these messages.
            inbox.lost.extend(flight);
        }
        let woken = match outcome {
            Outcome::Waiting => VecDeque::new(),
            Outcome::Synced | Outcome::Failed => inbox.take_waiters(work.batch),
        };
        drop(inbox);
        for waker in woken {
            waker.wake();
        }
    }
}
