//! A removal: a queue, an exchange or a binding, its bindings, and the auto-delete exchanges that lose their last
//! binding.
//!
//! It is found before anything is taken out of the topology, because its rows are removed from the definitions first.
//! The search is a list and not a recursion, because a client chooses the length of a chain of exchanges.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::durable::RemovedRows;
use super::exchange::Exchange;
use super::exchange::binding::{BindingKey, DestinationKind, DestinationName};
use super::queue::Queue;
use super::topology::Topology;
use crate::wire::ShortStr;

/// The remains of a removal, which may take long to drop.
#[derive(Debug, Default)]
pub(super) struct Removed {
    exchanges: Vec<Exchange>,
    bound_to: Vec<HashSet<(ShortStr, BindingKey)>>,
    bindings: Vec<(ShortStr, BindingKey)>,
}

impl Removed {
    /// The exchanges that were removed.
    pub(super) fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// The queues in which removed exchanges kept messages.
    pub(super) fn holders(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.exchanges.iter().filter_map(|exchange| exchange.holder.as_ref())
    }
}

/// Things that are deleted together.
#[derive(Debug, Default)]
pub(super) struct Removal {
    pub(super) queue: Option<ShortStr>,
    pub(super) exchanges: Vec<ShortStr>,
    /// Each with its source, those of exchanges that go included.
    pub(super) bindings: Vec<(ShortStr, BindingKey)>,
    /// Durable exchanges that should be deleted too, and stay until their rows can be removed.
    pub(super) left_over: Vec<ShortStr>,
}

impl Removal {
    pub(super) fn of_queue(topology: &Topology, name: &ShortStr) -> Self {
        Search::new(topology).take_queue(name)
    }

    /// Finds the removal of a queue that is not written down, and of things that go with it only those that are not
    /// either.
    pub(super) fn of_unwritten_queue(topology: &Topology, name: &ShortStr) -> Self {
        Search { spares_durable: true, ..Search::new(topology) }.take_queue(name)
    }

    /// Finds the removal of those exchanges that are still there and have no binding.
    pub(super) fn of_left_over(topology: &Topology, names: &[ShortStr]) -> Self {
        let mut search = Search::new(topology);
        for name in names {
            let exchange = topology.exchanges.get(name);
            if exchange.is_some_and(|one| one.settings.is_auto_delete && !one.has_bindings()) {
                search.take_exchange(name);
            }
        }
        search.finish()
    }

    pub(super) fn of_exchange(topology: &Topology, name: &ShortStr) -> Self {
        let mut search = Search::new(topology);
        if let Some(exchange) = topology.exchanges.get(name) {
            let bindings = exchange.binding_keys().map(|key| (name.clone(), key.clone()));
            search.removal.bindings.extend(bindings);
            search.take_exchange(name);
        }
        search.finish()
    }

    /// The binding, if it is there.
    pub(super) fn of_binding(topology: &Topology, source: &ShortStr, key: &BindingKey) -> Self {
        let mut search = Search::new(topology);
        if topology.exchanges.get(source).is_some_and(|exchange| exchange.has_binding(key)) {
            search.take_binding(source, key);
        }
        search.finish()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_none() && self.exchanges.is_empty() && self.bindings.is_empty()
    }

