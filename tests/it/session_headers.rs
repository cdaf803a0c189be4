//! Headers and properties that only bytes can say: nested deeper than anybody decodes, or texts that are not UTF-8.
//!
//! RabbitMQ takes them and delivers them wherever the message goes (measured on 4.3.6), and so does the broker; what is no
//! table at all it refuses when it is published.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::vhost_metadata::VhostChange;
use mq::wire::method::{basic, exchange, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, frame};

use super::support::session::{Client, Said, broker, ready};

/// A table in a table in a table, `levels` deep: the letter and the bytes of the value.
fn nested(levels: usize) -> Vec<u8> {
    let mut value = b"V".to_vec();
    for _ in 0..levels {
        let len = u32::try_from(value.len() + 2).unwrap();
        value = [b"F", &len.to_be_bytes()[..], b"\x01t", &value].concat();
    }
    value
}

/// Encoded properties that have headers only, of these encoded entries.
fn with_headers(entries: &[&[u8]]) -> Vec<u8> {
    let entries = entries.concat();
    let len = u32::try_from(entries.len()).unwrap();
    [&[0x20, 0], &len.to_be_bytes()[..], &entries].concat()
}

/// Properties, and the bytes of them that must be wherever the message goes.
fn cases() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let deep = |levels| {
        let entry = [b"\x01h", &nested(levels)[..]].concat();
        (with_headers(&[&entry, b"\x01aI\0\0\0\x07"]), entry)
    };
    let [(deeper, deeper_kept), (deepest, deepest_kept)] = [65, 5_000].map(deep);
    let name = b"\x03\xff\xfe\xfdV".to_vec();
    // `correlation_id`, 16 bytes of anything.
    let id = [b"\x10", &[0xf0; 16][..]].concat();
    vec![
        ("65 levels", deeper, deeper_kept),
        ("5000 levels", deepest, deepest_kept),
        ("a name that is no text", with_headers(&[&name]), name),
        ("a correlation id that is no text", [&[0x04, 0], &id[..]].concat(), id),
    ]
}

fn publish(client: &mut Client, exchange: &'static str, key: &'static str, properties: &[u8]) {
    let (exchange, routing_key) = (literal(exchange), literal(key));
    let publish = basic::Publish { exchange, routing_key, ..Default::default() };
    let mut bytes = Vec::new();
    frame::write_method(&mut bytes, 1, &publish.into());
    frame::write_content(&mut bytes, 1, properties, b"body", 131_072);
    client.bytes(&bytes, 0);
}

