//! What is put, posted and deleted over HTTP: codes and reasons seen on RabbitMQ 3.10.8, and what follows in the broker.

use mq::broker::arguments::QueueKind;
use mq::broker::policies::PolicySubject;
use mq::broker::registry::Peer;
use mq::wire::method::basic;
use mq::wire::shortstr::literal;
use mq::wire::{Properties, frame};
use reqwest::Method;
use serde_json::{Value, json};

use super::management::Site;
use super::support::session::{Client, ready};

pub(super) const GUEST: (&str, &str) = ("guest", "guest");
/// The connection of the site, which is guest's.
const CONNECTION: &str = "connections/127.0.0.1%3A50164%20-%3E%20127.0.0.1%3A5672";

/// Asks with a body; answers the status and the body, if it is JSON.
async fn send(
    site: &Site,
    login: (&str, &str),
    method: Method,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    send_text(site, login, method, path, text).await
}

/// The same with a body that is sent as it is.
pub(super) async fn send_text(
    site: &Site,
    login: (&str, &str),
    method: Method,
    path: &str,
    body: String,
) -> (u16, Value) {
    let url = format!("http://{}/api/{path}", site.address);
    let request = site.http.request(method, url).basic_auth(login.0, Some(login.1));
    let request = if body.is_empty() { request } else { request.body(body) };
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
    (status, body)
}

/// Requests of guest, one after the other: method, path, body, status, and the reason when it is refused.
async fn play(site: &Site, steps: &[(&str, &str, Value, u16, Value)]) {
    for (method, path, body, status, reason) in steps {
        let method_of = Method::from_bytes(method.as_bytes()).unwrap();
        let (got, answer) = send(site, GUEST, method_of, path, body).await;
        let told = (got, answer["reason"].clone());
        assert_eq!(told, (*status, reason.clone()), "{method} {path} {body}");
    }
}

fn missing() -> Value {
    json!("Not Found")
}

#[tokio::test]
async fn users_and_permissions_are_put_and_deleted() {
    let site = Site::start().await;
    let all = |write: &str| json!({"configure": "", "write": write, "read": ""});
    let null = Value::Null;
    #[rustfmt::skip]
    let steps = [
        ("PUT", "users/u", json!({"password": "x"}), 400, json!("tags_not_present")),
        ("PUT", "users/u", null.clone(), 400, json!("tags_not_present")),
        ("PUT", "users/u", json!({"password": "x", "tags": "a, b"}), 201, null.clone()),
        ("PUT", "users/u", json!({"tags": ""}), 204, null.clone()),
        ("PUT", "users/u", json!({"password_hash": "!!", "tags": ""}), 400, json!(["not_base64", "!!"])),
        ("PUT", "users/u", json!({"password": "a", "password_hash": "AAAA", "tags": ""}), 400, json!("both_password_and_password_hash_are_provided")),
        ("PUT", "users/u", json!({"password": "p", "tags": ["management"]}), 204, null.clone()),
        ("GET", "users/nope", null.clone(), 404, missing()),
        ("PUT", "permissions/%2F/u", json!({"configure": "", "write": ""}), 400, json!("[{key_missing,read}]")),
        ("PUT", "permissions/%2F/u", all("("), 400, json!(["invalid_regexp", "(", "{\"missing )\",1}"])),
        ("PUT", "permissions/%2F/nope", all(""), 400, json!("vhost_or_user_not_found")),
        ("PUT", "permissions/nov/u", all(""), 400, json!("vhost_or_user_not_found")),
        ("GET", "permissions/%2F/u", null.clone(), 404, missing()),
        ("PUT", "permissions/%2F/u", all("a"), 201, null.clone()),
        ("PUT", "permissions/%2F/u", all("b"), 204, null.clone()),
        ("PUT", "topic-permissions/%2F/u", json!({"write": "a", "read": "b"}), 400, json!("[{key_missing,exchange}]")),
        ("PUT", "topic-permissions/%2F/u", json!({"exchange": "amq.topic", "write": "a", "read": "b"}), 201, null.clone()),
        ("DELETE", "topic-permissions/%2F/u/amq.topic", null.clone(), 204, null.clone()),
        ("DELETE", "topic-permissions/%2F/u", null.clone(), 404, missing()),
        ("GET", "topic-permissions/%2F/u", null.clone(), 404, missing()),
        ("DELETE", "permissions/%2F/u", null.clone(), 204, null.clone()),
        ("DELETE", "permissions/%2F/u", null.clone(), 404, missing()),
        ("PUT", "user-limits/u/max-channels", json!({"value": 5}), 204, null.clone()),
        ("PUT", "user-limits/u/bogus", json!({"value": 5}), 400, json!("Unrecognised terms [{<<\"bogus\">>,5}] in user-limits")),
        ("PUT", "user-limits/u/max-channels", json!({"value": "a"}), 400, json!("max-channels should be a number, actually was <<\"a\">>")),
        ("PUT", "user-limits/nope/max-channels", json!({"value": 1}), 400, json!(["no_such_user", "nope"])),
    ];
    play(&site, &steps).await;
    assert_eq!(
        site.read("user-limits").await,
        json!([{"user": "u", "value": {"max-channels": 5}}])
    );
    assert_eq!(site.read("users/without-permissions").await[0]["name"], "u");
    assert_eq!(site.read("users/u").await["tags"], json!(["management"]));
    let hash = site.read("users/u").await["password_hash"].clone();
    #[rustfmt::skip]
    let steps = [
        ("PUT", "users/v", json!({"password_hash": hash, "tags": ""}), 201, null.clone()),
        ("POST", "users/bulk-delete", json!({}), 400, json!("[{key_missing,users}]")),
        ("POST", "users/bulk-delete", json!({"users": ["u", "zz"]}), 204, null.clone()),
        ("DELETE", "users/u", null.clone(), 404, missing()),
        ("DELETE", "users/v", null.clone(), 204, null.clone()),
    ];
    play(&site, &steps).await;
    assert_eq!(site.broker.users.list().len(), 1);
}

