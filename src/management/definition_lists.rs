//! The lists of definitions: the way each is exported, and the way an object of it is read.
//!
//! To add one, add its row to [`LISTS`], and its objects to [`NewDefinitions`].

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::body::Body;
use super::change::{
    read_binding, read_exchange, read_parameter, read_permission, read_policy, read_queue,
    read_topic, read_user, read_vhost,
};
use super::refusal::Refusal;
use super::view::{Names, View};
use super::{arguments, bindings, exchanges, json, policies, queues, users, vhosts};
use crate::broker::admin::{CLUSTER_ID, NewDefinitions, PolicyName};
use crate::broker::auth::Hashing;
use crate::broker::compat::Compat;
use crate::broker::parameters::{Parameter, ParameterName};
use crate::broker::policies::Author;
use crate::broker::vhost::Vhost;
use crate::wire::{FieldValue, ShortStr};

/// A list of definitions.
struct DefinitionList {
    name: &'static str,
    /// The definitions of one vhost have it, too.
    is_of_vhost: bool,
    /// Makes its rows, each with the name of its vhost.
    rows: fn(&View<'_>, &Names) -> Result<Vec<Value>, Refusal>,
    read: fn(&mut DefinitionsReading, &mut Body) -> Result<(), Refusal>,
}

/// All lists, in the order in which RabbitMQ takes them in.
const LISTS: &[DefinitionList] = &[
    DefinitionList {
        name: "users",
        is_of_vhost: false,
        rows: |view, _| Ok(all_users(view)),
        read: DefinitionsReading::user,
    },
    DefinitionList {
        name: "vhosts",
        is_of_vhost: false,
        rows: all_vhosts,
        read: DefinitionsReading::vhost,
    },
    DefinitionList {
        name: "permissions",
        is_of_vhost: false,
        rows: users::permissions,
        read: DefinitionsReading::permission,
    },
    DefinitionList {
        name: "topic_permissions",
        is_of_vhost: false,
        rows: users::topic_permissions,
        read: DefinitionsReading::topic_permission,
    },
    DefinitionList {
        name: "global_parameters",
        is_of_vhost: false,
        rows: |view, _| Ok(global_parameters(view)),
        read: DefinitionsReading::global_parameter,
    },
    DefinitionList {
        name: "policies",
        is_of_vhost: true,
        rows: policies::list,
        read: DefinitionsReading::policy,
    },
    DefinitionList {
        name: "parameters",
        is_of_vhost: true,
        rows: policies::parameters,
        read: DefinitionsReading::parameter,
    },
    DefinitionList {
        name: "queues",
        is_of_vhost: true,
        rows: declared_queues,
        read: DefinitionsReading::queue,
    },
    DefinitionList {
        name: "exchanges",
        is_of_vhost: true,
        rows: declared_exchanges,
        read: DefinitionsReading::exchange,
    },
    DefinitionList {
        name: "bindings",
        is_of_vhost: true,
        rows: made_bindings,
        read: DefinitionsReading::binding,
    },
];

/// Makes all lists of a broker.
pub(super) fn of_broker(view: &View<'_>, names: &Names) -> Result<Map<String, Value>, Refusal> {
    let rows = |list: &DefinitionList| Ok((list.name.to_owned(), (list.rows)(view, names)?.into()));
    LISTS.iter().map(rows).collect()
}

/// Makes the lists of one vhost, without its name in every row.
pub(super) fn of_vhost(view: &View<'_>, names: &Names) -> Result<Map<String, Value>, Refusal> {
    let rows = |list: &DefinitionList| {
        let rows = without_vhost((list.rows)(view, names)?);
        Ok((list.name.to_owned(), rows.into()))
    };
    LISTS.iter().filter(|list| list.is_of_vhost).map(rows).collect()
}

fn without_vhost(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        if let Value::Object(row) = row {
            row.shift_remove("vhost");
        }
    }
    rows
}

/// The users, as RabbitMQ imports them.
fn all_users(view: &View<'_>) -> Vec<Value> {
    let fields = ["name", "password_hash", "hashing_algorithm", "tags", "limits"];
    keep(users::list(view), &fields)
}

