//! The lists: queues, exchanges, bindings, connections, channels, consumers and virtual hosts.

use serde_json::{Value, json};

use super::asked::Asked;
use super::cell::Cell;
use super::columns::{ListColumn, ListColumns, check};
use super::failure::{Failure, refusal};
use super::names::CtlRelease;
use super::reached::Reached;
use super::shown::Shown;
use super::work::{ANY, Banner, CommandWork, WorkKind};
use crate::commands::admin;
use crate::engine::escape;

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "list_queues",
        words: (0, ANY),
        banner: Banner::Words(
            "Timeout: {timeout} seconds ...\nListing queues for vhost {vhost} ...",
        ),
        check: Some(|asked| check(&QUEUES, asked)),
        work: WorkKind::Run(|asked, reached| Box::pin(list("queues", &QUEUES, asked, reached))),
    },
    CommandWork {
        name: "list_unresponsive_queues",
        words: (0, ANY),
        banner: Banner::Words("Listing unresponsive queues for vhost {vhost} ..."),
        work: WorkKind::Same {
            command: "list-unresponsive-queues",
            refused: super::work::as_usual,
        },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_exchanges",
        words: (0, ANY),
        banner: Banner::Words("Listing exchanges for vhost {vhost} ..."),
        check: Some(|asked| check(&EXCHANGES, asked)),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(list("exchanges", &EXCHANGES, asked, reached))
        }),
    },
    CommandWork {
        name: "list_bindings",
        words: (0, ANY),
        banner: Banner::Words("Listing bindings for vhost {vhost}..."),
        check: Some(|asked| check(&BINDINGS, asked)),
        work: WorkKind::Run(|asked, reached| Box::pin(list("bindings", &BINDINGS, asked, reached))),
    },
    CommandWork {
        name: "list_consumers",
        words: (0, ANY),
        banner: Banner::Words("Listing consumers in vhost {vhost} ..."),
        check: Some(|asked| check(&CONSUMERS, asked)),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(list("consumers", &CONSUMERS, asked, reached))
        }),
    },
    CommandWork {
        name: "list_connections",
        words: (0, ANY),
        banner: Banner::Words("Listing connections ..."),
        check: Some(|asked| check(&CONNECTIONS, asked)),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(list("connections", &CONNECTIONS, asked, reached))
        }),
    },
    CommandWork {
        name: "list_channels",
        words: (0, ANY),
        banner: Banner::Words("Listing channels ..."),
        check: Some(|asked| check(&CHANNELS, asked)),
        work: WorkKind::Run(|asked, reached| Box::pin(list("channels", &CHANNELS, asked, reached))),
    },
    CommandWork {
        name: "list_vhosts",
        words: (0, ANY),
        banner: Banner::Words("Listing vhosts ..."),
        check: Some(|asked| check(&VHOSTS, asked)),
        work: WorkKind::Run(|asked, reached| Box::pin(list("vhosts", &VHOSTS, asked, reached))),
    },
];

/// The columns of a command that lists something.
pub(super) fn columns_of(command: &str) -> Option<&'static ListColumns> {
    Some(match command {
        "list_queues" => &QUEUES,
        "list_exchanges" => &EXCHANGES,
        "list_bindings" => &BINDINGS,
        "list_consumers" => &CONSUMERS,
        "list_connections" => &CONNECTIONS,
        "list_channels" => &CHANNELS,
        "list_vhosts" => &VHOSTS,
        "list_feature_flags" => &FEATURE_FLAGS,
        "list_deprecated_features" => &DEPRECATED_FEATURES,
        _ => return None,
    })
}

async fn list(
    what: &str,
    columns: &'static ListColumns,
    asked: &Asked,
    reached: &mut Reached,
) -> Result<Shown, Failure> {
    let is_of_vhost = !matches!(what, "connections" | "channels" | "vhosts");
    let path =
        if is_of_vhost { format!("{what}/{}", escape(asked.vhost())) } else { what.to_owned() };
    let rows = match reached.rows(&path).await {
        Ok(mut rows) => {
            if asked.release == CtlRelease::V3_10 {
                rows.iter_mut().for_each(without_own_queue_type);
            }
            rows
        }
        // A virtual host that is not there has nothing.
        Err(error) if matches!(refusal(&error), Some((404, _))) => Vec::new(),
        Err(error) => return Err(Failure::of(error, asked, &reached.node)),
    };
    Ok(Shown::Rows(columns.rows(&rows, asked)))
}

/// In the earlier release, a virtual host that was not given a type of queues has none.
fn without_own_queue_type(row: &mut Value) {
    if row.get("default_queue_type").is_some() && row["metadata"]["default_queue_type"].is_null() {
        row["default_queue_type"] = Value::Null;
    }
}

const fn column(name: &'static str, value: fn(&Value) -> Cell) -> ListColumn {
    ListColumn { name, value }
}

/// Columns whose value has the column's name in the row.
macro_rules! plain {
    ($name:literal) => {
        column($name, |row| Cell::plain(&row[$name]))
    };
}

