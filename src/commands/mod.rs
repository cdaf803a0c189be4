//! The commands: one file each, with its arguments, what it does, and the rows it prints.
//!
//! A command reads its arguments, makes one or a few calls of [`crate::engine`], and hands the result to
//! [`crate::render`]. It opens no socket, sees no frame and prints nothing by itself; a command that needs an
//! `if` about the protocol is asking for an engine method.
//!
//! Reading order: [`purge_queue`] (the shortest), [`Context`], [`CommandError`], [`publish`], [`consume`].

mod age;
mod argument;
mod confirm;
mod context;
mod error;
mod handler;
mod input;
mod listing;
mod node_limits;
mod properties;
mod publish_headers;
mod queue_type;
mod rate;
mod size;
mod template;

pub mod bench;
pub mod bind;
pub mod completions;
pub mod consume;
pub mod declare_exchange;
pub mod declare_queue;
pub mod delete_exchange;
pub mod delete_queue;
pub mod get;
pub mod list_bindings;
pub mod list_channels;
pub mod list_connections;
pub mod list_consumers;
pub mod list_exchanges;
pub mod list_queues;
pub mod list_vhosts;
pub mod man;
pub mod ping;
pub mod publish;
pub mod purge_queue;
pub mod route;
pub mod rpc_call;
pub mod rpc_serve;
pub mod serve;
pub mod status;
pub mod store;
pub mod tutorial;
pub mod unbind;
pub mod wait;

pub use context::{Answer, Context, Interrupt};
pub use error::CommandError;
