//! Everything that a command may ask of a broker: one API for a broker far away and for one in this process.
//!
//! [`Engine::open`] takes a [`Target`] and costs nothing for a remote broker: the AMQP connection is made by
//! the first call that needs it, the management API is asked only by [`Engine::inspect`]. Every error is an
//! [`Error`] that knows what was being done, its exit category and a hint. Nothing here prints.
//!
//! Reading order: [`target`] (which broker), [`contexts`] (brokers with names), [`directory`] and `local` (the broker of a data directory), [`topology`],
//! [`publish`], [`consume`], [`rpc`], [`inspect`], [`route`], [`payload`] (messages as JSON lines), [`mod@bench`],
//! [`error`].

pub mod admin;
mod alike;
pub mod bench;
mod choice;
pub mod consume;
mod contents;
mod context;
pub mod contexts;
mod definitions_source;
pub mod directory;
mod ending;
pub mod ensure;
pub mod error;
mod first_state;
mod handle;
mod hints;
pub mod host;
mod host_options;
mod identity;
pub mod inspect;
mod listing;
mod local;
pub mod management;
mod nearest;
mod own_thread;
pub mod payload;
mod project_file;
pub mod publish;
pub mod route;
pub mod rpc;
pub mod target;
mod target_options;
mod toml_file;
pub mod topology;

pub use crate::broker::arguments::{Flag, FlagValue, QueueArgument, queue_arguments};
pub use crate::broker::auth::{AnonymousLogin, Mechanism, Mechanisms};
pub use crate::broker::auth::{Pattern, Permission, User};
pub use crate::broker::compat::{Compat, Feature, Permit};
pub use crate::broker::exchange::ExchangeKind;
pub use crate::broker::node_limits::{NodeLimits, Watermark};
pub use crate::broker::vhost_defaults::{DefaultLimits, DefaultPolicy, DefaultUser, VhostDefaults};
pub use crate::management::{ConfigurationEntry, LastLines, LogControl, StopControl};
pub use crate::management::{HeaderName, HeaderValue, HttpSettings};
pub use crate::server::resources::machine_bytes;
pub use crate::server::{Address, TlsCipher, TlsProtocol, TlsVerify, TlsVersion};
pub use crate::tls::{AlternativeKind, LoginName};
pub use crate::wire::shortstr::literal;
pub use crate::wire::{FieldTable, FieldValue, LongStr, Properties, ShortStr};

pub use crate::broker::incidents::Incident;
pub use crate::wire::url::Password;
pub use admin::{hash_password, is_found, reach};
pub use choice::{ChosenContext, chosen_context};
pub use consume::{ConsumeOptions, Consumer, Delivery, Event, Fetched, Requeue, Settler};
pub use contents::{
    Damage, DamagedRecord, DirectoryContents, FoundBy, Repaired, WaitingIn, check, repair, restore,
};
pub use contexts::{Contexts, NamedContext, PasswordSource};
pub use definitions_source::UnchangedDefinitions;
pub use ending::{Ending, LeftIn};
pub use error::{Category, Error};
pub use handle::Engine;
pub use host::{Host, StartReport};
pub use host_options::{ClientLogins, FirstAccess, HostOptions, LocalUsers};
pub use inspect::Inspect;
pub use listing::{ApiList, Fields};
pub use management::{Call, Method, escape};
pub use publish::{
    Confirmation, Message, PublishOutcome, PublishReport, Publisher, PublisherOptions,
};
pub use rpc::{Replier, ReplyTo, RpcCaller, RpcOptions, RpcServer};
pub use target::Target;
pub use target_options::{TargetOptions, TlsFiles};
pub use topology::{
    BindingSpec, DeleteExchange, DeleteQueue, Destination, ExchangeSpec, QueueSpec, QueueState,
};
