//! What a command may ask of a broker: one API, whether the broker is far away or in this process.
//!
//! [`Engine::open`] takes a [`Target`] and costs nothing for a remote broker: the AMQP connection is made by
//! the first call that needs it, the management API is asked only by [`Engine::inspect`]. Every error is an
//! [`Error`] that knows what was being done, its exit category and a hint. Nothing here prints.
//!
//! Reading order: [`target`] (which broker), [`local`] (the broker of a data directory), [`topology`],
//! [`publish`], [`consume`], [`rpc`], [`inspect`], [`payload`] (messages as JSON lines), [`error`].

pub mod consume;
pub mod error;
pub mod inspect;
pub mod local;
pub mod payload;
pub mod publish;
pub mod rpc;
pub mod target;
pub mod topology;

pub use crate::wire::{FieldTable, FieldValue, LongStr, Properties, ShortStr};
pub use consume::{ConsumeOptions, Consumer, Delivery, Event, Fetched, Settler};
pub use error::{Category, Error};
pub use inspect::{Inspect, Listing};
pub use publish::{Message, Outcome, Publisher, PublisherOptions, Report};
pub use rpc::{Replier, ReplyTo, RpcCaller, RpcOptions, RpcServer};
pub use target::{Target, TargetOptions, TlsFiles};
pub use topology::{BindingSpec, DeleteQueue, Destination, ExchangeSpec, QueueSpec, QueueState};

/// A broker that commands work with.
#[derive(Debug)]
pub struct Engine {
    target: Target,
}

impl Engine {
    /// Takes the broker that `target` names: for a data directory, joins who runs it or becomes its host.
    ///
    /// A remote broker is connected to by the first call that needs it, or by [`Self::connect`].
    pub async fn open(target: Target) -> Result<Self, Error> {
        Ok(Self { target })
    }

    /// Connects now: proves that the broker answers, lets us in and has the vhost.
    pub async fn connect(&self) -> Result<(), Error> {
        Err(Error::not_implemented("connect"))
    }

    /// Where this engine works, for messages to people; the password is masked.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What the broker said of itself when the connection was opened (`product`, `version`, ...).
    pub async fn server_properties(&self) -> Result<FieldTable, Error> {
        Err(Error::not_implemented("server properties"))
    }

    /// The reason the broker gave for not reading publishes now (`connection.blocked`).
    pub fn blocked(&self) -> Option<String> {
        None
    }

    /// Sends everything that waits, says goodbye, and ends the broker when this process hosts it.
    pub async fn close(self) -> Result<(), Error> {
        Ok(())
    }
}
