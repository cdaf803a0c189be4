//! `mq store check`: what a stopped directory holds, and what is wrong with one that is not whole.

use std::fs;
use std::path::Path;

use mq::engine::{Engine, Target, TargetOptions};
use tempfile::TempDir;

use crate::support::cli::{Case, program};

/// Runs commands on the broker of a directory, one after the other; it stops after each.
fn prepare(directory: &Path, commands: &[&[&str]]) {
    for arguments in commands {
        let run = program().env("MQ_LOCAL", directory).args(*arguments).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {run:?}");
    }
}

fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn a_whole_directory_is_counted_and_left_alone() {
    let directory = TempDir::new().unwrap();
    prepare(
        directory.path(),
        &[
            &["declare-exchange", "x", "--type", "topic"],
            &["declare-queue", "q"],
            &["declare-queue", "gone", "--transient"],
            &["bind", "--exchange", "x", "--queue", "q", "--key", "a"],
        ],
    );
    let before = names(directory.path());
    let path = directory.path().to_str().unwrap();
    let stdout = "vhosts: 1\nusers: 1\nexchanges: 1\nqueues: 1\nbindings: 1\n";
    Case { arguments: &["store", "check", path], stdout, ..Case::default() }.alone();
    let stdout = "{\"vhosts\":1,\"users\":1,\"exchanges\":1,\"queues\":1,\"bindings\":1}\n";
    Case { arguments: &["store", "check", path, "-o", "json"], stdout, ..Case::default() }.alone();
    assert_eq!(names(directory.path()), before);
}

#[test]
fn what_is_damaged_is_named() {
    let directory = TempDir::new().unwrap();
    prepare(directory.path(), &[&["declare-queue", "q"]]);
    let file = directory.path().join("definitions.redb");
    let mut bytes = fs::read(&file).unwrap();
    bytes[..4096].fill(0x55);
    fs::write(&file, bytes).unwrap();
    let run = program().args(["store", "check"]).arg(directory.path()).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.starts_with("error: cannot use what is kept in "), "{said}");
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    assert_eq!((run.status.code(), run.stdout.len()), (Some(1), 0));
}

#[test]
fn a_directory_in_use_or_missing_is_not_looked_at() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_str().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let host = runtime.block_on(async {
        let local = Some(Some(directory.path().to_owned()));
        let options = TargetOptions { local, ..TargetOptions::default() };
        Engine::open(Target::resolve(options, |_| None).unwrap()).await.unwrap()
    });
    Case {
        arguments: &["store", "check", path],
        code: 69,
        stderr: &format!(
            "error: cannot use the data directory {path}\ncause: another process runs its broker\n"
        ),
        ..Case::default()
    }
    .alone();
    runtime.block_on(host.close()).unwrap();
    let nowhere = directory.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    Case {
        arguments: &["store", "check", nowhere],
        code: 69,
        stderr: &format!(
            "error: cannot use the data directory {nowhere}\n\
             cause: No such file or directory (os error 2)\n"
        ),
        ..Case::default()
    }
    .alone();
}
