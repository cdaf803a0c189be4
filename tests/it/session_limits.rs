//! What a node lets its clients have: connections, channels, consumers, large messages; and what it offers them.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::node_limits::NodeLimits;
use mq::broker::vhost_metadata::VhostChange;
use mq::wire::Method;
use mq::wire::constants::PROTOCOL_HEADER;
use mq::wire::method::{basic, channel, connection};
use mq::wire::shortstr::literal;

use super::support::session::{Client, Said, ready, start_ok};

fn limited(limits: NodeLimits) -> Arc<Broker> {
    let broker = Broker::new("mq@test".into());
    broker.limits.set(limits);
    Arc::new(broker)
}

/// The code and text of the close that was said last, and which method it is about.
fn refusal(said: &[Said]) -> (u16, u16, String, (u16, u16)) {
    match said.last() {
        Some(Said::Method(0, Method::ConnectionClose(close))) => {
            let about = (close.class_id, close.method_id);
            (0, close.reply_code, close.reply_text.to_string(), about)
        }
        Some(Said::Method(channel, Method::ChannelClose(close))) => {
            let about = (close.class_id, close.method_id);
            (*channel, close.reply_code, close.reply_text.to_string(), about)
        }
        other => panic!("{other:?}"),
    }
}

const NOT_ALLOWED: u16 = 530;

#[test]
fn one_connection_too_many_is_refused_when_it_opens() {
    let broker = limited(NodeLimits { connections_max: Some(1), ..NodeLimits::default() });
    let first = Client::open(&broker, 0);
    let mut second = Client::new(&broker, 0);
    second.bytes(&PROTOCOL_HEADER, 0);
    second.send(0, start_ok("guest", true), 0);
    let tune_ok = connection::TuneOk { channel_max: 100, frame_max: 131_072, heartbeat: 0 };
    second.send(0, tune_ok, 0);
    second.send(0, connection::Open { virtual_host: literal("/"), ..Default::default() }, 0);
    let text = "NOT_ALLOWED - connection refused: node connection limit (1) is reached";
    assert_eq!(refusal(&second.said()), (0, NOT_ALLOWED, text.into(), (10, 40)));
    drop((first, second));
    Client::open(&broker, 0);
}

#[test]
fn channels_of_all_connections_are_counted() {
    let broker = limited(NodeLimits { channels_max: Some(2), ..NodeLimits::default() });
    let (first, mut second) = (Client::open(&broker, 0), Client::open(&broker, 0));
    drop(first);
    second.send(2, channel::Open::default(), 0);
    assert!(matches!(second.said()[..], [Said::Method(2, Method::ChannelOpenOk(_))]));
    second.send(3, channel::Open::default(), 0);
    let text = "NOT_ALLOWED - number of channels opened on node 'mq@test' has reached the maximum \
                allowed limit of 2";
    let (channel, code, found, _) = refusal(&second.said());
    assert_eq!((channel, code, found.as_str()), (0, NOT_ALLOWED, text));
}

#[test]
fn consumers_of_a_channel_are_counted() {
    let broker = limited(NodeLimits { consumers_max: Some(1), ..NodeLimits::default() });
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    client.consume("q", "a");
    client.send(1, basic::Cancel { consumer_tag: literal("a"), nowait: false }, 0);
    client.consume("q", "b");
    client.said();
    client.consume("q", "c");
    let text = "NOT_ALLOWED - reached maximum (1) of consumers per channel";
    assert_eq!(refusal(&client.said()), (0, NOT_ALLOWED, text.into(), (60, 20)));
}

#[test]
fn larger_messages_are_refused_before_their_bodies_come() {
    let broker = limited(NodeLimits { message_bytes_max: 3, ..NodeLimits::default() });
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    client.publish("q", &[b"123"], 0);
    client.said();
    client.publish("q", &[b"1234"], 0);
    let text = "PRECONDITION_FAILED - message size 4 is larger than configured max size 3";
    assert_eq!(refusal(&client.said()), (1, 406, text.into(), (60, 40)));
}

