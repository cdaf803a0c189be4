//! `mq declare-*`, `bind`, `unbind`, `delete-*`, `purge-queue`: what is there afterwards, and what is said.

use crate::broker::{Broker, on_strict_rabbitmq_4_3};
use crate::serve::MqServe;
use crate::support::cli::{Case, answer, on_both, prepare, program};

on_both!(
    each_says_what_it_did,
    a_queue_without_a_name_gets_one_and_prints_it,
    bindings_lead_messages,
    what_cannot_be_undone_asks_first,
    conditions_are_the_brokers,
    another_declaration_is_refused,
    options_become_the_arguments_of_rabbitmq,
    what_does_not_go_together_is_told_before_anything_is_sent,
    a_type_that_nobody_knows_is_refused_with_a_hint,
);

fn each_says_what_it_did(broker: &Broker) {
    #[rustfmt::skip]
    let cases: [(&[&str], &str, &str); 12] = [
        (&["declare-queue", "q", "--argument", "x-expires:int=3600000"], "", "queue 'q' is there, with 0 messages and 0 consumers\n"),
        (&["declare_queue", "q", "--expires", "1h", "-o", "json"], "{\"queue\":\"q\",\"messages\":0,\"consumers\":0}\n", ""),
        (&["declare-exchange", "x", "--type", "topic"], "", "exchange 'x' of type topic is there\n"),
        (&["declare-exchange", "y", "--type", "fanout", "-o", "tsv"], "exchange\ttype\ny\tfanout\n", ""),
        (&["bind", "-e", "x", "--queue", "q", "-k", "a.*", "-k", "b.#"], "", "bound queue 'q' to exchange 'x' by 'a.*', 'b.#'\n"),
        (&["bind", "-e", "x", "--to-exchange", "y"], "", "bound exchange 'y' to exchange 'x'\n"),
        (&["unbind", "-e", "x", "--queue", "q", "-k", "a.*", "-o", "jsonl"], "{\"source\":\"x\",\"destination\":\"q\",\"destination_type\":\"queue\",\"routing_keys\":[\"a.*\"]}\n", ""),
        (&["unbind", "-e", "x", "--to-exchange", "y"], "", "unbound exchange 'y' from exchange 'x'\n"),
        (&["publish", "--queue", "q", "1", "2"], "", "published 2 messages to queue 'q'\n"),
        (&["purge-queue", "q", "--yes"], "", "dropped 2 messages of queue 'q'\n"),
        (&["delete-queue", "q", "--yes", "-o", "csv"], "queue,messages\nq,0\n", ""),
        (&["delete-exchange", "x", "--yes"], "", "deleted exchange 'x'\n"),
    ];
    for (arguments, stdout, stderr) in cases {
        Case { arguments, stdout, stderr, ..Case::default() }.on(broker);
    }
}

fn a_queue_without_a_name_gets_one_and_prints_it(broker: &Broker) {
    let name = answer(broker, &["declare-queue", "-q"], "");
    assert!(name.starts_with("amq.gen-"), "{name}");
    let listed = answer(broker, &["list-queues", "name", "--no-headers"], "");
    assert_eq!(listed, name);
}

fn bindings_lead_messages(broker: &Broker) {
    prepare(
        broker,
        &[
            &["declare-exchange", "x", "--type", "headers"],
            &["declare-queue", "q"],
            &["bind", "-e", "x", "--queue", "q", "-H", "n:int=1", "-H", "s=t", "--match", "any"],
            &["publish", "-e", "x", "-H", "n:int=1", "yes"],
            &["publish", "-e", "x", "-H", "n:int=2", "no", "-q"],
            &["unbind", "-e", "x", "--queue", "q", "-H", "n:int=1", "-H", "s=t", "--match", "any"],
            &["publish", "-e", "x", "-H", "s=t", "no", "-q"],
        ],
    );
    let consumed =
        answer(broker, &["consume", "--queue", "q", "--idle-timeout", "200ms", "-q"], "");
    assert_eq!(consumed, "yes\n");
}

fn what_cannot_be_undone_asks_first(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "q"]]);
    for command in ["purge-queue", "delete-queue", "delete-exchange"] {
        Case {
            arguments: &[command, "q"],
            code: 64,
            stderr: "error: this cannot be undone, and there is no terminal to ask on\n\
                     hint: add --yes to do it without confirmation\n",
            ..Case::default()
        }
        .on(broker);
    }
}

fn conditions_are_the_brokers(broker: &Broker) {
    prepare(broker, &[&["publish", "--queue", "q", "a"]]);
    Case {
        arguments: &["delete-queue", "q", "--if-empty", "--yes"],
        code: 65,
        stderr: "error: the broker refused to delete queue 'q': 406 PRECONDITION_FAILED - queue 'q' in \
                 vhost '{vhost}' not empty\n",
        ..Case::default()
    }
    .on(broker);
    Case {
        arguments: &["purge-queue", "nowhere", "--yes"],
        code: 65,
        stderr: "error: the broker refused to purge queue 'nowhere': 404 NOT_FOUND - no queue 'nowhere' \
                 in vhost '{vhost}'\n\
                 hint: see what exists with `mq list-queues` and `mq list-exchanges`\n",
        ..Case::default()
    }
    .on(broker);
}

fn another_declaration_is_refused(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "q"]]);
    Case {
        arguments: &["declare-queue", "q", "--transient"],
        code: 65,
        stderr: "error: the broker refused to declare queue 'q': 406 PRECONDITION_FAILED - inequivalent arg \
                 'durable' for queue 'q' in vhost '{vhost}': received 'false' but current is 'true'\n\
                 hint: it exists with other settings: declare it with the same ones, or delete it first\n",
        ..Case::default()
    }
    .on(broker);
}

