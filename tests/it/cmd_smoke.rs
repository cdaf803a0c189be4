//! `mq smoke`: the steps, and what is left of them.

use crate::broker::Broker;
use crate::support::cli::{Case, answer, mq, on_both};

on_both!(every_step_passes_and_nothing_stays, the_steps_before_a_failure_are_told);

fn every_step_passes_and_nothing_stays(broker: &Broker) {
    let steps = [
        "connect",
        "declare",
        "route",
        "publish",
        "consume",
        "ack",
        "dead-letter",
        "rpc",
        "delete",
    ];
    let shown = answer(broker, &["smoke"], "");
    let shown: Vec<_> = shown.lines().collect();
    for (line, step) in shown.iter().zip(steps) {
        assert!(line.starts_with(step) && line.ends_with('s'), "{line}");
    }
    assert!(shown[9].contains("passed all 9 steps in "), "{shown:?}");
    let json: serde_json::Value =
        serde_json::from_str(&answer(broker, &["smoke", "-o", "json"], "")).unwrap();
    let named: Vec<_> =
        json["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(named, steps);
    assert!(json["steps"][0]["us"].is_u64() && json["total_us"].is_u64(), "{json}");
    for list in ["list-queues", "list-exchanges"] {
        let left = answer(broker, &[list, "name"], "");
        assert!(!left.contains("smoke"), "{left}");
    }
}

fn the_steps_before_a_failure_are_told(broker: &Broker) {
    answer(broker, &["clear-permissions", "guest"], "");
    let run = mq(broker).arg("smoke").output().unwrap();
    answer(broker, &["set-permissions", "guest", ".*", ".*", ".*"], "");
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!((run.status.code(), run.stdout.len()), (Some(77), 0), "{stderr}");
}

#[test]
fn a_broker_that_is_not_there_is_told() {
    Case {
        arguments: &["smoke", "--url", "amqp://127.0.0.1:1"],
        code: 69,
        stderr: "error: cannot reach a broker at amqp://127.0.0.1:1\n\
                 cause: Connection refused (os error 111)\n\
                 hint: start a broker with `mq serve`, run one in this process with --local, or name another one with \
                 --url\n",
        ..Case::default()
    }
    .alone();
}
