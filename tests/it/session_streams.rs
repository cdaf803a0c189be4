//! Streams as a client sees them: where a consumer begins, what its deliveries say, what stays over a restart and what
//! goes with age and size. The store does its work when it is told to, so nothing here waits.

use std::path::Path;
use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::compat::{Compat, CompatRelease};
use mq::store::definitions::Definitions;
use mq::store::medium::{Access, Directory};
use mq::store::{Options, Store};
use mq::wire::method::{basic, confirm, queue, tx};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, frame};
use tempfile::TempDir;

use super::support::queues::persistent;
use super::support::session::{Client, Said};

/// When a broker of these tests starts, in milliseconds since 1970.
const STARTED_UNIX_MS: u64 = 1_780_000_000_000;
/// Small, so that a few messages fill some files.
const FILE_BYTES: u32 = 64 << 10;

/// A broker of a directory, and a client of it.
struct Kept {
    store: Arc<Store>,
    broker: Arc<Broker>,
    client: Client,
}

impl Kept {
    fn open(directory: &Path) -> Self {
        Self::open_as(directory, Compat::V4)
    }

    fn open_as(directory: &Path, compat: Compat) -> Self {
        let definitions = Definitions::open(directory).unwrap();
        let mut broker = Broker::open("mq@test".into(), definitions).unwrap();
        broker.answer_as(compat);
        broker.started_at(STARTED_UNIX_MS);
        let folder =
            |name: &str| Arc::new(Directory::open(&directory.join(name), Access::Write).unwrap());
        let mut recovery = broker.recovery();
        let options = Options { file_bytes: FILE_BYTES };
        let (kept, spill) = (folder("messages"), folder("spill"));
        let store = Arc::new(Store::open_on(kept, spill, options, &mut recovery).unwrap().0);
        broker.keep_in(Arc::clone(&store));
        recovery.finish();
        store.step();
        let broker = Arc::new(broker);
        let client = Client::open(&broker, 0);
        Self { store, broker, client }
    }

    fn declare(&mut self, arguments: FieldTable) -> Vec<Said> {
        let declare = queue::Declare {
            queue: literal("s"),
            durable: true,
            arguments: arguments.with("x-queue-type", "stream"),
            ..Default::default()
        };
        self.client.send(1, declare, 0);
        self.client.said()
    }

    /// How many messages a passive declare counts.
    fn len(&mut self) -> u32 {
        let declare = queue::Declare { queue: literal("s"), passive: true, ..Default::default() };
        self.client.send(1, declare, 0);
        match self.client.said().as_slice() {
            [Said::Method(1, Method::QueueDeclareOk(ok))] => {
                assert_eq!(ok.consumer_count, 0, "RabbitMQ counts none");
                ok.message_count
            }
            said => panic!("{said:?}"),
        }
    }

