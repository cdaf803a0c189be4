//! When a client is told that its messages are safe, and what it is told when they cannot be.

use std::sync::Arc;

use mq::broker::alarm::Shortage;
use mq::server::{Clock, Config, Server};
use mq::wire::method::{basic, channel, confirm, connection, queue, tx};
use mq::wire::shortstr::literal;
use mq::wire::{Method, Properties, frame};

use super::support::disk::{Kept, Trouble};
use super::support::peer::Peer;
use super::support::session::{Client, Said, ready, write_publish};

/// A little less than half of what a file of the store takes.
const LARGE_BYTES: usize = 7 << 20;

fn persistent() -> Properties {
    Properties { delivery_mode: Some(2), ..Properties::default() }
}

fn ack(delivery_tag: u64, multiple: bool) -> Said {
    Said::Method(1, basic::Ack { delivery_tag, multiple }.into())
}

fn nack(delivery_tag: u64) -> Said {
    Said::Method(1, basic::Nack { delivery_tag, multiple: true, requeue: false }.into())
}

/// A client whose channel 1 has the durable queue `kept` and the transient one `fleeting`.
fn client(kept: &Kept) -> Client {
    let mut client = Client::open(&kept.broker, 0);
    client.declare_durable("kept");
    client.declare("fleeting");
    client.said();
    client
}

fn confirming(kept: &Kept) -> Client {
    let mut client = client(kept);
    client.send(1, confirm::Select::default(), 0);
    client.said();
    client
}

fn transactional(kept: &Kept) -> Client {
    let mut client = client(kept);
    client.send(1, tx::Select::default(), 0);
    client.said();
    client
}

/// Has another client publish large messages until one does not fit; smaller ones do.
///
/// The alarm is taken for over: messages that are being handled when it begins come as far as the store.
fn fill(kept: &Kept) {
    kept.make(Trouble::Full);
    assert!(kept.broker.alarm.is_on(), "there is no further file");
    kept.broker.end_alarm(Shortage::Store);
    let mut filler = confirming(kept);
    let mut answers = Vec::new();
    while !answers.iter().any(|said| matches!(said, Said::Method(1, Method::BasicNack(_)))) {
        filler.publish_with("kept", &persistent(), &vec![0; LARGE_BYTES]);
        kept.sync();
        filler.on_synced();
        answers = filler.said();
    }
}

fn closed(client: &mut Client) -> (u16, String, (u16, u16)) {
    match client.said().as_slice() {
        [Said::Method(1, Method::ChannelClose(close))] => {
            let method = (close.class_id, close.method_id);
            (close.reply_code, close.reply_text.to_string(), method)
        }
        said => panic!("{said:?}"),
    }
}

#[test]
fn a_persistent_message_is_confirmed_when_it_is_synced() {
    let kept = Kept::new();
    let mut client = confirming(&kept);
    let mut bytes = Vec::new();
    for properties in [Properties::default(), persistent(), Properties::default()] {
        write_publish(&mut bytes, &literal("kept"), &properties, b"body");
    }
    client.bytes(&bytes, 0);
    assert_eq!(client.said(), [ack(1, false)], "later ones wait: confirms keep their order");
    assert_eq!(ready(&kept.broker, "kept"), 3, "consumers need not wait");
    assert!(client.session.awaits().is_some());
    assert!(!client.on_synced());
    assert_eq!(client.said(), []);
    kept.sync();
    assert!(client.on_synced());
    assert_eq!(client.said(), [ack(3, true)]);
    assert_eq!(client.session.awaits(), None);
}

#[test]
fn what_need_not_survive_is_confirmed_at_once() {
    let kept = Kept::new();
    let mut client = confirming(&kept);
    client.publish("kept", &[b"transient"], 0);
    client.publish_with("fleeting", &persistent(), b"in a queue that does not survive");
    client.publish_with("nowhere", &persistent(), b"in no queue");
    assert_eq!(client.said(), [ack(1, false), ack(2, false), ack(3, false)]);
    assert_eq!(client.session.awaits(), None);
    assert_eq!(kept.left_on_disk(), 0);
}