    /// Returns the parts of it that the definitions hold.
    pub(super) fn struck(&self, topology: &Topology) -> RemovedRows<'_> {
        let is_durable = |kind: DestinationKind, name: &ShortStr| {
            topology.is_durable(&DestinationName { kind, name: name.clone() })
        };
        let queue = self.queue.as_ref();
        let holder = |name: &ShortStr| topology.exchanges.get(name)?.holder.clone();
        let holders = self.exchanges.iter().filter_map(holder);
        let holders = holders.filter(|holder| holder.settings().is_durable);
        RemovedRows {
            holders: holders.map(|holder| holder.name().clone()).collect(),
            queue: queue.filter(|name| is_durable(DestinationKind::Queue, name)),
            exchanges: self
                .exchanges
                .iter()
                .filter(|name| is_durable(DestinationKind::Exchange, name))
                .collect(),
            bindings: self
                .bindings
                .iter()
                .filter(|(source, key)| {
                    is_durable(DestinationKind::Exchange, source)
                        && topology.is_durable(key.destination())
                })
                .collect(),
        }
    }

    /// Takes everything out of the topology. The caller drops the remains after it has released the lock, because that
    /// may take long.
    pub(super) fn take_out(self, topology: &mut Topology) -> Removed {
        let Self { queue, exchanges, bindings, left_over: _ } = self;
        let mut remains = Removed::default();
        for name in exchanges {
            remains.exchanges.extend(topology.exchanges.remove(&name));
            let exchange = DestinationName { kind: DestinationKind::Exchange, name };
            remains.bound_to.extend(topology.bound_to.remove(&exchange));
        }
        if let Some(name) = queue {
            topology.queues.remove(&name);
            // Most queues that come and go are in a vhost without bindings: their names need not be looked for.
            if !topology.bound_to.is_empty() {
                let queue = DestinationName { kind: DestinationKind::Queue, name };
                remains.bound_to.extend(topology.bound_to.remove(&queue));
            }
        }
        for bound in &bindings {
            let (source, key) = bound;
            // Gone as a whole, or it loses one of its bindings.
            if let Some(exchange) = topology.exchanges.get_mut(source) {
                exchange.unbind(key);
            }
            forget_bound(topology, bound);
        }
        remains.bindings = bindings;
        remains
    }
}

fn forget_bound(topology: &mut Topology, binding: &(ShortStr, BindingKey)) {
    let (_, key) = binding;
    let Some(bound) = topology.bound_to.get_mut(key.destination()) else { return };
    bound.remove(binding);
    if bound.is_empty() {
        topology.bound_to.remove(key.destination());
    }
}

/// The search for everything that is deleted with something.
struct Search<'a> {
    topology: &'a Topology,
    removal: Removal,
    /// The number of bindings left to each exchange that has lost some.
    left: HashMap<ShortStr, usize>,
    gone: HashSet<ShortStr>,
    /// Deleted things to which bindings may lead.
    ends: Vec<DestinationName>,
    /// Durable exchanges stay, and so does everything that would go with them.
    spares_durable: bool,
}

impl<'a> Search<'a> {
    fn new(topology: &'a Topology) -> Self {
        Self {
            topology,
            removal: Removal::default(),
            left: HashMap::new(),
            gone: HashSet::new(),
            ends: Vec::new(),
            spares_durable: false,
        }
    }

    fn take_queue(mut self, name: &ShortStr) -> Removal {
        self.removal.queue = Some(name.clone());
        self.ends.push(DestinationName { kind: DestinationKind::Queue, name: name.clone() });
        self.finish()
    }

    fn take_exchange(&mut self, name: &ShortStr) {
        self.gone.insert(name.clone());
        self.removal.exchanges.push(name.clone());
        self.ends.push(DestinationName { kind: DestinationKind::Exchange, name: name.clone() });
    }

    fn take_binding(&mut self, source: &ShortStr, key: &BindingKey) {
        let Some(exchange) = self.topology.exchanges.get(source) else { return };
        self.removal.bindings.push((source.clone(), key.clone()));
        let left = self.left.entry(source.clone()).or_insert_with(|| exchange.bindings_len());
        *left -= 1;
        if *left > 0 || !exchange.settings.is_auto_delete {
            return;
        }
        if self.spares_durable && exchange.settings.is_durable {
            self.removal.left_over.push(source.clone());
        } else {
            self.take_exchange(source);
        }
    }

    fn finish(mut self) -> Removal {
        let topology = self.topology;
        while let Some(end) = self.ends.pop() {
            for (source, key) in topology.bound_to.get(&end).into_iter().flatten() {
                // An exchange that goes has given up its bindings already.
                if !self.gone.contains(source) {
                    self.take_binding(source, key);
                }
            }
        }
        self.removal
    }
}
