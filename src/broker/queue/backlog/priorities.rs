//! The levels of a queue that deals by priority.
//!
//! The level that messages are dealt from is in the [`Backlog`](super::Backlog) itself. The other levels that have
//! messages are kept here, so that an idle queue takes no more memory for 255 levels than for one. To work on another
//! level, call `Backlog::select`, then `Backlog::select_highest`. A queue without levels pays one comparison.
//!
//! As in RabbitMQ (`rabbit_priority_queue`) a message without priority is in the lowest level and one with too high a
//! priority in the highest, each level is in order, and the queue drops what expires or is too much from its head.
//! Quorum queues have 32 levels since 4.3, where a message without priority is in the fifth, and one above all of these
//! for messages that came back ([`RETURNED`]), in the order in which they did.

use std::collections::BTreeMap;

use super::level::Level;
use super::purge::Purged;
use crate::broker::arguments::{QueueArguments, QueueKind};
use crate::broker::compat::{Compat, CompatRelease};

/// The highest priority in a quorum queue, and that of a message that says none.
const QUORUM_HIGHEST: u8 = 31;
const QUORUM_USUAL: u8 = 4;

/// The level of messages that came back to a quorum queue, above all priorities.
pub(super) const RETURNED: u8 = u8::MAX;
const _: () = assert!(QUORUM_HIGHEST < RETURNED, "what came back goes before all priorities");

/// The rule by which a queue deals by priority: the higher always first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) struct PriorityRule {
    highest: u8,
    /// The priority of a message that says none.
    usual: u8,
}

impl PriorityRule {
    /// The rule of a queue that deals by priority.
    pub(in crate::broker::queue) fn of(wanted: &QueueArguments, compat: Compat) -> Option<Self> {
        match (wanted.kind, compat.release()) {
            (QueueKind::Classic, _) => {
                let highest = wanted.max_priority.filter(|&highest| highest > 0)?;
                Some(Self { highest, usual: 0 })
            }
            (QueueKind::Quorum, CompatRelease::V4 | CompatRelease::V4_3) => {
                Some(Self { highest: QUORUM_HIGHEST, usual: QUORUM_USUAL })
            }
            (QueueKind::Quorum, CompatRelease::V3_10) | (QueueKind::Stream, _) => None,
        }
    }

    fn level(self, said: Option<u8>) -> u8 {
        said.unwrap_or(self.usual).min(self.highest)
    }
}

/// The levels that are not dealt from.
#[derive(Debug)]
pub(super) struct Priorities {
    rule: PriorityRule,
    /// Each has messages.
    others: BTreeMap<u8, Box<Level>>,
    /// The number of messages in all of them.
    len: usize,
    bytes: u64,
    resident_bytes: u64,
}

impl Priorities {
    pub(super) fn new(rule: PriorityRule) -> Self {
        let others = BTreeMap::new();
        Self { rule, others, len: 0, bytes: 0, resident_bytes: 0 }
    }