/// The values that RabbitMQ has for classic queues only.
macro_rules! of_classic {
    ($name:literal) => {
        column($name, |row| if is_classic(row) { Cell::plain(&row[$name]) } else { Cell::empty() })
    };
}

fn is_classic(row: &Value) -> bool {
    row["type"] == "classic"
}

/// The members of a queue: its one node, if the row does not name them.
fn members(row: &Value) -> Cell {
    match row.get("members").filter(|members| members.is_array()) {
        Some(members) => Cell::names(members),
        None => Cell::names(&json!([row["node"]])),
    }
}

/// A truth value that only classic queues have may be null elsewhere.
fn pid(row: &Value) -> Cell {
    let pid = admin::pid(row);
    if pid.is_empty() { Cell::empty() } else { Cell::text(&pid) }
}

pub(super) const QUEUES: ListColumns = ListColumns {
    all: &[
        plain!("name"),
        plain!("durable"),
        plain!("auto_delete"),
        column("arguments", |row| Cell::arguments(&row["arguments"])),
        plain!("policy"),
        plain!("operator_policy"),
        column("effective_policy_definition", |row| {
            Cell::definition(&row["effective_policy_definition"])
        }),
        column("pid", |row| Cell::plain(&row["pid"])),
        column("owner_pid", |row| pid(&row["owner_pid_details"])),
        of_classic!("exclusive"),
        column("exclusive_consumer_pid", |row| pid(&row["exclusive_consumer_pid"])),
        plain!("exclusive_consumer_tag"),
        plain!("messages_ready"),
        plain!("messages_unacknowledged"),
        plain!("messages"),
        of_classic!("messages_ready_ram"),
        of_classic!("messages_unacknowledged_ram"),
        plain!("messages_ram"),
        of_classic!("messages_persistent"),
        of_classic!("message_bytes"),
        of_classic!("message_bytes_ready"),
        of_classic!("message_bytes_unacknowledged"),
        of_classic!("message_bytes_ram"),
        of_classic!("message_bytes_persistent"),
        plain!("head_message_timestamp"),
        column("disk_reads", |row| counted_on_disk(row, "disk_reads")),
        column("disk_writes", |row| counted_on_disk(row, "disk_writes")),
        plain!("consumers"),
        plain!("consumer_utilisation"),
        plain!("consumer_capacity"),
        plain!("memory"),
        plain!("state"),
        plain!("type"),
        column("leader", |row| Cell::plain(row.get("leader").unwrap_or(&row["node"]))),
        column("members", members),
        column("online", |row| if is_classic(row) { Cell::empty() } else { members(row) }),
        column("slave_pids", |_| Cell::empty()),
        column("synchronised_slave_pids", |_| Cell::empty()),
    ],
    usual: &["name", "messages"],
    until_3: &["slave_pids", "synchronised_slave_pids"],
    since_4: &["operator_policy", "effective_policy_definition"],
    ..ListColumns::PLAIN
};

/// Accesses to the disk, which are counted for classic queues.
fn counted_on_disk(row: &Value, name: &str) -> Cell {
    match row.get(name).or_else(|| row["message_stats"].get(name)) {
        Some(count) => Cell::plain(count),
        None if is_classic(row) => Cell::plain(&json!(0)),
        None => Cell::empty(),
    }
}

const EXCHANGES: ListColumns = ListColumns {
    all: &[
        plain!("name"),
        plain!("type"),
        plain!("durable"),
        plain!("auto_delete"),
        plain!("internal"),
        column("arguments", |row| Cell::arguments(&row["arguments"])),
        plain!("policy"),
    ],
    usual: &["name", "type"],
    ..ListColumns::PLAIN
};

const BINDINGS: ListColumns = ListColumns {
    all: &[
        column("source_name", |row| Cell::plain(&row["source"])),
        column("source_kind", |_| Cell::text("exchange")),
        column("destination_name", |row| Cell::plain(&row["destination"])),
        column("destination_kind", |row| Cell::plain(&row["destination_type"])),
        plain!("routing_key"),
        column("arguments", |row| Cell::arguments(&row["arguments"])),
    ],
    usual: &[
        "source_name",
        "source_kind",
        "destination_name",
        "destination_kind",
        "routing_key",
        "arguments",
    ],
    ..ListColumns::PLAIN
};

const CONSUMERS: ListColumns = ListColumns {
    all: &[
        column("queue_name", |row| Cell::plain(&row["queue"]["name"])),
        column("channel_pid", |row| pid(&row["channel_details"])),
        plain!("consumer_tag"),
        plain!("ack_required"),
        plain!("prefetch_count"),
        plain!("active"),
        plain!("activity_status"),
        column("arguments", |row| Cell::arguments(&row["arguments"])),
    ],
    usual: &[
        "queue_name",
        "channel_pid",
        "consumer_tag",
        "ack_required",
        "prefetch_count",
        "active",
        "arguments",
    ],
    has_own_order: true,
    ..ListColumns::PLAIN
};

