//! Deliveries that a client keeps for too long, by what the consumer, the queue, a policy and the node say.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::admin::PolicyName;
use mq::broker::compat::Compat;
use mq::broker::node_limits::NodeLimits;
use mq::broker::policies::Author;
use mq::wire::method::{basic, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method};

use super::support::session::{Client, Said, broker, ready};

const TIMEOUT: &str = "x-consumer-timeout";

fn broker_as(compat: Compat) -> Arc<Broker> {
    let broker = broker();
    broker.answer_as(compat);
    broker
}

fn timed(kind: &'static str, timeout_ms: i32) -> FieldTable {
    FieldTable::new().with("x-queue-type", kind).with(TIMEOUT, FieldValue::I32(timeout_ms))
}

fn declare(client: &mut Client, queue: &'static str, arguments: FieldTable) {
    let (queue, durable) = (literal(queue), true);
    client.send(1, queue::Declare { queue, durable, arguments, ..Default::default() }, 0);
    let said = client.said();
    assert!(matches!(said.last(), Some(Said::Method(1, Method::QueueDeclareOk(_)))), "{said:?}");
}

/// A client with a queue `q`, consumed from, and a delivery or two of it.
fn holding(broker: &Arc<Broker>, arguments: FieldTable, bodies: &[&[u8]]) -> Client {
    let mut client = Client::open(broker, 0);
    declare(&mut client, "q", arguments);
    client.consume("q", "c");
    client.publish("q", bodies, 0);
    client.said();
    client
}

/// Lets the time pass in steps that no look is missed in; answers when something was said first, and what.
fn wait(client: &mut Client, until: u64) -> Option<(u64, Said)> {
    for now in (0..=until).step_by(50) {
        client.session.on_timeout(now, &mut client.out);
        if let Some(said) = client.said().into_iter().next() {
            return Some((now, said));
        }
    }
    None
}

/// When the channel was closed, and which time was told.
fn closed(client: &mut Client, until: u64) -> Option<(u64, String)> {
    match wait(client, until)? {
        (now, Said::Method(1, Method::ChannelClose(close))) => {
            let (_, told) = close.reply_text.split_once("Timeout value used: ")?;
            Some((now, told.split_once(" ms.")?.0.to_owned()))
        }
        (_, said) => panic!("{said:?}"),
    }
}

#[test]
fn a_queues_time_goes_before_the_nodes() {
    let node = Broker::new("mq@test".into());
    node.limits.set(NodeLimits { consumer_timeout_ms: Some(20_000), ..NodeLimits::default() });
    let broker = Arc::new(node);
    let mut client = holding(&broker, timed("classic", 1000), &[b"1"]);
    let (at, told) = closed(&mut client, 3_000).expect("it is too long");
    assert!((1000..1500).contains(&at), "{at}");
    assert_eq!(told, "1000");
    assert_eq!(ready(&broker, "q"), 1);
}

#[test]
fn for_3_10_the_argument_says_nothing() {
    let broker = broker_as(Compat::V3_10);
    let mut client = holding(&broker, timed("classic", 1000), &[b"1"]);
    assert_eq!(wait(&mut client, 10_000), None);
}

/// RabbitMQ 4: `rabbit_channel:evaluate_consumer_timeout` looks at the oldest delivery alone.
#[test]
fn the_oldest_delivery_says_which_queues_time_counts() {
    let broker = broker();
    let mut client = holding(&broker, FieldTable::new(), &[b"1"]);
    declare(&mut client, "hurry", timed("classic", 500));
    client.consume("hurry", "d");
    client.publish("hurry", &[b"2"], 0);
    client.said();
    assert_eq!(wait(&mut client, 3_000), None);
    client.send(1, basic::Ack { delivery_tag: 1, multiple: false }, 3_000);
    let (_, told) = closed(&mut client, 6_000).expect("now the other is the oldest");
    assert_eq!(told, "500");
}

#[test]
fn a_policy_that_comes_later_is_looked_at() {
    let broker = broker();
    let mut client = holding(&broker, FieldTable::new(), &[b"1"]);
    assert_eq!(client.session.deadline(), None);
    let name = PolicyName { author: Author::User, vhost: literal("/"), name: literal("p") };
    let definition = FieldTable::new().with("consumer-timeout", FieldValue::I64(800));
    let value = FieldTable::new().with("pattern", ".*").with("definition", definition);
    broker.put_policy(&name, value, 0).unwrap();
    assert_eq!(client.said(), []);
    let (_, told) = closed(&mut client, 3_000).expect("it is too long");
    assert_eq!(told, "800");
}

/// The consumer is told, what it held goes back, and it may still settle what it no longer has.
#[test]
fn the_consumer_of_a_quorum_queue_is_cancelled() {
    [Compat::V4, Compat::V4_3].into_iter().for_each(cancels_a_late_consumer);
}

