//! `mq store`: checks and repairs the data directory of a broker that does not run.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::examples::examples;
use super::{Answer, CommandError};
use crate::engine::directory::default_directory;
use crate::engine::{
    self, Damage, DamagedRecord, DirectoryContents, Error, FoundBy, Repaired, ShortStr, WaitingIn,
};
use crate::render::{Format, Output, words};

/// Check or repair the data directory of a broker
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&["mq store check ./data", "mq store repair ./data"]))]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    Check(CheckArgs),
    Repair(RepairArgs),
}

/// Check that a data directory is undamaged, and list what is stored in it
///
/// Reads everything and changes nothing. No broker may run on the directory. Exits with code 1 if anything is damaged.
/// For a damaged message it prints the file, the offset in it and the queue. A broker that starts on the directory
/// delivers all other messages and copies the damaged bytes to a file beside the message file, whose name ends in
/// `.damaged`; the next check passes, and counts the copies. Broken marks are acknowledgements that cannot be read:
/// their messages may be delivered again. A broken index makes the next start slower. If no broker would start on the
/// directory, the error says why, and `mq store repair` may help.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
struct CheckArgs {
    /// The directory [default: $XDG_DATA_HOME/mq or ~/.local/share/mq]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Repair damage that a broker must not repair by itself when it starts
///
/// Needed if `mq serve` refuses to start because a file of messages is damaged; `mq store check` only reads. No broker
/// may run on the directory. A damaged header of a message file is reconstructed and written again; if that is
/// impossible, no message can be read from the file, and the file is removed. If a file of an early release does not
/// tell which messages are acknowledged, all of them are delivered again. An unreadable format number is written again.
/// Damaged acknowledgements and indexes are removed. Each byte is copied before it is changed, to a file beside its own
/// whose name ends in `.damaged`. Each repair is printed. The definitions of queues and users are not repaired: restore
/// 'definitions.redb' from a backup.
///
/// Exits with code 0 if everything is repaired or nothing is damaged, 1 if something cannot be repaired, 69 if a broker
/// runs on the directory or the directory cannot be used.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
struct RepairArgs {
    /// The directory [default: $XDG_DATA_HOME/mq or ~/.local/share/mq]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub fn run(args: Args, out: &mut Output) -> Result<Answer, CommandError> {
    match args.action {
        Action::Check(CheckArgs { directory }) => check(&named(directory)?, out),
        Action::Repair(RepairArgs { directory }) => repair(&named(directory)?, out),
    }
}

/// The directory that was named, or the default one.
pub(super) fn named(directory: Option<PathBuf>) -> Result<PathBuf, CommandError> {
    match directory {
        Some(directory) => Ok(directory),
        None => Ok(default_directory(|name| std::env::var(name).ok())?),
    }
}

fn repair(directory: &Path, out: &mut Output) -> Result<Answer, CommandError> {
    let repaired = engine::repair(directory).map_err(unsound)?;
    if matches!(out.format(), Some(Format::Json | Format::Jsonl)) {
        let repaired: Vec<_> = repaired.iter().map(|one| RepairRow::new(one).json()).collect();
        out.json_line(&json!({"repaired": repaired}))?;
    } else if repaired.is_empty() {
        out.line("nothing to repair")?;
    } else {
        repaired.iter().try_for_each(|one| out.line(&RepairRow::new(one).line))?;
    }
    // What cannot be repaired is told with the exit code of a check.
    engine::check(directory).map_err(unsound)?;
    Ok(Answer::Yes)
}

/// One row of the output of a repair: its word and further fields in JSON, and its line.
struct RepairRow<'a> {
    what: &'static str,
    file: &'a Path,
    copy: Option<&'a Path>,
    more: Vec<(&'static str, u64)>,
    line: String,
}

impl<'a> RepairRow<'a> {
    fn new(repaired: &'a Repaired) -> Self {
        let (file, copy) = (repaired.file(), repaired.copy());
        let (old, new) = (file.display(), copy.unwrap_or(file).display());
        let mut more = Vec::new();
        let (what, line) = match repaired {
            Repaired::Header { .. } => (
                "header written",
                format!("wrote the header of '{old}' again; a copy of what was there is '{new}'"),
            ),
            Repaired::Format { .. } => (
                "format written",
                format!(
                    "wrote the number of the format into '{old}' again; a copy of what was there is '{new}'"
                ),
            ),
            Repaired::Unreadable { .. } => (
                "file taken away",
                format!(
                    "removed '{old}', because no message can be read from it; a copy is '{new}'"
                ),
            ),
            Repaired::MarksTakenAway { .. } => (
                "marks taken away",
                format!(
                    "removed the acknowledgements in '{old}': all messages of the file are delivered again; a copy is '{new}'"
                ),
            ),
            Repaired::Marks { count, .. } => {
                more.push(("marks", *count));
                let marks = words::counted(*count, "broken mark");
                let line = format!(
                    "removed {marks} from '{old}': their messages may be delivered again; a copy is '{new}'"
                );
                ("broken marks taken out", line)
            }
            Repaired::Index { .. } => {
                ("index taken away", format!("removed the broken index '{old}'"))
            }
            Repaired::Message(record) => {
                let offset = record.offset;
                more.extend([("offset", offset.into()), ("bytes", record.bytes.into())]);
                let line = format!(
                    "copied a damaged message aside, which may have been confirmed: '{old}' at offset {offset}, to '{new}'"
                );
                ("message copied", line)
            }
        };
        Self { what, file, copy, more, line }
    }

