//! `mq wait --for`: the state of a broker that a script waits for.

use crate::broker::Broker;
use crate::support::cli::{Case, Running, answer, mq, on_both, prepare};

on_both!(
    a_state_that_is_there_is_not_waited_for,
    a_state_that_comes_ends_the_wait,
    what_is_missing_is_told,
    unacknowledged_messages_are_in_a_queue,
);

fn a_state_that_is_there_is_not_waited_for(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "a:b"], &["publish", "--queue", "a:b", "x", "y"]]);
    let wait = [
        "wait",
        "--for",
        "ready",
        "--for",
        "queue=a:b",
        "--for",
        "exchange=amq.topic",
        "--for",
        "messages=a:b:2",
        "--timeout",
        "20s",
        "-o",
        "json",
    ];
    assert!(answer(broker, &wait, "").starts_with("{\"broker\":\"amqp://"));
}

fn a_state_that_comes_ends_the_wait(broker: &Broker) {
    let wait = |condition| {
        let arguments = ["wait", "--for", condition, "--timeout", "40s"];
        mq(broker).args(arguments).spawn().unwrap()
    };
    let mut queue = wait("queue=later");
    prepare(broker, &[&["declare-queue", "later"]]);
    assert!(queue.wait().unwrap().success());
    let mut messages = wait("messages=later:2");
    prepare(broker, &[&["publish", "--queue", "later", "x", "y"]]);
    assert!(messages.wait().unwrap().success());
    let mut empty = wait("empty=later");
    prepare(broker, &[&["consume", "--queue", "later", "-n", "2"]]);
    assert!(empty.wait().unwrap().success());
    let mut consumers = wait("consumers=later:1");
    let consumer = Running::start(broker, &["consume", "--queue", "later"], "waiting for messages");
    assert!(consumers.wait().unwrap().success());
    drop(consumer);
}

fn what_is_missing_is_told(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "q"], &["publish", "--queue", "q", "x"]]);
    let cases = [
        ("queue=none", "queue 'none' is not there after 1s"),
        ("exchange=none", "exchange 'none' is not there after 1s"),
        ("empty=none", "queue 'none' is not there after 1s"),
        ("empty=q", "queue 'q' has 1 ready message after 1s"),
        ("messages=q:2", "queue 'q' has 1 ready message after 1s"),
        ("consumers=q", "queue 'q' has 0 consumers after 1s"),
    ];
    for (condition, words) in cases {
        Case {
            arguments: &["wait", "--for", condition, "--timeout", "1s"],
            code: 75,
            stderr: &format!("error: {words}\nhint: wait longer with --timeout\n"),
            ..Case::default()
        }
        .on(broker);
    }
}

/// The handler goes on until its stdin, which nobody closes, ends: its message stays unacknowledged.
fn unacknowledged_messages_are_in_a_queue(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "q"], &["publish", "--queue", "q", "x"]]);
    let consume = ["consume", "--queue", "q", "--exec", "echo taken >&2; exec sleep 60"];
    let consumer = Running::start(broker, &consume, "taken");
    Case {
        arguments: &["wait", "--for", "empty=q", "--timeout", "1s"],
        code: 75,
        stderr: "error: queue 'q' has 1 unacknowledged message after 1s\n\
                 hint: wait longer with --timeout\n",
        ..Case::default()
    }
    .on(broker);
    drop(consumer);
    let wait = ["wait", "--for", "messages=q:1", "--timeout", "20s"];
    answer(broker, &wait, "");
}

#[test]
fn a_condition_that_is_none_is_a_usage_error() {
    Case {
        arguments: &["wait", "--for", "depth=q"],
        code: 64,
        stderr: "error: invalid value 'depth=q' for '--for <STATE>': it is none of ready, queue=Q, exchange=E, \
                 empty=Q, messages=Q:N and consumers=Q:N\n\nFor more information, try '--help'.\n",
        ..Case::default()
    }
    .alone();
}
