//! The groups of families that `/metrics/detailed` asks for by name, and the objects that each is about.

use super::families::{
    AUTH_ATTEMPTS, CHANNEL, CHANNEL_EXCHANGE, CHANNEL_QUEUE, CHANNEL_QUEUE_EXCHANGE, CHURN,
    CONNECTION, CONNECTION_COARSE, EXCHANGE, Family, NODE, NODE_COARSE, NODE_PERSISTER, QUEUE,
    QUEUE_COARSE, QUEUE_CONSUMER_COUNT, QUEUE_DELIVERY, QUEUE_EXCHANGE,
};
use super::logins::{Attempts, attempts};
use super::numbers::{ChannelNumbers, ConnectionNumbers, ExchangeNumbers, QueueNumbers};
use super::objects::Objects;
use super::text::{MetricKind, Text, labels};
use super::totals::MetricTotals;
use crate::broker::Broker;
use crate::management::node_numbers::NodeNumbers;

/// The objects that are told of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told<'a> {
    /// All of a kind together
    Together(&'a Broker, &'a MetricTotals),
    /// Each for itself
    Each(&'a NodeNumbers, &'a Objects<'a>),
}

/// A group: RabbitMQ's name, and what writes its families.
type Group = (&'static str, fn(Told<'_>, &mut Text<'_>));

/// All groups, in RabbitMQ's order. `queue_consumer_count` is a part of `queue_metrics` and is written only if a client
/// asks for it and not for the whole.
#[rustfmt::skip]
pub(super) const GROUPS: &[Group] = &[
    ("connection_churn_metrics",       |told, text| told.node(text, CHURN)),
    ("node_coarse_metrics",            |told, text| told.node(text, NODE_COARSE)),
    ("node_metrics",                   |told, text| told.node(text, NODE)),
    ("node_persister_metrics",         |told, text| told.node(text, NODE_PERSISTER)),
    ("auth_attempt_metrics",           |told, text| told.attempts(text)),
    ("queue_coarse_metrics",           |told, text| told.queues(text, QUEUE_COARSE)),
    (CONSUMER_COUNT,                   |told, text| told.queues(text, QUEUE_CONSUMER_COUNT)),
    (QUEUE_METRICS,                    |told, text| told.queues(text, QUEUE)),
    ("channel_metrics",                |told, text| told.channels(text, CHANNEL)),
    ("channel_exchange_metrics",       |told, text| told.channels(text, CHANNEL_EXCHANGE)),
    ("channel_queue_metrics",          |told, text| told.channels(text, CHANNEL_QUEUE)),
    ("connection_coarse_metrics",      |told, text| told.connections(text, CONNECTION_COARSE)),
    ("connection_metrics",             |told, text| told.connections(text, CONNECTION)),
    ("channel_queue_exchange_metrics", |told, text| told.queues(text, CHANNEL_QUEUE_EXCHANGE)),
    ("exchange_metrics",               |told, text| told.exchanges(text, EXCHANGE)),
    ("queue_delivery_metrics",         |told, text| told.queues(text, QUEUE_DELIVERY)),
    ("queue_exchange_metrics",         |told, text| told.queues(text, QUEUE_EXCHANGE)),
];

const CONSUMER_COUNT: &str = "queue_consumer_count";
const QUEUE_METRICS: &str = "queue_metrics";
/// Beside any of these stands `queue_info`.
const WITH_QUEUE_INFO: &[&str] = &["queue_coarse_metrics", CONSUMER_COUNT, QUEUE_METRICS];

/// A group about definitions: RabbitMQ's name, and what writes its families.
type ClusterGroup = (&'static str, fn(&Objects<'_>, &mut Text<'_>));

/// Groups of `/metrics/detailed` only, whose names begin with `rabbitmq_cluster_`.
#[rustfmt::skip]
const CLUSTER_GROUPS: &[ClusterGroup] = &[
    ("vhost_status",      vhost_status),
    ("exchange_bindings", exchange_bindings),
    ("exchange_names",    exchange_names),
];

/// Writes all groups.
pub(super) fn write_all(told: Told<'_>, text: &mut Text<'_>) {
    for (_, write) in GROUPS.iter().filter(|(name, _)| *name != CONSUMER_COUNT) {
        write(told, text);
    }
}

/// Writes the groups that a client has asked for; one that is not known has no families.
pub(super) fn write_asked(node: &NodeNumbers, objects: &Objects<'_>, text: &mut Text<'_>) {
    let is_asked = |name: &str| objects.filter().has_family(name);
    let has_whole = is_asked(QUEUE_METRICS);
    for (name, write) in GROUPS {
        if is_asked(name) && !(*name == CONSUMER_COUNT && has_whole) {
            write(Told::Each(node, objects), text);
        }
    }
    let prefix = text.set_prefix("rabbitmq_cluster_");
    for (name, write) in CLUSTER_GROUPS {
        if is_asked(name) {
            write(objects, text);
        }
    }
    text.set_prefix(prefix);
    if WITH_QUEUE_INFO.iter().any(|name| is_asked(name)) {
        write_queue_info(objects, text);
    }
}

pub(super) fn write_queue_info(objects: &Objects<'_>, text: &mut Text<'_>) {
    let help = "A metric with a constant '1' value and labels that provide some queue details";
    text.family("queue_info", MetricKind::Gauge, help);
    for labels in objects.queue_infos() {
        text.sample(&labels, 1_u64);
    }
}

fn vhost_status(objects: &Objects<'_>, text: &mut Text<'_>) {
    text.family("vhost_status", MetricKind::Gauge, "Whether a given vhost is running");
    for vhost in objects.broker().vhosts() {
        text.sample(&labels(&[("vhost", vhost.name())]), true);
    }
}

fn exchange_bindings(objects: &Objects<'_>, text: &mut Text<'_>) {
    let help = "Number of bindings for an exchange. This value is cluster-wide.";
    text.family("exchange_bindings", MetricKind::Gauge, help);
    for (labels, count) in objects.exchange_bindings() {
        text.sample(&labels, count);
    }
}

fn exchange_names(objects: &Objects<'_>, text: &mut Text<'_>) {
    let help = "Enumerates exchanges without any additional info. This value is cluster-wide. \
                A cheaper alternative to `exchange_bindings`";
    text.family("exchange_name", MetricKind::Gauge, help);
    for (labels, _) in objects.exchange_bindings() {
        text.sample(&labels, 1_u64);
    }
}

impl Told<'_> {
    fn node(self, text: &mut Text<'_>, families: &[Family<NodeNumbers>]) {
        let (Self::Together(_, MetricTotals { node, .. }) | Self::Each(node, _)) = self;
        write_one(text, families, node);
    }

    fn attempts(self, text: &mut Text<'_>) {
        let broker = match self {
            Self::Together(broker, _) => broker,
            Self::Each(_, objects) => objects.broker(),
        };
        write::<Attempts>(text, AUTH_ATTEMPTS, &attempts(broker));
    }

    fn queues(self, text: &mut Text<'_>, families: &[Family<QueueNumbers>]) {
        match self {
            Self::Together(_, totals) => write_one(text, families, &totals.queues),
            Self::Each(_, objects) => write(text, families, objects.queues()),
        }
    }

    fn channels(self, text: &mut Text<'_>, families: &[Family<ChannelNumbers>]) {
        match self {
            Self::Together(_, totals) => write_one(text, families, &totals.channels),
            Self::Each(_, objects) => write(text, families, objects.channels()),
        }
    }

    fn connections(self, text: &mut Text<'_>, families: &[Family<ConnectionNumbers>]) {
        match self {
            Self::Together(_, totals) => write_one(text, families, &totals.connections),
            Self::Each(_, objects) => write(text, families, &objects.connections()),
        }
    }

    fn exchanges(self, text: &mut Text<'_>, families: &[Family<ExchangeNumbers>]) {
        match self {
            Self::Together(_, totals) => write_one(text, families, &totals.exchanges),
            Self::Each(_, objects) => write(text, families, &objects.exchanges()),
        }
    }
}

/// Writes families of one object, which needs no labels.
pub(super) fn write_one<T>(text: &mut Text<'_>, families: &[Family<T>], numbers: &T) {
    for (name, kind, help, value) in families {
        text.family(name, *kind, help);
        if let Some(value) = value(numbers) {
            text.sample("", value);
        }
    }
}

fn write<T>(text: &mut Text<'_>, families: &[Family<T>], rows: &[(String, T)]) {
    for (name, kind, help, value) in families {
        text.family(name, *kind, help);
        for (labels, numbers) in rows {
            if let Some(value) = value(numbers) {
                text.sample(labels, value);
            }
        }
    }
}
