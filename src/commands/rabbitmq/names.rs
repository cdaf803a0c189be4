//! Every command of RabbitMQ's programs: its heading in the help, the programs that have it, its arguments and options.

use super::program::letter;
use crate::commands::admin::Program;

/// The name of a command.
#[derive(Debug)]
pub(super) struct CommandName {
    pub(super) name: &'static str,
    /// The heading of the help under which it stands.
    pub(super) section: &'static str,
    /// The letters of the programs that have it ([`letter`]).
    tools: &'static str,
    releases: InReleases,
    /// The arguments, as help and errors show them.
    pub(super) usage: &'static str,
    /// Its options beside those of every command: `NAME:KIND` or `NAME:KIND:SHORT`, with spaces between.
    switches: &'static str,
}

/// The releases that have a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InReleases {
    All,
    Until3,
    Since4,
}

/// The release whose command line is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CtlRelease {
    V3_10,
    #[default]
    V4_3,
}

impl CtlRelease {
    /// The release of a broker with this version.
    pub(super) fn of(version: &str) -> Self {
        if version.starts_with("3.") { Self::V3_10 } else { Self::V4_3 }
    }

    pub(super) fn version(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10.8",
            Self::V4_3 => "4.3.6",
        }
    }
}

/// The kind of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SwitchKind {
    Flag,
    Text,
    Number,
}

/// An option that a command takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct SwitchName {
    pub(super) name: &'static str,
    pub(super) kind: SwitchKind,
    pub(super) short: Option<&'static str>,
}

/// Reads a list of options.
pub(super) fn switches(list: &'static str) -> impl Iterator<Item = SwitchName> {
    list.split_whitespace().map(|word| {
        let mut parts = word.split(':');
        let name = parts.next().unwrap_or_default();
        let kind = match parts.next() {
            Some("text") => SwitchKind::Text,
            Some("number") => SwitchKind::Number,
            _ => SwitchKind::Flag,
        };
        SwitchName { name, kind, short: parts.next() }
    })
}

impl CommandName {
    pub(super) fn switches(&self) -> impl Iterator<Item = SwitchName> {
        switches(self.switches)
    }

    /// Answers whether a program of a release has it.
    pub(super) fn is_in(&self, tool: Program, release: CtlRelease) -> bool {
        let is_of_release = match self.releases {
            InReleases::All => true,
            InReleases::Until3 => release == CtlRelease::V3_10,
            InReleases::Since4 => release == CtlRelease::V4_3,
        };
        is_of_release && self.tools.contains(letter(tool))
    }
}

/// The commands that a program has, in the order of its help.
pub(super) fn of_tool(
    tool: Program,
    release: CtlRelease,
) -> impl Iterator<Item = &'static CommandName> {
    NAMES.iter().filter(move |row| row.is_in(tool, release))
}

const fn both(
    section: &'static str,
    name: &'static str,
    tools: &'static str,
    usage: &'static str,
    switches: &'static str,
) -> CommandName {
    CommandName { name, section, tools, releases: InReleases::All, usage, switches }
}

const fn since_4(
    section: &'static str,
    name: &'static str,
    tools: &'static str,
    usage: &'static str,
    switches: &'static str,
) -> CommandName {
    CommandName { name, section, tools, releases: InReleases::Since4, usage, switches }
}

const fn until_3(
    section: &'static str,
    name: &'static str,
    tools: &'static str,
    usage: &'static str,
    switches: &'static str,
) -> CommandName {
    CommandName { name, section, tools, releases: InReleases::Until3, usage, switches }
}

const HELP: &str = "Help";
const NODES: &str = "Nodes";
const CLUSTER: &str = "Cluster";
const REPLICATION: &str = "Replication";
const USERS: &str = "Users";
const ACCESS: &str = "Access Control";
const MONITORING: &str = "Monitoring, observability and health checks";
const PARAMETERS: &str = "Parameters";
const POLICIES: &str = "Policies";
const VHOSTS: &str = "Virtual hosts";
const QUEUES: &str = "Queues";
const UPGRADE: &str = "Upgrade";
const OPERATIONS: &str = "Operations";
const FEATURES: &str = "Feature flags";
const CONFIGURATION: &str = "Configuration and Environment";
const DEFINITIONS: &str = "Definitions";
const FEDERATION: &str = "Federation plugin";
const MANAGEMENT: &str = "Management plugin";
const SHOVEL: &str = "Shovel plugin";
const MQTT: &str = "MQTT plugin";
const PLUGINS: &str = "Plugin Management";
const OTHER: &str = "Other";
const DEPRECATED: &str = "Deprecated";

