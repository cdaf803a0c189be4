//! Keys of `rabbitmq.conf` that change what a broker does: a file, a running broker, and what its clients find.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use mq::wire::Method;
use rustix::process::Signal;
use tempfile::TempDir;

use super::cmd_operation::{Node, said};
use crate::support::cli::program;
use crate::support::peer::{Peer, start_ok};

/// A node with this configuration, and the directory of the file.
fn configured(text: &str) -> (Node, PathBuf) {
    configured_with(text, &[])
}

fn configured_with(text: &str, options: &[&str]) -> (Node, PathBuf) {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().to_path_buf();
    let file = folder.join("rabbitmq.conf");
    fs::write(&file, text).unwrap();
    let options = [&["--config", file.to_str().unwrap()], options].concat();
    (Node::start_in(directory, &options), folder)
}

fn address(node: &Node) -> SocketAddr {
    let place = node.url.trim_start_matches("amqp://").trim_end_matches('/');
    place.parse().unwrap()
}

/// The lines that `--print-config` has for a file.
fn printed(text: &str) -> String {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("rabbitmq.conf");
    fs::write(&file, text).unwrap();
    let mut command = program();
    command.args(["serve", "--memory", "--print-config", "--config", file.to_str().unwrap()]);
    let (code, said) = said(&mut command);
    assert_eq!(code, 0, "{said}");
    said
}

const NEW_VHOSTS: &str = "
default_queue_type = quorum
default_users.app.vhost_pattern = ^shop
default_users.app.password = s3cret
default_users.app.tags = monitoring, management
default_users.app.read = ^orders
default_limits.vhosts.1.pattern = ^shop
default_limits.vhosts.1.max_queues = 2
default_limits.vhosts.1.max_connections = 7
default_policies.operator.short.vhost_pattern = ^shop
default_policies.operator.short.queue_pattern = ^d
default_policies.operator.short.max_length = 10
default_policies.operator.short.message_ttl = 10s
";

#[test]
fn new_vhosts_get_users_limits_and_policies_by_their_names() {
    let (node, _) = configured(NEW_VHOSTS);
    let has = |arguments: &[&str], words: &str| {
        let (code, said) = node.run(arguments);
        assert!(code == 0 && said.contains(words), "{arguments:?}: {code} {said}");
    };
    let lacks = |arguments: &[&str], words: &str| {
        let (code, said) = node.run(arguments);
        assert!(code == 0 && !said.contains(words), "{arguments:?}: {code} {said}");
    };
    lacks(&["list-users"], "app");
    has(&["add-vhost", "plain"], "plain");
    lacks(&["list-users"], "app");
    has(&["add-vhost", "shop1"], "shop1");
    has(&["list-users"], "app\tmonitoring,management");
    has(&["list-permissions", "--vhost", "shop1"], "app\t.*\t.*\t^orders");
    has(&["list-vhost-limits", "--vhost", "shop1"], "7");
    has(&["list-operator-policies", "--vhost", "shop1"], "short");
    has(&["list-operator-policies", "--vhost", "shop1"], "10000");
    lacks(&["list-operator-policies", "--vhost", "plain"], "short");
    has(&["authenticate-user", "app", "s3cret"], "");
    has(&["list-vhosts", "name", "default_queue_type"], "shop1\tquorum");

    for queue in ["one", "two"] {
        assert_eq!(node.amqp(&["declare-queue", queue, "--vhost", "shop1"]).0, 0);
    }
    let (code, said) = node.amqp(&["declare-queue", "three", "--vhost", "shop1"]);
    assert!(code != 0 && said.contains("queue limit in vhost 'shop1' (2)"), "{said}");
    has(&["list-queues", "name", "type", "--vhost", "shop1"], "one\tquorum");
    node.stop();
}

#[test]
fn the_first_vhost_gets_its_defaults_once() {
    let text = "default_vhost = shop\ndefault_limits.vhosts.1.max_queues = 3\n";
    let (node, folder) = configured(text);
    let limits = |node: &Node| node.run(&["list-vhost-limits", "--vhost", "shop"]).1;
    assert!(limits(&node).contains('3'), "{}", limits(&node));
    assert_eq!(node.run(&["clear-vhost-limits", "--vhost", "shop"]).0, 0);
    let Node { mut broker, directory, .. } = node;
    broker.signal(Signal::TERM);
    broker.end();
    let file = folder.join("rabbitmq.conf");
    let node = Node::start_in(directory, &["--config", file.to_str().unwrap()]);
    assert!(!limits(&node).contains('3'), "{}", limits(&node));
    assert_eq!(node.run(&["drain"]).0, 0);
    assert_eq!(node.run(&["reset"]).0, 0);
    assert!(limits(&node).contains('3'), "a reset node is as new: {}", limits(&node));
    node.stop();
}

