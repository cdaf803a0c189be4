//! `mq consume`: what is printed, what is acknowledged, and how it ends.

use std::process::Stdio;

use rustix::process::Signal;

use crate::broker::Broker;
use crate::support::cli::{Case, Running, answer, mq, on_both, prepare};

on_both!(
    messages_are_printed_in_the_format_asked_for,
    a_count_leaves_the_rest_untouched,
    too_few_messages_in_time_are_a_time_out,
    an_exchange_is_heard_through_a_queue_of_our_own,
    a_handler_decides_by_its_exit_code,
    a_handler_sees_the_message,
    interrupted_it_acknowledges_what_it_printed_and_nothing_else,
    a_reader_that_goes_away_is_a_success,
    a_reader_that_goes_away_ends_it_on_a_quiet_queue,
    without_acknowledgements_nothing_that_was_sent_is_dropped,
    a_missing_queue_is_named,
);

fn messages_are_printed_in_the_format_asked_for(broker: &Broker) {
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 5] = [
        (&[],                                            "one\ntwo\n"),
        (&["-o", "raw"],                                 "onetwo"),
        (&["-o", "csv"],                                 "exchange,routing_key,redelivered,body\n,q,false,one\n,q,false,two\n"),
        (&["--template", "{routing_key}\\t{body}!"],     "q\tone!\nq\ttwo!\n"),
        (&["-o", "jsonl"],                               "{\"exchange\":\"\",\"routing_key\":\"q\",\"redelivered\":false,\"properties\":{\"delivery_mode\":2},\"payload_bytes\":3,\"payload\":\"one\",\"payload_encoding\":\"string\"}\n{\"exchange\":\"\",\"routing_key\":\"q\",\"redelivered\":false,\"properties\":{\"delivery_mode\":2},\"payload_bytes\":3,\"payload\":\"two\",\"payload_encoding\":\"string\"}\n"),
    ];
    for (options, stdout) in cases {
        prepare(broker, &[&["publish", "--queue", "q", "one", "two"]]);
        let arguments = [&["consume", "--queue", "q", "-n", "2"], options].concat();
        let stderr = "waiting for messages in queue 'q'; press Ctrl-C to stop\n";
        Case { arguments: &arguments, stdout, stderr, ..Case::default() }.on(broker);
    }
}

fn a_count_leaves_the_rest_untouched(broker: &Broker) {
    prepare(broker, &[&["publish", "--queue", "q", "a", "b", "c", "d"]]);
    assert_eq!(answer(broker, &["consume", "--queue", "q", "-n", "2", "-q"], ""), "a\nb\n");
    let rest = ["consume", "--queue", "q", "-n", "2", "-q", "--template", "{body} {redelivered}"];
    assert_eq!(answer(broker, &rest, ""), "c false\nd false\n");
}

fn too_few_messages_in_time_are_a_time_out(broker: &Broker) {
    prepare(broker, &[&["publish", "--queue", "q", "a"]]);
    Case {
        arguments: &["consume", "--queue", "q", "-n", "2", "--timeout", "300ms", "-q"],
        code: 75,
        stdout: "a\n",
        stderr: "error: 1 message came from queue 'q' in time, not 2\nhint: wait longer with --timeout\n",
        ..Case::default()
    }
    .on(broker);
    let idle = ["consume", "--queue", "q", "--idle-timeout", "100ms", "-q"];
    assert_eq!(answer(broker, &idle, ""), "", "the first run acknowledged what it printed");
}

fn an_exchange_is_heard_through_a_queue_of_our_own(broker: &Broker) {
    let consume = [
        "consume",
        "--exchange",
        "logs",
        "--type",
        "topic",
        "--key",
        "*.error",
        "--key",
        "db.*",
        "-n",
        "2",
        "--template",
        "{routing_key}={body}",
    ];
    let mut consumer = Running::start(broker, &consume, "waiting for messages in exchange 'logs'");
    for (key, body) in [("web.info", "1"), ("web.error", "2"), ("db.error", "3")] {
        prepare(broker, &[&["publish", "-e", "logs", "--type", "topic", "-k", key, body]]);
    }
    let (status, stdout, _) = consumer.end();
    assert_eq!((status.code(), stdout.as_str()), (Some(0), "web.error=2\ndb.error=3\n"));
}

