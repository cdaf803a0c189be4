//! The firehose, as frames show it: what is told of a message that is published or delivered in a traced vhost.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::compat::Compat;
use mq::broker::vhost_metadata::VhostChange;
use mq::wire::method::{basic, exchange, queue, tx};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, frame};

use super::support::disk::Kept;
use super::support::session::{Client, Said, broker, ready};

fn trace(broker: &Broker, is_on: bool) {
    let change = VhostChange { is_traced: Some(is_on), ..VhostChange::default() };
    broker.put_vhost(&literal("/"), change, None).unwrap();
}

/// A client with a queue `q`, and a queue `log` that gets all that is traced.
fn traced() -> (Arc<Broker>, Client) {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    client.declare("log");
    let bind = queue::Bind {
        queue: literal("log"),
        exchange: literal("amq.rabbitmq.trace"),
        routing_key: literal("#"),
        ..Default::default()
    };
    client.send(1, bind, 0);
    trace(&broker, true);
    client.said();
    (broker, client)
}

/// The next that was traced: routing key, headers, body.
fn next(client: &mut Client) -> (String, FieldTable, Vec<u8>) {
    client.send(1, basic::Get { queue: literal("log"), no_ack: true, ..Default::default() }, 0);
    let headers = client.got_properties().headers.unwrap();
    let mut said = client.said();
    let Some(Said::Body(body)) = said.pop() else { panic!("{said:?}") };
    let Some(Said::Method(1, Method::BasicGetOk(got))) = said.pop() else { panic!("{said:?}") };
    assert_eq!(got.exchange, "amq.rabbitmq.trace");
    (got.routing_key.to_string(), headers, body)
}

fn texts(texts: &[&str]) -> FieldValue {
    FieldValue::Array(texts.iter().map(|text| FieldValue::from(*text)).collect())
}

#[test]
fn a_publish_and_a_delivery_are_told_with_everything_that_is_known() {
    let (_broker, mut client) = traced();
    let headers =
        FieldTable::new().with("CC", texts(&["q", "other"])).with("a", FieldValue::I32(1));
    let properties = Properties {
        headers: Some(headers.clone()),
        content_type: Some(literal("text/plain")),
        priority: Some(3),
        timestamp: Some(7),
        ..Properties::default()
    };
    client.publish_with("q", &properties, b"body");
    client.send(1, basic::Get { queue: literal("q"), no_ack: true, ..Default::default() }, 0);
    client.said();

    let told = FieldTable::new()
        .with("timestamp", FieldValue::I32(7))
        .with("priority", FieldValue::I32(3))
        .with("headers", headers)
        .with("content_type", "text/plain");
    let common = FieldTable::new()
        .with("exchange_name", "")
        .with("routing_keys", texts(&["q", "q", "other"]))
        .with("properties", told)
        .with("node", "mq@test");
    let with_whom = |headers: FieldTable| {
        headers
            .with("vhost", "/")
            .with("connection", "peer -> broker")
            .with("channel", FieldValue::I32(1))
            .with("user", "guest")
    };
    let published = with_whom(common.clone()).with("routed_queues", texts(&["other", "q"]));
    assert_eq!(next(&mut client), ("publish.".to_owned(), published, b"body".to_vec()));
    let delivered = with_whom(common.with("redelivered", FieldValue::I32(0)));
    assert_eq!(next(&mut client), ("deliver.q".to_owned(), delivered, b"body".to_vec()));
}

#[test]
fn a_message_that_no_queue_takes_and_one_that_comes_again_are_told() {
    let (_broker, mut client) = traced();
    client.publish("nobody", &[b"lost"], 0);
    let (key, headers, _) = next(&mut client);
    assert_eq!(
        (key.as_str(), headers.get("routed_queues")),
        ("publish.", Some(&texts(&["nobody"])))
    );

    client.publish("q", &[b"again"], 0);
    next(&mut client);
    client.consume("q", "tag");
    client.said();
    let first = next(&mut client);
    assert_eq!(
        (first.0.as_str(), first.1.get("redelivered")),
        ("deliver.q", Some(&FieldValue::I32(0)))
    );
    client.send(1, basic::Recover { requeue: true }, 0);
    client.said();
    let second = next(&mut client);
    assert_eq!(
        (second.0.as_str(), second.1.get("redelivered")),
        ("deliver.q", Some(&FieldValue::I32(1)))
    );
}