/// All that the session writes when a message is got.
fn got(client: &mut Client, queue: &'static str) -> Vec<u8> {
    client.said();
    client.send(1, basic::Get { queue: literal(queue), ..Default::default() }, 0);
    std::mem::take(&mut client.out)
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

fn declare(client: &mut Client, queue: &'static str, arguments: FieldTable) {
    client.send(1, queue::Declare { queue: literal(queue), arguments, ..Default::default() }, 0);
}

fn declare_exchange(client: &mut Client, kind: &'static str, arguments: FieldTable) {
    let (exchange, kind) = (literal("x"), literal(kind));
    client.send(1, exchange::Declare { exchange, kind, arguments, ..Default::default() }, 0);
}

fn bind(client: &mut Client, exchange: &'static str, queue: &'static str, arguments: FieldTable) {
    let (exchange, queue, routing_key) = (literal(exchange), literal(queue), literal("#"));
    let bind = queue::Bind { queue, exchange, routing_key, arguments, ..Default::default() };
    client.send(1, bind, 0);
}

/// A way of a message into the queue `end`, and what is to be among what is got there beside its own.
struct Way {
    name: &'static str,
    go: fn(&Arc<Broker>, &mut Client, &[u8]),
    adds: &'static [u8],
}

const WAYS: &[Way] = &[
    Way { name: "a dead letter", go: die, adds: b"x-first-death-queue" },
    Way { name: "a delayed message", go: wait, adds: b"" },
    Way { name: "a remembered message", go: be_remembered, adds: b"" },
    Way { name: "a headers exchange", go: match_headers, adds: b"" },
    Way { name: "a traced message", go: be_traced, adds: b"routed_queues" },
    Way { name: "a message with a count", go: come_back, adds: b"x-delivery-count" },
    Way { name: "further keys", go: by_further_keys, adds: b"" },
];

fn die(_: &Arc<Broker>, client: &mut Client, properties: &[u8]) {
    let to_end = FieldTable::new()
        .with("x-dead-letter-exchange", "")
        .with("x-dead-letter-routing-key", "end");
    declare(client, "source", to_end);
    publish(client, "", "source", properties);
    client.send(1, basic::Get { queue: literal("source"), ..Default::default() }, 0);
    client.send(1, basic::Reject { delivery_tag: 1, requeue: false }, 0);
}

/// Adds an entry to headers, or headers to properties that have none.
fn and_header(properties: &[u8], entry: &[u8]) -> Vec<u8> {
    if properties[0] & 0x20 == 0 {
        let len = u32::try_from(entry.len()).unwrap().to_be_bytes();
        return [&[properties[0] | 0x20, properties[1]], &len[..], entry, &properties[2..]]
            .concat();
    }
    with_headers(&[&properties[6..], entry])
}

fn wait(broker: &Arc<Broker>, client: &mut Client, properties: &[u8]) {
    declare_exchange(
        client,
        "x-delayed-message",
        FieldTable::new().with("x-delayed-type", "topic"),
    );
    bind(client, "x", "end", FieldTable::new());
    publish(client, "x", "k", &and_header(properties, b"\x07x-delayI\0\0\0\x0a"));
    assert_eq!(ready(broker, "end"), 0);
    broker.on_time(10);
}

fn be_remembered(_: &Arc<Broker>, client: &mut Client, properties: &[u8]) {
    declare_exchange(client, "x-recent-history", FieldTable::new());
    publish(client, "x", "k", properties);
    bind(client, "x", "end", FieldTable::new());
}

fn match_headers(_: &Arc<Broker>, client: &mut Client, properties: &[u8]) {
    bind(client, "amq.headers", "end", FieldTable::new().with("b", FieldValue::I32(7)));
    publish(client, "amq.headers", "k", &and_header(properties, b"\x01bI\0\0\0\x07"));
}

fn be_traced(broker: &Arc<Broker>, client: &mut Client, properties: &[u8]) {
    bind(client, "amq.rabbitmq.trace", "end", FieldTable::new());
    let change = VhostChange { is_traced: Some(true), ..VhostChange::default() };
    broker.put_vhost(&literal("/"), change, None).unwrap();
    publish(client, "amq.direct", "nowhere", properties);
}

fn come_back(_: &Arc<Broker>, client: &mut Client, properties: &[u8]) {
    publish(client, "", "end", properties);
    client.send(1, basic::Get { queue: literal("end"), ..Default::default() }, 0);
    client.send(1, basic::Reject { delivery_tag: 1, requeue: true }, 0);
}

fn by_further_keys(_: &Arc<Broker>, client: &mut Client, properties: &[u8]) {
    publish(client, "", "nowhere", &and_header(properties, b"\x02CCA\0\0\0\x08S\0\0\0\x03end"));
}

#[test]
fn what_only_bytes_can_say_goes_wherever_its_message_goes() {
    for (case, properties, kept) in cases() {
        for Way { name, go, adds } in WAYS {
            let broker = broker();
            let mut client = Client::open(&broker, 0);
            let (queue, durable) = (literal("end"), true);
            let arguments = FieldTable::new().with("x-queue-type", "quorum");
            let declare = queue::Declare { queue, durable, arguments, ..Default::default() };
            client.send(1, declare, 0);
            go(&broker, &mut client, &properties);
            let bytes = got(&mut client, "end");
            assert!(has(&bytes, b"body") && has(&bytes, adds), "{name} with {case}");
            // The firehose tells properties as values of its headers: a text has a longer length there.
            let kept =
                if *name == "a traced message" && kept[0] == 16 { &kept[1..] } else { &kept };
            assert!(has(&bytes, kept), "{name} keeps {case}");
        }
    }
}

#[test]
fn a_blind_copy_stays_hidden_beside_a_deep_header() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.declare("end");
    let (_, properties, kept) = cases().remove(0);
    let properties = and_header(&properties, b"\x03BCCA\0\0\0\x08S\0\0\0\x03end");
    publish(&mut client, "", "nowhere", &properties);
    let bytes = got(&mut client, "end");
    assert!(has(&bytes, &kept) && !has(&bytes, b"BCC"));
}

#[test]
fn headers_that_are_no_table_are_refused_when_they_are_published() {
    let deep = |last: u8| {
        let mut value = nested(70);
        *value.last_mut().unwrap() = last;
        [b"\x01h", &value[..]].concat()
    };
    assert!(Properties::decode(&with_headers(&[b"\x01hV"])).is_ok());
    #[rustfmt::skip]
    let cases: [(&str, Vec<u8>); 5] = [
        ("an unknown letter", b"\x01hz".to_vec()),
        ("an unknown letter below 70 tables", deep(b'z')),
        ("a name that ends too late", b"\x09h".to_vec()),
        ("a table that ends too late", b"\x01hF\0\0\0\x09\x01a".to_vec()),
        ("a value that ends too late", b"\x01hA\0\0\0\x02I\0".to_vec()),
    ];
    for (case, entry) in cases {
        let broker = broker();
        let mut client = Client::open(&broker, 0);
        client.declare("q");
        client.said();
        publish(&mut client, "", "q", &with_headers(&[&entry]));
        match &client.said()[..] {
            [Said::Method(0, Method::ConnectionClose(close))] => {
                assert_eq!((close.reply_code, close.class_id), (501, 60), "{case}");
            }
            said => panic!("{case}: {said:?}"),
        }
        assert_eq!(ready(&broker, "q"), 0, "{case}");
    }
}
