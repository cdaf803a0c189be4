//! The commands of `rabbitmqadmin` 2: each is a call of the management API, and the columns of its answer.

use super::reports::{AdminReport, CHURN, MemoryUnit, OVERVIEW};

/// A command: its group and verb, and what it does.
#[derive(Debug)]
pub(super) struct GroupCommand {
    pub(super) group: &'static str,
    pub(super) verb: &'static str,
    /// Options that must be given
    pub(super) needs: &'static [&'static str],
    pub(super) does: GroupWork,
}

#[derive(Debug)]
pub(super) enum GroupWork {
    /// A list, with its columns: a name, and a path in the row behind `=`. The value of a path that ends with `+` has a
    /// line behind it, and one of a path that ends with `*` is a list of points.
    List {
        path: &'static str,
        columns: &'static [&'static str],
    },
    /// A change: its path, and the options that its body has
    Change {
        method: &'static str,
        path: &'static str,
        body: &'static [&'static str],
    },
    /// A health check
    Check {
        path: &'static str,
    },
    Publish,
    Get,
    Export {
        path: &'static str,
    },
    Import {
        path: &'static str,
    },
    Report(AdminReport),
    Memory(MemoryUnit),
    /// The plugins of nodes
    Plugins {
        path: &'static str,
    },
    /// Enables all feature flags
    EnableAll,
    Endpoint,
    Hash,
}

const fn list(
    group: &'static str,
    verb: &'static str,
    path: &'static str,
    columns: &'static [&'static str],
) -> GroupCommand {
    GroupCommand { group, verb, needs: &[], does: GroupWork::List { path, columns } }
}

const fn put(
    group: &'static str,
    verb: &'static str,
    needs: &'static [&'static str],
    path: &'static str,
    body: &'static [&'static str],
) -> GroupCommand {
    GroupCommand { group, verb, needs, does: GroupWork::Change { method: "PUT", path, body } }
}

const fn post(
    group: &'static str,
    verb: &'static str,
    needs: &'static [&'static str],
    path: &'static str,
    body: &'static [&'static str],
) -> GroupCommand {
    GroupCommand { group, verb, needs, does: GroupWork::Change { method: "POST", path, body } }
}

const fn delete(
    group: &'static str,
    verb: &'static str,
    needs: &'static [&'static str],
    path: &'static str,
) -> GroupCommand {
    GroupCommand {
        group,
        verb,
        needs,
        does: GroupWork::Change { method: "DELETE", path, body: &[] },
    }
}

const fn check(
    verb: &'static str,
    needs: &'static [&'static str],
    path: &'static str,
) -> GroupCommand {
    GroupCommand { group: "health_check", verb, needs, does: GroupWork::Check { path } }
}

const QUEUES: &[&str] = &[
    "name",
    "vhost",
    "queue_type=type",
    "durable",
    "auto_delete",
    "exclusive",
    "arguments",
    "node",
    "state",
    "leader",
    "members",
    "online",
    "memory",
    "consumer_count=consumers",
    "consumer_utilisation",
    "policy",
    "operator_policy",
    "message_bytes",
    "message_count=messages",
    "unacknowledged_message_count=messages_unacknowledged",
];
const EXCHANGES: &[&str] =
    &["name", "vhost", "exchange_type=type", "durable", "auto_delete", "arguments"];
const BINDINGS: &[&str] = &[
    "vhost",
    "source",
    "destination",
    "destination_type",
    "routing_key",
    "arguments",
    "properties_key",
];
const VHOSTS: &[&str] =
    &["name", "tags", "description", "default_queue_type", "protected_from_deletion"];
const USERS: &[&str] = &["name", "tags", "password_hash"];
const PERMISSIONS: &[&str] = &["user", "vhost", "configure", "read", "write"];
const POLICIES: &[&str] =
    &["name", "vhost", "pattern", "apply_to=apply-to", "priority", "definition"];
