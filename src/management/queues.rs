//! Queues as RabbitMQ's management API shows them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::listing::{Selection, WantedFields, WantedRow};
use super::rates::Numbers;
use super::refusal::Refusal;
use super::subject::Subject;
use super::view::{Names, ShownStatistics, View};
use super::{arguments, bindings, consumers, message_stats, policies};
use crate::broker::arguments::QueueKind;
use crate::broker::queue::{Queue, QueueInfo, Settings, StreamInfo};
use crate::broker::vhost::Vhost;

/// `GET /queues`, `/queues/detailed` and `/queues/:vhost`.
pub(super) fn list(
    view: &View<'_>,
    names: &Names,
    selection: &Selection,
) -> Result<Value, Refusal> {
    select(view, all(view, names)?, selection)
}

/// `GET /users/:user/queues`: the queues that a user has declared, also one that is gone by now.
pub(super) fn of_user(
    view: &View<'_>,
    names: &Names,
    selection: &Selection,
) -> Result<Value, Refusal> {
    let user = names.get("user")?;
    let is_its = |queue: &Arc<Queue>| queue.settings().declared_by.as_deref() == Some(user);
    let queues = all(view, names)?.into_iter().filter(is_its).collect();
    select(view, queues, selection)
}

fn select(
    view: &View<'_>,
    queues: Vec<Arc<Queue>>,
    selection: &Selection,
) -> Result<Value, Refusal> {
    let row = |queue: &Arc<Queue>, wanted: WantedFields<'_>| row(view, &queue.info(), wanted);
    selection.of_things(queues, |queue| queue.name(), row)
}

/// Every queue of these vhosts, with the arguments that it was declared with.
pub(super) fn declared(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let declared = |queue: &Arc<Queue>| {
        let mut row = row(view, &queue.info(), WantedFields::ALL);
        row["arguments"] = arguments::object(&queue.settings().arguments);
        row
    };
    Ok(all(view, names)?.iter().map(declared).collect())
}

fn all(view: &View<'_>, names: &Names) -> Result<Vec<Arc<Queue>>, Refusal> {
    Ok(view.vhosts(names)?.into_iter().flat_map(|vhost| vhost.queues()).collect())
}

/// `GET /queues/:vhost/:queue`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let vhost = view.vhost(names.vhost()?)?;
    let queue = find(&vhost, names)?;
    let mut row = row(view, &queue.info(), WantedFields::ALL);
    if !view.has_statistics() {
        return Ok(row);
    }
    row["consumer_details"] = consumers::of_queue(view, &queue).into();
    // Counted by exchange and by channel in RabbitMQ's detailed mode only.
    row["deliveries"] = json!([]);
    row["incoming"] = json!([]);
    Ok(row)
}

/// `GET /queues/:vhost/:queue/bindings`.
pub(super) fn bindings(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let vhost = view.vhost(names.vhost()?)?;
    let queue = find(&vhost, names)?;
    Ok(bindings::to_queue(&vhost, queue.name()))
}

/// `GET /queues/quorum/:vhost/:queue/status`: the one replica, which has all there is. There is no log of Raft, so no
/// index of it ever is behind another.
pub(super) fn quorum_status(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let vhost = view.vhost(names.vhost()?)?;
    let kind = find(&vhost, names)?.settings().kind.name();
    if kind != QueueKind::Quorum.name() {
        let reason = format!("{kind}_queue_not_supported");
        return Err(Refusal::Unhealthy(json!({"status": "failed", "reason": reason})));
    }
    Ok(vec![json!({
        "Node Name": view.node(),
        "Raft State": "leader",
        "Membership": "voter",
        "Last Log Index": 0,
        "Last Written": 0,
        "Last Applied": 0,
        "Commit Index": 0,
        "Snapshot Index": -1,
        "Term": 1,
        "Machine Version": 0,
    })])
}

pub(super) fn find(vhost: &Vhost, names: &Names) -> Result<Arc<Queue>, Refusal> {
    let name = names.get("queue")?;
    vhost.find_queue(name).ok_or(Refusal::NotFound)
}

/// Returns the numbers of messages in a queue.
pub(super) fn lengths(info: &QueueInfo) -> Numbers {
    vec![
        ("messages", info.ready + info.unacked + info.letters),
        ("messages_ready", info.ready),
        ("messages_unacknowledged", info.unacked),
    ]
}

/// Returns the numbers of messages in all queues of these vhosts.
pub(super) fn total_lengths(vhosts: &[Arc<Vhost>]) -> Numbers {
    let mut sum = vec![("messages", 0), ("messages_ready", 0), ("messages_unacknowledged", 0)];
    for queue in vhosts.iter().flat_map(|vhost| vhost.queues()) {
        message_stats::add(&mut sum, &lengths(&queue.info()));
    }
    sum
}

