//! `mq store repair`: what a broker must not do by itself when it starts; everything that is whole is delivered after it.

use std::fs;
use std::path::{Path, PathBuf};

use mq::wire::FieldTable;
use tempfile::TempDir;

use crate::support::cli::{Case, program};
use crate::support::directory::{Served, alter, bytes_of, message_files, records, serving};
use crate::support::peer::Peer;
use crate::support::queues::{bodies, persistent};

/// Publishes into the queue `q`, has the first message acknowledged, and kills the broker.
fn publish_and_kill(directory: &Path) {
    let served = Served::start(directory);
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", FieldTable::new());
    for body in ["0", "1", "2", "3"] {
        peer.confirmed("q", &persistent(), body.as_bytes());
    }
    served.stop();
    let run = program().env("MQ_LOCAL", directory).args(["get", "--queue", "q"]).output().unwrap();
    assert!(run.status.success(), "{run:?}");
}

fn delivered(directory: &Path) -> Vec<String> {
    let served = Served::start(directory);
    let came = Peer::on_channel_one(served.address()).drained("q");
    served.stop();
    bodies(&came).into_iter().map(|(body, _)| body).collect()
}

fn store(action: &str, directory: &Path) -> (String, Option<i32>) {
    let run = program().args(["store", action]).arg(directory).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(run.stdout) + &text(run.stderr), run.status.code())
}

/// The copies of what was damaged.
fn copies(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join("messages")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "damaged")).collect()
}

#[test]
fn a_format_that_cannot_be_read_is_written_again() {
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    publish_and_kill(directory);
    let file = directory.join("format");
    fs::write(&file, "x\n").unwrap();
    let refused = String::from_utf8(serving(directory).output().unwrap().stderr).unwrap();
    assert!(refused.contains(&format!("`mq store repair {}`", directory.display())), "{refused}");
    let (said, code) = store("repair", directory);
    let copy = directory.join("format-1.damaged");
    let expected = format!(
        "wrote the number of the format into '{}' again; a copy of what was there is '{}'\n",
        file.display(),
        copy.display()
    );
    assert_eq!((said, code), (expected, Some(0)));
    assert_eq!(fs::read_to_string(copy).unwrap(), "x\n");
    assert_eq!(delivered(directory), ["1", "2", "3"]);
}

/// A start says what is left to do, and does not name the repair as a way.
#[test]
fn damaged_definitions_are_refused_and_not_repaired() {
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    publish_and_kill(directory);
    let file = directory.join("definitions.redb");
    let whole = fs::read(&file).unwrap();
    alter(&file, |bytes| bytes[..4096].fill(0x55));
    let damaged = fs::read(&file).unwrap();
    let refused = serving(directory).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    let hint = "hint: nothing was changed; put a backup of this file back, because `mq store repair` \
                does not repair definitions\n";
    assert!(said.contains(file.to_str().unwrap()) && said.ends_with(hint), "{said}");
    assert_eq!(refused.status.code(), Some(69));
    let (said, code) = store("repair", directory);
    assert!(said.contains(&format!("'{}'", file.display())), "{said}");
    assert_eq!(code, Some(1), "{said}");
    assert!(fs::read(&file).unwrap() == damaged, "it is as it was");
    fs::write(&file, whole).unwrap();
    assert_eq!(delivered(directory), ["1", "2", "3"]);
}

/// Changes the bytes of a file of messages.
type Change = fn(&mut Vec<u8>);

#[test]
fn a_damaged_header_of_a_file_is_found_again() {
    #[rustfmt::skip]
    let changes: [(&str, Change); 8] = [
        ("the magic",           |bytes| bytes[3] ^= 0x20),
        ("the format",          |bytes| bytes[9] ^= 0x20),
        ("the kind",            |bytes| bytes[12] ^= 3),
        ("the number",          |bytes| bytes[17] ^= 0x20),
        ("the checksum",        |bytes| bytes[22] ^= 0x20),
        ("the salt",            |bytes| bytes[25] ^= 0x20),
        ("number and salt",     |bytes| bytes[16..28].fill(0x55)),
        ("all that is before the messages", |bytes| bytes[..4096].fill(0)),
    ];
    for (case, change) in changes {
        let directory = TempDir::new().unwrap();
        let directory = directory.path();
        publish_and_kill(directory);
        let file = &message_files(directory).0[0];
        let before = fs::read(file).unwrap();
        alter(file, change);
        let damaged = fs::read(file).unwrap()[..4096].to_vec();
        let refused = serving(directory).output().unwrap();
        let hint = format!("`mq store repair {}`", directory.display());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(69), "{case}: {said}");
        assert!(said.contains(&hint), "{case}: {said}");
        let (said, code) = store("repair", directory);
        assert_eq!(code, Some(0), "{case}: {said}");
        let copy = copies(directory).pop().unwrap();
        let expected = format!(
            "wrote the header of '{}' again; a copy of what was there is '{}'\n",
            file.display(),
            copy.display()
        );
        assert_eq!(said, expected, "{case}");
        assert_eq!(fs::read(&copy).unwrap(), damaged, "{case}");
        assert_eq!(fs::read(file).unwrap()[..28], before[..28], "{case}");
        assert_eq!(store("repair", directory), ("nothing to repair\n".into(), Some(0)), "{case}");
        assert_eq!(store("check", directory).1, Some(0), "{case}");
        assert_eq!(delivered(directory), ["1", "2", "3"], "{case}");
        assert_eq!(copies(directory), [copy], "{case}");
    }
}

