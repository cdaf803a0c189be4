//! Feature flags: RabbitMQ's names for behaviour that came later, where ours is the later one; and its names for what it
//! has deprecated.

use std::sync::Arc;

use serde_json::{Value, json};

use super::change_request::{ChangeOutcome, ChangeRequest};
use super::refusal::Refusal;
use super::server_info::PRODUCT;
use super::view::View;
use crate::broker::compat::Compat;
use crate::broker::queue::Queue;

/// Flags whose effect can be seen from outside and holds here. Flags about a cluster's storage mean nothing for us.
const FLAGS: [(&str, &str); 3] = [
    ("drop_unroutable_metric", "Count unroutable publishes to be dropped in stats"),
    ("empty_basic_get_metric", "Count AMQP `basic.get` on empty queues in stats"),
    (
        "implicit_default_bindings",
        "Default bindings are now implicit, instead of being stored in the database",
    ),
];

/// `GET /feature-flags`.
pub(super) fn flags(_: &View<'_>) -> Vec<Value> {
    let row = |(name, description): (&str, &str)| {
        json!({
            "name": name,
            "desc": description,
            "doc_url": "",
            "state": "enabled",
            "stability": "required",
            "provided_by": PRODUCT,
        })
    };
    FLAGS.into_iter().map(row).collect()
}

/// `PUT /feature-flags/:name/enable`: each is on already.
fn check_known(name: &str) -> Result<(), Refusal> {
    if FLAGS.iter().any(|(known, _)| *known == name) {
        return Ok(());
    }
    Err(Refusal::bad_request("unsupported"))
}

/// A feature that RabbitMQ 4.3 has deprecated.
struct Deprecated {
    name: &'static str,
    phase: &'static str,
    /// Answers whether it works here in this mode.
    is_permitted: fn(Compat) -> bool,
    /// The end of the page that announces it.
    page: &'static str,
    provided_by: &'static str,
}

const DENIED: &str = "denied_by_default";
const REMOVED: &str = "removed";
const ANNOUNCED: &str = "https://blog.rabbitmq.com/posts/2021/08/4.0-deprecation-announcements/#";

const fn deprecated(name: &'static str, page: &'static str) -> Deprecated {
    let is_permitted = |compat: Compat| !compat.is_strict();
    Deprecated { name, phase: DENIED, is_permitted, page, provided_by: "rabbit" }
}

/// All of it, in RabbitMQ's order.
const DEPRECATED: [Deprecated; 8] = [
    deprecated("queue_master_locator", ""),
    deprecated("global_qos", "removal-of-global-qos"),
    // Two of AMQP 1.0, which is not spoken here.
    Deprecated {
        is_permitted: |_| false,
        ..deprecated(
            "amqp_filter_set_bug",
            "https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-messaging-v1.0-os.html#type-filter-set",
        )
    },
    Deprecated {
        is_permitted: |_| false,
        ..deprecated("amqp_address_v1", "https://www.rabbitmq.com/docs/amqp#addresses")
    },
    Deprecated {
        phase: "permitted_by_default",
        is_permitted: |_| true,
        provided_by: "rabbitmq_management_agent",
        ..deprecated(
            "management_metrics_collection",
            "disable-metrics-delivery-via-the-management-api--ui",
        )
    },
    deprecated(TRANSIENT, "removal-of-transient-non-exclusive-queues"),
    // One node is every mirror that a policy asks for.
    Deprecated {
        phase: REMOVED,
        ..deprecated("classic_queue_mirroring", "removal-of-classic-queue-mirroring")
    },
    Deprecated {
        phase: REMOVED,
        is_permitted: |_| false,
        ..deprecated("ram_node_type", "removal-of-ram-nodes")
    },
];

const TRANSIENT: &str = "transient_nonexcl_queues";

impl Deprecated {
    fn row(&self) -> Value {
        let doc_url = match self.page {
            "" => String::new(),
            whole if whole.starts_with("https:") => whole.to_owned(),
            part => format!("{ANNOUNCED}{part}"),
        };
        json!({
            "name": self.name,
            "desc": "",
            "deprecation_phase": self.phase,
            "doc_url": doc_url,
            "provided_by": self.provided_by,
        })
    }
}

/// `GET /deprecated-features`; 3.10 deprecates nothing that is named so.
pub(super) fn all_deprecated(view: &View<'_>) -> Vec<Value> {
    let compat = view.broker.compat();
    let row = |feature: &Deprecated| {
        let state = if (feature.is_permitted)(compat) { "permitted" } else { "denied" };
        let mut row = feature.row();
        row["state"] = state.into();
        row
    };
    if compat.is_3_10() { Vec::new() } else { DEPRECATED.iter().map(row).collect() }
}

/// `GET /deprecated-features/used`: as in RabbitMQ, queues that are neither durable nor exclusive are all that is
/// looked for.
pub(super) fn used_deprecated(view: &View<'_>) -> Vec<Value> {
    let is_transient = |queue: &Arc<Queue>| {
        let settings = queue.settings();
        !settings.is_durable && settings.exclusive_owner.is_none()
    };
    let is_used =
        || view.broker.vhosts().iter().any(|vhost| vhost.queues().iter().any(is_transient));
    if view.broker.compat().is_3_10() || !is_used() {
        return Vec::new();
    }
    DEPRECATED.iter().filter(|feature| feature.name == TRANSIENT).map(Deprecated::row).collect()
}

/// Enables a feature flag: all that are known are enabled.
pub(super) fn enable(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    check_known(request.names.get("name")?)?;
    Ok(ChangeOutcome::Quietly)
}
