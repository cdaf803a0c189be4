//! The keys of `rabbitmq.conf`, one row each, and what `mq serve` makes of them.
//!
//! Sources: RabbitMQ's `rabbit.schema` and the schemas of its plugins.

use crate::engine::TlsCipher;

/// A value's form in the file, and that of the option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The option takes it as it is.
    Same,
    /// A port, or an address with a port, or `none`. A port alone listens on all addresses, as in RabbitMQ.
    Listener,
    /// A number of seconds.
    Seconds,
    /// A number of milliseconds.
    Milliseconds,
    /// A number of milliseconds, or `infinity` for no limit.
    MillisecondsOrInfinity,
    /// A size; RabbitMQ takes `1GB`, `1gb`, `1M`.
    Size,
    /// A part of the machine's memory, which limits the free space of the disk.
    PartOfMemory,
    /// A number, or `infinity` for no limit.
    Number,
    /// One of several keys `PREFIX.NAME = true`, which make a list of their names; `none` is an empty one.
    Names { prefix: &'static str },
    /// One of several keys `PREFIX.N = VALUE`, which make a list of their values.
    Values { prefix: &'static str },
    /// `false` for this value, `true` for none.
    OffAs(&'static str),
    /// A path, or `false` for none; one that is not absolute is in the folder that this key names.
    InFolder(&'static str),
    /// As it is, if this key names a file; a warning says so if it does not.
    Beside(&'static str),
    /// The category in the key, `=` and the value.
    Category,
    /// `plaintext` or `json`.
    LogFormat,
    /// `verify_peer` or `verify_none`; with `fail_if_no_peer_cert` it says how certificates of clients are checked.
    Verify { prefix: &'static str },
    /// The port or the IP address of an HTTP listener, whose keys begin so; this port if no key names one.
    AddressPart { keys: &'static [&'static str], port: &'static str },
    /// As it is, unless this more special key is set.
    Unless(&'static str),
    /// As it is; the option may be given several times, and each counts.
    Each,
    /// The key without this prefix, `=` and the value; the option may be given several times, and each counts.
    Assigned { prefix: &'static str },
    /// The value of this header of the management API's answers.
    Header(&'static str),
    /// `true` for an option without a value, `false` for none.
    Flag,
    /// Only this value, or one of several with `|` between, says what is done here anyway.
    Only(&'static str),
}

/// The effect of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// It sets an option of `mq serve`.
    Sets { option: &'static str, form: Form },
    /// It has no effect here, for this reason. A warning says so, unless the value is `usual`: that is what is done
    /// here anyway.
    Nothing { usual: Option<&'static str>, why: &'static str },
    /// It would have an effect that is not implemented. The broker does not start.
    NotImplemented,
}

/// A key. `$` stands for one part of any text; `*` at the end for all further parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) does: Does,
}

const fn sets(name: &'static str, option: &'static str, form: Form) -> Key {
    Key { name, does: Does::Sets { option, form } }
}

const fn nothing(name: &'static str, why: &'static str) -> Key {
    Key { name, does: Does::Nothing { usual: None, why } }
}

const fn usually(name: &'static str, usual: &'static str, why: &'static str) -> Key {
    Key { name, does: Does::Nothing { usual: Some(usual), why } }
}

const fn not_implemented(name: &'static str) -> Key {
    Key { name, does: Does::NotImplemented }
}

const ONE_NODE: &str = "the broker is one node";
const NO_ERLANG: &str = "there is no Erlang runtime";
const NO_PLUGIN: &str = "the protocol or plugin is not part of this broker";
const LIBRARY: &str = "the TLS library decides by itself";
const FEATURES: &str = "this feature is always there or never; three others can be permitted: `mq serve --help` names them";
const NO_HEADERS: &str = "it is not implemented: answers have no such header";
const BUILT_IN: &str = "the broker decides by itself";

const MANAGEMENT: Form =
    Form::AddressPart { keys: &["management.tcp", "management.listener"], port: "15672" };
const MANAGEMENT_SSL: Form = Form::AddressPart { keys: &["management.ssl"], port: "15671" };
const PERMIT: Form = Form::Assigned { prefix: "deprecated_features.permit." };
const PROMETHEUS: Form = Form::AddressPart { keys: &["prometheus.tcp"], port: "15692" };

/// All keys. The first that fits counts.
pub(super) const KEYS: &[Key] = &[
    sets("listeners.tcp.default", "listen", Form::Listener),
    sets("listeners.tcp.$", "listen", Form::Listener),
    sets("listeners.tcp", "listen", Form::Listener),
    sets("listeners.ssl.default", "tls-listen", Form::Listener),
    sets("listeners.ssl.$", "tls-listen", Form::Listener),
    sets("listeners.ssl", "tls-listen", Form::Listener),
    sets("management.tcp.port", "http", MANAGEMENT),
    sets("management.tcp.ip", "http", MANAGEMENT),
    sets("management.listener.port", "http", MANAGEMENT),
    sets("management.listener.ip", "http", MANAGEMENT),
    sets("management.ssl.port", "https", MANAGEMENT_SSL),
    sets("management.ssl.ip", "https", MANAGEMENT_SSL),
    sets("management.ssl.certfile", "https-cert", Form::Same),
    sets("management.ssl.keyfile", "https-key", Form::Same),
    sets("management.ssl.cacertfile", "https-ca", Form::Same),
    sets("management.ssl.verify", "https-verify", Form::Verify { prefix: "management.ssl" }),
    sets(
        "management.ssl.fail_if_no_peer_cert",
        "https-verify",
        Form::Verify { prefix: "management.ssl" },
    ),
    sets("management.cors.allow_origins.$", "http-cors-origin", Form::Each),
    sets("management.cors.max_age", "http-cors-max-age", Form::Number),
    sets("management.csp.policy", "http-header", Form::Header("content-security-policy")),
    sets("management.hsts.policy", "http-header", Form::Header("strict-transport-security")),
    sets(
        "management.headers.content_type_options",
        "http-header",
        Form::Header("x-content-type-options"),
    ),
    sets("management.headers.frame_options", "http-header", Form::Header("x-frame-options")),
    sets("management.headers.referrer_policy", "http-header", Form::Header("referrer-policy")),
    sets("management.headers.xss_protection", "http-header", Form::Header("x-xss-protection")),
    sets("management.disable_stats", "http-disable-stats", Form::Flag),
    sets("management.enable_queue_totals", "http-queue-totals", Form::Flag),
    sets("prometheus.tcp.port", "metrics", PROMETHEUS),
    sets("prometheus.tcp.ip", "metrics", PROMETHEUS),
    sets("prometheus.return_per_object_metrics", "per-object-metrics", Form::Flag),
    sets("prometheus.path", "metrics", Form::Only("/metrics")),
    sets("management.path_prefix", "http-path-prefix", Form::Same),
    sets("ssl_options.cacertfile", "tls-ca", Form::Same),
    sets("ssl_options.certfile", "tls-cert", Form::Same),
    sets("ssl_options.keyfile", "tls-key", Form::Same),
    sets("ssl_options.verify", "tls-verify", Form::Verify { prefix: "ssl_options" }),
    sets("ssl_options.fail_if_no_peer_cert", "tls-verify", Form::Verify { prefix: "ssl_options" }),
    sets("ssl_options.versions.$", "tls-versions", Form::Values { prefix: "ssl_options.versions" }),
    sets("ssl_options.ciphers.$", "tls-ciphers", Form::Values { prefix: "ssl_options.ciphers" }),
    sets("cluster_name", "cluster-name", Form::Same),
    sets("auth_mechanisms.$", "auth-mechanisms", Form::Values { prefix: "auth_mechanisms" }),
    sets("ssl_cert_login_from", "cert-login-from", Form::Same),
    sets("ssl_cert_login_san_type", "cert-login-san-type", Form::Same),
    sets("ssl_cert_login_san_index", "cert-login-san-index", Form::Same),
    sets("anonymous_login_user", "anonymous-user", Form::Same),
    sets("anonymous_login_pass", "anonymous-pass", Form::Same),
    sets("proxy_protocol", "proxy-protocol", Form::Flag),
    sets("default_queue_type", "default-queue-type", Form::Same),
    sets("default_users.*", "new-vhosts", Form::Assigned { prefix: "" }),
    sets("default_limits.vhosts.*", "new-vhosts", Form::Assigned { prefix: "" }),
    sets("default_policies.operator.*", "new-vhosts", Form::Assigned { prefix: "" }),
    sets("deprecated_features.permit.transient_nonexcl_queues", "permit-deprecated", PERMIT),
    sets("deprecated_features.permit.queue_master_locator", "permit-deprecated", PERMIT),
    sets("deprecated_features.permit.global_qos", "permit-deprecated", PERMIT),
    sets("default_vhost", "default-vhost", Form::Same),
    sets("default_user", "default-user", Form::Same),
    sets("default_pass", "default-pass", Form::Same),
    sets("default_user_tags.$", "default-user-tags", Form::Names { prefix: "default_user_tags" }),
    sets("default_permissions.configure", "default-configure", Form::Same),
    sets("default_permissions.write", "default-write", Form::Same),
    sets("default_permissions.read", "default-read", Form::Same),
    sets("loopback_users.$", "loopback-users", Form::Names { prefix: "loopback_users" }),
    sets("loopback_users", "loopback-users", Form::Names { prefix: "loopback_users" }),
    sets("load_definitions", "definitions", Form::Same),
    sets("management.load_definitions", "definitions", Form::Same),
    sets("definitions.local.path", "definitions", Form::Same),
    sets("definitions.import_backend", "definitions", Form::Only("local_filesystem|local")),
    sets("definitions.skip_if_unchanged", "skip-unchanged-definitions", Form::Flag),
    sets("definitions.hashing.algorithm", "definitions", Form::Only("sha256")),
    sets("vm_memory_high_watermark.relative", "memory-high-watermark", Form::Same),
    sets("vm_memory_high_watermark.absolute", "memory-high-watermark", Form::Size),
    sets("disk_free_limit.absolute", "disk-free-limit", Form::Size),
    sets("disk_free_limit.relative", "disk-free-limit", Form::PartOfMemory),
    sets("max_message_size", "max-message-size", Form::Size),
    sets("heartbeat", "heartbeat", Form::Seconds),
    sets("consumer_timeout", "consumer-timeout", Form::Milliseconds),
    sets("max_connections", "max-connections", Form::Number),
    sets("connection_max", "max-connections", Form::Number),
    sets("max_channels_per_connection", "channel-max", Form::Same),
    sets("channel_max", "channel-max", Form::Same),
    sets("vhost_max", "vhost-max", Form::Number),
    sets("cluster_queue_limit", "cluster-queue-limit", Form::Number),
    sets("cluster_exchange_limit", "cluster-exchange-limit", Form::Number),
    sets("frame_max", "frame-max", Form::Size),
    sets("initial_frame_max", "initial-frame-max", Form::Size),
    sets("handshake_timeout", "handshake-timeout", Form::MillisecondsOrInfinity),
    sets("ssl_handshake_timeout", "tls-handshake-timeout", Form::Milliseconds),
    sets("total_memory_available_override_value", "total-memory", Form::Size),
    sets("channel_max_per_node", "max-channels", Form::Number),
    sets("consumer_max_per_channel", "consumer-max-per-channel", Form::Number),
    sets("log.console.level", "log-level", Form::Same),
    sets("log.default.level", "log-level", Form::Unless("log.console.level")),
    sets("log.console.stdio", "log-output", Form::Same),
    sets("log.console", "log-output", Form::OffAs("none")),
    sets("log.file", "log-file", Form::InFolder("log.dir")),
    sets("log.dir", "log-file", Form::InFolder("log.dir")),
    sets("log.file.level", "log-file-level", Form::Beside("log.file")),
    sets("log.connection.level", "log-category", Form::Category),
    sets("log.channel.level", "log-category", Form::Category),
    sets("log.queue.level", "log-category", Form::Category),
    sets("log.console.formatter", "log-format", Form::LogFormat),
    // Not keys of RabbitMQ: options of `mq serve` that it has no key for.
    sets("mq.data_dir", "data-dir", Form::Same),
    sets("mq.memory", "memory", Form::Flag),
    sets("mq.threads", "threads", Form::Same),
    sets("mq.compat", "compat", Form::Same),
    sets("mq.node_name", "node-name", Form::Same),
    sets("mq.http_failed_logins", "http-failed-logins", Form::Same),
    sets("mq.log_level_file", "log-level-file", Form::Same),
    sets("mq.print_url", "print-url", Form::Flag),
    sets("mq.as_rabbitmq_server", "as-rabbitmq-server", Form::Flag),
    nothing("log.file.rotation.*", "another program rotates the file, and SIGHUP opens it anew"),
    nothing("log.file.formatter", "the file has the format of the console"),
    nothing("log.file.formatter.*", "the file has the format of the console"),
    nothing("log.$.level", "no message of the log is of this category"),
    nothing("log.$.file", "the log has one file"),
    nothing("log.$.rotation.*", "the log has one file"),
    nothing("log.console.use_colors", "the log has colours on a terminal only"),
    nothing("log.console.color_esc_seqs.*", "the log has colours on a terminal only"),
    nothing("log.console.formatter.*", "the two formats of the log are fixed"),
    nothing("log.error_logger_format_depth", NO_ERLANG),
    nothing("log.summarize_process_state", NO_ERLANG),
    usually(
        "log.exchange",
        "false",
        "it is not implemented: the log goes to stderr, or to the file of log.file",
    ),
    nothing(
        "log.exchange.*",
        "it is not implemented: the log goes to stderr, or to the file of log.file",
    ),
    usually(
        "log.syslog",
        "false",
        "it is not implemented: the log goes to stderr, or to the file of log.file",
    ),
    nothing(
        "log.syslog.*",
        "it is not implemented: the log goes to stderr, or to the file of log.file",
    ),
    usually(
        "log.journald",
        "false",
        "it is not implemented: the log goes to stderr, or to the file of log.file",
    ),
    nothing(
        "log.journald.*",
        "it is not implemented: the log goes to stderr, or to the file of log.file",
    ),
    nothing("cluster_formation.*", ONE_NODE),
    nothing("cluster_partition_handling", ONE_NODE),
    nothing("cluster_partition_handling.*", ONE_NODE),
    nothing("cluster_keepalive_interval", ONE_NODE),
    nothing("queue_leader_locator", ONE_NODE),
    nothing("queue_master_locator", ONE_NODE),
    nothing("quorum_queue.*", ONE_NODE),
    nothing("raft.*", ONE_NODE),
    nothing("khepri_*", ONE_NODE),
    nothing("metadata_store.*", ONE_NODE),
    nothing("mnesia_table_loading_retry_timeout", ONE_NODE),
    nothing("mnesia_table_loading_retry_limit", ONE_NODE),
    nothing("mirroring_sync_batch_size", ONE_NODE),
    nothing("mirroring_sync_max_throughput", ONE_NODE),
    nothing("consumer_disconnected_timeout", ONE_NODE),
    nothing("net_ticktime", NO_ERLANG),
    nothing("distribution.*", NO_ERLANG),
    nothing("kernel.*", NO_ERLANG),
    nothing("erlang.*", NO_ERLANG),
    nothing("sysmon_handler.*", NO_ERLANG),
    nothing("amqp_client.*", NO_ERLANG),
    nothing("amqp10_client.*", NO_ERLANG),
    usually("hipe_compile", "false", NO_ERLANG),
    nothing("vm_memory_calculation_strategy", NO_ERLANG),
    nothing("background_gc_enabled", NO_ERLANG),
    nothing("background_gc_target_interval", NO_ERLANG),
    nothing("socket_writer.gc_threshold", NO_ERLANG),
    nothing("default_worker_pool_size", NO_ERLANG),
    nothing("delegate_count", NO_ERLANG),
    nothing("credentials_obfuscation.*", NO_ERLANG),
    nothing("vm_memory_high_watermark_paging_ratio", BUILT_IN),
    nothing("memory_monitor_interval", BUILT_IN),
    nothing("num_acceptors.*", BUILT_IN),
    nothing("ranch_connection_max", BUILT_IN),
    nothing("listeners.startup_delay", BUILT_IN),
    nothing("tcp_listen_options.*", BUILT_IN),
    nothing("queue_index_embed_msgs_below", BUILT_IN),
    nothing("msg_store_file_size_limit", BUILT_IN),
    nothing("message_store_shutdown_timeout", BUILT_IN),
    nothing("vhost_restart_strategy", BUILT_IN),
    nothing("classic_queue.*", BUILT_IN),
    nothing("channel_operation_timeout", BUILT_IN),
    nothing("motd_file", "the log has no message of the day"),
    nothing("collect_statistics", BUILT_IN),
    nothing("collect_statistics_interval", BUILT_IN),
    nothing("management_agent.*", BUILT_IN),
    usually("ssl_options.honor_cipher_order", "true", LIBRARY),
    usually("ssl_options.honor_ecc_order", "true", LIBRARY),
    usually("ssl_options.secure_renegotiate", "true", LIBRARY),
    usually("ssl_options.client_renegotiation", "false", LIBRARY),
    nothing("ssl_options.reuse_sessions", LIBRARY),
    nothing("ssl_options.reuse_session", LIBRARY),
    nothing("ssl_options.depth", LIBRARY),
    nothing("ssl_options.log_alert", LIBRARY),
    nothing("ssl_options.log_level", LIBRARY),
    nothing("ssl_options.bypass_pem_cache", "certificates are read at the start and on SIGHUP"),
    usually("ssl_allow_poodle_attack", "false", LIBRARY),
    usually("management.rates_mode", "basic", BUILT_IN),
    nothing("management.sample_retention_policies.*", BUILT_IN),
    nothing("management.http_log_dir", "requests are logged with everything else"),
    nothing("http_dispatch.access_log_dir", "requests are logged with everything else"),
    nothing("management.http.max_body_size", BUILT_IN),
    nothing("management.http.hide_allow_header", BUILT_IN),
    nothing("management.delegate_count", BUILT_IN),
    nothing("management.db_cache_multiplier", BUILT_IN),
    nothing("management.tcp.*", BUILT_IN),
    nothing("management.listener.server.*", BUILT_IN),
    usually(
        "management.listener.ssl",
        "false",
        "it is not implemented: the management API speaks HTTP without TLS",
    ),
    usually("management.disable_stats", "false", "the management API always has statistics"),
    nothing("management.enable_queue_totals", "the management API always has statistics"),
    nothing("management.login_session_timeout", "every request has its login"),
    nothing("management.cors.*", NO_HEADERS),
    nothing("management.csp.*", NO_HEADERS),
    nothing("management.hsts.*", NO_HEADERS),
    nothing("management.headers.*", NO_HEADERS),
    nothing("management.require_auth_for_api_reference", "there is no such page"),
    nothing("management.definitions.require_json_extension", "a file may have any name"),
    usually("management.oauth_enabled", "false", "OAuth 2 is not implemented"),
    usually("management.disable_basic_auth", "false", "there is no other way to log in"),
    nothing("prometheus.tcp.*", BUILT_IN),
    nothing("mqtt.*", NO_PLUGIN),
    nothing("stomp.*", NO_PLUGIN),
    nothing("web_mqtt.*", NO_PLUGIN),
    nothing("web_stomp.*", NO_PLUGIN),
    nothing("stream.*", NO_PLUGIN),
    nothing("amqp1_0.*", NO_PLUGIN),
    nothing("session_max_per_connection", "the broker does not speak AMQP 1.0"),
    nothing("link_max_per_session", "the broker does not speak AMQP 1.0"),
    nothing("auth_ldap.*", NO_PLUGIN),
    nothing("auth_http.*", NO_PLUGIN),
    nothing("auth_oauth2.*", NO_PLUGIN),
    nothing("auth_cache.*", NO_PLUGIN),
    nothing("trust_store.*", NO_PLUGIN),
    nothing("shovel.*", NO_PLUGIN),
    nothing("federation.*", NO_PLUGIN),
    nothing("event_exchange.*", NO_PLUGIN),
    nothing("tracing.*", NO_PLUGIN),
    nothing("aws.*", NO_PLUGIN),
    nothing("product.name", "the broker says what it is"),
    nothing("product.version", "the broker says what it is"),
    sets("password_hashing_module", "default-user", Form::Only("rabbit_password_hashing_sha256")),
    sets("reverse_dns_lookups", "listen", Form::Only("false")),
    sets("auth_backends.$", "default-user", Form::Only("internal|rabbit_auth_backend_internal")),
    not_implemented("management.*"),
    not_implemented("prometheus.*"),
    not_implemented("ssl_options.*"),
    not_implemented("definitions.*"),
    not_implemented("auth_backends.*"),
    not_implemented("http_dispatch.*"),
    not_implemented("channel_tx_message_max"),
    not_implemented("cluster_tags.$"),
    not_implemented("node_tags.$"),
    not_implemented("user_limit"),
    not_implemented("runtime_parameters.*"),
    not_implemented("credential_validator.*"),
    nothing("deprecated_features.permit.$", FEATURES),
    not_implemented("exchange_types.*"),
    not_implemented("queue_types.*"),
    not_implemented("channel_interceptor.*"),
    not_implemented("message_interceptors.*"),
    not_implemented("prevent_startup_if_node_was_reset"),
    not_implemented("log.*"),
];

impl Key {
    /// Answers whether a key of a file is this one.
    fn fits(&self, key: &str) -> bool {
        let mut parts = key.split('.');
        for pattern in self.name.split('.') {
            if let Some(start) = pattern.strip_suffix('*') {
                return parts.next().is_some_and(|part| part.starts_with(start));
            }
            match parts.next() {
                Some(part) if pattern == "$" || part == pattern => {}
                Some(_) | None => return false,
            }
        }
        parts.next().is_none()
    }

    /// The name of its environment variable, `None` for a key with parts of any text.
    pub(super) fn variable(&self) -> Option<String> {
        let is_one = !self.name.contains(['$', '*']);
        let upper = || self.name.trim_start_matches("mq.").replace('.', "_").to_ascii_uppercase();
        is_one.then(|| format!("MQ_{}", upper()))
    }
}

/// A key that sets an option, for the manual.
#[derive(Debug)]
pub(in crate::commands::serve) struct KeyHelp {
    pub(in crate::commands::serve) key: &'static str,
    pub(in crate::commands::serve) option: &'static str,
    pub(in crate::commands::serve) variable: Option<String>,
}

/// The keys that set an option.
pub(in crate::commands::serve) fn key_help() -> impl Iterator<Item = KeyHelp> {
    KEYS.iter().filter_map(|row| match row.does {
        Does::Sets { form: Form::Only(_), .. } | Does::Nothing { .. } | Does::NotImplemented => {
            None
        }
        Does::Sets { option, .. } => {
            Some(KeyHelp { key: row.name, option, variable: row.variable() })
        }
    })
}

/// The row of a key.
pub(super) fn find(key: &str) -> Option<&'static Key> {
    KEYS.iter().find(|row| row.fits(key))
}

/// The reason why a value of a key has no effect, though others have.
pub(super) fn why_no_effect(option: &str, value: &str) -> Option<&'static str> {
    match option {
        "tls-versions" if ["sslv3", "tlsv1", "tlsv1.1"].contains(&value) => {
            Some("the oldest version that the broker speaks is TLS 1.2")
        }
        "tls-ciphers" if value.parse::<TlsCipher>().is_err() => {
            Some("the broker does not have this cipher")
        }
        _ => None,
    }
}

/// The known key that is most like an unknown one.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let names = KEYS.iter().map(|row| row.name).filter(|name| !name.ends_with('*'));
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(key, name);
    let ranked = names.map(|name| (likeness(name), name)).filter(|(likeness, _)| *likeness > 0.6);
    ranked.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_parts() {
        #[rustfmt::skip]
        let cases = [
            ("listeners.tcp.2",               Some("listeners.tcp.$")),
            ("listeners.tcp",                 Some("listeners.tcp")),
            ("listeners.tcp.a.b",             None),
            ("loopback_users.guest",          Some("loopback_users.$")),
            ("cluster_formation.dns.hostname", Some("cluster_formation.*")),
            ("cluster_formation",             None),
            ("log.console.level",             Some("log.console.level")),
            ("log.connection.level",          Some("log.connection.level")),
            ("log.upgrade.level",             Some("log.$.level")),
            ("heartbeats",                    None),
        ];
        for (key, expected) in cases {
            assert_eq!(find(key).map(|row| row.name), expected, "{key}");
        }
        assert_eq!(nearest("heartbeats"), Some("heartbeat"));
        assert_eq!(
            nearest("vm_memory_high_watermak.relative"),
            Some("vm_memory_high_watermark.relative")
        );
        assert_eq!(nearest("zzz"), None);
    }
}
