//! The families of metrics, with RabbitMQ's names, types and texts (`prometheus_rabbitmq_core_metrics_collector`).
//!
//! A family that RabbitMQ has and that is missing here has no number here: reductions and other counts of Erlang's, Raft's
//! logs, persistent messages of a queue.

use super::logins::Attempts;
use super::numbers::{ChannelNumbers, ConnectionNumbers, ExchangeNumbers, QueueNumbers};
use super::text::MetricKind::{self, Counter, Gauge};
use super::text::Number;
use crate::broker::stats::MessageCounters;
use crate::management::node_numbers::NodeNumbers;

/// A family: its name without prefix, its type, its help, and where an object's value is.
pub(super) type Family<T> = (&'static str, MetricKind, &'static str, fn(&T) -> Option<Number>);

/// A value that is always there.
#[expect(clippy::unnecessary_wraps, reason = "what a family's function answers")]
pub(super) fn some(value: impl Into<Number>) -> Option<Number> {
    Some(value.into())
}

#[rustfmt::skip]
pub(super) const CHURN: &[Family<NodeNumbers>] = &[
    ("connections_opened_total", Counter, "Total number of connections opened",               |node| some(node.connections_opened)),
    ("connections_closed_total", Counter, "Total number of connections closed or terminated", |node| some(node.connections_closed)),
    ("channels_opened_total",    Counter, "Total number of channels opened",                  |node| some(node.channels_opened)),
    ("channels_closed_total",    Counter, "Total number of channels closed",                  |node| some(node.channels_closed)),
    ("queues_declared_total",    Counter, "Total number of queues declared",                  |node| some(node.queues_declared)),
    ("queues_created_total",     Counter, "Total number of queues created",                   |node| some(node.queues_created)),
    ("queues_deleted_total",     Counter, "Total number of queues deleted",                   |node| some(node.queues_deleted)),
];

#[rustfmt::skip]
pub(super) const NODE_COARSE: &[Family<NodeNumbers>] = &[
    ("process_open_fds",              Gauge, "Open file descriptors",         |node| some(node.files)),
    // Until RabbitMQ 3.12; alerts ask for it.
    ("process_open_tcp_sockets",      Gauge, "Open TCP sockets",              |node| some(node.sockets)),
    ("process_resident_memory_bytes", Gauge, "Memory used in bytes",          |node| some(node.resident_bytes)),
    ("disk_space_available_bytes",    Gauge, "Disk space available in bytes", |node| node.disk_free.map(Number::from)),
];

#[rustfmt::skip]
pub(super) const NODE: &[Family<NodeNumbers>] = &[
    ("process_max_fds",                  Gauge, "Open file descriptors limit",            |node| some(node.files_max)),
    // As above: a socket is a file.
    ("process_max_tcp_sockets",          Gauge, "Open TCP sockets limit",                 |node| some(node.files_max)),
    ("resident_memory_limit_bytes",      Gauge, "Memory high watermark in bytes",         |node| some(node.memory_limit)),
    ("disk_space_available_limit_bytes", Gauge, "Free disk space low watermark in bytes", |node| some(node.disk_limit)),
    ("erlang_uptime_seconds",            Gauge, "Node uptime",                            |node| some(node.uptime.as_secs_f64())),
];

#[rustfmt::skip]
pub(super) const NODE_PERSISTER: &[Family<NodeNumbers>] = &[
    ("io_read_ops_total",           Counter, "Total number of I/O read operations",           |node| some(node.reads.count)),
    ("io_read_bytes_total",         Counter, "Total number of I/O bytes read",                |node| some(node.reads.bytes)),
    ("io_write_ops_total",          Counter, "Total number of I/O write operations",          |node| some(node.writes.count)),
    ("io_write_bytes_total",        Counter, "Total number of I/O bytes written",             |node| some(node.writes.bytes)),
    ("io_sync_ops_total",           Counter, "Total number of I/O sync operations",           |node| some(node.syncs.count)),
    ("msg_store_write_total",       Counter, "Total number of Message Store write operations", |node| some(node.stored)),
    ("io_read_time_seconds_total",  Counter, "Total I/O read time",                           |node| some(node.reads.time.as_secs_f64())),
    ("io_write_time_seconds_total", Counter, "Total I/O write time",                          |node| some(node.writes.time.as_secs_f64())),
    ("io_sync_time_seconds_total",  Counter, "Total I/O sync time",                           |node| some(node.syncs.time.as_secs_f64())),
];

