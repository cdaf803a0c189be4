//! The commands: one file each, with its arguments, what it does, and the rows it prints.
//!
//! A command reads its arguments, makes one or a few calls of [`crate::engine`], and hands the result to
//! [`crate::render`]. It opens no socket, sees no frame and prints nothing by itself; a command that needs an
//! `if` about the protocol is asking for an engine method.
//!
//! Reading order: [`purge_queue`] (the shortest), [`Context`], [`CommandError`], [`publish`], [`consume`].

mod context;
mod declare;
mod error;
pub mod examples;
mod failing;
mod handler;
mod input;
mod options;
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
pub mod help;
pub mod list;
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