const PARAMETERS: &[&str] = &["name", "vhost", "component", "value"];
const NODES: &[&str] = &[
    "name",
    "uptime",
    "run_queue",
    "processors",
    "os_pid",
    "fd_total",
    "total_erlang_processes=proc_total",
    "memory_high_watermark=mem_limit",
    "has_memory_alarm_in_effect=mem_alarm",
    "free_disk_space_low_watermark=disk_free_limit",
    "has_free_disk_space_alarm_in_effect=disk_free_alarm",
    "rates_mode",
    "enabled_plugins=enabled_plugins*",
    "being_drained",
    "rabbitmq_version",
    "erlang_version",
    "erlang_full_version",
    "crypto_lib_version",
];
const CONNECTIONS: &[&str] = &[
    "name",
    "node",
    "state",
    "protocol",
    "username=user",
    "connected_at",
    "server_hostname=host",
    "server_port=port",
    "client_hostname=peer_host",
    "client_port=peer_port",
    "channel_max",
    "channel_count=channels",
];
const USER_CONNECTIONS: &[&str] = &["name", "node", "username=user", "vhost"];
const ATTEMPTS: &[&str] = &[
    "Protocol=protocol",
    "Number of attempts=auth_attempts",
    "Failed=auth_attempts_failed",
    "Successful=auth_attempts_succeeded",
];
const CHANNELS: &[&str] = &[
    "id=number",
    "name",
    "vhost",
    "state",
    "consumer_count",
    "has_publisher_confirms_enabled=confirm",
    "prefetch_count",
    "messages_unacknowledged",
    "messages_unconfirmed",
];
const CONSUMERS: &[&str] =
    &["consumer_tag", "queue=queue.name", "active", "ack_required", "prefetch_count", "exclusive"];
const FEATURE_FLAGS: &[&str] =
    &["name", "state=state+", "description=desc", "doc_url", "stability=stability+", "provided_by"];
