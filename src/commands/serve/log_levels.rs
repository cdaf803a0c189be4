//! The levels of the log: of the console, of the file, and of single categories of messages.

use std::str::FromStr;

use clap::ValueEnum;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// RabbitMQ's names (`log.console.level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    None,
    #[value(aliases = ["critical", "alert", "emergency"])]
    Error,
    #[value(aliases = ["warn", "notice"])]
    Warning,
    Info,
    Debug,
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::None => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warning => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }

    /// The directives of a filter: ours at this level, libraries at no more than warnings.
    fn directives(self) -> &'static str {
        match self {
            Self::None => "off",
            Self::Error => "error",
            Self::Warning => "warn",
            Self::Info => "warn,mq=info",
            Self::Debug => "warn,mq=debug",
        }
    }
}

/// Messages about one subject (RabbitMQ: `log.CATEGORY.level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogCategory {
    Connection,
    Channel,
    Queue,
}

impl LogCategory {
    /// The modules whose messages are of it.
    fn modules(self) -> &'static [&'static str] {
        match self {
            Self::Connection => &[
                "mq::server::listener",
                "mq::server::drive",
                "mq::server::slots",
                "mq::server::tls",
                "mq::server::session::opening",
            ],
            Self::Channel => {
                &["mq::server::session::closing", "mq::server::session::consumer_timeout"]
            }
            Self::Queue => &["mq::broker::queue", "mq::broker::dead_letter"],
        }
    }

    fn has(self, target: &str) -> bool {
        self.modules().iter().any(|module| target.starts_with(module))
    }
}

/// A category and its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CategoryLevel {
    pub(super) category: LogCategory,
    pub(super) level: LogLevel,
}

impl FromStr for CategoryLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (category, level) =
            text.split_once('=').ok_or("it must be a category, = and a level")?;
        let category = LogCategory::from_str(category, false)
            .map_err(|_| "the categories are connection, channel and queue".to_owned())?;
        let level = LogLevel::from_str(level, true)
            .map_err(|_| "the levels are debug, info, warning, error and none".to_owned())?;
        Ok(Self { category, level })
    }
}

/// The levels in force.
#[derive(Clone, Debug)]
pub(super) struct LogLevels {
    /// The directives without those of a single output or category.
    usual: String,
    /// Limits one output, which has fewer messages than the other.
    console: Option<LogLevel>,
    file: Option<LogLevel>,
    categories: Vec<CategoryLevel>,
}

/// The outputs that a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outputs {
    pub(super) console: bool,
    pub(super) file: bool,
}

impl LogLevels {
    /// All outputs have one level.
    pub(super) fn of(level: LogLevel) -> Self {
        Self::by(level.directives().to_owned())
    }

    /// The same by directives, such as those of `RUST_LOG`.
    pub(super) fn by(usual: String) -> Self {
        Self { usual, console: None, file: None, categories: Vec::new() }
    }

    /// The level of the console, when it is a single one, and that of the file.
    #[must_use]
    pub(super) fn with_file(mut self, console: Option<LogLevel>, file: Option<LogLevel>) -> Self {
        (self.console, self.file) = (console, file);
        self
    }

    #[must_use]
    pub(super) fn with_categories(mut self, categories: &[CategoryLevel]) -> Self {
        self.categories = categories.to_vec();
        self
    }

    /// Lets through what at least one output takes.
    pub(super) fn filter(&self) -> EnvFilter {
        let mut directives = self.usual.clone();
        let more =
            |level: &LogLevel| self.console.is_none_or(|console| level.filter() > console.filter());
        if let Some(file) = self.file.filter(more) {
            directives = format!("{directives},{}", file.directives());
        }
        for CategoryLevel { category, level } in &self.categories {
            for module in category.modules() {
                directives = format!("{directives},{module}={}", level.filter());
            }
        }
        EnvFilter::new(directives)
    }

    /// The outputs of a message that the filter has let through.
    pub(super) fn outputs(&self, message: &Metadata<'_>) -> Outputs {
        if self.categories.iter().any(|one| one.category.has(message.target())) {
            return Outputs { console: true, file: true };
        }
        let takes =
            |level: Option<LogLevel>| level.is_none_or(|level| *message.level() <= level.filter());
        Outputs { console: takes(self.console), file: takes(self.file) }
    }
}
