//! The management API over a broker made by hand, asked by HTTP clients: ours, and `rabbitmq_http_client`.
//!
//! Reading order: [`Site`] (a broker with something of everything, served), then the promises.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::{BasicProperties, ConnectionProperties};
use mq::broker::Broker;
use mq::broker::alarm::Shortage;
use mq::broker::auth::Origin;
use mq::broker::exchange::binding::{DestinationKind, DestinationName};
use mq::broker::exchange::{ExchangeKind, ExchangeSettings};
use mq::broker::mailbox::ConsumerSlot;
use mq::broker::queue::Subscription;
use mq::broker::registry::{ConnectionId, NegotiatedParameters, Peer};
use mq::broker::vhost::{BindingRequest, QueueDeclaration, Vhost};
use mq::management::{
    EffectiveConfiguration, Listener, Management, ProcessControls, ServerInfo, router, serve,
};
use mq::server::Maintenance;
use mq::server::{Clock, Config, Server};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue};
use rabbitmq_http_client::api;
use rabbitmq_http_client::commons::BindingDestinationType;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};

const CONNECTION: &str = "127.0.0.1:50164 -> 127.0.0.1:5672";
const CONNECTION_IN_PATHS: &str = "127.0.0.1%3A50164%20-%3E%20127.0.0.1%3A5672";

/// A broker that is served over HTTP on a free port until it is dropped.
pub(crate) struct Site {
    pub(crate) broker: Arc<Broker>,
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    _stop: oneshot::Sender<()>,
}

/// An answer: its status, its body when that is JSON.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// As many connections as a test may want.
fn slots() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(100))
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_for(Origin::Local).await
    }

    /// Serves callers as if they came from `origin`.
    async fn start_for(origin: Origin) -> Self {
        let broker = Arc::new(Broker::new("mq@test".into()));
        furnish(&broker);
        Self::over(broker, origin).await
    }

    async fn over(broker: Arc<Broker>, origin: Origin) -> Self {
        // Another test may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let listen =
            |protocol, port| Listener { protocol, address: address.ip(), port, certificates: None };
        let facts = ServerInfo {
            started: Instant::now(),
            started_at: SystemTime::now(),
            listeners: vec![listen("amqp", 5672), listen("http", address.port())],
            data_directory: None,
            configuration: EffectiveConfiguration::default(),
            process: ProcessControls::default(),
            maintenance: Maintenance::default(),
            http: Arc::default(),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(Management::new(Arc::clone(&broker), facts));
        tokio::spawn(serve(listener, move |_| origin, router, slots(), async {
            let _ = stopped.await;
        }));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { broker, address, http, _stop: stop }
    }

    async fn ask(&self, method: Method, path: &str, login: Option<(&str, &str)>) -> Answer {
        let request = self.http.request(method, format!("http://{}/api/{path}", self.address));
        let request = match login {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status();
        let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
        Answer { status, body }
    }

    /// What guest gets.
    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Some(("guest", "guest"))).await
    }

    /// What guest gets with 200.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    pub(crate) fn client(&self) -> api::Client<String, &'static str, &'static str> {
        let endpoint = format!("http://{}/api", self.address);
        api::Client::from_http_client(self.http.clone(), endpoint, "guest", "guest")
    }
}

fn declare_queue(vhost: &Vhost, name: &'static str, arguments: FieldTable) {
    let declaration = QueueDeclaration {
        name: literal(name),
        is_durable: true,
        is_exclusive: false,
        is_auto_delete: false,
        declared_by: None,
        arguments,
    };
    vhost.declare_queue(declaration, false, ConnectionId(0), 0).unwrap();
}

fn bind(vhost: &Vhost, source: &'static str, kind: DestinationKind, name: &'static str) {
    let request = BindingRequest {
        source: literal(source),
        destination: DestinationName { kind, name: literal(name) },
        routing_key: literal("a.#"),
        arguments: FieldTable::new(),
    };
    vhost.bind(request, ConnectionId(0)).unwrap();
}

