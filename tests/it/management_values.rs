//! Values of JSON that AMQP has no form for, over the management API: refused or kept, never changed.

use serde_json::{Value, json};

use super::management::Site;
use super::management_change::{GUEST, send_text};

/// Whole numbers that no integer of AMQP holds; `serde_json` reads those beyond 64 bits as floats.
const TOO_LARGE: [&str; 4] = [
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890",
];
const PUBLISH: &str = "exchanges/%2F/amq.default/publish";

/// Sends a body as it is written.
async fn ask(site: &Site, method: &str, path: &str, body: &str) -> (u16, Value) {
    send_text(site, GUEST, method.parse().unwrap(), path, body.to_owned()).await
}

fn message(properties: &str) -> String {
    format!(
        r#"{{"routing_key": "q", "properties": {properties}, "payload": "x", "payload_encoding": "string"}}"#
    )
}

/// Each place of arguments with a value: method, path, body.
fn places(value: &str) -> [(&'static str, &'static str, String); 4] {
    let arguments = format!(r#""arguments": {{"foo": {value}}}"#);
    [
        ("PUT", "queues/%2F/new", format!(r#"{{"durable": true, {arguments}}}"#)),
        ("PUT", "exchanges/%2F/new", format!(r#"{{"type": "direct", {arguments}}}"#)),
        ("POST", "bindings/%2F/e/amq.topic/q/q", format!(r#"{{"routing_key": "k", {arguments}}}"#)),
        ("POST", PUBLISH, message(&format!(r#"{{"headers": {{"foo": {value}}}}}"#))),
    ]
}

async fn with_queue() -> Site {
    let site = Site::start().await;
    assert_eq!(ask(&site, "PUT", "queues/%2F/q", r#"{"durable": true}"#).await.0, 201);
    site
}

/// Asserts that nothing was declared, bound or published.
async fn nothing_changed(site: &Site) {
    for path in ["queues/%2F/new", "exchanges/%2F/new"] {
        assert_eq!(ask(site, "GET", path, "").await.0, 404, "{path}");
    }
    assert_eq!(ask(site, "GET", "bindings/%2F/e/amq.topic/q/q", "").await, (200, json!([])));
    assert_eq!(ask(site, "GET", "queues/%2F/q", "").await.1["messages_ready"], 0);
}

/// RabbitMQ 4.3.6 keeps such an argument, and publishes a header as its lowest 64 bits.
#[tokio::test]
async fn a_whole_number_that_amqp_cannot_hold_is_refused_as_an_argument() {
    let site = with_queue().await;
    for number in TOO_LARGE {
        let values = [number.to_owned(), format!("[1, {number}]"), format!(r#"{{"a": {number}}}"#)];
        for value in values {
            for (method, path, body) in places(&value) {
                let (status, answer) = ask(&site, method, path, &body).await;
                let told = json!(format!("the number {number} does not fit 64 bits"));
                assert_eq!((status, &answer["reason"]), (400, &told), "{path} {body}");
            }
        }
    }
    nothing_changed(&site).await;
    let float = places("1e30");
    for (method, path, body) in &float[..2] {
        assert_eq!(ask(&site, method, path, body).await.0, 201, "{path} {body}");
        assert_eq!(ask(&site, "GET", path, "").await.1["arguments"]["foo"], 1e30, "{path}");
    }
    // Digits in a text are no number.
    let text = places(r#""\"18446744073709551616""#);
    assert_eq!(ask(&site, "POST", PUBLISH, &text[3].2).await.0, 200);
}

#[tokio::test]
async fn a_large_number_of_a_parameter_or_a_time_stays_what_it_is() {
    let site = with_queue().await;
    let large = u64::MAX;
    let body = format!(r#"{{"value": {{"a": {large}}}}}"#);
    assert_eq!(ask(&site, "PUT", "global-parameters/g", &body).await.0, 201);
    let (_, kept) = ask(&site, "GET", "global-parameters/g", "").await;
    assert_eq!(kept["value"], json!({"a": large}));
    for number in [TOO_LARGE[1], TOO_LARGE[2]] {
        let body = format!(r#"{{"value": {number}}}"#);
        assert_eq!(ask(&site, "PUT", "global-parameters/g", &body).await.0, 400, "{number}");
    }
    let timed = message(&format!(r#"{{"timestamp": {large}}}"#));
    assert_eq!(ask(&site, "POST", PUBLISH, &timed).await, (200, json!({"routed": true})));
    let get = r#"{"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}"#;
    let (_, got) = ask(&site, "POST", "queues/%2F/q/get", get).await;
    assert_eq!(got[0]["properties"]["timestamp"], json!(large));
}

/// In the words of RabbitMQ 4.3.6, which answers a binding with 500.
#[tokio::test]
async fn null_is_refused_as_an_argument() {
    let site = with_queue().await;
    for value in ["null", "[null]", r#"{"a": null}"#] {
        for (method, path, body) in places(value) {
            let (status, answer) = ask(&site, method, path, &body).await;
            assert_eq!(
                (status, &answer["reason"]),
                (400, &json!("null_not_allowed")),
                "{path} {body}"
            );
        }
    }
    nothing_changed(&site).await;
    // A parameter may be null.
    assert_eq!(ask(&site, "PUT", "global-parameters/g", r#"{"value": null}"#).await.0, 201);
    // A client may declare it over AMQP, so that an export may have it: what was exported can be imported.
    let exported = r#"{"queues": [{"name": "old", "vhost": "/", "durable": true, "auto_delete": false,
        "arguments": {"foo": null, "at": 18446744073709551615}}]}"#;
    assert_eq!(ask(&site, "POST", "definitions", exported).await.0, 204);
    let (_, old) = ask(&site, "GET", "queues/%2F/old", "").await;
    assert_eq!(
        (&old["arguments"]["foo"], &old["arguments"]["at"]),
        (&Value::Null, &json!(u64::MAX))
    );
}

/// In the words of RabbitMQ 4.3.6, which takes the lowest bits of a number that is too large or negative.
#[tokio::test]
async fn a_property_of_another_type_is_refused() {
    let site = with_queue().await;
    let texts = [
        "content_type",
        "content_encoding",
        "correlation_id",
        "reply_to",
        "expiration",
        "message_id",
        "type",
        "user_id",
        "app_id",
        "cluster_id",
    ];
    let numbers = ["delivery_mode", "priority", "timestamp"];
    let text = |name| ["null", "5", "[]"].map(|value| (name, value, json!(["not_string", name])));
    let number =
        |name| ["null", r#""5""#, "1.5", "-1"].map(|value| (name, value, json!(["not_int", name])));
    let large = ["delivery_mode", "priority"].map(|name| (name, "300", json!(["not_int", name])));
    let headers =
        ["null", "5"].map(|value| ("headers", value, json!("headers should be an object")));
    let cases = texts.into_iter().flat_map(text).chain(numbers.into_iter().flat_map(number));
    for (name, value, reason) in cases.chain(large).chain(headers) {
        let body = message(&format!(r#"{{"{name}": {value}}}"#));
        let (status, answer) = ask(&site, "POST", PUBLISH, &body).await;
        assert_eq!((status, &answer["reason"]), (400, &reason), "{name}: {value}");
    }
    nothing_changed(&site).await;
}

/// In the words of RabbitMQ 4.3.6; it exports vhosts with an empty type, or the text `undefined`.
#[tokio::test]
async fn an_empty_default_queue_type_is_refused_but_in_definitions() {
    let site = Site::start().await;
    let empty = r#"{"default_queue_type": ""}"#;
    let told = json!("default_queue_type must not be an empty string");
    let (status, answer) = ask(&site, "PUT", "vhosts/v", empty).await;
    assert_eq!((status, &answer["reason"]), (400, &told));
    assert_eq!(ask(&site, "GET", "vhosts/v", "").await.0, 404);
    assert_eq!(ask(&site, "PUT", "vhosts/v", r#"{"default_queue_type": null}"#).await.0, 201);
    assert_eq!(ask(&site, "PUT", "vhosts/v", empty).await.0, 400);
    let defined = r#"{"vhosts": [{"name": "w", "default_queue_type": ""}]}"#;
    assert_eq!(ask(&site, "POST", "definitions", defined).await.0, 204);
    assert_eq!(ask(&site, "GET", "vhosts/w", "").await.1["default_queue_type"], "classic");
}
