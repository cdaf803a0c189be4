//! The messages of a queue that wait for a consumer.
//!
//! [`Backlog`] owns them: their order, and the counts and bytes of them. Of a queue that deals by priority it holds one
//! list for each priority that has messages (`priorities`). Every list is a [`Level`], which keeps its
//! front in memory and of the other messages only their places in the store (`on_disk`, `pages`).
//!
//! Nothing here reads or writes a message: the caller reads what [`Backlog::window`] names, under no lock, and gives it
//! to [`Backlog::take_in`] (`read_ahead`). When the store cannot read now, reading waits for a second (`read_retry`).
//!
//! Reading order: [`Backlog::place`] and [`Backlog::push_back`] (a publish), [`Backlog::pop_resident`] (a delivery),
//! [`Backlog::put_back`] (a message comes back), [`Backlog::purge`].

pub(in crate::broker::queue) mod level;
mod on_disk;
pub(in crate::broker::queue) mod pages;
pub(in crate::broker::queue) mod priorities;
pub(in crate::broker::queue) mod purge;
pub(in crate::broker::queue) mod read_ahead;
pub(in crate::broker::queue) mod read_retry;
pub(in crate::broker::queue) mod return_to;
pub(in crate::broker::queue) mod stored;

use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

use self::level::Level;
use self::pages::{Page, Pages};
use self::priorities::{Priorities, PriorityRule, RETURNED};
use self::purge::Purged;
use self::read_ahead::{ReadAhead, ReadRequest, ReadResult, UnfilledWindow};
use self::read_retry::ReadRetry;
use self::return_to::ReturnTo;
use self::stored::Stored;
use crate::broker::delivery_count::{CountHeaders, DeliveryCount};
use crate::broker::entry::Entry;
use crate::broker::message::Message;
use crate::broker::time::Millis;
use crate::store::{Place, StoreError, Waiting};

/// Waiting messages in the order in which they are delivered.
#[derive(Debug, Default)]
pub(in crate::broker::queue) struct Backlog {
    /// The level that messages are dealt from: the highest that has any.
    current: Level,
    /// The other levels, of a queue that deals by priority.
    priorities: Option<Box<Priorities>>,
    read_ahead: ReadAhead,
    read_retry: ReadRetry,
    /// The store is giving messages back, of any level.
    is_recovering: bool,
}

impl Backlog {
    pub(in crate::broker::queue) fn new(pages: Pages) -> Self {
        Self { current: Level::new(pages), ..Self::default() }
    }

    /// Has messages dealt by `rule`, and how often each came back shown as `count_headers` says. Only while it is
    /// empty.
    pub(in crate::broker::queue) fn follow(
        &mut self,
        count_headers: CountHeaders,
        rule: Option<PriorityRule>,
    ) {
        debug_assert_eq!(self.len(), 0, "rules are chosen before the first message");
        self.current.show(count_headers);
        self.priorities = rule.map(|rule| Box::new(Priorities::new(rule)));
    }

    /// Answers if messages are dealt by priority.
    #[inline]
    pub(in crate::broker::queue) fn has_priorities(&self) -> bool {
        self.priorities.is_some()
    }

    /// Counts the messages of all levels.
    #[inline]
    pub(in crate::broker::queue) fn len(&self) -> usize {
        self.current.len() + self.priorities.as_deref().map_or(0, Priorities::len)
    }

    /// Answers if no message waits: the highest level has none.
    #[inline]
    pub(in crate::broker::queue) fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// Sums the bytes of their bodies.
    #[inline]
    pub(in crate::broker::queue) fn bytes(&self) -> u64 {
        self.current.bytes() + self.priorities.as_deref().map_or(0, Priorities::bytes)
    }

    /// Sums the bytes that they take in memory.
    #[inline]
    pub(in crate::broker::queue) fn resident_bytes(&self) -> u64 {
        self.current.resident_bytes()
            + self.priorities.as_deref().map_or(0, Priorities::resident_bytes)
    }

    /// Counts the messages that cannot be found again before the next start.
    pub(in crate::broker::queue) fn lost(&self) -> u64 {
        self.current.lost()
    }

    pub(in crate::broker::queue) fn pages(&self) -> &Pages {
        self.current.pages()
    }

