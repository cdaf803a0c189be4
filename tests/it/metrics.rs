//! `mq serve --metrics`: what Prometheus is told, with the names, types and labels of RabbitMQ 4.3.6.
//!
//! Reading order: [`Site`] (a broker whose metrics are read), [`Metrics`] (an answer, taken apart), then the promises.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mq::wire::method::{basic, queue};
use mq::wire::{FieldTable, Method, Properties, frame};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::cli::{Running, program};
use crate::support::peer::{Peer, start_ok};
use crate::support::queues::{name, persistent, write_publish};

/// What a real RabbitMQ 4.3.6 answered at `/metrics`.
const RABBITMQ: &str = include_str!("../data/prometheus-4.3.6.txt");

/// A broker whose metrics are read.
struct Site {
    _running: Running,
    address: SocketAddr,
    metrics: String,
    http: reqwest::Client,
    runtime: Runtime,
}

/// An answer: its status, its content type and its body.
type Answer = (u16, Option<String>, String);

impl Site {
    fn start() -> Self {
        Self::start_with(&["--memory"])
    }

    fn start_with(options: &[&str]) -> Self {
        let listen =
            ["serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--print-url"];
        let mut running = Running::spawn(program().args(listen).args(options), "metrics at http");
        let address = running.line().trim().trim_start_matches("amqp://").parse().unwrap();
        let metrics = running.line().trim().to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let runtime = Runtime::new().unwrap();
        Self { _running: running, address, metrics, http, runtime }
    }

    fn ask(&self, method: &str, path: &str, accept: &str) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.metrics));
        self.runtime.block_on(async {
            let answer = request.header("accept", accept).send().await.unwrap();
            let content_type = answer.headers().get("content-type");
            let content_type = content_type.map(|text| text.to_str().unwrap().to_owned());
            (answer.status().as_u16(), content_type, answer.text().await.unwrap())
        })
    }

    fn read(&self, path: &str) -> Metrics {
        let (status, content_type, body) = self.ask("GET", path, "*/*");
        assert_eq!(status, 200, "{path}: {body}");
        assert_eq!(content_type.as_deref(), Some("text/plain; version=0.0.4"), "{path}");
        Metrics::new(&body)
    }

    /// Reads metrics until they are as wanted: a session may answer a client before it has counted.
    fn wait_for(&self, path: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let metrics = self.read(path);
            if wanted(&metrics) {
                return metrics;
            }
            assert!(Instant::now() < until, "{metrics:#?}");
        }
    }
}

/// Metrics, taken apart.
#[derive(Debug)]
struct Metrics {
    /// The type of each family.
    kinds: BTreeMap<String, String>,
    /// The value of each sample, by name and labels.
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    fn new(text: &str) -> Self {
        let (mut kinds, mut samples) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
            } else if !line.starts_with('#') && !line.is_empty() {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let value = value.parse().unwrap();
                assert!(samples.insert(name.to_owned(), value).is_none(), "{name} twice");
            }
        }
        Self { kinds, samples }
    }

    #[track_caller]
    fn value(&self, sample: &str) -> u64 {
        let value = self.samples.get(sample).unwrap_or_else(|| panic!("no {sample}: {self:#?}"));
        assert!(*value >= 0.0 && value.fract() == 0.0, "{sample} {value}");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole")]
        let value = *value as u64;
        value
    }

    #[track_caller]
    fn expect(&self, expected: &[(&str, u64)]) {
        for (sample, value) in expected {
            assert_eq!(self.value(sample), *value, "{sample}");
        }
    }

    /// The names of the labels of each family; those of histograms are the buckets'.
    fn labels(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for sample in self.samples.keys() {
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let parts = labels.split("=\"").filter(|part| !part.is_empty());
            let names = parts.map(|part| part.rsplit(['"', ',', '}']).next().unwrap());
            all.entry(name).or_default().extend(names.filter(|name| !name.is_empty()));
        }
        all
    }
}

