//! Directories that earlier releases wrote are under `tests/data/store-N`, one for each format, and are never changed
//! again: every later release finds in them exactly what was kept.
//!
//! That of the format which is being written now is made by `MQ_REGENERATE_STORE=1 cargo test --test it stored`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mq::broker::Broker;
use mq::store::definitions::Definitions;
use mq::store::medium::{Access, Directory};
use mq::store::{Options, Store, format};
use mq::wire::method::{basic, exchange, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties};
use tempfile::TempDir;

use crate::support::cli::program;
use crate::support::directory::{Served, alter, message_files, records};
use crate::support::peer::Peer;
use crate::support::queues::{bodies, name, persistent, write_publish};
use crate::support::session::{Client, Said};

/// Formats 1 and 2.
const STORES: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/store-1"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/store-2"),
];
/// In 2026, so that what expires has long expired.
const WRITTEN_UNIX_MS: u64 = 1_780_000_000_000;
/// Small, so that a few messages fill some files.
const FILE_BYTES: u32 = 16 << 10;

/// Messages of the busy queue; each twentieth is followed by one that waits in the slow queue.
const BUSY: u32 = 400;

fn all_properties() -> Properties {
    Properties {
        content_type: Some(name("text/plain")),
        content_encoding: Some(name("identity")),
        headers: Some(FieldTable::new().with("n", FieldValue::I32(7)).with("text", "words")),
        delivery_mode: Some(2),
        priority: Some(3),
        correlation_id: Some(name("correlation")),
        reply_to: Some(name("reply")),
        expiration: None,
        message_id: Some(name("id")),
        timestamp: Some(1_780_000_000),
        kind: Some(name("kind")),
        user_id: Some(name("guest")),
        app_id: Some(name("app")),
        cluster_id: Some(name("cluster")),
    }
}

/// A broker whose store writes when it is told to, and a client of it.
struct Writing {
    store: Arc<Store>,
    broker: Arc<Broker>,
    client: Client,
}

impl Writing {
    fn begin(directory: &Path) -> Self {
        format::check_or_write(directory).unwrap();
        let definitions = Definitions::open(directory).unwrap();
        let mut broker = Broker::open("mq@test".into(), definitions).unwrap();
        broker.started_at(WRITTEN_UNIX_MS);
        let folder =
            |name: &str| Arc::new(Directory::open(&directory.join(name), Access::Write).unwrap());
        let mut recovery = broker.recovery();
        let options = Options { file_bytes: FILE_BYTES };
        let (kept, spill) = (folder("messages"), folder("spill"));
        let store = Arc::new(Store::open_on(kept, spill, options, &mut recovery).unwrap().0);
        broker.keep_in(Arc::clone(&store));
        recovery.finish();
        let broker = Arc::new(broker);
        let client = Client::open(&broker, 0);
        Self { store, broker, client }
    }

    fn publish(&mut self, queue: &'static str, properties: &Properties, body: &str) {
        self.client.publish_with(queue, properties, body.as_bytes());
        self.step();
    }

    fn take(&mut self, queue: &'static str) {
        let get = basic::Get { queue: literal(queue), no_ack: true, ..Default::default() };
        self.client.send(1, get, 0);
        self.step();
    }

    /// Has the store write, and the client read.
    fn step(&mut self) {
        let said = self.client.said();
        let is_close = |said: &Said| {
            matches!(said, Said::Method(_, Method::ConnectionClose(_) | Method::ChannelClose(_)))
        };
        assert!(!said.iter().any(is_close), "{said:?}");
        self.store.step();
    }
}

fn declare(writing: &mut Writing) {
    let client = &mut writing.client;
    for queue in ["kept", "other", "slow", "busy"] {
        client.declare_durable(queue);
    }
    let arguments = FieldTable::new().with("x-message-ttl", FieldValue::I32(1000));
    let limited = queue::Declare {
        queue: literal("limited"),
        durable: true,
        arguments,
        ..Default::default()
    };
    client.send(1, limited, 0);
    client.declare("fleeting");
    for (exchange, kind) in [("notes", "topic"), ("all", "fanout")] {
        let (exchange, kind) = (literal(exchange), literal(kind));
        let declare = exchange::Declare { exchange, kind, durable: true, ..Default::default() };
        client.send(1, declare, 0);
    }
    for (exchange, routing_key, queue) in
        [("notes", "a.#", "kept"), ("all", "", "kept"), ("all", "", "other")]
    {
        let (exchange, routing_key) = (literal(exchange), literal(routing_key));
        let bind =
            queue::Bind { exchange, routing_key, queue: literal(queue), ..Default::default() };
        client.send(1, bind, 0);
    }
    writing.step();
}

