//! Metrics for Prometheus, as RabbitMQ's plugin `rabbitmq_prometheus` serves them.
//!
//! | path                        | tells of                                                           |
//! |-----------------------------|--------------------------------------------------------------------|
//! | `/metrics`                  | the sums of all objects, and the node                              |
//! | `/metrics/per-object`       | each queue, exchange, connection and channel, and the same sums    |
//! | `/metrics/detailed`         | the groups of families that `family=` names, each object           |
//! | `/metrics/memory-breakdown` | where the memory of the process is                                 |
//!
//! Everything is read from the broker when a client asks; nothing is kept but the highest values that sums were sent
//! with ([`Highest`]) and what the scrapes took. As in RabbitMQ no login is asked for.
//!
//! Reading order: [`router`], `groups` (which families there are), `families` (their values), `totals` and `objects`
//! (where the numbers come from), `text` (how they are written).

mod families;
mod global;
mod groups;
mod highest;
mod logins;
mod memory;
mod numbers;
mod objects;
mod request;
mod text;
mod totals;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use self::groups::Told;
use self::highest::Highest;
use self::objects::Objects;
use self::request::Filter;
use self::text::{MetricKind, MetricsFormat, Text, labels};
use self::totals::MetricTotals;
use super::node_numbers::NodeNumbers;
use super::policies;
use super::refusal::Refusal;
use super::server_info::ServerInfo;
use super::state::Management;
use crate::broker::Broker;
use crate::lock::Mutex;

/// A part of the metrics with an address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetricsPath {
    Aggregated,
    PerObject,
    Detailed,
    MemoryBreakdown,
}

impl MetricsPath {
    const ALL: [Self; 4] =
        [Self::Aggregated, Self::PerObject, Self::Detailed, Self::MemoryBreakdown];

    /// The last part of its path.
    fn registry(self) -> &'static str {
        match self {
            Self::Aggregated => "default",
            Self::PerObject => "per-object",
            Self::Detailed => "detailed",
            Self::MemoryBreakdown => "memory-breakdown",
        }
    }

    /// Its name in `rabbitmq_identity_info`.
    fn name(self) -> &'static str {
        match self {
            Self::Aggregated => "aggregated",
            Self::PerObject | Self::Detailed | Self::MemoryBreakdown => self.registry(),
        }
    }
}

/// The metrics of one broker.
#[derive(Debug)]
struct Exporter {
    management: Arc<Management>,
    highest: Highest,
    scrapes: Mutex<[Scrapes; MetricsPath::ALL.len()]>,
}

/// The answers that an endpoint has given in one format, which is the one that its last client asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Scrapes {
    count: u64,
    took: Duration,
    bytes: u64,
}

/// Makes the paths below `/metrics`.
pub(super) fn router(management: Arc<Management>) -> Router {
    let (highest, scrapes) = (Highest::default(), Mutex::default());
    let exporter = Arc::new(Exporter { management, highest, scrapes });
    Router::new()
        .route("/metrics", any(aggregated))
        .route("/metrics/{registry}", any(of_registry))
        .fallback(async || Refusal::NotFound)
        .with_state(exporter)
}

async fn aggregated(
    State(exporter): State<Arc<Exporter>>,
    method: Method,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let is_per_object = exporter.management.server.http.has_object_metrics;
    let path = if is_per_object { MetricsPath::PerObject } else { MetricsPath::Aggregated };
    answer(&exporter, path.registry(), &method, &headers, query)
}

async fn of_registry(
    State(exporter): State<Arc<Exporter>>,
    Path(registry): Path<String>,
    method: Method,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    answer(&exporter, &registry, &method, &headers, query)
}

