//! What a publisher sees of the disk: when it is confirmed, and when it is asked to pause.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::alarm::Shortage;
use mq::server::{Clock, Config, Server};
use mq::wire::method::{basic, confirm, connection};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, Method, Properties, frame};

use super::support::peer::Peer;
use super::support::session::{Client, Said, broker, ready, write_publish};

fn blocked() -> Said {
    blocked_for("low on disk")
}

fn blocked_for(reason: &'static str) -> Said {
    Said::Method(0, connection::Blocked { reason: literal(reason) }.into())
}

fn unblocked() -> Said {
    Said::Method(0, connection::Unblocked {}.into())
}

/// RabbitMQ (`rabbit_reader`): a connection that does not publish is not blocked; one that does is stopped at the content.
#[test]
fn a_publish_waits_until_the_alarm_is_over() {
    let broker = broker();
    let (mut first, mut second) = (Client::open(&broker, 10), Client::open(&broker, 0));
    first.declare("q");
    first.publish("q", &[b"before"], 0);
    broker.raise_alarm(Shortage::Store);
    first.send(1, confirm::Select::default(), 0);
    assert_eq!(first.said().len(), 2, "declare-ok and select-ok");
    assert!(!first.session.is_held());

    first.publish("q", &[b"during", b"too"], 0);
    assert_eq!(first.said(), [blocked()]);
    assert!(first.session.is_held() && first.session.is_blocked());
    assert_eq!(ready(&broker, "q"), 1);
    second.consume("q", "c");
    assert_eq!(second.deliveries().len(), 1, "consumers go on");
    assert!(!second.session.is_held());

    broker.end_alarm(Shortage::Store);
    assert_eq!(second.said(), [], "who was not blocked is told nothing");
    let ack = basic::Ack { delivery_tag: 2, multiple: true };
    assert_eq!(first.said(), [unblocked(), Said::Method(1, ack.into())]);
    assert!(!first.session.is_held());
    first.publish("q", &[b"after"], 0);
    let bodies: Vec<_> = second.deliveries().into_iter().map(|(body, _)| body).collect();
    assert_eq!(bodies, [&b"during"[..], b"too", b"after"]);
}

/// The smallest message has no body, and the largest is on its way when the alarm begins.
#[test]
fn no_message_is_so_small_or_so_far_that_it_does_not_wait() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.declare("q");
    client.said();
    broker.raise_alarm(Shortage::Memory);
    client.publish("q", &[b""], 0);
    assert_eq!(client.said(), [blocked_for("low on memory")]);
    assert_eq!(ready(&broker, "q"), 0);
    broker.end_alarm(Shortage::Memory);
    assert_eq!(client.said(), [unblocked()]);
    assert_eq!(ready(&broker, "q"), 1);

    let mut bytes = Vec::new();
    write_publish(&mut bytes, &literal("q"), &Properties::default(), &vec![7; 200_000]);
    // The method, the header and all of the first body frame.
    let first_len = (0..3)
        .fold(0, |len, _| len + frame::parse(&bytes[len..], 0).unwrap().unwrap().encoded_len());
    let (first, rest) = bytes.split_at(first_len);
    client.bytes(first, 0);
    broker.raise_alarm(Shortage::Memory);
    client.bytes(rest, 0);
    assert_eq!(client.said(), [blocked_for("low on memory")]);
    broker.end_alarm(Shortage::Memory);
    assert_eq!(client.said(), [unblocked()]);
    assert_eq!(ready(&broker, "q"), 2);
}

#[test]
fn an_alarm_that_begins_again_blocks_until_its_own_end() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    broker.raise_alarm(Shortage::Store);
    client.publish("q", &[b"1"], 0);
    client.out.clear();
    broker.end_alarm(Shortage::Store);
    broker.raise_alarm(Shortage::Store);
    assert_eq!(client.said(), [], "the end of the first alarm comes too late");
    assert!(client.session.is_blocked());
    broker.end_alarm(Shortage::Store);
    assert_eq!(client.said(), [unblocked()]);
}

