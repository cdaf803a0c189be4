//! `--exec`: a command that fails is tried again, and its exit code says what becomes of the message.

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::broker::Broker;
use crate::support::cli::{Case, Running, answer, mq, on_both, prepare};

on_both!(
    a_command_that_fails_is_tried_again,
    a_message_that_fails_too_often_is_rejected,
    exit_codes_say_what_becomes_of_the_message,
    a_command_that_is_not_there_stops_with_a_hint,
    a_request_is_tried_again,
    the_end_does_not_wait_for_what_fails,
);

/// A shell command that counts its runs in a file and ends with one code until the run of that number, then with 0.
fn failing(counter: &Path, code: u8, until: u8) -> String {
    let file = counter.display();
    format!("echo run >> {file}; test $(grep -c run {file}) -ge {until} || exit {code}")
}

fn runs(counter: &Path) -> usize {
    std::fs::read_to_string(counter).unwrap_or_default().lines().count()
}

/// A queue whose rejected messages come to another one.
fn with_dead_letters(broker: &Broker) {
    let declare = ["declare-queue", "q", "--dead-letter-exchange", "amq.fanout"];
    let bind = ["bind", "--exchange", "amq.fanout", "--queue", "dead"];
    prepare(broker, &[&declare, &["declare-queue", "dead"], &bind]);
}

fn a_command_that_fails_is_tried_again(broker: &Broker) {
    let directory = TempDir::new().unwrap();
    let counter = directory.path().join("runs");
    let command = failing(&counter, 3, 3);
    answer(broker, &["publish", "--queue", "q", "job"], "");
    let begin = Instant::now();
    Case {
        arguments: &[
            "consume",
            "--queue",
            "q",
            "-n",
            "1",
            "--max-attempts",
            "5",
            "--exec",
            &command,
        ],
        stderr: "waiting for messages in queue 'q'; press Ctrl-C to stop\n\
                 handler ended with exit status: 3: message 1 is tried again in 500ms\n\
                 handler ended with exit status: 3: message 1 is tried again in 1s\n",
        ..Case::default()
    }
    .on(broker);
    assert_eq!(runs(&counter), 3);
    assert!(begin.elapsed() >= Duration::from_millis(1500), "with growing pauses");
    assert_eq!(mq(broker).args(["get", "--queue", "q"]).output().unwrap().status.code(), Some(1));
}

fn a_message_that_fails_too_often_is_rejected(broker: &Broker) {
    with_dead_letters(broker);
    answer(broker, &["publish", "--queue", "q", "poison"], "");
    Case {
        arguments: &[
            "consume",
            "--queue",
            "q",
            "-n",
            "1",
            "--max-attempts",
            "2",
            "--exec",
            "exit 3",
        ],
        code: 1,
        stderr: "waiting for messages in queue 'q'; press Ctrl-C to stop\n\
                 handler ended with exit status: 3: message 1 is tried again in 500ms\n\
                 handler ended with exit status: 3: message 1 is rejected\n\
                 1 of 1 message failed\n",
        ..Case::default()
    }
    .on(broker);
    assert_eq!(answer(broker, &["consume", "--queue", "dead", "-n", "1"], ""), "poison\n");
}

/// 65 and 75 mean the same whatever `--on-failure` says.
fn exit_codes_say_what_becomes_of_the_message(broker: &Broker) {
    with_dead_letters(broker);
    answer(broker, &["publish", "--queue", "q", "bad data"], "");
    let consume = ["consume", "--queue", "q", "-q", "-n", "1", "--on-failure"];
    let run = mq(broker).args(consume).args(["requeue", "--exec", "exit 65"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(answer(broker, &["consume", "--queue", "dead", "-n", "1"], ""), "bad data\n");

    let directory = TempDir::new().unwrap();
    let counter = directory.path().join("runs");
    let later = ["reject", "--max-attempts", "3", "--exec", &failing(&counter, 75, 2)];
    answer(broker, &["publish", "--queue", "q", "later"], "");
    let run = mq(broker).args(consume).args(later).output().unwrap();
    assert_eq!((run.status.code(), runs(&counter)), (Some(0), 2));
}

/// No message would fare better, and none is lost.
fn a_command_that_is_not_there_stops_with_a_hint(broker: &Broker) {
    answer(broker, &["publish", "--queue", "q", "job"], "");
    let file = TempDir::new().unwrap();
    let script = file.path().join("script").display().to_string();
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    let cases = [
        (
            "no-such-command-here",
            "was not found by the shell (exit status 127)",
            "check the command's name",
        ),
        (script.as_str(), "may not be run (exit status 126)", "make the file executable"),
    ];
    for (command, what, hint) in cases {
        for words in [&["consume"][..], &["rpc-serve"]] {
            let options = ["--queue", "q", "--on-failure", "reject", "--exec", command];
            let run = mq(broker).args(words).args(options).output().unwrap();
            let stderr = String::from_utf8(run.stderr).unwrap();
            assert_eq!(run.status.code(), Some(1), "{words:?}: {stderr}");
            let error = format!("\nerror: the handler '{command}' {what}\nhint: {hint}");
            assert!(stderr.contains(&error), "{words:?}: {stderr}");
        }
    }
    assert_eq!(answer(broker, &["consume", "--queue", "q", "-n", "1"], ""), "job\n");
}

fn a_request_is_tried_again(broker: &Broker) {
    let directory = TempDir::new().unwrap();
    let counter = directory.path().join("runs");
    let command = format!("{}; echo done", failing(&counter, 75, 2));
    let serve = ["rpc-serve", "--queue", "r", "-n", "1", "--max-attempts", "3", "--exec", &command];
    let mut serve = Running::start(broker, &serve, "answering the requests");
    assert_eq!(answer(broker, &["rpc-call", "--queue", "r", "x"], ""), "done\n\n");
    let (status, _, stderr) = serve.end();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("request 1 is tried again in 500ms"), "{stderr}");
}

/// A pause of half a minute must not hold up `--timeout`; what waits goes back to its queue.
fn the_end_does_not_wait_for_what_fails(broker: &Broker) {
    answer(broker, &["publish", "--queue", "q", "job"], "");
    let options = ["--timeout", "2s", "--exec", "exit 3", "-q"];
    let run = mq(broker).args(["consume", "--queue", "q"]).args(options).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert_eq!(answer(broker, &["consume", "--queue", "q", "-n", "1"], ""), "job\n");
}
