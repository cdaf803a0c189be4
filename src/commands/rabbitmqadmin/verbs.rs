//! The commands of `rabbitmqadmin`.

use std::fs;
use std::io::{self, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::dead::Dead;
use super::listed::written;
use super::objects::{
    CLOSABLE, DECLARABLE, DELETABLE, GET, LISTABLE, Listable, Object, PUBLISH, PURGABLE, SHOWABLE,
};
use super::settings::AdminSettings;
use crate::commands::Context;
use crate::engine::{Call, Method, escape};
use crate::json_text;
use crate::render::Output;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdminVerb {
    List,
    Show,
    Declare,
    Delete,
    Close,
    Purge,
    Publish,
    Get,
    Export,
    Import,
    Help,
}

pub(super) fn find(name: &str) -> Option<AdminVerb> {
    Some(match name {
        "list" => AdminVerb::List,
        "show" => AdminVerb::Show,
        "declare" => AdminVerb::Declare,
        "delete" => AdminVerb::Delete,
        "close" => AdminVerb::Close,
        "purge" => AdminVerb::Purge,
        "publish" => AdminVerb::Publish,
        "get" => AdminVerb::Get,
        "export" => AdminVerb::Export,
        "import" => AdminVerb::Import,
        "help" => AdminVerb::Help,
        _ => return None,
    })
}

/// Answers whether the words are a list of version 1.
pub(super) fn is_listable(words: &[String]) -> bool {
    let [verb, kind, ..] = words else { return true };
    let all = if verb == "list" { LISTABLE } else { SHOWABLE };
    all.iter().any(|one| one.name == kind)
}

/// Carries a command out and prints its answer.
pub(super) async fn carry_out(
    verb: AdminVerb,
    words: &[String],
    settings: &AdminSettings,
    cx: &Context,
    out: &mut Output,
) -> Result<(), Dead> {
    match verb {
        AdminVerb::List => list(LISTABLE, "list", words, settings, cx, out).await,
        AdminVerb::Show => list(SHOWABLE, "show", words, settings, cx, out).await,
        AdminVerb::Declare => change(DECLARABLE, "declared", words, settings, cx, out).await,
        AdminVerb::Delete => change(DELETABLE, "deleted", words, settings, cx, out).await,
        AdminVerb::Close => change(CLOSABLE, "closed", words, settings, cx, out).await,
        AdminVerb::Purge => change(PURGABLE, "purged", words, settings, cx, out).await,
        AdminVerb::Publish => publish(words, settings, cx, out).await,
        AdminVerb::Get => get(words, settings, cx, out).await,
        AdminVerb::Export => export(words, settings, cx, out).await,
        AdminVerb::Import => import(words, settings, cx, out).await,
        AdminVerb::Help => {
            Err(Dead::Misused("help topic must be one of:\n  subcommands\n  config".into()))
        }
    }
}

async fn send(call: Call, cx: &Context) -> Result<Value, Dead> {
    let path = call.path.clone();
    let sent = cx.engine.inspect().send("do this", &call).await;
    sent.map_err(|error| Dead::of(error.into(), &path))
}

fn say(words: &str, settings: &AdminSettings, out: &mut Output) -> Result<(), Dead> {
    if settings.is_verbose() {
        out.line(words)?;
    }
    Ok(())
}

async fn list(
    all: &[Listable],
    verb: &str,
    words: &[String],
    settings: &AdminSettings,
    cx: &Context,
    out: &mut Output,
) -> Result<(), Dead> {
    let kind = words.first().map_or("", String::as_str);
    let found = all.iter().find(|one| one.name == kind);
    let found = found.ok_or_else(|| Dead::Misused(format!("Don't know how to {verb} {kind}")))?;
    let mut path = kind.replace('_', "-");
    if let (true, Some(vhost)) = (found.is_of_vhost, settings.text("vhost")) {
        path = format!("{path}/{}", escape(vhost));
    }
    let mut columns: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    let uses_columns = settings.text("depth").is_none() && !settings.format().contains("json");
    if columns.is_empty() && uses_columns {
        columns = found.columns.to_vec();
    }
    let mut query = Vec::new();
    if !columns.is_empty() {
        query.push(format!("columns={}", columns.join(",")));
    }
    if let Some(sort) = settings.text("sort") {
        query.push(format!("sort={sort}"));
    }
    if settings.is_set("sort_reverse") {
        query.push("sort_reverse=true".to_owned());
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let answer = send(Call::get(path), cx).await?;
    let rows = if answer.is_array() { answer } else { Value::Array(vec![answer]) };
    out.bytes(written(&rows, &columns, found.json, settings)?.as_bytes())?;
    Ok(())
}

async fn change(
    all: &[Object],
    done: &str,
    words: &[String],
    settings: &AdminSettings,
    cx: &Context,
    out: &mut Output,
) -> Result<(), Dead> {
    let kind = words.first().ok_or_else(|| Dead::Misused("Type not specified".into()))?;
    let object = all.iter().find(|one| one.name == kind);
    let object = object.ok_or_else(|| Dead::Misused(format!("Type {kind} not recognised")))?;
    let (path, mut fields) = arguments(&words[1..], object, settings)?;
    let call = if done == "declared" {
        if let Some(kind) = fields.get("queue_type").cloned() {
            fields["arguments"]["x-queue-type"] = kind;
        }
        let method = if object.name == "binding" { Method::POST } else { Method::PUT };
        Call { body: Some(Value::Object(fields)), ..Call::new(method, path) }
    } else {
        Call::delete(path)
    };
    send(call, cx).await?;
    say(&format!("{kind} {done}"), settings, out)
}

/// Reads `name=value` arguments; returns the path and the fields.
fn arguments(
    words: &[String],
    object: &Object,
    settings: &AdminSettings,
) -> Result<(String, Map<String, Value>), Dead> {
    let mut fields = Map::new();
    for (name, usual) in object.optional {
        if let Some(value) = usual.and_then(|usual| serde_json::from_str(usual).ok()) {
            fields.insert((*name).to_owned(), value);
        }
    }
    let is_mandatory =
        |name: &str| object.mandatory.iter().any(|one| one.split('|').any(|one| one == name));
    let is_optional = |name: &str| object.optional.iter().any(|(one, _)| *one == name);
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| {
            Dead::Misused(format!("Argument \"{word}\" not in the name=value format"))
        })?;
        if !is_mandatory(name) && !is_optional(name) {
            return Err(Dead::Misused(format!("Argument \"{name}\" is not recognised")));
        }
        let value = if object.json.contains(&name) {
            let wrong = |_| Dead::Said(format!("ERROR: Could not parse JSON:\n  {value}"));
            json_text::read(value.as_bytes()).map_err(wrong)?
        } else {
            Value::from(value)
        };
        fields.insert(name.to_owned(), value);
    }
    for name in object.mandatory {
        let choices: Vec<&str> = name.split('|').collect();
        if choices.iter().any(|one| fields.contains_key(*one)) {
            continue;
        }
        return Err(Dead::Misused(match choices.as_slice() {
            [one] => format!("mandatory argument \"{one}\" is required"),
            several => {
                let quoted: Vec<String> = several.iter().map(|one| format!("'{one}'")).collect();
                format!("one of mandatory arguments \"[{}]\" is required", quoted.join(", "))
            }
        }));
    }
    if !is_mandatory("vhost") {
        fields.insert("vhost".to_owned(), settings.vhost().into());
    }
    Ok((path(object.path, &fields), fields))
}

