//! Definitions: all that was declared, in the form in which RabbitMQ imports it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::view::{Names, View};
use super::{bindings, exchanges, overview, queues, users, vhosts};

/// `GET /definitions`.
pub(super) fn of_broker(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let user = ["name", "password_hash", "hashing_algorithm", "tags", "limits"];
    Ok(json!({
        "rabbit_version": view.broker.compat().version(),
        "rabbitmq_version": view.broker.compat().version(),
        "product_name": super::PRODUCT,
        "product_version": env!("CARGO_PKG_VERSION"),
        "users": keep(users::list(view), &user),
        "vhosts": keep(vhosts::list(view, names)?, &["name", "description", "tags", "metadata"]),
        "permissions": users::permissions(view, names)?,
        "topic_permissions": [],
        "parameters": [],
        "global_parameters": overview::global_parameters(view),
        "policies": [],
        "queues": declared_queues(view, names, &["name", "vhost"])?,
        "exchanges": declared_exchanges(view, names, &["name", "vhost"])?,
        "bindings": made_bindings(view, names, &["source", "vhost"])?,
    }))
}

/// `GET /definitions/:vhost`: without the users, and without the vhost's name in every entry.
pub(super) fn of_vhost(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.vhost(names.vhost()?)?;
    Ok(json!({
        "rabbit_version": view.broker.compat().version(),
        "rabbitmq_version": view.broker.compat().version(),
        "parameters": [],
        "policies": [],
        "queues": declared_queues(view, names, &["name"])?,
        "exchanges": declared_exchanges(view, names, &["name"])?,
        "bindings": made_bindings(view, names, &["source"])?,
    }))
}

/// RabbitMQ leaves out exclusive queues: they end with their connection.
fn declared_queues(view: &View<'_>, names: &Names, head: &[&str]) -> Result<Vec<Value>, Refusal> {
    let mut rows = queues::rows(view, names)?;
    rows.retain(|row| row["exclusive"] == false);
    Ok(keep(rows, &[head, &["durable", "auto_delete", "arguments"]].concat()))
}

/// RabbitMQ leaves out what every vhost starts with.
fn declared_exchanges(
    view: &View<'_>,
    names: &Names,
    head: &[&str],
) -> Result<Vec<Value>, Refusal> {
    let mut rows = exchanges::list(view, names)?;
    rows.retain(|row| row["name"].as_str().is_some_and(|name| !is_predeclared(name)));
    let tail = ["type", "durable", "auto_delete", "internal", "arguments"];
    Ok(keep(rows, &[head, &tail].concat()))
}

fn is_predeclared(name: &str) -> bool {
    name.is_empty() || name.starts_with("amq.")
}

/// RabbitMQ leaves out the bindings of the default exchange and those to exclusive queues.
fn made_bindings(view: &View<'_>, names: &Names, head: &[&str]) -> Result<Vec<Value>, Refusal> {
    let mut exclusive = HashSet::new();
    for vhost in view.vhosts(names)? {
        let queues = vhost.queues().into_iter();
        let owned = queues.filter(|queue| queue.settings().exclusive_owner.is_some());
        exclusive.extend(owned.map(|queue| (vhost.name().to_string(), queue.name().to_string())));
    }
    let mut rows = bindings::list(view, names)?;
    rows.retain(|row| {
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let leads_to_exclusive = row["destination_type"] == "queue"
            && exclusive.contains(&(text("vhost"), text("destination")));
        row["source"] != "" && !leads_to_exclusive
    });
    let tail = ["destination", "destination_type", "routing_key", "arguments"];
    Ok(keep(rows, &[head, &tail].concat()))
}

/// Keeps some fields of every row.
fn keep(rows: Vec<Value>, fields: &[&str]) -> Vec<Value> {
    let cut = |mut row: Value| {
        if let Value::Object(row) = &mut row {
            row.retain(|name, _| fields.contains(&name.as_str()));
        }
        row
    };
    rows.into_iter().map(cut).collect()
}
