//! Definitions that are on disk, given to their vhosts: when the broker starts, and when definitions are imported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::refusals::no_queue;
use super::state::Vhost;
use crate::broker::arguments::{exchange_noun, queue_noun};
use crate::broker::compat::Compat;
use crate::broker::durable::{InVhost, RowProblem, binding_noun, damaged, read, rows};
use crate::broker::exchange::Destination;
use crate::broker::exchange::binding::{Binding, DestinationKind};
use crate::broker::queue::{Queue, Settings};
use crate::broker::time::Millis;
use crate::store::StoreError;
use crate::store::definitions::Definitions;
use crate::wire::{Fault, ShortStr};

/// Gives vhosts their exchanges, queues and bindings.
///
/// # Errors
///
/// Names the row that refers to something that does not exist.
pub(in crate::broker) fn restore(
    vhosts: &BTreeMap<ShortStr, Arc<Vhost>>,
    definitions: &Definitions,
) -> Result<(), StoreError> {
    let vhost = |name: &ShortStr, noun: &dyn Fn() -> String| {
        let missing = || RowProblem::Missing(format!("vhost '{name}'"));
        vhosts.get(name).ok_or_else(|| damaged(definitions, &noun(), missing()))
    };
    for InVhost { vhost: name, row: exchange } in read(definitions, &rows::EXCHANGES)? {
        let noun = || exchange_noun(&exchange.name, &name);
        vhost(&name, &noun)?.restore_exchange(exchange);
    }
    // Queues share the names of their users.
    let mut users = BTreeSet::new();
    for mut settings in read(definitions, &rows::QUEUES)? {
        if let Some(user) = settings.declared_by.take() {
            let known = users.get(&user).cloned();
            settings.declared_by = Some(known.unwrap_or_else(|| user.clone()));
            users.insert(user);
        }
        let name = settings.vhost.clone();
        let noun = || queue_noun(&settings.name, &name);
        vhost(&name, &noun)?.restore_queue(settings, 0);
    }
    for InVhost { vhost: name, row: binding } in read(definitions, &rows::BINDINGS)? {
        let noun = binding_noun(&binding, &name);
        let restored = vhost(&name, &|| noun.clone())?.restore_binding(binding);
        restored.map_err(|fault| damaged(definitions, &noun, RowProblem::Refused(fault)))?;
    }
    Ok(())
}

impl Vhost {
    /// Puts a queue in that is written down, or need not be.
    pub(in crate::broker) fn restore_queue(&self, settings: Settings, now: Millis) {
        let queue = Queue::new(settings, Arc::clone(&self.shared), now);
        if let Some(exchange) = queue.settings().holds_for() {
            // An exchange that was never written down, or struck out since, has nothing to keep.
            if let Some(exchange) = self.write().exchanges.get_mut(exchange) {
                exchange.holder = Some(Arc::clone(&queue));
            }
            return;
        }
        self.apply_policies_to_new(&queue, now);
        self.write().queues.insert(queue.name().clone(), queue);
    }

    /// Puts a binding in that is written down, or need not be.
    ///
    /// # Errors
    ///
    /// Names what it speaks of that is not there.
    pub(in crate::broker) fn restore_binding(&self, binding: Binding) -> Result<(), Fault> {
        let mut topology = self.write();
        topology.exchange(&binding.source, &self.name)?;
        let name = &binding.destination.name;
        let destination = match binding.destination.kind {
            DestinationKind::Queue => {
                let queue = topology.queues.get(name).cloned();
                Destination::Queue(queue.ok_or_else(|| no_queue(name, &self.name))?)
            }
            DestinationKind::Exchange => {
                topology.exchange(name, &self.name)?;
                Destination::Exchange(name.clone())
            }
        };
        let source = &topology.exchange(&binding.source, &self.name)?.settings;
        // It was accepted by the release that made it, perhaps with a more lenient `--compat`.
        source.check_binding(&binding, destination.queue_kind(), Compat::default())?;
        topology.bind(binding, &destination);
        Ok(())
    }
}
