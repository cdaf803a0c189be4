//! A peer that does not speak AMQP 0-9-1, or not properly, is told so and costs nothing.
//!
//! RabbitMQ 3.10.8 answers a wrong protocol header with its own and hangs up, and a failed login with a close only
//! when the client says that it understands one.

use std::time::{Duration, Instant};

use mq::wire::constants::{FRAME_METHOD, PROTOCOL_HEADER};
use mq::wire::method::connection;
use mq::wire::{Method, shortstr};

use crate::support::peer::{Peer, frame_of, method_payload, start_ok};
use crate::support::watched::Watched;

const TLS_HELLO: &[u8] = b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03";

#[test]
fn a_wrong_protocol_header_is_answered_with_the_right_one() {
    #[rustfmt::skip]
    let cases: &[(&str, &[u8])] = &[
        ("AMQP 0-9-2",       b"AMQP\x00\x00\x09\x02"),
        ("AMQP 0-10",        b"AMQP\x01\x01\x00\x0a"),
        ("AMQP 1.0",         b"AMQP\x00\x01\x00\x00"),
        ("AMQP 1.0 with SASL", b"AMQP\x03\x01\x00\x00"),
        ("a TLS hello",      TLS_HELLO),
        ("an HTTP request",  b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("anything",         b"anything at all"),
    ];
    let broker = Watched::start();
    for (what, bytes) in cases {
        let mut peer = Peer::connect(broker.address());
        peer.send(bytes);
        assert_eq!(peer.rest(), PROTOCOL_HEADER, "{what}");
    }
    broker.assert_unharmed();
}

/// RabbitMQ treats the header of AMQP 0-9 as that of 0-9-1.
#[test]
fn the_header_of_amqp_0_9_is_taken_for_0_9_1() {
    let broker = Watched::start();
    let mut peer = Peer::connect(broker.address());
    peer.send(b"AMQP\x01\x01\x00\x09");
    let (_, start) = peer.next_method();
    assert!(matches!(start, Method::ConnectionStart(_)), "{start:?}");
    broker.assert_unharmed();
}

#[test]
fn a_login_that_fails_is_told_why() {
    let refused = |mechanism: &str| {
        format!(
            "ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}. \
             For details see the broker logfile."
        )
    };
    #[rustfmt::skip]
    let cases: &[(&str, &'static str, &[u8], u16, &str)] = &[
        ("a wrong password", "PLAIN", b"\0guest\0wrong", 403, &refused("PLAIN")),
        ("an unknown user",  "PLAIN", b"\0nobody\0x",    403, &refused("PLAIN")),
        ("no response",      "PLAIN", b"",               502, "SYNTAX_ERROR - response <<>> invalid"),
        ("half a response",  "PLAIN", b"\0guest",        502, "SYNTAX_ERROR - response <<0,103,117,101,115,116>> invalid"),
        ("a mechanism that is not there", "MAGIC", b"",  503, "COMMAND_INVALID - unknown/invalid authentication mechanism 'MAGIC'"),
    ];
    let broker = Watched::start();
    for (what, mechanism, response, code, text) in cases {
        let mut peer = Peer::connect(broker.address());
        peer.greet();
        peer.send_method(0, start_ok(mechanism, response));
        let closed = peer.next_close();
        assert_eq!((closed.code, closed.text.as_str()), (*code, *text), "{what}");
    }
    broker.assert_unharmed();
}

#[test]
fn limits_that_were_not_offered_are_refused() {
    #[rustfmt::skip]
    let cases = [
        // channel_max, frame_max, what is said
        (2047, 1000,      "NOT_ALLOWED - negotiated frame_max = 1000 is lower than the minimum allowed value (4096)"),
        (2047, 0,         "NOT_ALLOWED - negotiated frame_max = 0 (no limit) is higher than the maximum allowed value (131072)"),
        (2047, 1_000_000, "NOT_ALLOWED - negotiated frame_max = 1000000 is higher than the maximum allowed value (131072)"),
        (0,    131_072,   "NOT_ALLOWED - negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)"),
        (5000, 131_072,   "NOT_ALLOWED - negotiated channel_max = 5000 is higher than the maximum allowed value (2047)"),
    ];
    let broker = Watched::start();
    for (channel_max, frame_max, text) in cases {
        let mut peer = Peer::connect(broker.address());
        peer.greet();
        peer.send_method(0, start_ok("PLAIN", b"\0guest\0guest"));
        let (_, tune) = peer.next_method();
        assert!(matches!(tune, Method::ConnectionTune(_)), "{tune:?}");
        peer.send_method(0, connection::TuneOk { channel_max, frame_max, heartbeat: 0 });
        let closed = peer.next_close();
        assert_eq!((closed.code, closed.text.as_str()), (530, text));
    }
    broker.assert_unharmed();
}

#[test]
fn methods_before_their_time_end_the_connection() {
    let open = connection::Open { virtual_host: shortstr::literal("/"), ..Default::default() };
    let early = frame_of(FRAME_METHOD, 0, &method_payload(open));
    let on_a_channel = frame_of(FRAME_METHOD, 1, &method_payload(start_ok("PLAIN", b"")));
    let broker = Watched::start();
    for bytes in [early, on_a_channel] {
        let mut peer = Peer::connect(broker.address());
        peer.greet();
        peer.send(&bytes);
        let closed = peer.next_close();
        assert!(matches!(closed.code, 503..=505), "{closed:?}");
    }
    broker.assert_unharmed();
}

/// Before the limits are agreed on, a frame may not be larger than the smallest that everybody must take.
#[test]
fn a_huge_frame_before_login_is_refused() {
    let broker = Watched::start();
    let mut peer = Peer::connect(broker.address());
    peer.greet();
    peer.send(&[1, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
    let closed = peer.next_close();
    assert_eq!(closed.code, 501, "{closed:?}");
    assert!(closed.text.contains("{frame_too_large,2147483647,"), "{closed:?}");
    broker.assert_unharmed();
}

/// RabbitMQ: `handshake_timeout`, 10 seconds.
#[test]
fn a_peer_that_falls_silent_in_its_handshake_is_dropped() {
    let broker = Watched::start();
    let begun = Instant::now();
    let mut peers: Vec<Peer> = (0..3).map(|_| Peer::connect(broker.address())).collect();
    peers[1].send(b"AMQ");
    peers[2].greet();
    for peer in peers {
        assert!(peer.rest().is_empty());
    }
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(8) && waited < Duration::from_secs(15), "{waited:?}");
    broker.assert_unharmed();
}