fn cancels_a_late_consumer(compat: Compat) {
    let broker = broker_as(compat);
    let mut client = holding(&broker, timed("quorum", 1000), &[b"1", b"2"]);
    client.send(1, basic::Ack { delivery_tag: 1, multiple: false }, 0);
    let (at, said) = wait(&mut client, 3_000).expect("it is too long");
    assert!((1000..1500).contains(&at), "{at}");
    let cancel = basic::Cancel { consumer_tag: literal("c"), nowait: true };
    assert_eq!(said, Said::Method(1, cancel.into()));
    assert_eq!(ready(&broker, "q"), 1);

    client.send(1, basic::Ack { delivery_tag: 2, multiple: false }, at);
    assert_eq!(client.said(), []);
    client.consume("q", "again");
    let said = client.said();
    assert!(matches!(&said[0], Said::Method(1, Method::BasicConsumeOk(_))), "{said:?}");
    let Said::Method(1, Method::BasicDeliver(deliver)) = &said[1] else { panic!("{said:?}") };
    assert!(deliver.redelivered);
    client.send(1, basic::Ack { delivery_tag: 3, multiple: true }, at);
    client.send(1, basic::Ack { delivery_tag: 3, multiple: false }, at);
    let said = client.said();
    assert!(matches!(&said[..], [Said::Method(1, Method::ChannelClose(_))]), "{said:?}");
    assert_eq!(ready(&broker, "q"), 0);
}

#[test]
fn for_4_3_only_quorum_queues_are_timed_and_a_client_that_cannot_be_told_loses_its_channel() {
    let node = Broker::new("mq@test".into());
    node.limits.set(NodeLimits { consumer_timeout_ms: Some(1000), ..NodeLimits::default() });
    node.answer_as(Compat::V4_3);
    let broker = Arc::new(node);
    let mut client = holding(&broker, FieldTable::new(), &[b"1"]);
    assert_eq!(wait(&mut client, 5_000), None);

    let mut deaf = Client::open_with(&broker, 0, FieldTable::new());
    let quorum = FieldTable::new().with("x-queue-type", "quorum");
    declare(&mut deaf, "quorum", quorum);
    deaf.consume("quorum", "c");
    deaf.publish("quorum", &[b"1"], 0);
    deaf.said();
    let (_, told) = closed(&mut deaf, 3_000).expect("it is too long");
    assert_eq!(told, "1000");
    assert_eq!(ready(&broker, "quorum"), 1);
}

/// What a client that cannot be cancelled kept for too long goes back as if it had been given back; the rest of its
/// channel is lost.
#[test]
fn what_was_kept_for_too_long_has_not_failed() {
    for compat in [Compat::V4, Compat::V4_3] {
        let broker = broker_as(compat);
        let mut client = Client::open(&broker, 0);
        declare(&mut client, "q", timed("quorum", 1000));
        client.publish("q", &[b"late", b"young"], 0);
        let get = || basic::Get { queue: literal("q"), ..Default::default() };
        client.send(1, get(), 0);
        client.said();
        assert_eq!(wait(&mut client, 900), None);
        client.send(1, get(), 900);
        client.said();
        let closing = (950..2_000).step_by(50).find(|&now| {
            client.session.on_timeout(now, &mut client.out);
            client
                .said()
                .iter()
                .any(|said| matches!(said, Said::Method(1, Method::ChannelClose(_))))
        });
        assert!(closing.is_some(), "{compat:?}");
        let mut other = Client::open(&broker, 0);
        let counts = [(); 2].map(|()| {
            other.send(1, get(), 2_000);
            let headers = other.got_properties().headers.unwrap_or_default();
            let count = |name| headers.get(name).and_then(FieldValue::as_integer);
            let said = other.said();
            let Some(Said::Body(body)) = said.last() else { panic!("{said:?}") };
            (body.clone(), count("x-acquired-count"), count("x-delivery-count"))
        });
        let expected = [(b"late".to_vec(), Some(1), None), (b"young".to_vec(), Some(1), Some(1))];
        assert_eq!(counts, expected, "{compat:?}");
    }
}

/// What a consumer says of itself goes before all else, and only quorum queues know it.
#[test]
fn a_consumer_of_a_quorum_queue_has_its_own_time() {
    let broker = broker_as(Compat::V4_3);
    let mut client = Client::open(&broker, 0);
    declare(&mut client, "q", timed("quorum", 10_000));
    let consume = |queue: &'static str, value: FieldValue| basic::Consume {
        queue: literal(queue),
        consumer_tag: literal("c"),
        arguments: FieldTable::new().with(TIMEOUT, value),
        ..Default::default()
    };
    client.send(1, consume("q", FieldValue::I32(700)), 0);
    client.publish("q", &[b"1"], 0);
    client.said();
    let (at, said) = wait(&mut client, 3_000).expect("it is too long");
    assert!(matches!(said, Said::Method(1, Method::BasicCancel(_))), "{said:?}");
    assert!((700..1000).contains(&at), "{at}");

    let noun = |queue| format!("invalid arg '{TIMEOUT}' for queue '{queue}' in vhost '/'");
    let of_classic = format!("{} of queue type rabbit_classic_queue", noun("classic"));
    #[rustfmt::skip]
    let refused = [
        ("q",       FieldValue::I32(-1),      format!("{}: {{value_negative,-1}}", noun("q"))),
        ("q",       FieldValue::from("long"), format!("{}: \"expected integer, got longstr\"", noun("q"))),
        ("classic", FieldValue::I32(1),       of_classic),
    ];
    for (queue, value, text) in refused {
        let mut client = Client::open(&broker, 0);
        declare(&mut client, "classic", FieldTable::new());
        client.send(1, consume(queue, value), 0);
        let said = client.said();
        let [Said::Method(1, Method::ChannelClose(close))] = &said[..] else { panic!("{said:?}") };
        assert_eq!(close.reply_text.as_str(), format!("PRECONDITION_FAILED - {text}"));
    }
}
