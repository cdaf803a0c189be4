//! Facts about the process of a node, as a person asks for them.

use super::cmd_operation::Node;

#[test]
fn the_log_is_read_over_the_management_api() {
    let node = Node::start(&[]);
    assert_eq!(node.amqp(&["ping"]).0, 0);
    let (code, said) = node.run(&["log-tail", "--number", "1000"]);
    assert!(
        code == 0 && said.contains("connection accepted") && said.contains("starting"),
        "{said}"
    );
    let (code, said) = node.run(&["log_tail", "-N", "1"]);
    assert!(code == 0 && said.lines().count() == 1, "{said}");
    assert_eq!(node.run(&["log-location"]), (0, "<stderr>\n".to_owned()));
    let (code, said) = node.run(&["log-tail-stream", "--duration", "1"]);
    assert!(code == 0 && !said.contains("starting"), "{said}");
    node.stop();
}

#[test]
fn the_process_is_described_without_secrets() {
    let node = Node::start(&["--anonymous-pass", "s3cret"]);
    let (code, said) = node.run(&["command_line_arguments"]);
    assert!(
        code == 0 && said.contains("--anonymous-pass\n***") && !said.contains("s3cret"),
        "{said}"
    );
    assert_eq!(node.run(&["os-env"]).0, 0);
    assert_eq!(node.run(&["tls-versions"]), (0, "tlsv1.3\ntlsv1.2\n".to_owned()));
    let (code, said) = node.run(&["cipher_suites"]);
    assert!(code == 0 && said.contains("TLS_AES_256_GCM_SHA384"), "{said}");
    assert_eq!(node.run(&["certificates"]).0, 0);
    node.stop();
}

#[test]
fn messages_are_counted_by_their_sizes() {
    let node = Node::start(&[]);
    assert_eq!(node.amqp(&["publish", "--queue", "q", "small", "also small"]).0, 0);
    let (code, said) = node.run(&["message-size-stats"]);
    assert!(code == 0 && said.contains("below 100B\t2\t100.00"), "{said}");
    node.stop();
}

#[test]
fn a_disk_that_is_not_watched_raises_no_alarm() {
    let node = Node::start(&[]);
    assert_eq!(node.run(&["set-disk-free-limit", "900000GB"]).0, 0);
    assert_eq!(node.run(&["check-alarms"]).0, 1);
    assert_eq!(node.ctl(&["deactivate_free_disk_space_monitoring"]).0, 0);
    assert_eq!(node.run(&["check-alarms"]).0, 0);
    assert_eq!(node.ctl(&["activate_free_disk_space_monitoring"]).0, 0);
    assert_eq!(node.run(&["check-alarms"]).0, 1);
    node.stop();
}

#[test]
fn logins_are_counted_by_their_sources_while_somebody_wants_it() {
    let node = Node::start(&[]);
    let by_source = || node.run(&["list-node-auth-attempt-stats", "--by-source", "-s"]).1;
    assert!(!by_source().contains("guest"));
    assert_eq!(node.tool("rabbitmq-diagnostics", &["enable_auth_attempt_source_tracking"]).0, 0);
    assert_eq!(node.amqp(&["ping"]).0, 0);
    assert!(by_source().contains("127.0.0.1\tguest\tamqp091\t1\t1\t0"), "{}", by_source());
    assert_eq!(node.tool("rabbitmq-diagnostics", &["disable_auth_attempt_source_tracking"]).0, 0);
    assert!(!by_source().contains("guest"));
    node.stop();
}

#[test]
fn only_administrators_read_the_log_and_the_command_line() {
    let mut node = Node::start(&[]);
    assert_eq!(node.run(&["add-user", "watcher", "w"]).0, 0);
    assert_eq!(node.run(&["set-user-tags", "watcher", "monitoring"]).0, 0);
    node.http = node.http.replace("//", "//watcher:w@");
    for command in
        ["log-tail", "os-env", "command-line-arguments", "deactivate-free-disk-space-monitoring"]
    {
        assert_eq!(node.run(&[command]).0, 77, "{command}");
    }
    node.stop();
}
