//! Dead letters that are sent at least once, over restarts and kills, as the management API tells of them.

use std::io::{Read, Write};
use std::net::TcpStream;

use mq::wire::method::{basic, exchange, queue};
use mq::wire::{FieldTable, FieldValue, Method};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::directory::Served;
use crate::support::peer::Peer;
use crate::support::queues::{Came, name, persistent};

const MESSAGES: u32 = 40;

fn start(directory: &TempDir) -> Served {
    Served::start_planted(directory.path(), "none")
}

/// The queue `source` as the management API shows it.
fn source(served: &Served) -> [u64; 4] {
    let mut stream = TcpStream::connect(served.management()).unwrap();
    let request = "GET /api/queues/%2F/source HTTP/1.1\r\nHost: mq\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\
                   Connection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let row: Value = serde_json::from_str(body).unwrap();
    ["messages", "messages_ready", "messages_dlx", "message_bytes_dlx"]
        .map(|key| row[key].as_u64().unwrap_or_else(|| panic!("{key} in {row}")))
}

/// Rejects messages of a queue that sends its letters at least once to an exchange without bindings.
fn reject_all(peer: &mut Peer) {
    let declare = exchange::Declare {
        exchange: name("dlx"),
        kind: name("direct"),
        durable: true,
        ..Default::default()
    };
    assert!(matches!(peer.call(declare), Method::ExchangeDeclareOk(_)));
    let arguments = FieldTable::new()
        .with("x-queue-type", "quorum")
        .with("x-overflow", "reject-publish")
        .with("x-dead-letter-exchange", "dlx")
        .with("x-dead-letter-routing-key", "k")
        .with("x-dead-letter-strategy", "at-least-once");
    peer.declare_durable("source", arguments);
    for number in 0..MESSAGES {
        peer.confirmed("source", &persistent(), format!("{number:02}").as_bytes());
    }
    peer.consume("source", 0, false);
    let last: Came = (0..MESSAGES).map(|_| peer.delivered()).last().unwrap();
    let delivery_tag = last.delivery_tag;
    peer.send_method(1, basic::Nack { delivery_tag, multiple: true, requeue: false });
    assert_eq!(peer.depth("source"), 0);
}

fn bind(peer: &mut Peer) {
    peer.declare_durable("dead", FieldTable::new());
    let (queue, exchange, routing_key) = (name("dead"), name("dlx"), name("k"));
    let bind = queue::Bind { queue, exchange, routing_key, ..Default::default() };
    assert!(matches!(peer.call(bind), Method::QueueBindOk(_)));
}

fn reason(came: &Came) -> Option<&str> {
    came.properties.headers.as_ref()?.get("x-first-death-reason").and_then(FieldValue::as_str)
}

#[test]
fn letters_that_no_queue_takes_are_letters_after_a_restart_and_go_when_one_is_bound() {
    let directory = TempDir::new().unwrap();
    let served = start(&directory);
    let kept = [MESSAGES, 0, MESSAGES, 2 * MESSAGES].map(u64::from);
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    reject_all(&mut peer);
    // The first of them are known as dead; all are tried in turn.
    assert_eq!(source(&served), kept);
    bind(&mut peer);
    let mut consumer = Peer::on_channel_one(served.address());
    consumer.consume("dead", 0, false);
    for number in 0..MESSAGES {
        let came = consumer.delivered();
        assert_eq!(came.body, format!("{number:02}").into_bytes());
        assert_eq!(reason(&came), Some("rejected"));
    }
    drop(consumer);
    served.stop();
    let served = start(&directory);
    assert_eq!(source(&served), [0; 4]);
    assert_eq!(Peer::on_channel_one(served.address()).depth("dead"), MESSAGES);
    served.stop();
}

#[test]
fn letters_that_wait_survive_a_stop_and_a_kill() {
    let directory = TempDir::new().unwrap();
    let served = start(&directory);
    reject_all(&mut Peer::on_channel_one(served.address()).confirming());
    served.stop();
    let served = start(&directory);
    // No more than 32 were tried, and all are dead.
    assert_eq!(source(&served), [MESSAGES, 0, MESSAGES, 2 * MESSAGES].map(u64::from));
    served.kill();
    let served = start(&directory);
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    bind(&mut peer);
    peer.consume("dead", 0, true);
    for number in 0..MESSAGES {
        let came = peer.delivered();
        assert_eq!((came.body, came.redelivered), (format!("{number:02}").into_bytes(), false));
    }
    served.stop();
}
