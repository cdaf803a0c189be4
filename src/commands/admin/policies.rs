//! Policies and operator policies.

use serde_json::{Value, json};

use super::given::Given;
use super::row::{
    AdminRow, AdminWork, CTL_DIAGNOSTICS, ChangeCall, DIAGNOSTICS, List, Operand,
    QUEUES_DIAGNOSTICS, RowsFrom, Switch,
};
use super::{lists, show};
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Method, escape, is_found};
use crate::render::Column;

const NAME: Operand = Operand::one("name", "The policy's name");
const PATTERN: Operand =
    Operand::one("pattern", "The pattern of names of queues or exchanges that it applies to");
const DEFINITION: Operand = Operand::one("definition", "The arguments that it gives, as JSON");
const PRIORITY: Switch =
    Switch::number("priority", "NUMBER", "Let it win over policies of lower priority [default: 0]");
const APPLY_TO: Switch = Switch::text(
    "apply-to",
    "KIND",
    "Apply it to queues, exchanges, classic_queues, quorum_queues, streams or all [default: all]",
);

const COLUMNS: &[Column] = &[
    Column::plain("vhost"),
    Column::plain("name"),
    Column::plain("pattern"),
    Column::plain("apply-to"),
    Column::plain("definition"),
    Column::plain("priority"),
];

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "set-policy",
        about: "Create or replace a policy",
        operands: &[NAME, PATTERN, DEFINITION],
        switches: &[PRIORITY, APPLY_TO],
        examples: &[
            r#"mq set-policy short '^recent' '{"max-length": 1000}' --apply-to queues"#,
            r#"mq set_policy -p / dead '^jobs' '{"dead-letter-exchange": "amq.fanout"}' --priority 5"#,
        ],
        work: AdminWork::Change(ChangeCall {
            method: Method::PUT,
            path: "policies/{vhost}/{name}",
            body: Some(policy),
            doing: "set policy '{name}' in vhost '{vhost}'",
            done: "set policy '{name}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-policies",
        programs: CTL_DIAGNOSTICS,
        about: "List the policies of the virtual host",
        examples: &["mq list-policies", "mq list_policies --sort -priority"],
        work: AdminWork::List(List {
            source: RowsFrom::At("policies/{vhost}"),
            columns: COLUMNS,
            usual: 6,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-policies-that-match",
        programs: DIAGNOSTICS,
        about: "List the policies whose pattern matches a name, the winner first",
        operands: &[Operand::one("object", "The name of the queue or exchange")],
        switches: &[Switch::text(
            "object-type",
            "TYPE",
            "Match them with a queue (the default), exchange, quorum_queue, classic_queue or stream",
        )],
        examples: &["mq list-policies-that-match recent-orders"],
        work: AdminWork::List(List {
            source: RowsFrom::At("policies/{vhost}"),
            columns: COLUMNS,
            usual: 6,
            arrange: Some(matching),
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "clear-policy",
        about: "Delete a policy",
        operands: &[NAME],
        examples: &["mq clear-policy short", "mq clear_policy -p / dead"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "policies/{vhost}/{name}",
            body: None,
            doing: "clear policy '{name}' in vhost '{vhost}'",
            done: "cleared policy '{name}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-operator-policy",
        about: "Create or replace an operator policy, whose limits win over those of policies",
        operands: &[NAME, PATTERN, DEFINITION],
        switches: &[PRIORITY, APPLY_TO],
        examples: &[r#"mq set-operator-policy cap '' '{"max-length": 100000}' --apply-to queues"#],
        work: AdminWork::Change(ChangeCall {
            method: Method::PUT,
            path: "operator-policies/{vhost}/{name}",
            body: Some(policy),
            doing: "set operator policy '{name}' in vhost '{vhost}'",
            done: "set operator policy '{name}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-operator-policies",
        programs: CTL_DIAGNOSTICS,
        about: "List the operator policies of the virtual host",
        examples: &["mq list-operator-policies"],
        work: AdminWork::List(List {
            source: RowsFrom::At("operator-policies/{vhost}"),
            columns: COLUMNS,
            usual: 6,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "clear-operator-policy",
        about: "Delete an operator policy",
        operands: &[NAME],
        examples: &["mq clear-operator-policy cap"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "operator-policies/{vhost}/{name}",
            body: None,
            doing: "clear operator policy '{name}' in vhost '{vhost}'",
            done: "cleared operator policy '{name}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-policies-with-classic-queue-mirroring",
        programs: QUEUES_DIAGNOSTICS,
        about: "List the policies that ask for mirrors, which RabbitMQ 4 does not have",
        examples: &["mq list-policies-with-classic-queue-mirroring"],
        work: AdminWork::List(List {
            source: RowsFrom::At("policies"),
            columns: COLUMNS,
            usual: 6,
            arrange: Some(with_mirrors),
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-operator-policies-with-classic-queue-mirroring",
        programs: QUEUES_DIAGNOSTICS,
        about: "List the operator policies that ask for mirrors, which RabbitMQ 4 does not have",
        examples: &["mq list-operator-policies-with-classic-queue-mirroring"],
        work: AdminWork::List(List {
            source: RowsFrom::At("operator-policies"),
            columns: COLUMNS,
            usual: 6,
            arrange: Some(with_mirrors),
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-if-cluster-has-classic-queue-mirroring-policy",
        programs: QUEUES_DIAGNOSTICS,
        about: "Check that no policy asks for mirrors; exit code 1 if one does",
        examples: &["mq check-if-cluster-has-classic-queue-mirroring-policy"],
        work: AdminWork::Run(|given, cx| Box::pin(check_mirrors(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "remove-classic-queue-mirroring-from-policies",
        about: "Remove the keys that ask for mirrors from all policies",
        examples: &["mq remove-classic-queue-mirroring-from-policies"],
        work: AdminWork::Run(|given, cx| Box::pin(remove_mirrors(given, cx))),
        ..AdminRow::PLAIN
    },
];

fn policy(given: &Given) -> Result<Value, CommandError> {
    let priority = given.number("priority").unwrap_or(0);
    let apply_to = given.optional("apply-to").unwrap_or("all");
    Ok(json!({
        "pattern": given.text("pattern"),
        "definition": given.object("definition")?,
        "priority": priority,
        "apply-to": apply_to,
    }))
}

/// The policies that match the name, by priority.
fn matching(mut rows: Vec<Value>, given: &Given) -> Vec<Value> {
    let kind = given.optional("object-type").unwrap_or("queue");
    let applies = |to: &str| match to {
        "all" => true,
        "queues" => kind != "exchange",
        other => other.trim_end_matches('s') == kind,
    };
    rows.retain(|row| {
        let pattern = row["pattern"].as_str().unwrap_or_default();
        applies(row["apply-to"].as_str().unwrap_or("all"))
            && is_found(pattern, given.text("object"))
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row["priority"].as_i64().unwrap_or(0)));
    rows
}

/// Keys of a policy's definition that are about mirrors.
fn is_about_mirrors(key: &str) -> bool {
    key.starts_with("ha-")
}

fn asks_for_mirrors(policy: &Value) -> bool {
    let keys = policy["definition"].as_object().into_iter().flatten();
    keys.into_iter().any(|(key, _)| is_about_mirrors(key))
}

fn with_mirrors(mut rows: Vec<Value>, _: &Given) -> Vec<Value> {
    rows.retain(asks_for_mirrors);
    rows
}

/// All policies that ask for mirrors, each with the path of its kind.
async fn mirrors(cx: &Context) -> Result<Vec<(&'static str, Value)>, CommandError> {
    let mut all = Vec::new();
    for kind in ["policies", "operator-policies"] {
        let rows = cx.engine.inspect().rows("list policies", kind).await?;
        all.extend(rows.into_iter().filter(asks_for_mirrors).map(|row| (kind, row)));
    }
    Ok(all)
}

async fn check_mirrors(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    match mirrors(cx).await?.len() {
        0 => show::text("no policy asks for mirrors", cx),
        count => Err(show::failed(format!(
            "{} ask for mirrors",
            lists::counted(count, "policy", "policies")
        ))),
    }
}

async fn remove_mirrors(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let all = mirrors(cx).await?;
    for (kind, mut policy) in all.clone() {
        let part = |name: &str| escape(policy[name].as_str().unwrap_or_default());
        let path = format!("{kind}/{}/{}", part("vhost"), part("name"));
        if let Some(definition) = policy["definition"].as_object_mut() {
            definition.retain(|key, _| !is_about_mirrors(key));
        }
        // A policy without a definition would be refused.
        let is_empty = policy["definition"].as_object().is_none_or(serde_json::Map::is_empty);
        let call = if is_empty { Call::delete(path) } else { Call::put(path, policy) };
        cx.engine.inspect().send("remove mirrors from a policy", &call).await?;
    }
    let count = lists::counted(all.len(), "policy", "policies");
    show::done(&format!("removed mirrors from {count}"), cx)
}
