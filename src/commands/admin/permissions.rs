//! Permissions of users in virtual hosts.

use serde_json::{Value, json};

use super::given::Given;
use super::row::{AdminRow, AdminWork, CTL_DIAGNOSTICS, ChangeCall, List, Operand, RowsFrom};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{ApiList, Call, Fields, Method, escape};
use crate::render::Column;

const USER: Operand = Operand::one("username", "The user's name");
const CONFIGURE: Operand =
    Operand::one("configure", "The pattern of names that the user may declare and delete");
const WRITE: Operand = Operand::one("write", "The pattern of names that the user may write to");
const READ: Operand = Operand::one("read", "The pattern of names that the user may read from");

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "set-permissions",
        about: "Give a user permissions in the virtual host",
        operands: &[USER, CONFIGURE, WRITE, READ],
        examples: &[
            "mq set-permissions guest '.*' '.*' '.*'",
            "mq add-user carol secret && mq set_permissions -p / carol '^carol-' '.*' '.*'",
        ],
        work: AdminWork::Change(ChangeCall {
            method: Method::PUT,
            path: "permissions/{vhost}/{username}",
            body: Some(|given| Ok(permissions(given))),
            doing: "set permissions of user '{username}' in vhost '{vhost}'",
            done: "set permissions of user '{username}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-permissions-globally",
        about: "Give a user the same permissions in every virtual host",
        operands: &[USER, CONFIGURE, WRITE, READ],
        examples: &["mq set-permissions-globally carol '^carol-' '.*' '.*'"],
        work: AdminWork::Run(|given, cx| Box::pin(everywhere(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-permissions",
        programs: CTL_DIAGNOSTICS,
        about: "List the permissions in the virtual host",
        examples: &["mq list-permissions", "mq list_permissions -p / -o json"],
        work: AdminWork::List(List {
            source: RowsFrom::At("vhosts/{vhost}/permissions"),
            columns: &[
                Column::plain("user"),
                Column::plain("configure"),
                Column::plain("write"),
                Column::plain("read"),
                Column::plain("vhost"),
            ],
            usual: 4,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-user-permissions",
        programs: CTL_DIAGNOSTICS,
        about: "List the permissions of a user",
        operands: &[USER],
        examples: &["mq list-user-permissions carol"],
        work: AdminWork::List(List {
            source: RowsFrom::At("users/{username}/permissions"),
            columns: &[
                Column::plain("vhost"),
                Column::plain("configure"),
                Column::plain("write"),
                Column::plain("read"),
                Column::plain("user"),
            ],
            usual: 4,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "clear-permissions",
        about: "Take the permissions of a user in the virtual host away",
        operands: &[USER],
        examples: &["mq clear-permissions carol"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "permissions/{vhost}/{username}",
            body: None,
            doing: "clear permissions of user '{username}' in vhost '{vhost}'",
            done: "cleared permissions of user '{username}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-topic-permissions",
        about: "Limit the routing keys of a user at a topic exchange",
        operands: &[
            USER,
            Operand::one("exchange", "The topic exchange"),
            Operand::one("write", "The pattern of routing keys that the user may publish with"),
            Operand::one("read", "The pattern of routing keys that the user may bind with"),
        ],
        examples: &["mq set-topic-permissions carol amq.topic '^carol' '.*'"],
        work: AdminWork::Change(ChangeCall {
            method: Method::PUT,
            path: "topic-permissions/{vhost}/{username}",
            body: Some(|given| {
                Ok(json!({
                    "exchange": given.text("exchange"),
                    "write": given.text("write"),
                    "read": given.text("read"),
                }))
            }),
            doing: "set topic permissions of user '{username}' in vhost '{vhost}'",
            done: "set topic permissions of user '{username}' at exchange '{exchange}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-topic-permissions",
        programs: CTL_DIAGNOSTICS,
        about: "List the topic permissions in the virtual host",
        examples: &["mq list-topic-permissions"],
        work: AdminWork::List(List {
            source: RowsFrom::At("vhosts/{vhost}/topic-permissions"),
            columns: &[
                Column::plain("user"),
                Column::plain("exchange"),
                Column::plain("write"),
                Column::plain("read"),
                Column::plain("vhost"),
            ],
            usual: 4,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-user-topic-permissions",
        programs: CTL_DIAGNOSTICS,
        about: "List the topic permissions of a user",
        operands: &[USER],
        examples: &["mq list-user-topic-permissions carol"],
        work: AdminWork::List(List {
            source: RowsFrom::At("users/{username}/topic-permissions"),
            columns: &[
                Column::plain("vhost"),
                Column::plain("exchange"),
                Column::plain("write"),
                Column::plain("read"),
                Column::plain("user"),
            ],
            usual: 4,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "clear-topic-permissions",
        about: "Remove the topic permissions of a user, at one exchange or at all",
        operands: &[USER, Operand::optional("exchange", "The topic exchange [default: all]")],
        examples: &["mq clear-topic-permissions carol amq.topic"],
        work: AdminWork::Run(|given, cx| Box::pin(clear_topics(given, cx))),
        ..AdminRow::PLAIN
    },
];

fn permissions(given: &Given) -> Value {
    json!({
        "configure": given.text("configure"),
        "write": given.text("write"),
        "read": given.text("read"),
    })
}

async fn everywhere(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = given.text("username");
    let doing = format!("set permissions of user '{name}' in every vhost");
    let vhosts =
        cx.engine.inspect().list(ApiList::Vhosts, Fields::At(&["name".to_owned()])).await?;
    for vhost in vhosts.iter().filter_map(|vhost| vhost["name"].as_str()) {
        let path = format!("permissions/{}/{}", escape(vhost), escape(name));
        cx.engine.inspect().send(&doing, &Call::put(path, permissions(given))).await?;
    }
    show::done(&doing, cx)
}

async fn clear_topics(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let path = match given.optional("exchange") {
        Some(_) => "topic-permissions/{vhost}/{username}/{exchange}",
        None => "topic-permissions/{vhost}/{username}",
    };
    let doing = given.words("clear topic permissions of user '{username}' in vhost '{vhost}'");
    cx.engine.inspect().send(&doing, &Call::delete(given.path(path))).await?;
    show::done(
        &given.words("cleared topic permissions of user '{username}' in vhost '{vhost}'"),
        cx,
    )
}
