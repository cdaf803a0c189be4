//! The differences from RabbitMQ 4.3.6 that are known: the calls, the difference, the reason. `*` stands for anything.

/// Erlang has them: there are no processes, applications or tables of it here.
const ERLANG: &str = "Erlang's own";
/// A field that RabbitMQ leaves out where it is null, 0 or empty.
const ALWAYS_THERE: &str = "ours is there without a value too, so that clients can rely on it";
const NOT_SPOKEN: &str = "AMQP 1.0, Khepri and Raft are not here";
const CLIENT: &str = "another client made the connection";
const NO_PAGES: &str = "there is no page for browsers yet";
const NOT_YET: &str = "not built yet";
const PLUGIN: &str = "the work of a plugin that is not here yet";

#[rustfmt::skip]
pub(super) const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("*", "lacks *reductions", ERLANG),
    ("*", "lacks *reductions_details", ERLANG),
    ("*", "lacks *garbage_collection", ERLANG),
    ("*", "lacks *erlang_version", ERLANG),
    ("*", "lacks *erlang_full_version", ERLANG),
    ("*", "lacks *crypto_lib_version", ERLANG),
    ("*", "lacks *cowboy_opts", ERLANG),
    ("*", "lacks *socket_opts.*", ERLANG),
    ("*", "lacks *gc_*", ERLANG),
    ("*", "lacks *pending_raft_commands", NOT_SPOKEN),
    ("*", "lacks *cached_segments", NOT_SPOKEN),
    ("GET /nodes/{node}/memory/ets*", "status 404, not 200", ERLANG),
    ("GET /connections/{conn}/sessions", "status 404, not 400", NOT_SPOKEN),
    ("*", "has *client_properties.*", CLIENT),
    ("*", "lacks *client_properties.*", CLIENT),
    ("*", "has *head_message_timestamp", ALWAYS_THERE),
    ("*", "has *exclusive_consumer_tag", ALWAYS_THERE),
    ("*", "has *single_active_consumer_tag", ALWAYS_THERE),
    ("*", "has *messages_paged_out", ALWAYS_THERE),
    ("*", "has *message_bytes_paged_out", ALWAYS_THERE),
    ("*", "has *message_stats*", ALWAYS_THERE),
    ("*", "has *policy*", ALWAYS_THERE),
    ("*", "has *global_prefetch_count", ALWAYS_THERE),
    ("GET /queues/*", "has *", ALWAYS_THERE),
    ("GET /queues?*", "has *", ALWAYS_THERE),
    ("GET /queues", "has *", ALWAYS_THERE),
    ("GET /vhosts/v*", "has .messages*", ALWAYS_THERE),
    ("GET /overview*", "has .instance", "clients of ours recognise a broker by it"),
    ("GET /nodes*", "has *.messages_dropped", "ours tells why messages were dropped"),
    ("GET /nodes*", "has *.messages_dead_lettered", "RabbitMQ tells it to Prometheus only"),
    ("GET /nodes*", "has *.contexts*", "the same contexts as in the overview"),
    ("GET /nodes*", "lacks *.db_dir", "the test's broker has no directory"),
    ("GET /nodes*", "lacks *.disk_free*", "the test's broker has no directory"),
    ("GET /nodes*", "empty *_files[]", "it has no files"),
    ("GET (root) *", "status 404, not *", NO_PAGES),
    ("GET /index.html", "status 404, not 200", NO_PAGES),
    ("GET /extensions", "empty []", NO_PAGES),
    ("*/shovels*", "status 501, not *", PLUGIN),
    ("*/federation-links*", "status 501, not *", PLUGIN),
    ("*/traces*", "status 501, not *", PLUGIN),
    ("GET /trace-files", "status 501, not *", PLUGIN),
    ("GET /stream/*", "status 501, not *", PLUGIN),
    ("GET /top/{node}", "status 501, not *", PLUGIN),
    ("*/parameters/shovel*", "status 400, not *", PLUGIN),
    ("*/parameters/federation-upstream/%2F/up1", "status 404, not *", PLUGIN),
    ("GET /parameters/federation-upstream*", "empty []", PLUGIN),
    ("*", "lacks *value.uri", PLUGIN),
    ("DELETE /connections/{conn}", "status 204, not 404", "RabbitMQ had lost it by the reset of statistics"),
    ("DELETE /queues/%2F/q1?if-empty=true", "status 400, not 204", "the test's client still consumes"),
    ("GET /vhosts?columns=name", "lacks *", "columns are cut from every list, as RabbitMQ's documentation says"),
    // To be built.
    ("*", "lacks *", NOT_YET),
    ("*", "has *", NOT_YET),
    ("*", "empty *", NOT_YET),
    ("*", "type *", NOT_YET),
    ("*", "status *", NOT_YET),
];
