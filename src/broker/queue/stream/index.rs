//! The index of a stream: the places of its messages in the store, by their offsets.
//!
//! The places are in chunks, of which only the last few are in memory: the others are written away as pages, so that
//! ten million messages take less than a megabyte. Segments are runs of whole chunks; retention deletes whole segments.
//!
//! Reading order: [`Index::push`], [`Index::at`] (reading), [`Index::retire`], [`Index::recover`] and
//! [`Index::merge_late`].

use std::collections::VecDeque;
use std::num::NonZeroU32;

use crate::broker::queue::backlog::pages::{Page, Pages};
use crate::broker::queue::backlog::stored::Stored;
use crate::store::{Place, StoreError};

/// Messages of a chunk, 32 bytes each: a page that is worth its read, and soon read through.
const CHUNK_LEN: usize = if cfg!(test) { 8 } else { 1024 };

/// Chunks at the end that stay in memory: 256 KiB, so that short streams are never written away.
const CHUNKS_IN_MEMORY: usize = 8;

/// Bytes counted for a message beside its body, for segments: about the size of its properties and headers.
const MESSAGE_OVERHEAD_BYTES: u64 = 64;

/// Bytes of a segment unless a stream is told otherwise (RabbitMQ: `osiris_log`).
pub(super) const SEGMENT_BYTES: u64 = 500_000_000;

/// Neighbouring messages of one segment.
#[derive(Debug)]
struct IndexChunk {
    /// The offset of its first message.
    first: u64,
    /// The time at which that was published, in milliseconds since 1970.
    at: u64,
    places: Places,
}

/// The places of a chunk.
#[derive(Debug)]
pub(in crate::broker::queue) enum Places {
    Here(Vec<Stored>),
    Paged(Page),
}

impl Places {
    /// The store's sequence of the first message.
    fn first_sequence(&self) -> u64 {
        match self {
            Self::Here(places) => places.first().map_or(0, |stored| stored.position),
            Self::Paged(page) => page.position,
        }
    }
}

/// The place of a message that only memory has.
pub(super) const NOWHERE: Place = Place { file: NonZeroU32::MAX, slot: 0, offset: 0 };

/// The places of the messages that the store has.
pub(in crate::broker::queue) fn kept_places(stored: &[Stored]) -> impl Iterator<Item = Place> {
    stored.iter().map(|stored| stored.place).filter(|place| *place != NOWHERE)
}

/// A run of messages that is deleted as a whole.
#[derive(Clone, Copy, Debug)]
struct Segment {
    first: u64,
    bytes: u64,
    /// The time at which its last message was published.
    last_at: u64,
    /// The next message begins another one.
    is_closed: bool,
}

/// The limits on what is kept of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::broker::queue) struct Retention {
    pub(in crate::broker::queue) max_bytes: Option<u64>,
    /// Segments whose last message is older than this may go, in milliseconds since 1970.
    pub(in crate::broker::queue) not_before: Option<u64>,
}

/// The places of messages from an offset on.
#[derive(Debug)]
pub(super) enum Located {
    /// Places of consecutive messages, the first one having that offset.
    Here(u64, Vec<Stored>),
    /// They are on this page, whose first message has that offset.
    Paged(u64, Page),
}

/// All messages of a stream.
#[derive(Debug)]
pub(super) struct Index {
    chunks: VecDeque<IndexChunk>,
    segments: VecDeque<Segment>,
    /// Offsets of the first message and of the next one to come.
    first: u64,
    next: u64,
    body_bytes: u64,
    /// The number of chunks at the front that are pages, or were refused as such.
    paged_to: usize,
    pages: Pages,
    /// While it is recovered: messages that came after others that belong behind them.
    late: Vec<Stored>,
}

impl Index {
    pub(super) fn new(pages: Pages) -> Self {
        Self {
            chunks: VecDeque::new(),
            segments: VecDeque::new(),
            first: 0,
            next: 0,
            body_bytes: 0,
            paged_to: 0,
            pages,
            late: Vec::new(),
        }
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The offset of the first message, which is that of the next one when there is none.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number of its segments.
    pub(super) fn segments_len(&self) -> usize {
        self.segments.len()
    }

    /// The time at which the first message was published, in milliseconds since 1970, as far as chunks tell it.
    pub(super) fn first_at(&self) -> u64 {
        self.chunks.front().map_or(0, |chunk| chunk.at)
    }

    /// The offset that the next message gets.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn len(&self) -> u64 {
        self.next - self.first
    }

