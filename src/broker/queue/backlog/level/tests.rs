//! A level in memory, on pages and read again.

use std::num::NonZeroU32;

use super::*;
use crate::broker::message::Layout;
use crate::broker::queue::backlog::pages::tests::Directory;
use crate::store::Waiting;

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

fn ready(count: u64) -> Level {
    let mut ready = Level::default();
    for _ in 0..count {
        let entry = ready.place(message(0), None, Millis::MAX);
        ready.push_back(entry);
    }
    ready
}

fn positions(ready: &Level) -> Vec<u64> {
    let in_memory = ready.in_memory.iter().map(|entry| entry.position);
    let on_disk = ready.on_disk.all(&ready.pages).into_iter().map(|stored| stored.position);
    in_memory.chain(on_disk).chain(ready.overflow.iter().map(|entry| entry.position)).collect()
}

#[test]
fn requeued_messages_keep_their_place() {
    let mut ready = ready(6);
    let mut taken: Vec<_> = (0..4).map_while(|_| ready.pop_front()).collect();
    let overflow = taken.split_off(3);
    let middle = taken.remove(1);
    ready.put_back(overflow);
    assert_eq!(positions(&ready), [3, 4, 5]);
    ready.put_back(taken);
    assert_eq!(positions(&ready), [0, 2, 3, 4, 5]);
    ready.put_back(vec![middle]);
    assert_eq!(positions(&ready), [0, 1, 2, 3, 4, 5]);
}

