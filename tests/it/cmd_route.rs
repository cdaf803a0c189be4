//! `mq route`: what it says of a message's way, that the message goes this way, and that asking sends nothing.

use crate::broker::Broker;
use crate::support::cli::{Case, answer, on_both, prepare};

on_both!(
    each_binding_is_told_with_its_reason,
    headers_are_matched_by_all_four_rules,
    exchanges_lead_on_and_alternates_take_what_is_left,
    the_nearest_misses_are_shown,
    what_goes_nowhere_is_an_answer,
    a_message_goes_where_it_was_said_to_go,
);

const HEADER: &str =
    "exchange\ttype\tdestination_type\tdestination\trouting_key\targuments\tmatches\twhy\n";

/// Queues, and what is said of each.
type Told = &'static [(&'static str, &'static str)];

fn route(broker: &Broker, arguments: &[&str], code: i32, rows: &str, stderr: &str) {
    let arguments = [&["route"], arguments].concat();
    let stdout = format!("{HEADER}{rows}");
    Case { arguments: &arguments, code, stdout: &stdout, stderr, ..Case::default() }.on(broker);
}

fn each_binding_is_told_with_its_reason(broker: &Broker) {
    prepare(
        broker,
        &[
            &["declare-queue", "all"],
            &["declare-queue", "eu"],
            &["declare-queue", "us"],
            &["bind", "-e", "amq.topic", "--queue", "all", "-k", "#"],
            &["bind", "-e", "amq.topic", "--queue", "eu", "-k", "eu.*.day", "-k", "eu.price"],
            &["bind", "-e", "amq.topic", "--queue", "us", "-k", "us.#"],
            &["bind", "-e", "amq.direct", "--queue", "us", "-k", "a"],
        ],
    );
    let json = ["route", "-e", "amq.topic", "-k", "eu.price.day", "-o", "json", "-q"];
    let rows: Vec<serde_json::Value> = serde_json::from_str(&answer(broker, &json, "")).unwrap();
    let mut found: Vec<_> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap();
            (text("routing_key"), text("destination"), text("matches"), text("why"))
        })
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("#", "all", "yes", "the key fits"),
            ("eu.*.day", "eu", "yes", "the key fits"),
            ("eu.price", "eu", "no", "word 3 is too many: 'day'"),
            ("us.#", "us", "no", "word 1 is 'eu', not 'us'"),
        ]
    );
    route(
        broker,
        &["-e", "amq.direct", "-k", "b"],
        1,
        "amq.direct\tdirect\tqueue\tus\ta\t\tno\tthe key is 'b', not 'a'\n",
        "it would reach no queue\n",
    );
    route(
        broker,
        &["-k", "eu"],
        0,
        "\tdirect\tqueue\teu\teu\t\tyes\tit has the key's name\n",
        "it would reach 'eu'\n",
    );
}

fn headers_are_matched_by_all_four_rules(broker: &Broker) {
    let mut commands: Vec<Vec<&str>> = Vec::new();
    for rule in ["all", "any", "all-with-x", "any-with-x"] {
        commands.push(vec!["declare-queue", rule]);
        let bind = ["bind", "-e", "amq.headers", "--queue", rule, "--match", rule];
        commands.push([&bind[..], &["-H", "a=1", "-H", "b:int=2", "-H", "x-c=3"]].concat());
    }
    let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
    prepare(broker, &commands);
    let cases: [(&[&str], Told); 3] = [
        (
            &["a=1", "b:int=2"],
            &[
                ("all", "yes: a is '1', b is 2"),
                ("all-with-x", "no: x-c is missing, not '3'"),
                ("any", "yes: a is '1', b is 2"),
                ("any-with-x", "yes: a is '1', b is 2"),
            ],
        ),
        (
            &["x-c=3", "a=2"],
            &[
                ("all", "no: a is '2', not '1', b is missing, not 2"),
                ("all-with-x", "no: a is '2', not '1', b is missing, not 2"),
                ("any", "no: none of them: a is '2', not '1', b is missing, not 2"),
                ("any-with-x", "yes: x-c is '3'"),
            ],
        ),
        (
            &["a=1", "b=2", "x-c=3"],
            &[
                ("all", "no: b is '2', not 2"),
                ("all-with-x", "no: b is '2', not 2"),
                ("any", "yes: a is '1'"),
                ("any-with-x", "yes: a is '1', x-c is '3'"),
            ],
        ),
    ];
    for (headers, expected) in cases {
        let headers = headers.iter().flat_map(|header| ["-H", header]);
        let route: Vec<&str> = ["route", "-e", "amq.headers", "-o", "jsonl", "-q"]
            .into_iter()
            .chain(headers)
            .collect();
        let lines = answer(broker, &route, "");
        let mut found: Vec<(String, String)> = lines
            .lines()
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                let text = |name: &str| row[name].as_str().unwrap().to_owned();
                (text("destination"), format!("{}: {}", text("matches"), text("why")))
            })
            .collect();
        found.sort();
        let found: Vec<_> = found.iter().map(|(to, why)| (to.as_str(), why.as_str())).collect();
        assert_eq!(found, expected, "{route:?}");
    }
}

