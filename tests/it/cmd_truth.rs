//! A command that ends well has done what it was asked for, all of it; what it cannot do it says.

use std::io::Write;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::serve::MqServe;
use crate::support::cli::{Running, answer, mq, on_both, prepare, program};

on_both!(
    a_name_is_what_the_broker_made_of_it,
    an_empty_name_of_a_queue_is_refused,
    what_does_not_delay_is_refused,
    a_bad_line_tells_what_was_published_before_it,
);

fn run(broker: &Broker, arguments: &[&str], stdin: &str) -> Output {
    let mut command = assert_cmd::Command::from_std(mq(broker));
    command.args(arguments).write_stdin(stdin).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The command ends with this code and says this on stderr.
fn says(broker: &Broker, arguments: &[&str], code: i32, words: &str) {
    let run = run(broker, arguments, "");
    let stderr = text(&run.stderr);
    assert_eq!(run.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stderr.contains(words), "{arguments:?}: {stderr}");
}

fn queues(broker: &Broker) -> String {
    answer(broker, &["list-queues", "name", "--no-headers"], "")
}

/// A variable that is not set must not make a queue that nobody looks at.
fn an_empty_name_of_a_queue_is_refused(broker: &Broker) {
    let commands: [&[&str]; 9] = [
        &["publish", "--queue", "", "hi"],
        &["consume", "--queue", ""],
        &["get", "--queue", ""],
        &["rpc-call", "--queue", "", "7"],
        &["rpc-serve", "--queue", "", "--builtin", "fib"],
        &["bind", "--exchange", "amq.fanout", "--queue", ""],
        &["declare-queue", ""],
        &["purge-queue", "", "--yes"],
        &["delete-queue", "", "--yes"],
    ];
    for command in commands {
        says(broker, command, 64, "it is empty, and a queue has a name");
    }
    assert_eq!(queues(broker), "");
}

/// RabbitMQ leaves line ends out when a queue is declared, and takes them for part of a routing key.
fn a_name_is_what_the_broker_made_of_it(broker: &Broker) {
    says(broker, &["publish", "--queue", "a\r\nb", "hi"], 0, "published 1 message to queue 'ab'");
    assert_eq!(answer(broker, &["consume", "--queue", "a\nb", "-n", "1"], ""), "hi\n");
    answer(broker, &["publish", "--queue", "a\nb", "again"], "");
    assert_eq!(answer(broker, &["get", "--queue", "a\nb"], ""), "again\n");
    let serve = ["rpc-serve", "--queue", "c\nd", "--builtin", "fib", "-n", "1"];
    let mut serve = Running::start(broker, &serve, "answering the requests in queue 'cd'");
    let call = ["rpc-call", "--queue", "c\nd", "--declare", "durable", "7"];
    assert_eq!(answer(broker, &call, ""), "13\n");
    assert!(serve.end().0.success());
    says(broker, &["delete-queue", "c\nd", "--yes"], 0, "deleted queue 'cd'");
    assert_eq!(queues(broker), "ab\n");
    says(broker, &["declare-exchange", "x\ny"], 64, "it has a line break");
}

fn what_does_not_delay_is_refused(broker: &Broker) {
    prepare(
        broker,
        &[&["declare-queue", "q"], &["bind", "--exchange", "amq.fanout", "--queue", "q"]],
    );
    let to_exchange = ["publish", "--exchange", "amq.fanout", "--delay", "1m", "x"];
    says(broker, &to_exchange, 65, "exchange 'amq.fanout' is not of type x-delayed-message");
    says(broker, &["publish", "--routing-key", "q", "--delay", "1m", "x"], 65, "exchange ''");
    says(broker, &["publish", "--queue", "q", "--delay", "1m", "x"], 64, "does not delay messages");
    says(
        broker,
        &["publish", "--exchange", "none", "--delay", "1m", "x"],
        65,
        "no exchange 'none'",
    );
    let line = r#"{"exchange": "amq.fanout", "payload": "x"}"#;
    let jsonl = run(broker, &["publish", "--jsonl", "--delay", "1m"], line);
    assert_eq!(jsonl.status.code(), Some(65), "{}", text(&jsonl.stderr));
    assert_eq!(run(broker, &["get", "--queue", "q"], "").status.code(), Some(1), "nothing came");
}

/// Exchanges that delay take the option, whatever else they are.
#[test]
fn what_delays_is_published_to() {
    let broker = Broker::mq();
    for options in [&["--transient"][..], &["--auto-delete"], &[]] {
        let declare = ["declare-exchange", "later", "--delayed-type", "fanout"];
        prepare(&broker, &[&[&declare[..], options].concat()]);
        says(&broker, &["publish", "--exchange", "later", "--delay", "1ms", "x"], 0, "published 1");
        prepare(&broker, &[&["delete-exchange", "later", "--yes"]]);
    }
}

fn a_bad_line_tells_what_was_published_before_it(broker: &Broker) {
    let lines = "{\"payload\": \"one\"}\n\n{\"payload\": 2}\n{\"payload\": \"three\"}\n";
    let bad = run(broker, &["publish", "--queue", "q", "--jsonl"], lines);
    assert_eq!(bad.status.code(), Some(64));
    assert_eq!(
        text(&bad.stderr),
        "error: line 3 is not a message: a line is not a message: 'payload' is not text\n\
         so far: 1 of 1 message confirmed\n\
         hint: write each line as `mq consume -o jsonl` prints it\n"
    );
    let lines = "{\"payload\": \"two\"}\n{}\n";
    let bad = run(broker, &["publish", "--queue", "r", "--jsonl", "-o", "json"], lines);
    assert!(
        text(&bad.stderr).ends_with("\"exit_code\":64,\"so_far\":\"1 of 1 message confirmed\"}\n"),
        "{}",
        text(&bad.stderr)
    );
    assert_eq!(answer(broker, &["get", "--queue", "q"], ""), "one\n");
    let missing = ["publish", "--queue", "q", "--file", "/dev/null", "--file", "/not/there"];
    says(broker, &missing, 64, "so far: 1 of 1 message confirmed");
}

/// A broker that is stopped confirms what it has before it says goodbye.
#[test]
fn a_broker_that_is_lost_half_way_leaves_a_count() {
    let mut serve = program();
    serve.args(["serve", "--memory", "--listen", "127.0.0.1:0", "--print-url"]);
    let mut serve = Running::spawn(&mut serve, "listening on");
    let url = serve.line().trim_end().to_owned();
    let words = ["publish", "--queue", "q", "--lines", "--url", &url];
    let mut publish = program();
    let publish = publish.args(words).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut publish = publish.spawn().unwrap();
    let mut lines = publish.stdin.take().unwrap();
    lines.write_all(b"one\ntwo\nthree\n").unwrap();
    let consume = ["consume", "--queue", "q", "-n", "3", "--url", &url];
    assert!(program().args(consume).output().unwrap().status.success());
    serve.signal(Signal::TERM);
    assert!(serve.end().0.success());
    // The next line finds that the broker is gone.
    lines.write_all(b"four\n").unwrap();
    drop(lines);
    let run = publish.wait_with_output().unwrap();
    let stderr = text(&run.stderr);
    assert_eq!(run.status.code(), Some(69), "{stderr}");
    assert!(stderr.starts_with("error: lost the broker at amqp://"), "{stderr}");
    let so_far = stderr.lines().find_map(|line| line.strip_prefix("so far: ")).unwrap();
    assert!(
        so_far == "3 of 3 messages confirmed" || so_far == "3 of 4 messages confirmed",
        "{so_far}"
    );
}

/// What would have no effect is refused before anything happens.
#[test]
fn an_option_that_cannot_be_carried_out_is_refused() {
    let broker = Broker::mq();
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 22] = [
        (&["serve", "--memory", "--url", "amqp://h"],                 "leave out --url"),
        (&["serve", "--memory", "--local"],                           "leave out --local"),
        (&["serve", "--memory", "--vhost", "v"],                      "leave out --vhost"),
        (&["serve", "--memory", "--tls-cert", "c", "--tls-key", "k"], "--tls-listen"),
        (&["store", "check", "/tmp", "--timeout", "1s"],              "leave out --timeout"),
        (&["completions", "bash", "--http-url", "http://h"],          "leave out --http-url"),
        (&["man", "--vhost", "v"],                                    "leave out --vhost"),
        (&["help", "--vhost", "v"],                                   "leave out --vhost"),
        (&["status", "-o", "raw"],                                    "no format 'raw'"),
        (&["consume", "--queue", "q", "--ack", "auto", "--exec", "true"],  "leave out --ack auto"),
        (&["consume", "--queue", "q", "--ack", "auto", "--prefetch", "5"], "--prefetch has no effect"),
        (&["consume", "--queue", "q", "--exec", "true", "-o", "json"],     "leave out --format"),
        (&["consume", "--queue", "q", "--save-dir", "/tmp/x", "-o", "json"], "leave out --format"),
        (&["consume", "--queue", "q", "--queue-type", "quorum", "--declare", "no"], "--declare no forbids"),
        (&["consume", "--exchange", "x", "--declare", "durable"],     "nothing to declare"),
        (&["publish", "-k", "q", "--declare", "durable", "x"],        "nothing to declare"),
        (&["publish", "--queue", "q", "--queue-type", "quorum", "--declare", "no", "x"], "--declare no forbids"),
        (&["publish", "-e", "x", "--type", "fanout", "--declare", "no", "x"], "--declare no forbids"),
        (&["publish", "--queue", "q", "--declare", "perhaps", "x"],   "possible values: durable, transient, no"),
        (&["rpc-call", "--queue", "q", "--reply-to", "r", "7"],       "leave out --reply-to"),
        (&["rpc-call", "--exchange", "x", "--declare", "durable", "7"], "nothing to declare"),
        (&["list-queues", "-o", "raw"],                               "no format 'raw'"),
    ];
    for (arguments, words) in cases {
        says(&broker, arguments, 64, words);
    }
    assert_eq!(queues(&broker), "");
    let alone = program().args(["tutorial", "--vhost", "v"]).output().unwrap();
    assert_eq!(alone.status.code(), Some(64), "{}", text(&alone.stderr));
}