const CONNECTIONS: ListColumns = ListColumns {
    all: &[
        column("pid", pid),
        plain!("name"),
        plain!("port"),
        column("host", |row| address(&row["host"])),
        plain!("peer_port"),
        column("peer_host", |row| address(&row["peer_host"])),
        plain!("ssl"),
        plain!("ssl_protocol"),
        plain!("ssl_key_exchange"),
        plain!("ssl_cipher"),
        plain!("ssl_hash"),
        plain!("peer_cert_subject"),
        plain!("peer_cert_issuer"),
        plain!("peer_cert_serial_number"),
        plain!("peer_cert_validity"),
        plain!("state"),
        plain!("channels"),
        column("protocol", protocol),
        plain!("auth_mechanism"),
        plain!("user"),
        plain!("vhost"),
        plain!("container_id"),
        plain!("timeout"),
        plain!("frame_max"),
        plain!("channel_max"),
        column("client_properties", |row| Cell::arguments(&row["client_properties"])),
        plain!("recv_oct"),
        plain!("recv_cnt"),
        plain!("send_oct"),
        plain!("send_cnt"),
        plain!("send_pend"),
        plain!("connected_at"),
    ],
    usual: &["user", "peer_host", "peer_port", "state"],
    since_4: &["container_id", "peer_cert_serial_number"],
    ..ListColumns::PLAIN
};

/// An address: in JSON the numbers of its parts, as Erlang has them.
fn address(value: &Value) -> Cell {
    let text = value.as_str().unwrap_or_default();
    match text.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => Cell::new(text, json!(address.octets())),
        Ok(std::net::IpAddr::V6(address)) => Cell::new(text, json!(address.segments())),
        Err(_) => Cell::plain(value),
    }
}

/// `AMQP 0-9-1` as `{0,9,1}`.
fn protocol(row: &Value) -> Cell {
    let text = row["protocol"].as_str().unwrap_or_default();
    let numbers: Option<Vec<u64>> = text
        .strip_prefix("AMQP ")
        .map(|numbers| numbers.split('-').filter_map(|part| part.parse().ok()).collect());
    match numbers {
        Some(numbers) if numbers.len() == 3 => {
            Cell::new(format!("{{{},{},{}}}", numbers[0], numbers[1], numbers[2]), json!(numbers))
        }
        _ => Cell::text(text),
    }
}

const CHANNELS: ListColumns = ListColumns {
    all: &[
        column("pid", pid),
        column("connection", |row| pid(&row["connection_details"])),
        plain!("name"),
        plain!("number"),
        plain!("user"),
        plain!("vhost"),
        plain!("transactional"),
        plain!("confirm"),
        plain!("consumer_count"),
        plain!("messages_unacknowledged"),
        plain!("messages_uncommitted"),
        plain!("acks_uncommitted"),
        plain!("messages_unconfirmed"),
        plain!("prefetch_count"),
        plain!("global_prefetch_count"),
    ],
    usual: &["pid", "user", "consumer_count", "messages_unacknowledged"],
    until_3: &["global_prefetch_count"],
    ..ListColumns::PLAIN
};

const VHOSTS: ListColumns = ListColumns {
    all: &[
        plain!("name"),
        plain!("description"),
        column("tags", |row| Cell::names(&row["tags"])),
        column("default_queue_type", |row| match &row["default_queue_type"] {
            Value::Null => Cell::text("undefined"),
            value => Cell::plain(value),
        }),
        column("protected_from_deletion", |row| {
            Cell::plain(&json!(row["protected_from_deletion"] == true))
        }),
        plain!("tracing"),
        column("cluster_state", |row| {
            let nodes = row["cluster_state"].as_object().into_iter().flatten();
            let nodes = nodes
                .map(|(node, state)| format!("{{{node}, {}}}", state.as_str().unwrap_or_default()));
            Cell::new(
                format!("[{}]", nodes.collect::<Vec<_>>().join(", ")),
                row["cluster_state"].clone(),
            )
        }),
        column("metadata", metadata),
    ],
    usual: &["name"],
    since_4: &["protected_from_deletion"],
    ..ListColumns::PLAIN
};

/// The metadata, with what RabbitMQ 4 keeps there and other releases elsewhere.
fn metadata(row: &Value) -> Cell {
    let mut all = row["metadata"].clone();
    if let (Some(fields), Value::String(_)) = (all.as_object_mut(), &row["default_queue_type"]) {
        fields.insert("default_queue_type".into(), row["default_queue_type"].clone());
    }
    if let (Some(fields), true) = (all.as_object_mut(), row["protected_from_deletion"] == true) {
        fields.insert("protected_from_deletion".into(), true.into());
    }
    Cell::map(&all)
}

pub(super) const FEATURE_FLAGS: ListColumns = ListColumns {
    all: &[
        plain!("name"),
        plain!("state"),
        plain!("stability"),
        plain!("provided_by"),
        plain!("desc"),
        plain!("doc_url"),
    ],
    usual: &["name", "state"],
    ..ListColumns::PLAIN
};

pub(super) const DEPRECATED_FEATURES: ListColumns = ListColumns {
    all: &[
        plain!("name"),
        plain!("deprecation_phase"),
        plain!("state"),
        plain!("provided_by"),
        plain!("desc"),
        plain!("doc_url"),
    ],
    usual: &["name", "deprecation_phase", "state"],
    ..ListColumns::PLAIN
};
