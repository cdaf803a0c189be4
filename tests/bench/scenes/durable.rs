//! Persistent messages: the store on files that keep nothing, its threads' work done where the scene says so.
//!
//! So the figure has everything the processor does for such a message, the writer's share included, and nothing of
//! the disk.

use std::sync::Arc;

use mq::broker::Broker;
use mq::store::definitions::Definitions;
use mq::store::{NewRecord, Options, Outcome, QueueId, Recovered, SlotRanges, Store, Waiting};
use mq::wire::Properties;
use mq::wire::method::{confirm, queue};
use tempfile::TempDir;

use super::Round;
use super::client::{Acks, Client, name};
use super::hollow::Hollow;
use super::line::{BATCH, publishes};

/// Small files, so that a scene makes, fills and recycles many of them.
const OPTIONS: Options = Options { file_bytes: 1 << 20 };

static BODY: [u8; 1024] = [b'x'; 1024];

fn store(recovered: &mut dyn Recovered) -> Store {
    let (kept, spill) = (Arc::new(Hollow::default()), Arc::new(Hollow::default()));
    Store::open_on(kept, spill, OPTIONS, recovered).expect("an empty directory is opened").0
}

/// A broker with a store, and the directory of its definitions.
fn broker() -> (Arc<Broker>, TempDir) {
    let directory = tempfile::tempdir().expect("a directory for the definitions");
    let definitions = Definitions::open(directory.path()).expect("new definitions");
    let mut broker = Broker::open("mq@bench".into(), definitions).expect("a new broker");
    let mut recovery = broker.recovery();
    broker.keep_in(Arc::new(store(&mut recovery)));
    recovery.finish();
    let broker = Arc::new(broker);
    broker.watch_store();
    (broker, directory)
}

/// 1 KiB, persistent, in a durable queue, with confirms after the sync and an acknowledgement for each delivery.
pub(super) fn line() -> Round {
    let (broker, directory) = broker();
    let (mut publisher, mut consumer) = (Client::open(&broker), Client::open(&broker));
    consumer.call(queue::Declare { queue: name("kept"), durable: true, ..Default::default() });
    consumer.consume_with_acks("kept", 1000);
    consumer.take();
    publisher.call(confirm::Select::default());
    publisher.take();
    let properties = Properties { delivery_mode: Some(2), ..Properties::default() };
    let bytes = publishes("", |_| "kept".to_owned(), &properties, 1024);
    let mut acks = Acks::new(BATCH);
    publisher.hear(&bytes);
    assert_eq!(consumer.deliveries(), BATCH, "consumers need not wait for the disk");
    consumer.hear(acks.next());
    assert_eq!(publisher.take(), 0, "confirms do");
    let mut turn = move || {
        publisher.hear(&bytes);
        let delivered = consumer.take();
        consumer.hear(acks.next());
        let store = broker.store.as_deref().expect("it has one");
        store.step();
        assert!(publisher.session.on_synced(1, &mut publisher.said));
        let confirmed = publisher.take();
        store.step_round();
        let _kept_till_the_end = &directory;
        (delivered, confirmed)
    };
    turn();
    let expected = turn();
    assert!(expected.0 > 64 * 1024 && expected.1 > 0, "{expected:?}");
    Box::new(move || assert_eq!(turn(), expected))
}

/// Records of 1 KiB into the log, written, and settled.
pub(super) fn append() -> Round {
    let store = store(&mut Nothing);
    let record = NewRecord {
        queues: &[QueueId(1)],
        published_at: 1,
        time_to_live_ms: None,
        priority: None,
        note: 0,
        names_len: 6,
        properties_len: 2,
        bytes: &BODY,
    };
    Box::new(move || {
        let mut settled = SlotRanges::default();
        let mut last = None;
        for _ in 0..BATCH {
            let appended = store.append(&record).expect("it has room");
            settled.push(appended.first);
            last = Some(appended.batch);
        }
        store.step();
        assert_eq!(last.map(|batch| store.outcome(batch)), Some(Outcome::Synced));
        store.settle(&settled);
        store.step_round();
    })
}

/// Nothing is found in an empty directory.
struct Nothing;

impl Recovered for Nothing {
    fn is_known(&self, _: QueueId) -> bool {
        true
    }

    fn on_waiting(&mut self, _: QueueId, _: Waiting) {}
}
