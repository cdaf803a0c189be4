//! `--local` as a person types it: every form of it, with every command that talks to a broker.

use std::path::Path;
use std::process::{Command, Output};

use mq::cli::Cli;
use tempfile::TempDir;

use crate::support::cli::{Running, program};

/// How the directory is named; the command's words go in between.
#[derive(Clone, Copy, Debug)]
enum Form {
    BareBefore,
    BareAfter,
    JoinedBefore,
    JoinedAfter,
    ApartBefore,
    Environment,
}

const FORMS: [Form; 6] = [
    Form::BareBefore,
    Form::BareAfter,
    Form::JoinedBefore,
    Form::JoinedAfter,
    Form::ApartBefore,
    Form::Environment,
];

/// `mq` with a command's words, on the broker of `data`/mq.
fn local(form: Form, data: &Path, words: &[&str]) -> Command {
    let mut command = program();
    command.env("XDG_DATA_HOME", data);
    let directory = data.join("mq").display().to_string();
    let joined = format!("--local={directory}");
    match form {
        Form::BareBefore => command.arg("--local").args(words),
        Form::BareAfter => command.args(words).arg("--local"),
        Form::JoinedBefore => command.arg(joined).args(words),
        Form::JoinedAfter => command.args(words).arg(joined),
        Form::ApartBefore => command.args(["--local", &directory]).args(words),
        Form::Environment => command.env("MQ_LOCAL", &directory).args(words),
    };
    command
}

fn said(run: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr))
}

/// A command, its words, and a part of what it prints; in an order in which each finds what it needs.
#[rustfmt::skip]
const COMMANDS: [(&[&str], &str); 25] = [
    (&["ping"],                                                        "answered in"),
    (&["wait", "--timeout", "20s"],                                    "answers"),
    (&["smoke"],                                                       "passed all 9 steps"),
    (&["declare-exchange", "x", "--type", "fanout"],                   "x"),
    (&["declare-queue", "q"],                                          "q"),
    (&["bind", "--exchange", "x", "--queue", "q"],                     "x"),
    (&["route", "--exchange", "x"],                                    "q"),
    (&["list-exchanges"],                                              "x\tfanout"),
    (&["list-bindings"],                                               "x"),
    (&["unbind", "--exchange", "x", "--queue", "q"],                   "x"),
    (&["delete-exchange", "x", "--yes"],                                "x"),
    (&["publish", "--queue", "q", "hi", "there"],                      "published 2 messages to queue 'q'"),
    (&["list-queues"],                                                 "q\t2"),
    (&["expect", "--queue", "q", "--messages", "2"],                   "ok: queue 'q' has 2 ready messages"),
    (&["get", "--queue", "q"],                                         "hi"),
    (&["consume", "--queue", "q", "--count", "1"],                     "there"),
    (&["purge-queue", "q", "--yes"],                                   "q"),
    (&["list-consumers"],                                              "queue"),
    (&["list-connections"],                                            "user"),
    (&["list-channels"],                                               "user"),
    (&["list-vhosts"],                                                 "/"),
    (&["status"],                                                      "queues: 1"),
    (&["bench", "--duration", "1s", "--warmup", "0s", "--rate", "50"], "published"),
    (&["tutorial", "hello", "--check"],                                "ok"),
    (&["delete-queue", "q", "--yes"],                                  "q"),
];
/// Commands that talk to a broker and need two terminals.
const IN_TWO_TERMINALS: [&str; 2] = ["rpc-call", "rpc-serve"];
/// Commands that need no broker, or are one.
const WITHOUT_A_BROKER: [&str; 9] =
    ["serve", "run", "store", "restore", "context", "install-links", "completions", "man", "help"];

