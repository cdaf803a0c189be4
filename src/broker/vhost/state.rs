//! A vhost's data: its topology under a lock, and the door to every change of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, RwLockReadGuard, RwLockWriteGuard, Weak};

use super::governed::Governed;
use crate::broker::durable::VhostDefinitions;
use crate::broker::exchange::{Exchange, ExchangeKind, ExchangeSettings};
use crate::broker::queue;
use crate::broker::stats::{ChurnCounters, ConnectionCounters, MessageCounters};
use crate::broker::topology::Topology;
use crate::lock::{Mutex, RwLock};
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, ShortStr};

/// Bindings that are taken out under one lock of the topology, which publishers may wait for: a millisecond or two.
pub(super) const PIECE_LEN: usize = 1000;

/// A virtual host.
#[derive(Debug)]
pub struct Vhost {
    pub(super) name: ShortStr,
    topology: RwLock<Topology>,
    epoch: AtomicU64,
    /// A thread that changes the topology holds this, from looking at what is there until all can see the change.
    /// Meanwhile the change is written down; publishes go on.
    changing: Mutex<()>,
    /// The change under way is a long one.
    pub(super) is_change_long: AtomicBool,
    pub(super) definitions: VhostDefinitions,
    /// Durable auto-delete exchanges that have lost their last binding and could not be struck out yet.
    left_over: Mutex<Vec<ShortStr>>,
    /// The state that its queues share with those of the other vhosts.
    pub(super) shared: Arc<queue::Shared>,
    /// Counts of channels that have ended; open ones count for themselves.
    pub counters: MessageCounters,
    /// Counts of connections that have ended.
    pub octets: ConnectionCounters,
    pub(super) churn: Arc<ChurnCounters>,
    pub(super) governed: Governed,
}

/// The numbers of things in a vhost.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) struct TopologyLen {
    pub(in crate::broker) queues: usize,
    pub(in crate::broker) exchanges: usize,
}

/// The exchanges every vhost starts with.
fn predeclared() -> impl Iterator<Item = ExchangeSettings> {
    let names = [
        ("", ExchangeKind::Direct),
        ("amq.direct", ExchangeKind::Direct),
        ("amq.fanout", ExchangeKind::Fanout),
        ("amq.headers", ExchangeKind::Headers),
        ("amq.match", ExchangeKind::Headers),
        ("amq.rabbitmq.trace", ExchangeKind::Topic),
        ("amq.topic", ExchangeKind::Topic),
    ];
    names.into_iter().map(|(name, kind)| ExchangeSettings {
        name: literal(name),
        kind,
        is_durable: true,
        is_auto_delete: false,
        is_internal: name == "amq.rabbitmq.trace",
        arguments: FieldTable::new(),
    })
}

impl Drop for Vhost {
    /// Its last connection has ended, if it was deleted.
    fn drop(&mut self) {
        self.shared.ended.channels.absorb(&self.counters);
    }
}

impl Vhost {
    pub(in crate::broker) fn new(
        name: ShortStr,
        shared: queue::Shared,
        churn: Arc<ChurnCounters>,
        definitions: VhostDefinitions,
    ) -> Arc<Self> {
        let mut topology = Topology::default();
        for settings in predeclared() {
            topology
                .exchanges
                .insert(settings.name.clone(), Exchange::new(settings, &shared.compat));
        }
        let topology = RwLock::new(topology);
        let (epoch, counters) = (AtomicU64::new(0), MessageCounters::default());
        let (changing, left_over) = (Mutex::new(()), Mutex::default());
        let is_change_long = AtomicBool::new(false);
        Arc::new_cyclic(|this| Self {
            name,
            topology,
            epoch,
            changing,
            is_change_long,
            definitions,
            left_over,
            shared: queue::Shared { letter_publisher: Some(this.clone() as Weak<_>), ..shared }
                .into(),
            counters,
            octets: ConnectionCounters::default(),
            churn,
            governed: Governed::default(),
        })
    }

    pub fn name(&self) -> &ShortStr {
        &self.name
    }

    /// Counts its queues and exchanges.
    pub(in crate::broker) fn len(&self) -> TopologyLen {
        let topology = self.read();
        TopologyLen { queues: topology.queues.len(), exchanges: topology.exchanges.len() }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Topology> {
        self.topology.read()
    }

    /// Begins a change, alone: the topology as read from now on holds until the guard is dropped.
    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        match self.changing.try_lock() {
            Some(guard) => guard,
            // A thread that only waits must not keep other work from running meanwhile.
            None if self.is_change_long.load(Ordering::Relaxed) => {
                self.shared.blocking.run(|| self.changing.lock())
            }
            None => self.changing.lock(),
        }
    }

    /// Carries a change out, aside when it is of so many bindings that it takes long.
    pub(super) fn change_many<T>(&self, bindings_len: usize, change: impl FnOnce() -> T) -> T {
        if bindings_len <= PIECE_LEN {
            return change();
        }
        self.is_change_long.store(true, Ordering::Relaxed);
        let changed = self.shared.blocking.run(change);
        self.is_change_long.store(false, Ordering::Relaxed);
        changed
    }

    pub(super) fn left_over(&self) -> MutexGuard<'_, Vec<ShortStr>> {
        self.left_over.lock()
    }

    /// Opens the topology for a change; routes remembered so far no longer hold.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Topology> {
        let topology = self.topology.write();
        self.epoch.fetch_add(1, Ordering::Release);
        topology
    }

    /// Grows with every change of the topology.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Returns the state that its queues share with those of the other vhosts.
    pub(in crate::broker) fn shared(&self) -> &queue::Shared {
        &self.shared
    }

    /// Makes the store write the records it was given.
    pub(in crate::broker) fn wake_store(&self) {
        if let Some(store) = self.shared.store.get() {
            store.wake_writer();
        }
    }
}
