//! The deliveries of a channel that its client has not settled, in the order of their tags.
//!
//! Clients mostly settle the oldest, which needs no search. One from the middle leaves a gap. A gap is removed when it
//! is the first or last of the list; all gaps are removed when they outnumber the deliveries. So any order costs the
//! same, and the list is at most twice as long as its deliveries.

use std::collections::VecDeque;
use std::sync::Arc;

use super::consumers::DeliveryOrigin;
use crate::broker::entry::Entry;
use crate::broker::time::Millis;

/// Gaps that are left alone however few deliveries there are.
const GAPS_MIN: usize = 32;

/// Deliveries that an emptied list keeps room for.
const KEEP_CAPACITY: usize = 1024;

/// A delivery the client has not settled.
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) tag: u64,
    pub(super) origin: Arc<DeliveryOrigin>,
    pub(super) entry: Entry,
    /// The time of its delivery.
    pub(super) delivered_at: Millis,
}

/// The part of a delivery that goes when it is settled.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) origin: Arc<DeliveryOrigin>,
    pub(super) entry: Entry,
    pub(super) delivered_at: Millis,
}

impl Unsettled {
    /// Tells whether it was delivered more than `timeout_ms` ago (RabbitMQ: `evaluate_consumer_timeout`).
    pub(super) fn is_overdue(&self, timeout_ms: Millis, now: Millis) -> bool {
        now.saturating_sub(self.delivered_at) > timeout_ms
    }
}

/// A tag that was given, and its delivery until that is settled.
#[derive(Debug)]
struct GivenTag {
    tag: u64,
    delivery: Option<Unsettled>,
}

impl GivenTag {
    #[inline]
    fn new(unacked: Unacked) -> Self {
        let Unacked { tag, origin, entry, delivered_at } = unacked;
        Self { tag, delivery: Some(Unsettled { origin, entry, delivered_at }) }
    }

    #[inline]
    fn into_unacked(self) -> Option<Unacked> {
        let Self { tag, delivery } = self;
        let Unsettled { origin, entry, delivered_at } = delivery?;
        Some(Unacked { tag, origin, entry, delivered_at })
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
    slots: VecDeque<GivenTag>,
    gaps: usize,
}

impl Outstanding {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.gaps
    }

    /// All deliveries with their tags, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Unsettled)> {
        self.slots.iter().filter_map(|slot| Some((slot.tag, slot.delivery.as_ref()?)))
    }

    /// Takes the deliveries of one origin up to this tag, in order, and leaves their tags to be settled once more.
    pub(super) fn take_back(&mut self, origin: &Arc<DeliveryOrigin>, up_to: u64) -> Vec<Unacked> {
        let void = Arc::new(DeliveryOrigin::void(Arc::clone(&origin.queue)));
        let mut taken = Vec::new();
        for slot in self.slots.iter_mut().take_while(|slot| slot.tag <= up_to) {
            let tag = slot.tag;
            if let Some(Unsettled { origin: from, entry, delivered_at }) = &mut slot.delivery
                && Arc::ptr_eq(from, origin)
            {
                let entry = std::mem::replace(entry, Entry::gone());
                let origin = std::mem::replace(from, Arc::clone(&void));
                taken.push(Unacked { tag, origin, entry, delivered_at: *delivered_at });
            }
        }
        taken
    }

    /// Adds a delivery, whose tag is greater than all before.
    #[inline]
    pub(super) fn push(&mut self, delivery: Unacked) {
        debug_assert!(self.slots.back().is_none_or(|last| last.tag < delivery.tag));
        self.slots.push_back(GivenTag::new(delivery));
    }

    /// Takes the delivery with this tag.
    ///
    /// Cost: none for the first; else one search, and two moves of a delivery in the long run.
    pub(super) fn take(&mut self, tag: u64) -> Option<Unacked> {
        let at = self.find(tag)?;
        let slot = self.slots.get_mut(at)?;
        let taken = GivenTag { tag, delivery: slot.delivery.take() }.into_unacked();
        self.gaps += 1;
        self.close_gaps();
        taken
    }

    /// Takes the delivery with this tag and all before it, in order.
    pub(super) fn take_up_to(&mut self, tag: u64) -> Option<Vec<Unacked>> {
        let at = self.find(tag)?;
        let taken: Vec<_> = self.slots.drain(..=at).filter_map(GivenTag::into_unacked).collect();
        self.gaps -= at + 1 - taken.len();
        self.close_gaps();
        Some(taken)
    }

    /// Takes all of them, in order.
    pub(super) fn take_all(&mut self) -> Vec<Unacked> {
        self.gaps = 0;
        std::mem::take(&mut self.slots).into_iter().filter_map(GivenTag::into_unacked).collect()
    }

    /// Takes deliveries back that were taken out, in any order.
    pub(super) fn put_back(&mut self, deliveries: impl IntoIterator<Item = Unacked>) {
        self.drop_gaps();
        self.slots.extend(deliveries.into_iter().map(GivenTag::new));
        self.slots.make_contiguous().sort_by_key(|slot| slot.tag);
    }

    /// Panics unless tags ascend up to the last one given, and gaps are counted.
    #[cfg(debug_assertions)]
    pub(super) fn assert_sound(&self, last_tag: u64) {
        assert!(self.slots.iter().is_sorted_by(|one, next| one.tag < next.tag), "tags ascend");
        assert!(self.slots.back().is_none_or(|last| last.tag <= last_tag), "no tag after the last");
        assert_eq!(self.gaps, self.slots.iter().filter(|slot| slot.is_gap()).count(), "gaps");
        let ends = [self.slots.front(), self.slots.back()];
        assert!(ends.into_iter().flatten().all(|end| !end.is_gap()), "no gap at an end");
    }

    /// The index of the delivery with this tag.
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
    use crate::broker::arguments::QueueKind;
    use crate::broker::delivery_count::DeliveryCount;
    use crate::broker::queue::{Queue, Settings, Shared};
    use crate::wire::FieldTable;
    use crate::wire::shortstr::literal;

    const MANY: u64 = 100_000;

    fn origin() -> Arc<DeliveryOrigin> {
        let settings = Settings {
            id: None,
            name: literal("q"),
            vhost: literal("/"),
            is_durable: false,
            is_auto_delete: false,
            exclusive_owner: None,
            declared_by: None,
            arguments: FieldTable::new(),
            kind: QueueKind::Classic,
            wanted: Arc::default(),
        };
        let queue = Queue::new(settings, Shared::default(), 0);
        Arc::new(DeliveryOrigin::of_get(queue))
    }

    fn delivery(tag: u64, origin: &Arc<DeliveryOrigin>) -> Unacked {
        let (origin, position) = (Arc::clone(origin), tag);
        let entry = Entry {
            message: None,
            place: None,
            body_len: 0,
            position,
            deadline: 0,
            redelivered: false,
            delivery_count: DeliveryCount::default(),
            level: 0,
        };
        Unacked { tag, origin, entry, delivered_at: tag }
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
        assert_eq!(size_of::<GivenTag>(), size_of::<Unacked>());
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
