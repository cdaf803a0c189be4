//! The publishes and settlements of a channel that wait for its `tx.commit`.

use super::unacked::Unacked;
use crate::broker::publish::Staged;

/// The end of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    Ack,
    /// Dropped, or dead-lettered if its queue has an exchange for that; a rejection counts as a failure.
    Drop {
        is_failure: bool,
    },
    /// Given back; a rejection counts as a failure.
    Requeue {
        is_failure: bool,
    },
}

/// The end of a message that no queue takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unroutable {
    /// It goes back to its publisher (`mandatory`).
    Return,
    Drop,
}

/// A publish that waits for the commit.
#[derive(Debug)]
pub(super) struct Uncommitted {
    pub(super) staged: Staged,
    pub(super) unroutable: Unroutable,
}

/// The publishes and settlements since the last commit or rollback, in order.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) publishes: Vec<Uncommitted>,
    pub(super) settlements: Vec<(Vec<Unacked>, Settlement)>,
}

impl Transaction {
    pub(super) fn stage(&mut self, publish: Uncommitted) {
        self.publishes.push(publish);
    }

    pub(super) fn settle(&mut self, taken: Vec<Unacked>, settlement: Settlement) {
        self.settlements.push((taken, settlement));
    }

    /// Number of publishes that wait for the commit.
    pub(super) fn publishes(&self) -> u64 {
        self.publishes.len() as u64
    }

    /// Number of deliveries that were settled and wait for the commit.
    pub(super) fn settled(&self) -> u64 {
        self.settlements.iter().map(|(taken, _)| taken.len() as u64).sum()
    }

    /// The deliveries whose settlement was never committed.
    pub(super) fn into_unsettled(self) -> impl Iterator<Item = Unacked> {
        self.settlements.into_iter().flat_map(|(taken, _)| taken)
    }
}
