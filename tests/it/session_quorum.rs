//! Quorum queues on one node: what they refuse, how they count returns, and that everything in them survives.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::compat::Compat;
use mq::wire::method::{basic, channel, confirm, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties};
use tempfile::TempDir;

use super::support::directory::Served;
use super::support::disk::Kept;
use super::support::peer::Peer;
use super::support::queues::write_publish;
use super::support::session::{Client, Said, broker, ready};

fn quorum() -> FieldTable {
    FieldTable::new().with("x-queue-type", "quorum")
}

fn declaration(arguments: FieldTable) -> queue::Declare {
    queue::Declare { queue: literal("q"), durable: true, arguments, ..Default::default() }
}

fn client(broker: &Arc<Broker>, arguments: FieldTable) -> Client {
    let mut client = Client::open(broker, 0);
    client.send(1, declaration(arguments), 0);
    let said = client.said();
    assert!(matches!(&said[..], [Said::Method(1, Method::QueueDeclareOk(_))]), "{said:?}");
    client
}

/// The channel, code and text of the close that was said last.
fn refusal(client: &mut Client) -> (u16, u16, String) {
    let said = client.said();
    match said.last() {
        Some(Said::Method(0, Method::ConnectionClose(close))) => {
            (0, close.reply_code, close.reply_text.to_string())
        }
        Some(Said::Method(channel, Method::ChannelClose(close))) => {
            (*channel, close.reply_code, close.reply_text.to_string())
        }
        _ => panic!("{said:?}"),
    }
}

#[test]
fn what_a_quorum_queue_cannot_be_is_refused() {
    let noun = "queue 'q' in vhost '/'";
    let asked = declaration(quorum());
    let cases = [
        (
            queue::Declare { durable: false, ..asked.clone() },
            format!("invalid property 'non-durable' for {noun}"),
        ),
        (
            queue::Declare { exclusive: true, ..asked.clone() },
            format!("invalid property 'exclusive-owner' for {noun}"),
        ),
        (
            queue::Declare { auto_delete: true, ..asked.clone() },
            format!("invalid property 'auto-delete' for {noun}"),
        ),
        (
            queue::Declare { queue: literal(""), ..asked },
            "Cannot declare a server-named queue for type rabbit_quorum_queue".to_owned(),
        ),
        (
            declaration(quorum().with("x-max-priority", FieldValue::I32(3))),
            format!("invalid arg 'x-max-priority' for {noun} of queue type rabbit_quorum_queue"),
        ),
    ];
    for (declare, text) in cases {
        let mut client = Client::open(&broker(), 0);
        client.send(1, declare, 0);
        assert_eq!(refusal(&mut client), (1, 406, format!("PRECONDITION_FAILED - {text}")));
    }
}

#[test]
fn what_a_quorum_queue_does_not_do_ends_the_connection() {
    let delete = |if_unused, if_empty| queue::Delete {
        queue: literal("q"),
        if_unused,
        if_empty,
        ..Default::default()
    };
    let cannot = |flag| {
        format!(
            "NOT_IMPLEMENTED - cannot delete queue 'q' in vhost '/'. queue.delete operations with \
             {flag} flag set are not supported by quorum queues"
        )
    };
    for (method, text) in
        [(delete(true, false), cannot("if-unused")), (delete(false, true), cannot("if-empty"))]
    {
        let mut client = client(&broker(), quorum());
        client.send(1, method, 0);
        assert_eq!(refusal(&mut client), (0, 540, text));
    }
    let mut client = client(&broker(), quorum());
    client.send(1, basic::Qos { prefetch_count: 5, global: true, ..Default::default() }, 0);
    client.consume("q", "a");
    let text = "NOT_IMPLEMENTED - queue 'q' in vhost '/' does not support global qos";
    assert_eq!(refusal(&mut client), (0, 540, text.to_owned()));
}

#[test]
fn a_single_active_consumers_queue_gives_nothing_to_others() {
    for (compat, kind) in [
        (Compat::V3_10, "quorum"),
        (Compat::V4, "<<\"quorum\">>"),
        (Compat::V4_3, "<<\"quorum\">>"),
    ] {
        let text = format!(
            "RESOURCE_LOCKED - cannot obtain access to locked queue 'q' in vhost '/'. basic.get operations are not \
             supported by {kind} queues with single active consumer"
        );
        let broker = broker();
        broker.answer_as(compat);
        let mut client = client(&broker, quorum().with("x-single-active-consumer", true));
        client.send(1, basic::Get { queue: literal("q"), ..Default::default() }, 0);
        assert_eq!(refusal(&mut client), (1, 405, text), "{compat:?}");
    }
}

#[test]
fn consumers_are_never_alone() {
    let mut client = client(&broker(), quorum());
    for tag in ["a", "b"] {
        let (queue, consumer_tag, exclusive) = (literal("q"), literal(tag), true);
        client.send(1, basic::Consume { queue, consumer_tag, exclusive, ..Default::default() }, 0);
        let said = client.said();
        assert!(matches!(&said[..], [Said::Method(1, Method::BasicConsumeOk(_))]), "{said:?}");
    }
}

