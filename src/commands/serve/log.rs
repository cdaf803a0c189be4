//! The broker's log on stderr or stdout, and in a file: its options, and the way to change its levels.
//!
//! Reading order: [`LogOptions`], [`ServerLog`], `log_levels`, `log_lines`.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use tokio::sync::watch;
use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::log_levels::{CategoryLevel, LogLevel, LogLevels, Outputs};
use super::log_lines::{LineTarget, Lines};
use crate::commands::CommandError;
use crate::commands::options::effective::EffectiveValue;
use crate::engine::{LastLines, LogControl};

/// The form and the level of the log.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Log")]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
pub(super) struct LogOptions {
    /// Write the log to stderr or stdout, or with none, to the file of --log-file only [default: stderr; stdout with
    /// --as-rabbitmq-server]
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
    /// Write the log to this file too; SIGHUP opens it anew, after another program has moved it away
    #[arg(id = "log_file", long = "log-file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write messages of this level and of more severe ones to the file [default: as on the console]
    #[arg(
        id = "log_file_level",
        long = "log-file-level",
        value_name = "LEVEL",
        value_enum,
        ignore_case = true
    )]
    file_level: Option<LogLevel>,
    /// Log messages of this category at a level of its own: connection, channel or queue, such as connection=debug; may
    /// be given several times
    #[arg(id = "log_category", long = "log-category", value_name = "CATEGORY=LEVEL")]
    categories: Vec<CategoryLevel>,
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
    None,
}

impl LogOutput {
    fn is_terminal(self) -> bool {
        match self {
            Self::Stderr => io::stderr().is_terminal(),
            Self::Stdout => io::stdout().is_terminal(),
            Self::None => false,
        }
    }

    fn stream(self) -> Box<dyn Write + Send> {
        match self {
            Self::Stderr => Box::new(io::stderr()),
            Self::Stdout => Box::new(io::stdout()),
            Self::None => Box::new(io::sink()),
        }
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

    /// The places that the log is written to, the file first (RabbitMQ: `rabbit:log_locations`).
    fn places(&self, output: LogOutput) -> Vec<String> {
        let console = match output {
            LogOutput::Stderr => Some("<stderr>".to_owned()),
            LogOutput::Stdout => Some("<stdout>".to_owned()),
            LogOutput::None => None,
        };
        let file = self.file.as_ref().map(|path| path.display().to_string());
        file.into_iter().chain(console).collect()
    }

    /// The value of each key, and the option that sets it.
    pub(super) fn effective(&self, is_server: bool) -> Vec<EffectiveValue> {
        let output = self.output(is_server).to_possible_value();
        let format = if self.is_json() { "json" } else { "plaintext" };
        let name =
            |level: LogLevel| level.to_possible_value().map(|level| level.get_name().to_owned());
        let mut values = vec![
            EffectiveValue::new(
                "log.console.stdio",
                "log-output",
                output.map(|output| output.get_name().to_owned()),
            ),
            EffectiveValue::new("log.console.formatter", "log-format", Some(format.to_owned())),
            EffectiveValue::new("log.console.level", "log-level", self.level.and_then(name)),
            EffectiveValue::new(
                "log.file",
                "log-file",
                Some(
                    self.file
                        .as_ref()
                        .map_or("false".to_owned(), |path| path.display().to_string()),
                ),
            ),
            EffectiveValue::new("log.file.level", "log-file-level", self.file_level.and_then(name)),
            EffectiveValue::new(
                "mq.log_level_file",
                "log-level-file",
                self.level_file.as_ref().map(|path| path.display().to_string()),
            ),
        ];
        values.extend(self.categories.iter().filter_map(|CategoryLevel { category, level }| {
            let key = format!("log.{}.level", category.to_possible_value()?.get_name());
            Some(EffectiveValue::new(key, "log-category", name(*level)))
        }));
        values
    }

    fn levels(&self, is_quiet: bool) -> Result<LogLevels, CommandError> {
        let named = match (self.level, &self.level_file) {
            (None, Some(path)) => Some(level_in(path)?),
            (level, _) => level,
        };
        let by_variable = || {
            let filter = EnvFilter::try_from_default_env().ok()?;
            Some(LogLevels::by(filter.to_string()))
        };
        let usual = if is_quiet { LogLevel::Error } else { LogLevel::Info };
        let (levels, console) = match (named, by_variable()) {
            (None, Some(levels)) => (levels, None),
            (named, _) => {
                let level = named.unwrap_or(usual);
                (LogLevels::of(level), Some(level))
            }
        };
        let file = self.file.as_ref().and(self.file_level);
        let console = console.filter(|_| file.is_some());
        Ok(levels.with_file(console, file).with_categories(&self.categories))
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
    lines: LogWriter,
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
        let levels = options.levels(is_quiet)?;
        let output = options.output(is_server);
        let file = options.file.clone().map(|path| {
            let doing = format!("write the log to '{}'", path.display());
            LineTarget::file(path).map_err(|source| CommandError::File { doing, source })
        });
        let filter = levels.filter();
        let lines = LogWriter {
            console: Lines::start(LineTarget::Stream(output.stream()))?,
            file: file.transpose()?.map(Lines::start).transpose()?,
            levels: Arc::new(watch::Sender::new(levels)),
            last: Arc::default(),
            places: options.places(output),
        };
        // A file has no colours.
        let is_plain = !output.is_terminal()
            || lines.file.is_some()
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
        let lines = self.lines.clone();
        let (last, places) = (Arc::clone(&lines.last), lines.places.clone());
        let set_level = move |level: &str| {
            let level = LogLevel::from_str(level, false);
            level.map(|level| set(lines.follow(LogLevels::of(level)))).is_ok()
        };
        LogControl::new(set_level, last, places)
    }

    /// Sets the level that these options ask for.
    pub(super) fn change(&self, options: &LogOptions) {
        if let Some(file) = &self.lines.file {
            file.reopen();
        }
        let filter = match options.levels(self.is_quiet) {
            Ok(levels) => self.lines.follow(levels),
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
        self.lines.console.flush();
        if let Some(file) = &self.lines.file {
            file.flush();
        }
    }
}

/// The outputs of the log; copies share them.
#[derive(Clone)]
struct LogWriter {
    console: Lines,
    file: Option<Lines>,
    levels: Arc<watch::Sender<LogLevels>>,
    last: Arc<LastLines>,
    /// The places that the lines are written to.
    places: Vec<String>,
}

impl LogWriter {
    /// Puts levels in force; answers with the filter for them.
    fn follow(&self, levels: LogLevels) -> EnvFilter {
        let filter = levels.filter();
        self.levels.send_replace(levels);
        filter
    }
}

/// The outputs of one message.
struct MessageWriter<'a> {
    outputs: Outputs,
    to: &'a LogWriter,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = MessageWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        MessageWriter { outputs: Outputs { console: true, file: true }, to: self }
    }

    fn make_writer_for(&'a self, message: &Metadata<'_>) -> Self::Writer {
        MessageWriter { outputs: self.levels.borrow().outputs(message), to: self }
    }
}

impl Write for MessageWriter<'_> {
    /// A line comes in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.outputs.console || self.outputs.file {
            self.to.last.add(line);
        }
        if self.outputs.console {
            self.to.console.give(line);
        }
        if let Some(file) = self.to.file.as_ref().filter(|_| self.outputs.file) {
            file.give(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
