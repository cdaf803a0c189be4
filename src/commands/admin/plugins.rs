//! Plugins. On a broker of ours they are built in, and on RabbitMQ its own program enables them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::given::Given;
use super::row::{AdminRow, AdminWork, List, Operand, PLUGINS, RowsFrom};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Engine, Error};
use crate::render::Column;

/// The pause between two questions: RabbitMQ counts every five seconds.
const PAUSE: Duration = Duration::from_millis(200);

const NAMES: Operand = Operand::many("plugin", "The plugins");

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "list-plugins",
        programs: PLUGINS,
        original: Some("list"),
        about: "List the plugins that are enabled",
        examples: &["mq list-plugins"],
        work: AdminWork::List(List {
            source: RowsFrom::At("nodes"),
            columns: &[Column::plain("name"), Column::plain("node")],
            usual: 1,
            arrange: Some(of_nodes),
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "is-plugin-enabled",
        programs: PLUGINS,
        original: Some("is_enabled"),
        about: "Check that plugins are enabled; exit code 1 if one is not",
        operands: &[NAMES],
        examples: &["mq is-plugin-enabled rabbitmq_management"],
        work: AdminWork::Run(|given, cx| Box::pin(is_enabled(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "enable-plugins",
        programs: PLUGINS,
        original: Some("enable"),
        about: "Enable plugins: those that mq has are built in",
        operands: &[NAMES],
        examples: &["mq enable-plugins rabbitmq_management"],
        work: AdminWork::Run(|given, cx| Box::pin(enable(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-plugins",
        programs: PLUGINS,
        original: Some("set"),
        about: "Enable exactly these plugins: those that mq has are built in",
        operands: &[NAMES],
        examples: &["mq set-plugins rabbitmq_management"],
        work: AdminWork::Run(|given, cx| Box::pin(enable(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "disable-plugins",
        programs: PLUGINS,
        original: Some("disable"),
        about: "Disable plugins; those that are built in cannot be disabled",
        operands: &[NAMES],
        examples: &["mq disable-plugins rabbitmq_stomp"],
        work: AdminWork::Run(|given, cx| Box::pin(disable(given, cx))),
        ..AdminRow::PLAIN
    },
];

/// The names of the plugins of the first node. RabbitMQ tells them some seconds after its start.
async fn enabled(engine: &Engine) -> Result<Vec<String>, CommandError> {
    let asked = Instant::now();
    loop {
        let nodes = engine.inspect().rows("list plugins", "nodes").await?;
        if let Some(plugins) = nodes.first().and_then(|node| node["enabled_plugins"].as_array()) {
            return Ok(plugins.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        }
        if asked.elapsed() >= engine.target().timeout() {
            let problem = "the broker has not told its plugins yet".into();
            return Err(CommandError::TimedOut { problem });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A row for each plugin of each node.
#[expect(clippy::needless_pass_by_value, reason = "as every list changes its rows")]
fn of_nodes(nodes: Vec<Value>, _: &Given) -> Vec<Value> {
    let row = |node: &Value, plugin: &Value| json!({"name": plugin, "node": node["name"]});
    let of_node = |node: &Value| {
        let plugins = node["enabled_plugins"].as_array().into_iter().flatten();
        plugins.map(|plugin| row(node, plugin)).collect::<Vec<_>>()
    };
    nodes.iter().flat_map(of_node).collect()
}

/// The plugins among those asked for that are not enabled.
async fn missing(given: &Given, cx: &Context) -> Result<Vec<String>, CommandError> {
    let enabled = enabled(&cx.engine).await?;
    let asked = given.all("plugin").into_iter().map(str::to_owned);
    Ok(asked.filter(|name| !enabled.contains(name)).collect())
}

async fn is_enabled(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    match missing(given, cx).await?.as_slice() {
        [] => show::text("all of them are enabled", cx),
        names => Err(show::failed(format!("not enabled: {}", names.join(", ")))),
    }
}

async fn enable(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let names = missing(given, cx).await?;
    if names.is_empty() {
        return show::done("all of them are enabled", cx);
    }
    if !show::is_ours(cx).await? {
        return Err(show::not_offered("enable-plugins"));
    }
    let doing = format!("enable {}", names.join(", "));
    Err(Error::refused(doing, 404, "mq has no such plugin").into())
}

async fn disable(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let asked = given.all("plugin");
    let enabled = enabled(&cx.engine).await?;
    let there: Vec<&str> =
        asked.into_iter().filter(|name| enabled.iter().any(|one| one == name)).collect();
    if there.is_empty() {
        return show::done("none of them is enabled", cx);
    }
    if !show::is_ours(cx).await? {
        return Err(show::not_offered("disable-plugins"));
    }
    let doing = format!("disable {}", there.join(", "));
    Err(Error::refused(doing, 406, "it is built in").into())
}
