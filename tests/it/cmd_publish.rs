//! `mq publish`: what is sent, what is told, and the exit code.

use crate::broker::Broker;
use crate::support::cli::{Case, answer, on_both};

on_both!(
    bodies_come_from_arguments_lines_and_stdin,
    what_reaches_no_queue_is_told,
    json_lines_are_copied_exactly,
    mistakes_are_named_before_anything_is_sent,
    a_missing_exchange_is_refused,
);

fn bodies_come_from_arguments_lines_and_stdin(broker: &Broker) {
    #[rustfmt::skip]
    let cases: [(&[&str], &str, &str); 4] = [
        (&["a", "b"],              "",        "published 2 messages to queue 'q'\n"),
        (&["--lines"],             "c\nd\n",  "published 2 messages to queue 'q'\n"),
        (&[],                      "e\nf\n",  "published 1 message to queue 'q'\n"),
        (&["--count", "2", "g"],   "",        "published 2 messages to queue 'q'\n"),
    ];
    for (source, stdin, stderr) in cases {
        let arguments = [&["publish", "--queue", "q"], source].concat();
        Case { arguments: &arguments, stdin, stderr, ..Case::default() }.on(broker);
    }
    let bodies = answer(broker, &["consume", "--queue", "q", "-n", "7", "-q"], "");
    assert_eq!(bodies, "a\nb\nc\nd\ne\nf\n\ng\ng\n");
}

fn what_reaches_no_queue_is_told(broker: &Broker) {
    let note = "note: 1 of 1 message reached no queue (312 NO_ROUTE)\n";
    let cases: [(&[&str], i32, String, &str); 3] = [
        (&[], 0, format!("published 1 message with key 'nowhere'\n{note}"), ""),
        (&["--mandatory"], 1, format!("published 1 message with key 'nowhere'\n{note}"), ""),
        (&["-o", "json"], 0, note.to_owned(), "{\"messages\":1,\"unroutable\":1}\n"),
    ];
    for (options, code, stderr, stdout) in cases {
        let arguments = [&["publish", "-k", "nowhere", "x"], options].concat();
        Case { arguments: &arguments, code, stdout, stderr: &stderr, ..Case::default() }.on(broker);
    }
}

fn json_lines_are_copied_exactly(broker: &Broker) {
    let publish = [
        "publish",
        "--queue",
        "from",
        "-H",
        "n:int=5",
        "-H",
        "s=x",
        "-H",
        "b:bytes=AAE=",
        "--content-type",
        "text/plain",
        "--priority",
        "3",
        "--expiration",
        "1h",
        "--message-id",
        "m",
    ];
    answer(broker, &publish, b"binary \xff\0 body".to_vec());
    let jsonl = ["consume", "-q", "-n", "1", "-o", "jsonl", "--queue"];
    let first = answer(broker, &[&jsonl[..], &["from"]].concat(), "");
    assert!(first.contains("\"payload_encoding\":\"base64\""), "{first}");
    answer(broker, &["publish", "--jsonl", "--queue", "to"], first.as_str());
    let second = answer(broker, &[&jsonl[..], &["to"]].concat(), "");
    assert_eq!(second, first.replace("\"routing_key\":\"from\"", "\"routing_key\":\"to\""));
}

fn mistakes_are_named_before_anything_is_sent(broker: &Broker) {
    Case {
        arguments: &["publish", "x"],
        code: 64,
        stderr: "error: there is no queue or exchange to publish to\n\
                 hint: name a queue with --queue, or an exchange with --exchange\n",
        ..Case::default()
    }
    .on(broker);
    Case {
        arguments: &["publish", "--queue", "q", "--file", "/nowhere/at/all"],
        code: 64,
        stderr: "error: cannot read '/nowhere/at/all'\n\
                 cause: No such file or directory (os error 2)\n",
        ..Case::default()
    }
    .on(broker);
}

fn a_missing_exchange_is_refused(broker: &Broker) {
    Case {
        arguments: &["publish", "--exchange", "nowhere", "x"],
        code: 65,
        stderr: "error: the broker refused to publish: 404 NOT_FOUND - no exchange 'nowhere' in vhost \
                 '{vhost}'\nso far: 0 of 1 message confirmed\nhint: see what exists with `mq list-exchanges`\n",
        ..Case::default()
    }
    .on(broker);
}
