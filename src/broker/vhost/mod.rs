//! A virtual host: names, permissions and messages of its own.
//!
//! The topology stands under one lock, read by publishes that have no remembered route and written by
//! declarations. `epoch` grows with every change, so that a channel can tell whether a route it remembers
//! still holds without taking the lock.
//!
//! Reading order: [`Vhost::route`] (the publish line), [`Vhost::declare_queue`], [`Vhost::delete_queue`],
//! [`Vhost::bind`].

mod addition;
mod bind;
mod delete;
mod exchanges;
mod govern;
mod restore;

pub(in crate::broker) use addition::Addition;
pub use bind::Replay;
pub(in crate::broker) use restore::restore;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, RwLockReadGuard, RwLockWriteGuard, Weak};

use self::govern::Governed;
use crate::broker::arguments::{
    self, Lifetime, QueueArguments, QueueKind, exchange_noun, queue_noun,
};
use crate::broker::durable::VhostDefinitions;
use crate::broker::exchange::binding::{Binding, DestinationKind, DestinationName};
use crate::broker::exchange::{Exchange, ExchangeKind, ExchangeSettings};
use crate::broker::queue::{self, Queue, Settings};
use crate::broker::registry::ConnectionId;
use crate::broker::route::Route;
use crate::broker::stats::{ChurnCounters, ExchangeCounters, MessageCounters};
use crate::broker::time::Millis;
use crate::broker::topology::Topology;
use crate::lock::{Mutex, RwLock};
use crate::wire::shortstr::literal;
use crate::wire::{Fault, FieldTable, ReplyCode, ShortStr};

/// Bindings that are taken out under one lock of the topology, which publishers may wait for: a millisecond or two.
const PIECE_LEN: usize = 1000;

/// A virtual host.
#[derive(Debug)]
pub struct Vhost {
    name: ShortStr,
    topology: RwLock<Topology>,
    epoch: AtomicU64,
    /// A thread that changes the topology holds this, from looking at what is there until all can see the change.
    /// Meanwhile the change is written down; publishes go on.
    changing: Mutex<()>,
    /// The change under way is a long one.
    is_change_long: AtomicBool,
    definitions: VhostDefinitions,
    /// Durable auto-delete exchanges that have lost their last binding and could not be struck out yet.
    left_over: Mutex<Vec<ShortStr>>,
    /// The state that its queues share with those of the other vhosts.
    shared: queue::Shared,
    /// Counts of channels that have ended; open ones count for themselves.
    pub counters: MessageCounters,
    churn: Arc<ChurnCounters>,
    governed: Governed,
}

/// The arguments of `queue.declare`.
#[derive(Clone, Debug)]
pub struct QueueDeclaration {
    pub name: ShortStr,
    pub is_durable: bool,
    pub is_exclusive: bool,
    pub is_auto_delete: bool,
    pub arguments: FieldTable,
}

impl QueueDeclaration {
    fn lifetime(&self) -> Lifetime {
        let Self { is_durable, is_exclusive, is_auto_delete, .. } = *self;
        Lifetime { is_durable, is_exclusive, is_auto_delete }
    }
}

/// Conditions under which something is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteIf {
    pub unused: bool,
    pub empty: bool,
}

/// The ends of a binding, by name.
#[derive(Clone, Debug)]
pub struct BindingRequest {
    pub source: ShortStr,
    pub destination: DestinationName,
    pub routing_key: ShortStr,
    pub arguments: FieldTable,
}

