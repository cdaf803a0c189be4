//! Connections of clients: closed by an administrator.

use std::time::Duration;

use super::given::Given;
use super::row::{AdminRow, AdminWork, Operand, Switch};
use super::{lists, show};
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Error, escape};

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
    close(&doing, &name, given, cx).await?;
    show::done(&format!("closed connection '{name}'"), cx)
}

/// The name of the connection with an Erlang pid, in the form that rabbitmqctl prints.
async fn name_of_pid(pid: &str, cx: &Context) -> Result<String, CommandError> {
    let rows = cx.engine.inspect().rows("list connections", "connections").await?;
    let its = rows.iter().find(|row| row["pid"] == pid).and_then(|row| row["name"].as_str());
    let none = || Error::refused(format!("close connection '{pid}'"), 404, "Not Found");
    Ok(its.ok_or_else(none)?.to_owned())
}

async fn close(doing: &str, name: &str, given: &Given, cx: &Context) -> Result<(), CommandError> {
    let call = Call::delete(format!("connections/{}", escape(name)));
    cx.engine.inspect().send(doing, &call.because(given.text("explanation"))).await?;
    Ok(())
}

async fn close_all(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let path = if given.is_set("global") { "connections" } else { "vhosts/{vhost}/connections" };
    let rows = cx.engine.inspect().rows("list connections", &given.path(path)).await?;
    let limit = given.number("limit").unwrap_or(u64::MAX);
    let pause = given.number("per-connection-delay").map(Duration::from_millis);
    let mut closed = 0;
    for name in rows.iter().filter_map(|row| row["name"].as_str()) {
        if closed as u64 >= limit {
            break;
        }
        match close(&format!("close connection '{name}'"), name, given, cx).await {
            Ok(()) => closed += 1,
            // It has ended by itself since it was listed.
            Err(CommandError::Engine(Error::Refused { code: 404, .. })) => {}
            Err(error) => {
                return Err(error.after(format!(
                    "closed {}",
                    lists::counted(closed, "connection", "connections")
                )));
            }
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
    show::done(&format!("closed {}", lists::counted(closed, "connection", "connections")), cx)
}

async fn close_of_user(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let call = Call::delete(given.path("connections/username/{username}"));
    let doing = given.words("close the connections of user '{username}'");
    cx.engine.inspect().send(&doing, &call.because(given.text("explanation"))).await?;
    show::done(&given.words("closed the connections of user '{username}'"), cx)
}
