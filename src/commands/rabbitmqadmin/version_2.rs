//! The words of `rabbitmqadmin` 2: `queues declare --name q`, `declare queue --name q`, `health_check local_alarms`.
//!
//! Each command is a row of [`super::groups`]. A command that changes something prints nothing; exit codes are 0, 2 for a command line that is wrong, 65 for what the broker refuses and 69 if there
//! is no broker.

use std::collections::HashMap;
use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::boxes::BoxStyle;
use super::groups::{COMMANDS, GroupCommand, GroupWork, find};
use super::reports;
use super::settings::AdminSettings;
use crate::commands::{CommandError, Context};
use crate::engine::{Call, Error, Method, escape};
use crate::json_text;
use crate::render::Output;

/// The command line is wrong.
const USAGE: u8 = 2;
/// The broker refused.
const DATA: u8 = 65;
/// There is no broker.
const UNAVAILABLE: u8 = 69;

/// A command of version 2 that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunFailure {
    pub(super) text: String,
    pub(super) code: u8,
}

/// Answers whether a command line is in the words of version 2: a group stands first, or options name the arguments.
/// Lists and `show overview` have the same words in both and are those of version 1.
pub(super) fn is_meant(settings: &AdminSettings) -> bool {
    let first = settings.words.first().map_or("", String::as_str);
    let is_group = COMMANDS.iter().any(|row| row.group == first && row.group != "show");
    let is_of_1 = match first {
        "declare" | "delete" | "close" | "purge" | "publish" | "get" => true,
        "list" | "show" => {
            find(&settings.words).is_none() || super::verbs::is_listable(&settings.words)
        }
        _ => false,
    };
    // Version 1 has no styles.
    let has_style =
        ["table_style", "non_interactive"].iter().any(|key| settings.text(key).is_some());
    is_group
        || has_style
        || settings.has_named_arguments()
        || (find(&settings.words).is_some() && !is_of_1)
}

/// Runs a command and prints its answer.
pub(super) async fn run(settings: &AdminSettings, out: &mut Output) -> Result<(), RunFailure> {
    let wrong = |text: String| RunFailure { text, code: USAGE };
    let Some(command) = find(&settings.words) else {
        let unknown = settings.words.get(1).or(settings.words.first()).map_or("", String::as_str);
        return Err(wrong(format!(
            "error: unrecognized subcommand '{unknown}'\nFor more information, try '--help'."
        )));
    };
    let style = match settings.text("table_style") {
        _ if settings.text("non_interactive").is_some() => BoxStyle::plain(),
        None => BoxStyle::find("modern").expect("the usual style is in the table"),
        Some(name) => BoxStyle::find(name).ok_or_else(|| {
            wrong(format!(
                "error: invalid value '{name}' for '--table-style <table_style>'\n  [possible values: {}]\n\nFor more information, try '--help'.",
                BoxStyle::names()
            ))
        })?,
    };
    let given = NamedArguments { options: settings.named(), vhost: settings.vhost().to_owned() };
    let missing: Vec<String> = command
        .needs
        .iter()
        .filter(|name| given.text(name).is_none())
        .map(|name| format!("  --{} <{name}>", name.replace('_', "-")))
        .collect();
    if !missing.is_empty() {
        return Err(wrong(format!(
            "error: the following required arguments were not provided:\n{}\nFor more information, try '--help'.",
            missing.join("\n")
        )));
    }
    if let GroupWork::Hash = command.does {
        let password = settings.words.get(2).map_or("", String::as_str);
        let hash = crate::engine::hash_password(password, "sha256").unwrap_or_default();
        let rows =
            [vec!["key".to_owned(), "value".to_owned()], vec!["password hash".to_owned(), hash]];
        return print(&style.titled("Result", &rows), out);
    }
    let target = settings.target().map_err(|error| failed(error.into()))?;
    let engine = crate::engine::Engine::open(target).await.map_err(|error| failed(error.into()))?;
    let quiet = crate::render::OutputSettings { format: None, is_quiet: true, is_headless: false };
    let cx = Context { engine, out: Output::of_process(quiet), timeout: None };
    let ended = carried_out(command, &given, settings, style, &cx, out).await;
    let _ = cx.engine.close().await;
    ended
}

