//! `mq expect`: expectations that are met and that are not, in every form of the report.

use crate::broker::Broker;
use crate::support::cli::{Case, answer, mq, on_both, prepare};

on_both!(
    what_is_met_is_reported,
    what_is_not_met_is_reported_with_the_reason,
    messages_are_found_by_body_and_properties_and_stay,
    what_comes_in_time_is_met,
    reports_have_the_forms_that_tools_read,
);

fn prepared(broker: &Broker) {
    prepare(
        broker,
        &[
            &["declare-queue", "jobs"],
            &["bind", "--exchange", "amq.topic", "--queue", "jobs", "--key", "a.#"],
            &["publish", "--queue", "jobs", "one"],
            &["publish", "--queue", "jobs", "-C", "text/plain", "-H", "n:int=7", "two & <three>"],
        ],
    );
}

fn what_is_met_is_reported(broker: &Broker) {
    prepared(broker);
    Case {
        arguments: &[
            "expect",
            "--queue",
            "jobs",
            "-e",
            "amq.topic",
            "-k",
            "a.#",
            "--messages",
            ">=2",
            "--consumers",
            "0",
            "--body",
            "one",
        ],
        stdout: "ok: exchange 'amq.topic' exists\n\
                 ok: queue 'jobs' exists\n\
                 ok: exchange 'amq.topic' is bound to queue 'jobs' with routing key 'a.#'\n\
                 ok: queue 'jobs' has >=2 ready messages\n\
                 ok: queue 'jobs' has 0 consumers\n\
                 ok: queue 'jobs' has a message with body 'one'\n",
        ..Case::default()
    }
    .on(broker);
}

fn what_is_not_met_is_reported_with_the_reason(broker: &Broker) {
    prepared(broker);
    Case {
        arguments: &[
            "expect", "--queue", "jobs", "-e", "amq.topic", "-k", "b", "--messages", "1",
            "--consumers", ">0", "--body", "four",
        ],
        code: 1,
        stdout: "ok: exchange 'amq.topic' exists\n\
                 ok: queue 'jobs' exists\n\
                 not ok: exchange 'amq.topic' is bound to queue 'jobs' with routing key 'b': the routing keys are 'a.#'\n\
                 not ok: queue 'jobs' has 1 ready message: it has 2\n\
                 not ok: queue 'jobs' has >0 consumers: it has 0\n\
                 not ok: queue 'jobs' has a message with body 'four': it is none of 2 ready messages\n",
        ..Case::default()
    }
    .on(broker);
    Case {
        arguments: &["expect", "--queue", "none", "-e", "no", "--messages", "0", "--body", "x"],
        code: 1,
        stdout: "not ok: exchange 'no' exists: it is not there\n\
                 not ok: queue 'none' exists: it is not there\n\
                 not ok: exchange 'no' is bound to queue 'none': there is no binding\n\
                 not ok: queue 'none' has 0 ready messages: the queue is not there\n\
                 not ok: queue 'none' has a message with body 'x': the queue is not there\n",
        ..Case::default()
    }
    .on(broker);
}

fn messages_are_found_by_body_and_properties_and_stay(broker: &Broker) {
    prepared(broker);
    let met = |arguments: &[&str]| {
        let run = mq(broker).args(["expect", "--queue", "jobs"]).args(arguments).output().unwrap();
        run.status.code() == Some(0)
    };
    assert!(met(&["--body-contains", "<three>", "-C", "text/plain", "-H", "n:int=7"]));
    assert!(!met(&["--body", "one", "-C", "text/plain"]), "they are of two messages");
    assert!(!met(&["-H", "n:int=8"]));
    assert!(!met(&["-H", "m:int=7"]));
    assert!(!met(&["--body", "one", "--transient"]), "it is persistent");
    assert!(!met(&["--body-contains", "two", "--look-at", "1"]), "it is the second");
    assert_eq!(answer(broker, &["get", "--queue", "jobs"], ""), "one\n");
    assert_eq!(answer(broker, &["get", "--queue", "jobs"], ""), "two & <three>\n");
}

fn what_comes_in_time_is_met(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "later"]]);
    let expect = ["expect", "--queue", "later", "--messages", "1", "--within", "40s"];
    let mut running = mq(broker).args(expect).spawn().unwrap();
    prepare(broker, &[&["publish", "--queue", "later", "x"]]);
    assert!(running.wait().unwrap().success());
}

fn reports_have_the_forms_that_tools_read(broker: &Broker) {
    prepared(broker);
    let report = |form: &[&str]| {
        let expect = ["expect", "--queue", "jobs", "--messages", "2", "--body", "<#>"];
        let run = mq(broker).args(expect).args(form).output().unwrap();
        assert_eq!(run.status.code(), Some(1));
        String::from_utf8(run.stdout).unwrap()
    };
    assert_eq!(
        report(&["--report", "tap"]),
        "TAP version 13\n1..3\nok 1 - queue 'jobs' exists\nok 2 - queue 'jobs' has 2 ready messages\n\
         not ok 3 - queue 'jobs' has a message with body '<\\#>': it is none of 2 ready messages\n"
    );
    let junit = report(&["--report", "junit"]);
    assert!(junit.contains("<testsuite name=\"mq expect\" tests=\"3\" failures=\"1\""), "{junit}");
    let name = "name=\"queue 'jobs' has a message with body '&lt;#&gt;'\"";
    assert!(junit.contains(name) && junit.contains("<failure message=\"it is none of"), "{junit}");
    let python = "import sys, xml.etree.ElementTree as e; print(len(e.fromstring(sys.stdin.read()).findall('.//testcase')))";
    let mut parse = assert_cmd::Command::new("python3");
    parse.args(["-c", python]).write_stdin(junit).assert().success().stdout("3\n");
    let json: Vec<serde_json::Value> =
        report(&["-o", "json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&json[0]["ok"], &json[2]["ok"]), (&true.into(), &false.into()));
    assert_eq!(json[2]["failure"], "it is none of 2 ready messages");
}

#[test]
fn what_cannot_be_expected_is_a_usage_error() {
    for (arguments, words) in [
        (&["expect"][..], "--queue <QUEUE>"),
        (&["expect", "--exchange", "x", "-H", "a=b"], "a message is expected in a queue"),
        (&["expect", "--queue", "q", "--messages", "=>1"], "it is no count such as 3"),
        (&["expect", "--queue", "q", "-k", "key"], "--exchange <EXCHANGE>"),
    ] {
        let run = crate::support::cli::program().args(arguments).output().unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(64), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}
