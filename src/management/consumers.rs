//! Consumers as RabbitMQ's management API shows them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::arguments;
use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::queue::{Activity, ConsumerInfo, Queue};
use crate::broker::registry::{Connection, NegotiatedParameters};

/// `GET /consumers` and `/consumers/:vhost`.
pub(super) fn list(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let vhosts = view.vhosts(names)?;
    let queues: Vec<_> = vhosts.iter().flat_map(|vhost| vhost.queues()).collect();
    Ok(of_queues(view, &queues))
}

/// The consumers of one queue.
pub(super) fn of_queue(view: &View<'_>, queue: &Arc<Queue>) -> Vec<Value> {
    of_queues(view, std::slice::from_ref(queue))
}

/// The consumers of one channel.
pub(super) fn of_channel(view: &View<'_>, connection: &str, number: u16) -> Vec<Value> {
    let vhosts = view.broker.vhosts();
    let queues: Vec<_> = vhosts.iter().flat_map(|vhost| vhost.queues()).collect();
    let is_its = |consumer: &ConsumerInfo| {
        consumer.subscription.channel == number && &*consumer.subscription.connection == connection
    };
    let known = known_connections(view);
    let all = queues.iter().flat_map(|queue| queue.consumers());
    all.filter(is_its).map(|consumer| row(view, &known, &consumer)).collect()
}

/// Connections by name.
pub(super) type KnownConnections = HashMap<Arc<str>, (Arc<Connection>, Arc<NegotiatedParameters>)>;

pub(super) fn known_connections(view: &View<'_>) -> KnownConnections {
    let all = view.connections().into_iter();
    all.map(|known| (Arc::clone(&known.0.peer.name), known)).collect()
}

fn of_queues(view: &View<'_>, queues: &[Arc<Queue>]) -> Vec<Value> {
    let known = known_connections(view);
    let consumers = queues.iter().flat_map(|queue| queue.consumers());
    consumers.map(|consumer| row(view, &known, &consumer)).collect()
}

fn row(view: &View<'_>, known: &KnownConnections, consumer: &ConsumerInfo) -> Value {
    let wanted = &consumer.subscription;
    json!({
        "consumer_tag": wanted.tag.as_str(),
        "active": consumer.activity != Activity::Waiting,
        "activity_status": consumer.activity.name(),
        "ack_required": !wanted.no_ack,
        "exclusive": wanted.exclusive,
        "prefetch_count": wanted.prefetch,
        "arguments": arguments::object(&wanted.arguments),
        // None: a delivery may stay unacknowledged for ever.
        "consumer_timeout": 0,
        "queue": {"name": consumer.queue.as_str(), "vhost": consumer.vhost.as_str()},
        "channel_details": channel_details(view, known, &wanted.connection, wanted.channel),
    })
}

/// A channel of the connection with this name; empty when it has gone in this moment, as in RabbitMQ.
pub(super) fn channel_details(
    view: &View<'_>,
    known: &KnownConnections,
    name: &Arc<str>,
    number: u16,
) -> Value {
    let Some((connection, agreed)) = known.get(name) else { return json!({}) };
    json!({
        "name": format!("{name} ({number})"),
        "number": number,
        "node": view.node(),
        "connection_name": &**name,
        "peer_host": connection.peer.peer_host,
        "peer_port": connection.peer.peer_port,
        "user": agreed.user.as_str(),
    })
}
