//! Health checks: exit code 1 and the reason if the check fails.

use serde_json::Value;

use super::given::Given;
use super::row::{
    AdminRow, AdminWork, CTL_DIAGNOSTICS, DIAGNOSTICS, Operand, Program, QUEUES_DIAGNOSTICS,
    Switch, UPGRADE,
};
use super::{node, show};
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{escape, reach};
use crate::render::words;

/// Days within which a certificate may expire by default: rabbitmq-diagnostics wants to be told, four weeks are usual.
const WITHIN_WEEKS: u64 = 4;

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "alarms",
        programs: DIAGNOSTICS,
        about: "List the alarms of memory and disk",
        examples: &["mq alarms"],
        work: AdminWork::Run(|given, cx| Box::pin(alarms(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-alarms",
        programs: DIAGNOSTICS,
        about: "Check that there is no alarm",
        examples: &["mq check-alarms && mq ping"],
        work: AdminWork::Check { path: "health/checks/alarms", good: "there is no alarm" },
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-local-alarms",
        programs: DIAGNOSTICS,
        about: "Check that there is no alarm on the node that answers",
        examples: &["mq check-local-alarms"],
        work: AdminWork::Check {
            path: "health/checks/local-alarms",
            good: "there is no alarm on this node",
        },
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-running",
        programs: DIAGNOSTICS,
        about: "Check that the broker runs",
        examples: &["mq check-running"],
        work: AdminWork::Run(|given, cx| Box::pin(running(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "is-running",
        programs: DIAGNOSTICS,
        about: "Check that the broker runs",
        examples: &["mq is-running"],
        work: AdminWork::Run(|given, cx| Box::pin(running(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "is-booting",
        programs: DIAGNOSTICS,
        about: "Check that the broker still starts; exit code 1 if it does not, as always when it answers",
        examples: &["mq is-booting || mq check-running"],
        work: AdminWork::Run(|given, cx| Box::pin(booting(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-virtual-hosts",
        programs: DIAGNOSTICS,
        about: "Check that all virtual hosts run",
        examples: &["mq check-virtual-hosts"],
        work: AdminWork::Check {
            path: "health/checks/virtual-hosts",
            good: "all virtual hosts run",
        },
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-port-listener",
        programs: DIAGNOSTICS,
        about: "Check that the broker listens on a port",
        operands: &[Operand::one("port", "The port")],
        examples: &["mq check-port-listener 1 || echo 'nothing listens there'"],
        work: AdminWork::Check {
            path: "health/checks/port-listener/{port}",
            good: "the broker listens on this port",
        },
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-protocol-listener",
        programs: DIAGNOSTICS,
        about: "Check that the broker listens for a protocol",
        operands: &[Operand::one("protocol", "The protocol, for example amqp, amqp/ssl or http")],
        examples: &["mq check-protocol-listener amqp || echo 'nothing listens for it'"],
        work: AdminWork::Check {
            path: "health/checks/protocol-listener/{protocol}",
            good: "the broker listens for this protocol",
        },
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-port-connectivity",
        programs: DIAGNOSTICS,
        about: "Check that each port on which the broker listens can be reached from here",
        switches: &[Switch::text(
            "address",
            "HOST",
            "Connect to this host [default: each listener's]",
        )
        .short('a')],
        examples: &["mq check-port-connectivity"],
        work: AdminWork::Run(|given, cx| Box::pin(connectivity(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-certificate-expiration",
        programs: DIAGNOSTICS,
        about: "Check that no certificate of the broker expires soon",
        switches: &[
            Switch::number("within", "COUNT", "Within so many units [default: 4]"),
            Switch::text("unit", "UNIT", "Count in days, weeks, months or years [default: weeks]"),
        ],
        examples: &["mq check-certificate-expiration --within 1 --unit months"],
        work: AdminWork::Run(|given, cx| Box::pin(certificates(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "node-health-check",
        programs: CTL_DIAGNOSTICS,
        about: "Check the node as early releases of RabbitMQ did",
        examples: &["mq node-health-check"],
        work: AdminWork::Run(|given, cx| Box::pin(running(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-if-node-is-quorum-critical",
        programs: QUEUES_DIAGNOSTICS,
        about: "Check that quorum queues have a majority without this node",
        examples: &["mq check-if-node-is-quorum-critical"],
        work: AdminWork::Check {
            path: "health/checks/node-is-quorum-critical",
            good: "no quorum depends on this node, or it is the only one",
        },
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-if-node-is-mirror-sync-critical",
        programs: QUEUES_DIAGNOSTICS,
        about: "Check that mirrored queues are in sync without this node; without mirrors they are",
        examples: &["mq check-if-node-is-mirror-sync-critical"],
        work: AdminWork::Run(|given, cx| Box::pin(running(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-for-quorum-queues-without-an-elected-leader",
        programs: DIAGNOSTICS,
        about: "Check that the quorum queues of the virtual host have a leader",
        operands: &[Operand::one("pattern", "The pattern of the queues' names")],
        switches: &[Switch::flag("across-all-vhosts", "Check those of all virtual hosts")],
        examples: &["mq check-for-quorum-queues-without-an-elected-leader '.*'"],
        work: AdminWork::Run(|given, cx| Box::pin(leaders(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-if-metadata-store-is-initialized",
        programs: DIAGNOSTICS,
        about: "Check that the store of definitions is ready",
        examples: &["mq check-if-metadata-store-is-initialized"],
        work: AdminWork::Check {
            path: "health/checks/metadata-store/initialized",
            good: "the metadata store is initialized",
        },
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-if-metadata-store-is-initialized-with-data",
        programs: DIAGNOSTICS,
        about: "Check that the store of definitions is ready and not empty",
        examples: &["mq check-if-metadata-store-is-initialized-with-data"],
        work: AdminWork::Check {
            path: "health/checks/metadata-store/initialized/with-data",
            good: "the metadata store is initialized and has data",
        },
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "has-reached-target-cluster-size",
        programs: &[Program::Ctl, Program::Diagnostics, Program::Upgrade],
        about: "Check that the cluster has as many nodes as it is configured for",
        examples: &["mq has-reached-target-cluster-size"],
        work: AdminWork::Check {
            path: "health/checks/reached-target-cluster-size",
            good: "the cluster has its size",
        },
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "await-online-quorum-plus-one",
        programs: UPGRADE,
        about: "Wait until this node may be stopped without the loss of a quorum",
        examples: &["mq await-online-quorum-plus-one"],
        work: AdminWork::Nothing("one node is the whole cluster: no quorum depends on others"),
        ..AdminRow::PLAIN
    },
];

async fn alarms(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let found = cx.engine.inspect().alarms().await?;
    let told = found.iter().map(|(node, resource)| format!("node '{node}' is short of {resource}"));
    let words = if found.is_empty() {
        "there is no alarm".to_owned()
    } else {
        told.collect::<Vec<_>>().join("\n")
    };
    show::text(&words, cx)
}

async fn running(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    cx.engine.ping().await?;
    show::text("the broker runs", cx)
}

async fn booting(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    cx.engine.ping().await?;
    show::text("the broker has started", cx)?;
    Ok(Answer::No)
}

async fn certificates(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let within = given.number("within").unwrap_or(WITHIN_WEEKS);
    let unit = given.optional("unit").unwrap_or("weeks");
    let path = format!("health/checks/certificate-expiration/{within}/{}", escape(unit));
    show::check("check-certificate-expiration", &path, "no certificate expires in this time", cx)
        .await
}

async fn leaders(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let path = given.path(if given.is_set("across-all-vhosts") {
        "health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern}"
    } else {
        "health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern}"
    });
    let name = "check-for-quorum-queues-without-an-elected-leader";
    show::check(name, &path, "all of these quorum queues have a leader", cx).await
}

async fn connectivity(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let listeners = node::listeners(cx).await?;
    let mut unreached = Vec::new();
    for listener in &listeners {
        let Some(port) = listener["port"].as_u64().and_then(|port| u16::try_from(port).ok()) else {
            continue;
        };
        let host = given.optional("address").unwrap_or_else(|| host(listener));
        if let Err(why) = reach(host, port, cx.engine.target().timeout()).await {
            unreached.push(format!("port {port} of {host} cannot be reached: {why}"));
        }
    }
    if !unreached.is_empty() {
        return Err(CommandError::CheckFailed { problems: unreached });
    }
    let count = words::counted(listeners.len() as u64, "port");
    show::text(&format!("{count} of the broker can be reached"), cx)
}

/// The host at which a listener is reached; one on all addresses is reached on this machine's own.
fn host(listener: &Value) -> &str {
    match listener["ip_address"].as_str() {
        None | Some("::" | "0.0.0.0" | "[::]") => "localhost",
        Some(address) => address,
    }
}
