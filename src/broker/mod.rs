//! The broker: vhosts, exchanges, queues, users and connections. Synchronous: no sockets, no frames, no clock (`now` is
//! an argument, in milliseconds since the broker started).
//!
//! # Locks
//!
//! A lock is taken only while no lock is held but those that its line names. Two locks of one line are never held
//! together, but for `changing`. Only `stream_order` may be held when another queue is called or a message is read, and
//! no lock across an `.await` (there is none here). [`OnceLock`]s are set once, before clients come, and stand in no
//! line.
//!
//! | lock | guards | held meanwhile, at most |
//! |---|---|---|
//! | `Broker::administering` | a change of users, vhosts, permissions, parameters or policies; an admission that a limit counts | none |
//! | `Vhost::changing` | a change of the topology, from its checks until clients see it; an import holds those of several vhosts, taken in the order of their names | `administering` |
//! | `Broker::vhosts` | the map of vhosts | `administering`, `changing`; a start holds it while it fills the vhosts |
//! | `Vhost::topology` | exchanges, queues, bindings | `vhosts` and those in its line, `changing` |
//! | `Shared::stream_order` | the order in which streams get what the store gets | none |
//! | `Queue::state` | a queue | `changing`, `topology`, `stream_order` |
//! | `Users::users`, `Permissions::grants`, `Parameters::parameters` | the maps of these | `administering` |
//! | `Rights::granted` | the permissions of a user in a vhost | `grants` |
//! | `Governed::metadata`, `Governed::limits`, `Policies::all` | what administrators set for a vhost | `administering`, `changing`, `topology` |
//! | `Vhost::left_over` | auto-delete exchanges whose rows could not be removed | `changing` |
//! | `History::messages` | the last messages of an `x-recent-history` exchange | `topology` |
//! | `Alarm::change` | a change of the alarm | none |
//! | `Registry::inner`, `Connection::agreed`, `Connection::channels` | the open connections and their channels | `administering`, `Alarm::change` |
//! | `Replies::targets` | the channels that wait for direct replies | none |
//! | `Mailbox::inner` | the posts for one connection | `Queue::state`, `targets`, `Alarm::change` and those in their lines |
//! | `Timers::inner` | the times at which queues have something to do | `Queue::state` and those in its line |
//! | `Drops::tallies` | drops that the log has not told yet | any of the above |
//! | `Bell::retired` (`queue::stream_queue`) | messages that a stream has deleted, until that is on disk | none |
//! | `Definitions::state` (the store's, as all below) | the database of definitions | `administering`, `changing` |
//! | `Log::survivors`, `Log::marking`, `Log::syncing`, `Log::synced_mark` | work of the store's threads, one of a kind at a time | none |
//! | `Log::mark_files` | the open files of marks | `marking`, `syncing` |
//! | `Log::state` | the batch that gathers, the files, their marks and moves | `mark_files` and those in its line, `survivors`, `synced_mark`, `Queue::state` and those in its line |
//! | `Log::jobs` | the jobs of the store's threads | any but the store's |
//! | `Store::threads`, `Spill::threads` | the store's threads, to be joined | none |
//! | `Tls::current` (`server`), `Sampler::samples`, `Exporter::scrapes`, `Highest` (`management`) | the certificates in use; the samples of rates; the times of scrapes; the counts that were sent | none |
//! | `EndedCounts::classic`, `EndedCounts::quorum`, `EndedCounts::stream` | the counts of queues that are gone | `Queue::state` |
//! | `LoginSources::all` | the logins of each address and user | none |
//! | `EndedCounts::sizes` | messages by size, of channels that are gone | none |
//! | `Incidents::counts` | the incidents that a test wants to hear of | any of the above |
//! | `SizeCounters::classes` | messages by size, of a channel | `EndedCounts::sizes` |
//!
//! # Reading order
//!
//! A message's way through this layer: [`publish::Publisher::publish`], [`vhost::Vhost::route`] (or the route that the
//! publisher remembers), [`queue::Queue::push`], [`mailbox::Mailbox`].