/// The vhosts, as RabbitMQ imports them.
fn all_vhosts(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let vhosts = view.vhosts(names)?;
    let mut rows = keep(vhosts::list(view), &["name", "description", "tags", "metadata"]);
    for (row, vhost) in rows.iter_mut().zip(&vhosts) {
        row["limits"] = limits(view, vhost);
    }
    Ok(rows)
}

/// The limits of a vhost; an empty object if it has none.
fn limits(view: &View<'_>, vhost: &Vhost) -> Value {
    view.broker
        .vhost_limits(vhost.name())
        .map_or_else(|| Map::new().into(), |limits| arguments::object(&limits))
}

/// The facts of a vhost that stand beside the lists of its definitions.
pub(super) fn about_vhost(view: &View<'_>, vhost: &Arc<Vhost>) -> Map<String, Value> {
    let row = vhosts::row_of(view, vhost);
    let fields = ["description", "metadata", "default_queue_type"];
    let facts = fields.into_iter().map(|field| (field.to_owned(), row[field].clone()));
    facts.chain([("limits".to_owned(), limits(view, vhost))]).collect()
}

/// RabbitMQ 4 leaves out the identity of the cluster: another cluster has its own.
fn global_parameters(view: &View<'_>) -> Vec<Value> {
    let mut rows = policies::global_parameters(view);
    rows.retain(|row| row["name"] != CLUSTER_ID);
    rows
}

/// RabbitMQ leaves out exclusive queues: they end with their connection.
fn declared_queues(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let mut rows = queues::declared(view, names)?;
    rows.retain(|row| row["exclusive"] == false);
    Ok(keep(rows, &["name", "vhost", "type", "durable", "auto_delete", "arguments"]))
}

/// RabbitMQ leaves out what every vhost starts with.
fn declared_exchanges(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let mut rows = exchanges::list(view, names)?;
    rows.retain(|row| row["name"].as_str().is_some_and(|name| !is_predeclared(name)));
    let fields = ["name", "vhost", "type", "durable", "auto_delete", "internal", "arguments"];
    Ok(keep(rows, &fields))
}

fn is_predeclared(name: &str) -> bool {
    name.is_empty() || name.starts_with("amq.")
}

