//! Marks: beside each file those that say which of its slots are settled, were delivered, or have moved. Marks that
//! count returns stand among them (`counts`). `design` draws the bytes.
//!
//! Marks are only added, and a slot once settled stays so; therefore their order does not matter. One that was
//! torn or lost in a crash is skipped: its messages come again.

use std::num::NonZeroU32;

use crc32c::crc32c;

use super::counts::{Counted, CountedSlots, MARK_LEN};
use super::record::u32_at;
use super::slot_ranges::{SlotRange, SlotRanges};

/// The file of a log file's marks.
pub(super) fn marks_name(log: &str) -> String {
    log.replace(".log", ".marks")
}

const DELIVERED: u32 = 1 << 31;
const MOVED: u32 = 1 << 30;

/// The kinds of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Settled,
    Delivered,
    /// A copy in another file counts, and whether that is settled is said there.
    Moved,
}

/// Appends the marks of ranges, all of one file.
pub(super) fn encode(ranges: &[SlotRange], mark: Mark, into: &mut Vec<u8>) {
    let kind = match mark {
        Mark::Settled => 0,
        Mark::Delivered => DELIVERED,
        Mark::Moved => MOVED,
    };
    for range in ranges {
        let start = into.len();
        into.extend_from_slice(&range.first.to_le_bytes());
        into.extend_from_slice(&(range.count | kind).to_le_bytes());
        into.extend_from_slice(&range.file.get().to_le_bytes());
        let checksum = crc32c(&into[start..]);
        into.extend_from_slice(&checksum.to_le_bytes());
    }
}

/// The numbers of the files that whole marks are of.
pub(super) fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let whole = bytes.chunks(MARK_LEN).filter(|mark| is_whole(mark));
    whole.map(|mark| u32_at(mark, 8))
}

/// The marks of a file with those that are not whole replaced by marks of no slots, at the same places: so a part of
/// them may be written over those that are there.
pub(super) fn without_broken(bytes: &[u8], file: NonZeroU32) -> Vec<u8> {
    let mut whole = Vec::with_capacity(bytes.len());
    for mark in bytes.chunks(MARK_LEN) {
        if is_whole(mark) {
            whole.extend_from_slice(mark);
        } else if mark.len() == MARK_LEN {
            encode(&[SlotRange { file, first: 0, count: 0 }], Mark::Settled, &mut whole);
        }
    }
    whole
}

fn is_whole(mark: &[u8]) -> bool {
    mark.len() == MARK_LEN
        && (Counted::decode(mark).is_some() || u32_at(mark, 12) == crc32c(&mark[..12]))
}

/// One bit for each slot of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Vec<u64>);

impl Slots {
    pub(super) fn has(&self, slot: u32) -> bool {
        let word = self.0.get(slot as usize / 64);
        word.is_some_and(|word| word & 1 << (slot % 64) != 0)
    }

    /// Puts a slot in; answers whether it is new.
    pub(super) fn insert(&mut self, slot: u32) -> bool {
        let at = slot as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        let is_new = !self.has(slot);
        self.0[at] |= 1 << (slot % 64);
        is_new
    }

    pub(super) fn insert_range(&mut self, range: SlotRange) {
        for slot in range.slots() {
            self.insert(slot);
        }
    }

    /// Puts in what the ranges have of one file.
    pub(super) fn insert_of(&mut self, file: u32, ranges: &SlotRanges) {
        for range in ranges.iter().filter(|range| range.file.get() == file) {
            self.insert_range(*range);
        }
    }
}

/// The marks of a file as they are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    pub(super) settled: Slots,
    pub(super) delivered: Slots,
    pub(super) moved: Slots,
    pub(super) counts: CountedSlots,
    /// There are marks of slots that the file does not have: they were written, and records were not.
    pub(super) is_ahead: bool,
    /// Marks that are not whole.
    pub(super) broken: u64,
}

impl Marks {
    /// True if a slot waits for its queue in this file.
    pub(super) fn is_waiting(&self, slot: u32) -> bool {
        !self.settled.has(slot) && !self.moved.has(slot)
    }

    /// True if a message was delivered before.
    pub(super) fn is_delivered(&self, slot: u32) -> bool {
        self.delivered.has(slot) || self.counts.get(slot).is_some()
    }

    fn note_counted(&mut self, counted: Counted, file: NonZeroU32, slots: u32) {
        if counted.place.file == file {
            self.is_ahead |= counted.place.slot >= slots;
            self.counts.note(counted);
        }
    }
}

/// Reads marks; those of other files, and those that are not whole, are skipped. Slots from `slots` on do not exist.
pub(super) fn decode(bytes: &[u8], file: NonZeroU32, slots: u32) -> Marks {
    let mut marks = Marks::default();
    for mark in bytes.chunks(MARK_LEN) {
        if let Some(counted) = Counted::decode(mark) {
            marks.note_counted(counted, file, slots);
            continue;
        }
        if !is_whole(mark) {
            marks.broken += 1;
            continue;
        }
        let (first, count) = (u32_at(mark, 0), u32_at(mark, 4));
        // Saturates for a whole mark that no release writes; it ends with the slots of the file in any case.
        let end = first.saturating_add(count & !(DELIVERED | MOVED));
        if u32_at(mark, 8) != file.get() {
            continue;
        }
        marks.is_ahead |= end > slots;
        let end = end.min(slots);
        let set = match (count & DELIVERED, count & MOVED) {
            (0, 0) => &mut marks.settled,
            (0, _) => &mut marks.moved,
            _ => &mut marks.delivered,
        };
        for slot in first..end {
            set.insert(slot);
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::slot_ranges::tests::{FILE, range};

    #[test]
    fn marks_are_read_as_written_and_broken_ones_are_skipped() {
        let mut bytes = Vec::new();
        encode(&[range(0, 3), range(10, 1)], Mark::Settled, &mut bytes);
        encode(&[range(3, 2)], Mark::Delivered, &mut bytes);
        encode(&[range(5, 1)], Mark::Moved, &mut bytes);
        bytes[MARK_LEN] ^= 1;
        bytes.extend([1, 2, 3]);
        let marks = decode(&bytes, FILE, 100);
        let settled: Vec<u32> = (0..100).filter(|&slot| marks.settled.has(slot)).collect();
        let delivered: Vec<u32> = (0..100).filter(|&slot| marks.delivered.has(slot)).collect();
        assert_eq!((settled, delivered, marks.broken), (vec![0, 1, 2], vec![3, 4], 2));
        let waiting: Vec<u32> = (0..7).filter(|&slot| marks.is_waiting(slot)).collect();
        assert_eq!(waiting, [3, 4, 6]);
    }
}
