//! Counted marks: the number of times that messages came back to their queues, beside marks that say settled or
//! delivered. `design` draws the bytes.
//!
//! A counted mark stands among the other marks of a file ([`super::marks`]); because of its seed neither is taken for
//! the other. A release that does not know it takes it for one that is not whole, and knows of the delivery from its
//! own mark.
//!
//! At a delivery, a message is marked with the counts that it has if the client is lost: one more return, and that one
//! failed. When it comes back, it is marked with its counts. The mark with the highest count is the latest, and of two
//! with the same count the one of the return. So the order of counted marks does not matter either.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;

use crc32c::crc32c_append;
use rustc_hash::FxHashMap;

use super::place::Place;
use super::record::u32_at;

/// Bytes of a mark, counted or not.
pub(super) const MARK_LEN: usize = 16;
/// The seed of a counted mark's checksum.
const SEED: u32 = 0x6d71_636e;
/// Set in the slot of a mark that was made at a delivery.
const DELIVERY: u32 = 1 << 31;

/// The number of times a message came back to its queue; each count stops at 65,535.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counts {
    pub all: u16,
    /// Rejected, or lost with its consumer.
    pub failed: u16,
}

impl Counts {
    /// The counts after one more return.
    #[must_use]
    pub fn and_one(self, is_failure: bool) -> Self {
        Self {
            // A count that cannot grow stays at its end, as documented.
            all: self.all.saturating_add(1),
            failed: self.failed.saturating_add(u16::from(is_failure)),
        }
    }
}

/// The event that a counted mark is written for. Of two marks with equal counts, that of the return is the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CountedAt {
    /// The message is delivered to a client; the counts are those that it has if that client is lost.
    Delivery,
    /// The message has come back to its queue.
    Return,
}

/// A slot and its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub place: Place,
    pub counts: Counts,
    pub at: CountedAt,
}

impl Counted {
    /// Its order among the marks of its slot: the highest is the latest.
    fn rank(self) -> (u16, u16, CountedAt) {
        // A count that has stopped tells nothing any more: the more failures are the safer.
        let stopped = if self.counts.all == u16::MAX { self.counts.failed } else { 0 };
        (self.counts.all, stopped, self.at)
    }

    fn encode(self, file: NonZeroU32, into: &mut Vec<u8>) {
        let Self { place, counts: Counts { all, failed }, at } = self;
        let delivery = if at == CountedAt::Delivery { DELIVERY } else { 0 };
        let start = into.len();
        into.extend_from_slice(&(place.slot | delivery).to_le_bytes());
        into.extend_from_slice(&all.to_le_bytes());
        into.extend_from_slice(&failed.to_le_bytes());
        into.extend_from_slice(&file.get().to_le_bytes());
        let checksum = crc32c_append(SEED, &into[start..]);
        into.extend_from_slice(&checksum.to_le_bytes());
    }

    /// Reads a mark; `None` when it is not a counted one, or not whole.
    pub(super) fn decode(mark: &[u8]) -> Option<Self> {
        if mark.len() < MARK_LEN || u32_at(mark, 12) != crc32c_append(SEED, &mark[..12]) {
            return None;
        }
        let slot = u32_at(mark, 0);
        let short = |at: Range<usize>| Some(u16::from_le_bytes(mark.get(at)?.try_into().ok()?));
        Some(Self {
            place: Place {
                file: NonZeroU32::new(u32_at(mark, 8))?,
                slot: slot & !DELIVERY,
                offset: 0,
            },
            counts: Counts { all: short(4..6)?, failed: short(6..8)? },
            at: if slot & DELIVERY == 0 { CountedAt::Return } else { CountedAt::Delivery },
        })
    }
}

/// The counts of a file's slots, of those that have any.
#[derive(Clone, Debug, Default)]
pub(super) struct CountedSlots(FxHashMap<u32, Counted>);

impl CountedSlots {
    /// Takes a mark, unless a later one of its slot is known.
    pub(super) fn note(&mut self, counted: Counted) {
        let known = self.0.entry(counted.place.slot).or_insert(counted);
        if known.rank() < counted.rank() {
            *known = counted;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Counted> {
        self.0.values()
    }

    pub(super) fn get(&self, slot: u32) -> Option<Counted> {
        self.0.get(&slot).copied()
    }
}

/// Encodes marks, by file.
pub(super) fn encode(counted: &[Counted]) -> BTreeMap<NonZeroU32, Vec<u8>> {
    let mut by_file = BTreeMap::<NonZeroU32, Vec<u8>>::new();
    for one in counted {
        let file = one.place.file;
        one.encode(file, by_file.entry(file).or_default());
    }
    by_file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::marks;

    const FILE: NonZeroU32 = NonZeroU32::new(3).unwrap();

    fn counted(slot: u32, (all, failed): (u16, u16), at: CountedAt) -> Counted {
        let place = Place { file: FILE, slot, offset: 0 };
        Counted { place, counts: Counts { all, failed }, at }
    }

    #[test]
    fn the_latest_counts_are_told_whatever_the_order_of_their_marks() {
        use CountedAt::{Delivery, Return};
        let history = [
            counted(7, (2, 2), Delivery),
            counted(7, (2, 1), Return), // given back
            counted(7, (3, 2), Delivery),
            counted(9, (u16::MAX, 4), Return),
            counted(9, (u16::MAX, 5), Delivery), // lost
        ];
        for turn in 0..history.len() {
            for is_reversed in [false, true] {
                let mut history = history;
                history.rotate_left(turn);
                if is_reversed {
                    history.reverse();
                }
                let bytes = encode(&history).remove(&FILE).unwrap();
                let marks = marks::decode(&bytes, FILE, 100);
                let counts = |slot| marks.counts.get(slot).map(|one| one.counts);
                assert_eq!(counts(7), Some(Counts { all: 3, failed: 2 }));
                assert_eq!(counts(9), Some(Counts { all: u16::MAX, failed: 5 }));
                assert_eq!((counts(8), marks.broken), (None, 0));
                assert!(marks.is_waiting(7) && !marks.delivered.has(9));
            }
        }
    }

    #[test]
    fn every_changed_bit_of_a_counted_mark_is_seen() {
        let good = encode(&[counted(1, (2, 1), CountedAt::Return)]).remove(&FILE).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let marks = marks::decode(&bytes, FILE, 100);
            assert_eq!((marks.counts.get(1), marks.broken), (None, 1), "bit {bit}");
        }
    }
}
