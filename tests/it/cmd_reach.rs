//! `mq ping` and `mq wait`, and every way not to reach a broker: error texts and exit codes.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::broker::Broker;
use crate::support::cli::{Case, Running, answer, mq, on_both, program};

on_both!(a_broker_that_is_there_answers, a_wrong_password_is_told_without_it);

fn a_broker_that_is_there_answers(broker: &Broker) {
    let pong = answer(broker, &["ping"], "");
    assert!(pong.contains(" answered in ") && pong.contains("connected in"), "{pong}");
    let pong = answer(broker, &["ping", "-o", "json"], "");
    assert!(pong.contains("\"round_trip_us\":"), "{pong}");
    assert_eq!(answer(broker, &["wait", "--timeout", "10s"], ""), "");
}

fn a_wrong_password_is_told_without_it(broker: &Broker) {
    let url = broker.url().replace("guest:guest", "guest:s3cret");
    let run = program().args(["ping", "--url", &url]).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(77), "{said}");
    assert!(
        said.starts_with("error: the broker refused to open a connection: 403 ACCESS_REFUSED"),
        "{said}"
    );
    assert!(said.contains("\nhint: check the user and the password in --url"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

/// Port 1 of this machine: nobody listens there.
const NOBODY: &str = "amqp://guest:s3cret@127.0.0.1:1/";

#[test]
fn nobody_there_is_told_with_what_was_tried() {
    let hint = "start a broker with `mq serve`, run one in this process with --local, or name another one with --url";
    Case {
        arguments: &["ping", "--url", NOBODY],
        code: 69,
        stderr: &format!(
            "error: cannot reach a broker at amqp://guest:***@127.0.0.1:1/\n\
             cause: Connection refused (os error 111)\nhint: {hint}\n"
        ),
        ..Case::default()
    }
    .alone();
    Case {
        arguments: &["ping", "--url", NOBODY, "--format", "json"],
        code: 69,
        stderr: &format!(
            "{{\"error\":\"cannot reach a broker at amqp://guest:***@127.0.0.1:1/\",\
             \"cause\":\"Connection refused (os error 111)\",\"hint\":\"{hint}\",\"exit_code\":69}}\n"
        ),
        ..Case::default()
    }
    .alone();
}

#[test]
fn a_wait_ends_in_time() {
    Case {
        arguments: &["wait", "--url", NOBODY, "--timeout", "100ms"],
        code: 75,
        stderr: "error: no broker answered at amqp://guest:***@127.0.0.1:1/ within 100ms\n\
                 hint: wait longer with --timeout\n",
        ..Case::default()
    }
    .alone();
}

#[test]
fn what_is_not_understood_is_a_usage_error() {
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 5] = [
        (&["publsh"],                    "a similar subcommand exists: 'publish'"),
        (&["get"],                       "--queue <QUEUE>"),
        (&["get", "--nope"],             "unexpected argument '--nope' found"),
        (&["get", "-o", "yaml"],         "invalid value 'yaml'"),
        (&["apply", "file"],             "unrecognized subcommand 'apply'"),
    ];
    for (arguments, said) in cases {
        let run = program().args(arguments).output().unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!((run.status.code(), run.stdout.len()), (Some(64), 0), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_broker_stops_in_order_when_told() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut serve = program();
        serve.args(["serve", "--memory", "--listen", "127.0.0.1:0", "--print-url"]);
        let mut broker = Running::spawn(&mut serve, "listening on amqp://127.0.0.1:");
        assert!(broker.line().starts_with("amqp://127.0.0.1:"));
        broker.signal(signal);
        let (status, stdout, stderr) = broker.end();
        assert_eq!((status.code(), stdout.as_str()), (Some(0), ""));
        assert!(stderr.ends_with("INFO stopped\n"), "{stderr}");
    }
}

/// It reads its standard input, so nothing but Ctrl-C is heard; the broker is not even asked.
#[test]
fn ctrl_c_ends_a_command_that_waits_for_its_input() {
    let broker = Broker::mq();
    let mut publish = mq(&broker);
    let mut child =
        publish.args(["publish", "--queue", "q"]).stdin(Stdio::piped()).spawn().unwrap();
    answer(&broker, &["wait"], "");
    let input = child.stdin.take().unwrap();
    while child.try_wait().unwrap().is_none() {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        answer(&broker, &["ping"], "");
    }
    let status = child.wait().unwrap();
    // Ctrl-C before the program listens for it ends it the usual way.
    assert!(status.code() == Some(130) || status.signal() == Some(2), "{status}");
    drop(input);
}
