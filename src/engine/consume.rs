//! Receiving: a stream of deliveries, or one message at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::{Channel, Inbox};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::handle::Engine;
use crate::engine::topology::unexpected;
use crate::wire::method::basic;
use crate::wire::{FieldTable, Method, ShortStr};

pub use crate::client::Delivery;

/// The options of a consumer.
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

/// An event of a consumer: a delivery, or its end.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all events are deliveries, which are moved once"
)]
pub enum Event {
    Delivery(Delivery),
    /// Nothing more comes: the broker ended the consumer because its queue is gone, or we did.
    Cancelled,
}

/// A running consumer.
#[derive(Debug)]
pub struct Consumer {
    inbox: Inbox,
    settler: Settler,
}

/// Settles deliveries of one channel; clones may be handed to tasks that work at the same time.
///
/// Settling does not wait: it is sent with whatever else is on its way, at the latest by [`Consumer::close`]
/// or [`Engine::close`].
#[derive(Clone, Debug)]
pub struct Settler {
    cx: Arc<Context>,
    channel: Arc<Channel>,
}

/// The fate of a message that is rejected: it goes back to its queue, or is dropped or dead-lettered.
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
        let channel = Arc::new(self.cx.channel().await?);
        self.cx.consume_on(channel, options).await
    }

    /// Takes one message, `None` when the queue is empty.
    pub async fn get(&self, queue: &ShortStr) -> Result<Option<Fetched>, Error> {
        let doing = format!("get a message of queue '{queue}'");
        let get = basic::Get { queue: queue.clone(), ..Default::default() };
        let asked = |channel: Arc<Channel>| async move {
            Ok((channel.call(get).await?, channel)) // settled where it was taken
        };
        let (reply, channel) = self.with_control(&doing, asked).await?;
        match (reply.method, reply.message) {
            (Method::BasicGetOk(got), Some((properties, body))) => Ok(Some(Fetched {
                remaining: got.message_count,
                delivery: Delivery {
                    tag: got.delivery_tag,
                    redelivered: got.redelivered,
                    exchange: got.exchange,
                    routing_key: got.routing_key,
                    properties,
                    body,
                },
                settler: Settler { cx: Arc::clone(&self.cx), channel },
            })),
            (Method::BasicGetEmpty(_), _) => Ok(None),
            (other, _) => Err(unexpected(&doing, &other)),
        }
    }
}

impl Context {
    pub(super) async fn consume_on(
        self: &Arc<Self>,
        channel: Arc<Channel>,
        options: ConsumeOptions,
    ) -> Result<Consumer, Error> {
        let doing = format!("consume from queue '{}'", options.queue);
        let consume = basic::Consume {
            queue: options.queue,
            consumer_tag: options.tag.unwrap_or_else(new_tag),
            no_ack: options.auto_ack,
            exclusive: options.exclusive,
            arguments: options.arguments,
            ..Default::default()
        };
        let started = async {
            if options.prefetch > 0 {
                let qos = basic::Qos { prefetch_count: options.prefetch, ..Default::default() };
                // Its answer comes before that of basic.consume and says nothing more.
                drop(channel.start(&qos.into())?);
            }
            channel.consume(consume).await
        };
        match started.await {
            Ok(inbox) => {
                let settler = Settler { cx: Arc::clone(self), channel };
                Ok(Consumer { inbox, settler })
            }
            Err(error) => Err(self.explained(&doing, error).await),
        }
    }
}

impl Consumer {
    /// Waits for what comes next. Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Result<Event, Error> {
        match self.inbox.next().await {
            Ok(Some(delivery)) => Ok(Event::Delivery(delivery)),
            Ok(None) => Ok(Event::Cancelled),
            Err(error) => Err(self.settler.cx.failed("consume", error)),
        }
    }

    /// The consumer tag.
    pub fn tag(&self) -> &ShortStr {
        self.inbox.tag()
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

    /// Asks for no more. What is on its way still comes from [`Self::next`], then [`Event::Cancelled`].
    pub async fn cancel(&self) -> Result<(), Error> {
        let cancelled = self.inbox.cancel().await;
        cancelled.map_err(|error| self.settler.cx.failed("cancel the consumer", error))
    }

    /// Ends the consumer; deliveries that are not settled return to the queue in their place.
    pub async fn close(self) -> Result<(), Error> {
        let closed = self.settler.channel.close().await;
        closed.map_err(|error| self.settler.cx.failed("close the consumer", error))
    }
}

impl Settler {
    /// Acknowledges one delivery.
    pub fn ack(&self, delivery: &Delivery) -> Result<(), Error> {
        self.tell(basic::Ack { delivery_tag: delivery.tag, multiple: false })
    }

    /// Acknowledges this delivery and all before it (`multiple`).
    pub fn ack_up_to(&self, delivery: &Delivery) -> Result<(), Error> {
        self.tell(basic::Ack { delivery_tag: delivery.tag, multiple: true })
    }

    /// Gives one delivery back to its queue, or drops or dead-letters it.
    pub fn nack(&self, delivery: &Delivery, requeue: Requeue) -> Result<(), Error> {
        self.tell(basic::Nack {
            delivery_tag: delivery.tag,
            multiple: false,
            requeue: requeue == Requeue::Yes,
        })
    }

    fn tell(&self, method: impl Into<Method>) -> Result<(), Error> {
        let told = self.channel.tell(method);
        told.map_err(|error| self.cx.failed("settle a message", error))
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

/// A tag no other consumer of this process has.
fn new_tag() -> ShortStr {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    ShortStr::truncated(&format!("mq-{}-{number}", std::process::id()))
}
