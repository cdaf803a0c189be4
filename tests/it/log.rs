//! What the log tells an operator: at its default level, in both formats, and changed while the broker runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use mq::wire::FieldTable;
use mq::wire::method::{connection, queue};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::cli::{Running, program};
use crate::support::peer::{Peer, start_ok};
use crate::support::queues::{name, persistent};

const AT: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--print-url", "--data-dir"];

fn serve(directory: &Path, options: &[&str]) -> Command {
    let mut command = program();
    command.args(AT).arg(directory).args(options);
    command
}

/// Starts a broker and waits for its URL only; answers with the port that follows it.
fn started(directory: &Path, options: &[&str]) -> (Running, std::net::SocketAddr) {
    let mut running = Running::spawn(&mut serve(directory, options), "");
    let url = running.line();
    let address = url.trim().trim_start_matches("amqp://").parse().unwrap();
    (running, address)
}

/// Does what an operator wants to read of: a client that works, one with a wrong password, one that is cut off, one
/// that breaks the rules.
fn happen(address: std::net::SocketAddr) -> [String; 4] {
    let mut good = Peer::connect(address);
    good.greet();
    let client_properties = FieldTable::new()
        .with("product", "perf\ntest")
        .with("version", "1.2")
        .with("connection_name", "orders");
    let start_ok_named =
        connection::StartOk { client_properties, ..start_ok("PLAIN", b"\0guest\0guest") };
    good.send_method(0, start_ok_named);
    good.next_method();
    good.send_method(0, connection::TuneOk { channel_max: 9, frame_max: 131_072, heartbeat: 0 });
    good.send_method(0, connection::Open { virtual_host: name("/"), ..Default::default() });
    good.next_method();
    let first = good.local_address().to_string();
    good.send_method(0, connection::Close { reply_code: 200, ..Default::default() });
    good.next_method();
    drop(good);

    let mut wrong = Peer::connect(address);
    let second = wrong.local_address().to_string();
    wrong.greet();
    wrong.send_method(0, start_ok("PLAIN", b"\0guest\0wrong"));
    wrong.end();

    let cut = Peer::login(address);
    let third = cut.local_address().to_string();
    drop(cut);

    let mut rude = Peer::login(address);
    let fourth = rude.local_address().to_string();
    rude.send(&[9, 0, 0, 0, 0, 0, 0, 0xCE]);
    rude.end();
    [first, second, third, fourth]
}

#[test]
fn the_log_tells_of_start_connections_refusals_and_stop() {
    let directory = tempfile::tempdir().unwrap();
    let (mut running, address) = started(directory.path(), &[]);
    let mut peer = Peer::on_channel_one(address).confirming();
    peer.declare(queue::Declare { queue: name("q"), durable: true, ..Default::default() });
    peer.confirmed("q", &persistent(), b"kept");
    drop(peer);
    running.signal(Signal::TERM);
    let (status, _, said) = running.end();
    assert!(status.success(), "{said}");
    let (started_as, listens) = (
        format!("mq {} starting", env!("CARGO_PKG_VERSION")),
        format!("listening on amqp://{address}"),
    );
    for words in [&started_as, directory.path().to_str().unwrap(), &listens, "SIGTERM", "stopped"] {
        assert!(said.contains(words), "{words}: {said}");
    }

    let (mut running, address) = started(directory.path(), &[]);
    let [good, wrong, cut, rude] = happen(address);
    running.signal(Signal::TERM);
    let (_, _, said) = running.end();
    assert!(said.contains("recovered 1 queue, 1 message in "), "{said}");
    #[rustfmt::skip]
    let expected = [
        (&good,  "connection accepted",      ""),
        (&good,  "connection authenticated", r#"user=guest vhost="/" client="perf\ntest 1.2" name="orders""#),
        (&good,  "connection closed",        "closed by the client"),
        (&wrong, "login refused",            r#"user="guest" mechanism=PLAIN reason="wrong password""#),
        (&cut,   "connection closed",        "the client closed the TCP connection without connection.close"),
        (&rude,  "connection closed",        "FRAME_ERROR"),
    ];
    for (connection, words, more) in expected {
        let found = said.lines().any(|line| {
            line.contains(connection.as_str()) && line.contains(words) && line.contains(more)
        });
        assert!(found, "{connection} {words} {more}: {said}");
    }
    assert!(!said.contains('\u{1b}'), "no colours in a pipe: {said}");
}

#[test]
fn a_log_in_json_is_json_from_its_first_line_to_its_last() {
    let directory = tempfile::tempdir().unwrap();
    let (mut running, address) = started(directory.path(), &["--log-format", "json"]);
    happen(address);
    running.signal(Signal::TERM);
    let (status, _, said) = running.end();
    assert!(status.success());
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let messages: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(messages.len(), lines.len(), "{said}");
    assert!(messages[0].starts_with("mq ") && messages[0].ends_with(" starting"), "{said}");
    assert_eq!(messages.last(), Some(&"stopped"));
    let refused = lines.iter().find(|line| line["message"] == "login refused").unwrap();
    assert_eq!((&refused["level"], &refused["reason"]), (&"WARN".into(), &"wrong password".into()));
}

#[test]
fn errors_of_the_start_are_json_too() {
    let directory = tempfile::tempdir().unwrap();
    #[rustfmt::skip]
    let cases: [(&[&str], i32); 3] = [
        (&["--log-format", "json", "--definitions", "/nowhere.json"], 65),
        (&["--log-format=json", "--listen", "203.0.113.1:1"],         69),
        (&["--log-format", "json", "--no-such-option"],               64),
    ];
    for (options, code) in cases {
        let run = serve(directory.path(), options).output().unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(code), "{said}");
        let lines: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}")))
            .collect();
        let last = lines.last().unwrap();
        assert_eq!(last["exit_code"], code, "{said}");
    }
}

#[test]
fn the_level_chooses_and_a_file_of_it_is_read_again_at_sighup() {
    let directory = tempfile::tempdir().unwrap();
    let (mut running, address) = started(directory.path(), &["--log-level", "warning"]);
    let [_, wrong, ..] = happen(address);
    running.signal(Signal::TERM);
    let (_, _, said) = running.end();
    assert!(said.contains(&wrong) && !said.contains("connection accepted"), "{said}");

    let level = directory.path().join("level");
    fs::write(&level, "none\n").unwrap();
    let options = ["--log-level-file", level.to_str().unwrap()];
    let (mut running, address) = started(directory.path(), &options);
    happen(address);
    fs::write(&level, "info\n").unwrap();
    running.signal(Signal::HUP);
    running.wait_for("log level reloaded");
    assert!(!running.said().contains("login refused"), "{}", running.said());
    happen(address);
    running.wait_for("login refused");
    fs::write(&level, "loud\n").unwrap();
    running.signal(Signal::HUP);
    running.wait_for("the log level stays as it is");
    running.signal(Signal::TERM);
    assert!(running.end().0.success());

    let run = serve(directory.path(), &options).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(64), "{said}");
    assert!(said.contains("it must hold error, warning, info, debug or none"), "{said}");
}
