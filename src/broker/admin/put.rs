//! The parts that all changes share: alone, written down first, and the answer.

use std::sync::MutexGuard;

use crate::broker::Broker;
use crate::broker::durable::Changes;
use crate::wire::{Fault, ReplyCode};

/// The outcome of putting a user, a vhost, a permission or a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Created,
    Replaced,
}

impl Put {
    pub(super) fn over(was_there: bool) -> Self {
        if was_there { Self::Replaced } else { Self::Created }
    }
}

/// Refuses a change that names something that does not exist.
pub(super) fn missing(noun: &str) -> Fault {
    Fault::new(ReplyCode::NotFound, format!("{noun} does not exist"))
}

impl Broker {
    /// Begins a change, alone.
    pub(super) fn administering(&self) -> MutexGuard<'_, ()> {
        self.administering.lock()
    }

    /// Writes changes down; `noun` is their subject in the error.
    pub(super) fn write_down(&self, changes: impl Into<Changes>, noun: &str) -> Result<(), Fault> {
        changes.into().write(self.definitions.as_ref(), noun)
    }
}
