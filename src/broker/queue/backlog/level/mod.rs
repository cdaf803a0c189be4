//! The messages of a queue that wait for a consumer, in order.
//!
//! Each has a position, given once when it is pushed; a message that comes back takes its old place again
//! (RabbitMQ: `rabbit_variable_queue:requeue`). They stand in three parts, one behind the other:
//!
//! - `in_memory`: entries, most with their messages. An entry that came back after its message was dropped has none.
//! - `on_disk`: messages that only the store has. They move to `in_memory` as they are read. No message leaves this part
//!   in any other way, so whatever comes back belongs to `in_memory`. Of a long list only the ends are in memory (`pages`).
//! - `overflow`: messages that could not be written to disk while others were `on_disk`. They follow `in_memory` when
//!   `on_disk` is empty.

mod recovery;
#[cfg(debug_assertions)]
mod sound;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::broker::delivery_count::{CountHeaders, DeliveryCount};
use crate::broker::entry::Entry;
use crate::broker::message::Message;
use crate::broker::queue::backlog::on_disk::{Loaded, OnDisk};
use crate::broker::queue::backlog::pages::{Page, Pages, may_pass};
use crate::broker::queue::backlog::purge::Purged;
use crate::broker::queue::backlog::read_ahead::{
    ReadRequest, ReadResult, UnfilledWindow, UnreadableMessage,
};
use crate::broker::queue::backlog::return_to::ReturnTo;
use crate::broker::queue::backlog::stored::{Stored, merge};
use crate::broker::time::Millis;
use crate::store::{Counts, Place, StoreError};

/// Messages that are read at once, so that small ones take little memory too.
const WINDOW_LEN: usize = if cfg!(test) { 32 } else { 4096 };

/// The first position for a message that was never delivered, in queues where messages that come back do not take their
/// old places; those have lower positions.
const FRESH_FROM: u64 = 1 << 62;

/// Entries an emptied queue keeps room for; a drained backlog gives its memory back.
const KEEP_CAPACITY: usize = 1024;

/// Waiting messages in the order of their positions.
#[derive(Debug, Default)]
pub(in crate::broker::queue) struct Level {
    in_memory: VecDeque<Entry>,
    on_disk: OnDisk,
    pages: Pages,
    overflow: VecDeque<Entry>,
    /// While the queue is recovered: messages that came after others that belong behind them.
    moved: Vec<Stored>,
    next_position: u64,
    /// The next position for a message that comes back and does not take its old place.
    next_returned: u64,
    bytes: u64,
    resident_bytes: u64,
    /// The number of entries of `in_memory` and `overflow` that are without their message.
    without_body: usize,
    /// The number of entries with a deadline; a queue without any never looks for expired ones.
    with_deadline: usize,
    /// The number of messages on pages that could not be read.
    lost: u64,
    /// The rule by which consumers are told how often a message came back.
    count_headers: CountHeaders,
    /// The number of the level, which all its messages have.
    number: u8,
    /// The return counts of messages `on_disk`, by position, unless their being delivered says as much.
    counts: Option<Box<FxHashMap<u64, Counts>>>,
}

impl Level {
    pub(in crate::broker::queue) fn new(pages: Pages) -> Self {
        Self { pages, ..Self::default() }
    }

    /// Sets the rule by which the returns of later messages are told.
    pub(in crate::broker::queue) fn show(&mut self, count_headers: CountHeaders) {
        self.count_headers = count_headers;
        if count_headers != CountHeaders::Never {
            self.next_position = FRESH_FROM;
        }
    }

    #[inline]
    pub(in crate::broker::queue) fn number(&self) -> u8 {
        self.number
    }

    /// Is another level from now on; only while there is nothing in it.
    pub(in crate::broker::queue) fn set_number(&mut self, number: u8) {
        debug_assert!(self.is_empty());
        self.number = number;
    }

    /// Another level of the same queue, with nothing in it.
    pub(in crate::broker::queue) fn beside(&self, number: u8) -> Self {
        let Self { count_headers, .. } = *self;
        Self { count_headers, number, ..Self::new(self.pages.clone()) }
    }

    /// Puts another level here, whose messages get the next positions; returns the level that was here.
    pub(in crate::broker::queue) fn replace_by(&mut self, other: Self) -> Self {
        let before = std::mem::replace(self, other);
        self.next_position = self.next_position.max(before.next_position);
        self.next_returned = self.next_returned.max(before.next_returned);
        self.lost += before.lost;
        Self { lost: 0, ..before }
    }