    /// Selects the level of messages that carry this priority, if the queue deals by priority.
    #[inline]
    pub(in crate::broker::queue) fn select_priority(&mut self, said: impl FnOnce() -> Option<u8>) {
        if let Some(priorities) = &self.priorities {
            self.select(priorities.level(said()));
        }
    }

    /// Works on this level until [`Self::select_highest`].
    fn select(&mut self, level: u8) {
        let Some(priorities) = &mut self.priorities else { return };
        if self.current.number() == level {
            return;
        }
        let wanted = match priorities.take(level) {
            Some(line) => line,
            None if self.current.is_empty() => return self.current.set_number(level),
            None => self.current.beside(level),
        };
        priorities.keep(self.current.replace_by(wanted));
    }

    /// Works on the level that messages are dealt from.
    #[inline]
    pub(in crate::broker::queue) fn select_highest(&mut self) {
        if let Some(priorities) = &self.priorities
            && let Some(level) = priorities.better_than(&self.current)
        {
            self.select(level);
        }
    }

    /// Gives a new message the next position of the selected level.
    #[inline]
    pub(in crate::broker::queue) fn place(
        &mut self,
        message: Message,
        place: Option<Place>,
        deadline: Millis,
    ) -> Entry {
        self.current.place(message, place, deadline)
    }

    /// Appends a message to the selected level.
    #[inline]
    pub(in crate::broker::queue) fn push_back(&mut self, entry: Entry) {
        self.current.push_back(entry);
    }

    /// Appends a message to the selected level, of which it keeps only the place.
    pub(in crate::broker::queue) fn push_on_disk(&mut self, entry: Entry, place: Place) {
        self.current.push_on_disk(entry, place);
    }

    /// Answers if messages of the selected level are in the store only, so that a new one must stand behind them.
    #[inline]
    pub(in crate::broker::queue) fn has_on_disk(&self) -> bool {
        self.current.has_on_disk()
    }

    /// Takes the first message if it is in memory; [`Self::select_highest`] follows the last.
    #[inline]
    pub(in crate::broker::queue) fn pop_resident(&mut self) -> Option<Entry> {
        self.current.pop_resident()
    }

    /// Takes the first entry, with its message or without; none while it is on a page.
    pub(in crate::broker::queue) fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.current.pop_front();
        self.select_highest();
        entry
    }

    /// Takes messages back. They must be in the order of their positions, or for [`ReturnTo::BehindReturned`] and
    /// [`ReturnTo::Back`] in the order in which they are to be delivered.
    pub(in crate::broker::queue) fn put_back(&mut self, mut entries: Vec<Entry>, to: ReturnTo) {
        if self.priorities.is_none() {
            return self.current.put_back_to(entries, to);
        }
        if to == ReturnTo::BehindReturned {
            for entry in &mut entries {
                entry.level = RETURNED;
            }
            self.select(RETURNED);
            self.current.put_back_to(entries, ReturnTo::Back);
            return self.select_highest();
        }
        // Stable: within each level the order stays.
        entries.sort_by_key(|entry| entry.level);
        for of_level in entries.chunk_by(|one, other| one.level == other.level) {
            self.select(of_level[0].level);
            self.current.put_back_to(of_level.to_vec(), to);
        }
        self.select_highest();
    }

    /// Takes every message out.
    pub(in crate::broker::queue) fn purge(&mut self) -> Purged {
        let mut purged = self.current.purge();
        if let Some(priorities) = &mut self.priorities {
            purged.others = priorities.purge();
        }
        purged
    }
}

/// Deadlines.
impl Backlog {
    /// Answers if a message of the selected level can expire.
    #[inline]
    pub(in crate::broker::queue) fn has_deadlines(&self) -> bool {
        self.current.has_deadlines()
    }

    /// Answers if the first message has expired by `now`; for one on a page, as it was when the page was written.
    pub(in crate::broker::queue) fn has_expired(&self, now: Millis) -> bool {
        self.current.has_expired(now)
    }

    /// Returns the time at which the first message expires; `Millis::MAX` for never.
    pub(in crate::broker::queue) fn front_deadline(&self) -> Option<Millis> {
        self.current.front_deadline()
    }

