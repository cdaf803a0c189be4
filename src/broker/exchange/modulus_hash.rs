//! `x-modulus-hash`: a message goes to one of the destinations, chosen by the hash of its routing key modulo their
//! number.
//!
//! The order of the destinations is that of the hashes of their names, not that of binding. The hashes never change
//! ([`StableHash`]), so a key keeps its queue over restarts and releases, as long as the bindings stay. They are not
//! RabbitMQ's.

use indexmap::IndexMap;

use super::binding::{Binding, BindingKey};
use super::targets::Destination;
use crate::broker::stable_hash::StableHash;

/// The bindings in the order of their destinations' hashes.
#[derive(Debug, Default)]
pub(super) struct ModulusHash {
    /// Each with the hash of its destination's name.
    targets: IndexMap<BindingKey, (u64, Destination)>,
}

impl ModulusHash {
    pub(super) fn bind(&mut self, binding: &Binding, destination: &Destination) {
        let seed = destination.name().stable_hash();
        self.targets.insert(binding.key(), (seed, destination.clone()));
        self.targets.sort_by(|_, (one, _), _, (other, _)| one.cmp(other));
    }

    pub(super) fn unbind(&mut self, key: &BindingKey) {
        self.targets.shift_remove(key);
    }

    /// Collects the one destination of a message; the number of bindings takes no part in the cost.
    pub(super) fn matches<'a>(&'a self, key: &str, into: &mut Vec<&'a Destination>) {
        let count = self.targets.len().max(1) as u64;
        let at = usize::try_from(StableHash::of_text(key) % count).ok();
        let chosen = at.and_then(|at| self.targets.get_index(at));
        into.extend(chosen.map(|(_, (_, destination))| destination));
    }
}