#[tokio::test]
async fn limits_of_the_node_are_put() {
    let site = Site::start().await;
    let limits = format!("nodes/{}/limits", site.broker.node);
    let limits = limits.as_str();
    let null = Value::Null;
    let wrong = json!("disk_free_limit should be {\"relative\": PART} or {\"absolute\": BYTES}");
    #[rustfmt::skip]
    let steps = [
        ("PUT", limits, json!({"disk_free_limit": {"absolute": 7}}), 204, null.clone()),
        ("PUT", limits, json!({"vm_memory_high_watermark": {"absolute": 8}}), 204, null.clone()),
        ("PUT", limits, null.clone(), 400, json!("no limit is named")),
        ("PUT", limits, json!({"disk_free_limit": 7}), 400, wrong.clone()),
        ("PUT", limits, json!({"disk_free_limit": {"absolute": 1, "relative": 1}}), 400, wrong.clone()),
        ("PUT", limits, json!({"disk_free_limit": {"relative": -1}}), 400, wrong),
        ("PUT", limits, json!({"disk_free_limit": {"absolute": 1}, "x": {"absolute": 1}}), 400, json!("x is not a limit of the node: disk_free_limit and vm_memory_high_watermark are")),
        ("PUT", "nodes/other@host/limits", json!({"disk_free_limit": {"absolute": 1}}), 404, missing()),
    ];
    play(&site, &steps).await;
    let node = &site.read("nodes").await[0];
    assert_eq!((&node["disk_free_limit"], &node["mem_limit"]), (&json!(7), &json!(8)));
    assert_eq!(node["mem_alarm"], true, "it is checked at once");
}