/// What the expressions of RabbitMQ's Overview dashboard ask for.
const DASHBOARD: &[&str] = &[
    "rabbitmq_build_info",
    "rabbitmq_channels",
    "rabbitmq_channels_closed_total",
    "rabbitmq_channels_opened_total",
    "rabbitmq_connections",
    "rabbitmq_connections_closed_total",
    "rabbitmq_connections_opened_total",
    "rabbitmq_disk_space_available_limit_bytes",
    "rabbitmq_erlang_uptime_seconds",
    "rabbitmq_global_consumers",
    "rabbitmq_global_messages_acknowledged_total",
    "rabbitmq_global_messages_confirmed_total",
    "rabbitmq_global_messages_delivered_consume_auto_ack_total",
    "rabbitmq_global_messages_delivered_consume_manual_ack_total",
    "rabbitmq_global_messages_delivered_get_auto_ack_total",
    "rabbitmq_global_messages_delivered_get_manual_ack_total",
    "rabbitmq_global_messages_delivered_total",
    "rabbitmq_global_messages_get_empty_total",
    "rabbitmq_global_messages_received_confirm_total",
    "rabbitmq_global_messages_received_total",
    "rabbitmq_global_messages_redelivered_total",
    "rabbitmq_global_messages_routed_total",
    "rabbitmq_global_messages_unroutable_dropped_total",
    "rabbitmq_global_messages_unroutable_returned_total",
    "rabbitmq_global_publishers",
    "rabbitmq_identity_info",
    "rabbitmq_message_size_bytes_bucket",
    "rabbitmq_message_size_bytes_count",
    "rabbitmq_message_size_bytes_sum",
    "rabbitmq_process_max_fds",
    "rabbitmq_process_open_fds",
    "rabbitmq_process_resident_memory_bytes",
    "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages_unacked",
    "rabbitmq_queues",
    "rabbitmq_queues_created_total",
    "rabbitmq_queues_declared_total",
    "rabbitmq_queues_deleted_total",
    "rabbitmq_resident_memory_limit_bytes",
];

/// What the alerts of RabbitMQ's cluster operator ask for beside these.
const ALERTS: &[&str] = &[
    "rabbitmq_alarms_file_descriptor_limit",
    "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_channel_messages_unroutable_dropped_total",
    "rabbitmq_channel_messages_unroutable_returned_total",
    "rabbitmq_process_max_tcp_sockets",
    "rabbitmq_process_open_tcp_sockets",
];

#[test]
fn dashboards_and_alerts_find_their_families() {
    let metrics = Site::start().read("metrics");
    let labels = metrics.labels();
    for family in DASHBOARD.iter().chain(ALERTS) {
        assert!(labels.contains_key(family), "there is no sample of {family}");
    }
    // Without a data directory no disk is known.
    assert!(metrics.kinds.contains_key("rabbitmq_disk_space_available_bytes"));
}

#[test]
fn families_have_the_types_and_labels_of_rabbitmq() {
    let (ours, theirs) = (Site::start().read("metrics"), Metrics::new(RABBITMQ));
    // Not in RabbitMQ 4.3 any more.
    let gone =
        ["alarms_file_descriptor_limit", "process_max_tcp_sockets", "process_open_tcp_sockets"];
    let gone = gone.map(|name| format!("rabbitmq_{name}"));
    let is_theirs = |family: &String| !gone.contains(family) && !family.starts_with("mq_");
    for (family, kind) in ours.kinds.iter().filter(|(family, _)| is_theirs(family)) {
        assert_eq!(Some(kind), theirs.kinds.get(family), "the type of {family}");
    }
    let (ours, theirs) = (ours.labels(), theirs.labels());
    for (family, labels) in ours {
        let Some(expected) = theirs.get(family) else { continue };
        // Ours has a name of its own, and no id that outlives its data.
        let ignored = ["product_name", "product_version", "rabbitmq_cluster_permanent_id"];
        let strip = |labels: &BTreeSet<&str>| -> BTreeSet<String> {
            let kept = labels.iter().filter(|label| !ignored.contains(label));
            kept.map(|label| (*label).to_owned()).collect()
        };
        assert_eq!(strip(&labels), strip(expected), "the labels of {family}");
    }
}

/// A client that publishes and consumes what each counter is about.
struct Scenario {
    peer: Peer,
    other: Peer,
}

const CLASSIC: &str = "{protocol=\"amqp091\",queue_type=\"rabbit_classic_queue\"}";
const QUORUM: &str = "{protocol=\"amqp091\",queue_type=\"rabbit_quorum_queue\"}";

