//! The keys of `rabbitmq.conf`, one row each, and what `mq serve` makes of them.
//!
//! Sources: RabbitMQ's `rabbit.schema` and the schemas of its plugins.

/// A value's form in the file, and that of the option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The option takes it as it is.
    Same,
    /// A port, or an address with a port. A port alone listens on all addresses, as in RabbitMQ; `none` listens on none.
    Listener,
    /// A number of seconds.
    Seconds,
    /// A number of milliseconds.
    Milliseconds,
    /// A size; RabbitMQ takes `1GB`, `1gb`, `1M`.
    Size,
    /// A part of the machine's memory, which limits the free space of the disk.
    PartOfMemory,
    /// A number, or `infinity` for no limit.
    Number,
    /// `true` or `false` of `loopback_users.guest`, or `none` of `loopback_users`.
    Loopback,
    /// `plaintext` or `json`.
    LogFormat,
    /// `verify_peer` or `verify_none`; with `fail_if_no_peer_cert` it says how certificates of clients are checked.
    Verify,
    /// The port or the IP address of an HTTP listener, whose keys begin so; this port if no key names one.
    AddressPart { keys: &'static [&'static str], port: &'static str },
    /// As it is, unless this more special key is set.
    Unless(&'static str),
    /// `true` for an option without a value.
    Flag,
    /// Only this value says what is done here anyway.
    Only(&'static str),
}

/// The effect of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// It sets an option of `mq serve`.
    Sets { option: &'static str, form: Form },
    /// It has no effect here, for this reason. A warning says so.
    Nothing(&'static str),
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
    Key { name, does: Does::Nothing(why) }
}

const fn not_implemented(name: &'static str) -> Key {
    Key { name, does: Does::NotImplemented }
}

const ONE_NODE: &str = "the broker is one node";
const NO_ERLANG: &str = "there is no Erlang runtime";
const NO_PLUGIN: &str = "the protocol or plugin is not part of this broker";
const STDERR: &str = "the log goes to stderr";
const BUILT_IN: &str = "the broker decides by itself";

const MANAGEMENT: Form =
    Form::AddressPart { keys: &["management.tcp", "management.listener"], port: "15672" };
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
    sets("prometheus.tcp.port", "metrics", PROMETHEUS),
    sets("prometheus.tcp.ip", "metrics", PROMETHEUS),
    sets("ssl_options.cacertfile", "tls-ca", Form::Same),
    sets("ssl_options.certfile", "tls-cert", Form::Same),
    sets("ssl_options.keyfile", "tls-key", Form::Same),
    sets("ssl_options.verify", "tls-verify", Form::Verify),
    sets("ssl_options.fail_if_no_peer_cert", "tls-verify", Form::Verify),
    sets("default_vhost", "default-vhost", Form::Same),
    sets("default_user", "default-user", Form::Same),
    sets("default_pass", "default-pass", Form::Same),
    sets("default_user_tags.administrator", "default-user", Form::Only("true")),
    sets("default_permissions.configure", "default-user", Form::Only(".*")),
    sets("default_permissions.read", "default-user", Form::Only(".*")),
    sets("default_permissions.write", "default-user", Form::Only(".*")),
    sets("loopback_users.guest", "loopback-users", Form::Loopback),
    sets("loopback_users", "loopback-users", Form::Loopback),
    sets("load_definitions", "definitions", Form::Same),
    sets("management.load_definitions", "definitions", Form::Same),
    sets("definitions.local.path", "definitions", Form::Same),
    sets("definitions.import_backend", "definitions", Form::Only("local_filesystem")),
    sets("vm_memory_high_watermark.relative", "memory-high-watermark", Form::Same),
    sets("vm_memory_high_watermark.absolute", "memory-high-watermark", Form::Size),
    sets("disk_free_limit.absolute", "disk-free-limit", Form::Size),
    sets("disk_free_limit.relative", "disk-free-limit", Form::PartOfMemory),
    sets("max_message_size", "max-message-size", Form::Size),
    sets("heartbeat", "heartbeat", Form::Seconds),
    sets("consumer_timeout", "consumer-timeout", Form::Milliseconds),
    sets("connection_max", "max-connections", Form::Number),
    sets("channel_max_per_node", "max-channels", Form::Number),
    sets("consumer_max_per_channel", "consumer-max-per-channel", Form::Number),
    sets("log.console.level", "log-level", Form::Same),
    sets("log.default.level", "log-level", Form::Unless("log.console.level")),
    sets("log.console.formatter", "log-format", Form::LogFormat),
    sets("log.console", "log-format", Form::Only("true")),
    // Not keys of RabbitMQ: options of `mq serve` that it has no key for.
    sets("mq.data_dir", "data-dir", Form::Same),
    sets("mq.memory", "memory", Form::Flag),
    sets("mq.threads", "threads", Form::Same),
    sets("mq.compat", "compat", Form::Same),
    sets("mq.node_name", "node-name", Form::Same),
    sets("mq.log_level_file", "log-level-file", Form::Same),
    sets("mq.print_url", "print-url", Form::Flag),
    nothing("log.file", STDERR),
    nothing("log.file.*", STDERR),
    nothing("log.dir", STDERR),
    nothing("log.$.level", "the log has one level for everything"),
    nothing("log.console.use_colors", "the log has colours on a terminal only"),
    nothing("cluster_formation.*", ONE_NODE),
    nothing("cluster_partition_handling", ONE_NODE),
    nothing("cluster_partition_handling.*", ONE_NODE),
    nothing("cluster_keepalive_interval", ONE_NODE),
    nothing("queue_leader_locator", ONE_NODE),
    nothing("queue_master_locator", ONE_NODE),
    nothing("quorum_queue.*", ONE_NODE),
    nothing("raft.*", ONE_NODE),
    nothing("khepri_*", ONE_NODE),
    nothing("mnesia_table_loading_retry_timeout", ONE_NODE),
    nothing("mnesia_table_loading_retry_limit", ONE_NODE),
    nothing("mirroring_sync_batch_size", ONE_NODE),
    nothing("net_ticktime", NO_ERLANG),
    nothing("distribution.*", NO_ERLANG),
    nothing("kernel.*", NO_ERLANG),
    nothing("erlang.*", NO_ERLANG),
    nothing("vm_memory_calculation_strategy", NO_ERLANG),
    nothing("total_memory_available_override_value", "the machine is asked for its memory"),
    nothing("background_gc_enabled", NO_ERLANG),
    nothing("background_gc_target_interval", NO_ERLANG),
    nothing("vm_memory_high_watermark_paging_ratio", BUILT_IN),
    nothing("memory_monitor_interval", BUILT_IN),
    nothing("num_acceptors.*", BUILT_IN),
    nothing("tcp_listen_options.*", BUILT_IN),
    nothing("queue_index_embed_msgs_below", BUILT_IN),
    nothing("msg_store_file_size_limit", BUILT_IN),
    nothing("classic_queue.*", BUILT_IN),
    nothing("collect_statistics", BUILT_IN),
    nothing("collect_statistics_interval", BUILT_IN),
    nothing("management.rates_mode", BUILT_IN),
    nothing("management.sample_retention_policies.*", BUILT_IN),
    nothing("management.http_log_dir", "requests are logged with everything else"),
    nothing("mqtt.*", NO_PLUGIN),
    nothing("stomp.*", NO_PLUGIN),
    nothing("web_mqtt.*", NO_PLUGIN),
    nothing("web_stomp.*", NO_PLUGIN),
    nothing("stream.*", NO_PLUGIN),
    nothing("amqp1_0.*", NO_PLUGIN),
    nothing("auth_ldap.*", NO_PLUGIN),
    nothing("auth_http.*", NO_PLUGIN),
    nothing("auth_oauth2.*", NO_PLUGIN),
    nothing("trust_store.*", NO_PLUGIN),
    nothing("shovel.*", NO_PLUGIN),
    nothing("federation.*", NO_PLUGIN),
    not_implemented("management.*"),
    not_implemented("prometheus.*"),
    not_implemented("ssl_options.*"),
    not_implemented("default_user_tags.$"),
    not_implemented("default_users.*"),
    not_implemented("default_permissions.*"),
    not_implemented("default_limits.*"),
    not_implemented("default_policies.*"),
    not_implemented("default_queue_type"),
    not_implemented("definitions.*"),
    not_implemented("auth_mechanisms.$"),
    not_implemented("auth_backends.*"),
    not_implemented("anonymous_login_user"),
    not_implemented("anonymous_login_pass"),
    not_implemented("ssl_cert_login_from"),
    not_implemented("channel_max"),
    not_implemented("frame_max"),
    not_implemented("session_max_per_connection"),
    not_implemented("handshake_timeout"),
    not_implemented("ssl_handshake_timeout"),
    not_implemented("initial_frame_max"),
    not_implemented("cluster_name"),
    not_implemented("cluster_tags.$"),
    not_implemented("node_tags.$"),
    not_implemented("vhost_max"),
    not_implemented("user_limit"),
    not_implemented("password_hashing_module"),
    not_implemented("credential_validator.*"),
    not_implemented("proxy_protocol"),
    not_implemented("reverse_dns_lookups"),
    not_implemented("deprecated_features.permit.$"),
    not_implemented("message_interceptors.*"),
    not_implemented("log.exchange"),
    not_implemented("log.exchange.*"),
    not_implemented("log.syslog"),
    not_implemented("log.syslog.*"),
    not_implemented("log.journald"),
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

/// The row of a key.
pub(super) fn find(key: &str) -> Option<&'static Key> {
    KEYS.iter().find(|row| row.fits(key))
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
            ("loopback_users.guest",          Some("loopback_users.guest")),
            ("cluster_formation.dns.hostname", Some("cluster_formation.*")),
            ("cluster_formation",             None),
            ("log.console.level",             Some("log.console.level")),
            ("log.connection.level",          Some("log.$.level")),
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
