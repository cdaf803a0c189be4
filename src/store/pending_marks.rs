//! The marks that are not written yet, under the log's lock.
//!
//! A settlement is here from [`PendingMarks::add_settled`] until its mark is in the file. Two kinds come later: those
//! of a transaction, when its publishes are on disk; and those of messages that another record replaces (`replaced`).

use super::batch::{Appended, Batch};
use super::counts::Counted;
use super::place::Place;
use super::replaced::Replacements;
use super::slot_ranges::SlotRanges;

/// Marks that are being written.
#[derive(Clone, Debug, Default)]
pub(super) struct BeingMarked {
    pub(super) settled: SlotRanges,
    pub(super) delivered: SlotRanges,
    pub(super) counted: Vec<Counted>,
}

/// Marks that are written in one go.
#[derive(Debug, Default)]
pub(super) struct Marking {
    /// Slots that count as settled when this ends.
    pub(super) settled: SlotRanges,
    /// The settled slots, with those whose marks could not be written earlier.
    pub(super) unmarked: SlotRanges,
    pub(super) delivered: SlotRanges,
    pub(super) counted: Vec<Counted>,
}

/// The wait of a batch for marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchWaits {
    Yes,
    No,
}

/// Marks that could not be written when it was their time.
///
/// ```text
///        a mark was refused, and no batch waits for it
/// None -------------------------------------------------> Some
///  ^ |                                                     | ^
///  | '--- a mark was refused, and a batch waits ---.       | '-- refused again
///  |                                               v       v
///  '------------ all were written -------------- BatchWaits <-'  (a batch waits)
/// ```
///
/// While it is `BatchWaits`, no later batch is written without the marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum UnwrittenMarks {
    #[default]
    None,
    Some,
    /// A batch waits for them.
    BatchWaits,
}

/// The marks of a log that are not written yet.
#[derive(Debug, Default)]
pub(super) struct PendingMarks {
    settled: SlotRanges,
    delivered: SlotRanges,
    counted: Vec<Counted>,
    /// Slots that are settled when the batch is on disk.
    settled_with_batch: SlotRanges,
    /// The batch waits for its marks to be synced.
    are_awaited: bool,
    /// Records that take the place of others and are not on disk yet.
    replacements: Replacements,
    /// Settled slots whose marks could not be written when it was their time.
    unmarked: SlotRanges,
    /// `unmarked` is to be tried again, and no batch waits for it.
    retries: bool,
    late: UnwrittenMarks,
    /// Slots that are being marked and do not count as settled yet, and those whose delivery is being marked.
    being_marked: BeingMarked,
}

impl PendingMarks {
    #[inline]
    pub(super) fn add_settled(&mut self, slots: &SlotRanges) {
        self.settled.append(slots);
    }

    #[inline]
    pub(super) fn add_delivered(&mut self, slots: &SlotRanges) {
        self.delivered.append(slots);
    }

    pub(super) fn add_counted(&mut self, counted: &[Counted]) {
        self.counted.extend_from_slice(counted);
    }

    pub(super) fn take_settled(&mut self) -> SlotRanges {
        std::mem::take(&mut self.settled)
    }

    pub(super) fn take_delivered(&mut self) -> SlotRanges {
        std::mem::take(&mut self.delivered)
    }

    /// The counts that are to be marked, for sending them to where their slots are now.
    pub(super) fn counted_mut(&mut self) -> &mut [Counted] {
        &mut self.counted
    }

    /// Has slots be settled when the batch is on disk, which then waits for their marks.
    pub(super) fn settle_with_batch(&mut self, slots: &SlotRanges) {
        self.settled_with_batch.append(slots);
        self.are_awaited = true;
    }

    pub(super) fn take_settled_with_batch(&mut self) -> SlotRanges {
        std::mem::take(&mut self.settled_with_batch)
    }

    /// True if the batch waits for its marks, even one without records.
    pub(super) fn are_awaited(&self) -> bool {
        self.are_awaited
    }

    /// True if the batch that is taken now is to wait for marks. A batch whose marks are late is not passed by another
    /// one that has records.
    pub(super) fn take_awaited(&mut self, has_records: bool) -> bool {
        std::mem::take(&mut self.are_awaited)
            || (self.late == UnwrittenMarks::BatchWaits && has_records)
    }

