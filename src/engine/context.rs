//! The target of an engine, its connections, and errors in the user's words.

use tokio::sync::OnceCell;

use crate::client::{self, Channel, Connection};
use crate::engine::error::Error;
use crate::engine::local::DirectoryBroker;
use crate::engine::management::Api;
use crate::engine::target::{BrokerAddress, Target};

/// The part of an engine that is shared with everything it hands out.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) target: Target,
    pub(super) connection: OnceCell<Connection>,
    /// The management API, once it is known to be that of the same broker.
    pub(super) api: OnceCell<Api>,
    /// Says that the API could not be checked, because AMQP does not answer.
    pub(super) unchecked: OnceCell<String>,
    /// The running broker of a data directory; `None` for a broker with a URL.
    pub(super) residence: Option<DirectoryBroker>,
}

impl Context {
    pub(super) async fn connection(&self) -> Result<&Connection, Error> {
        let connection = self.connection.get_or_try_init(|| async {
            let options = &self.target.options;
            match (&self.target.broker, &self.residence) {
                (BrokerAddress::At(place), _) => Connection::connect(place, options).await,
                (BrokerAddress::Of(_), Some(residence)) => residence.connect(options).await,
                (BrokerAddress::Of(directory), None) => {
                    Connection::connect(&directory.amqp_place(), options).await
                }
            }
        });
        connection.await.map_err(|error| self.failed("open a connection", error))
    }

    pub(super) async fn channel(&self) -> Result<Channel, Error> {
        let opened = self.connection().await?.channel();
        opened.map_err(|error| self.failed("open a channel", error))
    }

    pub(super) fn blocked(&self) -> Option<String> {
        self.connection.get().and_then(Connection::blocked)
    }

    /// An error of the client in the user's words.
    pub(super) fn failed(&self, doing: &str, error: client::Error) -> Error {
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
}