/// The status codes and texts are RabbitMQ's, that of HEAD too.
fn answer(
    exporter: &Exporter,
    registry: &str,
    method: &Method,
    headers: &HeaderMap,
    query: Vec<(String, String)>,
) -> Response {
    let allow = [(header::ALLOW, "HEAD, GET, OPTIONS")];
    let plain = [(header::CONTENT_TYPE, "text/plain")];
    match *method {
        Method::GET => {}
        Method::HEAD => return (StatusCode::NO_CONTENT, allow).into_response(),
        Method::OPTIONS => return (StatusCode::OK, allow).into_response(),
        _ => return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response(),
    }
    let accept = headers.get(header::ACCEPT).map(|accept| accept.to_str().unwrap_or_default());
    let Some(format) = MetricsFormat::of(accept) else {
        return (StatusCode::NOT_ACCEPTABLE, allow).into_response();
    };
    let known = MetricsPath::ALL.into_iter().find(|endpoint| endpoint.registry() == registry);
    let Some(endpoint) = known else {
        return (StatusCode::NOT_FOUND, allow, plain, "Unknown Registry").into_response();
    };
    match Filter::new(query) {
        Ok(filter) => {
            let content_type = [(header::CONTENT_TYPE, format.content_type())];
            (allow, content_type, exporter.scrape(endpoint, format, &filter)).into_response()
        }
        Err(reason) => (StatusCode::BAD_REQUEST, allow, plain, reason).into_response(),
    }
}

impl Exporter {
    fn scrape(&self, endpoint: MetricsPath, format: MetricsFormat, filter: &Filter) -> String {
        let began = self.management.server.since_start();
        let written = self.write(endpoint, format, filter);
        let took = self.management.server.since_start().saturating_sub(began);
        let mut all = self.scrapes.lock();
        let scrapes = &mut all[endpoint as usize];
        scrapes.count += 1;
        scrapes.took += took;
        scrapes.bytes += written.len() as u64;
        written
    }

    fn write(&self, endpoint: MetricsPath, format: MetricsFormat, filter: &Filter) -> String {
        let (broker, server) = (&*self.management.broker, &self.management.server);
        let (prefix, highest) = match endpoint {
            MetricsPath::Aggregated => ("rabbitmq_", Some(&self.highest)),
            MetricsPath::PerObject | MetricsPath::MemoryBreakdown => ("rabbitmq_", None),
            MetricsPath::Detailed => ("rabbitmq_detailed_", None),
        };
        let mut text = Text::new(format, prefix, highest);
        match endpoint {
            MetricsPath::Aggregated => {
                let totals = MetricTotals::read(broker, server);
                groups::write_all(Told::Together(broker, &totals), &mut text);
                write_node(&mut text, broker, &totals);
                write_own(&mut text, &totals.node);
                write_process(&mut text, server);
            }
            MetricsPath::PerObject => {
                // RabbitMQ reads the parameters here too, and does not follow them.
                let all = Filter::default();
                let (totals, objects) =
                    (MetricTotals::read(broker, server), Objects::new(broker, &all));
                groups::write_all(Told::Each(&totals.node, &objects), &mut text);
                groups::write_queue_info(&objects, &mut text);
                write_node(&mut text, broker, &totals);
                write_own(&mut text, &totals.node);
                write_process(&mut text, server);
            }
            MetricsPath::Detailed => {
                let (node, objects) =
                    (NodeNumbers::read(broker, server), Objects::new(broker, filter));
                groups::write_asked(&node, &objects, &mut text);
            }
            MetricsPath::MemoryBreakdown => memory::write(&mut text, broker),
        }
        text.set_prefix("rabbitmq_");
        write_identity(&mut text, broker, endpoint);
        self.write_scrapes(&mut text, endpoint, format);
        text.finish()
    }

    /// The scrapes of this endpoint until now.
    fn write_scrapes(&self, text: &mut Text<'_>, endpoint: MetricsPath, format: MetricsFormat) {
        text.set_prefix("telemetry_");
        let Scrapes { count, took, bytes } = self.scrapes.lock()[endpoint as usize];
        let pairs = [("registry", endpoint.registry()), ("content_type", format.content_type())];
        let labels = labels(&pairs);
        text.family("scrape_duration_seconds", MetricKind::Summary, "Scrape duration");
        text.sample_of("_count", &labels, count);
        text.sample_of("_sum", &labels, took.as_secs_f64());
        text.family("scrape_size_bytes", MetricKind::Summary, "Scrape size, not encoded");
        text.sample_of("_count", &labels, count);
        text.sample_of("_sum", &labels, bytes);
    }
}

