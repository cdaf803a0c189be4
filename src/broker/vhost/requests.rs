//! The arguments of calls to a vhost, and its answers.

use std::sync::Arc;

use crate::broker::arguments::Lifetime;
use crate::broker::exchange::ExchangeSettings;
use crate::broker::exchange::binding::DestinationName;
use crate::broker::stats::ExchangeCounters;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, FieldValue, ShortStr};

/// The arguments of `queue.declare`.
#[derive(Clone, Debug)]
pub struct QueueDeclaration {
    pub name: ShortStr,
    pub is_durable: bool,
    pub is_exclusive: bool,
    pub is_auto_delete: bool,
    /// The user that declares it.
    pub declared_by: Option<ShortStr>,
    pub arguments: FieldTable,
}

impl QueueDeclaration {
    pub(super) fn lifetime(&self) -> Lifetime {
        let Self { is_durable, is_exclusive, is_auto_delete, .. } = *self;
        Lifetime { is_durable, is_exclusive, is_auto_delete }
    }
}

/// Conditions under which something is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteIf {
    pub unused: bool,
    pub empty: bool,
}

/// The ends of a binding, by name.
#[derive(Clone, Debug)]
pub struct BindingRequest {
    pub source: ShortStr,
    pub destination: DestinationName,
    pub routing_key: ShortStr,
    pub arguments: FieldTable,
}

/// An exchange as listings show it.
#[derive(Clone, Debug)]
pub struct ExchangeInfo {
    pub settings: ExchangeSettings,
    pub vhost: ShortStr,
    pub counters: Arc<ExchangeCounters>,
    /// Messages a delayed exchange keeps; none for any other.
    pub delayed: Option<usize>,
}

impl QueueDeclaration {
    /// Gives a queue that is declared without a type the one that the vhost has for such, when it can be of any
    /// (RabbitMQ: `rabbit_amqqueue:augment_declare_args`).
    pub(super) fn give_type(&mut self, default: Option<&str>) {
        let can_be_any = self.is_durable && !self.is_exclusive && !self.is_auto_delete;
        if !can_be_any || self.arguments.get("x-queue-type").is_some() {
            return;
        }
        if let Some(kind) = default {
            let kind = FieldValue::LongStr(kind.into());
            self.arguments.insert(literal("x-queue-type"), kind);
        }
    }
}