/// One connection with one channel and one consumer; an exchange, three queues, three bindings.
fn furnish(broker: &Broker) {
    let vhost = broker.vhost("/").unwrap();
    declare_queue(&vhost, "orders", FieldTable::new().with("x-message-ttl", FieldValue::I32(600)));
    declare_queue(&vhost, "logs/today", FieldTable::new());
    declare_queue(&vhost, "zebra", FieldTable::new());
    let exchange = ExchangeSettings {
        name: literal("events"),
        kind: ExchangeKind::Topic,
        is_durable: true,
        is_auto_delete: false,
        is_internal: false,
        arguments: FieldTable::new(),
    };
    vhost.declare_exchange(exchange).unwrap();
    bind(&vhost, "events", DestinationKind::Queue, "orders");
    bind(&vhost, "amq.topic", DestinationKind::Exchange, "events");
    let connection = broker.connect(Peer {
        name: CONNECTION.into(),
        host: "127.0.0.1".into(),
        port: 5672,
        peer_host: "127.0.0.1".into(),
        peer_port: 50164,
        is_tls: false,
        certificate: None,
        connected_at: SystemTime::UNIX_EPOCH,
    });
    // One that never finishes its handshake is seen by nobody.
    broker.connect(Peer { name: "silent".into(), ..connection.peer.clone() });
    connection.set_agreed(NegotiatedParameters {
        user: literal("guest"),
        vhost: literal("/"),
        mechanism: literal("PLAIN"),
        client_properties: FieldTable::new()
            .with("connection_name", "till")
            .with("capabilities", FieldTable::new().with("basic.nack", true)),
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat_s: 60,
    });
    let channel = connection.add_channel(1, 0);
    channel.prefetch.set(10);
    channel.counters.publish.add(7);
    let subscription = Subscription {
        tag: literal("ctag"),
        connection: CONNECTION.into(),
        channel: 1,
        slot: ConsumerSlot(0),
        mailbox: Arc::clone(&connection.mailbox),
        limit: Arc::default(),
        prefetch: 10,
        no_ack: false,
        exclusive: false,
        arguments: FieldTable::new(),
    };
    let queue = vhost.queue("orders", connection.id).unwrap();
    queue.subscribe(subscription, 0).unwrap();
}

#[tokio::test]
async fn the_crate_reads_every_list() {
    let site = Site::start().await;
    let client = site.client();
    let overview = client.overview().await.unwrap();
    assert_eq!((overview.object_totals.queues, overview.object_totals.connections), (3, 1));
    assert_eq!(client.get_cluster_name().await.unwrap().name, "mq@test");
    let nodes = client.list_nodes().await.unwrap();
    assert_eq!(nodes[0].name, "mq@test");
    assert_eq!(nodes[0].os_pid, std::process::id());
    assert_eq!(client.get_node_info("mq@test").await.unwrap().name, "mq@test");
    assert_eq!(client.list_vhosts().await.unwrap()[0].name, "/");
    assert_eq!(client.get_vhost("/").await.unwrap().name, "/");
    let queues = client.list_queues_in("/").await.unwrap();
    assert_eq!(queues.len(), client.list_queues().await.unwrap().len());
    assert_eq!(client.list_queues_with_details().await.unwrap().len(), 3);
    assert_eq!(client.get_queue_info("/", "logs/today").await.unwrap().name, "logs/today");
    assert_eq!(client.list_exchanges_in("/").await.unwrap().len(), 8);
    assert_eq!(client.get_exchange_info("/", "events").await.unwrap().exchange_type, "topic");
    assert_eq!(client.list_bindings().await.unwrap().len(), 5);
    assert_eq!(client.list_bindings_in("/").await.unwrap().len(), 5);
    assert_eq!(client.list_queue_bindings("/", "orders").await.unwrap().len(), 2);
    let consumers = client.list_consumers().await.unwrap();
    let details = consumers[0].channel_details.as_ref().unwrap();
    assert_eq!(details.connection_name, CONNECTION);
    assert_eq!(client.list_consumers_in("/").await.unwrap().len(), 1);
    let connections = client.list_connections().await.unwrap();
    assert_eq!(connections[0].client_properties.connection_name, "till");
    assert_eq!(client.get_connection_info(CONNECTION).await.unwrap().channel_count, 1);
    assert_eq!(client.list_connections_in("/").await.unwrap().len(), 1);
    assert_eq!(client.list_user_connections("guest").await.unwrap().len(), 1);
    assert_eq!(client.list_channels().await.unwrap()[0].prefetch_count, 10);
    assert_eq!(client.list_channels_in("/").await.unwrap().len(), 1);
    assert_eq!(client.list_channels_on(CONNECTION).await.unwrap().len(), 1);
    let exchange = BindingDestinationType::Exchange;
    let bound = client.list_exchange_bindings_with_source("/", "events").await.unwrap();
    assert_eq!(bound[0].destination, "orders");
    let bound = client.list_exchange_bindings_with_destination("/", "events").await.unwrap();
    assert_eq!(
        (bound[0].source.as_str(), bound[0].destination_type.clone()),
        ("amq.topic", exchange)
    );
}

