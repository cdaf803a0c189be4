//! The messages of a queue that wait for a consumer, in order.
//!
//! Each has a position, given once when it is pushed; a message that comes back takes its old place again
//! (RabbitMQ: `rabbit_variable_queue:requeue`). They stand in three parts, one behind the other:
//!
//! - `near`: entries, most with their messages. One that came back after its message was let go has none: a hole.
//! - `far`: what only the store has. It moves to `near` as it is read; what is in `far` was never out of it, so
//!   whatever comes back belongs into `near`.
//!   Of a long one only its ends are in memory (`pages`).
//! - `late`: what could not be written away while there was a `far`; becomes `near` when that is used up.

use std::collections::VecDeque;

use super::emptied::Emptied;
use super::entry::{Entry, Millis, Stored, merge};
use super::far::{Far, Loaded};
use super::pages::{Page, Pages, may_pass};
use super::window::{Filled, Found, Lost, Wanted};
use super::{Returns, Shown, quorum};
use crate::broker::message::Message;
use crate::store::{Place, StoreError, Waiting};

/// Messages that are read at once, so that small ones take little memory too.
const WINDOW_LEN: usize = if cfg!(test) { 32 } else { 4096 };

/// The first position of what never was out where those that come back do not take their old places, which are below.
const FRESH_FROM: u64 = 1 << 62;

/// Entries an emptied queue keeps room for; a drained backlog gives its memory back.
const KEEP_CAPACITY: usize = 1024;

/// Waiting messages in the order of their positions.
#[derive(Debug, Default)]
pub(super) struct Ready {
    near: VecDeque<Entry>,
    far: Far,
    pages: Pages,
    late: VecDeque<Entry>,
    /// While the queue is recovered: what came after others that belong behind it.
    moved: Vec<Stored>,
    next_position: u64,
    /// Of what comes back and does not take its old place.
    next_returned: u64,
    bytes: u64,
    resident_bytes: u64,
    /// How many entries of `near` and `late` are without their message.
    holes: usize,
    /// How many entries carry a deadline, so that queues without any never look.
    mortal: usize,
    /// How many stood on pages that could not be read.
    lost: u64,
    /// What is told of how often each came back.
    shown: Shown,
    /// Of all of them.
    level: u8,
}

impl Ready {
    pub(super) fn new(pages: Pages) -> Self {
        Self { pages, ..Self::default() }
    }

    /// Says how the returns of what comes from now on are told.
    pub(super) fn show(&mut self, shown: Shown) {
        self.shown = shown;
        if shown != Shown::Never {
            self.next_position = FRESH_FROM;
        }
    }

    #[inline]
    pub(super) fn level(&self) -> u8 {
        self.level
    }

    /// Is another level from now on; only while there is nothing in it.
    pub(super) fn become_level(&mut self, level: u8) {
        debug_assert!(self.is_empty());
        self.level = level;
    }

    /// Another level of the same queue, with nothing in it.
    pub(super) fn beside(&self, level: u8) -> Self {
        let Self { shown, .. } = *self;
        Self { shown, level, ..Self::new(self.pages.clone()) }
    }

    /// Puts another level here, whose messages get the next positions; answers what was here.
    pub(super) fn replace_by(&mut self, other: Self) -> Self {
        let before = std::mem::replace(self, other);
        self.next_position = self.next_position.max(before.next_position);
        self.next_returned = self.next_returned.max(before.next_returned);
        self.lost += before.lost;
        Self { lost: 0, ..before }
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// How many waited that cannot be found again before the next start.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn len(&self) -> usize {
        self.near.len() + self.far.len() + self.late.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // Nothing is late without a far.
        self.near.is_empty() && self.far.is_empty()
    }

    /// Bytes of the waiting messages' bodies.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that waiting messages take in memory.
    #[inline]
    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// Whether some wait in the store only, so that what comes now must stand behind them.
    #[inline]
    pub(super) fn has_far(&self) -> bool {
        !self.far.is_empty()
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
        Entry {
            message: Some(message),
            place,
            body_len,
            position,
            deadline,
            redelivered: false,
            returns: Returns::new(self.shown, false),
            level: self.level,
        }
    }

