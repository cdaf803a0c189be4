//! Publishing with publisher confirms, many messages on their way at once.

use bytes::Bytes;

use crate::engine::Engine;
use crate::engine::error::Error;
use crate::wire::{Properties, ShortStr};

/// A message to publish.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub exchange: ShortStr,
    pub routing_key: ShortStr,
    pub properties: Properties,
    pub body: Bytes,
}

/// How a publisher works.
#[derive(Clone, Copy, Debug)]
pub struct PublisherOptions {
    /// Asks for unroutable messages to be handed back (`mandatory`), so that they can be reported.
    pub mandatory: bool,
    /// Most messages sent and not confirmed yet; [`Publisher::send`] waits at this many.
    pub window: usize,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self { mandatory: true, window: 1000 }
    }
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has taken it.
    Confirmed,
    /// No queue got it; the broker's reason (`312 NO_ROUTE`).
    Unroutable { code: u16, text: String },
    /// The broker could not take it (`basic.nack`).
    Refused,
}

/// What became of all messages since the last report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages the broker took and routed
    pub confirmed: u64,
    /// Messages no queue got
    pub unroutable: u64,
    /// Messages the broker answered with `basic.nack`
    pub refused: u64,
    /// Numbers (as [`Publisher::send`] gave them) of the first messages that were not routed or refused
    pub failed: Vec<(u64, Outcome)>,
}

/// A channel in confirm mode that messages are sent through in order.
#[derive(Debug)]
pub struct Publisher {
    never: std::convert::Infallible,
}

impl Engine {
    /// Opens a channel for publishing. Costs no round trip: the first confirm shows whether it opened.
    pub async fn publisher(&self, options: PublisherOptions) -> Result<Publisher, Error> {
        let _ = options;
        Err(Error::not_implemented("publisher"))
    }
}

impl Publisher {
    /// Sends a message; waits while the window is full. Returns its number, counted from 1.
    ///
    /// # Errors
    ///
    /// When the channel has been closed, for instance because an exchange of an earlier message is not there.
    pub async fn send(&mut self, message: &Message) -> Result<u64, Error> {
        let _ = message;
        match self.never {}
    }

    /// Sends a message and waits until the broker says what became of it.
    pub async fn send_and_wait(&mut self, message: &Message) -> Result<Outcome, Error> {
        let _ = message;
        match self.never {}
    }

    /// Waits until the broker has answered for every message; tells what became of those since the last report.
    pub async fn flush(&mut self) -> Result<Report, Error> {
        match self.never {}
    }

    /// What has become of messages since the last report, without waiting.
    pub fn report(&mut self) -> Report {
        match self.never {}
    }

    /// Messages sent and not answered for yet.
    pub fn unconfirmed(&self) -> usize {
        match self.never {}
    }
}
