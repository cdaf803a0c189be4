//! The node: figures of its process and its machine.
//!
//! What is not known is absent when 0 would be a claim.

use serde_json::{Value, json};

use super::change_request::{ChangeOutcome, ChangeRequest};
use super::node_numbers::{IoNumbers, NodeNumbers};
use super::rates::Numbers;
use super::refusal::Refusal;
use super::server_info::{Listener, METRICS, PRODUCT, ServerInfo};
use super::subject::Subject;
use super::view::{Names, View};
use super::{exchanges, overview};
use crate::broker::Broker;
use crate::broker::auth::Mechanism;
use crate::broker::stats::LetterCounters;
use crate::server::Maintenance;

/// The key of the level of the log.
const LOG_LEVEL: &str = "log.console.level";

/// `GET /nodes`.
pub(super) fn list(view: &View<'_>) -> Vec<Value> {
    vec![row(view)]
}

/// `GET /nodes/:node`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.check_node(names)?;
    Ok(row(view))
}

/// All numbers of the node that have rates, for a sample.
pub(super) fn numbers(broker: &Broker, server: &ServerInfo) -> [(Subject, Numbers); 3] {
    let node = NodeNumbers::read(broker, server);
    [
        (Subject::NodeUse, in_use(&node)),
        (Subject::NodeWork, done(&node)),
        (Subject::NodeTimes, mean_times(&node)),
    ]
}

/// The resources that the node has in use.
fn in_use(node: &NodeNumbers) -> Numbers {
    let disk_free = node.disk_free.map(|bytes| ("disk_free", bytes));
    let all = [
        ("mem_used", node.resident_bytes),
        ("fd_used", node.files),
        ("sockets_used", node.sockets),
        // Threads: there are no Erlang processes.
        ("proc_used", node.threads),
    ];
    all.into_iter().chain(disk_free).collect()
}

/// The work that the node has done. Mnesia, the queue index and Erlang's collector are not here: they have done none.
fn done(node: &NodeNumbers) -> Numbers {
    vec![
        ("gc_num", 0),
        ("gc_bytes_reclaimed", 0),
        ("context_switches", node.context_switches),
        ("io_read_count", node.reads.count),
        ("io_read_bytes", node.reads.bytes),
        ("io_write_count", node.writes.count),
        ("io_write_bytes", node.writes.bytes),
        ("io_sync_count", node.syncs.count),
        ("io_seek_count", 0),
        ("io_reopen_count", 0),
        ("mnesia_ram_tx_count", 0),
        ("mnesia_disk_tx_count", 0),
        ("msg_store_read_count", 0),
        ("msg_store_write_count", node.stored),
        ("queue_index_write_count", 0),
        ("queue_index_read_count", 0),
        ("connection_created", node.connections_opened),
        ("connection_closed", node.connections_closed),
        ("channel_created", node.channels_opened),
        ("channel_closed", node.channels_closed),
        ("queue_declared", node.queues_declared),
        ("queue_created", node.queues_created),
        ("queue_deleted", node.queues_deleted),
    ]
}

/// The mean times of the operations on files since the start, in microseconds.
fn mean_times(node: &NodeNumbers) -> Numbers {
    let mean = |all: &IoNumbers| {
        let micros = all.time.as_micros().checked_div(all.count.into()).unwrap_or(0);
        u64::try_from(micros).unwrap_or(u64::MAX)
    };
    vec![
        ("io_read_avg_time", mean(&node.reads)),
        ("io_write_avg_time", mean(&node.writes)),
        ("io_sync_avg_time", mean(&node.syncs)),
        ("io_seek_avg_time", 0),
    ]
}

