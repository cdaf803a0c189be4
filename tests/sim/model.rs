//! What a store must remember, in the plainest way: a list of messages, each with how far it got.
//!
//! It knows what was promised: what a batch that was seen synced holds, and what was settled or delivered so long
//! ago that the end in question cannot take it back. What was not promised may be there or not.

use std::collections::{BTreeMap, BTreeSet};

use mq::store::{Batch, Counts, Place, QueueId, Recovered, SlotRanges, Waiting};

use crate::random::Random;

/// The first message's time; a message is known by its time.
pub(crate) const FIRST_AT: u64 = 1_700_000_000_000;

/// How the directory was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Closed,
    Killed,
    PowerCut,
}

/// How far a mark got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    #[default]
    None,
    /// Another message takes its place, which may still be lost.
    Replaced,
    /// The store was told.
    Told,
    /// The operating system has it.
    Written,
    /// The disk has it.
    Safe,
    /// The operating system had it when an earlier broker was killed.
    WrittenBefore,
}

impl Mark {
    fn is_sure(self, left: Left) -> bool {
        match self {
            Self::None | Self::Replaced => false,
            Self::Told => left == Left::Closed,
            Self::Written | Self::WrittenBefore => left != Left::PowerCut,
            Self::Safe => true,
        }
    }

    /// How far it is when it has been found.
    fn found(self, left: Left) -> Self {
        match (self, left) {
            // Closing syncs what was written since the opening.
            (
                Self::None | Self::Replaced | Self::Told | Self::Written | Self::WrittenBefore,
                Left::Killed,
            )
            | (Self::WrittenBefore, Left::Closed) => Self::WrittenBefore,
            (_, Left::PowerCut)
            | (Self::None | Self::Replaced | Self::Told | Self::Written, Left::Closed)
            | (Self::Safe, _) => Self::Safe,
        }
    }
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) place: Place,
    /// What it waits for; `None` once it is safe.
    pub(crate) batch: Option<Batch>,
    pub(crate) settled: Mark,
    /// Set while somebody waits for the settling.
    pub(crate) settling: Option<Batch>,
    pub(crate) delivered: Mark,
    /// How often it came back, ever more often.
    pub(crate) counts: Vec<(Counts, Mark)>,
}

/// The messages of all queues, by queue and number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) messages: BTreeMap<(QueueId, u64), Message>,
    pub(crate) queues: BTreeSet<QueueId>,
    replacements: Vec<Replacement>,
    next_queue: u32,
    next_message: u64,
    /// The sizes of messages that a test has chosen.
    sizes: BTreeMap<u64, usize>,
}

/// A message whose place others take.
#[derive(Clone, Debug)]
struct Replacement {
    old: (QueueId, u64),
    new: Vec<(QueueId, u64)>,
    batch: Batch,
}

/// What is published with a number: always the same.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) published_at: u64,
    pub(crate) time_to_live_ms: Option<u64>,
    pub(crate) priority: u8,
    pub(crate) names_len: usize,
    pub(crate) properties_len: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Content {
    /// `bytes_max` decides with the number how large it is.
    fn new(number: u64, bytes_max: usize) -> Self {
        let mut random = Random::new(number);
        let len = match random.below(20) {
            0 => 0,
            1..14 => random.index(bytes_max / 16),
            14..19 => random.index(bytes_max),
            _ => random.index(bytes_max * 8),
        };
        Self::of_len(number, len, &mut random)
    }

    fn of_len(number: u64, len: usize, random: &mut Random) -> Self {
        let (names_len, properties_len) = (len.min(7), len.saturating_sub(7).min(30));
        let seed = random.next();
        let byte = |at: u64| ((seed >> (at % 56)) ^ (at / 56)).to_le_bytes()[0];
        Self {
            published_at: FIRST_AT + number,
            time_to_live_ms: random.one_in(2).then_some(number % 10_000),
            priority: (number % 10) as u8,
            names_len,
            properties_len,
            bytes: (0..len as u64).map(byte).collect(),
        }
    }

    fn body_len(&self) -> usize {
        self.bytes.len() - self.names_len - self.properties_len
    }
}

/// What a directory told when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) known: BTreeSet<QueueId>,
    pub(crate) waiting: Vec<(QueueId, Waiting)>,
}

impl Recovered for Told {
    fn is_known(&self, queue: QueueId) -> bool {
        self.known.contains(&queue)
    }

