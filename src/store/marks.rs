//! Beside each file its marks: which of its slots are settled, which were delivered.
//!
//! ```text
//! mark, 16 bytes:   0  first slot u32    4  count u32; its top bit: delivered, the next: moved
//!                   8  file number u32  12  checksum u32 of bytes 0..12
//! ```
//!
//! Marks are only added, and a slot once settled stays so; therefore their order does not matter, and one that was
//! torn or lost in a crash is skipped: its messages come again.

use std::num::NonZeroU32;

use crc32c::crc32c;

use super::record::u32_at;
use super::{Run, Runs};

/// The file of a log file's marks.
pub(super) fn marks_name(log: &str) -> String {
    log.replace(".log", ".marks")
}

pub(super) const MARK_LEN: usize = 16;
const DELIVERED: u32 = 1 << 31;
const MOVED: u32 = 1 << 30;

/// What a mark says of its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Settled,
    Delivered,
    /// A copy in another file counts, and whether that is settled is said there.
    Moved,
}

/// Appends the marks of runs, all of one file.
pub(super) fn encode(runs: &[Run], mark: Mark, into: &mut Vec<u8>) {
    let kind = match mark {
        Mark::Settled => 0,
        Mark::Delivered => DELIVERED,
        Mark::Moved => MOVED,
    };
    for run in runs {
        let start = into.len();
        into.extend_from_slice(&run.first.to_le_bytes());
        into.extend_from_slice(&(run.count | kind).to_le_bytes());
        into.extend_from_slice(&run.file.get().to_le_bytes());
        let checksum = crc32c(&into[start..]);
        into.extend_from_slice(&checksum.to_le_bytes());
    }
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

    pub(super) fn insert_run(&mut self, run: Run) {
        for slot in run.slots() {
            self.insert(slot);
        }
    }

    /// Puts in what the runs have of one file.
    pub(super) fn insert_of(&mut self, file: u32, runs: &Runs) {
        for run in runs.iter().filter(|run| run.file.get() == file) {
            self.insert_run(*run);
        }
    }
}

/// The marks of a file as they are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    pub(super) settled: Slots,
    pub(super) delivered: Slots,
    pub(super) moved: Slots,
    /// There are marks of slots that the file does not have: they were written, and records were not.
    pub(super) is_ahead: bool,
    /// Marks that are not whole.
    pub(super) broken: u64,
}

impl Marks {
    /// Whether a slot waits for its queue in this file.
    pub(super) fn is_waiting(&self, slot: u32) -> bool {
        !self.settled.has(slot) && !self.moved.has(slot)
    }
}

/// Reads marks; those of other files, and those that are not whole, are skipped. Slots from `slots` on do not exist.
pub(super) fn decode(bytes: &[u8], file: NonZeroU32, slots: u32) -> Marks {
    let mut marks = Marks::default();
    for mark in bytes.chunks(MARK_LEN) {
        if mark.len() < MARK_LEN || u32_at(mark, 12) != crc32c(&mark[..12]) {
            marks.broken += 1;
            continue;
        }
        let (first, count) = (u32_at(mark, 0), u32_at(mark, 4));
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

impl Runs {
    /// Sorts the runs and joins those that touch, so that slots of a file settled out of order make few marks.
    pub(super) fn join(&mut self) {
        if self.0.is_sorted() && self.0.windows(2).all(|two| !touches(two[0], two[1])) {
            return;
        }
        self.0.sort_unstable();
        self.0.dedup_by(|next, run| {
            let joins = touches(*run, *next);
            if joins {
                let end = run.end().max(next.end());
                run.count = end - run.first;
            }
            joins
        });
    }

    /// The runs of each file.
    pub(super) fn by_file(&self) -> impl Iterator<Item = &[Run]> {
        self.0.chunk_by(|one, other| one.file == other.file)
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    pub(super) fn extend(&mut self, runs: &[Run]) {
        self.0.extend_from_slice(runs);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.0.iter()
    }
}

fn touches(one: Run, next: Run) -> bool {
    one.file == next.file && next.first <= one.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: NonZeroU32 = NonZeroU32::new(3).unwrap();

    fn run(first: u32, count: u32) -> Run {
        Run { file: FILE, first, count }
    }

    #[test]
    fn marks_are_read_as_written_and_broken_ones_are_skipped() {
        let mut bytes = Vec::new();
        encode(&[run(0, 3), run(10, 1)], Mark::Settled, &mut bytes);
        encode(&[run(3, 2)], Mark::Delivered, &mut bytes);
        encode(&[run(5, 1)], Mark::Moved, &mut bytes);
        bytes[MARK_LEN] ^= 1;
        bytes.extend([1, 2, 3]);
        let marks = decode(&bytes, FILE, 100);
        let settled: Vec<u32> = (0..100).filter(|&slot| marks.settled.has(slot)).collect();
        let delivered: Vec<u32> = (0..100).filter(|&slot| marks.delivered.has(slot)).collect();
        assert_eq!((settled, delivered, marks.broken), (vec![0, 1, 2], vec![3, 4], 2));
        let waiting: Vec<u32> = (0..7).filter(|&slot| marks.is_waiting(slot)).collect();
        assert_eq!(waiting, [3, 4, 6]);
    }

    #[test]
    fn runs_that_touch_are_joined() {
        let mut runs = Runs(vec![run(5, 2), run(0, 2), run(2, 3), run(9, 1), run(6, 2)]);
        runs.join();
        assert_eq!(runs.0, [run(0, 8), run(9, 1)]);
    }
}