/// The options of a command, by their names with `_`.
struct NamedArguments {
    options: HashMap<String, String>,
    vhost: String,
}

impl NamedArguments {
    fn text(&self, name: &str) -> Option<&str> {
        match name {
            "vhost" => Some(self.options.get("vhost").unwrap_or(&self.vhost)),
            name => self.options.get(name).map(String::as_str),
        }
    }

    /// A path with the options in their places.
    fn path(&self, template: &str) -> String {
        let mut parts = template.split('{');
        let mut path = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            match name {
                "destination_char" => {
                    let kind = self.text("destination_type").unwrap_or("queue");
                    path += if kind.starts_with('e') { "e" } else { "q" };
                }
                "properties" => {
                    let key = self.text("routing_key").unwrap_or_default();
                    path += &escape(&if key.is_empty() {
                        "~".to_owned()
                    } else {
                        escape(key).replace("%2E", ".")
                    });
                }
                name => path += &escape(self.text(name).unwrap_or_default()),
            }
            path += rest;
        }
        path
    }

    /// The body of a change.
    fn body(&self, names: &[&str]) -> Result<Value, RunFailure> {
        let mut body = Map::new();
        let mut arguments = Map::new();
        for name in names {
            let Some(text) = self.text(name) else {
                match *name {
                    "stream" => _ = arguments.insert("x-queue-type".into(), "stream".into()),
                    "tags" => _ = body.insert("tags".into(), "".into()),
                    "durable" => _ = body.insert("durable".into(), true.into()),
                    "exchange_type" => {
                        _ = body
                            .insert("type".into(), self.text("type").unwrap_or("direct").into());
                    }
                    _ => {}
                }
                continue;
            };
            match *name {
                "type" => _ = arguments.insert("x-queue-type".into(), text.into()),
                "expiration" => _ = arguments.insert("x-max-age".into(), text.into()),
                "max_length_bytes" => {
                    _ = arguments.insert("x-max-length-bytes".into(), number(text));
                }
                "max_segment_length_bytes" => {
                    _ = arguments.insert("x-stream-max-segment-size-bytes".into(), number(text));
                }
                "durable" | "auto_delete" | "tracing" => {
                    _ = body.insert((*name).into(), (text == "true").into());
                }
                "priority" => _ = body.insert("priority".into(), number(text)),
                "apply_to" => _ = body.insert("apply-to".into(), text.into()),
                "definition" | "value" => _ = body.insert((*name).into(), parsed(name, text)?),
                "arguments" => {
                    if let Value::Object(fields) = parsed(name, text)? {
                        arguments.extend(fields);
                    }
                }
                name => _ = body.insert(name.into(), text.into()),
            }
        }
        if !arguments.is_empty() {
            body.insert("arguments".into(), arguments.into());
        }
        Ok(body.into())
    }
}

fn number(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
}

/// JSON, which may stand in single quotes.
fn parsed(name: &str, text: &str) -> Result<Value, RunFailure> {
    let wrong = |error: serde_json::Error| RunFailure {
        text: format!("the {name} is not JSON: {error}"),
        code: DATA,
    };
    json_text::read(text.trim_matches('\'').as_bytes()).map_err(wrong)
}

/// The failure that an error is.
fn failed(error: CommandError) -> RunFailure {
    let why = |error: &dyn std::error::Error| {
        error.source().map_or_else(String::new, |why| format!(": {why}"))
    };
    match error {
        CommandError::Engine(Error::Refused { code: 404, .. }) => {
            RunFailure { text: "API responded with a 404 Not Found".into(), code: DATA }
        }
        CommandError::Engine(Error::Refused { text, .. }) => RunFailure { text, code: DATA },
        CommandError::Engine(error) => {
            RunFailure { text: format!("{error}{}", why(&error)), code: UNAVAILABLE }
        }
        error => RunFailure { text: error.to_string(), code: DATA },
    }
}

