//! Dead letters over restarts and kills: a persistent message is where it died or where it went, and knows its deaths.

use std::collections::BTreeSet;

use mq::wire::method::{basic, queue, tx};
use mq::wire::{FieldTable, FieldValue, Method, Properties};
use tempfile::TempDir;

use crate::support::directory::Served;
use crate::support::peer::Peer;
use crate::support::queues::{Came, name, persistent, write_publish};

/// Arguments that lead dead letters through the default exchange to a queue.
fn letters_to(queue: &str) -> FieldTable {
    FieldTable::new().with("x-dead-letter-exchange", "").with("x-dead-letter-routing-key", queue)
}

fn reject(peer: &mut Peer, queue: &str) {
    let answer = peer.call(basic::Get { queue: name(queue), ..Default::default() });
    let Method::BasicGetOk(ok) = answer else { panic!("{answer:?}") };
    while !peer.next_frame().expect("a content").payload.starts_with(b"body") {}
    peer.send_method(1, basic::Reject { delivery_tag: ok.delivery_tag, requeue: false });
}

/// Queue and count of each death.
fn deaths(came: &Came) -> Vec<(String, i64)> {
    let headers = came.properties.headers.clone().unwrap_or_default();
    let Some(FieldValue::Array(deaths)) = headers.get("x-death") else { return Vec::new() };
    let told = |death: &FieldValue| {
        let FieldValue::Table(death) = death else { panic!("{death:?}") };
        let queue = death.get("queue").and_then(FieldValue::as_str).unwrap().to_owned();
        (queue, death.get("count").and_then(FieldValue::as_integer).unwrap())
    };
    deaths.iter().map(told).collect()
}

#[test]
fn a_dead_letter_knows_its_deaths_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", letters_to("dead"));
    peer.declare_durable("dead", letters_to("q"));
    peer.confirmed("q", &persistent(), b"body");
    reject(&mut peer, "q");
    assert_eq!(peer.depth("dead"), 1);
    served.stop();

    let served = Served::start(directory.path());
    assert_eq!(served.recovered(), "recovered 2 queues, 1 message");
    let mut peer = Peer::on_channel_one(served.address());
    reject(&mut peer, "dead");
    reject(&mut peer, "q");
    let came = peer.taken("dead").unwrap();
    assert_eq!(deaths(&came), [("q".to_owned(), 2), ("dead".to_owned(), 1)]);
    let headers = came.properties.headers.clone().unwrap();
    assert_eq!(headers.get("x-first-death-queue"), Some(&"q".into()));
    served.stop();
}

#[test]
fn what_expires_while_the_broker_is_down_is_a_dead_letter_when_it_is_up() {
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    // The name decides who is recovered first.
    peer.declare_durable("z", FieldTable::new());
    peer.declare_durable("a", FieldTable::new());
    let limits = |to| letters_to(to).with("x-message-ttl", FieldValue::I32(1));
    peer.declare_durable("to-z", limits("z"));
    peer.declare_durable("to-a", limits("a"));
    for _ in 0..20 {
        peer.confirmed("to-z", &persistent(), b"body");
        peer.confirmed("to-a", &persistent(), b"body");
    }
    served.kill();

    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address());
    for (from, to) in [("to-a", "a"), ("to-z", "z")] {
        while peer.depth(to) < 20 {}
        assert_eq!(peer.depth(from), 0);
        assert!(peer.drained(to).iter().all(|came| deaths(came) == [(from.to_owned(), 1)]));
    }
    served.stop();
}

/// Publishes until the broker is gone; answers what was confirmed.
fn publish_until_killed(served: Served, kill_after: usize) -> BTreeSet<u64> {
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    let (mut confirmed, mut published) = (BTreeSet::new(), 0_u64);
    let mut served = Some(served);
    loop {
        let mut bytes = Vec::new();
        for _ in 0..50 {
            published += 1;
            write_publish(&mut bytes, ("", "q"), &persistent(), &published.to_be_bytes());
        }
        peer.send_until_refused(&bytes);
        while confirmed.len() as u64 + 200 < published || served.is_none() {
            let Some(frame) = peer.next_frame() else { return confirmed };
            let Method::BasicAck(ack) = frame.method() else { panic!("{frame:?}") };
            let first = if ack.multiple { 1 } else { ack.delivery_tag };
            confirmed.extend(first..=ack.delivery_tag);
        }
        if confirmed.len() >= kill_after
            && let Some(served) = served.take()
        {
            served.kill();
        }
    }
}

#[test]
fn no_confirmed_message_is_lost_between_a_queue_and_its_dead_letters() {
    let directory = TempDir::new().unwrap();
    for kill_after in [100, 700, 2_000] {
        let served = Served::start(directory.path());
        let mut peer = Peer::on_channel_one(served.address());
        peer.declare_durable("dead", FieldTable::new());
        peer.declare_durable("q", letters_to("dead").with("x-max-length", FieldValue::I32(30)));
        drop(peer);
        let confirmed = publish_until_killed(served, kill_after);
        assert!(confirmed.len() >= kill_after);

        let served = Served::start(directory.path());
        let mut peer = Peer::on_channel_one(served.address());
        let mut found = BTreeSet::new();
        for queue in ["q", "dead"] {
            for came in peer.drained(queue) {
                found.insert(u64::from_be_bytes(came.body.try_into().unwrap()));
            }
        }
        let lost: Vec<_> = confirmed.difference(&found).collect();
        assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), confirmed.len());
        // What the next round finds is its own.
        peer.send_method(1, tx::Select::default());
        assert!(matches!(peer.next_method(), (1, Method::TxSelectOk(_))));
        peer.send_method(1, tx::Commit {});
        assert!(matches!(peer.next_method(), (1, Method::TxCommitOk(_))));
        served.stop();
    }
}

#[test]
fn a_letter_that_a_client_held_is_delivered_again_and_keeps_its_key_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", letters_to("dead"));
    peer.declare_durable("dead", FieldTable::new().with("x-dead-letter-exchange", "amq.direct"));
    for queue in ["copy", "last"] {
        peer.declare_durable(queue, FieldTable::new());
        let routing_key = name(if queue == "last" { "dead" } else { "further" });
        let (queue, exchange) = (name(queue), name("amq.direct"));
        let bind = queue::Bind { queue, exchange, routing_key, ..Default::default() };
        assert!(matches!(peer.call(bind), Method::QueueBindOk(_)));
    }
    let copies = FieldValue::Array(vec!["further".into()]);
    let headers = Some(FieldTable::new().with("CC", copies.clone()));
    peer.confirmed("q", &Properties { headers, ..persistent() }, b"body");
    reject(&mut peer, "q");
    assert_eq!(peer.depth("dead"), 1);
    served.stop();

    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address());
    reject(&mut peer, "dead");
    let came = peer.taken("last").unwrap();
    assert!(came.redelivered);
    assert_eq!(came.properties.headers.unwrap().get("CC"), Some(&copies));
    assert!(peer.taken("copy").is_none(), "only the key of the letter leads on");
    served.stop();
}
