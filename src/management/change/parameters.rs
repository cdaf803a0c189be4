//! Parameters of components, global ones, and the cluster's name, which is such a one.

use serde_json::Value;

use super::policies;
use crate::broker::admin::PolicyName;
use crate::broker::parameters::ParameterName;
use crate::broker::policies::Author;
use crate::management::asked::{Asked, Done, gone};
use crate::management::auth::Who;
use crate::management::json;
use crate::management::policies::CLUSTER_NAME;
use crate::management::refusal::Refusal;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, FieldValue};

/// `PUT /parameters/:component/:vhost/:name`.
pub(in crate::management) fn put(asked: &Asked<'_>) -> Result<Done, Refusal> {
    let vhost = asked.vhost()?;
    asked.view.check_visible(&vhost)?;
    let body = asked.body()?;
    body.require(&["value"])?;
    let value = read(body.get("value").unwrap_or(&Value::Null))?;
    let broker = asked.view.broker;
    match (asked.names.get("component")?, value) {
        ("vhost-limits", FieldValue::Table(limits)) => {
            asked.require(Who::Administrator)?;
            let is_new = broker.vhost_limits(vhost.name()).is_none();
            broker
                .limit_vhost(vhost.name(), limits)
                .map_err(|fault| policies::refused(Author::User, fault, broker.compat()))?;
            Ok(if is_new { Done::Created } else { Done::Quietly })
        }
        ("operator_policy", FieldValue::Table(policy)) => {
            asked.require(Who::Administrator)?;
            let (author, name) = (Author::Operator, asked.name("name")?);
            let name = PolicyName { author, vhost: vhost.name().clone(), name };
            Ok(broker.put_policy(&name, policy, asked.view.uptime_ms)?.into())
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
pub(in crate::management) fn delete(asked: &Asked<'_>) -> Result<Done, Refusal> {
    let vhost = asked.vhost()?;
    asked.view.check_visible(&vhost)?;
    let (broker, vhost) = (asked.view.broker, vhost.name());
    let author = Author::BOTH
        .into_iter()
        .find(|author| asked.names.get("component") == Ok(author.component()));
    let was_there = if let Some(author) = author {
        asked.require(Who::Administrator)?;
        let name = PolicyName { author, vhost: vhost.clone(), name: asked.name("name")? };
        broker.delete_policy(&name, asked.view.uptime_ms)?
    } else if asked.names.get("component")? == "vhost-limits" {
        asked.require(Who::Administrator)?;
        let was_there = broker.vhost_limits(vhost).is_some();
        broker.limit_vhost(vhost, FieldTable::new())?;
        was_there
    } else {
        let component = asked.name("component")?;
        broker.delete_parameter(&ParameterName {
            vhost: vhost.clone(),
            component,
            name: asked.name("name")?,
        })?
    };
    if was_there { Ok(Done::Quietly) } else { Err(Refusal::NotFound) }
}

/// `PUT /global-parameters/:name`.
pub(in crate::management) fn put_global(asked: &Asked<'_>) -> Result<Done, Refusal> {
    let body = asked.body()?;
    body.require(&["value"])?;
    let value = read(body.get("value").unwrap_or(&Value::Null))?;
    Ok(asked.view.broker.set_global(&asked.name("name")?, value)?.into())
}

/// `DELETE /global-parameters/:name`.
pub(in crate::management) fn delete_global(asked: &Asked<'_>) -> Result<Done, Refusal> {
    gone(asked.view.broker.clear_global(&asked.name("name")?)?)
}

/// `PUT /cluster-name`.
pub(in crate::management) fn name_cluster(asked: &Asked<'_>) -> Result<Done, Refusal> {
    let body = asked.body()?;
    let name = FieldValue::LongStr(body.text("name")?.into());
    asked.view.broker.set_global(&literal(CLUSTER_NAME), name)?;
    Ok(Done::Quietly)
}
