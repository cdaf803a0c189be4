//! A peer that breaks the protocol is told what it did, with RabbitMQ's code and text, and nobody else notices.
//!
//! Answers were taken from RabbitMQ 3.10.8 on a raw socket, and from 4.x where that one says nothing: where it
//! just drops the connection (unknown methods, a method cut short), ours gives a reason. Handshakes are in
//! `bad_handshake`, memory in `bounded_memory`.

use mq::wire::constants::{FRAME_BODY, FRAME_HEADER, FRAME_METHOD};
use mq::wire::method::{basic, channel, queue};
use mq::wire::{FieldTable, Properties, ShortStr, Writer, frame, shortstr};

use crate::support::peer::{Closed, Peer, frame_of, method_payload};
use crate::support::watched::Watched;

/// Class `basic`, method `publish`.
const PUBLISH: (u16, u16) = (60, 40);
const NO_METHOD: (u16, u16) = (0, 0);

fn publish() -> Vec<u8> {
    let publish =
        basic::Publish { routing_key: shortstr::literal("nowhere"), ..Default::default() };
    frame_of(FRAME_METHOD, 1, &method_payload(publish))
}

fn header(class_id: u16, body_bytes: u64) -> Vec<u8> {
    let [high, low] = class_id.to_be_bytes();
    let payload = [&[high, low, 0, 0], &body_bytes.to_be_bytes()[..], &[0, 0]].concat();
    frame_of(FRAME_HEADER, 1, &payload)
}

fn purge(channel: u16) -> Vec<u8> {
    let purge = queue::Purge { queue: shortstr::literal("q"), ..Default::default() };
    frame_of(FRAME_METHOD, channel, &method_payload(purge))
}

/// A declare whose only argument is a table in a table in a table, `levels` deep.
fn declare_with(levels: usize) -> Vec<u8> {
    let mut payload = method_payload(queue::Declare::default());
    payload.truncate(payload.len() - 4);
    payload.extend(nested(levels));
    frame_of(FRAME_METHOD, 1, &payload)
}

/// A table in a table in a table, encoded.
fn nested(levels: usize) -> Vec<u8> {
    let mut table = vec![0; 4];
    for _ in 1..levels {
        let mut outer = Vec::new();
        Writer::new(&mut outer).sized(|to| to.bytes(&[b"\x01tF", &table[..]].concat()));
        table = outer;
    }
    table
}

type Case<'a> = (&'a str, Vec<u8>, u16, &'a str, (u16, u16));

