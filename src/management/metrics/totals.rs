//! The sums of everything that the broker counts.
//!
//! An object that ends gives its counts to [`EndedCounts`](crate::broker::ended::EndedCounts), so that the sums never fall. That is
//! read first: an object that ends meanwhile is missing once, and is never counted twice.

use super::numbers::{ChannelNumbers, ConnectionNumbers, ExchangeNumbers, QueueNumbers};
use crate::broker::Broker;
use crate::broker::arguments::QueueKind;
use crate::broker::stats::{MessageCounters, QueueCounters};
use crate::management::node_numbers::NodeNumbers;
use crate::management::server_info::ServerInfo;

/// The sums of all objects, those that have ended included where numbers only grow.
#[derive(Debug, Default)]
pub(super) struct MetricTotals {
    pub(super) node: NodeNumbers,
    pub(super) queues: QueueNumbers,
    pub(super) classic: QueueCounters,
    pub(super) quorum: QueueCounters,
    pub(super) stream: QueueCounters,
    pub(super) channels: ChannelNumbers,
    pub(super) connections: ConnectionNumbers,
    pub(super) exchanges: ExchangeNumbers,
    pub(super) queues_len: u64,
    pub(super) connections_len: u64,
}

impl MetricTotals {
    pub(super) fn read(broker: &Broker, server: &ServerInfo) -> Self {
        let mut totals = Self { node: NodeNumbers::read(broker, server), ..Self::default() };
        totals.add_ended(broker);
        for vhost in broker.vhosts() {
            totals.channels.counters.absorb(&vhost.counters);
            for queue in vhost.queues() {
                totals.add_queue(queue.settings().kind, &QueueNumbers::of(&queue.info()));
            }
            for exchange in vhost.exchanges() {
                totals.exchanges.add(&exchange.counters);
            }
        }
        for connection in broker.registry.list() {
            totals.connections_len += u64::from(connection.agreed().is_some());
            totals.connections.add(&connection);
            for channel in connection.channels() {
                totals.channels.add(&channel);
            }
        }
        // Without dead letters, as in RabbitMQ.
        totals.queues.published = totals.exchanges.routed;
        let all = MessageCounters::default();
        all.absorb(&totals.channels.counters);
        totals.exchanges.channels = Some(all);
        totals
    }

    fn add_ended(&mut self, broker: &Broker) {
        let ended = broker.ended();
        self.classic = ended.classic.get();
        self.quorum = ended.quorum.get();
        self.stream = ended.stream.get();
        for counters in [self.classic, self.quorum, self.stream] {
            self.queues.counters += counters;
        }
        self.exchanges.add(&ended.exchanges);
        self.channels.to_confirm = ended.to_confirm.get();
        self.channels.sizes = *ended.sizes.lock();
        self.channels.counters.absorb(&ended.channels);
        self.connections.counters.absorb(&ended.connections);
    }

    fn add_queue(&mut self, kind: QueueKind, numbers: &QueueNumbers) {
        self.queues_len += 1;
        self.queues.add(numbers);
        let of_kind = match kind {
            QueueKind::Classic => &mut self.classic,
            QueueKind::Quorum => &mut self.quorum,
            QueueKind::Stream => &mut self.stream,
        };
        *of_kind += numbers.counters;
    }
}