    /// Publishes messages with these numbers as bodies and has them written.
    fn publish(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.client.publish("s", &[number.to_string().as_bytes()], 0);
        }
        self.step();
    }

    /// Has the store write, sync, and read what consumers have asked for.
    fn step(&self) {
        self.store.step();
        self.store.step();
    }

    fn consume(&mut self, prefetch: u16, arguments: FieldTable) {
        consume(&mut self.client, prefetch, arguments);
    }

    /// The numbers that come, with their offsets.
    fn came(&mut self) -> Vec<(u64, u32)> {
        self.step();
        came(&mut self.client)
    }

    /// What a new client gets that begins there.
    fn read(&mut self, start: impl Into<FieldValue>) -> Vec<(u64, u32)> {
        let mut client = Client::open(&self.broker, 0);
        consume(&mut client, 60_000, FieldTable::new().with("x-stream-offset", start));
        let mut all = Vec::new();
        loop {
            self.step();
            let more = came(&mut client);
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    /// The offset of the first message and how many there are.
    fn extent(&mut self) -> (u64, usize) {
        let all = self.read("first");
        let offsets: Vec<u64> = all.iter().map(|(offset, _)| *offset).collect();
        assert!(offsets.windows(2).all(|two| two[0] + 1 == two[1]), "{offsets:?}");
        assert_eq!(self.len() as usize, all.len());
        (offsets.first().copied().unwrap_or(u64::MAX), all.len())
    }

    fn advance_to(&mut self, now: u64) {
        self.broker.on_time(now);
        self.step();
    }

    /// As after a kill when everything has been written: nothing is closed.
    fn kill(self) {
        self.store.step();
    }
}

fn consume(client: &mut Client, prefetch_count: u16, arguments: FieldTable) {
    client.send(1, basic::Qos { prefetch_count, ..Default::default() }, 0);
    let (queue, consumer_tag) = (literal("s"), literal("c"));
    client.send(1, basic::Consume { queue, consumer_tag, arguments, ..Default::default() }, 0);
}

/// The deliveries in what a session has said: the offset of each, and the number that is its body.
fn came(client: &mut Client) -> Vec<(u64, u32)> {
    while client.session.on_mailbox(0, &mut client.out) {}
    let mut offsets = Vec::new();
    let mut rest = &client.out[..];
    while let Some(found) = frame::parse(rest, 0).unwrap() {
        if found.kind == mq::wire::constants::FRAME_HEADER {
            let header = mq::wire::content::ContentHeader::decode(found.payload).unwrap();
            let headers = Properties::decode(header.properties).unwrap().headers.unwrap();
            match headers.get("x-stream-offset") {
                Some(FieldValue::I64(offset)) => offsets.push(u64::try_from(*offset).unwrap()),
                other => panic!("{other:?}"),
            }
        }
        rest = &rest[found.encoded_len()..];
    }
    let bodies = client.deliveries().into_iter().map(|(body, redelivered)| {
        assert!(!redelivered);
        String::from_utf8(body).unwrap().parse().unwrap()
    });
    offsets.into_iter().zip(bodies).collect()
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<(u64, u32)> {
    numbers.map(|number| (number.into(), number)).collect()
}

#[test]
fn a_consumer_begins_where_it_asks_to() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    kept.publish(0..10);
    let seconds = STARTED_UNIX_MS / 1000;
    let cases: [(FieldValue, std::ops::Range<u32>); 11] = [
        ("first".into(), 0..10),
        ("last".into(), 9..10),
        ("next".into(), 10..10),
        (FieldValue::I32(4), 4..10),
        (FieldValue::I64(9), 9..10),
        (FieldValue::I64(10), 10..10),
        (FieldValue::I64(-1), 0..10),
        (FieldValue::Timestamp(seconds), 0..10),
        (FieldValue::Timestamp(seconds + 1), 10..10),
        (FieldValue::Timestamp(0), 0..10),
        ("1h".into(), 0..10),
    ];
    for (start, expected) in cases {
        assert_eq!(kept.read(start.clone()), numbered(expected), "{start:?}");
    }
    kept.consume(100, FieldTable::new());
    kept.publish(10..12);
    assert_eq!(kept.came(), numbered(10..12), "what comes next, when nothing was asked for");
}

#[test]
fn an_offset_that_is_not_there_yet_is_waited_for() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    kept.publish(0..2);
    kept.consume(100, FieldTable::new().with("x-stream-offset", FieldValue::I32(5)));
    kept.publish(2..8);
    assert_eq!(kept.came(), numbered(5..8));
}

#[test]
fn acknowledgements_of_every_kind_give_credit_and_nothing_comes_again() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    kept.publish(0..10);
    kept.consume(2, FieldTable::new().with("x-stream-offset", "first"));
    assert_eq!(kept.came(), numbered(0..2));
    kept.client.send(1, basic::Ack { delivery_tag: 1, multiple: false }, 0);
    assert_eq!(kept.came(), numbered(2..3));
    let requeue = true;
    kept.client.send(1, basic::Nack { delivery_tag: 3, multiple: true, requeue }, 0);
    assert_eq!(kept.came(), numbered(3..5));
    kept.client.send(1, basic::Reject { delivery_tag: 4, requeue }, 0);
    assert_eq!(kept.came(), numbered(5..6));
    kept.client.send(1, basic::Reject { delivery_tag: 5, requeue: false }, 0);
    assert_eq!(kept.came(), numbered(6..7));
    kept.client.send(1, basic::Recover { requeue }, 0);
    assert_eq!(kept.came(), numbered(7..9));
    assert_eq!(kept.len(), 10);
}