fn of_type(family: &str, queue_type: &str) -> String {
    format!("rabbitmq_global_messages_{family}_total{queue_type}")
}

impl Scenario {
    /// Three confirmed messages, two others and one that no queue gets; of them two are got, one is delivered again,
    /// one consumed, one dies.
    fn play(site: &Site) -> Self {
        let mut peer = Peer::on_channel_one(site.address);
        let dead_letters = FieldTable::new()
            .with("x-dead-letter-exchange", "")
            .with("x-dead-letter-routing-key", "dead");
        peer.declare_durable("q", dead_letters);
        peer.declare_durable("dead", FieldTable::new());
        peer.declare_durable("qq", FieldTable::new().with("x-queue-type", "quorum"));
        let mut bytes = Vec::new();
        for (queue, body) in [("q", &[0; 50][..]), ("q", &[0; 5000]), ("nowhere", b"x")] {
            write_publish(&mut bytes, ("", queue), &Properties::default(), body);
        }
        peer.send(&bytes);
        let mut peer = peer.confirming();
        for queue in ["q", "qq", "qq"] {
            peer.confirmed(queue, &persistent(), b"confirmed");
        }
        assert!(peer.taken("q").is_some());
        let rejected = peer.got("q").unwrap().delivery_tag;
        peer.send_method(1, basic::Reject { delivery_tag: rejected, requeue: false });
        let again = peer.got("qq").unwrap().delivery_tag;
        peer.send_method(1, basic::Reject { delivery_tag: again, requeue: true });
        let mut other = Peer::on_channel_one(site.address);
        other.consume("q", 1, true);
        other.delivered();
        assert!(other.taken("q").is_none());
        other.consume("qq", 1, false);
        let tag = other.delivered().delivery_tag;
        other.ack(tag);
        other.delivered();
        Self { peer, other }
    }
}

#[test]
fn sums_follow_what_clients_do_and_never_fall() {
    let site = Site::start();
    let Scenario { mut peer, other } = Scenario::play(&site);
    let acked = of_type("acknowledged", QUORUM);
    let metrics = site.wait_for("metrics", |metrics| metrics.value(&acked) == 1);
    let global = |name: &str| format!("rabbitmq_global_{name}{{protocol=\"amqp091\"}}");
    let letters = "rabbitmq_global_messages_dead_lettered_rejected_total\
        {queue_type=\"rabbit_classic_queue\",dead_letter_strategy=\"at_most_once\"}";
    #[rustfmt::skip]
    let counted = [
        (global("messages_received_total"),                      6),
        (global("messages_received_confirm_total"),              3),
        (global("messages_confirmed_total"),                     3),
        (global("messages_routed_total"),                        5),
        (global("messages_unroutable_dropped_total"),            1),
        (global("messages_unroutable_returned_total"),           0),
        (of_type("delivered", CLASSIC),                          3),
        (of_type("delivered_get_auto_ack", CLASSIC),             1),
        (of_type("delivered_get_manual_ack", CLASSIC),           1),
        (of_type("delivered_consume_auto_ack", CLASSIC),         1),
        (of_type("get_empty", CLASSIC),                          1),
        (of_type("delivered", QUORUM),                           3),
        (of_type("delivered_get_manual_ack", QUORUM),            1),
        (of_type("delivered_consume_manual_ack", QUORUM),        2),
        (of_type("redelivered", QUORUM),                         1),
        (acked,                                                  1),
        (letters.to_owned(),                                     1),
        ("rabbitmq_channel_messages_published_total".to_owned(), 6),
        ("rabbitmq_queue_messages_published_total".to_owned(),   5),
        ("rabbitmq_queues_declared_total".to_owned(),            3),
        ("rabbitmq_queues_created_total".to_owned(),             3),
        ("rabbitmq_connections_opened_total".to_owned(),         2),
        ("rabbitmq_channels_opened_total".to_owned(),            2),
    ];
    let counted: Vec<_> = counted.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    metrics.expect(&counted);
    metrics.expect(&[
        (&global("publishers"), 1),
        (&global("consumers"), 2),
        ("rabbitmq_queues", 3),
        ("rabbitmq_connections", 2),
        ("rabbitmq_channels", 2),
        ("rabbitmq_consumers", 2),
        ("rabbitmq_queue_messages_ready", 1),
        ("rabbitmq_queue_messages_unacked", 1),
        ("rabbitmq_queue_messages", 2),
        ("rabbitmq_queue_messages_bytes", 5009),
        ("rabbitmq_auth_attempts_total{protocol=\"amqp091\"}", 2),
        ("rabbitmq_auth_attempts_failed_total{protocol=\"amqp091\"}", 0),
    ]);
    // Everything that was counted goes; the counts stay.
    drop(other);
    for queue in ["q", "qq", "dead"] {
        let answer = peer.call(queue::Delete { queue: name(queue), ..Default::default() });
        assert!(matches!(answer, Method::QueueDeleteOk(_)));
    }
    drop(peer);
    let metrics =
        site.wait_for("metrics", |metrics| metrics.value("rabbitmq_connections_closed_total") == 2);
    metrics.expect(&counted);
    metrics.expect(&[
        (&global("publishers"), 0),
        (&global("consumers"), 0),
        ("rabbitmq_queues", 0),
        ("rabbitmq_connections", 0),
        ("rabbitmq_channels_closed_total", 2),
        ("rabbitmq_queues_deleted_total", 3),
        ("rabbitmq_queue_messages", 0),
    ]);
    assert!(metrics.value("rabbitmq_connection_incoming_bytes_total") > 5000);
}

