//! Between a queue and the store: what is written away when memory is short, and read again before it is delivered.
//!
//! Reading happens on the store's own thread and under no lock; one window at a time for each queue. The consumers
//! are dealt to again when it has come.
//!
//! Reading order: `Queue::belongs_far`, `State::fetch` (asks), [`Queue::fetch`] (reads and takes in).

use std::sync::Arc;

use super::pages::NOT_KEPT;
use super::window::{Filled, Found, Lost, Wanted};
use super::{Entry, Millis, Queue, State};
use crate::broker::message::Message;
use crate::store::{Place, Store, StoreError};

/// Bytes a queue may have in memory however short that is: a thousand busy queues still fit.
pub(super) const RESIDENT_BYTES_KEPT: u64 = 256 << 10;

/// How much is read ahead of the consumers of a queue.
struct ReadAhead {
    /// Bytes of messages in memory below which more are read.
    low: u64,
    /// Bytes of bodies that are read at once.
    window: u64,
}

/// What a fast consumer takes while the next window is read, and reads that are long enough to be sequential ones.
const GENEROUS: ReadAhead = ReadAhead { low: 512 << 10, window: 1 << 20 };

/// While memory is short, that is with many busy queues.
const FRUGAL: ReadAhead = ReadAhead { low: 64 << 10, window: 128 << 10 };

impl Queue {
    /// Whether a new message is to be kept as a place only: memory is short and the queue has its share of it, or
    /// others stand before it that way.
    #[inline]
    pub(super) fn belongs_far(&self, state: &State, place: Option<Place>) -> bool {
        let is_long = || state.resident_bytes() > RESIDENT_BYTES_KEPT;
        let is_short = || match place {
            Some(_) => self.shared.memory.is_short(),
            None => self.shared.memory.is_very_short(),
        };
        state.ready.has_far() || (is_long() && is_short())
    }

    /// Keeps only the place of a message; one that can be written nowhere stays in memory.
    #[inline(never)]
    pub(super) fn push_far(&self, state: &mut State, entry: Entry) {
        match entry.place.or_else(|| self.spill(&entry)) {
            Some(place) => state.ready.push_far(entry, place),
            None => state.ready.push_back(entry),
        }
    }

    /// Writes a message away that need not survive.
    fn spill(&self, entry: &Entry) -> Option<Place> {
        let queues = [self.settings.id.unwrap_or(NOT_KEPT)];
        // Nobody will ask when it was published: it is gone after a restart.
        let record = entry.message.as_ref()?.to_record(&queues, 0);
        self.shared.store()?.spill(&record).ok()
    }

    /// Has [`Self::fetch`] called on the store's thread.
    pub(super) fn fetch_later(&self, store: &Arc<Store>, now: Millis) {
        let this = self.this.clone();
        store.read_later(Box::new(move |store| {
            if let Some(queue) = this.upgrade() {
                queue.fetch(store, now);
            }
        }));
    }

    /// Reads what is missing at the front and deals it.
    ///
    /// `now` is when that was asked for. That it has passed meanwhile does no harm: a message that expires while it
    /// is read goes when the timer of the queue says so, and one that is delivered in the same millisecond could
    /// as well have been delivered before.
    fn fetch(&self, store: &Store, now: Millis) {
        let put_off = self.load_pages().err();
        let is_frugal = self.shared.memory.is_short();
        let (wanted, level) = {
            let mut state = self.lock();
            state.is_frugal = is_frugal;
            (state.ready.window(read_ahead(is_frugal).window), state.ready.level())
        };
        let places: Vec<Place> = wanted.iter().map(|wanted| wanted.place).collect();
        let mut found = Vec::with_capacity(wanted.len());
        store.read(&places, &mut |at, read| {
            let Some(&Wanted { position, .. }) = wanted.get(at) else { return };
            found.push(Found { position, read: read.map(|record| Message::from_record(&record)) });
        });
        self.take_in(found, level, put_off, now);
    }

    /// Reads the pages that the next window is on, up to one that cannot be read now.
    fn load_pages(&self) -> Result<(), StoreError> {
        let (missing, level, pages) = {
            let state = self.lock();
            let missing = state.ready.missing_pages();
            if missing.is_empty() {
                return Ok(());
            }
            (missing, state.ready.level(), state.ready.pages().clone())
        };
        for page in missing {
            let entries = pages.read(&page)?;
            let mut state = self.lock();
            state.turn_to(level);
            state.ready.load(&page, entries);
            state.bring_up();
        }
        Ok(())
    }

    /// Takes in what was read of a level, and deals. What could not be read now, for `put_off` or another reason, waits on.
    fn take_in(&self, found: Vec<Found>, level: u8, put_off: Option<StoreError>, now: Millis) {
        let mut state = self.lock();
        state.is_fetching = false;
        state.turn_to(level);
        let Filled { lost, put_off: also } = state.ready.fill(found);
        state.bring_up();
        match put_off.or(also) {
            Some(error) => state.put_off(&error, now),
            None => state.retry.is_failing = false,
        }
        state.unreadable += lost.len() as u64;
        state.deal(now);
        self.arm(&mut state);
        drop(state);
        for Lost { place, error } in lost {
            self.log_unreadable(place, &error);
        }
    }

