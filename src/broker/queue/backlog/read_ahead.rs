//! Reading ahead of the consumers: the amount that is read, the times of reading, and the messages that a read names
//! and brings.
//!
//! A window of messages is read at a time, under no lock. Meanwhile the queue may give any of them away, so everything
//! is named by its position.

use std::task::Waker;

use crate::broker::message::Message;
use crate::store::{Place, StoreError};

/// The amount that is read ahead of the consumers of a queue.
struct Amount {
    /// Bytes of messages in memory below which more are read.
    low: u64,
    /// Bytes of bodies that are read at once.
    window: u64,
}

/// The usual amount: as much as a fast consumer takes while the next window is read, in reads that are long enough to
/// be sequential.
const GENEROUS: Amount = Amount { low: 512 << 10, window: 1 << 20 };

/// The amount while memory is short, that is with many busy queues.
const FRUGAL: Amount = Amount { low: 64 << 10, window: 128 << 10 };

/// The reading that is under way, and the callers that wait for it.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    /// Messages, or the pages they are on, are being read.
    is_reading: bool,
    /// Memory was short when messages were read last.
    is_frugal: bool,
    /// Callers of `basic.get` that wait for the first message to be read.
    readers: Vec<Waker>,
}

impl ReadAhead {
    fn amount(&self) -> &'static Amount {
        if self.is_frugal { &FRUGAL } else { &GENEROUS }
    }

    pub(super) fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// Begins to read; answers false if that is under way.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.is_reading, true)
    }

    pub(super) fn end(&mut self) {
        self.is_reading = false;
    }

    /// Answers if more should be read when so much is in memory.
    pub(super) fn is_short(&self, resident_bytes: u64) -> bool {
        resident_bytes < self.amount().low
    }

    /// Returns the number of bytes of bodies that the next window may have.
    pub(super) fn window_bytes(&mut self, is_frugal: bool, has_consumers: bool) -> u64 {
        self.is_frugal = is_frugal;
        if has_consumers || !self.readers.is_empty() { self.amount().window } else { 0 }
    }

    pub(super) fn wake_when_read(&mut self, reader: &Waker) {
        self.readers.push(reader.clone());
    }

    pub(super) fn take_readers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.readers)
    }
}

/// A message that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) struct ReadRequest {
    pub(in crate::broker::queue) position: u64,
    pub(in crate::broker::queue) place: Place,
}

/// The result of reading a [`ReadRequest`].
#[derive(Debug)]
pub(in crate::broker::queue) struct ReadResult {
    pub(in crate::broker::queue) position: u64,
    pub(in crate::broker::queue) read: Result<Message, StoreError>,
}

/// A message that could not be read and waits no longer.
#[derive(Debug)]
pub(in crate::broker::queue) struct UnreadableMessage {
    pub(in crate::broker::queue) place: Place,
    pub(in crate::broker::queue) error: StoreError,
}

/// The messages of a window that could not be taken in.
#[derive(Debug, Default)]
pub(in crate::broker::queue) struct UnfilledWindow {
    pub(in crate::broker::queue) lost: Vec<UnreadableMessage>,
    /// The reason why some of them could not be read now, and wait on.
    pub(in crate::broker::queue) put_off: Option<StoreError>,
}