/// What a get says of how often the message came back: `x-acquired-count` and `x-delivery-count`.
fn counts(client: &mut Client) -> Option<(Option<i64>, Option<i64>, u64)> {
    client.send(1, basic::Get { queue: literal("q"), ..Default::default() }, 0);
    let properties = (client.out.len() > 40).then(|| client.got_properties());
    let said = client.said();
    let [Said::Method(1, Method::BasicGetOk(ok)), ..] = &said[..] else { return None };
    let headers = properties.unwrap().headers.unwrap_or_default();
    let count = |name| headers.get(name).and_then(FieldValue::as_integer);
    Some((count("x-acquired-count"), count("x-delivery-count"), ok.delivery_tag))
}

#[test]
fn returns_are_counted_told_and_limited() {
    let nack = |delivery_tag| -> Method {
        basic::Nack { delivery_tag, requeue: true, multiple: false }.into()
    };
    let reject = |delivery_tag| -> Method { basic::Reject { delivery_tag, requeue: true }.into() };
    let told = |acquired, delivered| Some((acquired, delivered));
    #[rustfmt::skip]
    let cases = [
        (Compat::V3_10, [told(None, Some(0)), told(None, Some(1)), told(None, Some(2)), None]),
        // A nack is no failure there.
        (Compat::V4, [told(None, None), told(Some(1), None), told(Some(2), Some(1)),
                      told(Some(3), Some(2))]),
    ];
    let strict = (Compat::V4_3, cases[1].1);
    for (compat, expected) in cases.into_iter().chain([strict]) {
        let broker = broker();
        broker.answer_as(compat);
        let limited = quorum().with("x-delivery-limit", FieldValue::I32(2));
        let mut client = client(&broker, limited);
        client.publish("q", &[b"body"], 0);
        for (nth, expected) in expected.into_iter().enumerate() {
            let got = counts(&mut client);
            assert_eq!(got.map(|(all, failed, _)| (all, failed)), expected, "{compat:?} {nth}");
            let Some((_, _, tag)) = got else { break };
            client.send(1, if nth == 0 { nack(tag) } else { reject(tag) }, 0);
        }
        assert_eq!(ready(&broker, "q"), 0, "{compat:?}");
    }
}

#[test]
fn twenty_returns_are_enough_unless_it_is_said_otherwise() {
    let unlimited = quorum().with("x-delivery-limit", FieldValue::I32(-1));
    for (compat, arguments, stays) in [
        (Compat::V4, quorum(), false),
        (Compat::V4, unlimited, true),
        (Compat::V3_10, quorum(), true),
    ] {
        let broker = broker();
        broker.answer_as(compat);
        let mut client = client(&broker, arguments);
        client.publish("q", &[b"body"], 0);
        for _ in 0..21 {
            let (_, _, delivery_tag) = counts(&mut client).unwrap();
            client.send(1, basic::Reject { delivery_tag, requeue: true }, 0);
        }
        assert_eq!(counts(&mut client).is_some(), stays, "{compat:?}");
    }
}

#[test]
fn what_was_delivered_too_often_is_a_dead_letter() {
    let broker = broker();
    let arguments = quorum()
        .with("x-delivery-limit", FieldValue::I32(0))
        .with("x-dead-letter-exchange", "")
        .with("x-dead-letter-routing-key", "dead")
        .with("x-dead-letter-strategy", "at-least-once")
        .with("x-overflow", "reject-publish");
    let mut client = client(&broker, arguments);
    client.declare("dead");
    client.publish("q", &[b"body"], 0);
    client.consume("q", "a");
    client.said();
    client.send(1, channel::Close::default(), 0);
    assert_eq!((ready(&broker, "q"), ready(&broker, "dead")), (0, 1));
    client.said();
    client.send(1, channel::Open::default(), 0);
    client.send(1, basic::Get { queue: literal("dead"), no_ack: true, ..Default::default() }, 0);
    let headers = client.got_properties().headers.unwrap();
    assert_eq!(headers.get("x-first-death-reason"), Some(&"delivery_limit".into()));
    assert_eq!(headers.get("x-delivery-count"), None);
}

#[test]
fn every_message_is_confirmed_when_it_is_synced() {
    let kept = Kept::new();
    let mut client = client(&kept.broker, quorum());
    client.send(1, confirm::Select::default(), 0);
    client.said();
    client.publish("q", &[b"transient"], 0);
    client.on_synced();
    assert_eq!(client.said(), []);
    kept.sync();
    client.on_synced();
    let ack = basic::Ack { delivery_tag: 1, multiple: false };
    assert_eq!(client.said(), [Said::Method(1, ack.into())]);
    drop(client);
    assert_eq!(kept.left_on_disk(), 1);
}

#[test]
fn a_transient_message_survives_in_a_quorum_queue_and_nowhere_else() {
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", quorum());
    peer.declare_durable("classic", FieldTable::new());
    peer.declare_fanout("x", &["classic", "q"]);
    let properties = Properties { delivery_mode: Some(1), ..Properties::default() };
    let mut bytes = Vec::new();
    write_publish(&mut bytes, ("x", ""), &properties, b"body");
    peer.send(&bytes);
    assert!(matches!(peer.next_method(), (1, Method::BasicAck(_))));
    served.kill();

    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address());
    assert_eq!(peer.depth("classic"), 0);
    let came = peer.taken("q").unwrap();
    assert_eq!((came.body.as_slice(), came.properties.delivery_mode), (&b"body"[..], Some(1)));
    served.stop();
}
