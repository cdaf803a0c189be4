//! The broker's log on stderr or stdout: its level, its format, and the thread that writes it, so that no message waits for it.
//!
//! Lines are written by a thread of their own. A reader of stderr that stops reading, such as a full pipe, holds up that
//! thread and nothing else; lines that it has no room for are counted, and the count is the next line.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::time::Duration;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::commands::CommandError;
use crate::commands::options::effective::EffectiveValue;
use crate::engine::LogControl;

/// Lines that may wait to be written.
const LINES_MAX: usize = 4096;
/// The time that the end of the process waits for them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The form and the level of the log.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Log")]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
pub(super) struct LogOptions {
    /// Write the log to stderr or stdout [default: stderr; stdout with --as-rabbitmq-server]
    #[arg(id = "log_output", long = "log-output", value_name = "STREAM", value_enum)]
    output: Option<LogOutput>,
    /// Write the log in this format; json writes one object per line, startup errors included
    #[arg(id = "log_format", long = "log-format", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    format: LogFormat,
    /// Log messages of this level and of more severe ones [default: the level in RUST_LOG, else info; error with
    /// --quiet]
    #[arg(
        id = "log_level",
        long = "log-level",
        value_name = "LEVEL",
        value_enum,
        ignore_case = true
    )]
    level: Option<LogLevel>,
    /// Read the level from this file, at startup and again on each SIGHUP
    #[arg(
        id = "log_level_file",
        long = "log-level-file",
        value_name = "FILE",
        conflicts_with = "log_level"
    )]
    level_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// The stream that the log goes to (RabbitMQ: `log.console.stdio`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogOutput {
    Stderr,
    Stdout,
}

impl LogOutput {
    fn is_terminal(self) -> bool {
        match self {
            Self::Stderr => io::stderr().is_terminal(),
            Self::Stdout => io::stdout().is_terminal(),
        }
    }

    fn stream(self) -> Box<dyn Write + Send> {
        match self {
            Self::Stderr => Box::new(io::stderr()),
            Self::Stdout => Box::new(io::stdout()),
        }
    }
}

/// RabbitMQ's names (`log.console.level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    None,
    #[value(aliases = ["critical", "alert", "emergency"])]
    Error,
    #[value(aliases = ["warn", "notice"])]
    Warning,
    Info,
    Debug,
}

impl LogLevel {
    /// The filter: ours at this level, libraries at no more than warnings.
    fn filter(self) -> EnvFilter {
        EnvFilter::new(match self {
            Self::None => "off",
            Self::Error => "error",
            Self::Warning => "warn",
            Self::Info => "warn,mq=info",
            Self::Debug => "warn,mq=debug",
        })
    }
}

impl LogOptions {
    /// Answers whether everything on stderr is to be JSON.
    pub(super) fn is_json(&self) -> bool {
        self.format == LogFormat::Json
    }

    /// The stream; `is_server` says if the broker runs in the place of RabbitMQ's.
    fn output(&self, is_server: bool) -> LogOutput {
        let usual = if is_server { LogOutput::Stdout } else { LogOutput::Stderr };
        self.output.unwrap_or(usual)
    }

    /// The value of each key, and the option that sets it.
    pub(super) fn effective(&self, is_server: bool) -> [EffectiveValue; 4] {
        let output = self.output(is_server).to_possible_value();
        let format = if self.is_json() { "json" } else { "plaintext" };
        let level = self.level.and_then(|level| level.to_possible_value());
        [
            EffectiveValue::new(
                "log.console.stdio",
                "log-output",
                output.map(|output| output.get_name().to_owned()),
            ),
            EffectiveValue::new("log.console.formatter", "log-format", Some(format.to_owned())),
            EffectiveValue::new(
                "log.console.level",
                "log-level",
                level.map(|level| level.get_name().to_owned()),
            ),
            EffectiveValue::new(
                "mq.log_level_file",
                "log-level-file",
                self.level_file.as_ref().map(|path| path.display().to_string()),
            ),
        ]
    }

    fn filter(&self, is_quiet: bool) -> Result<EnvFilter, CommandError> {
        if let Some(level) = self.level {
            return Ok(level.filter());
        }
        if let Some(path) = &self.level_file {
            return Ok(level_in(path)?.filter());
        }
        let usual = if is_quiet { LogLevel::Error } else { LogLevel::Info };
        Ok(EnvFilter::try_from_default_env().unwrap_or_else(|_| usual.filter()))
    }
}

fn level_in(path: &Path) -> Result<LogLevel, CommandError> {
    let doing = format!("read the log level in '{}'", path.display());
    let text = std::fs::read_to_string(path)
        .map_err(|source| CommandError::File { doing: doing.clone(), source })?;
    LogLevel::from_str(text.trim(), true).map_err(|_| CommandError::File {
        doing,
        source: io::Error::other("it must hold error, warning, info, debug or none"),
    })
}

