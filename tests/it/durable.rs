//! What a directory keeps: `mq serve` is stopped or killed and started again, and everything confirmed is there.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::cli::{Running, program};

/// Starts a broker that is reached through its directory only; returns it with the lines it said up to the last.
fn serve(directory: &Path) -> Running {
    Running::spawn(&mut serving(directory), "listening on")
}

fn serving(directory: &Path) -> Command {
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory);
    command
}

fn ask(directory: &Path, arguments: &[&str]) -> String {
    let mut command = program();
    command.env("MQ_LOCAL", directory).args(arguments);
    let run = command.output().unwrap();
    assert!(run.status.success(), "{arguments:?}: {run:?}");
    String::from_utf8(run.stdout).unwrap()
}

fn list(directory: &Path, what: &[&str]) -> String {
    ask(directory, &[what, &["--no-headers"]].concat())
}

/// Declares things of both lives, and publishes messages of both into each queue.
fn fill(directory: &Path) {
    let commands: [&[&str]; 9] = [
        &["declare-exchange", "x", "--type", "topic"],
        &["declare-queue", "kept"],
        &["declare-queue", "gone", "--transient"],
        &["bind", "--exchange", "x", "--queue", "kept", "--key", "a.#"],
        &["bind", "--exchange", "amq.fanout", "--queue", "kept"],
        &["publish", "--exchange", "x", "--routing-key", "a.b", "one", "two"],
        &["publish", "--exchange", "x", "--routing-key", "a.b", "--transient", "lost"],
        &["publish", "--exchange", "amq.fanout", "three"],
        &["publish", "--routing-key", "gone", "lost"],
    ];
    for arguments in commands {
        ask(directory, arguments);
    }
}

fn is_all_there(directory: &Path) {
    assert_eq!(list(directory, &["list-queues", "name", "messages", "durable"]), "kept\t3\ttrue\n");
    let bindings = ["list-bindings", "source_name", "routing_key", "--sort", "source_name"];
    assert_eq!(list(directory, &bindings), "\tkept\namq.fanout\t\nx\ta.#\n");
    for body in ["one", "two", "three"] {
        assert_eq!(ask(directory, &["get", "--queue", "kept", "-o", "raw"]), body);
    }
}

#[test]
fn a_stopped_broker_has_everything_that_is_to_be_kept() {
    let directory = TempDir::new().unwrap();
    let mut broker = serve(directory.path());
    fill(directory.path());
    broker.signal(Signal::TERM);
    assert!(broker.end().0.success());
    let mut broker =
        Running::spawn(&mut serving(directory.path()), "recovered 1 queue, 3 messages in ");
    is_all_there(directory.path());
    broker.signal(Signal::TERM);
    assert!(broker.end().0.success());
}

#[test]
fn a_killed_broker_has_everything_that_was_confirmed() {
    let directory = TempDir::new().unwrap();
    let mut broker = serve(directory.path());
    fill(directory.path());
    broker.signal(Signal::KILL);
    broker.end();
    let mut broker =
        Running::spawn(&mut serving(directory.path()), "recovered 1 queue, 3 messages in ");
    is_all_there(directory.path());
    broker.signal(Signal::KILL);
    broker.end();
}

#[test]
fn a_directory_of_a_later_release_is_refused_by_name() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("format"), "3\n").unwrap();
    let run = serving(directory.path()).output().unwrap();
    let path = directory.path().display();
    let said = format!(
        "error: cannot use the data in {path}\n\
         cause: '{path}/format' has format 3, and this release reads up to 2\n\
         hint: run the release of mq that wrote it, or a later one\n"
    );
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(69), "{told}");
    assert!(told.ends_with(&said), "{told}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "the lock, and the format");
}
