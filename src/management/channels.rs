//! Channels as RabbitMQ's management API shows them.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::subject::Subject;
use super::view::{Names, View};
use super::{consumers, message_stats};
use crate::broker::registry::{Channel, Connection, NegotiatedParameters};

/// A channel that did nothing for so long is called idle.
const IDLE_AFTER_MS: u64 = 5000;

/// `GET /channels` and `/vhosts/:vhost/channels`.
pub(super) fn list(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let vhost = names.0.get("vhost").map(|name| view.vhost(name)).transpose()?;
    let is_its = |agreed: &NegotiatedParameters| {
        vhost.as_ref().is_none_or(|vhost| agreed.vhost == *vhost.name())
    };
    let all = view.connections().into_iter().filter(|(_, agreed)| is_its(agreed));
    Ok(all.flat_map(|(connection, agreed)| of_connection(view, &connection, &agreed)).collect())
}

/// The channels of one connection.
pub(super) fn of_connection(
    view: &View<'_>,
    connection: &Connection,
    agreed: &NegotiatedParameters,
) -> Vec<Value> {
    let channels = connection.channels().into_iter();
    channels.map(|channel| row(view, connection, agreed, &channel)).collect()
}

/// `GET /channels/:channel`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let name = names.get("channel")?;
    for (connection, agreed) in view.connections() {
        let mut channels = connection.channels().into_iter();
        let found = channels.find(|channel| name_of(&connection, channel) == name);
        if let Some(channel) = found {
            let mut row = row(view, &connection, &agreed, &channel);
            let consumers = consumers::of_channel(view, &connection.peer.name, channel.number);
            row["consumer_details"] = consumers.into();
            // Counted by exchange and by queue in RabbitMQ's detailed mode only.
            row["publishes"] = json!([]);
            row["deliveries"] = json!([]);
            return Ok(row);
        }
    }
    Err(Refusal::NotFound)
}

pub(super) fn name_of(connection: &Connection, channel: &Channel) -> String {
    format!("{} ({})", connection.peer.name, channel.number)
}

fn row(
    view: &View<'_>,
    connection: &Connection,
    agreed: &NegotiatedParameters,
    channel: &Channel,
) -> Value {
    let subject = Subject::Channel(connection.id, channel.number);
    let stats = view.rates.counters(&subject, &message_stats::of_messages(&channel.counters));
    let mut row = json!({
        "name": name_of(connection, channel),
        "number": channel.number,
        "connection_details": {
            "name": &*connection.peer.name,
            "peer_host": connection.peer.peer_host,
            "peer_port": connection.peer.peer_port,
        },
        "node": view.node(),
        "user": agreed.user.as_str(),
        "user_who_performed_action": agreed.user.as_str(),
        "vhost": agreed.vhost.as_str(),
        "state": "running",
        "confirm": channel.is_confirm.get(),
        "transactional": channel.is_transactional.get(),
        "consumer_count": channel.consumers.get(),
        "prefetch_count": channel.prefetch.get(),
        "global_prefetch_count": channel.global_prefetch.get(),
        "messages_unacknowledged": channel.unacked.get(),
        "messages_unconfirmed": channel.unconfirmed.get(),
        "messages_uncommitted": channel.uncommitted.get(),
        "acks_uncommitted": channel.uncommitted_acks.get(),
        "message_stats": stats,
    });
    let active_at = channel.active_at.get();
    if view.uptime_ms.saturating_sub(active_at) >= IDLE_AFTER_MS {
        row["idle_since"] = timestamp(view.server.started_at + Duration::from_millis(active_at));
    }
    row
}

/// A time as RabbitMQ writes it: `2026-11-22T11:44:03.123+00:00`.
fn timestamp(at: SystemTime) -> Value {
    let text = humantime::format_rfc3339_millis(at).to_string();
    text.replace('Z', "+00:00").into()
}
