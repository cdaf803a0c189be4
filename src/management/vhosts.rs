//! Vhosts as RabbitMQ's management API shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::rates::Numbers;
use super::refusal::Refusal;
use super::subject::Subject;
use super::view::{Names, View};
use super::{connections, message_stats, queues};
use crate::broker::Broker;
use crate::broker::vhost::Vhost;
use crate::broker::vhost_metadata::VhostMetadata;
use crate::wire::ShortStr;

/// `GET /vhosts`.
pub(super) fn list(view: &View<'_>) -> Vec<Value> {
    let counted = VhostCounters::read(view.broker);
    view.visible_vhosts().iter().map(|vhost| row(view, &counted, vhost)).collect()
}

/// `GET /vhosts/:vhost`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    view.vhost(names.vhost()?).map(|vhost| row_of(view, &vhost))
}

/// One vhost.
pub(super) fn row_of(view: &View<'_>, vhost: &Arc<Vhost>) -> Value {
    row(view, &VhostCounters::read(view.broker), vhost)
}

/// The counters of all vhosts.
struct VhostCounters {
    messages: BTreeMap<ShortStr, Numbers>,
    octets: BTreeMap<ShortStr, Numbers>,
}

impl VhostCounters {
    fn read(broker: &Broker) -> Self {
        Self { messages: message_stats::by_vhost(broker), octets: octets_by_name(broker) }
    }
}

/// The octets that came to and went from every vhost: those of its connections, open and ended.
pub(super) fn octets_by_name(broker: &Broker) -> BTreeMap<ShortStr, Numbers> {
    let ended = |vhost: Arc<Vhost>| (vhost.name().clone(), connections::octets(&vhost.octets));
    let mut all: BTreeMap<_, _> = broker.vhosts().into_iter().map(ended).collect();
    for connection in broker.registry.list() {
        let Some(agreed) = connection.agreed() else { continue };
        if let Some(numbers) = all.get_mut(&agreed.vhost) {
            message_stats::add(numbers, &connections::octets(&connection.counters));
        }
    }
    all
}

fn row(view: &View<'_>, counted: &VhostCounters, vhost: &Arc<Vhost>) -> Value {
    let name = vhost.name().clone();
    let counters = counted.messages.get(&name).cloned().unwrap_or_default();
    let VhostMetadata { description, tags, default_queue_type, is_traced, is_protected } =
        vhost.metadata();
    let mut said = json!({"description": description, "tags": tags});
    if let Some(kind) = &default_queue_type {
        said["default_queue_type"] = kind.as_str().into();
    }
    if is_protected {
        said["protected_from_deletion"] = true.into();
    }
    let default_queue_type = default_queue_type.unwrap_or_else(|| "classic".to_owned());
    let mut row = json!({
        "name": name.as_str(),
        "description": description,
        "tags": tags,
        "default_queue_type": default_queue_type,
        "protected_from_deletion": is_protected,
        // What definitions carry: only what was said.
        "metadata": said,
        "tracing": is_traced,
        "cluster_state": {view.node(): "running"},
    });
    if !view.has_statistics() {
        return row;
    }
    row["message_stats"] = view.rates.counters(&Subject::Vhost(name.clone()), &counters);
    let lengths = queues::total_lengths(std::slice::from_ref(vhost));
    view.rates.put_lengths(&mut row, &Subject::VhostLengths(name.clone()), &lengths);
    if let Some(octets) = counted.octets.get(&name) {
        view.rates.put_counters(&mut row, &Subject::VhostOctets(name), octets);
    }
    row
}
