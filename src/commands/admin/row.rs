//! The rows of the table of administration commands.

use std::pin::Pin;

use serde_json::Value;

use super::given::Given;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{ApiList as Kind, Method};
use crate::render::Column;

/// Commands of one subject, under one heading of the help.
#[derive(Debug)]
pub(super) struct AdminGroup {
    /// `None` for those of every day, which the help shows like all others of `mq`.
    pub(super) heading: Option<&'static str>,
    pub(super) rows: &'static [AdminRow],
}

/// A command.
#[derive(Debug)]
pub(super) struct AdminRow {
    /// With hyphens; underscores are accepted too.
    pub(super) name: &'static str,
    /// The programs of RabbitMQ that have it.
    pub(super) programs: &'static [Program],
    /// Its name there, where that says too little among all commands of `mq`.
    pub(super) original: Option<&'static str>,
    pub(super) about: &'static str,
    pub(super) operands: &'static [Operand],
    pub(super) switches: &'static [Switch],
    /// Lines for a shell, in the order of the table: each finds what those before it have made.
    pub(super) examples: &'static [&'static str],
    pub(super) work: AdminWork,
}

impl AdminRow {
    /// Answers whether the command does not exist here.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.work, AdminWork::Never(_) | AdminWork::NotImplemented(_))
    }

    /// A row with nothing but what every row has; the others are made of it.
    pub(super) const PLAIN: Self = Self {
        name: "",
        programs: CTL,
        original: None,
        about: "",
        operands: &[],
        switches: &[],
        examples: &[],
        work: AdminWork::Nothing(""),
    };

    /// Its name in the programs of RabbitMQ.
    pub(super) fn original_name(&self) -> String {
        self.original.map_or_else(|| self.name.replace('-', "_"), str::to_owned)
    }
}

/// A program of RabbitMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Ctl,
    Diagnostics,
    Plugins,
    Queues,
    Streams,
    Upgrade,
}

impl Program {
    pub(in crate::commands) fn name(self) -> &'static str {
        match self {
            Self::Ctl => "rabbitmqctl",
            Self::Diagnostics => "rabbitmq-diagnostics",
            Self::Plugins => "rabbitmq-plugins",
            Self::Queues => "rabbitmq-queues",
            Self::Streams => "rabbitmq-streams",
            Self::Upgrade => "rabbitmq-upgrade",
        }
    }
}

pub(super) const CTL: &[Program] = &[Program::Ctl];
pub(super) const CTL_DIAGNOSTICS: &[Program] = &[Program::Ctl, Program::Diagnostics];
pub(super) const DIAGNOSTICS: &[Program] = &[Program::Diagnostics];
pub(super) const PLUGINS: &[Program] = &[Program::Plugins];
pub(super) const QUEUES: &[Program] = &[Program::Queues];
pub(super) const QUEUES_DIAGNOSTICS: &[Program] = &[Program::Queues, Program::Diagnostics];
pub(super) const STREAMS: &[Program] = &[Program::Streams];
pub(super) const UPGRADE: &[Program] = &[Program::Upgrade];

/// A word behind the command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) name: &'static str,
    pub(super) count: WordCount,
    pub(super) help: &'static str,
}

/// The number of words that an operand takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WordCount {
    One,
    OneAtMost,
    AtLeastOne,
    Any,
}

impl Operand {
    pub(super) const fn one(name: &'static str, help: &'static str) -> Self {
        Self { name, count: WordCount::One, help }
    }

    pub(super) const fn optional(name: &'static str, help: &'static str) -> Self {
        Self { name, count: WordCount::OneAtMost, help }
    }

    pub(super) const fn many(name: &'static str, help: &'static str) -> Self {
        Self { name, count: WordCount::AtLeastOne, help }
    }

    pub(super) const fn any(name: &'static str, help: &'static str) -> Self {
        Self { name, count: WordCount::Any, help }
    }
}

/// An option of one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switch {
    pub(super) name: &'static str,
    pub(super) short: Option<char>,
    /// The name of its value; `None` if it has none.
    pub(super) value: Option<&'static str>,
    pub(super) is_number: bool,
    pub(super) help: &'static str,
}

impl Switch {
    pub(super) const fn flag(name: &'static str, help: &'static str) -> Self {
        Self { name, short: None, value: None, is_number: false, help }
    }

    pub(super) const fn text(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, short: None, value: Some(value), is_number: false, help }
    }

    pub(super) const fn number(
        name: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, short: None, value: Some(value), is_number: true, help }
    }

    #[must_use]
    pub(super) const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }
}

/// The future of a command that is at work.
pub(super) type RunningCommand<'a> =
    Pin<Box<dyn Future<Output = Result<Answer, CommandError>> + 'a>>;

/// The work of a command.
#[derive(Debug)]
pub(super) enum AdminWork {
    /// One call that changes something
    Change(ChangeCall),
    /// A list
    List(List),
    /// A health check: its path, and the words for a good answer
    Check { path: &'static str, good: &'static str },
    /// More than one call
    Run(for<'a> fn(&'a Given, &'a mut Context) -> RunningCommand<'a>),
    /// On a broker of ours there is nothing to do, for this reason; RabbitMQ has no call for it.
    Nothing(&'static str),
    /// It belongs to this part of RabbitMQ, which does not exist here.
    Never(&'static str),
    /// It would have a meaning here and is not implemented; this is done instead, or nothing is.
    NotImplemented(&'static str),
}

/// One call that changes something. Texts and path have places for operands: `{username}`; `{vhost}` is the operand of
/// that name, else the vhost of the command line.
#[derive(Debug)]
pub(super) struct ChangeCall {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) body: Option<MakeBody>,
    /// Completes "the broker refused to"
    pub(super) doing: &'static str,
    pub(super) done: &'static str,
}

/// Makes the body of a call.
pub(super) type MakeBody = fn(&Given) -> Result<Value, CommandError>;

/// Changes the rows of a list.
pub(super) type ArrangeRows = fn(Vec<Value>, &Given) -> Vec<Value>;

/// A list of rows of the management API.
#[derive(Debug)]
pub(super) struct List {
    pub(super) source: RowsFrom,
    pub(super) columns: &'static [Column],
    /// Columns, from the first, that are shown when none is named: those of rabbitmqctl.
    pub(super) usual: usize,
    /// Changes the rows before they are shown.
    pub(super) arrange: Option<ArrangeRows>,
}

/// The place of the rows of a list.
#[derive(Debug)]
pub(super) enum RowsFrom {
    Of(Kind),
    /// A path with places for operands
    At(&'static str),
    /// A path that depends on the switches
    Chosen(fn(&Given) -> &'static str),
}