/// What was declared, as the broker lists it.
fn options_become_the_arguments_of_rabbitmq(broker: &Broker) {
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 3] = [
        (&["--ttl", "1m", "--expires", "1h"], "{\"x-expires\":3600000,\"x-message-ttl\":60000}"),
        (&["--queue-type", "classic", "--ttl", "0s"], "{\"x-message-ttl\":0,\"x-queue-type\":\"classic\"}"),
        (&["--argument", "x-mine:json=[1,true]"], "{\"x-mine\":[1,true]}"),
    ];
    for (number, (options, arguments)) in cases.into_iter().enumerate() {
        let name = format!("q{number}");
        prepare(broker, &[&[&["declare-queue", &name], options].concat()]);
        let filter = format!("name=={name}");
        let list = ["list-queues", "arguments", "--no-headers", "--filter", &filter, "-o", "jsonl"];
        let mut listed: serde_json::Value =
            serde_json::from_str(&answer(broker, &list, "")).unwrap();
        let expected: serde_json::Value = serde_json::from_str(arguments).unwrap();
        if expected.get("x-queue-type").is_none() {
            // RabbitMQ 4.3 lists the type of its own accord.
            listed["arguments"].as_object_mut().unwrap().remove("x-queue-type");
        }
        assert_eq!(listed["arguments"], expected, "{options:?}");
    }
}

fn what_does_not_go_together_is_told_before_anything_is_sent(broker: &Broker) {
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 9] = [
        (&["declare-queue", "q", "--queue-type", "stream", "--ttl", "1s"],
         "error: a stream has no --ttl\nhint: leave it out, or declare the queue with the type classic or quorum\n"),
        (&["declare-queue", "q", "--queue-type", "quorum", "--max-priority", "5"],
         "error: a quorum queue has no --max-priority\nhint: leave it out, or declare the queue with the type classic\n"),
        (&["declare-queue", "q", "--queue-type", "quorum", "--transient"],
         "error: a quorum queue cannot be --transient\nhint: leave out --transient, or declare a classic queue\n"),
        (&["declare-queue", "--queue-type", "stream"],
         "error: a stream cannot get its name from the broker\nhint: name it, or declare a classic queue\n"),
        (&["declare-queue", "q", "--queue-type", "quorum", "--dead-letter-strategy", "at-least-once"],
         "error: --dead-letter-strategy at-least-once needs a queue that refuses messages if it is full\n\
          hint: add --overflow reject-publish\n"),
        (&["declare-exchange", "x", "--type", "topic", "--hash-header", "h"],
         "error: an exchange of type topic has no --hash-header\nhint: leave it out, or say --type x-consistent-hash\n"),
        (&["consume", "--queue", "q", "--ack", "auto", "--offset", "first"],
         "error: a stream's messages must be acknowledged\nhint: leave out --ack auto\n"),
        (&["publish", "--exchange", "x", "--delay", "50d", "x"],
         "error: a message can be delayed by at most 49 days\nhint: publish it later, or give --delay a shorter time\n"),
        (&["publish", "x"],
         "error: there is no queue or exchange to publish to\nhint: name a queue with --queue, or an exchange with --exchange\n"),
    ];
    for (arguments, stderr) in cases {
        Case { arguments, code: 64, stderr, ..Case::default() }.on(broker);
    }
    assert_eq!(answer(broker, &["list-queues", "name", "--no-headers"], ""), "");
}

fn a_type_that_nobody_knows_is_refused_with_a_hint(broker: &Broker) {
    let mut command = crate::support::cli::mq(broker);
    let run = command.args(["declare-exchange", "x", "--type", "topci"]).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(65), "{said}");
    assert!(said.contains("unknown exchange type 'topci'"), "{said}");
    assert!(said.contains("hint: see the types with `mq declare-exchange --help`"), "{said}");
}

/// RabbitMQ's text is cut at 255 bytes, in the middle of a word.
#[test]
fn what_a_release_no_longer_has_is_refused_in_whole_sentences_with_a_hint() {
    let begin = "error: the broker refused to declare queue 'q': 541 INTERNAL_ERROR - Feature \
                 `transient_nonexcl_queues` is deprecated. ";
    let hint = "\nhint: RabbitMQ 4.3 refuses transient queues that several connections use: declare it durable, \
                without --transient\n";
    let refusal = |url: &str| {
        let run = program().args(["declare-queue", "q", "--transient", "--url", url]).output();
        let run = run.unwrap();
        assert_eq!((run.status.code(), run.stdout.as_slice()), (Some(65), b"".as_slice()));
        String::from_utf8(run.stderr).unwrap()
    };
    let ours = MqServe::start_with(&["--compat", "4.3"]);
    let said = "By default, this feature is not permitted anymore. The feature will be removed from a future major \
                RabbitMQ version, regardless of the configuration; actual version to be determined.";
    assert_eq!(refusal(ours.url()), format!("{begin}{said}{hint}"));
    let Some(rabbitmq) = on_strict_rabbitmq_4_3() else { return };
    let stderr = refusal(&rabbitmq.url());
    // Debian's goes on with what its configuration says, which is cut.
    assert!(stderr.starts_with(begin.trim_end()) && stderr.ends_with(hint), "{stderr}");
    assert!(!stderr.contains("be permit"), "{stderr}");
}