#[rustfmt::skip]
const NAMES: &[CommandName] = &[
    both(HELP, "autocomplete", "CDPQ", "[prefix]", ""),
    both(HELP, "help", "CDPQSU", "(<command> | [--list-commands])", "list-commands:flag"),
    both(HELP, "version", "CDP", "", ""),
    both(NODES, "await_startup", "C", "", ""),
    both(NODES, "reset", "C", "", ""),
    both(NODES, "rotate_logs", "C", "", ""),
    both(NODES, "shutdown", "C", "[--wait] [--timeout <timeout>]", "wait:flag"),
    both(NODES, "start_app", "C", "", ""),
    both(NODES, "stop", "C", "[--idempotent] [<pidfile>]", "idempotent:flag"),
    both(NODES, "stop_app", "C", "", ""),
    both(NODES, "wait", "CD", "[<pidfile>] [--pid|-P <pid>] [--timeout <timeout>]", "pid:number:P"),
    both(CLUSTER, "await_online_nodes", "C", "<count>", ""),
    until_3(CLUSTER, "change_cluster_node_type", "C", "<disc | ram>", ""),
    both(CLUSTER, "cluster_status", "CD", "", ""),
    both(CLUSTER, "force_boot", "C", "", ""),
    both(CLUSTER, "force_reset", "C", "", ""),
    since_4(CLUSTER, "force_standalone_khepri_boot", "C", "", ""),
    both(CLUSTER, "forget_cluster_node", "C", "[--offline] <existing_cluster_member_node>", "offline:flag"),
    both(CLUSTER, "grow", "QS", "<node> <all | even> [--vhost-pattern <pattern>] [--queue-pattern <pattern>] [--membership <promotable|voter>]", "vhost-pattern:text queue-pattern:text membership:text errors-only:flag"),
    both(CLUSTER, "grow_to_count", "Q", "<node_count> <all | even> [--vhost-pattern <pattern>] [--queue-pattern <pattern>] [--membership <promotable|voter>]", "vhost-pattern:text queue-pattern:text membership:text errors-only:flag"),
    both(CLUSTER, "join_cluster", "C", "[--disc] <existing_cluster_member>", "disc:flag"),
    both(CLUSTER, "rebalance", "Q", "< all | quorum | stream > [--vhost-pattern <pattern>] [--queue-pattern <pattern>]", "vhost-pattern:text queue-pattern:text"),
    until_3(CLUSTER, "rename_cluster_node", "C", "<oldnode1> <newnode1> [oldnode2] [newnode2] ...", ""),
    both(CLUSTER, "shrink", "QS", "<node> [--errors-only]", "errors-only:flag"),
    until_3(CLUSTER, "update_cluster_nodes", "C", "<seed_node>", ""),
    both(REPLICATION, "add_member", "Q", "[--vhost <vhost>] <queue> <node> [--membership <promotable|voter>] [--timeout <timeout>]", "membership:text"),
    both(REPLICATION, "add_replica", "S", "[--vhost <vhost>] <stream> <node>", ""),
    until_3(REPLICATION, "cancel_sync_queue", "C", "[--vhost <vhost>] <queue>", ""),
    both(REPLICATION, "delete_member", "Q", "[--vhost <vhost>] <queue> <node>", ""),
    both(REPLICATION, "delete_replica", "S", "[--vhost <vhost>] <queue> <node>", ""),
    both(REPLICATION, "force_checkpoint", "Q", "[--vhost-pattern <pattern>] [--queue-pattern <pattern>]", "vhost-pattern:text queue-pattern:text errors-only:flag"),
    both(REPLICATION, "restart_stream", "S", "[--vhost <vhost>] <stream> [--preferred-leader-node <node>]", "preferred-leader-node:text"),
    until_3(REPLICATION, "sync_queue", "C", "[--vhost <vhost>] <queue>", ""),
    both(REPLICATION, "transfer_leadership", "QS", "[--vhost <vhost>] <queue> <node>", ""),
    both(USERS, "add_user", "C", "<username> [<password>] [<password_hash> --pre-hashed-password]", "pre-hashed-password:flag"),
    both(USERS, "authenticate_user", "C", "<username> <password>", ""),
    both(USERS, "change_password", "C", "<username> <password>", ""),
    both(USERS, "clear_password", "C", "<username>", ""),
    both(USERS, "clear_user_limits", "C", "<username> <limit_type> | all", ""),
    both(USERS, "delete_user", "C", "<username>", ""),
    both(USERS, "list_user_limits", "CD", "[--user <username>] [--global]", "global:flag user:text"),
    both(USERS, "list_users", "CD", "[--no-table-headers] [--timeout <timeout>]", ""),
    both(USERS, "set_user_limits", "C", "<username> <definition>", ""),
    both(USERS, "set_user_tags", "C", "<username> <tag> [...]", ""),
    both(ACCESS, "clear_permissions", "C", "[--vhost <vhost>] <username>", ""),
    both(ACCESS, "clear_topic_permissions", "C", "[--vhost <vhost>] <username> [<exchange>]", ""),
    both(ACCESS, "list_permissions", "CD", "[--vhost <vhost>] [--no-table-headers]", ""),
    both(ACCESS, "list_topic_permissions", "CD", "[--vhost <vhost>] [--no-table-headers]", ""),
    both(ACCESS, "list_user_permissions", "CD", "[--no-table-headers] <username> [--timeout <timeout>]", ""),
    both(ACCESS, "list_user_topic_permissions", "CD", "[--no-table-headers] <username>", ""),
    both(ACCESS, "list_vhosts", "CD", "[--no-table-headers] [<column> ...] [--timeout <timeout>]", ""),
    both(ACCESS, "set_permissions", "C", "[--vhost <vhost>] <username> <conf> <write> <read>", ""),
    since_4(ACCESS, "set_permissions_globally", "C", "<username> <conf> <write> <read>", ""),
    both(ACCESS, "set_topic_permissions", "C", "[--vhost <vhost>] <username> <exchange> <write> <read>", ""),
    since_4(MONITORING, "activate_free_disk_space_monitoring", "CD", "[--timeout <timeout>]", "unit:text"),
    both(MONITORING, "alarms", "D", "", ""),
    both(MONITORING, "check_alarms", "D", "", ""),
    both(MONITORING, "check_certificate_expiration", "D", "[--within <period>] [--unit <unit>]", "unit:text within:number"),
    both(MONITORING, "check_for_quorum_queues_without_an_elected_leader", "D", "[--vhost <vhost>] [--across-all-vhosts] <pattern>", "across-all-vhosts:flag"),
    since_4(MONITORING, "check_if_any_deprecated_features_are_used", "CD", "", ""),
    both(MONITORING, "check_if_cluster_has_classic_queue_mirroring_policy", "DQ", "", ""),
    both(MONITORING, "check_if_metadata_store_is_initialized", "D", "", ""),
    both(MONITORING, "check_if_metadata_store_is_initialized_with_data", "D", "", ""),
    both(MONITORING, "check_if_new_quorum_queue_replicas_have_finished_initial_sync", "DQ", "", ""),
    both(MONITORING, "check_if_node_is_quorum_critical", "DQ", "", ""),
    both(MONITORING, "check_port_connectivity", "D", "[--address <target address>] [--timeout <timeout>]", "address:text:a"),
    both(MONITORING, "check_port_listener", "D", "<port> [--timeout <timeout>]", ""),
    both(MONITORING, "check_protocol_listener", "D", "<protocol>", ""),
    both(MONITORING, "check_running", "D", "", ""),
    both(MONITORING, "check_virtual_hosts", "D", "", ""),
    both(MONITORING, "cipher_suites", "D", "[--format <openssl | erlang | map>] [--all] [--timeout <timeout>]", "format:text all:flag"),
    both(MONITORING, "consume_event_stream", "D", "[--duration|-d <seconds>] [--pattern <pattern>] [--timeout <timeout>]", "duration:number:d pattern:text"),
    both(MONITORING, "coordinator_status", "DS", "", ""),
    since_4(MONITORING, "deactivate_free_disk_space_monitoring", "CD", "[--timeout <timeout>]", "unit:text"),
    both(MONITORING, "directories", "P", "[--offline] [--online]", "online:flag offline:flag"),
    both(MONITORING, "discover_peers", "D", "", ""),
    both(MONITORING, "erlang_version", "D", "[--timeout <timeout>]", "details:flag offline:flag"),
    both(MONITORING, "is_booting", "D", "", ""),
    both(MONITORING, "is_enabled", "P", "<plugin1> [ <plugin2>] [--offline] [--online]", "online:flag offline:flag"),
    both(MONITORING, "is_running", "D", "", ""),
    both(MONITORING, "list_bindings", "CD", "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]", ""),
    since_4(MONITORING, "list_channel_interceptors", "CD", "[--no-table-headers]", ""),
    both(MONITORING, "list_channels", "CD", "[--no-table-headers] [<column> ...]", ""),
    both(MONITORING, "list_ciphers", "CD", "", ""),
    both(MONITORING, "list_connections", "CD", "[--no-table-headers] [<column> ...] [--timeout <timeout>]", ""),
    both(MONITORING, "list_consumers", "CD", "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]", ""),
    both(MONITORING, "list_exchanges", "CD", "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]", ""),
    both(MONITORING, "list_hashes", "CD", "", ""),
    both(MONITORING, "list_network_interfaces", "D", "[--timeout <timeout>]", "offline:flag"),
    both(MONITORING, "list_node_auth_attempt_stats", "CD", "[--by-source]", "by-source:flag"),
    both(MONITORING, "list_operator_policies_with_classic_queue_mirroring", "DQ", "[--no-table-headers]", ""),
    both(MONITORING, "list_policies_with_classic_queue_mirroring", "DQ", "[--no-table-headers]", ""),
    both(MONITORING, "list_queues", "CD", "[--vhost <vhost>] [--online] [--offline] [--local] [--no-table-headers] [<column>, ...] [--timeout <timeout>]", "offline:flag online:flag local:flag"),
    both(MONITORING, "list_unresponsive_queues", "CD", "[--local] [--queue-timeout <seconds>] [<column> ...] [--no-table-headers] [--timeout <timeout>]", "queue-timeout:number local:flag"),
    both(MONITORING, "listeners", "D", "", ""),
    both(MONITORING, "log_tail", "D", "[--number|-N <number>] [--timeout <timeout>]", "number:number:N"),
    both(MONITORING, "log_tail_stream", "D", "[--duration|-d <seconds>] [--timeout <timeout>]", "duration:number:d"),
    both(MONITORING, "maybe_stuck", "D", "", ""),
    both(MONITORING, "memory_breakdown", "D", "[--unit <unit>] [--timeout <timeout>]", "unit:text"),
    both(MONITORING, "message_size_stats", "D", "[--timeout <timeout>]", ""),
    both(MONITORING, "metadata_store_status", "D", "", ""),
    both(MONITORING, "observer", "D", "[--interval <seconds>]", "interval:number:i"),
    both(MONITORING, "peek", "Q", "[--vhost <vhost>] <queue> <position>", ""),
    both(MONITORING, "ping", "CD", "", ""),
    both(MONITORING, "quorum_status", "DQ", "[--vhost <vhost>] <queue>", ""),
    both(MONITORING, "remote_shell", "D", "", ""),
    both(MONITORING, "report", "CD", "", ""),
    both(MONITORING, "runtime_thread_stats", "D", "[--sample-interval <interval>]", "sample-interval:number:i"),
    until_3(MONITORING, "schema_info", "C", "[--no-table-headers] [<column> ...]", ""),
    both(MONITORING, "server_version", "D", "", ""),
    both(MONITORING, "status", "CD", "[--unit <unit>] [--timeout <timeout>]", "unit:text"),
    both(MONITORING, "stream_status", "DQS", "[--vhost <vhost>] [--tracking] <stream>", "tracking:flag"),
    both(MONITORING, "tls_versions", "D", "", ""),
    both(PARAMETERS, "clear_global_parameter", "C", "<name>", ""),
    both(PARAMETERS, "clear_parameter", "C", "[--vhost <vhost>] <component_name> <name>", ""),
    both(PARAMETERS, "list_global_parameters", "CD", "[--no-table-headers]", ""),
    both(PARAMETERS, "list_parameters", "CD", "[--vhost <vhost>] [--no-table-headers]", ""),
    both(PARAMETERS, "set_global_parameter", "C", "<name> <value>", ""),
    both(PARAMETERS, "set_parameter", "C", "[--vhost <vhost>] <component_name> <name> <value>", ""),
    both(POLICIES, "clear_operator_policy", "C", "[--vhost <vhost>] <name>", ""),
    both(POLICIES, "clear_policy", "C", "[--vhost <vhost>] <name>", ""),
    both(POLICIES, "list_operator_policies", "CD", "[--vhost <vhost>] [--no-table-headers]", ""),
    both(POLICIES, "list_policies", "CD", "[--vhost <vhost>] [--no-table-headers]", ""),
    both(POLICIES, "list_policies_that_match", "D", "[--object-type <type>] <name>", "object-type:text"),
    both(POLICIES, "set_operator_policy", "C", "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>", "priority:number apply-to:text"),
    both(POLICIES, "set_policy", "C", "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>", "priority:number apply-to:text"),
    both(VHOSTS, "add_vhost", "C", r#"<vhost> [--description <description> --tags "<tag1>,<tag2>,<...>" --default-queue-type <quorum|classic|stream>]"#, "description:text:d tags:text default-queue-type:text"),
    both(VHOSTS, "clear_vhost_limits", "C", "[--vhost <vhost>]", ""),
    both(VHOSTS, "delete_vhost", "C", "<vhost>", ""),
    since_4(VHOSTS, "disable_vhost_deletion_protection", "C", "<vhost>", ""),
    since_4(VHOSTS, "enable_vhost_deletion_protection", "C", "<vhost>", ""),
    both(VHOSTS, "list_vhost_limits", "CD", "[--vhost <vhost>] [--global] [--no-table-headers]", "global:flag"),
    since_4(VHOSTS, "reconcile_vhosts", "C", "", ""),
    both(VHOSTS, "restart_vhost", "C", "[--vhost <vhost>]", ""),
    both(VHOSTS, "set_vhost_limits", "C", "[--vhost <vhost>] <definition>", ""),
    both(VHOSTS, "set_vhost_tags", "C", "<vhost> <tag> [...]", ""),
    both(VHOSTS, "trace_off", "C", "[--vhost <vhost>]", ""),
    both(VHOSTS, "trace_on", "C", "[--vhost <vhost>]", ""),
    since_4(VHOSTS, "update_vhost_metadata", "C", r#"<vhost> [--description=<description>] [--tags="<tag1>,<tag2>,<...>"] [--default-queue-type=<quorum|classic|stream>] [--protected-from-deletion=<true|false>]"#, "description:text:d tags:text default-queue-type:text protected-from-deletion:flag"),
    both(QUEUES, "delete_queue", "C", "[--vhost <vhost>] <queue_name> [--if-empty|-e] [--if-unused|-u] [--force] [--timeout <timeout>]", "if-empty:flag:e if-unused:flag:u force:flag"),
    both(QUEUES, "purge_queue", "C", "<queue>", ""),
    both(UPGRADE, "await_online_quorum_plus_one", "U", "", ""),
    both(UPGRADE, "drain", "U", "", ""),
    since_4(UPGRADE, "has_reached_target_cluster_size", "CDU", "", ""),
    both(UPGRADE, "post_upgrade", "U", "", ""),
    both(UPGRADE, "revive", "U", "", ""),
    both(OPERATIONS, "close_all_connections", "C", "[--vhost <vhost> --limit <limit>] [-n <node> --global] [--per-connection-delay <delay>] <explanation>", "global:flag per-connection-delay:number limit:number"),
    both(OPERATIONS, "close_all_user_connections", "C", "<username> <explanation>", ""),
    both(OPERATIONS, "close_connection", "C", "<connection pid> <explanation>", ""),
    both(OPERATIONS, "eval", "C", "<expression>", ""),
    both(OPERATIONS, "eval_file", "C", "<file path>", ""),
    both(OPERATIONS, "exec", "C", "<expression> [--offline]", "offline:flag"),
    both(OPERATIONS, "force_gc", "C", "", ""),
    both(OPERATIONS, "reclaim_quorum_memory", "DQ", "[--vhost <vhost>] <quorum queue>", ""),
    since_4(OPERATIONS, "remove_classic_queue_mirroring_from_policies", "C", "", ""),
    both(OPERATIONS, "resume_listeners", "C", "", ""),
    both(OPERATIONS, "suspend_listeners", "C", "", ""),
    both(FEATURES, "enable_feature_flag", "C", "[--opt-in] <all | feature_flag>", "experimental:flag:e opt-in:flag:o"),
    since_4(FEATURES, "list_deprecated_features", "CD", "[--used] [<column> ...]", "used:flag"),
    both(FEATURES, "list_feature_flags", "CD", "[<column> ...]", ""),
    both(CONFIGURATION, "certificates", "D", "", ""),
    both(CONFIGURATION, "command_line_arguments", "D", "", ""),
    both(CONFIGURATION, "decode", "C", "value passphrase [--cipher <cipher>] [--hash <hash>] [--iterations <iterations>]", "cipher:text hash:text iterations:number"),
    since_4(CONFIGURATION, "decrypt_conf_value", "C", "value passphrase [--cipher <cipher>] [--hash <hash>] [--iterations <iterations>]", "cipher:text hash:text iterations:number"),
    both(CONFIGURATION, "disable_auth_attempt_source_tracking", "D", "", ""),
    both(CONFIGURATION, "enable_auth_attempt_source_tracking", "D", "", ""),
    both(CONFIGURATION, "encode", "C", "value passphrase [--cipher <cipher>] [--hash <hash>] [--iterations <iterations>]", "cipher:text hash:text iterations:number"),
    since_4(CONFIGURATION, "encrypt_conf_value", "C", "value passphrase [--cipher <cipher>] [--hash <hash>] [--iterations <iterations>]", "cipher:text hash:text iterations:number"),
    both(CONFIGURATION, "environment", "CD", "", ""),
    both(CONFIGURATION, "erlang_cookie_hash", "D", "", ""),
    both(CONFIGURATION, "erlang_cookie_sources", "D", "", ""),
    both(CONFIGURATION, "log_location", "D", "[--all|-a] [--timeout <timeout>]", "all:flag:a"),
    both(CONFIGURATION, "os_env", "D", "", ""),
    both(CONFIGURATION, "reset_node_auth_attempt_metrics", "D", "", ""),
    both(CONFIGURATION, "resolve_hostname", "D", "<hostname> [--address-family <ipv4 | ipv6>]", "address-family:text:a offline:flag"),
    both(CONFIGURATION, "resolver_info", "D", "", "offline:flag"),
    since_4(CONFIGURATION, "set_channel_interceptor_priorities", "C", "<interceptor> <priority> [<interceptor> <priority> ...]", ""),
    both(CONFIGURATION, "set_cluster_name", "C", "<name>", ""),
    both(CONFIGURATION, "set_disk_free_limit", "C", "<disk_limit> | mem_relative <fraction>", ""),
    both(CONFIGURATION, "set_log_level", "C", "<log_level>", ""),
    both(CONFIGURATION, "set_vm_memory_high_watermark", "C", "<fraction> | absolute <value>", ""),
    both(DEFINITIONS, "export_definitions", "C", r#"<file_path | "-"> [--format <json | erlang>] [--timeout <timeout>]"#, "format:text"),
    both(DEFINITIONS, "import_definitions", "C", "<file_path> [--format <json | erlang>] [--skip-if-unchanged] [--timeout <timeout>]", "format:text skip-if-unchanged:flag"),
    since_4(FEDERATION, "federation_status", "CD", "[--only-down]", "only-down:flag"),
    since_4(FEDERATION, "restart_federation_link", "C", "<link_id>", ""),
    since_4(MANAGEMENT, "reset_stats_db", "C", "[--all]", "all:flag"),
    since_4(SHOVEL, "delete_shovel", "C", "[--vhost <vhost>] [--force] <name>", "force:flag"),
    since_4(SHOVEL, "restart_shovel", "C", "<name>", ""),
    since_4(SHOVEL, "shovel_status", "CD", "", ""),
    until_3(MQTT, "decommission_mqtt_node", "C", "<node>", ""),
    until_3(MQTT, "list_mqtt_connections", "C", "[<column> ...]", ""),
    both(PLUGINS, "disable", "P", "<plugin1> [ <plugin2>] | --all [--offline] [--online]", "online:flag offline:flag all:flag"),
    both(PLUGINS, "enable", "P", "<plugin1> [ <plugin2>] | --all [--offline] [--online]", "online:flag offline:flag all:flag"),
    both(PLUGINS, "list", "P", "[pattern] [--verbose] [--minimal] [--enabled] [--implicitly-enabled]", "verbose:flag:v minimal:flag:m enabled:flag:E implicitly-enabled:flag:e"),
    both(PLUGINS, "set", "P", "<plugin1> [ <plugin2>] [--offline] [--online]", "online:flag offline:flag"),
    since_4(OTHER, "hash_password", "C", "<cleartext_password> [--hashing-algorithm <algorithm>]", "hashing-algorithm:text"),
    both(DEPRECATED, "check_if_node_is_mirror_sync_critical", "DQ", "", ""),
    both(DEPRECATED, "check_local_alarms", "D", "", ""),
    until_3(DEPRECATED, "hipe_compile", "C", "<directory>", ""),
    both(DEPRECATED, "node_health_check", "CD", "", ""),
    since_4(DEPRECATED, "rename_cluster_node", "C", "<oldnode1> <newnode1> [oldnode2] [newnode2] ...", ""),
    since_4(DEPRECATED, "update_cluster_nodes", "C", "<seed_node>", ""),
];