#[test]
fn consumers_see_what_is_on_disk_and_each_has_a_place_of_its_own() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    let mut slow = Client::open(&kept.broker, 0);
    consume(&mut slow, 1, FieldTable::new());
    kept.consume(100, FieldTable::new());
    kept.client.said();
    slow.said();
    kept.client.publish("s", &[b"0", b"1"], 0);
    assert!(kept.client.said().is_empty(), "a crash could give the offset to another message");
    assert_eq!(kept.came(), numbered(0..2));
    assert_eq!(came(&mut slow), numbered(0..1));
    slow.send(1, basic::Ack { delivery_tag: 1, multiple: false }, 0);
    assert_eq!(came(&mut slow), numbered(1..2));
}

#[test]
fn a_publish_is_confirmed_when_it_is_synced_whatever_its_delivery_mode() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    kept.client.send(1, confirm::Select::default(), 0);
    kept.client.said();
    kept.client.publish("s", &[b"0"], 0);
    assert!(kept.client.said().is_empty());
    kept.store.step();
    assert!(kept.client.on_synced());
    let ack = basic::Ack { delivery_tag: 1, multiple: false };
    assert_eq!(kept.client.said(), [Said::Method(1, ack.into())]);
}

#[test]
fn what_a_transaction_publishes_has_its_offsets_after_a_restart_too() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    kept.client.send(1, tx::Select::default(), 0);
    kept.client.publish("s", &[b"0", b"1"], 0);
    kept.client.publish_with("s", &persistent(), b"2");
    kept.client.send(1, tx::Commit {}, 0);
    kept.step();
    assert_eq!(kept.read("first"), numbered(0..3));
    kept.kill();
    assert_eq!(Kept::open(directory.path()).read("first"), numbered(0..3));
}

/// Enough that places are written away and read again, more than once for a consumer.
#[test]
fn a_long_stream_is_read_from_everywhere_and_again_after_a_restart() {
    const LEN: u32 = 25_000;
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    let numbers: Vec<u32> = (0..LEN).collect();
    numbers.chunks(1000).for_each(|chunk| kept.publish(chunk.iter().copied()));
    for _ in 0..2 {
        for start in [0, 1, 1023, 12_345, LEN - 1] {
            let offset = FieldValue::I64(start.into());
            assert_eq!(kept.read(offset), numbered(start..LEN), "from {start}");
        }
        kept.kill();
        kept = Kept::open(directory.path());
        assert_eq!(kept.len(), LEN);
    }
    kept.publish([LEN]);
    assert_eq!(kept.read("last"), numbered(LEN..LEN + 1));
}

/// Each has a file of its own, which a debug build does not let be made while other publishers wait.
#[test]
fn messages_larger_than_files_go_to_a_stream() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    let zeros = "0".repeat(FILE_BYTES as usize);
    for number in 0..3 {
        let body = format!("{zeros}{number}");
        kept.client.publish("s", &[body.as_bytes()], 0);
    }
    kept.step();
    assert_eq!(kept.read("first"), numbered(0..3));
}

fn limited(name: &'static str, value: impl Into<FieldValue>) -> FieldTable {
    // Ten messages of a few bytes, with what is counted for each.
    let segment = ("x-stream-max-segment-size-bytes", FieldValue::I32(650));
    FieldTable::new().with(segment.0, segment.1).with(name, value)
}

#[test]
fn too_many_bytes_are_deleted_segment_by_segment_and_offsets_stay() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(limited("x-max-length-bytes", FieldValue::I32(2_000)));
    kept.publish(0..95);
    // The last segment is not full and counts as well.
    let (first, len) = kept.extent();
    assert_eq!((first, len), (70, 25));
    assert_eq!(kept.read(FieldValue::I32(3)).first(), Some(&(70, 70)), "the first there is");
    kept.kill();
    let mut kept = Kept::open(directory.path());
    assert_eq!(kept.extent(), (70, 25));
    kept.publish(95..120);
    let extent = kept.extent();
    kept.kill();
    assert_eq!(Kept::open(directory.path()).extent(), extent);
}

