//! How a vhost gets back what is written down, when the broker starts.

use std::sync::Arc;

use super::{Vhost, no_queue};
use crate::broker::exchange::binding::{Binding, Destination, DestinationKind};
use crate::broker::queue::{Queue, Settings};
use crate::wire::Fault;

impl Vhost {
    /// Puts a queue in that is written down, when the broker starts.
    pub(in crate::broker) fn restore_queue(&self, settings: Settings) {
        let queue = Queue::new(settings, self.shared.clone(), 0);
        if let Some(exchange) = queue.settings().holds_for() {
            // An exchange that was never written down, or struck out since, has nothing to keep.
            if let Some(exchange) = self.write().exchanges.get_mut(exchange) {
                exchange.holder = Some(Arc::clone(&queue));
            }
            return;
        }
        self.apply_policies_to_new(&queue, 0);
        self.write().queues.insert(queue.name().clone(), queue);
    }

    /// Puts a binding in that is written down, when the broker starts.
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
        topology.exchange(&binding.source, &self.name)?.check_binding(&binding, &destination)?;
        topology.bind(binding, &destination);
        Ok(())
    }
}
