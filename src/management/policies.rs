//! Policies, parameters and limits as RabbitMQ's management API shows them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::arguments;
use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::Broker;
use crate::broker::admin::CLUSTER_ID;
use crate::broker::parameters::{CLUSTER_NAME, Parameter, ParameterName};
pub(super) use crate::broker::policies::PolicySubject;
use crate::broker::policies::{Applied, Author, Policy, merge};
use crate::broker::vhost::Vhost;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, FieldValue};

/// `GET /policies` and `/policies/:vhost`.
pub(super) fn list(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    by(Author::User, view, names)
}

/// `GET /operator-policies` and `/operator-policies/:vhost`.
pub(super) fn list_operators(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    by(Author::Operator, view, names)
}

/// `GET /policies/:vhost/:name`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    named(list(view, names)?, names)
}

/// `GET /operator-policies/:vhost/:name`.
pub(super) fn one_operators(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    named(list_operators(view, names)?, names)
}

fn by(author: Author, view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let all = of_vhosts(view, names)?.into_iter();
    let its = all.filter(|one| one.name.component == author.component());
    Ok(its.filter_map(|parameter| row(&parameter)).collect())
}

fn named(rows: Vec<Value>, names: &Names) -> Result<Value, Refusal> {
    let name = names.get("name")?;
    rows.into_iter().find(|row| row["name"] == name).ok_or(Refusal::NotFound)
}

/// The parameters of the vhosts a list is about, global ones left out.
fn of_vhosts(view: &View<'_>, names: &Names) -> Result<Vec<Parameter>, Refusal> {
    let vhosts = view.vhosts(names)?;
    let mut all = view.broker.parameters.list();
    all.retain(|one| {
        !one.name.component.is_empty() && vhosts.iter().any(|vhost| *vhost.name() == one.name.vhost)
    });
    Ok(all)
}

fn row(parameter: &Parameter) -> Option<Value> {
    let FieldValue::Table(value) = &parameter.value else { return None };
    let field = |name: &str| value.get(name).map_or(Value::Null, arguments::value);
    Some(json!({
        "vhost": parameter.name.vhost.as_str(),
        "name": parameter.name.name.as_str(),
        "pattern": field("pattern"),
        "apply-to": field("apply-to"),
        "definition": field("definition"),
        "priority": field("priority"),
    }))
}

/// `GET /parameters`, `/parameters/:component` and `/parameters/:component/:vhost`: all but users' policies.
pub(super) fn parameters(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let component = names.0.get("component");
    let mut all = of_vhosts(view, names)?;
    all.retain(|one| {
        one.name.component != Author::User.component()
            && component.is_none_or(|component| one.name.component == component.as_str())
    });
    let row = |one: Parameter| {
        json!({
            "value": arguments::value(&one.value),
            "vhost": one.name.vhost.as_str(),
            "component": one.name.component.as_str(),
            "name": one.name.name.as_str(),
        })
    };
    Ok(all.into_iter().map(row).collect())
}

/// `GET /parameters/:component/:vhost/:name`.
pub(super) fn parameter(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    named(parameters(view, names)?, names)
}

/// `GET /vhost-limits` and `/vhost-limits/:vhost`.
pub(super) fn vhost_limits(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let row = |vhost: &Arc<Vhost>| {
        let limits = view.broker.vhost_limits(vhost.name())?;
        Some(json!({"vhost": vhost.name().as_str(), "value": arguments::object(&limits)}))
    };
    Ok(view.vhosts(names)?.iter().filter_map(row).collect())
}

/// `GET /global-parameters`: the cluster's name always is one.
pub(super) fn global_parameters(view: &View<'_>) -> Vec<Value> {
    let all = view.broker.parameters.list().into_iter();
    let mut rows: Vec<_> = all
        .filter(|one| one.name.component.is_empty())
        .map(|one| json!({"name": one.name.name.as_str(), "value": arguments::value(&one.value)}))
        .collect();
    if !rows.iter().any(|row| row["name"] == CLUSTER_NAME) {
        rows.insert(0, json!({"name": CLUSTER_NAME, "value": view.node()}));
    }
    rows
}

/// `GET /global-parameters/:name`.
pub(super) fn global_parameter(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    named(global_parameters(view), names)
}

/// `GET /cluster-name`.
pub(super) fn cluster_name(view: &View<'_>) -> Value {
    let all = global_parameters(view);
    let name = all.into_iter().find(|row| row["name"] == CLUSTER_NAME);
    json!({"name": name.map(|row| row["value"].clone())})
}

/// The identity of the cluster, which stays the same when its name changes.
pub(super) fn id_of_cluster(broker: &Broker) -> Option<String> {
    let id = broker.parameters.get(&ParameterName::global(&literal(CLUSTER_ID)));
    id.as_ref().and_then(FieldValue::as_str).map(str::to_owned)
}

fn definition(policy: Option<&Arc<Policy>>) -> Option<&FieldTable> {
    policy.map(|policy| &policy.definition)
}

/// The fields of [`put_applied`].
pub(super) const APPLIED_FIELDS: [&str; 3] =
    ["policy", "operator_policy", "effective_policy_definition"];

/// Tells in a queue's or an exchange's row which policies apply.
pub(super) fn put_applied(row: &mut Value, vhost: &Vhost, subject: PolicySubject<'_>) {
    let Applied { user, operator } = vhost.policies().applied(subject);
    let merged = merge(definition(user.as_ref()), definition(operator.as_ref()));
    row["policy"] = user.map(|policy| policy.name.to_string()).into();
    row["operator_policy"] = operator.map(|policy| policy.name.to_string()).into();
    row["effective_policy_definition"] = arguments::object(&merged);
}
