//! Messages printed or saved, and acknowledged after that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::feed::{Feed, FeedStep, StopReason};
use crate::commands::CommandError;
use crate::commands::template::{self, Template};
use crate::engine::{Delivery, payload};
use crate::render::{Format, Output};

/// Messages printed before the first of them is acknowledged: half of what is on its way.
const BATCH: usize = 50;

/// The pause between two looks whether the reader of the output has gone.
const READER_CHECK: Duration = Duration::from_millis(500);

/// The columns of a message in `csv` and `tsv`.
const COLUMNS: [&str; 4] = ["exchange", "routing_key", "redelivered", "body"];

/// Prints until the end; returns why it came.
pub(super) async fn run(
    mut printer: Printer,
    queue: &str,
    feed: &mut Feed,
    out: &mut Output,
) -> Result<StopReason, CommandError> {
    let mut done = Vec::new();
    let end = loop {
        // Output is flushed and acknowledged when nothing more is waiting, or enough has gathered.
        let step = match feed.ready().await? {
            Some(step) if done.len() < BATCH => step,
            step => {
                out.flush()?;
                feed.acknowledge(&mut done)?;
                match step {
                    Some(step) => step,
                    None => next_while_read(feed, out).await?,
                }
            }
        };
        match step {
            FeedStep::Delivery(delivery) => {
                printer.print(&delivery, queue, out)?;
                done.push(delivery);
            }
            FeedStep::StopReason(end) => break end,
        }
    };
    if feed.is_auto() {
        // These are the queue's no more.
        feed.cancel().await?;
        while let Some(delivery) = feed.left().await? {
            printer.print(&delivery, queue, out)?;
        }
    }
    printer.finish(out)?;
    out.flush()?;
    feed.acknowledge(&mut done)?;
    feed.cancel().await?;
    Ok(end)
}

/// Waits for the next step, and looks now and then whether the reader of the output is still there: `consume | head -1`
/// must end on a quiet queue, too.
async fn next_while_read(feed: &mut Feed, out: &Output) -> Result<FeedStep, CommandError> {
    loop {
        tokio::select! {
            step = feed.next() => return step,
            () = tokio::time::sleep(READER_CHECK) => {}
        }
        if out.is_abandoned() {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
    }
}

/// The form in which messages are written.
#[derive(Debug)]
pub(in crate::commands) struct Printer {
    shape: Shape,
    printed: u64,
}

#[derive(Debug)]
enum Shape {
    /// The body and a line end.
    Lines,
    Raw,
    Json,
    Jsonl,
    Rows(Format),
    Template(Template),
    Files(PathBuf),
}

impl Printer {
    /// The shape that was asked for.
    pub(in crate::commands) fn new(
        format: Option<Format>,
        template: Option<Template>,
    ) -> Result<Self, CommandError> {
        let shape = match (template, format) {
            (Some(template), None) => Shape::Template(template),
            (Some(_), Some(format)) => {
                return Err(CommandError::usage(format!(
                    "--template and --format {format} exclude each other"
                )));
            }
            (None, None) => Shape::Lines,
            (None, Some(Format::Raw)) => Shape::Raw,
            (None, Some(Format::Json)) => Shape::Json,
            (None, Some(Format::Jsonl)) => Shape::Jsonl,
            (None, Some(format @ (Format::Csv | Format::Tsv))) => Shape::Rows(format),
            (None, Some(Format::Table)) => {
                return Err(CommandError::usage("messages have no format 'table'"));
            }
        };
        Ok(Self { shape, printed: 0 })
    }

    /// Makes files of the messages instead, when a directory is given.
    pub(super) fn saving_to(mut self, directory: Option<PathBuf>) -> Result<Self, CommandError> {
        if let Some(directory) = directory {
            fs::create_dir_all(&directory).map_err(|source| unwritten(&directory, source))?;
            self.shape = Shape::Files(directory);
        }
        Ok(self)
    }

    /// Writes one message.
    pub(in crate::commands) fn print(
        &mut self,
        delivery: &Delivery,
        queue: &str,
        out: &mut Output,
    ) -> Result<(), CommandError> {
        let is_first = self.printed == 0;
        self.printed += 1;
        match &self.shape {
            Shape::Lines => {
                out.foreign(&delivery.body)?;
                out.bytes(b"\n")?;
            }
            Shape::Raw => out.bytes(&delivery.body)?,
            Shape::Json => {
                out.bytes(if is_first { b"[\n" } else { b",\n" })?;
                out.foreign(payload::render(delivery).to_string().as_bytes())?;
            }
            Shape::Jsonl => out.json_line(&payload::render(delivery))?,
            Shape::Rows(format) => {
                let columns = COLUMNS.map(str::to_owned);
                out.rows(*format, &columns, &[row(delivery, queue)], is_first)?;
            }
            Shape::Template(template) => {
                out.foreign(&template.fill(delivery, queue))?;
                out.bytes(b"\n")?;
            }
            Shape::Files(directory) => save(delivery, directory, self.printed)?,
        }
        Ok(())
    }

    /// Writes what comes after the last message.
    pub(in crate::commands) fn finish(&self, out: &mut Output) -> Result<(), CommandError> {
        if let Shape::Json = self.shape {
            out.bytes(if self.printed == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        Ok(())
    }
}

fn row(delivery: &Delivery, queue: &str) -> Value {
    json!({
        "exchange": template::value("exchange", delivery, queue),
        "routing_key": template::value("routing_key", delivery, queue),
        "redelivered": delivery.redelivered,
        "body": String::from_utf8_lossy(&delivery.body),
    })
}

/// Writes the body and, as JSON, everything else; never over a file that is there.
fn save(delivery: &Delivery, directory: &Path, first_free: u64) -> Result<(), CommandError> {
    let mut number = first_free;
    let mut body = loop {
        let path = directory.join(format!("{number:06}.body"));
        match fs::File::create_new(&path) {
            Ok(file) => break file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(unwritten(&path, error)),
        }
    };
    let path = directory.join(format!("{number:06}.json"));
    std::io::Write::write_all(&mut body, &delivery.body)
        .and_then(|()| fs::write(&path, format!("{}\n", payload::render(delivery))))
        .map_err(|source| unwritten(&path, source))
}

fn unwritten(path: &Path, source: std::io::Error) -> CommandError {
    CommandError::File { doing: format!("write '{}'", path.display()), source }
}
