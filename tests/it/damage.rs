//! What a start does with a directory that is not as it was left: a damaged message is told and copied aside, and all others
//! are delivered. Directories without which nothing can be read, or of somebody else, are refused by name, and nothing is
//! changed then.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mq::wire::FieldTable;
use mq::wire::method::queue;
use tempfile::TempDir;

use crate::support::cli::program;
use crate::support::directory::{Served, alter, bytes_of, message_files, records, serving};
use crate::support::peer::Peer;
use crate::support::queues::{bodies, name, persistent, write_publish};
use crate::support::volume::Volume;

/// What waits in the queue `q`, which is left as it is.
fn waiting(directory: &Path) -> Vec<String> {
    let served = Served::start(directory);
    let came = Peer::on_channel_one(served.address()).drained("q");
    served.kill();
    bodies(&came).into_iter().map(|(body, _)| body).collect()
}

/// What was said on stderr beside the log, whose one line is that the broker is starting.
fn without_log(stderr: Vec<u8>) -> String {
    let said = String::from_utf8(stderr).unwrap();
    let (log, rest) = said.split_once('\n').unwrap();
    assert!(log.contains(" INFO mq "), "{said}");
    rest.to_owned()
}

/// Starts a broker that must not start: it says this, and leaves every file as it is. The database of definitions may
/// have put itself in order after a kill, which changes none of them.
fn refused(directory: &Path, cause_and_hint: &str) {
    let without_database = || {
        let mut bytes = bytes_of(directory);
        assert!(bytes.remove(&directory.join("definitions.redb")).is_some());
        bytes
    };
    let before = without_database();
    let run = serving(directory).output().unwrap();
    let said = without_log(run.stderr);
    let expected =
        format!("error: cannot use the data in {}\n{cause_and_hint}", directory.display());
    assert_eq!((said, run.status.code()), (expected, Some(69)));
    assert_eq!(without_database(), before);
}

/// Which byte of a record is changed.
type Where = fn(&Range<usize>) -> usize;

/// How a broker ended before its directory was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Stopped,
    Killed,
    /// Killed when its log had been idle.
    Idle,
}

/// Publishes into the queue `q`, each message confirmed before the next, and ends the broker.
fn publish_and_leave(directory: &Path, bodies: &[&str], left: Left) {
    let mut served = Served::start_telling(directory);
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", FieldTable::new());
    for body in bodies {
        peer.confirmed("q", &persistent(), body.as_bytes());
    }
    match left {
        Left::Stopped => served.stop(),
        Left::Killed => served.kill(),
        Left::Idle => {
            served.wait_for("all its messages are synced");
            served.kill();
        }
    }
}

/// What `mq store check` prints, and its exit code.
fn checked(directory: &Path) -> (String, String, Option<i32>) {
    let run = program().args(["store", "check"]).arg(directory).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(run.stdout), text(run.stderr), run.status.code())
}

/// The copies of damaged messages.
fn copies(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join("messages")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "damaged")).collect()
}

