//! `mq backup` of a broker at work, and `mq restore`: nothing confirmed is missing, and nothing half done is left behind.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use mq::wire::FieldTable;
use tempfile::TempDir;

use crate::support::cli::program;
use crate::support::directory::{Served, bytes_of};
use crate::support::peer::Peer;
use crate::support::queues::persistent;

/// Messages that are confirmed before the copy is asked for, and those of them that are acknowledged before it.
const BEFORE: u64 = 1500;
const ACKNOWLEDGED: u64 = 200;
/// Bytes of a body: all messages fill more than one file.
const BODY: usize = 16 << 10;

fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(BODY, b'x');
    body
}

fn local(directory: &Path, arguments: &[&str]) -> Output {
    program().env("MQ_LOCAL", directory).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_copy_of_a_broker_at_work_has_every_message_that_was_confirmed() {
    let (directory, copies) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let served = Served::start(directory.path());
    Peer::on_channel_one(served.address()).declare_durable("q", FieldTable::new());
    let (confirmed, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (backup, restored) = (copies.path().join("backup"), copies.path().join("restored"));
    let made = thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = Peer::on_channel_one(served.address()).confirming();
            for number in 0.. {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                peer.confirmed("q", &persistent(), &body(number));
                confirmed.store(number + 1, Ordering::SeqCst);
            }
        });
        let mut consumer = Peer::on_channel_one(served.address());
        consumer.consume("q", 1, false);
        for _ in 0..ACKNOWLEDGED {
            let tag = consumer.delivered().delivery_tag;
            consumer.ack(tag);
        }
        while confirmed.load(Ordering::SeqCst) < BEFORE {
            thread::yield_now();
        }
        // Its answer comes behind the acknowledgements.
        consumer.delivered();
        consumer.depth("q");
        let made = local(directory.path(), &["backup", backup.to_str().unwrap()]);
        is_over.store(true, Ordering::SeqCst);
        made
    });
    assert!(made.status.success(), "{made:?}");
    assert!(text(&made.stderr).contains("copied "), "{made:?}");
    let check = program().args(["store", "check"]).arg(&backup).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    served.stop();

    let before = bytes_of(&backup);
    let run = program().arg("restore").args([&backup, &restored]).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    assert_eq!(bytes_of(&backup), before, "a backup is only read");
    let served = Served::start(&restored);
    let left = Peer::on_channel_one(served.address()).drained("q");
    let numbers: Vec<u64> =
        left.iter().map(|came| u64::from_le_bytes(came.body[..8].try_into().unwrap())).collect();
    let end = ACKNOWLEDGED + numbers.len() as u64;
    assert!(end >= BEFORE, "{end} of {BEFORE} messages that were confirmed");
    assert_eq!(numbers, (ACKNOWLEDGED..end).collect::<Vec<_>>());
    assert!(left.iter().zip(&numbers).all(|(came, number)| came.body == body(*number)));
    served.stop();
}

#[test]
fn a_copy_has_all_definitions() {
    let (directory, copies) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (backup, restored) = (copies.path().join("backup"), copies.path().join("restored"));
    let served = Served::start(directory.path());
    for arguments in [
        &["add-vhost", "shop"][..],
        &["add-user", "ann", "secret", "--vhost", "shop"],
        &["set-permissions", "ann", "^a", "^b", "^c", "--vhost", "shop"],
        &["declare-exchange", "x", "--type", "topic"],
        &["declare-queue", "q", "--max-length", "5"],
        &["bind", "--exchange", "x", "--queue", "q", "--key", "a.#"],
        &["set-policy", "short", "^q", r#"{"max-length":3}"#],
        &["backup", backup.to_str().unwrap()],
    ] {
        let run = local(directory.path(), arguments);
        assert!(run.status.success(), "{arguments:?}: {run:?}");
    }
    let exported = |directory: &Path| text(&local(directory, &["export-definitions", "-"]).stdout);
    let before = exported(directory.path());
    served.stop();
    let run = program().arg("restore").args([&backup, &restored]).output().unwrap();
    assert!(text(&run.stderr).contains("restored 0 waiting messages in 1 queue"), "{run:?}");
    assert!(before.contains("\"short\"") && before.contains("\"ann\""), "{before}");
    assert_eq!(exported(&restored), before);
    // A queue that is declared now gets a number that none had.
    let run = local(&restored, &["declare-queue", "another"]);
    assert!(run.status.success(), "{run:?}");
}

#[test]
fn what_cannot_be_copied_is_refused_and_says_why() {
    let directory = TempDir::new().unwrap();
    let full = directory.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("mine"), "precious").unwrap();
    let full = full.to_str().unwrap();
    let data = directory.path().join("data");
    let run = local(&data, &["backup", full]);
    assert_eq!(run.status.code(), Some(65), "{run:?}");
    assert!(text(&run.stderr).contains("it is not empty"), "{run:?}");
    assert_eq!(fs::read_to_string(Path::new(full).join("mine")).unwrap(), "precious");

    // A copy that was not completed.
    let part = directory.path().join("part");
    fs::create_dir_all(part.join("messages")).unwrap();
    let to = directory.path().join("to");
    let (part, to) = (part.to_str().unwrap(), to.to_str().unwrap());
    let run = program().args(["restore", part, to]).output().unwrap();
    assert_eq!(run.status.code(), Some(69), "{run:?}");
    assert!(text(&run.stderr).contains("the copy was not completed"), "{run:?}");
    assert!(!Path::new(to).exists());

    // Nothing is written over.
    let backup = directory.path().join("backup");
    let run = local(&data, &["backup", backup.to_str().unwrap()]);
    assert!(run.status.success(), "{run:?}");
    let backup = backup.to_str().unwrap();
    let run = program().args(["restore", backup, full]).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(text(&run.stderr).contains("it is not empty"), "{run:?}");
    assert_eq!(fs::read_dir(full).unwrap().count(), 1);
}
