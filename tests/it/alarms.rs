//! The alarms of a broker as its users run it: what it has of memory and disk decides who is read from.

use mq::wire::method::connection;
use mq::wire::{FieldTable, Method};

use crate::support::directory::Served;
use crate::support::peer::Peer;
use crate::support::queues::{persistent, write_publish};

const BODY_BYTES: usize = 128 << 10;
/// Far more messages than fit into the memory that the tests allow.
const MESSAGES_MAX: usize = 4_000;

/// Publishes one message and waits until it is confirmed; the reason to pause when that is what comes.
fn publish(peer: &mut Peer) -> Option<String> {
    let mut bytes = Vec::new();
    write_publish(&mut bytes, ("", "q"), &persistent(), &vec![7; BODY_BYTES]);
    peer.send(&bytes);
    match peer.next_method() {
        (1, Method::BasicAck(_)) => None,
        (0, Method::ConnectionBlocked(blocked)) => Some(blocked.reason.to_string()),
        (_, answer) => panic!("{answer:?}"),
    }
}

fn publisher(served: &Served) -> Peer {
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", FieldTable::new());
    peer
}

#[test]
fn memory_that_runs_out_pauses_publishers_until_consumers_have_drained_it() {
    let served = Served::start_with(&["--memory", "--memory-high-watermark", "64MiB"]);
    let mut peer = publisher(&served);
    let reason = (0..MESSAGES_MAX).find_map(|_| publish(&mut peer));
    assert_eq!(reason.as_deref(), Some("low on memory"));
    let drained = Peer::on_channel_one(served.address()).drained("q");
    assert!(drained.len() > 100, "{}", drained.len());
    let mut is_unblocked = false;
    while !is_unblocked {
        match peer.next_method() {
            (0, Method::ConnectionUnblocked(connection::Unblocked {})) => is_unblocked = true,
            (1, Method::BasicAck(_)) => {}
            (_, answer) => panic!("{answer:?}"),
        }
    }
    served.stop();
}

#[test]
fn a_disk_with_less_free_than_must_be_pauses_publishers() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let served = Served::start_with(&["--data-dir", directory, "--disk-free-limit", "1000000GB"]);
    let mut peer = publisher(&served);
    assert_eq!(publish(&mut peer).as_deref(), Some("low on disk"));
    assert_eq!(Peer::on_channel_one(served.address()).depth("q"), 0, "others are served");
    drop(peer);
    served.stop();
}
