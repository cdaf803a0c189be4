//! What a start does with a directory that is not as it was left: a torn end is cut and told, damage and directories
//! of somebody else are refused by name, and nothing is changed then.

use std::ops::Range;
use std::path::Path;

use mq::wire::FieldTable;
use tempfile::TempDir;

use crate::support::directory::{Served, alter, bytes_of, message_files, records, serving};
use crate::support::peer::Peer;
use crate::support::queues::{bodies, persistent};
use crate::support::volume::Volume;

/// Publishes into the queue `q`, each message confirmed before the next, and kills the broker.
fn publish_and_kill(directory: &Path, bodies: &[&str]) {
    let served = Served::start(directory);
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", FieldTable::new());
    for body in bodies {
        peer.confirmed("q", &persistent(), body.as_bytes());
    }
    served.kill();
}

/// What waits in the queue `q`, which is left as it is.
fn waiting(directory: &Path) -> Vec<String> {
    let served = Served::start(directory);
    let came = Peer::on_channel_one(served.address()).drained("q");
    served.kill();
    bodies(&came).into_iter().map(|(body, _)| body).collect()
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
    let said = String::from_utf8(run.stderr).unwrap();
    let expected =
        format!("error: cannot use what is kept in {}\n{cause_and_hint}", directory.display());
    assert_eq!((said, run.status.code()), (expected, Some(69)));
    assert_eq!(without_database(), before);
}

/// Changes the bytes of a file whose last message is at this range.
type Tear = fn(&mut Vec<u8>, Range<usize>);

#[test]
fn a_torn_end_is_cut_and_told() {
    #[rustfmt::skip]
    let tears: [(&str, Tear, &str); 4] = [
        ("a byte that is not written",   |bytes, last| bytes[last.end - 1] ^= 1,
         "recovered 1 queue, 2 messages, cut {len} bytes that were never confirmed"),
        ("a file that ends too early",   |bytes, last| bytes.truncate(last.end - 1),
         "recovered 1 queue, 2 messages, cut {len} bytes that were never confirmed"),
        ("half a header",                |bytes, last| bytes[last.start + 28..last.end].fill(0),
         "recovered 1 queue, 2 messages, cut {len} bytes that were never confirmed"),
        // No record begins with it, so it is nobody's.
        ("what was there before",        |bytes, last| bytes[last.end.next_multiple_of(8)..].fill(0x55),
         "recovered 1 queue, 3 messages"),
    ];
    for (case, tear, recovered) in tears {
        let directory = TempDir::new().unwrap();
        publish_and_kill(directory.path(), &["1", "2", "3"]);
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
        publish_and_kill(directory.path(), &["4"]);
        let mut left = waiting(directory.path());
        assert_eq!(left.pop().as_deref(), Some("4"), "{case}");
        let kept = if recovered.contains("cut") { 2 } else { 3 };
        assert_eq!(left, ["1", "2", "3"][..kept], "{case}");
    }
}

#[test]
fn a_damaged_message_stops_the_start() {
    let directory = TempDir::new().unwrap();
    publish_and_kill(directory.path(), &["1", "2", "3"]);
    let file = &message_files(directory.path()).0[0];
    let second = records(file).remove(1);
    for at in [second.start, second.start + 8, second.end - 1] {
        alter(file, |bytes| bytes[at] ^= 1);
        refused(
            directory.path(),
            &format!(
                "cause: '{}' is damaged at offset {}: a message that was safe is not whole, and \
                 others follow it\n\
                 hint: nothing was changed; see what is whole with `mq store check {}`\n",
                file.display(),
                second.start,
                directory.path().display()
            ),
        );
        alter(file, |bytes| bytes[at] ^= 1);
    }
    assert_eq!(waiting(directory.path()), ["1", "2", "3"], "with the bytes put right");
}

#[test]
fn a_file_that_a_later_release_wrote_stops_the_start() {
    let directory = TempDir::new().unwrap();
    publish_and_kill(directory.path(), &["1"]);
    let file = &message_files(directory.path()).0[0];
    alter(file, |bytes| bytes[8] = 2);
    let cause = format!(
        "cause: '{}' has format 2, and this release reads up to 1\n\
         hint: run the release that wrote it, or a later one\n",
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
        "error: cannot use the data directory {}\ncause: another process runs its broker\n",
        directory.path().display()
    );
    assert_eq!((String::from_utf8(run.stderr).unwrap(), run.status.code()), (expected, Some(69)));
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
    let said = String::from_utf8(run.stderr).unwrap();
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
