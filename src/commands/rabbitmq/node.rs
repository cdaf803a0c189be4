//! The node and its cluster: status, listeners, memory, versions.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::failure::{Failure, SOFTWARE, UNAVAILABLE, WrongWords};
use super::reached::Reached;
use super::shown::Shown;
use super::status::{
    SizeUnit, cluster_text, in_unit, listener_line, names, number, percentage, status_text, unit_of,
};
use super::work::{Banner, CommandWork, WorkKind, as_usual};

/// The time to wait for nodes by default, in seconds.
const AWAITED_S: f64 = 300.0;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "ping",
        banner: Banner::Made(|asked, node| {
            let ms = asked.timeout_s().unwrap_or(60.0) * 1e3;
            format!(
                "Will ping {node}. This only checks if the OS process is running and registered with epmd. \
                 Timeout: {ms} ms."
            )
        }),
        work: WorkKind::Say("Ping succeeded"),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "status",
        banner: Banner::Words("Status of node {node} ..."),
        check: Some(check_unit),
        work: WorkKind::Run(|asked, reached| Box::pin(status(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "cluster_status",
        banner: Banner::Words("Cluster status of node {node} ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(cluster_status(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set_cluster_name",
        words: (1, 1),
        banner: Banner::Words("Setting cluster name to {0} ..."),
        work: WorkKind::Same { command: "set-cluster-name", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "await_online_nodes",
        words: (1, 1),
        banner: Banner::Made(|asked, node| {
            format!(
                "Will wait for at least {} nodes to join the cluster of {node}. Timeout: {} seconds.",
                asked.word(0),
                asked.timeout_s().unwrap_or(AWAITED_S)
            )
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(await_nodes(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "listeners",
        banner: Banner::Words("Asking node {node} to report its protocol listeners ..."),
        work: WorkKind::Run(|_, reached| Box::pin(std::future::ready(Ok(listeners(reached))))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "server_version",
        banner: Banner::Words("Asking node {node} for its RabbitMQ version..."),
        work: WorkKind::Run(|_, reached| {
            let version = reached.version().to_owned();
            let json = json!({"value": version, "result": "ok"});
            Box::pin(std::future::ready(Ok(Shown::Document { text: version, json })))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "memory_breakdown",
        banner: Banner::Words("Reporting memory breakdown on node {node}..."),
        check: Some(check_unit),
        work: WorkKind::Run(|asked, reached| Box::pin(memory(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "version",
        work: WorkKind::Alone(|asked| {
            let version = asked.release.version();
            let node = super::reached::node_asked_for(asked);
            let json = json!({"node": node, "value": {"version": version}, "result": "ok"});
            Ok(Shown::Document { text: version.to_owned(), json })
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "reset_stats_db",
        banner: Banner::Made(|asked, node| {
            if asked.is_set("all") {
                return "Resetting statistics database in all nodes".to_owned();
            }
            format!("Resetting statistics database on node {node}")
        }),
        work: WorkKind::Same { command: "reset-stats-db", refused: as_usual },
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "rotate_logs",
        work: WorkKind::Run(|_, _| {
            let text = "This command does not rotate logs anymore [deprecated]";
            Box::pin(std::future::ready(Err(Failure::error(UNAVAILABLE, text))))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "rename_cluster_node",
        words: (0, super::work::ANY),
        work: WorkKind::Say(
            "DEPRECATED. This command is a no-op. Node renaming is incompatible with Raft-based features such as \
             quorum queues, streams, Khepri. ",
        ),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_channel_interceptors",
        banner: Banner::Words("Listing channel interceptors ..."),
        work: WorkKind::Say(""),
        ..CommandWork::PLAIN
    },
];

fn check_unit(asked: &Asked) -> Result<(), WrongWords> {
    match asked.optional("unit") {
        Some(unit) if unit_of(unit).is_none() => Err(WrongWords::Said(format!(
            "\"unit '{unit}' is not supported. Please use one of: bytes, mb, gb\""
        ))),
        _ => Ok(()),
    }
}

/// The alarms of a node, as they are told.
pub(super) fn alarms(node: &Value) -> Vec<String> {
    let kinds = [
        ("mem_alarm", "Memory alarm on node"),
        ("disk_free_alarm", "Free disk space alarm on node"),
    ];
    let name = node["name"].as_str().unwrap_or_default();
    kinds
        .into_iter()
        .filter(|(field, _)| node[*field] == true)
        .map(|(_, words)| format!("{words} {name}"))
        .collect()
}

/// A listener, with the purpose that RabbitMQ's programs give its protocol.
pub(super) fn listener_rows(reached: &Reached) -> Vec<Value> {
    let all = reached.overview["listeners"].as_array().into_iter().flatten();
    let row = |listener: &Value| {
        let protocol = listener["protocol"].as_str().unwrap_or_default();
        let purpose = match protocol {
            "amqp" => "AMQP 0-9-1 and AMQP 1.0",
            "amqp/ssl" => "AMQP 0-9-1 and AMQP 1.0 over TLS",
            "http" => "HTTP API",
            "https" => "HTTP API over TLS (HTTPS)",
            "http/prometheus" => "Prometheus exporter API over HTTP",
            "https/prometheus" => "Prometheus exporter API over TLS (HTTPS)",
            "clustering" => "inter-node and CLI tool communication",
            "mqtt" => "MQTT",
            "stomp" => "STOMP",
            other => other,
        };
        let address = listener["ip_address"].as_str().unwrap_or_default();
        let interface =
            if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        json!({
            "node": listener["node"],
            "port": listener["port"],
            "protocol": protocol,
            "interface": interface,
            "purpose": purpose,
        })
    };
    let mut rows: Vec<Value> = all.map(row).collect();
    rows.sort_by_key(|row| row["protocol"] == "amqp");
    rows
}

fn listeners(reached: &Reached) -> Shown {
    let rows = listener_rows(reached);
    let lines = rows.iter().map(|row| format!("I{}", &listener_line(row)[1..]));
    let text = lines.collect::<Vec<_>>().join("\n");
    Shown::Document { text, json: json!({"node": reached.node, "result": "ok", "listeners": rows}) }
}

/// The memory of a node by its parts, the largest first, as bytes.
async fn parts_of_memory(reached: &Reached) -> Vec<(String, u64)> {
    let path = format!("nodes/{}/memory", crate::engine::escape(&reached.node));
    let told = reached.get(&path).await.unwrap_or_default();
    let parts = told["memory"].as_object().into_iter().flatten();
    let parts = parts.filter_map(|(name, value)| Some((name.clone(), value.as_u64()?)));
    let mut parts: Vec<(String, u64)> = parts.collect();
    if parts.is_empty()
        && let Ok(row) = reached.node_row().await
    {
        // A broker that does not tell the parts tells the whole.
        parts.push(("other_system".to_owned(), number(&row["mem_used"])));
    }
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    parts
}

async fn memory(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let parts = parts_of_memory(reached).await;
    let whole = parts.iter().map(|(_, bytes)| bytes).sum();
    let unit = asked.optional("unit").and_then(unit_of).unwrap_or(SizeUnit::GB);
    let line = |(name, bytes): &(String, u64)| {
        format!(
            "{name}: {} {} ({:?}%)\n",
            in_unit(*bytes, unit),
            unit.name,
            percentage(*bytes, whole)
        )
    };
    let json = parts.iter().map(|(name, bytes)| {
        (name.clone(), json!({"bytes": bytes, "percentage": percentage(*bytes, whole)}))
    });
    Ok(Shown::Document {
        text: parts.iter().map(line).collect(),
        json: Value::Object(json.collect::<Map<_, _>>()),
    })
}

async fn status(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let failed = |error| Failure::of(error, asked, &reached.node);
    let node = reached.node_row().await.map_err(failed)?;
    let vhosts = reached.rows("vhosts").await.map_err(failed)?.len();
    let parts = parts_of_memory(reached).await;
    let plugins = names(&node["enabled_plugins"]);
    let totals = &reached.overview["object_totals"];
    let is_drained = node["being_drained"] == true;
    let json = json!({
        "memory": {
            "total": {"rss": number(&node["mem_used"]), "allocated": number(&node["mem_used"])},
            "strategy": "rss",
        },
        "pid": number(&node["os_pid"]),
        "processes": {"used": number(&node["proc_used"]), "limit": number(&node["proc_total"])},
        "run_queue": number(&node["run_queue"]),
        "os": "Linux",
        "net_ticktime": 60,
        "config_files": names(&node["config_files"]),
        "alarms": alarms(&node),
        "tags": [],
        "listeners": listener_rows(reached),
        "product_name": reached.overview["product_name"],
        "product_version": reached.overview["product_version"],
        "erlang_version": reached.overview["erlang_full_version"],
        "rabbitmq_version": reached.version(),
        "uptime": number(&node["uptime"]) / 1000,
        "is_under_maintenance": is_drained,
        "enabled_plugin_file": node["enabled_plugins_file"].as_str().unwrap_or_default(),
        "active_plugins": plugins,
        "data_directory": node["db_dir"].as_str().unwrap_or_default(),
        "raft_data_directory": node["db_dir"].as_str().unwrap_or_default(),
        "log_files": names(&node["log_files"]),
        "vm_memory_calculation_strategy": "rss",
        "vm_memory_high_watermark_limit": number(&node["mem_limit"]),
        "disk_free_limit": number(&node["disk_free_limit"]),
        "disk_free": number(&node["disk_free"]),
        "totals": {
            "connection_count": number(&totals["connections"]),
            "queue_count": number(&totals["queues"]),
            "virtual_host_count": vhosts,
        },
    });
    let unit = asked.optional("unit").and_then(unit_of).unwrap_or(SizeUnit::GB);
    let text = status_text(&json, &parts, unit, asked.release, &reached.node);
    Ok(Shown::Document { text, json })
}

async fn cluster_status(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let failed = |error| Failure::of(error, asked, &reached.node);
    let nodes = reached.rows("nodes").await.map_err(failed)?;
    let flags = reached.rows("feature-flags").await.unwrap_or_default();
    let by_node = |make: &dyn Fn(&Value) -> Value| {
        let pairs = nodes
            .iter()
            .map(|row| (row["name"].as_str().unwrap_or_default().to_owned(), make(row)));
        Value::Object(pairs.collect())
    };
    let named = |is_meant: fn(&Value) -> bool| -> Vec<Value> {
        nodes.iter().filter(|row| is_meant(row)).map(|row| row["name"].clone()).collect()
    };
    let listeners = listener_rows(reached);
    let of_node = |row: &Value| -> Value {
        listeners.iter().filter(|listener| listener["node"] == row["name"]).cloned().collect()
    };
    let version = reached.version().to_owned();
    let erlang = reached.overview["erlang_version"].as_str().unwrap_or_default().to_owned();
    let json = json!({
        "alarms": nodes.iter().flat_map(alarms).collect::<Vec<_>>(),
        "cluster_tags": [],
        "listeners": by_node(&of_node),
        "cpu_cores": by_node(&|row| row["processors"].clone()),
        "cluster_name": reached.overview["cluster_name"],
        "disk_nodes": named(|row| row["type"] != "ram"),
        "running_nodes": named(|row| row["running"] == true),
        "versions": by_node(&|_| json!({
            "erlang_version": erlang,
            "rabbitmq_name": "RabbitMQ",
            "rabbitmq_version": version,
        })),
        "partitions": {},
        "maintenance_status": by_node(&|row| {
            let is_drained = row["being_drained"] == true;
            json!(if is_drained { "marked for maintenance" } else { "not under maintenance" })
        }),
        "feature_flags": flags,
    });
    let text = cluster_text(&json, asked.release);
    Ok(Shown::Document { text, json })
}

async fn await_nodes(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let text = asked.word(0);
    let wanted: usize = text
        .parse()
        .map_err(|_| Failure::error(UNAVAILABLE, format!("'{text}' is not a number of nodes")))?;
    let limit = asked.timeout().unwrap_or(Duration::from_secs_f64(AWAITED_S));
    #[expect(clippy::disallowed_methods, reason = "it waits for a broker in real time")]
    let begin = Instant::now();
    loop {
        let nodes = reached
            .rows("nodes")
            .await
            .map_err(|error| Failure::of(error, asked, &reached.node))?;
        if nodes.iter().filter(|row| row["running"] == true).count() >= wanted {
            return Ok(Shown::Nothing);
        }
        if begin.elapsed() >= limit {
            let text = format!(
                "Error: timed out while waiting. Not enough nodes joined {}'s cluster.",
                reached.node
            );
            return Err(Failure::error(SOFTWARE, text));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
