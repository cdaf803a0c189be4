//! Feature flags: RabbitMQ's names for behaviour that came later, where ours is the later one; and its names for what it
//! has deprecated.

use std::sync::Arc;

use serde_json::{Value, json};

use super::change_request::{ChangeOutcome, ChangeRequest};
use super::refusal::Refusal;
use super::server_info::PRODUCT;
use super::view::View;
use crate::broker::compat::{Compat, Feature};
use crate::broker::queue::Queue;

/// The flags of RabbitMQ 4.3, and whether 3.10 has them. All are on: what they turn on in RabbitMQ holds here, or is about
/// its own storage and clusters, where there is nothing older to come from.
#[rustfmt::skip]
const FLAGS: &[(bool, &str, &str)] = &[
    (true, "classic_mirrored_queue_version", "Support setting version for classic mirrored queues"),
    (false, "classic_queue_type_delivery_support", "Bug fix for classic queue deliveries using mixed versions"),
    (false, "detailed_queues_endpoint", "Add a detailed queues HTTP API endpoint. Reduce number of metrics in the default endpoint"),
    (false, "direct_exchange_routing_v2", "v2 direct exchange routing implementation"),
    (true, "drop_unroutable_metric", "Count unroutable publishes to be dropped in stats"),
    (true, "empty_basic_get_metric", "Count AMQP `basic.get` on empty queues in stats"),
    (false, "feature_flags_v2", "Feature flags subsystem V2"),
    (true, "implicit_default_bindings", "Default bindings are now implicit, instead of being stored in the database"),
    (false, "khepri_db", "New Raft-based metadata store"),
    (false, "listener_records_in_ets", "Store listener records in ETS instead of Mnesia"),
    (true, "maintenance_mode_status", "Maintenance mode status"),
    (false, "message_containers", "Message containers"),
    (false, "message_containers_deaths_v2", "Bug fix for dead letter cycle detection"),
    (true, "quorum_queue", "Support queues of type `quorum`"),
    (false, "quorum_queue_non_voters", "Allows new quorum queue members to be added as non voters initially"),
    (false, "rabbit_exchange_type_local_random", "Local random exchange"),
    (false, "rabbitmq_4.0.0", "Allows rolling upgrades from 3.13.x to 4.0.x"),
    (false, "rabbitmq_4.1.0", "Allows rolling upgrades to 4.1.x"),
    (false, "rabbitmq_4.2.0", "Allows rolling upgrades to 4.2.x"),
    (false, "rabbitmq_4.3.0", "Allows rolling upgrades to 4.3.x"),
    (false, "restart_streams", "Support for restarting streams with optional preferred next leader argument. Used to implement stream leader rebalancing"),
    (false, "stream_filtering", "Support for stream filtering"),
    (true, "stream_queue", "Support queues of type `stream`"),
    (false, "stream_sac_coordinator_unblock_group", "Bug fix to unblock a group of consumers in a super stream partition"),
    (false, "stream_single_active_consumer", "Single active consumer for streams"),
    (false, "stream_update_config_command", "A new internal command that is used to update streams as part of a policy"),
    (false, "tie_binding_to_dest_with_keep_while_cond", "Use keep_while condition to tie a binding record lifetime to its destination record in Khepri"),
    (false, "topic_binding_projection_v4", "Enable the topic binding Khepri projection v4"),
    (false, "topic_binding_projection_v5", "Enable the topic binding Khepri projection v5"),
    (false, "track_qq_members_uids", "Track queue members UIDs in the metadata store"),
    (false, "tracking_records_in_ets", "Store tracking records in ETS instead of Mnesia"),
    (true, "user_limits", "Configure connection and channel limits for a user"),
    (true, "virtual_host_metadata", "Virtual host metadata (description, tags, etc)"),
];

/// Flags that RabbitMQ 4.3 does not require yet.
const OPTIONAL: [&str; 5] = [
    "rabbitmq_4.3.0",
    "tie_binding_to_dest_with_keep_while_cond",
    "topic_binding_projection_v4",
    "topic_binding_projection_v5",
    "track_qq_members_uids",
];

/// The flags of the release that is spoken, each with its description.
fn known(compat: Compat) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_there = move |is_in_3_10: bool| is_in_3_10 || !compat.is_3_10();
    FLAGS
        .iter()
        .filter(move |flag| is_there(flag.0))
        .map(|(_, name, description)| (*name, *description))
}

/// `GET /feature-flags`.
pub(super) fn flags(view: &View<'_>) -> Vec<Value> {
    let row = |(name, description): (&str, &str)| {
        json!({
            "name": name,
            "desc": description,
            "doc_url": "",
            "state": "enabled",
            "stability": if OPTIONAL.contains(&name) { "stable" } else { "required" },
            "require_level": "hard",
            "experiment_level": "supported",
            "callbacks": [],
            "provided_by": PRODUCT,
        })
    };
    known(view.broker.compat()).map(row).collect()
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
    Deprecated {
        is_permitted: |compat| compat.permits(Feature::QueueMasterLocator),
        ..deprecated("queue_master_locator", "")
    },
    Deprecated {
        is_permitted: |compat| compat.permits(Feature::GlobalQos),
        ..deprecated("global_qos", "removal-of-global-qos")
    },
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
    Deprecated {
        is_permitted: |compat| compat.permits(Feature::TransientQueues),
        ..deprecated(TRANSIENT, "removal-of-transient-non-exclusive-queues")
    },
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

/// `PUT /feature-flags/:name/enable`: each is on already.
pub(super) fn enable(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let asked = request.names.get("name")?;
    if known(request.view.broker.compat()).any(|(name, _)| name == asked) {
        return Ok(ChangeOutcome::Quietly);
    }
    Err(Refusal::bad_request("unsupported"))
}