    fn on_waiting(&mut self, queue: QueueId, waiting: Waiting) {
        self.waiting.push((queue, waiting));
    }
}

impl Model {
    pub(crate) fn add_queue(&mut self) -> QueueId {
        self.next_queue += 1;
        self.queues.insert(QueueId(self.next_queue));
        QueueId(self.next_queue)
    }

    /// Forgets a queue; answers the slots that waited for it.
    pub(crate) fn remove_queue(&mut self, queue: QueueId) -> SlotRanges {
        self.queues.remove(&queue);
        let gone = self.messages.extract_if(.., |(of, _), _| *of == queue);
        let waiting = gone.filter(|(_, message)| message.settled == Mark::None);
        waiting.map(|(_, message)| message.place).collect()
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.next_message += 1;
        self.next_message
    }

    /// The number of a message of so many bytes.
    pub(crate) fn next_sized(&mut self, len: usize) -> u64 {
        let number = self.next_number();
        self.sizes.insert(number, len);
        number
    }

    /// What was published with a number.
    pub(crate) fn content(&self, number: u64, bytes_max: usize) -> Content {
        match self.sizes.get(&number) {
            Some(len) => Content::of_len(number, *len, &mut Random::new(number)),
            None => Content::new(number, bytes_max),
        }
    }

    pub(crate) fn add(&mut self, queue: QueueId, number: u64, place: Place, batch: Batch) {
        let message = Message {
            place,
            batch: Some(batch),
            settled: Mark::None,
            settling: None,
            delivered: Mark::None,
            counts: Vec::new(),
        };
        self.messages.insert((queue, number), message);
    }

    /// What waits, in the order of queues.
    pub(crate) fn waiting(&self) -> Vec<(QueueId, u64)> {
        let waits = self.messages.iter().filter(|(_, message)| message.settled == Mark::None);
        waits.map(|(key, _)| *key).collect()
    }

    /// Notes which batches have been synced.
    pub(crate) fn on_synced(&mut self, is_synced: impl Fn(Batch) -> bool) {
        for message in self.messages.values_mut() {
            if message.batch.is_some_and(&is_synced) {
                message.batch = None;
            }
            if message.settling.is_some_and(&is_synced) {
                message.settling = None;
                message.settled = Mark::Safe;
            }
        }
        let mut replacements = std::mem::take(&mut self.replacements);
        replacements.retain(|one| !self.is_replaced(one, &is_synced));
        self.replacements = replacements;
    }

    /// Notes that messages take the place of another one.
    pub(crate) fn replace(&mut self, old: (QueueId, u64), new: Vec<(QueueId, u64)>, batch: Batch) {
        self.messages.get_mut(&old).unwrap().settled = Mark::Replaced;
        self.replacements.push(Replacement { old, new, batch });
    }

    /// Whether a message is settled for others that stand for it: they are on disk, or all of them are settled, and
    /// then it is as far as they are.
    fn is_replaced(&mut self, one: &Replacement, is_synced: impl Fn(Batch) -> bool) -> bool {
        let settled = |key| match self.messages.get(key) {
            Some(message) if message.settling.is_none() => message.settled,
            Some(_) | None => Mark::None,
        };
        let least = one.new.iter().map(settled).min().unwrap_or_default();
        let is_done = is_synced(one.batch) || least >= Mark::Told;
        if is_done && let Some(old) = self.messages.get_mut(&one.old) {
            old.settled = least.max(Mark::Told);
        }
        is_done
    }

    /// Checks that of messages and those that stand for them one is there, unless they are settled.
    fn check_replaced(&self, seen: &BTreeSet<(QueueId, u64)>) -> Result<(), String> {
        for one in &self.replacements {
            let was_safe = self.messages.get(&one.old).is_some_and(|old| old.batch.is_none());
            let is_gone = was_safe && !seen.contains(&one.old);
            let is_lost = |key| {
                let message = self.messages.get(key);
                !seen.contains(key) && message.is_some_and(|one| one.settled == Mark::None)
            };
            if is_gone && one.new.iter().any(is_lost) {
                return Err(format!("{:?} is lost on its way to {:?}", one.old, one.new));
            }
        }
        Ok(())
    }

    /// Marks got from one state to the next.
    pub(crate) fn advance(&mut self, from: Mark, to: Mark) {
        for message in self.messages.values_mut() {
            let of_counts = message.counts.iter_mut().map(|(_, mark)| mark);
            for mark in [&mut message.settled, &mut message.delivered].into_iter().chain(of_counts)
            {
                if *mark == from {
                    *mark = to;
                }
            }
        }
    }