#[test]
fn confirms_of_two_channels_leave_when_each_is_synced() {
    let kept = Kept::new();
    let (mut first, mut second) = (confirming(&kept), confirming(&kept));
    first.publish_with("kept", &persistent(), b"1");
    kept.sync();
    second.publish_with("kept", &persistent(), b"1");
    first.publish_with("kept", &persistent(), b"2");
    assert_eq!(first.said(), [ack(1, false)], "the first is known to be safe by now");
    first.on_synced();
    second.on_synced();
    assert_eq!((first.said(), second.said()), (vec![], vec![]));
    kept.sync();
    assert!(first.on_synced() && second.on_synced());
    assert_eq!((first.said(), second.said()), (vec![ack(2, false)], vec![ack(1, false)]));
}

#[test]
fn a_commit_is_answered_when_it_is_synced_and_holds_back_what_follows() {
    let kept = Kept::new();
    let mut client = transactional(&kept);
    let mut bytes = Vec::new();
    write_publish(&mut bytes, &literal("kept"), &persistent(), b"body");
    frame::write_method(&mut bytes, 1, &tx::Commit {}.into());
    let committed_at = bytes.len();
    let declare = queue::Declare { queue: literal("next"), ..Default::default() };
    frame::write_method(&mut bytes, 1, &declare.into());
    assert_eq!(client.session.on_bytes(&bytes, 0, &mut client.out), committed_at);
    assert_eq!(client.said(), []);
    assert!(client.session.is_held() && !client.session.is_blocked());
    assert_eq!(ready(&kept.broker, "kept"), 1);
    kept.sync();
    assert!(client.on_synced());
    assert_eq!(client.said(), [Said::Method(1, tx::CommitOk {}.into())]);
    assert!(!client.session.is_held());
    client.bytes(&bytes[committed_at..], 0);
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(1, Method::QueueDeclareOk(_))]), "{said:?}");
}

#[test]
fn a_commit_of_acknowledgements_is_answered_when_they_are_synced() {
    let kept = Kept::new();
    client(&kept).publish_with("kept", &persistent(), b"body");
    kept.sync();
    let mut client = transactional(&kept);
    client.send(1, basic::Get { queue: literal("kept"), ..Default::default() }, 0);
    client.send(1, basic::Ack { delivery_tag: 1, multiple: false }, 0);
    client.said();
    client.send(1, tx::Commit {}, 0);
    assert_eq!(client.said(), []);
    kept.sync();
    assert!(client.on_synced());
    assert_eq!(client.said(), [Said::Method(1, tx::CommitOk {}.into())]);
    assert_eq!(kept.left_on_disk(), 0);
}

#[test]
fn a_commit_of_nothing_that_survives_is_answered_at_once() {
    let kept = Kept::new();
    let mut client = transactional(&kept);
    client.publish("kept", &[b"transient"], 0);
    client.send(1, tx::Commit {}, 0);
    assert_eq!(client.said(), [Said::Method(1, tx::CommitOk {}.into())]);
    assert!(!client.session.is_held());
}

type Settle = fn(&mut Client);

#[test]
fn what_was_settled_does_not_come_back() {
    let settled: [(&str, Settle); 6] = [
        ("not at all", |_| ()),
        ("consumed without acknowledgement", |client| {
            let (queue, no_ack) = (literal("kept"), true);
            client.send(1, basic::Consume { queue, no_ack, ..Default::default() }, 0);
        }),
        ("got without acknowledgement", |client| {
            let (queue, no_ack) = (literal("kept"), true);
            client.send(1, basic::Get { queue, no_ack, ..Default::default() }, 0);
        }),
        ("acknowledged", |client| {
            client.consume("kept", "c");
            client.said();
            client.send(1, basic::Ack { delivery_tag: 1, multiple: false }, 0);
        }),
        ("rejected", |client| {
            client.consume("kept", "c");
            client.said();
            client.send(1, basic::Reject { delivery_tag: 1, requeue: false }, 0);
        }),
        ("put back", |client| {
            client.send(1, basic::Get { queue: literal("kept"), ..Default::default() }, 0);
            client.send(1, basic::Reject { delivery_tag: 1, requeue: true }, 0);
        }),
    ];
    for (how, settle) in settled {
        let kept = Kept::new();
        let mut client = client(&kept);
        client.publish_with("kept", &persistent(), b"body");
        settle(&mut client);
        client.said();
        let left = u64::from(["not at all", "put back"].contains(&how));
        assert_eq!(kept.left_on_disk(), left, "{how}");
    }
}