#[test]
fn a_broken_rule_closes_the_connection_in_rabbitmqs_words() {
    let server_says = frame_of(FRAME_METHOD, 1, &method_payload(queue::DeclareOk::default()));
    let cut_short = frame_of(FRAME_METHOD, 1, &[0, 50, 0, 10, 0, 0]);
    let bad_utf8 = frame_of(FRAME_METHOD, 2, &[0, 20, 0, 10, 1, 0xff]);
    let bad_end = [&[1, 0, 1, 0, 0, 0, 9, 0, 50, 0, 30, 0, 0, 1, 120, 0], &[0; 8][..]].concat();
    let too_large = [&[1, 0, 1, 0, 3, 13, 64], &[0; 20][..]].concat();
    #[rustfmt::skip]
    let cases: &[Case] = &[
        // what is done, the bytes, reply code, reply text, class and method that failed
        ("method on an unopened channel", purge(5),
            504, "CHANNEL_ERROR - expected 'channel.open'", (50, 30)),
        ("a channel opened twice", frame_of(FRAME_METHOD, 1, &method_payload(channel::Open::default())),
            504, "CHANNEL_ERROR - second 'channel.open' seen", (20, 10)),
        ("channel.open on channel 0", frame_of(FRAME_METHOD, 0, &method_payload(channel::Open::default())),
            504, "CHANNEL_ERROR - unexpected method in connection state running", (20, 10)),
        ("a method of another class on channel 0", purge(0),
            504, "CHANNEL_ERROR - unexpected method in connection state running", (50, 30)),
        ("an unknown class", frame_of(FRAME_METHOD, 1, &[0, 99, 0, 1]),
            540, "NOT_IMPLEMENTED - there is no method 1 in class 99", (99, 1)),
        ("an unknown method", frame_of(FRAME_METHOD, 1, &[0, 60, 0, 250]),
            540, "NOT_IMPLEMENTED - there is no method 250 in class 60", (60, 250)),
        ("a header without a method", header(60, 1),
            505, "UNEXPECTED_FRAME - expected method frame, got non method frame instead", NO_METHOD),
        ("a body without a method", frame_of(FRAME_BODY, 1, b"x"),
            505, "UNEXPECTED_FRAME - expected method frame, got non method frame instead", NO_METHOD),
        ("a method where the header is due", [publish(), purge(1)].concat(),
            505, "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead", PUBLISH),
        ("a header of another class", [publish(), header(50, 1)].concat(),
            505, "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead", PUBLISH),
        ("a body shorter than announced", [publish(), header(60, 9), frame_of(FRAME_BODY, 1, b"short"), purge(1)].concat(),
            505, "UNEXPECTED_FRAME - expected content body, got non content body frame instead", PUBLISH),
        ("a body longer than announced", [publish(), header(60, 2), frame_of(FRAME_BODY, 1, b"long")].concat(),
            501, "FRAME_ERROR - content body frame exceeds remaining content size", PUBLISH),
        ("a wrong frame end", bad_end,
            501, "FRAME_ERROR - type 1, all octets = <<0,50,0,30,0,0,1,120,0>>: {invalid_frame_end_marker,0}", NO_METHOD),
        ("an oversized frame", too_large,
            501, "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,200000,131064}", NO_METHOD),
        ("an unknown frame type", frame_of(7, 0, b"abc"),
            501, "FRAME_ERROR - type 7, all octets = <<\"abc\">>: unknown_frame", NO_METHOD),
        ("a heartbeat on a channel", frame_of(8, 1, b""),
            505, "UNEXPECTED_FRAME - type 8, all octets = <<>>", NO_METHOD),
        ("a heartbeat that says something", frame_of(8, 0, b"x"),
            501, "FRAME_ERROR - type 8, all octets = <<\"x\">>: unknown_frame", NO_METHOD),
        ("arguments cut short", cut_short,
            501, "FRAME_ERROR - cannot decode <<0,0>>", (50, 10)),
        ("a short string that is no UTF-8", bad_utf8,
            501, "FRAME_ERROR - Malformed UTF-8 in shortstr", NO_METHOD),
        ("a method that only servers send", server_says,
            503, "COMMAND_INVALID - unimplemented method", (50, 11)),
        ("a table nested a thousand deep", declare_with(1000),
            502, "SYNTAX_ERROR - a table is nested deeper than 64 levels", (50, 10)),
    ];
    let broker = Watched::start();
    for (what, bytes, code, text, (class_id, method_id)) in cases {
        let mut peer = Peer::on_channel_one(broker.address());
        peer.send(bytes);
        let wanted = Closed {
            channel: 0,
            code: *code,
            text: (*text).to_owned(),
            class_id: *class_id,
            method_id: *method_id,
        };
        assert_eq!(peer.next_close(), wanted, "{what}");
    }
    broker.assert_unharmed();
}

/// Headers travel encoded, so their depth hurts nothing; a headers exchange compares what it is bound by.
#[test]
fn headers_nested_a_thousand_deep_go_where_their_message_goes() {
    let broker = Watched::start();
    let mut peer = Peer::on_channel_one(broker.address());
    let queue = peer.declare_queue();
    let deep = [&[0x20, 0], &nested(1000)[..]].concat();
    peer.publish(&queue, &deep, b"deep");
    assert_eq!(peer.get(&queue), (deep.clone(), b"deep".to_vec()));

    let headers = shortstr::literal("amq.headers");
    peer.send_method(
        1,
        queue::Bind {
            queue: queue.clone(),
            exchange: headers.clone(),
            nowait: true,
            arguments: FieldTable::new().with("t", "x"),
            ..Default::default()
        },
    );
    let table = Some(FieldTable::new().with("t", "x"));
    let shallow = Properties { headers: table, ..Default::default() }.to_bytes();
    let publish = |properties: &[u8], body: &[u8]| {
        let publish = basic::Publish { exchange: headers.clone(), ..Default::default() };
        let mut bytes = Vec::new();
        frame::write_method(&mut bytes, 1, &publish.into());
        frame::write_content(&mut bytes, 1, properties, body, 4096);
        bytes
    };
    peer.send(&publish(&shallow, b"flat"));
    assert_eq!(peer.get(&queue).1, b"flat");
    peer.send(&publish(&deep, b"deep"));
    peer.send(&publish(&shallow, b"after"));
    assert_eq!(peer.get(&queue).1, b"after", "the deep one has no such header, and went nowhere");
    broker.assert_unharmed();
}

