//! The part of a long queue that is on disk only: places, in the order of their positions.
//!
//! They are in chunks, so that a list of millions neither doubles its memory when it grows nor keeps any when it
//! shrinks. Of a long list only the ends are in memory: the chunks between them are written away as pages, and read
//! when the front has come to them, usually ahead of the consumers ([`OnDisk::missing`]).
//!
//! The last chunk is never a page.

use std::collections::VecDeque;

use super::pages::{Page, Pages};
use super::stored::Stored;
use crate::broker::time::Millis;
use crate::store::{Place, StoreError};

/// Entries of a chunk: 32 KiB, which is all that a list of any length takes too much, and a read that is worth its
/// call.
const CHUNK_LEN: usize = if cfg!(test) { 8 } else { 1024 };

/// Chunks from which on a list has pages: 256 KiB, as much as a queue may have in bodies at any time.
const CHUNKS_MAX: usize = 8;

/// Chunks at the front that are never written away: they are read next, as many as one window of reading takes.
const FRONT_CHUNKS: usize = 4;

/// Stored messages in order.
#[derive(Debug, Default)]
pub(in crate::broker::queue) struct OnDisk {
    chunks: VecDeque<Chunk>,
    /// The number of places taken from the first chunk; less than it has, and none of a page.
    taken: usize,
    len: usize,
    /// The number of chunks that are no pages.
    in_memory: usize,
    /// The index at which the search for the next chunk to write away begins.
    paged_to: usize,
}

#[derive(Debug)]
enum Chunk {
    Here(Vec<Stored>),
    Paged(Page),
}

/// The position and the deadline of the first message.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker::queue) struct Front {
    pub(in crate::broker::queue) position: u64,
    pub(in crate::broker::queue) deadline: Millis,
}

impl OnDisk {
    pub(in crate::broker::queue) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(in crate::broker::queue) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(in crate::broker::queue) fn front(&self) -> Option<Front> {
        match self.chunks.front()? {
            Chunk::Here(entries) => {
                let first = entries.get(self.taken)?;
                Some(Front { position: first.position, deadline: first.deadline() })
            }
            Chunk::Paged(page) => Some(Front { position: page.position, deadline: page.deadline }),
        }
    }

    pub(in crate::broker::queue) fn back(&self) -> Option<&Stored> {
        match self.chunks.back()? {
            Chunk::Here(entries) => entries.last(),
            Chunk::Paged(_) => None,
        }
    }

    /// Cost: for every chunk but the first few, one page written.
    pub(in crate::broker::queue) fn push_back(&mut self, stored: Stored, pages: &Pages) {
        debug_assert!(self.back().is_none_or(|last| last.position < stored.position));
        match self.chunks.back_mut() {
            Some(Chunk::Here(chunk)) if chunk.len() < CHUNK_LEN => chunk.push(stored),
            Some(_) | None => {
                // Many lists are short: one for each priority.
                let room = if self.chunks.is_empty() { 0 } else { CHUNK_LEN };
                let mut chunk = Vec::with_capacity(room);
                chunk.push(stored);
                self.chunks.push_back(Chunk::Here(chunk));
                self.in_memory += 1;
                self.page_out(pages);
            }
        }
        self.len += 1;
    }

    /// Writes chunks away while too many are in memory; a chunk that the disk refuses stays in memory until the next
    /// time.
    pub(in crate::broker::queue) fn page_out(&mut self, pages: &Pages) {
        self.paged_to = self.paged_to.max(FRONT_CHUNKS);
        while self.in_memory > CHUNKS_MAX && self.paged_to + 1 < self.chunks.len() {
            if let Some(Chunk::Here(entries)) = self.chunks.get(self.paged_to) {
                let Some(page) = pages.write(entries) else { return };
                self.chunks[self.paged_to] = Chunk::Paged(page);
                self.in_memory -= 1;
            }
            self.paged_to += 1;
        }
    }

    /// Takes the first message, which must not be on a page: [`Self::load_front`] comes before.
    pub(in crate::broker::queue) fn pop_front(&mut self) -> Option<Stored> {
        let Chunk::Here(chunk) = self.chunks.front()? else { return None };
        let stored = *chunk.get(self.taken)?;
        self.taken += 1;
        self.len -= 1;
        if self.taken == chunk.len() {
            self.in_memory -= 1;
            self.remove(0);
        }
        Some(stored)
    }

