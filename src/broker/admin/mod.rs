//! Changing what is the broker's own: users, vhosts, permissions, parameters, limits.
//!
//! One change at a time, each written down before anybody can see it. Whoever asked may change it is not looked at here:
//! the management API does that.
//!
//! Reading order: [`Put`], then a file for each kind of thing.

mod admission;
mod limits;
mod parameters;
mod permissions;
mod policies;
mod users;
mod vhosts;

use std::sync::{MutexGuard, PoisonError};

pub use admission::Admitted;
pub use limits::VhostLimits;
pub use parameters::{Parameter, ParameterName, Parameters};
pub use policies::PolicyName;
pub use vhosts::{VhostChange, VhostMetadata};

use super::Broker;
use super::durable::Record;
use crate::wire::{Fault, ReplyCode};

/// What became of something that was put where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Created,
    Replaced,
}

impl Put {
    fn over(was_there: bool) -> Self {
        if was_there { Self::Replaced } else { Self::Created }
    }
}

/// A refusal of a change that speaks of what is not there.
fn missing(noun: &str) -> Fault {
    Fault::new(ReplyCode::NotFound, format!("{noun} does not exist"))
}

impl Broker {
    /// Begins a change, alone.
    fn administering(&self) -> MutexGuard<'_, ()> {
        self.administering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_down(&self, record: Record, noun: &str) -> Result<(), Fault> {
        record.write(self.definitions.as_ref(), noun)
    }
}
