//! Moves messages between a queue and the store: writes them away when memory is short, and reads them before they are
//! delivered.
//!
//! Reading happens on the store's own thread and under no lock, one window at a time for each queue. When it has come,
//! the queue deals to its consumers again.
//!
//! Reading order: `Queue::belongs_on_disk`, `State::ask_to_read` (asks), `Queue::read_ahead` (reads and takes in). If
//! the store cannot read now, `State::try_again` follows by the timer.

use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

use super::backlog::pages::{NOT_KEPT, Page};
use super::backlog::read_ahead::{ReadRequest, ReadResult, UnfilledWindow, UnreadableMessage};
use super::state::{Queue, State};
use crate::broker::arguments::QueueKind;
use crate::broker::entry::Entry;
use crate::broker::message::Message;
use crate::broker::time::Millis;
use crate::bug;
use crate::moment;
use crate::store::{Place, SlotRanges, Store, StoreError};

/// Bytes a queue may have in memory however short that is: a thousand busy queues still fit.
pub(super) const RESIDENT_BYTES_KEPT: u64 = 256 << 10;

impl Queue {
    /// Answers whether only the place of a new message is kept: memory is short and the queue has its share of it, or
    /// messages before it are kept that way.
    #[inline]
    pub(in crate::broker::queue) fn belongs_on_disk(
        &self,
        state: &State,
        place: Option<Place>,
    ) -> bool {
        let is_long = || state.backlog.resident_bytes() > RESIDENT_BYTES_KEPT;
        let is_short = || match place {
            Some(_) => self.shared.memory.is_short(),
            None => self.shared.memory.is_very_short(),
        };
        state.backlog.has_on_disk() || (is_long() && is_short())
    }

    /// Keeps only the place of a message; one that can be written nowhere stays in memory.
    #[inline(never)]
    pub(in crate::broker::queue) fn push_on_disk(&self, state: &mut State, entry: Entry) {
        match entry.place.or_else(|| self.spill(&entry)) {
            Some(place) => state.backlog.push_on_disk(entry, place),
            None => state.backlog.push_back(entry),
        }
    }

    /// Writes a message away that need not survive.
    fn spill(&self, entry: &Entry) -> Option<Place> {
        let queues = [self.settings.id.unwrap_or(NOT_KEPT)];
        // The time of publishing is not needed: the message is gone after a restart.
        let record = entry.message.as_ref()?.to_record(&queues, 0);
        self.shared.store()?.spill(&record).ok()
    }

    /// Has [`Self::read_ahead`] called on the store's thread.
    pub(in crate::broker::queue) fn read_ahead_later(&self, store: &Arc<Store>, now: Millis) {
        self.read_later(store, now, move |queue, store| queue.read_ahead(store, now));
    }

    /// Has something read on the store's thread; after a bug there it is read again, a second later.
    pub(in crate::broker::queue) fn read_later(
        &self,
        store: &Arc<Store>,
        now: Millis,
        read: impl FnOnce(&Arc<Self>, &Store) + Send + 'static,
    ) {
        let this = self.this.clone();
        store.read_later(Box::new(move |store| {
            let Some(queue) = this.upgrade() else { return };
            if bug::contain("a reading of messages", || read(&queue, store)).is_none() {
                queue.read_again(now);
            }
        }));
    }

    /// Reads the messages that are missing at the front and deals them.
    ///
    /// `now` is when that was asked for. That it has passed meanwhile does no harm: a message that expires while it
    /// is read goes when the timer of the queue says so, and one that is delivered in the same millisecond could
    /// as well have been delivered before.
    fn read_ahead(&self, store: &Store, now: Millis) {
        moment::reach("queue.fetch");
        let put_off = self.load_pages().err();
        let is_frugal = self.shared.memory.is_short();
        let (wanted, level) = {
            let mut state = self.lock();
            let has_consumers = state.consumers.len() > 0;
            state.backlog.window(is_frugal, has_consumers)
        };
        let places: Vec<Place> = wanted.iter().map(|wanted| wanted.place).collect();
        let mut found = Vec::with_capacity(wanted.len());
        store.read(&places, &mut |at, read| {
            let Some(&ReadRequest { position, .. }) = wanted.get(at) else { return };
            found.push(ReadResult {
                position,
                read: read.map(|record| Message::from_record(&record)),
            });
        });
        self.take_in(found, level, put_off, now);
    }

