//! Topology that need not be declared in exactly one way: what is there is used as it is.
//!
//! A tool that joins in must not fail because a program declared the queue before, and with other arguments.

use crate::engine::error::Error;
use crate::engine::topology::{ExchangeSpec, QueueSpec, QueueState};
use crate::engine::{Engine, FieldTable, ShortStr};

/// The reply code for something that is there but not the same.
const PRECONDITION_FAILED: u16 = 406;

impl Engine {
    /// Uses the queue of that name as it is, or declares a durable one.
    pub async fn ensure_queue(&self, name: &ShortStr) -> Result<QueueState, Error> {
        self.ensure_queue_with(name, FieldTable::new()).await
    }

    /// The same; one that is not there gets these arguments.
    pub async fn ensure_queue_with(
        &self,
        name: &ShortStr,
        arguments: FieldTable,
    ) -> Result<QueueState, Error> {
        if let Some(found) = self.find_queue(name).await? {
            return Ok(found);
        }
        let (name, durable) = (name.clone(), true);
        self.declare_queue(&QueueSpec { name, durable, arguments, ..QueueSpec::default() }).await
    }

    /// Declares a durable exchange of that type, or uses the transient one that is there.
    pub async fn ensure_exchange(&self, name: &ShortStr, kind: &ShortStr) -> Result<(), Error> {
        let mut exchange = ExchangeSpec {
            name: name.clone(),
            kind: kind.clone(),
            durable: true,
            ..ExchangeSpec::default()
        };
        match self.declare_exchange(&exchange).await {
            // The type is compared first, so what differs here does not matter to whom publishes.
            Err(Error::Refused { code: PRECONDITION_FAILED, text, .. })
                if text.contains("'durable'") =>
            {
                exchange.durable = false;
                self.declare_exchange(&exchange).await
            }
            declared => declared,
        }
    }
}