#[test]
fn what_is_old_is_deleted_when_its_time_has_come() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(limited("x-max-age", "10s"));
    kept.publish(0..25);
    kept.advance_to(9_000);
    assert_eq!(kept.extent(), (0, 25));
    kept.advance_to(10_002);
    assert_eq!(kept.extent(), (20, 5), "the segment that is written to stays");
    kept.publish(25..30);
    kept.advance_to(30_000);
    assert_eq!(kept.len(), 0);
    kept.kill();
    let mut kept = Kept::open(directory.path());
    assert_eq!(kept.len(), 0);
    kept.publish(30..33);
    assert_eq!(kept.read("first"), numbered(30..33), "nothing is numbered twice");
}

#[test]
fn a_filter_passes_what_was_asked_for() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    for number in 0..9_u32 {
        let value = ["a", "b"].get(number as usize % 3);
        let headers = value.map(|value| FieldTable::new().with("x-stream-filter-value", *value));
        let properties = Properties { headers, ..Properties::default() };
        kept.client.publish_with("s", &properties, number.to_string().as_bytes());
    }
    let wanted = FieldTable::new().with("x-stream-offset", "first").with("x-stream-filter", "b");
    let mut both = Client::open(&kept.broker, 0);
    consume(&mut both, 100, wanted.clone().with("x-stream-match-unfiltered", true));
    kept.consume(100, wanted);
    assert_eq!(kept.came(), [(1, 1), (4, 4), (7, 7)]);
    assert_eq!(came(&mut both).len(), 6);
}

#[test]
fn the_header_with_the_offset_takes_the_place_of_an_old_one() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    let headers = FieldTable::new().with("x-stream-offset", FieldValue::I32(77)).with("k", "v");
    let properties = Properties { headers: Some(headers), ..persistent() };
    kept.client.publish_with("s", &properties, b"0");
    kept.consume(1, FieldTable::new().with("x-stream-offset", "first"));
    kept.step();
    while kept.client.session.on_mailbox(0, &mut kept.client.out) {}
    let headers = FieldTable::new().with("k", "v").with("x-stream-offset", FieldValue::I64(0));
    let expected = Properties { headers: Some(headers), ..persistent() };
    assert_eq!(kept.client.got_properties(), expected);
}

/// As measured on RabbitMQ 4.3.6.
#[test]
fn since_4_a_stream_gives_each_message_a_delivery_mode_and_orders_its_headers() {
    let headers = || FieldTable::new().with("z", "1").with("a", "2");
    let offset = FieldValue::I64(0);
    let ordered =
        FieldTable::new().with("a", "2").with("x-stream-offset", offset.clone()).with("z", "1");
    for (compat, given, delivered) in [
        (Compat::V3_10, None, None),
        (Compat::V4, None, Some(1)),
        (Compat::V4, Some(1), Some(1)),
        (Compat::V4_3, Some(2), Some(2)),
    ] {
        let directory = TempDir::new().unwrap();
        let mut kept = Kept::open_as(directory.path(), compat);
        kept.declare(FieldTable::new());
        let properties = Properties {
            headers: Some(headers()),
            delivery_mode: given,
            message_id: Some(literal("id")),
            ..Properties::default()
        };
        kept.client.publish_with("s", &properties, b"0");
        kept.consume(1, FieldTable::new().with("x-stream-offset", "first"));
        kept.step();
        while kept.client.session.on_mailbox(0, &mut kept.client.out) {}
        let headers = match compat.release() {
            CompatRelease::V3_10 => headers().with("x-stream-offset", offset.clone()),
            CompatRelease::V4 | CompatRelease::V4_3 => ordered.clone(),
        };
        let expected =
            Properties { headers: Some(headers), delivery_mode: delivered, ..properties };
        assert_eq!(kept.client.got_properties(), expected, "{compat:?}");
    }
}