/// An exchange as listings show it.
#[derive(Clone, Debug)]
pub struct ExchangeInfo {
    pub settings: ExchangeSettings,
    pub vhost: ShortStr,
    pub counters: Arc<ExchangeCounters>,
    /// Messages a delayed exchange keeps; none for any other.
    pub delayed: Option<usize>,
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

fn refused(text: String) -> Fault {
    Fault::new(ReplyCode::AccessRefused, text)
}

fn not_default(exchange: &str) -> Result<(), Fault> {
    if exchange.is_empty() {
        return Err(refused("operation not permitted on the default exchange".to_owned()));
    }
    Ok(())
}

fn not_reserved(kind: &str, name: &str) -> Result<(), Fault> {
    if name.starts_with("amq.") {
        let text = format!("{kind} name '{name}' contains reserved prefix 'amq.*'");
        return Err(refused(text));
    }
    Ok(())
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
            shared: queue::Shared { letter_publisher: Some(this.clone() as Weak<_>), ..shared },
            counters,
            churn,
            governed: Governed::default(),
        })
    }

    pub fn name(&self) -> &ShortStr {
        &self.name
    }

    fn read(&self) -> RwLockReadGuard<'_, Topology> {
        self.topology.read()
    }

    /// Begins a change, alone: the topology as read from now on holds until the guard is dropped.
    fn changing(&self) -> MutexGuard<'_, ()> {
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
    fn change_many<T>(&self, bindings_len: usize, change: impl FnOnce() -> T) -> T {
        if bindings_len <= PIECE_LEN {
            return change();
        }
        self.is_change_long.store(true, Ordering::Relaxed);
        let changed = self.shared.blocking.run(change);
        self.is_change_long.store(false, Ordering::Relaxed);
        changed
    }

    fn left_over(&self) -> MutexGuard<'_, Vec<ShortStr>> {
        self.left_over.lock()
    }

    /// Opens the topology for a change; routes remembered so far no longer hold.
    fn write(&self) -> RwLockWriteGuard<'_, Topology> {
        let topology = self.topology.write();
        self.epoch.fetch_add(1, Ordering::Release);
        topology
    }

    /// Grows with every change of the topology.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Finds where a message with these encoded properties goes.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when there is no such exchange, `ACCESS_REFUSED` when it is internal.
    pub fn route(
        &self,
        exchange: &str,
        routing_keys: &[&str],
        properties: &[u8],
    ) -> Result<Route, Fault> {
        let topology = self.read();
        let source = topology.exchange(exchange, &self.name)?;
        if source.settings.is_internal {
            let noun = exchange_noun(exchange, &self.name);
            return Err(refused(format!("cannot publish to internal {noun}")));
        }
        Ok(topology.route(source, routing_keys, properties).traced(self.is_traced()))
    }

    /// Finds where a message of the broker's own goes: nowhere when there is no such exchange. An internal one takes
    /// it too.
    pub(in crate::broker) fn route_within(
        &self,
        exchange: &str,
        routing_keys: &[&str],
        properties: &[u8],
    ) -> Route {
        let topology = self.read();
        match topology.exchanges.get(exchange) {
            Some(source) => topology.route(source, routing_keys, properties),
            None => Route::nowhere(),
        }
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

    /// Finds a queue that `connection` may use; one that is ending is waited for.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when there is none, `RESOURCE_LOCKED` when it is exclusive to another connection.
    pub fn queue(&self, name: &str, connection: ConnectionId) -> Result<Arc<Queue>, Fault> {
        let find = || {
            let queue = self.read().queues.get(name).cloned();
            queue.ok_or_else(|| no_queue(name, &self.name))
        };
        let mut queue = find()?;
        if queue.is_being_deleted() {
            drop(self.changing());
            queue = find()?;
        }
        match queue.settings().exclusive_owner {
            Some(owner) if owner != connection => Err(locked(&queue_noun(name, &self.name))),
            Some(_) | None => Ok(queue),
        }
    }

    /// Declares a queue, or checks that the one of that name is the same.
    pub fn declare_queue(
        &self,
        mut asked: QueueDeclaration,
        server_named: bool,
        connection: ConnectionId,
        now: Millis,
    ) -> Result<Arc<Queue>, Fault> {
        self.give_type(&mut asked);
        let noun = queue_noun(&asked.name, &self.name);
        let context = arguments::Context { noun: &noun, compat: self.shared.compat.get() };
        if server_named {
            check_server_named(QueueKind::of(&asked.arguments))?;
        } else {
            not_reserved("queue", &asked.name)?;
        }
        self.churn.queue_declared.add(1);
        // RabbitMQ: an exclusive queue goes with its connection and is never durable.
        asked.is_durable &= !asked.is_exclusive;
        if let Some(queue) = self.read().queues.get(&asked.name)
            && queue.touch(now)
        {
            return same_queue(queue, &asked, connection, context);
        }
        let wanted = QueueArguments::check(&asked.arguments, asked.lifetime(), context)?;
        let _changing = self.changing();
        // Another thread may have declared it just before, or it was being deleted and has stayed.
        if let Some(queue) = self.read().queues.get(&asked.name) {
            queue.touch(now);
            return same_queue(queue, &asked, connection, context);
        }
        self.check_room(&asked.name, 0)?;
        let mut settings = self.settings_of_new(asked, connection, wanted);
        if settings.is_durable {
            settings.id = self.definitions.add_queue(&settings)?;
        }
        let queue = Queue::new(settings, self.shared.clone(), now);
        self.apply_policies_to_new(&queue, now);
        self.write().queues.insert(queue.name().clone(), Arc::clone(&queue));
        self.churn.queue_created.add(1);
        Ok(queue)
    }

    /// Makes the settings of a queue that was asked for and checked; it has no id yet.
    fn settings_of_new(
        &self,
        asked: QueueDeclaration,
        connection: ConnectionId,
        wanted: QueueArguments,
    ) -> Settings {
        Settings {
            id: None,
            name: asked.name,
            vhost: self.name.clone(),
            is_durable: asked.is_durable,
            is_auto_delete: asked.is_auto_delete,
            exclusive_owner: asked.is_exclusive.then_some(connection),
            arguments: asked.arguments,
            wanted,
        }
    }

    /// All queues, in the order of their names.
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        let mut queues: Vec<_> = self.read().queues.values().cloned().collect();
        queues.sort_by(|one, other| one.name().cmp(other.name()));
        queues
    }

    /// The queue of that name, for those who only look at it.
    pub fn find_queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.read().queues.get(name).cloned()
    }

    /// All bindings, those of the default exchange included, in the order of source and destination.
    pub fn bindings(&self) -> Vec<Binding> {
        self.bindings_that(|_| true)
    }

    /// Returns the bindings for which `wanted` is true.
    pub fn bindings_that(&self, wanted: impl Fn(&Binding) -> bool) -> Vec<Binding> {
        let topology = self.read();
        let by_name = topology.queues.keys().map(|name| Binding {
            source: ShortStr::empty(),
            destination: DestinationName { kind: DestinationKind::Queue, name: name.clone() },
            routing_key: name.clone(),
            arguments: FieldTable::new(),
        });
        let made = topology.exchanges.values().flat_map(Exchange::bindings);
        let made = made.filter(|binding| wanted(binding)).cloned();
        let mut bindings: Vec<_> = by_name.filter(|binding| wanted(binding)).chain(made).collect();
        drop(topology);
        bindings.sort_by(|one, other| {
            (&one.source, &one.destination, &one.routing_key).cmp(&(
                &other.source,
                &other.destination,
                &other.routing_key,
            ))
        });
        bindings
    }
}

