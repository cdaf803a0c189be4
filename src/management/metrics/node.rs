//! The numbers of the process, of its machine and of logins, and of what came and went.

use std::time::Duration;

use super::numbers::Rows;
use super::text::labels;
use crate::broker::Broker;
use crate::broker::stats::LoginCounters;
use crate::management::nodes::Process;
use crate::management::server_info::ServerInfo;
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
        let (stored, batches) = store.map_or((0, 0), |store| {
            let taken_in = store.taken_in();
            (taken_in.records, taken_in.batches)
        });
        let (churn, limits, process) = (&broker.churn, &broker.limits, Process::read());
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
        }
    }
}

/// Logins of a protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
}

pub(super) fn attempts(broker: &Broker) -> Rows<Attempts> {
    let logins = [("http", &broker.logins.http), ("amqp091", &broker.logins.amqp)];
    let row = |(protocol, counters): (&str, &LoginCounters)| {
        let (succeeded, failed) = (counters.succeeded.get(), counters.failed.get());
        (labels(&[("protocol", protocol)]), Attempts { succeeded, failed })
    };
    logins.into_iter().map(row).collect()
}
