//! Health checks: 200 and `ok`, or 503 and what is missing.

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::view::{Names, View};

/// Checks that hold as long as somebody answers: there are no alarms, and one node is the whole cluster.
pub(super) fn is_up(_: &View<'_>) -> Value {
    json!({"status": "ok"})
}

/// `GET /health/checks/node-is-quorum-critical`, and its like for mirrors.
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
    if names.get("node")? != view.node() {
        return Err(Refusal::NotFound);
    }
    Ok(json!({"status": "ok"}))
}

/// `GET /health/checks/port-listener/:port`.
pub(super) fn port_listener(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let text = names.get("port")?;
    let port: u16 =
        text.parse().map_err(|_| Refusal::bad_request(format!("'{text}' is not a port")))?;
    let ports: Vec<u16> = view.facts.listeners.iter().map(|listener| listener.port).collect();
    if ports.contains(&port) {
        return Ok(json!({"status": "ok", "port": port}));
    }
    Err(missing(port, "ports", ports))
}

/// `GET /health/checks/protocol-listener/:protocol`.
pub(super) fn protocol_listener(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let asked = names.get("protocol")?;
    let protocol = listened_name(asked);
    let mut protocols: Vec<_> =
        view.facts.listeners.iter().map(|listener| listener.protocol).collect();
    protocols.dedup();
    if protocols.contains(&protocol) {
        return Ok(json!({"status": "ok", "protocol": protocol}));
    }
    // A list of one, since RabbitMQ 4.1.
    Err(missing(vec![protocol], "protocols", protocols))
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
