//! The limit that all consumers of a channel share, who gets what it leaves; and what ends a queue's or a message's time.

use mq::wire::method::{basic, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method};

use super::support::session::{Client, Said, broker, ready};

fn limited(prefetch_count: u16) -> Client {
    let mut client = Client::open(&broker(), 0);
    client.send(1, basic::Qos { prefetch_count, global: true, ..Default::default() }, 0);
    client
}

fn acknowledge(client: &mut Client, delivery_tag: u64) {
    client.send(1, basic::Ack { delivery_tag, multiple: false }, 0);
}

/// Which consumer got each delivery since the last time.
fn receivers(client: &mut Client) -> Vec<String> {
    let said = client.said().into_iter();
    said.filter_map(|said| match said {
        Said::Method(_, Method::BasicDeliver(deliver)) => Some(deliver.consumer_tag.to_string()),
        Said::Method(..) | Said::Body(_) | Said::Heartbeat => None,
    })
    .collect()
}

#[test]
fn what_a_channels_limit_leaves_goes_round_its_queues() {
    let mut client = limited(1);
    for name in ["a", "b", "c"] {
        client.declare(name);
        client.publish(name, &[b"1", b"2", b"3"], 0);
        client.consume(name, name);
    }
    let mut got = receivers(&mut client);
    for tag in 1..9 {
        acknowledge(&mut client, tag);
        got.append(&mut receivers(&mut client));
    }
    // One was first, then each has its turn.
    for name in ["a", "b", "c"] {
        assert!(got[..4].iter().any(|tag| tag == name), "{got:?}");
    }
}

#[test]
fn consumers_of_one_queue_take_turns_at_a_channels_limit() {
    let mut client = limited(1);
    client.declare("q");
    client.consume("q", "one");
    client.consume("q", "other");
    client.publish("q", &[b"1", b"2", b"3", b"4"], 0);
    let mut got = receivers(&mut client);
    for tag in 1..4 {
        acknowledge(&mut client, tag);
        got.append(&mut receivers(&mut client));
    }
    assert_eq!(got, ["one", "other", "one", "other"]);
}

#[test]
fn who_needs_not_acknowledge_waits_for_the_channels_limit_and_takes_nothing_of_it() {
    let mut client = limited(1);
    client.declare("kept");
    client.declare("free");
    client.consume("kept", "kept");
    let (name, consumer_tag) = (literal("free"), literal("free"));
    client.send(
        1,
        basic::Consume { queue: name, consumer_tag, no_ack: true, ..Default::default() },
        0,
    );
    client.publish("kept", &[b"1"], 0);
    client.publish("free", &[b"1", b"2", b"3"], 0);
    assert_eq!(receivers(&mut client), ["kept"]);
    acknowledge(&mut client, 1);
    assert_eq!(receivers(&mut client), ["free", "free", "free"]);
}

#[test]
fn what_comes_back_too_late_is_not_delivered_again() {
    for requeue in [
        Method::from(basic::Reject { delivery_tag: 1, requeue: true }),
        Method::from(basic::Nack { delivery_tag: 1, multiple: false, requeue: true }),
        Method::from(basic::Recover { requeue: true }),
    ] {
        let broker = broker();
        let mut client = Client::open(&broker, 0);
        let arguments = FieldTable::new().with("x-message-ttl", FieldValue::I32(0));
        client.send(1, queue::Declare { queue: literal("q"), arguments, ..Default::default() }, 0);
        client.consume("q", "c");
        client.publish("q", &[b"at once"], 5);
        assert_eq!(client.deliveries().len(), 1);
        client.send(1, requeue.clone(), 5);
        assert_eq!((client.deliveries().len(), ready(&broker, "q")), (0, 0), "{requeue:?}");
    }
}

#[test]
fn who_asks_for_a_queue_passively_uses_it() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    let arguments = FieldTable::new().with("x-expires", FieldValue::I32(100));
    client.send(1, queue::Declare { queue: literal("q"), arguments, ..Default::default() }, 0);
    client.send(1, queue::Declare { queue: literal("q"), passive: true, ..Default::default() }, 60);
    broker.on_time(120);
    assert!(broker.vhost("/").unwrap().find_queue("q").is_some());
    broker.on_time(160);
    assert!(broker.vhost("/").unwrap().find_queue("q").is_none());
}
