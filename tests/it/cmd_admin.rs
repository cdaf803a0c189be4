//! The administration commands, as a person types them: users, permissions, vhosts, policies, definitions, and the commands
//! that mq does not have.

use crate::broker::Broker;
use crate::support::cli::{Case, Running, answer, mq, on_both, prepare, program};

on_both!(
    a_user_is_created_changed_and_deleted,
    permissions_are_set_listed_and_cleared,
    policies_are_set_matched_and_cleared,
    a_vhost_keeps_what_a_change_does_not_name,
    definitions_go_out_and_come_in,
    a_refusal_has_the_brokers_reason,
);

/// A name that no other test uses on a shared broker.
fn user(broker: &Broker) -> String {
    format!("user of {}", broker.vhost().replace('/', "root"))
}

/// Stdout, stderr and the exit code of a run.
fn run(broker: &Broker, arguments: &[&str]) -> (String, String, i32) {
    let run = mq(broker).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&run.stdout), text(&run.stderr), run.status.code().unwrap())
}

fn a_user_is_created_changed_and_deleted(broker: &Broker) {
    let name = user(broker);
    let name = name.as_str();
    prepare(broker, &[&["add_user", name, "wonderland"]]);
    assert_eq!(run(broker, &["authenticate-user", name, "wonderland"]).2, 0);
    assert_eq!(run(broker, &["authenticate_user", name, "looking-glass"]).2, 1);
    assert_eq!(run(broker, &["add-user", name, "again"]).2, 65);

    answer(broker, &["change-password", name], "looking-glass\n");
    assert_eq!(run(broker, &["authenticate-user", name, "looking-glass"]).2, 0);
    prepare(broker, &[&["set-user-tags", name, "monitoring", "policymaker"]]);
    assert_eq!(run(broker, &["authenticate-user", name, "looking-glass"]).2, 0, "tags keep it");

    let hash = answer(broker, &["hash-password", "rabbit hole"], "");
    prepare(broker, &[&["delete_user", name]]);
    prepare(broker, &[&["add-user", name, hash.trim(), "--pre-hashed-password"]]);
    assert_eq!(run(broker, &["authenticate-user", name, "rabbit hole"]).2, 0);
    prepare(broker, &[&["clear_password", name]]);
    assert_eq!(run(broker, &["authenticate-user", name, "rabbit hole"]).2, 1);

    let only = format!("user=={name}");
    let list = ["list_users", "--filter", &only, "-s"];
    assert_eq!(answer(broker, &list, ""), format!("{name}\t\n"));
    prepare(broker, &[&["delete-user", name]]);
    assert_eq!(answer(broker, &list, ""), "");
}

fn permissions_are_set_listed_and_cleared(broker: &Broker) {
    let name = user(broker);
    let name = name.as_str();
    let vhost = broker.vhost();
    prepare(
        broker,
        &[
            &["add-user", name, "p"],
            // rabbitmqctl's options stand anywhere.
            &["-p", vhost, "set_permissions", name, "^c", "^w", "^r"],
            &["set_topic_permissions", name, "amq.topic", "^tw", "^tr", "--timeout", "10"],
        ],
    );
    assert_eq!(
        answer(broker, &["list_user_permissions", name], ""),
        format!("vhost\tconfigure\twrite\tread\n{vhost}\t^c\t^w\t^r\n")
    );
    assert_eq!(
        answer(broker, &["list_user_topic_permissions", name, "--no-table-headers"], ""),
        format!("{vhost}\tamq.topic\t^tw\t^tr\n")
    );
    let filter = format!("user=={name}");
    assert_eq!(
        answer(broker, &["list_permissions", "-p", vhost, "-s", "--filter", &filter], ""),
        format!("{name}\t^c\t^w\t^r\n")
    );
    prepare(
        broker,
        &[
            &["clear_topic_permissions", name, "amq.topic"],
            &["clear_permissions", name, "-p", vhost],
        ],
    );
    assert_eq!(answer(broker, &["list_user_permissions", name, "-s"], ""), "");
    prepare(broker, &[&["delete_user", name]]);
}