#[test]
fn messages_are_counted_by_size() {
    let site = Site::start();
    let Scenario { peer, other } = Scenario::play(&site);
    let labels = "{protocol=\"amqp091\"}";
    let bucket = |le: &str| {
        format!("rabbitmq_message_size_bytes_bucket{{protocol=\"amqp091\",le=\"{le}\"}}")
    };
    #[rustfmt::skip]
    let counted = [
        (bucket("100"),                                       5),
        (bucket("1000"),                                      5),
        (bucket("10000"),                                     6),
        (bucket("+Inf"),                                      6),
        (format!("rabbitmq_message_size_bytes_count{labels}"), 6),
        (format!("rabbitmq_message_size_bytes_sum{labels}"),   5078),
    ];
    let counted: Vec<_> = counted.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    site.read("metrics").expect(&counted);
    drop((peer, other));
    let closed = "rabbitmq_channels_closed_total";
    site.wait_for("metrics", |metrics| metrics.value(closed) == 2).expect(&counted);
    // The form of the bounds that RabbitMQ's dashboard asks for.
    let (_, _, open) = site.ask("GET", "metrics", "application/openmetrics-text");
    assert!(open.contains(&format!("{} 5\n", bucket("100.0"))), "{open}");
    assert!(open.contains(&format!("{} 6\n", bucket("1e+08"))), "{open}");
}

#[test]
fn objects_have_samples_of_their_own() {
    let site = Site::start();
    let Scenario { peer, other } = Scenario::play(&site);
    let acked = "rabbitmq_queue_messages_acked_total{vhost=\"/\",queue=\"qq\"}";
    let metrics = site.wait_for("metrics/per-object", |metrics| metrics.value(acked) == 1);
    let (channel, connection) =
        (|peer: &Peer| format!("{} (1)", of(&site, peer)), of(&site, &peer));
    metrics.expect(&[
        ("rabbitmq_queue_messages_ready{vhost=\"/\",queue=\"dead\"}", 1),
        ("rabbitmq_queue_messages_unacked{vhost=\"/\",queue=\"qq\"}", 1),
        ("rabbitmq_queue_messages_bytes{vhost=\"/\",queue=\"dead\"}", 5000),
        ("rabbitmq_queue_consumers{vhost=\"/\",queue=\"q\"}", 1),
        ("rabbitmq_queue_get_empty_total{vhost=\"/\",queue=\"q\"}", 1),
        ("rabbitmq_exchange_messages_published_total{vhost=\"/\",exchange=\"\"}", 6),
        (&format!("rabbitmq_channel_consumers{{channel=\"{}\"}}", channel(&other)), 2),
        (
            &format!("rabbitmq_channel_messages_published_total{{channel=\"{}\"}}", channel(&peer)),
            6,
        ),
        (&format!("rabbitmq_connection_channels{{channel=\"{connection}\"}}"), 1),
        (
            "rabbitmq_queue_info{vhost=\"/\",queue=\"qq\",queue_type=\"rabbit_quorum_queue\",\
             membership=\"leader\"}",
            1,
        ),
        ("rabbitmq_queues", 3),
    ]);
}

