//! The offset up to which the messages of a stream are on disk.

use std::collections::VecDeque;

use crate::store::{Batch, Outcome};

/// The messages that are on disk, and those that wait for a batch.
#[derive(Debug, Default)]
pub(super) struct Synced {
    /// The offset before which all messages are on disk.
    up_to: u64,
    /// For each batch, in order, the offset before which all messages are on disk when the batch is.
    waiting: VecDeque<(u64, Batch)>,
    /// A wait for the first batch has begun.
    is_awaited: bool,
}

impl Synced {
    /// The offset before which everything is on disk.
    pub(super) fn up_to(&self) -> u64 {
        self.up_to
    }

    /// Says that the messages before `up_to` need no disk, or are on it.
    pub(super) fn set(&mut self, up_to: u64) {
        self.up_to = up_to;
    }

    /// Says that everything before `up_to` is on disk when the batch is.
    pub(super) fn add(&mut self, up_to: u64, batch: Batch) {
        match self.waiting.back_mut() {
            Some((end, last)) if *last == batch => *end = up_to,
            Some(_) | None => self.waiting.push_back((up_to, batch)),
        }
    }

    /// Advances past the batches that are on disk.
    pub(super) fn advance(&mut self, outcome: impl Fn(Batch) -> Outcome) {
        while let Some(&(up_to, batch)) = self.waiting.front() {
            if outcome(batch) != Outcome::Synced {
                return;
            }
            self.up_to = up_to;
            self.waiting.pop_front();
        }
    }

    /// The batch that is to be waited for, once.
    pub(super) fn take_awaited(&mut self) -> Option<Batch> {
        let batch = self.waiting.front().map(|(_, batch)| *batch);
        batch.filter(|_| !std::mem::replace(&mut self.is_awaited, true))
    }

    /// Says that the wait is over.
    pub(super) fn end_wait(&mut self) {
        self.is_awaited = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_on_disk_as_far_as_its_batches_are_in_their_order() {
        let mut synced = Synced::default();
        for (up_to, batch) in [(1, 1), (2, 1), (3, 2), (5, 4)] {
            synced.add(up_to, Batch(batch));
        }
        assert_eq!(synced.take_awaited(), Some(Batch(1)));
        assert_eq!(synced.take_awaited(), None);
        let up_to_2 = |batch: Batch| if batch.0 <= 2 { Outcome::Synced } else { Outcome::Waiting };
        synced.advance(up_to_2);
        assert_eq!(synced.up_to(), 3);
        synced.end_wait();
        assert_eq!(synced.take_awaited(), Some(Batch(4)));
        synced.advance(|_| Outcome::Failed);
        assert_eq!(synced.up_to(), 3);
    }
}