pub mod accepted;
pub mod admin;
pub mod alarm;
pub mod arguments;
pub mod auth;
pub mod backup;
pub mod compat;
mod dead_letter;
pub mod delivery_count;
pub mod deprecated;
pub mod drops;
pub mod durable;
pub mod ended;
pub mod entry;
pub mod exchange;
pub mod incidents;
pub mod login_sources;
pub mod mailbox;
pub mod memory;
pub mod message;
pub mod node_limits;
pub mod parameters;
pub mod policies;
pub mod publish;
pub mod queue;
pub mod registry;
mod removal;
pub mod replies;
mod route;
pub mod routing_properties;
pub mod sizes;
mod stable_hash;
pub mod stats;
pub mod time;
pub mod timers;
mod topology;
pub mod trace;
pub mod unacked;
pub mod vhost;
pub mod vhost_defaults;
pub mod vhost_limits;
pub mod vhost_metadata;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub use route::Route;

use self::alarm::Alarm;
use self::auth::{GUEST, Mechanisms, Permission, Permissions, Rights, User, Users};
use self::compat::Compat;
use self::drops::Drops;
use self::durable::{Changes, Granted, Recovery, SavedUser, SavedVhost, VhostDefinitions, access};
use self::ended::EndedCounts;
use self::incidents::Incidents;
use self::node_limits::LiveLimits;
use self::parameters::Parameters;
use self::publish::{Publisher, Sender};
use self::queue::{DeletionIf, Queue};
use self::registry::{Peer, Registry};
use self::replies::Replies;
use self::stats::{ChurnCounters, Letters, Logins};
use self::time::Millis;
use self::timers::Timers;
use self::trace::Tracer;
use self::vhost::Vhost;
use self::vhost_metadata::VhostMetadata;
use crate::bug;
use crate::lock::{Mutex, RwLock};
use crate::store::definitions::Definitions;
use crate::store::{Runner, Store, StoreError};
use crate::wire::shortstr::literal;
use crate::wire::{Fault, ReplyCode, ShortStr};

/// The contents of a new broker. Definitions that bring their own users or vhosts take the place of these.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The first vhost (RabbitMQ: `default_vhost`).
    pub vhost: Option<ShortStr>,
    /// The first user (RabbitMQ: `default_user`, `default_pass`, `default_user_tags`).
    pub user: Option<User>,
    /// The permission of that user in that vhost (RabbitMQ: `default_permissions`).
    pub permission: Permission,
}

impl Default for Defaults {
    /// The vhost `/` and the user `guest`.
    fn default() -> Self {
        let user = User::administrator(literal(GUEST), GUEST);
        Self { vhost: Some(literal("/")), user: Some(user), permission: Permission::full() }
    }
}

/// A whole broker.
#[derive(Debug)]
pub struct Broker {
    /// RabbitMQ's name for a node: `rabbit@host`.
    pub node: Arc<str>,
    vhosts: RwLock<BTreeMap<ShortStr, Arc<Vhost>>>,
    pub users: Users,
    pub permissions: Permissions,
    pub parameters: Parameters,
    /// Held while users, vhosts, permissions or parameters are changed.
    administering: Mutex<()>,
    pub registry: Registry,
    pub replies: Arc<Replies>,
    /// Requests over HTTP that published or got messages.
    requests: AtomicU64,
    pub churn: Arc<ChurnCounters>,
    pub logins: Logins,
    pub timers: Arc<Timers<Queue>>,
    /// `None` for a broker that keeps everything in memory.
    pub store: Option<Arc<Store>>,
    definitions: Option<Arc<Definitions>>,
    /// The state that all queues share.
    shared: queue::Shared,
    /// Publishers are to pause.
    pub alarm: Arc<Alarm>,
    pub limits: LiveLimits,
    /// The mechanisms that clients may log in with; set before the first client comes, if at all.
    pub mechanisms: OnceLock<Mechanisms>,
    /// The settings that new vhosts get; set before the first client comes, if at all.
    pub vhost_defaults: vhost_defaults::ChosenDefaults,
    /// The first frame that clients are sent: those without TLS, those with, and the account that runs the broker.
    /// Encoded once.
    pub greetings: [OnceLock<Box<[u8]>>; 3],
    /// It began with nothing but its defaults.
    pub is_new: bool,
    /// The id of this run of the broker, different from those of all others, of whatever name.
    pub instance: String,
    /// The address of the management API; set before the first client comes, if at all.
    pub management: OnceLock<SocketAddr>,
}

