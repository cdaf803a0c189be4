//! The levels of a queue that deals by priority.
//!
//! The level that is next to be dealt from is the queue's [`Ready`] itself; those of the others that have messages are
//! kept here, so an idle queue takes no more memory for 255 levels than for one. Whoever does something to another
//! level turns to it ([`State::turn_to`]) and has the next one brought up when that is done ([`State::bring_up`]). Of a
//! queue without levels nothing but a comparison is asked.
//!
//! As in RabbitMQ (`rabbit_priority_queue`) a message without priority is in the lowest level and one with too high a
//! one in the highest, each level is in order, and what expires or is dropped for room goes from the head of the whole
//! queue. Quorum queues have two levels since 4.0, of which the higher gets two turns of three, and 32 in 4.3, where a
//! message without priority is in the fifth.

use std::collections::BTreeMap;

use super::emptied::Emptied;
use super::quorum::Place;
use super::ready::Ready;
use super::{Entry, State};
use crate::broker::arguments::{QueueArguments, QueueKind};
use crate::broker::compat::Compat;

/// Messages that the higher of two levels gives while the lower has some.
const HIGHER_TURNS: u8 = 2;

/// The first priority of the higher of two levels.
const HIGH_PRIORITY: u8 = 5;

/// The priority in a quorum queue of 4.3 of a message that says none.
const USUAL_PRIORITY: u8 = 4;

/// How messages are dealt by their priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The higher always first; who says none has the usual priority.
    Strict { highest: u8, usual: u8 },
    /// Two levels in turn.
    InTurn,
}

impl Rule {
    /// The rule of a queue that deals by priority.
    pub(super) fn of(wanted: &QueueArguments, compat: Compat) -> Option<Self> {
        match (wanted.kind, compat) {
            (QueueKind::Classic, _) => {
                let highest = wanted.max_priority.filter(|&highest| highest > 0)?;
                Some(Self::Strict { highest, usual: 0 })
            }
            (QueueKind::Quorum, Compat::V4) => Some(Self::InTurn),
            (QueueKind::Quorum, Compat::V4_3) => {
                Some(Self::Strict { highest: 31, usual: USUAL_PRIORITY })
            }
            (QueueKind::Quorum, Compat::V3_10) | (QueueKind::Stream, _) => None,
        }
    }

    fn level(self, said: Option<u8>) -> u8 {
        match self {
            Self::Strict { highest, usual } => said.unwrap_or(usual).min(highest),
            Self::InTurn => u8::from(said.is_some_and(|priority| priority >= HIGH_PRIORITY)),
        }
    }
}

/// The levels that are not dealt from.
#[derive(Debug)]
pub(super) struct Levels {
    rule: Rule,
    /// Each has messages.
    others: BTreeMap<u8, Box<Ready>>,
    /// What is in all of them.
    len: usize,
    bytes: u64,
    resident_bytes: u64,
    /// How many turns the higher of two levels has had.
    turns: u8,
}

impl Levels {
    pub(super) fn new(rule: Rule) -> Self {
        let others = BTreeMap::new();
        Self { rule, others, len: 0, bytes: 0, resident_bytes: 0, turns: 0 }
    }

    fn take(&mut self, level: u8) -> Option<Ready> {
        let line = self.others.remove(&level)?;
        self.len -= line.len();
        self.bytes -= line.bytes();
        self.resident_bytes -= line.resident_bytes();
        Some(*line)
    }

    /// Keeps a level for later; an empty one is dropped.
    fn keep(&mut self, line: Ready) {
        if !line.is_empty() {
            self.len += line.len();
            self.bytes += line.bytes();
            self.resident_bytes += line.resident_bytes();
            self.others.insert(line.level(), Box::new(line));
        }
    }

    /// The level to deal from instead of the current one.
    fn better_than(&self, current: &Ready) -> Option<u8> {
        let (&highest, _) = self.others.last_key_value()?;
        let is_next = match self.rule {
            _ if current.is_empty() => true,
            Rule::Strict { .. } => highest > current.level(),
            Rule::InTurn => (current.level() == 0) == (self.turns < HIGHER_TURNS),
        };
        is_next.then_some(highest)
    }
}

