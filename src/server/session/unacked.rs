//! The deliveries of a channel that its client has not settled, in the order of their tags.
//!
//! Clients mostly settle the oldest, and then nothing is looked for. One from the middle leaves a gap, which goes when
//! it comes to an end of the list, or with all others when there are more gaps than deliveries: so any order costs the
//! same, and memory is that of twice the deliveries at most.

use std::collections::VecDeque;
use std::sync::Arc;

use super::deliver::{Origin, Unacked};
use crate::broker::queue::Entry;

/// Gaps that are left alone however few deliveries there are.
const GAPS_MIN: usize = 32;

/// Deliveries that an emptied list keeps room for.
const KEEP_CAPACITY: usize = 1024;

/// A tag that was given, and the delivery unless that is settled.
#[derive(Debug)]
struct Slot {
    tag: u64,
    delivery: Option<(Arc<Origin>, Entry)>,
}

impl Slot {
    #[inline]
    fn new(unacked: Unacked) -> Self {
        let Unacked { tag, origin, entry } = unacked;
        Self { tag, delivery: Some((origin, entry)) }
    }

    #[inline]
    fn into_unacked(self) -> Option<Unacked> {
        let Self { tag, delivery } = self;
        delivery.map(|(origin, entry)| Unacked { tag, origin, entry })
    }

    #[inline]
    fn is_gap(&self) -> bool {
        self.delivery.is_none()
    }
}

/// Deliveries to be settled.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// Neither the first nor the last is a gap.
    slots: VecDeque<Slot>,
    gaps: usize,
}

