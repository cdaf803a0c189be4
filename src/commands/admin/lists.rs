//! Lists: those of every day, and the work of all of them.

use clap::FromArgMatches as _;
use serde_json::Value;

use super::given::Given;
use super::row::{AdminRow, AdminWork, CTL_DIAGNOSTICS, List, RowsFrom};
use super::show::doing;
use crate::commands::list::{self, ListOptions};
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{ApiList as Kind, Engine, Fields};
use crate::render::{Column, words};

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "list-queues",
        programs: CTL_DIAGNOSTICS,
        about: "List the queues of the virtual host",
        examples: &[
            "mq list-queues",
            "mq list-queues name messages --sort -messages",
            "mq list-queues --filter 'messages>0' -o json",
        ],
        work: AdminWork::List(List {
            source: RowsFrom::Of(Kind::Queues),
            columns: QUEUES,
            usual: 2,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-exchanges",
        programs: CTL_DIAGNOSTICS,
        about: "List the exchanges of the virtual host",
        examples: &["mq list-exchanges", "mq list-exchanges name type --filter type==topic"],
        work: AdminWork::List(List {
            source: RowsFrom::Of(Kind::Exchanges),
            columns: EXCHANGES,
            usual: 2,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-bindings",
        programs: CTL_DIAGNOSTICS,
        about: "List the bindings of the virtual host",
        examples: &["mq list-bindings", "mq list-bindings -o json"],
        work: AdminWork::List(List {
            source: RowsFrom::Of(Kind::Bindings),
            columns: BINDINGS,
            usual: 5,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-consumers",
        programs: CTL_DIAGNOSTICS,
        about: "List the consumers of the virtual host",
        examples: &["mq list-consumers", "mq list-consumers -o json"],
        work: AdminWork::List(List {
            source: RowsFrom::Of(Kind::Consumers),
            columns: CONSUMERS,
            usual: 6,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-connections",
        programs: CTL_DIAGNOSTICS,
        about: "List the connections of clients to the broker",
        examples: &["mq list-connections", "mq list-connections -o json"],
        work: AdminWork::List(List {
            source: RowsFrom::Of(Kind::Connections),
            columns: CONNECTIONS,
            usual: 4,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-channels",
        programs: CTL_DIAGNOSTICS,
        about: "List the channels of clients to the broker",
        examples: &["mq list-channels", "mq list-channels -o json"],
        work: AdminWork::List(List {
            source: RowsFrom::Of(Kind::Channels),
            columns: CHANNELS,
            usual: 4,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-vhosts",
        programs: CTL_DIAGNOSTICS,
        about: "List the virtual hosts of the broker",
        examples: &["mq list-vhosts", "mq list-vhosts -o json"],
        work: AdminWork::List(List {
            source: RowsFrom::Of(Kind::Vhosts),
            columns: VHOSTS,
            usual: 1,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
];

const QUEUES: &[Column] = &[
    Column::plain("name"),
    Column::count("messages"),
    Column::count("messages_ready"),
    Column::count("messages_unacknowledged"),
    Column::count("consumers"),
    Column::plain("state"),
    Column::plain("type"),
    Column::plain("durable"),
    Column::plain("exclusive"),
    Column::plain("auto_delete"),
    Column::plain("arguments"),
    Column::plain("policy"),
    Column::plain("vhost"),
    Column::plain("node"),
    Column::bytes("memory"),
    Column::bytes("message_bytes"),
    Column::bytes("message_bytes_ready"),
    Column::bytes("message_bytes_unacknowledged"),
    Column::plain("consumer_utilisation"),
    Column::plain("idle_since"),
    Column::count("published").at("message_stats.publish"),
    Column::count("delivered").at("message_stats.deliver_get"),
    Column::count("acknowledged").at("message_stats.ack"),
];

const EXCHANGES: &[Column] = &[
    Column::plain("name"),
    Column::plain("type"),
    Column::plain("durable"),
    Column::plain("auto_delete"),
    Column::plain("internal"),
    Column::plain("arguments"),
    Column::plain("policy"),
    Column::plain("vhost"),
    Column::count("published_in").at("message_stats.publish_in"),
    Column::count("published_out").at("message_stats.publish_out"),
];

const BINDINGS: &[Column] = &[
    Column::plain("source"),
    Column::plain("destination"),
    Column::plain("destination_type"),
    Column::plain("routing_key"),
    Column::plain("arguments"),
    Column::plain("properties_key"),
    Column::plain("vhost"),
    Column::plain("source_name").at("source"),
    Column::plain("destination_name").at("destination"),
    Column::plain("destination_kind").at("destination_type"),
];

const CONSUMERS: &[Column] = &[
    Column::plain("queue_name").at("queue.name"),
    Column::plain("consumer_tag"),
    Column::plain("ack_required"),
    Column::plain("prefetch_count"),
    Column::plain("active"),
    Column::plain("channel").at("channel_details.name"),
    Column::plain("activity_status"),
    Column::plain("arguments"),
    Column::plain("exclusive"),
    Column::plain("user").at("channel_details.user"),
    Column::plain("vhost").at("queue.vhost"),
];

const CONNECTIONS: &[Column] = &[
    Column::plain("user"),
    Column::plain("peer_host"),
    Column::plain("peer_port"),
    Column::plain("state"),
    Column::plain("name"),
    Column::plain("vhost"),
    Column::count("channels"),
    Column::plain("protocol"),
    Column::plain("auth_mechanism"),
    Column::plain("host"),
    Column::plain("port"),
    Column::plain("ssl"),
    Column::plain("timeout"),
    Column::plain("frame_max"),
    Column::plain("channel_max"),
    Column::plain("connected_at"),
    Column::plain("product").at("client_properties.product"),
    Column::plain("client_properties"),
    Column::bytes("recv_oct"),
    Column::count("recv_cnt"),
    Column::bytes("send_oct"),
    Column::count("send_cnt"),
    Column::bytes("send_pend"),
];

const CHANNELS: &[Column] = &[
    Column::plain("name"),
    Column::plain("user"),
    Column::count("consumer_count"),
    Column::count("messages_unacknowledged"),
    Column::plain("number"),
    Column::plain("connection").at("connection_details.name"),
    Column::plain("vhost"),
    Column::plain("state"),
    Column::plain("transactional"),
    Column::plain("confirm"),
    Column::plain("prefetch_count"),
    Column::plain("global_prefetch_count"),
    Column::count("messages_unconfirmed"),
    Column::count("messages_uncommitted"),
    Column::count("acks_uncommitted"),
    Column::plain("idle_since"),
];

const VHOSTS: &[Column] = &[
    Column::plain("name"),
    Column::plain("description"),
    Column::plain("tags"),
    Column::plain("default_queue_type"),
    Column::plain("tracing"),
    Column::plain("cluster_state"),
    Column::plain("metadata"),
    Column::count("messages"),
    Column::count("messages_ready"),
    Column::count("messages_unacknowledged"),
];

/// Shows the list of a row.
pub(super) async fn show(
    name: &str,
    list: &List,
    given: &Given,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    let options = ListOptions::from_arg_matches(given.matches())
        .map_err(|error| CommandError::usage(error.to_string()))?;
    let rows =
        async |engine: &Engine, fields: Fields<'_>| rows(name, list, fields, given, engine).await;
    list::show(list.columns, list.usual, options, rows, cx).await
}

/// The rows of the list, of which all fields may be there where some would do.
pub(super) async fn rows(
    name: &str,
    list: &List,
    fields: Fields<'_>,
    given: &Given,
    engine: &Engine,
) -> Result<Vec<Value>, CommandError> {
    let inspect = engine.inspect();
    let rows = match list.source {
        RowsFrom::Of(kind) => inspect.list(kind, fields).await?,
        RowsFrom::At(path) => inspect.rows(&doing(name), &given.path(path)).await?,
        RowsFrom::Chosen(path) => inspect.rows(&doing(name), &given.path(path(given))).await?,
    };
    Ok(match list.arrange {
        Some(arrange) => arrange(rows, given),
        None => rows,
    })
}

/// A number with its noun, which may have any plural.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", words::grouped(count as u64), if count == 1 { one } else { many })
}
