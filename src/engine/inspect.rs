//! What a broker shows of itself: RabbitMQ's management API, of RabbitMQ and ours alike.
//!
//! Rows are the API's own JSON objects, because their field names are a promise of `mq` and differ between
//! versions of RabbitMQ more than a typed reader allows.

use serde_json::Value;

use crate::engine::Engine;
use crate::engine::error::Error;

/// The lists of the management API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    Queues,
    Exchanges,
    Bindings,
    Consumers,
    Connections,
    Channels,
    Vhosts,
    Nodes,
    Users,
    Permissions,
    Policies,
}

/// Questions to the management API.
#[derive(Debug)]
pub struct Inspect<'a> {
    engine: &'a Engine,
}

impl Engine {
    /// The questions one may ask about the broker.
    pub fn inspect(&self) -> Inspect<'_> {
        Inspect { engine: self }
    }
}

impl Inspect<'_> {
    /// The rows of a list, each the JSON object RabbitMQ's API gives. Lists of things that live in a virtual
    /// host show the target's one.
    pub async fn list(&self, listing: Listing) -> Result<Vec<Value>, Error> {
        let _ = (listing, self.engine);
        Err(Error::not_implemented("list"))
    }

    /// One queue, as `GET /api/queues/VHOST/NAME` has it.
    pub async fn queue(&self, name: &str) -> Result<Value, Error> {
        let _ = (name, self.engine);
        Err(Error::not_implemented("queue"))
    }

    /// The whole broker at a glance, as `GET /api/overview` has it.
    pub async fn overview(&self) -> Result<Value, Error> {
        Err(Error::not_implemented("overview"))
    }
}