#[tokio::test]
async fn the_crate_reads_users_definitions_and_health() {
    let site = Site::start().await;
    let client = site.client();
    assert_eq!(client.current_user().await.unwrap().name, "guest");
    assert_eq!(client.list_users().await.unwrap()[0].name, "guest");
    assert_eq!(client.list_permissions().await.unwrap()[0].read, ".*");
    assert_eq!(client.list_permissions_in("/").await.unwrap().len(), 1);
    assert_eq!(client.list_permissions_of("guest").await.unwrap().len(), 1);
    assert_eq!(client.get_permissions("/", "guest").await.unwrap().user, "guest");
    assert!(client.list_policies().await.unwrap().is_empty());
    assert!(client.list_operator_policies().await.unwrap().is_empty());
    assert!(client.list_runtime_parameters().await.unwrap().is_empty());
    assert!(client.list_all_vhost_limits().await.unwrap().is_empty());
    assert!(client.list_all_user_limits().await.unwrap().is_empty());
    assert_eq!(client.list_feature_flags().await.unwrap().0.len(), 33);
    let definitions = client.export_cluster_wide_definitions_as_data().await.unwrap();
    assert_eq!((definitions.queues.len(), definitions.bindings.len()), (3, 2));
    assert_eq!(definitions.exchanges[0].name, "events");
    let of_vhost = client.export_vhost_definitions_as_data("/").await.unwrap();
    assert_eq!(of_vhost.queues.len(), 3);
    client.health_check_cluster_wide_alarms().await.unwrap();
    client.health_check_local_alarms().await.unwrap();
    client.health_check_if_node_is_quorum_critical().await.unwrap();
    client.health_check_port_listener(5672).await.unwrap();
    client.health_check_port_listener(1).await.unwrap_err();
}

