//! The destinations of bindings, ready to be used.

use std::sync::Arc;

use indexmap::IndexMap;

use super::binding::{DestinationKind, DestinationName};
use crate::broker::arguments::QueueKind;
use crate::broker::queue::Queue;
use crate::wire::ShortStr;

/// A queue, or the name of an exchange, that a binding leads to.
#[derive(Clone, Debug)]
pub enum Destination {
    Queue(Arc<Queue>),
    Exchange(ShortStr),
}

impl Destination {
    pub fn name(&self) -> DestinationName {
        match self {
            Self::Queue(queue) => {
                DestinationName { kind: DestinationKind::Queue, name: queue.name().clone() }
            }
            Self::Exchange(name) => {
                DestinationName { kind: DestinationKind::Exchange, name: name.clone() }
            }
        }
    }

    /// The type of the queue; `None` for an exchange.
    pub fn queue_kind(&self) -> Option<QueueKind> {
        match self {
            Self::Queue(queue) => Some(queue.settings().kind),
            Self::Exchange(_) => None,
        }
    }
}

/// Destinations that share a pattern, each with how many bindings lead there.
#[derive(Debug, Default)]
pub(super) struct Targets(IndexMap<DestinationName, (Destination, usize)>);

impl Targets {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, destination: &Destination) {
        let entry = self.0.entry(destination.name());
        entry.or_insert_with(|| (destination.clone(), 0)).1 += 1;
    }

    pub(super) fn remove(&mut self, name: &DestinationName) {
        let Some((_, count)) = self.0.get_mut(name) else { return };
        *count -= 1;
        if *count == 0 {
            self.0.swap_remove(name);
        }
    }

    pub(super) fn collect<'a>(&'a self, into: &mut Vec<&'a Destination>) {
        into.extend(self.0.values().map(|(destination, _)| destination));
    }
}
