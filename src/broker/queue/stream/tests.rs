//! The index of a stream beside the simplest thing that could do the same: a list of messages.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use super::index::{Index, Located, Places, Retention};
use crate::broker::queue::backlog::pages::tests::Directory;
use crate::broker::queue::backlog::stored::Stored;
use crate::store::Place;

const SEGMENT_BYTES: u64 = 1_000;

/// The message with this number; the store gave it that sequence.
fn stored(number: u64) -> Stored {
    let slot = u32::try_from(number).unwrap();
    let place = Place { file: NonZeroU32::MIN, slot, offset: slot };
    let body_len = slot * 37 % 300;
    Stored { position: number, deadline_and_flag: (1_000 + number) << 1, place, body_len }
}

/// xorshift64*: any seed but 0 will do.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

/// The numbers of the messages from an offset on, read as a consumer does.
fn numbers_from(index: &Index, offset: u64) -> Vec<(u64, u64)> {
    let mut offset = offset.max(index.first());
    let mut found = Vec::new();
    while let Some(located) = index.at(offset) {
        let (first, places) = match located {
            Located::Here(first, places) => (first, places),
            Located::Paged(first, page) => (first, index.pages().read(&page).unwrap().unwrap()),
        };
        for (at, stored) in (first..).zip(places).filter(|(at, _)| *at >= offset) {
            found.push((at, stored.position));
        }
        offset = found.last().unwrap().0 + 1;
    }
    found
}

fn numbers_of(index: &Index, places: &[Places]) -> Vec<u64> {
    let of = |places: &Places| match places {
        Places::Here(places) => places.clone(),
        Places::Paged(page) => index.pages().read(page).unwrap().unwrap(),
    };
    places.iter().flat_map(of).map(|stored| stored.position).collect()
}

#[test]
fn messages_keep_their_offsets_whatever_goes_and_wherever_they_are() {
    let directory = Directory::new();
    for seed in 1..6 {
        let mut random = Random(seed);
        let mut index = Index::new(directory.pages.clone());
        let mut model: VecDeque<(u64, u64)> = VecDeque::new();
        for _ in 0..60 {
            for _ in 0..random.below(60) {
                model.push_back((index.next(), index.next()));
                index.push(stored(index.next()), SEGMENT_BYTES);
            }
            let max_bytes = (random.below(3) == 0).then(|| random.below(60_000));
            let not_before = (random.below(4) == 0).then(|| 1_000 + random.below(index.next() + 1));
            let retention = Retention { max_bytes, not_before };
            let (len, is_exceeding) = (index.len(), index.is_exceeding(retention));
            let first = index.first_after(retention);
            let gone = index.retire(retention);
            let gone = numbers_of(&index, &gone);
            assert_eq!((index.first(), is_exceeding), (first, index.len() < len));
            let expected: Vec<u64> = model.drain(..gone.len()).map(|(_, number)| number).collect();
            assert_eq!(gone, expected, "seed {seed}");
            let offset = random.below(index.next() + 2);
            let expected: Vec<_> = model.iter().copied().filter(|(at, _)| *at >= offset).collect();
            assert_eq!(numbers_from(&index, offset), expected, "seed {seed}, from {offset}");
            let bytes: u32 = model.iter().map(|(_, number)| stored(*number).body_len).sum();
            assert_eq!(index.body_bytes(), u64::from(bytes));
        }
        assert!(index.first() > 0);
    }
}

#[test]
fn nothing_begins_before_the_time_that_was_asked_for() {
    let directory = Directory::new();
    let mut index = Index::new(directory.pages.clone());
    for number in 0..100 {
        index.push(stored(number), 100_000);
    }
    for at in [0, 1_000, 1_001, 1_050, 1_099, 1_100, 2_000] {
        let first = index.before(at);
        let is_before = |offset: u64| 1_000 + offset < at;
        assert!((0..first).all(is_before), "{at}");
        // The messages passed over when they are read are less than two chunks.
        let behind = (first..100).filter(|offset| is_before(*offset)).count();
        assert!(behind <= 16, "{at}: {behind}");
    }
}

/// Some messages were moved in the log and are found last; those before the marker are counted back from it.
#[test]
fn a_recovered_index_has_the_offsets_of_the_one_before() {
    let directory = Directory::new();
    for seed in 1..20 {
        let mut random = Random(seed);
        let len = 1 + random.below(200);
        let first = random.below(len);
        let marked = first + random.below(len - first + 1);
        let mut index = Index::new(directory.pages.clone());
        let is_late = |number: u64, random: &mut Random| number < len / 2 && random.below(4) == 0;
        let (late, early): (Vec<u64>, Vec<u64>) =
            (first..len).partition(|number| is_late(*number, &mut random));
        for number in early.into_iter().chain(late) {
            index.recover(stored(number), SEGMENT_BYTES);
        }
        index.merge_late(SEGMENT_BYTES).unwrap();
        let before = index.count_before(marked).unwrap();
        assert_eq!(before, marked - first, "seed {seed}");
        // The messages had the offsets from 1000 on.
        index.begin_at(1_000 + marked - before);
        let all: Vec<_> = (first..len).map(|number| (1_000 + number, number)).collect();
        assert_eq!(numbers_from(&index, 0), all, "seed {seed}");
        let cut = 1_000 + first + random.below(len - first + 1);
        let gone = index.cut_before(cut).unwrap();
        let (dropped, kept): (Vec<(u64, u64)>, Vec<_>) =
            all.iter().copied().partition(|(at, _)| *at < cut);
        let dropped: Vec<u64> = dropped.into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers_of(&index, &gone), dropped, "seed {seed}, cut at {cut}");
        assert_eq!(numbers_from(&index, 0), kept, "seed {seed}, cut at {cut}");
        assert_eq!((index.first(), index.next()), (cut, 1_000 + len));
        index.push(stored(len), SEGMENT_BYTES);
        assert_eq!(numbers_from(&index, 1_000 + len), [(1_000 + len, len)]);
    }
}
