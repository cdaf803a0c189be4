//! The operation of a node that runs: its maintenance, listeners, limits and log level.

use super::asked::Asked;
use super::failure::{self, Failure, USAGE, WrongWords};
use super::reached::Reached;
use super::shown::Shown;
use super::usage::usage_block;
use super::work::{Banner, CommandWork, WorkKind, as_usual, filled};
use crate::commands::{CommandError, admin};

/// The node is not in the state that the command needs.
const PRECONDITION_FAILED: u16 = 412;

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "drain",
        banner: Banner::Words(
            "Will put node {node} into maintenance mode. The node will no longer serve any client traffic!",
        ),
        work: WorkKind::Same { command: "drain", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "revive",
        banner: Banner::Words(
            "Will put node {node} back into regular operating mode. The node will again serve client traffic and host \
             primary queue replicas.",
        ),
        work: WorkKind::Same { command: "revive", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "suspend_listeners",
        banner: Banner::Words(
            "Will suspend client connection listeners on node {node}. The node will no longer accept client \
             connections!",
        ),
        work: WorkKind::Same { command: "suspend-listeners", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "resume_listeners",
        banner: Banner::Words(
            "Will resume client connection listeners on node {node}. The node will now accept client connections",
        ),
        work: WorkKind::Same { command: "resume-listeners", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "stop_app",
        banner: Banner::Words("Stopping rabbit application on node {node} ..."),
        work: WorkKind::Same { command: "stop-app", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "start_app",
        banner: Banner::Words("Starting node {node} ..."),
        work: WorkKind::Same { command: "start-app", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "stop",
        words: (0, 1),
        banner: Banner::Words("Stopping and halting node {node} ..."),
        work: WorkKind::Same { command: "stop", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "shutdown",
        work: WorkKind::Run(|asked, reached| Box::pin(shut_down(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "reset",
        work: WorkKind::Run(|asked, reached| {
            Box::pin(reset("Resetting node {node} ...", asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "force_reset",
        work: WorkKind::Run(|asked, reached| {
            Box::pin(reset("Forcefully resetting node {node} ...", asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_log_level",
        words: (1, 1),
        banner: Banner::Words("Setting log level to \"{0}\" ..."),
        check: Some(|asked| admin::check_log_level(asked.word(0)).map_err(WrongWords::Unsupported)),
        work: WorkKind::Same { command: "set-log-level", refused: as_usual },
    },
    CommandWork {
        name: "set_disk_free_limit",
        words: (1, 2),
        banner: Banner::Made(|asked, node| match asked.words.as_slice() {
            [_, part] => {
                format!("Setting disk free limit on {node} to {part} times the total RAM ...")
            }
            _ => format!("Setting disk free limit on {node} to {} bytes ...", asked.word(0)),
        }),
        check: Some(|asked| {
            counted(asked, "mem_relative")?;
            admin::disk_limit(&words(asked)).map(drop).map_err(|_| WrongWords::BadArgument)
        }),
        work: WorkKind::Same { command: "set-disk-free-limit", refused: as_usual },
    },
    CommandWork {
        name: "set_vm_memory_high_watermark",
        words: (1, 2),
        banner: Banner::Made(|asked, node| match asked.words.as_slice() {
            [_, size] => format!("Setting memory threshold on {node} to {size} bytes ..."),
            _ => format!("Setting memory threshold on {node} to {} ...", asked.word(0)),
        }),
        check: Some(|asked| {
            counted(asked, "absolute")?;
            admin::memory_limit(&words(asked)).map(drop).map_err(|_| WrongWords::BadArgument)
        }),
        work: WorkKind::Same { command: "set-vm-memory-high-watermark", refused: as_usual },
    },
];

/// Stops the node and says what it waits for.
async fn shut_down(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let failed = |error: CommandError, node: &str| Failure::of(error, asked, node);
    let node = reached.node.clone();
    let row = reached.node_row().await.map_err(|error| failed(error, &node))?;
    let process = format!("node {node} running at PID {}", row["os_pid"].as_str().unwrap_or("?"));
    if !asked.is_quiet() {
        let pid = process.rsplit(' ').next().unwrap_or_default();
        let text = format!("Shutting down RabbitMQ {process}\nWaiting for PID {pid} to terminate");
        // What cannot be written now cannot be written at the end.
        let _ = reached.cx.out.line(&text).and_then(|()| reached.cx.out.flush());
    }
    admin::shut_down(&mut reached.cx).await.map_err(|error| failed(error, &node))?;
    Ok(Shown::message(format!("RabbitMQ {process} successfully shut down")))
}

/// Resets a node that is stopped; another one is asked nothing, as in RabbitMQ.
async fn reset(banner: &str, asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let name = asked.name.as_deref().unwrap_or_default();
    let done = reached.perform(name, Vec::new()).await;
    done.map_err(|error| match (failure::refusal(&error), asked.command) {
        (Some((PRECONDITION_FAILED, text)), Some(command)) => Failure::plain(
            USAGE,
            format!(
                "Error: {text}\nArguments given:\n\t{}\n\n{}",
                asked.typed(),
                usage_block(asked, command)
            ),
        ),
        _ => Failure::of(error, asked, &reached.node),
    })?;
    if asked.is_quiet() {
        return Ok(Shown::Nothing);
    }
    Ok(Shown::Text(filled(banner, asked, &reached.node)))
}

fn words(asked: &Asked) -> Vec<&str> {
    asked.words.iter().map(String::as_str).collect()
}

/// Checks that one argument stands behind the word `kind`, and that no other has one behind it.
fn counted(asked: &Asked, kind: &str) -> Result<(), WrongWords> {
    match (asked.word(0) == kind, asked.words.len()) {
        (true, 1) => Err(WrongWords::NotEnough),
        (false, 2) => Err(WrongWords::TooMany),
        _ => Ok(()),
    }
}