impl State {
    /// Messages that wait.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.ready.len() + self.levels.as_deref().map_or(0, |levels| levels.len)
    }

    /// Bytes of their bodies.
    #[inline]
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.ready.bytes() + self.levels.as_deref().map_or(0, |levels| levels.bytes)
    }

    /// Bytes that they take in memory.
    #[inline]
    pub(super) fn resident_bytes(&self) -> u64 {
        self.ready.resident_bytes()
            + self.levels.as_deref().map_or(0, |levels| levels.resident_bytes)
    }

    /// Turns to the level of messages that say this priority, when that is of interest.
    #[inline]
    pub(super) fn turn_to_priority(&mut self, said: impl FnOnce() -> Option<u8>) {
        if let Some(levels) = &self.levels {
            self.turn_to(levels.rule.level(said()));
        }
    }

    /// Has `ready` be this level until [`Self::bring_up`].
    pub(super) fn turn_to(&mut self, level: u8) {
        let Some(levels) = &mut self.levels else { return };
        if self.ready.level() == level {
            return;
        }
        let wanted = match levels.take(level) {
            Some(line) => line,
            None if self.ready.is_empty() => return self.ready.become_level(level),
            None => self.ready.beside(level),
        };
        levels.keep(self.ready.replace_by(wanted));
    }

    /// Has `ready` be the level that is next to be dealt from.
    #[inline]
    pub(super) fn bring_up(&mut self) {
        if let Some(levels) = &self.levels
            && let Some(level) = levels.better_than(&self.ready)
        {
            self.turn_to(level);
        }
    }

    /// The same after a message was dealt.
    #[inline]
    pub(super) fn bring_up_next(&mut self) {
        if let Some(levels) = &mut self.levels {
            levels.turns = if levels.turns == HIGHER_TURNS { 0 } else { levels.turns + 1 };
            self.bring_up();
        }
    }

    /// Puts messages back into their levels; they must be in the order in which they are to stand.
    pub(super) fn put_back_all(&mut self, mut entries: Vec<Entry>, at: Place) {
        if self.levels.is_none() {
            return self.ready.put_back_at(entries, at);
        }
        // Stable: within each level the order stays.
        entries.sort_by_key(|entry| entry.level);
        for of_level in entries.chunk_by(|one, other| one.level == other.level) {
            self.turn_to(of_level[0].level);
            self.ready.put_back_at(of_level.to_vec(), at);
        }
        self.bring_up();
    }

    /// Does something to each level that has messages.
    pub(super) fn for_each_level(&mut self, act: impl Fn(&mut Ready)) {
        act(&mut self.ready);
        let current = self.ready.level();
        let others = self.levels.as_deref().map_or(Vec::new(), |levels| {
            levels.others.keys().copied().filter(|level| *level != current).collect()
        });
        for level in others {
            self.turn_to(level);
            act(&mut self.ready);
        }
        self.bring_up();
    }

    /// Takes everything out.
    pub(super) fn take_all(&mut self) -> Emptied {
        let mut emptied = self.ready.drop_all();
        if let Some(levels) = &mut self.levels {
            let others = std::mem::take(&mut levels.others);
            **levels = Levels::new(levels.rule);
            emptied.others = others.into_values().map(|mut line| line.drop_all()).collect();
        }
        emptied
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::message::{Layout, Message};
    use crate::broker::queue::fetch::tests::{Bench, numbers};
    use crate::broker::queue::{Returned, StartedAt};
    use crate::store::Waiting;

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

    #[test]
    fn the_highest_are_dealt_first_and_each_level_is_in_order() {
        for highest in [1, 4, 8, 255] {
            let bench = bench(highest);
            for number in 0..50 {
                bench.queue.push(message(number), None, 0);
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
            bench.queue.push(message(number), None, 0);
        }
        let mut gotten: Vec<_> = (0..12).map(|_| bench.get(false, 0).unwrap()).collect();
        assert_eq!(gotten.last().unwrap().1, 18);
        gotten.sort_by_key(|(entry, _)| entry.position);
        let returned = gotten.into_iter().map(|(entry, _)| Returned {
            entry,
            consumer: None,
            no_ack: false,
            has_failed: false,
        });
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
                bench.queue.push(message(number), place, 0);
            }
            let resident_bytes = bench.queue.lock().resident_bytes();
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
            bench.queue.push(message(number), Some(bench.append(number)), 0);
        }
        assert_eq!(bench.queue.purge(), 500);
        assert_eq!((bench.queue.counts().ready, bench.get(true, 0).is_some()), (0, false));
        assert_eq!(bench.queue.lock().resident_bytes(), 0);
        bench.queue.push(message(7), None, 0);
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
            bench.queue.push(message(number), None, 0);
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
                priority: priority(number),
                redelivered: false,
                body_len: 1024,
            };
            bench.queue.recover(&waiting, at);
        }
        bench.queue.recovered(at);
        for number in 300..310 {
            bench.queue.push(message(number), Some(bench.append(number)), 0);
        }
        assert_eq!(bench.queue.counts().ready, 310);
        bench.subscribe(0);
        assert_eq!(numbers(&bench.take(310)), by_priority(0..310, 4));
    }

    #[test]
    fn the_higher_of_two_levels_has_two_turns_of_three() {
        let quorum = QueueArguments { kind: QueueKind::Quorum, ..QueueArguments::default() };
        let bench = Bench::of(quorum);
        for number in 0..18 {
            bench.queue.push(message(number), None, 0);
        }
        bench.subscribe(0);
        let dealt = numbers(&bench.take(18));
        let is_high = |number: &u32| priority(*number) >= HIGH_PRIORITY;
        let high: Vec<_> = dealt.iter().map(is_high).collect();
        assert_eq!(high[..9], [true, true, false, true, true, false, true, true, false]);
        for level in [true, false] {
            let of_level: Vec<_> = dealt.iter().filter(|one| is_high(one) == level).collect();
            assert!(of_level.is_sorted());
        }
    }

    #[test]
    fn an_idle_queue_takes_no_memory_for_its_levels() {
        let bench = bench(255);
        for number in 0..255 {
            let layout = Layout { priority: number, ..Layout::default() };
            bench.queue.push(Message::new(layout, &mut vec![0; 10]), None, 0);
        }
        assert_eq!(bench.queue.lock().levels.as_ref().unwrap().others.len(), 254);
        bench.subscribe(0);
        bench.take(255);
        assert!(bench.queue.lock().levels.as_ref().unwrap().others.is_empty());
    }
}