fn exchanges_lead_on_and_alternates_take_what_is_left(broker: &Broker) {
    prepare(
        broker,
        &[
            &["declare-queue", "q"],
            &["declare-queue", "lost"],
            &["declare-exchange", "first", "--alternate-exchange", "rest"],
            &["declare-exchange", "second", "--type", "topic", "--internal"],
            &["declare-exchange", "rest", "--type", "fanout"],
            &["bind", "-e", "first", "--to-exchange", "second", "-k", "a"],
            // A circle: each exchange is asked once.
            &["bind", "-e", "second", "--to-exchange", "first", "-k", "#"],
            &["bind", "-e", "second", "--queue", "q", "-k", "*"],
            &["bind", "-e", "rest", "--queue", "lost"],
        ],
    );
    let to = |key: &str| {
        let route = ["route", "-e", "first", "-k", key, "-o", "jsonl", "-q"];
        let lines = answer(broker, &route, "");
        let row = |line: &str| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            format!(
                "{} {} {}: {}",
                text("exchange"),
                text("matches"),
                text("destination"),
                text("why")
            )
        };
        let mut rows: Vec<String> = lines.lines().map(row).collect();
        rows.sort();
        rows
    };
    assert_eq!(
        to("a"),
        [
            "first no rest: the alternate exchange: a binding matched",
            "first yes second: it is the key",
            "second yes first: the key fits",
            "second yes q: the key fits",
        ]
    );
    assert_eq!(
        to("b"),
        [
            "first no second: the key is 'b', not 'a'",
            "first yes rest: the alternate exchange: no binding matched",
            "rest yes lost: everything goes there",
        ]
    );
    let refused = ["route", "-e", "second", "-k", "a", "-o", "csv"];
    let mut command = crate::support::cli::mq(broker);
    let run = command.args(refused).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    let expected =
        "the broker would refuse it: exchange 'second' is internal: no publisher may use it\n";
    assert_eq!((run.status.code(), said.as_str()), (Some(1), expected));
}

fn the_nearest_misses_are_shown(broker: &Broker) {
    let keys: Vec<String> = (0..20).map(|number| format!("other.{number}")).collect();
    let mut bind = vec!["bind", "-e", "amq.direct", "--queue", "q", "-k", "orders.new"];
    bind.extend(keys.iter().flat_map(|key| ["-k", key]));
    prepare(broker, &[&["declare-queue", "q"], &bind]);
    let route = ["route", "-e", "amq.direct", "-k", "order.new"];
    let mut command = crate::support::cli::mq(broker);
    let run = command.args(route).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
    assert_eq!(stdout.lines().count(), 1 + 5, "{stdout}");
    assert!(stdout.lines().nth(1).unwrap().contains("not 'orders.new'"), "{stdout}");
    assert_eq!(
        stderr,
        "note: 16 more bindings would not match; --all shows them\nit would reach no queue\n"
    );
    let mut command = crate::support::cli::mq(broker);
    let all = command.args(route).arg("--all").output().unwrap();
    assert_eq!(String::from_utf8(all.stdout).unwrap().lines().count(), 1 + 21);
}

fn what_goes_nowhere_is_an_answer(broker: &Broker) {
    route(
        broker,
        &["-k", "nowhere"],
        1,
        "\tdirect\tqueue\tnowhere\tnowhere\t\tno\tthere is no queue of that name\n",
        "it would reach no queue\n",
    );
    prepare(broker, &[&["declare-exchange", "orders"]]);
    Case {
        arguments: &["route", "-e", "ordres", "-k", "x"],
        code: 65,
        stderr: "error: the broker refused to look for exchange 'ordres': 404 NOT_FOUND - no exchange 'ordres' \
                 in vhost '{vhost}'\nhint: did you mean 'orders'?\n",
        ..Case::default()
    }
    .on(broker);
}

/// Every key and every set of headers of a small world: the queues that `route` names are those that have the message.
fn a_message_goes_where_it_was_said_to_go(broker: &Broker) {
    prepare(
        broker,
        &[
            &["declare-queue", "a"],
            &["declare-queue", "b"],
            &["declare-exchange", "t", "--type", "topic", "--alternate-exchange", "h"],
            &["declare-exchange", "h", "--type", "headers"],
            &["bind", "-e", "t", "--queue", "a", "-k", "x.#"],
            &["bind", "-e", "t", "--queue", "b", "-k", "*.y"],
            &["bind", "-e", "h", "--queue", "b", "-H", "n:int=1", "--match", "any"],
        ],
    );
    for key in ["x", "x.y", "z.y", "z"] {
        for header in ["n:int=1", "n:int=2"] {
            let route = ["route", "-e", "t", "-k", key, "-H", header, "-o", "json", "-q"];
            let mut command = crate::support::cli::mq(broker);
            let rows: Vec<serde_json::Value> =
                serde_json::from_slice(&command.args(route).output().unwrap().stdout).unwrap();
            let goes = |row: &&serde_json::Value| {
                row["matches"] == "yes" && row["destination_type"] == "queue"
            };
            let said: Vec<&str> =
                rows.iter().filter(goes).map(|row| row["destination"].as_str().unwrap()).collect();
            for queue in ["a", "b"] {
                let mut command = crate::support::cli::mq(broker);
                let none = command.args(["get", "--queue", queue, "-q"]).output().unwrap();
                assert_eq!(none.status.code(), Some(1), "asking sends nothing");
                let publish = ["publish", "-e", "t", "-k", key, "-H", header, "-q", "body"];
                answer(broker, &publish, "");
                let mut command = crate::support::cli::mq(broker);
                let got = command.args(["get", "--queue", queue, "-q"]).output().unwrap();
                assert_eq!(got.status.success(), said.contains(&queue), "{key} {header} {queue}");
                prepare(
                    broker,
                    &[&["purge-queue", "a", "--yes", "-q"], &["purge-queue", "b", "--yes", "-q"]],
                );
            }
        }
    }
}
