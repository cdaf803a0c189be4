//! Quorum queues, streams and upgrades: on a single node each queue has one member.

use serde_json::{Value, json};

use super::asked::Asked;
use super::cell::Cell;
use super::changes::nothing;
use super::failure::{DATA, Failure, UNAVAILABLE, refusal};
use super::names::CtlRelease;
use super::reached::Reached;
use super::shown::{ListedRows, RowForm, Shown};
use super::work::{Banner, CommandWork, WorkKind};
use crate::engine::{Call, escape};

/// The columns of the members of a Raft cluster.
const RAFT: &[&str] = &[
    "Node Name",
    "Raft State",
    "Membership",
    "Last Log Index",
    "Last Written",
    "Last Applied",
    "Commit Index",
    "Snapshot Index",
    "Term",
    "Machine Version",
];
/// Bytes of a message's body that `peek` shows.
const PEEKED_BYTES: usize = 64;

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "quorum_status",
        words: (1, 1),
        banner: Banner::Made(|asked, node| {
            let kind = if asked.release == CtlRelease::V3_10 { "quorum queue" } else { "queue" };
            format!("Status of {kind} {} on node {node} ...", asked.word(0))
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(quorum_status(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "stream_status",
        words: (1, 1),
        banner: Banner::Words("Status of stream {0} on node {node} ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(stream_status(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "peek",
        words: (2, 2),
        banner: Banner::Words("Peeking at quorum queue {0} at position {1} on node {node} ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(peek(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "rebalance",
        words: (1, 1),
        banner: Banner::Made(|asked, _| match asked.word(0) {
            kind @ ("all" | "quorum") => format!("Re-balancing leaders of {kind} queues..."),
            "stream" => "Re-balancing leaders of stream queues...".to_owned(),
            // The kind is refused without a word about work ahead.
            _ => String::new(),
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(rebalance(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "reclaim_quorum_memory",
        words: (1, 1),
        banner: Banner::Words("Will garbage collect quorum queue {0} ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(reclaim(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "force_checkpoint",
        banner: Banner::Words("Forcing checkpoint for all matching quorum queues..."),
        work: WorkKind::Run(|asked, reached| Box::pin(checkpoint(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_if_new_quorum_queue_replicas_have_finished_initial_sync",
        banner: Banner::Words("Checking if node {node} runs promotable replicas of any queues ..."),
        work: WorkKind::Say("Node {node} reported no queues with promotable replicas"),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "await_online_quorum_plus_one",
        banner: Banner::Made(|asked, _| {
            format!(
                "Will wait for a quorum + 1 of nodes to be online for all quorum queues and streams for {} seconds...",
                asked.timeout_s().unwrap_or(120.0)
            )
        }),
        work: WorkKind::Say(
            "Target node seems to be the only one in a single node cluster, the command does not apply",
        ),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "post_upgrade",
        banner: Banner::Words("Executing post upgrade tasks..."),
        work: WorkKind::Run(|asked, reached| Box::pin(post_upgrade(asked, reached))),
        ..CommandWork::PLAIN
    },
];

/// The queue that an argument names.
async fn queue(asked: &Asked, reached: &Reached) -> Option<Value> {
    let path = format!("queues/{}/{}", escape(asked.vhost()), escape(asked.word(0)));
    reached.get(&path).await.ok()
}

async fn quorum_status(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let name = asked.word(0);
    let Some(queue) = queue(asked, reached).await else {
        return Err(match asked.release {
            CtlRelease::V3_10 => Failure::error(UNAVAILABLE, "not_found"),
            CtlRelease::V4_3 => Failure::plain(
                DATA,
                format!("queue '{name}' was not found in virtual host '{}'", asked.vhost()),
            ),
        });
    };
    if queue["type"] != "quorum" {
        let kind = queue["type"].as_str().unwrap_or_default();
        return Err(Failure::error(UNAVAILABLE, format!("{{:unsupported, :rabbit_{kind}_queue}}")));
    }
    let path = format!("queues/quorum/{}/{}/status", escape(asked.vhost()), escape(name));
    let rows =
        reached.rows(&path).await.map_err(|error| Failure::of(error, asked, &reached.node))?;
    Ok(Shown::Rows(ListedRows::plain(RAFT, &rows, RowForm::Pretty)))
}

async fn stream_status(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let Some(queue) = queue(asked, reached).await else { return Err(Failure::no_object()) };
    match queue["type"].as_str() {
        Some("stream") => {}
        kind => {
            let text = format!("Cannot get stream status of a {} queue", kind.unwrap_or_default());
            return Err(Failure::error(UNAVAILABLE, text));
        }
    }
    if asked.is_set("tracking") {
        return Ok(Shown::Rows(ListedRows::new(
            &["type", "reference", "value"],
            Vec::new(),
            RowForm::Pretty,
        )));
    }
    let last = queue["messages"].as_i64().unwrap_or(0) - 1;
    let row = json!({
        "role": "writer",
        "node": queue["node"],
        "epoch": 1,
        "offset": last,
        "committed_offset": last,
        "committed_chunk_id": last,
        "first_offset": 0,
        "readers": queue["consumers"],
        "segments": 1,
    });
    let columns = [
        "role",
        "node",
        "epoch",
        "offset",
        "committed_offset",
        "committed_chunk_id",
        "first_offset",
        "readers",
        "segments",
    ];
    Ok(Shown::Rows(ListedRows::plain(&columns, &[row], RowForm::Pretty)))
}

async fn peek(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let Some(queue) = queue(asked, reached).await else {
        let text = format!("Target queue was not found in virtual host '{}'", asked.vhost());
        return Err(Failure::error(UNAVAILABLE, text));
    };
    if queue["type"] != "quorum" {
        let text =
            format!("Cannot peek into a {} queue", queue["type"].as_str().unwrap_or_default());
        return Err(Failure::error(UNAVAILABLE, text));
    }
    let none =
        || Failure::error(UNAVAILABLE, "Target queue does not have a message at that position");
    let position: usize = asked.word(1).parse().map_err(|_| none())?;
    let body = json!({"count": position, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let path = format!("queues/{}/{}/get", escape(asked.vhost()), escape(asked.word(0)));
    let messages = reached.send(Call::post(path, body)).await;
    let messages = messages.map_err(|error| Failure::of(error, asked, &reached.node))?;
    let message = position.checked_sub(1).and_then(|place| messages.get(place)).ok_or_else(none)?;
    let properties = &message["properties"];
    let payload = message["payload"].as_str().unwrap_or_default();
    let mut fields = vec![
        (
            "routing_keys".to_owned(),
            message["routing_key"].as_str().unwrap_or_default().to_owned(),
            json!([message["routing_key"]]),
        ),
        (
            "exchange".to_owned(),
            message["exchange"].as_str().unwrap_or_default().to_owned(),
            message["exchange"].clone(),
        ),
    ];
    let payload: String = payload.chars().take(PEEKED_BYTES).collect();
    fields.push((format!("payload (max {PEEKED_BYTES} bytes)"), payload.clone(), json!(payload)));
    for (name, value) in properties.as_object().into_iter().flatten() {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if name == "headers" {
            for (name, value) in value.as_object().into_iter().flatten() {
                fields.push((format!("header.{name}"), text(value), value.clone()));
            }
        } else {
            fields.insert(0, (name.clone(), text(value), value.clone()));
        }
    }
    if asked.formatter() == Some("json") {
        let object: serde_json::Map<String, Value> =
            fields.iter().map(|(name, _, value)| (name.clone(), value.clone())).collect();
        let json = json!({"message": object, "result": "ok"});
        return Ok(Shown::Document { text: String::new(), json });
    }
    let rows = fields
        .into_iter()
        .map(|(name, shown, json)| vec![Cell::text(&name), Cell::new(shown, json)]);
    Ok(Shown::Rows(ListedRows::new(&["keys", "values"], rows.collect(), RowForm::Pretty)))
}

/// The leaders on each node.
async fn leaders(kind: &str, asked: &Asked, reached: &Reached) -> Result<Value, Failure> {
    let queues = reached.rows("queues").await;
    let queues = queues.map_err(|error| Failure::of(error, asked, &reached.node))?;
    let count = |wanted: &str| queues.iter().filter(|queue| queue["type"] == wanted).count();
    let mut row = json!({"Node name": reached.node});
    for (title, wanted, kinds) in [
        ("Number of quorum queues", "quorum", ["all", "quorum"]),
        ("Number of streams", "stream", ["all", "stream"]),
    ] {
        if kinds.contains(&kind) && count(wanted) > 0 {
            row[title] = count(wanted).into();
        }
    }
    let has_some = row.as_object().is_some_and(|fields| fields.len() > 1);
    Ok(if has_some { json!([row]) } else { json!([]) })
}

async fn rebalance(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let kind = asked.word(0);
    if !["all", "quorum", "stream"].contains(&kind) {
        let text = format!("type {kind} is not supported. Try one of all, quorum, stream.");
        return Err(Failure::error(UNAVAILABLE, text));
    }
    let done = reached.perform("rebalance", vec![kind.to_owned()]).await;
    done.map_err(|error| Failure::of(error, asked, &reached.node))?;
    let leaders = leaders(kind, asked, reached).await?;
    if asked.formatter() == Some("json") {
        let json = json!({"node": reached.node, "value": leaders, "result": "ok"});
        return Ok(Shown::Document { text: String::new(), json });
    }
    let rows = leaders.as_array().cloned().unwrap_or_default();
    let Some(first) = rows.first().and_then(Value::as_object) else { return Ok(nothing()) };
    let columns: Vec<&str> = first.keys().map(String::as_str).collect();
    Ok(Shown::Rows(ListedRows::plain(&columns, &rows, RowForm::Pretty)))
}

async fn post_upgrade(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let leaders = leaders("all", asked, reached).await?;
    let fields =
        leaders[0].as_object().into_iter().flatten().map(|(name, value)| match value.as_str() {
            Some(node) => format!("{{{}, :{node}}}", json!(name)),
            None => format!("{{{}, {value}}}", json!(name)),
        });
    let fields = fields.collect::<Vec<_>>().join(", ");
    Ok(Shown::message(format!("Rebalancing queue masters...\n[{fields}]")))
}

async fn reclaim(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    match queue(asked, reached).await {
        Some(_) => Ok(Shown::Nothing),
        None => Err(Failure::error(
            UNAVAILABLE,
            format!("Target queue was not found in virtual host '{}'", asked.vhost()),
        )),
    }
}

/// Every message of a quorum queue is on disk once, so a checkpoint is always there.
async fn checkpoint(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    match reached.rows("queues").await {
        Ok(queues) => {
            let quorum = queues.iter().filter(|queue| queue["type"] == "quorum");
            let ok = || Cell::new("{ok}", json!("ok"));
            let rows =
                quorum.map(|row| vec![Cell::plain(&row["vhost"]), Cell::plain(&row["name"]), ok()]);
            Ok(Shown::Rows(ListedRows::new(
                &["vhost", "name", "result"],
                rows.collect(),
                RowForm::Table,
            )))
        }
        Err(error) if refusal(&error).is_some() => Ok(Shown::Nothing),
        Err(error) => Err(Failure::of(error, asked, &reached.node)),
    }
}