    #[inline]
    fn count_in(&mut self, entry: &Entry) {
        self.bytes += u64::from(entry.body_len);
        self.resident_bytes += entry.resident_bytes();
        self.holes += usize::from(entry.message.is_none());
        self.mortal += usize::from(entry.is_mortal());
    }

    #[inline]
    fn count_out(&mut self, entry: &Entry) {
        self.bytes -= u64::from(entry.body_len);
        self.resident_bytes -= entry.resident_bytes();
        self.holes -= usize::from(entry.message.is_none());
        self.mortal -= usize::from(entry.is_mortal());
    }

    #[inline]
    pub(super) fn push_back(&mut self, entry: Entry) {
        self.count_in(&entry);
        if self.far.is_empty() {
            self.near.push_back(entry);
        } else {
            self.late.push_back(entry);
        }
    }

    /// Keeps only where the store has the message.
    pub(super) fn push_far(&mut self, mut entry: Entry, place: Place) {
        if self.late.is_empty() {
            self.append_far(Stored::new(&entry, place));
        } else {
            entry.place = Some(place);
            entry.forget_message();
            self.push_back(entry);
        }
    }

    fn append_far(&mut self, stored: Stored) {
        self.bytes += u64::from(stored.body_len);
        self.mortal += usize::from(stored.is_mortal());
        self.far.push_back(stored, &self.pages);
    }

    /// Takes the first of `far`, unless it is on a page.
    fn pop_far(&mut self) -> Option<Stored> {
        let stored = self.far.pop_front()?;
        self.bytes -= u64::from(stored.body_len);
        self.mortal -= usize::from(stored.is_mortal());
        Some(stored)
    }

    /// Whether the first message is on a page: what the others ask of the front is asked of it as it was written.
    #[inline]
    pub(super) fn is_front_paged(&self) -> bool {
        self.near.is_empty() && self.far.is_front_paged()
    }

    /// Sees to it that the first message is on no page; one that is damaged is taken out.
    ///
    /// # Errors
    ///
    /// The page could not be read now; it stays.
    pub(super) fn load_front(&mut self) -> Result<(), StoreError> {
        if !self.is_front_paged() {
            return Ok(());
        }
        let mut lost = Vec::new();
        let loaded = self.far.load_front(&self.pages, &mut lost);
        self.count_lost(&lost);
        self.close_up();
        loaded
    }

    #[inline]
    fn count_lost(&mut self, pages: &[Page]) {
        for page in pages {
            self.bytes -= page.bytes;
            self.mortal -= page.mortal as usize;
            self.lost += u64::from(page.count);
        }
    }

    /// The pages to be read before the next window is made.
    pub(super) fn missing_pages(&self) -> Vec<Page> {
        self.far.missing(WINDOW_LEN)
    }

    /// Takes in a page, or takes it out when it could not be read.
    pub(super) fn load(&mut self, page: &Page, entries: Option<Vec<Stored>>) {
        if self.far.load(page, entries, &self.pages) == Loaded::Lost {
            self.count_lost(&[*page]);
        }
        self.close_up();
    }

    /// Lets what is late follow `near`, once nothing stands in between.
    fn close_up(&mut self) {
        if self.far.is_empty() && !self.late.is_empty() {
            self.near.append(&mut self.late);
            self.late = VecDeque::new();
        }
    }

    #[inline]
    fn pop_near(&mut self) -> Option<Entry> {
        let entry = self.near.pop_front()?;
        self.count_out(&entry);
        if self.near.is_empty() && self.near.capacity() > KEEP_CAPACITY {
            self.near = VecDeque::new();
        }
        Some(entry)
    }

    /// Takes the first message, unless it must be read before.
    #[inline]
    pub(super) fn pop_resident(&mut self) -> Option<Entry> {
        self.near.front()?.message.as_ref()?;
        self.pop_near()
    }

    /// Takes the first entry, with its message or without; none while it is on a page ([`Self::load_front`]).
    pub(super) fn pop_front(&mut self) -> Option<Entry> {
        if let Some(entry) = self.pop_near() {
            return Some(entry);
        }
        let stored = self.pop_far();
        self.close_up();
        stored.map(|stored| self.entry_of(stored, None))
    }