#[test]
fn every_command_works_with_every_form_of_local() {
    for form in FORMS {
        let data = TempDir::new().unwrap();
        for (words, part) in COMMANDS {
            let run = local(form, data.path(), words).output().unwrap();
            let said = said(&run);
            assert_eq!(run.status.code(), Some(0), "{form:?} {words:?}: {said}");
            assert!(said.contains(part), "{form:?} {words:?}: {said}");
        }
        let mut serve =
            local(form, data.path(), &["rpc-serve", "--queue", "r", "--builtin", "fib", "-n", "1"]);
        let mut serve = Running::spawn(&mut serve, "answering the requests in queue 'r'");
        let call = local(form, data.path(), &["rpc-call", "--queue", "r", "7"]).output().unwrap();
        assert_eq!(call.stdout, b"13\n", "{form:?}: {}", said(&call));
        assert_eq!(serve.end().0.code(), Some(0), "{form:?}");
        assert!(data.path().join("mq/mq.lock").exists(), "{form:?}");
    }
}

#[test]
fn no_command_is_missing_from_the_table() {
    let named = COMMANDS.map(|(words, _)| words[0]);
    for command in Cli::definition().get_subcommands() {
        let name = command.get_name();
        // Those of administration are run by `cmd_admin_examples`.
        let is_known = named.contains(&name)
            || mq::commands::admin::is_grouped(name)
            || IN_TWO_TERMINALS.contains(&name)
            || WITHOUT_A_BROKER.contains(&name);
        assert!(is_known, "nothing shows that 'mq --local {name}' works");
    }
}

/// The words of a command may follow, under either of its names.
#[test]
fn a_bare_local_takes_no_word_of_the_command() {
    let data = TempDir::new().unwrap();
    let publish = ["--local", "publish", "--queue", "q", "hi"];
    let list = ["list_queues", "--local", "messages", "name"];
    for (words, part) in [(&publish[..], "published 1 message"), (&list[..], "1\tq\n")] {
        let run = program().env("XDG_DATA_HOME", data.path()).args(words).output().unwrap();
        assert!(run.status.success() && said(&run).contains(part), "{words:?}: {}", said(&run));
    }
}

/// It may be the directory or a body, and a message for the wrong broker would be lost.
#[test]
fn a_path_behind_local_behind_the_command_is_refused() {
    let data = TempDir::new().unwrap();
    let path = data.path().join("other").display().to_string();
    for path in [path.as_str(), "./other", "../other"] {
        let words = ["publish", "--queue", "q", "--local", path];
        let run = program().env("XDG_DATA_HOME", data.path()).args(words).output().unwrap();
        assert_eq!(run.status.code(), Some(64), "{path}: {}", said(&run));
        assert!(said(&run).contains(&format!("write '--local={path}'")), "{}", said(&run));
    }
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "nothing was made");
}

/// A Unix socket has 107 bytes for its path; a link has a short one.
#[test]
fn a_directory_too_deep_for_sockets_is_refused_and_its_link_is_not() {
    let data = TempDir::new().unwrap();
    let deep = data.path().join("d".repeat(120));
    let local = format!("--local={}", deep.display());
    let run = program().args(["list-queues", &local]).output().unwrap();
    assert_eq!(run.status.code(), Some(64), "{}", said(&run));
    assert!(said(&run).contains("bytes too long for the sockets in it"), "{}", said(&run));
    assert!(!deep.exists());
    std::fs::create_dir(&deep).unwrap();
    std::os::unix::fs::symlink(&deep, data.path().join("l")).unwrap();
    let local = format!("--local={}", data.path().join("l").display());
    let run = program().args(["list-queues", &local]).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
}

/// Of a variable that is not set nothing is left behind the sign.
#[test]
fn an_empty_directory_is_refused() {
    let data = TempDir::new().unwrap();
    let words = ["list-queues", "--local="];
    let run = program().env("XDG_DATA_HOME", data.path()).args(words).output().unwrap();
    assert_eq!(run.status.code(), Some(64), "{}", said(&run));
    assert!(said(&run).contains("a value is required for '--local"), "{}", said(&run));
}
