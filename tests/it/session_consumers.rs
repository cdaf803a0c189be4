//! Which consumer gets a message: by priority, or one alone; and what becomes of what it leaves.

use std::sync::Arc;

use mq::broker::Broker;
use mq::wire::method::{basic, channel, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method};

use super::support::session::{Client, Said, broker};

fn consume(client: &mut Client, tag: &'static str, priority: i32) {
    let arguments = FieldTable::new().with("x-priority", FieldValue::I32(priority));
    let (queue, consumer_tag) = (literal("q"), literal(tag));
    client.send(1, basic::Consume { queue, consumer_tag, arguments, ..Default::default() }, 0);
}

fn declare_single(client: &mut Client, kind: &'static str) {
    let arguments =
        FieldTable::new().with("x-single-active-consumer", true).with("x-queue-type", kind);
    let (queue, durable) = (literal("q"), true);
    client.send(1, queue::Declare { queue, durable, arguments, ..Default::default() }, 0);
}

/// Who got what of the bodies since the last time.
fn got(client: &mut Client) -> Vec<(String, String)> {
    let mut tag = String::new();
    let mut got = Vec::new();
    for said in client.said() {
        match said {
            Said::Method(_, Method::BasicDeliver(deliver)) => {
                tag = deliver.consumer_tag.to_string();
            }
            Said::Body(body) => got.push((tag.clone(), String::from_utf8(body).unwrap())),
            Said::Method(..) | Said::Heartbeat => {}
        }
    }
    got
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(tag, body)| ((*tag).to_owned(), (*body).to_owned())).collect()
}

fn activities(broker: &Broker) -> Vec<(String, &'static str)> {
    let queue = broker.vhost("/").unwrap().find_queue("q").unwrap();
    let consumers = queue.consumers().into_iter();
    consumers.map(|one| (one.subscription.tag.to_string(), one.activity.name())).collect()
}

#[test]
fn higher_priorities_are_served_first_while_they_have_credit_and_equals_in_turn() {
    let mut client = Client::open(&broker(), 0);
    client.declare("q");
    client.send(1, basic::Qos { prefetch_count: 2, ..Default::default() }, 0);
    consume(&mut client, "low", -1);
    client.consume("q", "plain");
    consume(&mut client, "high", 5);
    consume(&mut client, "other", 5);
    client.said();
    client.publish("q", &[b"1", b"2", b"3", b"4", b"5", b"6", b"7"], 0);
    let expected = [
        ("high", "1"),
        ("other", "2"),
        ("high", "3"),
        ("other", "4"),
        ("plain", "5"),
        ("plain", "6"),
        ("low", "7"),
    ];
    assert_eq!(got(&mut client), pairs(&expected));
    client.send(1, basic::Ack { delivery_tag: 4, multiple: false }, 0);
    client.publish("q", &[b"8", b"9"], 0);
    assert_eq!(got(&mut client), pairs(&[("other", "8"), ("low", "9")]));
}

#[test]
fn a_priority_is_a_number() {
    let mut client = Client::open(&broker(), 0);
    client.declare("q");
    client.said();
    let arguments = FieldTable::new().with("x-priority", "high");
    client.send(1, basic::Consume { queue: literal("q"), arguments, ..Default::default() }, 0);
    let said = client.said();
    let [Said::Method(1, Method::ChannelClose(close))] = &said[..] else { panic!("{said:?}") };
    let text = "PRECONDITION_FAILED - invalid arg 'x-priority' for queue 'q' in vhost '/': \
                \"expected integer, got longstr\"";
    assert_eq!((close.reply_code, close.reply_text.as_str()), (406, text));
}

#[test]
fn one_consumer_is_served_until_it_goes_and_what_it_had_comes_first() {
    for kind in ["classic", "quorum"] {
        let broker = broker();
        let (mut first, mut second) = (Client::open(&broker, 0), Client::open(&broker, 0));
        declare_single(&mut first, kind);
        first.consume("q", "a");
        second.consume("q", "b");
        second.consume("q", "c");
        second.said();
        let expected = [("a", "single_active"), ("b", "waiting"), ("c", "waiting")];
        assert_eq!(activities(&broker), expected.map(|(tag, what)| (tag.to_owned(), what)));
        first.publish("q", &[b"1", b"2"], 0);
        assert_eq!(got(&mut first), pairs(&[("a", "1"), ("a", "2")]));
        first.send(1, channel::Close::default(), 0);
        second.publish("q", &[b"3"], 0);
        assert_eq!(got(&mut second), pairs(&[("b", "1"), ("b", "2"), ("b", "3")]), "{kind}");
        second.send(1, basic::Cancel { consumer_tag: literal("b"), nowait: false }, 0);
        second.publish("q", &[b"4"], 0);
        assert_eq!(got(&mut second), pairs(&[("c", "4")]));
        let queue = broker.vhost("/").unwrap().find_queue("q").unwrap();
        assert_eq!(queue.info().single_active_consumer, Some(literal("c")));
    }
}

#[test]
fn the_end_of_a_connection_hands_over_too() {
    let broker = broker();
    let (mut first, mut second) = (Client::open(&broker, 0), Client::open(&broker, 0));
    declare_single(&mut first, "classic");
    first.consume("q", "a");
    first.said();
    first.publish("q", &[b"1"], 0);
    second.consume("q", "b");
    second.said();
    first.session.end(0);
    assert_eq!(got(&mut second), pairs(&[("b", "1")]));
}

#[test]
fn a_higher_priority_takes_over_on_a_quorum_queue_when_the_other_has_settled() {
    for (kind, heir) in [("classic", "a"), ("quorum", "b")] {
        let broker = broker();
        let mut client = Client::open(&broker, 0);
        declare_single(&mut client, kind);
        client.consume("q", "a");
        client.publish("q", &[b"1"], 0);
        assert_eq!(got(&mut client), pairs(&[("a", "1")]));
        consume(&mut client, "b", 1);
        client.send(1, basic::Ack { delivery_tag: 1, multiple: false }, 0);
        client.publish("q", &[b"2"], 0);
        assert_eq!(got(&mut client), pairs(&[(heir, "2")]), "{kind}");
    }
}

#[test]
fn nobody_has_a_single_active_consumers_queue_alone() {
    let mut client = Client::open(&broker(), 0);
    declare_single(&mut client, "classic");
    client.said();
    let exclusive = basic::Consume { queue: literal("q"), exclusive: true, ..Default::default() };
    client.send(1, exclusive, 0);
    let said = client.said();
    let [Said::Method(1, Method::ChannelClose(close))] = &said[..] else { panic!("{said:?}") };
    let text = "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use";
    assert_eq!((close.reply_code, close.reply_text.as_str()), (403, text));
}

#[test]
fn those_that_wait_may_go_as_well() {
    let broker: Arc<Broker> = broker();
    let mut client = Client::open(&broker, 0);
    declare_single(&mut client, "classic");
    client.consume("q", "a");
    client.consume("q", "b");
    client.consume("q", "c");
    client.send(1, basic::Cancel { consumer_tag: literal("b"), nowait: false }, 0);
    client.send(1, basic::Cancel { consumer_tag: literal("a"), nowait: false }, 0);
    client.publish("q", &[b"1"], 0);
    assert_eq!(got(&mut client), pairs(&[("c", "1")]));
    client.send(1, basic::Cancel { consumer_tag: literal("c"), nowait: false }, 0);
    client.consume("q", "d");
    client.publish("q", &[b"2"], 0);
    assert_eq!(got(&mut client), pairs(&[("d", "2")]));
}
