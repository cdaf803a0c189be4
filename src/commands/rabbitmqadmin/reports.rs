//! The tables of two columns that `rabbitmqadmin` 2 shows: the overview, the churn, the memory of a node.

use serde_json::Value;

use super::boxes::{BoxStyle, at, shown};

/// A report: its title, and its rows with the paths of their values in the answer.
#[derive(Debug)]
pub(super) struct AdminReport {
    title: &'static str,
    rows: &'static [(&'static str, &'static str)],
}

#[rustfmt::skip]
pub(super) const OVERVIEW: AdminReport = AdminReport {
    title: "Overview",
    rows: &[
        ("Product name",                                                      "product_name"),
        ("Product version",                                                   "product_version"),
        ("RabbitMQ version",                                                  "rabbitmq_version"),
        ("Erlang version",                                                    "erlang_version"),
        ("Erlang details",                                                    "erlang_full_version"),
        ("Connections (total)",                                               "object_totals.connections"),
        ("AMQP 0-9-1 channels (total)",                                       "object_totals.channels"),
        ("Queues and streams (total)",                                        "object_totals.queues"),
        ("Consumers (total)",                                                 "object_totals.consumers"),
        ("Messages (total)",                                                  "queue_totals.messages"),
        ("Messages ready for delivery (total)",                               "queue_totals.messages_ready"),
        ("Messages delivered but unacknowledged by consumers (total)",        "queue_totals.messages_unacknowledged"),
        ("Publishing (ingress) rate (global)",                                "message_stats.publish_details.rate"),
        ("Publishing confirm rate (global)",                                  "message_stats.confirm_details.rate"),
        ("Consumer delivery (egress) rate (global)",                          "message_stats.deliver_details.rate"),
        ("Consumer delivery in automatic acknowledgement mode rate (global)", "message_stats.deliver_no_ack_details.rate"),
        ("Consumer acknowledgement rate (global)",                            "message_stats.ack_details.rate"),
        ("Unroutable messages: returned-to-publisher rate (global)",          "message_stats.return_unroutable_details.rate"),
        ("Unroutable messages: dropped rate (global)",                        "message_stats.drop_unroutable_details.rate"),
        ("Cluster tags",                                                      "cluster_tags"),
        ("Node tags",                                                         "node_tags"),
    ],
};

#[rustfmt::skip]
pub(super) const CHURN: AdminReport = AdminReport {
    title: "Entity (connections, queues, etc) churn over the most recent sampling period",
    rows: &[
        ("Client connections opened",           "churn_rates.connection_created"),
        ("Client connections closed",           "churn_rates.connection_closed"),
        ("Client channels opened",              "churn_rates.channel_created"),
        ("Client channels closed",              "churn_rates.channel_closed"),
        ("Queues and streams (re)declarations", "churn_rates.queue_declared"),
        ("Queues and streams created",          "churn_rates.queue_created"),
        ("Queues and streams deleted",          "churn_rates.queue_deleted"),
    ],
};

/// The parts of a node's memory; of equal ones the first here comes first.
#[rustfmt::skip]
const MEMORY: &[(&str, &str)] = &[
    ("Code",                                   "code"),
    ("Other (used by the runtime)",            "other_system"),
    ("Binary heap",                            "binary"),
    ("Atom table",                             "atom"),
    ("Allocated but unused",                   "allocated_unused"),
    ("Classic queue processes",                "queue_procs"),
    ("AMQP 0-9-1 channels",                    "connection_channels"),
    ("Client connections: reader processes",   "connection_readers"),
    ("Client connections: writer processes",   "connection_writers"),
    ("Client connections: others processes",   "connection_other"),
    ("Management stats database",              "mgmt_db"),
    ("Message store indices",                  "msg_index"),
    ("Metadata store",                         "metadata_store"),
    ("Metadata store ETS tables",              "metadata_store_ets"),
    ("Metrics data",                           "metrics"),
    ("Mnesia",                                 "mnesia"),
    ("Other (ETS tables)",                     "other_ets"),
    ("Other processes",                        "other_proc"),
    ("Quorum queue replica processes",         "quorum_queue_procs"),
    ("Quorum queue ETS tables",                "quorum_ets"),
    ("Plugins and their data",                 "plugins"),
    ("Reserved by the kernel but unallocated", "reserved_unallocated"),
    ("Stream replica processes",               "stream_queue_procs"),
    ("Stream replica reader processes",        "stream_queue_replica_reader_procs"),
    ("Stream coordinator processes",           "stream_queue_coordinator_procs"),
];

/// The unit of a node's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemoryUnit {
    Bytes,
    Percent,
}

fn pair(key: &str, value: impl Into<String>) -> Vec<String> {
    vec![key.to_owned(), value.into()]
}

impl AdminReport {
    /// The table of an answer.
    pub(super) fn drawn(&self, answer: &Value, style: &BoxStyle) -> String {
        let rows = self.rows.iter().map(|(key, path)| {
            // A rate that nothing has yet is none.
            let value = shown(at(answer, path));
            let is_rate = path.ends_with("_details.rate");
            pair(key, if is_rate && value.is_empty() { "0".to_owned() } else { value })
        });
        let rows: Vec<_> = std::iter::once(pair("key", "value")).chain(rows).collect();
        style.titled(self.title, &rows)
    }
}

/// The table of a node's memory: the total, then the parts, the largest first.
pub(super) fn memory(answer: &Value, unit: MemoryUnit, style: &BoxStyle) -> String {
    let memory = &answer["memory"];
    let mut parts: Vec<(&str, u64)> =
        MEMORY.iter().map(|(key, name)| (*key, memory[*name].as_u64().unwrap_or(0))).collect();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let total = |name: &str| memory["total"][name].as_u64().unwrap_or(0);
    let mut rows = match unit {
        MemoryUnit::Bytes => vec![
            pair("key", "value"),
            pair("Total (RSS)", total("rss").to_string()),
            pair("Total (allocated by the runtime)", total("allocated").to_string()),
        ],
        MemoryUnit::Percent => vec![pair("key", "percentage"), pair("total", "100%")],
    };
    let whole = total("rss").max(total("allocated")).max(1);
    rows.extend(parts.into_iter().map(|(key, bytes)| match unit {
        MemoryUnit::Bytes => pair(key, bytes.to_string()),
        MemoryUnit::Percent => {
            let hundredths = (bytes * 10_000 + whole / 2) / whole;
            pair(key, format!("{}.{:02}%", hundredths / 100, hundredths % 100))
        }
    }));
    style.rows(&rows)
}
