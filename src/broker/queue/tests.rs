//! A queue with a store and one connection, for the tests of this folder.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use super::consumers::consumer::{ConsumerId, Subscription};
use super::settings::Settings;
use super::state::{Queue, Shared};
use crate::broker::arguments::QueueArguments;
use crate::broker::entry::Entry;
use crate::broker::mailbox::{ConsumerSlot, Mailbox, Post, WaitingPosts as Mail};
use crate::broker::message::Layout;
use crate::broker::message::Message;
use crate::broker::time::Millis;
use crate::broker::time::StartedAt;
use crate::store::{Place, QueueId, Recovered, Spill, Store, Waiting};
use crate::wire::FieldTable;
use crate::wire::shortstr::literal;

const ID: QueueId = QueueId(1);
pub(in crate::broker::queue) const STARTED: StartedAt = StartedAt { now: 0, unix_ms: 1_000_000 };

/// The messages found in a directory.
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
            declared_by: None,
            arguments: FieldTable::new(),
            kind: wanted.kind,
            wanted: wanted.shared(),
        };
        let queue = Queue::new(settings, shared, 0);
        let (mailbox, consumers) = (Arc::default(), Mutex::default());
        Self { store, queue, mailbox, consumers, directory }
    }

    /// Closes the store; returns what a start finds in its directory.
    pub(in crate::broker::queue) fn reopened(&self) -> Kept {
        self.store.close();
        let mut found = Kept::default();
        let (store, _) = Store::open(self.directory.path(), &mut found).unwrap();
        store.close();
        found
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
        _ = self.queue.push(Self::message(number), Some(self.append(number)), 0);
    }

    pub(in crate::broker::queue) fn recover(&self, places: impl IntoIterator<Item = Place>) {
        for (sequence, place) in (100..).zip(places) {
            let waiting = Waiting {
                place,
                sequence,
                published_at: STARTED.unix_ms,
                time_to_live_ms: None,
                priority: None,
                redelivered: false,
                counts: None,
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

    pub(in crate::broker::queue) fn get(&self, no_ack: bool, now: Millis) -> Option<(Entry, u32)> {
        self.queue.get_waiting(no_ack, now).unwrap()
    }

    pub(in crate::broker::queue) fn resident_bytes(&self) -> u64 {
        self.queue.lock().backlog.resident_bytes()
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

impl Queue {
    /// Rejects messages as if a client had got them.
    pub(in crate::broker::queue) fn reject_as_got(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let bytes = entries.iter().map(|entry| u64::from(entry.body_len)).sum();
        self.lock().unacked.add(entries.len() as u64, bytes);
        self.reject(None, entries, 0)
    }
}