#[test]
fn keys_of_new_vhosts_that_say_nothing_are_refused() {
    #[rustfmt::skip]
    let cases = [
        ("default_users.app = x",                              "not a key of rabbitmq.conf"),
        ("default_users.app.passwort = x",                     "not a key of rabbitmq.conf"),
        ("default_limits.vhosts.1.max_queues = many",          "it must be a number above 0"),
        ("default_policies.operator.p.message_ttl = soon",     "it must be a time such as 10s"),
        ("default_limits.vhosts.1.pattern = (",                "it is no regular expression"),
        ("default_queue_type = fast",                          "fast"),
        ("deprecated_features.permit.global_qos = perhaps",    "it must be true or false"),
        ("log.connection.level = loud",                        "the levels are"),
    ];
    for (line, words) in cases {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("rabbitmq.conf");
        fs::write(&file, line).unwrap();
        let mut command = program();
        command.args([
            "serve",
            "--memory",
            "--listen",
            "127.0.0.1:0",
            "--config",
            file.to_str().unwrap(),
        ]);
        let (code, said) = said(&mut command);
        assert!(code == 64 && said.contains(words), "{line}: {code} {said}");
    }
}

#[test]
fn the_configuration_is_printed_without_passwords() {
    let text = NEW_VHOSTS.to_owned()
        + "anonymous_login_user = app\nanonymous_login_pass = s3cret\ncluster_queue_limit = 5\n\
           cluster_exchange_limit = 50\nframe_max = 1MB\nproxy_protocol = true\n\
           deprecated_features.permit.global_qos = false\nlog.dir = /var/log/mq\nlog.file = mq.log\n\
           log.file.level = debug\nlog.connection.level = none\n";
    let said = printed(&text);
    assert!(!said.contains("s3cret"), "{said}");
    #[rustfmt::skip]
    let lines = [
        "default_queue_type = quorum #",
        "default_users.app.vhost_pattern = ^shop #",
        "default_users.app.password = '***' #",
        "default_limits.vhosts.1.max_queues = 2 #",
        "default_policies.operator.short.max_length = 10 #",
        "anonymous_login_user = app #",
        "anonymous_login_pass = '***' #",
        "cluster_queue_limit = 5 #",
        "cluster_exchange_limit = 50 #",
        "frame_max = 1000000 #",
        "proxy_protocol = true #",
        "deprecated_features.permit.global_qos = false #",
        "log.file = /var/log/mq/mq.log #",
        "log.file.level = debug #",
        "log.connection.level = none #",
    ];
    for line in lines {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn a_node_has_so_many_queues_and_exchanges() {
    let (node, _) = configured("cluster_queue_limit = 2\ncluster_exchange_limit = 8\n");
    for queue in ["a", "b", "a"] {
        assert_eq!(node.amqp(&["declare-queue", queue]).0, 0, "{queue}");
    }
    let (code, said) = node.amqp(&["declare-queue", "c"]);
    let words = "cannot declare queue 'c': queue limit in cluster (2) is reached";
    assert!(code != 0 && said.contains(words), "{said}");
    assert_eq!(node.amqp(&["declare-exchange", "x"]).0, 0);
    assert_eq!(node.amqp(&["declare-exchange", "x"]).0, 0, "it is there");
    let (code, said) = node.amqp(&["declare-exchange", "y"]);
    let words = "cannot declare exchange 'y' in vhost '/': exchange limit of 8 is reached";
    assert!(code != 0 && said.contains(words), "{said}");
    assert_eq!(node.amqp(&["delete-queue", "a", "--yes"]).0, 0);
    assert_eq!(node.amqp(&["declare-queue", "c"]).0, 0, "there is room again");
    node.stop();
}

/// The answer to a login by ANONYMOUS.
fn anonymous(node: &Node) -> Method {
    let mut peer = Peer::connect(address(node));
    peer.greet();
    peer.send_method(0, start_ok("ANONYMOUS", b""));
    peer.next_method().1
}

#[test]
fn a_client_that_names_no_user_is_the_one_of_the_configuration() {
    let (node, _) = configured("anonymous_login_user = app\nanonymous_login_pass = s3cret\n");
    assert!(matches!(anonymous(&node), Method::ConnectionClose(_)), "there is no such user yet");
    assert_eq!(node.run(&["add-user", "app", "s3cret"]).0, 0);
    assert!(matches!(anonymous(&node), Method::ConnectionTune(_)));
    node.stop();
    let (node, _) = configured("anonymous_login_user = none\n");
    assert!(matches!(anonymous(&node), Method::ConnectionClose(_)));
    node.stop();
}

/// One that is larger than what is read at once comes in pieces.
#[test]
fn frames_may_be_larger_than_usual() {
    let (mut node, folder) = configured("frame_max = 4MB\nmax_message_size = 16MB\n");
    let body: Vec<u8> = (0..3_500_000_u32).map(|at| b'a' + (at % 23) as u8).collect();
    let file = folder.join("body");
    fs::write(&file, &body).unwrap();
    node.url = format!("{}?frame_max=4000000", node.url);
    let path = file.to_str().unwrap();
    let (code, said) = node.amqp(&["publish", "--queue", "q", "--file", path]);
    assert_eq!(code, 0, "{said}");
    let run = program().args(["get", "--queue", "q", "--url", &node.url]).output().unwrap();
    assert!(run.status.success());
    assert!(run.stdout.len() >= body.len(), "{}", run.stdout.len());
    assert!(run.stdout.windows(64).any(|part| part == &body[..64]));
    node.stop();
}

#[test]
fn the_log_has_a_file_and_levels_of_its_own() {
    let directory = TempDir::new().unwrap();
    let text = format!(
        "log.dir = {}\nlog.file = mq.log\nlog.file.level = info\nlog.console.level = error\n",
        directory.path().display()
    );
    let file = directory.path().join("rabbitmq.conf");
    fs::write(&file, text).unwrap();
    let mut command = program();
    command.args(["serve", "--memory", "--listen", "127.0.0.1:0", "--print-url"]);
    command.args(["--config", file.to_str().unwrap()]);
    let mut broker = crate::support::cli::Running::spawn(&mut command, "");
    let url = broker.line();
    let ping = || {
        let run = program().args(["ping", "--url", url.trim()]).output().unwrap();
        assert!(run.status.success());
    };
    ping();
    let log = directory.path().join("mq.log");
    let reads = |path: &PathBuf, words: &str| {
        let begun = std::time::Instant::now();
        while !fs::read_to_string(path).is_ok_and(|text| text.contains(words)) {
            assert!(begun.elapsed().as_secs() < 30, "{words}: {:?}", fs::read_to_string(path));
            std::thread::yield_now();
        }
    };
    reads(&log, "connection accepted");
    let moved = directory.path().join("mq.log.1");
    fs::rename(&log, &moved).unwrap();
    broker.signal(Signal::HUP);
    // The file is there again before lines go to it.
    reads(&log, "");
    ping();
    reads(&log, "connection accepted");
    broker.signal(Signal::TERM);
    let (status, _, said) = broker.end();
    assert!(status.success() && !said.contains("connection accepted"), "{said}");
    reads(&log, "stopped");
}

#[test]
fn a_category_of_the_log_has_a_level() {
    let (mut node, _) = configured("log.connection.level = none\n");
    assert_eq!(node.amqp(&["ping"]).0, 0);
    node.broker.signal(Signal::TERM);
    let (status, _, said) = node.broker.end();
    assert!(status.success() && said.contains("stopped"), "{said}");
    assert!(!said.contains("connection accepted"), "{said}");
}

#[test]
fn a_client_behind_a_proxy_is_known_by_its_own_address() {
    let (node, _) = configured("proxy_protocol = true\nloopback_users = none\n");
    let header = b"PROXY TCP4 10.1.2.3 10.0.0.1 4000 5672\r\n";
    let mut stream = TcpStream::connect(address(&node)).unwrap();
    stream.write_all(header).unwrap();
    let mut peer = Peer::over(stream);
    peer.greet();
    peer.send_method(0, start_ok("PLAIN", b"\0guest\0guest"));
    assert!(matches!(peer.next_method().1, Method::ConnectionTune(_)));
    drop(peer);
    let (code, said) = node.amqp(&["ping", "--timeout", "5s"]);
    assert_ne!(code, 0, "without a header nobody is let in: {said}");
    node.stop();

    let (mut node, _) = configured("proxy_protocol = true\n");
    let mut stream = TcpStream::connect(address(&node)).unwrap();
    stream.write_all(header).unwrap();
    let mut peer = Peer::over(stream);
    peer.greet();
    peer.send_method(0, start_ok("PLAIN", b"\0guest\0guest"));
    peer.end();
    node.broker.wait_for("this user may log in from the broker's own machine only");
    assert!(
        node.broker.said().contains("10.1.2.3:4000 -> 10.0.0.1:5672"),
        "{}",
        node.broker.said()
    );
    node.stop();
}

/// Declares a queue that is neither durable nor exclusive; answers whether it may.
fn may_be_transient(node: &Node) -> bool {
    let mut peer = Peer::on_channel_one(address(node));
    let declare = mq::wire::method::queue::Declare {
        queue: crate::support::queues::name("t"),
        ..Default::default()
    };
    peer.send_method(1, declare);
    let answer = peer.next_method().1;
    drop(peer);
    matches!(answer, Method::QueueDeclareOk(_))
}

#[test]
fn deprecated_features_are_permitted_one_by_one() {
    let key = "deprecated_features.permit.transient_nonexcl_queues";
    #[rustfmt::skip]
    let cases: [(&str, &[&str], bool); 4] = [
        ("",      &["--compat", "4.3"], false),
        ("true",  &["--compat", "4.3"], true),
        ("",      &[],                  true),
        ("false", &[],                  false),
    ];
    for (value, options, is_permitted) in cases {
        let line = if value.is_empty() { String::new() } else { format!("{key} = {value}\n") };
        let (node, _) = configured_with(&line, options);
        assert_eq!(may_be_transient(&node), is_permitted, "{line} {options:?}");
        let state = if is_permitted { "permitted" } else { "denied" };
        let (_, said) = node.run(&["list-deprecated-features", "name", "state"]);
        assert!(said.contains(&format!("transient_nonexcl_queues\t{state}")), "{said}");
        node.stop();
    }
}
