//! What the management API says of releases: versions, what RabbitMQ 4.3 has deprecated, and what it refuses.
//!
//! Reasons and lists were measured on a running RabbitMQ 4.3.6.

use mq::broker::compat::Compat;
use reqwest::Method;
use serde_json::{Value, json};

use super::management::Site;

async fn send(site: &Site, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://{}/api/{path}", site.address);
    let request = site.http.request(method, url).basic_auth("guest", Some("guest"));
    let request = if body.is_null() { request } else { request.body(body.to_string()) };
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

async fn get(site: &Site, path: &str) -> Value {
    let (status, body) = send(site, Method::GET, path, &Value::Null).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn site_as(compat: Compat) -> Site {
    let site = Site::start().await;
    site.broker.answer_as(compat);
    site
}

/// The deprecated features and the states they are in.
async fn states(site: &Site) -> Vec<(String, String)> {
    let told = get(site, "deprecated-features").await;
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    told.as_array().unwrap().iter().map(|row| (text(row, "name"), text(row, "state"))).collect()
}

#[tokio::test]
async fn what_4_3_deprecates_is_listed_with_what_becomes_of_it_here() {
    #[rustfmt::skip]
    let expected = [
        // name                          by default   with --compat 4.3
        ("queue_master_locator",          "permitted", "denied"),
        ("global_qos",                    "permitted", "denied"),
        ("amqp_filter_set_bug",           "denied",    "denied"),
        ("amqp_address_v1",               "denied",    "denied"),
        ("management_metrics_collection", "permitted", "permitted"),
        ("transient_nonexcl_queues",      "permitted", "denied"),
        ("classic_queue_mirroring",       "permitted", "denied"),
        ("ram_node_type",                 "denied",    "denied"),
    ];
    let of_default = expected.map(|(name, state, _)| (name.to_owned(), state.to_owned()));
    let of_strict = expected.map(|(name, _, state)| (name.to_owned(), state.to_owned()));
    assert_eq!(states(&site_as(Compat::V4).await).await, of_default);
    assert_eq!(states(&site_as(Compat::V4_3).await).await, of_strict);
    assert_eq!(get(&site_as(Compat::V3_10).await, "deprecated-features").await, json!([]));

    let told = get(&site_as(Compat::V4).await, "deprecated-features").await;
    let announced = "https://blog.rabbitmq.com/posts/2021/08/4.0-deprecation-announcements/";
    let qos = json!({
        "name": "global_qos",
        "state": "permitted",
        "desc": "",
        "deprecation_phase": "denied_by_default",
        "doc_url": format!("{announced}#removal-of-global-qos"),
        "provided_by": "rabbit",
    });
    assert_eq!(told[1], qos);
    assert_eq!(told[0]["doc_url"], json!(""));
    assert_eq!(told[3]["doc_url"], json!("https://www.rabbitmq.com/docs/amqp#addresses"));
    assert_eq!(told[4]["provided_by"], json!("rabbitmq_management_agent"));
    assert_eq!(told[6]["deprecation_phase"], json!("removed"));
}

#[tokio::test]
async fn of_what_is_deprecated_the_queues_are_listed_that_are_used() {
    let site = site_as(Compat::V4).await;
    for row in get(&site, "queues/%2F").await.as_array().unwrap() {
        let name = row["name"].as_str().unwrap().replace('/', "%2F");
        send(&site, Method::DELETE, &format!("queues/%2F/{name}"), &Value::Null).await;
    }
    let used = async || get(&site, "deprecated-features/used").await;
    let declare = async |name: &str, body: Value| {
        let (status, _) = send(&site, Method::PUT, &format!("queues/%2F/{name}"), &body).await;
        assert_eq!(status, 201);
    };
    declare("durable", json!({"durable": true})).await;
    assert_eq!(used().await, json!([]));
    declare("transient", json!({"durable": false})).await;
    let expected = json!([{
        "name": "transient_nonexcl_queues",
        "desc": "",
        "deprecation_phase": "denied_by_default",
        "doc_url": "https://blog.rabbitmq.com/posts/2021/08/4.0-deprecation-announcements/\
                    #removal-of-transient-non-exclusive-queues",
        "provided_by": "rabbit",
    }]);
    assert_eq!(used().await, expected);
    send(&site, Method::DELETE, "queues/%2F/transient", &Value::Null).await;
    assert_eq!(used().await, json!([]));
}

#[tokio::test]
async fn every_version_is_that_of_the_release() {
    for (compat, version) in
        [(Compat::V3_10, "3.10.8"), (Compat::V4, "4.3.6"), (Compat::V4_3, "4.3.6")]
    {
        let site = site_as(compat).await;
        let overview = get(&site, "overview").await;
        for name in ["management_version", "rabbitmq_version"] {
            assert_eq!(overview[name], json!(version), "{name}");
        }
        assert_eq!(get(&site, "version").await, json!(version));
        assert_eq!(get(&site, "definitions").await["rabbitmq_version"], json!(version));
    }
}

#[tokio::test]
async fn a_topic_key_with_three_wildcards_for_many_words_is_refused_for_4_3() {
    let body = json!({"routing_key": "#.a.#.b.#"});
    for (compat, status) in [(Compat::V3_10, 201), (Compat::V4, 201), (Compat::V4_3, 400)] {
        let site = site_as(compat).await;
        for path in ["bindings/%2F/e/events/q/orders", "bindings/%2F/e/events/e/amq.fanout"] {
            let (got, answer) = send(&site, Method::POST, path, &body).await;
            assert_eq!(got, status, "{compat:?} {answer}");
            let reason =
                "Topic binding key '#.a.#.b.#' uses 3 '#' wildcards, at most 2 are allowed";
            assert!(status == 201 || answer["reason"] == json!(reason), "{answer}");
        }
    }
}

/// 3.10 escapes its reasons for a page.
#[tokio::test]
async fn reasons_are_plain_text_since_4() {
    let body = json!({"pattern": "^q", "definition": {"bogus": 1}});
    for (compat, shown) in [
        (Compat::V3_10, "{&lt;&lt;\"bogus\"&gt;&gt;,1}"),
        (Compat::V4, "{<<\"bogus\">>,1}"),
        (Compat::V4_3, "{<<\"bogus\">>,1}"),
    ] {
        let site = site_as(compat).await;
        let (status, answer) = send(&site, Method::PUT, "policies/%2F/p", &body).await;
        let reason = format!("Validation failed\n\n[{shown}] are not recognised policy settings\n");
        assert_eq!((status, &answer["reason"]), (400, &json!(reason)), "{compat:?}");
    }
}

#[tokio::test]
async fn a_policy_of_delayed_retries_that_could_not_work_is_refused() {
    let named =
        "is not a valid delayed retry type. Must be one of: all, failed, returned, disabled";
    let needs = "delayed-retry-min is required when delayed-retry-type is all";
    for compat in [Compat::V4, Compat::V4_3] {
        let site = site_as(compat).await;
        for path in ["policies/%2F/p", "operator-policies/%2F/p"] {
            for (definition, reason) in [
                (json!({"delayed-retry-type": "bogus"}), Some(format!("<<\"bogus\">> {named}"))),
                (json!({"delayed-retry-type": "all"}), Some(needs.to_owned())),
                (json!({"delayed-retry-type": "all", "delayed-retry-min": 5}), None),
                (json!({"queue-version": 1}), None),
            ] {
                let body = json!({"pattern": "^q", "definition": definition});
                let (status, answer) = send(&site, Method::PUT, path, &body).await;
                let expected = reason.map(|reason| format!("Validation failed\n\n{reason}\n"));
                assert_eq!(answer["reason"].as_str(), expected.as_deref(), "{path} {body}");
                assert_eq!(status == 400, expected.is_some(), "{path} {body}");
            }
        }
    }
}
