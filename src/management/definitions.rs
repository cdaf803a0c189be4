//! Definitions: all that was declared, in the form in which RabbitMQ imports it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::change_request::{ChangeOutcome, ChangeRequest};
use super::import::DefinitionsFile;
use super::refusal::Refusal;
use super::server_info::PRODUCT;
use super::view::{Names, View};
use super::{bindings, exchanges, policies, queues, users, vhosts};
use crate::wire::ShortStr;

/// `GET /definitions`.
pub(super) fn of_broker(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let user = ["name", "password_hash", "hashing_algorithm", "tags", "limits"];
    Ok(json!({
        "rabbit_version": view.broker.compat().version(),
        "rabbitmq_version": view.broker.compat().version(),
        "product_name": PRODUCT,
        "product_version": env!("CARGO_PKG_VERSION"),
        "users": keep(users::list(view), &user),
        "vhosts": keep(vhosts::list(view, names)?, &["name", "description", "tags", "metadata"]),
        "permissions": users::permissions(view, names)?,
        "topic_permissions": users::topic_permissions(view, names)?,
        "parameters": policies::parameters(view, names)?,
        "global_parameters": policies::global_parameters(view),
        "policies": policies::list(view, names)?,
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
        "parameters": without_vhost(policies::parameters(view, names)?),
        "policies": without_vhost(policies::list(view, names)?),
        "queues": declared_queues(view, names, &["name"])?,
        "exchanges": declared_exchanges(view, names, &["name"])?,
        "bindings": made_bindings(view, names, &["source"])?,
    }))
}

fn without_vhost(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        if let Value::Object(row) = row {
            row.shift_remove("vhost");
        }
    }
    rows
}

/// `POST /definitions`: what comes is JSON, or a form with a file of it.
pub(super) fn import(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    put(request, None)
}

/// `POST /definitions/:vhost`.
pub(super) fn import_into_vhost(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let name = request.names.vhost()?;
    let vhost = request.view.broker.vhost(name).map_err(|_| Refusal::vhost_not_found())?;
    put(request, Some(vhost.name()))
}

fn put(request: &ChangeRequest<'_>, vhost: Option<&ShortStr>) -> Result<ChangeOutcome, Refusal> {
    let bytes = file_of_form(&request.body).unwrap_or(&request.body);
    if bytes.is_empty() {
        // RabbitMQ takes nothing for definitions of nothing.
        return Ok(ChangeOutcome::Quietly);
    }
    let file = DefinitionsFile::read(bytes);
    let file = file.map_err(|_| Refusal::bad_request("failed_to_parse_json"))?;
    let view = &request.view;
    file.put(view.broker, vhost, Some(&view.user.name), view.uptime_ms)?;
    Ok(ChangeOutcome::Quietly)
}

/// The file in a form, as browsers send one (RFC 7578): the part called `file`, between the boundaries.
fn file_of_form(body: &[u8]) -> Option<&[u8]> {
    let body = body.strip_prefix(b"--")?;
    let line_end = find(body, b"\r\n")?;
    let boundary = [b"\r\n--", &body[..line_end]].concat();
    let mut rest = &body[line_end..];
    loop {
        let head_end = find(rest, b"\r\n\r\n")?;
        let (head, content) = (&rest[..head_end], &rest[head_end + 4..]);
        let end = find(content, &boundary)?;
        if find(head, b"name=\"file\"").is_some() {
            return Some(&content[..end]);
        }
        rest = &content[end + boundary.len()..];
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
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

#[cfg(test)]
mod tests {
    use super::file_of_form;

    #[test]
    fn the_file_of_a_form_is_found() {
        let form = b"--b1\r\nContent-Disposition: form-data; name=\"redirect\"\r\n\r\n/x\r\n--b1\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"f.json\"\r\nContent-Type: application/json\r\n\r\n\
            {\"a\": 1}\r\n--b1--\r\n";
        assert_eq!(file_of_form(form), Some(&b"{\"a\": 1}"[..]));
        assert_eq!(file_of_form(b"{}"), None);
        assert_eq!(file_of_form(b"--b1\r\n"), None);
    }
}
