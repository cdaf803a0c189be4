//! Topology that need not be declared in exactly one way: what is there is used as it is.
//!
//! A tool that joins in must not fail because a program declared the queue before, and with other arguments. What it
//! then asks for may need a certain type. AMQP has no question for it, but a declaration of that type for what is there
//! is refused with the name of what differs.

use crate::engine::error::Error;
use crate::engine::handle::Engine;
use crate::engine::topology::{ExchangeSpec, QueueSpec, QueueState};
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, ShortStr};

/// The reply code for something that is there but not the same.
const PRECONDITION_FAILED: u16 = 406;
/// The reply code for what the user may not do.
const ACCESS_REFUSED: u16 = 403;

/// Says if a queue or an exchange outlives a restart of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Durable,
    Transient,
}

/// Says if an exchange keeps messages for the time in their `x-delay` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delays {
    Yes,
    No,
    /// The user may not ask.
    Unknown,
}

impl Engine {
    /// Uses the queue of that name as it is, or declares one with these arguments. The broker may have changed the name.
    pub async fn ensure_queue(
        &self,
        name: &ShortStr,
        durability: Durability,
        arguments: FieldTable,
    ) -> Result<QueueState, Error> {
        if let Some(found) = self.find_queue(name).await? {
            return Ok(found);
        }
        let (name, durable) = (name.clone(), durability == Durability::Durable);
        self.declare_queue(&QueueSpec { name, durable, arguments, ..QueueSpec::default() }).await
    }

    /// Answers whether an existing exchange keeps messages for the time in their `x-delay` header.
    pub async fn is_delaying(&self, name: &ShortStr) -> Result<Delays, Error> {
        if name.is_empty() {
            return Ok(Delays::No);
        }
        self.check_exchange(name).await?;
        let delaying = ExchangeSpec {
            name: name.clone(),
            kind: literal("x-delayed-message"),
            durable: true,
            arguments: FieldTable::new().with("x-delayed-type", "direct"),
            ..ExchangeSpec::default()
        };
        // Of what differs the type is named first; a broker that has no such type says so.
        match self.declare_exchange(&delaying).await {
            Err(Error::Refused { code: ACCESS_REFUSED, .. }) => Ok(Delays::Unknown),
            Err(Error::Refused { text, .. })
                if text.contains("'type'") || text.contains("exchange type") =>
            {
                Ok(Delays::No)
            }
            Ok(()) | Err(Error::Refused { code: PRECONDITION_FAILED, .. }) => Ok(Delays::Yes),
            Err(error) => Err(error),
        }
    }

    /// Declares an exchange of that type, or uses one that is there and lasts longer or shorter.
    pub async fn ensure_exchange(
        &self,
        name: &ShortStr,
        kind: &ShortStr,
        durability: Durability,
    ) -> Result<(), Error> {
        let mut exchange = ExchangeSpec {
            name: name.clone(),
            kind: kind.clone(),
            durable: durability == Durability::Durable,
            ..ExchangeSpec::default()
        };
        match self.declare_exchange(&exchange).await {
            // The type is compared first, so what differs here does not matter to whom publishes.
            Err(Error::Refused { code: PRECONDITION_FAILED, text, .. })
                if text.contains("'durable'") =>
            {
                exchange.durable = !exchange.durable;
                self.declare_exchange(&exchange).await
            }
            declared => declared,
        }
    }
}
