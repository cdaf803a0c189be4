//! The node: what its process and its machine say about themselves.
//!
//! Read from Linux's `/proc`; what cannot be read there is 0, or absent when 0 would be a claim.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::view::{Names, View};
use super::{exchanges, overview};

/// `GET /nodes`.
pub(super) fn list(view: &View<'_>) -> Vec<Value> {
    vec![row(view)]
}

/// `GET /nodes/:node`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    if names.get("node")? != view.node() {
        return Err(Refusal::NotFound);
    }
    Ok(row(view))
}

fn row(view: &View<'_>) -> Value {
    let process = Process::read();
    let connections = view.broker.registry.list().len();
    let mut row = json!({
        "name": view.node(),
        "type": "disc",
        "running": true,
        "being_drained": false,
        "os_pid": std::process::id().to_string(),
        "uptime": view.uptime_ms,
        "processors": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "run_queue": 0,
        "rates_mode": "basic",
        "fd_used": process.files,
        "fd_total": process.files_max,
        "sockets_used": connections,
        "sockets_total": process.files_max,
        // Threads: there are no Erlang processes.
        "proc_used": process.threads,
        "proc_total": process.threads_max,
        "mem_used": process.resident_bytes,
        "mem_limit": process.memory_bytes,
        "mem_alarm": false,
        "disk_free_limit": 0,
        "disk_free_alarm": view.broker.alarm.is_on(),
        "rabbitmq_version": view.broker.compat().version(),
        "enabled_plugins": ["rabbitmq_management"],
        "applications": [{
            "name": super::PRODUCT,
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "version": env!("CARGO_PKG_VERSION"),
        }],
        "exchange_types": exchanges::types(),
        "auth_mechanisms": [
            {"name": "AMQPLAIN", "description": "QPid AMQPLAIN mechanism", "enabled": true},
            {"name": "PLAIN", "description": "SASL PLAIN authentication mechanism", "enabled": true},
        ],
        "contexts": overview::contexts(view),
        "partitions": [],
        "cluster_links": [],
        "log_files": [],
        "config_files": [],
    });
    if let Some(directory) = &view.facts.data_directory {
        row["db_dir"] = directory.to_string_lossy().into();
        if let Some(bytes) = disk_free(directory) {
            row["disk_free"] = bytes.into();
        }
    }
    row
}

/// Bytes that are free on the disk of a directory.
fn disk_free(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What the system knows of this process.
#[derive(Clone, Copy, Debug)]
struct Process {
    files: usize,
    files_max: u32,
    threads: u64,
    threads_max: u32,
    resident_bytes: u64,
    /// Of the whole machine: we set ourselves no lower limit.
    memory_bytes: u64,
}

impl Process {
    fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            files_max: limit(&limits, "Max open files"),
            threads: field(&status, "Threads:"),
            threads_max: limit(&limits, "Max processes"),
            resident_bytes: field(&status, "VmRSS:").saturating_mul(1024),
            memory_bytes: field(&machine, "MemTotal:").saturating_mul(1024),
        }
    }
}

/// The first number after `name` in a file of lines.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The limit in force; one that is `unlimited` is as large as clients can read.
fn limit(text: &str, name: &str) -> u32 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.map_or(0, |word| word.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_files_of_lines() {
        let status = "Name:\tmq\nVmRSS:\t    4096 kB\nThreads:\t3\n";
        assert_eq!(field(status, "VmRSS:"), 4096);
        assert_eq!(field(status, "Threads:"), 3);
        assert_eq!(field(status, "Missing:"), 0);
        let limits =
            "Max processes   unlimited  unlimited  processes\nMax open files  1024 4096 files\n";
        assert_eq!(limit(limits, "Max open files"), 1024);
        assert_eq!(limit(limits, "Max processes"), u32::MAX);
        assert_eq!(limit(limits, "Max nothing"), 0);
    }
}