    pub(in crate::broker::queue) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Returns the number of waiting messages that cannot be found again before the next start.
    pub(in crate::broker::queue) fn lost(&self) -> u64 {
        self.lost
    }

    pub(in crate::broker::queue) fn len(&self) -> usize {
        self.in_memory.len() + self.on_disk.len() + self.overflow.len()
    }

    #[inline]
    pub(in crate::broker::queue) fn is_empty(&self) -> bool {
        // `overflow` is empty when `on_disk` is.
        self.in_memory.is_empty() && self.on_disk.is_empty()
    }

    /// Bytes of the waiting messages' bodies.
    pub(in crate::broker::queue) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that waiting messages take in memory.
    #[inline]
    pub(in crate::broker::queue) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// Answers whether messages wait in the store only, so that a new message must stand behind them.
    #[inline]
    pub(in crate::broker::queue) fn has_on_disk(&self) -> bool {
        !self.on_disk.is_empty()
    }

    /// Gives a new message the next position.
    #[inline]
    pub(in crate::broker::queue) fn place(
        &mut self,
        message: Message,
        place: Option<Place>,
        deadline: Millis,
    ) -> Entry {
        let position = self.next_position;
        self.next_position += 1;
        let body_len = u32::try_from(message.body().len()).unwrap_or(u32::MAX);
        Entry {
            message: Some(message),
            place,
            body_len,
            position,
            deadline,
            redelivered: false,
            delivery_count: DeliveryCount::new(self.count_headers, false),
            level: self.number,
        }
    }

    #[inline]
    fn count_in(&mut self, entry: &Entry) {
        self.bytes += u64::from(entry.body_len);
        self.resident_bytes += entry.resident_bytes();
        self.without_body += usize::from(entry.message.is_none());
        self.with_deadline += usize::from(entry.has_deadline());
    }

    #[inline]
    fn count_out(&mut self, entry: &Entry) {
        self.bytes -= u64::from(entry.body_len);
        self.resident_bytes -= entry.resident_bytes();
        self.without_body -= usize::from(entry.message.is_none());
        self.with_deadline -= usize::from(entry.has_deadline());
    }

    #[inline]
    pub(in crate::broker::queue) fn push_back(&mut self, entry: Entry) {
        self.count_in(&entry);
        if self.on_disk.is_empty() {
            self.in_memory.push_back(entry);
        } else {
            self.overflow.push_back(entry);
        }
    }

    /// Keeps only where the store has the message.
    pub(in crate::broker::queue) fn push_on_disk(&mut self, mut entry: Entry, place: Place) {
        if self.overflow.is_empty() {
            self.append_on_disk(Stored::new(&entry, place));
        } else {
            entry.place = Some(place);
            entry.forget_message();
            self.push_back(entry);
        }
    }

    fn append_on_disk(&mut self, stored: Stored) {
        self.bytes += u64::from(stored.body_len);
        self.with_deadline += usize::from(stored.has_deadline());
        self.on_disk.push_back(stored, &self.pages);
    }

    /// Takes the first one `on_disk`, unless it is on a page.
    fn pop_on_disk(&mut self) -> Option<Stored> {
        let stored = self.on_disk.pop_front()?;
        self.bytes -= u64::from(stored.body_len);
        self.with_deadline -= usize::from(stored.has_deadline());
        Some(stored)
    }

    /// Answers whether the first message is on a page: then its position and deadline are known as they were when the
    /// page was written.
    #[inline]
    pub(in crate::broker::queue) fn is_front_paged(&self) -> bool {
        self.in_memory.is_empty() && self.on_disk.is_front_paged()
    }

    #[inline]
    fn count_lost(&mut self, pages: &[Page]) {
        for page in pages {
            self.bytes -= page.bytes;
            self.with_deadline -= page.with_deadline as usize;
            self.lost += u64::from(page.count);
        }
    }

    /// The pages to be read before the next window is made.
    pub(in crate::broker::queue) fn missing_pages(&self) -> Vec<Page> {
        self.on_disk.missing(WINDOW_LEN)
    }