const DEPRECATED: &[&str] = &[
    "name",
    "description=desc",
    "deprecation_phase=deprecation_phase+",
    "doc_url",
    "provided_by",
    "state",
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[GroupCommand] = &[
    list("queues", "list", "queues", QUEUES),
    list("queues", "show", "queues/{vhost}/{name}", QUEUES),
    put("queues", "declare", &["name"], "queues/{vhost}/{name}", &["durable", "auto_delete", "arguments", "type"]),
    delete("queues", "delete", &["name"], "queues/{vhost}/{name}"),
    delete("queues", "purge", &["name"], "queues/{vhost}/{name}/contents"),
    post("queues", "rebalance", &[], "rebalance/queues", &[]),
    list("streams", "list", "queues", QUEUES),
    list("streams", "show", "queues/{vhost}/{name}", QUEUES),
    put("streams", "declare", &["name"], "queues/{vhost}/{name}", &["durable", "arguments", "expiration", "max_length_bytes", "max_segment_length_bytes", "stream"]),
    delete("streams", "delete", &["name"], "queues/{vhost}/{name}"),
    list("exchanges", "list", "exchanges", EXCHANGES),
    put("exchanges", "declare", &["name"], "exchanges/{vhost}/{name}", &["exchange_type", "durable", "auto_delete", "arguments"]),
    delete("exchanges", "delete", &["name"], "exchanges/{vhost}/{name}"),
    post("exchanges", "bind", &["source", "destination"], "bindings/{vhost}/e/{source}/{destination_char}/{destination}", &["routing_key", "arguments"]),
    delete("exchanges", "unbind", &["source", "destination"], "bindings/{vhost}/e/{source}/{destination_char}/{destination}/{properties}"),
    list("bindings", "list", "bindings", BINDINGS),
    post("bindings", "declare", &["source", "destination"], "bindings/{vhost}/e/{source}/{destination_char}/{destination}", &["routing_key", "arguments"]),
    delete("bindings", "delete", &["source", "destination"], "bindings/{vhost}/e/{source}/{destination_char}/{destination}/{properties}"),
    list("vhosts", "list", "vhosts", VHOSTS),
    put("vhosts", "declare", &["name"], "vhosts/{name}", &["description", "tags", "default_queue_type", "tracing"]),
    delete("vhosts", "delete", &["name"], "vhosts/{name}"),
    post("vhosts", "enable_deletion_protection", &["name"], "vhosts/{name}/deletion/protection", &[]),
    delete("vhosts", "disable_deletion_protection", &["name"], "vhosts/{name}/deletion/protection"),
    list("users", "list", "users", USERS),
    put("users", "declare", &["name"], "users/{name}", &["password", "password_hash", "tags"]),
    delete("users", "delete", &["name"], "users/{name}"),
    list("users", "connections", "connections/username/{username}", USER_CONNECTIONS),
    list("users", "limits", "user-limits/{username}", &["username=user", "limits=value"]),
    list("users", "permissions", "permissions", PERMISSIONS),
    list("permissions", "list", "permissions", PERMISSIONS),
    put("permissions", "declare", &["username", "configure", "read", "write"], "permissions/{vhost}/{username}", &["configure", "read", "write"]),
    delete("permissions", "delete", &["username"], "permissions/{vhost}/{username}"),
    list("policies", "list", "policies", POLICIES),
    list("policies", "list_in", "policies/{vhost}", POLICIES),
    put("policies", "declare", &["name", "pattern", "definition"], "policies/{vhost}/{name}", &["pattern", "definition", "priority", "apply_to"]),
    delete("policies", "delete", &["name"], "policies/{vhost}/{name}"),
    list("operator_policies", "list", "operator-policies", POLICIES),
    list("operator_policies", "list_in", "operator-policies/{vhost}", POLICIES),
    put("operator_policies", "declare", &["name", "pattern", "definition"], "operator-policies/{vhost}/{name}", &["pattern", "definition", "priority", "apply_to"]),
    delete("operator_policies", "delete", &["name"], "operator-policies/{vhost}/{name}"),
    list("parameters", "list_all", "parameters", PARAMETERS),
    list("parameters", "list", "parameters/{component}/{vhost}", PARAMETERS),
    list("parameters", "list_in", "parameters/{component}/{vhost}", PARAMETERS),
    put("parameters", "set", &["component", "name", "value"], "parameters/{component}/{vhost}/{name}", &["value"]),
    delete("parameters", "clear", &["component", "name"], "parameters/{component}/{vhost}/{name}"),
    delete("parameters", "delete", &["component", "name"], "parameters/{component}/{vhost}/{name}"),
    list("global_parameters", "list", "global-parameters", &["name", "value=value+"]),
    put("global_parameters", "set", &["name", "value"], "global-parameters/{name}", &["value"]),
    delete("global_parameters", "clear", &["name"], "global-parameters/{name}"),
    delete("global_parameters", "delete", &["name"], "global-parameters/{name}"),
    list("user_limits", "list", "user-limits", &["username=user", "limits=value"]),
    put("user_limits", "declare", &["username", "name", "value"], "user-limits/{username}/{name}", &["value"]),
    delete("user_limits", "delete", &["username", "name"], "user-limits/{username}/{name}"),
    list("vhost_limits", "list", "vhost-limits", &["vhost", "limits=value"]),
    put("vhost_limits", "declare", &["name", "value"], "vhost-limits/{vhost}/{name}", &["value"]),
    delete("vhost_limits", "delete", &["name"], "vhost-limits/{vhost}/{name}"),
    list("nodes", "list", "nodes", NODES),
    list("connections", "list", "connections", CONNECTIONS),
    list("connections", "list_of_user", "connections/username/{username}", USER_CONNECTIONS),
    list("connections", "list_user_connections", "connections/username/{username}", USER_CONNECTIONS),
    delete("connections", "close", &["name"], "connections/{name}"),
    delete("connections", "close_of_user", &["username"], "connections/username/{username}"),
    delete("connections", "close_user_connections", &["username"], "connections/username/{username}"),
    list("auth_attempts", "stats", "auth/attempts/{node}", ATTEMPTS),
    list("channels", "list", "channels", CHANNELS),
    list("consumers", "list", "consumers", CONSUMERS),
    list("feature_flags", "list", "feature-flags", FEATURE_FLAGS),
    put("feature_flags", "enable", &["name"], "feature-flags/{name}/enable", &["name"]),
    GroupCommand { group: "feature_flags", verb: "enable_all", needs: &[], does: GroupWork::EnableAll },
    list("deprecated_features", "list", "deprecated-features", DEPRECATED),
    list("deprecated_features", "list_used", "deprecated-features/used", DEPRECATED),
    check("local_alarms", &[], "local-alarms"),
    check("cluster_wide_alarms", &[], "alarms"),
    check("node_is_quorum_critical", &[], "node-is-quorum-critical"),
    check("port_listener", &["port"], "port-listener/{port}"),
    check("protocol_listener", &["protocol"], "protocol-listener/{protocol}"),
    GroupCommand { group: "messages", verb: "publish", needs: &[], does: GroupWork::Publish },
    GroupCommand { group: "messages", verb: "get", needs: &["queue"], does: GroupWork::Get },
    GroupCommand { group: "definitions", verb: "export", needs: &[], does: GroupWork::Export { path: "definitions" } },
    GroupCommand { group: "definitions", verb: "export_from_vhost", needs: &[], does: GroupWork::Export { path: "definitions/{vhost}" } },
    GroupCommand { group: "definitions", verb: "import", needs: &[], does: GroupWork::Import { path: "definitions" } },
    GroupCommand { group: "definitions", verb: "import_into_vhost", needs: &[], does: GroupWork::Import { path: "definitions/{vhost}" } },
    GroupCommand { group: "plugins", verb: "list_all", needs: &[], does: GroupWork::Plugins { path: "nodes" } },
    GroupCommand { group: "plugins", verb: "list_on_node", needs: &["node"], does: GroupWork::Plugins { path: "nodes/{node}" } },
    GroupCommand { group: "nodes", verb: "memory_breakdown_in_bytes", needs: &["node"], does: GroupWork::Memory(MemoryUnit::Bytes) },
    GroupCommand { group: "nodes", verb: "memory_breakdown_in_percent", needs: &["node"], does: GroupWork::Memory(MemoryUnit::Percent) },
    GroupCommand { group: "show", verb: "memory_breakdown_in_bytes", needs: &["node"], does: GroupWork::Memory(MemoryUnit::Bytes) },
    GroupCommand { group: "show", verb: "memory_breakdown_in_percent", needs: &["node"], does: GroupWork::Memory(MemoryUnit::Percent) },
    GroupCommand { group: "show", verb: "overview", needs: &[], does: GroupWork::Report(OVERVIEW) },
    GroupCommand { group: "show", verb: "churn", needs: &[], does: GroupWork::Report(CHURN) },
    GroupCommand { group: "show", verb: "endpoint", needs: &[], does: GroupWork::Endpoint },
    GroupCommand { group: "passwords", verb: "salt_and_hash", needs: &[], does: GroupWork::Hash },
];

/// Arguments that are read where the command is carried out.
const OTHER_OPTIONS: [&str; 16] = [
    "columns",
    "routing_key",
    "payload",
    "payload_file",
    "queue",
    "type",
    "destination_type",
    "idempotently",
    "stdout",
    "stdin",
    "file",
    "exchange",
    "properties",
    "count",
    "ack_mode",
    "apply_to",
];

/// Arguments with the names of options, and the commands behind which they are arguments.
const OWN_OPTIONS: &[(&str, &[&str])] = &[
    ("password", &["users declare"]),
    ("port", &["health_check port_listener"]),
    (
        "username",
        &[
            "connections close_of_user",
            "connections close_user_connections",
            "connections list_of_user",
            "connections list_user_connections",
            "permissions declare",
            "permissions delete",
            "user_limits declare",
            "user_limits delete",
            "users connections",
            "users limits",
        ],
    ),
    (
        "node",
        &[
            "auth_attempts stats",
            "nodes memory_breakdown_in_bytes",
            "nodes memory_breakdown_in_percent",
            "plugins list_on_node",
            "show memory_breakdown_in_bytes",
            "show memory_breakdown_in_percent",
        ],
    ),
];

/// Short names of arguments, and the commands that have them.
const SHORT: &[(&str, &[(char, &str)])] = &[
    (
        "messages publish",
        &[
            ('e', "exchange"),
            ('f', "payload-file"),
            ('k', "routing-key"),
            ('m', "payload"),
            ('p', "properties"),
        ],
    ),
    ("messages get", &[('a', "ack-mode"), ('c', "count"), ('q', "queue")]),
    ("connections close_of_user", &[('u', "username")]),
    ("connections close_user_connections", &[('u', "username")]),
    ("connections list_of_user", &[('u', "username")]),
    ("connections list_user_connections", &[('u', "username")]),
];

/// The verb first, then the object: `declare queue` is `queues declare`.
const TURNED: &[(&str, &str, &str, &str)] = &[
    ("close", "connection", "connections", "close"),
    ("close", "user_connections", "connections", "close_user_connections"),
    ("publish", "message", "messages", "publish"),
    ("get", "messages", "messages", "get"),
    ("export", "definitions", "definitions", "export"),
    ("import", "definitions", "definitions", "import"),
    ("rebalance", "queues", "queues", "rebalance"),
    ("list", "deprecated_features_in_use", "deprecated_features", "list_used"),
    ("list", "user_connections", "connections", "list_user_connections"),
    ("list", "parameters", "parameters", "list"),
    ("declare", "parameter", "parameters", "set"),
    ("declare", "binding", "bindings", "declare"),
    ("declare", "permissions", "permissions", "declare"),
    ("declare", "policy", "policies", "declare"),
    ("declare", "operator_policy", "operator_policies", "declare"),
    ("delete", "policy", "policies", "delete"),
    ("delete", "operator_policy", "operator_policies", "delete"),
    ("delete", "permissions", "permissions", "delete"),
];

/// The group and verb of two words, in either order.
fn turned<'a>(first: &'a str, second: &'a str) -> (String, &'a str) {
    if let Some((_, _, group, verb)) = TURNED.iter().find(|row| row.0 == first && row.1 == second) {
        return ((*group).to_owned(), *verb);
    }
    match first {
        "declare" | "delete" | "purge" => (format!("{second}s"), first),
        "list" => (second.to_owned(), first),
        _ => (first.to_owned(), second),
    }
}