    /// The record stays where it is, unsettled: it is not the broker that throws it away.
    #[cold]
    pub(super) fn log_unreadable(&self, place: Place, error: &StoreError) {
        let (queue, vhost) = (&self.settings.name, &self.settings.vhost);
        tracing::error!(%queue, %vhost, ?place, %error, "a message cannot be read");
    }
}

fn read_ahead(is_frugal: bool) -> &'static ReadAhead {
    if is_frugal { &FRUGAL } else { &GENEROUS }
}

impl State {
    /// Asks for what is missing, unless that is under way or has just failed.
    pub(super) fn fetch(&mut self, now: Millis) {
        if !self.is_fetching && !self.retry.is_put_off(now) {
            self.is_fetching = true;
            self.errands.fetch(now);
        }
    }

    /// Asks for more when little is left in memory and consumers are quick.
    pub(super) fn fetch_ahead(&mut self, now: Millis) {
        if self.ready.resident_bytes() < read_ahead(self.is_frugal).low {
            self.fetch(now);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::VecDeque;
    use std::num::NonZeroU32;
    use std::sync::Mutex;
    use std::task::{Wake, Waker};
    use std::thread::{self, Thread};

    use super::*;
    use crate::broker::arguments::QueueArguments;
    use crate::broker::mailbox::{ConsumerSlot, Mailbox, Post, Waiting as Mail};
    use crate::broker::message::Layout;
    use crate::broker::queue::pages::Page;
    use crate::broker::queue::{ConsumerId, Returned, Settings, Shared, StartedAt, Subscription};
    use crate::store::{QueueId, Recovered, Spill, Waiting};
    use crate::wire::FieldTable;
    use crate::wire::shortstr::literal;

    const ID: QueueId = QueueId(1);
    const STARTED: StartedAt = StartedAt { now: 0, unix_ms: 1_000_000 };

    /// What a directory holds.
    #[derive(Default)]
    pub(in crate::broker::queue) struct Kept(
        pub(in crate::broker::queue) Vec<Waiting>,
        Option<Arc<Spill>>,
    );

    impl Recovered for Kept {
        fn on_spill(&mut self, spill: &Arc<Spill>) {
            self.1 = Some(Arc::clone(spill));
        }

        fn is_known(&self, _: QueueId) -> bool {
            true
        }

        fn on_waiting(&mut self, _: QueueId, waiting: Waiting) {
            self.0.push(waiting);
        }
    }

    struct Bell(Thread);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn bell() -> Waker {
        Waker::from(Arc::new(Bell(thread::current())))
    }

    /// A queue of a broker with a store, and one connection that consumes from it.
    pub(in crate::broker::queue) struct Bench {
        pub(in crate::broker::queue) store: Arc<Store>,
        pub(in crate::broker::queue) queue: Arc<Queue>,
        mailbox: Arc<Mailbox>,
        consumers: Mutex<Vec<ConsumerId>>,
        pub(in crate::broker::queue) directory: tempfile::TempDir,
    }

    impl Bench {
        pub(in crate::broker::queue) fn new() -> Self {
            Self::of(QueueArguments::default())
        }

        pub(in crate::broker::queue) fn of(wanted: QueueArguments) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let mut found = Kept::default();
            let (store, _) = Store::open(directory.path(), &mut found).unwrap();
            let store = Arc::new(store);
            let shared = Shared::default();
            shared.store.set(Arc::clone(&store)).unwrap();
            shared.spill.set(found.1.unwrap()).unwrap();
            let settings = Settings {
                id: Some(ID),
                name: literal("q"),
                vhost: literal("/"),
                is_durable: true,
                is_auto_delete: false,
                exclusive_owner: None,
                arguments: FieldTable::new(),
                wanted,
            };
            let queue = Queue::new(settings, shared, 0);
            let (mailbox, consumers) = (Arc::default(), Mutex::default());
            Self { store, queue, mailbox, consumers, directory }
        }

        /// All messages have bodies of 1 KiB that begin with their number.
        pub(in crate::broker::queue) fn message(number: u32) -> Message {
            let mut bytes = number.to_be_bytes().to_vec();
            bytes.resize(1024, 0);
            Message::new(Layout::default(), &mut bytes)
        }

        pub(in crate::broker::queue) fn number(entry: &Entry) -> u32 {
            u32::from_be_bytes(entry.message().body()[..4].try_into().unwrap())
        }

        pub(in crate::broker::queue) fn append(&self, number: u32) -> Place {
            let message = Self::message(number);
            self.store.append(&message.to_record(&[ID], 0)).unwrap().first
        }

        pub(in crate::broker::queue) fn push_kept(&self, number: u32) {
            self.queue.push(Self::message(number), Some(self.append(number)), 0);
        }

        pub(in crate::broker::queue) fn recover(&self, places: impl IntoIterator<Item = Place>) {
            for (sequence, place) in (100..).zip(places) {
                let waiting = Waiting {
                    place,
                    sequence,
                    published_at: STARTED.unix_ms,
                    time_to_live_ms: None,
                    priority: 0,
                    redelivered: false,
                    body_len: 1024,
                };
                self.queue.recover(&waiting, STARTED);
            }
            self.queue.recovered(STARTED);
        }

        pub(in crate::broker::queue) fn subscribe(&self, prefetch: u32) -> ConsumerId {
            let subscription = Subscription {
                tag: literal("c"),
                connection: "c".into(),
                channel: 1,
                slot: ConsumerSlot(0),
                mailbox: Arc::clone(&self.mailbox),
                limit: Arc::default(),
                prefetch,
                no_ack: false,
                exclusive: false,
                arguments: FieldTable::new(),
            };
            let id = self.queue.subscribe(subscription, 0).unwrap();
            self.consumers.lock().unwrap().push(id);
            id
        }

        /// Waits for that many deliveries.
        pub(in crate::broker::queue) fn take(&self, count: usize) -> Vec<Entry> {
            let (mut taken, mut posts) = (Vec::new(), VecDeque::new());
            while taken.len() < count {
                if self.mailbox.register(&bell()) == Mail::Nothing {
                    thread::park();
                }
                let drained = self.mailbox.drain(&mut posts);
                for post in posts.drain(..) {
                    let Post::Delivery { entry, .. } = post else { panic!("{post:?}") };
                    taken.push(entry);
                }
                if !drained.turned_away.is_empty() {
                    self.queue.resume(self.consumers.lock().unwrap().iter().copied(), 0);
                }
            }
            taken
        }

        pub(in crate::broker::queue) fn get(
            &self,
            no_ack: bool,
            now: Millis,
        ) -> Option<(Entry, u32)> {
            self.queue.get(no_ack, now).unwrap()
        }

        fn resident_bytes(&self) -> u64 {
            self.queue.lock().ready.resident_bytes()
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            self.store.close();
        }
    }

    pub(in crate::broker::queue) fn numbers(entries: &[Entry]) -> Vec<u32> {
        entries.iter().map(Bench::number).collect()
    }

    #[test]
    fn a_backlog_is_read_and_dealt_in_order() {
        let bench = Bench::new();
        let places: Vec<Place> = (0..5_000).map(|number| bench.append(number)).collect();
        bench.recover(places);
        assert_eq!(bench.queue.info().ready_bytes, 5_000 * 1024);
        assert_eq!(bench.resident_bytes(), 0);
        // What comes now stands behind what was there.
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
                    bench.queue.push(Bench::message(number), None, 0);
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
        assert!(bench.queue.lock().ready.missing_pages().len() < 10);
        assert_eq!(bench.get(true, 0).map(|(_, left)| left), Some(2_999));
        for number in 1..200 {
            let (entry, _) = bench.get(false, 0).unwrap();
            assert_eq!(Bench::number(&entry), number);
        }
        assert_eq!(bench.queue.purge(), 2_800);
        (3_000..3_003).for_each(|number| bench.push_kept(number));
        let info = bench.queue.info();
        assert_eq!((info.ready, info.ready_bytes, info.unreadable), (3, 3 * 1024, 0));
        bench.store.close();

        // The first was given away and not settled here.
        let mut found = Kept::default();
        let (store, _) = Store::open(bench.directory.path(), &mut found).unwrap();
        store.close();
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
                priority: 0,
                redelivered: false,
                body_len: 1024,
            };
            bench.queue.recover(&waiting, STARTED);
        }
        bench.queue.recovered(STARTED);
        let has_expired = |now| {
            let deadline = bench.queue.lock().ready.front_deadline();
            deadline.is_some_and(|deadline| deadline <= now)
        };
        // They go in pieces.
        for pieces in 1.. {
            assert!(!bench.queue.on_time(500));
            if !has_expired(500) {
                assert!(pieces > 1);
                break;
            }
        }
        assert_eq!(bench.queue.counts().ready, 499);
        // Who gets the next does not wait for the timer.
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
        let page = bench.queue.lock().ready.missing_pages().first().copied();
        assert_eq!(page, None, "the front is in memory");
        (0..10).for_each(|_| assert!(bench.get(true, 0).is_some()));
        let page = bench.queue.lock().ready.missing_pages()[0];
        bench.queue.lock().ready.load(&page, None);
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
        assert_eq!((Bench::number(&first), left), (1, 3));
        assert_eq!(bench.queue.info().unreadable, 1);
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
                priority: 0,
                redelivered: false,
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
        bench.queue.push(short_lived, Some(bench.append(4)), 0);
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