/// Damages a message that was confirmed: all others are delivered; it is told by check and broker, and copied aside once.
fn one_damaged(left: Left, nth: usize, place: &str, at: Where) {
    let case = format!("{left:?}, message {nth}, {place}");
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    publish_and_leave(directory, &["0", "1", "2", "3", "4"], left);
    let file = &message_files(directory).0[0];
    let record = records(file).remove(nth);
    alter(file, |bytes| bytes[at(&record)] ^= 1 << 3);
    let damaged = fs::read(file).unwrap()[record.clone()].to_vec();

    let before = bytes_of(directory);
    let (stdout, stderr, code) = checked(directory);
    assert_eq!((&*stderr, code), ("error: 1 damaged message\n", Some(1)), "{case}: {stdout}");
    let named = format!("'{}' at offset {}: ", file.display(), record.start);
    assert!(stdout.contains(&named), "{case}: {stdout}");
    assert!(stdout.contains("may have been confirmed"), "{case}: {stdout}");
    assert!(stdout.contains("waiting messages: 4\n"), "{case}: {stdout}");
    // Of the last message of a log that was not idle, nothing else tells whether it was synced.
    let may_be_torn = left == Left::Killed && nth == 4;
    assert_eq!(stdout.contains("not completely written"), may_be_torn, "{case}: {stdout}");
    assert_eq!(bytes_of(directory), before, "{case}");

    let mut served = Served::start(directory);
    let delivered = bodies(&Peer::on_channel_one(served.address()).drained("q"));
    let mut others = vec!["0", "1", "2", "3", "4"];
    others.remove(nth);
    let delivered: Vec<&str> = delivered.iter().map(|(body, _)| &**body).collect();
    assert_eq!(delivered, others, "{case}");
    served.wait_for("it may have been confirmed");
    let line = served.said().lines().find(|line| line.contains("it may have been confirmed"));
    let line = line.unwrap().to_owned();
    let offset = record.start.to_string();
    let copy = copies(directory).pop().unwrap();
    for told in [file.to_str().unwrap(), &offset, copy.to_str().unwrap(), "ERROR"] {
        assert!(line.contains(told), "{case}: {line}");
    }
    let copied = fs::read(&copy).unwrap();
    assert!(copied.starts_with(&damaged), "{case}: {} bytes", copied.len());
    served.stop();

    let written = fs::metadata(&copy).unwrap().modified().unwrap();
    assert_eq!(checked(directory).2, Some(0), "{case}");
    publish_and_leave(directory, &["5"], Left::Killed);
    let mut served = Served::start(directory);
    let delivered = bodies(&Peer::on_channel_one(served.address()).drained("q"));
    assert_eq!(delivered.last().map(|(body, _)| &**body), Some("5"), "{case}");
    served.wait_for("listening on");
    assert!(!served.said().contains("damaged"), "{case}: {}", served.said());
    served.stop();
    assert_eq!(copies(directory), std::slice::from_ref(&copy), "{case}");
    assert_eq!(fs::metadata(&copy).unwrap().modified().unwrap(), written, "{case}");
}

/// Damages one message after the other, in one directory each.
fn each_damaged(left: Left) {
    #[rustfmt::skip]
    let places: [(&str, Where); 6] = [
        ("the checksum",    |record| record.start),
        ("the length",      |record| record.start + 8),
        ("the sequence",    |record| record.start + 24),
        ("the first slot",  |record| record.start + 61),
        ("the queue",       |record| record.start + 64),
        ("the last byte",   |record| record.end - 1),
    ];
    for (nth, (place, at)) in (0..).step_by(2).zip(places) {
        one_damaged(left, nth % 6, place, at);
        one_damaged(left, (nth + 4) % 6, place, at);
    }
}

#[test]
fn a_message_that_is_damaged_after_a_stop_is_told_and_all_others_are_delivered() {
    each_damaged(Left::Stopped);
}

#[test]
fn a_message_that_is_damaged_after_a_kill_is_told_and_all_others_are_delivered() {
    each_damaged(Left::Killed);
}

#[test]
fn a_message_that_is_damaged_when_the_log_was_idle_is_told_and_all_others_are_delivered() {
    each_damaged(Left::Idle);
}

/// What had been settled stays so behind a damaged message whose header does not say any more how many queues it had.
#[test]
fn acknowledged_messages_behind_a_damaged_one_do_not_come_back() {
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    for queue in ["p", "q", "r"] {
        peer.declare_durable(queue, FieldTable::new());
        let (queue, exchange) = (name(queue), name("amq.fanout"));
        peer.call(queue::Bind { queue, exchange, ..Default::default() });
    }
    for body in ["0", "1", "2", "3"] {
        let mut bytes = Vec::new();
        write_publish(&mut bytes, ("amq.fanout", ""), &persistent(), body.as_bytes());
        peer.send(&bytes);
        peer.next_method();
    }
    assert_eq!(bodies(&peer.drained("q")).len(), 4);
    assert_eq!(bodies(&peer.drained("r")).len(), 4);
    served.stop();
    let file = &message_files(directory.path()).0[0];
    fs::remove_file(file.with_extension("index")).unwrap();
    let second = records(file).remove(1);
    alter(file, |bytes| bytes[second.start + 56] ^= 1);
    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address());
    let left = |queue, peer: &mut Peer| -> Vec<String> {
        bodies(&peer.drained(queue)).into_iter().map(|(body, _)| body).collect()
    };
    assert_eq!(left("p", &mut peer), ["0", "2", "3"]);
    assert!(left("q", &mut peer).is_empty());
    assert!(left("r", &mut peer).is_empty());
    served.stop();
}

/// Changes the bytes of a file whose last message is at this range.
type Tear = fn(&mut Vec<u8>, Range<usize>);