/// Routes that connections remember must not outlive the change.
#[test]
fn it_is_switched_on_and_off_under_a_connection_that_publishes() {
    let (broker, mut client) = traced();
    client.publish("q", &[b"1"], 0);
    trace(&broker, false);
    client.publish("q", &[b"2"], 0);
    assert_eq!((ready(&broker, "log"), ready(&broker, "q")), (1, 2));
    trace(&broker, true);
    client.publish("q", &[b"3"], 0);
    assert_eq!((ready(&broker, "log"), ready(&broker, "q")), (2, 3));
    assert!(broker.vhost("/").unwrap().metadata().is_traced);
}

#[test]
fn what_is_in_a_transaction_is_told_when_it_is_published_and_once() {
    let (broker, mut client) = traced();
    client.send(1, tx::Select {}, 0);
    client.publish("q", &[b"1"], 0);
    assert_eq!((ready(&broker, "log"), ready(&broker, "q")), (1, 0));
    client.send(1, tx::Commit {}, 0);
    assert_eq!((ready(&broker, "log"), ready(&broker, "q")), (1, 1));
}

/// What an exchange keeps until later goes to no queue that anybody knows.
#[test]
fn a_message_that_is_delayed_is_told_to_have_gone_nowhere_yet() {
    let (_broker, mut client) = traced();
    let declare = exchange::Declare {
        exchange: literal("later"),
        kind: literal("x-delayed-message"),
        arguments: FieldTable::new().with("x-delayed-type", "fanout"),
        ..Default::default()
    };
    client.send(1, declare, 0);
    let (queue, exchange) = (literal("q"), literal("later"));
    client.send(1, queue::Bind { queue, exchange, ..Default::default() }, 0);
    client.said();
    for (delay, routed) in [(1000, texts(&[])), (0, texts(&["q"]))] {
        let headers = Some(FieldTable::new().with("x-delay", FieldValue::I32(delay)));
        let properties = Properties { headers, ..Properties::default() };
        let mut bytes = Vec::new();
        let publish = basic::Publish { exchange: literal("later"), ..Default::default() };
        frame::write_method(&mut bytes, 1, &publish.into());
        frame::write_content(&mut bytes, 1, &properties.to_bytes(), b"body", 131_072);
        client.bytes(&bytes, 0);
        let (key, headers, _) = next(&mut client);
        assert_eq!((key.as_str(), headers.get("routed_queues")), ("publish.later", Some(&routed)));
    }
}

/// RabbitMQ 4.3.6 was found to keep them so; their properties do not say that they are persistent.
#[test]
fn what_is_told_survives_in_durable_queues() {
    for (compat, left) in [(Compat::V4, 2), (Compat::V4_3, 2), (Compat::V3_10, 1)] {
        let kept = Kept::new();
        kept.broker.answer_as(compat);
        let mut client = Client::open(&kept.broker, 0);
        client.declare_durable("classic");
        let quorum = queue::Declare {
            queue: literal("quorum"),
            durable: true,
            arguments: FieldTable::new().with("x-queue-type", "quorum"),
            ..Default::default()
        };
        client.send(1, quorum, 0);
        let exclusive =
            queue::Declare { queue: literal("gone"), exclusive: true, ..Default::default() };
        client.send(1, exclusive, 0);
        for queue in ["classic", "quorum", "gone"] {
            let bind = queue::Bind {
                queue: literal(queue),
                exchange: literal("amq.rabbitmq.trace"),
                routing_key: literal("publish.#"),
                ..Default::default()
            };
            client.send(1, bind, 0);
        }
        trace(&kept.broker, true);
        client.publish("gone", &[b"body"], 0);
        for (queue, count) in [("classic", 1), ("quorum", 1), ("gone", 2)] {
            assert_eq!(ready(&kept.broker, queue), count, "{queue} {compat:?}");
        }
        client.send(1, basic::Get { queue: literal("quorum"), ..Default::default() }, 0);
        assert_eq!(client.got_properties().delivery_mode, None);
        drop(client);
        assert_eq!(kept.left_on_disk(), left, "{compat:?}");
    }
}
