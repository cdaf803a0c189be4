//! Commands that change a running node, as a person types them: its limits, listeners and log level.

use std::process::Command;
use std::time::{Duration, Instant};

use mq::wire::{Method, Properties};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::cli::{Running, program};
use crate::support::peer::Peer;

/// A test waits no longer for something that is sure to come.
const MOST: Duration = Duration::from_secs(30);

/// `mq serve` with a data directory and a management API.
pub(super) struct Node {
    pub(super) broker: Running,
    pub(super) url: String,
    pub(super) http: String,
    pub(super) directory: TempDir,
}

impl Node {
    pub(super) fn start(options: &[&str]) -> Self {
        Self::start_in(TempDir::new().unwrap(), options)
    }

    pub(super) fn start_in(directory: TempDir, options: &[&str]) -> Self {
        let mut command = program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--print-url"]);
        command.arg("--data-dir").arg(directory.path()).args(options);
        let mut broker = Running::spawn(&mut command, "Server startup complete");
        let [url, http] = [broker.line(), broker.line()].map(|line| line.trim().to_owned());
        Self { broker, url, http, directory }
    }

    /// The exit code of a command that asks the management API, and what it prints.
    pub(super) fn run(&self, arguments: &[&str]) -> (i32, String) {
        ended(arguments, ["--http-url", &self.http])
    }

    /// The same for a command that speaks AMQP.
    pub(super) fn amqp(&self, arguments: &[&str]) -> (i32, String) {
        ended(arguments, ["--url", &self.url])
    }

    /// The same for `rabbitmqctl`.
    pub(super) fn ctl(&self, arguments: &[&str]) -> (i32, String) {
        self.tool("rabbitmqctl", arguments)
    }

    /// The same for any of RabbitMQ's programs.
    pub(super) fn tool(&self, name: &str, arguments: &[&str]) -> (i32, String) {
        let links = TempDir::new().unwrap();
        let made = program().arg("install-links").arg(links.path()).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut command = Command::new(links.path().join(name));
        said(command.args(arguments).args(["--http-url", &self.http]))
    }

    /// A row of `mq environment` without its key.
    fn configured(&self, key: &str) -> Option<String> {
        let (_, rows) = self.run(&["environment", "-s"]);
        let row = rows.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('\t'));
        row.map(str::to_owned)
    }

    pub(super) fn stop(mut self) {
        self.broker.signal(Signal::TERM);
        assert!(self.broker.end().0.success());
    }
}

fn ended(arguments: &[&str], broker: [&str; 2]) -> (i32, String) {
    said(program().args(arguments).args(broker))
}

/// The exit code of a program, and what it prints.
pub(super) fn said(command: &mut Command) -> (i32, String) {
    let run = command.output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap() + &String::from_utf8(run.stderr).unwrap();
    (run.status.code().unwrap(), text)
}

#[test]
fn limits_that_are_set_while_the_node_runs_raise_and_end_alarms() {
    let node = Node::start(&[]);
    assert_eq!(node.amqp(&["declare-queue", "q"]).0, 0);
    #[rustfmt::skip]
    let cases: [(&[&str], &str, &str); 2] = [
        (&["set_disk_free_limit", "900000GB"],                  "set-disk-free-limit 1MB",               "disk"),
        (&["set_vm_memory_high_watermark", "absolute", "1MB"],  "set_vm_memory_high_watermark 0.9",      "memory"),
    ];
    for (set, back, alarm) in cases {
        assert_eq!(node.run(&["check-alarms"]).0, 0);
        assert_eq!(node.run(set).0, 0, "{set:?}");
        assert_eq!(node.run(&["check-alarms"]).0, 1);
        let (code, said) = node.run(&["alarms"]);
        assert!(code == 0 && said.contains(alarm), "{said}");
        let (code, said) = node.amqp(&["publish", "--queue", "q", "held up", "--timeout", "1s"]);
        assert_eq!(code, 75, "publishers wait: {said}");
        let back: Vec<&str> = back.split(' ').collect();
        assert_eq!(node.run(&back).0, 0, "{back:?}");
        let (code, said) =
            node.amqp(&["publish", "--queue", "q", "let through", "--timeout", "30s"]);
        assert_eq!(code, 0, "{said}");
    }
    node.stop();
}

#[test]
fn the_environment_shows_the_limits_in_force() {
    let node = Node::start(&["--total-memory", "1000MB"]);
    let of = |key: &str| node.configured(key);
    assert_eq!(of("disk_free_limit.absolute").as_deref(), Some("50000000\tdefault"));
    let told = |arguments: &[&str], key: &str| {
        let (code, said) = node.run(arguments);
        assert_eq!(code, 0, "{said}");
        of(key)
    };
    let relative =
        told(&["set_disk_free_limit", "mem_relative", "0.01"], "disk_free_limit.relative");
    assert_eq!(relative.as_deref(), Some("0.01\tmanagement API"));
    assert_eq!(of("disk_free_limit.absolute"), None);
    let (_, report) = node.run(&["report"]);
    assert!(report.contains("\"disk_free_limit\": 10000000"), "{report}");
    let absolute = told(
        &["set_vm_memory_high_watermark", "absolute", "2G"],
        "vm_memory_high_watermark.absolute",
    );
    assert_eq!(absolute.as_deref(), Some("2147483648\tmanagement API"));
    assert_eq!(of("vm_memory_high_watermark.relative"), None);

    node.broker.signal(Signal::HUP);
    let begun = Instant::now();
    while of("disk_free_limit.absolute").is_none() {
        assert!(begun.elapsed() < MOST, "SIGHUP puts the configuration in force again");
    }
    assert_eq!(of("vm_memory_high_watermark.relative").as_deref(), Some("0.6\tdefault"));
    node.stop();
}