#[test]
fn formats_of_status_and_wait_are_carried_out() {
    let broker = Broker::mq();
    let tsv = answer(&broker, &["status", "-o", "tsv", "--vhost", "/"], "");
    assert!(tsv.starts_with("product\tversion\t") && tsv.lines().count() == 2, "{tsv}");
    let json = answer(&broker, &["wait", "-o", "json"], "");
    assert_eq!(json, format!("{{\"broker\":\"{}\"}}\n", broker.url().replace(":guest@", ":***@")));
    let table = answer(&broker, &["list-vhosts", "name", "-o", "table", "--no-headers"], "");
    assert!(!table.contains("name"), "{table}");
}

#[test]
fn status_shows_the_alarms_that_are_in_effect() {
    let broker = MqServe::start_with(&["--memory-high-watermark", "1MiB"]);
    let status = |options: &[&str]| {
        let mut status = program();
        status.args(["status", "--url", broker.url(), "--http-url", broker.management_url()]);
        text(&status.args(options).output().unwrap().stdout).to_owned()
    };
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let shown = status(&[]);
        let alarms = shown.lines().last().unwrap_or_default();
        if alarms.starts_with("alarms: node '") && alarms.ends_with("is short of memory") {
            break;
        }
        assert!(Instant::now() < until, "{shown}");
    }
    assert!(status(&["-o", "tsv"]).contains("\talarms\n"));
}

