//! Health checks: 200 and `ok`, or 503 and the reason.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::server_info::Listener;
use super::view::{Names, View};

/// `GET /health/checks/alarms`.
pub(super) fn alarms(view: &View<'_>, _: &Names) -> Result<Value, Refusal> {
    without_alarms(view, "There are alarms in effect in the cluster")
}

/// `GET /health/checks/local-alarms`.
pub(super) fn local_alarms(view: &View<'_>, _: &Names) -> Result<Value, Refusal> {
    without_alarms(view, "There are alarms in effect on the node")
}

fn without_alarms(view: &View<'_>, reason: &str) -> Result<Value, Refusal> {
    let alarm = &view.broker.alarm;
    let resources = [
        ("memory", alarm.is_short_of_memory()),
        ("disk", alarm.is_short_of_disk()),
        // The name of RabbitMQ's alarm (`rabbit_alarm`), which 4.3 has given up.
        ("file_descriptor_limit", alarm.is_short_of_descriptors()),
    ];
    let short = resources.iter().filter(|(_, is_short)| *is_short);
    let alarms: Vec<Value> =
        short.map(|(resource, _)| json!({"node": view.node(), "resource": resource})).collect();
    if alarms.is_empty() {
        return Ok(json!({"status": "ok"}));
    }
    Err(Refusal::Unhealthy(json!({"status": "failed", "reason": reason, "alarms": alarms})))
}

/// Checks that hold as long as the node answers: one node is the whole cluster.
pub(super) fn is_up(_: &View<'_>) -> Value {
    json!({"status": "ok"})
}

/// `GET /health/checks/is-in-service`: a node that is drained is not.
pub(super) fn in_service(view: &View<'_>, _: &Names) -> Result<Value, Refusal> {
    available(view, "this rabbit node is not currently available to serve")
}

/// `GET /health/checks/ready-to-serve-clients`.
pub(super) fn ready_for_clients(view: &View<'_>, _: &Names) -> Result<Value, Refusal> {
    available(view, "the rabbit node is not currently available to serve")
}

fn available(view: &View<'_>, reason: &str) -> Result<Value, Refusal> {
    if view.server.maintenance.is_on() {
        return Err(Refusal::Unhealthy(json!({"status": "failed", "reason": reason})));
    }
    Ok(json!({"status": "ok"}))
}

/// `GET /health/checks/below-node-connection-limit`.
pub(super) fn connections(view: &View<'_>, _: &Names) -> Result<Value, Refusal> {
    let open = view.broker.registry.count();
    match view.broker.limits.get().connections_max {
        None => Ok(json!({"status": "ok", "limit": "infinity", "connections": open})),
        Some(limit) if open < limit as usize => {
            Ok(json!({"status": "ok", "limit": limit, "connections": open}))
        }
        Some(limit) => Err(Refusal::Unhealthy(json!({
            "status": "failed",
            "reason": "node connection limit is reached",
            "limit": limit,
            "connections": open,
        }))),
    }
}

/// `GET /health/checks/node-is-mirror-sync-critical`: RabbitMQ 4 has no mirrors.
pub(super) fn mirrors(view: &View<'_>, _: &Names) -> Result<Value, Refusal> {
    if view.broker.compat().is_3_10() { Ok(single_node(view)) } else { Err(Refusal::NotFound) }
}

/// `GET /health/checks/node-is-quorum-critical`.
pub(super) fn single_node(_: &View<'_>) -> Value {
    json!({"status": "ok", "reason": "single node cluster"})
}

/// `GET /aliveness-test/:vhost`: answers, and does no more (RabbitMQ 4).
pub(super) fn aliveness(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.vhost(names.vhost()?)?;
    Ok(json!({"status": "ok"}))
}

/// `GET /healthchecks/node/:node`.
pub(super) fn node(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.check_node(names)?;
    Ok(json!({"status": "ok"}))
}

/// `GET /health/checks/port-listener/:port`.
pub(super) fn port_listener(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let text = names.get("port")?;
    let port: u16 =
        text.parse().map_err(|_| Refusal::bad_request(format!("'{text}' is not a port")))?;
    let ports: Vec<u16> = view.server.listeners.iter().map(|listener| listener.port).collect();
    if ports.contains(&port) {
        return Ok(json!({"status": "ok", "port": port}));
    }
    Err(missing(port, "ports", ports))
}