#[test]
fn a_channel_that_keeps_a_delivery_for_too_long_is_closed_and_gives_it_back() {
    let timeout = Some(10_000);
    let broker = limited(NodeLimits { consumer_timeout_ms: timeout, ..NodeLimits::default() });
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    client.consume("q", "a");
    client.publish("q", &[b"1", b"2"], 0);
    client.said();
    client.send(1, basic::Ack { delivery_tag: 1, multiple: false }, 0);
    assert_eq!(client.session.deadline(), Some(1_000));
    for now in (1_000..11_000).step_by(1_000) {
        client.session.on_timeout(now, &mut client.out);
        assert_eq!(client.said(), [], "at {now}");
    }
    client.session.on_timeout(11_000, &mut client.out);
    let text = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value \
                used: 10000 ms. This timeout value can be configured, see consumers doc guide to learn more";
    assert_eq!(refusal(&client.said()), (1, 406, text.into(), (0, 0)));
    assert_eq!(ready(&broker, "q"), 1);
    client.session.on_timeout(30_000, &mut client.out);
    assert_eq!(client.said(), []);
}

#[test]
fn clients_are_offered_the_nodes_heartbeat() {
    for heartbeat_s in [0, 7] {
        let broker = limited(NodeLimits { heartbeat_s, ..NodeLimits::default() });
        let mut client = Client::new(&broker, 0);
        client.bytes(&PROTOCOL_HEADER, 0);
        client.send(0, start_ok("guest", true), 0);
        let said = client.said();
        let Some(Said::Method(0, Method::ConnectionTune(tune))) = said.last() else {
            panic!("{said:?}")
        };
        assert_eq!(tune.heartbeat, heartbeat_s);
    }
}

/// The `tune` that a client is sent by a node with these limits, and what its `tune-ok` and `open` are answered.
fn tuned(limits: NodeLimits, channel_max: u16, frame_max: u32) -> (connection::Tune, Vec<Said>) {
    let broker = limited(limits);
    let mut client = Client::new(&broker, 0);
    client.bytes(&PROTOCOL_HEADER, 0);
    client.send(0, start_ok("guest", true), 0);
    let Some(Said::Method(0, Method::ConnectionTune(tune))) = client.said().pop() else {
        panic!("no tune")
    };
    client.send(0, connection::TuneOk { channel_max, frame_max, heartbeat: 0 }, 0);
    client.send(0, connection::Open { virtual_host: literal("/"), ..Default::default() }, 0);
    if channel_max != 3 {
        return (tune, client.said());
    }
    for number in 1..=4 {
        client.send(number, channel::Open::default(), 0);
    }
    (tune, client.said())
}

#[test]
fn clients_are_offered_the_nodes_channels_and_frames() {
    let few = NodeLimits {
        channels_per_connection_max: 3,
        frame_bytes_max: 8192,
        ..NodeLimits::default()
    };
    let any = NodeLimits { channels_per_connection_max: 0, ..NodeLimits::default() };
    let (tune, said) = tuned(few, 3, 8192);
    assert_eq!((tune.channel_max, tune.frame_max), (3, 8192));
    let text =
        "NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)";
    assert_eq!(refusal(&said).2, text);
    #[rustfmt::skip]
    let cases = [
        // limits  channel_max  frame_max  the text of the refusal
        (few,      4,           8192,      Some("NOT_ALLOWED - negotiated channel_max = 4 is higher than the maximum allowed value (3)")),
        (few,      0,           8192,      Some("NOT_ALLOWED - negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (3)")),
        (few,      2,           8193,      Some("NOT_ALLOWED - negotiated frame_max = 8193 is higher than the maximum allowed value (8192)")),
        (any,      0,           131_072,   None),
        (any,      u16::MAX,    131_072,   None),
        (any,      1,           131_072,   None),
    ];
    for (limits, channel_max, frame_max, expected) in cases {
        let (_, said) = tuned(limits, channel_max, frame_max);
        let case = format!("{channel_max}, {frame_max}: {said:?}");
        match expected {
            Some(text) => assert_eq!(refusal(&said).2, text, "{case}"),
            None => assert!(
                matches!(said[..], [Said::Method(0, Method::ConnectionOpenOk(_))]),
                "{case}"
            ),
        }
    }
}

#[test]
fn the_time_of_a_handshake_is_the_nodes() {
    for (handshake_ms, expected) in [(Some(3_000), Some(3_000)), (None, None)] {
        let broker = limited(NodeLimits { handshake_ms, ..NodeLimits::default() });
        assert_eq!(Client::new(&broker, 0).session.deadline(), expected);
    }
}

#[test]
fn a_vhost_too_many_is_refused() {
    let broker = limited(NodeLimits { vhosts_max: Some(2), ..NodeLimits::default() });
    let put = |name| broker.put_vhost(&literal(name), VhostChange::default(), None);
    put("one").unwrap();
    put("one").unwrap();
    let fault = put("two").unwrap_err();
    assert_eq!(fault.text, "cannot create vhost 'two': vhost limit of 2 is reached");
}
