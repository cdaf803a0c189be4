//! The end of a node, and its reset. RabbitMQ's API has no such calls.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::given::Given;
use super::operation::call_node;
use super::row::{AdminRow, AdminWork, Operand, Switch};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Error, Method};

/// The time in which a node ends: its clients have 5 s to leave.
const ENDS_WITHIN: Duration = Duration::from_mins(1);
/// The pause between two looks at a process.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The answer for a data directory without a running broker.
const NOBODY: &str = "no process runs this broker: there is nothing to stop";

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "stop",
        about: "Stop the broker as SIGTERM does: it closes its connections, writes everything to disk and ends",
        operands: &[Operand::optional(
            "pidfile",
            "Wait until the process whose id is in this file has ended",
        )],
        switches: &[Switch::flag("idempotent", "Succeed if no broker answers")],
        examples: &["mq stop --local=./scratch"],
        work: AdminWork::Run(|given, cx| Box::pin(stop(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "shutdown",
        about: "Stop the broker, and wait until everything is on disk and it has ended",
        switches: &[Switch::flag("wait", "Wait, as it does anyway")],
        examples: &["mq shutdown --local=./scratch"],
        work: AdminWork::Run(|_, cx| Box::pin(shutdown(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "reset",
        about: "Delete all virtual hosts, queues, messages and users of a node that stop-app has stopped: it is as new",
        examples: &["mq reset --local=./scratch"],
        work: AdminWork::Run(|_, cx| Box::pin(reset("reset", cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "force-reset",
        about: "Do what reset does: there is no cluster to leave",
        examples: &["mq force-reset --local=./scratch"],
        work: AdminWork::Run(|_, cx| Box::pin(reset("force-reset", cx))),
        ..AdminRow::PLAIN
    },
];

async fn stop(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let pid = given.optional("pidfile").map(|path| pid_in(Path::new(path))).transpose()?;
    let asked = match ask("stop", cx).await {
        Err(CommandError::Engine(Error::Unreachable { .. })) if given.is_set("idempotent") => {
            return show::done("no broker answers", cx);
        }
        asked => asked?,
    };
    if !asked {
        return show::done(NOBODY, cx);
    }
    let Some(pid) = pid else { return show::done("the node stops", cx) };
    wait_for(pid).await?;
    show::done("the node has stopped", cx)
}

async fn shutdown(cx: &mut Context) -> Result<Answer, CommandError> {
    let words = if shut_down(cx).await? { "the node has stopped" } else { NOBODY };
    show::done(words, cx)
}

/// Has the node stop, and waits until it has ended; answers whether there was one in another process.
pub(in crate::commands) async fn shut_down(cx: &mut Context) -> Result<bool, CommandError> {
    let overview = cx.engine.inspect().overview().await?;
    if !ask("shutdown", cx).await? {
        return Ok(false);
    }
    let ended = tokio::time::timeout(ENDS_WITHIN, cx.engine.ended(&overview["instance"])).await;
    ended.map_err(|_| still_there("the node"))?;
    Ok(true)
}

/// Asks the node to stop; answers whether there is one in another process.
async fn ask(name: &str, cx: &mut Context) -> Result<bool, CommandError> {
    if cx.engine.is_host() {
        return Ok(false);
    }
    call_node(name, Call::new(Method::POST, "stop"), cx).await?;
    Ok(true)
}

/// Waits until a process of this machine has ended.
async fn wait_for(pid: u32) -> Result<(), CommandError> {
    let until = Instant::now() + ENDS_WITHIN;
    let place = format!("/proc/{pid}");
    while Path::new(&place).exists() {
        if Instant::now() > until {
            return Err(still_there(&format!("process {pid}")));
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

fn still_there(what: &str) -> CommandError {
    let problem =
        format!("{what} was asked to stop {} s ago and is still there", ENDS_WITHIN.as_secs());
    CommandError::TimedOut { problem }
}

/// The process id in a file.
fn pid_in(path: &Path) -> Result<u32, CommandError> {
    let doing = || format!("read the process id in '{}'", path.display());
    let text =
        fs::read_to_string(path).map_err(|source| CommandError::File { doing: doing(), source })?;
    let wrong = |_| {
        let source = std::io::Error::other("it is not a number");
        CommandError::File { doing: doing(), source }
    };
    text.trim().parse().map_err(wrong)
}

async fn reset(name: &str, cx: &mut Context) -> Result<Answer, CommandError> {
    if cx.engine.is_host() {
        // Nobody else can be its client.
        call_node(name, Call::new(Method::PUT, "maintenance"), cx).await?;
    }
    call_node(name, Call::new(Method::POST, "reset"), cx).await?;
    show::done("the node is as new", cx)
}
