//! `--local` on a running broker: the account that runs it needs no password, and another one does.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::cmd_operation::{Node, said};
use crate::support::cli::program;

/// An account that is not that of the tests.
const NOBODY: u32 = 65534;

/// A broker whose first user is not `guest`.
fn with_login() -> Node {
    Node::start(&["--default-user", "first", "--default-pass", "secret"])
}

fn local(node: &Node, arguments: &[&str]) -> Command {
    let mut command = program();
    command.arg(format!("--local={}", node.directory.path().display())).args(arguments);
    command
}

#[test]
fn the_owner_of_a_data_directory_needs_no_password() {
    let node = with_login();
    let works = |arguments: &[&str], words: &str| {
        let (code, said) = said(&mut local(&node, arguments));
        assert!(code == 0 && said.contains(words), "{arguments:?}: {code} {said}");
    };
    works(&["publish", "--queue", "q", "hello"], "published");
    works(&["list-queues"], "q\t1");
    works(&["get", "--queue", "q"], "hello");
    works(&["list-connections", "user"], "user");
    works(&["add-user", "other", "p"], "other");
    works(&["set-user-tags", "other", "administrator"], "other");
    works(&["authenticate-user", "first", "secret"], "");
    let (code, told) = said(&mut local(&node, &["authenticate-user", "first", "guest"]));
    assert!(code != 0, "a password that is named is checked: {told}");
    // Without its first user the broker has another administrator.
    works(&["delete-user", "first"], "first");
    works(&["list-users"], "other\tadministrator");
    works(&["delete-user", "other"], "other");
    let (code, told) = said(&mut local(&node, &["list-users"]));
    assert_eq!(code, 77, "there is no administrator: {told}");
    node.stop();
}

/// The status line of an answer to a request without a login.
fn asked_without_a_login(socket: &Path) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(b"GET /api/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_socket_tells_who_its_owner_is() {
    let node = with_login();
    let answer = asked_without_a_login(&node.directory.path().join("mq-http.sock"));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"first\""), "{answer}");
    node.stop();
}

/// Only root may run a program as somebody else.
#[test]
fn another_account_is_asked_for_a_password() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let node = with_login();
    let directory = node.directory.path();
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    for socket in ["mq.sock", "mq-http.sock"] {
        fs::set_permissions(directory.join(socket), Permissions::from_mode(0o777)).unwrap();
    }
    // The program itself may lie where nobody else can read it.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("mq");
    fs::copy(env!("CARGO_BIN_EXE_mq"), &copy).unwrap();
    let other = |arguments: &[&str]| {
        let mut command = Command::new(&copy);
        command.env_clear().current_dir("/").uid(NOBODY).gid(NOBODY);
        command.arg(format!("--local={}", directory.display())).args(arguments);
        said(&mut command)
    };
    for command in [&["list-queues"][..], &["publish", "--queue", "q", "refused"], &["stop"]] {
        let (code, told) = other(command);
        assert!(code == 77, "{command:?}: {code} {told}");
    }
    assert!(other(&["list-queues"]).1.contains("401"), "{:?}", other(&["list-queues"]));
    let (code, told) = said(&mut local(&node, &["add-user", "guest", "guest"]));
    assert_eq!(code, 0, "{told}");
    assert_eq!(said(&mut local(&node, &["set-user-tags", "guest", "monitoring"])).0, 0);
    assert_eq!(said(&mut local(&node, &["set-permissions", "guest", "", "", ""])).0, 0);
    let (code, told) = other(&["list-queues"]);
    assert_eq!(code, 0, "as with any other address, guest logs in with its password: {told}");
    node.stop();
}
