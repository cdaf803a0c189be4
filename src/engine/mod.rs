//! Everything that a command may ask of a broker: one API for a broker far away and for one in this process.
//!
//! [`Engine::open`] takes a [`Target`] and costs nothing for a remote broker: the AMQP connection is made by
//! the first call that needs it, the management API is asked only by [`Engine::inspect`]. Every error is an
//! [`Error`] that knows what was being done, its exit category and a hint. Nothing here prints.
//!
//! Reading order: [`target`] (which broker), [`directory`] and `local` (the broker of a data directory), [`topology`],
//! [`publish`], [`consume`], [`rpc`], [`inspect`], [`route`], [`payload`] (messages as JSON lines), [`mod@bench`], [`error`].

pub mod bench;
pub mod consume;
pub mod directory;
pub mod ensure;
pub mod error;
mod hints;
pub mod host;
mod identity;
pub mod inspect;
mod kept;
mod local;
pub mod management;
pub mod payload;
pub mod publish;
pub mod route;
pub mod rpc;
pub mod target;
pub mod topology;

use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

pub use crate::broker::arguments::{Flag, FlagValue, QueueArgument, queue_arguments};
pub use crate::broker::compat::Compat;
pub use crate::broker::node_limits::NodeLimits;
pub use crate::server::{Address, TlsVerify};
pub use crate::wire::shortstr::literal;
pub use crate::wire::{FieldTable, FieldValue, LongStr, Properties, ShortStr};

pub use consume::{ConsumeOptions, Consumer, Delivery, Event, Fetched, Requeue, Settler};
pub use error::{Category, Error};
pub use host::{Found, Host, HostOptions, Watermark};
pub use inspect::{Inspect, Listing};
pub use kept::{Damage, DamagedRecord, FoundBy, Kept, Repaired, WaitingIn, check, repair};
pub use publish::{Confirmation, Message, Outcome, Publisher, PublisherOptions, Report};
pub use rpc::{Replier, ReplyTo, RpcCaller, RpcOptions, RpcServer};
pub use target::{Target, TargetOptions, TlsFiles};
pub use topology::{
    BindingSpec, DeleteExchange, DeleteQueue, Destination, ExchangeSpec, QueueSpec, QueueState,
};

use crate::client::{self, Channel, Connection};
use local::Residence;
use management::Api;
use target::Broker;

/// A broker that commands work with.
#[derive(Debug)]
pub struct Engine {
    cx: Arc<Context>,
    /// The channel for calls that need none of their own; gone after an error, as the broker closes it then.
    control: Mutex<Option<Arc<Channel>>>,
}

/// The part of an engine that is shared with everything it hands out.
#[derive(Debug)]
struct Context {
    target: Target,
    connection: OnceCell<Connection>,
    /// The management API, once it is known to be that of the same broker.
    api: OnceCell<Api>,
    /// The running broker of a data directory; `None` for a broker with a URL.
    residence: Option<Residence>,
}

impl Engine {
    /// Takes the broker that `target` names: for a data directory, joins the process that runs it or becomes its host.
    ///
    /// A remote broker is connected to by the first call that needs it, or by [`Self::connect`].
    pub async fn open(target: Target) -> Result<Self, Error> {
        let residence = match &target.broker {
            Broker::At(_) => None,
            Broker::Of(directory) => Some(Residence::settle(directory, target.timeout()).await?),
        };
        let cx = Arc::new(Context {
            target,
            connection: OnceCell::new(),
            api: OnceCell::new(),
            residence,
        });
        Ok(Self { cx, control: Mutex::new(None) })
    }

    /// Connects now: proves that the broker answers, lets us in and has the vhost.
    pub async fn connect(&self) -> Result<(), Error> {
        self.cx.connection().await.map(|_| ())
    }

    /// Returns the broker that this engine works with; its `Display` masks the password.
    pub fn target(&self) -> &Target {
        &self.cx.target
    }