    /// Takes in a page, or takes it out when it could not be read.
    pub(in crate::broker::queue) fn load(&mut self, page: &Page, entries: Option<Vec<Stored>>) {
        if self.on_disk.load(page, entries, &self.pages) == Loaded::Lost {
            self.count_lost(&[*page]);
        }
        self.close_up();
    }

    /// Lets `overflow` follow `in_memory` when nothing stands in between.
    fn close_up(&mut self) {
        if !self.on_disk.is_empty() {
            return;
        }
        // All that is left is of those that were damaged.
        self.counts = None;
        if !self.overflow.is_empty() {
            self.in_memory.append(&mut self.overflow);
            self.overflow = VecDeque::new();
        }
    }

    #[inline]
    fn pop_in_memory(&mut self) -> Option<Entry> {
        let entry = self.in_memory.pop_front()?;
        self.count_out(&entry);
        if self.in_memory.is_empty() && self.in_memory.capacity() > KEEP_CAPACITY {
            self.in_memory = VecDeque::new();
        }
        Some(entry)
    }

    /// Takes the first message, unless it must be read before.
    #[inline]
    pub(in crate::broker::queue) fn pop_resident(&mut self) -> Option<Entry> {
        self.in_memory.front()?.message.as_ref()?;
        self.pop_in_memory()
    }

    /// Takes the first entry, with its message or without; none while it is on a page ([`Self::load`]).
    pub(in crate::broker::queue) fn pop_front(&mut self) -> Option<Entry> {
        if let Some(entry) = self.pop_in_memory() {
            return Some(entry);
        }
        let stored = self.pop_on_disk()?;
        let entry = self.entry_of(stored, None);
        self.close_up();
        Some(entry)
    }

    fn entry_of(&mut self, stored: Stored, message: Option<Message>) -> Entry {
        let mut entry =
            Entry { level: self.number, ..stored.into_entry(message, self.count_headers) };
        if let Some(counts) = self.counts.as_deref_mut().and_then(|all| all.remove(&entry.position))
        {
            entry.delivery_count = DeliveryCount::counted(self.count_headers, counts);
        }
        entry
    }