    /// Reads the pages that the next window is on, up to one that cannot be read now.
    fn load_pages(&self) -> Result<(), StoreError> {
        let ((missing, level), pages) = {
            let state = self.lock();
            (state.backlog.missing_pages(), state.backlog.pages().clone())
        };
        for page in missing {
            let entries = pages.read(&page)?;
            self.lock().backlog.load(level, &page, entries);
        }
        Ok(())
    }

    /// Takes in messages that were read for a level, and deals. Messages that could not be read now, for `put_off` or
    /// another reason, wait on.
    fn take_in(&self, found: Vec<ReadResult>, level: u8, put_off: Option<StoreError>, now: Millis) {
        let mut state = self.lock();
        let UnfilledWindow { lost, put_off: also } = state.backlog.take_in(level, found);
        match put_off.or(also) {
            Some(error) => state.backlog.put_off(&error, now),
            None => state.backlog.has_read(),
        }
        state.unreadable += lost.len() as u64;
        state.expire(now);
        state.trim(now);
        state.deal(now);
        self.arm(&mut state);
        let readers = state.backlog.take_readers();
        drop(state);
        readers.into_iter().for_each(Waker::wake);
        for UnreadableMessage { place, error } in lost {
            self.log_unreadable(place, &error);
        }
    }

    /// Has a damaged message copied aside, then settles it. It stays in a stream, whose offsets must not change, and if
    /// it cannot be copied.
    #[cold]
    pub(in crate::broker::queue) fn log_unreadable(&self, place: Place, error: &StoreError) {
        let (queue, vhost) = (&self.settings.name, &self.settings.vhost);
        let (Some(store), StoreError::Damaged { .. }) = (self.shared.store(), error) else {
            tracing::error!(%queue, %vhost, ?place, %error, "a message cannot be read");
            return;
        };
        match store.copy_damaged(place) {
            Ok(copy) => {
                let copy = copy.display();
                tracing::error!(%queue, %vhost, %error, %copy,
                    "a message is damaged and cannot be delivered; it may have been confirmed");
                if self.settings.kind != QueueKind::Stream {
                    store.settle(&SlotRanges::from_iter([place]));
                }
            }
            Err(cause) => tracing::error!(%queue, %vhost, %error, %cause,
                "a message is damaged and can be neither delivered nor copied aside; it may have been confirmed"),
        }
    }

    /// Has the messages read again later, because a bug has ended the reading.
    pub(in crate::broker::queue) fn read_again(&self, now: Millis) {
        let mut state = self.lock();
        state.backlog.stop_reading(now);
        if let Some(stream) = state.kind.stream_mut() {
            stream.stop_retiring();
        }
        self.arm(&mut state);
        let readers = state.backlog.take_readers();
        drop(state);
        readers.into_iter().for_each(Waker::wake);
    }

    /// Settles later the messages of dropped pages.
    pub(in crate::broker::queue) fn settle_pages_later(
        &self,
        pages: Vec<Page>,
        error: &StoreError,
        now: Millis,
    ) {
        let mut state = self.lock();
        let queue = self.this.upgrade().map(|queue| queue as Arc<dyn Any + Send + Sync>);
        state.backlog.keep_purged_pages(pages, queue);
        state.backlog.put_off(error, now);
        self.arm(&mut state);
    }
}

impl State {
    /// Asks for the messages that are missing, unless a read is under way or has just failed.
    pub(in crate::broker::queue) fn ask_to_read(&mut self, now: Millis) {
        if self.backlog.begin_reading(now) {
            self.after_unlock.read_ahead(now);
        }
    }

    /// Asks for more when little is left in memory and consumers are quick.
    pub(in crate::broker::queue) fn ask_ahead(&mut self, now: Millis) {
        if self.backlog.is_short_ahead() {
            self.ask_to_read(now);
        }
    }

