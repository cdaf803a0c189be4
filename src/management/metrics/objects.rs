//! The objects that families are about: each for itself with its labels, or all of a kind together.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::numbers::{ChannelNumbers, ConnectionNumbers, ExchangeNumbers, QueueNumbers, Rows};
use super::request::Filter;
use super::text::labels;
use crate::broker::Broker;
use crate::broker::arguments::QueueKind;
use crate::broker::exchange::ExchangeSettings;
use crate::broker::queue::Queue;
use crate::broker::registry::Connection;
use crate::broker::vhost::{ExchangeInfo, Vhost};
use crate::management::channels;

/// Objects one by one, as far as a client asks for them.
#[derive(Debug)]
pub(super) struct Objects<'a> {
    broker: &'a Broker,
    filter: &'a Filter,
    /// Several groups of families are about queues.
    queues: OnceCell<Rows<QueueNumbers>>,
    channels: OnceCell<Rows<ChannelNumbers>>,
}

impl<'a> Objects<'a> {
    pub(super) fn new(broker: &'a Broker, filter: &'a Filter) -> Self {
        Self { broker, filter, queues: OnceCell::new(), channels: OnceCell::new() }
    }

    pub(super) fn broker(&self) -> &'a Broker {
        self.broker
    }

    pub(super) fn filter(&self) -> &'a Filter {
        self.filter
    }

    pub(super) fn queues(&self) -> &Rows<QueueNumbers> {
        self.queues.get_or_init(|| {
            self.each_queue(|queue| {
                let settings = queue.settings();
                let labels = labels(&[("vhost", &settings.vhost), ("queue", &settings.name)]);
                (labels, QueueNumbers::of(&queue.info()))
            })
        })
    }

    /// The labels of `queue_info`.
    pub(super) fn queue_infos(&self) -> Vec<String> {
        self.each_queue(|queue| {
            let settings = queue.settings();
            labels(&[
                ("vhost", &settings.vhost),
                ("queue", &settings.name),
                ("queue_type", queue_type(settings.kind)),
                ("membership", "leader"),
            ])
        })
    }

    fn each_queue<T>(&self, row: impl Fn(&Queue) -> T) -> Vec<T> {
        let queues = self.vhosts().flat_map(|vhost| vhost.queues());
        let queues = queues.filter(|queue| self.filter.has_queue(queue.name()));
        queues.map(|queue| row(&queue)).collect()
    }

    fn vhosts(&self) -> impl Iterator<Item = Arc<Vhost>> {
        let vhosts = self.broker.vhosts().into_iter();
        vhosts.filter(|vhost| self.filter.has_vhost(vhost.name()))
    }

    pub(super) fn exchanges(&self) -> Rows<ExchangeNumbers> {
        let row = |exchange: ExchangeInfo| {
            let pairs = [("vhost", &*exchange.vhost), ("exchange", &*exchange.settings.name)];
            (labels(&pairs), ExchangeNumbers::of(&exchange.counters))
        };
        self.vhosts().flat_map(|vhost| vhost.exchanges()).map(row).collect()
    }

    /// Bindings of the exchanges that clients can publish to by name, whatever vhosts are asked for.
    pub(super) fn exchange_bindings(&self) -> Rows<u64> {
        let of_vhost = |vhost: Arc<Vhost>| {
            let mut counts: HashMap<_, u64> = HashMap::new();
            for binding in vhost.bindings() {
                *counts.entry(binding.source.clone()).or_default() += 1;
            }
            let exchanges = vhost.exchanges().into_iter().map(|exchange| exchange.settings);
            let named = exchanges.filter(|one| !one.name.is_empty() && !one.is_internal);
            let row = |one: ExchangeSettings| {
                let pairs = [
                    ("vhost", vhost.name().as_str()),
                    ("exchange", &one.name),
                    ("type", one.kind.name()),
                ];
                (labels(&pairs), counts.get(&one.name).copied().unwrap_or(0))
            };
            named.map(row).collect::<Vec<_>>()
        };
        self.broker.vhosts().into_iter().flat_map(of_vhost).collect()
    }

    pub(super) fn channels(&self) -> &Rows<ChannelNumbers> {
        self.channels.get_or_init(|| {
            let mut rows = Vec::new();
            for connection in self.broker.registry.list() {
                for channel in connection.channels() {
                    let name = channels::name_of(&connection, &channel);
                    rows.push((labels(&[("channel", &name)]), ChannelNumbers::of(&channel)));
                }
            }
            rows
        })
    }

    /// As in RabbitMQ, the label of a connection is `channel` too.
    pub(super) fn connections(&self) -> Rows<ConnectionNumbers> {
        let connections = self.broker.registry.list().into_iter();
        let opened = connections.filter(|connection| connection.agreed().is_some());
        let row = |connection: Arc<Connection>| {
            let labels = labels(&[("channel", &connection.peer.name)]);
            (labels, ConnectionNumbers::of(&connection))
        };
        opened.map(row).collect()
    }
}

/// RabbitMQ's module for a type of queue.
pub(super) fn queue_type(kind: QueueKind) -> &'static str {
    match kind {
        QueueKind::Classic => "rabbit_classic_queue",
        QueueKind::Quorum => "rabbit_quorum_queue",
        QueueKind::Stream => "rabbit_stream_queue",
    }
}
