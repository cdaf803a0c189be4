//! What a queue drops all at once: by a purge, or when it ends.
//!
//! It is taken out under the queue's lock, which takes no time, and settled and freed when that has been given back;
//! aside from the other work of the thread when there is much of it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::far::Far;
use super::pages::Page;
use super::{Entry, Millis, Queue};
use crate::store::{Place, Runs, Store};

/// Messages from which on nobody else is made to wait until all are freed: less than a millisecond.
const LONG_LEN: usize = if cfg!(test) { 100 } else { 10_000 };

/// Places that the store is told of at once: it takes no others meanwhile.
const SETTLE_LEN: usize = 4096;

/// Messages that wait no longer, and are still to be settled and freed.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    pub(super) near: VecDeque<Entry>,
    pub(super) far: Far,
    pub(super) late: VecDeque<Entry>,
    /// Those that could not be read when all that was around them was dropped.
    pub(super) pages: Vec<Page>,
    /// Those of other priorities.
    pub(super) others: Vec<Emptied>,
}

impl Emptied {
    pub(super) fn len(&self) -> usize {
        let paged = self.pages.iter().map(|page| page.count as usize).sum::<usize>();
        let others = self.others.iter().map(Self::len).sum::<usize>();
        self.near.len() + self.far.len() + self.late.len() + paged + others
    }
}

/// Tells the store of places, many at once.
struct Settling<'a> {
    store: &'a Store,
    slots: Runs,
    len: usize,
}

impl<'a> Settling<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, slots: Runs::default(), len: 0 }
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
    /// Settles and frees what the queue has dropped by `now`.
    pub(super) fn drop_emptied(&self, store: Option<&Arc<Store>>, emptied: Emptied, now: Millis) {
        let is_long = emptied.len() >= LONG_LEN;
        let work = || match store {
            Some(store) => self.settle_emptied(store, emptied, now),
            None => drop(emptied),
        };
        if is_long {
            self.shared.aside.run(work);
        } else {
            work();
        }
    }

    fn settle_emptied(&self, store: &Store, emptied: Emptied, now: Millis) {
        let mut settling = Settling::new(store);
        let mut pages = Vec::new();
        let mut all = vec![emptied];
        while let Some(Emptied { near, far, late, pages: unread, others }) = all.pop() {
            let places = near.into_iter().chain(late).filter_map(|entry| entry.place);
            places.for_each(|place| settling.push(place));
            pages.extend(unread);
            pages.extend(far.take_apart(&mut |place| settling.push(place)));
            all.extend(others);
        }
        settling.tell();
        self.drop_pages(store, &pages, now);
    }

    /// Settles what stood on pages that were dropped, one page after the other so that little is in memory at once.
    pub(super) fn drop_pages(&self, store: &Store, dropped: &[Page], now: Millis) {
        if dropped.is_empty() {
            return;
        }
        let pages = self.lock().ready.pages().clone();
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
            self.drop_later(left, &error, now);
        }
        if lost > 0 {
            self.lock().unreadable += lost;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::broker::queue::fetch::tests::Bench;

    thread_local! {
        static QUEUE: RefCell<Option<Arc<Queue>>> = const { RefCell::new(None) };
        /// How many messages waited when work was run aside.
        static WAITED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    }

    /// The look at the queue would not come back if anybody held its lock.
    #[test]
    fn many_messages_are_freed_aside_and_under_no_lock() {
        let bench = Bench::new();
        bench.queue.shared.aside.set(|work| {
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
        assert_eq!(bench.queue.end(), few + 1);
        assert_eq!(WAITED.with_borrow(Vec::len), 3);
        QUEUE.set(None);
    }
}
