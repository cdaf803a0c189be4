//! Takes in the messages that the store gives back when the broker starts: places in the order of their positions, with
//! how often each came back.

use super::{FRESH_FROM, Level};
use crate::broker::delivery_count::{CountHeaders, DeliveryCount};
use crate::broker::entry::Entry;
use crate::broker::queue::backlog::stored::Stored;
use crate::broker::time::Millis;
use crate::store::Waiting;

impl Level {
    /// Returns the number of times that a message found in the store came back.
    pub(in crate::broker::queue) fn delivery_count_of(&self, waiting: &Waiting) -> DeliveryCount {
        match waiting.counts {
            Some(counts) => DeliveryCount::counted(self.count_headers, counts),
            None => DeliveryCount::new(self.count_headers, waiting.redelivered),
        }
    }

    /// Appends a message found in the store; one that belongs further to the front is put there in the end.
    pub(in crate::broker::queue) fn recover(&mut self, waiting: &Waiting, deadline: Millis) {
        let mut entry = Entry::recovered(waiting, deadline);
        entry.position += if self.count_headers == CountHeaders::Never { 0 } else { FRESH_FROM };
        let stored = Stored::new(&entry, waiting.place);
        if let Some(counts) = waiting.counts.filter(|_| self.count_headers != CountHeaders::Never) {
            self.counts.get_or_insert_default().insert(stored.position, counts);
        }
        match self.on_disk.back() {
            Some(last) if last.position > stored.position => self.moved.push(stored),
            Some(_) | None => self.append_on_disk(stored),
        }
    }

    /// Ends the recovery that [`Self::recover`] began: all are in order, and new messages come behind them.
    pub(in crate::broker::queue) fn recovered(&mut self) {
        let mut moved = std::mem::take(&mut self.moved);
        if !moved.is_empty() {
            moved.sort_unstable_by_key(|stored| stored.position);
            self.bytes += moved.iter().map(|stored| u64::from(stored.body_len)).sum::<u64>();
            self.with_deadline += moved.iter().filter(|stored| stored.has_deadline()).count();
            let lost = self.on_disk.merge(moved, &self.pages);
            self.count_lost(&lost);
        }
        self.on_disk.page_out(&self.pages);
        if let Some(last) = self.on_disk.back() {
            self.next_position = self.next_position.max(last.position + 1);
        }
    }
}