#[test]
fn limits_that_are_none_are_refused_and_change_nothing() {
    let node = Node::start(&[]);
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 6] = [
        (&["set_disk_free_limit", "much"],                  "'much' is not a size"),
        (&["set_disk_free_limit", "mem_relative"],          "hint: write mem_relative 1.0"),
        (&["set_disk_free_limit", "mem_relative", "some"],  "'some' is not a number from 0 on"),
        (&["set_disk_free_limit", "1GB", "2"],              "a word is too many"),
        (&["set_vm_memory_high_watermark", "1.5"],          "'1.5' is not a number from 0 to 1"),
        (&["set_vm_memory_high_watermark", "2GB"],          "hint: write absolute 2GB"),
    ];
    for (arguments, words) in cases {
        let (code, said) = node.run(arguments);
        assert!(code == 64 && said.contains(words), "{arguments:?}: {code} {said}");
    }
    assert_eq!(node.configured("disk_free_limit.absolute").as_deref(), Some("50000000\tdefault"));
    node.stop();
}

#[test]
fn suspended_listeners_take_no_clients_and_keep_those_that_are_there() {
    let mut node = Node::start(&[]);
    let mut peer = Peer::on_channel_one(node.url.trim_start_matches("amqp://").parse().unwrap());
    let queue = peer.declare_queue();
    assert_eq!(node.run(&["suspend_listeners"]).0, 0);
    node.broker.wait_for("the listeners are suspended");
    assert_eq!(node.amqp(&["ping"]).0, 69);
    let (code, said) = node.amqp(&["publish", "--queue", "q", "refused"]);
    assert!(code == 69 && said.contains("Connection refused"), "{code} {said}");
    peer.publish(&queue, &Properties::default().to_bytes(), b"still here");
    assert_eq!(peer.get(&queue).1, b"still here");
    assert!(node.run(&["report"]).1.contains("\"being_drained\": false"));
    assert_eq!(node.run(&["resume-listeners"]).0, 0);
    assert_eq!(node.amqp(&["ping"]).0, 0);
    assert_eq!(node.amqp(&["publish", "--queue", "q", "taken"]).0, 0);
    drop(peer);
    node.stop();
}

#[test]
fn a_stopped_app_closes_its_clients_and_keeps_its_messages_until_it_is_started() {
    let mut node = Node::start(&[]);
    assert_eq!(node.amqp(&["publish", "--queue", "q", "kept"]).0, 0);
    let peer = Peer::on_channel_one(node.url.trim_start_matches("amqp://").parse().unwrap());
    let ctl = |word: &str| {
        let (code, said) = node.ctl(&[word]);
        assert_eq!(code, 0, "{said}");
        said
    };
    let said = ctl("stop_app");
    assert!(
        said.starts_with("Stopping rabbit application on node ") && said.ends_with(" ...\n"),
        "{said}"
    );
    let (said, _) = peer.end();
    let last = said.last().unwrap().method();
    assert!(matches!(&last, Method::ConnectionClose(close) if close.reply_code == 320), "{last:?}");
    assert_eq!(node.amqp(&["ping"]).0, 69);
    let said = ctl("start_app");
    assert!(said.starts_with("Starting node ") && said.ends_with(" ...\n"), "{said}");
    assert_eq!(node.amqp(&["ping"]).0, 0);
    let (code, said) = node.amqp(&["get", "--queue", "q"]);
    assert!(code == 0 && said.contains("kept"), "{code} {said}");
    node.broker.wait_for("back in service");
    node.stop();
}

#[test]
fn the_log_has_the_level_that_was_set_last() {
    let mut node = Node::start(&[]);
    assert_eq!(node.amqp(&["ping"]).0, 0);
    assert_eq!(node.run(&["set_log_level", "error"]).0, 0);
    assert_eq!(node.configured("log.console.level").as_deref(), Some("error\tmanagement API"));
    assert_eq!(node.amqp(&["ping"]).0, 0);
    assert_eq!(node.run(&["set-log-level", "info"]).0, 0);
    assert_eq!(node.amqp(&["ping"]).0, 0);
    let (code, said) = node.run(&["set_log_level", "loud"]);
    assert!(
        code == 64 && said.contains("level loud is not supported. Try one of debug, "),
        "{said}"
    );
    node.broker.signal(Signal::TERM);
    let (status, _, logged) = node.broker.end();
    assert!(status.success() && logged.contains("log level changed"), "{logged}");
    assert_eq!(logged.matches("connection accepted").count(), 2, "of three: {logged}");
}

/// A script may go on at once: the listeners are closed, and open again, when the command ends.
#[test]
fn listeners_have_followed_when_a_command_ends() {
    let node = Node::start(&["--listen", "localhost:0"]);
    for _ in 0..10 {
        for (closing, opening) in [("drain", "revive"), ("suspend-listeners", "resume-listeners")] {
            assert_eq!((node.run(&[closing]).0, node.amqp(&["ping"]).0), (0, 69), "{closing}");
            assert_eq!((node.run(&[opening]).0, node.amqp(&["ping"]).0), (0, 0), "{opening}");
        }
    }
    node.stop();
}