/// RabbitMQ 4 keeps it there, while classic and quorum queues take it away.
#[test]
fn a_dead_letter_in_a_stream_tells_the_expiration_it_had() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    let arguments =
        FieldTable::new().with("x-dead-letter-exchange", "").with("x-dead-letter-routing-key", "s");
    let queue = literal("q");
    let declare = queue::Declare { queue, durable: true, arguments, ..Default::default() };
    kept.client.send(1, declare, 0);
    let properties = Properties { expiration: Some(literal("90000")), ..persistent() };
    kept.client.publish_with("q", &properties, b"0");
    kept.client.said();
    kept.client.send(1, basic::Get { queue: literal("q"), ..Default::default() }, 0);
    kept.client.send(1, basic::Reject { delivery_tag: 1, requeue: false }, 0);
    kept.step();
    kept.client.said();
    kept.consume(1, FieldTable::new().with("x-stream-offset", "first"));
    kept.step();
    while kept.client.session.on_mailbox(0, &mut kept.client.out) {}
    let got = kept.client.got_properties();
    assert_eq!((got.expiration, got.delivery_mode), (Some(literal("90000")), Some(2)));
    assert_eq!(kept.client.deliveries(), [(b"0".to_vec(), false)], "a stream counts none");
}

#[test]
fn a_deleted_stream_tells_its_consumers_and_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let mut kept = Kept::open(directory.path());
    kept.declare(FieldTable::new());
    kept.publish(0..10);
    let capable = FieldTable::new().with("consumer_cancel_notify", true);
    let properties = FieldTable::new().with("capabilities", capable);
    let mut reader = Client::open_with(&kept.broker, 0, properties);
    consume(&mut reader, 1, FieldTable::new());
    reader.said();
    // RabbitMQ asks for no condition and counts no messages.
    let only = queue::Delete {
        queue: literal("s"),
        if_unused: true,
        if_empty: true,
        ..Default::default()
    };
    kept.client.send(1, only, 0);
    let deleted = queue::DeleteOk { message_count: 0 };
    assert_eq!(kept.client.said(), [Said::Method(1, deleted.into())]);
    let cancel = basic::Cancel { consumer_tag: literal("c"), nowait: true };
    assert_eq!(reader.said(), [Said::Method(1, cancel.into())]);
    kept.step();
    kept.broker.close();
    let found = mq::store::check(directory.path()).unwrap();
    assert!(found.waiting.is_empty(), "{found:?}");
}

/// What a session says last when it closes something.
fn closed(client: &mut Client) -> (u16, u16, String) {
    match client.said().pop() {
        Some(Said::Method(1, Method::ChannelClose(close))) => {
            (1, close.reply_code, close.reply_text.to_string())
        }
        Some(Said::Method(0, Method::ConnectionClose(close))) => {
            (0, close.reply_code, close.reply_text.to_string())
        }
        said => panic!("{said:?}"),
    }
}

