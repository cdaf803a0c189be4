//! A disk that is really full: publishers are asked to pause, nothing confirmed is lost, consumers make room, and
//! then publishing goes on; also when the broker is killed and started on the full disk.

use mq::wire::FieldTable;
use mq::wire::Method;
use mq::wire::method::queue;

use crate::support::directory::Served;
use crate::support::peer::Peer;
use crate::support::queues::{name, persistent, write_publish};
use crate::support::volume::Volume;

/// Two files of messages and the definitions fit, a third file does not.
const SIZE: &str = "40m";
const BODY_BYTES: usize = 256 << 10;
/// More than these do not fit into the volume, whatever is done with them.
const MESSAGES_MAX: u32 = 160;

/// What a publisher is told of the message it sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Confirmed,
    Refused,
    /// It is asked to pause, and what becomes of the message is not said yet.
    Blocked,
}

fn body(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(BODY_BYTES / 4)
}

/// Publishes one message into the queue `q`.
fn publish(peer: &mut Peer, number: u32) -> Told {
    let mut bytes = Vec::new();
    write_publish(&mut bytes, ("", "q"), &persistent(), &body(number));
    peer.send(&bytes);
    match peer.next_method() {
        (1, Method::BasicAck(_)) => Told::Confirmed,
        (1, Method::BasicNack(_)) => Told::Refused,
        (0, Method::ConnectionBlocked(blocked)) => {
            assert_eq!(&*blocked.reason, "low on disk");
            Told::Blocked
        }
        (_, answer) => panic!("{answer:?}"),
    }
}

/// Publishes until the broker asks to pause; answers which messages it confirmed, and what was sent last.
fn fill(peer: &mut Peer) -> (Vec<u32>, u32) {
    let mut confirmed = Vec::new();
    for number in 0..MESSAGES_MAX {
        match publish(peer, number) {
            Told::Confirmed => confirmed.push(number),
            Told::Refused => {}
            Told::Blocked => return (confirmed, number),
        }
    }
    panic!("{MESSAGES_MAX} messages were taken");
}

/// Takes everything out of the queue `q`, each message as it was published and in order.
fn drain(peer: &mut Peer) -> Vec<u32> {
    let mut numbers = Vec::new();
    for came in peer.drained("q") {
        let number = u32::from_le_bytes(came.body[..4].try_into().unwrap());
        assert!(came.body == body(number));
        numbers.push(number);
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    numbers
}

/// Waits until a blocked publisher may go on, and has been told about the message it sent last.
fn unblocked(peer: &mut Peer) {
    let (mut is_unblocked, mut is_answered) = (false, false);
    while !is_unblocked || !is_answered {
        match peer.next_method() {
            (0, Method::ConnectionUnblocked(_)) => is_unblocked = true,
            (0, Method::ConnectionBlocked(_)) => is_unblocked = false,
            (1, Method::BasicAck(_) | Method::BasicNack(_)) => is_answered = true,
            (_, answer) => panic!("{answer:?}"),
        }
    }
}

/// Publishes a message that is confirmed after a while. On a disk of two files there is room, and then none again, as
/// long as one of them is emptied for the other; somebody consumes meanwhile.
fn publish_in_the_end(peer: &mut Peer, consumer: &mut Peer, number: u32) {
    match publish(peer, number) {
        Told::Confirmed => {}
        Told::Blocked => {
            drain(consumer);
            unblocked(peer);
        }
        Told::Refused => panic!("there is room"),
    }
}

fn publisher(served: &Served) -> Peer {
    Peer::on_channel_one(served.address()).confirming()
}

#[test]
fn a_full_disk_pauses_publishers_until_there_is_room() {
    let Some(volume) = Volume::new(SIZE) else { return };
    let served = Served::start_on(&volume);
    let mut peer = publisher(&served);
    peer.declare_durable("q", FieldTable::new());
    let (confirmed, last) = fill(&mut peer);
    assert!(!confirmed.is_empty());
    let mut consumer = Peer::on_channel_one(served.address());
    let left = drain(&mut consumer);
    assert!(confirmed.iter().all(|number| left.contains(number)), "{confirmed:?} {left:?}");
    unblocked(&mut peer);
    publish_in_the_end(&mut peer, &mut consumer, last + 1);
    served.stop();
}

#[test]
fn what_was_confirmed_is_there_after_a_kill_on_a_full_disk() {
    let Some(mut volume) = Volume::new(SIZE) else { return };
    let served = Served::start_on(&volume);
    let mut peer = publisher(&served);
    peer.declare_durable("q", FieldTable::new());
    let (confirmed, last) = fill(&mut peer);
    volume.fill();
    // There may be room for a definition in the database, or not.
    let mut other = Peer::on_channel_one(served.address());
    let declare = queue::Declare { queue: name("other"), durable: true, ..Default::default() };
    other.send_method(1, declare);
    let is_declared = match other.next_method().1 {
        Method::QueueDeclareOk(_) => true,
        Method::ConnectionClose(close) => {
            let text = "RESOURCE_ERROR - queue 'other' in vhost '/' cannot be written to disk: No space \
                        left on device (os error 28)";
            assert_eq!((close.reply_code, &*close.reply_text), (506, text));
            false
        }
        answer => panic!("{answer:?}"),
    };
    served.kill();

    let served = Served::start_on(&volume);
    let queues = if is_declared { "2 queues" } else { "1 queue" };
    assert!(
        served.recovered().starts_with(&format!("recovered {queues}, ")),
        "{}",
        served.recovered()
    );
    let mut peer = publisher(&served);
    let told = publish(&mut peer, last + 1);
    let mut consumer = Peer::on_channel_one(served.address());
    let left = drain(&mut consumer);
    assert!(confirmed.iter().all(|number| left.contains(number)), "{confirmed:?} {left:?}");
    match told {
        Told::Blocked => unblocked(&mut peer),
        Told::Confirmed => {
            assert!(left.contains(&(last + 1)));
        }
        Told::Refused => panic!("there was room in the last file"),
    }
    publish_in_the_end(&mut peer, &mut consumer, last + 2);
    served.stop();
}
