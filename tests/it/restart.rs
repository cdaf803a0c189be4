//! What a broker that was stopped or killed has when it starts again: order, flags, times to live, and nothing that
//! was not to be kept. What a directory's damage does to a start is in `damage.rs`.

use std::fs;
use std::path::Path;

use crc32c::crc32c_append;
use mq::wire::method::{basic, queue, tx};
use mq::wire::{FieldTable, FieldValue, Method, Properties};
use tempfile::TempDir;

use crate::support::directory::{End, RECORD_HEADER, Served, alter, message_files, records};
use crate::support::peer::Peer;
use crate::support::queues::{bodies, name, persistent};

/// How many messages are noted on disk as delivered. A `kill -9` may take notes back that are younger than this says.
fn noted_deliveries(directory: &Path) -> u32 {
    let marks = message_files(directory).0[0].with_extension("marks");
    let bytes = fs::read(marks).unwrap_or_default();
    let counts =
        bytes.chunks_exact(16).map(|mark| u32::from_le_bytes(mark[4..8].try_into().unwrap()));
    counts.filter(|count| count >> 31 == 1).map(|count| count & !(1 << 31)).sum()
}

#[test]
fn what_was_delivered_comes_back_marked_and_in_its_place() {
    for end in End::BOTH {
        let directory = TempDir::new().unwrap();
        let served = Served::start(directory.path());
        let mut publisher = Peer::on_channel_one(served.address()).confirming();
        publisher.declare_durable("q", FieldTable::new());
        for body in [b"1", b"2", b"3", b"4", b"5", b"6"] {
            publisher.confirmed("q", &persistent(), body);
        }
        let mut consumer = Peer::on_channel_one(served.address());
        consumer.send_method(1, tx::Select::default());
        assert!(matches!(consumer.next_method(), (1, Method::TxSelectOk(_))));
        consumer.consume("q", 3, false);
        let first = [(); 3].map(|()| consumer.delivered());
        assert_eq!(first.each_ref().map(|came| came.redelivered), [false; 3]);
        consumer.ack(first[1].delivery_tag);
        consumer.send_method(1, tx::Commit {});
        // The commit makes room for one more, which may come before the answer.
        let mut is_committed = false;
        while !is_committed {
            match consumer.next_method().1 {
                Method::TxCommitOk(_) => is_committed = true,
                Method::BasicDeliver(deliver) => drop(consumer.content_of(&deliver)),
                answer => panic!("{answer:?}"),
            }
        }
        while noted_deliveries(directory.path()) < 4 {
            assert_eq!(publisher.depth("q"), 2, "{end:?}");
        }
        end.of(served);

        let served = Served::start(directory.path());
        assert_eq!(served.recovered(), "recovered 1 queue, 5 messages", "{end:?}");
        let came = Peer::on_channel_one(served.address()).drained("q");
        let expected = [("1", true), ("3", true), ("4", true), ("5", false), ("6", false)];
        assert_eq!(
            bodies(&came),
            expected.map(|(body, again)| (body.to_owned(), again)),
            "{end:?}"
        );
        served.stop();
        let empty = "recovered 1 queue, 0 messages";
        assert_eq!(Served::start(directory.path()).recovered(), empty, "{end:?}");
    }
}

#[test]
fn what_is_not_to_be_kept_is_gone() {
    for end in End::BOTH {
        let directory = TempDir::new().unwrap();
        let served = Served::start(directory.path());
        let mut peer = Peer::on_channel_one(served.address()).confirming();
        peer.declare_durable("kept", FieldTable::new());
        let declare = |queue, durable, exclusive| queue::Declare {
            queue: name(queue),
            durable,
            exclusive,
            ..Default::default()
        };
        peer.declare(declare("fleeting", false, false));
        peer.declare(declare("exclusive", true, true));
        let transient = Properties { delivery_mode: Some(1), ..Properties::default() };
        for (queue, properties, body) in [
            ("kept", &transient, b"gone"),
            ("kept", &persistent(), b"kept"),
            ("kept", &Properties::default(), b"gone"),
            ("fleeting", &persistent(), b"gone"),
            ("exclusive", &persistent(), b"gone"),
        ] {
            peer.confirmed(queue, properties, body);
        }
        end.of(served);
        let served = Served::start(directory.path());
        assert_eq!(served.recovered(), "recovered 1 queue, 1 message", "{end:?}");
        let mut peer = Peer::on_channel_one(served.address());
        assert_eq!(bodies(&peer.drained("kept")), [("kept".to_owned(), false)]);
        for queue in ["fleeting", "exclusive"] {
            let mut peer = Peer::on_channel_one(served.address());
            let asked = queue::Declare { queue: name(queue), passive: true, ..Default::default() };
            peer.send_method(1, asked);
            assert_eq!(peer.next_close().code, 404, "{queue}");
        }
    }
}

