//! Virtual hosts: their metadata, protection, traces and limits.

use serde_json::{Value, json};

use super::asked::Asked;
use super::cell::Cell;
use super::failure::{DATA, Failure, SOFTWARE, WrongWords, json as json_of, refusal};
use super::reached::{Reached, in_vhost};
use super::shown::{ListedRows, RowForm, Shown};
use super::work::{ANY, Banner, CommandWork, RefusedFuture, WorkKind, as_usual};
use crate::commands::CommandError;
use crate::engine::escape;

/// The types of queues that a virtual host may make by default.
const QUEUE_TYPES: [&str; 3] = ["quorum", "stream", "classic"];

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "add_vhost",
        words: (1, 1),
        banner: Banner::Words("Adding vhost \"{0}\" ..."),
        check: Some(check_queue_type),
        work: WorkKind::Same { command: "add-vhost", refused: as_usual },
    },
    CommandWork {
        name: "delete_vhost",
        words: (1, 1),
        banner: Banner::Words("Deleting vhost \"{0}\" ..."),
        work: WorkKind::Same { command: "delete-vhost", refused: not_deleted },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "update_vhost_metadata",
        words: (1, 1),
        banner: Banner::Words("Updating metadata of vhost \"{0}\" ..."),
        check: Some(|asked| {
            let changes = ["description", "tags", "default-queue-type", "protected-from-deletion"];
            if changes.iter().all(|name| asked.optional(name).is_none()) {
                return Err(WrongWords::NotEnough);
            }
            check_queue_type(asked)
        }),
        work: WorkKind::Same { command: "update-vhost-metadata", refused: no_such },
    },
    CommandWork {
        name: "set_vhost_tags",
        words: (1, ANY),
        banner: Banner::Words("Setting tags for virtual host \"{0}\" to [{*}] ..."),
        work: WorkKind::Same {
            command: "set-vhost-tags",
            refused: |error, asked, reached| {
                Box::pin(async move {
                    let is_missing = is_missing(error, asked, reached).await;
                    let text = || format!("Virtual host \"{}\" does not exist", asked.word(0));
                    is_missing.then(|| Failure::error(DATA, text()))
                })
            },
        },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "enable_vhost_deletion_protection",
        words: (1, 1),
        banner: Banner::Words(
            "Protecting virtual host \"{0}\" from removal by updating its metadata...",
        ),
        work: WorkKind::Same { command: "enable-vhost-deletion-protection", refused: no_such },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "disable_vhost_deletion_protection",
        words: (1, 1),
        banner: Banner::Words(
            "Removing deletion protection from virtual host \"{0}\" by updating its metadata...",
        ),
        work: WorkKind::Same { command: "disable-vhost-deletion-protection", refused: no_such },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "restart_vhost",
        banner: Banner::Words("Trying to restart vhost '{vhost}' on node '{node}' ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(restart(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "reconcile_vhosts",
        banner: Banner::Words(
            "Will try to initiate virtual host reconciliation on all reachable cluster nodes...",
        ),
        work: WorkKind::Same { command: "reconcile-vhosts", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "trace_on",
        banner: Banner::Words("Starting tracing for vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(trace("trace-on", "enabled", asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "trace_off",
        banner: Banner::Words("Stopping tracing for vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(trace("trace-off", "disabled", asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_vhost_limits",
        words: (1, 1),
        banner: Banner::Words("Setting vhost limits to \"{0}\" for vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(set_limits(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "clear_vhost_limits",
        banner: Banner::Words("Clearing vhost \"{vhost}\" limits ..."),
        work: WorkKind::Same { command: "clear-vhost-limits", refused: super::work::no_vhost },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_vhost_limits",
        banner: Banner::Made(|asked, _| {
            if asked.is_set("global") {
                return "Listing limits for all vhosts ...".to_owned();
            }
            format!("Listing limits for vhost \"{}\" ...", asked.vhost())
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(list_limits(asked, reached))),
        ..CommandWork::PLAIN
    },
];

fn check_queue_type(asked: &Asked) -> Result<(), WrongWords> {
    match asked.optional("default-queue-type") {
        Some(other) if !QUEUE_TYPES.contains(&other) => Err(WrongWords::Bad(format!(
            "Default queue type must be one of: {}. Provided: {other}",
            QUEUE_TYPES.join(", ")
        ))),
        _ => Ok(()),
    }
}

async fn is_missing(error: &CommandError, asked: &Asked, reached: &Reached) -> bool {
    refusal(error).is_some() && !reached.has_vhost(asked.word(0)).await
}

/// The failure of a change of a virtual host that is not there.
fn no_such<'a>(
    error: &'a CommandError,
    asked: &'a Asked,
    reached: &'a Reached,
) -> RefusedFuture<'a> {
    Box::pin(async move {
        is_missing(error, asked, reached).await.then(|| Failure::no_vhost(asked.word(0)))
    })
}

fn not_deleted<'a>(
    error: &'a CommandError,
    asked: &'a Asked,
    reached: &'a Reached,
) -> RefusedFuture<'a> {
    Box::pin(async move {
        if let Some((412, _)) = refusal(error) {
            let text = "Cannot delete this virtual host: it is protected from deletion. \
                        To lift the protection, inspect and update its metadata";
            return Some(Failure::error(DATA, text));
        }
        no_such(error, asked, reached).await
    })
}

async fn restart(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let (vhost, node) = (asked.vhost(), reached.node.clone());
    if !reached.has_vhost(vhost).await {
        let text = format!(
            "Failed to start vhost '{vhost}' on node '{node}'Reason: {{:no_such_vhost, \"{vhost}\"}}"
        );
        return Err(Failure::error(SOFTWARE, text));
    }
    let restarted = reached.perform("restart-vhost", Vec::new()).await;
    restarted.map_err(|error| Failure::of(error, asked, &node))?;
    Ok(Shown::message(format!("Vhost '{vhost}' is already running on node '{node}'")))
}

/// RabbitMQ's program succeeds for a virtual host that is not there.
async fn trace(
    command: &str,
    state: &str,
    asked: &Asked,
    reached: &mut Reached,
) -> Result<Shown, Failure> {
    let vhost = asked.vhost();
    match reached.perform(command, Vec::new()).await {
        Err(error) if reached.has_vhost(vhost).await => {
            Err(Failure::of(error, asked, &reached.node))
        }
        Ok(()) | Err(_) => Ok(Shown::message(format!("Trace {state} for vhost {vhost}"))),
    }
}

async fn set_limits(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    json_of(asked.word(0), asked)?;
    match reached.perform("set-vhost-limits", asked.words.clone()).await {
        Ok(()) => Ok(Shown::Nothing),
        Err(error) => Err(in_vhost(error, asked, reached).await),
    }
}

async fn list_limits(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let limits = reached.rows("vhost-limits").await;
    let limits = limits.map_err(|error| Failure::of(error, asked, &reached.node))?;
    if asked.is_set("global") {
        let rows = limits
            .iter()
            .map(|row| vec![Cell::plain(&row["vhost"]), Cell::json_text(&row["value"])]);
        return Ok(Shown::Rows(ListedRows::new(
            &["vhost", "limits"],
            rows.collect(),
            RowForm::Table,
        )));
    }
    let vhost = asked.vhost();
    if !reached.has(&format!("vhosts/{}", escape(vhost))).await {
        return Err(Failure::no_vhost(vhost));
    }
    let its: Option<&Value> =
        limits.iter().find(|row| row["vhost"] == vhost).map(|row| &row["value"]);
    let its = its.filter(|value| value.as_object().is_some_and(|fields| !fields.is_empty()));
    Ok(match its {
        Some(value) => Shown::Document { text: value.to_string(), json: value.clone() },
        None => Shown::Document { text: String::new(), json: json!([]) },
    })
}
