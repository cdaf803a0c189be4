//! The far end of a long queue: places only, in the order of their positions.
//!
//! In chunks, so that a list of millions neither doubles its memory when it grows nor keeps any when it shrinks.

use std::collections::VecDeque;

use super::entry::Stored;

/// Entries of a chunk: 32 KiB, which is all that a list of any length takes too much.
const CHUNK_LEN: usize = 1024;

/// Stored messages in order.
#[derive(Debug, Default)]
pub(super) struct Far {
    chunks: VecDeque<Vec<Stored>>,
    /// How many of the first chunk have been taken; less than it has.
    taken: usize,
    len: usize,
}

impl Far {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn front(&self) -> Option<&Stored> {
        self.chunks.front()?.get(self.taken)
    }

    pub(super) fn back(&self) -> Option<&Stored> {
        self.chunks.back()?.last()
    }

    pub(super) fn push_back(&mut self, stored: Stored) {
        debug_assert!(self.back().is_none_or(|last| last.position < stored.position));
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => chunk.push(stored),
            Some(_) | None => {
                let mut chunk = Vec::with_capacity(CHUNK_LEN);
                chunk.push(stored);
                self.chunks.push_back(chunk);
            }
        }
        self.len += 1;
    }

    pub(super) fn pop_front(&mut self) -> Option<Stored> {
        let chunk = self.chunks.front()?;
        let stored = *chunk.get(self.taken)?;
        self.taken += 1;
        self.len -= 1;
        if self.taken == chunk.len() {
            self.chunks.pop_front();
            self.taken = 0;
        }
        if self.is_empty() {
            self.chunks = VecDeque::new();
        }
        Some(stored)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.chunks.iter().flatten().skip(self.taken)
    }

    /// Puts `late`, in the order of positions, in between.
    ///
    /// Cost: everything is moved once, chunk by chunk, so that it takes little more memory meanwhile.
    pub(super) fn merge(&mut self, late: Vec<Stored>) {
        let mut all = Self::default();
        let mut late = late.into_iter().peekable();
        while let Some(next) = self.pop_front() {
            while let Some(earlier) = late.next_if(|one| one.position < next.position) {
                all.push_back(earlier);
            }
            all.push_back(next);
        }
        late.for_each(|one| all.push_back(one));
        *self = all;
    }
}
