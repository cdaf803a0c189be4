//! The end of a running node and its reset, as a person types them.

use rustix::process::Signal;
use tempfile::TempDir;

use super::cmd_operation::{Node, said};
use crate::support::cli::program;

#[test]
fn a_node_that_is_asked_to_stop_answers_and_ends_in_order() {
    let mut node = Node::start(&[]);
    assert_eq!(node.amqp(&["publish", "--queue", "q", "kept"]).0, 0);
    let (code, said) = node.ctl(&["stop"]);
    assert!(code == 0 && said.starts_with("Stopping and halting node "), "{code} {said}");
    let (status, _, logged) = node.broker.end();
    assert!(status.success() && logged.contains("stopped"), "{logged}");
    assert_eq!(node.ctl(&["stop"]).0, 69);
    let (code, said) = node.ctl(&["stop", "--idempotent"]);
    assert!(code == 0 && said.contains("is no longer running"), "{code} {said}");
    let node = Node::start_in(node.directory, &[]);
    let (code, said) = node.amqp(&["get", "--queue", "q"]);
    assert!(code == 0 && said.contains("kept"), "{code} {said}");
    node.stop();
}

/// The process may have the directory again at once, as often as one likes.
#[test]
fn a_shutdown_ends_when_the_node_has_ended() {
    let mut directory = TempDir::new().unwrap();
    for _ in 0..5 {
        let mut node = Node::start_in(directory, &[]);
        let (code, said) = node.ctl(&["shutdown"]);
        let is_told = said.starts_with("Shutting down RabbitMQ node ")
            && said.contains("\nWaiting for PID ")
            && said.ends_with("successfully shut down\n");
        assert!(code == 0 && is_told, "{code} {said}");
        directory = std::mem::replace(&mut node.directory, TempDir::new().unwrap());
        let local = format!("--local={}", directory.path().display());
        let (code, said) = said_by(&["list-queues", &local]);
        assert_eq!(code, 0, "nobody else has the directory: {said}");
        assert!(node.broker.end().0.success());
    }
}

#[test]
fn a_node_is_stopped_by_its_data_directory() {
    let mut node = Node::start(&[]);
    let local = format!("--local={}", node.directory.path().display());
    let (code, said) = said_by(&["shutdown", &local]);
    assert!(code == 0 && said.contains("the node has stopped"), "{code} {said}");
    assert!(node.broker.end().0.success());
    let (code, said) = said_by(&["stop", &local]);
    assert!(code == 0 && said.contains("nothing to stop"), "{code} {said}");
}

fn said_by(arguments: &[&str]) -> (i32, String) {
    said(program().args(arguments))
}

/// Makes one of everything that a reset deletes.
fn fill(node: &Node) {
    #[rustfmt::skip]
    let commands: [&[&str]; 6] = [
        &["add-vhost", "v"],
        &["add-user", "u", "p"],
        &["set-permissions", "u", ".*", ".*", ".*"],
        &["set-policy", "p", ".*", "{\"max-length\":5}"],
        &["set-global-parameter", "g", "1"],
        &["set-cluster-name", "other"],
    ];
    for command in commands {
        let (code, said) = node.run(command);
        assert_eq!(code, 0, "{command:?}: {said}");
    }
    assert_eq!(node.amqp(&["declare-exchange", "x"]).0, 0);
    assert_eq!(node.amqp(&["publish", "--queue", "q", "gone"]).0, 0);
}

/// What is there besides the things that every new broker has.
fn contents(node: &Node) -> String {
    let mut all = String::new();
    for list in [
        "list-queues",
        "list-vhosts",
        "list-users",
        "list-policies",
        "list-global-parameters",
        "list-exchanges",
    ] {
        let (code, said) = node.run(&[list, "-s", "-o", "table"]);
        assert_eq!(code, 0, "{list}: {said}");
        all += &said;
    }
    all
}

