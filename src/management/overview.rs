//! The overview: the whole broker in one object.

use std::sync::Arc;

use serde_json::{Value, json};

use super::history::KEPT_S;
use super::refusal::Refusal;
use super::server_info::PRODUCT;
use super::subject::Subject;
use super::view::{Names, View};
use super::{exchanges, message_stats, policies, queues};
use crate::broker::vhost::Vhost;

/// `GET /overview`. A user who does not see the whole broker gets the sums of the vhosts it may be in, and nothing of
/// the node (RabbitMQ: `rabbit_mgmt_wm_overview`).
pub(super) fn overview(view: &View<'_>) -> Value {
    let vhosts = view.visible_vhosts();
    let rates = &view.rates;
    let mut by_vhost = message_stats::by_vhost(view.broker);
    let names: Vec<_> = vhosts.iter().map(|vhost| vhost.name().clone()).collect();
    by_vhost.retain(|name, _| names.contains(name));
    let messages = message_stats::total(&by_vhost);
    let total_lengths = queues::total_lengths(&vhosts);
    let (of_messages, of_lengths): (Vec<_>, Vec<_>) = if view.sees_all() {
        (vec![Subject::Messages], vec![Subject::Lengths])
    } else {
        let names = names.into_iter();
        names.map(|name| (Subject::Vhost(name.clone()), Subject::VhostLengths(name))).unzip()
    };
    let mut lengths = json!({});
    rates.put_lengths_of(&mut lengths, &of_lengths, &total_lengths);
    let mut overview = json!({
        "management_version": view.broker.compat().version(),
        "rates_mode": "basic",
        "sample_retention_policies": {"global": KEPT_S, "basic": KEPT_S, "detailed": KEPT_S},
        "exchange_types": exchanges::types(),
        "product_name": PRODUCT,
        "product_version": env!("CARGO_PKG_VERSION"),
        // The same word as in the server properties of AMQP: who asks both knows that they are one broker.
        "instance": view.broker.instance,
        "rabbitmq_version": view.broker.compat().version(),
        "cluster_name": policies::cluster_name(view)["name"],
        "cluster_tags": {},
        "node_tags": {},
        "default_queue_type": view.broker.default_queue_type(),
        // There is no Erlang here; clients want to read the fields.
        "erlang_version": "",
        "erlang_full_version": "",
        "disable_stats": view.server.http.disable_stats,
        "enable_queue_totals": view.server.http.enable_queue_totals,
        "is_op_policy_updating_enabled": false,
        "object_totals": object_totals(view, &vhosts),
        "require_definition_json_extension": false,
    });
    if view.sees_all() {
        overview["node"] = view.node().into();
    }
    if !view.has_statistics() {
        return overview;
    }
    overview["message_stats"] = rates.counters_of(&of_messages, &messages);
    overview["churn_rates"] = rates.counters(&Subject::Churn, &view.broker.churn.snapshot());
    overview["queue_totals"] = lengths;
    overview["statistics_db_event_queue"] = 0.into();
    if view.sees_all() {
        overview["listeners"] = listeners(view).into();
        overview["contexts"] = contexts(view).into();
    }
    overview
}

/// `GET /version`.
pub(super) fn version(view: &View<'_>) -> Value {
    view.broker.compat().version().into()
}

/// Lists of things that do not exist here and cannot be made: the empty list is the truth. A vhost in the path
/// must exist.
pub(super) fn none(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    view.vhosts(names).map(|_| Vec::new())
}

/// The web contexts of the node.
pub(super) fn contexts(view: &View<'_>) -> Vec<Value> {
    let http = view.server.listeners.iter().filter(|listener| listener.protocol == "http");
    http.map(|listener| {
        json!({
            "node": view.node(),
            "description": "RabbitMQ Management",
            "path": "/",
            "ip": listener.address.to_string(),
            "port": listener.port.to_string(),
            "ssl_opts": [],
        })
    })
    .collect()
}

fn listeners(view: &View<'_>) -> Vec<Value> {
    let all = view.server.listeners.iter();
    all.map(|listener| {
        json!({
            "node": view.node(),
            "protocol": listener.protocol,
            "ip_address": listener.address.to_string(),
            "port": listener.port,
            "socket_opts": {},
            "tls": listener.certificates.is_some(),
        })
    })
    .collect()
}

fn object_totals(view: &View<'_>, vhosts: &[Arc<Vhost>]) -> Value {
    let connections = view.connections();
    let channels: usize = connections.iter().map(|(one, _)| one.channels().len()).sum();
    let queues: Vec<_> = vhosts.iter().flat_map(|vhost| vhost.queues()).collect();
    let consumers: u64 = queues.iter().map(|queue| u64::from(queue.counts().consumers)).sum();
    let exchanges: usize = vhosts.iter().map(|vhost| vhost.exchanges().len()).sum();
    let mut totals = json!({
        "connections": connections.len(),
        "exchanges": exchanges,
        "queues": queues.len(),
    });
    if view.has_statistics() {
        totals["channels"] = channels.into();
        if view.sees_all() {
            totals["consumers"] = consumers.into();
        }
    }
    totals
}
