//! Users, their permissions and limits.

use std::io::{self, BufRead as _};

use serde_json::Value;

use super::asked::Asked;
use super::cell::Cell;
use super::failure::{DATA, Failure, NO_USER, SOFTWARE, UNAVAILABLE, WrongWords, json, refusal};
use super::names::CtlRelease;
use super::reached::{Reached, in_vhost};
use super::shown::{ListedRows, RowForm, Shown};
use super::work::{Banner, CommandWork, RefusedFuture, WorkKind, no_vhost};
use crate::commands::CommandError;
use crate::engine::{escape, hash_password};

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "add_user",
        words: (1, 2),
        banner: Banner::Words("Adding user \"{0}\" ..."),
        check: Some(|asked| not_empty(asked.word(0), "user cannot be an empty string")),
        work: WorkKind::Run(|asked, reached| Box::pin(add(asked, reached))),
    },
    CommandWork {
        name: "authenticate_user",
        words: (1, 2),
        banner: Banner::Words("Authenticating user \"{0}\" ..."),
        check: Some(|asked| not_empty(asked.word(0), "user cannot be an empty string")),
        work: WorkKind::Run(|asked, reached| Box::pin(authenticate(asked, reached))),
    },
    CommandWork {
        name: "change_password",
        words: (1, 2),
        banner: Banner::Words("Changing password for user \"{0}\" ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(change_password(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "clear_password",
        words: (1, 1),
        banner: Banner::Words("Clearing password for user \"{0}\" ..."),
        work: WorkKind::Same { command: "clear-password", refused: no_user },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "delete_user",
        words: (1, 1),
        banner: Banner::Words("Deleting user \"{0}\" ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(delete(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_user_tags",
        words: (1, super::work::ANY),
        banner: Banner::Words("Setting tags for user \"{0}\" to [{*}] ..."),
        work: WorkKind::Same { command: "set-user-tags", refused: no_user },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_users",
        banner: Banner::Words("Listing users ..."),
        work: WorkKind::Run(|_, reached| Box::pin(list(reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_user_limits",
        words: (2, 2),
        banner: Banner::Words("Setting user limits to \"{1}\" for user \"{0}\" ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(set_limits(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "clear_user_limits",
        words: (2, 2),
        banner: Banner::Made(|asked, _| match asked.word(1) {
            "all" => format!("Clearing all limits for user \"{}\" ...", asked.word(0)),
            limit => format!("Clearing \"{limit}\" limit for user \"{}\" ...", asked.word(0)),
        }),
        work: WorkKind::Same { command: "clear-user-limits", refused: no_user },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_user_limits",
        banner: Banner::Made(|asked, _| {
            if asked.is_set("global") {
                return "Listing limits for all users ...".to_owned();
            }
            format!("Listing limits for user \"{}\" ...", asked.optional("user").unwrap_or("guest"))
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(list_limits(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "hash_password",
        words: (0, 1),
        check: Some(|asked| match asked.words.first() {
            Some(password) => not_empty(password, "password cannot be an empty string"),
            None => Ok(()),
        }),
        banner: Banner::Made(|asked, _| match asked.words.first() {
            Some(password) => format!("Will hash password {password}"),
            None => "Will hash provided password\nPassword: ".to_owned(),
        }),
        work: WorkKind::Alone(hash),
    },
    CommandWork {
        name: "set_permissions",
        words: (4, 4),
        banner: Banner::Words("Setting permissions for user \"{0}\" in vhost \"{vhost}\" ..."),
        work: WorkKind::Same { command: "set-permissions", refused: bad_permissions },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_permissions_globally",
        words: (4, 4),
        banner: Banner::Words("Setting permissions for user \"{0}\" in all virtual hosts ..."),
        work: WorkKind::Same { command: "set-permissions-globally", refused: bad_permissions },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "clear_permissions",
        words: (1, 1),
        banner: Banner::Words("Clearing permissions for user \"{0}\" in vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(clear_permissions("clear-permissions", asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_topic_permissions",
        words: (4, 4),
        banner: Banner::Words(
            "Setting topic permissions on \"{1}\" for user \"{0}\" in vhost \"{vhost}\" ...",
        ),
        work: WorkKind::Same { command: "set-topic-permissions", refused: bad_permissions },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "clear_topic_permissions",
        words: (1, 2),
        banner: Banner::Made(|asked, _| match asked.words.get(1) {
            None => format!(
                "Clearing topic permissions for user \"{}\" in vhost \"{}\" ...",
                asked.word(0),
                asked.vhost()
            ),
            Some(exchange) => format!(
                "Clearing topic permissions on \"{exchange}\" for user \"{}\" in vhost \"{}\" ...",
                asked.word(0),
                asked.vhost()
            ),
        }),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(clear_permissions("clear-topic-permissions", asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_permissions",
        banner: Banner::Words("Listing permissions for vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            let path = format!("vhosts/{}/permissions", escape(asked.vhost()));
            Box::pin(list_permissions(
                path,
                &["user", "configure", "write", "read"],
                asked,
                reached,
            ))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_topic_permissions",
        banner: Banner::Words("Listing topic permissions for vhost \"{vhost}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            let path = format!("vhosts/{}/topic-permissions", escape(asked.vhost()));
            Box::pin(list_permissions(path, &["user", "exchange", "write", "read"], asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_user_permissions",
        words: (1, 1),
        banner: Banner::Words("Listing permissions for user \"{0}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            let path = format!("users/{}/permissions", escape(asked.word(0)));
            Box::pin(list_permissions(
                path,
                &["vhost", "configure", "write", "read"],
                asked,
                reached,
            ))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_user_topic_permissions",
        words: (1, 1),
        banner: Banner::Words("Listing topic permissions for user \"{0}\" ..."),
        work: WorkKind::Run(|asked, reached| {
            let path = format!("users/{}/topic-permissions", escape(asked.word(0)));
            Box::pin(list_permissions(
                path,
                &["vhost", "exchange", "write", "read"],
                asked,
                reached,
            ))
        }),
        ..CommandWork::PLAIN
    },
];

fn not_empty(word: &str, why: &str) -> Result<(), WrongWords> {
    if word.is_empty() { Err(WrongWords::Bad(why.to_owned())) } else { Ok(()) }
}

/// The password: an argument, or the first line of stdin after a question on stdout. `None` if stdin has none.
fn password(asked: &Asked, place: usize, reached: &mut Reached) -> Result<Option<String>, Failure> {
    if let Some(password) = asked.words.get(place) {
        return Ok(Some(password.clone()));
    }
    let failed = |error: io::Error| Failure::error(UNAVAILABLE, error.to_string());
    reached.cx.out.line("Password: ").and_then(|()| reached.cx.out.flush()).map_err(failed)?;
    first_line().map_err(failed)
}

fn first_line() -> io::Result<Option<String>> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let line = line.trim_end_matches(['\n', '\r']);
    Ok((!line.is_empty()).then(|| line.to_owned()))
}

fn no_password() -> Failure {
    Failure::error(DATA, "Password is not provided via argument or stdin")
}

fn unknown_user(name: &str) -> Failure {
    Failure::error(NO_USER, format!("User \"{name}\" does not exist"))
}

/// The failure of a change of a user that is not there.
fn no_user<'a>(
    error: &'a CommandError,
    asked: &'a Asked,
    reached: &'a Reached,
) -> RefusedFuture<'a> {
    Box::pin(async move {
        let is_refused = refusal(error).is_some();
        let is_missing = is_refused && !reached.has_user(asked.word(0)).await;
        is_missing.then(|| unknown_user(asked.word(0)))
    })
}

/// The failure of permissions that are refused: a pattern, the user or the virtual host is to blame.
fn bad_permissions<'a>(
    error: &'a CommandError,
    asked: &'a Asked,
    reached: &'a Reached,
) -> RefusedFuture<'a> {
    Box::pin(async move {
        let (_, reason) = refusal(error)?;
        if let Some((pattern, (why, place))) = bad_pattern(reason) {
            let text = match asked.release {
                CtlRelease::V3_10 => {
                    format!("{{:invalid_regexp, '{pattern}', {{'{why}', {place}}}}}")
                }
                CtlRelease::V4_3 => {
                    // The library of its Erlang says it at more length.
                    let why = if why == "missing )" { "missing closing parenthesis" } else { &why };
                    format!("{{:invalid_regexp, ~c\"{pattern}\", {{~c\"{why}\", {place}}}}}")
                }
            };
            return Some(Failure::error(UNAVAILABLE, text));
        }
        if !reached.has_user(asked.word(0)).await {
            return Some(Failure::error(NO_USER, format!("User {} does not exist", asked.word(0))));
        }
        no_vhost(error, asked, reached).await
    })
}

/// The pattern that a refusal is about, with what is wrong with it and where.
fn bad_pattern(reason: &str) -> Option<(String, (String, String))> {
    let told: Value = serde_json::from_str(reason).ok()?;
    let told =
        told.as_array().filter(|told| told.first().is_some_and(|one| one == "invalid_regexp"))?;
    let (pattern, why) = (told.get(1)?.as_str()?, told.get(2)?.as_str()?);
    let (text, place) = why.trim_matches(['{', '}']).rsplit_once(',')?;
    let text = text.trim_matches('"');
    Some((pattern.to_owned(), (text.to_owned(), place.to_owned())))
}

async fn add(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let name = asked.word(0);
    let password = password(asked, 1, reached)?.ok_or_else(no_password)?;
    if reached.has_user(name).await {
        return Err(Failure::error(SOFTWARE, format!("User \"{name}\" already exists")));
    }
    let mut user = serde_json::json!({"tags": ""});
    match (asked.is_set("pre-hashed-password"), password.as_str()) {
        (true, hash) => user["password_hash"] = hash.into(),
        // Without a password the user cannot log in with one.
        (false, "") => user["password_hash"] = "".into(),
        (false, password) => user["password"] = password.into(),
    }
    let path = format!("users/{}", escape(name));
    let sent = reached.send(crate::engine::Call::put(path, user)).await;
    sent.map_err(|error| Failure::of(error, asked, &reached.node))?;
    Ok(Shown::message(
        "Done. Don't forget to grant the user permissions to some virtual hosts! \
         See 'rabbitmqctl help set_permissions' to learn more.",
    ))
}

async fn change_password(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let password = password(asked, 1, reached)?.ok_or_else(no_password)?;
    if !reached.has_user(asked.word(0)).await {
        return Err(unknown_user(asked.word(0)));
    }
    let arguments = vec![asked.word(0).to_owned(), password];
    let changed = reached.perform("change-password", arguments).await;
    changed.map_err(|error| Failure::of(error, asked, &reached.node))?;
    Ok(Shown::Nothing)
}

async fn authenticate(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let name = asked.word(0);
    let password = password(asked, 1, reached)?.ok_or_else(no_password)?;
    match reached.perform("authenticate-user", vec![name.to_owned(), password]).await {
        Ok(()) => Ok(Shown::message("Success")),
        Err(CommandError::CheckFailed { .. }) => Err(Failure::error(
            DATA,
            format!(
                "Error: failed to authenticate user \"{name}\"\nuser '{name}' - invalid credentials"
            ),
        )),
        Err(error) => Err(Failure::of(error, asked, &reached.node)),
    }
}

/// A user that is not there is as good as deleted, but for the earlier release.
async fn delete(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    match reached.perform("delete-user", asked.words.clone()).await {
        Ok(()) => Ok(Shown::Nothing),
        Err(error) if matches!(refusal(&error), Some((404, _))) => match asked.release {
            CtlRelease::V3_10 => Err(unknown_user(asked.word(0))),
            CtlRelease::V4_3 => Ok(Shown::Nothing),
        },
        Err(error) => Err(Failure::of(error, asked, &reached.node)),
    }
}

async fn list(reached: &mut Reached) -> Result<Shown, Failure> {
    let rows = reached.rows("users").await;
    let rows = rows.map_err(|error| Failure::error(UNAVAILABLE, error.to_string()))?;
    let cells =
        rows.iter().map(|row| vec![Cell::plain(&row["name"]), tags(&row["tags"])]).collect();
    Ok(Shown::Rows(ListedRows::new(&["user", "tags"], cells, RowForm::Table)))
}

/// The tags of a user: a list, or in early releases a text with commas.
fn tags(value: &Value) -> Cell {
    match value.as_str() {
        Some(text) => {
            let tags: Vec<&str> = text.split(',').filter(|tag| !tag.is_empty()).collect();
            Cell::names(&serde_json::json!(tags))
        }
        None => Cell::names(value),
    }
}

async fn set_limits(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    json(asked.word(1), asked)?;
    match reached.perform("set-user-limits", asked.words.clone()).await {
        Ok(()) => Ok(Shown::Nothing),
        Err(error) => match no_user(&error, asked, reached).await {
            Some(failure) => Err(failure),
            None => Err(Failure::of(error, asked, &reached.node)),
        },
    }
}

async fn list_limits(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let limits = reached.rows("user-limits").await;
    let limits = limits.map_err(|error| Failure::of(error, asked, &reached.node))?;
    if asked.is_set("global") {
        let rows = limits
            .iter()
            .map(|row| vec![Cell::plain(&row["user"]), Cell::json_text(&row["value"])]);
        return Ok(Shown::Rows(ListedRows::new(
            &["user", "limits"],
            rows.collect(),
            RowForm::Table,
        )));
    }
    let user = asked.optional("user").unwrap_or("guest");
    if !reached.has_user(user).await {
        return Err(Failure::error(UNAVAILABLE, format!("{{:no_such_user, \"{user}\"}}")));
    }
    let its = limits.iter().find(|row| row["user"] == user).map(|row| row["value"].clone());
    let json = its.unwrap_or_else(|| serde_json::json!({}));
    Ok(Shown::Document { text: json.to_string(), json })
}

fn hash(asked: &Asked) -> Result<Shown, Failure> {
    let algorithm = asked.optional("hashing-algorithm").unwrap_or("sha256");
    let read = || first_line().map_err(|error| Failure::error(UNAVAILABLE, error.to_string()));
    let password = match asked.words.first() {
        Some(password) => Some(password.clone()),
        None => read()?,
    };
    let password = password.ok_or_else(|| Failure::error(UNAVAILABLE, "not_enough_args"))?;
    let hash = hash_password(&password, algorithm).ok_or_else(|| {
        let known = "use sha256 or sha512";
        Failure::error(UNAVAILABLE, format!("'{algorithm}' is not a hashing algorithm: {known}"))
    })?;
    Ok(Shown::Text(hash))
}

async fn clear_permissions(
    command: &str,
    asked: &Asked,
    reached: &mut Reached,
) -> Result<Shown, Failure> {
    match reached.perform(command, asked.words.clone()).await {
        Ok(()) => Ok(Shown::Nothing),
        Err(error) => {
            if !reached.has_vhost(asked.vhost()).await {
                return Err(Failure::no_vhost(asked.vhost()));
            }
            match (refusal(&error), asked.release) {
                (Some((404 | 400, _)), CtlRelease::V3_10)
                    if !reached.has_user(asked.word(0)).await =>
                {
                    Err(unknown_user(asked.word(0)))
                }
                // There are none, whether there is the user or not.
                (Some((404 | 400, _)), _) => Ok(Shown::Nothing),
                _ => Err(Failure::of(error, asked, &reached.node)),
            }
        }
    }
}

async fn list_permissions(
    path: String,
    columns: &'static [&'static str],
    asked: &Asked,
    reached: &mut Reached,
) -> Result<Shown, Failure> {
    let rows = match reached.rows(&path).await {
        Ok(rows) => rows,
        Err(error) if path.starts_with("users/") => {
            return Err(match no_user(&error, asked, reached).await {
                Some(failure) => failure,
                None => Failure::of(error, asked, &reached.node),
            });
        }
        Err(error) => return Err(in_vhost(error, asked, reached).await),
    };
    let is_headless = path.starts_with("users/") && path.ends_with("/topic-permissions");
    let form = if is_headless { RowForm::Headless } else { RowForm::Table };
    Ok(Shown::Rows(ListedRows::plain(columns, &rows, form)))
}