/// Sets the filter of the log anew.
type SetFilter = Arc<dyn Fn(EnvFilter) + Send + Sync>;

/// The log of this process. Dropping it waits a moment for the last lines.
pub(super) struct ServerLog {
    lines: Lines,
    /// Sets the level anew; nothing when the log was started already, by a test.
    set: Option<SetFilter>,
    is_quiet: bool,
}

impl ServerLog {
    /// Begins to log.
    ///
    /// # Errors
    ///
    /// Names the file of the level when it cannot be read.
    pub(super) fn start(
        options: &LogOptions,
        is_quiet: bool,
        is_server: bool,
    ) -> Result<Self, CommandError> {
        let filter = options.filter(is_quiet)?;
        let output = options.output(is_server);
        let lines = Lines::start(output.stream())?;
        let is_plain = !output.is_terminal()
            || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let log = tracing_subscriber::fmt()
            .with_ansi(!is_plain)
            .with_target(false)
            .with_writer(lines.clone())
            .with_env_filter(filter);
        let set: Option<SetFilter> = match options.format {
            LogFormat::Text => {
                let log = log.with_filter_reloading();
                let handle = log.reload_handle();
                log.try_init()
                    .ok()
                    .map(|()| Arc::new(move |filter| drop(handle.reload(filter))) as _)
            }
            LogFormat::Json => {
                let log = log.json().flatten_event(true).with_filter_reloading();
                let handle = log.reload_handle();
                std::panic::set_hook(Box::new(|panic| {
                    tracing::error!(%panic, "a bug ended a task of the broker");
                }));
                log.try_init()
                    .ok()
                    .map(|()| Arc::new(move |filter| drop(handle.reload(filter))) as _)
            }
        };
        Ok(Self { lines, set, is_quiet })
    }

    /// The way to change the level while the broker runs, by RabbitMQ's names.
    pub(super) fn control(&self) -> LogControl {
        let Some(set) = self.set.clone() else { return LogControl::default() };
        LogControl::new(move |level| {
            let level = LogLevel::from_str(level, false);
            level.map(|level| set(level.filter())).is_ok()
        })
    }

    /// Sets the level that these options ask for.
    pub(super) fn change(&self, options: &LogOptions) {
        let filter = match options.filter(self.is_quiet) {
            Ok(filter) => filter,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the log level stays as it is");
                return;
            }
        };
        let level = filter.to_string();
        if let Some(set) = &self.set {
            set(filter);
        }
        if options.level_file.is_some() {
            tracing::info!(level, "log level reloaded");
        }
    }
}

impl Drop for ServerLog {
    fn drop(&mut self) {
        let (tell, told) = mpsc::channel();
        // A thread that is stuck, or gone, has nothing more to write.
        if self.lines.queue.try_send(LogEntry::Flush(tell)).is_ok() {
            let _ = told.recv_timeout(LAST_LINES);
        }
    }
}

enum LogEntry {
    Line(Vec<u8>),
    /// Everything before it is to be written, and this told.
    Flush(Sender<()>),
}

/// The way of lines to the thread that writes them.
#[derive(Clone)]
struct Lines {
    queue: SyncSender<LogEntry>,
    lost: Arc<AtomicU64>,
}

impl Lines {
    fn start(mut stream: Box<dyn Write + Send>) -> io::Result<Self> {
        let (queue, entries) = mpsc::sync_channel(LINES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let write = move || write_all(&entries, &counted, &mut *stream);
        std::thread::Builder::new().name("log".to_owned()).spawn(write)?;
        Ok(Self { queue, lost })
    }
}

/// Writes lines until all senders are gone.
fn write_all(entries: &Receiver<LogEntry>, lost: &AtomicU64, stream: &mut dyn Write) {
    for entry in entries {
        match entry {
            LogEntry::Line(line) => {
                // There is no place to report that the stream takes nothing any more.
                let _ = stream.write_all(&line);
                let count = lost.swap(0, Ordering::Relaxed);
                if count > 0 {
                    tracing::warn!(
                        count,
                        "lines of the log were dropped because they were not read"
                    );
                }
            }
            LogEntry::Flush(tell) => {
                let _ = stream.flush();
                // Who asked may have stopped waiting.
                let _ = tell.send(());
            }
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    /// A line comes in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(LogEntry::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_do_not_fit_are_counted_and_hold_nobody_up() {
        let (queue, entries) = mpsc::sync_channel(2);
        let lines = Lines { queue, lost: Arc::default() };
        for line in ["1\n", "2\n", "3\n"] {
            assert_eq!((&lines).write(line.as_bytes()).unwrap(), 2);
        }
        assert_eq!(lines.lost.load(Ordering::Relaxed), 1);
        let lost = Arc::clone(&lines.lost);
        drop(lines);
        let mut written = Vec::new();
        write_all(&entries, &lost, &mut written);
        assert_eq!(written, b"1\n2\n");
        assert_eq!(lost.load(Ordering::Relaxed), 0, "they have been told");
    }
}
