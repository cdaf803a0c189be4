//! `--declare`: the durability with which a command declares the queue or exchange that it needs, or no declaration.
//!
//! A program that declares the same name must find it as it would have made it: `channel.queue_declare(queue='hello')`
//! of pika makes a transient queue, and RabbitMQ refuses it when a durable one is there. What is there is used as it is.

use crate::engine::ensure::Durability;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Declare {
    /// Declare it durable: it survives a restart of the broker
    Durable,
    /// Declare it transient: it is deleted when the broker restarts
    Transient,
    /// Declare nothing
    No,
}

#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct DeclareOptions {
    /// Declare the queue or exchange if it does not exist: durable, transient (like a client that does not set
    /// durable), or no [default: durable; for rpc-call no]
    #[arg(long, value_name = "DURABILITY", value_enum)]
    declare: Option<Declare>,
    /// Do not declare the queue or the exchange (--declare no)
    #[arg(long, hide = true, conflicts_with = "declare")]
    no_declare: bool,
}

impl DeclareOptions {
    /// Returns the choice of the user, if there is one.
    pub(super) fn given(self) -> Option<Declare> {
        if self.no_declare { Some(Declare::No) } else { self.declare }
    }

    /// Returns the durability to declare with, or `None` to declare nothing; `usual` holds if the user did not choose.
    pub(super) fn or(self, usual: Declare) -> Option<Durability> {
        match self.given().unwrap_or(usual) {
            Declare::Durable => Some(Durability::Durable),
            Declare::Transient => Some(Durability::Transient),
            Declare::No => None,
        }
    }

    /// Answers whether the user asked for a declaration.
    pub(super) fn is_wanted(self) -> bool {
        matches!(self.given(), Some(Declare::Durable | Declare::Transient))
    }
}