/// Writes what is told of the node in sums and for each object alike.
fn write_node(text: &mut Text<'_>, broker: &Broker, totals: &MetricTotals) {
    let open = [
        ("connections", "Connections currently open", totals.connections_len),
        ("channels", "Channels currently open", totals.connections.channels),
        ("consumers", "Consumers currently connected", totals.channels.consumers),
        ("queues", "Queues available", totals.queues_len),
    ];
    for (name, help, count) in open {
        text.family(name, MetricKind::Gauge, help);
        text.sample("", count);
    }
    global::write(text, totals, broker.letters());
    let alarm = &broker.alarm;
    #[rustfmt::skip]
    let alarms = [
        ("alarms_free_disk_space_watermark", "is 1 if free disk space watermark alarm is in effect", alarm.is_short_of_disk()),
        ("alarms_memory_used_watermark",     "is 1 if VM memory watermark alarm is in effect",       alarm.is_short_of_memory()),
        // Until RabbitMQ 4.2; alerts ask for it.
        ("alarms_file_descriptor_limit",     "is 1 if file descriptor limit alarm is in effect",     alarm.is_short_of_descriptors()),
    ];
    for (name, help, is_on) in alarms {
        text.family(name, MetricKind::Untyped, help);
        text.sample("", is_on);
    }
    let help = "Number of peers in the cluster the current node cannot reach.";
    text.family("unreachable_cluster_peers_count", MetricKind::Gauge, help);
    text.sample("", 0_u64);
}

/// Writes what RabbitMQ does not tell.
fn write_own(text: &mut Text<'_>, node: &NodeNumbers) {
    let prefix = text.set_prefix("mq_");
    let help =
        "Total number of batches in which persistent messages were written, each with a sync";
    text.family("store_batches_total", MetricKind::Counter, help);
    text.sample("", node.batches);
    let help = "Total number of bytes of the messages in these batches, to compare with the bytes that were written";
    text.family("store_record_bytes_total", MetricKind::Counter, help);
    text.sample("", node.record_bytes);
    text.set_prefix(prefix);
}

/// Writes when the process started.
fn write_process(text: &mut Text<'_>, server: &ServerInfo) {
    let prefix = text.set_prefix("process_");
    let help = "Start time of the process since unix epoch in seconds.";
    text.family("start_time_seconds", MetricKind::Gauge, help);
    let started = server.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    text.sample("", started.as_secs());
    text.set_prefix(prefix);
}

/// Writes the families that all expressions of RabbitMQ's dashboards join.
fn write_identity(text: &mut Text<'_>, broker: &Broker, endpoint: MetricsPath) {
    let release = broker.compat().version();
    let versions = [
        ("product_name", super::server_info::PRODUCT),
        ("product_version", env!("CARGO_PKG_VERSION")),
        ("rabbitmq_version", release),
        ("prometheus_plugin_version", release),
        ("prometheus_client_version", env!("CARGO_PKG_VERSION")),
        // There is no Erlang here.
        ("erlang_version", ""),
    ];
    text.family("build_info", MetricKind::Untyped, "RabbitMQ & Erlang/OTP version info");
    text.sample(&labels(&versions), 1_u64);
    let cluster = broker.cluster_name();
    let id = policies::id_of_cluster(broker).unwrap_or_default();
    let identity = [
        ("rabbitmq_node", &*broker.node),
        ("rabbitmq_cluster", &cluster),
        ("rabbitmq_cluster_permanent_id", &id),
        ("rabbitmq_endpoint", endpoint.name()),
    ];
    text.family("identity_info", MetricKind::Untyped, "RabbitMQ node & cluster identity info");
    text.sample(&labels(&identity), 1_u64);
}
