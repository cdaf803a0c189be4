//! `mq store check`: what a stopped directory holds, and what is wrong with one that is not whole.

use std::fs;
use std::path::Path;

use mq::engine::{Engine, Target, TargetOptions};
use tempfile::TempDir;

use crate::support::cli::{Case, program};
use crate::support::directory::{alter, bytes_of, message_files, records};

/// Runs commands on the broker of a directory, one after the other; it stops after each.
fn prepare(directory: &Path, commands: &[&[&str]]) {
    for arguments in commands {
        let run = program().env("MQ_LOCAL", directory).args(*arguments).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {run:?}");
    }
}

#[test]
fn a_whole_directory_is_counted_and_left_alone() {
    let directory = TempDir::new().unwrap();
    prepare(
        directory.path(),
        &[
            &["declare-exchange", "x", "--type", "topic"],
            &["declare-queue", "q"],
            &["declare-queue", "deleted"],
            &["declare-queue", "gone", "--transient"],
            &["bind", "--exchange", "x", "--queue", "q", "--key", "a"],
            &["publish", "--routing-key", "q", "1", "2", "3"],
            &["publish", "--routing-key", "deleted", "4"],
            &["publish", "--routing-key", "q", "--transient", "5"],
            &["get", "--queue", "q"],
        ],
    );
    let before = bytes_of(directory.path());
    let path = directory.path().to_str().unwrap();
    // Whether a further file was made ready before the broker stopped is a matter of time.
    let free = message_files(directory.path()).1;
    let stdout = "\
vhosts: 1
users: 1
exchanges: 1
queues: 2
bindings: 1
files: 1
free files: {free}
records: 4
waiting messages: 3
  in queue 'deleted': 1
  in queue 'q': 2
messages of deleted queues: 0
damaged messages: 0
copies of damaged messages: 0
broken marks: 0
broken indexes: 0
"
    .replace("{free}", &free.to_string());
    Case { arguments: &["store", "check", path], stdout: &stdout, ..Case::default() }.alone();
    let stdout = format!(
        "{{\"vhosts\":1,\"users\":1,\"exchanges\":1,\"queues\":2,\"bindings\":1,\
                  \"files\":1,\"free_files\":{free},\"records\":4,\"waiting_messages\":3,\"waiting\":[\
                  {{\"vhost\":\"/\",\"queue\":\"deleted\",\"messages\":1}},\
                  {{\"vhost\":\"/\",\"queue\":\"q\",\"messages\":2}}],\
                  \"messages_of_deleted_queues\":0,\
                  \"damaged_messages\":0,\"damaged\":[],\"copies_of_damaged_messages\":0,\
                  \"broken_marks\":0,\"broken_indexes\":0}}\n"
    );
    Case { arguments: &["store", "check", path, "-o", "json"], stdout: &stdout, ..Case::default() }
        .alone();
    assert_eq!(bytes_of(directory.path()), before);
}

/// Of the message that was acknowledged nothing is said.
#[test]
fn what_is_not_as_it_was_written_is_told_and_the_exit_code_is_1() {
    let directory = TempDir::new().unwrap();
    let publish = ["publish", "--routing-key", "q", "1", "2"];
    prepare(directory.path(), &[&["declare-queue", "q"], &publish, &["get", "--queue", "q"]]);
    let (files, free) = message_files(directory.path());
    let file = &files[0];
    let [first, last] = [records(file).remove(0), records(file).remove(1)];
    alter(file, |bytes| bytes[last.end - 1] ^= 1);
    alter(file, |bytes| bytes[first.end - 1] ^= 1);
    alter(&file.with_extension("marks"), |bytes| bytes.extend([1; 20]));
    // One that names another file is left from an earlier use of this one, and is not broken.
    let number = &fs::read(file).unwrap()[16..20];
    fs::write(file.with_extension("index"), [b"not an index", number].concat()).unwrap();
    let before = bytes_of(directory.path());
    let stdout = format!(
        "vhosts: 1\nusers: 1\nexchanges: 0\nqueues: 1\nbindings: 0\nfiles: 1\nfree files: {free}\nrecords: 0\n\
         waiting messages: 0\nmessages of deleted queues: 0\ndamaged messages: 1\n  \
         '{}' at offset {}: {} bytes, queue 'q' in vhost '/', may have been confirmed; \
         changed on the disk after it was synced; a start copies it aside\n\
         copies of damaged messages: 0\nbroken marks: 2\nbroken indexes: 1\n",
        file.display(),
        last.start,
        last.len()
    );
    let stderr = "error: 1 damaged message; 2 broken marks; 1 broken index\n";
    let path = directory.path().to_str().unwrap();
    let arguments = &["store", "check", path];
    Case { arguments, stdout: &stdout, stderr, code: 1, ..Case::default() }.alone();
    assert_eq!(bytes_of(directory.path()), before);
}