#[test]
fn a_file_from_which_nothing_can_be_read_is_copied_and_taken_away() {
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    publish_and_kill(directory);
    let file = &message_files(directory).0[0];
    alter(file, |bytes| bytes[..8192].fill(0x55));
    let damaged = fs::read(file).unwrap();
    let (said, code) = store("repair", directory);
    let copy = copies(directory).pop().unwrap();
    let expected = format!(
        "removed '{}', because no message can be read from it; a copy is '{}'\n",
        file.display(),
        copy.display()
    );
    assert_eq!((said, code), (expected, Some(0)));
    assert!(fs::read(&copy).unwrap() == damaged);
    assert!(delivered(directory).is_empty());
    assert_eq!(copies(directory), [copy]);
}

#[test]
fn damaged_messages_marks_and_indexes_are_no_longer_told_after_a_repair() {
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    publish_and_kill(directory);
    let file = &message_files(directory).0[0];
    let third = records(file).remove(2);
    alter(file, |bytes| bytes[third.end - 1] ^= 1);
    alter(&file.with_extension("marks"), |bytes| bytes[3] ^= 1);
    alter(&file.with_extension("index"), |bytes| bytes[60] ^= 1);
    assert_eq!(store("check", directory).1, Some(1));
    let (said, code) = store("repair", directory);
    assert_eq!((said.lines().count(), code), (3, Some(0)), "{said}");
    assert_eq!(copies(directory).len(), 2, "{said}");
    let (said, code) = store("check", directory);
    assert_eq!(code, Some(0), "{said}");
    // The acknowledgement of the first one could not be read any more.
    assert_eq!(delivered(directory), ["0", "1", "3"]);
}

/// In a file of format 1 a record does not say its slots.
#[test]
fn messages_of_format_1_behind_a_damaged_header_come_again_after_a_repair() {
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    publish_and_kill(directory);
    let file = &message_files(directory).0[0];
    fs::remove_file(file.with_extension("index")).unwrap();
    alter(file, |bytes| to_format_1(bytes));
    assert_eq!(store("check", directory).1, Some(0));
    let second = records(file).remove(1);
    alter(file, |bytes| bytes[second.start + 8] ^= 1);
    let (said, code) = store("check", directory);
    let cause = format!(
        "cause: '{}' is damaged at offset {}: it is not known which of the messages after it are settled\n",
        file.display(),
        second.start
    );
    assert!(said.contains(&cause), "{said}");
    assert_eq!((code, serving(directory).output().unwrap().status.code()), (Some(1), Some(69)));
    let (said, code) = store("repair", directory);
    assert_eq!((said.lines().count(), code), (2, Some(0)), "{said}");
    assert_eq!(store("check", directory).1, Some(0));
    assert_eq!(delivered(directory), ["0", "2", "3"]);
}

/// Writes a file of messages as an early release did.
fn to_format_1(bytes: &mut [u8]) {
    bytes[8] = 1;
    bytes[24..4096].fill(0);
    let checksum = crc32c::crc32c(&bytes[..20]);
    bytes[20..24].copy_from_slice(&checksum.to_le_bytes());
    let number = u32::from_le_bytes(bytes[16..20].try_into().unwrap());
    let mut at = 4096;
    while bytes[at + 8..at + 12] != [0; 4] {
        let len = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        bytes[at + 61..at + 64].fill(0);
        let checksum = crc32c::crc32c_append(number, &bytes[at + 4..at + 64]);
        bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
        at += len.next_multiple_of(8);
    }
}

#[test]
fn a_directory_that_is_whole_in_use_or_no_store_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_str().unwrap();
    publish_and_kill(directory.path());
    let before = bytes_of(directory.path());
    let arguments = &["store", "repair", path];
    Case { arguments, stdout: "nothing to repair\n", ..Case::default() }.alone();
    let stdout = "{\"repaired\":[]}\n";
    let json = &["store", "repair", path, "-o", "json"];
    Case { arguments: json, stdout, ..Case::default() }.alone();
    assert_eq!(bytes_of(directory.path()), before);
    let served = Served::start(directory.path());
    let stderr = format!(
        "error: cannot use the data directory {path}\ncause: another process runs the broker of this directory\n"
    );
    Case { arguments, stderr: &stderr, code: 69, ..Case::default() }.alone();
    served.stop();
    let other = TempDir::new().unwrap();
    let path = other.path().to_str().unwrap();
    let stderr = format!(
        "error: cannot use the data directory {path}\n\
         cause: it is not a broker's data directory: there is no file 'format'\n"
    );
    let arguments = &["store", "repair", path];
    Case { arguments, stderr: &stderr, code: 69, ..Case::default() }.alone();
    assert_eq!(bytes_of(other.path()).len(), 0, "nothing was made there");
}
