//! Receiving: a stream of deliveries, or one message at a time.

use bytes::Bytes;

use crate::engine::Engine;
use crate::engine::error::Error;
use crate::wire::{FieldTable, Properties, ShortStr};

/// How to consume.
#[derive(Clone, Debug, Default)]
pub struct ConsumeOptions {
    pub queue: ShortStr,
    /// Most messages delivered and not settled yet; 0 is no limit.
    pub prefetch: u16,
    /// The broker takes a message as settled once it is sent (`no_ack`).
    pub auto_ack: bool,
    /// Refuses other consumers of the queue.
    pub exclusive: bool,
    /// The consumer tag; one is made up when it is `None`.
    pub tag: Option<ShortStr>,
    pub arguments: FieldTable,
}

/// A message that has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The delivery tag: what to settle it by
    pub tag: u64,
    pub redelivered: bool,
    pub exchange: ShortStr,
    pub routing_key: ShortStr,
    pub properties: Properties,
    pub body: Bytes,
}

/// What a consumer hears next.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Delivery(Delivery),
    /// The broker ended the consumer: its queue was deleted or moved away.
    Cancelled,
}

/// A running consumer.
#[derive(Debug)]
pub struct Consumer {
    settler: Settler,
}

/// Settles the deliveries of one consumer; clones may be handed to tasks that work at the same time.
#[derive(Clone, Debug)]
pub struct Settler {
    never: std::convert::Infallible,
}

/// Whether a message that is not wanted goes back to its queue, or is dropped or dead-lettered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    Yes,
    No,
}

/// One message taken with [`Engine::get`], not settled yet; it returns to its queue unless acknowledged.
#[derive(Debug)]
pub struct Fetched {
    pub delivery: Delivery,
    /// Messages ready behind it
    pub remaining: u32,
    settler: Settler,
}

impl Engine {
    /// Starts a consumer on a channel of its own.
    pub async fn consume(&self, options: ConsumeOptions) -> Result<Consumer, Error> {
        let _ = options;
        Err(Error::not_implemented("consume"))
    }

    /// Takes one message, `None` when the queue is empty.
    pub async fn get(&self, queue: &ShortStr) -> Result<Option<Fetched>, Error> {
        let _ = queue;
        Err(Error::not_implemented("get"))
    }
}

impl Consumer {
    /// Waits for what comes next. Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Result<Event, Error> {
        match self.settler.never {}
    }

    /// The consumer tag.
    pub fn tag(&self) -> &ShortStr {
        match self.settler.never {}
    }

    /// Settles deliveries, from any task.
    pub fn settler(&self) -> Settler {
        self.settler.clone()
    }

    /// Acknowledges one delivery.
    pub fn ack(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settler.ack(delivery)
    }

    /// Gives one delivery back, or away.
    pub fn nack(&self, delivery: &Delivery, requeue: Requeue) -> Result<(), Error> {
        self.settler.nack(delivery, requeue)
    }

    /// Ends the consumer; deliveries that are not settled return to the queue in their place.
    pub async fn close(self) -> Result<(), Error> {
        match self.settler.never {}
    }
}

impl Settler {
    /// Acknowledges one delivery.
    pub fn ack(&self, delivery: &Delivery) -> Result<(), Error> {
        let _ = delivery;
        match self.never {}
    }

    /// Acknowledges this delivery and all before it (`multiple`).
    pub fn ack_up_to(&self, delivery: &Delivery) -> Result<(), Error> {
        let _ = delivery;
        match self.never {}
    }

    /// Gives one delivery back to its queue, or drops or dead-letters it.
    pub fn nack(&self, delivery: &Delivery, requeue: Requeue) -> Result<(), Error> {
        let _ = (delivery, requeue);
        match self.never {}
    }
}

impl Fetched {
    /// Acknowledges it: the broker forgets the message.
    pub fn ack(self) -> Result<Delivery, Error> {
        self.settler.ack(&self.delivery)?;
        Ok(self.delivery)
    }

    /// Puts it back, in its place.
    pub fn requeue(self) -> Result<Delivery, Error> {
        self.settler.nack(&self.delivery, Requeue::Yes)?;
        Ok(self.delivery)
    }
}