    /// Answers whether the first message has expired by `now`; of one on a page that is known as it was when it was
    /// written.
    pub(in crate::broker::queue) fn has_expired(&self, now: Millis) -> bool {
        self.front_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Answers whether the first message must be read before it can be delivered.
    #[inline]
    pub(in crate::broker::queue) fn is_front_missing(&self) -> bool {
        match self.in_memory.front() {
            Some(first) => first.message.is_none(),
            None => !self.on_disk.is_empty(),
        }
    }

    /// Answers whether any message is in the store only.
    #[inline]
    pub(in crate::broker::queue) fn is_missing_any(&self) -> bool {
        self.without_body > 0 || !self.on_disk.is_empty()
    }

    /// Returns the time at which the first message expires; `Millis::MAX` for never.
    pub(in crate::broker::queue) fn front_deadline(&self) -> Option<Millis> {
        let in_memory = self.in_memory.front().map(|entry| entry.deadline);
        in_memory.or_else(|| self.on_disk.front().map(|first| first.deadline))
    }

    /// Answers whether any waiting message can expire.
    #[inline]
    pub(in crate::broker::queue) fn has_deadlines(&self) -> bool {
        self.with_deadline > 0
    }

    /// Puts messages back into their old places; `returned` must be in the order of positions.
    ///
    /// Cost: as many moves as there are waiting messages in front of the last returned one, usually none.
    pub(in crate::broker::queue) fn put_back(&mut self, returned: Vec<Entry>) {
        let Some(last) = returned.last().map(|entry| entry.position) else { return };
        debug_assert!(self.on_disk.front().is_none_or(|first| last < first.position));
        let mut earlier = Vec::new();
        while self.in_memory.front().is_some_and(|entry| entry.position < last) {
            earlier.extend(self.pop_in_memory());
        }
        let mut merged = merge(earlier, returned);
        while let Some(entry) = merged.pop() {
            self.count_in(&entry);
            self.in_memory.push_front(entry);
        }
    }

    /// Puts messages back into their old places, or behind others in the order in which they come.
    ///
    /// Cost: a binary search for each, and moves within what is in memory.
    pub(in crate::broker::queue) fn put_back_to(&mut self, returned: Vec<Entry>, to: ReturnTo) {
        let is_last = match to {
            ReturnTo::OldPosition => return self.put_back(returned),
            ReturnTo::BehindReturned => false,
            ReturnTo::Back => true,
        };
        for mut entry in returned {
            let next = if is_last { &mut self.next_position } else { &mut self.next_returned };
            entry.position = *next;
            *next += 1;
            if is_last {
                self.push_back(entry);
            } else {
                let at = self.in_memory.partition_point(|one| one.position < entry.position);
                self.count_in(&entry);
                self.in_memory.insert(at, entry);
            }
        }
    }

    /// Returns the messages to read next: those missing at the front, of about `bytes_max` bytes, at least one when any
    /// is missing and not on a page ([`Self::missing_pages`]).
    pub(in crate::broker::queue) fn window(&self, bytes_max: u64) -> Vec<ReadRequest> {
        let without_body = self.in_memory.iter().filter(|entry| entry.message.is_none());
        let without_body = without_body.filter_map(|entry| {
            let wanted = ReadRequest { position: entry.position, place: entry.place? };
            Some((wanted, entry.body_len))
        });
        let on_disk = self.on_disk.loaded().map(|stored| {
            let wanted = ReadRequest { position: stored.position, place: stored.place };
            (wanted, stored.body_len)
        });
        let mut bytes = 0;
        // Stops looking for holes when all have been found.
        let missing = without_body.take(self.without_body).chain(on_disk).take(WINDOW_LEN);
        let fits = missing.take_while(|(_, body_len)| {
            let is_begun = bytes < bytes_max;
            bytes += u64::from(*body_len);
            is_begun
        });
        fits.map(|(wanted, _)| wanted).collect()
    }

    /// Takes in messages that were read for a window, in its order. A damaged message is taken out; one that only could
    /// not be read now stays in its place.
    ///
    /// Messages that were taken or dropped since the window was made are passed over: no position is given twice.
    pub(in crate::broker::queue) fn fill(&mut self, found: Vec<ReadResult>) -> UnfilledWindow {
        let UnfilledWindow { mut lost, mut put_off } = UnfilledWindow::default();
        for ReadResult { position, read } in found {
            let read = match read {
                Err(error) if may_pass(&error) => {
                    put_off.get_or_insert(error);
                    continue;
                }
                read => read,
            };
            if self.on_disk.front().is_some_and(|first| first.position == position) {
                let Some(stored) = self.pop_on_disk() else { continue };
                match read {
                    Ok(message) => {
                        let entry = self.entry_of(stored, Some(message));
                        self.count_in(&entry);
                        self.in_memory.push_back(entry);
                    }
                    Err(error) => lost.push(UnreadableMessage { place: stored.place, error }),
                }
            } else if let Ok(at) =
                self.in_memory.binary_search_by_key(&position, |one| one.position)
            {
                lost.extend(self.fill_body(at, read));
            }
        }
        self.close_up();
        // A settled one is gone as it should be.
        lost.retain(|lost| !matches!(lost.error, StoreError::Settled));
        UnfilledWindow { lost, put_off }
    }

    /// Gives the entry at `at` its message back, or takes it out when there is none.
    fn fill_body(
        &mut self,
        at: usize,
        read: Result<Message, StoreError>,
    ) -> Option<UnreadableMessage> {
        let mut entry = self.in_memory.get(at).filter(|entry| entry.message.is_none()).cloned()?;
        self.count_out(&entry);
        match read {
            Ok(message) => {
                entry.message = Some(message);
                self.count_in(&entry);
                self.in_memory[at] = entry;
                None
            }
            Err(error) => {
                self.in_memory.remove(at);
                entry.place.map(|place| UnreadableMessage { place, error })
            }
        }
    }

    /// Takes everything out.
    ///
    /// Cost: none for each of them.
    pub(in crate::broker::queue) fn purge(&mut self) -> Purged {
        let Self { next_position, next_returned, lost, count_headers, number, .. } = *self;
        let kept =
            Self { next_position, next_returned, lost, count_headers, number, ..Self::default() };
        let empty = Self { pages: self.pages.clone(), ..kept };
        let Self { in_memory, on_disk, overflow, .. } = std::mem::replace(self, empty);
        Purged { in_memory, on_disk, overflow, ..Purged::default() }
    }
}

#[cfg(test)]
impl Level {
    pub(in crate::broker::queue) fn last_page(&self) -> Page {
        *self.on_disk.paged().last().unwrap()
    }
}

#[cfg(test)]
mod tests;
