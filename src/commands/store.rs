//! `mq store`: the data directory of a broker, looked at from outside.

use std::path::PathBuf;

use serde_json::json;

use super::{Answer, CommandError};
use crate::engine::local::default_directory;
use crate::engine::{self, Error, Kept, WaitingIn};
use crate::render::{Format, Output, words};

/// Look after the data directory of a broker
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    Check(CheckArgs),
}

/// Verify that a directory is whole, and say what is kept in it
///
/// Everything is read and nothing is changed. No broker may run on the directory. Exit code 1 when something is not as
/// it was written, and no broker would start on it; the file is named, and the offset in a file of messages. What a
/// crash may leave behind is only counted: torn bytes are of messages that were never confirmed, broken marks let
/// messages come again that were settled, a broken index makes the next start slower.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
struct CheckArgs {
    /// The directory [default: $XDG_DATA_HOME/mq or ~/.local/share/mq]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub fn run(args: Args, out: &mut Output) -> Result<Answer, CommandError> {
    let Action::Check(CheckArgs { directory }) = args.action;
    let directory = match directory {
        Some(directory) => directory,
        None => default_directory(|name| std::env::var(name).ok())?,
    };
    let kept = engine::check(&directory).map_err(|error| match error {
        Error::Kept { .. } => CommandError::Unsound(error),
        error => error.into(),
    })?;
    show(&kept, out)?;
    Ok(Answer::Yes)
}

fn show(kept: &Kept, out: &mut Output) -> Result<(), CommandError> {
    let is_json = matches!(out.format(), Some(Format::Json | Format::Jsonl));
    let waiting: u64 = kept.waiting.iter().map(|of| of.messages).sum();
    let by_queue =
        |of: &WaitingIn| json!({"vhost": *of.vhost, "queue": *of.queue, "messages": of.messages});
    let found = json!({
        "vhosts": kept.vhosts,
        "users": kept.users,
        "exchanges": kept.exchanges,
        "queues": kept.queues,
        "bindings": kept.bindings,
        "files": kept.files,
        "free_files": kept.free_files,
        "records": kept.records,
        "waiting_messages": waiting,
        "waiting": kept.waiting.iter().map(by_queue).collect::<Vec<_>>(),
        "messages_of_deleted_queues": kept.orphaned,
        "torn_bytes": kept.torn_bytes,
        "broken_marks": kept.broken_marks,
        "broken_indexes": kept.broken_indexes,
    });
    if is_json {
        return Ok(out.json_line(&found)?);
    }
    let is_terminal = out.is_terminal();
    let shown = |count: u64| if is_terminal { words::grouped(count) } else { count.to_string() };
    for (word, value) in found.as_object().into_iter().flatten() {
        if let Some(count) = value.as_u64() {
            out.line(&format!("{}: {}", word.replace('_', " "), shown(count)))?;
            continue;
        }
        for WaitingIn { vhost, queue, messages } in &kept.waiting {
            let of_vhost =
                if **vhost == *"/" { String::new() } else { format!(" of vhost '{vhost}'") };
            out.line(&format!("  in queue '{queue}'{of_vhost}: {}", shown(*messages)))?;
        }
    }
    Ok(())
}
