//! The handle on a broker that commands call.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::sleep;

use crate::client::{self, Channel};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::local::DirectoryBroker;
use crate::engine::target::{BrokerAddress, Target};
use crate::wire::FieldTable;

/// The pause between two looks at a node that ends.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A broker that commands work with.
#[derive(Debug)]
pub struct Engine {
    pub(super) cx: Arc<Context>,
    /// The channel for calls that need none of their own; gone after an error, as the broker closes it then.
    control: Mutex<Option<Arc<Channel>>>,
}

impl Engine {
    /// Takes the broker that `target` names: for a data directory, joins the process that runs it or becomes its host.
    ///
    /// A remote broker is connected to by the first call that needs it, or by [`Self::connect`].
    pub async fn open(target: Target) -> Result<Self, Error> {
        let residence = match &target.broker {
            BrokerAddress::At(_) => None,
            BrokerAddress::Of(directory) => {
                Some(DirectoryBroker::settle(directory, target.timeout()).await?)
            }
        };
        let cx = Arc::new(Context {
            target,
            connection: OnceCell::new(),
            api: OnceCell::new(),
            unchecked: OnceCell::new(),
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

    /// Answers whether this process runs the broker of the data directory.
    pub fn is_host(&self) -> bool {
        self.cx.residence.as_ref().is_some_and(|residence| !residence.is_guest())
    }

    /// Returns what the user is to know of the broker that was asked: only its management API answers.
    pub fn note(&self) -> Option<&str> {
        self.cx.unchecked.get().map(String::as_str)
    }

    /// Waits until the process with this run of the broker has ended, or another one has taken its place.
    pub async fn ended(&self, instance: &Value) {
        let Ok(api) = self.cx.api().await else { return };
        loop {
            match api.get("wait for the end of the node", "overview").await {
                Ok(overview) if overview["instance"] != *instance => return,
                // Its listeners are open until everything is on disk.
                Ok(_) | Err(Error::TimedOut { .. }) => {}
                Err(_) => return,
            }
            sleep(LOOK_AGAIN).await;
        }
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
    pub(super) async fn with_control<T, F>(
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
    pub(super) async fn try_control<T, F>(
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
