//! Policies and runtime parameters.

use serde_json::{Value, json};

use super::asked::Asked;
use super::cell::{Cell, term};
use super::failure::{Failure, UNAVAILABLE, json as json_of, refusal};
use super::names::CtlRelease;
use super::reached::{Reached, in_vhost};
use super::shown::{ListedRows, RowForm, Shown};
use super::work::{Banner, CommandWork, WorkKind};
use crate::commands::{CommandError, admin};
use crate::engine::escape;

const COLUMNS: &[&str] = &["vhost", "name", "pattern", "apply-to", "definition", "priority"];

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "set_policy",
        words: (3, 3),
        banner: Banner::Made(|asked, _| setting("policy", asked)),
        work: WorkKind::Run(|asked, reached| Box::pin(set("set-policy", 2, asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_operator_policy",
        words: (3, 3),
        banner: Banner::Made(|asked, _| setting("operator policy override", asked)),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(set("set-operator-policy", 2, asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "clear_policy",
        words: (1, 1),
        banner: Banner::Words("Clearing policy \"{0}\" on vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(clear("clear-policy", asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "clear_operator_policy",
        words: (1, 1),
        banner: Banner::Words("Clearing operator policy \"{0}\" on vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(clear("clear-operator-policy", asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_policies",
        banner: Banner::Words("Listing policies for vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(list("policies", asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_operator_policies",
        banner: Banner::Words("Listing operator policy overrides for vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(list("operator-policies", asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_policies_that_match",
        words: (1, 1),
        banner: Banner::Made(|asked, _| {
            format!(
                "Listing policies that match {} '{}' in vhost '{}' ...",
                asked.optional("object-type").unwrap_or("queue"),
                asked.word(0),
                asked.vhost()
            )
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(matching(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_parameter",
        words: (3, 3),
        banner: Banner::Words(
            "Setting runtime parameter \"{1}\" for component \"{0}\" to \"{2}\" in vhost \"{vhost}\" ...",
        ),
        work: WorkKind::Run(|asked, reached| Box::pin(set("set-parameter", 2, asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "clear_parameter",
        words: (2, 2),
        banner: Banner::Words(
            "Clearing runtime parameter \"{1}\" for component \"{0}\" on vhost \"{vhost}\" ...",
        ),
        work: WorkKind::Run(|asked, reached| Box::pin(clear("clear-parameter", asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_parameters",
        banner: Banner::Words("Listing runtime parameters for vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(list_parameters(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_global_parameter",
        words: (2, 2),
        banner: Banner::Words("Setting global runtime parameter \"{0}\" to \"{1}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(set("set-global-parameter", 1, asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "clear_global_parameter",
        words: (1, 1),
        banner: Banner::Words("Clearing global runtime parameter \"{0}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(clear("clear-global-parameter", asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_global_parameters",
        banner: Banner::Words("Listing global runtime parameters ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(list_global_parameters(asked, reached))),
        ..CommandWork::PLAIN
    },
];

fn setting(what: &str, asked: &Asked) -> String {
    format!(
        "Setting {what} \"{}\" for pattern \"{}\" to \"{}\" with priority \"{}\" for vhost \"{}\" ...",
        asked.word(0),
        asked.word(1),
        asked.word(2),
        asked.optional("priority").unwrap_or("0"),
        asked.vhost()
    )
}

/// Sets a policy or a parameter, whose value is the argument at `place`.
async fn set(
    command: &str,
    place: usize,
    asked: &Asked,
    reached: &mut Reached,
) -> Result<Shown, Failure> {
    json_of(asked.word(place), asked)?;
    let mut arguments = asked.own_switches();
    arguments.push("--".to_owned());
    arguments.extend(asked.words.iter().cloned());
    match reached.perform(command, arguments).await {
        Ok(()) => Ok(Shown::Nothing),
        Err(error) => Err(refused(error, asked, reached).await),
    }
}

/// The failure of a refused value. The earlier release ends it with an empty line.
async fn refused(error: CommandError, asked: &Asked, reached: &Reached) -> Failure {
    match refusal(&error) {
        Some((400, reason)) if reason.starts_with("Validation failed") => {
            let end = if asked.release == CtlRelease::V3_10 { "\n" } else { "" };
            // Its management API escapes the reason for a page.
            let reason = reason.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            Failure::error(UNAVAILABLE, format!("{}{end}", reason.trim_end()))
        }
        _ => in_vhost(error, asked, reached).await,
    }
}

async fn clear(command: &str, asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    match reached.perform(command, asked.words.clone()).await {
        Ok(()) => Ok(Shown::Nothing),
        Err(error) if matches!(refusal(&error), Some((404, _))) => {
            if !command.contains("global") && !reached.has_vhost(asked.vhost()).await {
                return Err(Failure::no_vhost(asked.vhost()));
            }
            Err(Failure::error(UNAVAILABLE, "Parameter does not exist"))
        }
        Err(error) => Err(Failure::of(error, asked, &reached.node)),
    }
}

async fn list(kind: &str, asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let path = format!("{kind}/{}", escape(asked.vhost()));
    let rows = match reached.rows(&path).await {
        Ok(rows) => rows,
        Err(error) => return Err(in_vhost(error, asked, reached).await),
    };
    let cell = |row: &Value, name: &str| match name {
        "definition" => Cell::json_text(&row[name]),
        _ => Cell::plain(&row[name]),
    };
    let cells = rows.iter().map(|row| COLUMNS.iter().map(|name| cell(row, name)).collect());
    Ok(Shown::Rows(ListedRows::new(COLUMNS, cells.collect(), RowForm::Table)))
}

async fn matching(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let kind = match asked.optional("object-type") {
        Some("exchange") => "exchanges",
        _ => "queues",
    };
    let path = format!("{kind}/{}/{}", escape(asked.vhost()), escape(asked.word(0)));
    let Ok(object) = reached.get(&path).await else { return Err(Failure::no_object()) };
    // A queue is of the kind that its policies are for.
    let own = match object["type"].as_str() {
        Some("quorum") => "quorum_queue",
        Some("stream") => "stream",
        _ => "classic_queue",
    };
    let kind = if kind == "exchanges" { "exchange" } else { own };
    let arguments = vec![format!("--object-type={kind}"), asked.word(0).to_owned()];
    let rows = admin::list_rows("list-policies-that-match", arguments, &mut reached.cx).await;
    let rows = rows.map_err(|error| Failure::of(error, asked, &reached.node))?;
    if rows.is_empty() {
        let json = json!({"result": "ok", "policies": []});
        return Ok(Shown::Document { text: String::new(), json });
    }
    let picked = |row: &Value| {
        let fields = COLUMNS.iter().map(|&name| (name.to_owned(), row[name].clone()));
        Value::Object(fields.collect())
    };
    let json = json!({"result": "ok", "policies": rows.iter().map(picked).collect::<Vec<_>>()});
    if asked.formatter() == Some("json") {
        return Ok(Shown::Document { text: String::new(), json });
    }
    let cell = |row: &Value, name: &str| match name {
        "definition" => {
            let fields = row[name].as_object().into_iter().flatten();
            let fields = fields.map(|(name, value)| format!("{{<<\"{name}\">>,{}}}", term(value)));
            Cell::new(fields.collect::<String>(), row[name].clone())
        }
        _ => Cell::plain(&row[name]),
    };
    let cells = rows.iter().map(|row| COLUMNS.iter().map(|name| cell(row, name)).collect());
    Ok(Shown::Rows(ListedRows::new(COLUMNS, cells.collect(), RowForm::Pretty)))
}

/// The parameters of the virtual host. Operator policies are among them, as in RabbitMQ.
async fn list_parameters(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let vhost = escape(asked.vhost());
    let parameters = reached.rows("parameters").await;
    let parameters = parameters.map_err(|error| Failure::of(error, asked, &reached.node))?;
    let policies = match reached.rows(&format!("operator-policies/{vhost}")).await {
        Ok(policies) => policies,
        Err(error) => return Err(in_vhost(error, asked, reached).await),
    };
    let its = parameters.into_iter().filter(|row| row["vhost"] == asked.vhost());
    let policy = |row: &Value| {
        let value = json!({
            "pattern": row["pattern"],
            "definition": row["definition"],
            "priority": row["priority"],
            "apply-to": row["apply-to"],
        });
        json!({"component": "operator_policy", "name": row["name"], "value": value})
    };
    let mut all: Vec<Value> = its.chain(policies.iter().map(policy)).collect();
    all.sort_by_key(|row| row["component"].as_str().unwrap_or_default().to_owned());
    let row = |row: &Value| {
        vec![
            Cell::plain(&row["component"]),
            Cell::plain(&row["name"]),
            Cell::json_text(&row["value"]),
        ]
    };
    let cells = all.iter().map(row).collect();
    Ok(Shown::Rows(ListedRows::new(&["component", "name", "value"], cells, RowForm::Table)))
}

async fn list_global_parameters(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let rows = reached.rows("global-parameters").await;
    let rows = rows.map_err(|error| Failure::of(error, asked, &reached.node))?;
    let cells =
        rows.iter().map(|row| vec![Cell::plain(&row["name"]), Cell::json_text(&row["value"])]);
    Ok(Shown::Rows(ListedRows::new(&["name", "value"], cells.collect(), RowForm::Table)))
}
