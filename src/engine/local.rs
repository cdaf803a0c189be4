//! The broker of a data directory: joins the process that runs it, or runs it here.
//!
//! The process that holds the lock `mq.lock` runs the broker and listens on `mq.sock` (AMQP) and `mq-http.sock`
//! (management API); all others join through these.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::client::{self, Connection, Dialed, Options};
use crate::engine::directory::DataDirectory;
use crate::engine::error::{Cause, Error};
use crate::engine::host::Host;
use crate::engine::host_options::HostOptions;

/// The pause between two looks at the process that has just taken the lock, until it listens; a broker starts in less.
const JOIN_PAUSE: Duration = Duration::from_millis(5);

/// Our place in a data directory.
#[derive(Debug)]
pub(super) struct DirectoryBroker {
    directory: DataDirectory,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// Another process runs the broker; its socket answered with this stream, which the first connection uses.
    Guest(Mutex<Option<Dialed>>),
    /// We run it until [`DirectoryBroker::leave`].
    Host(Mutex<Option<Box<Host>>>),
}

impl DirectoryBroker {
    /// Joins the process that runs the broker of `directory`, or becomes it.
    pub(super) async fn settle(
        directory: &DataDirectory,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let deadline = Instant::now() + timeout;
        let role = loop {
            let absent = match Dialed::to(&directory.amqp_place(), timeout).await {
                Ok(stream) => break Role::Guest(Mutex::new(Some(stream))),
                Err(error) => error,
            };
            if let Some(lock) = directory.lock()? {
                let host =
                    Host::start_in(Some(directory), Some(lock), HostOptions::default()).await?;
                break Role::Host(Mutex::new(Some(Box::new(host))));
            }
            if Instant::now() > deadline {
                let why = format!("another process has locked it but does not answer: {absent}");
                return Err(directory.unusable(Cause::new(why)));
            }
            sleep(JOIN_PAUSE).await;
        };
        Ok(Self { directory: directory.clone(), role })
    }

    /// True if another process runs the broker.
    pub(super) fn is_guest(&self) -> bool {
        matches!(self.role, Role::Guest(_))
    }

    pub(super) async fn connect(&self, options: &Options) -> Result<Connection, client::Error> {
        if let Role::Guest(stream) = &self.role
            && let Some(stream) = stream.lock().await.take()
        {
            return stream.open(options).await;
        }
        Connection::connect(&self.directory.amqp_place(), options).await
    }

    /// Ends the broker when it is ours.
    pub(super) async fn leave(&self) {
        if let Role::Host(host) = &self.role
            && let Some(host) = host.lock().await.take()
        {
            host.stop().await;
        }
    }
}