/// RabbitMQ: `rabbit_channel`, `queue.declare`.
fn check_server_named(kind: QueueKind) -> Result<(), Fault> {
    if kind.may_be_server_named() {
        return Ok(());
    }
    let text = format!("Cannot declare a server-named queue for type {}", kind.module());
    Err(Fault::new(ReplyCode::PreconditionFailed, text))
}

fn no_queue(name: &str, vhost: &str) -> Fault {
    Fault::new(ReplyCode::NotFound, format!("no {}", queue_noun(name, vhost)))
}

fn locked(noun: &str) -> Fault {
    let text = format!(
        "cannot obtain exclusive access to locked {noun}. It could be originally declared on another \
         connection or the exclusive property value does not match that of the original declaration."
    );
    Fault::new(ReplyCode::ResourceLocked, text)
}

/// Order of checks: RabbitMQ, `rabbit_amqqueue:assert_equivalence`.
fn same_queue(
    queue: &Arc<Queue>,
    asked: &QueueDeclaration,
    connection: ConnectionId,
    context: arguments::Context<'_>,
) -> Result<Arc<Queue>, Fault> {
    let noun = context.noun;
    let current = queue.settings();
    if current.exclusive_owner != asked.is_exclusive.then_some(connection) {
        return Err(locked(noun));
    }
    arguments::assert_flag("durable", current.is_durable, asked.is_durable, noun)?;
    arguments::assert_flag("auto_delete", current.is_auto_delete, asked.is_auto_delete, noun)?;
    let kind = current.wanted.kind;
    arguments::assert_queue_equivalence(kind, &current.arguments, &asked.arguments, context)?;
    Ok(Arc::clone(queue))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ConnectionId = ConnectionId(1);

    fn vhost() -> Arc<Vhost> {
        let name = literal("/");
        let definitions = VhostDefinitions::new(name.clone(), None);
        Vhost::new(name, queue::Shared::default(), Arc::default(), definitions)
    }

    fn declare_queue(vhost: &Vhost, name: &'static str) -> Arc<Queue> {
        let asked = QueueDeclaration {
            name: literal(name),
            is_durable: true,
            is_exclusive: false,
            is_auto_delete: false,
            arguments: FieldTable::new(),
        };
        vhost.declare_queue(asked, false, ME, 0).unwrap()
    }

    fn declare_auto_delete(vhost: &Vhost, name: &ShortStr) {
        let settings = ExchangeSettings {
            name: name.clone(),
            kind: ExchangeKind::Fanout,
            is_durable: false,
            is_auto_delete: true,
            is_internal: false,
            arguments: FieldTable::new(),
        };
        vhost.declare_exchange(settings).unwrap();
    }

    fn request(source: &ShortStr, kind: DestinationKind, name: &ShortStr) -> BindingRequest {
        BindingRequest {
            source: source.clone(),
            destination: DestinationName { kind, name: name.clone() },
            routing_key: ShortStr::empty(),
            arguments: FieldTable::new(),
        }
    }

    #[test]
    fn a_long_chain_of_auto_delete_exchanges_goes_with_its_queue() {
        let vhost = vhost();
        let predeclared = vhost.exchanges().len();
        let mut end = declare_queue(&vhost, "end").name().clone();
        let mut kind = DestinationKind::Queue;
        for at in 0..20_000 {
            let name = ShortStr::try_from(format!("chain.{at}")).unwrap();
            declare_auto_delete(&vhost, &name);
            vhost.bind(request(&name, kind, &end), ME).unwrap();
            (kind, end) = (DestinationKind::Exchange, name);
        }
        assert_eq!(vhost.exchanges().len(), predeclared + 20_000);
        vhost.delete_queue(&literal("end"), DeleteIf::default(), ME).unwrap();
        assert_eq!(vhost.exchanges().len(), predeclared);
        assert!(vhost.bindings().is_empty());
    }

    /// Were each exchange looked for among those that were asked before, this would take minutes.
    #[test]
    fn a_message_goes_through_a_long_ring_of_exchanges_once() {
        let vhost = vhost();
        let queue = declare_queue(&vhost, "q");
        let name = |at: usize| ShortStr::try_from(format!("ring.{at}")).unwrap();
        let count = 50_000;
        (0..count).for_each(|at| declare_auto_delete(&vhost, &name(at)));
        for at in 0..count {
            let next = name((at + 1) % count);
            vhost.bind(request(&name(at), DestinationKind::Exchange, &next), ME).unwrap();
        }
        for at in [count / 2, count - 1] {
            vhost.bind(request(&name(at), DestinationKind::Queue, queue.name()), ME).unwrap();
        }
        let route = vhost.route(&name(0), &[""], &[]).unwrap();
        assert_eq!(route.queues().len(), 1, "the queue is found twice, and gets the message once");
    }

    /// Were each looked for among all that lead to the queue, this would take minutes.
    #[test]
    fn many_bindings_to_one_queue_go_one_by_one_or_all_together() {
        let vhost = vhost();
        let queue = declare_queue(&vhost, "q").name().clone();
        let exchange = literal("x");
        let bindings = |vhost: &Vhost| vhost.bindings().len();
        let bind_all = || {
            for at in 0..50_000 {
                let routing_key = ShortStr::try_from(format!("key.{at}")).unwrap();
                let request = request(&exchange, DestinationKind::Queue, &queue);
                vhost.bind(BindingRequest { routing_key, ..request }, ME).unwrap();
            }
        };
        declare_auto_delete(&vhost, &exchange);
        bind_all();
        for at in 0..49_999 {
            let routing_key = ShortStr::try_from(format!("key.{at}")).unwrap();
            let request = request(&exchange, DestinationKind::Queue, &queue);
            vhost.unbind(BindingRequest { routing_key, ..request }, ME).unwrap();
        }
        // The queue's own to the default exchange, and the last.
        assert_eq!(bindings(&vhost), 2);
        bind_all();
        vhost.delete_exchange(&exchange, DeleteIf::default()).unwrap();
        assert_eq!(bindings(&vhost), 1);
        assert!(vhost.read().bound_to.is_empty());
    }

    /// The destination goes between the two locks that a bind takes, one after the other.
    #[test]
    fn a_binding_is_never_made_to_what_has_gone() {
        let (vhost, queue) = (vhost(), literal("q"));
        let [source, target] = ["amq.topic", "target"].map(literal);
        declare_queue(&vhost, "q");
        declare_auto_delete(&vhost, &target);
        let to_queue = request(&source, DestinationKind::Queue, &queue);
        let to_exchange = request(&source, DestinationKind::Exchange, &target);
        let old_queue = vhost.destination(&to_queue, ME).unwrap();
        let old_exchange = vhost.destination(&to_exchange, ME).unwrap();
        vhost.delete_queue(&queue, DeleteIf::default(), ME).unwrap();
        vhost.delete_exchange(&target, DeleteIf::default()).unwrap();

        let no_queue = "no queue 'q' in vhost '/'";
        let refusal = |request: &BindingRequest, destination| {
            let fault = vhost.bind_to(request.clone(), destination).unwrap_err();
            assert_eq!(fault.code, ReplyCode::NotFound);
            fault.text
        };
        assert_eq!(refusal(&to_queue, &old_queue), no_queue);
        assert_eq!(refusal(&to_exchange, &old_exchange), "no exchange 'target' in vhost '/'");
        let from_nowhere = request(&literal("nowhere"), DestinationKind::Queue, &queue);
        assert_eq!(refusal(&from_nowhere, &old_queue), "no exchange 'nowhere' in vhost '/'");

        // A queue of the same name is not the one that was found, and can be bound afterwards.
        let new_queue = declare_queue(&vhost, "q");
        assert_eq!(refusal(&to_queue, &old_queue), no_queue);
        vhost.bind(to_queue, ME).unwrap();
        let route = vhost.route(&source, &[""], &[]).unwrap();
        assert_eq!(route.queues().len(), 1);
        assert!(Arc::ptr_eq(&route.queues()[0], &new_queue));
    }
}