fn print(text: &str, out: &mut Output) -> Result<(), RunFailure> {
    out.bytes(text.as_bytes()).map_err(|error| failed(error.into()))
}

async fn send(call: Call, cx: &Context) -> Result<Value, RunFailure> {
    cx.engine.inspect().send("do this", &call).await.map_err(|error| failed(error.into()))
}

async fn carried_out(
    command: &GroupCommand,
    given: &NamedArguments,
    settings: &AdminSettings,
    style: &BoxStyle,
    cx: &Context,
    out: &mut Output,
) -> Result<(), RunFailure> {
    match command.does {
        GroupWork::List { path, columns } => {
            let answer = send(Call::get(given.path(path)), cx).await?;
            let mut rows = if let Value::Array(rows) = answer { rows } else { vec![answer] };
            if command.group == "streams" {
                rows.retain(|row| row["type"] == "stream");
            }
            if let ("list_in", Some(kind)) = (command.verb, given.text("apply_to")) {
                rows.retain(|row| {
                    row["apply-to"].as_str().is_some_and(|to| to == kind || to.ends_with(kind))
                });
            }
            match given.text("columns").map(|names| chosen(columns, names)) {
                Some(columns) if columns.is_empty() => print("\n", out),
                Some(columns) => print(&style.table(&columns, &rows), out),
                None => print(&style.table(columns, &rows), out),
            }
        }
        GroupWork::Change { method, path, body } => {
            let method = match method {
                "PUT" => Method::PUT,
                "POST" => Method::POST,
                _ => Method::DELETE,
            };
            let body = (method != Method::DELETE).then(|| given.body(body)).transpose()?;
            let is_idempotent = given.text("idempotently") == Some("true");
            match send(Call { body, ..Call::new(method, given.path(path)) }, cx).await {
                Err(failure) if is_idempotent && failure.text.contains("404") => Ok(()),
                other => other.map(drop),
            }
        }
        GroupWork::Check { path } => {
            let path = format!("health/checks/{}", given.path(path));
            match send(Call::get(path), cx).await {
                Ok(_) => print("health check passed\n", out),
                Err(RunFailure { text, code: DATA }) => Err(RunFailure {
                    text: format!("health check failed: {text}"),
                    code: UNAVAILABLE,
                }),
                Err(failure) => Err(failure),
            }
        }
        GroupWork::Publish => publish(given, cx, out).await,
        GroupWork::Get => get(given, style, cx, out).await,
        GroupWork::Report(ref report) => {
            let overview = send(Call::get("overview".to_owned()), cx).await?;
            print(&report.drawn(&overview, style), out)
        }
        GroupWork::Memory(unit) => {
            let answer = send(Call::get(given.path("nodes/{node}/memory")), cx).await?;
            print(&reports::memory(&answer, unit, style), out)
        }
        GroupWork::Plugins { path } => plugins(&given.path(path), style, cx, out).await,
        GroupWork::EnableAll => enable_all(cx).await,
        GroupWork::Export { path } => export(&given.path(path), given, cx, out).await,
        GroupWork::Import { path } => import(given.path(path), given, cx).await,
        GroupWork::Endpoint => {
            print(&format!("Using endpoint: {}/api\n", settings.shown_url()), out)
        }
        GroupWork::Hash => Ok(()),
    }
}