    fn json(&self) -> serde_json::Value {
        let mut row = json!({"what": self.what, "file": self.file});
        for (name, value) in &self.more {
            row[name] = json!(value);
        }
        if let Some(copy) = self.copy {
            row["copy"] = json!(copy);
        }
        row
    }
}

/// A directory that was looked at and is not whole.
pub(super) fn unsound(error: Error) -> CommandError {
    match error {
        Error::Contents { .. } => CommandError::Unsound(error),
        error => error.into(),
    }
}

fn check(directory: &Path, out: &mut Output) -> Result<Answer, CommandError> {
    let kept = engine::check(directory).map_err(unsound)?;
    show(&kept, out)?;
    let problems = problems(&kept);
    if problems.is_empty() { Ok(Answer::Yes) } else { Err(CommandError::CheckFailed { problems }) }
}

/// Lists the things that are not as they were written.
fn problems(kept: &DirectoryContents) -> Vec<String> {
    let counts = [
        (kept.damaged.len() as u64, "damaged message"),
        (kept.broken_marks, "broken mark"),
        (kept.broken_indexes, "broken index"),
    ];
    let counted = |(count, noun): (u64, &str)| match (count, noun) {
        (0, _) => None,
        (2.., "broken index") => Some(format!("{} broken indexes", words::grouped(count))),
        _ => Some(words::counted(count, noun)),
    };
    counts.into_iter().filter_map(counted).collect()
}

fn damage_json(damage: &Damage) -> serde_json::Value {
    let queue = |(vhost, queue): &(ShortStr, ShortStr)| json!({"vhost": **vhost, "queue": **queue});
    json!({
        "file": damage.record.file,
        "offset": damage.record.offset,
        "bytes": damage.record.bytes,
        "queues": damage.queues.iter().map(queue).collect::<Vec<_>>(),
        "cause": damage.record.cause.to_string(),
        "found": match damage.found {
            FoundBy::Start => "start",
            FoundBy::Delivery => "delivery",
        },
    })
}

fn damage_line(damage: &Damage) -> String {
    let DamagedRecord { file, offset, bytes, cause, .. } = &damage.record;
    let queues = damage.queue_names().unwrap_or_else(|| "queue unknown".to_owned());
    let found = match damage.found {
        FoundBy::Start => "a start copies it aside",
        FoundBy::Delivery => "a broker finds it when it delivers the message, and copies it aside",
    };
    let bytes = words::counted(u64::from(*bytes), "byte");
    let file = file.display();
    format!(
        "  '{file}' at offset {offset}: {bytes}, {queues}, may have been confirmed; {cause}; {found}"
    )
}

fn show(kept: &DirectoryContents, out: &mut Output) -> Result<(), CommandError> {
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
        "damaged_messages": kept.damaged.len(),
        "damaged": kept.damaged.iter().map(damage_json).collect::<Vec<_>>(),
        "copies_of_damaged_messages": kept.copies,
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
        if word == "damaged" {
            kept.damaged.iter().try_for_each(|damage| out.line(&damage_line(damage)))?;
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