    /// Sorts a message by the priority it carries.
    #[inline]
    pub(super) fn level(&self, said: Option<u8>) -> u8 {
        self.rule.level(said)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    #[inline]
    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// Lists the levels kept here, but for `current`.
    pub(super) fn numbers_but(&self, current: u8) -> Vec<u8> {
        self.others.keys().copied().filter(|level| *level != current).collect()
    }

    pub(super) fn take(&mut self, level: u8) -> Option<Level> {
        let line = self.others.remove(&level)?;
        self.len -= line.len();
        self.bytes -= line.bytes();
        self.resident_bytes -= line.resident_bytes();
        Some(*line)
    }

    /// Keeps a level for later; an empty one is dropped.
    pub(super) fn keep(&mut self, line: Level) {
        if !line.is_empty() {
            self.len += line.len();
            self.bytes += line.bytes();
            self.resident_bytes += line.resident_bytes();
            self.others.insert(line.number(), Box::new(line));
        }
    }

    /// The level to deal from instead of the current one.
    #[inline]
    pub(super) fn better_than(&self, current: &Level) -> Option<u8> {
        let (&highest, _) = self.others.last_key_value()?;
        (current.is_empty() || highest > current.number()).then_some(highest)
    }

    /// Takes every message out.
    pub(super) fn purge(&mut self) -> Vec<Purged> {
        let Self { others, .. } = std::mem::replace(self, Self::new(self.rule));
        others.into_values().map(|mut line| line.purge()).collect()
    }

    /// Asserts that the sums are those of the levels, and that each stands under its own number.
    #[cfg(debug_assertions)]
    pub(super) fn assert_whole(&self, current: u8) {
        let (mut len, mut bytes, mut resident_bytes) = (0, 0, 0);
        for (number, level) in &self.others {
            level.assert_sound();
            level.assert_whole();
            assert!(!level.is_empty() && level.number() == *number && *number != current);
            len += level.len();
            bytes += level.bytes();
            resident_bytes += level.resident_bytes();
        }
        let sums = (self.len, self.bytes, self.resident_bytes);
        assert_eq!(sums, (len, bytes, resident_bytes), "sums of all levels");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::entry::Entry;
    use crate::broker::message::{Layout, Message};
    use crate::broker::queue::settled::Returned;
    use crate::broker::queue::tests::{Bench, numbers};
    use crate::broker::time::StartedAt;
    use crate::store::{Counts, Waiting};
    use crate::wire::FieldValue;

    fn bench(highest: u8) -> Bench {
        Bench::of(QueueArguments { max_priority: Some(highest), ..QueueArguments::default() })
    }

    /// The priority of the message with this number, which is 8 at most.
    fn priority(number: u32) -> u8 {
        u8::try_from(number * 7 % 9).unwrap()
    }

    /// Numbers of messages in the order in which they are dealt when none is above `highest`.
    fn by_priority(numbers: impl IntoIterator<Item = u32>, highest: u8) -> Vec<u32> {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_by_key(|&number| (u8::MAX - priority(number).min(highest), number));
        numbers
    }

    fn message(number: u32) -> Message {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.resize(1024, 0);
        let layout = Layout { priority: priority(number), ..Layout::default() };
        Message::new(layout, &mut bytes)
    }

    fn returned(entry: Entry) -> Returned {
        let entry = Entry { redelivered: true, ..entry };
        Returned { entry, consumer: None, no_ack: false, has_failed: false }
    }

    #[test]
    fn the_highest_are_dealt_first_and_each_level_is_in_order() {
        for highest in [1, 4, 8, 255] {
            let bench = bench(highest);
            for number in 0..50 {
                _ = bench.queue.push(message(number), None, 0);
            }
            assert_eq!((bench.queue.counts().ready, bench.queue.info().ready_bytes), (50, 51_200));
            bench.subscribe(0);
            assert_eq!(numbers(&bench.take(50)), by_priority(0..50, highest));
            assert_eq!((bench.queue.counts().ready, bench.queue.info().ready_bytes), (0, 0));
        }
    }

    #[test]
    fn what_comes_back_takes_its_old_place_in_its_level() {
        let bench = bench(8);
        for number in 0..30 {
            _ = bench.queue.push(message(number), None, 0);
        }
        let mut gotten: Vec<_> = (0..12).map(|_| bench.get(false, 0).unwrap()).collect();
        assert_eq!(gotten.last().unwrap().1, 18);
        gotten.sort_by_key(|(entry, _)| entry.position);
        let returned = gotten.into_iter().map(|(entry, _)| returned(entry));
        bench.queue.put_back(returned.collect(), 0);
        bench.subscribe(0);
        assert_eq!(numbers(&bench.take(30)), by_priority(0..30, 8));
    }

    #[test]
    fn levels_leave_memory_and_come_back_in_order() {
        for is_kept in [true, false] {
            let bench = bench(8);
            bench.queue.shared.memory.report(0, 1 << 30);
            for number in 0..2_000 {
                let place = is_kept.then(|| bench.append(number));
                _ = bench.queue.push(message(number), place, 0);
            }
            let resident_bytes = bench.queue.lock().backlog.resident_bytes();
            assert!(resident_bytes < 1 << 20, "{resident_bytes} bytes");
            assert_eq!(bench.queue.counts().ready, 2_000);
            bench.subscribe(0);
            assert_eq!(numbers(&bench.take(2_000)), by_priority(0..2_000, 8), "kept: {is_kept}");
        }
    }

    #[test]
    fn all_levels_are_purged() {
        let bench = bench(8);
        for number in 0..500 {
            _ = bench.queue.push(message(number), Some(bench.append(number)), 0);
        }
        assert_eq!(bench.queue.purge(), 500);
        assert_eq!((bench.queue.counts().ready, bench.get(true, 0).is_some()), (0, false));
        assert_eq!(bench.queue.lock().backlog.resident_bytes(), 0);
        _ = bench.queue.push(message(7), None, 0);
        assert_eq!(bench.queue.counts().ready, 1);
    }

    #[test]
    fn the_head_of_all_is_dropped_for_room() {
        let arguments = QueueArguments {
            max_priority: Some(8),
            max_length: Some(5),
            ..QueueArguments::default()
        };
        let bench = Bench::of(arguments);
        for number in 0..9 {
            _ = bench.queue.push(message(number), None, 0);
        }
        bench.subscribe(0);
        let mut left = numbers(&bench.take(5));
        left.sort_unstable();
        let mut expected = Vec::new();
        for number in 0..9 {
            expected = by_priority(expected.into_iter().chain([number]), 8);
            if expected.len() > 5 {
                expected.remove(0);
            }
        }
        expected.sort_unstable();
        assert_eq!(left, expected);
    }

    #[test]
    fn each_message_is_found_again_in_its_level() {
        let bench = bench(4);
        let at = StartedAt { now: 0, unix_ms: 1_000_000 };
        for number in 0..300 {
            let waiting = Waiting {
                place: bench.append(number),
                sequence: u64::from(number) + 100,
                published_at: at.unix_ms,
                time_to_live_ms: None,
                priority: Some(priority(number)),
                redelivered: false,
                counts: None,
                body_len: 1024,
            };
            bench.queue.recover(&waiting, at);
        }
        bench.queue.recovered(at);
        for number in 300..310 {
            _ = bench.queue.push(message(number), Some(bench.append(number)), 0);
        }
        assert_eq!(bench.queue.counts().ready, 310);
        bench.subscribe(0);
        assert_eq!(numbers(&bench.take(310)), by_priority(0..310, 4));
    }

    fn quorum() -> QueueArguments {
        QueueArguments { kind: QueueKind::Quorum, ..QueueArguments::default() }
    }

    #[test]
    fn what_came_back_goes_before_every_priority_in_the_order_it_did() {
        let bench = Bench::of(quorum());
        (1..9).for_each(|number| _ = bench.queue.push(message(number), None, 0));
        let mut gotten: Vec<_> = (0..6).map(|_| bench.get(false, 0).unwrap().0).collect();
        // 5, 1, 6, 2, 7, 3 by their priorities.
        for at in [3, 0, 3] {
            bench.queue.requeue(vec![returned(gotten.remove(at))], 0);
        }
        assert_eq!(bench.queue.counts().ready, 5);
        let next: Vec<_> = (0..5).map(|_| bench.get(true, 0).unwrap().0).collect();
        let (back, fresh) = next.split_at(3);
        assert!(back.iter().all(|entry| entry.redelivered));
        assert!(fresh.iter().all(|entry| !entry.redelivered));
        let all = by_priority(1..9, 31);
        assert_eq!(numbers(back), [all[3], all[0], all[5]]);
        assert_eq!(numbers(fresh), all[6..]);
    }

    #[test]
    fn what_came_back_leaves_memory_and_is_found_again_with_its_counts() {
        let bench = Bench::of(QueueArguments { delivery_limit: Some(100), ..quorum() });
        let at = StartedAt { now: 0, unix_ms: 1_000_000 };
        let failed = |number: u32| u16::try_from(number % 7).unwrap();
        for number in 0..2_000 {
            let was_back = number % 2 == 0;
            let counts = Counts { all: 9, failed: failed(number) };
            let waiting = Waiting {
                place: bench.append(number),
                sequence: u64::from(number) + 100,
                published_at: at.unix_ms,
                time_to_live_ms: None,
                priority: None,
                redelivered: was_back,
                body_len: 1024,
                counts: was_back.then_some(counts),
            };
            bench.queue.recover(&waiting, at);
        }
        bench.queue.recovered(at);
        let order = (0..2_000).step_by(2).chain((1..2_000).step_by(2));
        for number in order {
            let (entry, _) = bench.get(true, 0).unwrap();
            assert_eq!(Bench::number(&entry), number);
            let told: Vec<_> = entry
                .delivery_count
                .for_consumer()
                .map_or_else(Vec::new, |told| told.headers(0).collect());
            let count = |name| told.iter().find(|(of, _)| *of == name).map(|(_, count)| count);
            let long = |count: u16| FieldValue::I64(count.into());
            let is_back = number % 2 == 0;
            assert_eq!(count("x-acquired-count"), is_back.then_some(&long(9)));
            let wanted = Some(long(failed(number))).filter(|_| is_back && failed(number) > 0);
            assert_eq!(count("x-delivery-count"), wanted.as_ref());
        }
    }

    #[test]
    fn an_idle_queue_takes_no_memory_for_its_levels() {
        let bench = bench(255);
        for number in 0..255 {
            let layout = Layout { priority: number, ..Layout::default() };
            _ = bench.queue.push(Message::new(layout, &mut vec![0; 10]), None, 0);
        }
        assert_eq!(bench.queue.lock().backlog.other_levels(), 254);
        bench.subscribe(0);
        bench.take(255);
        assert_eq!(bench.queue.lock().backlog.other_levels(), 0);
    }
}