    /// Returns the properties that the broker sent when the connection was opened (`product`, `version`, ...).
    pub async fn server_properties(&self) -> Result<FieldTable, Error> {
        Ok(self.cx.connection().await?.server_properties().clone())
    }

    /// The reason the broker gave for not reading publishes now (`connection.blocked`).
    pub fn blocked(&self) -> Option<String> {
        self.cx.blocked()
    }

    /// Asks the broker something that changes nothing and waits for the answer.
    pub async fn ping(&self) -> Result<(), Error> {
        let channel = self.cx.channel().await?;
        channel.close().await.map_err(|error| self.cx.failed("ping", error))
    }

    /// Sends everything that waits, says goodbye, and ends the broker when this process hosts it.
    pub async fn close(self) -> Result<(), Error> {
        let closed = match self.cx.connection.get() {
            Some(connection) => connection.close().await,
            None => Ok(()),
        };
        if let Some(residence) = &self.cx.residence {
            residence.leave().await;
        }
        closed.map_err(|error| self.cx.failed("close the connection", error))
    }

    /// Runs `work` on the control channel; an error names what is close to something that is not there.
    async fn with_control<T, F>(
        &self,
        doing: &str,
        work: impl FnOnce(Arc<Channel>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, client::Error>>,
    {
        match self.try_control(work).await? {
            Ok(done) => Ok(done),
            Err(error) => Err(self.cx.explained(doing, error).await),
        }
    }

    /// Runs `work` on the control channel; a channel the broker has closed is replaced for the next call.
    async fn try_control<T, F>(
        &self,
        work: impl FnOnce(Arc<Channel>) -> F,
    ) -> Result<Result<T, client::Error>, Error>
    where
        F: Future<Output = Result<T, client::Error>>,
    {
        let mut control = self.control.lock().await;
        let channel = match control.take() {
            Some(channel) => channel,
            None => Arc::new(self.cx.channel().await?),
        };
        let done = work(Arc::clone(&channel)).await;
        if done.is_ok() {
            *control = Some(channel);
        }
        Ok(done)
    }
}

impl Context {
    async fn connection(&self) -> Result<&Connection, Error> {
        let connection = self.connection.get_or_try_init(|| async {
            let options = &self.target.options;
            match (&self.target.broker, &self.residence) {
                (Broker::At(place), _) => Connection::connect(place, options).await,
                (Broker::Of(_), Some(residence)) => residence.connect(options).await,
                (Broker::Of(directory), None) => {
                    Connection::connect(&directory.amqp_place(), options).await
                }
            }
        });
        connection.await.map_err(|error| self.failed("open a connection", error))
    }

    /// The management API of the same broker.
    async fn api(&self) -> Result<&Api, Error> {
        self.api.get_or_try_init(|| identity::same_broker(self)).await
    }

    async fn channel(&self) -> Result<Channel, Error> {
        let opened = self.connection().await?.channel();
        opened.map_err(|error| self.failed("open a channel", error))
    }

    fn blocked(&self) -> Option<String> {
        self.connection.get().and_then(Connection::blocked)
    }

    /// An error of the client in the user's words.
    fn failed(&self, doing: &str, error: client::Error) -> Error {
        let error = Error::from_client(doing, &self.target.to_string(), error);
        match (error, &self.residence) {
            (Error::WentAway { .. }, Some(residence)) if residence.is_guest() => {
                Error::HostEnded { directory: self.target.to_string() }
            }
            (Error::TimedOut { doing, waited, .. }, _) => {
                Error::TimedOut { doing, waited, blocked: self.blocked() }
            }
            (other, _) => other,
        }
    }

    /// The same, with the names that are close to one that is not there.
    async fn explained(&self, doing: &str, error: client::Error) -> Error {
        let error = self.failed(doing, error);
        inspect::with_nearest(self, error).await
    }
}
