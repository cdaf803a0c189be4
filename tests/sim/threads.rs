//! The store with its threads running, on real files: publishers and consumers of many messages at once, while files
//! are used again and sparse ones are given up under them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use mq::store::medium::{Access, Directory, Medium};
use mq::store::{NewRecord, Options, Place, QueueId, Recovered, Store, Waiting};

use crate::random::Random;

const PUBLISHERS: u32 = 3;
const MESSAGES: u64 = 30_000;

/// The messages found, by queue, as `mq::store` tells them.
#[derive(Default)]
struct Found(Vec<(QueueId, Waiting)>);

impl Recovered for Found {
    fn is_known(&self, _: QueueId) -> bool {
        true
    }

    fn on_waiting(&mut self, queue: QueueId, waiting: Waiting) {
        self.0.push((queue, waiting));
    }
}

fn open(directory: &Path) -> (Arc<Store>, Vec<(QueueId, Waiting)>) {
    let folder = |name: &str| -> Arc<dyn Medium> {
        Arc::new(Directory::open(&directory.join(name), Access::Write).unwrap())
    };
    let mut found = Found::default();
    let options = Options { file_bytes: 128 << 10 };
    let (kept, spill) = (folder("messages"), folder("spill"));
    let (store, _) = Store::open_on(kept, spill, options, &mut found).unwrap();
    (Arc::new(store), found.0)
}

fn body(queue: u32, nth: u64) -> Vec<u8> {
    let mut bytes = [u64::from(queue).to_le_bytes(), nth.to_le_bytes()].concat();
    bytes.resize(16 + usize::try_from(nth % 300).unwrap(), u8::try_from(nth % 251).unwrap());
    bytes
}

fn read(store: &Store, places: &[Place]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    store.read(places, &mut |_, record| bodies.push(record.unwrap().bytes.to_vec()));
    bodies
}

/// Takes the messages of one queue as they come, reads most of them back and settles all but every 40th.
fn consume(
    store: &Store,
    queue: u32,
    messages: &mpsc::Receiver<(u64, Place)>,
) -> BTreeMap<u64, Place> {
    let mut random = Random::new(u64::from(queue));
    let mut held: Vec<(u64, Place)> = Vec::new();
    let mut left = BTreeMap::new();
    let mut is_over = false;
    while !is_over {
        is_over = match messages.recv() {
            Ok(message) => {
                held.push(message);
                false
            }
            Err(mpsc::RecvError) => true,
        };
        if held.len() < 500 && !is_over {
            continue;
        }
        // Some settle late, by places that may not be the latest any more.
        let keep = if is_over { 0 } else { usize::try_from(random.below(400)).unwrap() };
        let taken: Vec<(u64, Place)> = held.drain(..held.len() - keep).collect();
        let places: Vec<Place> = taken.iter().map(|(_, place)| *place).collect();
        let expected: Vec<_> = taken.iter().map(|(nth, _)| body(queue, *nth)).collect();
        assert_eq!(read(store, &places), expected);
        let (kept, settled): (Vec<_>, Vec<_>) =
            taken.into_iter().partition(|(nth, _)| nth % 40 == 0);
        left.extend(kept);
        store.settle(&settled.into_iter().map(|(_, place)| place).collect());
    }
    left
}

fn publish(store: &Store, queue: u32, to: &mpsc::SyncSender<(u64, Place)>) {
    for nth in 0..MESSAGES {
        let bytes = body(queue, nth);
        let queues = [QueueId(queue)];
        let appended = store.append(&NewRecord::of_bytes(&queues, &bytes)).unwrap();
        to.send((nth, appended.first)).unwrap();
    }
}

#[test]
fn what_waits_is_found_by_every_place_it_ever_had_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    store.start_threads();
    let consumers: Vec<_> = (1..=PUBLISHERS)
        .map(|queue| {
            let (to, from) = mpsc::sync_channel(2000);
            let (publisher, consumer) = (Arc::clone(&store), Arc::clone(&store));
            thread::spawn(move || publish(&publisher, queue, &to));
            thread::spawn(move || (queue, consume(&consumer, queue, &from)))
        })
        .collect();
    let left: Vec<(u32, BTreeMap<u64, Place>)> =
        consumers.into_iter().map(|thread| thread.join().unwrap()).collect();
    for (queue, left) in &left {
        let places: Vec<Place> = left.values().copied().collect();
        let expected: Vec<_> = left.keys().map(|nth| body(*queue, *nth)).collect();
        assert_eq!(read(&store, &places), expected);
    }
    store.close();
    drop(store);
    let (store, mut found) = open(directory.path());
    found.sort_by_key(|(queue, waiting)| (*queue, waiting.sequence));
    let places: Vec<Place> = found.iter().map(|(_, waiting)| waiting.place).collect();
    let of_left = left.iter().flat_map(|(queue, left)| left.keys().map(|nth| body(*queue, *nth)));
    assert_eq!(read(&store, &places), of_left.collect::<Vec<_>>());
}