impl Broker {
    /// A broker with nothing but the vhost `/` and the user `guest`, which keeps everything in memory.
    pub fn new(node: String) -> Self {
        Self::new_with(node, Defaults::default())
    }

    /// A broker that begins with `defaults` and keeps everything in memory.
    pub fn new_with(node: String, defaults: Defaults) -> Self {
        let Defaults { vhost, user, permission } = defaults;
        let granted = vhost.clone().zip(user.as_ref().map(|user| user.name.clone()));
        let of_new = |name: ShortStr| SavedVhost { metadata: VhostMetadata::of_new(&name), name };
        let user = user.map(|user| SavedUser { user, is_old: false });
        let vhosts = vhost.map(of_new).into_iter().collect();
        let broker = Self::with(node, vhosts, user.into_iter().collect(), None);
        if let Some((vhost, user)) = granted {
            broker.permissions.set(&vhost, &user, Some(permission));
        }
        broker
    }

    /// The broker of these definitions; new ones begin with the vhost `/` and the user `guest`.
    ///
    /// # Errors
    ///
    /// Names the file and what in it cannot be read or understood.
    pub fn open(node: String, definitions: Definitions) -> Result<Self, StoreError> {
        Self::open_with(node, definitions, &Defaults::default())
    }

    /// The broker of these definitions; new ones begin with `defaults`.
    ///
    /// # Errors
    ///
    /// Names the file and what in it cannot be read or understood.
    pub fn open_with(
        node: String,
        definitions: Definitions,
        defaults: &Defaults,
    ) -> Result<Self, StoreError> {
        let is_new = definitions.is_new()?;
        if is_new {
            let Defaults { vhost, user, permission } = defaults;
            let user = user.as_ref().map(|user| (user, permission));
            durable::begin(&definitions, vhost.as_ref(), user)?;
        }
        let vhosts = durable::read(&definitions, &access::VHOSTS)?;
        let users = durable::read(&definitions, &access::USERS)?;
        let names: Vec<_> = vhosts.iter().map(|vhost| vhost.name.clone()).collect();
        Changes::grant_old_users(&users, &names, &definitions)?;
        let permissions = durable::read(&definitions, &access::PERMISSIONS)?;
        let definitions = Arc::new(definitions);
        let mut broker = Self::with(node, vhosts, users, Some(&definitions));
        broker.is_new = is_new;
        for Granted { vhost, user, permission } in permissions {
            broker.permissions.set(&vhost, &user, Some(permission));
        }
        let topics = durable::read(&definitions, &access::TOPIC_PERMISSIONS)?;
        for Granted { vhost, user, permission } in topics {
            broker.permissions.set_topic(&vhost, &user, permission);
        }
        broker.parameters = Parameters::new(durable::read(&definitions, &access::PARAMETERS)?);
        broker.apply_parameters();
        broker.restore_policies();
        let vhosts = broker.vhosts.read();
        vhost::restore(&vhosts, &definitions)?;
        drop(vhosts);
        Ok(broker)
    }

