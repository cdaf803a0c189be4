//! The runs that are known to differ, each with its reason. A run that comes to match must leave this table.

/// Reasons, and the command lines that each explains, as recorded; one that was recorded twice stands here twice.
pub(super) const KNOWN: &[(&str, &[&str])] = &[
    (
        "mq has neither shovels nor federation",
        &[
            r#"rabbitmqctl set_parameter -p / federation-upstream up {"uri":"amqp://"}"#,
            "rabbitmqctl list_parameters",
            r#"rabbitmqctl set_parameter shovel s1 {"src-uri":"amqp://","src-queue":"a","dest-uri":"amqp://","dest-queue":"b"}"#,
            "rabbitmqctl list_parameters",
            "rabbitmqctl list_parameters --formatter json",
            "rabbitmqctl clear_parameter shovel s1",
            r#"rabbitmqctl set_parameter shovel s1 {"src-uri":"amqp://","src-queue":"a","dest-uri":"amqp://","dest-queue":"b"}"#,
            "rabbitmqctl shovel_status",
            "rabbitmqctl shovel_status --formatter json",
            "rabbitmqctl restart_shovel s1",
            "rabbitmqctl delete_shovel s1",
            "rabbitmqctl delete_shovel nosuch",
            "rabbitmqctl restart_federation_link x",
        ],
    ),
    (
        "it belongs to Erlang, which mq does not run on",
        &[
            "rabbitmqctl list_hashes",
            "rabbitmqctl list_ciphers",
            "rabbitmqctl list_hashes",
            "rabbitmqctl force_gc",
            "rabbitmqctl eval 1+1.",
            "rabbitmqctl force_standalone_khepri_boot",
            "rabbitmq-diagnostics erlang_version",
            "rabbitmq-diagnostics command_line_arguments -q",
            "rabbitmq-diagnostics resolve_hostname localhost",
            "rabbitmq-diagnostics resolver_info -q",
            "rabbitmq-diagnostics erlang_cookie_hash",
            "rabbitmq-diagnostics erlang_cookie_sources",
            "rabbitmq-diagnostics runtime_thread_stats --sample-interval 1",
            "rabbitmq-diagnostics maybe_stuck",
            "rabbitmqctl encrypt_conf_value secret pass",
            "rabbitmqctl encrypt_conf_value",
        ],
    ),
    (
        "mq has no cluster that a node could join or leave",
        &[
            "rabbitmqctl join_cluster rabbit@nosuch",
            "rabbitmqctl update_cluster_nodes a",
            "rabbitmqctl force_boot",
        ],
    ),
    (
        "there is no Raft in mq",
        &[
            "rabbitmq-streams coordinator_status",
            "rabbitmq-diagnostics metadata_store_status",
            "rabbitmq-diagnostics metadata_store_status --formatter json",
            "rabbitmq-streams coordinator_status",
        ],
    ),
    (
        "it changes a running node, which mq cannot",
        &["rabbitmq-diagnostics status -q", "rabbitmqctl status -q", "rabbitmqctl cluster_status"],
    ),
    (
        "mq has counted other logins, and says so in its own words",
        &[
            "rabbitmq-diagnostics list_node_auth_attempt_stats",
            "rabbitmq-diagnostics reset_node_auth_attempt_metrics",
        ],
    ),
    (
        "mq does not tell it to the management API",
        &[
            "rabbitmqctl environment -q --formatter json",
            "rabbitmq-diagnostics certificates",
            "rabbitmq-diagnostics cipher_suites",
            "rabbitmq-diagnostics tls_versions",
            "rabbitmq-diagnostics log_location",
            "rabbitmq-diagnostics log_location -a",
            "rabbitmq-diagnostics log_tail -N 3",
            "rabbitmq-diagnostics list_network_interfaces -q",
            "rabbitmq-diagnostics os_env -q",
            "rabbitmq-diagnostics message_size_stats",
            "rabbitmq-diagnostics environment -q --formatter json",
            "rabbitmq-diagnostics consume_event_stream --duration 1",
            "rabbitmq-plugins directories",
            "rabbitmq-plugins directories -s",
            "rabbitmq-diagnostics message_size_stats --formatter json",
        ],
    ),
    (
        "figures of the node and its parts, most of which are Erlang's",
        &[
            "rabbitmqctl status",
            "rabbitmqctl status --formatter json",
            "rabbitmq-diagnostics memory_breakdown --unit MB",
            "rabbitmqctl list_consumers queue_name consumer_tag active activity_status prefetch_count arguments",
            "rabbitmq-streams stream_status st --tracking",
            "rabbitmqctl cluster_status --formatter json",
            "rabbitmq-diagnostics cluster_status --formatter json",
            "rabbitmq-diagnostics memory_breakdown --formatter json",
            "rabbitmq-diagnostics memory_breakdown --unit gb",
        ],
    ),
    (
        "mq has other plugins: those that are built in",
        &[
            "rabbitmq-plugins list -m -E",
            "rabbitmq-plugins list",
            "rabbitmq-plugins list",
            "rabbitmq-plugins list -v rabbitmq_shovel",
            "rabbitmq-plugins list --formatter json -m",
            "rabbitmq-plugins list --formatter json rabbitmq_top",
            "rabbitmq-plugins is_enabled rabbitmq_top",
            "rabbitmq-plugins is_enabled nosuch",
            "rabbitmq-plugins enable rabbitmq_top",
            "rabbitmq-plugins enable rabbitmq_top",
            "rabbitmq-plugins disable rabbitmq_top",
            "rabbitmq-plugins disable rabbitmq_top",
            "rabbitmq-plugins enable nosuch",
            "rabbitmq-plugins enable --offline rabbitmq_top",
            "rabbitmq-plugins disable --offline rabbitmq_top",
            "rabbitmq-plugins set rabbitmq_management rabbitmq_prometheus rabbitmq_shovel_management rabbitmq_federation_management",
        ],
    ),
    (
        "RabbitMQ 4.3.6 fails here, and mq does not",
        &[
            "rabbitmqctl list_queues name messages arguments --formatter csv",
            "rabbitmq-queues list_policies_with_classic_queue_mirroring",
            "rabbitmq-diagnostics check_if_cluster_has_classic_queue_mirroring_policy",
            "rabbitmqctl remove_classic_queue_mirroring_from_policies",
            "rabbitmqctl list_users --formatter csv",
            "rabbitmqctl list_users --formatter pretty_table",
        ],
    ),
    (
        "a queue of mq is no process with a pid, and reads from disk when it must",
        &["rabbitmqctl list_queues -p / name pid owner_pid memory message_bytes disk_reads"],
    ),
    (
        "mq accepts what RabbitMQ 4.3.6 refuses, and says which features it permits",
        &[
            r#"rabbitmqctl set_policy ph ^q {"ha-mode":"all"}"#,
            "rabbitmqctl list_deprecated_features",
            "rabbitmqctl list_deprecated_features name deprecation_phase provided_by state desc doc_url",
            "rabbitmqctl list_deprecated_features --formatter json",
            "rabbitmqctl list_deprecated_features --used",
        ],
    ),
    (
        "the words about a flag, and the part that has it, are those of mq",
        &["rabbitmqctl list_feature_flags name state stability provided_by desc doc_url"],
    ),
    (
        "mq writes definitions in JSON only",
        &["rabbitmqctl export_definitions /tmp/defs.erl --format erlang"],
    ),
    (
        "what is wrong is said in the words of another library",
        &[r#"rabbitmqctl set_policy pr ( {"max-length":5}"#, "rabbitmqctl import_definitions"],
    ),
    (
        "definitions name the program that wrote them, and exchanges that RabbitMQ has for its logs",
        &["rabbitmqctl export_definitions -", "rabbitmqctl export_definitions - --format json"],
    ),
    (
        "mq lists listeners for clusters and Prometheus elsewhere",
        &["rabbitmq-diagnostics listeners --formatter json"],
    ),
    (
        "of policies with one priority, mq and RabbitMQ choose by other rules",
        &[
            "rabbitmqctl list_queues name policy operator_policy effective_policy_definition",
            "rabbitmq-diagnostics list_policies_that_match q1 --formatter json",
        ],
    ),
    (
        "the message of the recording had been returned to its queue once",
        &["rabbitmq-queues peek qq 1", "rabbitmq-queues peek qq 1 --formatter json"],
    ),
];

/// The same for the runs of RabbitMQ 3.10.8.
pub(super) const KNOWN_3_10: &[(&str, &[&str])] = &[
    (
        "mq has neither shovels nor federation",
        &[
            r#"rabbitmqctl set_parameter -p / federation-upstream up {"uri":"amqp://"}"#,
            "rabbitmqctl list_parameters",
        ],
    ),
    ("it belongs to Erlang, which mq does not run on", &["rabbitmqctl list_hashes"]),
    ("mq does not count logins by node", &["rabbitmq-diagnostics list_node_auth_attempt_stats"]),
    (
        "figures of the node and its parts, most of which are Erlang's",
        &[
            "rabbitmqctl status",
            "rabbitmqctl status --formatter json",
            "rabbitmq-diagnostics memory_breakdown --unit MB",
        ],
    ),
    (
        "mq has other plugins: those that are built in",
        &["rabbitmq-plugins list -m -E", "rabbitmq-plugins list"],
    ),
    (
        "definitions name the program that wrote them, and have no parameter of a cluster",
        &["rabbitmqctl export_definitions -"],
    ),
    (
        "RabbitMQ's program prints a line of its log",
        &["rabbitmqctl set_permissions -p / u1 ( .* ^x"],
    ),
];

/// The same for the runs of rabbitmqadmin 3.10.8, which were recorded with `mq serve`.
pub(super) const KNOWN_ADMIN: &[(&str, &[&str])] = &[(
    "the program says the host where it means the file, and the file for the host",
    &["rabbitmqadmin import /tmp/defs.json"],
)];

/// The same for runs of rabbitmqadmin 2.35 with RabbitMQ 4.3.6.
pub(super) const KNOWN_ADMIN_2: &[(&str, &[&str])] = &[(
    "lists that both versions have are those of version 1",
    &["rabbitmqadmin list vhost_limits"],
)];
