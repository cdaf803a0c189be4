//! What comes back to a quorum queue that delays retries: when it is delivered again, and that it is not lost meanwhile.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::admin::PolicyName;
use mq::broker::compat::Compat;
use mq::broker::policies::Author;
use mq::wire::method::{basic, channel, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method};

use super::support::disk::Kept;
use super::support::session::{Client, Said, broker, ready};

fn retrying(kind: &'static str, min_ms: i32, max_ms: i32) -> FieldTable {
    FieldTable::new()
        .with("x-queue-type", "quorum")
        .with("x-delayed-retry-type", kind)
        .with("x-delayed-retry-min", FieldValue::I32(min_ms))
        .with("x-delayed-retry-max", FieldValue::I32(max_ms))
}

fn declared(broker: &Arc<Broker>, arguments: FieldTable) -> Client {
    let mut client = Client::open(broker, 0);
    let declare =
        queue::Declare { queue: literal("q"), durable: true, arguments, ..Default::default() };
    client.send(1, declare, 0);
    let said = client.said();
    assert!(matches!(&said[..], [Said::Method(1, Method::QueueDeclareOk(_))]), "{said:?}");
    client
}

/// The tag of the delivery that has come, if one has.
fn delivered(client: &mut Client) -> Option<u64> {
    client.said().into_iter().find_map(|said| match said {
        Said::Method(_, Method::BasicDeliver(deliver)) => Some(deliver.delivery_tag),
        _ => None,
    })
}

/// How long a message waits after each of some returns, given back by `give_back`.
fn waits(
    broker: &Arc<Broker>,
    client: &mut Client,
    times: usize,
    give_back: impl Fn(u64) -> Method,
) -> Vec<u64> {
    client.consume("q", "c");
    client.publish("q", &[b"body"], 0);
    let mut tag = delivered(client).unwrap();
    let (mut now, mut waited) = (0, Vec::new());
    for _ in 0..times {
        client.send(1, give_back(tag), now);
        let since = now;
        tag = loop {
            if let Some(tag) = delivered(client) {
                break tag;
            }
            now += 100;
            assert!(now - since < 100_000, "it never comes");
            broker.on_time(now);
        };
        waited.push(now - since);
    }
    waited
}

fn reject(delivery_tag: u64) -> Method {
    basic::Reject { delivery_tag, requeue: true }.into()
}

fn nack(delivery_tag: u64) -> Method {
    basic::Nack { delivery_tag, multiple: false, requeue: true }.into()
}

/// As measured on RabbitMQ 4.3.5.
#[test]
fn a_reject_waits_longer_each_time_and_a_nack_does_not() {
    for (kind, give_back, expected) in [
        ("all", reject as fn(u64) -> Method, [3000, 6000, 9000, 12_000, 12_000]),
        ("all", nack, [3000; 5]),
        ("failed", reject, [3000, 6000, 9000, 12_000, 12_000]),
        ("failed", nack, [0; 5]),
        ("returned", reject, [0; 5]),
        ("returned", nack, [3000; 5]),
        ("disabled", reject, [0; 5]),
        ("bogus", reject, [0; 5]),
    ] {
        let broker = broker();
        broker.answer_as(Compat::V4_3);
        let mut client = declared(&broker, retrying(kind, 3000, 12_000));
        assert_eq!(waits(&broker, &mut client, 5, give_back), expected, "{kind}");
    }
}

#[test]
fn a_policy_delays_as_well_and_3_10_knows_nothing_of_it() {
    let broker = broker();
    let quorum = FieldTable::new().with("x-queue-type", "quorum");
    let mut client = declared(&broker, quorum);
    let definition = FieldTable::new()
        .with("delayed-retry-type", "all")
        .with("delayed-retry-min", FieldValue::I64(500));
    let value = FieldTable::new().with("pattern", "^q$").with("definition", definition);
    let name = PolicyName { author: Author::Operator, vhost: literal("/"), name: literal("p") };
    broker.put_policy(&name, value, 0).unwrap();
    assert_eq!(waits(&broker, &mut client, 2, reject), [500, 1000]);

    let broker = super::support::session::broker();
    broker.answer_as(Compat::V3_10);
    let mut client = declared(&broker, retrying("all", 3000, 12_000));
    assert_eq!(waits(&broker, &mut client, 2, reject), [0; 2]);
}

/// A client that goes has failed. What waits goes with a purge, and is still on disk while it waits.
#[test]
fn what_waits_is_purged_and_is_kept_on_disk() {
    let kept = Kept::new();
    let mut client = declared(&kept.broker, retrying("failed", 3000, 12_000));
    client.consume("q", "c");
    client.publish("q", &[b"1", b"2"], 0);
    assert!(delivered(&mut client).is_some());
    client.send(1, channel::Close::default(), 0);
    client.said();
    assert_eq!(ready(&kept.broker, "q"), 0);
    drop(client);
    assert_eq!(kept.left_on_disk(), 2);

    let broker = broker();
    let mut client = declared(&broker, retrying("all", 3000, 12_000));
    client.consume("q", "c");
    client.publish("q", &[b"1", b"2", b"3"], 0);
    client.said();
    client.send(1, basic::Nack { delivery_tag: 2, multiple: true, requeue: true }, 0);
    client.send(1, queue::Purge { queue: literal("q"), ..Default::default() }, 0);
    let purged = queue::PurgeOk { message_count: 2 };
    assert_eq!(client.said(), [Said::Method(1, purged.into())]);
    broker.on_time(20_000);
    assert_eq!(client.said(), []);
}
