//! The connections and channels that are open, as the management API lists them.
//!
//! A connection's task keeps its entry current with relaxed stores; readers get a picture that may be a batch
//! of messages old.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};
use std::time::SystemTime;

use super::mailbox::{Mailbox, Post};
use super::sizes::{SizeClass, SizeCounters, Sizes};
use super::stats::{
    ConnectionCounters, Counter, FlagState, LongNumber, MessageCounters, ShortNumber,
};
use super::time::Millis;
use super::unacked::{QueueKey, UnackedSurvey};
use crate::lock::Mutex;
use crate::wire::{Fault, FieldTable, ShortStr};

/// Names a connection for as long as the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// The facts of a connection that are known before it has sent anything.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `127.0.0.1:50164 -> 127.0.0.1:5672`, RabbitMQ's name for the connection.
    pub name: Arc<str>,
    pub host: Box<str>,
    pub port: u16,
    pub peer_host: Box<str>,
    pub peer_port: u16,
    pub is_tls: bool,
    /// The TLS certificate that the client has shown.
    pub certificate: Option<Box<PeerCertificate>>,
    /// Seconds since 1970.
    pub connected_at: SystemTime,
}

/// The texts of the TLS certificate of a client, in RabbitMQ's forms.
#[derive(Clone, Debug)]
pub struct PeerCertificate {
    pub subject: String,
    pub issuer: String,
    pub validity: String,
    pub serial_number: String,
    /// The user that it names, if it names one.
    pub login: Option<String>,
}

/// The parameters that a connection has agreed on.
#[derive(Clone, Debug, Default)]
pub struct NegotiatedParameters {
    pub user: ShortStr,
    pub vhost: ShortStr,
    pub mechanism: ShortStr,
    pub client_properties: FieldTable,
    pub channel_max: u16,
    pub frame_max: u32,
    pub heartbeat_s: u16,
}

/// A connection as others see it.
#[derive(Debug)]
pub struct Connection {
    pub id: ConnectionId,
    pub peer: Peer,
    pub mailbox: Arc<Mailbox>,
    agreed: Mutex<Option<Arc<NegotiatedParameters>>>,
    channels: Mutex<BTreeMap<u16, Arc<Channel>>>,
    pub counters: ConnectionCounters,
    pub unsent_bytes: Counter,
    /// True while an alarm has stopped it.
    pub is_blocked: FlagState,
}

/// A channel as others see it.
#[derive(Debug, Default)]
pub struct Channel {
    pub number: u16,
    pub is_confirm: FlagState,
    /// Publishes before confirms were asked for.
    pub published_before: Counter,
    pub is_transactional: FlagState,
    pub consumers: LongNumber,
    pub unacked: Counter,
    pub unconfirmed: Counter,
    pub uncommitted: LongNumber,
    pub uncommitted_acks: LongNumber,
    pub prefetch: ShortNumber,
    pub global_prefetch: ShortNumber,
    /// The time at which it last did something.
    pub active_at: Counter,
    pub counters: MessageCounters,
    pub sizes: SizeCounters,
}

impl Channel {
    /// Has publishes be confirmed from now on.
    pub fn begin_confirms(&self) {
        if !self.is_confirm.get() {
            self.published_before.set(self.counters.publish.get());
            self.is_confirm.set(true);
        }
    }

    /// Takes publishes from now on as messages of the class of `size`.
    pub fn begin_size(&self, size: u64) -> SizeClass {
        self.sizes.begin(size, self.counters.publish.get())
    }

    /// Adds what was published, by size.
    pub fn add_sizes(&self, sum: &mut Sizes) {
        self.sizes.add_to(sum, || self.counters.publish.get());
    }

    /// Returns the number of publishes that were to be confirmed.
    pub fn published_to_confirm(&self) -> u64 {
        if !self.is_confirm.get() {
            return 0;
        }
        self.counters.publish.get().saturating_sub(self.published_before.get())
    }
}

impl Connection {
    /// Tells the connection that it is closed.
    pub fn close(&self, fault: Fault) {
        self.mailbox.post(Post::Close(fault));
    }

    /// Returns the parameters agreed on; `None` before the handshake is done.
    pub fn agreed(&self) -> Option<Arc<NegotiatedParameters>> {
        lock(&self.agreed).clone()
    }

