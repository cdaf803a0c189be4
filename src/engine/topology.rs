//! Exchanges, queues and bindings: declare, check, bind, delete, purge.

use std::sync::Arc;

use crate::client::{Channel, Error as ClientError, Reply};
use crate::engine::error::Error;
use crate::engine::handle::Engine;
use crate::wire::method::{exchange, queue};
use crate::wire::{FieldTable, Method, ReplyCode, ShortStr};

/// An exchange to declare.
#[derive(Clone, Debug, Default)]
pub struct ExchangeSpec {
    pub name: ShortStr,
    /// `direct`, `fanout`, `topic`, `headers` or a type of the broker's own
    pub kind: ShortStr,
    pub durable: bool,
    pub auto_delete: bool,
    pub internal: bool,
    pub arguments: FieldTable,
}

/// A queue to declare; with an empty name the broker chooses one.
#[derive(Clone, Debug, Default)]
pub struct QueueSpec {
    pub name: ShortStr,
    pub durable: bool,
    pub exclusive: bool,
    pub auto_delete: bool,
    pub arguments: FieldTable,
}

/// The broker's answer to the declaration of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueState {
    pub name: ShortStr,
    /// Messages ready to be delivered
    pub message_count: u32,
    pub consumer_count: u32,
}

/// The end of a binding: a queue or an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Queue(ShortStr),
    Exchange(ShortStr),
}

/// A binding to make or to take away.
#[derive(Clone, Debug)]
pub struct BindingSpec {
    pub source: ShortStr,
    pub destination: Destination,
    pub routing_key: ShortStr,
    pub arguments: FieldTable,
}

/// The conditions for deleting a queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteQueue {
    /// Only without consumers
    pub if_unused: bool,
    /// Only without messages
    pub if_empty: bool,
}

/// The conditions for deleting an exchange.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteExchange {
    /// Only without bindings
    pub if_unused: bool,
}

impl Engine {
    /// Declares an exchange; one that is there must be the same.
    pub async fn declare_exchange(&self, exchange: &ExchangeSpec) -> Result<(), Error> {
        let declare = exchange::Declare {
            exchange: exchange.name.clone(),
            kind: exchange.kind.clone(),
            durable: exchange.durable,
            auto_delete: exchange.auto_delete,
            internal: exchange.internal,
            arguments: exchange.arguments.clone(),
            ..Default::default()
        };
        self.call(&format!("declare exchange '{}'", exchange.name), declare).await.map(|_| ())
    }

    /// Checks that an exchange is there, changing nothing.
    pub async fn check_exchange(&self, name: &ShortStr) -> Result<(), Error> {
        self.call(&format!("look for exchange '{name}'"), passive_exchange(name)).await.map(|_| ())
    }

    /// Declares a queue; one that is there must be the same.
    pub async fn declare_queue(&self, queue: &QueueSpec) -> Result<QueueState, Error> {
        let declare = queue::Declare {
            queue: queue.name.clone(),
            durable: queue.durable,
            exclusive: queue.exclusive,
            auto_delete: queue.auto_delete,
            arguments: queue.arguments.clone(),
            ..Default::default()
        };
        let doing = match queue.name.as_str() {
            "" => "declare a queue".to_owned(),
            name => format!("declare queue '{name}'"),
        };
        queue_state(&doing, self.call(&doing, declare).await?)
    }

    /// Checks that a queue is there, changing nothing.
    pub async fn check_queue(&self, name: &ShortStr) -> Result<QueueState, Error> {
        let doing = format!("look for queue '{name}'");
        queue_state(&doing, self.call(&doing, passive_queue(name)).await?)
    }

    /// The name that the broker knows a queue by: it leaves out line ends when it declares, but not when it deletes.
    pub async fn queue_name(&self, name: &ShortStr) -> Result<ShortStr, Error> {
        if name.contains(['\r', '\n']) {
            return Ok(self.check_queue(name).await?.name);
        }
        Ok(name.clone())
    }

    /// Looks for a queue; that it is not there is an answer, and costs no look at its neighbours.
    pub async fn find_queue(&self, name: &ShortStr) -> Result<Option<QueueState>, Error> {
        let doing = format!("look for queue '{name}'");
        let reply = self.find(&doing, passive_queue(name).into()).await?;
        reply.map(|reply| queue_state(&doing, reply)).transpose()
    }

    /// Looks for an exchange in the same way; answers whether it is there.
    pub async fn has_exchange(&self, name: &ShortStr) -> Result<bool, Error> {
        let doing = format!("look for exchange '{name}'");
        Ok(self.find(&doing, passive_exchange(name).into()).await?.is_some())
    }