fn read_all(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn publish(given: &NamedArguments, cx: &Context, out: &mut Output) -> Result<(), RunFailure> {
    let exchange = given.text("exchange").filter(|name| !name.is_empty()).unwrap_or("amq.default");
    let properties = given.text("properties").map(|text| parsed("properties", text)).transpose()?;
    let (payload, encoding) = match given.text("payload_file") {
        Some(file) => {
            let bytes = if file == "-" { read_all(std::io::stdin()) } else { std::fs::read(file) };
            (STANDARD.encode(bytes.map_err(|error| failed(error.into()))?), "base64")
        }
        None => (given.text("payload").unwrap_or("test").to_owned(), "string"),
    };
    let body = json!({
        "routing_key": given.text("routing_key").unwrap_or_default(),
        "payload": payload,
        "payload_encoding": encoding,
        "properties": properties.unwrap_or_else(|| json!({})),
    });
    let path = format!(
        "exchanges/{}/{}/publish",
        escape(given.text("vhost").unwrap_or("/")),
        escape(exchange)
    );
    let answer = send(Call::post(path, body), cx).await?;
    let is_routed = answer["routed"] == true;
    print(
        if is_routed {
            "Message published and routed successfully\n"
        } else {
            "Message published but NOT routed\n"
        },
        out,
    )
}

async fn export(
    path: &str,
    given: &NamedArguments,
    cx: &Context,
    out: &mut Output,
) -> Result<(), RunFailure> {
    let definitions = send(Call::get(path.to_owned()), cx).await?;
    match given.text("file") {
        Some(file) => {
            std::fs::write(file, definitions.to_string()).map_err(|error| failed(error.into()))
        }
        None => print(&format!("{definitions}\n"), out),
    }
}

async fn import(path: String, given: &NamedArguments, cx: &Context) -> Result<(), RunFailure> {
    let text = match given.text("file") {
        Some(file) => std::fs::read_to_string(file),
        None => std::io::read_to_string(std::io::stdin()),
    };
    let text = text.map_err(|error| failed(error.into()))?;
    send(Call::post(path, parsed("definitions", &text)?), cx).await.map(drop)
}

/// The columns of a table that are named, with commas between; others than the table has are left out.
fn chosen<'a>(columns: &[&'a str], names: &str) -> Vec<&'a str> {
    let find = |name: &str| {
        let mut columns = columns.iter().copied();
        columns.find(|column| column.split('=').next() == Some(name.trim()))
    };
    names.split(',').filter_map(find).collect()
}

/// The plugins of nodes, a row each.
async fn plugins(
    path: &str,
    style: &BoxStyle,
    cx: &Context,
    out: &mut Output,
) -> Result<(), RunFailure> {
    let answer = send(Call::get(path.to_owned()), cx).await?;
    let nodes = if let Value::Array(nodes) = answer { nodes } else { vec![answer] };
    let of_node = |node: &Value| -> Vec<Value> {
        let plugins = node["enabled_plugins"].as_array().into_iter().flatten();
        plugins
            .map(|plugin| json!({"node": node["name"], "name": plugin, "state": "Enabled"}))
            .collect()
    };
    let rows: Vec<Value> = nodes.iter().flat_map(of_node).collect();
    print(&style.table(&["node", "name", "state"], &rows), out)
}

/// Enables all stable feature flags that are not.
async fn enable_all(cx: &Context) -> Result<(), RunFailure> {
    let flags = send(Call::get("feature-flags".to_owned()), cx).await?;
    for flag in flags.as_array().into_iter().flatten() {
        if flag["state"] == "disabled" && flag["stability"] == "stable" {
            let name = flag["name"].as_str().unwrap_or_default();
            let path = format!("feature-flags/{}/enable", escape(name));
            let body = Some(json!({ "name": name }));
            send(Call { body, ..Call::new(Method::PUT, path) }, cx).await?;
        }
    }
    Ok(())
}

async fn get(
    given: &NamedArguments,
    style: &BoxStyle,
    cx: &Context,
    out: &mut Output,
) -> Result<(), RunFailure> {
    let body = json!({
        "count": number(given.text("count").unwrap_or("1")),
        "ackmode": given.text("ack_mode").unwrap_or("ack_requeue_false"),
        "encoding": "auto",
    });
    let answer = send(Call::post(given.path("queues/{vhost}/{queue}/get"), body), cx).await?;
    let columns = [
        "payload_bytes",
        "redelivered",
        "exchange",
        "routing_key",
        "message_count",
        "properties",
        "payload",
        "payload_encoding",
    ];
    let rows = answer.as_array().cloned().unwrap_or_default();
    print(&style.table(&columns, &rows), out)
}