    /// Bytes of the messages' bodies, as far as they are known.
    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Appends a message; answers whether its segment is closed by it.
    pub(super) fn push(&mut self, stored: Stored, segment_max_bytes: u64) -> bool {
        let at = stored.deadline();
        let bytes = u64::from(stored.body_len) + MESSAGE_OVERHEAD_BYTES;
        let begins = self.segments.back().is_none_or(|segment| segment.is_closed);
        if begins {
            let segment = Segment { first: self.next, bytes: 0, last_at: at, is_closed: false };
            self.segments.push_back(segment);
        }
        match self.chunks.back_mut() {
            Some(IndexChunk { places: Places::Here(places), .. })
                if !begins && places.len() < CHUNK_LEN =>
            {
                places.push(stored);
            }
            Some(_) | None => {
                let places = Places::Here(vec![stored]);
                self.chunks.push_back(IndexChunk { first: self.next, at, places });
                self.page_out();
            }
        }
        self.next += 1;
        self.body_bytes += u64::from(stored.body_len);
        let Some(segment) = self.segments.back_mut() else { return false };
        segment.bytes += bytes;
        segment.last_at = at;
        segment.is_closed = segment.bytes >= segment_max_bytes;
        segment.is_closed
    }

    /// Writes chunks away while too many are in memory; a chunk that the disk refuses stays in memory.
    fn page_out(&mut self) {
        while self.paged_to + CHUNKS_IN_MEMORY < self.chunks.len() {
            let chunk = &mut self.chunks[self.paged_to];
            if let Places::Here(places) = &chunk.places {
                let Some(page) = self.pages.write(places) else { return };
                chunk.places = Places::Paged(page);
            }
            self.paged_to += 1;
        }
    }

    /// The chunk that has this offset.
    fn chunk_of(&self, offset: u64) -> Option<&IndexChunk> {
        if !(self.first..self.next).contains(&offset) {
            return None;
        }
        let behind = self.chunks.partition_point(|chunk| chunk.first <= offset);
        self.chunks.get(behind.checked_sub(1)?)
    }

    /// Returns the place of the message with this offset, or of the first behind it, and of some that follow; `None`
    /// when there is none.
    pub(super) fn at(&self, offset: u64) -> Option<Located> {
        let offset = offset.max(self.first);
        let chunk = self.chunk_of(offset)?;
        Some(match &chunk.places {
            Places::Paged(page) => Located::Paged(chunk.first, *page),
            Places::Here(places) => {
                let skipped = usize::try_from(offset - chunk.first).unwrap_or(places.len());
                Located::Here(offset, places.iter().skip(skipped).copied().collect())
            }
        })
    }

    /// Returns the offset before which everything was published before `at`, in milliseconds since 1970: messages
    /// behind it may have been published before as well, up to the end of its chunk.
    pub(super) fn before(&self, at: u64) -> u64 {
        let behind = self.chunks.partition_point(|chunk| chunk.at < at);
        let chunk = behind.checked_sub(1).and_then(|last| self.chunks.get(last));
        chunk.map_or(self.first, |chunk| chunk.first)
    }

    /// Returns the time at which the oldest segment that may go will have reached this age, in milliseconds since 1970.
    pub(super) fn reaches_age_at(&self, age_ms: u64) -> Option<u64> {
        let oldest = self.segments.front().filter(|segment| segment.is_closed)?;
        Some(oldest.last_at.saturating_add(age_ms))
    }

    /// Answers whether there is anything to [`Self::retire`].
    pub(super) fn is_exceeding(&self, retention: Retention) -> bool {
        self.excess(retention) > 0
    }

    /// Returns the number of segments at the front that are not kept. The one that is written to always is kept
    /// (RabbitMQ: `osiris_log:evaluate_retention`).
    fn excess(&self, retention: Retention) -> usize {
        let closed = self.segments.iter().take_while(|segment| segment.is_closed).count();
        let too_old = retention.not_before.map_or(0, |at| {
            self.segments.iter().take(closed).take_while(|segment| segment.last_at < at).count()
        });
        let too_many = retention.max_bytes.map_or(0, |max_bytes| {
            let mut kept_bytes = 0;
            let fits = |segment: &&Segment| {
                kept_bytes += segment.bytes;
                kept_bytes <= max_bytes
            };
            let kept = self.segments.iter().rev().take_while(fits).count();
            closed.min(self.segments.len() - kept)
        });
        too_old.max(too_many)
    }

    /// The offset of the first message that is to be kept.
    pub(super) fn first_after(&self, retention: Retention) -> u64 {
        match self.excess(retention) {
            0 => self.first,
            excess => self.segments.get(excess).map_or(self.next, |segment| segment.first),
        }
    }

    /// Takes out the segments that are not to be kept.
    pub(super) fn retire(&mut self, retention: Retention) -> Vec<Places> {
        let first = self.first_after(retention);
        self.segments.drain(..self.excess(retention));
        self.drop_before(first)
    }

    /// Takes out whole chunks.
    fn drop_before(&mut self, first: u64) -> Vec<Places> {
        let gone = self.chunks.partition_point(|chunk| chunk.first < first);
        self.paged_to = self.paged_to.saturating_sub(gone);
        self.first = self.first.max(first);
        let gone: Vec<Places> = self.chunks.drain(..gone).map(|chunk| chunk.places).collect();
        self.body_bytes -= gone.iter().map(body_bytes).sum::<u64>().min(self.body_bytes);
        gone
    }