/// A level and a model of it, a list of positions and body lengths, that go through the same steps.
#[derive(Default)]
struct Pair {
    ready: Level,
    model: VecDeque<(u64, u32)>,
    out: Vec<Entry>,
    /// Pages that were read and have not come yet.
    pages: Vec<(Page, Vec<Stored>)>,
    /// Windows whose messages have not come yet.
    reads: VecDeque<Vec<ReadRequest>>,
    random: u64,
    /// Every message that can be is kept on disk only, so that this part becomes long.
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
            0 if !self.is_long || !self.ready.has_on_disk() => self.ready.push_back(entry),
            1 if !self.ready.has_on_disk() => {
                entry.place = Some(place);
                self.ready.push_back(entry);
            }
            _ => self.ready.push_on_disk(entry, place),
        }
    }

    fn pop(&mut self) {
        let resident = self.below(2) == 0;
        let entry = if resident {
            self.ready.pop_resident()
        } else {
            load_front(&mut self.ready);
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
        let Level { on_disk, pages, .. } = &self.ready;
        let missing = on_disk.missing(WINDOW_LEN).into_iter();
        self.pages = missing.map(|page| (page, pages.read(&page).unwrap().unwrap())).collect();
    }

    /// Every twentieth page cannot be read.
    fn end_pages(&mut self) {
        for (page, entries) in std::mem::take(&mut self.pages) {
            let is_whole = self.below(20) > 0;
            if !is_whole && self.ready.on_disk.paged().contains(&page) {
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
        assert_eq!(window.is_empty(), self.ready.without_body == 0 && !self.ready.has_on_disk());
        if self.ready.is_front_missing() {
            assert_eq!(window.first().map(|first| first.position), Some(self.model[0].0));
        }
        self.reads.push_back(window);
    }

    /// Every fiftieth message is damaged, and as many cannot be read this time.
    fn end_read(&mut self) {
        let (mut found, mut passed) = (Vec::new(), 0);
        for ReadRequest { position, place } in self.reads.pop_front().unwrap_or_default() {
            assert_eq!(place, place_at(position));
            let body_len = self.model.iter().find(|known| known.0 == position);
            let body_len = body_len.map_or(0, |known| known.1 as usize);
            let read = match self.below(50) {
                0 => Err(StoreError::Damaged { path: "a".into(), offset: 0, what: "gone" }),
                1 => Err(passing()),
                _ => Ok(message(body_len)),
            };
            passed += usize::from(matches!(read, Err(StoreError::Io { .. })));
            found.push(ReadResult { position, read });
        }
        let UnfilledWindow { lost, put_off } = self.ready.fill(found);
        assert_eq!(put_off.is_some(), passed > 0);
        for lost in lost {
            self.model.retain(|&(position, _)| place_at(position) != lost.place);
        }
    }

    fn drop_all(&mut self) {
        assert_eq!(self.ready.purge().len(), self.model.len());
        self.model.clear();
    }

    fn check(&self) {
        let Level { in_memory, on_disk, overflow, .. } = &self.ready;
        let known: Vec<u64> = self.model.iter().map(|known| known.0).collect();
        assert_eq!(positions(&self.ready), known);
        assert_eq!(self.ready.len(), known.len());
        assert_eq!(self.ready.is_empty(), known.is_empty());
        assert!(overflow.is_empty() || !on_disk.is_empty(), "overflow without a on_disk");
        let bodies: u64 = self.model.iter().map(|known| u64::from(known.1)).sum();
        assert_eq!(self.ready.bytes(), bodies);
        let entries = || in_memory.iter().chain(overflow);
        let resident: u64 = entries().map(Entry::resident_bytes).sum();
        assert_eq!(self.ready.resident_bytes(), resident);
        let without_body = entries().filter(|entry| entry.message.is_none()).count();
        assert_eq!(self.ready.without_body, without_body);
        let with_deadline = entries().filter(|entry| entry.has_deadline()).count();
        let stored = on_disk.all(&self.ready.pages);
        let with_deadline =
            with_deadline + stored.iter().filter(|stored| stored.has_deadline()).count();
        assert_eq!(self.ready.with_deadline, with_deadline);
        let first = in_memory.front().map(|entry| entry.deadline);
        let first = first.or_else(|| stored.first().map(Stored::deadline));
        assert_eq!(self.ready.front_deadline(), first);
        assert!(on_disk.len_in_memory() <= 2 * WINDOW_LEN + 64, "{}", on_disk.len_in_memory());
    }
}

#[test]
fn near_far_and_late_together_are_one_list_in_order() {
    let Directory { pages, .. } = &Directory::new();
    let mut most_paged = 0;
    for seed in 1..=60_u64 {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let ready = Level::new(pages.clone());
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
            most_paged = most_paged.max(pair.ready.on_disk.paged().len());
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
        let mut ready = Level::default();
        for position in 0..count {
            let mut entry = ready.place(message(0), None, Millis::MAX);
            entry.body_len = body_len;
            ready.push_on_disk(entry, place_at(position));
        }
        assert_eq!(ready.window(1 << 20).len(), in_window, "{count} of {body_len} bytes");
    }
}

/// Reads the pages that the first message may be on.
fn load_front(ready: &mut Level) {
    while ready.is_front_paged() {
        let page = ready.on_disk.paged()[0];
        let entries = ready.pages.read(&page).unwrap();
        ready.load(&page, entries);
    }
}

/// Messages on pages up to the very front; each expires at its position.
fn paged(pages: &Pages) -> Level {
    let mut ready = Level::new(pages.clone());
    for position in 0..200 {
        let entry = ready.place(message(0), None, position);
        ready.push_on_disk(entry, place_at(position));
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
    let on_page = ready.on_disk.paged()[0];
    let last = on_page.position + u64::from(on_page.count) - 1;
    ready.on_disk.ruin_front();
    let found = ReadResult { position: on_page.position, read: Ok(message(0)) };
    assert!(ready.fill(vec![found]).lost.is_empty());
    assert!(ready.in_memory.is_empty());
    assert_eq!(ready.front_deadline(), Some(on_page.deadline));
    assert!(ready.has_expired(last));
    load_front(&mut ready);
    assert!(!ready.has_expired(last));
    assert_eq!(ready.lost(), u64::from(on_page.count));
    assert_eq!(ready.pop_front().map(|entry| entry.position), Some(last + 1));
}

#[test]
fn a_page_that_cannot_be_read_now_stays_and_is_read_another_time() {
    let directory = Directory::new();
    let mut ready = paged(&directory.pages);
    let (page, len) = (ready.on_disk.paged()[0], ready.len());
    directory.while_failing(&page, || {
        assert!(ready.pages.read(&page).is_err());
        assert!(ready.has_expired(Millis::MAX - 1));
        assert!(ready.pop_front().is_none());
        assert_eq!((ready.len(), ready.lost()), (len, 0));
    });
    load_front(&mut ready);
    assert!(ready.has_expired(page.deadline));
    let expired = ready.pop_front();
    assert_eq!(expired.map(|entry| entry.position), Some(page.position));
    assert_eq!(ready.len(), len - 1);
}

fn waiting(sequence: u64) -> Waiting {
    Waiting {
        place: place_at(sequence),
        sequence,
        published_at: 0,
        time_to_live_ms: None,
        priority: None,
        redelivered: sequence % 2 == 1,
        counts: None,
        body_len: 10,
    }
}

#[test]
fn recovered_messages_are_in_order_however_they_came() {
    let directory = Directory::new();
    for pages in [Pages::default(), directory.pages.clone()] {
        recover_out_of_order(Level::new(pages));
    }
}

fn recover_out_of_order(mut ready: Level) {
    let (moved, stayed): (Vec<u64>, Vec<u64>) = (10..9_000).partition(|at| at % 7 == 3);
    for sequence in stayed.into_iter().chain(moved) {
        ready.recover(&waiting(sequence), Millis::MAX);
    }
    let has_pages = !ready.on_disk.paged().is_empty();
    ready.recovered();
    assert_eq!(positions(&ready), (10..9_000).collect::<Vec<_>>());
    assert!(!has_pages || ready.on_disk.len_in_memory() < 200, "{}", ready.on_disk.len_in_memory());
    assert_eq!(ready.bytes(), 8_990 * 10);
    let (first, next) = (ready.pop_front().unwrap(), ready.pop_front().unwrap());
    assert_eq!((first.redelivered, next.redelivered), (false, true));
    assert_eq!(ready.place(message(0), None, Millis::MAX).position, 9_000);
}
