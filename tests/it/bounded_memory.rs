//! What a peer announces, does not read or does not say costs the broker no memory, and nobody else a thing.
//!
//! Measured from outside, as the resident memory of the running broker.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use mq::wire::constants::{FRAME_HEADER, FRAME_METHOD};
use mq::wire::method::{basic, queue};
use mq::wire::{FieldTable, FieldValue, Method, ShortStr, frame, shortstr};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::peer::{Peer, frame_of, method_payload};
use crate::support::watched::Watched;

const MIB: u64 = 1 << 20;

#[test]
fn an_announced_body_takes_memory_only_as_it_comes() {
    let broker = Watched::start();
    let before = broker.resident_bytes();
    let mut peer = Peer::login(broker.address());
    let announced = 16 * MIB;
    let payload = [&[0, 60, 0, 0], &announced.to_be_bytes()[..], &[0, 0]].concat();
    for channel in 1..=1000 {
        peer.open_channel(channel);
        let publish = basic::Publish::default();
        peer.send(&frame_of(FRAME_METHOD, channel, &method_payload(publish)));
        peer.send(&frame_of(FRAME_HEADER, channel, &payload));
    }
    peer.open_channel(1001); // answered behind all of the headers
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(grown < 16 * MIB, "1000 announced bodies took {} KiB", grown / 1024);
    broker.assert_unharmed();
}

/// Twenty consumers of a fanout share each body; copies in twenty unread connections would be 640 MiB.
#[test]
fn a_consumer_that_never_reads_holds_no_more_than_its_share() {
    const CONSUMERS: usize = 20;
    const MESSAGES: usize = 512;
    let body = vec![7; 64 << 10];
    let broker = Watched::start();
    let before = broker.resident_bytes();
    let deaf: Vec<Peer> = (0..CONSUMERS).map(|_| deaf_consumer(broker.address())).collect();
    let mut publisher = Peer::on_channel_one(broker.address());
    let publish =
        basic::Publish { exchange: shortstr::literal("amq.fanout"), ..Default::default() };
    let mut message = Vec::new();
    frame::write_method(&mut message, 1, &publish.into());
    frame::write_content(&mut message, 1, &[0, 0], &body, 131_072);
    for _ in 0..MESSAGES {
        publisher.send(&message);
    }
    let _ = publisher.declare_queue(); // answered when all of them are published
    let grown = broker.resident_bytes().saturating_sub(before);
    let body_bytes = (MESSAGES * body.len()) as u64;
    let shares = CONSUMERS as u64 * 6 * MIB;
    assert!(grown < body_bytes + shares, "{} MiB for {} MiB", grown / MIB, body_bytes / MIB);
    drop(deaf);
    broker.assert_unharmed();
}

/// A consumer of a queue of its own, bound to `amq.fanout`, that reads nothing after consume-ok.
fn deaf_consumer(address: SocketAddr) -> Peer {
    let mut peer = Peer::on_channel_one(address);
    let name: ShortStr = peer.declare_queue();
    peer.send_method(
        1,
        queue::Bind {
            queue: name.clone(),
            exchange: shortstr::literal("amq.fanout"),
            ..Default::default()
        },
    );
    assert!(matches!(peer.next_method().1, Method::QueueBindOk(_)));
    peer.send_method(1, basic::Consume { queue: name, no_ack: true, ..Default::default() });
    assert!(matches!(peer.next_method().1, Method::BasicConsumeOk(_)));
    peer
}

/// What a queue and its timer took stays behind for none of a hundred thousand queues that would have lived for a day.
#[test]
fn a_deleted_queue_leaves_nothing_behind_until_its_time_would_have_come() {
    const CYCLES: usize = 100_000;
    const ROUND: usize = 1_000;
    let broker = Watched::start();
    let mut peer = Peer::on_channel_one(broker.address());
    let name = shortstr::literal("reply");
    let day = FieldValue::I32(86_400_000);
    let mut cycle = Vec::new();
    for arguments in [
        FieldTable::new().with("x-expires", day.clone()),
        FieldTable::new().with("x-message-ttl", day.clone()),
        FieldTable::new().with("x-message-ttl", day.clone()).with("x-expires", day),
    ] {
        let (queue, nowait) = (name.clone(), true);
        let declare =
            queue::Declare { queue, exclusive: true, nowait, arguments, ..Default::default() };
        frame::write_method(&mut cycle, 1, &declare.into());
        let publish = basic::Publish { routing_key: name.clone(), ..Default::default() };
        frame::write_method(&mut cycle, 1, &publish.into());
        frame::write_content(&mut cycle, 1, &[0, 0], b"body", 131_072);
        let delete = queue::Delete { queue: name.clone(), nowait, ..Default::default() };
        frame::write_method(&mut cycle, 1, &delete.into());
    }
    let round = cycle.repeat(ROUND);
    let mut run = || {
        peer.send(&round);
        let _ = peer.declare_queue(); // answered when all of them are deleted
        broker.resident_bytes()
    };
    let before = (0..3).map(|_| run()).max().unwrap();
    let after = (0..=CYCLES / 3 / ROUND).map(|_| run()).last().unwrap();
    let grown = after.saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown} bytes for {CYCLES} queues");
    broker.assert_unharmed();
}

/// A connection from one of several addresses, so that the ports of one do not run out.
fn connect_from(source: Ipv4Addr, target: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::new(IpAddr::V4(source), 0)).unwrap();
    connect(&socket, &target).unwrap();
    TcpStream::from(socket)
}

fn open_files_max(current: Option<u64>) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
}

/// The broker is started with the usual limit of 1024 open files and must raise it itself.
#[test]
fn ten_thousand_silent_connections_disturb_nobody_and_are_dropped() {
    const CONNECTIONS: u8 = 40;
    const EACH: usize = 250;
    open_files_max(Some(1024));
    let mut broker = Watched::start();
    open_files_max(getrlimit(Resource::Nofile).maximum);
    let before = broker.resident_bytes();
    let mut silent = Vec::new();
    for source in 1..=CONNECTIONS {
        for _ in 0..EACH {
            silent.push(connect_from(Ipv4Addr::new(127, 0, 1, source), broker.address()));
        }
        broker.serves_the_bystander();
    }
    let mut newcomer = Peer::on_channel_one(broker.address()); // accepted behind all of them
    let queue = newcomer.declare_queue();
    let grown = broker.resident_bytes().saturating_sub(before);
    let each = grown / silent.len() as u64;
    assert!(each < 20_000, "{each} bytes for each of {} connections", silent.len());
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let error = stream.read(&mut [0; 1]).expect_err("nothing is said to it");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    newcomer.publish(&queue, &[0, 0], b"unmoved");
    assert_eq!(newcomer.get(&queue).1, b"unmoved");
    broker.assert_unharmed();
}