#[test]
fn a_full_disk_refuses_blocks_and_goes_on_when_there_is_room() {
    let kept = Kept::new();
    let mut client = confirming(&kept);
    fill(&kept);
    let before = ready(&kept.broker, "kept");
    client.publish_with("kept", &persistent(), &vec![0; 2 * LARGE_BYTES]);
    assert_eq!(client.said(), [nack(1)]);
    kept.broker.raise_alarm(Shortage::Store);
    client.publish("kept", &[b"transient"], 0);
    let blocked = connection::Blocked { reason: literal("low on disk") };
    assert_eq!(client.said(), [Said::Method(0, blocked.into())]);
    assert_eq!(ready(&kept.broker, "kept"), before, "what was refused went nowhere");
    assert!(client.session.is_blocked());
    kept.make(Trouble::None);
    let unblocked = Said::Method(0, connection::Unblocked {}.into());
    assert_eq!(client.said(), [unblocked, ack(2, false)]);
    assert_eq!(ready(&kept.broker, "kept"), before + 1);
    client.publish_with("kept", &persistent(), &vec![0; 2 * LARGE_BYTES]);
    kept.sync();
    assert!(client.on_synced());
    assert_eq!(client.said(), [ack(3, false)]);
}

#[test]
fn who_asks_for_no_confirms_is_served_from_memory_while_the_disk_is_full() {
    let kept = Kept::new();
    let mut client = client(&kept);
    fill(&kept);
    let before = ready(&kept.broker, "kept");
    client.publish_with("kept", &persistent(), &vec![0; 2 * LARGE_BYTES]);
    assert_eq!(ready(&kept.broker, "kept"), before + 1);
    assert_eq!(client.session.awaits(), None);
}

#[test]
fn a_commit_that_does_not_fit_changes_nothing() {
    let kept = Kept::new();
    let mut client = client(&kept);
    client.publish_with("kept", &persistent(), b"to be acknowledged");
    client.send(1, tx::Select::default(), 0);
    client.send(1, basic::Get { queue: literal("kept"), ..Default::default() }, 0);
    client.send(1, basic::Ack { delivery_tag: 1, multiple: false }, 0);
    fill(&kept);
    let before = ready(&kept.broker, "kept");
    client.publish_with("kept", &persistent(), b"small");
    client.publish_with("kept", &persistent(), &vec![0; 2 * LARGE_BYTES]);
    client.said();
    client.send(1, tx::Commit {}, 0);
    let text = "PRECONDITION_FAILED - the transaction was not committed: \
                the store accepts no messages: the disk is full";
    assert_eq!(closed(&mut client), (406, text.to_owned(), (90, 20)));
    assert_eq!(ready(&kept.broker, "kept"), before + 1, "the acknowledged one is back");
}

/// After a failed sync nothing is confirmed on the strength of a retry.
#[test]
fn what_could_not_be_synced_is_refused_for_good() {
    let kept = Kept::new();
    let mut client = confirming(&kept);
    client.publish_with("kept", &persistent(), b"1");
    kept.sync();
    client.publish_with("kept", &persistent(), b"2");
    client.publish("kept", &[b"3"], 0);
    assert_eq!(client.said(), [ack(1, false)]);
    kept.make(Trouble::Failing);
    kept.sync();
    assert!(client.on_synced());
    assert_eq!(client.said(), [nack(2), ack(3, false)]);
    kept.make(Trouble::None);
    client.publish_with("kept", &persistent(), b"4");
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(0, Method::ConnectionBlocked(_))]), "{said:?}");
    assert!(client.session.is_blocked());
    // Had it been handled when the alarm began:
    kept.broker.end_alarm(Shortage::Store);
    assert_eq!(client.said()[1..], [nack(4)]);
    assert_eq!(ready(&kept.broker, "kept"), 3);
}