/// A virtual host that is named chooses connections, too.
#[test]
fn connections_of_one_virtual_host_are_listed() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("definitions.json");
    let definitions = r#"{
        "vhosts": [{"name": "/"}, {"name": "v"}],
        "users": [{"name": "u", "password": "p", "tags": ["administrator"]}],
        "permissions": [
            {"user": "u", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
            {"user": "u", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"}
        ]
    }"#;
    std::fs::write(&file, definitions).unwrap();
    let broker = MqServe::start_with(&["--definitions", file.to_str().unwrap()]);
    let url = format!("amqp://u:p@{}", broker.url().trim_start_matches("amqp://"));
    let mut consume = program();
    consume.args(["consume", "--queue", "q", "--url", &url, "--vhost", "v"]);
    let _consumer = Running::spawn(&mut consume, "waiting for messages");
    for list in ["list-connections", "list-channels"] {
        for (vhost, is_used) in [("/", false), ("v", true)] {
            let listed = ["--no-headers", "--url", &url, "--vhost", vhost];
            let run = program().arg(list).args(listed).output().unwrap();
            let stdout = text(&run.stdout);
            assert_eq!(
                !stdout.is_empty(),
                is_used,
                "{list} {vhost}: {stdout}{}",
                text(&run.stderr)
            );
        }
        let run = program().args([list, "--no-headers", "--url", &url]).output().unwrap();
        assert!(!run.stdout.is_empty(), "{list}");
    }
}