    fn entry_of(&self, stored: Stored, message: Option<Message>) -> Entry {
        Entry { level: self.level, ..stored.into_entry(message, self.shown) }
    }

    /// Takes the first entry if it has expired by `now`.
    ///
    /// # Errors
    ///
    /// It is on a page that could not be read now.
    pub(super) fn pop_expired(&mut self, now: Millis) -> Result<Option<Entry>, StoreError> {
        let has_expired =
            |ready: &Self| ready.front_deadline().is_some_and(|deadline| deadline <= now);
        if !has_expired(self) {
            return Ok(None);
        }
        self.load_front()?;
        // Another may be the first now, when the page was damaged.
        Ok(if has_expired(self) { self.pop_front() } else { None })
    }

    /// Whether the first message must be read before it can be delivered.
    #[inline]
    pub(super) fn is_front_missing(&self) -> bool {
        match self.near.front() {
            Some(first) => first.message.is_none(),
            None => !self.far.is_empty(),
        }
    }

    /// Whether any message is in the store only.
    #[inline]
    pub(super) fn is_missing_any(&self) -> bool {
        self.holes > 0 || !self.far.is_empty()
    }

    /// When the first message expires; `Millis::MAX` for never.
    pub(super) fn front_deadline(&self) -> Option<Millis> {
        let near = self.near.front().map(|entry| entry.deadline);
        near.or_else(|| self.far.front().map(|first| first.deadline))
    }

    /// Whether any waiting message can expire.
    #[inline]
    pub(super) fn has_mortal(&self) -> bool {
        self.mortal > 0
    }

    /// Puts messages back into their old places; `returned` must be in the order of positions.
    ///
    /// Cost: as many moves as there are waiting messages in front of the last returned one, usually none.
    pub(super) fn put_back(&mut self, returned: Vec<Entry>) {
        let Some(last) = returned.last().map(|entry| entry.position) else { return };
        debug_assert!(self.far.front().is_none_or(|first| last < first.position));
        let mut earlier = Vec::new();
        while self.near.front().is_some_and(|entry| entry.position < last) {
            earlier.extend(self.pop_near());
        }
        let mut merged = merge(earlier, returned);
        while let Some(entry) = merged.pop() {
            self.count_in(&entry);
            self.near.push_front(entry);
        }
    }

    /// Puts messages back into their old places, or behind others in the order in which they come.
    ///
    /// Cost: a binary search for each, and moves within what is in memory.
    pub(super) fn put_back_at(&mut self, returned: Vec<Entry>, at: quorum::Place) {
        let is_last = match at {
            quorum::Place::Old => return self.put_back(returned),
            quorum::Place::Returned => false,
            quorum::Place::Last => true,
        };
        for mut entry in returned {
            let next = if is_last { &mut self.next_position } else { &mut self.next_returned };
            entry.position = *next;
            *next += 1;
            if is_last {
                self.push_back(entry);
            } else {
                let at = self.near.partition_point(|one| one.position < entry.position);
                self.count_in(&entry);
                self.near.insert(at, entry);
            }
        }
    }

    /// What to read next: the messages that are missing at the front, of about `bytes_max` bytes, at least one when
    /// any is missing and not on a page ([`Self::missing_pages`]).
    pub(super) fn window(&self, bytes_max: u64) -> Vec<Wanted> {
        let holes = self.near.iter().filter(|entry| entry.message.is_none());
        let holes = holes.filter_map(|entry| {
            let wanted = Wanted { position: entry.position, place: entry.place? };
            Some((wanted, entry.body_len))
        });
        let far = self.far.loaded().map(|stored| {
            let wanted = Wanted { position: stored.position, place: stored.place };
            (wanted, stored.body_len)
        });
        let mut bytes = 0;
        // Stops looking for holes when all have been found.
        let missing = holes.take(self.holes).chain(far).take(WINDOW_LEN);
        let fits = missing.take_while(|(_, body_len)| {
            let is_begun = bytes < bytes_max;
            bytes += u64::from(*body_len);
            is_begun
        });
        fits.map(|(wanted, _)| wanted).collect()
    }

