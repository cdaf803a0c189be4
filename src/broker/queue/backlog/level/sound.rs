//! The invariants of a list of messages, which hold whenever the lock of the queue is free, for debug builds.

use super::Level;
use crate::broker::entry::Entry;

impl Level {
    /// Asserts what is cheap to check: the order of the parts, and that no count is larger than it can be.
    pub(in crate::broker::queue) fn assert_sound(&self) {
        let Self { in_memory, on_disk, overflow, .. } = self;
        assert!(overflow.is_empty() || !on_disk.is_empty(), "overflow follows what is on disk");
        assert!(self.without_body <= in_memory.len() + overflow.len());
        assert!(self.with_deadline <= self.len());
        let ends = [
            in_memory.front().map(|entry| entry.position),
            in_memory.back().map(|entry| entry.position),
            on_disk.front().map(|front| front.position),
            on_disk.back().map(|back| back.position),
            overflow.front().map(|entry| entry.position),
            overflow.back().map(|entry| entry.position),
        ];
        assert!(ends.iter().flatten().is_sorted(), "parts in order: {ends:?}");
        let last = ends.iter().flatten().last();
        assert!(last.is_none_or(|last| *last < self.next_position), "new messages come behind");
        on_disk.assert_sound();
        if self.is_empty() {
            let counts = (self.bytes, self.resident_bytes, self.without_body, self.with_deadline);
            assert_eq!(counts, (0, 0, 0, 0), "an empty list counts nothing");
        }
    }

    /// Asserts that the counts and sums are those of the messages, and that their positions grow.
    ///
    /// Cost: all messages in memory are visited.
    pub(in crate::broker::queue) fn assert_whole(&self) {
        let entries = || self.in_memory.iter().chain(&self.overflow);
        let sums = self.on_disk.assert_whole();
        let bytes = entries().map(|entry| u64::from(entry.body_len)).sum::<u64>() + sums.bytes;
        let with_deadline =
            entries().filter(|entry| entry.has_deadline()).count() + sums.with_deadline;
        let without_body = entries().filter(|entry| entry.message.is_none()).count();
        let resident_bytes: u64 = entries().map(Entry::resident_bytes).sum();
        let counted = (self.bytes, self.resident_bytes, self.without_body, self.with_deadline);
        assert_eq!(counted, (bytes, resident_bytes, without_body, with_deadline));
        let is_before = |one: &Entry, next: &Entry| one.position < next.position;
        assert!(self.in_memory.iter().is_sorted_by(|one, next| is_before(one, next)));
        assert!(self.overflow.iter().is_sorted_by(|one, next| is_before(one, next)));
        let has_place = |entry: &Entry| entry.message.is_some() || entry.place.is_some();
        assert!(entries().all(has_place), "a message is in memory or in the store");
        assert!(entries().all(|entry| entry.level == self.number), "one level a message");
    }
}
