//! The node and its cluster.

use std::future::ready;

use serde_json::{Map, Value, json};

use super::given::Given;
use super::row::{
    AdminRow, AdminWork, CTL_DIAGNOSTICS, ChangeCall, DIAGNOSTICS, List, Operand, Program,
    RowsFrom, Switch, UPGRADE,
};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Error, Method, escape};
use crate::render::{Column, words};

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "server-version",
        programs: DIAGNOSTICS,
        about: "Print the version of RabbitMQ that the broker speaks as",
        examples: &["mq server-version"],
        work: AdminWork::Run(|given, cx| Box::pin(version(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "version",
        programs: &[Program::Ctl, Program::Diagnostics, Program::Plugins],
        about: "Print the version of this program",
        examples: &["mq version"],
        work: AdminWork::Run(|_, cx| Box::pin(ready(show::text(env!("CARGO_PKG_VERSION"), cx)))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-cluster-name",
        about: "Name the cluster, which a single node is too",
        operands: &[Operand::one("name", "The name")],
        examples: &["mq set-cluster-name shop"],
        work: AdminWork::Change(ChangeCall {
            method: Method::PUT,
            path: "cluster-name",
            body: Some(|given| Ok(json!({"name": given.text("name")}))),
            doing: "name the cluster '{name}'",
            done: "named the cluster '{name}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "cluster-status",
        programs: CTL_DIAGNOSTICS,
        about: "Print the nodes of the cluster and their alarms and listeners",
        examples: &["mq cluster-status", "mq cluster_status -o json"],
        work: AdminWork::Run(|given, cx| Box::pin(cluster_status(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "await-online-nodes",
        about: "Wait until the cluster has so many nodes",
        operands: &[Operand::one("count", "The number of nodes")],
        examples: &["mq await-online-nodes 1"],
        work: AdminWork::Run(|given, cx| Box::pin(await_nodes(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "listeners",
        programs: DIAGNOSTICS,
        about: "List the addresses on which the broker listens",
        examples: &["mq listeners"],
        work: AdminWork::Run(|_, cx| Box::pin(list_listeners(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "environment",
        programs: CTL_DIAGNOSTICS,
        about: "Print the configuration of the broker",
        examples: &["mq environment || echo 'this broker does not tell'"],
        work: AdminWork::Run(|given, cx| Box::pin(environment(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "memory-breakdown",
        programs: DIAGNOSTICS,
        about: "Print the memory that each part of the broker uses",
        switches: &[Switch::text(
            "unit",
            "UNIT",
            "Print it in bytes, kb, mb or gb [default: as fits]",
        )],
        examples: &["mq memory-breakdown || echo 'this broker does not tell'"],
        work: AdminWork::Run(|given, cx| Box::pin(memory(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "report",
        programs: CTL_DIAGNOSTICS,
        about: "Print the whole state of the broker as one JSON document, without passwords",
        examples: &["mq report > report.json"],
        work: AdminWork::Run(|given, cx| Box::pin(report(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-node-auth-attempt-stats",
        programs: CTL_DIAGNOSTICS,
        about: "List the logins that succeeded and failed",
        switches: &[Switch::flag("by-source", "List them for each address and user")],
        examples: &["mq list-node-auth-attempt-stats || echo 'this broker does not count'"],
        work: AdminWork::Run(|given, cx| Box::pin(auth_attempts(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "reset-node-auth-attempt-metrics",
        programs: DIAGNOSTICS,
        about: "Count logins from zero again",
        examples: &["mq reset-node-auth-attempt-metrics || echo 'this broker does not count'"],
        work: AdminWork::Run(|given, cx| Box::pin(reset_auth_attempts(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "reset-stats-db",
        about: "Forget the statistics of the management API",
        switches: &[Switch::flag("all", "Forget those of all nodes")],
        examples: &["mq reset-stats-db || echo 'this broker keeps none'"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "reset",
            body: None,
            doing: "reset its statistics",
            done: "reset the statistics",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-unresponsive-queues",
        programs: CTL_DIAGNOSTICS,
        about: "List queues that do not answer",
        switches: &[Switch::number("queue-timeout", "SECONDS", "Wait so long for each")],
        examples: &["mq list-unresponsive-queues"],
        work: AdminWork::Nothing("every queue answers: queues are no processes here"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-channel-interceptors",
        programs: CTL_DIAGNOSTICS,
        about: "List what changes the methods of channels",
        examples: &["mq list-channel-interceptors"],
        work: AdminWork::Nothing("there are no channel interceptors"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "rotate-logs",
        about: "Begin new log files",
        examples: &["mq rotate-logs"],
        work: AdminWork::Nothing("the log goes to stderr, and what reads it rotates it"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "metadata-store-status",
        programs: DIAGNOSTICS,
        about: "Print the state of the store of definitions",
        examples: &["mq metadata-store-status"],
        work: AdminWork::Nothing("the definitions are in the data directory of this one node"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "post-upgrade",
        programs: UPGRADE,
        about: "Do what is due after an upgrade",
        examples: &["mq post-upgrade"],
        work: AdminWork::Nothing("nothing is due after an upgrade"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "federation-status",
        programs: CTL_DIAGNOSTICS,
        about: "List the links of the plugin federation",
        switches: &[],
        examples: &["mq federation-status || echo 'this broker has no federation'"],
        work: AdminWork::List(List {
            source: RowsFrom::At("federation-links"),
            columns: &[
                Column::plain("upstream"),
                Column::plain("type"),
                Column::plain("exchange"),
                Column::plain("queue"),
                Column::plain("vhost"),
                Column::plain("status"),
                Column::plain("id"),
            ],
            usual: 7,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "restart-federation-link",
        about: "Restart a link of the plugin federation",
        operands: &[Operand::one("link_id", "The link's id, as federation-status prints it")],
        examples: &["mq restart-federation-link 1 || echo 'there is no such link'"],
        work: AdminWork::Run(|given, cx| Box::pin(restart_link(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "shovel-status",
        programs: CTL_DIAGNOSTICS,
        about: "List the shovels of the plugin shovel",
        examples: &["mq shovel-status || echo 'this broker has no shovels'"],
        work: AdminWork::List(List {
            source: RowsFrom::At("shovels"),
            columns: &[
                Column::plain("name"),
                Column::plain("vhost"),
                Column::plain("type"),
                Column::plain("state"),
            ],
            usual: 4,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "restart-shovel",
        about: "Restart a shovel of the plugin shovel",
        operands: &[Operand::one("name", "The shovel's name")],
        examples: &["mq restart-shovel mover || echo 'there is no such shovel'"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "shovels/vhost/{vhost}/{name}/restart",
            body: None,
            doing: "restart shovel '{name}' in vhost '{vhost}'",
            done: "restarted shovel '{name}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "delete-shovel",
        about: "Delete a shovel of the plugin shovel",
        operands: &[Operand::one("name", "The shovel's name")],
        switches: &[Switch::flag("force", "Accepted for RabbitMQ's sake")],
        examples: &["mq delete-shovel mover || echo 'there is no such shovel'"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "parameters/shovel/{vhost}/{name}",
            body: None,
            doing: "delete shovel '{name}' in vhost '{vhost}'",
            done: "deleted shovel '{name}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
];

async fn version(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let overview = cx.engine.inspect().overview().await?;
    show::text(overview["rabbitmq_version"].as_str().unwrap_or_default(), cx)
}

/// The name of the node that answers.
pub(super) async fn node(doing: &str, cx: &Context) -> Result<String, CommandError> {
    let overview = cx.engine.inspect().overview().await?;
    let none =
        || Error::refused(doing, 401, "the user may not see the node: it needs the tag monitoring");
    Ok(overview["node"].as_str().ok_or_else(none)?.to_owned())
}

async fn cluster_status(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let overview = cx.engine.inspect().overview().await?;
    let nodes = cx.engine.inspect().rows("list nodes", "nodes").await?;
    let names = |is_meant: fn(&Value) -> bool| -> Vec<Value> {
        nodes.iter().filter(|node| is_meant(node)).map(|node| node["name"].clone()).collect()
    };
    let versions: Map<String, Value> = nodes
        .iter()
        .filter_map(|node| {
            let name = node["name"].as_str()?.to_owned();
            let version = node.get("rabbitmq_version").unwrap_or(&overview["rabbitmq_version"]);
            Some((name, version.clone()))
        })
        .collect();
    let is_short = |node: &Value| node["mem_alarm"] == true || node["disk_free_alarm"] == true;
    let status = json!({
        "cluster_name": overview["cluster_name"],
        "disk_nodes": names(|node| node["type"] == "disc"),
        "running_nodes": names(|node| node["running"] == true),
        "nodes_with_alarms": names(is_short),
        "partitions": nodes.iter().flat_map(|node| node["partitions"].as_array().cloned().unwrap_or_default()).collect::<Vec<_>>(),
        "versions": versions,
        "listeners": overview["listeners"],
    });
    show::object(&status, cx)
}

async fn await_nodes(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let text = given.text("count");
    let wanted: usize = text
        .parse()
        .map_err(|_| CommandError::usage(format!("'{text}' is not a number of nodes")))?;
    let nodes = cx.engine.inspect().rows("list nodes", "nodes").await?;
    let online = nodes.iter().filter(|node| node["running"] == true).count();
    if online >= wanted {
        return show::done(&format!("{} online", words::counted(online as u64, "node")), cx);
    }
    Err(show::failed(format!(
        "{} online, and {wanted} are awaited",
        words::counted(online as u64, "node")
    )))
}

/// The addresses on which the broker listens.
pub(super) async fn listeners(cx: &Context) -> Result<Vec<Value>, CommandError> {
    let overview = cx.engine.inspect().overview().await?;
    let text = "the user may not see the listeners: it needs the tag monitoring";
    let none = || Error::refused("list its listeners", 401, text);
    Ok(overview["listeners"].as_array().ok_or_else(none)?.clone())
}

async fn list_listeners(cx: &mut Context) -> Result<Answer, CommandError> {
    let listeners = listeners(cx).await?;
    show::rows(&["ip_address", "port", "protocol"], &listeners, cx)
}

/// Asks for something that older brokers do not have: nothing in its path can be missing but the call itself.
async fn optional(name: &str, path: &str, cx: &Context) -> Result<Value, CommandError> {
    match cx.engine.inspect().get(&show::doing(name), path).await {
        Err(Error::Refused { code: 404, .. }) => Err(show::not_offered(name)),
        other => Ok(other?),
    }
}

async fn environment(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let doing = show::doing("environment");
    let environment = match cx.engine.inspect().text(&doing, "config/effective").await {
        Err(Error::Refused { code: 404, .. }) => return Err(show::not_offered("environment")),
        other => other?,
    };
    match serde_json::from_str::<Vec<Value>>(&environment) {
        Ok(rows) => show::rows(&["key", "value", "source"], &rows, cx),
        // RabbitMQ answers with Erlang terms.
        Err(_) => show::text(environment.trim_end(), cx),
    }
}

async fn memory(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let unit = match given.optional("unit").map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("bytes" | "b") => Some((1.0, "bytes")),
        Some("kb") => Some((1e3, "kb")),
        Some("mb") => Some((1e6, "mb")),
        Some("gb") => Some((1e9, "gb")),
        Some(other) => {
            return Err(CommandError::usage(format!("'{other}' is not one of bytes, kb, mb, gb")));
        }
    };
    let node = node("print its memory", cx).await?;
    let path = format!("nodes/{}/memory", escape(&node));
    let answer = optional("memory-breakdown", &path, cx).await?;
    let written = |value: &Value| -> Value {
        match (unit, value.as_u64()) {
            (Some((size, name)), Some(bytes)) => {
                #[expect(clippy::cast_precision_loss, reason = "digits of a megabyte are enough")]
                let value = bytes as f64 / size;
                format!("{value:.4} {name}").into()
            }
            (None, Some(bytes)) if cx.out.format().is_none() => words::size(bytes).into(),
            _ => value.clone(),
        }
    };
    let parts = answer["memory"].as_object().into_iter().flatten();
    let parts: Map<String, Value> =
        parts.map(|(name, value)| (name.clone(), written(value))).collect();
    show::object(&parts.into(), cx)
}

/// Paths of which a report is made.
const REPORTED: &[&str] = &[
    "overview",
    "nodes",
    "vhosts",
    "users",
    "permissions",
    "topic-permissions",
    "policies",
    "operator-policies",
    "global-parameters",
    "vhost-limits",
    "user-limits",
    "feature-flags",
    "exchanges",
    "queues",
    "bindings",
    "connections",
    "channels",
    "consumers",
];

/// Fields that are not reported: what is behind them is a secret, or the way to one.
const SECRET: &[&str] = &["password", "password_hash", "hashing_algorithm"];

async fn report(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let mut report = Map::new();
    for path in REPORTED {
        let answer = cx.engine.inspect().get("report", path).await;
        let mut part = match answer {
            Ok(part) => part,
            Err(error @ Error::Refused { .. }) => json!({"error": error.to_string()}),
            Err(error) => return Err(error.into()),
        };
        remove_secrets(&mut part);
        report.insert((*path).to_owned(), part);
    }
    cx.out.line(&format!("{:#}", Value::Object(report)))?;
    Ok(Answer::Yes)
}

fn remove_secrets(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(remove_secrets),
        Value::Object(fields) => {
            fields.retain(|name, _| !SECRET.contains(&name.as_str()));
            fields.values_mut().for_each(remove_secrets);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

async fn auth_attempts(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let doing = "list login attempts";
    let source = if given.is_set("by-source") { "/source" } else { "" };
    let path = format!("auth/attempts/{}{source}", escape(&node(doing, cx).await?));
    let rows = cx.engine.inspect().rows(doing, &path).await?;
    let columns = ["protocol", "auth_attempts", "auth_attempts_succeeded", "auth_attempts_failed"];
    let of_source = ["remote_address", "username"].into_iter().filter(|_| !source.is_empty());
    let columns: Vec<&str> = of_source.chain(columns).collect();
    show::rows(&columns, &rows, cx)
}

async fn reset_auth_attempts(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let doing = "reset the counts of logins";
    let path = format!("auth/attempts/{}", escape(&node(doing, cx).await?));
    cx.engine.inspect().send(doing, &Call::delete(path)).await?;
    show::done("reset the counts of logins", cx)
}

async fn restart_link(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let doing = given.words("restart federation link '{link_id}'");
    let links = cx.engine.inspect().rows(&doing, "federation-links").await?;
    let link = links.iter().find(|link| link["id"] == given.text("link_id"));
    let link = link.ok_or_else(|| Error::refused(&*doing, 404, "there is no such link"))?;
    let part = |name: &str| escape(link[name].as_str().unwrap_or_default());
    let path =
        format!("federation-links/vhost/{}/{}/{}/restart", part("vhost"), part("id"), part("node"));
    cx.engine.inspect().send(&doing, &Call::delete(path)).await?;
    show::done(&given.words("restarted federation link '{link_id}'"), cx)
}
