//! `x-random` and `x-local-random`: a message goes to one of the destinations by chance.
//!
//! The two differ in the bindings that they accept: `x-local-random` accepts classic queues only, with an empty
//! key. One node is every local node.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use indexmap::IndexMap;

use super::binding::{Binding, BindingKey};
use super::targets::Destination;
use crate::broker::arguments::QueueKind;
use crate::wire::{Fault, ReplyCode};

/// The bindings, and the source of chance.
#[derive(Debug, Default)]
pub(super) struct Random {
    targets: IndexMap<BindingKey, Destination>,
    hasher: RandomState,
    /// Grows with every choice.
    serial: AtomicU64,
}

impl Random {
    pub(super) fn bind(&mut self, binding: &Binding, destination: &Destination) {
        self.targets.insert(binding.key(), destination.clone());
    }

    pub(super) fn unbind(&mut self, key: &BindingKey) {
        self.targets.shift_remove(key);
    }

    /// Collects the one destination of a message; the number of bindings takes no part in the cost.
    pub(super) fn matches<'a>(&'a self, into: &mut Vec<&'a Destination>) {
        let drawn = self.hasher.hash_one(self.serial.fetch_add(1, Ordering::Relaxed));
        let count = self.targets.len().max(1) as u64;
        let at = usize::try_from(drawn % count).ok();
        into.extend(at.and_then(|at| self.targets.get_index(at)).map(|(_, chosen)| chosen));
    }
}

/// Checks a binding of `x-local-random` (RabbitMQ: `rabbit_exchange_type_local_random:validate_binding`); `queue` is
/// the type of the queue that it leads to, `None` for an exchange.
///
/// # Errors
///
/// `PRECONDITION_FAILED` in RabbitMQ's words for a routing key, another type of queue, or an exchange.
pub(super) fn check_local(routing_key: &str, queue: Option<QueueKind>) -> Result<(), Fault> {
    let text = match queue {
        _ if !routing_key.is_empty() => {
            format!("Non empty binding '{routing_key}' key not permitted")
        }
        Some(QueueKind::Classic) => return Ok(()),
        Some(kind) => format!("Queue type {} not valid for this exchange type", kind.module()),
        None => "Destination not found".to_owned(),
    };
    Err(Fault::new(ReplyCode::PreconditionFailed, text))
}