/// The command that words name.
pub(super) fn find(words: &[String]) -> Option<&'static GroupCommand> {
    let [first, second, ..] = words else { return None };
    let (group, verb) = turned(first, second);
    COMMANDS.iter().find(|row| row.group == group && row.verb == verb)
}

/// The name that an argument of the command of these words has: `user` and `u` may be `username`.
pub(super) fn argument(words: &[String], name: &str, is_option: bool) -> Option<String> {
    let own = find(words).map(|row| format!("{} {}", row.group, row.verb));
    let own = own.as_deref().unwrap_or_default();
    let whole = if name == "user" { "username" } else { name };
    let mut shorts = SHORT.iter().filter(|(command, _)| *command == own).flat_map(|row| row.1);
    if let Some((_, long)) = shorts.find(|(short, _)| *name == short.to_string()) {
        return Some((*long).to_owned());
    }
    if let Some((_, commands)) = OWN_OPTIONS.iter().find(|(option, _)| *option == whole) {
        return commands.contains(&own).then(|| whole.to_owned());
    }
    let is_known = !is_option && is_argument(&whole.replace('-', "_"));
    is_known.then(|| whole.to_owned())
}

/// Answers whether an argument of a command has this name.
fn is_argument(name: &str) -> bool {
    let in_path = |path: &str| path.contains(&format!("{{{name}}}"));
    let has = |row: &GroupCommand| {
        row.needs.contains(&name)
            || match row.does {
                GroupWork::List { path, .. } | GroupWork::Check { path } => in_path(path),
                GroupWork::Change { path, body, .. } => in_path(path) || body.contains(&name),
                _ => false,
            }
    };
    OTHER_OPTIONS.contains(&name) || COMMANDS.iter().any(has)
}