/// The row of a queue, with the wanted fields.
fn row(view: &View<'_>, info: &QueueInfo, wanted: WantedFields<'_>) -> Value {
    let Settings { name, vhost, is_durable, is_auto_delete, exclusive_owner, .. } = &info.settings;
    let kind = info.settings.kind;
    let mut row = WantedRow::new(wanted);
    row.put("name", name.as_str());
    row.put("vhost", vhost.as_str());
    row.put("type", kind.name());
    row.put("durable", *is_durable);
    row.put("auto_delete", *is_auto_delete);
    row.put("exclusive", exclusive_owner.is_some());
    // The queues that the broker keeps for itself are listed nowhere.
    row.put("internal", false);
    row.put("internal_owner", false);
    if let Some(row) = row.for_any(&["arguments"]) {
        row["arguments"] = shown_arguments(view, info);
    }
    row.put("node", view.node());
    row.put("state", if info.has_crashed { "crashed" } else { "running" });
    if let Some(row) = row.for_any(&policies::APPLIED_FIELDS)
        && let Ok(vhost) = view.broker.vhost(vhost)
    {
        policies::put_applied(row, &vhost, policies::PolicySubject::Queue(name, kind));
    }
    put_replicas(&mut row, view, info);
    match view.statistics {
        ShownStatistics::All => put_statistics(&mut row, view, info),
        ShownStatistics::Lengths => put_lengths(&mut row, info),
        ShownStatistics::None => {}
    }
    if let Some(owner) = exclusive_owner.and_then(|id| view.broker.registry.get(id)) {
        let owner = json!({
            "name": &*owner.peer.name,
            "peer_host": owner.peer.peer_host,
            "peer_port": owner.peer.peer_port,
        });
        row.put("owner_pid_details", owner);
    }
    row.finished()
}

/// Returns the arguments of a queue, with its type unless RabbitMQ's earlier release is to be shown.
fn shown_arguments(view: &View<'_>, info: &QueueInfo) -> Value {
    let mut arguments = arguments::object(&info.settings.arguments);
    if !view.broker.compat().is_3_10() && arguments["x-queue-type"].is_null() {
        arguments["x-queue-type"] = info.settings.kind.name().into();
    }
    arguments
}

fn put_lengths(row: &mut WantedRow<'_>, info: &QueueInfo) {
    for (name, length) in lengths(info) {
        row.put(name, length);
    }
}

fn put_statistics(row: &mut WantedRow<'_>, view: &View<'_>, info: &QueueInfo) {
    let Settings { name, vhost, .. } = &info.settings;
    let bytes = info.ready_bytes + info.unacked_bytes + info.letter_bytes;
    row.put("consumers", info.consumers);
    row.put("consumer_capacity", info.consumer_capacity);
    row.put("consumer_utilisation", info.consumer_capacity);
    row.put("exclusive_consumer_tag", info.exclusive_consumer.as_deref());
    row.put("single_active_consumer_tag", info.single_active_consumer.as_deref());
    row.put("head_message_timestamp", Value::Null);
    row.put("memory", bytes);
    row.put("message_bytes", bytes);
    row.put("message_bytes_ready", info.ready_bytes);
    row.put("message_bytes_unacknowledged", info.unacked_bytes);
    if let Some(row) = row.for_any(&["message_stats"]) {
        let subject = Subject::Queue(vhost.clone(), name.clone());
        row["message_stats"] =
            view.rates.counters(&subject, &message_stats::of_queue(&info.counters));
    }
    put_places(row, info, bytes);
    if info.settings.kind == QueueKind::Quorum {
        row.put("messages_dlx", info.letters);
        row.put("message_bytes_dlx", info.letter_bytes);
    }
    let with_rates =
        ["messages_details", "messages_ready_details", "messages_unacknowledged_details"];
    match row.for_any(&with_rates) {
        Some(row) => {
            let subject = Subject::QueueLengths(vhost.clone(), name.clone());
            view.rates.put_lengths(row, &subject, &lengths(info));
        }
        None => put_lengths(row, info),
    }
}

/// Writes the one replica of a quorum queue or a stream, and the rest that only such queues have.
fn put_replicas(row: &mut WantedRow<'_>, view: &View<'_>, info: &QueueInfo) {
    let kind = info.settings.kind;
    if kind == QueueKind::Classic {
        return;
    }
    row.put("leader", view.node());
    row.put("members", json!([view.node()]));
    row.put("online", json!([view.node()]));
    if let Some(StreamInfo { readers, segments, first_at_ms }) = info.stream {
        row.put("readers", json!({view.node(): readers}));
        row.put("segments", segments);
        row.put("first_timestamp", first_at_ms);
        return;
    }
    // There are no files of its own.
    row.put("open_files", json!({view.node(): 0}));
    row.put("delivery_limit", info.delivery_limit);
    row.put("delayed_retry", info.delayed_retry.name());
}

/// Writes the places of the messages. Those of a classic queue count as in memory; those of a quorum queue are on disk,
/// whatever their delivery mode; a stream has no such numbers. RabbitMQ: the items of each queue type.
fn put_places(row: &mut WantedRow<'_>, info: &QueueInfo, bytes: u64) {
    let messages = info.ready + info.unacked + info.letters;
    match info.settings.kind {
        QueueKind::Classic => {
            row.put("messages_ram", messages);
            row.put("messages_ready_ram", info.ready);
            row.put("messages_unacknowledged_ram", info.unacked);
            row.put("messages_persistent", 0);
            row.put("messages_paged_out", 0);
            row.put("message_bytes_ram", bytes);
            row.put("message_bytes_persistent", 0);
            row.put("message_bytes_paged_out", 0);
        }
        QueueKind::Quorum => {
            row.put("messages_ram", 0);
            row.put("messages_persistent", messages);
            row.put("message_bytes_ram", 0);
            row.put("message_bytes_persistent", bytes);
        }
        QueueKind::Stream => {}
    }
}
