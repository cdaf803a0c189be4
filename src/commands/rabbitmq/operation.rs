//! The operation of a node that runs: its maintenance, listeners, limits and log level.

use super::asked::Asked;
use super::failure::WrongWords;
use super::work::{Banner, CommandWork, WorkKind, as_usual};
use crate::commands::admin;

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
