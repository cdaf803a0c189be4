//! The options of a broker in this process.

use std::path::PathBuf;

use super::definitions_source::UnchangedDefinitions;
use super::target_options::TlsFiles;
use crate::broker::Defaults;
use crate::broker::auth::{ADMINISTRATOR, GUEST, Mechanisms, Permission, User};
use crate::broker::compat::Compat;
use crate::broker::node_limits::{NodeLimits, Watermark};
use crate::broker::vhost_defaults::VhostDefaults;
use crate::management::{ConfigurationEntry, HttpSettings, LogControl, StopControl};
use crate::server::{Address, TlsProtocol, TlsVerify, resources};
use crate::tls::LoginName;
use crate::wire::ShortStr;
use crate::wire::shortstr::literal;
use crate::wire::url::Password;

/// The options of a broker in this process.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    pub listen: Vec<Address>,
    pub tls_listen: Vec<Address>,
    /// The broker's certificate and key, and the authorities of its TLS clients.
    pub tls: TlsFiles,
    /// Says if TLS clients must show a certificate; without effect if no authority is given.
    pub tls_verify: TlsVerify,
    /// The ways in which clients of AMQP may log in.
    pub logins: ClientLogins,
    /// The versions of TLS and the ciphers that clients may use.
    pub tls_protocol: TlsProtocol,
    /// The management API's address.
    pub http: Option<Address>,
    /// The address of the management API over TLS, which needs a certificate and its key.
    pub https: Option<Address>,
    /// The certificate of the management API and its key.
    pub https_tls: TlsFiles,
    /// The check of the certificates of its clients; without effect if no authority is given.
    pub https_verify: TlsVerify,
    /// The settings of the management API.
    pub http_settings: HttpSettings,
    /// The address at which Prometheus finds the metrics.
    pub metrics: Option<Address>,
    /// The release of RabbitMQ whose answers the broker gives.
    pub compat: Compat,
    /// The limits of clients; that of memory is `memory`.
    pub limits: NodeLimits,
    /// The memory that the process may use before publishers pause.
    pub memory: Watermark,
    /// A file of definitions, or a directory of them, to load before clients are let in.
    pub definitions: Option<PathBuf>,
    /// Says if definitions are imported that are those of the last start.
    pub unchanged_definitions: UnchangedDefinitions,
    /// The name of the cluster, from every start on (RabbitMQ: `cluster_name`).
    pub cluster_name: Option<ShortStr>,
    /// The name of the node, such as `rabbit@host`; `rabbit@` and the machine's name if none is given.
    pub node: Option<String>,
    /// The first vhost and user of a new broker.
    pub first: FirstAccess,
    /// The settings that new vhosts get by their names.
    pub vhost_defaults: VhostDefaults,
    /// The type of queues that are declared without one, where a vhost has no default of its own.
    pub default_queue_type: Option<String>,
    /// AMQP clients come through a proxy that says first where they are from.
    pub proxy_protocol: bool,
    /// The users that may log in from this machine only.
    pub local_only: LocalUsers,
    /// The configuration that the management API shows.
    pub configuration: Vec<ConfigurationEntry>,
    /// The way for the management API to change the level of the log.
    pub log: LogControl,
    /// The way for the management API to have the process stop.
    pub stop: StopControl,
    /// Says if a new broker has the first vhost and user beside those of the definitions, not only if these have none.
    pub has_first_access_always: bool,
    /// Says if incidents are counted, which [`Host::end`](super::host::Host::end) tells.
    pub watches_incidents: bool,
    /// The directory that others find it by; its Unix sockets are there.
    pub directory: Option<PathBuf>,
}

impl HostOptions {
    /// The name of the node; one that names no host is of this machine.
    pub(super) fn node_name(&self) -> String {
        match self.node.as_deref() {
            Some(name) if name.contains('@') => name.to_owned(),
            name => format!("{}@{}", name.unwrap_or("rabbit"), host_name()),
        }
    }

    /// The limits with that of memory, in bytes.
    pub(super) fn limits_in_force(&self) -> NodeLimits {
        let total_bytes = resources::total_bytes(&self.limits);
        NodeLimits { memory_bytes_max: self.memory.bytes(total_bytes), ..self.limits }
    }
}

/// The ways in which clients of AMQP may log in.
#[derive(Clone, Debug, Default)]
pub struct ClientLogins {
    pub mechanisms: Mechanisms,
    /// The part of a client's TLS certificate that names its user.
    pub certificate_name: LoginName,
}

/// The vhost that a new broker has, and the user who may do everything in it.
#[derive(Clone, Debug)]
pub struct FirstAccess {
    pub vhost: ShortStr,
    pub user: ShortStr,
    pub password: Password,
    pub tags: Vec<String>,
    /// The user's permission in the vhost.
    pub permission: Permission,
}

/// Users that may log in from the broker's own machine only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalUsers(pub Vec<ShortStr>);

impl Default for LocalUsers {
    /// RabbitMQ's: `guest`.
    fn default() -> Self {
        Self(vec![literal(GUEST)])
    }
}

impl Default for FirstAccess {
    /// RabbitMQ's: `guest` in `/`.
    fn default() -> Self {
        Self {
            vhost: literal("/"),
            user: literal(GUEST),
            password: Password::new(GUEST),
            tags: vec![ADMINISTRATOR.to_owned()],
            permission: Permission::full(),
        }
    }
}

impl FirstAccess {
    pub(super) fn defaults(&self) -> Defaults {
        let user = User::tagged(self.user.clone(), self.password.reveal(), self.tags.clone());
        let permission = self.permission.clone();
        Defaults { vhost: Some(self.vhost.clone()), user: Some(user), permission }
    }
}

/// The machine's name.
fn host_name() -> String {
    // Nothing depends on it but the node's name in lists.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}