    /// The reply to a passive declare; `None` if there is no such thing.
    async fn find(&self, doing: &str, passive: Method) -> Result<Option<Reply>, Error> {
        match self.try_control(|channel| async move { channel.call(passive).await }).await? {
            Ok(reply) => Ok(Some(reply)),
            Err(error)
                if error
                    .refusal()
                    .is_some_and(|refusal| refusal.code == ReplyCode::NotFound.code()) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.cx.failed(doing, error)),
        }
    }

    /// Makes a binding.
    pub async fn bind(&self, binding: &BindingSpec) -> Result<(), Error> {
        let (source, key) = (binding.source.clone(), binding.routing_key.clone());
        let arguments = binding.arguments.clone();
        let method = match &binding.destination {
            Destination::Queue(name) => Method::from(queue::Bind {
                queue: name.clone(),
                exchange: source,
                routing_key: key,
                arguments,
                ..Default::default()
            }),
            Destination::Exchange(name) => Method::from(exchange::Bind {
                destination: name.clone(),
                source,
                routing_key: key,
                arguments,
                ..Default::default()
            }),
        };
        self.call(&format!("bind {}", ends(binding)), method).await.map(|_| ())
    }

    /// Takes a binding away; one that is not there is no error (RabbitMQ's rule).
    pub async fn unbind(&self, binding: &BindingSpec) -> Result<(), Error> {
        let (source, key) = (binding.source.clone(), binding.routing_key.clone());
        let arguments = binding.arguments.clone();
        let method = match &binding.destination {
            Destination::Queue(name) => Method::from(queue::Unbind {
                queue: name.clone(),
                exchange: source,
                routing_key: key,
                arguments,
                ..Default::default()
            }),
            Destination::Exchange(name) => Method::from(exchange::Unbind {
                destination: name.clone(),
                source,
                routing_key: key,
                arguments,
                ..Default::default()
            }),
        };
        self.call(&format!("unbind {}", ends(binding)), method).await.map(|_| ())
    }

    /// Deletes a queue that must be there; returns how many messages were ready in it.
    ///
    /// RabbitMQ deletes what is not there without a word, so the same write asks whether it is.
    pub async fn delete_queue(&self, name: &ShortStr, when: DeleteQueue) -> Result<u32, Error> {
        let doing = format!("delete queue '{name}'");
        let delete = queue::Delete {
            queue: name.clone(),
            if_unused: when.if_unused,
            if_empty: when.if_empty,
            ..Default::default()
        };
        let reply = self.checked(&doing, passive_queue(name).into(), delete.into()).await?;
        match reply.method {
            Method::QueueDeleteOk(done) => Ok(done.message_count),
            other => Err(unexpected(&doing, &other)),
        }
    }

    /// Deletes an exchange that must be there.
    pub async fn delete_exchange(
        &self,
        name: &ShortStr,
        when: DeleteExchange,
    ) -> Result<(), Error> {
        let doing = format!("delete exchange '{name}'");
        let delete = exchange::Delete {
            exchange: name.clone(),
            if_unused: when.if_unused,
            ..Default::default()
        };
        self.checked(&doing, passive_exchange(name).into(), delete.into()).await.map(|_| ())
    }

    /// Deletes a queue whether or not it is there, used and full.
    pub(super) async fn remove_queue(&self, name: &ShortStr) -> Result<(), Error> {
        let delete = queue::Delete { queue: name.clone(), ..Default::default() };
        self.call(&format!("delete queue '{name}'"), delete).await.map(drop)
    }

    /// Deletes an exchange whether or not it is there.
    pub(super) async fn remove_exchange(&self, name: &ShortStr) -> Result<(), Error> {
        let delete = exchange::Delete { exchange: name.clone(), ..Default::default() };
        self.call(&format!("delete exchange '{name}'"), delete).await.map(drop)
    }

    /// Drops every ready message of a queue; returns how many.
    pub async fn purge(&self, name: &ShortStr) -> Result<u32, Error> {
        let doing = format!("purge queue '{name}'");
        let purge = queue::Purge { queue: name.clone(), ..Default::default() };
        match self.call(&doing, purge).await?.method {
            Method::QueuePurgeOk(done) => Ok(done.message_count),
            other => Err(unexpected(&doing, &other)),
        }
    }

    async fn call(&self, doing: &str, method: impl Into<Method>) -> Result<Reply, Error> {
        let method = method.into();
        self.with_control(doing, |channel| async move { channel.call(method).await }).await
    }

    /// Two calls in one round trip; the second is done only when the first succeeds, because the broker closes
    /// the channel in between otherwise.
    async fn checked(&self, doing: &str, check: Method, change: Method) -> Result<Reply, Error> {
        let both = |channel: Arc<Channel>| async move {
            let checked = channel.start(&check)?;
            let changed = channel.start(&change)?;
            checked.await?;
            changed.await
        };
        self.with_control(doing, both).await
    }
}

fn passive_queue(name: &ShortStr) -> queue::Declare {
    queue::Declare { queue: name.clone(), passive: true, ..Default::default() }
}

/// The type of a passive declare is not looked at, but must not be empty for older brokers.
fn passive_exchange(name: &ShortStr) -> exchange::Declare {
    exchange::Declare {
        exchange: name.clone(),
        kind: crate::wire::shortstr::literal("direct"),
        passive: true,
        ..Default::default()
    }
}

fn queue_state(doing: &str, reply: Reply) -> Result<QueueState, Error> {
    match reply.method {
        Method::QueueDeclareOk(done) => Ok(QueueState {
            name: done.queue,
            message_count: done.message_count,
            consumer_count: done.consumer_count,
        }),
        other => Err(unexpected(doing, &other)),
    }
}

fn ends(binding: &BindingSpec) -> String {
    let source = &binding.source;
    match &binding.destination {
        Destination::Queue(name) => format!("queue '{name}' to exchange '{source}'"),
        Destination::Exchange(name) => format!("exchange '{name}' to exchange '{source}'"),
    }
}

/// The client matches replies to calls, so this is a peer that answers with the wrong alternative.
pub(super) fn unexpected(doing: &str, method: &Method) -> Error {
    let why = ClientError::Protocol { why: format!("{} answers no such call", method.name()) };
    Error::from_client(doing, "", why)
}