#[rustfmt::skip]
pub(super) const AUTH_ATTEMPTS: &[Family<Attempts>] = &[
    ("auth_attempts_total",           Counter, "Total number of authentication attempts",            |at| some(at.succeeded + at.failed)),
    ("auth_attempts_succeeded_total", Counter, "Total number of successful authentication attempts", |at| some(at.succeeded)),
    ("auth_attempts_failed_total",    Counter, "Total number of failed authentication attempts",     |at| some(at.failed)),
];

#[rustfmt::skip]
pub(super) const QUEUE_COARSE: &[Family<QueueNumbers>] = &[
    ("queue_messages_ready",   Gauge, "Messages ready to be delivered to consumers",                    |queue| some(queue.ready)),
    ("queue_messages_unacked", Gauge, "Messages delivered to consumers but not yet acknowledged",       |queue| some(queue.unacked)),
    ("queue_messages",         Gauge, "Sum of ready and unacknowledged messages - total queue depth",   |queue| some(queue.ready + queue.unacked + queue.letters)),
];

#[rustfmt::skip]
pub(super) const QUEUE_CONSUMER_COUNT: &[Family<QueueNumbers>] = &[
    ("queue_consumers", Gauge, "Consumers on a queue", |queue| some(queue.consumers)),
];

#[rustfmt::skip]
pub(super) const QUEUE: &[Family<QueueNumbers>] = &[
    ("queue_consumers",              Gauge, "Consumers on a queue",                              |queue| some(queue.consumers)),
    ("queue_consumer_capacity",      Gauge, "Consumer capacity",                                 |queue| some(queue.consumer_capacity)),
    ("queue_consumer_utilisation",   Gauge, "Same as consumer capacity",                         |queue| some(queue.consumer_capacity)),
    ("queue_process_memory_bytes",   Gauge, "Memory in bytes used by the messages of the queue", |queue| some(queue.memory_bytes)),
    ("queue_messages_bytes",         Gauge, "Size in bytes of ready and unacknowledged messages", |queue| some(queue.ready_bytes + queue.unacked_bytes + queue.letter_bytes)),
    ("queue_messages_ready_bytes",   Gauge, "Size in bytes of ready messages",                   |queue| some(queue.ready_bytes)),
    ("queue_messages_unacked_bytes", Gauge, "Size in bytes of all unacknowledged messages",      |queue| some(queue.unacked_bytes)),
];

#[rustfmt::skip]
pub(super) const CHANNEL: &[Family<ChannelNumbers>] = &[
    ("channel_consumers",            Gauge, "Consumers on a channel",                                         |channel| some(channel.consumers)),
    ("channel_messages_unacked",     Gauge, "Delivered but not yet acknowledged messages",                    |channel| some(channel.unacked)),
    ("channel_messages_unconfirmed", Gauge, "Published but not yet confirmed messages",                       |channel| some(channel.unconfirmed)),
    ("channel_messages_uncommitted", Gauge, "Messages received in a transaction but not yet committed",       |channel| some(channel.uncommitted)),
    ("channel_acks_uncommitted",     Gauge, "Message acknowledgements in a transaction not yet committed",    |channel| some(channel.uncommitted_acks)),
    ("consumer_prefetch",            Gauge, "Limit of unacknowledged messages for each consumer",             |channel| some(channel.prefetch)),
    ("channel_prefetch",             Gauge, "Deprecated and will be removed in a future version",             |channel| some(channel.global_prefetch)),
];

/// RabbitMQ counts them by channel and exchange, here a channel counts for all exchanges.
#[rustfmt::skip]
pub(super) const CHANNEL_EXCHANGE: &[Family<ChannelNumbers>] = &[
    ("channel_messages_published_total",           Counter, "Total number of messages published into an exchange on a channel",                                                                   |channel| some(channel.counters.publish.get())),
    ("channel_messages_confirmed_total",           Counter, "Total number of messages published into an exchange and confirmed on the channel",                                                   |channel| some(channel.counters.confirm.get())),
    ("channel_messages_unroutable_returned_total", Counter, "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",                       |channel| some(channel.counters.return_unroutable.get())),
    ("channel_messages_unroutable_dropped_total",  Counter, "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",                                     |channel| some(channel.counters.drop_unroutable.get())),
];

