//! Ranges of slots: settlements and marks name slots of files by them, neighbours joined.

use std::num::NonZeroU32;
use std::ops::Range;

use super::place::{Place, is_spilled};

/// Slots of several files, neighbours joined into ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotRanges(Vec<SlotRange>);

/// Neighbouring slots of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotRange {
    pub file: NonZeroU32,
    pub first: u32,
    pub count: u32,
}

impl SlotRange {
    pub(super) fn end(self) -> u32 {
        self.first + self.count
    }

    pub(super) fn slots(self) -> Range<u32> {
        self.first..self.end()
    }

    /// Its slots as places whose records are not looked for.
    pub(super) fn places(self) -> impl Iterator<Item = Place> {
        self.slots().map(move |slot| Place { file: self.file, slot, offset: 0 })
    }
}

impl SlotRanges {
    /// Adds a slot.
    #[inline]
    pub fn push(&mut self, place: Place) {
        match self.0.last_mut() {
            Some(range) if range.file == place.file && range.end() == place.slot => {
                range.count += 1;
            }
            _ => self.0.push(SlotRange { file: place.file, first: place.slot, count: 1 }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Slots that are kept, and slots that were spilled.
    pub(super) fn by_log(&self) -> (Self, Self) {
        let (spilled, kept) = self.0.iter().partition(|range| is_spilled(range.file));
        (Self(kept), Self(spilled))
    }
}

impl FromIterator<Place> for SlotRanges {
    fn from_iter<I: IntoIterator<Item = Place>>(places: I) -> Self {
        let mut ranges = Self::default();
        places.into_iter().for_each(|place| ranges.push(place));
        ranges
    }
}

impl SlotRanges {
    /// Sorts the ranges and joins those that touch, so that slots of a file settled out of order make few marks.
    pub(super) fn join(&mut self) {
        if self.0.is_sorted() && self.0.windows(2).all(|two| !touches(two[0], two[1])) {
            return;
        }
        self.0.sort_unstable();
        self.0.dedup_by(|next, range| {
            let joins = touches(*range, *next);
            if joins {
                let end = range.end().max(next.end());
                range.count = end - range.first;
            }
            joins
        });
    }

    /// The ranges of each file.
    pub(super) fn by_file(&self) -> impl Iterator<Item = &[SlotRange]> {
        self.0.chunk_by(|one, other| one.file == other.file)
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SlotRange> {
        self.0.iter()
    }
}

fn touches(one: SlotRange, next: SlotRange) -> bool {
    one.file == next.file && next.first <= one.end()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::store) const FILE: NonZeroU32 = NonZeroU32::new(3).unwrap();

    /// Slots of [`FILE`].
    pub(in crate::store) fn range(first: u32, count: u32) -> SlotRange {
        SlotRange { file: FILE, first, count }
    }

    #[test]
    fn ranges_that_touch_are_joined() {
        let mut ranges =
            SlotRanges(vec![range(5, 2), range(0, 2), range(2, 3), range(9, 1), range(6, 2)]);
        ranges.join();
        assert_eq!(ranges.0, [range(0, 8), range(9, 1)]);
    }
}
