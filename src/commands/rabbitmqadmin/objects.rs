//! The objects that `rabbitmqadmin` lists, declares and deletes, with their arguments.

/// A list of the management API.
#[derive(Debug)]
pub(super) struct Listable {
    pub(super) name: &'static str,
    /// The list of one virtual host has a path of its own.
    pub(super) is_of_vhost: bool,
    /// Columns that are shown when none is named
    pub(super) columns: &'static [&'static str],
    /// Columns that are JSON objects
    pub(super) json: &'static [&'static str],
}

const fn list(name: &'static str, columns: &'static [&'static str]) -> Listable {
    Listable { name, is_of_vhost: false, columns, json: &[] }
}

const fn of_vhost(name: &'static str, columns: &'static [&'static str]) -> Listable {
    Listable { name, is_of_vhost: true, columns, json: &[] }
}

const fn with_json(name: &'static str, json: &'static [&'static str]) -> Listable {
    Listable { name, is_of_vhost: false, columns: &[], json }
}

pub(super) const LISTABLE: &[Listable] = &[
    list("connections", &["name", "user", "channels"]),
    list("channels", &["name", "user"]),
    of_vhost("consumers", &[]),
    of_vhost("exchanges", &["name", "type"]),
    of_vhost("queues", &["name", "messages"]),
    of_vhost("bindings", &["source", "destination", "routing_key"]),
    list("users", &[]),
    list("vhosts", &["name", "messages"]),
    list("permissions", &[]),
    list("nodes", &["name", "type", "mem_used"]),
    with_json("parameters", &["value"]),
    with_json("policies", &["definition"]),
    with_json("operator_policies", &["definition"]),
    with_json("vhost_limits", &["value"]),
];

pub(super) const SHOWABLE: &[Listable] = &[list(
    "overview",
    &["rabbitmq_version", "cluster_name", "queue_totals.messages", "object_totals.queues"],
)];

/// An object with arguments of the form `name=value`.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) name: &'static str,
    /// Arguments that must be given; of those with `|` between, one
    pub(super) mandatory: &'static [&'static str],
    /// Arguments that may be given, with the values that they have otherwise: JSON, or nothing
    pub(super) optional: &'static [(&'static str, Option<&'static str>)],
    /// Arguments whose values are JSON
    pub(super) json: &'static [&'static str],
    /// The path, with places for arguments
    pub(super) path: &'static str,
}

const fn object(
    name: &'static str,
    mandatory: &'static [&'static str],
    optional: &'static [(&'static str, Option<&'static str>)],
    json: &'static [&'static str],
    path: &'static str,
) -> Object {
    Object { name, mandatory, optional, json, path }
}

const NONE: &[(&str, Option<&str>)] = &[];
const DURABLE: (&str, Option<&str>) = ("durable", Some(r#""true""#));
const AUTO_DELETE: (&str, Option<&str>) = ("auto_delete", Some(r#""false""#));
const ARGUMENTS: (&str, Option<&str>) = ("arguments", Some("{}"));
const POLICY: &[(&str, Option<&str>)] = &[("priority", Some("0")), ("apply-to", None)];

#[rustfmt::skip]
pub(super) const DECLARABLE: &[Object] = &[
    object("exchange", &["name", "type"], &[AUTO_DELETE, DURABLE, ("internal", Some(r#""false""#)), ARGUMENTS], &["arguments"], "exchanges/{vhost}/{name}"),
    object("queue", &["name"], &[AUTO_DELETE, DURABLE, ARGUMENTS, ("node", None), ("queue_type", None)], &["arguments"], "queues/{vhost}/{name}"),
    object("binding", &["source", "destination"], &[("destination_type", Some(r#""queue""#)), ("routing_key", Some(r#""""#)), ARGUMENTS], &["arguments"], "bindings/{vhost}/e/{source}/{destination_char}/{destination}"),
    object("vhost", &["name"], &[("tracing", None)], &[], "vhosts/{name}"),
    object("user", &["name", "password|password_hash", "tags"], &[("hashing_algorithm", None)], &[], "users/{name}"),
    object("permission", &["vhost", "user", "configure", "write", "read"], NONE, &[], "permissions/{vhost}/{user}"),
    object("parameter", &["component", "name", "value"], NONE, &["value"], "parameters/{component}/{vhost}/{name}"),
    object("policy", &["name", "pattern", "definition"], POLICY, &["definition", "priority"], "policies/{vhost}/{name}"),
    object("operator_policy", &["name", "pattern", "definition"], POLICY, &["definition", "priority"], "operator-policies/{vhost}/{name}"),
    object("vhost_limit", &["vhost", "name", "value"], NONE, &["value"], "vhost-limits/{vhost}/{name}"),
];

#[rustfmt::skip]
pub(super) const DELETABLE: &[Object] = &[
    object("exchange", &["name"], NONE, &[], "exchanges/{vhost}/{name}"),
    object("queue", &["name"], NONE, &[], "queues/{vhost}/{name}"),
    object("binding", &["source", "destination_type", "destination"], &[("properties_key", Some(r#""~""#))], &[], "bindings/{vhost}/e/{source}/{destination_char}/{destination}/{properties_key}"),
    object("vhost", &["name"], NONE, &[], "vhosts/{name}"),
    object("user", &["name"], NONE, &[], "users/{name}"),
    object("permission", &["vhost", "user"], NONE, &[], "permissions/{vhost}/{user}"),
    object("parameter", &["component", "name"], NONE, &[], "parameters/{component}/{vhost}/{name}"),
    object("policy", &["name"], NONE, &[], "policies/{vhost}/{name}"),
    object("operator_policy", &["name"], NONE, &[], "operator-policies/{vhost}/{name}"),
    object("vhost_limit", &["vhost", "name"], NONE, &[], "vhost-limits/{vhost}/{name}"),
];

pub(super) const CLOSABLE: &[Object] =
    &[object("connection", &["name"], NONE, &[], "connections/{name}")];

pub(super) const PURGABLE: &[Object] =
    &[object("queue", &["name"], NONE, &[], "queues/{vhost}/{name}/contents")];

#[rustfmt::skip]
pub(super) const PUBLISH: Object = object(
    "publish",
    &["routing_key"],
    &[("payload", None), ("properties", Some("{}")), ("exchange", Some(r#""amq.default""#)), ("payload_encoding", Some(r#""string""#))],
    &["properties"],
    "exchanges/{vhost}/{exchange}/publish",
);

#[rustfmt::skip]
pub(super) const GET: Object = object(
    "get",
    &["queue"],
    &[("count", Some(r#""1""#)), ("ackmode", Some(r#""ack_requeue_true""#)), ("payload_file", None), ("encoding", Some(r#""auto""#))],
    &[],
    "queues/{vhost}/{queue}/get",
);