fn policies_are_set_matched_and_cleared(broker: &Broker) {
    let vhost = broker.vhost();
    let set = |name: &str, pattern: &str, priority: &str, to: &str| {
        let definition = r#"{"max-length": 5}"#;
        let given =
            ["set_policy", name, pattern, definition, "--priority", priority, "--apply-to", to];
        prepare(broker, &[&given]);
    };
    set("low", "^jobs", "1", "queues");
    set("high", "jobs", "7", "all");
    set("other", "^other", "9", "queues");
    set("exchanges", "^jobs", "9", "exchanges");
    assert_eq!(
        answer(broker, &["list-policies-that-match", "jobs.eu", "name", "priority"], ""),
        "name\tpriority\nhigh\t7\nlow\t1\n"
    );
    let list = answer(broker, &["list_policies", "--filter", "name==low"], "");
    assert_eq!(
        list,
        format!(
            "vhost\tname\tpattern\tapply-to\tdefinition\tpriority\n{vhost}\tlow\t^jobs\tqueues\t{{\"max-length\":5}}\t1\n"
        )
    );
    for name in ["low", "high", "other", "exchanges"] {
        prepare(broker, &[&["clear_policy", name]]);
    }
    assert_eq!(answer(broker, &["list_policies", "-s"], ""), "");
    let (_, stderr, code) = run(broker, &["set_policy", "x", "^x", "{\"max-length\": secret}"]);
    assert_eq!(code, 64, "{stderr}");
    assert!(!stderr.contains("secret"), "{stderr}");
}

