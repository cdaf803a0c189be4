//! Parameters of components, global ones, and the cluster's name, which is such a one.

use serde_json::Value;

use super::policies;
use crate::broker::admin::PolicyName;
use crate::broker::parameters::{CLUSTER_NAME, ParameterName};
use crate::broker::policies::Author;
use crate::management::auth::RequiredRole;
use crate::management::change_request::{ChangeOutcome, ChangeRequest, gone};
use crate::management::json;
use crate::management::refusal::Refusal;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, FieldValue};

/// `PUT /parameters/:component/:vhost/:name`.
pub(in crate::management) fn put(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let vhost = request.vhost()?;
    request.view.check_visible(&vhost)?;
    let body = request.body()?;
    body.require(&["value"])?;
    let value = read(body.get("value").unwrap_or(&Value::Null))?;
    let broker = request.view.broker;
    match (request.names.get("component")?, value) {
        ("vhost-limits", FieldValue::Table(limits)) => {
            request.require(RequiredRole::Administrator)?;
            let is_new = broker.vhost_limits(vhost.name()).is_none();
            broker
                .limit_vhost(vhost.name(), limits)
                .map_err(|fault| policies::refused(Author::User, fault, broker.compat()))?;
            Ok(if is_new { ChangeOutcome::Created } else { ChangeOutcome::Quietly })
        }
        ("operator_policy", FieldValue::Table(policy)) => {
            request.require(RequiredRole::Administrator)?;
            let (author, name) = (Author::Operator, request.name("name")?);
            let name = PolicyName { author, vhost: vhost.name().clone(), name };
            Ok(broker.put_policy(&name, policy, request.view.uptime_ms)?.into())
        }
        ("policy", _) => Err(Refusal::bad_request("policies may not be set using this method")),
        (component, _) => Err(no_component(component)),
    }
}

/// A component that is not there: those of plugins are not.
fn no_component(component: &str) -> Refusal {
    Refusal::bad_request(format!("Validation failed\n\ncomponent {component} not found\n"))
}

/// Reads a value; the names in it have RabbitMQ's order.
pub(in crate::management) fn read(value: &Value) -> Result<FieldValue, Refusal> {
    match value {
        Value::Object(object) => json::sorted(object).map(FieldValue::Table),
        other => json::value(other),
    }
}

/// `DELETE /parameters/:component/:vhost/:name`.
pub(in crate::management) fn delete(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let vhost = request.vhost()?;
    request.view.check_visible(&vhost)?;
    let (broker, vhost) = (request.view.broker, vhost.name());
    let author = Author::BOTH
        .into_iter()
        .find(|author| request.names.get("component") == Ok(author.component()));
    let was_there = if let Some(author) = author {
        request.require(RequiredRole::Administrator)?;
        let name = PolicyName { author, vhost: vhost.clone(), name: request.name("name")? };
        broker.delete_policy(&name, request.view.uptime_ms)?
    } else if request.names.get("component")? == "vhost-limits" {
        request.require(RequiredRole::Administrator)?;
        let was_there = broker.vhost_limits(vhost).is_some();
        broker.limit_vhost(vhost, FieldTable::new())?;
        was_there
    } else {
        let component = request.name("component")?;
        broker.delete_parameter(&ParameterName {
            vhost: vhost.clone(),
            component,
            name: request.name("name")?,
        })?
    };
    if was_there { Ok(ChangeOutcome::Quietly) } else { Err(Refusal::NotFound) }
}

/// `PUT /global-parameters/:name`.
pub(in crate::management) fn put_global(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let body = request.body()?;
    body.require(&["value"])?;
    let value = read(body.get("value").unwrap_or(&Value::Null))?;
    Ok(request.view.broker.set_global(&request.name("name")?, value)?.into())
}

/// `DELETE /global-parameters/:name`.
pub(in crate::management) fn delete_global(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    gone(request.view.broker.clear_global(&request.name("name")?)?)
}

/// `PUT /cluster-name`.
pub(in crate::management) fn name_cluster(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let body = request.body()?;
    let name = FieldValue::LongStr(body.text("name")?.into());
    request.view.broker.set_global(&literal(CLUSTER_NAME), name)?;
    Ok(ChangeOutcome::Quietly)
}
