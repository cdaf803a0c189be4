//! What a broker knows: vhosts, exchanges, queues, who is connected. Synchronous: no sockets, no frames, no
//! clock (`now` is an argument, in milliseconds since the broker started).
//!
//! Lock order, here and nowhere else: vhost (changing, topology), then the order of streams ([`StreamOrder`]), then queue,
//! then mailbox or timers or the store's. No lock but the order of streams is held when another queue is called or a message
//! is read, and none across an `.await` (there is none here).
//!
//! The publish line through this layer: [`vhost::Vhost::route`] (or the route a channel remembers),
//! [`queue::Queue::push`], [`mailbox::Mailbox`].

pub mod admin;
pub mod alarm;
pub mod arguments;
pub mod auth;
pub mod compat;
pub mod dead_letter;
pub mod deprecated;
pub mod durable;
pub mod errand;
pub mod exchange;
pub mod limits;
pub mod mailbox;
pub mod memory;
pub mod message;
pub mod policies;
pub mod queue;
pub mod registry;
mod removal;
pub mod replies;
pub mod stats;
pub mod timers;
mod topology;
pub mod trace;
pub mod vhost;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

pub use self::queue::StreamOrder;
pub use topology::Route;

use self::admin::{Parameters, VhostMetadata};
use self::alarm::Alarm;
use self::auth::{Permission, Permissions, User, Users};
use self::compat::Compat;
use self::durable::{Granted, Ledger, Record, Recovery, SavedUser, SavedVhost};
use self::limits::NodeLimits;
use self::queue::{EndIf, Millis};
use self::registry::{Peer, Registry};
use self::replies::Replies;
use self::stats::ChurnCounters;
use self::timers::Timers;
use self::vhost::Vhost;
use crate::store::definitions::Definitions;
use crate::store::{Runner, Store, StoreError};
use crate::wire::shortstr::literal;
use crate::wire::{Fault, ReplyCode, ShortStr};

/// The first user of a new broker. The salt keeps two brokers' hashes apart; it is no secret.
fn guest(node: &str) -> User {
    let [a, b, c, d, ..] = RandomState::new().hash_one(node).to_be_bytes();
    User::guest([a, b, c, d])
}

/// A whole broker.
#[derive(Debug)]
pub struct Broker {
    /// RabbitMQ's name for a node: `mq@host`.
    pub node: String,
    vhosts: RwLock<BTreeMap<ShortStr, Arc<Vhost>>>,
    pub users: Users,
    pub permissions: Permissions,
    pub parameters: Parameters,
    /// Held while users, vhosts, permissions or parameters are changed.
    administering: Mutex<()>,
    pub registry: Registry,
    pub replies: Replies,
    pub churn: Arc<ChurnCounters>,
    pub timers: Arc<Timers>,
    /// `None` for a broker that keeps everything in memory.
    pub store: Option<Arc<Store>>,
    definitions: Option<Arc<Definitions>>,
    /// What all queues share.
    shared: queue::Shared,
    /// Publishers are to pause.
    pub alarm: Alarm,
    /// Set before anybody uses the broker.
    pub limits: NodeLimits,
    /// What every client is told first: encoded once, as it is the same for all.
    pub greeting: OnceLock<Box<[u8]>>,
}

impl Broker {
    /// A broker with nothing but the vhost `/` and the user `guest`, which keeps everything in memory.
    pub fn new(node: String) -> Self {
        let user = guest(&node);
        let (name, granted) = (literal("/"), user.name.clone());
        let metadata = VhostMetadata::of_new(&name);
        let vhost = SavedVhost { name: name.clone(), metadata };
        let user = SavedUser { user, is_old: false };
        let broker = Self::with(node, vec![vhost], vec![user], None);
        broker.permissions.set(&name, &granted, Some(Permission::full()));
        broker
    }

    /// The broker of these definitions; new ones begin with the vhost `/` and the user `guest`.
    ///
    /// # Errors
    ///
    /// Names the file and what in it cannot be read or understood.
    pub fn open(node: String, definitions: Definitions) -> Result<Self, StoreError> {
        if definitions.is_new()? {
            durable::begin(&definitions, &literal("/"), &guest(&node))?;
        }
        let mut saved = durable::load(&definitions)?;
        let (vhosts, users) = (mem::take(&mut saved.vhosts), mem::take(&mut saved.users));
        let names: Vec<_> = vhosts.iter().map(|vhost| vhost.name.clone()).collect();
        saved.permissions.extend(Record::of_old_users(&users, &names, &definitions)?);
        let definitions = Arc::new(definitions);
        let mut broker = Self::with(node, vhosts, users, Some(&definitions));
        for Granted { vhost, user, it } in mem::take(&mut saved.permissions) {
            broker.permissions.set(&vhost, &user, Some(it));
        }
        for Granted { vhost, user, it } in mem::take(&mut saved.topic_permissions) {
            broker.permissions.set_topic(&vhost, &user, it);
        }
        broker.parameters = Parameters::new(mem::take(&mut saved.parameters));
        broker.apply_parameters();
        broker.restore_policies();
        let vhosts = broker.vhosts.read().unwrap_or_else(PoisonError::into_inner);
        saved.fill(&vhosts, &definitions)?;
        drop(vhosts);
        Ok(broker)
    }