    /// Returns the time at which a message expires next, if the queue can drop it then.
    pub(in crate::broker::queue) fn next_expiry(&self) -> Option<Millis> {
        let is_put_off = self.read_retry.at().is_some() && self.is_front_paged();
        let waits = is_put_off || self.is_front_being_read();
        self.front_deadline().filter(|&at| at != Millis::MAX && !waits)
    }
}

/// Reading of messages that are not in memory.
impl Backlog {
    /// Answers if the first message must be read before it can be delivered.
    #[inline]
    pub(in crate::broker::queue) fn is_front_missing(&self) -> bool {
        self.current.is_front_missing()
    }

    /// Answers if any message of the selected level is in the store only.
    #[inline]
    pub(in crate::broker::queue) fn is_missing_any(&self) -> bool {
        self.current.is_missing_any()
    }

    /// Answers if the first message is on a page: its deadline is known as it was when the page was written.
    #[inline]
    pub(in crate::broker::queue) fn is_front_paged(&self) -> bool {
        self.current.is_front_paged()
    }

    /// Answers if the first message is on a page that is being read.
    pub(in crate::broker::queue) fn is_front_being_read(&self) -> bool {
        self.read_ahead.is_reading() && self.is_front_paged()
    }

    /// Answers if the first message is on a page that could not be read a moment ago.
    #[inline]
    pub(in crate::broker::queue) fn is_front_put_off(&self, now: Millis) -> bool {
        self.is_put_off(now) && self.is_front_paged()
    }

    /// Answers if it is too early to read again.
    #[inline]
    pub(in crate::broker::queue) fn is_put_off(&self, now: Millis) -> bool {
        self.read_retry.is_put_off(now)
    }

    /// Begins to read, unless that is under way or has just failed. If it answers true, the caller has it read.
    #[must_use = "the caller has it read"]
    pub(in crate::broker::queue) fn begin_reading(&mut self, now: Millis) -> bool {
        !self.is_put_off(now) && self.read_ahead.begin()
    }

    /// Answers if so little is in memory that more should be read before consumers ask for it.
    pub(in crate::broker::queue) fn is_short_ahead(&self) -> bool {
        self.read_ahead.is_short(self.current.resident_bytes())
    }

    /// Wakes `reader` when the first message has been read.
    pub(in crate::broker::queue) fn wake_when_read(&mut self, reader: &Waker) {
        self.read_ahead.wake_when_read(reader);
    }

    /// Takes those that wait for the first message to be read.
    #[must_use = "they wait"]
    pub(in crate::broker::queue) fn take_readers(&mut self) -> Vec<Waker> {
        self.read_ahead.take_readers()
    }

    /// Names the pages to be read before the next window is made, and their level.
    pub(in crate::broker::queue) fn missing_pages(&self) -> (Vec<Page>, u8) {
        (self.current.missing_pages(), self.current.number())
    }

    /// Takes in a page of this level, or takes it out if it could not be read.
    pub(in crate::broker::queue) fn load(
        &mut self,
        level: u8,
        page: &Page,
        entries: Option<Vec<Stored>>,
    ) {
        self.select(level);
        self.current.load(page, entries);
        self.select_highest();
    }

    /// Names the messages to be read next, and their level. With `is_frugal` memory is short. None are named if no
    /// consumer waits: then only pages were to be read, for what expires or is too much.
    pub(in crate::broker::queue) fn window(
        &mut self,
        is_frugal: bool,
        has_consumers: bool,
    ) -> (Vec<ReadRequest>, u8) {
        let bytes_max = self.read_ahead.window_bytes(is_frugal, has_consumers);
        (self.current.window(bytes_max), self.current.number())
    }

    /// Takes in messages that were read for a window of this level, and ends the reading.
    pub(in crate::broker::queue) fn take_in(
        &mut self,
        level: u8,
        found: Vec<ReadResult>,
    ) -> UnfilledWindow {
        self.read_ahead.end();
        self.select(level);
        let filled = self.current.fill(found);
        self.select_highest();
        filled
    }

    /// Has the last read tried again at `now` plus a second. Logs the first failure of a row. The caller sets the
    /// timer.
    pub(in crate::broker::queue) fn put_off(&mut self, error: &StoreError, now: Millis) {
        if self.read_retry.put_off(now) {
            self.pages().log_put_off(error);
        }
    }

