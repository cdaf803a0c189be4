//! The numbers of the process and of its machine, and of what came and went: for the API and for Prometheus.
//!
//! Read from Linux's `/proc`; a number that cannot be read there is 0.

use std::fs;
use std::time::Duration;

use super::server_info::ServerInfo;
use crate::broker::Broker;
use crate::server::resources;

/// The numbers of the process and its machine, and of what came and went.
#[derive(Debug, Default)]
pub(super) struct NodeNumbers {
    pub(super) connections_opened: u64,
    pub(super) connections_closed: u64,
    pub(super) channels_opened: u64,
    pub(super) channels_closed: u64,
    pub(super) queues_declared: u64,
    pub(super) queues_created: u64,
    pub(super) queues_deleted: u64,
    pub(super) files: u64,
    pub(super) files_max: u64,
    pub(super) sockets: u64,
    /// Threads: there are no Erlang processes.
    pub(super) threads: u64,
    pub(super) threads_max: u64,
    pub(super) context_switches: u64,
    pub(super) resident_bytes: u64,
    pub(super) memory_limit: u64,
    /// Not known without a directory.
    pub(super) disk_free: Option<u64>,
    pub(super) disk_limit: u64,
    pub(super) uptime: Duration,
    pub(super) reads: IoNumbers,
    pub(super) writes: IoNumbers,
    pub(super) syncs: IoNumbers,
    /// Messages that were given to the store, and the batches in which it has written them.
    pub(super) stored: u64,
    pub(super) batches: u64,
    /// Bytes of the messages in those batches.
    pub(super) record_bytes: u64,
}

/// Operations on the store's files; none without a data directory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IoNumbers {
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) time: Duration,
}

impl NodeNumbers {
    pub(super) fn read(broker: &Broker, server: &ServerInfo) -> Self {
        let store = broker.store.as_deref();
        let [reads, writes, syncs] = store.map_or([IoNumbers::default(); 3], |store| {
            let io = store.io();
            [&io.reads, &io.writes, &io.syncs].map(|all| IoNumbers {
                count: all.count(),
                bytes: all.bytes(),
                time: all.time(),
            })
        });
        let (stored, batches, record_bytes) = store.map_or((0, 0, 0), |store| {
            let taken_in = store.taken_in();
            (taken_in.records, taken_in.batches, taken_in.record_bytes)
        });
        let (churn, limits, process) = (&broker.churn, broker.limits.get(), Process::read());
        Self {
            connections_opened: churn.connection_created.get(),
            connections_closed: churn.connection_closed.get(),
            channels_opened: churn.channel_created.get(),
            channels_closed: churn.channel_closed.get(),
            queues_declared: churn.queue_declared.get(),
            queues_created: churn.queue_created.get(),
            queues_deleted: churn.queue_deleted.get(),
            files: process.files as u64,
            files_max: process.files_max.into(),
            sockets: broker.registry.count() as u64,
            context_switches: process.context_switches,
            threads: process.threads,
            threads_max: process.threads_max.into(),
            resident_bytes: process.resident_bytes,
            memory_limit: resources::memory_limit(broker),
            disk_free: server.data_directory.as_deref().and_then(resources::disk_free_bytes),
            disk_limit: limits.disk_free_bytes_min,
            uptime: server.since_start(),
            reads,
            writes,
            syncs,
            stored,
            batches,
            record_bytes,
        }
    }
}

/// The system's figures of this process.
#[derive(Clone, Copy, Debug)]
struct Process {
    files: usize,
    files_max: u32,
    threads: u64,
    threads_max: u32,
    context_switches: u64,
    resident_bytes: u64,
}

impl Process {
    fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Self {
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            files_max: limit(&limits, "Max open files"),
            threads: field(&status, "Threads:"),
            context_switches: context_switches(),
            threads_max: limit(&limits, "Max processes"),
            resident_bytes: resources::resident_bytes().unwrap_or(0),
        }
    }
}

/// The times that the process gave a processor back or lost it: the sum of the threads that are there.
fn context_switches() -> u64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).ok();
    let of = |status: String| {
        field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:")
    };
    threads.filter_map(status).map(of).sum()
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
