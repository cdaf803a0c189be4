//! Publishing with publisher confirms, many messages on their way at once.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::client::{self, Channel};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::handle::Engine;
use crate::wire::method::basic;
use crate::wire::{Properties, ShortStr};

pub use crate::client::{FAILED_KEPT, PublishOutcome, PublishReport};

/// A message to publish.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    pub exchange: ShortStr,
    pub routing_key: ShortStr,
    pub properties: Properties,
    pub body: Bytes,
}

/// The options of a publisher.
#[derive(Clone, Copy, Debug)]
pub struct PublisherOptions {
    /// Asks for unroutable messages to be handed back (`mandatory`), so that they can be reported.
    pub mandatory: bool,
    /// Most messages sent and not confirmed yet; [`Publisher::send`] waits at this many.
    pub window: usize,
}

impl Default for PublisherOptions {
    /// A thousand messages hide a round trip of ten milliseconds at a hundred thousand messages a second.
    fn default() -> Self {
        Self { mandatory: true, window: 1000 }
    }
}

/// A channel in confirm mode that messages are sent through in order.
#[derive(Debug)]
pub struct Publisher {
    cx: Arc<Context>,
    channel: Arc<Channel>,
    options: PublisherOptions,
}

/// The answer to one message, still to come.
#[derive(Debug)]
pub struct Confirmation {
    cx: Arc<Context>,
    channel: Arc<Channel>,
    receiver: oneshot::Receiver<PublishOutcome>,
    exchange: ShortStr,
}

impl Engine {
    /// Opens a channel for publishing. Costs no round trip: the first confirm shows whether it opened.
    pub async fn publisher(&self, options: PublisherOptions) -> Result<Publisher, Error> {
        let channel = self.cx.channel().await?;
        channel.confirm().map_err(|error| self.cx.failed("turn on confirms", error))?;
        let options = PublisherOptions { window: options.window.max(1), ..options };
        Ok(Publisher { cx: Arc::clone(&self.cx), channel: Arc::new(channel), options })
    }
}

impl Publisher {
    /// Sends a message; waits while the window is full. Returns its number, counted from 1.
    ///
    /// # Errors
    ///
    /// When the channel has been closed, for instance because an exchange of an earlier message is not there.
    pub async fn send(&mut self, message: &Message) -> Result<u64, Error> {
        self.publish(message, None).await
    }

    /// Sends a message like [`Self::send`] and gives back its own answer to wait for.
    pub async fn send_tracked(&mut self, message: &Message) -> Result<Confirmation, Error> {
        let (waiter, receiver) = oneshot::channel();
        self.publish(message, Some(waiter)).await?;
        Ok(Confirmation {
            cx: Arc::clone(&self.cx),
            channel: Arc::clone(&self.channel),
            receiver,
            exchange: message.exchange.clone(),
        })
    }

    /// Sends a message and waits until the broker says what became of it.
    pub async fn send_and_wait(&mut self, message: &Message) -> Result<PublishOutcome, Error> {
        self.send_tracked(message).await?.outcome().await
    }

    /// Waits until the broker has answered for every message; tells what became of those since the last report.
    pub async fn flush(&mut self) -> Result<PublishReport, Error> {
        match self.channel.unanswered_at_most(0).await {
            Ok(()) => Ok(self.report()),
            Err(error) => Err(self.cx.explained("publish", error).await),
        }
    }

    /// Returns the outcomes of messages since the last report, without waiting.
    pub fn report(&mut self) -> PublishReport {
        self.channel.take_report()
    }

    /// Messages sent and not answered for yet.
    pub fn unconfirmed(&self) -> usize {
        self.channel.unanswered().unwrap_or(0)
    }

    async fn publish(
        &mut self,
        message: &Message,
        waiter: Option<oneshot::Sender<PublishOutcome>>,
    ) -> Result<u64, Error> {
        let publish = basic::Publish {
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
            mandatory: self.options.mandatory,
            ..Default::default()
        };
        let sending = async {
            self.channel.unanswered_at_most(self.options.window - 1).await?;
            self.channel.room().await?;
            let properties = message.properties.to_bytes();
            self.channel.publish(&publish, &properties, &message.body, waiter)
        };
        match sending.await {
            Ok(number) => Ok(number),
            Err(error) => Err(self.cx.explained(&doing(&message.exchange), error).await),
        }
    }
}

impl Confirmation {
    /// Waits until the broker says what became of the message.
    pub async fn outcome(self) -> Result<PublishOutcome, Error> {
        let waited = self.channel.timeout();
        let error = match tokio::time::timeout(waited, self.receiver).await {
            Ok(Ok(outcome)) => return Ok(outcome),
            Ok(Err(_)) => self.channel.ended().unwrap_or(client::Error::Closed),
            Err(_) => client::Error::TimedOut { waited },
        };
        Err(self.cx.explained(&doing(&self.exchange), error).await)
    }
}

fn doing(exchange: &ShortStr) -> String {
    match exchange.as_str() {
        "" => "publish to the default exchange".into(),
        name => format!("publish to exchange '{name}'"),
    }
}