/// Nobody would know whose the messages are, and a start would drop them.
#[test]
fn messages_without_definitions_are_refused() {
    let directory = TempDir::new().unwrap();
    let publish = ["publish", "--routing-key", "q", "1"];
    prepare(directory.path(), &[&["declare-queue", "q"], &publish]);
    fs::remove_file(directory.path().join("definitions.redb")).unwrap();
    let before = bytes_of(directory.path());
    let path = directory.path().to_str().unwrap();
    let refused = format!(
        "error: cannot use the data in {path}\n\
         cause: cannot find '{path}/definitions.redb'\ncause: there are messages of its queues\n"
    );
    let local = format!("--local={path}");
    for (arguments, code) in [(&["store", "check", path][..], 1), (&["list-queues", &local], 69)] {
        let case = Case { arguments, stderr: &refused, code, ..Case::default() };
        case.alone();
        assert_eq!(bytes_of(directory.path()), before);
    }
}

/// With an index beside the file a broker does not read the message when it starts.
#[test]
fn a_damaged_message_that_is_found_at_its_delivery_is_told() {
    let directory = TempDir::new().unwrap();
    let publish: [&[&str]; 3] = [
        &["declare-queue", "q"],
        &["publish", "--routing-key", "q", "1"],
        &["publish", "--routing-key", "q", "2"],
    ];
    prepare(directory.path(), &publish);
    let file = &message_files(directory.path()).0[0];
    let first = records(file).remove(0);
    alter(file, |bytes| bytes[first.end - 1] ^= 1);
    let path = directory.path().to_str().unwrap();
    let run = program().args(["store", "check", path, "-o", "json"]).output().unwrap();
    let error: serde_json::Value = serde_json::from_slice(&run.stderr).unwrap();
    assert_eq!((error["error"].as_str(), run.status.code()), (Some("1 damaged message"), Some(1)));
    let said: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let expected = serde_json::json!([{
        "file": file,
        "offset": first.start,
        "bytes": first.len(),
        "queues": [{"vhost": "/", "queue": "q"}],
        "cause": "changed on the disk after it was synced",
        "found": "delivery",
    }]);
    assert_eq!((&said["damaged"], &said["waiting_messages"]), (&expected, &1.into()));
}

#[test]
fn a_directory_that_is_no_store_is_refused() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("notes.txt"), "nothing of ours").unwrap();
    let path = directory.path().to_str().unwrap();
    let stderr = format!(
        "error: cannot use the data directory {path}\n\
         cause: it is not a broker's data directory: there is no file 'format'\n"
    );
    let arguments = &["store", "check", path];
    Case { arguments, stderr: &stderr, code: 69, ..Case::default() }.alone();
    assert_eq!(bytes_of(directory.path()).len(), 1, "nothing was made there");
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
    assert!(said.starts_with("error: cannot use the data in "), "{said}");
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
            "error: cannot use the data directory {path}\ncause: another process runs the broker of this directory\n"
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
