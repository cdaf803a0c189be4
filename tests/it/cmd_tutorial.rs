//! `mq tutorial`: every lesson's checks pass, on RabbitMQ too, and nothing stays behind.

use crate::broker::Broker;
use crate::support::cli::{Case, answer, on_both};

on_both!(every_lesson_holds_and_leaves_nothing_behind);

fn every_lesson_holds_and_leaves_nothing_behind(broker: &Broker) {
    let verdicts = answer(broker, &["tutorial", "--check"], "");
    assert_eq!(verdicts.lines().count(), 21, "{verdicts}");
    assert!(verdicts.lines().all(|line| line.starts_with("ok   ")), "{verdicts}");
    assert_eq!(answer(broker, &["list-queues", "name", "--no-headers"], ""), "");
    let exchanges = ["list-exchanges", "name", "--no-headers", "--filter", "name=tutorial"];
    assert_eq!(answer(broker, &exchanges, ""), "");
}

#[test]
fn a_lesson_needs_no_broker() {
    Case {
        arguments: &["tutorial", "hello", "--check"],
        stdout: "ok   1: consumer gets 'Hello World!'\n",
        ..Case::default()
    }
    .alone();
}

#[test]
fn the_lesson_that_is_not_there_says_so() {
    let run = crate::support::cli::program().args(["tutorial", "3"]).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(
        said.starts_with("error: lesson 3 comes with the store: not implemented yet\n"),
        "{said}"
    );
    assert_eq!((run.status.code(), run.stdout.len()), (Some(64), 0));
}
