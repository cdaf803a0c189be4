//! A connection: opened on a stream, worked with through channels, closed with a goodbye.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use super::channel::Channel;
use super::drive::Driver;
use super::error::Error;
use super::handshake::{Login, Opened, shake};
use super::state::{Phase, Shared};
use crate::wire::method::connection;
use crate::wire::shortstr::literal;
use crate::wire::url::Password;
use crate::wire::{FieldTable, ShortStr, frame};

/// Longest wait for the broker's answer to our goodbye; by then everything sent has been handled or lost.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// How to open a connection. A limit that is `None` is the broker's choice, or the usual one.
#[derive(Clone, Debug)]
pub struct Options {
    pub login: Login,
    pub vhost: ShortStr,
    /// The name the broker shows for this connection
    pub name: ShortStr,
    /// Seconds; 0 turns heartbeats off
    pub heartbeat_s: Option<u16>,
    /// Bytes of the largest frame; 0 is no limit
    pub frame_max: Option<u32>,
    pub channel_max: Option<u16>,
    /// For the handshake as a whole, and for each later answer
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            login: Login::Plain { user: "guest".into(), password: Password::new("guest") },
            vhost: literal("/"),
            name: literal("mq"),
            heartbeat_s: None,
            frame_max: None,
            channel_max: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// An open connection and the task that serves it.
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
    server_properties: FieldTable,
    timeout: Duration,
    /// Taken by the one who closes.
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl Connection {
    /// Logs in and opens the vhost on a fresh stream.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the broker does not want us, [`Error::TimedOut`] when it says nothing.
    pub async fn open<S>(mut stream: S, options: &Options) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let timeout = options.timeout;
        let shaken = tokio::time::timeout(timeout, shake(&mut stream, options)).await;
        let Opened { server_properties, tuned, inbound } =
            shaken.map_err(|_| Error::TimedOut { waited: timeout })??;
        let shared = Arc::new(Shared::new(tuned));
        let driver = Driver::new(Arc::clone(&shared), tuned.heartbeat_s, inbound);
        let driver = tokio::spawn(driver.drive(stream));
        Ok(Self { shared, server_properties, timeout, driver: Mutex::new(Some(driver)) })
    }

    /// What the broker said of itself.
    pub fn server_properties(&self) -> &FieldTable {
        &self.server_properties
    }

    /// Opens a channel. Costs no round trip: whether it opened shows with its first answer.
    pub fn channel(&self) -> Result<Channel, Error> {
        Channel::open(&self.shared, self.timeout)
    }

    /// Why the broker does not read publishes now, when it has said so (`connection.blocked`).
    pub fn blocked(&self) -> Option<String> {
        self.shared.lock().blocked.clone()
    }

    /// Why the connection ended, when it has.
    pub fn ended(&self) -> Option<Error> {
        self.shared.lock().check_open().err()
    }

    /// Sends everything that waits, says goodbye, and waits for the broker's.
    ///
    /// # Errors
    ///
    /// When the connection had ended before, or the goodbye is not answered within 5 seconds.
    pub async fn close(&self) -> Result<(), Error> {
        {
            let mut state = self.shared.lock();
            state.check_open()?;
            let close = connection::Close {
                reply_code: 200,
                reply_text: literal("goodbye"),
                ..Default::default()
            };
            frame::write_method(&mut state.outbound, 0, &close.into());
            state.phase = Phase::Closing;
        }
        self.shared.bell.notify_one();
        let Some(mut driver) = self.take_driver() else { return Err(Error::Closed) };
        if tokio::time::timeout(GOODBYE_MAX, &mut driver).await.is_err() {
            driver.abort();
            return Err(Error::TimedOut { waited: GOODBYE_MAX });
        }
        match &self.shared.lock().phase {
            Phase::Over(Error::Closed) => Ok(()),
            Phase::Over(error) => Err(error.clone()),
            Phase::Open | Phase::Closing => Err(Error::Lost { why: "no goodbye came".into() }),
        }
    }

    fn take_driver(&self) -> Option<JoinHandle<()>> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(driver) = self.take_driver() {
            driver.abort();
        }
    }
}
