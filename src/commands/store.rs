//! `mq store`: the data directory of a broker, looked at from outside.

use std::path::PathBuf;

use serde_json::json;

use super::{Answer, CommandError};
use crate::engine::local::default_directory;
use crate::engine::{self, Error, Kept};
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
/// it was written; the file is named.
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
    let Kept { vhosts, users, exchanges, queues, bindings } = *kept;
    let found = json!({
        "vhosts": vhosts,
        "users": users,
        "exchanges": exchanges,
        "queues": queues,
        "bindings": bindings,
    });
    if let Some(Format::Json | Format::Jsonl) = out.format() {
        return Ok(out.json_line(&found)?);
    }
    for (word, count) in found.as_object().into_iter().flatten() {
        let word = word.replace('_', " ");
        let count = count.as_u64().unwrap_or_default();
        let count = if out.is_terminal() { words::grouped(count) } else { count.to_string() };
        out.line(&format!("{word}: {count}"))?;
    }
    Ok(())
}
