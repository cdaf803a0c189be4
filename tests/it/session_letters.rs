//! Dead letters that a quorum queue sends at least once: kept, counted and tried again until every queue they go to has them.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::admin::PolicyName;
use mq::broker::drops::DropReason;
use mq::broker::policies::Author;
use mq::broker::queue::QueueInfo;
use mq::wire::method::{basic, confirm, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, ShortStr};

use super::support::session::{Client, Said, broker, ready};

/// Letters that may wait for a queue before those behind them wait as well.
const PREFETCH: usize = 32;

fn declare(client: &mut Client, name: &'static str, arguments: FieldTable) {
    let queue = literal(name);
    client.send(1, queue::Declare { queue, durable: true, arguments, ..Default::default() }, 0);
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(1, Method::QueueDeclareOk(_))]), "{said:?}");
}

/// Arguments of a queue that sends its letters at least once to `amq.direct`.
fn sure() -> FieldTable {
    FieldTable::new()
        .with("x-queue-type", "quorum")
        .with("x-overflow", "reject-publish")
        .with("x-dead-letter-exchange", "amq.direct")
        .with("x-dead-letter-strategy", "at-least-once")
}

fn full() -> FieldTable {
    FieldTable::new().with("x-overflow", "reject-publish").with("x-max-length", FieldValue::I32(1))
}

fn bind(client: &mut Client, queue: &'static str, key: &'static str) {
    let (queue, routing_key, exchange) = (literal(queue), literal(key), literal("amq.direct"));
    client.send(1, queue::Bind { queue, exchange, routing_key, ..Default::default() }, 0);
    client.said();
}

fn info(broker: &Broker, name: &str) -> QueueInfo {
    broker.vhost("/").unwrap().find_queue(name).unwrap().info()
}

/// Publishes messages with a routing key through `amq.fanout`, and rejects them; bodies are their numbers.
fn reject(client: &mut Client, key: &str, bodies: impl IntoIterator<Item = usize>) {
    for body in bodies {
        let publish = basic::Publish {
            exchange: literal("amq.fanout"),
            routing_key: key.parse::<ShortStr>().unwrap(),
            ..Default::default()
        };
        let mut bytes = Vec::new();
        mq::wire::frame::write_method(&mut bytes, 1, &publish.into());
        let properties = Properties::default().to_bytes();
        let body = body.to_string();
        mq::wire::frame::write_content(&mut bytes, 1, &properties, body.as_bytes(), 131_072);
        client.bytes(&bytes, 0);
        client.said();
        client.send(1, basic::Get { queue: literal("source"), ..Default::default() }, 0);
        let said = client.said();
        let Some(Said::Method(1, Method::BasicGetOk(ok))) = said.first() else {
            panic!("{said:?}")
        };
        let reject = basic::Reject { delivery_tag: ok.delivery_tag, requeue: false };
        client.send(1, reject, 0);
    }
}

/// A client with the queue `source`, which gets what is published to `amq.fanout`.
fn scene(arguments: FieldTable) -> (Arc<Broker>, Client) {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    declare(&mut client, "source", arguments);
    let bind = queue::Bind {
        queue: literal("source"),
        exchange: literal("amq.fanout"),
        ..Default::default()
    };
    client.send(1, bind, 0);
    client.said();
    (broker, client)
}

fn bodies(client: &mut Client, queue: &'static str) -> Vec<String> {
    client.said();
    let mut bodies = Vec::new();
    loop {
        let get = basic::Get { queue: literal(queue), no_ack: true, ..Default::default() };
        client.send(1, get, 0);
        match client.said().pop() {
            Some(Said::Body(body)) => bodies.push(String::from_utf8(body).unwrap()),
            _ => return bodies,
        }
    }
}

fn texts(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| number.to_string()).collect()
}

#[test]
fn letters_are_kept_and_counted_until_a_queue_is_bound_and_come_in_their_order() {
    let (broker, mut client) = scene(sure());
    reject(&mut client, "k", 0..50);
    let found = info(&broker, "source");
    assert_eq!((found.ready, found.unacked, found.letters, found.letter_bytes), (0, 0, 50, 90));
    broker.on_time(1_000);
    assert_eq!(info(&broker, "source").letters, 50);
    declare(&mut client, "d", FieldTable::new());
    bind(&mut client, "d", "k");
    broker.on_time(2_000);
    broker.on_time(2_000);
    assert_eq!(bodies(&mut client, "d"), texts(0..50));
    let found = info(&broker, "source");
    assert_eq!((found.letters, found.letter_bytes), (0, 0));
    // None waits any more, so a new one goes at once.
    reject(&mut client, "k", [50]);
    assert_eq!(bodies(&mut client, "d"), ["50"]);
    assert_eq!(broker.drops().snapshot().map(|(_, count)| count).sum::<u64>(), 0);
    let counted = broker.letters().at_least_once.snapshot();
    assert_eq!(counted.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [0, 0, 51, 0, 51]);
}