fn a_handler_decides_by_its_exit_code(broker: &Broker) {
    prepare(broker, &[&["publish", "--queue", "q", "good", "bad"]]);
    Case {
        arguments: &[
            "consume", "--queue", "q", "-n", "2", "--exec", "grep -q good", "--on-failure", "reject",
        ],
        code: 1,
        stderr: "waiting for messages in queue 'q'; press Ctrl-C to stop\n\
                 handler ended with exit status: 1: message 2 is rejected\n1 of 2 messages failed\n",
        ..Case::default()
    }
    .on(broker);
    prepare(broker, &[&["publish", "--queue", "q", "bad"]]);
    Case {
        arguments: &["consume", "--queue", "q", "-n", "1", "--exec", "exit 3", "-q"],
        code: 1,
        ..Case::default()
    }
    .on(broker);
    let again = ["get", "--queue", "q", "--template", "{body} {redelivered}"];
    assert_eq!(answer(broker, &again, ""), "bad true\n", "it went back to the queue");
}

fn a_handler_sees_the_message(broker: &Broker) {
    let publish = ["publish", "--queue", "q", "-H", "x-try=1", "-C", "text/plain", "the body"];
    prepare(broker, &[&publish]);
    let script = "echo \"$MQ_QUEUE $MQ_ROUTING_KEY $MQ_HEADER_X_TRY $MQ_CONTENT_TYPE $(cat)\"";
    let consume = ["consume", "--queue", "q", "-n", "1", "-q", "--exec", script];
    assert_eq!(answer(broker, &consume, ""), "q q 1 text/plain the body\n");
}

fn interrupted_it_acknowledges_what_it_printed_and_nothing_else(broker: &Broker) {
    prepare(broker, &[&["publish", "--queue", "q", "one"]]);
    let mut consumer = Running::start(broker, &["consume", "--queue", "q"], "waiting for messages");
    assert_eq!(consumer.line(), "one\n");
    consumer.signal(Signal::INT);
    let (status, stdout, stderr) = consumer.end();
    assert_eq!((status.code(), stdout.as_str(), stderr.as_str()), (Some(130), "", ""));
    Case {
        arguments: &["get", "--queue", "q"],
        code: 1,
        stderr: "queue 'q' has no message to get\n",
        ..Case::default()
    }
    .on(broker);
}

fn a_reader_that_goes_away_is_a_success(broker: &Broker) {
    let lines = "x\n".repeat(50_000);
    answer(broker, &["publish", "--queue", "q", "--lines"], lines);
    let mut consume = mq(broker);
    let mut consumer =
        consume.args(["consume", "--queue", "q", "-q"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(consumer.stdout.take());
    assert_eq!(consumer.wait().unwrap().code(), Some(0));
}

/// The queue has nothing more to say when the reader goes: `consume | head -1` in a script.
fn a_reader_that_goes_away_ends_it_on_a_quiet_queue(broker: &Broker) {
    let mut consumer =
        Running::spawn(mq(broker).args(["consume", "--queue", "quiet"]), "waiting for messages");
    prepare(broker, &[&["publish", "--queue", "quiet", "one"]]);
    assert_eq!(consumer.line(), "one\n");
    assert_eq!(consumer.end_unread().code(), Some(0));
}

/// Without acknowledgements what was sent is the queue's no more, so all of it is printed.
fn without_acknowledgements_nothing_that_was_sent_is_dropped(broker: &Broker) {
    const COUNT: usize = 100_000;
    let lines = "x\n".repeat(COUNT);
    answer(broker, &["publish", "--queue", "q", "--lines"], lines);
    let consume = ["consume", "--queue", "q", "--ack", "auto", "--timeout", "1s"];
    let printed = answer(broker, &consume, "").lines().count();
    let left = answer(broker, &["consume", "--queue", "q", "--idle-timeout", "1s"], "");
    assert_eq!(printed + left.lines().count(), COUNT, "{printed} were printed");
}

fn a_missing_queue_is_named(broker: &Broker) {
    Case {
        arguments: &["consume", "--queue", "nowhere", "--no-declare"],
        code: 65,
        stderr: "error: the broker refused to consume from queue 'nowhere': 404 NOT_FOUND - no queue \
                 'nowhere' in vhost '{vhost}'\n\
                 hint: see what exists with `mq list-queues` and `mq list-exchanges`\n",
        ..Case::default()
    }
    .on(broker);
}
