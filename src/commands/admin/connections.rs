//! Connections of clients: closed by an administrator.

use std::time::Duration;

use serde_json::Value;

use super::given::Given;
use super::row::{AdminRow, AdminWork, Operand, Switch};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Error, escape};
use crate::render::words;

const EXPLANATION: Operand = Operand::one("explanation", "The reason, which the client is told");

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "close-connection",
        about: "Close a connection of a client",
        operands: &[
            Operand::one(
                "connection",
                "Its name or pid, as `mq list-connections name pid` prints them",
            ),
            EXPLANATION,
        ],
        examples: &[
            "mq close-connection '127.0.0.1:51312 -> 127.0.0.1:5672' bye || echo 'it has gone'",
        ],
        work: AdminWork::Run(|given, cx| Box::pin(close_one(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "close-all-connections",
        about: "Close the connections of clients to the virtual host, or to all",
        operands: &[EXPLANATION],
        switches: &[
            Switch::flag("global", "Close the connections to all virtual hosts"),
            Switch::number("limit", "COUNT", "Close so many connections at most"),
            Switch::number("per-connection-delay", "MS", "Pause so many milliseconds after each"),
        ],
        examples: &[
            "mq add-vhost old && mq close_all_connections -p old 'it is deleted' --limit 100",
        ],
        work: AdminWork::Run(|given, cx| Box::pin(close_all(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "close-all-user-connections",
        about: "Close the connections of a user",
        operands: &[Operand::one("username", "The user's name"), EXPLANATION],
        examples: &["mq close-all-user-connections carol 'the password changes'"],
        work: AdminWork::Run(|given, cx| Box::pin(close_of_user(given, cx))),
        ..AdminRow::PLAIN
    },
];

async fn close_one(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let asked = given.text("connection");
    let doing = format!("close connection '{asked}'");
    let is_pid = asked.starts_with('<');
    let name = if is_pid { name_of_pid(asked, cx).await? } else { asked.to_owned() };
    close(&doing, &name, given.text("explanation"), cx).await?;
    show::done(&format!("closed connection '{name}'"), cx)
}

/// The name of the connection with an Erlang pid, in the form that rabbitmqctl prints.
async fn name_of_pid(asked: &str, cx: &Context) -> Result<String, CommandError> {
    let rows = cx.engine.inspect().rows("list connections", "connections").await?;
    let mut its =
        rows.iter().filter(|row| pid(row) == asked).filter_map(|row| row["name"].as_str());
    let refused = |text: &str| Error::refused(format!("close connection '{asked}'"), 404, text);
    match (its.next(), its.next()) {
        (Some(name), None) => Ok(name.to_owned()),
        (None, _) => Err(refused("Not Found").into()),
        (Some(_), Some(_)) => {
            Err(refused("several connections have it; name one by its name").into())
        }
    }
}

/// The Erlang pid of a connection or channel, in the form that rabbitmqctl prints: that of the row, or one made of the
/// node, the client's port and the channel, because a broker of ours has no Erlang processes. Empty for no row.
pub(in crate::commands) fn pid(row: &Value) -> String {
    if let Some(pid) = row["pid"].as_str() {
        return pid.to_owned();
    }
    let details = row.get("connection_details");
    let field = |name: &str| details.and_then(|row| row.get(name)).or_else(|| row.get(name));
    let node = row["node"].as_str().or_else(|| field("node")?.as_str()).unwrap_or("nonode@nohost");
    let Some(port) = field("peer_port").and_then(Value::as_u64) else { return String::new() };
    format!("<{node}.1.{port}.{}>", row["number"].as_u64().unwrap_or(0))
}

async fn close(doing: &str, name: &str, reason: &str, cx: &Context) -> Result<(), CommandError> {
    let call = Call::delete(format!("connections/{}", escape(name)));
    cx.engine.inspect().send(doing, &call.because(reason)).await?;
    Ok(())
}

/// Connections that are to be closed.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Closing<'a> {
    /// The path of the list that they are in
    pub(in crate::commands) path: &'a str,
    pub(in crate::commands) reason: &'a str,
    /// At most so many
    pub(in crate::commands) limit: f64,
    /// The pause after each
    pub(in crate::commands) pause: Option<Duration>,
}

/// Closes the connections of a list; returns their number.
pub(in crate::commands) async fn close_each(
    closing: Closing<'_>,
    cx: &Context,
) -> Result<u32, CommandError> {
    let rows = cx.engine.inspect().rows("list connections", closing.path).await?;
    let mut closed = 0_u32;
    for name in rows.iter().filter_map(|row| row["name"].as_str()) {
        if f64::from(closed) >= closing.limit {
            break;
        }
        match close(&format!("close connection '{name}'"), name, closing.reason, cx).await {
            Ok(()) => closed += 1,
            // It has ended by itself since it was listed.
            Err(CommandError::Engine(Error::Refused { code: 404, .. })) => {}
            Err(error) => return Err(error.after(words_of(closed))),
        }
        if let Some(pause) = closing.pause {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(closed)
}

fn words_of(closed: u32) -> String {
    format!("closed {}", words::counted(closed.into(), "connection"))
}

async fn close_all(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let path = if given.is_set("global") { "connections" } else { "vhosts/{vhost}/connections" };
    #[expect(clippy::cast_precision_loss, reason = "a broker has fewer connections")]
    let limit = given.number("limit").map_or(f64::MAX, |limit| limit as f64);
    let pause = given.number("per-connection-delay").map(Duration::from_millis);
    let (path, reason) = (given.path(path), given.text("explanation"));
    let closed = close_each(Closing { path: &path, reason, limit, pause }, cx).await?;
    show::done(&words_of(closed), cx)
}

async fn close_of_user(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let call = Call::delete(given.path("connections/username/{username}"));
    let doing = given.words("close the connections of user '{username}'");
    cx.engine.inspect().send(&doing, &call.because(given.text("explanation"))).await?;
    show::done(&given.words("closed the connections of user '{username}'"), cx)
}
