//! The examples of all administration commands, with `--local` and on RabbitMQ 4.3; `examples` runs them on `mq serve`.
//!
//! Each command has one at least, so this is a run of the whole table.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::broker::Broker;
use crate::examples::examples;
use crate::support::cli::{mq, program};

/// Commands for which RabbitMQ's management API has no call: they say so and exit with 69.
const NOT_ON_RABBITMQ: &[&str] = &[
    "await-online-quorum-plus-one",
    "check-if-new-quorum-queue-replicas-have-finished-initial-sync",
    "coordinator-status",
    "force-checkpoint",
    "list-channel-interceptors",
    "list-unresponsive-queues",
    "metadata-store-status",
    "post-upgrade",
    "reclaim-quorum-memory",
    "reconcile-vhosts",
    "restart-stream",
    "rotate-logs",
];

/// Other tests use the same RabbitMQ: its name must stay.
const NOT_ON_A_SHARED_BROKER: &[&str] = &["set-cluster-name"];

/// The administration commands that mq has, in the order of the help.
fn commands() -> Vec<&'static str> {
    mq::commands::admin::groups().flat_map(|(_, names)| names).collect()
}

/// Runs a line in a shell that has the environment of `command`.
fn run(line: &str, command: &Command, folder: &Path) -> Output {
    let path = Path::new(env!("CARGO_BIN_EXE_mq")).parent().unwrap();
    let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(folder).stdin(Stdio::null()).env("PATH", path);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.output().unwrap()
}

fn said(run: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr))
}

#[test]
fn every_command_works_on_a_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.env("MQ_LOCAL", folder.path().join("data"));
    for name in commands() {
        for line in examples(name) {
            let run = run(&line, &command, folder.path());
            assert!(run.status.success(), "{line}: {}", said(&run));
        }
    }
}

#[test]
fn every_command_works_on_rabbitmq_or_says_that_it_cannot() {
    let Some(broker) = crate::broker::on_strict_rabbitmq_4_3() else { return };
    assert!(!Broker::is_mq(&broker));
    let folder = tempfile::tempdir().unwrap();
    let command = mq(&broker);
    for name in commands().into_iter().filter(|name| !NOT_ON_A_SHARED_BROKER.contains(name)) {
        for line in examples(name) {
            let run = run(&line, &command, folder.path());
            if NOT_ON_RABBITMQ.contains(&name) {
                assert_eq!(run.status.code(), Some(69), "{line}: {}", said(&run));
                assert!(said(&run).contains("this broker cannot"), "{line}: {}", said(&run));
            } else {
                assert!(run.status.success(), "{line}: {}", said(&run));
            }
        }
    }
}
