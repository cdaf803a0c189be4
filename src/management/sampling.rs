//! Reads all counters of the broker at once, for rates.
//!
//! Cost: the locks of all queues, one after the other, every five seconds; nothing for a message under way.

use std::time::Duration;

use super::rates::{Numbers, Sample};
use super::server_info::ServerInfo;
use super::subject::Subject;
use super::{connections, message_stats, nodes, queues, vhosts};
use crate::broker::Broker;

/// Everything that has a rate, the sums first.
pub(super) fn sample(broker: &Broker, server: &ServerInfo, now: Duration) -> Sample {
    let vhosts = broker.vhosts();
    let messages = message_stats::by_vhost(broker);
    let octets = vhosts::octets_by_name(broker).into_iter();
    let octets = octets.map(|(name, numbers)| (Subject::VhostOctets(name), numbers));
    let sums: [(Subject, Numbers); 3] = [
        (Subject::Messages, message_stats::total(&messages)),
        (Subject::Churn, broker.churn.snapshot()),
        (Subject::Lengths, queues::total_lengths(&vhosts)),
    ];
    let messages = messages.into_iter().map(|(name, numbers)| (Subject::Vhost(name), numbers));
    let lengths = vhosts.iter().map(|vhost| {
        let lengths = queues::total_lengths(std::slice::from_ref(vhost));
        (Subject::VhostLengths(vhost.name().clone()), lengths)
    });
    let exchanges = vhosts.iter().flat_map(|vhost| vhost.exchanges()).map(|exchange| {
        let subject = Subject::Exchange(exchange.vhost, exchange.settings.name);
        (subject, exchange.counters.snapshot())
    });
    let queues = vhosts.iter().flat_map(|vhost| vhost.queues()).flat_map(|queue| {
        let info = queue.info();
        let (vhost, name) = (info.settings.vhost.clone(), info.settings.name.clone());
        [
            (Subject::Queue(vhost.clone(), name.clone()), message_stats::of_queue(&info.counters)),
            (Subject::QueueLengths(vhost, name), queues::lengths(&info)),
        ]
    });
    let connections = broker.registry.list().into_iter().flat_map(|connection| {
        let id = connection.id;
        let octets = (Subject::Connection(id), connections::octets(&connection.counters));
        let channels = connection.channels().into_iter().map(move |channel| {
            let numbers = message_stats::of_messages(&channel.counters);
            (Subject::Channel(id, channel.number), numbers)
        });
        std::iter::once(octets).chain(channels.collect::<Vec<_>>())
    });
    let vhosts = messages.chain(lengths).chain(octets);
    let node = nodes::numbers(broker, server);
    let all = sums
        .into_iter()
        .chain(node)
        .chain(vhosts)
        .chain(exchanges)
        .chain(queues)
        .chain(connections);
    Sample::new(now, all)
}