/// RabbitMQ leaves out the bindings of the default exchange and those to exclusive queues.
fn made_bindings(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
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
    let fields = ["source", "vhost", "destination", "destination_type", "routing_key", "arguments"];
    Ok(keep(rows, &fields))
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

/// Definitions on their way from JSON.
pub(super) struct DefinitionsReading {
    /// The vhost that all objects go to; `None` if every object says so itself.
    pub(super) vhost: Option<ShortStr>,
    /// The user that declares them.
    pub(super) user: ShortStr,
    pub(super) compat: Compat,
    pub(super) hashing: Hashing,
    /// Components whose parameters are only kept.
    pub(super) kept: BTreeSet<String>,
    pub(super) new: NewDefinitions,
}

impl DefinitionsReading {
    /// Reads all lists; of the definitions of one vhost those that it has.
    pub(super) fn read(&mut self, root: &Map<String, Value>) -> Result<(), Refusal> {
        let is_of_broker = self.vhost.is_none();
        for list in LISTS.iter().filter(|list| is_of_broker || list.is_of_vhost) {
            for mut body in objects(root, list.name)? {
                (list.read)(self, &mut body)?;
            }
        }
        Ok(())
    }

    fn place(&self, body: &Body) -> Result<ShortStr, Refusal> {
        self.vhost.clone().map_or_else(|| body.name("vhost"), Ok)
    }

    fn user(&mut self, body: &mut Body) -> Result<(), Refusal> {
        body.assume("hashing_algorithm", self.hashing.name());
        self.new.users.push(read_user(body.name("name")?, body)?);
        Ok(())
    }

    fn vhost(&mut self, body: &mut Body) -> Result<(), Refusal> {
        let name = body.name("name")?;
        // RabbitMQ 4 has limits here as well.
        if let Some(Value::Object(limits)) = body.get("limits")
            && !limits.is_empty()
        {
            self.new.limits.push((name.clone(), json::sorted(limits)?));
        }
        self.new.vhosts.push((name, read_vhost(body)?));
        Ok(())
    }

    fn permission(&mut self, body: &mut Body) -> Result<(), Refusal> {
        let granted = (body.name("user")?, read_permission(body)?);
        self.new.permissions.push((body.name("vhost")?, granted));
        Ok(())
    }

    fn topic_permission(&mut self, body: &mut Body) -> Result<(), Refusal> {
        let granted = (body.name("user")?, read_topic(body)?);
        self.new.topics.push((body.name("vhost")?, granted));
        Ok(())
    }

    fn global_parameter(&mut self, body: &mut Body) -> Result<(), Refusal> {
        let value = read_parameter(body.get("value").unwrap_or(&Value::Null))?;
        let name = ParameterName::global(&body.name("name")?);
        self.new.parameters.push(Parameter { name, value });
        Ok(())
    }

    fn policy(&mut self, body: &mut Body) -> Result<(), Refusal> {
        let (vhost, name) = (self.place(body)?, body.name("name")?);
        let name = PolicyName { author: Author::User, vhost, name };
        self.new.policies.push((name, read_policy(body)?));
        Ok(())
    }

    fn parameter(&mut self, body: &mut Body) -> Result<(), Refusal> {
        body.require(&["component", "name", "value"])?;
        let vhost = self.place(body)?;
        let value = read_parameter(body.get("value").unwrap_or(&Value::Null))?;
        let (component, name) = (body.name("component")?, body.name("name")?);
        match (component.as_str(), value) {
            ("vhost-limits", FieldValue::Table(limits)) => self.new.limits.push((vhost, limits)),
            ("operator_policy", FieldValue::Table(value)) => {
                let name = PolicyName { author: Author::Operator, vhost, name };
                self.new.policies.push((name, value));
            }
            ("policy" | "operator_policy" | "vhost-limits" | "", _) => {
                let reason = format!("not a value of component '{component}'");
                return Err(Refusal::bad_request(reason).about(&vhost, &name));
            }
            (_, value) => {
                self.kept.insert(component.as_str().to_owned());
                let name = ParameterName { vhost, component, name };
                self.new.parameters.push(Parameter { name, value });
            }
        }
        Ok(())
    }

    fn queue(&mut self, body: &mut Body) -> Result<(), Refusal> {
        body.assume("durable", true);
        let (vhost, name) = (self.place(body)?, body.name("name")?);
        if !is_reserved("queue", &vhost, &name) {
            self.new.queues.push((vhost, read_queue(name, body, &self.user)?));
        }
        Ok(())
    }

    fn exchange(&mut self, body: &mut Body) -> Result<(), Refusal> {
        body.require(&["type"])?;
        body.assume("durable", true);
        let (vhost, name) = (self.place(body)?, body.name("name")?);
        // The default exchange need not be declared.
        if !name.is_empty() && !is_reserved("exchange", &vhost, &name) {
            self.new.exchanges.push((vhost, read_exchange(name, body, self.compat)?));
        }
        Ok(())
    }

    fn binding(&mut self, body: &mut Body) -> Result<(), Refusal> {
        let request = read_binding(body)?;
        // Every queue has its binding to the default exchange.
        if !request.source.is_empty() {
            self.new.bindings.push((self.place(body)?, request));
        }
        Ok(())
    }
}

/// The objects of a list of definitions; a list that is `null` or not there is empty.
fn objects(root: &Map<String, Value>, list: &str) -> Result<Vec<Body>, Refusal> {
    let wrong = || Refusal::bad_request(format!("{list} should be a list of objects"));
    let values = match root.get(list) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value.as_array().ok_or_else(wrong)?,
    };
    let object = |value: &Value| value.as_object().cloned().map(Body).ok_or_else(wrong);
    values.iter().map(object).collect()
}

/// Answers whether a name is the broker's own; such queues and exchanges are left out.
fn is_reserved(kind: &str, vhost: &ShortStr, name: &ShortStr) -> bool {
    let is_reserved = name.starts_with("amq.");
    if is_reserved {
        tracing::warn!(%vhost, %name, "the definitions have a {kind} with a reserved name; it is left out");
    }
    is_reserved
}