/// RabbitMQ (`rabbit_reader:format_blocked_by`), and only the end of the last alarm is an end.
#[test]
fn the_reason_is_told_once_and_the_end_when_nothing_is_short() {
    use Shortage::{DiskSpace, Memory, Store};
    let cases: [(&[Shortage], &'static str); 5] = [
        (&[Memory], "low on memory"),
        (&[DiskSpace], "low on disk"),
        (&[DiskSpace, Store], "low on disk"),
        (&[Memory, DiskSpace], "low on memory & disk"),
        (&[Memory, DiskSpace, Store], "low on memory & disk"),
    ];
    for (shortages, reason) in cases {
        let broker = broker();
        let mut client = Client::open(&broker, 0);
        for shortage in shortages {
            broker.raise_alarm(*shortage);
        }
        client.publish("q", &[b"1"], 0);
        assert_eq!(client.said(), [blocked_for(reason)], "{shortages:?}");
        let (last, others) = shortages.split_last().unwrap();
        for shortage in others {
            broker.end_alarm(*shortage);
            assert_eq!(client.said(), [], "{shortages:?}");
        }
        broker.end_alarm(*last);
        assert_eq!(client.said(), [unblocked()], "{shortages:?}");
        broker.end_alarm(*last);
        assert_eq!(client.said(), [], "an end that was told is not told again");
    }
}

#[test]
fn a_client_that_does_not_ask_for_it_is_blocked_without_a_word() {
    let broker = broker();
    let mut client = Client::open_with(&broker, 0, FieldTable::new());
    broker.raise_alarm(Shortage::Memory);
    client.publish("q", &[b"1"], 0);
    assert_eq!(client.said(), []);
    assert!(client.session.is_blocked());
    broker.end_alarm(Shortage::Memory);
    assert_eq!(client.said(), []);
    assert!(!client.session.is_blocked());
}

#[test]
fn a_blocked_client_is_sent_heartbeats_and_owes_none() {
    let broker = broker();
    let mut client = Client::open(&broker, 10);
    broker.raise_alarm(Shortage::Store);
    client.publish("q", &[b"1"], 0);
    assert_eq!(client.said(), [blocked()]);
    client.session.on_sent(0);
    for beat_at in [5_000, 100_000] {
        assert!(client.session.deadline() <= Some(beat_at));
        client.session.on_timeout(beat_at, &mut client.out);
        assert_eq!(client.said(), [Said::Heartbeat]);
    }
    broker.end_alarm(Shortage::Store);
    client.session.on_mailbox(200_000, &mut client.out);
    client.bytes(&[], 200_000);
    assert_eq!(client.said(), [unblocked()]);
    client.session.on_timeout(224_999, &mut client.out);
    assert!(!client.session.is_closed(), "its patience is counted from the end of the alarm");
    client.session.on_timeout(225_000, &mut client.out);
    assert!(client.session.is_closed());
}

/// A server of its own, whose broker the test can reach.
async fn serve() -> Server {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let broker = Arc::new(Broker::new("mq@test".into()));
    let config = Config { listen, ..Config::default() };
    Server::start(broker, Clock::start(), config).await.unwrap()
}

/// A peer with channel 1 open, and its broker's alarm on.
fn alarmed(server: &Server) -> Peer {
    let peer = Peer::on_channel_one(server.addresses()[0]);
    server.broker().raise_alarm(Shortage::Store);
    peer
}

fn publish(peer: &mut Peer) {
    peer.publish(&literal("q"), &Properties::default().to_bytes(), b"body");
}

/// A peer that is blocked, and has sent a publish that nobody reads.
fn blocked_publisher(server: &Server) -> Peer {
    let mut peer = alarmed(server);
    publish(&mut peer);
    assert!(matches!(peer.next_method(), (0, Method::ConnectionBlocked(_))));
    publish(&mut peer);
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_publisher_is_not_read_from_until_the_alarm_is_over() {
    let server = serve().await;
    let mut peer = alarmed(&server);
    peer.send_method(1, confirm::Select::default());
    publish(&mut peer);
    let names = [(); 2].map(|()| peer.next_method().1.name());
    assert_eq!(names, ["confirm.select-ok", "connection.blocked"]);
    server.broker().end_alarm(Shortage::Store);
    assert!(matches!(peer.next_method(), (0, Method::ConnectionUnblocked(_))));
    let (_, acked) = peer.next_method();
    assert!(matches!(acked, Method::BasicAck(basic::Ack { delivery_tag: 1, .. })), "{acked:?}");
    drop(peer);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_publisher_that_leaves_is_noticed() {
    let server = serve().await;
    let broker = Arc::clone(server.broker());
    drop(blocked_publisher(&server));
    // The unread publish is in front of the end of its stream.
    while !broker.registry.list().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(broker.alarm.is_on());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_a_blocked_publisher() {
    let server = serve().await;
    let broker = Arc::clone(server.broker());
    let mut peer = blocked_publisher(&server);
    let stopping = tokio::spawn(server.stop());
    let (_, close) = peer.next_method();
    assert!(matches!(close, Method::ConnectionClose(_)), "{close:?}");
    peer.send_method(0, connection::CloseOk {});
    stopping.await.unwrap();
    assert!(broker.registry.list().is_empty());
}
