//! Virtual hosts: their metadata, protection, traces and limits.

use serde_json::{Map, Value, json};

use super::given::{Given, NAMED_VHOST};
use super::row::{
    AdminRow, AdminWork, CTL_DIAGNOSTICS, ChangeCall, List, Operand, RowsFrom, Switch,
};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Error, Method, escape};
use crate::render::Column;

const VHOST: Operand = Operand::one(NAMED_VHOST, "The virtual host's name");
const DESCRIPTION: Switch =
    Switch::text("description", "TEXT", "Describe it with this text").short('d');
const TAGS: Switch = Switch::text("tags", "TAGS", "Give it these tags, separated by commas");
const QUEUE_TYPE: Switch = Switch::text(
    "default-queue-type",
    "TYPE",
    "Make queues of this type if a client names none: classic, quorum or stream",
);

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "add-vhost",
        about: "Create a virtual host",
        operands: &[VHOST],
        switches: &[DESCRIPTION, TAGS, QUEUE_TYPE],
        examples: &[
            "mq add-vhost staging",
            "mq add_vhost shop --description 'orders and stock' --default-queue-type quorum",
        ],
        work: AdminWork::Change(ChangeCall {
            method: Method::PUT,
            path: "vhosts/{vhost}",
            body: Some(|given| Ok(metadata(given))),
            doing: "add vhost '{vhost}'",
            done: "vhost '{vhost}' exists",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "update-vhost-metadata",
        about: "Change the description, the tags or the protection of a virtual host",
        operands: &[VHOST],
        switches: &[
            DESCRIPTION,
            TAGS,
            QUEUE_TYPE,
            Switch::text(
                "protected-from-deletion",
                "BOOL",
                "Protect it from deletion (true) or no longer (false)",
            ),
        ],
        examples: &["mq update-vhost-metadata shop --description orders --tags prod,eu"],
        work: AdminWork::Run(|given, cx| Box::pin(update(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-vhost-tags",
        about: "Replace the tags of a virtual host",
        operands: &[VHOST, Operand::any("tag", "The tags [default: none]")],
        examples: &["mq set-vhost-tags shop prod eu"],
        work: AdminWork::Run(|given, cx| Box::pin(set_tags(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "enable-vhost-deletion-protection",
        about: "Protect a virtual host from deletion",
        operands: &[VHOST],
        examples: &["mq enable-vhost-deletion-protection shop"],
        work: AdminWork::Change(ChangeCall {
            method: Method::POST,
            path: "vhosts/{vhost}/deletion/protection",
            body: None,
            doing: "protect vhost '{vhost}' from deletion",
            done: "vhost '{vhost}' is protected from deletion",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "disable-vhost-deletion-protection",
        about: "Let a virtual host be deleted again",
        operands: &[VHOST],
        examples: &["mq disable-vhost-deletion-protection shop"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "vhosts/{vhost}/deletion/protection",
            body: None,
            doing: "end the deletion protection of vhost '{vhost}'",
            done: "vhost '{vhost}' is not protected from deletion",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "trace-on",
        about: "Publish a copy of each message of the virtual host at amq.rabbitmq.trace",
        examples: &["mq trace-on", "mq trace_on -p shop"],
        work: AdminWork::Run(|given, cx| Box::pin(trace(true, given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "trace-off",
        about: "Stop the trace of the virtual host",
        examples: &["mq trace-off", "mq trace_off -p shop"],
        work: AdminWork::Run(|given, cx| Box::pin(trace(false, given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-vhost-limits",
        about: "Limit the connections and queues of the virtual host",
        operands: &[Operand::one(
            "definition",
            "The limits as JSON: max-connections, max-queues; -1 is no limit",
        )],
        examples: &[r#"mq set-vhost-limits -p shop '{"max-queues": 1000}'"#],
        work: AdminWork::Run(|given, cx| Box::pin(set_limits(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-vhost-limits",
        programs: CTL_DIAGNOSTICS,
        about: "List the limits of the virtual host, or of all",
        switches: &[Switch::flag("global", "List the limits of all virtual hosts")],
        examples: &["mq list-vhost-limits -p shop", "mq list-vhost-limits --global"],
        work: AdminWork::List(List {
            source: RowsFrom::Chosen(|given| {
                if given.is_set("global") { "vhost-limits" } else { "vhost-limits/{vhost}" }
            }),
            columns: &[Column::plain("vhost"), Column::plain("limits").at("value")],
            usual: 2,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "clear-vhost-limits",
        about: "Remove the limits of the virtual host",
        examples: &["mq clear-vhost-limits -p shop"],
        work: AdminWork::Run(|given, cx| Box::pin(clear_limits(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "restart-vhost",
        about: "Start the virtual host again if it is down",
        examples: &["mq restart-vhost"],
        work: AdminWork::Run(|given, cx| Box::pin(restart(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "reconcile-vhosts",
        about: "Start the virtual hosts that are down",
        examples: &["mq reconcile-vhosts"],
        work: AdminWork::Nothing("every vhost runs: they start with the broker"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "delete-vhost",
        about: "Delete a virtual host with its exchanges, queues and messages, without a question",
        operands: &[VHOST],
        examples: &["mq delete-vhost staging", "mq delete_vhost shop"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "vhosts/{vhost}",
            body: None,
            doing: "delete vhost '{vhost}'",
            done: "deleted vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
];

/// The metadata that the switches name.
fn metadata(given: &Given) -> Value {
    let names = ["description", "tags", "default-queue-type"];
    let said = names
        .into_iter()
        .filter_map(|name| Some((name.replace('-', "_"), Value::from(given.optional(name)?))));
    Value::Object(said.collect::<Map<_, _>>())
}

/// Changes something of a vhost and leaves the rest: what a `PUT` does not name, RabbitMQ takes away.
async fn put(
    doing: &str,
    changes: Value,
    given: &Given,
    cx: &mut Context,
) -> Result<(), CommandError> {
    let path = given.path("vhosts/{vhost}");
    let now = cx.engine.inspect().get(doing, &path).await?;
    let mut body = Map::new();
    for name in ["description", "tags", "default_queue_type"] {
        let said =
            now["metadata"].get(name).or(now.get(name).filter(|_| name != "default_queue_type"));
        if let Some(value) = said {
            let words: Option<Vec<&str>> =
                value.as_array().map(|tags| tags.iter().filter_map(Value::as_str).collect());
            body.insert(
                name.into(),
                words.map_or_else(|| value.clone(), |words| words.join(",").into()),
            );
        }
    }
    body.insert("tracing".into(), now["tracing"].as_bool().unwrap_or(false).into());
    body.extend(changes.as_object().cloned().unwrap_or_default());
    cx.engine.inspect().send(doing, &Call::put(path, body.into())).await?;
    Ok(())
}

async fn update(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let doing = given.words("update vhost '{vhost}'");
    let is_protected = match given.optional("protected-from-deletion") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => {
            let problem = format!("--protected-from-deletion is true or false, not '{other}'");
            return Err(CommandError::usage(problem));
        }
    };
    put(&doing, metadata(given), given, cx).await?;
    if let Some(is_protected) = is_protected {
        let method = if is_protected { Method::POST } else { Method::DELETE };
        let call = Call::new(method, given.path("vhosts/{vhost}/deletion/protection"));
        cx.engine.inspect().send(&doing, &call).await?;
    }
    show::done(&given.words("updated vhost '{vhost}'"), cx)
}

async fn set_tags(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let tags = given.all("tag").join(",");
    let doing = given.words("set the tags of vhost '{vhost}'");
    put(&doing, json!({"tags": tags}), given, cx).await?;
    show::done(&doing, cx)
}

async fn trace(is_on: bool, given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let (doing, done) = if is_on {
        ("trace vhost '{vhost}'", "vhost '{vhost}' is traced: bind a queue to amq.rabbitmq.trace")
    } else {
        ("stop the trace of vhost '{vhost}'", "vhost '{vhost}' is not traced")
    };
    put(&given.words(doing), json!({"tracing": is_on}), given, cx).await?;
    show::done(&given.words(done), cx)
}

async fn set_limits(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let doing = given.words("set limits of vhost '{vhost}'");
    let limits = given.object("definition")?;
    for (limit, value) in limits.as_object().into_iter().flatten() {
        let path = format!("vhost-limits/{}/{}", escape(given.vhost()), escape(limit));
        cx.engine.inspect().send(&doing, &Call::put(path, json!({"value": value}))).await?;
    }
    show::done(&doing, cx)
}

async fn clear_limits(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let doing = given.words("clear limits of vhost '{vhost}'");
    for limit in ["max-connections", "max-queues"] {
        let path = format!("vhost-limits/{}/{limit}", escape(given.vhost()));
        cx.engine.inspect().send(&doing, &Call::delete(path)).await?;
    }
    show::done(&given.words("cleared limits of vhost '{vhost}'"), cx)
}

async fn restart(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let doing = given.words("restart vhost '{vhost}'");
    let overview = cx.engine.inspect().overview().await?;
    let node = overview["node"].as_str().ok_or_else(|| {
        Error::refused(&*doing, 401, "the user may not see the node: it needs the tag monitoring")
    })?;
    let path = format!("vhosts/{}/start/{}", escape(given.vhost()), escape(node));
    cx.engine.inspect().send(&doing, &Call::post(path, json!({}))).await?;
    show::done(&given.words("vhost '{vhost}' runs"), cx)
}