/// `PUT /nodes/:node/maintenance`: what `rabbitmq-upgrade drain` does, for which RabbitMQ's API has no call.
pub(super) fn drain(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    maintenance_of(request)?.drain(request.view.broker);
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /nodes/:node/maintenance`: what `rabbitmq-upgrade revive` does.
pub(super) fn revive(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    maintenance_of(request)?.revive();
    Ok(ChangeOutcome::Quietly)
}

/// `PUT /nodes/:node/suspension`: what `rabbitmqctl suspend_listeners` does.
pub(super) fn suspend(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    maintenance_of(request)?.suspend();
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /nodes/:node/suspension`: what `rabbitmqctl resume_listeners` does.
pub(super) fn resume(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    maintenance_of(request)?.resume();
    Ok(ChangeOutcome::Quietly)
}

/// `PUT /nodes/:node/log-level`: what `rabbitmqctl set_log_level` does.
pub(super) fn set_log_level(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.view.check_node(&request.names)?;
    let body = request.body()?;
    let level = body.text("level")?;
    let server = request.view.server;
    match server.process.log.set(level) {
        None => Err(Refusal::Unavailable { reason: "the level of its log cannot be changed" }),
        Some(false) => Err(Refusal::bad_request(format!("{level} is not a level of the log"))),
        Some(true) => {
            tracing::info!(level, "log level changed");
            server.configuration.replace(LOG_LEVEL, LOG_LEVEL.to_owned(), level.to_owned());
            Ok(ChangeOutcome::Quietly)
        }
    }
}

fn maintenance_of<'a>(request: &'a ChangeRequest<'_>) -> Result<&'a Maintenance, Refusal> {
    request.view.check_node(&request.names)?;
    Ok(&request.view.server.maintenance)
}

/// `GET /config/effective`.
pub(super) fn configuration(view: &View<'_>) -> Vec<Value> {
    view.server.configuration.rows()
}

fn row(view: &View<'_>) -> Value {
    if !view.has_statistics() {
        let (name, kind) = (view.node(), "disc");
        return json!({"name": name, "type": kind, "running": true, "being_drained": false});
    }
    let node = NodeNumbers::read(view.broker, view.server);
    let alarm = &view.broker.alarm;
    let mut row = json!({
        "name": view.node(),
        "type": "disc",
        "running": true,
        "being_drained": view.server.maintenance.is_on(),
        "os_pid": std::process::id().to_string(),
        "uptime": view.uptime_ms,
        "processors": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "run_queue": 0,
        "rates_mode": "basic",
        "fd_total": node.files_max,
        "sockets_total": node.files_max,
        "proc_total": node.threads_max,
        "mem_limit": node.memory_limit,
        "mem_alarm": alarm.is_short_of_memory(),
        // The memory that the system says the process has.
        "mem_calculation_strategy": "rss",
        "disk_free_limit": node.disk_limit,
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
        "auth_mechanisms": auth_mechanisms(view),
        "contexts": overview::contexts(view),
        "partitions": [],
        "cluster_links": [],
        "log_files": [],
        "config_files": [],
    });
    if let Some(directory) = &view.server.data_directory {
        row["db_dir"] = directory.to_string_lossy().into();
    }
    view.rates.put_lengths(&mut row, &Subject::NodeUse, &in_use(&node));
    view.rates.put_counters(&mut row, &Subject::NodeWork, &done(&node));
    view.rates.put_times(&mut row, &Subject::NodeTimes, &mean_times(&node));
    row
}

/// The mechanisms that there are, and which of them clients may use.
fn auth_mechanisms(view: &View<'_>) -> Vec<Value> {
    let configured = view.broker.mechanisms.get().cloned().unwrap_or_default();
    let compat = view.broker.compat();
    let row = |mechanism: &Mechanism| {
        let enabled = configured.has(*mechanism, compat);
        json!({"name": mechanism.name(), "description": mechanism.description(), "enabled": enabled})
    };
    // RabbitMQ lists the mechanism of a plugin only if the plugin is enabled.
    let listed = |mechanism: &&Mechanism| match mechanism {
        Mechanism::External => configured.has(Mechanism::External, compat),
        Mechanism::Anonymous => !compat.is_3_10(),
        Mechanism::Plain | Mechanism::AmqPlain => true,
    };
    let by_name =
        [Mechanism::AmqPlain, Mechanism::Anonymous, Mechanism::External, Mechanism::Plain];
    by_name.iter().filter(listed).map(row).collect()
}

/// RabbitMQ's plugins that would be enabled explicitly.
fn plugins(view: &View<'_>) -> Vec<&'static str> {
    let has_metrics = view.server.listeners.iter().any(|listener| listener.protocol == METRICS);
    let metrics = has_metrics.then_some("rabbitmq_prometheus");
    std::iter::once("rabbitmq_management").chain(metrics).collect()
}

/// All plugins of RabbitMQ whose work is done with these listeners, those that others need included.
pub fn started_plugins(listeners: &[Listener]) -> Vec<&'static str> {
    let has = |protocol: &str| listeners.iter().any(|listener| listener.protocol == protocol);
    let rows = [
        ("rabbitmq_management", has("http")),
        ("rabbitmq_prometheus", has(METRICS)),
        ("rabbitmq_management_agent", has("http") || has(METRICS)),
        ("rabbitmq_web_dispatch", has("http") || has(METRICS)),
    ];
    rows.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name).collect()
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
