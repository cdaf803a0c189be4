//! Exchanges beyond the four of the specification, and further routing keys, as frames show them.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::compat::Compat;
use mq::wire::method::{basic, confirm, exchange, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, ShortStr, frame};

use super::support::session::{Client, Said, broker, ready};

fn declare_exchange(
    client: &mut Client,
    name: &'static str,
    kind: &'static str,
    arguments: FieldTable,
) {
    let (exchange, kind) = (literal(name), literal(kind));
    client.send(1, exchange::Declare { exchange, kind, arguments, ..Default::default() }, 0);
}

fn bind(client: &mut Client, exchange: &'static str, queue: &str, key: &'static str) {
    let (exchange, routing_key) = (literal(exchange), literal(key));
    let queue = ShortStr::try_from(queue).unwrap();
    client.send(1, queue::Bind { queue, exchange, routing_key, ..Default::default() }, 0);
}

fn publish(client: &mut Client, exchange: &'static str, key: &str, headers: FieldTable) {
    let properties = Properties { headers: Some(headers), ..Properties::default() };
    let routing_key = ShortStr::try_from(key).unwrap();
    let publish = basic::Publish {
        exchange: literal(exchange),
        routing_key,
        mandatory: true,
        ..Default::default()
    };
    let mut bytes = Vec::new();
    frame::write_method(&mut bytes, 1, &publish.into());
    frame::write_content(&mut bytes, 1, &properties.to_bytes(), b"body", 131_072);
    client.bytes(&bytes, 0);
}

fn close_of(client: &mut Client) -> (u16, u16, String) {
    match client.said().pop() {
        Some(Said::Method(channel, Method::ChannelClose(close))) => {
            (channel, close.reply_code, close.reply_text.to_string())
        }
        Some(Said::Method(channel, Method::ConnectionClose(close))) => {
            (channel, close.reply_code, close.reply_text.to_string())
        }
        other => panic!("{other:?}"),
    }
}

fn keys(keys: &[&str]) -> FieldValue {
    FieldValue::Array(keys.iter().map(|key| FieldValue::from(*key)).collect())
}

#[test]
fn copies_go_to_further_queues_each_once_and_blind_ones_are_not_told() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    for queue in ["to", "cc", "bcc"] {
        client.declare(queue);
    }
    let headers =
        FieldTable::new().with("CC", keys(&["cc", "to", "nobody"])).with("BCC", keys(&["bcc"]));
    publish(&mut client, "", "to", headers);
    assert_eq!(["to", "cc", "bcc"].map(|queue| ready(&broker, queue)), [1, 1, 1]);
    client.said();
    client.send(1, basic::Get { queue: literal("bcc"), no_ack: true, ..Default::default() }, 0);
    let told = client.got_properties().headers.unwrap();
    assert_eq!(told, FieldTable::new().with("CC", keys(&["cc", "to", "nobody"])));
    let said = client.said();
    let Some(Said::Method(1, Method::BasicGetOk(got))) = said.first() else { panic!("{said:?}") };
    assert_eq!(got.routing_key, "to", "the key it was published with, for every copy");
}

#[test]
fn copies_of_another_type_close_the_channel() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.declare("to");
    client.said();
    publish(&mut client, "", "to", FieldTable::new().with("BCC", "to"));
    let text = "PRECONDITION_FAILED - invalid message: \
                {unacceptable_type_in_header,\"BCC\",longstr}";
    assert_eq!(close_of(&mut client), (1, 406, text.to_owned()));
    assert_eq!(ready(&broker, "to"), 0);
}

/// Routes of a connection are remembered by exchange and key: one with copies must not be.
#[test]
fn a_message_with_copies_leaves_the_way_of_others_alone() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    for queue in ["to", "cc"] {
        client.declare(queue);
    }
    for copied in [false, true, false] {
        let headers = FieldTable::new().with("other", "CC, in a value");
        let copies = FieldTable::new().with("CC", keys(&["cc"]));
        publish(&mut client, "", "to", if copied { copies } else { headers });
    }
    assert_eq!(["to", "cc"].map(|queue| ready(&broker, queue)), [3, 1]);
}

fn spread_over_four(kind: &'static str, key: &'static str) -> (Arc<Broker>, Client) {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    declare_exchange(&mut client, "x", kind, FieldTable::new());
    for queue in ["q0", "q1", "q2", "q3"] {
        client.declare(queue);
        bind(&mut client, "x", queue, key);
    }
    client.said();
    (broker, client)
}

#[test]
fn each_message_takes_one_way_out_of_an_exchange_that_chooses() {
    for (kind, key) in [
        ("x-random", "any"),
        ("x-local-random", ""),
        ("x-modulus-hash", "any"),
        ("x-consistent-hash", "10"),
    ] {
        let (broker, mut client) = spread_over_four(kind, key);
        for at in 0..400 {
            publish(&mut client, "x", &format!("key.{at}"), FieldTable::new());
        }
        let counts = ["q0", "q1", "q2", "q3"].map(|queue| ready(&broker, queue));
        assert_eq!(counts.iter().sum::<u64>(), 400, "{kind}");
        assert!(counts.iter().all(|count| *count > 50), "{kind}: {counts:?}");
        assert!(client.said().is_empty(), "{kind}: nothing came back");
    }
}