    pub fn set_agreed(&self, agreed: NegotiatedParameters) {
        *lock(&self.agreed) = Some(Arc::new(agreed));
    }

    pub fn add_channel(&self, number: u16, now: Millis) -> Arc<Channel> {
        let channel = Arc::new(Channel { number, ..Channel::default() });
        channel.active_at.set(now);
        lock(&self.channels).insert(number, Arc::clone(&channel));
        channel
    }

    /// Takes a channel out.
    pub fn remove_channel(&self, number: u16) -> Option<Arc<Channel>> {
        lock(&self.channels).remove(&number)
    }

    pub fn channels(&self) -> Vec<Arc<Channel>> {
        lock(&self.channels).values().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// All open connections.
#[derive(Debug, Default)]
pub struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next_id: u64,
    connections: BTreeMap<ConnectionId, Arc<Connection>>,
}

impl Registry {
    pub fn add(&self, peer: Peer) -> Arc<Connection> {
        let mut inner = lock(&self.inner);
        inner.next_id += 1;
        let id = ConnectionId(inner.next_id);
        let connection = Arc::new(Connection {
            id,
            peer,
            mailbox: Arc::default(),
            agreed: Mutex::default(),
            channels: Mutex::default(),
            counters: ConnectionCounters::default(),
            unsent_bytes: Counter::default(),
            is_blocked: FlagState::default(),
        });
        inner.connections.insert(id, Arc::clone(&connection));
        connection
    }

    pub fn remove(&self, id: ConnectionId) {
        lock(&self.inner).connections.remove(&id);
    }

    pub fn get(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        lock(&self.inner).connections.get(&id).cloned()
    }

    /// All connections, in the order they came.
    pub fn list(&self) -> Vec<Arc<Connection>> {
        lock(&self.inner).connections.values().cloned().collect()
    }

    /// Asks the connections of a vhost for the deliveries of a queue that are not settled.
    pub fn survey_unacked(&self, vhost: &str, queue: QueueKey) -> UnackedSurvey {
        let survey = UnackedSurvey::default();
        let may_have = |connection: &Connection| {
            let holds = |channel: &Arc<Channel>| {
                channel.unacked.get() > 0 || channel.uncommitted_acks.get() > 0
            };
            connection.agreed().is_some_and(|agreed| *agreed.vhost == *vhost)
                && (!connection.mailbox.is_empty() || connection.channels().iter().any(holds))
        };
        for connection in self.list().iter().filter(|connection| may_have(connection)) {
            connection.mailbox.ask(survey.inquire(queue));
        }
        survey
    }

    /// Returns the number of connections, including those that have not opened yet.
    pub fn count(&self) -> usize {
        lock(&self.inner).connections.len()
    }

    /// Closes the connections for which `is_meant` is true.
    pub fn close_those(&self, fault: &Fault, is_meant: impl Fn(&NegotiatedParameters) -> bool) {
        for connection in self.list() {
            if connection.agreed().is_some_and(|agreed| is_meant(&agreed)) {
                connection.mailbox.post(Post::Close(fault.clone()));
            }
        }
    }

    /// Returns the number of connections for which `is_meant` is true.
    pub fn count_those(&self, is_meant: impl Fn(&NegotiatedParameters) -> bool) -> u64 {
        let is_meant = |connection: &Arc<Connection>| {
            connection.agreed().is_some_and(|agreed| is_meant(&agreed))
        };
        self.list().iter().filter(|connection| is_meant(connection)).count() as u64
    }

    /// Returns the number of channels of connections for which `is_meant` is true.
    pub fn count_channels(&self, is_meant: impl Fn(&NegotiatedParameters) -> bool) -> u64 {
        let of_connection = |connection: &Arc<Connection>| {
            let is_meant = connection.agreed().is_some_and(|agreed| is_meant(&agreed));
            if is_meant { lock(&connection.channels).len() as u64 } else { 0 }
        };
        self.list().iter().map(of_connection).sum()
    }

    /// Tells every connection that it is closed.
    pub fn close_all(&self, fault: &Fault) {
        for connection in self.list() {
            connection.mailbox.post(Post::Close(fault.clone()));
        }
    }
}