    /// Takes out a chunk that has been counted out.
    fn remove(&mut self, at: usize) {
        self.chunks.remove(at);
        self.paged_to -= usize::from(at < self.paged_to);
        if at == 0 {
            self.taken = 0;
        }
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Answers whether the first message is on a page, so that only its position and deadline as they were when it was
    /// written are known.
    #[inline]
    pub(in crate::broker::queue) fn is_front_paged(&self) -> bool {
        matches!(self.chunks.front(), Some(Chunk::Paged(_)))
    }

    /// Brings the first message into memory; pages that are damaged are taken out and go to `lost`.
    ///
    /// Cost: one comparison, unless the first is on a page, which is read.
    pub(in crate::broker::queue) fn load_front(
        &mut self,
        pages: &Pages,
        lost: &mut Vec<Page>,
    ) -> Result<(), StoreError> {
        while let Some(&Chunk::Paged(page)) = self.chunks.front() {
            let entries = pages.read(&page)?;
            if self.load(&page, entries, pages) == Loaded::Lost {
                lost.push(page);
            }
        }
        Ok(())
    }

    /// Takes in the messages of a page that was read, or takes the page out, and gives it up.
    pub(in crate::broker::queue) fn load(
        &mut self,
        page: &Page,
        entries: Option<Vec<Stored>>,
        pages: &Pages,
    ) -> Loaded {
        let is_it =
            |chunk: &Chunk| matches!(chunk, Chunk::Paged(known) if known.place == page.place);
        let Some(at) = self.chunks.iter().position(is_it) else { return Loaded::Superseded };
        pages.settle(page);
        if let Some(entries) = entries {
            self.chunks[at] = Chunk::Here(entries);
            self.in_memory += 1;
            return Loaded::Whole;
        }
        self.len -= page.count as usize;
        self.remove(at);
        Loaded::Lost
    }

    /// The messages at the front that are in memory.
    pub(in crate::broker::queue) fn loaded(&self) -> impl Iterator<Item = &Stored> {
        let chunks = self.chunks.iter().map_while(|chunk| match chunk {
            Chunk::Here(entries) => Some(entries),
            Chunk::Paged(_) => None,
        });
        chunks.flatten().skip(self.taken)
    }

    /// The pages to be read for `len` messages at the front to be in memory.
    pub(in crate::broker::queue) fn missing(&self, len: usize) -> Vec<Page> {
        let mut loaded = 0;
        let mut missing = Vec::new();
        for chunk in &self.chunks {
            if loaded >= len + self.taken {
                break;
            }
            match chunk {
                Chunk::Here(entries) => loaded += entries.len(),
                Chunk::Paged(page) => {
                    loaded += page.count as usize;
                    missing.push(*page);
                }
            }
        }
        missing
    }

    /// Takes all apart: the places of the messages in memory, and the pages with the others.
    pub(in crate::broker::queue) fn take_apart(self, place_of: &mut dyn FnMut(Place)) -> Vec<Page> {
        let mut paged = Vec::new();
        let mut taken = self.taken;
        for chunk in self.chunks {
            match chunk {
                Chunk::Here(entries) => {
                    entries.iter().skip(taken).for_each(|stored| place_of(stored.place));
                }
                Chunk::Paged(page) => paged.push(page),
            }
            taken = 0;
        }
        paged
    }

    /// Puts these messages, in the order of positions, in between; answers pages that could not be read. They are taken
    /// out whatever the reason: this is for the start of a broker, and they wait again at the next.
    ///
    /// Cost: everything in front of the last of them is moved once, page by page.
    pub(in crate::broker::queue) fn merge(
        &mut self,
        moved: Vec<Stored>,
        pages: &Pages,
    ) -> Vec<Page> {
        let mut all = Self::default();
        let mut lost = Vec::new();
        for one in moved {
            while self.front().is_some_and(|first| first.position < one.position) {
                if let Err(error) = self.load_front(pages, &mut lost) {
                    lost.extend(self.give_up_front(pages, &error));
                }
                if self.front().is_some_and(|first| first.position < one.position)
                    && let Some(earlier) = self.pop_front()
                {
                    all.push_back(earlier, pages);
                }
            }
            all.push_back(one, pages);
        }
        all.append(std::mem::take(self), pages);
        *self = all;
        lost
    }

    /// Takes out the page at the front, unread.
    fn give_up_front(&mut self, pages: &Pages, error: &StoreError) -> Option<Page> {
        let &Chunk::Paged(page) = self.chunks.front()? else { return None };
        pages.log_unreadable(&page, Some(error));
        (self.load(&page, None, pages) == Loaded::Lost).then_some(page)
    }

    fn append(&mut self, mut rest: Self, pages: &Pages) {
        if let Some(Chunk::Here(entries)) = rest.chunks.front_mut() {
            entries.drain(..rest.taken);
        }
        self.chunks.append(&mut rest.chunks);
        self.len += rest.len;
        self.in_memory += rest.in_memory;
        self.page_out(pages);
    }
}

/// Sums over a list, for [`OnDisk::assert_whole`].
#[cfg(debug_assertions)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) bytes: u64,
    pub(super) with_deadline: usize,
}

