//! The node: figures of its process and its machine.
//!
//! Read from Linux's `/proc`; what cannot be read there is 0, or absent when 0 would be a claim.

use std::fs;

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::server_info::{METRICS, PRODUCT};
use super::view::{Names, View};
use super::{exchanges, overview};
use crate::broker::stats::LetterCounters;
use crate::server::resources;

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
    let (limits, alarm) = (&view.broker.limits, &view.broker.alarm);
    let connections = view.broker.registry.count();
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
        "mem_limit": resources::memory_limit(view.broker),
        "mem_alarm": alarm.is_short_of_memory(),
        "disk_free_limit": limits.disk_free_bytes_min,
        "disk_free_alarm": alarm.is_short_of_disk(),
        "messages_dropped": dropped(view),
        "messages_dead_lettered": dead_lettered(view),
        "rabbitmq_version": view.broker.compat().version(),
        "enabled_plugins": plugins(view),
        "applications": [{
            "name": PRODUCT,
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
    if let Some(directory) = &view.server.data_directory {
        row["db_dir"] = directory.to_string_lossy().into();
        if let Some(bytes) = resources::disk_free_bytes(directory) {
            row["disk_free"] = bytes.into();
        }
    }
    row
}

/// RabbitMQ's plugins whose work is done here.
fn plugins(view: &View<'_>) -> Vec<&'static str> {
    let has_metrics = view.server.listeners.iter().any(|listener| listener.protocol == METRICS);
    let metrics = has_metrics.then_some("rabbitmq_prometheus");
    std::iter::once("rabbitmq_management").chain(metrics).collect()
}

/// RabbitMQ's `messages_dead_lettered_*`, which it shows to Prometheus only.
fn dead_lettered(view: &View<'_>) -> Value {
    let object = |counters: &LetterCounters| -> Value {
        let counts = counters.snapshot().into_iter();
        counts.map(|(name, count)| (name, Value::from(count))).collect()
    };
    let letters = view.broker.letters();
    let at_most_once = LetterCounters::default();
    at_most_once.absorb(&letters.classic);
    at_most_once.absorb(&letters.quorum);
    json!({
        "at_most_once": object(&at_most_once),
        "at_least_once": object(&letters.at_least_once),
    })
}

/// Counts dropped messages for each reason of the broker's own; RabbitMQ has no such counters.
fn dropped(view: &View<'_>) -> Value {
    view.broker.drops().snapshot().map(|(name, count)| (name, Value::from(count))).collect()
}

/// The system's figures of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) files: usize,
    pub(super) files_max: u32,
    threads: u64,
    threads_max: u32,
    pub(super) resident_bytes: u64,
}

impl Process {
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Self {
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            files_max: limit(&limits, "Max open files"),
            threads: field(&status, "Threads:"),
            threads_max: limit(&limits, "Max processes"),
            resident_bytes: resources::resident_bytes().unwrap_or(0),
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