    /// Does work that has been put off.
    pub(in crate::broker::queue) fn try_again(&mut self, now: Millis) {
        let purged = self.backlog.take_purged_pages();
        self.after_unlock.purged(purged, now);
        self.deal(now);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::broker::message::Layout;
    use crate::broker::queue::backlog::pages::Page;
    use crate::broker::queue::settled::Returned;
    use crate::broker::queue::tests::{Bench, Kept, STARTED, numbers};
    use crate::store::Waiting;

    #[test]
    fn a_backlog_is_read_and_dealt_in_order() {
        let bench = Bench::new();
        let places: Vec<Place> = (0..5_000).map(|number| bench.append(number)).collect();
        bench.recover(places);
        assert_eq!(bench.queue.info().ready_bytes, 5_000 * 1024);
        assert_eq!(bench.resident_bytes(), 0);
        // A new message stands behind those that were there.
        bench.push_kept(5_000);
        bench.subscribe(0);
        let taken = bench.take(5_001);
        assert_eq!(numbers(&taken), (0..5_001).collect::<Vec<_>>());
        assert_eq!(bench.queue.counts().ready, 0);
    }

    #[test]
    fn no_more_is_read_than_consumers_are_about_to_get() {
        let bench = Bench::new();
        let places: Vec<Place> = (0..20_000).map(|number| bench.append(number)).collect();
        bench.recover(places);
        bench.subscribe(10);
        assert_eq!(numbers(&bench.take(10)), (0..10).collect::<Vec<_>>());
        assert!(bench.resident_bytes() < 3 << 20, "{} bytes", bench.resident_bytes());
    }

    #[test]
    fn without_memory_messages_leave_it_and_come_back_in_order() {
        for is_kept in [true, false] {
            let bench = Bench::new();
            bench.queue.shared.memory.report(0, 1 << 30);
            for number in 0..2_000 {
                if is_kept {
                    bench.push_kept(number);
                } else {
                    _ = bench.queue.push(Bench::message(number), None, 0);
                }
            }
            assert_eq!(bench.queue.info().ready, 2_000);
            let resident_bytes = bench.resident_bytes();
            assert!(resident_bytes < RESIDENT_BYTES_KEPT + 2_000, "{resident_bytes} bytes");
            bench.subscribe(0);
            let taken = bench.take(2_000);
            assert_eq!(numbers(&taken), (0..2_000).collect::<Vec<_>>(), "kept: {is_kept}");
        }
    }

    #[test]
    fn what_comes_back_without_its_message_is_read_again_and_keeps_its_place() {
        let bench = Bench::new();
        (0..100).for_each(|number| bench.push_kept(number));
        let consumer = bench.subscribe(10);
        let mut taken = bench.take(10);
        taken.retain(|entry| Bench::number(entry).is_multiple_of(2));
        bench.queue.unsubscribe(consumer, 0);
        let returned = taken.into_iter().map(|mut entry| {
            entry.forget_message();
            entry.redelivered = true;
            Returned { entry, consumer: Some(consumer), no_ack: false, has_failed: false }
        });
        bench.queue.put_back(returned.collect(), 0);
        let (first, left) = bench.get(false, 0).unwrap();
        assert_eq!((Bench::number(&first), first.redelivered, left), (0, true, 94));
        bench.subscribe(0);
        let taken = bench.take(94);
        let redelivered = taken.iter().map(|entry| entry.redelivered).collect::<Vec<_>>();
        assert_eq!(numbers(&taken)[..6], [2, 4, 6, 8, 10, 11]);
        assert_eq!(redelivered[..6], [true, true, true, true, false, false]);
    }

    #[test]
    fn a_long_backlog_is_on_pages_and_dropped_from_them() {
        let bench = Bench::new();
        let places: Vec<Place> = (0..3_000).map(|number| bench.append(number)).collect();
        bench.recover(places);
        assert!(bench.queue.lock().backlog.missing_pages().0.len() < 10);
        assert_eq!(bench.get(true, 0).map(|(_, left)| left), Some(2_999));
        for number in 1..200 {
            let (entry, _) = bench.get(false, 0).unwrap();
            assert_eq!(Bench::number(&entry), number);
        }
        assert_eq!(bench.queue.purge(), 2_800);
        (3_000..3_003).for_each(|number| bench.push_kept(number));
        let info = bench.queue.info();
        assert_eq!((info.ready, info.ready_bytes, info.unreadable), (3, 3 * 1024, 0));

        // The first was given away and not settled here.
        let found = bench.reopened();
        assert_eq!(found.0.len(), 203);
        assert!(found.0.iter().skip(1).take(199).all(|waiting| waiting.redelivered));
    }

    #[test]
    fn messages_expire_on_pages_too() {
        let bench = Bench::new();
        for sequence in 0..1_000 {
            let waiting = Waiting {
                place: bench.append(u32::try_from(sequence).unwrap()),
                sequence,
                published_at: STARTED.unix_ms,
                time_to_live_ms: Some(sequence),
                priority: None,
                redelivered: false,
                counts: None,
                body_len: 1024,
            };
            bench.queue.recover(&waiting, STARTED);
        }
        bench.queue.recovered(STARTED);
        let has_expired = |now| {
            let deadline = bench.queue.lock().backlog.front_deadline();
            deadline.is_some_and(|deadline| deadline <= now)
        };
        // They go in pieces: the lock is held, so that the reading thread goes on with none of them.
        let mut state = bench.queue.lock();
        state.expire(500);
        assert!(state.backlog.has_expired(500));
        drop(state);
        while has_expired(500) {
            assert!(!bench.queue.on_time(500));
        }
        assert_eq!(bench.queue.counts().ready, 499);
        // The next `basic.get` does not wait for the timer.
        assert_eq!(bench.get(true, 600).map(|(entry, _)| Bench::number(&entry)), Some(601));
        while has_expired(1_000) {
            assert!(!bench.queue.on_time(1_000));
        }
        assert_eq!(bench.queue.info().ready_bytes, 0);
    }

    #[test]
    fn messages_on_a_page_that_cannot_be_read_are_counted_and_hold_up_no_other() {
        let bench = Bench::new();
        let places: Vec<Place> = (0..200).map(|number| bench.append(number)).collect();
        bench.recover(places);
        let page = bench.queue.lock().backlog.missing_pages().0.first().copied();
        assert_eq!(page, None, "the front is in memory");
        (0..10).for_each(|_| assert!(bench.get(true, 0).is_some()));
        let (missing, level) = bench.queue.lock().backlog.missing_pages();
        let page = missing[0];
        bench.queue.lock().backlog.load(level, &page, None);
        let info = bench.queue.info();
        assert_eq!((info.unreadable, info.ready), (page.count.into(), 190 - u64::from(page.count)));
        bench.subscribe(0);
        let taken = numbers(&bench.take(190 - page.count as usize));
        assert!(taken.is_sorted());
        let nowhere = NonZeroU32::new(77_777).unwrap();
        let gone = Page { place: Place { file: nowhere, ..page.place }, ..page };
        bench.queue.drop_pages(&bench.store, &[gone], 0);
        assert_eq!(bench.queue.info().unreadable, 2 * u64::from(page.count));
    }

    #[test]
    fn a_message_that_cannot_be_read_is_counted_and_holds_up_no_other() {
        let bench = Bench::new();
        let nowhere = |number| {
            let place = bench.append(number);
            Place { offset: place.offset + 1, ..place }
        };
        let places = [nowhere(0), bench.append(1), nowhere(2), bench.append(3), nowhere(4)];
        bench.recover(places);
        let (first, left) = bench.get(true, 0).unwrap();
        // All that is read with it is known by then.
        assert_eq!((Bench::number(&first), left), (1, 1));
        assert_eq!(bench.queue.info().unreadable, 3);
        bench.subscribe(0);
        assert_eq!(numbers(&bench.take(1)), [3]);
        assert_eq!(bench.get(true, 0).map(|(entry, _)| Bench::number(&entry)), None);
        let info = bench.queue.info();
        assert_eq!((info.ready, info.unacked, info.unreadable), (0, 1, 3));
    }

    #[test]
    fn a_message_that_was_settled_already_is_passed_over() {
        let bench = Bench::new();
        let gone = Place { file: NonZeroU32::new(77_777).unwrap(), slot: 0, offset: 64 };
        bench.recover([gone, bench.append(1), gone, bench.append(3)]);
        assert_eq!(bench.get(true, 0).map(|(entry, _)| Bench::number(&entry)), Some(1));
        bench.subscribe(0);
        assert_eq!(numbers(&bench.take(1)), [3]);
        let info = bench.queue.info();
        assert_eq!((info.ready, info.unacked, info.unreadable), (0, 1, 0));
    }

    #[test]
    fn what_expired_while_the_broker_was_down_is_not_delivered() {
        let bench = Bench::new();
        let ages_and_ttls = [(5_000, Some(4_000)), (5_000, Some(6_000)), (5_000, None)];
        for (sequence, (age_ms, time_to_live_ms)) in (0..).zip(ages_and_ttls) {
            let waiting = Waiting {
                place: bench.append(u32::try_from(sequence).unwrap()),
                sequence,
                published_at: STARTED.unix_ms - age_ms,
                time_to_live_ms,
                priority: None,
                redelivered: false,
                counts: None,
                body_len: 1024,
            };
            bench.queue.recover(&waiting, STARTED);
        }
        bench.queue.recovered(STARTED);
        assert_eq!(bench.queue.counts().ready, 2);
        assert_eq!(bench.get(true, 999).map(|(entry, _)| Bench::number(&entry)), Some(1));
        assert!(!bench.queue.on_time(1_000));
        assert_eq!(bench.get(true, 1_000).map(|(entry, _)| Bench::number(&entry)), Some(2));
    }

    #[test]
    fn the_next_broker_is_given_what_was_neither_dropped_nor_settled() {
        let bench = Bench::new();
        (0..4).for_each(|number| bench.push_kept(number));
        assert_eq!(bench.queue.purge(), 4);
        let message = Bench::message(4);
        let short_lived = Message::new(
            Layout { time_to_live_ms: Some(10), ..Layout::default() },
            &mut message.body().to_vec(),
        );
        _ = bench.queue.push(short_lived, Some(bench.append(4)), 0);
        assert!(!bench.queue.on_time(10));
        (5..8).for_each(|number| bench.push_kept(number));
        let (delivered, _) = bench.get(false, 10).unwrap();
        assert_eq!(Bench::number(&delivered), 5);
        bench.store.close();

        let mut found = Kept::default();
        let (store, _) = Store::open(bench.directory.path(), &mut found).unwrap();
        let mut numbers = Vec::new();
        let places: Vec<Place> = found.0.iter().map(|waiting| waiting.place).collect();
        store.read(&places, &mut |_, record| numbers.push(record.unwrap().bytes[3]));
        store.close();
        assert_eq!(numbers, [5, 6, 7]);
        let redelivered: Vec<bool> = found.0.iter().map(|waiting| waiting.redelivered).collect();
        assert_eq!(redelivered, [true, false, false]);
    }
}

#[cfg(test)]
mod retry_tests {
    use std::task::Waker;
    use std::thread;

