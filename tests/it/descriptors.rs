//! File descriptors that run out: the store has its own, clients wait, and the operator is told once.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mq::wire::FieldTable;
use mq::wire::constants::PROTOCOL_HEADER;
use rustix::process::Signal;

use crate::support::cli::{Running, program};
use crate::support::peer::Peer;
use crate::support::queues::persistent;

/// What the broker may open.
const FILES_MAX: &str = "256";
/// Files of the store hold 16 of these; more of them are made while clients take descriptors.
const BODY_BYTES: usize = 1 << 20;
const MESSAGES: usize = 70;

/// A broker with few descriptors, and where it speaks AMQP and HTTP.
fn serve(directory: &Path) -> (Running, SocketAddr, SocketAddr) {
    let mq = program();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {FILES_MAX} && exec \"$@\""), "sh"]);
    command.arg(mq.get_program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--print-url"]);
    command.arg("--data-dir").arg(directory);
    let mut running = Running::spawn(&mut command, "management API at ");
    let address = |line: &str| {
        let (_, rest) = line.trim_end().trim_end_matches('/').split_once("://").unwrap();
        rest.parse().unwrap()
    };
    let (amqp, http) = (address(&running.line()), address(&running.line()));
    (running, amqp, http)
}

/// A publisher of persistent messages, with a queue of its own.
fn publisher(address: SocketAddr) -> Peer {
    let mut peer = Peer::on_channel_one(address).confirming();
    peer.declare_durable("q", FieldTable::new());
    peer
}

/// Publishes into new files of the store, and has each message confirmed.
fn publish(peer: &mut Peer) {
    let body = vec![7; BODY_BYTES];
    for _ in 0..MESSAGES {
        peer.confirmed("q", &persistent(), &body);
    }
}

/// Asks the management API as guest: the answer, with its head.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = format!(
        "GET /api/{path} HTTP/1.1\r\nHost: broker\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn half_sent_requests_stop_no_publisher_and_are_given_up_after_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let (mut running, amqp, http) = serve(directory.path());
    let begun = Instant::now();
    let half_sent: Vec<TcpStream> = (0..240)
        .map(|_| {
            let mut stream = TcpStream::connect(http).unwrap();
            stream.write_all(b"GET /api/overview HTTP/1.1\r\nHost: broker\r\n").unwrap();
            stream
        })
        .collect();
    publish(&mut publisher(amqp));
    let mut first = &half_sent[0];
    first.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut rest = Vec::new();
    match first.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(4) && waited < Duration::from_secs(25), "{waited:?}");
    // Behind all the others.
    assert!(ask(http, "overview").starts_with("HTTP/1.1 200"));
    running.signal(Signal::TERM);
    let (status, _, said) = running.end();
    assert!(status.success(), "{said}");
    assert!(!said.contains("alarm"), "{said}");
}

#[test]
fn clients_wait_while_there_is_no_descriptor_for_them_and_one_line_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (mut running, amqp, http) = serve(directory.path());
    let mut publisher = publisher(amqp);
    let peers: Vec<Peer> = (0..200)
        .map(|_| {
            let mut peer = Peer::connect(amqp);
            peer.send(&PROTOCOL_HEADER);
            peer
        })
        .collect();
    running.wait_for("file descriptor limit alarm set");
    for check in ["alarms", "local-alarms"] {
        let answer = ask(http, &format!("health/checks/{check}"));
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains(r#""resource":"file_descriptor_limit""#), "{answer}");
    }
    publish(&mut publisher);
    drop(peers);
    running.wait_for("file descriptor limit alarm cleared");
    assert!(ask(http, "health/checks/alarms").starts_with("HTTP/1.1 200"));
    assert_eq!(Peer::on_channel_one(amqp).depth("q"), u32::try_from(MESSAGES).unwrap());
    let told = running.said().matches("file descriptor limit alarm set").count();
    assert_eq!(told, 1, "{}", running.said());
}
