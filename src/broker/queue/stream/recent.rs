//! The last messages of a stream, in memory for consumers that read at its end.

use std::collections::VecDeque;

use crate::broker::message::Message;

/// The number of bytes kept for readers at the end: a fast reader falls behind by that much while it is not scheduled.
pub(super) const RECENT_BYTES: u64 = 1 << 20;

/// The same while memory is short.
pub(super) const RECENT_BYTES_SHORT: u64 = 64 << 10;

/// Bytes counted for a message beside its own.
const MESSAGE_BYTES: u64 = 64;

/// Messages with consecutive offsets.
#[derive(Debug, Default)]
pub(super) struct Recent {
    messages: VecDeque<Message>,
    first: u64,
    bytes: u64,
}

fn bytes_of(message: &Message) -> u64 {
    message.len() as u64 + MESSAGE_BYTES
}

impl Recent {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, offset: u64, message: Message) {
        if self.messages.is_empty() {
            self.first = offset;
        }
        debug_assert_eq!(self.first + self.messages.len() as u64, offset);
        self.bytes += bytes_of(&message);
        self.messages.push_back(message);
    }

    pub(super) fn get(&self, offset: u64) -> Option<&Message> {
        let at = usize::try_from(offset.checked_sub(self.first)?).ok()?;
        self.messages.get(at)
    }

    /// Drops the oldest until the others fit.
    pub(super) fn shrink_to(&mut self, bytes_max: u64) {
        while self.bytes > bytes_max {
            self.pop();
        }
    }

    /// Drops everything before an offset.
    pub(super) fn forget_before(&mut self, offset: u64) {
        while !self.messages.is_empty() && self.first < offset {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= bytes_of(&message);
            self.first += 1;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
