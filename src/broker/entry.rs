//! A message as it stands in one queue.

use super::delivery_count::DeliveryCount;
use super::message::Message;
use super::time::Millis;
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
    pub(super) fn unplaced(place: Option<Place>) -> Self {
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
    pub(super) fn recovered(waiting: &Waiting, deadline: Millis) -> Self {
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
    pub(super) fn resident_bytes(&self) -> u64 {
        self.message.as_ref().map_or(0, |message| message.len() as u64 + RESIDENT_BYTES)
    }

    /// Answers whether it can expire.
    #[inline]
    pub(super) fn has_deadline(&self) -> bool {
        self.deadline != Millis::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_little_memory() {
        assert!(size_of::<Entry>() <= 48);
    }
}