#[test]
fn a_commit_that_could_not_be_synced_closes_its_channel() {
    let kept = Kept::new();
    let mut client = transactional(&kept);
    client.publish_with("kept", &persistent(), b"body");
    client.send(1, tx::Commit {}, 0);
    kept.make(Trouble::Failing);
    kept.sync();
    assert!(client.on_synced());
    let text = "PRECONDITION_FAILED - partial tx completion";
    assert_eq!(closed(&mut client), (406, text.to_owned(), (90, 20)));
    assert!(!client.session.is_held());
    client.send(1, channel::CloseOk {}, 0);
    client.send(1, channel::Open::default(), 0);
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(1, Method::ChannelOpenOk(_))]), "{said:?}");
}

#[test]
fn who_publishes_faster_than_the_disk_is_held_until_it_has_caught_up() {
    let kept = Kept::new();
    let mut client = client(&kept);
    client.publish_with("kept", &persistent(), b"little");
    assert!(!client.session.is_held());
    client.publish_with("kept", &persistent(), &vec![0; 9 << 20]);
    assert!(client.session.is_held());
    assert!(!client.on_synced());
    kept.sync();
    assert!(client.on_synced());
    assert!(!client.session.is_held());
    assert_eq!(client.said(), []);
}

/// A server on what is kept, and a peer with channel 1 in this mode and the durable queue `kept`.
async fn serve(kept: &Kept, mode: impl Into<Method>) -> (Server, Peer) {
    let config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
    let broker = Arc::clone(&kept.broker);
    let server = Server::start(broker, Clock::start(), config).await.unwrap();
    let mut peer = Peer::on_channel_one(server.addresses()[0]);
    let declare = queue::Declare { queue: literal("kept"), durable: true, ..Default::default() };
    peer.send_method(1, declare);
    peer.next_method();
    peer.send_method(1, mode);
    peer.next_method();
    (server, peer)
}

/// Waits until so many messages are in the queue `kept`.
async fn until_ready(kept: &Kept, count: u64) {
    while ready(&kept.broker, "kept") < count {
        tokio::task::yield_now().await;
    }
}

/// Nothing but the store can wake the connection: its peer is silent until it is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_waits_is_woken_by_the_sync() {
    let kept = Kept::new();
    let (server, mut peer) = serve(&kept, confirm::Select::default()).await;
    for tag in 1..=100 {
        peer.publish(&literal("kept"), &persistent().to_bytes(), b"body");
        until_ready(&kept, tag).await;
        kept.sync();
        let (_, answer) = peer.next_method();
        assert_eq!(answer, basic::Ack { delivery_tag: tag, multiple: false }.into());
    }
    drop(peer);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_commit_is_handled_when_it_is_synced() {
    let kept = Kept::new();
    let (server, mut peer) = serve(&kept, tx::Select::default()).await;
    for count in 1..=100 {
        peer.publish(&literal("kept"), &persistent().to_bytes(), b"body");
        peer.send_method(1, tx::Commit {});
        peer.send_method(1, basic::Qos::default());
        until_ready(&kept, count).await;
        kept.sync();
        assert_eq!(peer.next_method().1, tx::CommitOk {}.into());
        assert_eq!(peer.next_method().1, basic::QosOk {}.into());
    }
    drop(peer);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_the_disk_cannot_follow_is_served_to_the_end() {
    let kept = Kept::new();
    kept.start_threads();
    let (server, mut peer) = serve(&kept, confirm::Select::default()).await;
    let body = vec![0; 1 << 20];
    let last = 64;
    for _ in 0..last {
        peer.publish(&literal("kept"), &persistent().to_bytes(), &body);
    }
    let mut confirmed = 0;
    while confirmed < last {
        match peer.next_method() {
            (1, Method::BasicAck(ack)) => confirmed = ack.delivery_tag,
            said => panic!("{said:?}"),
        }
    }
    drop(peer);
    server.stop().await;
    assert_eq!(kept.left_on_disk(), last);
}
