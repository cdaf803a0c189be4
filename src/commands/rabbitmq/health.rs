//! Health checks.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::asked::Asked;
use super::failure::{Failure, UNAVAILABLE, WrongWords};
use super::names::CtlRelease;
use super::node::{alarms, listener_rows};
use super::reached::Reached;
use super::shown::{ListedRows, RowForm, Shown};
use super::work::{Banner, CommandWork, WorkKind};
use crate::commands::CommandError;
use crate::engine::{escape, reach};

/// The units in which certificates expire.
const UNITS: [&str; 4] = ["days", "weeks", "months", "years"];

const LOCAL_ALARMS: &str =
    "This command is DEPRECATED and is a no-op. It will be removed in a future version.";

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "check_running",
        banner: Banner::Words("Checking if RabbitMQ is running on node {node} ..."),
        work: WorkKind::Run(|_, reached| Box::pin(std::future::ready(Ok(running(reached))))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "is_running",
        banner: Banner::Words("Asking node {node} for its status ..."),
        work: WorkKind::Run(|_, reached| Box::pin(std::future::ready(Ok(running(reached))))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "is_booting",
        banner: Banner::Words("Asking node {node} for its boot status ..."),
        work: WorkKind::Say(
            "RabbitMQ on node {node} is fully booted (check with is_running), stopped or has not started booting yet",
        ),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_alarms",
        banner: Banner::Words("Asking node {node} to report any local resource alarms ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(check_alarms(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_local_alarms",
        banner: Banner::Made(|asked, node| match asked.release {
            CtlRelease::V3_10 => {
                format!("Asking node {node} to report any local resource alarms ...")
            }
            CtlRelease::V4_3 => LOCAL_ALARMS.to_owned(),
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(check_local_alarms(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "alarms",
        banner: Banner::Words("Asking node {node} to report any known resource alarms ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(list_alarms(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "node_health_check",
        work: WorkKind::Say(
            "This command is DEPRECATED and is a no-op. It will be removed in a future version. \n\
             Use one of the options covered in https://www.rabbitmq.com/monitoring.html#health-checks instead.",
        ),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_if_node_is_mirror_sync_critical",
        banner: Banner::Words(LOCAL_ALARMS),
        work: WorkKind::Say("ok"),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_virtual_hosts",
        banner: Banner::Words("Checking if all vhosts are running on node {node} ..."),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(check(
                "virtual-hosts",
                "Node {node} reported all vhosts as running",
                asked,
                reached,
            ))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_port_listener",
        words: (1, 1),
        banner: Banner::Words("Asking node {node} if there's an active listener on port {0} ..."),
        check: Some(|asked| match asked.word(0).parse::<u16>() {
            Ok(port) if port > 0 => Ok(()),
            _ => Err(WrongWords::Bad("Argument must be a positive integer".to_owned())),
        }),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(std::future::ready(check_port(asked, reached)))
        }),
    },
    CommandWork {
        name: "check_protocol_listener",
        words: (1, 1),
        banner: Banner::Words(
            "Asking node {node} if there's an active listener for protocol {0} ...",
        ),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(std::future::ready(check_protocol(asked, reached)))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_port_connectivity",
        banner: Banner::Made(|asked, node| match asked.release {
            CtlRelease::V3_10 => {
                format!("Testing TCP connections to all active listeners on node {node} ...")
            }
            CtlRelease::V4_3 => {
                let host = asked.optional("address").map_or_else(
                    || "using hostname resolution".to_owned(),
                    |address| format!("using {address}"),
                );
                format!("Testing TCP connections to all active listeners on node {node} {host} ...")
            }
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(connectivity(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_certificate_expiration",
        banner: Banner::Made(|asked, node| match asked.release {
            CtlRelease::V3_10 => {
                format!("Checking certificate expiration on node {node} ...")
            }
            CtlRelease::V4_3 => {
                format!("Checking certificate expiration for all certificates on node {node} ...")
            }
        }),
        check: Some(|asked| match asked.optional("unit") {
            Some(unit) if !UNITS.contains(&unit) => Err(WrongWords::Said(format!(
                "\"unit '{unit}' is not supported. Please use one of: {}\"",
                UNITS.join(", ")
            ))),
            _ => Ok(()),
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(certificates(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_if_metadata_store_is_initialized",
        banner: Banner::Words(METADATA),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(check("metadata-store/initialized", METADATA_DONE, asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_if_metadata_store_is_initialized_with_data",
        banner: Banner::Words(METADATA),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(check("metadata-store/initialized/with-data", METADATA_DONE, asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "has_reached_target_cluster_size",
        banner: Banner::Words(
            "Checking if target cluster size has been reached on node {node} ...",
        ),
        work: WorkKind::Run(|asked, reached| {
            let good = "Target cluster size has been reached on node {node}";
            Box::pin(check("reached-target-cluster-size", good, asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_if_node_is_quorum_critical",
        banner: Banner::Words(
            "Checking if node {node} is critical for quorum of any queues/streams ...",
        ),
        work: WorkKind::Run(|asked, reached| {
            let good = "Node {node} seems to be the only one in a single node cluster, the check does not apply";
            Box::pin(check("node-is-quorum-critical", good, asked, reached))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "check_for_quorum_queues_without_an_elected_leader",
        words: (1, 1),
        banner: Banner::Made(|asked, _| {
            let place = if asked.is_set("across-all-vhosts") {
                "all vhosts".to_owned()
            } else {
                format!("vhost {}", asked.vhost())
            };
            format!(
                "Checking leader replicas of quorum queues matching '{}' in {place} ...",
                asked.word(0)
            )
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(leaders(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "list_node_auth_attempt_stats",
        banner: Banner::Words("Listing authentication\n attempts for node \"{node}\" ..."),
        work: WorkKind::Run(|asked, reached| Box::pin(auth_attempts(asked, reached))),
        ..CommandWork::PLAIN
    },
];

const METADATA: &str = "Checking if metadata store on node {node} has finished initializing ...";
const METADATA_DONE: &str = "Metadata store on node {node} has completed its initialization";

fn running(reached: &Reached) -> Shown {
    Shown::message(format!("RabbitMQ on node {} is fully booted and running", reached.node))
}

/// Makes a check of the management API.
async fn check(
    path: &str,
    good: &str,
    asked: &Asked,
    reached: &mut Reached,
) -> Result<Shown, Failure> {
    match reached.get(&format!("health/checks/{path}")).await {
        Ok(_) => Ok(Shown::ok(good.replace("{node}", &reached.node))),
        Err(error) => Err(unhealthy(error, asked, reached)),
    }
}

fn unhealthy(error: CommandError, asked: &Asked, reached: &Reached) -> Failure {
    Failure::of(error, asked, &reached.node)
}

/// The alarms of all nodes.
async fn found(asked: &Asked, reached: &Reached) -> Result<Vec<String>, Failure> {
    let nodes = reached.rows("nodes").await;
    let nodes = nodes.map_err(|error| Failure::of(error, asked, &reached.node))?;
    Ok(nodes.iter().flat_map(alarms).collect())
}

async fn check_alarms(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let found = found(asked, reached).await?;
    if found.is_empty() {
        let text = format!("Node {} reported no alarms, local or clusterwide", reached.node);
        return Ok(Shown::ok(text));
    }
    Err(Failure::error(
        UNAVAILABLE,
        format!("Alarms reported by node {}:\n{}", reached.node, found.join("\n")),
    ))
}

async fn check_local_alarms(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    if asked.release == CtlRelease::V3_10 {
        check_alarms(asked, reached).await?;
    }
    Ok(Shown::ok(format!("Node {} reported no local alarms", reached.node)))
}

async fn list_alarms(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let found = found(asked, reached).await?;
    let node = &reached.node;
    let text = match found.as_slice() {
        [] => format!("Node {node} reported no alarms, local or clusterwide"),
        found => format!("Node {node} reported alarms:\n{}", found.join("\n")),
    };
    Ok(Shown::Document { text, json: json!({"node": node, "result": "ok", "alarms": found}) })
}

fn ports(reached: &Reached) -> Vec<u16> {
    let rows = listener_rows(reached);
    let ports = rows.iter().filter_map(|row| u16::try_from(row["port"].as_u64()?).ok());
    let mut ports: Vec<u16> = ports.collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn joined(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

fn check_port(asked: &Asked, reached: &Reached) -> Result<Shown, Failure> {
    let (port, node) = (asked.word(0), &reached.node);
    let ports = ports(reached);
    if ports.iter().any(|one| one.to_string() == port) {
        return Ok(Shown::ok(format!("A listener for port {port} is running on node {node}.")));
    }
    Err(Failure::plain(
        UNAVAILABLE,
        format!(
            "No listener for port {port} is active on node {node}. Found listeners that use the following ports: {}",
            joined(&ports)
        ),
    ))
}

fn check_protocol(asked: &Asked, reached: &Reached) -> Result<Shown, Failure> {
    let (protocol, node) = (asked.word(0), &reached.node);
    let rows = listener_rows(reached);
    let mut protocols: Vec<&str> = rows.iter().filter_map(|row| row["protocol"].as_str()).collect();
    protocols.sort_unstable();
    protocols.dedup();
    let asked_for = match protocol {
        "amqp091" | "amqp0.9.1" | "amqp10" | "amqp1.0" => "amqp",
        "amqps" => "amqp/ssl",
        "management" => "http",
        "prometheus" => "http/prometheus",
        other => other,
    };
    if protocols.contains(&asked_for) {
        return Ok(Shown::ok(format!(
            "A listener for protocol {protocol} is running on node {node}."
        )));
    }
    Err(Failure::error(
        UNAVAILABLE,
        format!(
            "No listener for protocol {protocol} is active on node {node}. \
         Found listeners for the following protocols: {}",
            protocols.join(", ")
        ),
    ))
}

async fn connectivity(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let rows = listener_rows(reached);
    let mut text = String::new();
    let mut unreached = Vec::new();
    for row in &rows {
        let interface = row["interface"].as_str().unwrap_or_default().trim_matches(['[', ']']);
        let own = if matches!(interface, "" | "::" | "0.0.0.0") { "localhost" } else { interface };
        let host = asked.optional("address").unwrap_or(own);
        let Some(port) = row["port"].as_u64().and_then(|port| u16::try_from(port).ok()) else {
            continue;
        };
        if asked.release == CtlRelease::V4_3 {
            let _ = writeln!(text, "Will connect to {host}:{port}");
        }
        if let Err(why) = reach(host, port, reached.cx.engine.target().timeout()).await {
            unreached.push(format!("{port} ({why})"));
        }
    }
    let node = &reached.node;
    if !unreached.is_empty() {
        return Err(Failure::error(
            UNAVAILABLE,
            format!(
                "Connection to ports of the following listeners on node {node} failed: {}",
                unreached.join(", ")
            ),
        ));
    }
    let end = match asked.release {
        CtlRelease::V3_10 => ".",
        CtlRelease::V4_3 => " (using node hostname resolution)",
    };
    Ok(Shown::ok(format!(
        "{text}Successfully connected to ports {} on node {node}{end}",
        joined(&ports(reached))
    )))
}

async fn certificates(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let within = asked.number("within").unwrap_or(4.0);
    let unit = asked.optional("unit").unwrap_or("weeks");
    let path = format!("health/checks/certificate-expiration/{within}/{unit}");
    match reached.get(&path).await {
        Ok(_) => Ok(Shown::ok(format!("No certificates are expiring within {within} {unit}."))),
        Err(error) => Err(unhealthy(error, asked, reached)),
    }
}

async fn leaders(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let pattern = escape(asked.word(0));
    let path = if asked.is_set("across-all-vhosts") {
        format!("all-vhosts/pattern/{pattern}")
    } else {
        format!("vhost/{}/pattern/{pattern}", escape(asked.vhost()))
    };
    match reached.get(&format!("health/checks/quorum-queues-without-elected-leaders/{path}")).await
    {
        Ok(_) => {
            let text = format!(
                "Node {} reported all quorum queue as having responsive leader replicas",
                reached.node
            );
            Ok(Shown::Document { json: json!({"message": text, "result": "ok"}), text })
        }
        Err(error) => Err(unhealthy(error, asked, reached)),
    }
}

async fn auth_attempts(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let source = if asked.is_set("by-source") { "/source" } else { "" };
    let path = format!("auth/attempts/{}{source}", escape(&reached.node));
    let rows: Vec<Value> = match reached.rows(&path).await {
        Ok(rows) => rows,
        Err(error) => return Err(Failure::of(error, asked, &reached.node)),
    };
    if rows.is_empty() {
        let text = format!("Node {} reported no authentication attempt stats", reached.node);
        return Ok(Shown::Document { text, json: json!([]) });
    }
    let counts = ["protocol", "auth_attempts", "auth_attempts_failed", "auth_attempts_succeeded"];
    let of_source = ["remote_address", "username"].into_iter().filter(|_| !source.is_empty());
    let columns: Vec<&str> = of_source.chain(counts).collect();
    Ok(Shown::Rows(ListedRows::plain(&columns, &rows, RowForm::Table)))
}