    /// Takes in what was read for a window, in its order. What is damaged is taken out, what only could not be read
    /// now stays where it is.
    ///
    /// What was taken or dropped since the window was made is passed over: no position is given twice.
    pub(super) fn fill(&mut self, found: Vec<Found>) -> Filled {
        let Filled { mut lost, mut put_off } = Filled::default();
        for Found { position, read } in found {
            let read = match read {
                Err(error) if may_pass(&error) => {
                    put_off.get_or_insert(error);
                    continue;
                }
                read => read,
            };
            if self.far.front().is_some_and(|first| first.position == position) {
                let Some(stored) = self.pop_far() else { continue };
                match read {
                    Ok(message) => {
                        let entry = self.entry_of(stored, Some(message));
                        self.count_in(&entry);
                        self.near.push_back(entry);
                    }
                    Err(error) => lost.push(Lost { place: stored.place, error }),
                }
            } else if let Ok(at) = self.near.binary_search_by_key(&position, |one| one.position) {
                lost.extend(self.fill_hole(at, read));
            }
        }
        self.close_up();
        // A settled one is gone as it should be.
        lost.retain(|lost| !matches!(lost.error, StoreError::Settled));
        Filled { lost, put_off }
    }

    /// Gives the entry at `at` its message back, or takes it out when there is none.
    fn fill_hole(&mut self, at: usize, read: Result<Message, StoreError>) -> Option<Lost> {
        let mut entry = self.near.get(at).filter(|entry| entry.message.is_none()).cloned()?;
        self.count_out(&entry);
        match read {
            Ok(message) => {
                entry.message = Some(message);
                self.count_in(&entry);
                self.near[at] = entry;
                None
            }
            Err(error) => {
                self.near.remove(at);
                entry.place.map(|place| Lost { place, error })
            }
        }
    }

    /// Takes everything out.
    ///
    /// Cost: none for each of them.
    pub(super) fn drop_all(&mut self) -> Emptied {
        let Self { next_position, next_returned, lost, shown, level, .. } = *self;
        let kept = Self { next_position, next_returned, lost, shown, level, ..Self::default() };
        let empty = Self { pages: self.pages.clone(), ..kept };
        let Self { near, far, late, .. } = std::mem::replace(self, empty);
        Emptied { near, far, late, ..Emptied::default() }
    }

    /// Appends a message found in the store; one that belongs further to the front is put there in the end.
    pub(super) fn recover(&mut self, waiting: &Waiting, deadline: Millis) {
        let mut entry = Entry::recovered(waiting, deadline);
        entry.position += if self.shown == Shown::Never { 0 } else { FRESH_FROM };
        let stored = Stored::new(&entry, waiting.place);
        match self.far.back() {
            Some(last) if last.position > stored.position => self.moved.push(stored),
            Some(_) | None => self.append_far(stored),
        }
    }

    /// Ends what [`Self::recover`] began: all are in order, and new messages come behind them.
    pub(super) fn recovered(&mut self) {
        let mut moved = std::mem::take(&mut self.moved);
        if !moved.is_empty() {
            moved.sort_unstable_by_key(|stored| stored.position);
            self.bytes += moved.iter().map(|stored| u64::from(stored.body_len)).sum::<u64>();
            self.mortal += moved.iter().filter(|stored| stored.is_mortal()).count();
            let lost = self.far.merge(moved, &self.pages);
            self.count_lost(&lost);
        }
        self.far.page_out(&self.pages);
        if let Some(last) = self.far.back() {
            self.next_position = self.next_position.max(last.position + 1);
        }
    }
}

