//! The integration tests: one file a promise, all in one binary.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test is a peer with a clock"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops, in its helpers too")]

mod accepted;
mod alarms;
mod bad_handshake;
mod bad_input;
mod bench;
mod bounded_memory;
#[allow(dead_code, reason = "shared with test binaries that need other parts of it")]
#[path = "../interop/broker.rs"]
mod broker;
mod bugs;
mod cmd_admin;
mod cmd_admin_examples;
mod cmd_backup;
mod cmd_bench;
mod cmd_config;
mod cmd_config_keys;
mod cmd_consume;
mod cmd_context;
mod cmd_end;
mod cmd_exec;
mod cmd_expect;
mod cmd_facts;
mod cmd_get;
mod cmd_identity;
mod cmd_image;
mod cmd_list;
mod cmd_local;
mod cmd_operation;
mod cmd_owner;
mod cmd_publish;
mod cmd_reach;
mod cmd_route;
mod cmd_rpc;
mod cmd_run;
mod cmd_serve;
mod cmd_smoke;
mod cmd_store;
mod cmd_systemd;
mod cmd_terminal;
mod cmd_tls;
mod cmd_topology;
mod cmd_truth;
mod cmd_tutorial;
mod cmd_wait;
mod damage;
mod dead_letters;
mod definitions;
mod delayed;
mod descriptors;
mod disk_full;
mod dropped;
mod durable;
mod examples;
mod floors;
mod generated;
mod http_matrix;
#[allow(dead_code, reason = "shared with test binaries that need other parts of it")]
#[path = "../support/installing.rs"]
mod installing;
mod kills;
mod letters;
mod local;
mod log;
mod loopback;
mod management;
mod management_change;
mod management_http;
mod management_messages;
mod management_numbers;
mod management_release;
mod management_unacked;
mod management_user_queues;
mod management_values;
mod metrics;
#[allow(dead_code, reason = "shared with test binaries that need other parts of it")]
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
mod rabbitmqctl;
mod readme;
mod repair;
mod restart;
mod restart_counts;
mod session;
mod session_4_3;
mod session_access;
mod session_channel_limit;
mod session_compat;
mod session_consumers;
mod session_dead_letter;
mod session_disk;
mod session_exchanges;
mod session_headers;
mod session_letters;
mod session_limits;
mod session_priority;
mod session_quorum;
mod session_retry;
mod session_store;
mod session_streams;
mod session_timeouts;
mod session_trace;
mod slow_disk;
mod stored;
mod support;
mod tidy;
mod wire_roundtrip;
mod wire_spec;

use support::serve;