    /// Checks what an opened directory told against what was promised, and takes it for what is there now.
    pub(crate) fn on_opened(&mut self, left: Left, mut told: Told) -> Result<(), String> {
        told.waiting.sort_by_key(|(queue, waiting)| (*queue, waiting.sequence));
        let mut last = (QueueId(0), 0);
        let mut seen = BTreeSet::new();
        for (queue, waiting) in &told.waiting {
            let number = waiting.published_at.wrapping_sub(FIRST_AT);
            let key = (*queue, number);
            if key <= last {
                return Err(format!("{key:?} comes twice or behind {last:?}: {waiting:?}"));
            }
            last = key;
            seen.insert(key);
            let Some(message) = self.messages.get_mut(&key) else {
                return Err(format!("{key:?} should not be there: {waiting:?}"));
            };
            message.on_found(left, waiting).map_err(|problem| format!("{key:?} {problem}"))?;
        }
        self.check_replaced(&seen)?;
        self.replacements.clear();
        for (key, message) in &self.messages {
            if !seen.contains(key) && message.batch.is_none() && message.settled == Mark::None {
                return Err(format!("{key:?} is lost: {message:?}"));
            }
            if !seen.contains(key) && left == Left::Closed && message.settled == Mark::None {
                return Err(format!("{key:?} is lost by closing: {message:?}"));
            }
        }
        self.messages.retain(|key, message| {
            // Settled with nothing but the operating system to know it: a later power cut brings it back.
            let may_come = left == Left::Killed
                && matches!(message.settled, Mark::Replaced | Mark::Told | Mark::Written)
                || message.settled == Mark::WrittenBefore && left != Left::PowerCut;
            if !seen.contains(key) && may_come {
                message.settled = Mark::WrittenBefore;
                message.settling = None;
                let of_counts = message.counts.iter_mut().map(|(_, mark)| mark);
                for mark in of_counts.chain([&mut message.delivered]) {
                    if matches!(mark, Mark::Told | Mark::Written) {
                        *mark = Mark::WrittenBefore;
                    }
                }
            }
            seen.contains(key) || may_come
        });
        Ok(())
    }
}

impl Message {
    fn on_found(&mut self, left: Left, waiting: &Waiting) -> Result<(), String> {
        let content_at = waiting.published_at;
        if self.settled.is_sure(left) {
            return Err(format!("was settled and is back: {self:?} {waiting:?}"));
        }
        let must_be_redelivered = self.delivered.is_sure(left);
        if must_be_redelivered && !waiting.redelivered {
            return Err(format!("was delivered, which is forgotten: {self:?}"));
        }
        if waiting.redelivered && self.delivered == Mark::None {
            return Err(format!("was never delivered: {self:?}"));
        }
        self.find_counts(left, waiting)?;
        debug_assert!(content_at >= FIRST_AT);
        self.place = waiting.place;
        self.batch = None;
        self.settled = Mark::None;
        self.settling = None;
        self.delivered = if waiting.redelivered { self.delivered.found(left) } else { Mark::None };
        Ok(())
    }

    /// Checks how often it is told to have come back: as often as was promised, or later.
    fn find_counts(&mut self, left: Left, waiting: &Waiting) -> Result<(), String> {
        let sure = self.counts.iter().rposition(|(_, mark)| mark.is_sure(left));
        let Some(told) = waiting.counts else {
            let is_forgotten = sure.is_some();
            self.counts.clear();
            return if is_forgotten { Err("has lost its counts".to_owned()) } else { Ok(()) };
        };
        let found = self.counts.iter().position(|(counts, _)| *counts == told);
        let Some(found) = found.filter(|at| sure.is_none_or(|sure| sure <= *at)) else {
            return Err(format!("should have {:?}, and {told:?} is told", self.counts));
        };
        // A power cut may take it back, and an earlier one counts again.
        self.counts.truncate(found + 1);
        self.counts.iter_mut().for_each(|(_, mark)| *mark = mark.found(left));
        Ok(())
    }
}

/// Whether a slot was told with what its message was published with.
pub(crate) fn is_told_right(content: &Content, waiting: &Waiting) -> bool {
    waiting.time_to_live_ms == content.time_to_live_ms
        && waiting.priority == Some(content.priority).filter(|priority| *priority < 9)
        && waiting.body_len as usize == content.body_len()
}
