//! Users.

use serde_json::{Value, json};

use super::given::Given;
use super::row::{
    AdminRow, AdminWork, CTL_DIAGNOSTICS, ChangeCall, List, Operand, RowsFrom, Switch,
};
use super::{secret, show};
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Error, Method, escape, hash_password};
use crate::render::Column;

const USER: Operand = Operand::one("username", "The user's name");
const PASSWORD: Operand =
    Operand::optional("password", "The password [default: read from stdin, or asked for]");

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "add-user",
        about: "Create a user, without permissions",
        operands: &[USER, PASSWORD],
        switches: &[Switch::flag(
            "pre-hashed-password",
            "Take the password as the hash that `mq hash-password` prints",
        )],
        examples: &["mq add-user alice wonderland", "echo looking-glass | mq add_user bob"],
        work: AdminWork::Run(|given, cx| Box::pin(add(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "change-password",
        about: "Give a user another password",
        operands: &[USER, PASSWORD],
        examples: &[
            "mq change-password alice rabbit-hole",
            "echo rabbit-hole | mq change-password alice",
        ],
        work: AdminWork::Run(|given, cx| Box::pin(change_password(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "authenticate-user",
        about: "Check the password of a user; exit code 1 if the broker does not accept it",
        operands: &[USER, PASSWORD],
        examples: &[
            "mq authenticate-user alice rabbit-hole",
            "echo rabbit-hole | mq authenticate-user alice",
        ],
        work: AdminWork::Run(|given, cx| Box::pin(authenticate(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-user-tags",
        about: "Replace the tags of a user, for example administrator or monitoring",
        operands: &[USER, Operand::any("tag", "The tags [default: none]")],
        examples: &["mq set-user-tags alice monitoring policymaker", "mq set-user-tags bob"],
        work: AdminWork::Run(|given, cx| Box::pin(set_tags(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-users",
        programs: CTL_DIAGNOSTICS,
        about: "List the users and their tags",
        examples: &["mq list-users", "mq list-users --no-headers --filter tags=administrator"],
        work: AdminWork::List(List {
            source: RowsFrom::At("users"),
            columns: &[
                Column::plain("user").at("name"),
                Column::plain("tags"),
                Column::plain("limits"),
            ],
            usual: 2,
            arrange: Some(without_passwords),
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-user-limits",
        about: "Limit the connections and channels of a user",
        operands: &[
            USER,
            Operand::one("definition", "The limits as JSON: max-connections, max-channels"),
        ],
        examples: &[
            r#"mq set-user-limits alice '{"max-connections": 10}'"#,
            r#"mq set-user-limits alice '{"max-channels": 100, "max-connections": 20}'"#,
        ],
        work: AdminWork::Run(|given, cx| Box::pin(set_limits(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-user-limits",
        programs: CTL_DIAGNOSTICS,
        about: "List the limits of the users",
        switches: &[
            Switch::text("user", "USERNAME", "List the limits of this user only"),
            Switch::flag("global", "List the limits of all users (the default)"),
        ],
        examples: &["mq list-user-limits", "mq list-user-limits --user alice"],
        work: AdminWork::List(List {
            source: RowsFrom::Chosen(|given| match given.optional("user") {
                Some(_) => "user-limits/{user}",
                None => "user-limits",
            }),
            columns: &[Column::plain("user"), Column::plain("limits").at("value")],
            usual: 2,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "clear-user-limits",
        about: "Remove a limit of a user, or all of them",
        operands: &[USER, Operand::one("limit", "The limit: max-connections, max-channels or all")],
        examples: &["mq clear-user-limits alice max-channels", "mq clear-user-limits alice all"],
        work: AdminWork::Run(|given, cx| Box::pin(clear_limits(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "clear-password",
        about: "Take the password of a user away, who then cannot log in with one",
        operands: &[USER],
        examples: &["mq clear-password alice", "mq clear_password bob"],
        work: AdminWork::Run(|given, cx| Box::pin(clear_password(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "hash-password",
        about: "Print the hash of a password, for definitions and for add-user",
        operands: &[Operand::optional(
            "password",
            "The password [default: read from stdin, or asked for]",
        )],
        switches: &[Switch::text(
            "hashing-algorithm",
            "NAME",
            "Hash with sha256 (the default) or sha512",
        )],
        examples: &["mq hash-password wonderland", "echo wonderland | mq hash-password"],
        work: AdminWork::Run(|given, cx| Box::pin(std::future::ready(hash(given, cx)))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "delete-user",
        about: "Delete a user and its permissions; its connections are closed",
        operands: &[USER],
        examples: &["mq delete-user alice", "mq delete_user bob"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "users/{username}",
            body: None,
            doing: "delete user '{username}'",
            done: "deleted user '{username}'",
        }),
        ..AdminRow::PLAIN
    },
];

async fn add(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = given.text("username");
    let doing = format!("add user '{name}'");
    let path = given.path("users/{username}");
    let password =
        secret::password(given.optional("password"), &format!("password of '{name}'"), cx)?;
    let is_there = match cx.engine.inspect().get(&doing, &path).await {
        Ok(_) => true,
        Err(Error::Refused { code: 404, .. }) => false,
        Err(error) => return Err(error.into()),
    };
    if is_there {
        return Err(Error::refused(doing, 409, format!("user '{name}' already exists")).into());
    }
    let field = if given.is_set("pre-hashed-password") { "password_hash" } else { "password" };
    let user = json!({field: password, "tags": ""});
    cx.engine.inspect().send(&doing, &Call::put(path, user)).await?;
    show::done(&format!("added user '{name}'; `mq set-permissions` gives it permissions"), cx)
}

/// The user's row; the API wants its tags and its password in every change.
async fn user(doing: &str, given: &Given, cx: &Context) -> Result<Value, CommandError> {
    Ok(cx.engine.inspect().get(doing, &given.path("users/{username}")).await?)
}

/// The tags in the form that all releases take: separated by commas.
fn tags(user: &Value) -> String {
    match &user["tags"] {
        Value::Array(tags) => tags.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

async fn put(doing: &str, body: Value, given: &Given, cx: &Context) -> Result<(), CommandError> {
    let call = Call::put(given.path("users/{username}"), body);
    cx.engine.inspect().send(doing, &call).await?;
    Ok(())
}

async fn change_password(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = given.text("username");
    let doing = format!("change the password of user '{name}'");
    let question = format!("new password of '{name}'");
    let password = secret::password(given.optional("password"), &question, cx)?;
    let tags = tags(&user(&doing, given, cx).await?);
    put(&doing, json!({"password": password, "tags": tags}), given, cx).await?;
    show::done(&format!("changed the password of user '{name}'"), cx)
}

async fn clear_password(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = given.text("username");
    let doing = format!("clear the password of user '{name}'");
    let tags = tags(&user(&doing, given, cx).await?);
    put(&doing, json!({"password_hash": "", "tags": tags}), given, cx).await?;
    show::done(&format!("cleared the password of user '{name}'"), cx)
}

async fn set_tags(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = given.text("username");
    let doing = format!("set the tags of user '{name}'");
    let user = user(&doing, given, cx).await?;
    let tags = given.all("tag").join(",");
    let mut body = json!({"password_hash": user["password_hash"], "tags": tags});
    if user["hashing_algorithm"].is_string() {
        body["hashing_algorithm"] = user["hashing_algorithm"].clone();
    }
    put(&doing, body, given, cx).await?;
    let tags = if tags.is_empty() { "no tags".to_owned() } else { format!("the tags {tags}") };
    show::done(&format!("user '{name}' has {tags}"), cx)
}

async fn authenticate(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = given.text("username");
    let password =
        secret::password(given.optional("password"), &format!("password of '{name}'"), cx)?;
    match cx.engine.inspect().whoami(name, &password).await {
        Ok(_) => {}
        // The login was right: what is refused is the management API.
        Err(Error::Refused { code: 401, text, .. }) if text.contains("management user") => {}
        Err(Error::Refused { code: 401 | 403, .. }) => {
            return Err(show::failed(format!(
                "the broker does not accept this password for user '{name}'"
            )));
        }
        Err(error) => return Err(error.into()),
    }
    show::done(&format!("the broker accepts the password of user '{name}'"), cx)
}

fn without_passwords(mut rows: Vec<Value>, _: &Given) -> Vec<Value> {
    for fields in rows.iter_mut().filter_map(Value::as_object_mut) {
        fields.shift_remove("password_hash");
        fields.shift_remove("hashing_algorithm");
    }
    rows
}

async fn set_limits(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = given.text("username");
    let doing = format!("set limits of user '{name}'");
    let limits = given.object("definition")?;
    for (limit, value) in limits.as_object().into_iter().flatten() {
        let path = format!("user-limits/{}/{}", escape(name), escape(limit));
        cx.engine.inspect().send(&doing, &Call::put(path, json!({"value": value}))).await?;
    }
    show::done(&format!("set limits of user '{name}'"), cx)
}

async fn clear_limits(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = given.text("username");
    let doing = format!("clear limits of user '{name}'");
    let limits = match given.text("limit") {
        "all" => vec!["max-connections", "max-channels"],
        one => vec![one],
    };
    for limit in limits {
        let path = format!("user-limits/{}/{}", escape(name), escape(limit));
        cx.engine.inspect().send(&doing, &Call::delete(path)).await?;
    }
    show::done(&format!("cleared limits of user '{name}'"), cx)
}

fn hash(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let password = secret::password(given.optional("password"), "password", cx)?;
    let algorithm = given.optional("hashing-algorithm").unwrap_or("sha256");
    let hash = hash_password(&password, algorithm).ok_or_else(|| CommandError::Usage {
        problem: format!("'{algorithm}' is not a hashing algorithm"),
        hint: Some("use sha256 or sha512".into()),
    })?;
    show::text(&hash, cx)
}