    fn with(
        node: String,
        vhosts: Vec<SavedVhost>,
        users: Vec<SavedUser>,
        definitions: Option<&Arc<Definitions>>,
    ) -> Self {
        let timers = Arc::<Timers<Queue>>::default();
        let churn = Arc::<ChurnCounters>::default();
        let blocking =
            definitions.map(|definitions| definitions.blocking().clone()).unwrap_or_default();
        let shared =
            queue::Shared { timers: Arc::clone(&timers), blocking, ..queue::Shared::default() };
        let vhost = |SavedVhost { name, metadata }| {
            let its_definitions = VhostDefinitions::new(name.clone(), definitions.cloned());
            let made =
                Vhost::new(name.clone(), shared.clone(), Arc::clone(&churn), its_definitions);
            made.describe(metadata);
            (name, made)
        };
        let vhosts = vhosts.into_iter().map(vhost).collect();
        let permissions = Permissions::new(shared.compat.clone());
        Self {
            node: node.into(),
            vhosts: RwLock::new(vhosts),
            users: Users::new(users.into_iter().map(|saved| saved.user)),
            permissions,
            parameters: Parameters::default(),
            administering: Mutex::default(),
            registry: Registry::default(),
            replies: Arc::default(),
            requests: AtomicU64::new(1),
            churn: Arc::clone(&churn),
            logins: Logins::default(),
            timers,
            store: None,
            definitions: definitions.cloned(),
            shared,
            alarm: Arc::default(),
            limits: LiveLimits::default(),
            mechanisms: OnceLock::new(),
            vhost_defaults: OnceLock::new(),
            greetings: Default::default(),
            instance: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
            management: OnceLock::new(),
            is_new: definitions.is_none(),
        }
    }

    /// Takes the queues that are to be given their messages back; before the broker is used.
    pub fn recovery(&self) -> Recovery {
        let with_holders = |vhost: Arc<Vhost>| vhost.queues().into_iter().chain(vhost.holders());
        let queues = self.vhosts().into_iter().flat_map(with_holders);
        Recovery::new(queues, Arc::clone(&self.shared.spill), self.started_unix_ms())
    }

    /// Closes the store: what has happened so far is on disk when this returns, and what happens now is not kept.
    pub fn close(&self) {
        if let Some(store) = &self.store {
            store.close();
        }
        if let Some(definitions) = &self.definitions {
            definitions.close();
        }
    }

    /// Makes the broker answer as this release of RabbitMQ does; before it is used, and before its queues are given
    /// their messages back.
    pub fn answer_as(&self, compat: Compat) {
        self.shared.compat.choose(compat);
        for queue in self.vhosts().into_iter().flat_map(|vhost| vhost.queues()) {
            queue.follow_release();
        }
    }

    /// Sets the type of queues that are declared without one, where a vhost has no default of its own; before the
    /// broker is used.
    pub fn give_queues_type(&self, kind: String) {
        // It is said once.
        let _ = self.shared.default_queue_type.set(kind);
    }

    /// The type of queues that are declared without one, where a vhost has no default of its own.
    pub fn default_queue_type(&self) -> &str {
        self.shared.default_queue_type.get().map_or("classic", String::as_str)
    }

    /// Returns the release of RabbitMQ that the broker answers like.
    pub fn compat(&self) -> Compat {
        self.shared.compat.get()
    }

    /// Returns the counts of dead letters.
    pub fn letters(&self) -> &Letters {
        &self.shared.letters
    }

    /// Returns the counts of objects that are gone.
    pub fn ended(&self) -> &EndedCounts {
        &self.shared.ended
    }

    /// Returns the messages that the broker has dropped for reasons of its own.
    pub fn drops(&self) -> &Drops {
        &self.shared.drops
    }

    /// Returns the incidents that a test wants to hear of.
    pub fn incidents(&self) -> &Incidents {
        &self.shared.incidents
    }

    /// Sets the wall clock's time when `now` was 0, in milliseconds since 1970; before the broker is used.
    pub fn started_at(&self, unix_ms: u64) {
        self.shared.started_unix_ms.store(unix_ms, Ordering::Relaxed);
    }

    /// Returns the wall clock's time when `now` was 0, in milliseconds since 1970.
    pub fn started_unix_ms(&self) -> u64 {
        self.shared.started_unix_ms.load(Ordering::Relaxed)
    }

    /// Has long work run by `runner`: changes of durable definitions, which wait for the disk, and the deletion of
    /// large numbers of things.
    pub fn run_long_work_by(&self, runner: Runner) {
        self.shared.blocking.set(runner);
    }

