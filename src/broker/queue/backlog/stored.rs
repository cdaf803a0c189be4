//! A message of a queue that only the store has ([`Stored`]).

use crate::broker::delivery_count::{CountHeaders, DeliveryCount};
use crate::broker::entry::Entry;
use crate::broker::message::Message;
use crate::broker::time::Millis;
use crate::store::Place;

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
    fn a_stored_entry_takes_little_memory() {
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