#[cfg(debug_assertions)]
impl OnDisk {
    /// Asserts what is cheap to check.
    pub(super) fn assert_sound(&self) {
        assert_eq!(self.len == 0, self.chunks.is_empty(), "no chunk is empty");
        assert!(self.in_memory <= self.chunks.len());
        match self.chunks.front() {
            Some(Chunk::Here(entries)) => assert!(self.taken < entries.len()),
            Some(Chunk::Paged(_)) | None => assert_eq!(self.taken, 0),
        }
        assert!(!matches!(self.chunks.back(), Some(Chunk::Paged(_))), "the last is no page");
    }

    /// Asserts that the counts are right and that positions grow; answers the sums.
    ///
    /// Cost: all messages that are on no page are visited.
    pub(super) fn assert_whole(&self) -> Sums {
        let (mut sums, mut len, mut in_memory) = (Sums::default(), 0, 0);
        let (mut taken, mut last) = (self.taken, None);
        for chunk in &self.chunks {
            match chunk {
                Chunk::Here(entries) => {
                    in_memory += 1;
                    for stored in &entries[taken..] {
                        assert!(last.is_none_or(|last| last < stored.position));
                        last = Some(stored.position);
                        len += 1;
                        sums.bytes += u64::from(stored.body_len);
                        sums.with_deadline += usize::from(stored.has_deadline());
                    }
                }
                Chunk::Paged(page) => {
                    assert!(last.is_none_or(|last| last < page.position));
                    last = Some(page.position);
                    len += page.count as usize;
                    sums.bytes += page.bytes;
                    sums.with_deadline += page.with_deadline as usize;
                }
            }
            taken = 0;
        }
        assert_eq!((self.len, self.in_memory), (len, in_memory));
        sums
    }
}

/// The outcome of reading a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) enum Loaded {
    /// Its messages are in memory.
    Whole,
    /// It could not be read and is taken out.
    Lost,
    /// Another thread has read or dropped it meanwhile.
    Superseded,
}

#[cfg(test)]
impl OnDisk {
    /// Everything, read from pages where it is on one.
    pub(in crate::broker::queue) fn all(&self, pages: &Pages) -> Vec<Stored> {
        let chunks = self.chunks.iter().map(|chunk| match chunk {
            Chunk::Here(entries) => entries.clone(),
            Chunk::Paged(page) => pages.read(page).unwrap().unwrap(),
        });
        chunks.flatten().skip(self.taken).collect()
    }

    /// Has the page at the front looked for where it is not.
    pub(in crate::broker::queue) fn ruin_front(&mut self) {
        let Some(Chunk::Paged(page)) = self.chunks.front_mut() else { panic!("no page") };
        page.place.offset += 1;
    }

    pub(in crate::broker::queue) fn paged(&self) -> Vec<Page> {
        self.missing(usize::MAX - self.taken)
    }

    pub(in crate::broker::queue) fn len_in_memory(&self) -> usize {
        let here = self.chunks.iter().filter(|chunk| matches!(chunk, Chunk::Here(_)));
        assert_eq!(here.count(), self.in_memory);
        self.in_memory * CHUNK_LEN
    }
}
