//! Rules for what may differ between RabbitMQ and `mq`: each hides one thing on both sides, and says why.

use fancy_regex::Regex;
use serde_json::Value;

/// Something that may differ.
pub(super) struct Mask {
    pub(super) why: &'static str,
    /// The commands it is for; empty for all
    commands: &'static [&'static str],
    apply: fn(&str) -> String,
}

impl Mask {
    pub(super) fn is_for(&self, command: &str) -> bool {
        let words: Vec<&str> = command.split(' ').collect();
        self.commands.is_empty()
            || self.commands.iter().any(|name| match name.strip_suffix('*') {
                Some(prefix) => words.iter().any(|word| word.starts_with(prefix)),
                None => words.contains(name),
            })
    }

    pub(super) fn hide(&self, text: &str) -> String {
        (self.apply)(text)
    }
}

fn replaced(text: &str, pattern: &str, by: &str) -> String {
    Regex::new(pattern).unwrap().replace_all(text, by).into_owned()
}

/// A text without some of its lines.
fn without(text: &str, is_left_out: impl Fn(&str) -> bool) -> String {
    text.split_inclusive('\n').filter(|line| !is_left_out(line)).collect()
}

/// In the order in which they are tried.
pub(super) const MASKS: &[Mask] = &[
    Mask {
        why: "a process of Erlang has a pid; mq makes one of the connection",
        commands: &[
            "list_connections",
            "list_channels",
            "list_consumers",
            "list_queues",
            "close_connection",
        ],
        apply: |text| {
            let text = replaced(text, r#""Pid\(#PID<[^>]*>\)""#, "\"PID\"");
            replaced(&text, r"<[a-z]+@[^>]*>", "PID")
        },
    },
    Mask {
        why: "a client's port and the time at which it connected",
        commands: &["list_connections"],
        apply: |text| {
            let text = replaced(text, r"127\.0\.0\.1:\d+ ->", "127.0.0.1:PORT ->");
            let text = replaced(&text, r#""peer_port":\d+"#, "\"peer_port\":0");
            // 127.0.0.1 on a socket of both families
            let text = text.replace("[0,0,0,0,0,65535,32512,1]", "[127,0,0,1]");
            let text = replaced(&text, r"\t\d{5}\t", "\tPORT\t");
            replaced(&text, r"\t\d{13}\n", "\tTIME\n")
        },
    },
    Mask {
        why: "the properties of the client library that made the recording",
        commands: &["client_properties"],
        apply: |text| replaced(text, r"\[\{.*\}\]\tPLAIN", "PROPERTIES\tPLAIN"),
    },
    Mask {
        why: "RabbitMQ lists rows in the order of hash tables; JSON objects have no order",
        commands: &["list_*", "export_definitions", "peek"],
        apply: sorted,
    },
    Mask {
        why: "the AMQP type of a number is not in the management API",
        commands: &["list_queues", "list_consumers", "list_bindings"],
        apply: |text| {
            replaced(text, r#""(long|signedint|unsignedbyte|short)",(-?\d)"#, "\"number\",$2")
        },
    },
    Mask {
        why: "a password's hash has a random salt",
        commands: &["hash_password", "users", "passwords"],
        apply: |text| replaced(text, r"[A-Za-z0-9+/]{48}", "HASH"),
    },
    Mask {
        why: "a rate depends on the time",
        commands: &["message_stats.publish_details.rate"],
        apply: |text| replaced(text, r"(?m)\d+\.\d+ *\|$", "RATE |"),
    },
    Mask {
        why: "the descriptions of help are in the words of mq",
        commands: &[],
        apply: without_descriptions,
    },
    Mask {
        why: "figures of memory, of disk and of the queue's process",
        commands: &["memory"],
        apply: |text| replaced(text, r"\t\d{4,}\t", "\tBYTES\t"),
    },
    Mask {
        why: "the recording's exchange for logs was enabled in its configuration",
        commands: &["list_exchanges"],
        apply: |text| without(text, |line| line.contains("amq.rabbitmq.log")),
    },
    Mask {
        why: "global parameters that RabbitMQ keeps for its cluster",
        commands: &["list_global_parameters"],
        apply: |text| {
            let is_own = |line: &str| {
                ["cluster_tags", "internal_cluster_id", "cluster_name"]
                    .iter()
                    .any(|name| line.starts_with(name))
            };
            without(text, is_own)
        },
    },
    Mask {
        why: "the node of the recording had a name that was one character longer",
        commands: &[
            "quorum_status",
            "rebalance",
            "stream_status",
            "coordinator_status",
            "metadata_store_status",
        ],
        apply: |text| {
            let text = replaced(text, r"(?m)^\x1b\(0[ltm][qwnvkuj]*\x1b\(B$", "RULE");
            replaced(&text, r" +", " ")
        },
    },
    Mask {
        why: "the indexes of Raft's log",
        commands: &["quorum_status", "coordinator_status", "metadata_store_status"],
        apply: |text| {
            let text = replaced(text, r"(leader \S+ voter ).*", "$1...");
            let text = replaced(
                &text,
                r#"("(?:Last|Commit|Snapshot|Term|Machine)[ A-Za-z]*":)-?\d+"#,
                "${1}0",
            );
            replaced(&text, r"(?m)^\x1b\(0[ltm][qwnvkuj]*\x1b\(B$", "RULE")
        },
    },
    Mask {
        why: "RabbitMQ listens for its cluster and for Prometheus as well, and has more protocols on its AMQP port",
        commands: &[
            "listeners",
            "cluster_status",
            "check_port_connectivity",
            "check_port_listener",
            "check_protocol_listener",
        ],
        apply: |text| {
            let is_extra = |line: &str| {
                ["25672", "15692", "clustering", ": 5552", ": 1883"]
                    .iter()
                    .any(|word| line.contains(word))
                    && !line.contains(", 15672")
                    && !line.contains("amqp, ")
            };
            let text = without(text, is_extra);
            let text = text
                .replace("1883, 5552, ", "")
                .replace(", 15692, 25672", "")
                .replace(", 15692", "")
                .replace("clustering, ", "")
                .replace(", http/prometheus", "");
            let text = text
                .replace("localhost:", "127.0.0.1:")
                .replace("nterface: [::]", "nterface: 127.0.0.1")
                .replace("15672, 5672", "5672, 15672");
            replaced(&text, r#"\{"node":"rabbit@localhost","port":(25672|15692)[^}]*\},?"#, "")
        },
    },
    Mask {
        why: "the machine's cores, Erlang's version and the name of the cluster",
        commands: &["cluster_status"],
        apply: |text| {
            let text = replaced(text, r" on Erlang [0-9.]+", "");
            let text = replaced(&text, r"(cluster-wide|CPU cores): \d+", "$1: N");
            let text = text.replace("Cluster name: rabbit@vm", "Cluster name: rabbit@localhost");
            text.replace("Tests", "")
        },
    },
];

/// Lines in the order of their text, JSON objects with their names in order.
fn sorted(text: &str) -> String {
    let line = |line: &str| {
        let json: Result<Value, _> = serde_json::from_str(line.trim_start_matches(','));
        let term = || replaced(&replaced(line, r"^[\[ ]\[\{", "[{"), r"\}\][,\]]$", "}]");
        json.map_or_else(|_| term(), |value| ordered(value).to_string())
    };
    let mut lines: Vec<String> = text.lines().map(line).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn ordered(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> =
                fields.into_iter().map(|(name, value)| (name, ordered(value))).collect();
            fields.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(values) => values.into_iter().map(ordered).collect(),
        other => other,
    }
}

/// Help without its descriptions: headings, names of commands and arguments.
fn without_descriptions(text: &str) -> String {
    if !text.contains("Usage") {
        return text.to_owned();
    }
    let is_of_command = text.contains("General Options");
    let keep = |line: &&str| {
        let is_usage = line.starts_with("rabbitmq") || line.contains("must be one of");
        !is_of_command || is_usage
    };
    let lines = text.lines().filter(keep).map(|line| replaced(line, r"^   (\S+) .*$", "   $1"));
    let mut lines: Vec<String> = lines.collect();
    // RabbitMQ has its headings in another order in each of its ways to show them.
    lines.sort_unstable();
    lines.join("\n")
}