/// Makes a message one that was published an hour earlier than it was.
fn age(file: &Path, record: usize) {
    const HOUR_MS: u64 = 3_600_000;
    // It would say the same of its messages as before.
    drop(fs::remove_file(file.with_extension("index")));
    alter(file, |bytes| {
        let [number, salt] = [16, 24].map(|at| bytes[at..at + 4].try_into().unwrap());
        let seed = u32::from_le_bytes(number) ^ u32::from_le_bytes(salt);
        let header = &mut bytes[record..record + RECORD_HEADER];
        let published_at = u64::from_le_bytes(header[32..40].try_into().unwrap());
        header[32..40].copy_from_slice(&(published_at - HOUR_MS).to_le_bytes());
        let checksum = crc32c_append(seed, &header[4..]);
        header[..4].copy_from_slice(&checksum.to_le_bytes());
    });
}

/// Without waiting for it: the messages are made older than they are while nobody serves.
#[test]
fn times_to_live_run_on_while_nobody_serves() {
    for end in End::BOTH {
        let directory = TempDir::new().unwrap();
        let served = Served::start(directory.path());
        let mut peer = Peer::on_channel_one(served.address()).confirming();
        let half_an_hour = FieldTable::new().with("x-message-ttl", FieldValue::I32(1_800_000));
        peer.declare_durable("of-queue", half_an_hour);
        peer.declare_durable("of-message", FieldTable::new());
        let expiring = |ms| Properties { expiration: Some(name(ms)), ..persistent() };
        peer.confirmed("of-queue", &persistent(), b"1");
        peer.confirmed("of-message", &expiring("1800000"), b"2");
        peer.confirmed("of-message", &expiring("7200000"), b"3");
        peer.confirmed("of-message", &persistent(), b"4");
        // Not made older.
        peer.confirmed("of-queue", &persistent(), b"5");
        end.of(served);
        let file = &message_files(directory.path()).0[0];
        for record in &records(file)[..4] {
            age(file, record.start);
        }
        let served = Served::start(directory.path());
        assert_eq!(served.recovered(), "recovered 2 queues, 5 messages", "{end:?}");
        let mut peer = Peer::on_channel_one(served.address());
        let kept = |bodies: &[&str]| -> Vec<_> {
            bodies.iter().map(|body| ((*body).to_owned(), false)).collect()
        };
        assert_eq!(bodies(&peer.drained("of-queue")), kept(&["5"]), "{end:?}");
        let left = peer.drained("of-message");
        assert_eq!(bodies(&left), kept(&["3", "4"]), "{end:?}");
        assert_eq!(left[0].properties, expiring("7200000"));
        served.stop();
    }
}

/// Acknowledgements of a committed transaction are on disk when it is answered.
#[test]
fn a_committed_acknowledgement_survives_a_kill() {
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", FieldTable::new());
    for body in [b"1", b"2", b"3"] {
        peer.confirmed("q", &persistent(), body);
    }
    let mut worker = Peer::on_channel_one(served.address());
    assert!(matches!(worker.call(tx::Select::default()), Method::TxSelectOk(_)));
    for _ in 0..2 {
        let get = basic::Get { queue: name("q"), ..Default::default() };
        let Method::BasicGetOk(ok) = worker.call(get) else { panic!("a message") };
        let frames = [worker.next_frame(), worker.next_frame()];
        assert!(frames.iter().all(Option::is_some));
        worker.ack(ok.delivery_tag);
    }
    assert!(matches!(worker.call(tx::Commit {}), Method::TxCommitOk(_)));
    served.kill();
    let served = Served::start(directory.path());
    assert_eq!(served.recovered(), "recovered 1 queue, 1 message");
    let left = Peer::on_channel_one(served.address()).drained("q");
    assert_eq!(bodies(&left), [("3".to_owned(), false)]);
}