    /// True if there are marks to be written now: those that were refused count only if they are to be tried again.
    pub(super) fn has_any(&self) -> bool {
        !self.settled.is_empty()
            || !self.delivered.is_empty()
            || !self.counted.is_empty()
            || self.retries
    }

    /// True if there are settled slots whose marks were refused.
    pub(super) fn has_unmarked(&self) -> bool {
        !self.unmarked.is_empty()
    }

    /// Has refused marks be tried again; answers the thread to be woken for it. A batch waits for them only if a
    /// transaction does: on a disk without room for a mark there may be room for messages, in files that are used
    /// again.
    pub(super) fn retry(&mut self) -> Retry {
        if self.late == UnwrittenMarks::BatchWaits {
            self.are_awaited = true;
            Retry::Writer
        } else if self.has_unmarked() {
            self.retries = true;
            Retry::Marker
        } else {
            Retry::Nothing
        }
    }

    /// Takes the marks that are to be written, if there are any; [`Self::end`] takes the result.
    pub(super) fn take(&mut self, awaited: BatchWaits) -> Option<Marking> {
        self.retries = false;
        if !self.has_any() && self.unmarked.is_empty() {
            if awaited == BatchWaits::Yes {
                self.late = UnwrittenMarks::None;
            }
            return None;
        }
        let marking = Marking {
            settled: std::mem::take(&mut self.settled),
            unmarked: std::mem::take(&mut self.unmarked),
            delivered: std::mem::take(&mut self.delivered),
            counted: std::mem::take(&mut self.counted),
        };
        self.being_marked = BeingMarked {
            settled: marking.settled.clone(),
            delivered: marking.delivered.clone(),
            counted: marking.counted.clone(),
        };
        self.being_marked.settled.append(&marking.unmarked);
        Some(marking)
    }

    pub(super) fn being_marked(&self) -> &BeingMarked {
        &self.being_marked
    }

    /// Ends a marking: keeps for later what could not be written. Answers whether nothing was late before.
    pub(super) fn end(&mut self, marking: &Marking, awaited: BatchWaits, is_written: bool) -> bool {
        self.being_marked = BeingMarked::default();
        let was_late = self.late;
        let is_awaited = awaited == BatchWaits::Yes || was_late == UnwrittenMarks::BatchWaits;
        if !is_written {
            self.late = if is_awaited { UnwrittenMarks::BatchWaits } else { UnwrittenMarks::Some };
            self.unmarked.append(&marking.unmarked);
            self.delivered.append(&marking.delivered);
            self.counted.extend_from_slice(&marking.counted);
        } else if awaited == BatchWaits::Yes || !is_awaited {
            // A batch's wait is over when the writer has synced it.
            self.late = UnwrittenMarks::None;
        }
        was_late == UnwrittenMarks::None
    }

    /// Keeps what was being marked when a bug ended the marking: settled all the same, though it may be written
    /// already.
    pub(super) fn end_by_bug(&mut self) {
        let being_marked = std::mem::take(&mut self.being_marked);
        self.unmarked.append(&being_marked.settled);
    }

    #[inline]
    pub(super) fn has_replacements(&self) -> bool {
        !self.replacements.is_empty()
    }

    /// Notes a record of so many slots that is to take the place of another one.
    pub(super) fn add_replacement(&mut self, appended: Appended, slots: u32) {
        self.replacements.add(appended, slots);
    }

    /// Says whose place a record has taken; answers whether that may be settled now.
    pub(super) fn replace(&mut self, first: Place, replaced: Place) -> bool {
        self.replacements.replace(first, replaced)
    }

    /// The places that are settled with these slots, because they are the last of the records in their place.
    pub(super) fn replaced_by(&mut self, settled: &SlotRanges) -> SlotRanges {
        self.replacements.on_settled(settled)
    }

    /// Takes the places whose records are on disk with this batch.
    pub(super) fn take_replaced_until(&mut self, batch: Batch) -> SlotRanges {
        self.replacements.take_until(batch)
    }

    /// Asserts the invariants of the marks, which hold whenever the lock is free.
    pub(super) fn assert_sound(&self) {
        assert!(self.are_awaited || self.settled_with_batch.is_empty(), "a batch waits for marks");
        assert!(!self.retries || self.has_unmarked(), "marks are tried again that were refused");
        self.replacements.assert_sound();
    }
}

/// The thread that is to be woken for marks that were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    Writer,
    Marker,
    Nothing,
}