#[tokio::test]
async fn vhosts_and_their_limits_are_put_and_deleted() {
    let site = Site::start().await;
    let null = Value::Null;
    #[rustfmt::skip]
    let steps = [
        ("PUT", "vhosts/v", json!({"description": "d", "tags": "a,b"}), 201, null.clone()),
        ("PUT", "vhosts/v", null.clone(), 204, null.clone()),
        ("PUT", "vhost-limits/v/max-queues", json!({"value": 1}), 204, null.clone()),
        ("PUT", "vhost-limits/v/max-queues", json!({"value": "5"}), 400, json!("Validation failed\n\nmax-queues should be a number, actually was <<\"5\">>\n")),
        ("PUT", "vhost-limits/v/bogus", json!({"value": 5}), 400, json!("Validation failed\n\nUnrecognised terms [{<<\"bogus\">>,5}] in limits\n")),
        ("PUT", "vhost-limits/nov/max-queues", json!({"value": 5}), 404, json!("vhost_not_found")),
        ("PUT", "vhost-limits/v/max-queues", json!({}), 400, json!("[{key_missing,value}]")),
        ("PUT", "queues/v/q", json!({"durable": true}), 201, null.clone()),
        ("PUT", "queues/v/r", json!({}), 400, json!("cannot declare queue 'r': queue limit in vhost 'v' (1) is reached")),
    ];
    play(&site, &steps).await;
    let bogus = json!({"default_queue_type": "bogus"});
    let (status, answer) = send(&site, GUEST, Method::PUT, "vhosts/v", &bogus).await;
    assert_eq!((status, &answer["reason"]), (400, &json!("unsupported queue type 'bogus'")));
    let vhost = site.read("vhosts/v").await;
    assert_eq!((&vhost["description"], &vhost["tags"]), (&json!("d"), &json!(["a", "b"])));
    let limits = json!({"vhost": "v", "value": {"max-queues": 1}});
    assert_eq!(site.read("vhost-limits").await, json!([limits]));
    let permission =
        json!({"user": "guest", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"});
    assert_eq!(site.read("vhosts/v/permissions").await, json!([permission]));
    #[rustfmt::skip]
    let steps = [
        ("DELETE", "vhost-limits/v/max-queues", null.clone(), 204, null.clone()),
        ("PUT", "vhosts/v", json!({"default_queue_type": "classic"}), 204, null.clone()),
        ("PUT", "queues/v/r", json!({}), 201, null.clone()),
        ("PUT", "queues/v/s", json!({"durable": true}), 201, null.clone()),
        ("PUT", "queues/v/s", json!({"durable": true}), 204, null.clone()),
    ];
    play(&site, &steps).await;
    let arguments = |queue: Value| queue["arguments"].clone();
    let typed = json!({"x-queue-type": "classic"});
    assert_eq!(arguments(site.read("queues/v/r").await), typed);
    assert_eq!(arguments(site.read("queues/v/s").await), typed, "the vhost's type for such");
    #[rustfmt::skip]
    let steps = [
        ("DELETE", "vhosts/v", null.clone(), 204, null.clone()),
        ("DELETE", "vhosts/v", null.clone(), 404, missing()),
        ("PUT", "queues/v/q", json!({}), 404, json!("vhost_not_found")),
    ];
    play(&site, &steps).await;
    assert_eq!(site.read("permissions").await.as_array().unwrap().len(), 1);
    assert_eq!(site.read("parameters").await, json!([]));
}

#[tokio::test]
async fn policies_apply_when_they_are_put() {
    let site = Site::start().await;
    let null = Value::Null;
    let policy =
        |pattern: &str, definition: Value| json!({"pattern": pattern, "definition": definition});
    #[rustfmt::skip]
    let steps = [
        ("PUT", "policies/%2F/p", policy("(", json!({"max-length": 1})), 400, json!("Validation failed\n\npattern should be regular expression but is invalid: {\"missing )\",1}\n")),
        ("PUT", "policies/%2F/p", policy("a", json!({"bogus": 5})), 400, json!("Validation failed\n\n[{<<\"bogus\">>,5}] are not recognised policy settings\n")),
        ("PUT", "policies/%2F/p", json!({"definition": {}}), 400, json!("[{key_missing,pattern}]")),
        ("PUT", "policies/%2F/p", json!("x"), 400, json!("not_json")),
        ("PUT", "policies/nov/p", policy("a", json!({"max-length": 1})), 404, json!("vhost_not_found")),
        ("PUT", "policies/%2F/p", policy("^ord", json!({"message-ttl": 700, "max-length": 9})), 201, null.clone()),
        ("PUT", "policies/%2F/x", json!({"pattern": "^events", "apply-to": "exchanges", "definition": {"alternate-exchange": "amq.fanout"}}), 201, null.clone()),
        ("PUT", "operator-policies/%2F/o", policy("", json!({"dead-letter-exchange": "x"})), 400, json!("Validation failed\n\n[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings\n")),
        ("PUT", "operator-policies/%2F/o", policy("", json!({"max-length": 5})), 201, null.clone()),
    ];
    play(&site, &steps).await;
    let vhost = site.broker.vhost("/").unwrap();
    let limits = |queue: &str| {
        let limits = vhost.find_queue(queue).unwrap().limits();
        (limits.message_ttl_ms, limits.max_length)
    };
    // Its argument is less than what the policy says.
    assert_eq!(limits("orders"), (Some(600), Some(5)));
    assert_eq!(limits("zebra"), (None, Some(5)));
    let row = site.read("queues/%2F/orders").await;
    assert_eq!((&row["policy"], &row["operator_policy"]), (&json!("p"), &json!("o")));
    assert_eq!(row["effective_policy_definition"], json!({"max-length": 5, "message-ttl": 700}));
    let row = site.read("exchanges/%2F/events").await;
    assert_eq!((&row["policy"], &row["operator_policy"]), (&json!("x"), &json!("o")));
    let expected = json!([{"vhost": "/", "name": "o", "pattern": "", "apply-to": "all",
        "definition": {"max-length": 5}, "priority": 0}]);
    assert_eq!(site.read("operator-policies").await, expected);
    assert_eq!(site.read("policies").await.as_array().unwrap().len(), 2);
    assert_eq!(site.read("parameters").await[0]["component"], "operator_policy");
    assert!(
        vhost
            .policies()
            .applied(PolicySubject::Queue("new", QueueKind::Classic))
            .operator
            .is_some()
    );
    #[rustfmt::skip]
    let steps = [
        ("PUT", "queues/%2F/ordinary", json!({}), 201, null.clone()),
        ("DELETE", "policies/%2F/nope", null.clone(), 404, missing()),
        ("DELETE", "operator-policies/%2F/o", null.clone(), 204, null.clone()),
    ];
    play(&site, &steps).await;
    assert_eq!(limits("ordinary"), (Some(700), Some(9)), "declared under a policy");
    assert_eq!(limits("zebra"), (None, None));
    play(&site, &[("DELETE", "policies/%2F/p", null.clone(), 204, null.clone())]).await;
    assert_eq!(limits("orders"), (Some(600), None));
}

#[tokio::test]
async fn queues_exchanges_and_bindings_are_put_and_deleted() {
    let site = Site::start().await;
    let null = Value::Null;
    let refused = || json!("Access refused.");
    #[rustfmt::skip]
    let steps = [
        ("PUT", "queues/%2F/q", json!({"durable": true}), 201, null.clone()),
        ("PUT", "queues/%2F/q", json!({"durable": "true"}), 204, null.clone()),
        ("PUT", "queues/%2F/q", json!({}), 400, json!("inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'")),
        ("PUT", "queues/%2F/q", json!({"durable": "no"}), 400, json!(["not_boolean", "no"])),
        ("PUT", "queues/%2F/r", json!({"arguments": {"x-message-ttl": -1}}), 400, json!("invalid arg 'x-message-ttl' for queue 'r' in vhost '/': {value_negative,-1}")),
        ("PUT", "queues/%2F/amq.x", json!({}), 401, refused()),
        ("PUT", "queues/nov/q", json!({}), 404, json!("vhost_not_found")),
        ("DELETE", "queues/%2F/nope/contents", null.clone(), 404, missing()),
        ("DELETE", "queues/%2F/q/contents", null.clone(), 204, null.clone()),
        ("PUT", "exchanges/%2F/x", json!({"type": "topic", "durable": true}), 201, null.clone()),
        ("PUT", "exchanges/%2F/x", json!({"type": "fanout"}), 400, json!("inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'topic'")),
        ("PUT", "exchanges/%2F/amq.y", json!({"type": "topic"}), 401, refused()),
        ("PUT", "exchanges/%2F/amq.default", json!({"type": "direct"}), 401, refused()),
        ("DELETE", "exchanges/%2F/amq.topic", null.clone(), 401, refused()),
        ("POST", "bindings/%2F/e/x/q/q", json!({"routing_key": "a.#"}), 201, null.clone()),
        ("POST", "bindings/%2F/e/x/e/amq.topic", json!({}), 201, null.clone()),
        ("POST", "bindings/%2F/e/nope/q/q", json!({}), 404, json!("no exchange 'nope' in vhost '/'")),
        ("POST", "bindings/%2F/e/x/q/nope", json!({}), 404, json!("no queue 'nope' in vhost '/'")),
        ("POST", "bindings/%2F/e/amq.default/q/q", json!({}), 401, refused()),
        ("DELETE", "bindings/%2F/e/x/q/q/zz", null.clone(), 404, missing()),
        ("DELETE", "bindings/%2F/e/x/q/q/a.%2523", null.clone(), 204, null.clone()),
        ("DELETE", "exchanges/%2F/x?if-unused=true", null.clone(), 400, json!("exchange 'x' in vhost '/' in use")),
        ("DELETE", "bindings/%2F/e/x/e/amq.topic/~", null.clone(), 204, null.clone()),
        ("DELETE", "exchanges/%2F/x?if-unused=true", null.clone(), 204, null.clone()),
        ("DELETE", "exchanges/%2F/x", null.clone(), 404, missing()),
        ("DELETE", "queues/%2F/orders?if-unused=true", null.clone(), 400, json!("queue 'orders' in vhost '/' in use")),
        ("DELETE", "queues/%2F/q?if-empty=true", null.clone(), 204, null.clone()),
        ("DELETE", "queues/%2F/q", null.clone(), 404, missing()),
    ];
    play(&site, &steps).await;
    let url = format!("http://{}/api/bindings/%2F/e/amq.topic/q/zebra", site.address);
    let request =
        site.http.post(url).basic_auth("guest", Some("guest")).body("{\"routing_key\":\"#\"}");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["location"], "zebra/%2523");
}

#[tokio::test]
async fn parameters_are_those_of_components_that_are_there() {
    let site = Site::start().await;
    let null = Value::Null;
    #[rustfmt::skip]
    let steps = [
        ("PUT", "parameters/foo/%2F/n", json!({"value": {}}), 400, json!("Validation failed\n\ncomponent foo not found\n")),
        ("PUT", "parameters/policy/%2F/n", json!({"value": {}}), 400, json!("policies may not be set using this method")),
        ("PUT", "parameters/vhost-limits/%2F/limits", json!({"value": {"max-queues": 3, "a": 1}}), 400, json!("Validation failed\n\nUnrecognised terms [{<<\"a\">>,1}] in limits\n")),
        ("PUT", "parameters/vhost-limits/%2F/limits", json!({"value": {"max-queues": 30}}), 201, null.clone()),
        ("DELETE", "parameters/foo/%2F/limits", null.clone(), 404, missing()),
        ("PUT", "global-parameters/g", json!({"value": {"a": [1, 2]}}), 201, null.clone()),
        ("PUT", "global-parameters/g", json!({"value": 5}), 204, null.clone()),
        ("PUT", "global-parameters/g", json!({}), 400, json!("[{key_missing,value}]")),
        ("PUT", "cluster-name", json!({"name": "x"}), 204, null.clone()),
    ];
    play(&site, &steps).await;
    let limits = json!({"value": {"max-queues": 30}, "vhost": "/", "component": "vhost-limits", "name": "limits"});
    assert_eq!(site.read("parameters/vhost-limits").await, json!([limits]));
    assert_eq!(site.read("parameters/vhost-limits/%2F/limits").await, limits);
    assert_eq!(site.read("global-parameters/g").await, json!({"name": "g", "value": 5}));
    assert_eq!(site.read("overview").await["cluster_name"], "x");
    #[rustfmt::skip]
    let steps = [
        ("DELETE", "parameters/vhost-limits/%2F/limits", null.clone(), 204, null.clone()),
        ("DELETE", "global-parameters/g", null.clone(), 204, null.clone()),
        ("DELETE", "global-parameters/g", null.clone(), 404, missing()),
    ];
    play(&site, &steps).await;
}

/// What comes out of one broker makes another one like it.
#[tokio::test]
async fn definitions_go_from_one_broker_to_another() {
    let (one, other) = (Site::start().await, Site::start().await);
    let null = Value::Null;
    #[rustfmt::skip]
    let steps = [
        ("PUT", "vhosts/v", json!({"description": "d"}), 201, null.clone()),
        ("PUT", "users/bob", json!({"password": "x", "tags": "policymaker"}), 201, null.clone()),
        ("PUT", "user-limits/bob/max-channels", json!({"value": 5}), 204, null.clone()),
        ("PUT", "permissions/v/bob", json!({"configure": "^a", "write": "", "read": ".*"}), 201, null.clone()),
        ("PUT", "topic-permissions/v/bob", json!({"exchange": "amq.topic", "write": "a", "read": "b"}), 201, null.clone()),
        ("PUT", "policies/v/p", json!({"pattern": "q", "definition": {"max-length": 3}, "priority": 2}), 201, null.clone()),
        ("PUT", "operator-policies/v/o", json!({"pattern": "q", "definition": {"expires": 3000}}), 201, null.clone()),
        ("PUT", "vhost-limits/v/max-queues", json!({"value": 100}), 204, null.clone()),
        ("PUT", "queues/v/q", json!({"durable": true, "arguments": {"x-message-ttl": 5}}), 201, null.clone()),
        ("PUT", "exchanges/v/x", json!({"type": "headers", "durable": true}), 201, null.clone()),
        ("POST", "bindings/v/e/x/q/q", json!({"arguments": {"x-match": "any", "a": "b"}}), 201, null.clone()),
    ];
    play(&one, &steps).await;
    let definitions = one.read("definitions").await;
    for _ in 0..2 {
        assert_eq!(send(&other, GUEST, Method::POST, "definitions", &definitions).await.0, 204);
        assert_eq!(other.read("definitions").await, definitions);
    }
    // A vhost's definitions tell its name, which another one has not.
    let lists = |mut definitions: Value| {
        let facts = ["explanation", "original_vhost_name", "description", "metadata"];
        definitions.as_object_mut().unwrap().retain(|name, _| !facts.contains(&name.as_str()));
        definitions
    };
    let inside = one.read("definitions/v").await;
    assert_eq!(inside["original_vhost_name"], "v");
    assert_eq!(inside["limits"], json!({"max-queues": 100}));
    assert_eq!(inside["queues"][0].get("vhost"), None);
    play(&other, &[("PUT", "vhosts/w", null.clone(), 201, null.clone())]).await;
    assert_eq!(send(&other, GUEST, Method::POST, "definitions/w", &inside).await.0, 204);
    assert_eq!(lists(other.read("definitions/w").await), lists(inside));
    #[rustfmt::skip]
    let steps = [
        ("POST", "definitions", json!([]), 400, json!("failed_to_parse_json")),
        ("POST", "definitions", json!({"users": [{"name": "x"}]}), 400, json!("tags_not_present")),
        ("POST", "definitions/nov", json!({}), 404, json!("vhost_not_found")),
        // A binding to what is not there is left out, as RabbitMQ does.
        ("POST", "definitions", json!({"bindings": [{"source": "x", "vhost": "v", "destination": "nope", "destination_type": "queue", "routing_key": "", "arguments": {}}]}), 204, null.clone()),
    ];
    play(&other, &steps).await;
}

/// Makes a user of each tag, who may do all in `/`, and a vhost where none has a permission.
async fn make_users(site: &Site) {
    let null = Value::Null;
    let mut steps = Vec::new();
    for (user, tags) in [
        ("nobody", ""),
        ("manager", "management"),
        ("maker", "policymaker"),
        ("monitor", "monitoring"),
        ("admin", "administrator"),
    ] {
        let path = match user {
            "nobody" => ["users/nobody", "permissions/%2F/nobody"],
            "manager" => ["users/manager", "permissions/%2F/manager"],
            "maker" => ["users/maker", "permissions/%2F/maker"],
            "admin" => ["users/admin", "permissions/%2F/admin"],
            _ => ["users/monitor", "permissions/%2F/monitor"],
        };
        steps.push(("PUT", path[0], json!({"password": "x", "tags": tags}), 201, null.clone()));
        let all = json!({"configure": "^mine", "write": ".*", "read": ".*"});
        steps.push(("PUT", path[1], all, 201, null.clone()));
    }
    steps.push(("PUT", "vhosts/hidden", null.clone(), 201, null.clone()));
    play(site, &steps).await;
}

#[tokio::test]
async fn tags_say_who_may_change_what() {
    let site = Site::start().await;
    make_users(&site).await;
    let null = Value::Null;
    let policy = || json!({"pattern": "x", "definition": {"max-length": 1}});
    #[rustfmt::skip]
    let cases = [
        ("nobody",  Method::GET,    "queues",                 null.clone(), 401, "Not management user"),
        ("manager", Method::PUT,    "users/x",                json!({"tags": ""}), 401, "Not administrator user"),
        ("manager", Method::PUT,    "vhosts/x",               null.clone(), 401, "Not administrator user"),
        ("manager", Method::PUT,    "policies/%2F/p",         policy(),     401, "User not authorised to access object"),
        ("maker",   Method::PUT,    "policies/%2F/p",         policy(),     201, ""),
        ("maker",   Method::PUT,    "policies/hidden/p",      policy(),     404, "Not Found"),
        ("maker",   Method::PUT,    "operator-policies/%2F/p", policy(),    401, "Not administrator user"),
        ("monitor", Method::DELETE, "policies/%2F/p",         null.clone(), 401, "User not authorised to access object"),
        ("manager", Method::PUT,    "queues/%2F/mine",        json!({}),    201, ""),
        ("manager", Method::PUT,    "queues/%2F/other",       json!({}),    401, "Access refused."),
        ("manager", Method::GET,    "queues/hidden",          null.clone(), 404, "Not Found"),
        ("manager", Method::PUT,    "queues/hidden/mine",     json!({}),    404, "Not Found"),
        ("monitor", Method::GET,    "queues/hidden",          null.clone(), 404, "Not Found"),
        ("admin",   Method::GET,    "queues/hidden",          null.clone(), 200, ""),
        ("admin",   Method::PUT,    "queues/hidden/mine",     json!({}),    401, "Access refused."),
        ("admin",   Method::GET,    "vhosts/hidden",          null.clone(), 200, ""),
        ("monitor", Method::GET,    "vhosts/%2F",             null.clone(), 401, "Not administrator user"),
        ("manager", Method::GET,    "parameters",             null.clone(), 401, "User not authorised to access object"),
        ("monitor", Method::GET,    "parameters/policy/%2F",  null.clone(), 401, "User not authorised to access object"),
        ("monitor", Method::GET,    "global-parameters",      null.clone(), 401, "User not authorised to access object"),
        ("maker",   Method::PUT,    "global-parameters/g",    json!({"value": 1}), 201, ""),
        ("monitor", Method::GET,    "policies/%2F/p",         null.clone(), 401, "User not authorised to access object"),
        ("maker",   Method::GET,    "operator-policies/%2F/p", null.clone(), 401, "Not administrator user"),
        ("monitor", Method::GET,    "auth/hash_password/x",   null.clone(), 401, "Not administrator user"),
        ("manager", Method::GET,    "user-limits/manager",    null.clone(), 200, ""),
        ("monitor", Method::GET,    "user-limits/manager",    null.clone(), 200, ""),
        ("manager", Method::GET,    "user-limits/monitor",    null.clone(), 401, "User not authorised to access object"),
        ("manager", Method::GET,    "connections/username/manager", null.clone(), 200, ""),
        ("manager", Method::GET,    "connections/username/guest", null.clone(), 401, "User not authorised to access object"),
        ("manager", Method::GET,    CONNECTION,               null.clone(), 401, "User not authorised to access object"),
        ("monitor", Method::GET,    CONNECTION,               null.clone(), 200, ""),
        ("monitor", Method::DELETE, CONNECTION,               null.clone(), 401, "User not authorised to access object"),
        ("monitor", Method::DELETE, "connections/username/guest", null.clone(), 401, "User not authorised to access object"),
        ("manager", Method::DELETE, "connections/username/manager", null.clone(), 204, ""),
        ("manager", Method::PUT,    "queues/%2F/%zz",         json!({}),    400, "the path is not percent-encoded UTF-8"),
        ("manager", Method::GET,    "queues/%2F/%FF",         json!({}),    400, "the path is not percent-encoded UTF-8"),
        ("admin",   Method::PUT,    "users/x",                json!({"tags": "", "limits": "x"}), 400, "limits should be an object"),
        ("manager", Method::POST,   "definitions",            json!({}),    401, "Not administrator user"),
    ];
    for (user, method, path, body, status, reason) in cases {
        let (got, answer) = send(&site, (user, "x"), method.clone(), path, &body).await;
        let told = answer["reason"].as_str().unwrap_or_default();
        assert_eq!((got, told), (status, reason), "{user} {method} {path}");
    }
    let names = |answer: &Value| answer.as_array().unwrap().len();
    assert_eq!(names(&send(&site, ("manager", "x"), Method::GET, "vhosts", &null).await.1), 1);
    assert_eq!(names(&send(&site, ("monitor", "x"), Method::GET, "vhosts", &null).await.1), 2);
    assert_eq!(names(&send(&site, ("manager", "x"), Method::GET, "connections", &null).await.1), 0);
    assert_eq!(names(&send(&site, ("monitor", "x"), Method::GET, "connections", &null).await.1), 1);
}

#[tokio::test]
async fn a_connection_is_closed_with_the_reason_that_was_given() {
    let site = Site::start().await;
    let listed = site.read("connections").await[0]["name"].as_str().unwrap().to_owned();
    let connection = site.broker.registry.list().into_iter().find(|one| *one.peer.name == *listed);
    let connection = connection.unwrap();
    let reasons = || {
        let mut posts = std::collections::VecDeque::new();
        connection.mailbox.drain(&mut posts);
        format!("{posts:?}")
    };
    let path = listed.replace(' ', "%20").replace('>', "%3E").replace(':', "%3A");
    let url = format!("http://{}/api/connections/{path}", site.address);
    for (given, told) in [(None, "Closed via management plugin"), (Some("go away"), "go away")] {
        let mut request = site.http.delete(&url).basic_auth("guest", Some("guest"));
        if let Some(reason) = given {
            request = request.header("X-Reason", reason);
        }
        assert_eq!(request.send().await.unwrap().status().as_u16(), 204);
        let posted = reasons();
        assert!(posted.contains("ConnectionForced") && posted.contains(told), "{posted}");
    }
    let null = Value::Null;
    #[rustfmt::skip]
    let steps = [
        ("DELETE", "connections/nope", null.clone(), 404, missing()),
        ("DELETE", "connections/username/guest", null.clone(), 204, null.clone()),
    ];
    play(&site, &steps).await;
    assert!(reasons().contains("Closed via management plugin"));
    let stranger = site.broker.connect(Peer { name: "silent".into(), ..connection.peer.clone() });
    assert!(stranger.agreed().is_none(), "one that has not logged in is nobody's");
    assert_eq!(literal("guest"), connection.agreed().unwrap().user);
}

/// Whoever binds over HTTP gets what the exchange remembers, as over AMQP.
#[tokio::test]
async fn a_queue_that_is_bound_over_http_gets_the_recent_history() {
    let site = Site::start().await;
    let null = Value::Null;
    let declare = json!({"type": "x-recent-history", "durable": true});
    let before = [
        ("PUT", "exchanges/%2F/recent", declare, 201, null.clone()),
        ("PUT", "queues/%2F/early", json!({"durable": true}), 201, null.clone()),
        ("PUT", "queues/%2F/late", json!({"durable": true}), 201, null.clone()),
        ("POST", "bindings/%2F/e/recent/q/early", json!({}), 201, null.clone()),
    ];
    play(&site, &before).await;
    let mut client = Client::open(&site.broker, 0);
    let publish = basic::Publish { exchange: literal("recent"), ..Default::default() };
    let mut bytes = Vec::new();
    for body in [b"1", b"2"] {
        frame::write_method(&mut bytes, 1, &publish.clone().into());
        frame::write_content(&mut bytes, 1, &Properties::default().to_bytes(), body, 131_072);
    }
    client.bytes(&bytes, 0);
    let bind = ("POST", "bindings/%2F/e/recent/q/late", json!({}), 201, null);
    play(&site, &[bind.clone(), bind]).await;
    assert_eq!(["early", "late"].map(|queue| ready(&site.broker, queue)), [2, 2]);
}

#[tokio::test]
async fn what_one_node_need_not_do_is_done() {
    let site = Site::start().await;
    let null = Value::Null;
    #[rustfmt::skip]
    let steps = [
        ("PUT", "queues/%2F/q", json!({}), 201, null.clone()),
        ("POST", "queues/%2F/q/actions", json!({"action": "sync"}), 400, json!(["unknown", "sync"])),
        ("POST", "queues/%2F/q/actions", json!({"action": "bogus"}), 400, json!(["unknown", "bogus"])),
        ("POST", "queues/%2F/q/actions", json!({}), 400, json!("[{key_missing,action}]")),
        ("POST", "queues/%2F/nope/actions", json!({"action": "sync"}), 404, missing()),
        ("PUT", "policies/%2F/ha", json!({"pattern": ".", "definition": {"ha-mode": "all"}}), 201, null.clone()),
        ("PUT", "feature-flags/implicit_default_bindings/enable", json!({}), 204, null.clone()),
        ("PUT", "feature-flags/quorum_queue/enable", json!({}), 204, null.clone()),
        ("POST", "rebalance/queues", json!({}), 204, null.clone()),
        ("POST", "vhosts/%2F/start/mq@nowhere", json!({}), 400, json!("The given node is not a member of the cluster")),
        ("GET", "health/checks/reached-target-cluster-size", null.clone(), 200, null.clone()),
        ("GET", "health/checks/metadata-store/initialized/with-data", null.clone(), 200, null.clone()),
        ("GET", "health/checks/quorum-queues-without-elected-leaders/vhost/%2F/pattern/.*", null.clone(), 200, null.clone()),
        ("GET", "health/checks/quorum-queues-without-elected-leaders/vhost/nope/pattern/.*", null.clone(), 404, missing()),
        ("GET", "queues/quorum/%2F/q/status", null.clone(), 503, json!("classic_queue_not_supported")),
        ("GET", "queues/quorum/%2F/nope/status", null.clone(), 404, missing()),
        ("PUT", "feature-flags/bogus/enable", json!({}), 400, json!("unsupported")),
        ("GET", "health/checks/certificate-expiration/1/days", null.clone(), 200, null.clone()),
        ("GET", "health/checks/certificate-expiration/x/days", null.clone(), 400, json!("Invalid expiration value.")),
        ("GET", "health/checks/certificate-expiration/1/hours", null.clone(), 400,
            json!("Time unit not recognised. Supported units: days, weeks, months, years.")),
    ];
    play(&site, &steps).await;
}

#[tokio::test]
async fn a_path_may_end_in_a_slash() {
    let site = Site::start().await;
    let null = Value::Null;
    let steps = [
        ("GET", "queues/", null.clone(), 200, null.clone()),
        ("GET", "queues/%2F/", null.clone(), 200, null.clone()),
        ("GET", "connections/?columns=name", null.clone(), 200, null.clone()),
        ("PUT", "queues/%2F/q/", json!({}), 201, null.clone()),
        ("GET", "queues//", null.clone(), 404, missing()),
        ("GET", "queues//q", null.clone(), 404, missing()),
    ];
    play(&site, &steps).await;
}

/// RabbitMQ unquotes the key that it finds in a path once more than other names.
#[tokio::test]
async fn a_binding_is_found_by_its_key_quoted_once_or_twice() {
    let site = Site::start().await;
    for key in ["a.%23", "a.%2523"] {
        let path = format!("bindings/%2F/e/amq.topic/q/zebra/{key}");
        let binding = json!({"routing_key": "a.#"});
        let path_of_both = "bindings/%2F/e/amq.topic/q/zebra";
        assert_eq!(send(&site, GUEST, Method::POST, path_of_both, &binding).await.0, 201);
        assert_eq!(site.read(&path).await["properties_key"], "a.%23", "{key}");
        assert_eq!(send(&site, GUEST, Method::DELETE, &path, &Value::Null).await.0, 204, "{key}");
        assert_eq!(send(&site, GUEST, Method::DELETE, &path, &Value::Null).await.0, 404, "{key}");
    }
}

#[tokio::test]
async fn counts_of_logins_are_told_and_begin_again() {
    let site = Site::start().await;
    let http = async || site.read("auth/attempts/mq@test").await[0].clone();
    assert_eq!(send(&site, ("guest", "wrong"), Method::GET, "whoami", &Value::Null).await.0, 401);
    let told = http().await;
    assert_eq!((&told["protocol"], &told["auth_attempts_failed"]), (&json!("http"), &json!(1)));
    assert_eq!(told["auth_attempts"], told["auth_attempts_succeeded"].as_u64().unwrap() + 1);
    let path = "auth/attempts/mq@test";
    assert_eq!(send(&site, GUEST, Method::DELETE, path, &Value::Null).await.0, 204);
    assert_eq!(http().await["auth_attempts_failed"], 0);
    let user = json!({"password_hash": site.read("auth/hash_password/pw").await["ok"], "tags": "management"});
    assert_eq!(send(&site, GUEST, Method::PUT, "users/hashed", &user).await.0, 201);
    assert_eq!(send(&site, ("hashed", "pw"), Method::GET, "whoami", &Value::Null).await.0, 200);
}
