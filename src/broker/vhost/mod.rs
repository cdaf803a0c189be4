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
mod governed;
mod queues;
mod refusals;
mod requests;
mod restore;
mod routing;
mod state;
#[cfg(test)]
mod tests;

pub(in crate::broker) use addition::Addition;
pub use bind::Replay;
pub use requests::{BindingRequest, DeleteIf, ExchangeInfo, QueueDeclaration};
pub(in crate::broker) use restore::restore;
pub use state::Vhost;
