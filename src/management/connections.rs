//! Connections as RabbitMQ's management API shows them: those that have finished their handshake.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::auth::MONITORING;
use super::rates::Numbers;
use super::refusal::Refusal;
use super::subject::Subject;
use super::view::{Names, View};
use super::{arguments, channels};
use crate::broker::registry::{Connection, NegotiatedParameters};
use crate::broker::stats::ConnectionCounters;

/// `GET /connections` and `/vhosts/:vhost/connections`.
pub(super) fn list(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let vhost = names.0.get("vhost").map(|name| view.vhost(name)).transpose()?;
    let is_its = |agreed: &NegotiatedParameters| {
        vhost.as_ref().is_none_or(|vhost| agreed.vhost == *vhost.name())
    };
    let all = view.connections().into_iter().filter(|(_, agreed)| is_its(agreed));
    Ok(all.map(|(connection, agreed)| row(view, &connection, &agreed)).collect())
}

/// `GET /connections/username/:user`.
pub(super) fn of_user(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let user = names.get("user")?;
    view.check_own(user, MONITORING)?;
    let all = view.connections().into_iter().filter(|(_, agreed)| agreed.user == user);
    Ok(all.map(|(connection, agreed)| row(view, &connection, &agreed)).collect())
}

/// `GET /connections/:connection`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let (connection, agreed) = view.connection(names)?;
    Ok(row(view, &connection, &agreed))
}

/// `GET /connections/:connection/channels`.
pub(super) fn channels(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let (connection, agreed) = view.connection(names)?;
    Ok(channels::of_connection(view, &connection, &agreed))
}

/// Octets that came and went.
pub(super) fn octets(counters: &ConnectionCounters) -> Numbers {
    vec![("recv_oct", counters.received_bytes.get()), ("send_oct", counters.sent_bytes.get())]
}

fn row(view: &View<'_>, connection: &Connection, agreed: &NegotiatedParameters) -> Value {
    let peer = &connection.peer;
    let connected_at = peer.connected_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut row = json!({
        "name": &*peer.name,
        "node": view.node(),
        "type": "network",
        "protocol": "AMQP 0-9-1",
        "state": if connection.is_blocked.get() { "blocked" } else { "running" },
        "user": agreed.user.as_str(),
        "user_who_performed_action": agreed.user.as_str(),
        "vhost": agreed.vhost.as_str(),
        "auth_mechanism": agreed.mechanism.as_str(),
        "connected_at": u64::try_from(connected_at.as_millis()).unwrap_or(u64::MAX),
        "host": peer.host,
        "port": peer.port,
        "peer_host": peer.peer_host,
        "peer_port": peer.peer_port,
        "ssl": peer.is_tls,
        "client_properties": arguments::object(&agreed.client_properties),
        "channels": connection.channels().len(),
        "channel_max": agreed.channel_max,
        "frame_max": agreed.frame_max,
        "timeout": agreed.heartbeat_s,
        "recv_cnt": connection.counters.received_packets.get(),
        "send_cnt": connection.counters.sent_packets.get(),
        "send_pend": connection.unsent_bytes.get(),
    });
    let unknown = ["ssl_protocol", "ssl_key_exchange", "ssl_cipher", "ssl_hash"];
    for name in unknown {
        row[name] = Value::Null;
    }
    let shown = peer.certificate.as_deref();
    row["peer_cert_subject"] = json!(shown.map(|shown| &shown.subject));
    row["peer_cert_issuer"] = json!(shown.map(|shown| &shown.issuer));
    row["peer_cert_validity"] = json!(shown.map(|shown| &shown.validity));
    row["peer_cert_serial_number"] = json!(shown.map(|shown| &shown.serial_number));
    let name = agreed.client_properties.get("connection_name").and_then(|name| name.as_str());
    if let Some(name) = name {
        row["user_provided_name"] = name.into();
    }
    view.rates.put_counters(
        &mut row,
        &Subject::Connection(connection.id),
        &octets(&connection.counters),
    );
    row
}
