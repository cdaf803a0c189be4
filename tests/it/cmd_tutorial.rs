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
fn what_survives_a_restart_is_shown_on_a_broker_of_its_own() {
    Case {
        arguments: &["tutorial", "durability", "--check"],
        stdout: "ok   3: queue 'hello2' is back, with nothing in it\n\
                 ok   3: queue 'hello2' is back, with 'Hello World!' in it\n",
        ..Case::default()
    }
    .alone();
}

#[test]
fn a_broker_that_is_not_ours_is_not_stopped() {
    for target in [["--url", "amqp://127.0.0.1:9"], ["--local=/nowhere/at/all", "--quiet"]] {
        let run = crate::support::cli::program().args(["tutorial", "3"]).args(target).output();
        let run = run.unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!(
            said,
            "error: lesson 3 restarts the broker, so it needs a broker that mq started\n\
             hint: run it without --url and --local: `mq tutorial durability`\n"
        );
        assert_eq!((run.status.code(), run.stdout.len()), (Some(64), 0));
    }
}
