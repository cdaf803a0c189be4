//! Limits of vhosts, of users and of the node.

use serde_json::{Value, json};

use crate::broker::auth::UserLimits;
use crate::broker::node_limits::Watermark;
use crate::broker::policies::term;
use crate::management::change_request::{ChangeOutcome, ChangeRequest};
use crate::management::json;
use crate::management::refusal::Refusal;
use crate::management::view::View;
use crate::server::resources;
use crate::wire::FieldTable;

/// The node's limits, by RabbitMQ's keys.
const DISK: &str = "disk_free_limit";
const MEMORY: &str = "vm_memory_high_watermark";

/// `PUT /vhost-limits/:vhost/:name`.
pub(in crate::management) fn of_vhost(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let vhost = request.vhost()?;
    let body = request.body()?;
    body.require(&["value"])?;
    let value = json::value(body.get("value").unwrap_or(&Value::Null))?;
    let mut limits = request.view.broker.vhost_limits(vhost.name()).unwrap_or_default();
    limits.insert(request.name("name")?, value);
    request.view.broker.limit_vhost(vhost.name(), limits)?;
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /vhost-limits/:vhost/:name`.
pub(in crate::management) fn clear_of_vhost(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let vhost = request.vhost()?;
    request.view.broker.clear_vhost_limit(vhost.name(), request.names.get("name")?)?;
    Ok(ChangeOutcome::Quietly)
}

/// `PUT /nodes/:node/limits`: what `set_disk_free_limit` and `set_vm_memory_high_watermark` do, for which RabbitMQ's API
/// has no call. The limits are in force until the node starts again or reads its configuration again.
pub(in crate::management) fn of_node(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let View { broker, server, .. } = &request.view;
    request.view.check_node(&request.names)?;
    let body = request.body()?;
    if body.0.is_empty() {
        return Err(Refusal::bad_request("no limit is named"));
    }
    let mut all = Vec::new();
    for (key, value) in &body.0 {
        let limit = watermark(key, value)?;
        let total_bytes = resources::total_bytes(&broker.limits.get());
        let none = Refusal::Unavailable { reason: "the machine's memory is not known" };
        all.push((key, limit, limit.bytes(total_bytes).ok_or(none)?));
    }
    for (key, limit, bytes) in all {
        broker.limits.change(|limits| match key.as_str() {
            DISK => limits.disk_free_bytes_min = bytes,
            _ => limits.memory_bytes_max = Some(bytes),
        });
        let (part, value) = match limit {
            Watermark::Relative(part) => ("relative", part.to_string()),
            Watermark::Absolute(bytes) => ("absolute", bytes.to_string()),
        };
        let prefix = format!("{key}.");
        let key = format!("{prefix}{part}");
        tracing::info!(key, value, "configuration changed");
        server.configuration.replace(&prefix, key, value);
    }
    resources::look_now(broker, server.data_directory.as_deref());
    Ok(ChangeOutcome::Quietly)
}

/// `PUT /nodes/:node/disk-monitoring`: what `rabbitmqctl activate_free_disk_space_monitoring` does.
pub(in crate::management) fn watch_disk(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    set_disk_watch(request, true)
}

/// `DELETE /nodes/:node/disk-monitoring`: what `rabbitmqctl deactivate_free_disk_space_monitoring` does.
pub(in crate::management) fn ignore_disk(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    set_disk_watch(request, false)
}

/// In force until the node starts again or reads its configuration again. An alarm for the disk ends.
fn set_disk_watch(request: &ChangeRequest<'_>, is_watched: bool) -> Result<ChangeOutcome, Refusal> {
    let View { broker, server, .. } = &request.view;
    request.view.check_node(&request.names)?;
    broker.limits.change(|limits| limits.is_disk_watched = is_watched);
    tracing::info!(is_watched, "monitoring of the free disk space changed");
    resources::look_now(broker, server.data_directory.as_deref());
    Ok(ChangeOutcome::Quietly)
}

/// A limit of the node: `{"relative": PART}` or `{"absolute": BYTES}`.
fn watermark(key: &str, value: &Value) -> Result<Watermark, Refusal> {
    let part_max = match key {
        DISK => f64::MAX,
        MEMORY => 1.0,
        _ => {
            let text = format!("{key} is not a limit of the node: {DISK} and {MEMORY} are");
            return Err(Refusal::bad_request(text));
        }
    };
    let wrong = || {
        let text = format!("{key} should be {{\"relative\": PART}} or {{\"absolute\": BYTES}}");
        Refusal::bad_request(text)
    };
    let mut fields = value.as_object().into_iter().flatten();
    let (Some((kind, number)), None) = (fields.next(), fields.next()) else {
        return Err(wrong());
    };
    let limit = match kind.as_str() {
        "absolute" => number.as_u64().map(Watermark::Absolute),
        "relative" => {
            let part = number.as_f64().filter(|part| (0.0..=part_max).contains(part));
            part.map(Watermark::Relative)
        }
        _ => None,
    };
    limit.ok_or_else(wrong)
}

/// `PUT /user-limits/:user/:name`.
pub(in crate::management) fn of_user(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let body = request.body()?;
    body.require(&["value"])?;
    let value = body.get("value").unwrap_or(&Value::Null);
    let (user, name) = (request.names.get("user")?, request.names.get("name")?);
    let most = most(name, value)?;
    of_user_named(&mut UserLimits::default(), name, value)?;
    let is_there = request.view.broker.limit_user(user, |limits| {
        if let Ok(limit) = of_user_named(limits, name, value) {
            *limit = most;
        }
    })?;
    if is_there {
        Ok(ChangeOutcome::Quietly)
    } else {
        Err(Refusal::BadReason(json!(["no_such_user", user])))
    }
}

/// `DELETE /user-limits/:user/:name`.
pub(in crate::management) fn clear_of_user(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let (user, name) = (request.names.get("user")?, request.names.get("name")?);
    let is_there = request.view.broker.limit_user(user, |limits| {
        // Without a limit of that name there is nothing to clear.
        if let Ok(limit) = of_user_named(limits, name, &Value::Null) {
            *limit = None;
        }
    })?;
    if is_there { Ok(ChangeOutcome::Quietly) } else { Err(Refusal::NotFound) }
}

/// The limit of that name.
pub(super) fn of_user_named<'a>(
    limits: &'a mut UserLimits,
    name: &str,
    value: &Value,
) -> Result<&'a mut Option<u64>, Refusal> {
    match name {
        "max-connections" => Ok(&mut limits.connections_max),
        "max-channels" => Ok(&mut limits.channels_max),
        _ => {
            let given = FieldTable::from_entries(vec![(json::name_of(name)?, json::value(value)?)]);
            let given = crate::broker::policies::pairs(&given);
            Err(Refusal::bad_request(format!("Unrecognised terms {given} in user-limits")))
        }
    }
}

/// A limit; a negative one is none.
pub(super) fn most(name: &str, value: &Value) -> Result<Option<u64>, Refusal> {
    let number = value.as_i64().ok_or_else(|| {
        let told = json::value(value).map(|value| term(&value)).unwrap_or_default();
        Refusal::bad_request(format!("{name} should be a number, actually was {told}"))
    })?;
    Ok(u64::try_from(number).ok())
}
