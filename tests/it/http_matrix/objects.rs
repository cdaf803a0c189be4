//! The objects that the recorded calls are about, made on our broker as they were on RabbitMQ.

use std::net::SocketAddr;

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::serve::MqServe;

/// What stands for names in the calls, and the client whose connection they look at.
pub(super) struct Objects {
    pub(super) node: String,
    connection: String,
    port: u16,
    _client: Connection,
    _channels: ([Channel; 2], Consumer),
}

impl Objects {
    pub(super) async fn make(broker: &MqServe, http: &Client) -> Self {
        let api = Api { http, base: format!("{}api", broker.management_url()) };
        api.make().await;
        let (client, channels) = connect(broker.address()).await;
        let node = api.get("/overview").await["node"].as_str().unwrap().to_owned();
        let connections = api.get("/connections").await;
        let connection = connections[0]["name"].as_str().unwrap();
        Self {
            node,
            connection: escaped(connection),
            port: broker.address().port(),
            _client: client,
            _channels: channels,
        }
    }

    /// A call with the names of our broker.
    pub(super) fn fill_in(&self, call: &str) -> String {
        let channel = format!("{}%20(1)", self.connection);
        call.replace("{node}", &self.node)
            .replace("{conn}", &self.connection)
            .replace("{chan}", &channel)
            .replace("{port}", &self.port.to_string())
    }
}

fn escaped(name: &str) -> String {
    name.replace(' ', "%20").replace('>', "%3E").replace(':', "%3A")
}

struct Api<'a> {
    http: &'a Client,
    base: String,
}

impl Api<'_> {
    async fn put(&self, path: &str, body: Value) {
        self.send(Method::PUT, path, body).await;
    }

    async fn send(&self, method: Method, path: &str, body: Value) {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = request.basic_auth("guest", Some("guest")).body(body.to_string());
        let status = request.send().await.unwrap().status();
        assert!(status.is_success(), "{path}: {status}");
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.base));
        let response = request.basic_auth("guest", Some("guest")).send().await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    async fn make(&self) {
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.put("/vhosts/v1", json!({"description": "d", "tags": "a,b"})).await;
        self.put("/users/u1", json!({"password": "p1", "tags": "management"})).await;
        self.put("/users/u2", json!({"password": "p2", "tags": ""})).await;
        self.put("/permissions/%2F/u1", all.clone()).await;
        self.put("/permissions/v1/guest", all).await;
        let topic = json!({"exchange": "amq.topic", "write": "^a", "read": ".*"});
        self.put("/topic-permissions/%2F/u1", topic).await;
        self.put("/vhost-limits/v1/max-queues", json!({"value": 100})).await;
        self.put("/user-limits/u1/max-connections", json!({"value": 10})).await;
        let exchange = |kind: &str, arguments: Value| json!({"type": kind, "durable": true, "arguments": arguments});
        self.put(
            "/exchanges/%2F/x1",
            exchange("topic", json!({"alternate-exchange": "amq.fanout"})),
        )
        .await;
        self.put("/exchanges/%2F/x2", exchange("fanout", json!({}))).await;
        let queue = |arguments: Value| json!({"durable": true, "arguments": arguments});
        let limited = json!({"x-max-length": 50000, "x-dead-letter-exchange": "x2"});
        self.put("/queues/%2F/q1", queue(limited)).await;
        self.put("/queues/%2F/qq", queue(json!({"x-queue-type": "quorum"}))).await;
        self.put("/queues/%2F/qs", queue(json!({"x-queue-type": "stream"}))).await;
        self.put("/queues/%2F/polq", queue(json!({}))).await;
        self.put("/queues/v1/qv", queue(json!({}))).await;
        let bind =
            |key: &str, arguments: Value| json!({"routing_key": key, "arguments": arguments});
        self.send(Method::POST, "/bindings/%2F/e/x1/q/q1", bind("a.#", json!({}))).await;
        self.send(Method::POST, "/bindings/%2F/e/x1/q/q1", bind("b", json!({"k": 1}))).await;
        self.send(Method::POST, "/bindings/%2F/e/x1/e/x2", bind("c", json!({}))).await;
        let policy = |definition: Value| json!({"pattern": "^pol", "definition": definition, "apply-to": "queues", "priority": 1});
        self.put("/policies/%2F/pol1", policy(json!({"max-length": 1000}))).await;
        self.put("/operator-policies/%2F/op1", policy(json!({"max-length-bytes": 100_000}))).await;
        self.put("/global-parameters/gp1", json!({"value": {"a": 1}})).await;
    }
}

/// A connection with two channels: one confirms, publishes and consumes, the other gets.
async fn connect(address: SocketAddr) -> (Connection, ([Channel; 2], Consumer)) {
    let properties = ConnectionProperties::default().with_connection_name("eco-conn".into());
    let url = format!("amqp://guest:guest@{address}/%2f");
    let connection = Connection::connect(&url, properties).await.unwrap();
    let first = connection.create_channel().await.unwrap();
    first.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let publishes = [("x1", "a.b"); 5].into_iter().chain([("", "qq"), ("", "qs")]);
    for (exchange, key) in publishes {
        let options = BasicPublishOptions::default();
        let confirm = first.basic_publish(
            exchange.into(),
            key.into(),
            options,
            b"message",
            persistent.clone(),
        );
        confirm.await.unwrap().await.unwrap();
    }
    first.basic_qos(10, BasicQosOptions::default()).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongInt(3));
    let options = BasicConsumeOptions::default();
    let consumer =
        first.basic_consume("q1".into(), "ct1".into(), options, arguments).await.unwrap();
    let second = connection.create_channel().await.unwrap();
    let options = BasicGetOptions::default();
    assert!(second.basic_get("polq".into(), options).await.unwrap().is_none());
    for _ in 0..2 {
        let options = BasicPublishOptions::default();
        let plain = BasicProperties::default();
        second.basic_publish("".into(), "polq".into(), options, b"x", plain).await.unwrap();
    }
    assert!(second.basic_get("polq".into(), options).await.unwrap().is_some());
    (connection, ([first, second], consumer))
}