/// Keys a client depends on, with the type of their values, as a real 3.10.8 answers them.
#[tokio::test]
async fn answers_have_the_keys_and_types_of_rabbitmq() {
    let site = Site::start().await;
    #[rustfmt::skip]
    let cases = [
        ("overview", "management_version:s rates_mode:s exchange_types:a product_version:s product_name:s \
          rabbitmq_version:s cluster_name:s erlang_version:s erlang_full_version:s disable_stats:b \
          enable_queue_totals:b message_stats:o churn_rates:o queue_totals:o object_totals:o \
          statistics_db_event_queue:n node:s listeners:a contexts:a sample_retention_policies:o \
          message_stats.publish:n message_stats.publish_details.rate:n message_stats.deliver_get:n \
          message_stats.disk_reads:n message_stats.return_unroutable:n message_stats.confirm:n \
          message_stats.drop_unroutable:n message_stats.get_empty:n message_stats.ack_details:o \
          churn_rates.queue_declared:n churn_rates.connection_closed_details.rate:n \
          queue_totals.messages:n queue_totals.messages_unacknowledged_details.rate:n \
          object_totals.channels:n object_totals.consumers:n listeners.0.ip_address:s \
          listeners.0.port:n listeners.0.protocol:s contexts.0.port:s exchange_types.0.enabled:b"),
        ("nodes/mq@test", "partitions:a os_pid:s fd_total:n fd_used:n sockets_total:n sockets_used:n \
          mem_limit:n mem_used:n mem_alarm:b disk_free_limit:n disk_free_alarm:b proc_total:n \
          proc_used:n rates_mode:s uptime:n run_queue:n processors:n exchange_types:a \
          auth_mechanisms:a applications:a contexts:a log_files:a config_files:a enabled_plugins:a \
          name:s type:s running:b being_drained:b cluster_links:a"),
        ("vhosts/%2F", "cluster_state:o default_queue_type:s description:s message_stats:o messages:n \
          messages_details.rate:n messages_ready:n messages_unacknowledged:n metadata:o name:s \
          tags:a tracing:b"),
        ("queues/%2F/orders", "consumer_details:a arguments:o auto_delete:b consumer_capacity:n \
          consumer_utilisation:n consumers:n deliveries:a durable:b effective_policy_definition:o \
          exclusive:b exclusive_consumer_tag:0 head_message_timestamp:0 incoming:a memory:n \
          message_bytes:n message_bytes_paged_out:n message_bytes_persistent:n message_bytes_ram:n \
          message_bytes_ready:n message_bytes_unacknowledged:n message_stats:o messages:n \
          messages_details.rate:n messages_paged_out:n messages_persistent:n messages_ram:n \
          messages_ready:n messages_ready_ram:n messages_unacknowledged:n \
          messages_unacknowledged_ram:n name:s node:s operator_policy:0 policy:0 \
          single_active_consumer_tag:0 state:s type:s vhost:s message_stats.redeliver:n"),
        ("exchanges/%2F/events", "arguments:o auto_delete:b durable:b incoming:a internal:b \
          message_stats:o message_stats.publish_in:n message_stats.publish_out_details.rate:n name:s \
          outgoing:a type:s vhost:s"),
        ("bindings/%2F/e/events/q/orders", "0.source:s 0.vhost:s 0.destination:s 0.destination_type:s \
          0.routing_key:s 0.arguments:o 0.properties_key:s"),
        ("consumers", "0.arguments:o 0.ack_required:b 0.active:b 0.activity_status:s \
          0.channel_details.connection_name:s 0.channel_details.name:s 0.channel_details.node:s \
          0.channel_details.number:n 0.channel_details.peer_host:s 0.channel_details.peer_port:n \
          0.channel_details.user:s 0.consumer_tag:s 0.exclusive:b 0.prefetch_count:n \
          0.queue.name:s 0.queue.vhost:s 0.consumer_timeout:n"),
        ("connections", "0.auth_mechanism:s 0.channel_max:n 0.channels:n 0.client_properties:o \
          0.connected_at:n 0.frame_max:n 0.host:s 0.name:s 0.node:s 0.peer_cert_issuer:0 \
          0.peer_host:s 0.peer_port:n 0.port:n 0.protocol:s 0.recv_cnt:n 0.recv_oct:n \
          0.recv_oct_details.rate:n 0.send_cnt:n 0.send_oct:n 0.send_oct_details.rate:n 0.send_pend:n \
          0.ssl:b 0.ssl_cipher:0 0.ssl_protocol:0 0.state:s 0.timeout:n 0.type:s 0.user:s \
          0.user_provided_name:s 0.user_who_performed_action:s 0.vhost:s"),
        ("channels", "0.acks_uncommitted:n 0.confirm:b 0.connection_details.name:s \
          0.connection_details.peer_port:n 0.consumer_count:n 0.global_prefetch_count:n \
          0.message_stats.publish:n 0.messages_unacknowledged:n 0.messages_uncommitted:n \
          0.messages_unconfirmed:n 0.name:s 0.node:s 0.number:n 0.prefetch_count:n 0.state:s \
          0.transactional:b 0.user:s 0.vhost:s"),
        ("users", "0.name:s 0.password_hash:s 0.hashing_algorithm:s 0.tags:a 0.limits:o"),
        ("permissions", "0.user:s 0.vhost:s 0.configure:s 0.write:s 0.read:s"),
    ];
    for (path, keys) in cases {
        let answer = site.read(path).await;
        for key in keys.split_whitespace() {
            let (key, kind) = key.split_once(':').unwrap();
            let value = answer.pointer(&format!("/{}", key.replace('.', "/")));
            assert_eq!(value.map(kind_of), Some(kind), "{path}: {key}: {value:?}");
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "0",
        Value::Bool(_) => "b",
        Value::Number(_) => "n",
        Value::String(_) => "s",
        Value::Array(_) => "a",
        Value::Object(_) => "o",
    }
}

#[tokio::test]
async fn who_may_not_ask_is_told_so_in_rabbitmqs_words() {
    let site = Site::start().await;
    let nobody = site.ask(Method::GET, "overview", None).await;
    assert_eq!(nobody, Answer { status: StatusCode::UNAUTHORIZED, body: Value::Null });
    let failed = json!({"error": "not_authorized", "reason": "Not_Authorized"});
    let failed = Answer { status: StatusCode::UNAUTHORIZED, body: failed };
    for login in [("guest", "wrong"), ("nobody", "guest"), ("", "")] {
        assert_eq!(site.ask(Method::GET, "whoami", Some(login)).await, failed, "{login:?}");
    }
    let remote = Site::start_for(Origin::Remote).await;
    assert_eq!(remote.get("whoami").await, failed);
    let expected = json!({"name": "guest", "tags": ["administrator"], "is_internal_user": true});
    assert_eq!(site.read("whoami").await, expected);
}

#[tokio::test]
async fn a_missing_login_is_asked_for() {
    let site = Site::start().await;
    let url = format!("http://{}/api/overview", site.address);
    let response = site.http.get(url).send().await.unwrap();
    let realm = response.headers().get("www-authenticate").unwrap();
    assert_eq!(realm, "Basic realm=\"RabbitMQ Management\"");
}

#[tokio::test]
async fn what_is_not_there_has_one_answer_for_each_reason() {
    let site = Site::start().await;
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    #[rustfmt::skip]
    let missing = [
        "queues/%2F/nope", "queues/nope", "queues/nope/orders", "exchanges/%2F/nope", "vhosts/nope",
        "connections/nope", "channels/nope", "nodes/nope", "users/nope", "nope", "consumers/nope",
        "aliveness-test/nope", "connections/silent", "policies/nope", "bindings/nope",
        "bindings/%2F/e/nope/q/orders/k",
    ];
    for path in missing {
        let answer = site.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.body), (404, not_found.clone()), "{path}");
    }
    // What is not there has no bindings (seen with RabbitMQ 3.10.8 and 4.3.6).
    for path in [
        "bindings/%2F/e/nope/q/orders",
        "bindings/%2F/e/events/q/nope",
        "bindings/%2F/e/nope/e/events",
        "bindings/%2F/e/events/e/nope",
        "exchanges/%2F/nope/bindings/source",
        "exchanges/%2F/nope/bindings/destination",
    ] {
        let answer = site.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.body), (200, json!([])), "{path}");
    }
    for path in ["shovels/vhost/%2F/s", "top/mq@test"] {
        let answer = site.get(path).await;
        let error = answer.body["error"].as_str();
        assert_eq!((answer.status.as_u16(), error), (501, Some("not_implemented")), "{path}");
    }
    let guest = Some(("guest", "guest"));
    for method in [Method::PATCH, Method::POST] {
        let answer = site.ask(method.clone(), "queues/%2F/orders", guest).await;
        let expected = Answer { status: StatusCode::METHOD_NOT_ALLOWED, body: Value::Null };
        assert_eq!(answer, expected, "{method}");
    }
    assert_eq!(site.read("queues").await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn names_in_paths_are_percent_encoded() {
    let site = Site::start().await;
    let name = |path: String| async move { (path.clone(), path) };
    let connection = format!("connections/{CONNECTION_IN_PATHS}");
    let channel = format!("channels/{CONNECTION_IN_PATHS}%20%281%29");
    let cases = [
        ("queues/%2F/logs%2Ftoday".to_owned(), "logs/today".to_owned()),
        ("vhosts/%2f".to_owned(), "/".to_owned()),
        ("exchanges/%2F/amq.default".to_owned(), String::new()),
        (connection.clone(), CONNECTION.to_owned()),
        (channel, format!("{CONNECTION} (1)")),
    ];
    for (path, expected) in cases {
        let (path, asked) = name(path).await;
        assert_eq!(site.read(&asked).await["name"], expected.as_str(), "{path}");
    }
    let channels = site.read(&format!("{connection}/channels")).await;
    assert_eq!(channels[0]["number"], 1);
}

#[tokio::test]
async fn bindings_are_found_by_their_ends_and_their_key() {
    let site = Site::start().await;
    let expected = json!({
        "source": "events", "vhost": "/", "destination": "orders", "destination_type": "queue",
        "routing_key": "a.#", "arguments": {}, "properties_key": "a.%23",
    });
    assert_eq!(site.read("bindings/%2F/e/events/q/orders").await, json!([expected]));
    // The key is quoted once more in the path.
    assert_eq!(site.read("bindings/%2F/e/events/q/orders/a.%2523").await, expected);
    assert_eq!(site.get("bindings/%2F/e/events/q/orders/~").await.status, StatusCode::NOT_FOUND);
    let by_name = site.read("bindings/%2F/e/amq.default/q/zebra").await;
    assert_eq!(
        (&by_name[0]["source"], &by_name[0]["properties_key"]),
        (&json!(""), &json!("zebra"))
    );
    let between = site.read("bindings/%2F/e/amq.topic/e/events?columns=destination_type").await;
    assert_eq!(between, json!([{"destination_type": "exchange"}]));
    assert_eq!(site.read("bindings/%2F/e/events/e/amq.topic").await, json!([]));
}

#[tokio::test]
async fn lists_come_in_pages_with_the_columns_asked_for() {
    let site = Site::start().await;
    let path = "queues/%2F?page=1&page_size=2&name=%5E%5Blo%5D&use_regex=true&sort=name\
                &sort_reverse=true&columns=name,arguments.x-message-ttl,message_stats.publish_details.rate";
    let rate = json!({"publish_details": {"rate": 0.0}});
    let expected = json!({
        "filtered_count": 2, "item_count": 2, "page": 1, "page_count": 1, "page_size": 2, "total_count": 3,
        "items": [
            {"name": "orders", "arguments": {"x-message-ttl": 600}, "message_stats": rate},
            {"name": "logs/today", "message_stats": rate},
        ],
    });
    assert_eq!(site.read(path).await, expected);
    let wrong = site.get("queues?page=0").await;
    let reason = "Invalid pagination parameters: page number 0, page size undefined";
    let expected = json!({"error": "invalid_pagination_parameters", "reason": reason});
    assert_eq!((wrong.status.as_u16(), wrong.body), (400, expected));
}

#[tokio::test]
async fn a_failed_health_check_says_what_there_is() {
    let site = Site::start().await;
    let http = site.address.port();
    #[rustfmt::skip]
    let cases = [
        ("port-listener/5672", 200, json!({"status": "ok", "port": 5672})),
        ("port-listener/1", 503, json!({
            "status": "failed", "reason": "No active listener", "missing": 1, "ports": [5672, http]})),
        ("port-listener/x", 400, json!({"error": "bad_request", "reason": "'x' is not a port"})),
        ("protocol-listener/amqp091", 200, json!({"status": "ok", "protocol": "amqp", "protocols": ["amqp", "http"]})),
        ("protocol-listener/amqp,http", 200, json!({"status": "ok", "protocol": "amqp", "protocols": ["amqp", "http"]})),
        ("protocol-listener/mqtt", 503, json!({
            "status": "failed", "reason": "No active listener", "missing": ["mqtt"], "protocols": ["amqp", "http"]})),
        ("alarms", 200, json!({"status": "ok"})),
        ("node-is-quorum-critical", 200, json!({"status": "ok", "reason": "single node cluster"})),
    ];
    for (check, status, body) in cases {
        let answer = site.get(&format!("health/checks/{check}")).await;
        assert_eq!((answer.status.as_u16(), answer.body), (status, body), "{check}");
    }
    assert_eq!(site.read("aliveness-test/%2F").await, json!({"status": "ok"}));
}

/// `samples` of RabbitMQ: one alarm for each resource, and the node's flags.
#[tokio::test]
async fn alarms_are_shown() {
    let site = Site::start().await;
    site.broker.raise_alarm(Shortage::Memory);
    site.broker.raise_alarm(Shortage::DiskSpace);
    for (check, place) in [("alarms", "in the cluster"), ("local-alarms", "on the node")] {
        let answer = site.get(&format!("health/checks/{check}")).await;
        let expected = json!({
            "status": "failed",
            "reason": format!("There are alarms in effect {place}"),
            "alarms": [
                {"node": "mq@test", "resource": "memory"},
                {"node": "mq@test", "resource": "disk"},
            ],
        });
        assert_eq!((answer.status.as_u16(), answer.body), (503, expected), "{check}");
    }
    let node = &site.read("nodes").await[0];
    assert_eq!((&node["mem_alarm"], &node["disk_free_alarm"]), (&json!(true), &json!(true)));
    assert_eq!(node["disk_free_limit"], 50_000_000);
    site.broker.end_alarm(Shortage::Memory);
    let answer = site.get("health/checks/alarms").await;
    assert_eq!(answer.body["alarms"], json!([{"node": "mq@test", "resource": "disk"}]));
}

#[tokio::test]
async fn counters_come_with_their_rates() {
    let site = Site::start().await;
    let vhost = site.broker.vhost("/").unwrap();
    vhost.counters.publish.add(10);
    vhost.counters.deliver.add(3);
    vhost.counters.get_no_ack.add(4);
    let stats = &site.read("overview").await["message_stats"];
    // Seven more were published by the channel that is open.
    assert_eq!((&stats["publish"], &stats["deliver_get"]), (&json!(17), &json!(7)));
    assert_eq!(site.read("vhosts/%2F").await["message_stats"]["publish"], 17);
    let rate = stats["publish_details"]["rate"].as_f64().unwrap();
    assert!(rate > 0.0, "messages within the first seconds: {rate}");
    assert!(stats["confirm_details"]["rate"].as_f64().unwrap().abs() < f64::EPSILON);
    let channel = &site.read("channels").await[0];
    assert_eq!(channel["message_stats"]["publish"], 7);
}

#[tokio::test]
async fn an_exclusive_queue_names_its_owner() {
    let site = Site::start().await;
    let owner = site.broker.registry.list()[0].id;
    let declaration = QueueDeclaration {
        name: literal("mine"),
        is_durable: false,
        is_exclusive: true,
        is_auto_delete: false,
        declared_by: None,
        arguments: FieldTable::new(),
    };
    site.broker.vhost("/").unwrap().declare_queue(declaration, false, owner, 0).unwrap();
    let queue = site.read("queues/%2F/mine").await;
    assert_eq!((&queue["exclusive"], &queue["durable"]), (&json!(true), &json!(false)));
    assert_eq!(queue["owner_pid_details"]["name"], CONNECTION);
    // It ends with its connection, so it is no definition.
    let definitions = site.read("definitions").await;
    assert_eq!(definitions["queues"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_a_client_does_is_seen_and_stays_counted_when_it_has_gone() {
    let broker = Arc::new(Broker::new("mq@test".into()));
    let config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
    let server = Server::start(broker, Clock::start(), config).await.unwrap();
    let site = Site::over(Arc::clone(server.broker()), Origin::Local).await;
    let url = format!("amqp://{}", server.addresses()[0]);
    let properties = ConnectionProperties::default().with_connection_name("till".into());
    let connection = lapin::Connection::connect(&url, properties).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let declare = QueueDeclareOptions::default();
    channel
        .queue_declare("orders".into(), declare, lapin::types::FieldTable::default())
        .await
        .unwrap();
    for _ in 0..3 {
        let options = BasicPublishOptions::default();
        let key = "orders".into();
        let sent =
            channel.basic_publish("".into(), key, options, b"body", BasicProperties::default());
        sent.await.unwrap().await.unwrap();
    }
    let seen = site.read("connections").await;
    assert_eq!((&seen[0]["user_provided_name"], &seen[0]["channels"]), (&json!("till"), &json!(1)));
    assert!(seen[0]["recv_oct"].as_u64() > Some(100), "{}", seen[0]);
    assert!(seen[0]["send_oct"].as_u64() > Some(100), "{}", seen[0]);
    let seen = site.read("channels").await;
    assert_eq!((&seen[0]["confirm"], &seen[0]["number"]), (&json!(true), &json!(1)));
    let queue = site.read("queues/%2F/orders").await;
    assert_eq!((&queue["messages"], &queue["message_bytes"]), (&json!(3), &json!(12)));
    for is_open in [true, false] {
        let stats = &site.read("overview").await["message_stats"];
        assert_eq!((&stats["publish"], &stats["confirm"]), (&json!(3), &json!(3)), "{is_open}");
        if is_open {
            channel.close(200, "bye".into()).await.unwrap();
        }
    }
    assert_eq!(site.read("channels").await, json!([]));
    connection.close(200, "bye".into()).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_unix_socket_is_served_until_the_end_is_asked_for() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mq-http.sock");
    let facts = ServerInfo {
        started: Instant::now(),
        started_at: SystemTime::now(),
        listeners: Vec::new(),
        data_directory: Some(folder.path().into()),
        configuration: EffectiveConfiguration::default(),
        process: ProcessControls::default(),
        maintenance: Maintenance::default(),
        http: Arc::default(),
    };
    let router = router(Management::new(Arc::new(Broker::new("mq@test".into())), facts));
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(serve(listener, |_| Origin::Local, router, slots(), async {
        let _ = stopped.await;
    }));
    // A peer that says nothing, and one whose connection stays open for more, hold nobody up.
    let _silent = UnixStream::connect(&path).await.unwrap();
    let http = reqwest::Client::builder().unix_socket(path.as_path()).build().unwrap();
    let request = http.get("http://localhost/api/nodes").basic_auth("guest", Some("guest"));
    let nodes: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(nodes[0]["db_dir"], folder.path().to_str().unwrap());
    assert!(nodes[0]["disk_free"].as_u64() > Some(0), "{nodes}");
    drop(stop);
    serving.await.unwrap();
    // A process that another test is just starting may hold a copy of the listener for a moment, but answers nobody.
    if let Ok(mut stream) = UnixStream::connect(&path).await {
        let heard = stream.read(&mut [0; 1]).await;
        assert!(!matches!(heard, Ok(1..)), "{heard:?}");
    }
}

/// As RabbitMQ 4.3.6: load balancers ask for these without credentials.
#[tokio::test]
async fn some_checks_ask_for_no_login() {
    let site = Site::start().await;
    let checks = [
        "version",
        "health/checks/is-in-service",
        "health/checks/ready-to-serve-clients",
        "health/checks/reached-target-cluster-size",
        "health/checks/below-node-connection-limit",
    ];
    for path in checks {
        for wrong in [None, Some(("guest", "wrong"))] {
            let answer = site.ask(Method::GET, path, wrong).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        }
    }
    for path in ["overview", "health/checks/alarms", "health/checks/virtual-hosts"] {
        assert_eq!(site.ask(Method::GET, path, None).await.status, 401, "{path}");
    }
}