/// The name of a connection.
fn of(site: &Site, peer: &Peer) -> String {
    format!("{} -> {}", peer.local_address(), site.address)
}

#[test]
fn details_are_those_that_are_asked_for() {
    let site = Site::start();
    let mut peer = Peer::on_channel_one(site.address);
    for queue in ["a1", "a2", "b\"\\"] {
        peer.declare_durable(queue, FieldTable::new());
    }
    let families = |path: &str| -> Vec<String> {
        let names = site.read(path).kinds.into_keys();
        let names = names.filter(|name| !name.starts_with("telemetry_"));
        names.map(|name| name.trim_start_matches("rabbitmq_").to_owned()).collect()
    };
    let identity = ["build_info", "identity_info"];
    #[rustfmt::skip]
    let cases: [(&str, &[&str]); 6] = [
        ("",                                       &[]),
        ("?family=nosuch&other=1",                 &[]),
        ("?family=queue_consumer_count",           &["detailed_queue_consumers", "detailed_queue_info"]),
        ("?family=auth_attempt_metrics",           &["detailed_auth_attempts_failed_total", "detailed_auth_attempts_succeeded_total", "detailed_auth_attempts_total"]),
        ("?family=vhost_status&family=exchange_names", &["cluster_exchange_name", "cluster_vhost_status"]),
        ("?family=queue_coarse_metrics",           &["detailed_queue_info", "detailed_queue_messages", "detailed_queue_messages_ready", "detailed_queue_messages_unacked"]),
    ];
    for (query, expected) in cases {
        let mut expected: Vec<_> = identity.iter().chain(expected).copied().collect();
        expected.sort_unstable();
        assert_eq!(families(&format!("metrics/detailed{query}")), expected, "{query}");
    }
    let queues = |query: &str| -> Vec<String> {
        let metrics = site.read(&format!("metrics/detailed?family=queue_consumer_count{query}"));
        let samples = metrics.samples.into_keys();
        let labels = samples.filter_map(|sample| {
            let labels = sample.strip_prefix("rabbitmq_detailed_queue_consumers")?.to_owned();
            Some(labels)
        });
        labels.collect()
    };
    let [a1, a2, b] =
        ["a1", "a2", "b\\\"\\\\"].map(|name| format!("{{vhost=\"/\",queue=\"{name}\"}}"));
    assert_eq!(queues(""), [a1.clone(), a2.clone(), b]);
    assert_eq!(queues("&queue=^a"), [a1, a2.clone()]);
    assert_eq!(queues("&queue=2&vhost=/&vhost=nosuch"), [a2]);
    assert_eq!(queues("&vhost=nosuch"), [""; 0]);
    let bindings = site.read("metrics/detailed?family=exchange_bindings");
    let sample =
        "rabbitmq_cluster_exchange_bindings{vhost=\"/\",exchange=\"amq.topic\",type=\"topic\"}";
    bindings.expect(&[(sample, 0)]);
}

#[test]
fn what_cannot_be_answered_is_refused_as_rabbitmq_refuses_it() {
    let site = Site::start();
    let not_found = "{\"error\":\"Object Not Found\",\"reason\":\"Not Found\"}";
    #[rustfmt::skip]
    let cases = [
        ("GET",     "metrics/nosuch",                 404, "Unknown Registry"),
        ("GET",     "",                               404, not_found),
        ("GET",     "metrics/detailed/x",             404, not_found),
        ("GET",     "metrics/detailed?queue=(",       400, "Invalid 'queue' regex at position 1: missing )"),
        ("GET",     "metrics?queue=a&queue=b",        400, "Only one 'queue' query parameter is allowed"),
        ("HEAD",    "metrics",                        204, ""),
        ("OPTIONS", "metrics",                        200, ""),
        ("POST",    "metrics",                        405, ""),
        ("DELETE",  "metrics/per-object",             405, ""),
    ];
    for (method, path, status, body) in cases {
        let answer = site.ask(method, path, "*/*");
        assert_eq!((answer.0, answer.2.as_str()), (status, body), "{method} {path}");
    }
    assert_eq!(site.ask("GET", "metrics/per-object/", "*/*").0, 200, "a path may end in a slash");
    assert_eq!(site.ask("GET", "metrics", "application/json").0, 406);
    let open = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let (status, content_type, body) = site.ask("GET", "metrics", open);
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((status, content_type.as_deref()), (200, Some(open)));
    assert!(body.ends_with("# EOF\n"), "{body}");
    assert!(body.contains("# TYPE rabbitmq_queues_created counter\n"), "{body}");
}