#[test]
fn a_queue_that_refuses_a_letter_gets_it_when_it_has_room_and_others_get_it_once() {
    let (broker, mut client) = scene(sure());
    declare(&mut client, "d", FieldTable::new());
    declare(&mut client, "full", full());
    client.publish("full", &[b"old"], 0);
    bind(&mut client, "d", "k");
    bind(&mut client, "full", "k");
    reject(&mut client, "k", [7]);
    for now in [1_000, 2_000, 3_000] {
        broker.on_time(now);
        assert_eq!((ready(&broker, "d"), info(&broker, "source").letters), (1, 1));
    }
    assert_eq!(bodies(&mut client, "full"), ["old"]);
    broker.on_time(4_000);
    assert_eq!(bodies(&mut client, "full"), ["7"]);
    assert_eq!((bodies(&mut client, "d"), info(&broker, "source").letters), (texts([7]), 0));
}

#[test]
fn some_letters_that_no_queue_takes_hold_up_no_others_and_many_do() {
    let (broker, mut client) = scene(sure());
    declare(&mut client, "d", FieldTable::new());
    bind(&mut client, "d", "k");
    reject(&mut client, "nowhere", 0..PREFETCH - 1);
    reject(&mut client, "k", [100]);
    assert_eq!(bodies(&mut client, "d"), ["100"]);
    reject(&mut client, "nowhere", [PREFETCH]);
    reject(&mut client, "k", [101]);
    broker.on_time(1_000);
    assert_eq!(bodies(&mut client, "d"), [""; 0]);
    assert_eq!(info(&broker, "source").letters, PREFETCH as u64 + 1);
    bind(&mut client, "d", "nowhere");
    broker.on_time(2_000);
    broker.on_time(2_000);
    let wanted = texts((0..PREFETCH - 1).chain([PREFETCH, 101]));
    assert_eq!(bodies(&mut client, "d"), wanted);
}

#[test]
fn letters_count_towards_the_length_of_their_queue_and_are_purged_with_it() {
    let (broker, mut client) = scene(sure().with("x-max-length", FieldValue::I32(2)));
    reject(&mut client, "k", 0..2);
    client.send(1, confirm::Select::default(), 0);
    client.said();
    client.publish("source", &[b"one too many"], 0);
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(1, Method::BasicNack(_))]), "{said:?}");
    client.send(1, queue::Purge { queue: literal("source"), ..Default::default() }, 0);
    assert_eq!(client.said(), [Said::Method(1, queue::PurgeOk { message_count: 2 }.into())]);
    assert_eq!(info(&broker, "source").letters, 0);
    client.publish("source", &[b"there is room"], 0);
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(1, Method::BasicAck(_))]), "{said:?}");
    declare(&mut client, "d", FieldTable::new());
    bind(&mut client, "d", "k");
    broker.on_time(5_000);
    assert_eq!(ready(&broker, "d"), 0);
}

#[test]
fn a_letter_that_would_go_round_waits_as_well() {
    let ring =
        sure().with("x-dead-letter-routing-key", "k").with("x-message-ttl", FieldValue::I32(10));
    let (broker, mut client) = scene(ring);
    bind(&mut client, "source", "k");
    client.publish("source", &[b"round"], 0);
    for now in [10, 1_010, 2_010] {
        broker.on_time(now);
        let found = info(&broker, "source");
        assert_eq!((found.ready, found.letters), (0, 1), "at {now}");
    }
}

/// What asks for no such care, or gives it up: letters that no queue takes are dropped, and counted.
#[test]
fn without_all_that_it_takes_letters_are_sent_at_most_once() {
    let mut classic = sure();
    classic.remove("x-queue-type");
    classic.remove("x-dead-letter-strategy");
    let mut dropping = sure();
    dropping.remove("x-overflow");
    let mut careless = sure();
    careless.remove("x-dead-letter-strategy");
    for (case, arguments) in [("classic", classic), ("drop-head", dropping), ("default", careless)]
    {
        let (broker, mut client) = scene(arguments);
        reject(&mut client, "k", [1]);
        assert_eq!(info(&broker, "source").letters, 0, "{case}");
        assert_eq!(broker.drops().of(DropReason::UnroutableLetter), 1, "{case}");
    }
}

#[test]
fn a_policy_asks_for_it_and_gives_it_up() {
    let (broker, mut client) = scene(FieldTable::new().with("x-queue-type", "quorum"));
    let name = PolicyName { author: Author::User, vhost: literal("/"), name: literal("p") };
    let put = |strategy: &'static str| {
        let definition = FieldTable::new()
            .with("dead-letter-exchange", "amq.direct")
            .with("overflow", "reject-publish")
            .with("dead-letter-strategy", strategy);
        let value = FieldTable::new().with("pattern", "^source$").with("definition", definition);
        broker.put_policy(&name, value, 0).unwrap();
    };
    put("at-least-once");
    reject(&mut client, "k", 0..3);
    assert_eq!(info(&broker, "source").letters, 3);
    put("at-most-once");
    broker.on_time(1_000);
    assert_eq!(
        (info(&broker, "source").letters, broker.drops().of(DropReason::UnroutableLetter)),
        (0, 3)
    );
}
