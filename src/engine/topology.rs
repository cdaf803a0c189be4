//! Exchanges, queues and bindings: declare, check, bind, delete, purge.

use crate::engine::Engine;
use crate::engine::error::Error;
use crate::wire::{FieldTable, ShortStr};

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

/// What the broker says of a queue when it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueState {
    pub name: ShortStr,
    /// Messages ready to be delivered
    pub message_count: u32,
    pub consumer_count: u32,
}

/// Where a binding leads.
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

/// When a queue may be deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteQueue {
    /// Only without consumers
    pub if_unused: bool,
    /// Only without messages
    pub if_empty: bool,
}

/// When an exchange may be deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteExchange {
    /// Only without bindings
    pub if_unused: bool,
}

impl Engine {
    /// Declares an exchange; one that is there must be the same.
    pub async fn declare_exchange(&self, exchange: &ExchangeSpec) -> Result<(), Error> {
        let _ = exchange;
        Err(Error::not_implemented("declare exchange"))
    }

    /// Checks that an exchange is there, changing nothing.
    pub async fn check_exchange(&self, name: &ShortStr) -> Result<(), Error> {
        let _ = name;
        Err(Error::not_implemented("check exchange"))
    }

    /// Declares a queue; one that is there must be the same.
    pub async fn declare_queue(&self, queue: &QueueSpec) -> Result<QueueState, Error> {
        let _ = queue;
        Err(Error::not_implemented("declare queue"))
    }

    /// Checks that a queue is there, changing nothing.
    pub async fn check_queue(&self, name: &ShortStr) -> Result<QueueState, Error> {
        let _ = name;
        Err(Error::not_implemented("check queue"))
    }

    /// Makes a binding.
    pub async fn bind(&self, binding: &BindingSpec) -> Result<(), Error> {
        let _ = binding;
        Err(Error::not_implemented("bind"))
    }

    /// Takes a binding away; one that is not there is no error (RabbitMQ's rule).
    pub async fn unbind(&self, binding: &BindingSpec) -> Result<(), Error> {
        let _ = binding;
        Err(Error::not_implemented("unbind"))
    }

    /// Deletes a queue that must be there; returns how many messages were ready in it.
    pub async fn delete_queue(&self, name: &ShortStr, when: DeleteQueue) -> Result<u32, Error> {
        let _ = (name, when);
        Err(Error::not_implemented("delete queue"))
    }

    /// Deletes an exchange that must be there.
    pub async fn delete_exchange(
        &self,
        name: &ShortStr,
        when: DeleteExchange,
    ) -> Result<(), Error> {
        let _ = (name, when);
        Err(Error::not_implemented("delete exchange"))
    }

    /// Drops every ready message of a queue; returns how many.
    pub async fn purge(&self, name: &ShortStr) -> Result<u32, Error> {
        let _ = name;
        Err(Error::not_implemented("purge"))
    }
}
