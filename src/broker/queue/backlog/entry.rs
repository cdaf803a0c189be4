//! A message in a queue, with its body ([`Entry`]) or as little as possible ([`Stored`]).

use crate::broker::message::Message;
use crate::broker::queue::delivery_count::{CountHeaders, DeliveryCount};
pub use crate::broker::time::Millis;
use crate::store::{Place, Waiting};

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Not there while the message is only in the store, which has it at `place`.
    pub message: Option<Message>,
    /// Its place in the store; `None` when it is in memory only.
    pub place: Option<Place>,
    /// Bytes of the message's body.
    pub body_len: u32,
    /// Its position in the queue; positions grow with every push.
    pub position: u64,
    /// The time from which it must not be delivered any more; `Millis::MAX` for never.
    pub deadline: Millis,
    /// It was delivered before.
    pub redelivered: bool,
    /// The number of times it came back, in queues that count that.
    pub delivery_count: DeliveryCount,
    /// Its place among the levels of the queue.
    pub level: u8,
}

/// Bytes counted for a message in memory beside its own: its entry, its head, and the allocator's overhead.
const RESIDENT_BYTES: u64 = 160;

impl Entry {
    /// The message of a delivery.
    ///
    /// # Panics
    ///
    /// The message is not in memory; a queue delivers no such entry.
    #[inline]
    pub fn message(&self) -> &Message {
        self.message.as_ref().expect("a delivery carries its message")
    }

    /// Answers whether a client is told that it was delivered before: here, or in a queue where it was dead-lettered
    /// after a failure.
    #[inline]
    pub fn is_redelivered(&self) -> bool {
        let has_failed = |message: &Message| message.past().failures > 0;
        self.redelivered || self.message.as_ref().is_some_and(has_failed)
    }

    /// Drops a message that the store has, so that it costs little until it is settled.
    #[inline]
    pub fn forget_message(&mut self) {
        if self.place.is_some() {
            self.message = None;
        }
    }

    /// Makes an entry that stands for a message which is elsewhere by now.
    pub fn gone() -> Self {
        Self::unplaced(None)
    }

    /// Makes an entry that stands nowhere.
    pub(in crate::broker::queue) fn unplaced(place: Option<Place>) -> Self {
        Self {
            message: None,
            place,
            body_len: 0,
            position: 0,
            deadline: Millis::MAX,
            redelivered: false,
            delivery_count: DeliveryCount::default(),
            level: 0,
        }
    }

    /// One that the store gave back.
    pub(in crate::broker::queue) fn recovered(waiting: &Waiting, deadline: Millis) -> Self {
        Self {
            message: None,
            place: Some(waiting.place),
            body_len: waiting.body_len,
            position: waiting.sequence,
            deadline,
            redelivered: waiting.redelivered,
            delivery_count: DeliveryCount::default(),
            level: 0,
        }
    }

    /// Bytes it takes in memory, as they are counted; none without its message.
    #[inline]
    pub(in crate::broker::queue) fn resident_bytes(&self) -> u64 {
        self.message.as_ref().map_or(0, |message| message.len() as u64 + RESIDENT_BYTES)
    }

    /// Answers whether it can expire.
    #[inline]
    pub(in crate::broker::queue) fn has_deadline(&self) -> bool {
        self.deadline != Millis::MAX
    }
}

/// A message that only the store has: 32 bytes, whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) struct Stored {
    pub(in crate::broker::queue) position: u64,
    /// The deadline, moved up by one bit for the redelivered flag.
    pub(in crate::broker::queue) deadline_and_flag: u64,
    pub(in crate::broker::queue) place: Place,
    pub(in crate::broker::queue) body_len: u32,
}

/// The 63 bits that stand for [`Millis::MAX`], "never".
const NEVER: u64 = u64::MAX >> 1;

impl Stored {
    /// Keeps of an entry everything but its message.
    pub(in crate::broker::queue) fn new(entry: &Entry, place: Place) -> Self {
        let deadline_and_flag = entry.deadline.min(NEVER) << 1 | u64::from(entry.redelivered);
        Self { position: entry.position, deadline_and_flag, place, body_len: entry.body_len }
    }

    pub(in crate::broker::queue) fn deadline(&self) -> Millis {
        match self.deadline_and_flag >> 1 {
            NEVER => Millis::MAX,
            at => at,
        }
    }

    pub(in crate::broker::queue) fn has_deadline(&self) -> bool {
        self.deadline() != Millis::MAX
    }

    /// The entry again, with its message when that has been read.
    pub(in crate::broker::queue) fn into_entry(
        self,
        message: Option<Message>,
        count_headers: CountHeaders,
    ) -> Entry {
        let redelivered = self.deadline_and_flag & 1 == 1;
        Entry {
            message,
            place: Some(self.place),
            body_len: self.body_len,
            position: self.position,
            deadline: self.deadline(),
            redelivered,
            delivery_count: DeliveryCount::new(count_headers, redelivered),
            level: 0,
        }
    }
}

/// Both in the order of positions.
pub(in crate::broker::queue) fn merge(left: Vec<Entry>, right: Vec<Entry>) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        let from_left = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) => a.position < b.position,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return merged,
        };
        merged.extend(if from_left { left.next() } else { right.next() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn an_entry_takes_little_memory_and_a_stored_one_half_as_much() {
        assert!(size_of::<Entry>() <= 48);
        assert!(size_of::<Stored>() <= 32);
    }

    #[test]
    fn a_stored_entry_comes_back_as_it_was() {
        let place = Place { file: NonZeroU32::MIN, slot: 2, offset: 3 };
        for (deadline, redelivered) in
            [(Millis::MAX, true), (Millis::MAX, false), (7, true), (0, false)]
        {
            let entry = Entry {
                message: None,
                place: Some(place),
                body_len: 4,
                position: 5,
                deadline,
                redelivered,
                delivery_count: DeliveryCount::default(),
                level: 0,
            };
            let back = Stored::new(&entry, place).into_entry(None, CountHeaders::Never);
            let known =
                |entry: &Entry| (entry.position, entry.deadline, entry.redelivered, entry.place);
            assert_eq!(known(&back), known(&entry));
        }
    }
}