/// Texts of RabbitMQ 3.10.8, and of `rabbit_stream_queue` as it is in 4.
#[test]
fn what_a_stream_does_not_do_is_refused_in_rabbitmqs_words() {
    type Ask = fn(&mut Client);
    fn ask(client: &mut Client, prefetch_count: u16, consume: basic::Consume) {
        client.send(1, basic::Qos { prefetch_count, ..Default::default() }, 0);
        client.send(1, basic::Consume { queue: literal("s"), ..consume }, 0);
    }
    fn with(name: &'static str, value: impl Into<FieldValue>) -> basic::Consume {
        let arguments = FieldTable::new().with(name, value);
        basic::Consume { arguments, ..Default::default() }
    }
    const NOUN: &str = "queue 's' in vhost '/'";
    let no_prefetch: Ask = |client| ask(client, 0, basic::Consume::default());
    let no_ack: Ask =
        |client| ask(client, 5, basic::Consume { no_ack: true, ..Default::default() });
    let global: Ask = |client| {
        client.send(1, basic::Qos { prefetch_count: 5, global: true, ..Default::default() }, 0);
        ask(client, 5, basic::Consume::default());
    };
    let bad_start: Ask = |client| ask(client, 5, with("x-stream-offset", "bogus"));
    let priority: Ask = |client| ask(client, 5, with("x-priority", FieldValue::I32(5)));
    let get: Ask =
        |client| client.send(1, basic::Get { queue: literal("s"), ..Default::default() }, 0);
    let purge: Ask =
        |client| client.send(1, queue::Purge { queue: literal("s"), ..Default::default() }, 0);
    let nack: Ask = |client| {
        ask(client, 5, with("x-stream-offset", "first"));
        client.said();
        client.send(1, basic::Reject { delivery_tag: 1, requeue: true }, 0);
    };
    let (v4, v3) = (Compat::V4, Compat::V3_10);
    #[rustfmt::skip]
    let cases: [(Compat, Ask, u16, u16, String); 14] = [
        (v4, no_prefetch, 1, 406, format!("PRECONDITION_FAILED - consumer prefetch count is not set for stream {NOUN}")),
        (v3, no_prefetch, 1, 406, format!("PRECONDITION_FAILED - consumer prefetch count is not set for '{NOUN}'")),
        (v4, no_ack,      0, 540, format!("NOT_IMPLEMENTED - automatic acknowledgement not supported by stream {NOUN}")),
        (v3, no_ack,      0, 540, format!("NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queues {NOUN}")),
        (v4, global,      0, 540, format!("NOT_IMPLEMENTED - {NOUN} does not support global qos")),
        (v4, bad_start,   1, 406, format!("PRECONDITION_FAILED - invalid arg 'x-stream-offset' for {NOUN}: {{invalid_stream_offset_arg,{{longstr,<<\"bogus\">>}}}}")),
        (v3, bad_start,   0, 541, "INTERNAL_ERROR".to_owned()),
        (v4, priority,    1, 406, format!("PRECONDITION_FAILED - invalid arg 'x-priority' for {NOUN} of queue type rabbit_stream_queue")),
        (v3, priority,    1, 406, format!("PRECONDITION_FAILED - invalid arg 'x-priority' for {NOUN} of queue type rabbit_stream_queue")),
        (v4, get,         0, 540, format!("NOT_IMPLEMENTED - basic.get not supported by stream queues {NOUN}")),
        (v3, get,         0, 540, format!("NOT_IMPLEMENTED - basic.get not supported by stream queues {NOUN}")),
        (v4, purge,       0, 540, format!("NOT_IMPLEMENTED - queue.purge not supported by stream queues {NOUN}")),
        (v3, purge,       0, 540, format!("NOT_IMPLEMENTED - queue.purge not supported by stream queues {NOUN}")),
        (v3, nack,        0, 540, format!("NOT_IMPLEMENTED - basic.nack and basic.reject not supported by stream queues {NOUN}")),
    ];
    for (compat, ask, channel, code, text) in cases {
        let directory = TempDir::new().unwrap();
        let mut kept = Kept::open_as(directory.path(), compat);
        kept.declare(FieldTable::new());
        kept.publish(0..1);
        kept.client.said();
        ask(&mut kept.client);
        assert_eq!(closed(&mut kept.client), (channel, code, text), "{compat:?}");
    }
}

#[test]
fn a_broker_that_keeps_nothing_has_streams_in_memory() {
    let broker = Arc::new(Broker::new("mq@test".into()));
    let mut client = Client::open(&broker, 0);
    let arguments =
        limited("x-max-length-bytes", FieldValue::I32(1_000)).with("x-queue-type", "stream");
    let declare =
        queue::Declare { queue: literal("s"), durable: true, arguments, ..Default::default() };
    client.send(1, declare, 0);
    for number in 0..35_u32 {
        client.publish("s", &[number.to_string().as_bytes()], 0);
    }
    client.said();
    consume(&mut client, 100, FieldTable::new().with("x-stream-offset", "first"));
    assert_eq!(came(&mut client), numbered(20..35));
    client.publish("s", &[b"35"], 0);
    assert_eq!(came(&mut client), numbered(35..36));
}
