//! `message_stats`: what happened to messages, in the order and with the names RabbitMQ gives the counters.

use std::sync::Arc;

use super::rates::Numbers;
use crate::broker::stats::{MessageCounters, QueueCounters};
use crate::broker::vhost::Vhost;

/// The counters of a channel, a vhost or the whole broker.
pub(super) fn of_messages(counters: &MessageCounters) -> Numbers {
    with_deliver_get(counters.snapshot())
}

/// The counters of a queue.
pub(super) fn of_queue(counters: &QueueCounters) -> Numbers {
    let QueueCounters {
        publish,
        deliver,
        deliver_no_ack,
        get,
        get_no_ack,
        get_empty,
        redeliver,
        ack,
    } = *counters;
    with_deliver_get(vec![
        ("publish", publish),
        ("deliver", deliver),
        ("deliver_no_ack", deliver_no_ack),
        ("get", get),
        ("get_no_ack", get_no_ack),
        ("get_empty", get_empty),
        ("redeliver", redeliver),
        ("ack", ack),
    ])
}

/// The counters of all vhosts together. Nothing is on a disk, so nothing was read from there or written.
pub(super) fn of_broker(vhosts: &[Arc<Vhost>]) -> Numbers {
    let each = vhosts.iter().map(|vhost| of_messages(&vhost.counters));
    let mut total = each.reduce(add).unwrap_or_default();
    total.extend([("disk_reads", 0), ("disk_writes", 0)]);
    total
}

/// Adds numbers of the same names.
pub(super) fn add(mut one: Numbers, other: Numbers) -> Numbers {
    for ((_, sum), (_, value)) in one.iter_mut().zip(other) {
        *sum += value;
    }
    one
}

/// RabbitMQ's sum of all four ways a message can leave a queue for a client.
fn with_deliver_get(mut numbers: Numbers) -> Numbers {
    const WAYS: [&str; 4] = ["deliver", "deliver_no_ack", "get", "get_no_ack"];
    let ways = numbers.iter().filter(|(name, _)| WAYS.contains(name));
    let sum = ways.map(|(_, value)| value).sum();
    numbers.push(("deliver_get", sum));
    numbers
}