    use super::*;
    use crate::broker::message::Layout;
    use crate::broker::message::Message;
    use crate::broker::queue::backlog::pages::tests::wait_for_file;
    use crate::broker::queue::backlog::read_retry::RETRY_AFTER_MS;
    use crate::broker::queue::settled::Settled;
    use crate::broker::queue::tests::{Bench, numbers};
    use crate::store::Place;
    use crate::wire::ReplyCode;

    impl Bench {
        /// Takes a folder away, so that its files cannot be opened.
        fn take_away(&self, folder: &str) {
            let path = self.directory.path();
            wait_for_file(&path.join(folder));
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
            _ = self.queue.push(Message::new(layout, &mut vec![0; 10]), None, 0);
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

        let refused = bench.queue.get_waiting(false, 0).unwrap_err();
        assert_eq!(refused.code, ReplyCode::ResourceError);
        let info = bench.queue.info();
        assert_eq!((info.ready, info.unacked, info.counters.get), (20, 0, 0));
        assert_eq!(bench.next_timer(), Some(RETRY_AFTER_MS));

        // A consumer's turn comes with the timer, and not before.
        bench.subscribe(0);
        assert!(!bench.queue.lock().backlog.is_reading());
        assert!(!bench.queue.on_time(RETRY_AFTER_MS));
        while bench.queue.lock().backlog.is_reading() {
            thread::yield_now();
        }
        let info = bench.queue.info();
        assert_eq!((info.ready, info.unacked, info.unreadable), (20, 0, 0));
        assert_eq!(bench.queue.lock().timer_at, Some(2 * RETRY_AFTER_MS));

        bench.bring_back("messages");
        assert!(!bench.queue.on_time(2 * RETRY_AFTER_MS));
        assert_eq!(numbers(&bench.take(20)), (0..20).collect::<Vec<_>>());
        assert!(!bench.queue.lock().backlog.is_failing());
    }

    #[test]
    fn what_was_dropped_on_pages_that_cannot_be_read_is_settled_later() {
        let bench = Bench::new();
        let places: Vec<Place> = (0..3_000).map(|number| bench.append(number)).collect();
        bench.recover(places);
        let last = bench.queue.lock().backlog.last_page();
        bench.take_away("spill");
        bench.wait_until_unreadable(last.place);
        assert_eq!(bench.queue.delete(), 3_000);
        while bench.queue.lock().backlog.purged_pages_len() < 2 {
            thread::yield_now();
        }
        assert!(Arc::strong_count(&bench.queue) > 1, "nobody would be there to try again");

        bench.bring_back("spill");
        let at = bench.next_timer().unwrap();
        assert!(!bench.queue.on_time(at));
        assert_eq!(bench.queue.lock().backlog.purged_pages_len(), 0);
        while Arc::strong_count(&bench.queue) > 1 {
            thread::yield_now();
        }
        assert_eq!(bench.queue.info().unreadable, 0);
        let found = bench.reopened();
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
