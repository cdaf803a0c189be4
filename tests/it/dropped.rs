//! How a broker ends a connection that it drops: with a reset, as RabbitMQ 4.3.6 does, and when.
//!
//! Each case was measured on RabbitMQ 4.3.6 with a raw socket: it sets `SO_LINGER` to 0, so every stream that it closes
//! first is reset. Some clients wait for ever on a stream that just ends.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use mq::wire::constants::{FRAME_METHOD, PROTOCOL_HEADER};
use mq::wire::method::{basic, connection, queue};
use mq::wire::{FieldTable, Method, shortstr};

use crate::support::peer::{End, Peer, frame_of, method_payload, start_ok};
use crate::support::serve::MqServe;
use crate::support::watched::Watched;

/// What a peer does until it is dropped.
type Deed = fn(&mut Peer);

/// What happens, what the peer does, the methods that come first, and the seconds until the reset.
type Drop = (&'static str, Deed, &'static [&'static str], (f64, f64));

/// A start-ok with a wrong password, of a client that cannot be told about it.
fn wrong_password(peer: &mut Peer) {
    peer.greet();
    let start_ok = start_ok("PLAIN", b"\0guest\0wrong");
    let client_properties = FieldTable::new();
    peer.send_method(0, connection::StartOk { client_properties, ..start_ok });
}

/// Opens a connection with this heartbeat and falls silent.
fn silent_with(peer: &mut Peer, heartbeat: u16) {
    peer.greet();
    peer.send_method(0, start_ok("PLAIN", b"\0guest\0guest"));
    peer.next_method();
    peer.send_method(0, connection::TuneOk { channel_max: 2047, frame_max: 131_072, heartbeat });
    let open = connection::Open { virtual_host: shortstr::literal("/"), ..Default::default() };
    peer.send_method(0, open);
    peer.next_method();
}

#[test]
fn what_the_broker_drops_is_reset() {
    #[rustfmt::skip]
    let cases: &[Drop] = &[
        ("another protocol", |peer| peer.send(b"GET / HTTP/1.1\r\n\r\n"), &[], (0.0, 2.0)),
        ("a wrong password that is told", |peer| {
            peer.greet();
            peer.send_method(0, start_ok("PLAIN", b"\0guest\0wrong"));
        }, &["connection.close"], (0.0, 2.0)),
        ("a wrong password that is not told", wrong_password, &[], (2.5, 6.0)),
        ("a frame of no known type", |peer| {
            silent_with(peer, 0);
            peer.send(&[9, 0, 0, 0, 0, 0, 0, 0xCE]);
        }, &["connection.close"], (0.0, 2.0)),
        ("no protocol header", |peer| peer.send(b"AMQ"), &[], (9.5, 14.0)),
        ("no start-ok", |peer| peer.send(&PROTOCOL_HEADER), &["connection.start"], (9.5, 14.0)),
        ("missed heartbeats", |peer| silent_with(peer, 1), &[], (2.0, 3.5)),
        ("the end of the stream", |peer| {
            silent_with(peer, 0);
            peer.shut_down_writing();
        }, &[], (0.0, 2.0)),
    ];
    let broker = Watched::start();
    thread::scope(|scope| {
        for (what, deed, first, (least_s, most_s)) in cases {
            let mut peer = Peer::connect(broker.address());
            scope.spawn(move || {
                deed(&mut peer);
                let begun = Instant::now();
                let (said, end) = peer.end();
                let waited_s = begun.elapsed().as_secs_f64();
                let methods = said.iter().filter(|frame| frame.kind == FRAME_METHOD);
                let names: Vec<_> = methods.map(|frame| frame.method().name()).collect();
                assert_eq!((&names[..], end), (*first, End::Reset), "{what}");
                assert!((*least_s..*most_s).contains(&waited_s), "{what}: {waited_s} s");
            });
        }
    });
    broker.assert_unharmed();
}

/// A refused login is given three seconds to answer, as one that is not told (RabbitMQ: `SILENT_CLOSE_DELAY`).
#[test]
fn a_refused_login_that_does_not_answer_is_reset_after_three_seconds() {
    let broker = Watched::start();
    let mut peer = Peer::connect(broker.address());
    peer.greet();
    peer.send_method(0, start_ok("PLAIN", b"\0guest\0wrong"));
    let begun = Instant::now();
    assert!(matches!(peer.next_method(), (0, Method::ConnectionClose(_))));
    let (said, end) = peer.end();
    assert_eq!((said.len(), end), (0, End::Reset));
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(8), "{waited:?}");
    broker.assert_unharmed();
}

/// A consumer of the exchange `amq.fanout`.
fn subscriber(serve: &MqServe) -> Peer {
    let mut peer = Peer::on_channel_one(serve.address());
    let queue = peer.declare_queue();
    let (exchange, routing_key) = (shortstr::literal("amq.fanout"), shortstr::literal(""));
    let bind = queue::Bind { queue: queue.clone(), exchange, routing_key, ..Default::default() };
    peer.send_method(1, bind);
    peer.next_method();
    peer.send_method(1, basic::Consume { queue, no_ack: true, ..Default::default() });
    peer.next_method();
    peer
}

/// RabbitMQ 4.3.6 drops such a peer after 32 s. One that reads little is no such peer, though its socket can be written to
/// without waiting only after minutes.
#[test]
fn a_peer_that_accepts_no_byte_for_half_a_minute_is_dropped_and_a_slow_one_is_not() {
    const READ_BYTES: usize = 256 << 10;
    let serve = MqServe::start();
    let (stuck, mut slow) = (subscriber(&serve), subscriber(&serve));
    let mut publisher = Peer::on_channel_one(serve.address());
    let publish =
        basic::Publish { exchange: shortstr::literal("amq.fanout"), ..Default::default() };
    let mut bytes = mq_frame(publish);
    mq::wire::frame::write_content(&mut bytes, 1, &[0, 0], &vec![7; 1 << 20], 131_072);
    for _ in 0..48 {
        publisher.send(&bytes);
    }
    let (stop, stopped) = mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        let mut read = 0;
        // A little each second, until it is told to stop.
        while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            read += slow.read_and_forget(READ_BYTES);
        }
        while read < 48 << 20 {
            read += slow.read_and_forget(READ_BYTES);
        }
    });
    let begun = Instant::now();
    let line = serve.wait_for("the client has read nothing for 30 s");
    let waited = begun.elapsed();
    assert!(line.contains(&stuck.local_address().to_string()), "{line}");
    assert!(waited > Duration::from_secs(20) && waited < Duration::from_secs(50), "{waited:?}");
    assert_eq!(stuck.end().1, End::Reset);
    stop.send(()).unwrap();
    reader.join().unwrap();
}

fn mq_frame(method: impl Into<Method>) -> Vec<u8> {
    let payload = method_payload(method);
    frame_of(FRAME_METHOD, 1, &payload)
}
