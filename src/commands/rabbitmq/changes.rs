//! Changes of queues, connections, definitions and features.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::asked::Asked;
use super::columns::check;
use super::failure::{DATA, Failure, UNAVAILABLE, USAGE, WrongWords, refusal};
use super::lists::{DEPRECATED_FEATURES, FEATURE_FLAGS};
use super::names::CtlRelease;
use super::reached::Reached;
use super::shown::{ListedRows, RowForm, Shown};
use super::work::{ANY, Banner, CommandWork, WorkKind};
use crate::commands::{CommandError, admin};
use crate::engine::{Call, escape};
use crate::json_text;

/// The text of the error of an unused queue that RabbitMQ does not look for.
const IF_UNUSED: &str = "if-unused";

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "purge_queue",
        words: (1, 1),
        banner: Banner::Words("Purging queue '{0}' in vhost '{vhost}' ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(purge(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "delete_queue",
        words: (1, 1),
        banner: Banner::Made(|asked, _| {
            let conditions =
                [("if-empty", "if queue is empty "), (IF_UNUSED, "if queue is unused ")];
            let named = conditions.into_iter().filter(|(name, _)| asked.is_set(name));
            let named: Vec<&str> = named.map(|(_, words)| words).collect();
            format!(
                "Deleting queue '{}' on vhost '{}' {}...",
                asked.word(0),
                asked.vhost(),
                named.join("and ")
            )
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(delete(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "close_connection",
        words: (2, ANY),
        banner: Banner::Made(|asked, _| {
            format!("Closing connection {}, reason: {}...", asked.word(0), reason(asked))
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(close_one(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "close_all_connections",
        words: (1, 1),
        banner: Banner::Made(|asked, _| {
            if asked.is_set("global") {
                return format!("Closing all connections to node, reason: {}...", asked.word(0));
            }
            format!(
                "Closing all connections in vhost {}, reason: {}...",
                asked.vhost(),
                asked.word(0)
            )
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(close_all(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "close_all_user_connections",
        words: (2, 2),
        banner: Banner::Words("Closing connections of user {0}, reason: {1}..."),
        work: WorkKind::Run(|asked, reached| Box::pin(close_of_user(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "export_definitions",
        words: (1, 1),
        banner: Banner::Made(|asked, _| match asked.word(0) {
            "-" => String::new(),
            file => format!("Exporting definitions in JSON to a file at \"{file}\" ..."),
        }),
        check: Some(|asked| match asked.optional("format") {
            None => Ok(()),
            Some(format) if format.eq_ignore_ascii_case("json") => Ok(()),
            Some(_) => Err(WrongWords::Bad("only the format json is implemented".to_owned())),
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(export(asked, reached))),
    },
    CommandWork {
        name: "import_definitions",
        words: (0, 1),
        banner: Banner::Made(|asked, _| match asked.words.first() {
            None => "Importing definitions in JSON from standard input ...".to_owned(),
            Some(file) => format!("Importing definitions in JSON from a file at \"{file}\" ..."),
        }),
        check: Some(|asked| match asked.words.first() {
            Some(file) if !Path::new(file).exists() => {
                Err(WrongWords::Bad(format!("File {file} does not exist")))
            }
            _ => Ok(()),
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(import(asked, reached))),
    },
    CommandWork {
        name: "list_feature_flags",
        words: (0, ANY),
        banner: Banner::Words("Listing feature flags ..."),
        check: Some(|asked| check(&FEATURE_FLAGS, asked)),
        work: WorkKind::Run(|asked, reached| Box::pin(feature_flags(asked, reached))),
    },
    CommandWork {
        name: "enable_feature_flag",
        words: (1, 1),
        banner: Banner::Made(|asked, _| match asked.word(0) {
            "all" => "Enabling all feature flags ...".to_owned(),
            name => format!("Enabling feature flag \"{name}\" ..."),
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(enable_feature_flag(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_deprecated_features",
        words: (0, ANY),
        banner: Banner::Made(|asked, _| {
            let used = if asked.is_set("used") { " in use" } else { "" };
            format!("Listing deprecated features{used} ...")
        }),
        check: Some(|asked| check(&DEPRECATED_FEATURES, asked)),
        work: WorkKind::Run(|asked, reached| Box::pin(deprecated_features(asked, reached))),
    },
    CommandWork {
        name: "check_if_any_deprecated_features_are_used",
        banner: Banner::Words("Checking if any deprecated features are used ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(check_deprecated(asked, reached))),
        ..CommandWork::PLAIN
    },
];

fn queue_path(asked: &Asked) -> String {
    format!("queues/{}/{}", escape(asked.vhost()), escape(asked.word(0)))
}

async fn purge(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let path = format!("{}/contents", queue_path(asked));
    match reached.send(Call::delete(path)).await {
        Ok(_) => Ok(Shown::Nothing),
        Err(error) => Err(match (refusal(&error), asked.release) {
            (Some((404, _)), CtlRelease::V3_10) => Failure::error(UNAVAILABLE, "not_found"),
            (Some((404, _)), CtlRelease::V4_3) => Failure::no_object(),
            (Some((400 | 405, text)), _) if text.contains("not supported") => {
                Failure::error(UNAVAILABLE, "not_supported")
            }
            _ => Failure::of(error, asked, &reached.node),
        }),
    }
}

async fn delete(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let path = queue_path(asked);
    let missing = match asked.release {
        CtlRelease::V3_10 => "Queue not found",
        CtlRelease::V4_3 => "No such queue was found",
    };
    let Ok(queue) = reached.get(&path).await else { return Err(Failure::error(USAGE, missing)) };
    let conditions = ["if-empty", IF_UNUSED].into_iter().filter(|name| asked.is_set(name));
    let conditions: Vec<String> = conditions.map(|name| format!("{name}=true")).collect();
    let deleted = reached.send(Call::delete(format!("{path}?{}", conditions.join("&")))).await;
    match deleted {
        Ok(_) => {}
        Err(error) => {
            return Err(match refusal(&error) {
                Some((404, _)) => Failure::error(USAGE, missing),
                Some((400, text)) if text.contains("not supported by") => Failure::error(
                    UNAVAILABLE,
                    format!("{{:amqp_error, :not_implemented, ~c\"{text}\", :none}}"),
                ),
                Some((_, text)) if text.contains("in use") => {
                    Failure::error(UNAVAILABLE, "Queue is in use and cannot be deleted")
                }
                Some((_, text)) if text.contains("not empty") => {
                    Failure::error(UNAVAILABLE, "Queue is not empty and cannot be deleted")
                }
                _ => Failure::of(error, asked, &reached.node),
            });
        }
    }
    // A stream tells no number of messages that are lost.
    let ready =
        if queue["type"] == "stream" { 0 } else { queue["messages_ready"].as_u64().unwrap_or(0) };
    Ok(Shown::message(format!("Queue was successfully deleted with {ready} ready messages")))
}

/// The reason: all words behind the connection.
fn reason(asked: &Asked) -> String {
    asked.words.get(1..).unwrap_or_default().join(" ")
}

async fn close_one(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let pid = asked.word(0);
    match reached.perform("close-connection", vec![pid.to_owned(), reason(asked)]).await {
        Ok(()) => Ok(Shown::Nothing),
        // A process that has ended is closed.
        Err(error) if matches!(refusal(&error), Some((404, _))) && pid.starts_with('<') => {
            Ok(Shown::Nothing)
        }
        Err(error) if matches!(refusal(&error), Some((404, _))) => {
            Err(Failure::error(UNAVAILABLE, format!("Error:\n{{:invalid_pid_syntax, \"{pid}\"}}")))
        }
        Err(error) => Err(Failure::of(error, asked, &reached.node)),
    }
}

async fn close_all(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let path = match (asked.is_set("global"), asked.vhost()) {
        (true, _) => "connections".to_owned(),
        (false, vhost) => format!("vhosts/{}/connections", escape(vhost)),
    };
    let limit = asked.number("limit").filter(|limit| *limit > 0.0).unwrap_or(f64::MAX);
    let pause = asked.number("per-connection-delay").filter(|ms| *ms > 0.0);
    let pause = pause.map(|ms| Duration::from_secs_f64(ms / 1e3));
    let closing = admin::Closing { path: &path, reason: asked.word(0), limit, pause };
    let closed = match admin::close_each(closing, &reached.cx).await {
        Ok(closed) => closed,
        // A virtual host that is not there has no connections.
        Err(error) if matches!(refusal(&error), Some((404, _))) => 0,
        Err(error) => return Err(Failure::of(error, asked, &reached.node)),
    };
    Ok(Shown::message(format!("Closed {closed} connections")))
}

async fn close_of_user(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    match reached.perform("close-all-user-connections", asked.words.clone()).await {
        Ok(()) => Ok(Shown::Nothing),
        Err(error) if matches!(refusal(&error), Some((404, _))) => Ok(Shown::Nothing),
        Err(error) => Err(Failure::of(error, asked, &reached.node)),
    }
}

fn failed_file(error: &io::Error, file: &str) -> Failure {
    Failure::error(DATA, format!("{file}: {error}"))
}

async fn export(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let definitions = reached.get("definitions").await;
    let definitions = definitions.map_err(|error| Failure::of(error, asked, &reached.node))?;
    let text = definitions.to_string();
    match asked.word(0) {
        "-" => Ok(Shown::Raw(text)),
        file => {
            fs::write(file, text).map_err(|error| failed_file(&error, file))?;
            Ok(Shown::Nothing)
        }
    }
}

async fn import(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let mut text = Vec::new();
    let file = asked.words.first().map_or("standard input", String::as_str);
    let read = match asked.words.first() {
        Some(file) => fs::read(file),
        None => io::stdin().lock().read_to_end(&mut text).map(|_| text),
    };
    let text = read.map_err(|error| failed_file(&error, file))?;
    let definitions: Value = json_text::read(&text).map_err(|error| {
        Failure::error(DATA, format!("Failed to deserialise input (format: JSON) (error: {error})"))
    })?;
    let sent = reached.send(Call::post("definitions", definitions)).await;
    sent.map_err(|error| Failure::of(error, asked, &reached.node))?;
    Ok(Shown::message(
        "Successfully started definition import. This process is asynchronous and can take some time. \
         Watch target node logs for completion.",
    ))
}

async fn feature_flags(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let rows = reached.rows("feature-flags").await;
    let rows = rows.map_err(|error| Failure::of(error, asked, &reached.node))?;
    Ok(Shown::Rows(FEATURE_FLAGS.rows(&rows, asked)))
}

async fn enable_feature_flag(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    match reached.perform("enable-feature-flag", asked.words.clone()).await {
        Ok(()) => Ok(Shown::Nothing),
        Err(error) => Err(match refusal(&error) {
            Some((400 | 404, _)) => Failure::error(
                USAGE,
                format!("This feature flag is not supported by node {}", reached.node),
            ),
            _ => Failure::of(error, asked, &reached.node),
        }),
    }
}

async fn deprecated_features(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let path =
        if asked.is_set("used") { "deprecated-features/used" } else { "deprecated-features" };
    let rows = reached.rows(path).await;
    let mut rows = rows.map_err(|error| Failure::of(error, asked, &reached.node))?;
    rows.sort_by_key(|row| row["name"].as_str().unwrap_or_default().to_owned());
    if rows.is_empty() && asked.formatter().is_none() {
        return Ok(nothing());
    }
    Ok(Shown::Rows(ListedRows { usual: RowForm::Pretty, ..DEPRECATED_FEATURES.rows(&rows, asked) }))
}

/// The table for an answer that is an empty list.
pub(super) fn nothing() -> Shown {
    let cell = super::cell::Cell::new("[]", json!([]));
    Shown::Rows(ListedRows::new(&["Output"], vec![vec![cell]], RowForm::Pretty))
}

async fn check_deprecated(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let used = reached.rows("deprecated-features/used").await;
    let used = used.map_err(|error: CommandError| Failure::of(error, asked, &reached.node))?;
    let names: Vec<&str> = used.iter().filter_map(|feature| feature["name"].as_str()).collect();
    if names.is_empty() {
        return Ok(Shown::ok("Cluster reported no deprecated features in use"));
    }
    if asked.formatter() == Some("json") {
        let json = json!({
            "deprecated_features": names,
            "message": "Cluster reported deprecated features in use",
            "result": "error",
        });
        return Err(Failure::plain(UNAVAILABLE, json.to_string()));
    }
    Err(Failure::plain(UNAVAILABLE, names.join("\n")))
}
