//! `message_stats`: what happened to messages, in the order and with the names RabbitMQ gives the counters.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rates::Numbers;
use crate::broker::Broker;
use crate::broker::stats::{MessageCounters, QueueCounters};
use crate::broker::vhost::Vhost;
use crate::wire::ShortStr;

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

/// The counters of every vhost, in the order of their names: those of its channels, open and ended.
pub(super) fn by_vhost(broker: &Broker) -> BTreeMap<ShortStr, Numbers> {
    let ended = |vhost: Arc<Vhost>| (vhost.name().clone(), of_messages(&vhost.counters));
    let mut all: BTreeMap<_, _> = broker.vhosts().into_iter().map(ended).collect();
    for connection in broker.registry.list() {
        let Some(agreed) = connection.agreed() else { continue };
        let Some(numbers) = all.get_mut(&agreed.vhost) else { continue };
        for channel in connection.channels() {
            add(numbers, &of_messages(&channel.counters));
        }
    }
    all
}

/// The counters of all vhosts together. Nothing is on a disk, so nothing was read from there or written.
pub(super) fn total(by_vhost: &BTreeMap<ShortStr, Numbers>) -> Numbers {
    let mut total = of_messages(&MessageCounters::default());
    for numbers in by_vhost.values() {
        add(&mut total, numbers);
    }
    total.extend([("disk_reads", 0), ("disk_writes", 0)]);
    total
}

/// Adds numbers of the same names.
pub(super) fn add(sum: &mut Numbers, more: &Numbers) {
    for ((_, sum), (_, value)) in sum.iter_mut().zip(more) {
        *sum += value;
    }
}

/// RabbitMQ's sum of all four ways a message can leave a queue for a client.
fn with_deliver_get(mut numbers: Numbers) -> Numbers {
    const WAYS: [&str; 4] = ["deliver", "deliver_no_ack", "get", "get_no_ack"];
    let ways = numbers.iter().filter(|(name, _)| WAYS.contains(name));
    let sum = ways.map(|(_, value)| value).sum();
    numbers.push(("deliver_get", sum));
    numbers
}