/// RabbitMQ counts them by channel and queue, here a channel counts for all queues.
#[rustfmt::skip]
pub(super) const CHANNEL_QUEUE: &[Family<ChannelNumbers>] = &[
    ("channel_get_ack_total",                Counter, "Total number of messages fetched with basic.get in manual acknowledgement mode",        |channel| some(channel.counters.get.get())),
    ("channel_get_total",                    Counter, "Total number of messages fetched with basic.get in automatic acknowledgement mode",     |channel| some(channel.counters.get_no_ack.get())),
    ("channel_messages_delivered_ack_total", Counter, "Total number of messages delivered to consumers in manual acknowledgement mode",        |channel| some(channel.counters.deliver.get())),
    ("channel_messages_delivered_total",     Counter, "Total number of messages delivered to consumers in automatic acknowledgement mode",     |channel| some(channel.counters.deliver_no_ack.get())),
    ("channel_messages_redelivered_total",   Counter, "Total number of messages redelivered to consumers",                                     |channel| some(channel.counters.redeliver.get())),
    ("channel_messages_acked_total",         Counter, "Total number of messages acknowledged by consumers",                                    |channel| some(channel.counters.ack.get())),
    ("channel_get_empty_total",              Counter, "Total number of times basic.get operations fetched no message",                         |channel| some(channel.counters.get_empty.get())),
];

#[rustfmt::skip]
pub(super) const CONNECTION_COARSE: &[Family<ConnectionNumbers>] = &[
    ("connection_incoming_bytes_total", Counter, "Total number of bytes received on a connection", |connection| some(connection.counters.received_bytes.get())),
    ("connection_outgoing_bytes_total", Counter, "Total number of bytes sent on a connection",     |connection| some(connection.counters.sent_bytes.get())),
];

#[rustfmt::skip]
pub(super) const CONNECTION: &[Family<ConnectionNumbers>] = &[
    ("connection_incoming_packets_total", Counter, "Total number of packets received on a connection",          |connection| some(connection.counters.received_packets.get())),
    ("connection_outgoing_packets_total", Counter, "Total number of packets sent on a connection",              |connection| some(connection.counters.sent_packets.get())),
    ("connection_pending_packets",        Gauge,   "Number of bytes waiting to be sent on a connection",        |connection| some(connection.unsent_bytes)),
    ("connection_channels",               Gauge,   "Channels on a connection",                                  |connection| some(connection.channels)),
];

#[rustfmt::skip]
pub(super) const EXCHANGE: &[Family<ExchangeNumbers>] = &[
    ("exchange_messages_published_total",           Counter, "Total number of messages published into an exchange",                                                                     |exchange| some(exchange.published)),
    ("exchange_messages_confirmed_total",           Counter, "Total number of messages published into an exchange and confirmed",                                                       |exchange| of_channels(exchange, |all| all.confirm.get())),
    ("exchange_messages_unroutable_returned_total", Counter, "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",            |exchange| of_channels(exchange, |all| all.return_unroutable.get())),
    ("exchange_messages_unroutable_dropped_total",  Counter, "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",                          |exchange| of_channels(exchange, |all| all.drop_unroutable.get())),
];

fn of_channels(exchange: &ExchangeNumbers, count: fn(&MessageCounters) -> u64) -> Option<Number> {
    exchange.channels.as_ref().map(|all| count(all).into())
}

#[rustfmt::skip]
pub(super) const QUEUE_DELIVERY: &[Family<QueueNumbers>] = &[
    ("queue_get_ack_total",                Counter, "Total number of messages fetched from a queue with basic.get in manual acknowledgement mode",       |queue| some(queue.counters.get)),
    ("queue_get_total",                    Counter, "Total number of messages fetched from a queue with basic.get in automatic acknowledgement mode",    |queue| some(queue.counters.get_no_ack)),
    ("queue_messages_delivered_ack_total", Counter, "Total number of messages delivered from a queue to consumers in manual acknowledgement mode",       |queue| some(queue.counters.deliver)),
    ("queue_messages_delivered_total",     Counter, "Total number of messages delivered from a queue to consumers in automatic acknowledgement mode",    |queue| some(queue.counters.deliver_no_ack)),
    ("queue_messages_redelivered_total",   Counter, "Total number of messages redelivered from a queue to consumers",                                    |queue| some(queue.counters.redeliver)),
    ("queue_messages_acked_total",         Counter, "Total number of messages acknowledged by consumers on a queue",                                     |queue| some(queue.counters.ack)),
    ("queue_get_empty_total",              Counter, "Total number of times basic.get operations fetched no message on a queue",                          |queue| some(queue.counters.get_empty)),
];

/// RabbitMQ counts them by channel, queue and exchange, here a queue counts for all channels and exchanges.
#[rustfmt::skip]
pub(super) const CHANNEL_QUEUE_EXCHANGE: &[Family<QueueNumbers>] = &[
    ("queue_messages_published_total", Counter, "Total number of messages published into a queue through an exchange on a channel", |queue| some(queue.published)),
];

/// As above.
#[rustfmt::skip]
pub(super) const QUEUE_EXCHANGE: &[Family<QueueNumbers>] = &[
    ("queue_exchange_messages_published_total", Counter, "Total number of messages published into a queue through an exchange", |queue| some(queue.published)),
];