    /// Gives the broker the store its queues' messages are in.
    pub fn keep_in(&mut self, store: Arc<Store>) {
        // There is one store, and this is called once.
        let _ = self.shared.store.set(Arc::clone(&store));
        store.run_blocking_by(self.shared.blocking.clone());
        self.store = Some(store);
    }

    /// The vhost of that name.
    ///
    /// # Errors
    ///
    /// `NOT_ALLOWED` in RabbitMQ's words (`rabbit_reader`, on `connection.open`).
    pub fn vhost(&self, name: &str) -> Result<Arc<Vhost>, Fault> {
        let vhosts = self.vhosts.read();
        vhosts
            .get(name)
            .cloned()
            .ok_or_else(|| Fault::new(ReplyCode::NotAllowed, format!("vhost {name} not found")))
    }

    /// All vhosts, in the order of their names.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        let vhosts = self.vhosts.read();
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

    /// The publishing side of a user in a vhost, for a connection of this name.
    pub fn publisher(
        &self,
        vhost: Arc<Vhost>,
        rights: Arc<Rights>,
        user: ShortStr,
        connection: Arc<str>,
    ) -> Publisher {
        let (node, name) = (Arc::clone(&self.node), vhost.name().clone());
        let tracer = Tracer { node, vhost: name, connection, user };
        let (replies, alarm) = (Arc::clone(&self.replies), Arc::clone(&self.alarm));
        Publisher::new(vhost, rights, tracer, replies, alarm)
    }

    /// A name for the connection that an HTTP request stands for, of the form that RabbitMQ's have:
    /// `<node.second of the start.number.0>`.
    pub fn name_of_request(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("<{}.{}.{number}.0>", self.node, self.started_unix_ms() / 1000)
    }

    /// Returns the facts that the publishes of this user are checked against.
    pub fn sender<'a>(&'a self, user: &'a str, has_reply_consumer: bool) -> Sender<'a> {
        let (users, compat) = (&self.users, &self.shared.compat);
        Sender { user, users, compat, has_reply_consumer }
    }

    /// Forgets a connection that has ended; its counts stay in the sums.
    pub fn disconnect(&self, connection: &registry::Connection) {
        self.registry.remove(connection.id);
        self.shared.ended.connections.absorb(&connection.counters);
        let vhost = connection.agreed().and_then(|agreed| self.vhost(&agreed.vhost).ok());
        if let Some(vhost) = vhost {
            vhost.octets.absorb(&connection.counters);
        }
        self.churn.connection_closed.add(1);
    }

    /// Forgets a channel that has ended; its vhost keeps its counts.
    pub fn end_channel(&self, connection: &registry::Connection, number: u16, vhost: &Vhost) {
        if let Some(gone) = connection.remove_channel(number) {
            vhost.counters.absorb(&gone.counters);
            if gone.counters.publish.get() > 0 {
                let ended = &self.shared.ended;
                ended.to_confirm.add(gone.published_to_confirm());
                gone.add_sizes(&mut ended.sizes.lock());
            }
        }
        self.churn.channel_closed.add(1);
    }

    /// Opens the broker for clients: from now on queues count as used, because the time it took to start must not let
    /// them expire.
    pub fn open_for_use(&self, now: Millis) {
        for queue in self.vhosts().iter().flat_map(|vhost| vhost.queues()) {
            queue.touch(now);
        }
    }

    /// Does the work that is due: messages and queues expire, some of them if there are many.
    pub fn on_time(&self, now: Millis) {
        for queue in self.timers.due(now) {
            if bug::contain("the timed work of a queue", || self.on_time_of(&queue, now)).is_none()
            {
                queue.look_later(now);
            }
        }
    }

    fn on_time_of(&self, queue: &Arc<Queue>, now: Millis) {
        if queue.on_time(now)
            && let Ok(vhost) = self.vhost(&queue.settings().vhost)
        {
            let only = DeletionIf { expired_at: Some(now), ..DeletionIf::default() };
            vhost.remove_queue(queue, only, now);
        }
    }
}
