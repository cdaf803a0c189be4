//! `mq list-*` and `mq status`: columns, formats, order and filters.

use crate::broker::Broker;
use crate::support::cli::{Case, Running, answer, on_both, prepare};

on_both!(
    queues_are_listed_in_every_format,
    rows_are_sorted_and_filtered,
    exchanges_and_bindings_are_listed,
    a_column_that_is_not_there_is_named,
    clients_are_listed_row_by_row,
    status_names_the_product,
);

fn queues_are_listed_in_every_format(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "a"], &["declare-queue", "b", "--auto-delete"]]);
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 5] = [
        (&["list-queues", "name", "durable", "auto_delete"],              "name\tdurable\tauto_delete\na\ttrue\tfalse\nb\ttrue\ttrue\n"),
        (&["list_queues", "--columns", "name,type", "-o", "csv"],         "name,type\na,classic\nb,classic\n"),
        (&["list-queues", "name", "-o", "jsonl"],                         "{\"name\":\"a\"}\n{\"name\":\"b\"}\n"),
        (&["list-queues", "name", "-o", "json"],                          "[\n{\"name\":\"a\"},\n{\"name\":\"b\"}\n]\n"),
        (&["list-queues", "name", "--no-headers"],                        "a\nb\n"),
    ];
    for (arguments, stdout) in cases {
        Case { arguments, stdout, ..Case::default() }.on(broker);
    }
    let table = answer(broker, &["list-queues", "name", "-o", "table"], "");
    let rows: Vec<&str> = table.lines().filter(|line| !line.contains(['─', '═'])).collect();
    assert_eq!(rows.iter().map(|row| row.trim()).collect::<Vec<_>>(), ["name", "a", "b"]);
}

fn rows_are_sorted_and_filtered(broker: &Broker) {
    prepare(broker, &[&["declare-queue", "ab"], &["declare-queue", "b"], &["declare-queue", "c"]]);
    let list = ["list-queues", "name", "--no-headers"];
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 4] = [
        (&["--sort", "-name"],                         "c\nb\nab\n"),
        (&["--filter", "name=b"],                      "ab\nb\n"),
        (&["--filter", "name==b"],                     "b\n"),
        (&["--filter", "name!=b", "--sort", "name"],   "c\n"),
    ];
    for (options, stdout) in cases {
        let arguments = [&list[..], options].concat();
        Case { arguments: &arguments, stdout, ..Case::default() }.on(broker);
    }
}

fn exchanges_and_bindings_are_listed(broker: &Broker) {
    prepare(
        broker,
        &[
            &["declare-exchange", "x", "--type", "topic"],
            &["declare-queue", "q"],
            &["bind", "-e", "x", "--queue", "q", "-k", "a.*"],
        ],
    );
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 3] = [
        (&["list-exchanges", "--filter", "name==x"], "name\ttype\nx\ttopic\n"),
        (&["list-bindings", "--filter", "source==x"], "source\tdestination\tdestination_type\trouting_key\targuments\nx\tq\tqueue\ta.*\t\n"),
        (&["list-exchanges", "name", "--no-headers", "--filter", "name=amq.m"], "amq.match\n"),
    ];
    for (arguments, stdout) in cases {
        Case { arguments, stdout, ..Case::default() }.on(broker);
    }
    let vhosts = answer(broker, &["list-vhosts", "--no-headers"], "");
    assert!(vhosts.lines().any(|name| name == broker.vhost()), "{vhosts}");
}

fn a_column_that_is_not_there_is_named(broker: &Broker) {
    Case {
        arguments: &["list-queues", "nmae"],
        code: 64,
        stderr: "error: there is no column 'nmae'\n\
                 hint: did you mean 'name'? All columns: `--format json`\n",
        ..Case::default()
    }
    .on(broker);
}

fn clients_are_listed_row_by_row(broker: &Broker) {
    let consumer = Running::start(broker, &["consume", "--queue", "q"], "waiting for messages");
    for list in ["list-consumers", "list-connections", "list-channels"] {
        let rows = answer(broker, &[list, "-o", "jsonl"], "");
        assert!(rows.lines().all(|row| row.starts_with('{')), "{list}: {rows}");
    }
    drop(consumer);
}

/// Only ours: RabbitMQ's statistics reach its management API seconds after the fact.
#[test]
fn clients_are_listed_as_soon_as_they_are_there() {
    let broker = Broker::mq();
    let consumer = Running::start(&broker, &["consume", "--queue", "q"], "waiting for messages");
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 3] = [
        (&["list-consumers", "queue_name", "ack_required", "prefetch_count"], "queue_name\tack_required\tprefetch_count\nq\ttrue\t100\n"),
        (&["list-connections", "user", "vhost", "state"],                     "user\tvhost\tstate\nguest\t/\trunning\n"),
        (&["list-channels", "user", "consumer_count", "--filter", "consumer_count>0"], "user\tconsumer_count\nguest\t1\n"),
    ];
    for (arguments, stdout) in cases {
        Case { arguments, stdout, ..Case::default() }.on(&broker);
    }
    drop(consumer);
}

fn status_names_the_product(broker: &Broker) {
    let status = answer(broker, &["status"], "");
    assert!(status.starts_with("product: "), "{status}");
    assert!(status.ends_with("alarms: none\n"), "{status}");
    let json = answer(broker, &["status", "-o", "json"], "");
    assert!(json.contains("\"object_totals\":{"), "{json}");
}