    /// Takes everything out.
    pub(super) fn take_all(&mut self) -> Vec<Places> {
        self.segments.clear();
        self.drop_before(self.next)
    }

    /// Appends a message found in the store; one that belongs further to the front is put there in the end. Its
    /// position is the store's sequence.
    pub(super) fn recover(&mut self, stored: Stored, segment_max_bytes: u64) {
        let last = self.chunks.back().and_then(|chunk| match &chunk.places {
            Places::Here(places) => places.last().map(|last| last.position),
            Places::Paged(_) => None,
        });
        if last.is_some_and(|last| stored.position < last) {
            self.late.push(stored);
        } else {
            self.push(stored, segment_max_bytes);
        }
    }

    /// Ends the recovery that [`Self::recover`] began: all are in order.
    ///
    /// # Errors
    ///
    /// A page could not be read.
    pub(super) fn merge_late(&mut self, segment_max_bytes: u64) -> Result<(), StoreError> {
        if self.late.is_empty() {
            return Ok(());
        }
        let mut late = std::mem::take(&mut self.late);
        late.sort_unstable_by_key(|stored| stored.position);
        let mut late = late.into_iter().peekable();
        let mut all = Self::new(self.pages.clone());
        for chunk in std::mem::take(&mut self.chunks) {
            for stored in self.load(chunk.places)? {
                while let Some(earlier) = late.next_if(|late| late.position < stored.position) {
                    all.push(earlier, segment_max_bytes);
                }
                all.push(stored, segment_max_bytes);
            }
        }
        for stored in late {
            all.push(stored, segment_max_bytes);
        }
        *self = all;
        Ok(())
    }

    /// The places of a chunk that was taken out.
    fn load(&self, places: Places) -> Result<Vec<Stored>, StoreError> {
        match places {
            Places::Here(places) => Ok(places),
            Places::Paged(page) => {
                let places = self.pages.read(&page)?;
                self.pages.settle(&page);
                places.ok_or(StoreError::Settled)
            }
        }
    }

    /// Returns the number of messages that were given to the store before the one with its sequence `sequence`.
    pub(super) fn count_before(&self, sequence: u64) -> Result<u64, StoreError> {
        let behind = self.chunks.partition_point(|chunk| chunk.places.first_sequence() < sequence);
        let Some(chunk) = behind.checked_sub(1).and_then(|last| self.chunks.get(last)) else {
            return Ok(0);
        };
        let before =
            |places: &[Stored]| places.partition_point(|stored| stored.position < sequence) as u64;
        let within = match &chunk.places {
            Places::Here(places) => before(places),
            Places::Paged(page) => before(&self.pages.read(page)?.ok_or(StoreError::Settled)?),
        };
        Ok(chunk.first - self.first + within)
    }

    /// Gives the first message another offset, and so all others.
    pub(super) fn begin_at(&mut self, first: u64) {
        let shift = first.wrapping_sub(self.first);
        for chunk in &mut self.chunks {
            chunk.first = chunk.first.wrapping_add(shift);
        }
        for segment in &mut self.segments {
            segment.first = segment.first.wrapping_add(shift);
        }
        self.first = first;
        self.next = self.next.wrapping_add(shift);
    }

    /// Takes out everything before an offset, which need not begin a segment or a chunk.
    ///
    /// # Errors
    ///
    /// A page could not be read.
    pub(super) fn cut_before(&mut self, first: u64) -> Result<Vec<Places>, StoreError> {
        let behind = self.segments.partition_point(|segment| segment.first <= first);
        self.segments.drain(..behind.saturating_sub(1));
        if let Some(segment) = self.segments.front_mut() {
            segment.first = segment.first.max(first);
        }
        let whole = self.chunks.partition_point(|chunk| chunk.first <= first);
        let is_all = first >= self.next;
        let last = whole.checked_sub(1).and_then(|last| self.chunks.get(last));
        let split = last.map(|chunk| chunk.first).filter(|begin| !is_all && *begin < first);
        let Some(begin) = split else { return Ok(self.drop_before(first)) };
        let mut gone = self.drop_before(begin);
        let Some(IndexChunk { places, .. }) = self.chunks.pop_front() else { return Ok(gone) };
        self.paged_to = self.paged_to.saturating_sub(1);
        let mut before = self.load(places)?;
        let kept = before.split_off(usize::try_from(first - begin).unwrap_or(0).min(before.len()));
        let at = kept.first().map_or(0, Stored::deadline);
        self.chunks.push_front(IndexChunk { first, at, places: Places::Here(kept) });
        self.first = first;
        gone.push(Places::Here(before));
        Ok(gone)
    }
}

fn body_bytes(places: &Places) -> u64 {
    match places {
        Places::Here(places) => places.iter().map(|stored| u64::from(stored.body_len)).sum(),
        Places::Paged(page) => page.bytes,
    }
}
