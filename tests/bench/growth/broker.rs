//! The built `mq` with a data directory of its own, and what the kernel says it uses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A running broker; gone, with all it kept, when dropped.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Child,
    directory: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) http: SocketAddr,
}

/// Memory of the broker in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl Memory {
    /// What has come since `before`, for each of `count`, in bytes.
    pub(crate) fn each_since(self, before: Self, count: usize) -> u64 {
        (self.resident.saturating_sub(before.resident) << 10) / count.max(1) as u64
    }
}

/// The program that is measured.
pub(crate) fn program() -> String {
    std::env::var("MQ_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_mq").to_owned())
}

impl Broker {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().expect("a directory");
        let (process, address, http) = start(directory.path());
        Self { process, directory, address, http }
    }

    /// Stops it as an operator does and starts it again; answers how long both took.
    pub(crate) fn restart(&mut self) -> (Duration, Duration) {
        let begin = Instant::now();
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process"), Signal::TERM).expect("it runs");
        self.process.wait().expect("it stops");
        let stopped = begin.elapsed();
        (self.process, self.address, self.http) = start(self.directory.path());
        (stopped, begin.elapsed().saturating_sub(stopped))
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = self.file("status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
            let digits: String = line.chars().filter(char::is_ascii_digit).collect();
            digits.parse().expect("a number of KiB")
        };
        Memory { resident: field("VmRSS:"), peak: field("VmHWM:") }
    }

    /// Processor time it has used, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        let stat = self.file("stat");
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = ticks.map(|ticks| ticks.parse::<u32>().expect("ticks")).sum();
        f64::from(ticks) / 100.0
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.process.id())).expect("it runs")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(directory: &Path) -> (Child, SocketAddr, SocketAddr) {
    let mut process = Command::new(program())
        .args(["serve", "--print-url", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the built mq can be started");
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let mut address = || {
        let line = lines.next().expect("a URL").expect("text");
        let (_, rest) = line.split_once("127.0.0.1:").expect("a loopback URL");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        SocketAddr::from(([127, 0, 0, 1], digits.parse().expect("a port")))
    };
    let (amqp, http) = (address(), address());
    (process, amqp, http)
}
