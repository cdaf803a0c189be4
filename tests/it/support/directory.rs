//! A data directory and the broker that runs on it: started, stopped, killed, and its files looked at in between.
//!
//! Start at [`Served::start`].

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use crc32c::crc32c;
use rustix::process::Signal;

use super::cli::{Running, program};
use super::slow_disk::SlowDisk;
use super::volume::Volume;

/// A running `mq serve` of a directory.
pub(crate) struct Served {
    running: Running,
    address: SocketAddr,
    management: Option<SocketAddr>,
}

impl Served {
    pub(crate) fn start(directory: &Path) -> Self {
        Self::spawn(serving(directory).arg("--print-url"))
    }

    /// Starts one that tells in its log when all messages are synced.
    pub(crate) fn start_telling(directory: &Path) -> Self {
        Self::spawn(serving(directory).args(["--print-url", "--log-level", "debug"]))
    }

    /// Starts one whose directory is a volume.
    pub(crate) fn start_on(volume: &Volume) -> Self {
        // A small volume has less free than a broker usually asks for.
        let options = ["--print-url", "--disk-free-limit", "0"];
        Self::spawn(&mut volume.enter(serving(volume.path()).args(options)))
    }

    /// Starts one whose disk the test slows down.
    pub(crate) fn start_slow(directory: &Path, disk: &SlowDisk) -> Self {
        Self::spawn(disk.enter(serving(directory).arg("--print-url")))
    }

    /// Starts one with these options instead of a directory.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let listen = ["serve", "--listen", "127.0.0.1:0", "--print-url"];
        Self::spawn(program().args(listen).args(options))
    }

    /// Starts one, with a management API, that panics once at this moment.
    pub(crate) fn start_planted(directory: &Path, moment: &str) -> Self {
        Self::spawn_with_management(serving(directory).env("MQ_PANIC_AT", moment))
    }

    /// Starts one with a management API.
    pub(crate) fn start_with_management(directory: &Path) -> Self {
        Self::spawn_with_management(&mut serving(directory))
    }

    fn spawn_with_management(command: &mut Command) -> Self {
        let options = ["--print-url", "--http", "127.0.0.1:0"];
        let mut served = Self::spawn(command.args(options));
        let url = served.running.line();
        let address = url.trim().trim_start_matches("http://").trim_end_matches('/');
        served.management = address.parse().ok();
        served
    }

    /// Where the management API is, of one that was started with it.
    pub(crate) fn management(&self) -> SocketAddr {
        self.management.expect("it was started with one")
    }

    /// Waits until it has said something on stderr.
    pub(crate) fn wait_for(&mut self, words: &str) {
        self.running.wait_for(words);
    }

    fn spawn(command: &mut Command) -> Self {
        let mut running = Running::spawn(command, "listening on");
        let url = running.line();
        let address = url.trim().trim_start_matches("amqp://").parse().unwrap();
        Self { running, address, management: None }
    }

    /// Where AMQP is spoken.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has said on stderr so far, as far as it was waited for.
    pub(crate) fn said(&self) -> &str {
        self.running.said()
    }

    /// What it said of its directory, without the time it took; nothing of a new one.
    pub(crate) fn recovered(&self) -> String {
        let line = self.running.said().lines().find_map(|line| line.split_once("recovered "));
        let Some((found, rest)) = line.and_then(|(_, line)| line.rsplit_once(" in ")) else {
            return String::new();
        };
        let (_, cut) = rest.split_once(" ms").unwrap();
        format!("recovered {found}{cut}")
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(mut self) {
        self.running.signal(Signal::TERM);
        assert!(self.running.end().0.success());
    }

    pub(crate) fn kill(mut self) {
        self.running.signal(Signal::KILL);
        self.running.end();
    }
}

/// How a broker ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Stopped,
    Killed,
}

impl End {
    pub(crate) const BOTH: [Self; 2] = [Self::Stopped, Self::Killed];

    pub(crate) fn of(self, served: Served) {
        match self {
            Self::Stopped => served.stop(),
            Self::Killed => served.kill(),
        }
    }
}

/// `mq serve` of a directory, on a free port.
pub(crate) fn serving(directory: &Path) -> Command {
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory);
    command
}

/// Every file under a directory with its length and a checksum of its bytes.
pub(crate) fn bytes_of(directory: &Path) -> BTreeMap<PathBuf, (usize, u32)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(bytes_of(&entry.path()));
        }
        let bytes = if kind.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
        found.insert(entry.path(), (bytes.len(), crc32c(&bytes)));
    }
    found
}

/// Bytes in front of the records of a file of messages.
const DATA_START: usize = 4096;
/// Bytes of a record in front of its queues.
pub(crate) const RECORD_HEADER: usize = 64;

/// The files of messages that have some, the oldest first; and how many are free.
pub(crate) fn message_files(directory: &Path) -> (Vec<PathBuf>, usize) {
    let entries = fs::read_dir(directory.join("messages")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let is_log = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "log");
    let (mut used, free): (Vec<PathBuf>, Vec<PathBuf>) =
        files.filter(is_log).partition(|file| header(file)[0] != 0);
    used.sort_by_cached_key(|file| header(file)[1]);
    (used, free.len())
}

/// What a file of messages is used for (0: for nothing), and its number.
fn header(file: &Path) -> [u32; 2] {
    let bytes = fs::read(file).unwrap();
    let number = |at: usize| bytes[at..at + 4].try_into().map(u32::from_le_bytes).unwrap();
    [number(12), number(16)]
}

/// Where the records of a file are.
pub(crate) fn records(file: &Path) -> Vec<Range<usize>> {
    let bytes = fs::read(file).unwrap();
    let (mut found, mut at) = (Vec::new(), DATA_START);
    while let Some(header) = bytes.get(at..at + RECORD_HEADER) {
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        if len == 0 {
            break;
        }
        found.push(at..at + len);
        at += len.next_multiple_of(8);
    }
    found
}

/// Changes the bytes of a file.
pub(crate) fn alter(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}