#[test]
fn one_key_keeps_its_queue_where_hashes_choose_and_uses_all_at_random() {
    for (kind, key, used) in
        [("x-consistent-hash", "1", 1), ("x-modulus-hash", "", 1), ("x-random", "", 4)]
    {
        let (broker, mut client) = spread_over_four(kind, key);
        (0..200).for_each(|_| publish(&mut client, "x", "the same", FieldTable::new()));
        let queues = ["q0", "q1", "q2", "q3"];
        let got = queues.iter().filter(|queue| ready(&broker, queue) > 0).count();
        assert_eq!(got, used, "{kind}");
    }
}

#[test]
fn a_queue_bound_later_gets_the_recent_history() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    let length = FieldTable::new().with("x-recent-history-length", FieldValue::I32(3));
    declare_exchange(&mut client, "x", "x-recent-history", length);
    client.declare("early");
    bind(&mut client, "x", "early", "");
    for _ in 0..5 {
        publish(&mut client, "x", "k", FieldTable::new());
    }
    let unkept = FieldTable::new().with("x-recent-history-no-store", FieldValue::Bool(true));
    publish(&mut client, "x", "k", unkept);
    client.declare("late");
    bind(&mut client, "x", "late", "");
    bind(&mut client, "x", "late", "");
    assert_eq!(["early", "late"].map(|queue| ready(&broker, queue)), [6, 3]);
    assert!(client.said().iter().all(|said| matches!(said, Said::Method(1, _))));
    let bad = [
        (FieldValue::I32(0), "0"),
        (FieldValue::I32(-1), "-1"),
        ("a".into(), "<<\"a\">>"),
        (FieldValue::Bool(true), "true"),
    ];
    for (value, shown) in bad {
        let mut client = Client::open(&broker, 0);
        let length = FieldTable::new().with("x-recent-history-length", value);
        declare_exchange(&mut client, "y", "x-recent-history", length);
        let text = format!(
            "PRECONDITION_FAILED - Invalid argument {shown}, 'x-recent-history-length' must be a positive integer"
        );
        assert_eq!(close_of(&mut client), (1, 406, text));
    }
}

#[test]
fn an_unknown_type_is_refused_as_the_release_does_it() {
    for (compat, channel, code) in [(Compat::V4, 1, 406), (Compat::V3_10, 0, 503)] {
        let broker = Broker::new("mq@test".into());
        broker.answer_as(compat);
        let mut client = Client::open(&Arc::new(broker), 0);
        declare_exchange(&mut client, "x", "x-nobody-has-it", FieldTable::new());
        let (at, told, text) = close_of(&mut client);
        assert_eq!((at, told), (channel, code));
        assert!(text.ends_with("unknown exchange type 'x-nobody-has-it'"), "{text}");
    }
}

#[test]
fn a_binding_that_cannot_be_is_refused() {
    let cases = [
        ("x-consistent-hash", "abc", "The binding key must be an integer: <<\"abc\">>"),
        ("x-local-random", "abc", "Non empty binding 'abc' key not permitted"),
    ];
    for (kind, key, told) in cases {
        let broker = broker();
        let mut client = Client::open(&broker, 0);
        client.declare("q");
        declare_exchange(&mut client, "x", kind, FieldTable::new());
        client.said();
        bind(&mut client, "x", "q", key);
        assert_eq!(close_of(&mut client), (1, 406, format!("PRECONDITION_FAILED - {told}")));
    }
}

#[test]
fn what_an_alternate_exchange_takes_counts_as_routed() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    let to = |name: &str| FieldTable::new().with("alternate-exchange", name);
    declare_exchange(&mut client, "last", "fanout", to("first"));
    declare_exchange(&mut client, "middle", "direct", to("last"));
    declare_exchange(&mut client, "first", "direct", to("middle"));
    client.send(1, confirm::Select::default(), 0);
    client.said();
    publish(&mut client, "first", "k", FieldTable::new());
    let answers = client.said();
    let kinds: Vec<_> = answers
        .iter()
        .filter_map(|said| match said {
            Said::Method(_, Method::BasicReturn(_)) => Some("return"),
            Said::Method(_, Method::BasicAck(_)) => Some("ack"),
            _ => None,
        })
        .collect();
    assert_eq!(
        kinds,
        ["return", "ack"],
        "a ring that leads nowhere ends, and tells so before the confirm"
    );
    client.declare("q");
    bind(&mut client, "last", "q", "");
    client.said();
    publish(&mut client, "first", "k", FieldTable::new());
    let answers = client.said();
    assert!(matches!(&answers[..], [Said::Method(1, Method::BasicAck(_))]), "{answers:?}");
    assert_eq!(ready(&broker, "q"), 1);
}
