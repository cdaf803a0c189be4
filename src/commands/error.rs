//! Every way a command can fail: the engine's errors, and those of files, handlers and arguments.

use std::ffi::OsString;
use std::io;

use crate::engine;
use crate::exit::Code;
use crate::render::words;

/// The reason for the failure of a command; [`crate::exit`] gives each its code.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A data directory was looked at and is not whole.
    #[error(transparent)]
    Unsound(engine::Error),
    /// The command line asks for something that cannot be.
    #[error("{problem}")]
    Usage { problem: String, hint: Option<String> },
    /// A command of RabbitMQ that has no meaning here.
    #[error("'{command}' does not exist here: it belongs to {feature}")]
    Foreign { command: String, feature: &'static str },
    /// A command of RabbitMQ that is not built yet.
    #[error("'{command}' is not implemented")]
    NotImplemented { command: String, instead: &'static str },
    /// A file the user named.
    #[error("cannot {doing}")]
    File { doing: String, source: io::Error },
    /// The broker answered a publish with `basic.nack`.
    #[error("the broker did not accept {} of {}", words::grouped(*.refused), words::counted(*.sent, "message"))]
    NotTaken { refused: u64, sent: u64 },
    /// `--delay` for an exchange that hands messages on at once.
    #[error(
        "exchange '{exchange}' is not of type x-delayed-message, so it would not delay the message"
    )]
    NotDelaying { exchange: String },
    /// An error after which part of the work is done.
    #[error("{error}")]
    PartlyDone { error: Box<Self>, so_far: String },
    /// A check has found problems.
    #[error("{}", .problems.join("; "))]
    CheckFailed { problems: Vec<String> },
    /// The broker sent `basic.cancel`.
    #[error("the broker cancelled the consumer of queue '{queue}'")]
    Cancelled { queue: String },
    #[error("{problem}")]
    TimedOut { problem: String },
    /// A program that handles messages could not be run or came to its end.
    #[error("the handler '{command}' {what}")]
    Handler { command: String, what: String, hint: Option<String>, source: Option<io::Error> },
    /// The program of `mq run` could not be started.
    #[error("cannot run '{}'", .program.display())]
    Program { program: OsString, source: io::Error },
    #[error("cannot write the result")]
    Output(#[from] io::Error),
    #[error("cannot start the threads of this program")]
    Runtime(#[source] io::Error),
    /// The user said no when asked.
    #[error("nothing was done")]
    Declined,
    #[error("interrupted")]
    Interrupted,
}

impl CommandError {
    /// A mistake on the command line.
    pub(crate) fn usage(problem: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), hint: None }
    }

    /// The same error, with what had been done before it.
    pub(crate) fn after(self, so_far: String) -> Self {
        Self::PartlyDone { error: Box::new(self), so_far }
    }

    /// The error itself, and what had been done before it.
    pub fn parts(&self) -> (&Self, Option<&str>) {
        match self {
            Self::PartlyDone { error, so_far } => (error, Some(so_far)),
            whole => (whole, None),
        }
    }

    /// The exit code that goes with it.
    pub fn code(&self) -> Code {
        match self {
            Self::Engine(error) => Code::of(error.category()),
            Self::Usage { .. } | Self::File { .. } => Code::Usage,
            Self::NotTaken { .. } | Self::NotDelaying { .. } | Self::Cancelled { .. } => {
                Code::Refused
            }
            Self::PartlyDone { error, .. } => error.code(),
            Self::TimedOut { .. } => Code::TimedOut,
            Self::Foreign { .. } | Self::NotImplemented { .. } => Code::Unreachable,
            Self::Handler { .. }
            | Self::Output(_)
            | Self::Runtime(_)
            | Self::Declined
            | Self::Unsound(_)
            | Self::CheckFailed { .. } => Code::No,
            Self::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Code::NotFound
            }
            Self::Program { .. } => Code::NotRun,
            Self::Interrupted => Code::Interrupted,
        }
    }

    /// Says what the user can do about it: one sentence, printed after `hint:`.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Usage { hint, .. } | Self::Handler { hint, .. } => hint.clone(),
            Self::PartlyDone { error, .. } => error.hint(),
            Self::NotDelaying { .. } => Some(
                "declare one with `mq declare-exchange NAME --delayed-type direct`, or leave out --delay".into(),
            ),
            Self::NotTaken { .. } => {
                Some("check the queue's limits and its overflow rule, then publish again".into())
            }
            Self::Cancelled { .. } => {
                Some("the queue may have been deleted: see `mq list-queues`".into())
            }
            Self::TimedOut { .. } => Some("wait longer with --timeout".into()),
            Self::NotImplemented { instead, .. } => Some((*instead).to_owned()),
            Self::Foreign { .. } => Some("`mq --help` lists the commands that mq has".into()),
            Self::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "the program is looked for in PATH; for words of a shell, use `sh -c 'WORDS'`".into(),
            ),
            Self::File { .. }
            | Self::Program { .. }
            | Self::Unsound(_)
            | Self::CheckFailed { .. }
            | Self::Output(_)
            | Self::Runtime(_)
            | Self::Declined
            | Self::Interrupted => None,
        }
    }
}
