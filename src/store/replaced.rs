//! Messages that stand in another record now: a dead letter, a delayed message whose time has come.
//!
//! The record that takes the place of one may be lost in a crash until it is on disk, so the old place is settled no
//! earlier; unless the new one is settled before, as then the message is done with wherever it stood. Such
//! settlements are written at once like all others: a slow sync does not bring back what a consumer has acknowledged.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::batch::{Appended, Batch};
use super::place::Place;
use super::slot_ranges::{SlotRange, SlotRanges};

/// Records that take the place of others and are not on disk yet, by file and first slot.
#[derive(Debug, Default)]
pub(super) struct Replacements(BTreeMap<(NonZeroU32, u32), Replacement>);

#[derive(Debug)]
struct Replacement {
    batch: Batch,
    slots: u32,
    /// Slots that are not settled.
    live: u32,
    /// The old place, once its message has been handed on.
    replaced: Option<Place>,
}

impl Replacements {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes a record of so many slots that is to take the place of another one.
    pub(super) fn add(&mut self, appended: Appended, slots: u32) {
        let Appended { first, batch } = appended;
        let replacement = Replacement { batch, slots, live: slots, replaced: None };
        self.0.insert((first.file, first.slot), replacement);
    }

    /// Says whose place a record has taken; answers whether that may be settled now.
    pub(super) fn replace(&mut self, first: Place, replaced: Place) -> bool {
        let key = (first.file, first.slot);
        let Some(replacement) = self.0.get_mut(&key) else { return true };
        replacement.replaced = Some(replaced);
        let is_done = replacement.live == 0;
        if is_done {
            self.0.remove(&key);
        }
        is_done
    }

    /// Counts slots that are settled; answers the old places that are to be settled with them.
    pub(super) fn on_settled(&mut self, slots: &SlotRanges) -> SlotRanges {
        let mut done = SlotRanges::default();
        for range in slots.iter() {
            self.on_range_settled(*range, &mut done);
        }
        done
    }

    fn on_range_settled(&mut self, range: SlotRange, done: &mut SlotRanges) {
        let before = self.0.range(..=(range.file, range.first)).next_back();
        let from = before.map_or((range.file, range.first), |(key, _)| *key);
        let mut over = Vec::new();
        for (key, one) in self.0.range_mut(from..(range.file, range.end())) {
            let (file, first) = *key;
            // Saturates if the two ranges have no slot in common.
            let settled = range.end().min(first + one.slots).saturating_sub(range.first.max(first));
            if file != range.file || settled == 0 {
                continue;
            }
            debug_assert!(one.live >= settled, "a slot of a replacement is settled twice");
            one.live -= settled;
            if let (0, Some(replaced)) = (one.live, one.replaced) {
                done.push(replaced);
                over.push(*key);
            }
        }
        for key in over {
            self.0.remove(&key);
        }
    }

    /// Asserts the invariants, which hold whenever the log's lock is free.
    pub(super) fn assert_sound(&self) {
        assert!(self.0.values().all(|one| one.live <= one.slots), "more slots wait than there are");
    }

    /// Forgets the records of the batches up to this one; answers the places that they have taken.
    pub(super) fn take_until(&mut self, batch: Batch) -> SlotRanges {
        let over = self.0.extract_if(.., |_, one| one.batch <= batch);
        over.filter_map(|(_, one)| one.replaced).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: u32, slot: u32) -> Place {
        Place { file: NonZeroU32::new(file).unwrap(), slot, offset: 0 }
    }

    fn ranges(places: &[(u32, u32)]) -> SlotRanges {
        places.iter().map(|(file, slot)| place(*file, *slot)).collect()
    }

    /// Two records of three slots each, one behind the other, in place of (1, 1) and (1, 2).
    fn two() -> Replacements {
        let mut replacements = Replacements::default();
        for (nth, batch) in [(0, 5), (1, 6)] {
            let appended = Appended { first: place(7, 10 + 3 * nth), batch: Batch(batch) };
            replacements.add(appended, 3);
            assert!(!replacements.replace(appended.first, place(1, 1 + nth)));
        }
        replacements
    }

    #[test]
    fn an_old_place_is_settled_with_the_last_slot_of_the_new_record() {
        let mut replacements = two();
        assert_eq!(
            replacements.on_settled(&ranges(&[(7, 9), (7, 10), (8, 11)])),
            SlotRanges::default()
        );
        assert_eq!(
            replacements.on_settled(&ranges(&[(7, 11), (7, 12), (7, 13)])),
            ranges(&[(1, 1)])
        );
        assert_eq!(replacements.on_settled(&ranges(&[(7, 15)])), SlotRanges::default());
        assert_eq!(replacements.on_settled(&ranges(&[(7, 14)])), ranges(&[(1, 2)]));
        assert!(replacements.is_empty());
    }

    #[test]
    fn an_old_place_is_settled_when_the_new_record_is_on_disk() {
        let mut replacements = two();
        assert_eq!(replacements.take_until(Batch(4)), SlotRanges::default());
        assert_eq!(replacements.take_until(Batch(5)), ranges(&[(1, 1)]));
        assert_eq!(replacements.take_until(Batch(9)), ranges(&[(1, 2)]));
        assert!(replacements.is_empty());
        assert!(replacements.replace(place(7, 10), place(1, 1)), "it is on disk already");
    }

    #[test]
    fn a_record_whose_slots_are_settled_before_it_is_told_whose_place_it_takes() {
        let mut replacements = Replacements::default();
        let first = place(7, 10);
        replacements.add(Appended { first, batch: Batch(5) }, 2);
        assert_eq!(replacements.on_settled(&ranges(&[(7, 10), (7, 11)])), SlotRanges::default());
        assert!(replacements.replace(first, place(1, 1)));
        assert!(replacements.is_empty());
    }
}