fn a_vhost_keeps_what_a_change_does_not_name(broker: &Broker) {
    let name = format!("kept {}", broker.vhost());
    let name = name.as_str();
    prepare(
        broker,
        &[
            &["add_vhost", name, "--description", "orders and stock", "--tags", "a,b"],
            &["trace_on", "-p", name],
        ],
    );
    let row = |columns: &[&str]| {
        let filter = format!("name=={name}");
        let list = [&["list_vhosts", "-s", "--filter", &filter], columns].concat();
        answer(broker, &list, "")
    };
    assert_eq!(row(&["description", "tags", "tracing"]), "orders and stock\ta,b\ttrue\n");
    prepare(broker, &[&["set_vhost_tags", name, "c"], &["trace_off", "-p", name]]);
    assert_eq!(row(&["description", "tags", "tracing"]), "orders and stock\tc\tfalse\n");
    prepare(broker, &[&["update_vhost_metadata", name, "--description", "orders"]]);
    assert_eq!(row(&["description", "tags"]), "orders\tc\n");

    prepare(broker, &[&["set_vhost_limits", "-p", name, r#"{"max-queues": 9}"#]]);
    assert_eq!(
        answer(broker, &["list_vhost_limits", "-p", name, "-s"], ""),
        format!("{name}\t{{\"max-queues\":9}}\n")
    );
    prepare(broker, &[&["clear_vhost_limits", "-p", name], &["delete_vhost", name]]);
    assert_eq!(run(broker, &["trace_on", "-p", name]).2, 65, "it is not made by that");
}

fn definitions_go_out_and_come_in(broker: &Broker) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("definitions.json");
    let file = file.to_str().unwrap();
    prepare(
        broker,
        &[&["declare-queue", "exported"], &["export_definitions", file, "--only-vhost"]],
    );
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("\"exported\""), "{text}");
    prepare(broker, &[&["delete-queue", "exported", "--yes"]]);
    prepare(broker, &[&["import_definitions", file, "--only-vhost"]]);
    assert_eq!(answer(broker, &["list_queues", "name", "-s"], ""), "exported\n");
    let whole = answer(broker, &["export_definitions", "-"], "");
    assert!(whole.contains("\"permissions\""), "{whole}");
    let bad = mq(broker).args(["import-definitions", "/nowhere/at all"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(64));
}

fn a_refusal_has_the_brokers_reason(broker: &Broker) {
    #[rustfmt::skip]
    let cases: [(&[&str], i32, &str); 5] = [
        (&["delete_user", "nobody at all"],                     65, "404"),
        (&["set_permissions", "nobody at all", "a", "b", "c"],  65, "400"),
        (&["set_policy", "p", "^p", r#"{"nonsense": 1}"#],      65, "400"),
        (&["clear_policy", "nothing"],                          65, "404"),
        (&["check_port_listener", "1"],                          1, "No active listener"),
    ];
    for (arguments, code, reason) in cases {
        let (stdout, stderr, ended) = run(broker, arguments);
        assert_eq!(ended, code, "{arguments:?}: {stderr}");
        assert_eq!(stdout, "", "{arguments:?}");
        assert!(stderr.contains(reason), "{arguments:?}: {stderr}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let broker = Broker::mq();
    prepare(&broker, &[&["add-user", "alice", "wonderland"]]);
    let hash = answer(&broker, &["export-definitions", "-"], "");
    let hash =
        hash.split("\"password_hash\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let commands: [&[&str]; 6] = [
        &["list-users", "-o", "json"],
        &["report"],
        &["add-user", "alice", "wonderland"],
        &["change-password", "nobody", "wonderland"],
        &["authenticate-user", "nobody", "wonderland"],
        &["change-password", "alice", "wonderland", "-o", "json"],
    ];
    for arguments in commands {
        let (stdout, stderr, _) = run(&broker, arguments);
        for text in [stdout, stderr] {
            assert!(!text.contains("wonderland") && !text.contains(&hash), "{arguments:?}: {text}");
        }
    }
}

#[test]
fn a_command_that_does_not_exist_here_says_why() {
    for name in mq::commands::admin::refused() {
        let run = program().args([name, "any", "--word"]).output().unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(69), "{name}: {stderr}");
        let is_foreign = stderr.contains("does not exist here: it belongs to");
        assert!(is_foreign || stderr.contains("' is not implemented\nhint: "), "{name}: {stderr}");
    }
    Case {
        arguments: &["consume_event_stream"],
        code: 69,
        stderr: "error: 'consume_event_stream' is not implemented\n\
                 hint: the log of `mq serve --log-format json` tells of connections, refusals and alarms\n",
        ..Case::default()
    }
    .alone();
    Case {
        arguments: &["join_cluster", "rabbit@other"],
        code: 69,
        stderr: "error: 'join_cluster' does not exist here: it belongs to clusters of several nodes\n\
                 hint: `mq --help` lists the commands that mq has\n",
        ..Case::default()
    }
    .alone();
}

#[test]
fn a_password_may_come_from_stdin_and_must_not_be_empty() {
    let broker = Broker::mq();
    answer(&broker, &["add-user", "alice"], "from a pipe\r\nand more");
    answer(&broker, &["authenticate-user", "alice"], "from a pipe");
    assert_eq!(run(&broker, &["add-user", "bob", ""]).2, 64);
}

#[test]
fn options_of_rabbitmqctl_stand_anywhere() {
    let broker = Broker::mq();
    prepare(&broker, &[&["add_vhost", "v"], &["declare-queue", "q", "-p", "v"]]);
    let rows = ["q\t0\n", "name\tmessages\nq\t0\n"];
    #[rustfmt::skip]
    let cases: [(&[&str], &str, &str); 6] = [
        (&["-p", "v", "list_queues", "-s"],                         rows[0], ""),
        (&["list_queues", "-q", "-p", "v", "--no-table-headers"],   rows[0], ""),
        (&["--silent", "list_queues", "--vhost", "v", "-t", "5"],   rows[0], ""),
        (&["-n", "rabbit@x", "list_queues", "-p", "v"],             rows[1], "note: --node is ignored: --url names the broker\n"),
        (&["list_queues", "-q", "--node", "rabbit@x", "-p", "v"],   rows[1], ""),
        (&["list_queues", "-p", "v", "name", "--formatter", "csv"], "name\nq\n", ""),
    ];
    for (arguments, stdout, stderr) in cases {
        Case { arguments, stdout, stderr, ..Case::default() }.on(&broker);
    }
}

#[test]
fn a_client_is_told_why_its_connection_is_closed() {
    let broker = Broker::mq();
    let listen = ["consume", "--queue", "q"];
    let closings: [&[&str]; 3] = [
        &["close_all_connections", "the broker moves", "-p", "/"],
        &["close_all_user_connections", "guest", "the broker moves"],
        &["close_all_connections", "the broker moves", "--global", "--limit", "9"],
    ];
    for words in closings {
        let mut consumer = Running::start(&broker, &listen, "waiting for messages");
        prepare(&broker, &[words]);
        let (_, _, stderr) = consumer.end();
        assert!(stderr.contains("the broker moves"), "{words:?}: {stderr}");
    }
    let mut consumer = Running::start(&broker, &listen, "waiting for messages");
    let name = answer(&broker, &["list_connections", "name", "-s", "--filter", "channels>0"], "");
    prepare(&broker, &[&["close_connection", name.trim(), "the broker moves"]]);
    assert!(consumer.end().2.contains("the broker moves"), "{name}");
    assert_eq!(run(&broker, &["close_connection", name.trim(), "again"]).2, 65);
}

/// Names come to the management API as they are, whatever they would mean in its paths.
#[test]
fn hostile_names_are_names() {
    let broker = Broker::mq();
    for name in ["a/b", "../users", "%2F", "a b?x=1#y", "\u{e9}", "{vhost}"] {
        prepare(
            &broker,
            &[
                &["add_vhost", name],
                &["add_user", name, "p"],
                &["set_permissions", "-p", name, name, ".*", ".*", ".*"],
                &["set_policy", "-p", name, name, ".*", r#"{"max-length": 1}"#],
                &["set_topic_permissions", "-p", name, name, "amq.topic", ".*", ".*"],
                &["set_user_limits", name, r#"{"max-channels": 5}"#],
            ],
        );
        let rows = answer(&broker, &["list_user_permissions", name, "vhost", "-s"], "");
        assert_eq!(rows, format!("{name}\n"));
        let rows = answer(&broker, &["list_policies", "-p", name, "vhost", "name", "-s"], "");
        assert_eq!(rows, format!("{name}\t{name}\n"));
        prepare(&broker, &[&["delete_user", name], &["delete_vhost", name]]);
    }
    assert_eq!(answer(&broker, &["list_users", "-s"], ""), "guest\tadministrator\n");
    assert_eq!(answer(&broker, &["list_vhosts", "-s"], ""), "/\n");
}

#[test]
fn who_may_not_administer_is_told_what_is_missing() {
    let broker = Broker::mq();
    prepare(
        &broker,
        &[
            &["add_user", "eve", "apple"],
            &["set_permissions", "eve", ".*", ".*", ".*"],
            &["set_user_tags", "eve", "management"],
        ],
    );
    let url = broker.url().replace("guest:guest", "eve:apple");
    for words in [&["add_user", "mallory", "p"][..], &["list_users"], &["delete_vhost", "/"]] {
        let run = mq(&broker).args(words).arg("--url").arg(&url).output().unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(77), "{words:?}: {stderr}");
        assert!(stderr.contains("401 Not administrator user"), "{words:?}: {stderr}");
        assert!(stderr.contains("`mq set-user-tags` gives it"), "{words:?}: {stderr}");
        assert!(!stderr.contains("apple"), "{words:?}: {stderr}");
    }
}