    /// Says that reading works again.
    pub(in crate::broker::queue) fn has_read(&mut self) {
        self.read_retry.has_read();
    }

    /// Has reading tried again later, because a bug has ended it.
    pub(in crate::broker::queue) fn stop_reading(&mut self, now: Millis) {
        self.read_ahead.end();
        self.read_retry.put_off_silently(now);
    }

    /// Returns the time at which reading is tried again.
    pub(in crate::broker::queue) fn reads_again_at(&self) -> Option<Millis> {
        self.read_retry.at()
    }

    /// Answers if it is time to try again, and ends the wait then.
    pub(in crate::broker::queue) fn take_due(&mut self, now: Millis) -> bool {
        self.read_retry.take_due(now)
    }

    /// Keeps purged pages that could not be read, until [`Self::take_purged_pages`]; `queue` exists until then.
    pub(in crate::broker::queue) fn keep_purged_pages(
        &mut self,
        pages: Vec<Page>,
        queue: Option<Arc<dyn Any + Send + Sync>>,
    ) {
        self.read_retry.keep_purged(pages, queue);
    }

    /// Takes the purged pages that could not be read.
    pub(in crate::broker::queue) fn take_purged_pages(&mut self) -> Purged {
        Purged { pages: self.read_retry.take_purged(), ..Purged::default() }
    }
}

/// The start of a broker.
impl Backlog {
    /// Returns the number of times that a message found in the store came back.
    pub(in crate::broker::queue) fn delivery_count_of(&self, waiting: &Waiting) -> DeliveryCount {
        self.current.delivery_count_of(waiting)
    }

    /// Appends a message found in the store to the level of its priority, or to that of `is_returned` ones.
    pub(in crate::broker::queue) fn recover(
        &mut self,
        waiting: &Waiting,
        deadline: Millis,
        is_returned: bool,
    ) {
        self.is_recovering = true;
        if is_returned {
            self.select(RETURNED);
        } else {
            self.select_priority(|| waiting.priority);
        }
        self.current.recover(waiting, deadline);
    }

    /// Ends the recovery that [`Self::recover`] began: all messages are in order, and new ones come behind them.
    pub(in crate::broker::queue) fn recovered(&mut self) {
        self.is_recovering = false;
        self.current.recovered();
        let current = self.current.number();
        let others =
            self.priorities.as_deref().map_or_else(Vec::new, |others| others.numbers_but(current));
        for level in others {
            self.select(level);
            self.current.recovered();
        }
        self.select_highest();
    }
}

/// The invariants that hold whenever the lock of the queue is free.
#[cfg(debug_assertions)]
impl Backlog {
    /// Asserts what is cheap to check.
    pub(in crate::broker::queue) fn assert_sound(&self) {
        if self.is_recovering {
            return;
        }
        self.current.assert_sound();
        if let Some(priorities) = &self.priorities {
            assert_eq!(priorities.better_than(&self.current), None, "the highest level is dealt");
        }
    }

    /// Asserts that all counts and sums are right.
    ///
    /// Cost: all messages in memory are visited.
    pub(in crate::broker::queue) fn assert_whole(&self) {
        if self.is_recovering {
            return;
        }
        self.current.assert_whole();
        if let Some(priorities) = &self.priorities {
            priorities.assert_whole(self.current.number());
        }
    }
}

#[cfg(test)]
impl Backlog {
    pub(in crate::broker::queue) fn last_page(&self) -> Page {
        self.current.last_page()
    }

    pub(in crate::broker::queue) fn is_reading(&self) -> bool {
        self.read_ahead.is_reading()
    }

    pub(in crate::broker::queue) fn is_failing(&self) -> bool {
        self.read_retry.is_failing()
    }

    pub(in crate::broker::queue) fn purged_pages_len(&self) -> usize {
        self.read_retry.purged_len()
    }

    /// Counts the levels beside the selected one.
    pub(in crate::broker::queue) fn other_levels(&self) -> usize {
        self.priorities
            .as_deref()
            .map_or(0, |others| others.numbers_but(self.current.number()).len())
    }
}