#[test]
fn a_reset_brings_back_a_new_node_for_good() {
    let node = Node::start(&["--default-user", "first", "--default-pass", "secret"]);
    let with_login = |node: &mut Node| {
        node.http = node.http.replace("//", "//first:secret@");
        node.url = node.url.replace("//", "//first:secret@");
    };
    let mut node = node;
    with_login(&mut node);
    let new = contents(&node);
    fill(&node);
    assert_ne!(contents(&node), new);
    let (code, said) = node.ctl(&["reset"]);
    let words = "Error: this command requires the 'rabbit' app to be stopped on the target node. Stop it with \
                 'rabbitmqctl stop_app'.\nArguments given:\n\treset ";
    assert!(code == 64 && said.starts_with(words) && said.contains("\n\nUsage\n"), "{code} {said}");
    assert_eq!(node.ctl(&["stop_app"]).0, 0);
    let (code, said) = node.ctl(&["reset"]);
    assert!(code == 0 && said.starts_with("Resetting node "), "{code} {said}");
    let (code, said) = node.ctl(&["force_reset", "-q"]);
    assert!(code == 0 && said.is_empty(), "{code} {said}");
    assert_eq!(node.ctl(&["start_app"]).0, 0);
    let identity = |text: String| {
        let is_identity = |line: &&str| !line.contains("cluster");
        text.lines().filter(is_identity).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(identity(contents(&node)), identity(new.clone()));
    assert_eq!(node.amqp(&["publish", "--queue", "q", "new"]).0, 0, "it is in use again");
    node.broker.signal(Signal::KILL);
    node.broker.end();
    let mut node = Node::start_in(node.directory, &[]);
    with_login(&mut node);
    assert!(node.run(&["list-queues", "-s"]).1.contains("q\t1"), "nothing else is in it");
    let (code, said) = node.amqp(&["get", "--queue", "q"]);
    assert!(code == 0 && said.contains("new") && !said.contains("gone"), "{code} {said}");
    assert_eq!(node.amqp(&["delete-queue", "q", "--yes"]).0, 0);
    assert_eq!(identity(contents(&node)), identity(new));
    node.stop();
}

#[test]
fn only_administrators_stop_and_reset_a_node() {
    let mut node = Node::start(&[]);
    assert_eq!(node.run(&["add-user", "watcher", "w"]).0, 0);
    assert_eq!(node.run(&["set-user-tags", "watcher", "monitoring"]).0, 0);
    let http = node.http.clone();
    node.http = http.replace("//", "//watcher:w@");
    for command in ["stop", "shutdown", "reset", "force-reset"] {
        let (code, said) = node.run(&[command]);
        assert!(code == 77 && said.contains("Not administrator user"), "{command}: {code} {said}");
    }
    node.http = http;
    assert_eq!(node.amqp(&["ping"]).0, 0);
    node.stop();
}

/// Both addresses are named, as in a shell that has worked with the node before.
#[test]
fn a_drained_node_answers_questions() {
    let node = Node::start(&[]);
    assert_eq!(node.amqp(&["publish", "--queue", "q", "here"]).0, 0);
    let both = |arguments: &[&str]| {
        let mut command = program();
        said(command.args(arguments).env("MQ_URL", &node.url).env("MQ_HTTP_URL", &node.http))
    };
    assert!(!both(&["list-queues"]).1.contains("asked alone"));
    assert_eq!(both(&["drain"]).0, 0);
    for command in ["list-queues", "list_users", "report"] {
        let (code, said) = both(&[command]);
        assert!(code == 0 && said.contains("is asked alone"), "{command}: {code} {said}");
    }
    assert!(both(&["list-queues", "--quiet"]).1.ends_with("q\t1\n"));
    assert_eq!(both(&["publish", "--queue", "q", "refused"]).0, 69);
    assert_eq!(both(&["revive"]).0, 0);
    assert_eq!(both(&["ping"]).0, 0);
    node.stop();
}
