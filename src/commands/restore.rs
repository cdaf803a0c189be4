//! `mq restore`: a data directory from a copy that `mq backup` made.

use std::path::PathBuf;

use serde_json::json;

use super::examples::examples;
use super::store::{named, unsound};
use super::{Answer, CommandError};
use crate::engine;
use crate::render::{Output, words};

/// Make a data directory from a backup
///
/// Reads the backup whole first, and changes nothing if anything in it is damaged: `mq store check` then names the
/// messages, and `mq store repair` repairs the backup as it repairs a data directory. The new directory must be empty or
/// not exist. No broker may run on either of them. Start the broker on the new directory afterwards.
///
/// Exits with code 0 if the directory is restored, 1 if the backup is damaged, 69 if a directory cannot be used.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[command(after_help = examples(&[
    "mq backup ./backup --local=./data && mq restore ./backup ./restored",
    "mq restore ./backup ./again && mq list-queues --local=./again",
]))]
pub struct Args {
    /// The directory that `mq backup` made
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The data directory to make [default: $XDG_DATA_HOME/mq or ~/.local/share/mq]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub fn run(args: Args, out: &mut Output) -> Result<Answer, CommandError> {
    let directory = named(args.directory)?;
    let found = engine::restore(&args.backup, &directory).map_err(unsound)?;
    let waiting: u64 = found.waiting.iter().map(|of| of.messages).sum();
    let text = format!(
        "restored {} in {} to '{}'",
        words::counted(waiting, "waiting message"),
        words::counted(found.queues, "queue"),
        directory.display(),
    );
    let row = json!({"directory": directory, "queues": found.queues, "waiting_messages": waiting});
    out.done(&text, &row)?;
    Ok(Answer::Yes)
}
