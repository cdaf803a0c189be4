//! Messages over HTTP: published and got, with codes and reasons seen on RabbitMQ 3.10.8.

use mq::wire::shortstr::literal;
use reqwest::Method;
use serde_json::{Value, json};

use super::management::Site;
use super::support::session::ready;

/// Posts as guest; answers the status and the JSON.
async fn post(site: &Site, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://{}/api/{path}", site.address);
    let request = site.http.request(Method::POST, url).basic_auth("guest", Some("guest"));
    let response = request.body(body.to_string()).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

async fn with_queue() -> Site {
    let site = Site::start().await;
    let url = format!("http://{}/api/queues/%2F/q", site.address);
    let request = site.http.request(Method::PUT, url).basic_auth("guest", Some("guest"));
    let made = request.body(json!({"durable": true}).to_string()).send().await.unwrap();
    assert_eq!(made.status().as_u16(), 201);
    site
}

fn message(key: &str, properties: &Value, payload: &str, payload_encoding: &str) -> Value {
    json!({
        "routing_key": key,
        "properties": properties,
        "payload": payload,
        "payload_encoding": payload_encoding,
    })
}

const PUBLISH: &str = "exchanges/%2F/amq.default/publish";
const GET: &str = "queues/%2F/q/get";

fn asked(ackmode: &str, encoding: &str) -> Value {
    json!({"count": 5, "ackmode": ackmode, "encoding": encoding})
}

#[tokio::test]
async fn what_is_published_is_got_and_stays_or_goes() {
    let site = with_queue().await;
    let properties =
        json!({"delivery_mode": 2, "headers": {"a": 1}, "content_type": "x", "timestamp": 5});
    let answer = post(&site, PUBLISH, &message("q", &properties, "aGk=", "base64")).await;
    assert_eq!(answer, (200, json!({"routed": true})));
    let answer = post(&site, PUBLISH, &message("nope", &json!([]), "x", "string")).await;
    assert_eq!(answer, (200, json!({"routed": false})));
    post(&site, PUBLISH, &message("q", &json!({}), "b", "string")).await;
    let row = |redelivered: bool, left: u32, payload: &str, encoding: &str, properties: &Value| {
        json!({
            "payload_bytes": if left == 1 { 2 } else { 1 },
            "redelivered": redelivered,
            "exchange": "",
            "routing_key": "q",
            "message_count": left,
            "properties": properties,
            "payload": payload,
            "payload_encoding": encoding,
        })
    };
    let none = json!([]);
    let first = post(&site, GET, &asked("ack_requeue_true", "auto")).await;
    let expected =
        [row(false, 1, "hi", "string", &properties), row(false, 0, "b", "string", &none)];
    assert_eq!(first, (200, json!(expected)));
    let again = post(&site, GET, &asked("reject_requeue_true", "base64")).await;
    let expected =
        [row(true, 1, "aGk=", "base64", &properties), row(true, 0, "Yg==", "base64", &none)];
    assert_eq!(again, (200, json!(expected)));
    assert_eq!(ready(&site.broker, "q"), 2);
    let one =
        json!({"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto", "truncate": 1});
    let (_, got) = post(&site, GET, &one).await;
    assert_eq!(
        (got[0]["payload"].as_str(), got[0]["payload_bytes"].as_u64()),
        (Some("h"), Some(2))
    );
    let (_, got) = post(&site, GET, &asked("reject_requeue_false", "auto")).await;
    assert_eq!((got[0]["payload"].as_str(), got.as_array().map(Vec::len)), (Some("b"), Some(1)));
    let queue = site.broker.vhost("/").unwrap().find_queue(&literal("q")).unwrap();
    assert_eq!((queue.info().ready, queue.info().unacked), (0, 0));
}

#[tokio::test]
async fn what_cannot_be_published_or_got_is_refused() {
    let site = with_queue().await;
    let plain = json!({});
    #[rustfmt::skip]
    let cases = [
        (PUBLISH, json!({}), 400, json!("[{key_missing,routing_key},\n {key_missing,properties},\n {key_missing,payload},\n {key_missing,payload_encoding}]")),
        ("exchanges/%2F/nope/publish", message("q", &plain, "x", "string"), 404, json!("exchange_not_found")),
        (PUBLISH, message("q", &plain, "x", "bogus"), 400, json!(["unsupported_encoding", "bogus"])),
        (PUBLISH, message("q", &plain, "%%", "base64"), 400, json!(["not_base64", "%%"])),
        (PUBLISH, message("q", &json!({"user_id": "bob"}), "x", "string"), 400,
            json!("406 PRECONDITION_FAILED - user_id property set to 'bob' but authenticated user was 'guest'")),
        (PUBLISH, message("q", &json!({"headers": {"CC": "b"}}), "x", "string"), 400,
            json!("406 PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"CC\",longstr}")),
        (PUBLISH, message("q", &json!({"reply_to": "amq.rabbitmq.reply-to"}), "x", "string"), 400,
            json!("406 PRECONDITION_FAILED - fast reply consumer does not exist")),
        (PUBLISH, message("q", &json!({"expiration": "x"}), "x", "string"), 400,
            json!("406 PRECONDITION_FAILED - invalid expiration 'x': no_integer")),
        (GET, json!({"count": 1}), 400, json!("[{key_missing,ackmode},{key_missing,encoding}]")),
        (GET, json!({"count": "x", "ackmode": "ack_requeue_true", "encoding": "auto"}), 400, json!(["not_integer", "x"])),
        (GET, asked("bogus", "auto"), 400, json!("Invalid ackmode value: bogus. Valid values are: ack_requeue_true, ack_requeue_false, reject_requeue_true, reject_requeue_false")),
        (GET, asked("ack_requeue_true", "bogus"), 400, json!("Unsupported encoding. Please use auto or base64.")),
        ("queues/%2F/nope/get", asked("ack_requeue_true", "auto"), 404, json!("queue_not_found")),
        (GET, json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": "x"}), 400, json!(["not_integer", "x"])),
    ];
    for (path, body, status, reason) in cases {
        let (got, answer) = post(&site, path, &body).await;
        assert_eq!((got, answer["reason"].clone()), (status, reason), "{path} {body}");
    }
    assert_eq!(ready(&site.broker, "q"), 0);
}

/// Gets the messages of a queue and takes them out.
async fn taken(site: &Site, queue: &str) -> Vec<Value> {
    let path = format!("queues/%2F/{queue}/get");
    let (_, got) = post(site, &path, &asked("ack_requeue_false", "auto")).await;
    got.as_array().unwrap().clone()
}

async fn put(site: &Site, path: &str, body: &Value) {
    let url = format!("http://{}/api/{path}", site.address);
    let request = site.http.request(Method::PUT, url).basic_auth("guest", Some("guest"));
    let response = request.body(body.to_string()).send().await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.status());
}

/// As RabbitMQ 4.3.6 does it.
#[tokio::test]
async fn a_dead_letter_comes_behind_the_message_that_caused_it() {
    let site = Site::start().await;
    let no_room = json!({"durable": true, "arguments": {
        "x-max-length": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "b"}});
    put(&site, "queues/%2F/a", &no_room).await;
    put(&site, "queues/%2F/b", &json!({"durable": true})).await;
    for queue in ["a", "b"] {
        let (status, _) =
            post(&site, &format!("bindings/%2F/e/amq.fanout/q/{queue}"), &json!({})).await;
        assert_eq!(status, 201);
    }
    let publish = "exchanges/%2F/amq.fanout/publish";
    let answer = post(&site, publish, &message("k", &json!({}), "x", "string")).await;
    assert_eq!(answer, (200, json!({"routed": true})));
    let exchanges: Vec<_> =
        taken(&site, "b").await.iter().map(|row| row["exchange"].clone()).collect();
    assert_eq!(exchanges, ["amq.fanout", ""]);
}

/// Headers seen on RabbitMQ 4.3.6, where each request is a connection of its own.
#[tokio::test]
async fn what_is_published_and_got_is_traced() {
    let site = with_queue().await;
    put(&site, "queues/%2F/log", &json!({"durable": true})).await;
    let bound =
        post(&site, "bindings/%2F/e/amq.rabbitmq.trace/q/log", &json!({"routing_key": "#"})).await;
    assert_eq!(bound.0, 201);
    put(&site, "vhosts/%2F", &json!({"tracing": true})).await;
    let copies = json!({"headers": {"CC": ["other"]}});
    post(&site, PUBLISH, &message("q", &copies, "x", "string")).await;
    assert_eq!(taken(&site, "q").await.len(), 1);
    put(&site, "vhosts/%2F", &json!({"tracing": false})).await;
    let [publish, delivery] = &taken(&site, "log").await[..] else { panic!("two copies") };
    let headers = |row: &Value| row["properties"]["headers"].clone();
    assert_eq!(
        (publish["routing_key"].as_str(), delivery["routing_key"].as_str()),
        (Some("publish."), Some("deliver.q"))
    );
    assert_eq!(headers(publish)["routed_queues"], json!(["other", "q"]));
    assert_eq!(headers(publish)["routing_keys"], json!(["q", "other"]));
    assert_eq!(headers(delivery)["redelivered"], json!(0));
    for row in [publish, delivery] {
        let headers = headers(row);
        assert_eq!((&headers["user"], &headers["channel"]), (&json!("guest"), &json!(1)));
        let connection = headers["connection"].as_str().unwrap();
        assert!(connection.starts_with("<mq@") && connection.ends_with(".0>"), "{connection}");
    }
}

/// In the words of RabbitMQ 4.3.6.
#[tokio::test]
async fn what_a_queue_has_no_room_for_is_refused() {
    let site = Site::start().await;
    let full = json!({"durable": true, "arguments": {
        "x-max-length": 0, "x-overflow": "reject-publish"}});
    put(&site, "queues/%2F/q", &full).await;
    for properties in [json!({}), json!({"delivery_mode": 2})] {
        let refused = json!({"error": "bad_request",
            "reason": "rejected Unable to publish message. Check queue limits."});
        let answer = post(&site, PUBLISH, &message("q", &properties, "x", "string")).await;
        assert_eq!(answer, (400, refused));
    }
}

/// Seen on RabbitMQ 4.3.6 by its exporters: a quorum queue has all messages on disk, whatever their delivery mode.
#[tokio::test]
async fn a_quorum_queue_tells_that_all_its_messages_are_on_disk() {
    let site = Site::start().await;
    let url = |path: &str| format!("http://{}/api/{path}", site.address);
    for (name, kind) in [("qq", "quorum"), ("qs", "stream")] {
        let request = site.http.request(Method::PUT, url(&format!("queues/%2F/{name}")));
        let body = json!({"durable": true, "arguments": {"x-queue-type": kind}});
        let made = request.basic_auth("guest", Some("guest")).body(body.to_string()).send().await;
        assert_eq!(made.unwrap().status().as_u16(), 201);
        post(&site, PUBLISH, &message(name, &json!({}), "abc", "string")).await;
    }
    let request = site.http.request(Method::GET, url("queues/%2F"));
    let answer = request.basic_auth("guest", Some("guest")).send().await.unwrap();
    let queues: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let find = |name: &str| queues.as_array().unwrap().iter().find(|row| row["name"] == name);
    let (quorum, stream) = (find("qq").unwrap(), find("qs").unwrap());
    let expected = [
        ("messages_persistent", 1),
        ("messages_ram", 0),
        ("message_bytes_persistent", 3),
        ("message_bytes_ram", 0),
    ];
    for (field, value) in expected {
        assert_eq!((&quorum[field], &stream[field]), (&json!(value), &Value::Null), "{field}");
    }
}
