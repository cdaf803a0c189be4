//! What could not be read now, though nothing says that it is damaged: a process with too many files open, a disk that
//! does not answer.
//!
//! Nothing is taken out for it. The queue's timer has it tried again after [`RETRY_AFTER_MS`], and until then nobody
//! but a `basic.get` tries. Begin with [`State::put_off`].

use std::sync::Arc;

use super::emptied::Emptied;
use super::pages::Page;
use super::{Millis, Queue, State};
use crate::store::StoreError;

/// Long enough that a failing disk is not kept busy by it, short enough for who waits.
const RETRY_AFTER_MS: Millis = 1_000;

/// When reading is tried again, and what beside the front.
#[derive(Debug, Default)]
pub(super) struct Retry {
    pub(super) at: Option<Millis>,
    /// The last reading failed, which has been logged.
    pub(super) is_failing: bool,
    /// Pages that were dropped, and have not been read for what is to be settled.
    undropped: Vec<Page>,
    /// Keeps a deleted queue until they have been.
    kept: Option<Arc<Queue>>,
}

impl Retry {
    /// Whether it is too early to try again.
    #[inline]
    pub(super) fn is_put_off(&self, now: Millis) -> bool {
        self.at.is_some_and(|at| now < at)
    }

    /// Whether it is time to try again, and no longer after this.
    pub(super) fn take_due(&mut self, now: Millis) -> bool {
        let is_due = self.at.is_some_and(|at| at <= now);
        if is_due {
            self.at = None;
        }
        is_due
    }
}

impl State {
    /// Has reading tried again later; the caller sees to the timer. Logs the first failure of a row.
    pub(super) fn put_off(&mut self, error: &StoreError, now: Millis) {
        if !self.retry.is_failing {
            self.ready.pages().log_put_off(error);
        }
        self.retry.is_failing = true;
        self.retry.at = Some(now.saturating_add(RETRY_AFTER_MS));
    }

    /// Does what has been put off.
    pub(super) fn try_again(&mut self, now: Millis) {
        let pages = std::mem::take(&mut self.retry.undropped);
        self.errands.emptied(Emptied { pages, ..Emptied::default() }, now);
        self.retry.kept = None;
        self.deal(now);
    }

    /// Whether the first message is on a page that could not be read a moment ago.
    #[inline]
    pub(super) fn is_front_put_off(&self, now: Millis) -> bool {
        self.retry.is_put_off(now) && self.ready.is_front_paged()
    }

    /// When a message expires next, as far as that can be acted on.
    pub(super) fn next_expiry(&self) -> Option<Millis> {
        let is_put_off = self.retry.at.is_some() && self.ready.is_front_paged();
        self.ready.front_deadline().filter(|&at| at != Millis::MAX && !is_put_off)
    }
}