/// Writes what [`is_all_there`] finds.
fn write(directory: &Path) {
    let mut writing = Writing::begin(directory);
    declare(&mut writing);
    // The files that these fill are given up: the slow queue's messages move to survivors.
    for nth in 0..BUSY {
        writing.publish("busy", &persistent(), &"busy ".repeat(100));
        writing.take("busy");
        if nth % 20 == 0 {
            writing.publish("slow", &persistent(), &nth.to_string());
        }
        if nth % 100 == 99 {
            writing.store.step_round();
        }
    }
    let expiring = Properties { expiration: Some(name("1000")), ..persistent() };
    writing.publish("other", &expiring, "expired");
    writing.publish("kept", &persistent(), "settled");
    writing.take("kept");
    writing.publish("kept", &all_properties(), "with all properties");
    let get = basic::Get { queue: literal("kept"), ..Default::default() };
    writing.client.send(1, get, 0);
    writing.step();
    writing.publish("kept", &persistent(), &"large ".repeat(3000));
    let mut bytes = Vec::new();
    let to_all = ("all", "");
    write_publish(&mut bytes, to_all, &persistent(), b"to two");
    writing.client.bytes(&bytes, 0);
    writing.publish("limited", &persistent(), "expired");
    writing.publish("kept", &Properties::default(), "transient");
    writing.publish("fleeting", &persistent(), "in a queue that is not kept");
    writing.broker.close();
    tidy(directory);
}

/// Leaves out what holds nothing: free files, and zeros behind the last message.
fn tidy(directory: &Path) {
    let (files, _) = message_files(directory);
    for entry in fs::read_dir(directory.join("messages")).unwrap() {
        let path = entry.unwrap().path();
        if !files.contains(&path.with_extension("log")) {
            fs::remove_file(path).unwrap();
        }
    }
    for file in &files {
        let end = records(file).pop().unwrap().end;
        alter(file, |bytes| bytes.truncate(end));
    }
    // Copies of what was left in files that were given up: byte 12 says so.
    assert!(files.iter().any(|file| fs::read(file).unwrap()[12] == 2), "there are survivors");
    // As after a kill: the last file is read whole, the others by their indexes.
    fs::remove_file(files.last().unwrap().with_extension("index")).unwrap();
    fs::remove_dir_all(directory.join("spill")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

fn is_all_there(directory: &Path) {
    let check = program().args(["store", "check"]).arg(directory).output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    let waiting = "waiting messages: 26\n  in queue 'kept': 3\n  in queue 'limited': 1\n  \
                   in queue 'other': 2\n  in queue 'slow': 20\n";
    assert!(said.contains("exchanges: 2\nqueues: 5\nbindings: 3\n"), "{said}");
    assert!(said.contains(waiting), "{said}");
    let sound =
        "damaged messages: 0\ncopies of damaged messages: 0\nbroken marks: 0\nbroken indexes: 0\n";
    assert!(said.ends_with(sound), "{said}");

    let served = Served::start(directory);
    assert_eq!(served.recovered(), "recovered 5 queues, 26 messages");
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    let kept = peer.drained("kept");
    let large = "large ".repeat(3000);
    let expected = [("with all properties", true), (&large, false), ("to two", false)];
    assert_eq!(bodies(&kept), expected.map(|(body, again)| (body.to_owned(), again)));
    assert_eq!(kept[0].properties, all_properties());
    assert_eq!((&*kept[1].exchange, &*kept[2].exchange), ("", "all"));
    assert_eq!(bodies(&peer.drained("other")), [("to two".to_owned(), false)]);
    assert_eq!(bodies(&peer.drained("limited")), []);
    let slow = (0..BUSY).step_by(20).map(|nth| (nth.to_string(), false));
    assert_eq!(bodies(&peer.drained("slow")), slow.collect::<Vec<_>>());
    assert_eq!(peer.depth("busy"), 0);
    let arguments = FieldTable::new().with("x-message-ttl", FieldValue::I32(1000));
    assert_eq!(peer.declare_durable("limited", arguments), 0, "with the arguments it had");
    for exchange in ["notes", "all"] {
        let exchange = name(exchange);
        let asked = exchange::Declare { exchange, passive: true, ..Default::default() };
        peer.call(asked);
    }
    let mut bytes = Vec::new();
    write_publish(&mut bytes, ("notes", "a.b"), &persistent(), b"new");
    peer.send(&bytes);
    peer.next_method();
    assert_eq!(bodies(&peer.drained("kept")), [("new".to_owned(), false)]);
    served.stop();
    assert_eq!(Served::start(directory).recovered(), "recovered 5 queues, 0 messages");
}

#[test]
fn what_every_format_kept_is_found() {
    let now = Path::new(STORES[STORES.len() - 1]);
    if std::env::var_os("MQ_REGENERATE_STORE").is_some() {
        // Gone already is as good.
        let _ = fs::remove_dir_all(now);
        fs::create_dir_all(now).unwrap();
        write(now);
    }
    for store in STORES {
        let directory = TempDir::new().unwrap();
        copy(Path::new(store), directory.path());
        is_all_there(directory.path());
    }
}

/// The directory under `tests/data` is what this release writes, as far as can be seen in what it keeps.
#[test]
fn what_is_written_now_is_found() {
    let directory = TempDir::new().unwrap();
    write(directory.path());
    is_all_there(directory.path());
}