    fn with(
        node: String,
        vhosts: Vec<SavedVhost>,
        users: Vec<SavedUser>,
        definitions: Option<&Arc<Definitions>>,
    ) -> Self {
        let timers = Arc::<Timers>::default();
        let churn = Arc::<ChurnCounters>::default();
        let aside = definitions.map(|definitions| definitions.aside().clone()).unwrap_or_default();
        let shared =
            queue::Shared { timers: Arc::clone(&timers), aside, ..queue::Shared::default() };
        let vhost = |SavedVhost { name, metadata }| {
            let ledger = Ledger::new(name.clone(), definitions.cloned());
            let made = Vhost::new(name.clone(), shared.clone(), Arc::clone(&churn), ledger);
            made.describe(metadata);
            (name, made)
        };
        let vhosts = vhosts.into_iter().map(vhost).collect();
        let permissions = Permissions::new(shared.compat.clone());
        Self {
            node,
            vhosts: RwLock::new(vhosts),
            users: Users::new(users.into_iter().map(|saved| saved.user)),
            permissions,
            parameters: Parameters::default(),
            administering: Mutex::default(),
            registry: Registry::default(),
            replies: Replies::default(),
            churn: Arc::clone(&churn),
            timers,
            store: None,
            definitions: definitions.cloned(),
            shared,
            alarm: Alarm::default(),
            limits: NodeLimits::default(),
            greeting: OnceLock::new(),
        }
    }

    /// Takes the queues that are to be given their messages back; before anybody uses the broker.
    pub fn recovery(&self) -> Recovery {
        let with_holders = |vhost: Arc<Vhost>| vhost.queues().into_iter().chain(vhost.holders());
        let queues = self.vhosts().into_iter().flat_map(with_holders);
        Recovery::new(queues, Arc::clone(&self.shared.spill), self.started_unix_ms())
    }

    /// Ends the keeping: what has happened so far is on disk when this returns, and what happens now is not kept.
    pub fn close(&self) {
        if let Some(store) = &self.store {
            store.close();
        }
        if let Some(definitions) = &self.definitions {
            definitions.close();
        }
    }

    /// Has the broker answer as this release of RabbitMQ does; before anybody uses it, and before its queues are given
    /// their messages back.
    pub fn answer_as(&self, compat: Compat) {
        self.shared.compat.choose(compat);
        for queue in self.vhosts().into_iter().flat_map(|vhost| vhost.queues()) {
            queue.follow_release();
        }
    }

    /// The release of RabbitMQ whose answers ours are.
    pub fn compat(&self) -> Compat {
        self.shared.compat.get()
    }

    /// Says what the wall clock said when `now` was 0, in milliseconds since 1970; before anybody uses the broker.
    pub fn started_at(&self, unix_ms: u64) {
        self.shared.started_unix_ms.store(unix_ms, Ordering::Relaxed);
    }

    /// What the wall clock said when `now` was 0, in milliseconds since 1970.
    pub fn started_unix_ms(&self) -> u64 {
        self.shared.started_unix_ms.load(Ordering::Relaxed)
    }

    /// Has long work run by `runner`: changes of durable definitions, which wait for the disk, and the end of what
    /// there is very much of.
    pub fn run_long_work_by(&self, runner: Runner) {
        self.shared.aside.set(runner);
    }

    /// Gives the broker the store its queues' messages are in.
    pub fn keep_in(&mut self, store: Arc<Store>) {
        // There is one store, and this is called once.
        let _ = self.shared.store.set(Arc::clone(&store));
        self.store = Some(store);
    }

    /// The vhost of that name.
    ///
    /// # Errors
    ///
    /// `NOT_ALLOWED` in RabbitMQ's words (`rabbit_reader`, on `connection.open`).
    pub fn vhost(&self, name: &str) -> Result<Arc<Vhost>, Fault> {
        let vhosts = self.vhosts.read().unwrap_or_else(PoisonError::into_inner);
        vhosts
            .get(name)
            .cloned()
            .ok_or_else(|| Fault::new(ReplyCode::NotAllowed, format!("vhost {name} not found")))
    }

    /// All vhosts, in the order of their names.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        let vhosts = self.vhosts.read().unwrap_or_else(PoisonError::into_inner);
        vhosts.values().cloned().collect()
    }

    /// Bytes of memory that the messages waiting in queues take.
    pub fn waiting_bytes(&self) -> u64 {
        self.shared.memory.resident_bytes()
    }

    /// Takes in a new connection.
    pub fn connect(&self, peer: Peer) -> Arc<registry::Connection> {
        self.churn.connection_created.add(1);
        self.registry.add(peer)
    }

    /// Forgets a connection that has ended.
    pub fn disconnect(&self, connection: &registry::Connection) {
        self.churn.connection_closed.add(1);
        self.registry.remove(connection.id);
    }

    /// Says that clients can use the broker from now on: the time it took to start is nobody's neglect of a queue.
    pub fn open_for_use(&self, now: Millis) {
        for queue in self.vhosts().iter().flat_map(|vhost| vhost.queues()) {
            queue.touch(now);
        }
    }

    /// Does what is due: messages and queues that expire, some of them when they are many.
    pub fn on_time(&self, now: Millis) {
        for queue in self.timers.due(now) {
            if queue.on_time(now)
                && let Ok(vhost) = self.vhost(&queue.settings().vhost)
            {
                let only = EndIf { expired_at: Some(now), ..EndIf::default() };
                vhost.remove_queue(&queue, only, now);
            }
        }
    }
}