#[test]
fn the_memory_of_the_process_is_told_in_the_categories_of_rabbitmq() {
    let metrics = Site::start().read("metrics/memory-breakdown");
    let bytes = metrics.samples.iter().filter(|(name, _)| name.starts_with("rabbitmq_memory_"));
    assert_eq!(bytes.clone().count(), 26);
    let sum: f64 = bytes.map(|(_, value)| value).sum();
    assert!((1e6..1e9).contains(&sum), "{sum} bytes");
}

#[test]
fn refused_logins_are_counted_by_protocol() {
    let site = Site::start();
    let mut peer = Peer::connect(site.address);
    peer.greet();
    peer.send_method(0, start_ok("PLAIN", b"\0guest\0wrong"));
    let failed = "rabbitmq_auth_attempts_failed_total{protocol=\"amqp091\"}";
    site.wait_for("metrics", |metrics| metrics.value(failed) == 1);
}

#[test]
fn what_is_written_to_the_disk_is_counted() {
    let directory = TempDir::new().unwrap();
    let site = Site::start_with(&["--data-dir", directory.path().to_str().unwrap()]);
    let mut peer = Peer::on_channel_one(site.address).confirming();
    peer.declare_durable("q", FieldTable::new());
    let before = site.read("metrics");
    before.expect(&[("rabbitmq_msg_store_write_total", 0), ("mq_store_batches_total", 0)]);
    for _ in 0..3 {
        peer.confirmed("q", &persistent(), &[0; 1000]);
    }
    let after = site.read("metrics");
    // One after the other, so that each has a batch of its own.
    after.expect(&[("rabbitmq_msg_store_write_total", 3), ("mq_store_batches_total", 3)]);
    let grown = |name: &str| after.samples[name] - before.samples[name];
    let record_bytes = grown("mq_store_record_bytes_total");
    assert!((3000.0..4000.0).contains(&record_bytes), "{record_bytes}");
    assert!(grown("rabbitmq_io_write_bytes_total") >= record_bytes);
    assert!(grown("rabbitmq_io_write_ops_total") >= 3.0);
    assert!(grown("rabbitmq_io_sync_ops_total") >= 3.0);
    assert!(grown("rabbitmq_io_sync_time_seconds_total") > 0.0);
    assert!(after.value("rabbitmq_disk_space_available_bytes") > 0);
}

/// A scrape of sums takes 5 ms in a release build, and must not hold up a scraper in any.
#[test]
fn sums_of_ten_thousand_queues_are_read_at_once() {
    const QUEUES: u64 = 10_000;
    let site = Site::start();
    let mut peer = Peer::on_channel_one(site.address);
    let mut bytes = Vec::new();
    for number in 0..QUEUES {
        let queue = name(&format!("q{number}"));
        let declare = queue::Declare { queue, nowait: true, ..Default::default() };
        frame::write_method(&mut bytes, 1, &declare.into());
    }
    peer.send(&bytes);
    peer.depth(&format!("q{}", QUEUES - 1));
    let began = Instant::now();
    let metrics = site.read("metrics");
    let took = began.elapsed();
    assert_eq!(metrics.value("rabbitmq_queues"), QUEUES);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let each = site.read("metrics/detailed?family=queue_coarse_metrics");
    let ready =
        each.samples.keys().filter(|name| name.starts_with("rabbitmq_detailed_queue_messages{"));
    assert_eq!(ready.count() as u64, QUEUES);
}