#[test]
fn a_message_larger_than_allowed_is_refused_before_its_body_comes() {
    let broker = Watched::start();
    let mut peer = Peer::on_channel_one(broker.address());
    peer.send(&[publish(), header(60, 512 << 20)].concat());
    let closed = peer.next_close();
    assert_eq!((closed.channel, closed.code), (1, 406), "{closed:?}");
    assert_eq!(
        closed.text,
        "PRECONDITION_FAILED - message size 536870912 is larger than configured max size 134217728"
    );

    let mut peer = Peer::on_channel_one(broker.address());
    peer.send(&[publish(), header(60, u64::MAX)].concat());
    let closed = peer.next_close();
    assert_eq!((closed.channel, closed.code), (0, 501), "{closed:?}");
    let text = "content body size 18446744073709551615 exceeds maximum allowed size 536870912";
    assert_eq!(closed.text, format!("FRAME_ERROR - {text}"));
    broker.assert_unharmed();
}

#[test]
fn a_peer_that_hangs_up_in_the_middle_of_anything_leaves_no_trace() {
    let broker = Watched::start();
    let mut whole = publish();
    whole.extend(header(60, 10));
    whole.extend(frame_of(FRAME_BODY, 1, b"0123456789"));
    for len in 1..whole.len() {
        let mut peer = Peer::on_channel_one(broker.address());
        peer.send(&whole[..len]);
    }
    broker.assert_unharmed();
}

/// A stream of bytes that is the same in every run (xorshift64).
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    })
}

#[test]
fn a_random_byte_stream_ends_its_own_connection_only() {
    let broker = Watched::start();
    for seed in 1..=50 {
        let bytes: Vec<u8> = noise(seed).take(100_000).collect();
        let mut stranger = Peer::connect(broker.address());
        stranger.send_until_refused(&bytes);
        let answer = stranger.rest();
        assert!(b"AMQP\0\0\x09\x01".starts_with(&answer), "seed {seed}: {answer:?}");

        let mut client = Peer::on_channel_one(broker.address());
        client.send_until_refused(&bytes);
        drop(client);
    }
    broker.assert_unharmed();
}

/// Frames that are whole, on the right channel, with a payload of noise: the decoders behind the frame see it.
#[test]
fn random_payloads_in_whole_frames_end_their_own_connection_only() {
    let broker = Watched::start();
    for seed in 1..=200 {
        let mut peer = Peer::on_channel_one(broker.address());
        let mut bytes = noise(seed);
        for class in [10_u8, 20, 40, 50, 60, 85, 90] {
            let method = 10 * (1 + bytes.next().unwrap() % 12);
            let len = usize::from(bytes.next().unwrap());
            let mut payload = vec![0, class, 0, method];
            payload.extend(bytes.by_ref().take(len));
            let channel = u16::from(class != 10);
            peer.send_until_refused(&frame_of(FRAME_METHOD, channel, &payload));
        }
    }
    broker.assert_unharmed();
}

#[test]
fn a_channel_error_leaves_the_connection_and_its_other_channels() {
    let broker = Watched::start();
    let mut peer = Peer::on_channel_one(broker.address());
    peer.open_channel(2);
    let queue = peer.declare_queue();
    let missing = ShortStr::try_from("no such queue").unwrap();
    peer.send_method(2, queue::Purge { queue: missing, ..Default::default() });
    let closed = peer.next_close();
    assert_eq!((closed.channel, closed.code), (2, 404));
    assert_eq!(closed.text, "NOT_FOUND - no queue 'no such queue' in vhost '/'");
    peer.publish(&queue, &Properties::default().to_bytes(), b"on channel 1");
    assert_eq!(peer.get(&queue).1, b"on channel 1");
    broker.assert_unharmed();
}