impl Queue {
    /// Settles later what stood on dropped pages.
    pub(super) fn drop_later(&self, pages: Vec<Page>, error: &StoreError, now: Millis) {
        let mut state = self.lock();
        state.retry.undropped.extend(pages);
        state.retry.kept = self.this.upgrade();
        state.put_off(error, now);
        self.arm(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::thread;

    use super::*;
    use crate::broker::message::Layout;
    use crate::broker::queue::fetch::tests::{Bench, Kept, numbers};
    use crate::broker::queue::{Message, Settled};
    use crate::store::{Place, Store};
    use crate::wire::ReplyCode;

    impl Bench {
        /// Takes a folder away, so that its files cannot be opened.
        fn take_away(&self, folder: &str) {
            let path = self.directory.path();
            std::fs::rename(path.join(folder), path.join("away")).unwrap();
        }

        fn bring_back(&self, folder: &str) {
            let path = self.directory.path();
            std::fs::rename(path.join("away"), path.join(folder)).unwrap();
        }

        /// Waits until the message is no longer in memory on its way to the disk.
        fn wait_until_unreadable(&self, place: Place) {
            let mut can_read = true;
            while can_read {
                self.store.read(&[place], &mut |_, read| can_read = read.is_ok());
                thread::yield_now();
            }
        }

        fn push_mortal(&self, time_to_live_ms: u64) {
            let layout = Layout { time_to_live_ms: Some(time_to_live_ms), ..Layout::default() };
            self.queue.push(Message::new(layout, &mut vec![0; 10]), None, 0);
        }

        fn next_timer(&self) -> Option<Millis> {
            self.queue.shared.timers.next(Waker::noop())
        }
    }

    #[test]
    fn messages_that_cannot_be_read_now_wait_and_are_tried_again() {
        let bench = Bench::new();
        let places: Vec<Place> = (0..20).map(|number| bench.append(number)).collect();
        bench.recover(places.clone());
        bench.take_away("messages");
        bench.wait_until_unreadable(places[19]);

        let refused = bench.queue.get(false, 0).unwrap_err();
        assert_eq!(refused.code, ReplyCode::ResourceError);
        let info = bench.queue.info();
        assert_eq!((info.ready, info.unacked, info.counters.get), (20, 0, 0));
        assert_eq!(bench.next_timer(), Some(RETRY_AFTER_MS));

        // A consumer's turn comes with the timer, and not before.
        bench.subscribe(0);
        assert!(!bench.queue.lock().is_fetching);
        assert!(!bench.queue.on_time(RETRY_AFTER_MS));
        while bench.queue.lock().is_fetching {
            thread::yield_now();
        }
        let info = bench.queue.info();
        assert_eq!((info.ready, info.unacked, info.unreadable), (20, 0, 0));
        assert_eq!(bench.queue.lock().timer_at, Some(2 * RETRY_AFTER_MS));

        bench.bring_back("messages");
        assert!(!bench.queue.on_time(2 * RETRY_AFTER_MS));
        assert_eq!(numbers(&bench.take(20)), (0..20).collect::<Vec<_>>());
        assert!(!bench.queue.lock().retry.is_failing);
    }

    #[test]
    fn what_was_dropped_on_pages_that_cannot_be_read_is_settled_later() {
        let bench = Bench::new();
        let places: Vec<Place> = (0..3_000).map(|number| bench.append(number)).collect();
        bench.recover(places);
        let last = bench.queue.lock().ready.last_page();
        bench.take_away("spill");
        bench.wait_until_unreadable(last.place);
        assert_eq!(bench.queue.end(), 3_000);
        let undropped = bench.queue.lock().retry.undropped.len();
        assert!(undropped > 1, "{undropped} pages");
        assert!(Arc::strong_count(&bench.queue) > 1, "nobody would be there to try again");

        bench.bring_back("spill");
        let at = bench.next_timer().unwrap();
        assert!(!bench.queue.on_time(at));
        assert!(bench.queue.lock().retry.undropped.is_empty());
        assert_eq!(Arc::strong_count(&bench.queue), 1);
        assert_eq!(bench.queue.info().unreadable, 0);
        bench.store.close();
        let mut found = Kept::default();
        let (store, _) = Store::open(bench.directory.path(), &mut found).unwrap();
        store.close();
        assert_eq!(found.0.len(), 0);
    }

    #[test]
    fn whoever_takes_a_message_in_front_of_a_mortal_one_sets_the_timer() {
        let bench = Bench::new();
        bench.push_kept(0);
        bench.push_mortal(10);
        assert_eq!(bench.next_timer(), None);
        assert!(bench.get(true, 0).is_some());
        assert_eq!(bench.next_timer(), Some(10));

        let bench = Bench::new();
        bench.push_kept(0);
        bench.push_mortal(10);
        bench.subscribe(1);
        assert_eq!(bench.next_timer(), Some(10));

        let bench = Bench::new();
        (0..2).for_each(|number| bench.push_kept(number));
        bench.push_mortal(10);
        let consumer = bench.subscribe(1);
        assert_eq!(bench.next_timer(), None);
        bench.queue.settle(Some(consumer), Settled { count: 1, bytes: 1024, is_ack: true }, 0);
        assert_eq!(bench.next_timer(), Some(10));
    }
}