/// A path with its arguments in their places.
fn path(template: &str, fields: &Map<String, Value>) -> String {
    let mut parts = template.split('{');
    let mut path = parts.next().unwrap_or_default().to_owned();
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        match name {
            "destination_char" => path += text("destination_type").get(..1).unwrap_or_default(),
            name => path += &escape(text(name)),
        }
        path += rest;
    }
    path
}

async fn publish(
    words: &[String],
    settings: &AdminSettings,
    cx: &Context,
    out: &mut Output,
) -> Result<(), Dead> {
    let (path, mut fields) = arguments(words, &PUBLISH, settings)?;
    if !fields.contains_key("payload") {
        let mut payload = Vec::new();
        io::stdin().lock().read_to_end(&mut payload)?;
        fields.insert("payload".to_owned(), STANDARD.encode(payload).into());
        fields.insert("payload_encoding".to_owned(), "base64".into());
    }
    let answer = send(Call::post(path, fields.into()), cx).await?;
    let is_routed = answer["routed"] == true;
    say(
        if is_routed { "Message published" } else { "Message published but NOT routed" },
        settings,
        out,
    )
}

async fn get(
    words: &[String],
    settings: &AdminSettings,
    cx: &Context,
    out: &mut Output,
) -> Result<(), Dead> {
    let (path, fields) = arguments(words, &GET, settings)?;
    let file = fields.get("payload_file").and_then(Value::as_str).map(str::to_owned);
    if file.is_some() && fields["count"] != "1" {
        return Err(Dead::Misused("Cannot get multiple messages using payload_file".into()));
    }
    let answer = send(Call::post(path, fields.into()), cx).await?;
    let mut columns: &[&str] = &[];
    if let Some(file) = file {
        let Some(message) = answer.get(0) else {
            return Err(Dead::Died("the queue is empty".into()));
        };
        let payload = message["payload"].as_str().unwrap_or_default();
        let bytes = match message["payload_encoding"].as_str() {
            Some("base64") => STANDARD.decode(payload).unwrap_or_default(),
            _ => payload.as_bytes().to_vec(),
        };
        fs::write(file, bytes)?;
        columns = &["routing_key", "exchange", "message_count", "payload_bytes", "redelivered"];
    }
    out.bytes(written(&answer, columns, &[], settings)?.as_bytes())?;
    Ok(())
}

/// The file that is the only argument, and the path of the definitions.
fn definitions<'a>(
    words: &'a [String],
    settings: &AdminSettings,
) -> Result<(&'a str, String), Dead> {
    let [file] = words else { return Err(Dead::Misused("Exactly one argument required".into())) };
    let path = match settings.text("vhost") {
        Some(vhost) => format!("definitions/{}", escape(vhost)),
        None => "definitions".to_owned(),
    };
    Ok((file, path))
}

async fn export(
    words: &[String],
    settings: &AdminSettings,
    cx: &Context,
    out: &mut Output,
) -> Result<(), Dead> {
    let (file, path) = definitions(words, settings)?;
    let definitions = send(Call::get(path), cx).await?;
    fs::write(file, definitions.to_string())?;
    say(&format!("Exported definitions for {} to \"{file}\"", settings.host()), settings, out)
}

async fn import(
    words: &[String],
    settings: &AdminSettings,
    cx: &Context,
    out: &mut Output,
) -> Result<(), Dead> {
    let (file, path) = definitions(words, settings)?;
    let wrong =
        |error: serde_json::Error| Dead::Died(format!("the definitions are not JSON: {error}"));
    let definitions = json_text::read(&fs::read(file)?).map_err(wrong)?;
    send(Call::post(path, definitions), cx).await?;
    let words = format!(
        "Uploaded definitions from \"{file}\" to {}. The import process may take some time. \
         Consult server logs to track progress.",
        settings.host()
    );
    say(&words, settings, out)
}
