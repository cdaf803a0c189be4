//! Vhosts: put and deleted.

use serde_json::Value;

use crate::broker::admin::Put;
use crate::broker::arguments::QueueKind;
use crate::broker::vhost_metadata::VhostChange;
use crate::management::body::Body;
use crate::management::change_request::{ChangeOutcome, ChangeRequest, gone};
use crate::management::refusal::Refusal;
use crate::wire::ReplyCode;

/// The name that definitions have for the protection of a vhost.
const PROTECTED: &str = "protected_from_deletion";

/// `PUT /vhosts/:vhost`.
pub(in crate::management) fn put(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let body = request.body()?;
    if body.optional_text("default_queue_type")? == Some("") {
        let reason = "default_queue_type must not be an empty string";
        return Err(Refusal::bad_request(reason));
    }
    let change = read(&body)?;
    let creator = Some(&request.view.user.name);
    let (broker, name) = (request.view.broker, request.name("vhost")?);
    let put = broker.put_vhost(&name, change, creator)?;
    if put == Put::Created {
        broker.give_defaults(&name, request.view.uptime_ms);
    }
    Ok(put.into())
}

/// Reads what is to be said of a vhost; definitions have it among its `metadata`.
pub(in crate::management) fn read(body: &Body) -> Result<VhostChange, Refusal> {
    let inner = match body.get("metadata") {
        Some(Value::Object(metadata)) => Body(metadata.clone()),
        _ => Body::default(),
    };
    let text = |name: &str| -> Result<Option<String>, Refusal> {
        let said = body.optional_text(name)?.or(inner.optional_text(name)?);
        Ok(said.map(str::to_owned))
    };
    // RabbitMQ exports the text "undefined" or an empty one where nothing was said.
    let default_queue_type =
        text("default_queue_type")?.filter(|kind| kind != "undefined" && !kind.is_empty());
    if let Some(kind) = &default_queue_type
        && QueueKind::from_name(kind).is_none()
    {
        return Err(Refusal::bad_request(format!("unsupported queue type '{kind}'")));
    }
    let is_traced = body.get("tracing").is_some().then(|| body.flag("tracing")).transpose()?;
    Ok(VhostChange {
        description: text("description")?,
        tags: body.tags()?.or(inner.tags()?),
        default_queue_type,
        is_traced,
        is_protected: None,
    })
}

/// Reads a vhost as definitions have it, which may be protected from deletion. A `PUT` cannot say so (RabbitMQ 4.3).
pub(in crate::management) fn read_defined(body: &Body) -> Result<VhostChange, Refusal> {
    let is_protected = match body.get("metadata") {
        Some(Value::Object(metadata)) if metadata.contains_key(PROTECTED) => {
            Some(Body(metadata.clone()).flag(PROTECTED)?)
        }
        _ => None,
    };
    Ok(VhostChange { is_protected, ..read(body)? })
}

/// `POST /vhosts/:vhost/deletion/protection`.
pub(in crate::management) fn protect(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let name = request.name("vhost")?;
    if request.view.broker.protect_vhost(&name, true)? {
        return Ok(ChangeOutcome::Quietly);
    }
    let reason = format!(
        "Cannot enable deletion protection of virtual host '{name}' because it does not exist"
    );
    Err(Refusal::Missing { reason })
}

/// `DELETE /vhosts/:vhost/deletion/protection`.
pub(in crate::management) fn unprotect(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    gone(request.view.broker.protect_vhost(&request.name("vhost")?, false)?)
}

/// `DELETE /vhosts/:vhost`.
pub(in crate::management) fn delete(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let deleted = request.view.broker.delete_vhost(&request.name("vhost")?);
    gone(deleted.map_err(|fault| match fault.code {
        ReplyCode::PreconditionFailed => Refusal::Protected { reason: fault.text },
        _ => fault.into(),
    })?)
}

/// `POST /vhosts/:vhost/start/:node`: a vhost runs as long as the broker does.
pub(in crate::management) fn start(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    request.vhost()?;
    if request.names.get("node")? != request.view.node() {
        return Err(Refusal::bad_request("The given node is not a member of the cluster"));
    }
    Ok(ChangeOutcome::Quietly)
}

/// `POST /rebalance/queues`: one node leads all queues.
#[expect(clippy::unnecessary_wraps, reason = "as every change")]
pub(in crate::management) fn rebalance(_: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    Ok(ChangeOutcome::Quietly)
}
