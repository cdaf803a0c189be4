//! The names of queues and exchanges in error texts.

use crate::broker::compat::Compat;
use crate::wire::{Fault, ReplyCode};

/// A queue as error texts call it.
pub fn queue_noun(name: &str, vhost: &str) -> String {
    format!("queue '{name}' in vhost '{vhost}'")
}

/// An exchange as error texts call it; the default exchange has no name of its own.
pub fn exchange_noun(name: &str, vhost: &str) -> String {
    let name = if name.is_empty() { "amq.default" } else { name };
    format!("exchange '{name}' in vhost '{vhost}'")
}

pub(super) fn precondition(text: String) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// The subject of an error text, and the release that the text follows.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub noun: &'a str,
    pub compat: Compat,
}
