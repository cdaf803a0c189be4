//! Vhosts: put and deleted.

use serde_json::Value;

use super::body::Body;
use super::{Asked, Done, gone};
use crate::broker::admin::VhostChange;
use crate::broker::arguments::QueueKind;
use crate::management::refusal::Refusal;

/// `PUT /vhosts/:vhost`.
pub(super) fn put(asked: &Asked<'_>) -> Result<Done, Refusal> {
    asked.administrator()?;
    let change = read(&asked.body()?)?;
    let creator = Some(&asked.view.user.name);
    Ok(asked.view.broker.put_vhost(&asked.name("vhost")?, change, creator)?.into())
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
    // RabbitMQ 3.10 exports the text "undefined" where nothing was said.
    let default_queue_type = text("default_queue_type")?.filter(|kind| kind != "undefined");
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
    })
}

/// `DELETE /vhosts/:vhost`.
pub(super) fn delete(asked: &Asked<'_>) -> Result<Done, Refusal> {
    asked.administrator()?;
    gone(asked.view.broker.delete_vhost(&asked.name("vhost")?)?)
}
