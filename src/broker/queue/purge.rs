//! Settles and frees what a queue has dropped all at once, under no lock.
//!
//! If there is much of it, that is done aside from the other work of the thread; what is on pages is read on the
//! store's reading thread.

use std::sync::Arc;

use super::backlog::pages::Page;
use super::backlog::purge::Purged;
use super::counts::count_u32;
use super::state::{Queue, State};
use crate::broker::time::Millis;
use crate::store::{Place, SlotRanges, Store};

/// The number of dropped messages from which on they are freed aside, so that no other work waits for it: less of them
/// take under a millisecond.
const LONG_LEN: usize = if cfg!(test) { 100 } else { 10_000 };

/// Places that the store is told of at once: it takes no others meanwhile.
const SETTLE_LEN: usize = 4096;

/// Tells the store of places, many at once.
struct Settling<'a> {
    store: &'a Store,
    slots: SlotRanges,
    len: usize,
}

impl<'a> Settling<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, slots: SlotRanges::default(), len: 0 }
    }

    fn push(&mut self, place: Place) {
        self.slots.push(place);
        self.len += 1;
        if self.len == SETTLE_LEN {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.len = 0;
        if !self.slots.is_empty() {
            self.store.settle(&std::mem::take(&mut self.slots));
        }
    }
}

impl Queue {
    /// Drops every ready message; answers how many.
    pub fn purge(&self) -> u32 {
        self.lock().drop_all()
    }

    /// Settles and frees the messages that the queue has dropped by `now`.
    pub(in crate::broker::queue) fn drop_purged(
        &self,
        store: Option<&Arc<Store>>,
        purged: Purged,
        now: Millis,
    ) {
        let is_long = purged.len() >= LONG_LEN;
        let work = || match store {
            Some(store) => self.settle_purged(store, purged, now),
            None => drop(purged),
        };
        if is_long {
            self.shared.blocking.run(work);
        } else {
            work();
        }
    }

    fn settle_purged(&self, store: &Store, purged: Purged, now: Millis) {
        let mut settling = Settling::new(store);
        let pages = purged.take_apart(&mut |place| settling.push(place));
        settling.tell();
        if pages.is_empty() {
            return;
        }
        if let (Some(store), Some(queue)) = (self.shared.store(), self.this.upgrade()) {
            // A deleted queue stays until then.
            store.read_later(Box::new(move |store| queue.drop_pages(store, &pages, now)));
        }
    }

    /// Settles the messages of dropped pages, one page after the other so that little is in memory at once.
    pub(in crate::broker::queue) fn drop_pages(
        &self,
        store: &Store,
        dropped: &[Page],
        now: Millis,
    ) {
        if dropped.is_empty() {
            return;
        }
        let pages = self.lock().backlog.pages().clone();
        let mut lost = 0;
        let (mut left, mut put_off) = (Vec::new(), None);
        for page in dropped {
            match pages.read(page) {
                Ok(Some(entries)) => {
                    store.settle(&entries.iter().map(|stored| stored.place).collect());
                }
                Ok(None) => lost += u64::from(page.count),
                Err(error) => {
                    left.push(*page);
                    put_off = Some(error);
                    continue;
                }
            }
            pages.settle(page);
        }
        if let Some(error) = put_off {
            self.settle_pages_later(left, &error, now);
        }
        if lost > 0 {
            self.lock().unreadable += lost;
        }
    }
}

impl State {
    /// Drops every waiting message and returns their number, which is 0 for a stream.
    pub(super) fn drop_all(&mut self) -> u32 {
        if let Some(stream) = self.kind.stream_mut() {
            let purged = stream.drop_all();
            self.after_unlock.purged(purged, self.used_at);
            return 0;
        }
        let purged = self.backlog.purge();
        let count = count_u32(purged.len());
        self.after_unlock.purged(purged, self.used_at);
        count.saturating_add(self.drop_delayed_retry()).saturating_add(self.drop_letters())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::broker::queue::tests::Bench;

    thread_local! {
        static QUEUE: RefCell<Option<Arc<Queue>>> = const { RefCell::new(None) };
        /// The number of messages that waited when work was run aside.
        static WAITED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    }

    /// The look at the queue would not come back if any thread held its lock.
    #[test]
    fn many_messages_are_freed_aside_and_under_no_lock() {
        let bench = Bench::new();
        bench.queue.shared.blocking.set(|work| {
            let waiting = QUEUE.with_borrow(|queue| queue.as_ref().unwrap().counts().ready);
            WAITED.with_borrow_mut(|waited| waited.push(waiting));
            work();
        });
        QUEUE.set(Some(Arc::clone(&bench.queue)));
        let few = u32::try_from(LONG_LEN).unwrap() - 1;
        for (count, aside) in [(few, 0), (few + 1, 1), (2 * few, 2)] {
            (0..count).for_each(|number| bench.push_kept(number));
            assert_eq!(bench.queue.purge(), count);
            assert_eq!(WAITED.with_borrow(Vec::clone), vec![0; aside], "{count} messages");
        }
        (0..=few).for_each(|number| bench.push_kept(number));
        assert_eq!(bench.queue.delete(), few + 1);
        assert_eq!(WAITED.with_borrow(Vec::len), 3);
        QUEUE.set(None);
    }
}
