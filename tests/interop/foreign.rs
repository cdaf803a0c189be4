//! One serious test for each foreign client that is not written in Rust: its suite must pass.
//!
//! The suites are programs in the client's own language beside this file. They print a line for each
//! check and end with another code than 0 when one fails, so a failure here shows all of them.

use std::path::Path;
use std::process::Command;

use crate::broker::Broker;
use crate::installed::{Environment, amqplib};
use crate::program::{Program, python};

/// pika's blocking connection: every method it has, and every error text.
fn pika_blocking(broker: &Broker) {
    pika_suite("blocking", broker);
}

/// pika's callback-driven connection.
fn pika_asynchronous(broker: &Broker) {
    pika_suite("asynchronous", broker);
}

/// Frames on a bare socket: the order of answers, and what ends a channel or a connection.
fn pika_frames(broker: &Broker) {
    pika_suite("frames", broker);
}

/// amqplib on node: promises, a confirm channel, many channels, errors as events.
fn amqplib_on_node(broker: &Broker) {
    let Some(home) = amqplib() else { return };
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/amqplib/suite.js");
    let mut command = Command::new("node");
    command.arg(suite).env("NODE_PATH", home.join("node_modules"));
    assert_all_passed(&Program::start("amqplib", &mut command, broker).finish());
}

/// Celery: a worker, its results through `rpc://`, and remote control through fanout mailboxes.
fn celery(broker: &Broker) {
    let Some(interpreter) = Environment::Celery.interpreter() else { return };
    let mut command = python(interpreter, "celery_suite/worker.py");
    let worker = Program::start("celery worker", &mut command, broker);
    worker.await_lines("ready", 1);
    let driver =
        Program::start("driver", &mut python(interpreter, "celery_suite/driver.py"), broker);
    assert_all_passed(&driver.finish());
    // The driver's last act was to ask the worker to end.
    worker.finish();
}

fn pika_suite(name: &str, broker: &Broker) {
    let Some(interpreter) = Environment::Pika.interpreter() else { return };
    let mut command = python(interpreter, &format!("pika_suite/{name}.py"));
    assert_all_passed(&Program::start(name, &mut command, broker).finish());
}

/// Looks at the sum a suite prints last, so that one which ran nothing does not count as passed.
fn assert_all_passed(said: &[String]) {
    let sum = said.last().expect("a suite prints its sum");
    let (passed, rest) = sum.split_once(" of ").expect("'n of m checks passed'");
    assert!(passed != "0" && rest == format!("{passed} checks passed"), "{}", said.join("\n"));
}

on_both!(pika_blocking, pika_asynchronous, pika_frames, amqplib_on_node, celery);