/// `GET /health/checks/protocol-listener/:protocol`.
pub(super) fn protocol_listener(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let asked = names.get("protocol")?.split(',').map(|asked| listened_name(asked.trim()));
    let asked: Vec<_> = asked.collect();
    let mut protocols: Vec<_> =
        view.server.listeners.iter().map(|listener| listener.protocol).collect();
    protocols.dedup();
    let not_there: Vec<_> = asked.iter().filter(|one| !protocols.contains(*one)).collect();
    if not_there.is_empty() {
        // 3.10 takes one protocol, and tells it; 4 tells all that are listened for.
        return Ok(json!({"status": "ok", "protocol": asked[0], "protocols": protocols}));
    }
    // A list, since RabbitMQ 4.1.
    Err(missing(not_there.into_iter().copied().collect::<Vec<_>>(), "protocols", protocols))
}

/// `GET /health/checks/certificate-expiration/:within/:unit`: nothing expires where no listener has a certificate.
pub(super) fn certificates(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    const UNITS: [(&str, i64); 4] = [("days", 1), ("weeks", 7), ("months", 30), ("years", 365)];
    let within = names.get("within")?.parse::<i64>();
    let within = within.map_err(|_| Refusal::bad_request("Invalid expiration value."))?;
    let unit = names.get("unit")?;
    let Some((_, days)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let known = UNITS.map(|(name, _)| name).join(", ");
        let reason = format!("Time unit not recognised. Supported units: {known}.");
        return Err(Refusal::bad_request(reason));
    };
    let now = view.server.started_at + view.server.since_start();
    let now_s = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let until_s = now_s.saturating_add_signed(within.saturating_mul(*days).saturating_mul(86_400));
    let listeners = view.server.listeners.iter();
    let expiring: Result<Vec<_>, Refusal> =
        listeners.filter_map(|listener| expiring(view, listener, until_s).transpose()).collect();
    let expiring = expiring?;
    if expiring.is_empty() {
        return Ok(json!({"status": "ok"}));
    }
    Err(Refusal::Unhealthy(json!({
        "status": "failed", "reason": "Certificates expiring", "expired": expiring,
    })))
}

/// The certificates of a listener that expire up to a time, if there are any.
fn expiring(view: &View<'_>, listener: &Listener, until_s: u64) -> Result<Option<Value>, Refusal> {
    let Some(certificates) = &listener.certificates else { return Ok(None) };
    let (own, authorities) = certificates.expire_at_s().map_err(|error| {
        Refusal::Unhealthy(json!({"status": "failed", "reason": error.to_string()}))
    })?;
    let early = |times_s: Vec<u64>| -> Vec<String> {
        let early = times_s.into_iter().filter(|at_s| *at_s <= until_s);
        early.map(|at_s| date(UNIX_EPOCH + Duration::from_secs(at_s))).collect()
    };
    let (own, authorities) = (early(own), early(authorities));
    if own.is_empty() && authorities.is_empty() {
        return Ok(None);
    }
    let path = |path: &PathBuf| path.display().to_string();
    Ok(Some(json!({
        "node": view.node(),
        "protocol": listener.protocol,
        "interface": listener.address.to_string(),
        "port": listener.port,
        "certfile": path(&certificates.certificate),
        "cacertfile": certificates.client_ca.as_ref().map(path),
        "certfile_expires_on": own,
        "cacertfile_expires_on": authorities,
    })))
}

/// A time as this check tells it: `2026-12-10 17:59:35`.
fn date(at: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(at).to_string();
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}

/// The protocol as listeners name it (RabbitMQ: `rabbit_networking:normalize_protocol`, as `rabbitmq-diagnostics`).
fn listened_name(asked: &str) -> &str {
    match asked {
        "amqp" | "amqp091" | "amqp0.9.1" | "amqp0-9-1" | "amqp-0-9-1" | "amqp10" | "amqp1.0" => {
            "amqp"
        }
        "amqps" | "amqp/ssl" => "amqp/ssl",
        "https" | "management/ssl" => "https",
        "http" | "management" => "http",
        other => other,
    }
}

fn missing(what: impl Into<Value>, kind: &str, all: impl Into<Value>) -> Refusal {
    Refusal::Unhealthy(json!({
        "status": "failed",
        "reason": "No active listener",
        "missing": what.into(),
        kind: all.into(),
    }))
}
