//! The rows of the table that says what the commands of RabbitMQ's programs do.

use std::pin::Pin;

use super::asked::Asked;
use super::failure::{Failure, WrongWords};
use super::reached::Reached;
use super::shown::Shown;
use crate::commands::CommandError;

/// The future of a command at work.
pub(super) type Working<'a> = Pin<Box<dyn Future<Output = Result<Shown, Failure>> + 'a>>;

/// Checks the arguments of a command.
pub(super) type CheckWords = fn(&Asked) -> Result<(), WrongWords>;

/// A command that is carried out here.
#[derive(Debug)]
pub(super) struct CommandWork {
    pub(super) name: &'static str,
    /// Fewest and most arguments
    pub(super) words: (usize, usize),
    /// The line that says what is about to be done
    pub(super) banner: Banner,
    pub(super) check: Option<CheckWords>,
    pub(super) work: WorkKind,
}

/// As many arguments as one likes.
pub(super) const ANY: usize = usize::MAX;

/// A line about the work ahead.
#[derive(Debug)]
pub(super) enum Banner {
    None,
    /// Words with places: `{0}` for the first argument, `{*}` for those behind it, `{vhost}`, `{node}`
    Words(&'static str),
    /// Made of the command line and the name of the node
    Made(fn(&Asked, &str) -> String),
}

/// The work of a command.
#[derive(Debug)]
pub(super) enum WorkKind {
    /// It needs no broker.
    Alone(fn(&Asked) -> Result<Shown, Failure>),
    /// A command of the table of administration, which shows nothing
    Same {
        command: &'static str,
        refused: RefusedBy,
    },
    Run(for<'a> fn(&'a Asked, &'a mut Reached) -> Working<'a>),
    /// That of the command of the same name, with its output
    Own,
    /// It waits for a broker that does not answer yet.
    Wait,
    /// Nothing but this text
    Say(&'static str),
}

/// The failure that a refusal is; `None` for the usual one.
pub(super) type RefusedBy =
    for<'a> fn(&'a CommandError, &'a Asked, &'a Reached) -> RefusedFuture<'a>;

pub(super) type RefusedFuture<'a> = Pin<Box<dyn Future<Output = Option<Failure>> + 'a>>;

impl CommandWork {
    pub(super) const PLAIN: Self = Self {
        name: "",
        words: (0, 0),
        banner: Banner::None,
        check: None,
        work: WorkKind::Say(""),
    };

    /// Checks the number of arguments.
    pub(super) fn counted(&self, asked: &Asked) -> Result<(), WrongWords> {
        let (fewest, most) = self.words;
        match asked.words.len() {
            count if count < fewest => Err(WrongWords::NotEnough),
            count if count > most => Err(WrongWords::TooMany),
            _ => Ok(()),
        }
    }
}

impl Banner {
    pub(super) fn words(&self, asked: &Asked, node: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::Words(template) => Some(filled(template, asked, node)),
            Self::Made(make) => Some(make(asked, node)),
        }
    }
}

/// A template with its places filled.
pub(super) fn filled(template: &str, asked: &Asked, node: &str) -> String {
    let mut parts = template.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        match name {
            "node" => filled.push_str(node),
            "vhost" => filled.push_str(asked.vhost()),
            "timeout" => filled.push_str(&asked.shown_timeout()),
            "*" => filled.push_str(&asked.words.get(1..).unwrap_or_default().join(", ")),
            "all" => filled.push_str(&asked.words.join(", ")),
            place => filled.push_str(asked.word(place.parse().unwrap_or(ANY))),
        }
        filled.push_str(rest);
    }
    filled
}

/// No failure of its own: for [`WorkKind::Same`].
pub(super) fn as_usual<'a>(_: &'a CommandError, _: &'a Asked, _: &'a Reached) -> RefusedFuture<'a> {
    Box::pin(std::future::ready(None))
}

/// A virtual host that is not there: for [`WorkKind::Same`].
pub(super) fn no_vhost<'a>(
    error: &'a CommandError,
    asked: &'a Asked,
    reached: &'a Reached,
) -> RefusedFuture<'a> {
    Box::pin(async move {
        let is_refused = super::failure::refusal(error).is_some();
        let is_missing = is_refused && !reached.has_vhost(asked.vhost()).await;
        is_missing.then(|| Failure::no_vhost(asked.vhost()))
    })
}