#[test]
fn a_torn_end_is_told_and_what_was_there_before_is_not() {
    let copied = "recovered 1 queue, 2 messages; copied {len} damaged bytes aside, whose messages may have been confirmed";
    #[rustfmt::skip]
    let tears: [(&str, Tear, &str); 4] = [
        ("a byte that is not written",   |bytes, last| bytes[last.end - 1] ^= 1, copied),
        ("a file that ends too early",   |bytes, last| bytes.truncate(last.end - 1), copied),
        ("half a header",                |bytes, last| bytes[last.start + 28..last.end].fill(0), copied),
        // No record begins with it, so it is of an earlier use of the file.
        ("what was there before",        |bytes, last| bytes[last.end.next_multiple_of(8)..].fill(0x55),
         "recovered 1 queue, 3 messages"),
    ];
    for (case, tear, recovered) in tears {
        let directory = TempDir::new().unwrap();
        publish_and_leave(directory.path(), &["1", "2", "3"], Left::Killed);
        let file = &message_files(directory.path()).0[0];
        let last = records(file).pop().unwrap();
        alter(file, |bytes| tear(bytes, last.clone()));
        let served = Served::start(directory.path());
        assert_eq!(
            served.recovered(),
            recovered.replace("{len}", &last.len().to_string()),
            "{case}"
        );
        served.kill();
        publish_and_leave(directory.path(), &["4"], Left::Killed);
        let mut left = waiting(directory.path());
        assert_eq!(left.pop().as_deref(), Some("4"), "{case}");
        let kept = if recovered.contains("copied") { 2 } else { 3 };
        assert_eq!(left, ["1", "2", "3"][..kept], "{case}");
    }
}

/// Without its header nothing can be read from a file.
#[test]
fn a_damaged_file_header_stops_the_start() {
    let directory = TempDir::new().unwrap();
    publish_and_leave(directory.path(), &["1", "2", "3"], Left::Killed);
    let file = &message_files(directory.path()).0[0];
    for at in [0, 12, 16, 20, 24] {
        alter(file, |bytes| bytes[at] ^= 1);
        let cause = format!(
            "cause: '{}' is damaged at offset 0: its header is not that of a message file\n",
            file.display()
        );
        let hint = format!(
            "hint: nothing was changed; `mq store repair {}` copies the damaged bytes aside and keeps what is whole\n",
            directory.path().display()
        );
        refused(directory.path(), &format!("{cause}{hint}"));
        let error =
            format!("error: cannot use the data in {}\n{cause}", directory.path().display());
        assert_eq!(checked(directory.path()), (String::new(), error, Some(1)));
        alter(file, |bytes| bytes[at] ^= 1);
    }
    assert_eq!(waiting(directory.path()), ["1", "2", "3"], "with the bytes put right");
}

#[test]
fn a_file_that_a_later_release_wrote_stops_the_start() {
    let directory = TempDir::new().unwrap();
    publish_and_leave(directory.path(), &["1"], Left::Killed);
    let file = &message_files(directory.path()).0[0];
    alter(file, |bytes| {
        bytes[8] = 3;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..20]), &bytes[24..28]);
        bytes[20..24].copy_from_slice(&checksum.to_le_bytes());
    });
    let cause = format!(
        "cause: '{}' has format 3, and this release reads up to 2\n\
         hint: run the release of mq that wrote it, or a later one\n",
        file.display()
    );
    refused(directory.path(), &cause);
}

#[test]
fn a_directory_has_one_broker() {
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path());
    let before = bytes_of(directory.path());
    let run = serving(directory.path()).output().unwrap();
    let expected = format!(
        "error: cannot use the data directory {}\ncause: another process runs the broker of this directory\n",
        directory.path().display()
    );
    assert_eq!((without_log(run.stderr), run.status.code()), (expected, Some(69)));
    assert_eq!(bytes_of(directory.path()), before);
    Peer::on_channel_one(served.address());
    served.stop();
}

#[test]
fn a_directory_that_cannot_be_written_stops_the_start() {
    let Some(mut volume) = Volume::new("48m") else { return };
    let served = Served::start_on(&volume);
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", FieldTable::new());
    peer.confirmed("q", &persistent(), b"1");
    served.stop();
    volume.remount("ro");
    let run = volume.enter(&serving(volume.path())).output().unwrap();
    let said = without_log(run.stderr);
    let path = volume.path().display();
    let expected = format!(
        "error: cannot use the data directory {path}\ncause: Read-only file system (os error 30)\n"
    );
    assert_eq!((said, run.status.code()), (expected, Some(69)));
    volume.remount("rw");
    let served = Served::start_on(&volume);
    assert_eq!(served.recovered(), "recovered 1 queue, 1 message");
    served.stop();
}
