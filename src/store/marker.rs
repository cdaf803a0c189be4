//! The thread that writes marks, at most 5 ms after they are known: a message that a consumer has acknowledged does not
//! come back after a `kill -9`.
//!
//! It never syncs, and waits for no thread that does: the disk may take seconds for the `fdatasync` of the writer. So
//! marks may be in their file before the records that they are of, also after a power cut; `recovery` knows that. A
//! settlement that must not be there before a record is waits for that record's batch: [`super::replaced`], and
//! `tx.commit`, whose settlements the writer adds when its publishes are on disk.
//!
//! Start reading at [`Log::mark_once`].

use std::sync::MutexGuard;
use std::time::Duration;

use super::log::Log;
use super::marks::Mark;
use super::open_marks::MarkError;
use super::pending_marks::{BatchWaits, Marking};

/// Settlements wait this long for others to be written with.
const MARKS_PAUSE: Duration = Duration::from_millis(5);

impl Log {
    /// Writes marks until the log is closed.
    pub(super) fn mark_until_closed(&self) {
        while self.wait_for_marks() {
            // The maintenance thread tries again to write marks that could not be written.
            let _ = self.mark_once(BatchWaits::No);
        }
    }

    /// Waits for marks and a little for more of them; `false` when the log is closed and there are none.
    fn wait_for_marks(&self) -> bool {
        let mut state = self.lock();
        while !state.marks.has_any() {
            if state.is_closing {
                return false;
            }
            state.asleep.marker = true;
            state = state.wait(&self.marker_wakeup);
        }
        state.asleep.marker = false;
        if !state.is_closing {
            drop(state.wait_timeout(&self.marker_wakeup, MARKS_PAUSE));
        }
        true
    }

    /// Writes all marks there are, one caller after the other.
    pub(super) fn mark_once(&self, awaited: BatchWaits) -> Result<(), MarkError> {
        let held = self.marking.lock();
        self.mark_holding(&held, awaited)
    }

    /// The same, unless marks are being written: for tests that do it in the middle of everything else.
    pub(super) fn try_mark_once(&self) -> bool {
        if self.mark_files.try_lock().is_none() {
            return false;
        }
        let Some(held) = self.marking.try_lock() else { return false };
        self.mark_holding(&held, BatchWaits::No).is_ok()
    }

    fn mark_holding(
        &self,
        _held: &MutexGuard<'_, ()>,
        awaited: BatchWaits,
    ) -> Result<(), MarkError> {
        let Some(mut marking) = self.lock().take_marks(awaited) else { return Ok(()) };
        marking.settled.join();
        marking.unmarked.append(&marking.settled);
        marking.unmarked.join();
        marking.delivered.join();
        let marked = self.write_all_marks(&marking);
        self.end_marking(&marking, awaited, marked)
    }

    fn write_all_marks(&self, marking: &Marking) -> Result<(), MarkError> {
        self.write_marks(&marking.unmarked, Mark::Settled)?;
        self.write_marks(&marking.delivered, Mark::Delivered)?;
        self.write_counted(&marking.counted)
    }

    /// Counts settled messages, and keeps marks for later that could not be written.
    fn end_marking(
        &self,
        marking: &Marking,
        awaited: BatchWaits,
        marked: Result<(), MarkError>,
    ) -> Result<(), MarkError> {
        let mut state = self.lock();
        let was_in_time = state.end_marking(marking, awaited, marked.is_ok());
        if let Err(error) = &marked
            && was_in_time
        {
            tracing::warn!(?error, "acknowledgements cannot be written yet");
        }
        self.count_settled(&mut state, &marking.settled);
        marked
    }
}
