//! The types of queue there are, as an option.

use super::argument::word;
use crate::engine::{FieldTable, literal};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum QueueType {
    Classic,
    Quorum,
    Stream,
}

impl QueueType {
    /// The arguments of a queue of that type; without one the virtual host decides.
    pub(in crate::commands) fn arguments(kind: Option<Self>) -> FieldTable {
        let argument = kind.map(|kind| (literal("x-queue-type"), word(kind)));
        argument.into_iter().collect()
    }
}