#[cfg(test)]
impl Ready {
    pub(super) fn last_page(&self) -> Page {
        *self.far.paged().last().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::broker::message::Layout;
    use crate::broker::queue::pages::tests::Directory;

    fn message(body_len: usize) -> Message {
        Message::new(Layout::default(), &mut vec![0; body_len])
    }

    fn passing() -> StoreError {
        let source = std::io::Error::other("too many open files");
        StoreError::Io { action: "open", path: "a".into(), source }
    }

    fn place_at(position: u64) -> Place {
        let slot = u32::try_from(position).unwrap();
        Place { file: NonZeroU32::MIN, slot, offset: slot }
    }

    fn ready(count: u64) -> Ready {
        let mut ready = Ready::default();
        for _ in 0..count {
            let entry = ready.place(message(0), None, Millis::MAX);
            ready.push_back(entry);
        }
        ready
    }

    fn positions(ready: &Ready) -> Vec<u64> {
        let near = ready.near.iter().map(|entry| entry.position);
        let far = ready.far.all(&ready.pages).into_iter().map(|stored| stored.position);
        near.chain(far).chain(ready.late.iter().map(|entry| entry.position)).collect()
    }

    #[test]
    fn requeued_messages_keep_their_place() {
        let mut ready = ready(6);
        let mut taken: Vec<_> = (0..4).map_while(|_| ready.pop_front()).collect();
        let late = taken.split_off(3);
        let middle = taken.remove(1);
        ready.put_back(late);
        assert_eq!(positions(&ready), [3, 4, 5]);
        ready.put_back(taken);
        assert_eq!(positions(&ready), [0, 2, 3, 4, 5]);
        ready.put_back(vec![middle]);
        assert_eq!(positions(&ready), [0, 1, 2, 3, 4, 5]);
    }

    /// What a queue does to its waiting messages, beside the simplest thing that could do the same: a list of
    /// positions and body lengths.
    #[derive(Default)]
    struct Pair {
        ready: Ready,
        model: VecDeque<(u64, u32)>,
        out: Vec<Entry>,
        /// Pages that were read and have not come yet.
        pages: Vec<(Page, Vec<Stored>)>,
        /// Windows whose messages have not come yet.
        reads: VecDeque<Vec<Wanted>>,
        random: u64,
        /// Whatever can be is far, which becomes long.
        is_long: bool,
    }

    impl Pair {
        fn below(&mut self, limit: u64) -> u64 {
            // xorshift64*: any seed but 0 will do.
            self.random ^= self.random >> 12;
            self.random ^= self.random << 25;
            self.random ^= self.random >> 27;
            (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
        }

        fn push(&mut self) {
            let deadline = if self.below(4) == 0 { self.below(1000) } else { Millis::MAX };
            let body = message(usize::try_from(self.below(300)).unwrap());
            let mut entry = self.ready.place(body, None, deadline);
            self.model.push_back((entry.position, entry.body_len));
            let place = place_at(entry.position);
            match self.below(4) {
                0 if !self.is_long || !self.ready.has_far() => self.ready.push_back(entry),
                1 if !self.ready.has_far() => {
                    entry.place = Some(place);
                    self.ready.push_back(entry);
                }
                _ => self.ready.push_far(entry, place),
            }
        }

        fn pop(&mut self) {
            let resident = self.below(2) == 0;
            let entry = if resident {
                self.ready.pop_resident()
            } else {
                self.ready.load_front().unwrap();
                self.ready.pop_front()
            };
            if let Some(entry) = entry {
                let known = self.model.pop_front();
                assert_eq!(known, Some((entry.position, entry.body_len)));
                assert!(entry.message.is_some() || (!resident && entry.place.is_some()));
                self.out.push(entry);
            } else {
                assert_eq!(self.ready.is_front_missing(), !self.model.is_empty());
                assert!(resident || self.model.is_empty());
            }
        }

        fn put_back(&mut self) {
            let mut returned = Vec::new();
            for mut entry in std::mem::take(&mut self.out) {
                match self.below(4) {
                    0 => self.out.push(entry),
                    1 => {}
                    _ => {
                        entry.forget_message();
                        returned.push(entry);
                    }
                }
            }
            returned.sort_by_key(|entry| entry.position);
            self.model.extend(returned.iter().map(|entry| (entry.position, entry.body_len)));
            self.model.make_contiguous().sort_unstable();
            self.ready.put_back(returned);
        }

        fn begin_pages(&mut self) {
            let Ready { far, pages, .. } = &self.ready;
            let missing = far.missing(WINDOW_LEN).into_iter();
            self.pages = missing.map(|page| (page, pages.read(&page).unwrap().unwrap())).collect();
        }

        /// Every twentieth page cannot be read.
        fn end_pages(&mut self) {
            for (page, entries) in std::mem::take(&mut self.pages) {
                let is_whole = self.below(20) > 0;
                if !is_whole && self.ready.far.paged().contains(&page) {
                    let is_on_it = |at: u64| entries.iter().any(|stored| stored.position == at);
                    self.model.retain(|&(position, _)| !is_on_it(position));
                }
                self.ready.load(&page, is_whole.then_some(entries));
            }
        }

        fn begin_read(&mut self) {
            self.begin_pages();
            self.end_pages();
            let window = self.ready.window(1 << 14);
            assert_eq!(window.is_empty(), self.ready.holes == 0 && !self.ready.has_far());
            if self.ready.is_front_missing() {
                assert_eq!(window.first().map(|first| first.position), Some(self.model[0].0));
            }
            self.reads.push_back(window);
        }

        /// Every fiftieth message is damaged, and as many cannot be read this time.
        fn end_read(&mut self) {
            let (mut found, mut passed) = (Vec::new(), 0);
            for Wanted { position, place } in self.reads.pop_front().unwrap_or_default() {
                assert_eq!(place, place_at(position));
                let body_len = self.model.iter().find(|known| known.0 == position);
                let body_len = body_len.map_or(0, |known| known.1 as usize);
                let read = match self.below(50) {
                    0 => Err(StoreError::Damaged { path: "a".into(), offset: 0, what: "gone" }),
                    1 => Err(passing()),
                    _ => Ok(message(body_len)),
                };
                passed += usize::from(matches!(read, Err(StoreError::Io { .. })));
                found.push(Found { position, read });
            }
            let Filled { lost, put_off } = self.ready.fill(found);
            assert_eq!(put_off.is_some(), passed > 0);
            for lost in lost {
                self.model.retain(|&(position, _)| place_at(position) != lost.place);
            }
        }

        fn drop_all(&mut self) {
            assert_eq!(self.ready.drop_all().len(), self.model.len());
            self.model.clear();
        }

        fn check(&self) {
            let Ready { near, far, late, .. } = &self.ready;
            let known: Vec<u64> = self.model.iter().map(|known| known.0).collect();
            assert_eq!(positions(&self.ready), known);
            assert_eq!(self.ready.len(), known.len());
            assert_eq!(self.ready.is_empty(), known.is_empty());
            assert!(late.is_empty() || !far.is_empty(), "late without a far");
            let bodies: u64 = self.model.iter().map(|known| u64::from(known.1)).sum();
            assert_eq!(self.ready.bytes(), bodies);
            let entries = || near.iter().chain(late);
            let resident: u64 = entries().map(Entry::resident_bytes).sum();
            assert_eq!(self.ready.resident_bytes(), resident);
            let holes = entries().filter(|entry| entry.message.is_none()).count();
            assert_eq!(self.ready.holes, holes);
            let mortal = entries().filter(|entry| entry.is_mortal()).count();
            let stored = far.all(&self.ready.pages);
            let mortal = mortal + stored.iter().filter(|stored| stored.is_mortal()).count();
            assert_eq!(self.ready.mortal, mortal);
            let first = near.front().map(|entry| entry.deadline);
            let first = first.or_else(|| stored.first().map(Stored::deadline));
            assert_eq!(self.ready.front_deadline(), first);
            assert!(far.len_in_memory() <= 2 * WINDOW_LEN + 64, "{}", far.len_in_memory());
        }
    }

    #[test]
    fn near_far_and_late_together_are_one_list_in_order() {
        let Directory { pages, .. } = &Directory::new();
        let mut most_paged = 0;
        for seed in 1..=60_u64 {
            let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let ready = Ready::new(pages.clone());
            let mut pair = Pair { random, ready, is_long: seed % 2 == 0, ..Pair::default() };
            for _ in 0..2_000 {
                match pair.below(64) {
                    0..30 => pair.push(),
                    30..46 => pair.pop(),
                    46..50 => pair.put_back(),
                    50..55 => pair.begin_read(),
                    55..60 => pair.end_read(),
                    60 => pair.begin_pages(),
                    61 => pair.end_pages(),
                    62 if pair.below(20) == 0 => pair.drop_all(),
                    _ => pair.check(),
                }
                most_paged = most_paged.max(pair.ready.far.paged().len());
            }
            pair.check();
        }
        assert!(most_paged > 20, "{most_paged} pages at most");
    }

    #[test]
    fn a_window_has_a_bound_in_bytes_and_in_messages_and_is_never_empty() {
        #[rustfmt::skip]
        let cases = [
            // messages, bytes each, in the window
            (1,      8 << 20,       1),  // larger than a window, and alone
            (10,     300 << 10,     4),
            (10_000, 10,            WINDOW_LEN),
            (0,      0,             0),
        ];
        for (count, body_len, in_window) in cases {
            let mut ready = Ready::default();
            for position in 0..count {
                let mut entry = ready.place(message(0), None, Millis::MAX);
                entry.body_len = body_len;
                ready.push_far(entry, place_at(position));
            }
            assert_eq!(ready.window(1 << 20).len(), in_window, "{count} of {body_len} bytes");
        }
    }

    /// Messages on pages up to the very front; each expires at its position.
    fn paged(pages: &Pages) -> Ready {
        let mut ready = Ready::new(pages.clone());
        for position in 0..200 {
            let entry = ready.place(message(0), None, position);
            ready.push_far(entry, place_at(position));
        }
        while !ready.is_front_paged() {
            ready.pop_front().unwrap();
        }
        ready
    }

    #[test]
    fn what_follows_a_damaged_page_neither_expires_for_it_nor_gets_its_bodies() {
        let Directory { pages, .. } = &Directory::new();
        let mut ready = paged(pages);
        let on_page = ready.far.paged()[0];
        let last = on_page.position + u64::from(on_page.count) - 1;
        ready.far.ruin_front();
        let found = Found { position: on_page.position, read: Ok(message(0)) };
        assert!(ready.fill(vec![found]).lost.is_empty());
        assert!(ready.near.is_empty());
        assert_eq!(ready.front_deadline(), Some(on_page.deadline));
        assert!(ready.pop_expired(last).unwrap().is_none());
        assert_eq!(ready.lost(), u64::from(on_page.count));
        assert_eq!(ready.pop_front().map(|entry| entry.position), Some(last + 1));
    }

    #[test]
    fn a_page_that_cannot_be_read_now_stays_and_is_read_another_time() {
        let directory = Directory::new();
        let mut ready = paged(&directory.pages);
        let (page, len) = (ready.far.paged()[0], ready.len());
        directory.while_failing(&page, || {
            assert!(ready.load_front().is_err());
            assert!(ready.pop_expired(Millis::MAX - 1).is_err());
            assert!(ready.pop_front().is_none());
            assert_eq!((ready.len(), ready.lost()), (len, 0));
        });
        let expired = ready.pop_expired(page.deadline).unwrap();
        assert_eq!(expired.map(|entry| entry.position), Some(page.position));
        assert_eq!(ready.len(), len - 1);
    }

    fn waiting(sequence: u64) -> Waiting {
        Waiting {
            place: place_at(sequence),
            sequence,
            published_at: 0,
            time_to_live_ms: None,
            priority: 0,
            redelivered: sequence % 2 == 1,
            body_len: 10,
        }
    }

    #[test]
    fn recovered_messages_are_in_order_however_they_came() {
        let directory = Directory::new();
        for pages in [Pages::default(), directory.pages.clone()] {
            recover_out_of_order(Ready::new(pages));
        }
    }

    fn recover_out_of_order(mut ready: Ready) {
        let (moved, stayed): (Vec<u64>, Vec<u64>) = (10..9_000).partition(|at| at % 7 == 3);
        for sequence in stayed.into_iter().chain(moved) {
            ready.recover(&waiting(sequence), Millis::MAX);
        }
        let has_pages = !ready.far.paged().is_empty();
        ready.recovered();
        assert_eq!(positions(&ready), (10..9_000).collect::<Vec<_>>());
        assert!(!has_pages || ready.far.len_in_memory() < 200, "{}", ready.far.len_in_memory());
        assert_eq!(ready.bytes(), 8_990 * 10);
        let (first, next) = (ready.pop_front().unwrap(), ready.pop_front().unwrap());
        assert_eq!((first.redelivered, next.redelivered), (false, true));
        assert_eq!(ready.place(message(0), None, Millis::MAX).position, 9_000);
    }
}
