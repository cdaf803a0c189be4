//! A message in a queue, with its body ([`Entry`]) or as little as possible ([`Stored`]).

use super::{Returns, Shown};
use crate::broker::message::Message;
use crate::store::{Place, Waiting};

/// Milliseconds since the broker started: the only clock state knows.
pub type Millis = u64;

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Not there while the message is only in the store, which has it at `place`.
    pub message: Option<Message>,
    /// Where the store has it; `None` when it is in memory only.
    pub place: Option<Place>,
    /// Bytes of the message's body.
    pub body_len: u32,
    /// Where it stands: positions grow with every push.
    pub position: u64,
    /// When it must not be delivered any more; `Millis::MAX` for never.
    pub deadline: Millis,
    /// It was delivered before.
    pub redelivered: bool,
    /// How often it came back, where that is counted.
    pub returns: Returns,
    /// Its place among the priorities of the queue.
    pub level: u8,
}

/// Bytes counted for a message in memory beside its own: its entry, its head, and what the allocator adds.
const RESIDENT_BYTES: u64 = 160;

impl Entry {
    /// The message of a delivery.
    ///
    /// # Panics
    ///
    /// When it is not in memory: a queue gives nobody such an entry.
    #[inline]
    pub fn message(&self) -> &Message {
        self.message.as_ref().expect("a delivery carries its message")
    }

    /// Lets go of a message that the store has, so that it costs little until it is settled.
    #[inline]
    pub fn forget_message(&mut self) {
        if self.place.is_some() {
            self.message = None;
        }
    }

    /// What is left of a message that is somewhere else by now.
    pub fn gone() -> Self {
        Self::unplaced(None)
    }

    /// An entry that stands nowhere.
    pub(super) fn unplaced(place: Option<Place>) -> Self {
        Self {
            message: None,
            place,
            body_len: 0,
            position: 0,
            deadline: Millis::MAX,
            redelivered: false,
            returns: Returns::default(),
            level: 0,
        }
    }

    /// One that the store gave back.
    pub(super) fn recovered(waiting: &Waiting, deadline: Millis) -> Self {
        Self {
            message: None,
            place: Some(waiting.place),
            body_len: waiting.body_len,
            position: waiting.sequence,
            deadline,
            redelivered: waiting.redelivered,
            returns: Returns::default(),
            level: 0,
        }
    }

    /// Bytes it takes in memory, as they are counted; none without its message.
    #[inline]
    pub(super) fn resident_bytes(&self) -> u64 {
        self.message.as_ref().map_or(0, |message| message.len() as u64 + RESIDENT_BYTES)
    }

    /// Whether it can expire.
    #[inline]
    pub(super) fn is_mortal(&self) -> bool {
        self.deadline != Millis::MAX
    }
}

/// A message that only the store has: 32 bytes, whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) position: u64,
    /// The deadline, moved up by one bit for the redelivered flag.
    pub(super) deadline_and_flag: u64,
    pub(super) place: Place,
    pub(super) body_len: u32,
}

/// What [`Millis::MAX`], "never", is in 63 bits.
const NEVER: u64 = u64::MAX >> 1;

impl Stored {
    /// What is left of an entry without its message.
    pub(super) fn new(entry: &Entry, place: Place) -> Self {
        let deadline_and_flag = entry.deadline.min(NEVER) << 1 | u64::from(entry.redelivered);
        Self { position: entry.position, deadline_and_flag, place, body_len: entry.body_len }
    }

    pub(super) fn deadline(&self) -> Millis {
        match self.deadline_and_flag >> 1 {
            NEVER => Millis::MAX,
            at => at,
        }
    }

    pub(super) fn is_mortal(&self) -> bool {
        self.deadline() != Millis::MAX
    }

    /// The entry again, with its message when that has been read.
    pub(super) fn into_entry(self, message: Option<Message>, shown: Shown) -> Entry {
        let redelivered = self.deadline_and_flag & 1 == 1;
        Entry {
            message,
            place: Some(self.place),
            body_len: self.body_len,
            position: self.position,
            deadline: self.deadline(),
            redelivered,
            returns: Returns::new(shown, redelivered),
            level: 0,
        }
    }
}

/// Both in the order of positions.
pub(super) fn merge(left: Vec<Entry>, right: Vec<Entry>) -> Vec<Entry> {
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
                returns: Returns::default(),
                level: 0,
            };
            let back = Stored::new(&entry, place).into_entry(None, Shown::Never);
            let known =
                |entry: &Entry| (entry.position, entry.deadline, entry.redelivered, entry.place);
            assert_eq!(known(&back), known(&entry));
        }
    }
}
