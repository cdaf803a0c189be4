//! The messages of a queue that wait for a consumer, in order.
//!
//! Each has a position, given once when it is pushed; a message that comes back takes its old place again
//! (RabbitMQ: `rabbit_variable_queue:requeue`).

use std::collections::VecDeque;

use crate::broker::message::Message;
use crate::store::Place;

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
}

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
}

/// Waiting messages in the order of their positions.
#[derive(Debug, Default)]
pub(super) struct Ready {
    entries: VecDeque<Entry>,
    next_position: u64,
    bytes: u64,
    /// How many entries carry a deadline, so that queues without any never look.
    mortal: usize,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of the waiting messages' bodies.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives a new message the next position.
    #[inline]
    pub(super) fn place(
        &mut self,
        message: Message,
        place: Option<Place>,
        deadline: Millis,
    ) -> Entry {
        let position = self.next_position;
        self.next_position += 1;
        let body_len = u32::try_from(message.body().len()).unwrap_or(u32::MAX);
        Entry { message: Some(message), place, body_len, position, deadline, redelivered: false }
    }

    fn count_in(&mut self, entry: &Entry) {
        self.bytes += u64::from(entry.body_len);
        self.mortal += usize::from(entry.deadline != Millis::MAX);
    }

    #[inline]
    pub(super) fn push_back(&mut self, entry: Entry) {
        self.count_in(&entry);
        self.entries.push_back(entry);
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= u64::from(entry.body_len);
        self.mortal -= usize::from(entry.deadline != Millis::MAX);
        if self.entries.is_empty() && self.entries.capacity() > KEEP_CAPACITY {
            self.entries = VecDeque::new();
        }
        Some(entry)
    }

    pub(super) fn front(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// Whether any waiting message can expire.
    pub(super) fn has_mortal(&self) -> bool {
        self.mortal > 0
    }

    /// Puts messages back into their old places; `returned` must be in the order of positions.
    ///
    /// Cost: as many moves as there are waiting messages in front of the last returned one, usually none.
    pub(super) fn put_back(&mut self, returned: Vec<Entry>) {
        let Some(last) = returned.last().map(|entry| entry.position) else { return };
        let mut earlier = Vec::new();
        while self.front().is_some_and(|entry| entry.position < last) {
            earlier.extend(self.pop_front());
        }
        let mut merged = merge(earlier, returned);
        while let Some(entry) = merged.pop() {
            self.count_in(&entry);
            self.entries.push_front(entry);
        }
    }

    /// Takes everything out.
    pub(super) fn take_all(&mut self) -> VecDeque<Entry> {
        self.bytes = 0;
        self.mortal = 0;
        std::mem::take(&mut self.entries)
    }
}

/// Entries an emptied queue keeps room for; a drained backlog gives its memory back.
const KEEP_CAPACITY: usize = 1024;

fn merge(left: Vec<Entry>, right: Vec<Entry>) -> Vec<Entry> {
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
    use crate::broker::message::Layout;

    fn ready(count: u64) -> Ready {
        let mut ready = Ready::default();
        for _ in 0..count {
            let message = Message::new(Layout::default(), &mut Vec::new());
            let entry = ready.place(message, None, Millis::MAX);
            ready.push_back(entry);
        }
        ready
    }

    fn positions(ready: &Ready) -> Vec<u64> {
        ready.entries.iter().map(|entry| entry.position).collect()
    }

    #[test]
    fn an_entry_takes_little_memory() {
        assert_eq!(size_of::<Entry>(), 48);
    }

    #[test]
    fn requeued_messages_keep_their_place() {
        let mut ready = ready(6);
        let mut taken: Vec<_> = (0..4).filter_map(|_| ready.pop_front()).collect();
        let late = taken.split_off(3);
        let middle = taken.remove(1);
        ready.put_back(late);
        assert_eq!(positions(&ready), [3, 4, 5]);
        ready.put_back(taken);
        assert_eq!(positions(&ready), [0, 2, 3, 4, 5]);
        ready.put_back(vec![middle]);
        assert_eq!(positions(&ready), [0, 1, 2, 3, 4, 5]);
    }
}