impl Outstanding {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.gaps
    }

    /// The tag of the oldest.
    pub(super) fn first_tag(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.tag)
    }

    /// All of them with their tags, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Arc<Origin>)> {
        let slots = self.slots.iter();
        slots.filter_map(|slot| slot.delivery.as_ref().map(|(origin, _)| (slot.tag, origin)))
    }

    /// Takes the deliveries of one origin up to this tag, in order, and leaves their tags to be settled once more.
    pub(super) fn take_back(&mut self, origin: &Arc<Origin>, up_to: u64) -> Vec<Unacked> {
        let void = Arc::new(Origin::void(Arc::clone(&origin.queue)));
        let mut taken = Vec::new();
        for slot in self.slots.iter_mut().take_while(|slot| slot.tag <= up_to) {
            let tag = slot.tag;
            if let Some((from, entry)) = &mut slot.delivery
                && Arc::ptr_eq(from, origin)
            {
                let entry = std::mem::replace(entry, Entry::gone());
                let origin = std::mem::replace(from, Arc::clone(&void));
                taken.push(Unacked { tag, origin, entry });
            }
        }
        taken
    }

    /// Adds a delivery, whose tag is greater than all before.
    #[inline]
    pub(super) fn push(&mut self, delivery: Unacked) {
        debug_assert!(self.slots.back().is_none_or(|last| last.tag < delivery.tag));
        self.slots.push_back(Slot::new(delivery));
    }

    /// Takes the delivery with this tag.
    ///
    /// Cost: none for the first; else one search, and two moves of a delivery in the long run.
    pub(super) fn take(&mut self, tag: u64) -> Option<Unacked> {
        let at = self.find(tag)?;
        let slot = self.slots.get_mut(at)?;
        let taken = Slot { tag, delivery: slot.delivery.take() }.into_unacked();
        self.gaps += 1;
        self.close_gaps();
        taken
    }

    /// Takes the delivery with this tag and all before it, in order.
    pub(super) fn take_up_to(&mut self, tag: u64) -> Option<Vec<Unacked>> {
        let at = self.find(tag)?;
        let taken: Vec<_> = self.slots.drain(..=at).filter_map(Slot::into_unacked).collect();
        self.gaps -= at + 1 - taken.len();
        self.close_gaps();
        Some(taken)
    }

    /// Takes all of them, in order.
    pub(super) fn take_all(&mut self) -> Vec<Unacked> {
        self.gaps = 0;
        std::mem::take(&mut self.slots).into_iter().filter_map(Slot::into_unacked).collect()
    }

    /// Takes deliveries back that were taken out, in any order.
    pub(super) fn put_back(&mut self, deliveries: impl IntoIterator<Item = Unacked>) {
        self.drop_gaps();
        self.slots.extend(deliveries.into_iter().map(Slot::new));
        self.slots.make_contiguous().sort_by_key(|slot| slot.tag);
    }

    /// Where the delivery with this tag stands.
    #[inline]
    fn find(&self, tag: u64) -> Option<usize> {
        if self.slots.front().is_some_and(|first| first.tag == tag) {
            return Some(0);
        }
        let at = self.slots.binary_search_by_key(&tag, |slot| slot.tag).ok()?;
        (!self.slots[at].is_gap()).then_some(at)
    }

    #[inline]
    fn close_gaps(&mut self) {
        while self.slots.pop_front_if(|first| first.is_gap()).is_some() {
            self.gaps -= 1;
        }
        while self.slots.pop_back_if(|last| last.is_gap()).is_some() {
            self.gaps -= 1;
        }
        if self.gaps > self.len() + GAPS_MIN {
            self.drop_gaps();
        }
        if self.slots.is_empty() && self.slots.capacity() > KEEP_CAPACITY {
            self.slots = VecDeque::new();
        }
    }

    /// Cost: one move for each delivery, of which as many have been settled since the last time.
    fn drop_gaps(&mut self) {
        if self.gaps > 0 {
            self.slots.retain(|slot| !slot.is_gap());
            self.gaps = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::arguments::QueueArguments;
    use crate::broker::queue::{Queue, Returns, Settings, Shared};
    use crate::wire::FieldTable;
    use crate::wire::shortstr::literal;

    const MANY: u64 = 100_000;

    fn origin() -> Arc<Origin> {
        let settings = Settings {
            id: None,
            name: literal("q"),
            vhost: literal("/"),
            is_durable: false,
            is_auto_delete: false,
            exclusive_owner: None,
            arguments: FieldTable::new(),
            wanted: QueueArguments::default(),
        };
        let queue = Queue::new(settings, Shared::default(), 0);
        Arc::new(Origin::of_get(queue))
    }

    fn delivery(tag: u64, origin: &Arc<Origin>) -> Unacked {
        let (origin, position) = (Arc::clone(origin), tag);
        let entry = Entry {
            message: None,
            place: None,
            body_len: 0,
            position,
            deadline: 0,
            redelivered: false,
            returns: Returns::default(),
            level: 0,
        };
        Unacked { tag, origin, entry }
    }

    fn outstanding(tags: impl IntoIterator<Item = u64>) -> Outstanding {
        let (origin, mut all) = (origin(), Outstanding::default());
        tags.into_iter().for_each(|tag| all.push(delivery(tag, &origin)));
        all
    }

    fn tags(taken: &[Unacked]) -> Vec<u64> {
        taken.iter().map(|one| one.tag).collect()
    }

    /// All of the tags, in an order that goes to and fro.
    fn shuffled() -> Vec<u64> {
        // 7919 has no divisor in common with their number.
        (0..MANY).map(|at| 1 + at * 7919 % MANY).collect()
    }

    #[test]
    fn a_slot_is_no_larger_than_its_delivery() {
        assert_eq!(size_of::<Slot>(), size_of::<Unacked>());
    }

    /// Were those behind it moved for each, the last order would take minutes.
    #[test]
    fn a_hundred_thousand_are_settled_in_any_order() {
        let evens_first = (1..=MANY / 2).map(|at| 2 * at).chain((0..MANY / 2).map(|at| 2 * at + 1));
        let orders: [(&str, Vec<u64>); 4] = [
            ("first to last", (1..=MANY).collect()),
            ("last to first", (1..=MANY).rev().collect()),
            ("every other one", evens_first.collect()),
            ("to and fro", shuffled()),
        ];
        for (order, tags) in orders {
            let mut all = outstanding(1..=MANY);
            for (left, tag) in (0..tags.len()).rev().zip(tags) {
                assert_eq!(all.take(tag).map(|one| one.tag), Some(tag), "{order}");
                assert_eq!(all.len(), left, "{order}");
                assert!(all.slots.len() <= 2 * left + GAPS_MIN, "{order}: {left} left");
                assert!(all.take(tag).is_none(), "{order}: {tag} is settled");
            }
            assert_eq!(all.slots.capacity(), 0, "{order}");
        }
    }

    #[test]
    fn all_up_to_one_leave_out_what_is_settled() {
        let mut all = outstanding([2, 3, 5, 7, 11, 13]);
        assert!(all.take(3).is_some());
        assert!(all.take(11).is_some());
        for settled_or_never_given in [0, 1, 3, 4, 11, 14] {
            assert!(all.take_up_to(settled_or_never_given).is_none(), "{settled_or_never_given}");
        }
        assert_eq!(tags(&all.take_up_to(7).unwrap()), [2, 5, 7]);
        assert_eq!(all.len(), 1);
        assert_eq!(tags(&all.take_all()), [13]);
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn what_comes_back_takes_its_old_place() {
        let mut all = outstanding(1..=9);
        let taken: Vec<_> = [8, 2, 5, 1].iter().filter_map(|&tag| all.take(tag)).collect();
        assert_eq!(tags(&taken), [8, 2, 5, 1]);
        assert_eq!(all.len(), 5);
        all.put_back(taken);
        assert_eq!(all.len(), 9);
        assert_eq!(tags(&all.take_up_to(5).unwrap()), [1, 2, 3, 4, 5]);
        assert_eq!(tags(&all.take_all()), [6, 7, 8, 9]);
    }
}
