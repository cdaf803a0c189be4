//! Commands of RabbitMQ that do not exist here: they belong to Erlang, to clusters or to plugins, or are not implemented.
//! Each says so, with the exit code for what is not there, rather than that the command is unknown.

use super::row::{
    AdminRow, AdminWork, CTL, CTL_DIAGNOSTICS, DIAGNOSTICS, Operand, PLUGINS, Program, QUEUES,
    STREAMS,
};

const ABOUT: &str = "Not in mq: it needs Erlang, a cluster or a plugin that mq does not have";
const ARGUMENTS: &[Operand] = &[Operand::any("argument", "Any arguments")];

const fn row(name: &'static str, programs: &'static [Program], feature: &'static str) -> AdminRow {
    AdminRow {
        name,
        programs,
        about: ABOUT,
        operands: ARGUMENTS,
        work: AdminWork::Never(feature),
        ..AdminRow::PLAIN
    }
}

const fn not_implemented(
    name: &'static str,
    programs: &'static [Program],
    instead: &'static str,
) -> AdminRow {
    AdminRow {
        name,
        programs,
        about: "Not implemented in mq",
        operands: ARGUMENTS,
        work: AdminWork::NotImplemented(instead),
        ..AdminRow::PLAIN
    }
}

const ENCRYPTION: &str = "the encryption of values in RabbitMQ's Erlang configuration";
const CODE: &str = "Erlang: it runs code in the broker";
const COOKIE: &str = "Erlang: the cookie is the password between its nodes";
const RESOLVER: &str = "Erlang: it asks the resolver of the node";
const CLUSTER: &str = "clusters of several nodes";
const OAUTH: &str = "the plugin rabbitmq_auth_backend_oauth2";
const STREAM: &str = "the plugin rabbitmq_stream";
const TRUST_STORE: &str = "the plugin rabbitmq_trust_store";
const LEADERS: &[Program] = &[Program::Queues, Program::Streams];

#[rustfmt::skip]
pub(super) const ROWS: &[AdminRow] = &[
    row("autocomplete", &[Program::Ctl, Program::Diagnostics, Program::Plugins, Program::Queues], "the completion of RabbitMQ's own programs; `mq completions` has that of mq"),
    row("decode", CTL, ENCRYPTION),
    row("encode", CTL, ENCRYPTION),
    row("decrypt-conf-value", CTL, ENCRYPTION),
    row("encrypt-conf-value", CTL, ENCRYPTION),
    row("list-ciphers", CTL_DIAGNOSTICS, ENCRYPTION),
    row("list-hashes", CTL_DIAGNOSTICS, ENCRYPTION),
    row("eval", CTL, CODE),
    row("eval-file", CTL, CODE),
    row("exec", CTL, "Elixir: it runs code in the program"),
    row("force-gc", CTL, "Erlang: it collects the garbage of processes"),
    row("force-boot", CTL, CLUSTER),
    row("force-standalone-khepri-boot", CTL, CLUSTER),
    row("forget-cluster-node", CTL, CLUSTER),
    row("join-cluster", CTL, CLUSTER),
    row("rename-cluster-node", CTL, CLUSTER),
    row("update-cluster-nodes", CTL, CLUSTER),
    row("discover-peers", DIAGNOSTICS, CLUSTER),
    row("set-channel-interceptor-priorities", CTL, "plugins that intercept channels"),
    row("erlang-cookie-hash", DIAGNOSTICS, COOKIE),
    row("erlang-cookie-sources", DIAGNOSTICS, COOKIE),
    row("erlang-version", DIAGNOSTICS, "Erlang, which mq is not written in"),
    row("maybe-stuck", DIAGNOSTICS, "Erlang: it looks for processes that hang"),
    row("observer", DIAGNOSTICS, "Erlang: it watches processes"),
    row("remote-shell", DIAGNOSTICS, "Erlang: it opens a shell in the broker"),
    row("resolve-hostname", DIAGNOSTICS, RESOLVER),
    row("resolver-info", DIAGNOSTICS, RESOLVER),
    row("runtime-thread-stats", DIAGNOSTICS, "Erlang: it measures threads of the runtime"),
    row("directories", PLUGINS, "plugins in files: those of mq are built in"),
    row("add-member", QUEUES, CLUSTER),
    row("delete-member", QUEUES, CLUSTER),
    row("grow", LEADERS, CLUSTER),
    row("grow-to-count", QUEUES, CLUSTER),
    row("shrink", LEADERS, CLUSTER),
    row("transfer-leadership", LEADERS, CLUSTER),
    row("add-replica", STREAMS, CLUSTER),
    row("delete-replica", STREAMS, CLUSTER),
    row("clear-auth-backend-cache", CTL, "the plugin rabbitmq_auth_backend_cache"),
    row("add-signing-key", CTL, OAUTH),
    row("add-uaa-key", CTL, OAUTH),
    row("list-mqtt-connections", CTL_DIAGNOSTICS, "the plugin rabbitmq_mqtt"),
    row("list-web-mqtt-connections", CTL_DIAGNOSTICS, "the plugin rabbitmq_web_mqtt"),
    row("list-stomp-connections", CTL_DIAGNOSTICS, "the plugin rabbitmq_stomp"),
    row("activate-stream-consumer", &[Program::Ctl, Program::Streams], STREAM),
    row("add-super-stream", STREAMS, STREAM),
    row("delete-super-stream", STREAMS, STREAM),
    row("list-stream-consumer-groups", CTL_DIAGNOSTICS, STREAM),
    row("list-stream-group-consumers", CTL_DIAGNOSTICS, STREAM),
    row("list-stream-tracking", STREAMS, STREAM),
    row("reset-offset", STREAMS, STREAM),
    row("list-trust-store-certificates", CTL_DIAGNOSTICS, TRUST_STORE),
    row("refresh-trust-store", CTL, TRUST_STORE),
    not_implemented("list-network-interfaces", DIAGNOSTICS, "`mq listeners` shows the addresses that a broker listens on"),
    not_implemented("consume-event-stream", DIAGNOSTICS, "the log of `mq serve --log-format json` tells of connections, refusals and alarms"),
];
