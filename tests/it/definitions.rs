//! Definitions that come in, at the start and over HTTP: what RabbitMQ and its older releases export is taken, as a whole
//! or not at all, and is there after a kill.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::support::cli::Running;
use super::support::directory::serving;
use rustix::process::Signal;

/// A broker of a directory with its management API.
struct Node {
    running: Running,
    api: String,
    http: reqwest::Client,
}

impl Node {
    fn start(directory: &Path, options: &[&str]) -> Self {
        // Another test may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut command = serving(directory);
        command.args(["--http", "127.0.0.1:0", "--print-url"]).args(options);
        let mut running = Running::spawn(&mut command, "listening on");
        running.line();
        let api = format!("{}api/", running.line().trim());
        Self { running, api, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn ask(&self, login: &str, method: Method, path: &str, body: Vec<u8>) -> (u16, Value) {
        let (user, password) = login.split_once(':').unwrap();
        let request = self.http.request(method, format!("{}{path}", self.api));
        let response = request.basic_auth(user, Some(password)).body(body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn get(&self, login: &str, path: &str) -> Value {
        let (status, body) = self.ask(login, Method::GET, path, Vec::new()).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn import(&self, definitions: &Value) -> (u16, Value) {
        let body = definitions.to_string().into_bytes();
        let (status, answer) = self.ask("guest:guest", Method::POST, "definitions", body).await;
        (status, answer["reason"].clone())
    }

    fn kill(mut self) -> String {
        let said = self.running.said().to_owned();
        self.running.signal(Signal::KILL);
        said + &self.running.end().2
    }
}

/// The values that a list of objects has in one field, in order.
fn each(list: &Value, field: &str) -> Vec<String> {
    let text = |value: &Value| value[field].as_str().unwrap_or_default().to_owned();
    let mut texts: Vec<_> = list.as_array().unwrap().iter().map(text).collect();
    texts.sort();
    texts
}

/// What RabbitMQ 3.5 to 4.3 export, as they export it; `admin` has the password `secret`.
fn exported() -> Value {
    json!({
        "rabbit_version": "4.3.6",
        "users": [
            {"name": "admin", "password": "secret", "tags": ["administrator"], "limits": {}},
            // The hash of `test12` and a salt of four bytes.
            {"name": "old", "password_hash": "kI3GChNpte2FApYFXScl+0dIluk=",
             "hashing_algorithm": "rabbit_password_hashing_md5", "tags": "management"},
        ],
        "vhosts": [
            {"name": "v", "limits": [], "metadata": {"description": "d", "tags": ["t"], "default_queue_type": "quorum",
             "protected_from_deletion": true}},
            {"name": "w", "default_queue_type": ""},
            {"name": "x", "default_queue_type": "undefined"},
        ],
        "permissions": [
            {"user": "admin", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"},
            {"user": "old", "vhost": "v", "configure": "", "write": "", "read": ".*"},
        ],
        "parameters": [
            {"component": "shovel", "vhost": "v", "name": "s", "value": {"src-uri": "amqp://", "src-queue": "a"}},
            {"component": "federation-upstream", "vhost": "v", "name": "up", "value": {"uri": "amqp://localhost"}},
            {"component": "federation-upstream-set", "vhost": "v", "name": "set", "value": [{"upstream": "up"}]},
        ],
        "policies": [
            {"vhost": "v", "name": "f", "pattern": "^x", "definition": {"federation-upstream-set": "all"}},
            {"vhost": "v", "name": "l", "pattern": "^q", "definition": {"queue-master-locator": "min-masters"}},
        ],
        "queues": [
            {"name": "typed", "vhost": "v"},
            {"name": "q", "vhost": "v", "durable": true, "auto_delete": false,
             "arguments": {"x-queue-type": "classic", "x-queue-master-locator": "min-masters"}},
            {"name": "amq.gen-1", "vhost": "v", "durable": true, "auto_delete": false, "arguments": {}},
            {"name": "transient", "vhost": "v", "durable": false, "arguments": []},
        ],
        "exchanges": [
            {"name": "x", "vhost": "v", "type": "topic"},
            {"name": "late", "vhost": "v", "type": "x-delayed-message", "arguments": {"x-delayed-type": "direct"}},
            {"name": "amq.rabbitmq.log", "vhost": "v", "type": "topic", "durable": true, "auto_delete": false},
        ],
        "bindings": [
            {"source": "x", "vhost": "v", "destination": "q", "destination_type": "queue", "routing_key": "k"},
            {"source": "x", "vhost": "v", "destination": "late", "destination_type": "exchange", "routing_key": "#"},
            {"source": "x", "vhost": "v", "destination": "internal", "destination_type": "exchange", "routing_key": "#"},
            {"source": "internal", "vhost": "v", "destination": "q", "destination_type": "queue", "routing_key": "#"},
        ],
    })
}

async fn check_exported(node: &Node, transient: bool) {
    let get = async |path: &str| node.get("admin:secret", path).await;
    assert_eq!(each(&get("users").await, "name"), ["admin", "old"], "no guest was made");
    assert_eq!(each(&get("vhosts").await, "name"), ["v", "w", "x"], "no / was made");
    assert_eq!(node.get("old:test12", "whoami").await["name"], "old", "an MD5 hash logs in");
    assert_eq!(get("vhosts/w").await["default_queue_type"], "classic");
    let vhost = get("vhosts/v").await;
    assert_eq!(
        (&vhost["protected_from_deletion"], &vhost["metadata"]["protected_from_deletion"]),
        (&json!(true), &json!(true))
    );
    let queues = get("queues/v").await;
    let expected = if transient { vec!["q", "transient", "typed"] } else { vec!["q", "typed"] };
    assert_eq!(each(&queues, "name"), expected);
    assert_eq!(get("queues/v/typed").await["type"], "quorum", "the type that the vhost says");
    assert_eq!(get("exchanges/v/x").await["durable"], true);
    let bindings = get("exchanges/v/x/bindings/source").await;
    assert_eq!(each(&bindings, "destination"), ["late", "q"]);
    assert_eq!(
        each(&get("parameters").await, "component"),
        ["federation-upstream", "federation-upstream-set", "shovel"]
    );
    let exported = get("definitions").await;
    assert_eq!(each(&exported["parameters"], "name"), ["s", "set", "up"]);
    assert_eq!(exported["users"][1]["hashing_algorithm"], "rabbit_password_hashing_md5");
}

#[tokio::test]
async fn a_file_of_rabbitmq_makes_the_broker_that_it_describes_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (file, data) = (directory.path().join("d.json"), directory.path().join("data"));
    let text = exported().to_string();
    fs::write(&file, ["\u{feff}", text.as_str()].concat()).unwrap();
    let node = Node::start(&data, &["--definitions", file.to_str().unwrap()]);
    check_exported(&node, true).await;
    let log = node.kill();
    for (words, count) in [
        ("parameters of components that mq does not run", 1),
        ("federation-upstream, federation-upstream-set, shovel", 1),
        ("with a reserved name", 2),
        ("a binding is left out", 2),
    ] {
        assert_eq!(log.matches(words).count(), count, "{words}: {log}");
    }
    let node = Node::start(&data, &[]);
    check_exported(&node, false).await;

    // A vhost that is protected stays, until it no longer is.
    let change = async |method, path: &str| {
        let (status, body) = node.ask("admin:secret", method, path, b"{}".to_vec()).await;
        (status, body["reason"].as_str().unwrap_or_default().to_owned())
    };
    let refused = "Refusing to delete virtual host 'v' because it is protected from deletion";
    assert_eq!(change(Method::DELETE, "vhosts/v").await, (412, refused.to_owned()));
    assert_eq!(change(Method::PUT, "vhosts/v").await.0, 204);
    assert_eq!(change(Method::DELETE, "vhosts/v").await.0, 412);
    assert_eq!(change(Method::DELETE, "vhosts/v/deletion/protection").await.0, 204);
    assert_eq!(change(Method::DELETE, "vhosts/v").await.0, 204);
    assert_eq!(change(Method::POST, "vhosts/w/deletion/protection").await.0, 204);
    assert_eq!(change(Method::DELETE, "vhosts/w").await.0, 412);
    let missing = "Cannot enable deletion protection of virtual host 'v' because it does not exist";
    assert_eq!(
        change(Method::POST, "vhosts/v/deletion/protection").await,
        (404, missing.to_owned())
    );
    assert_eq!(change(Method::DELETE, "vhosts/v/deletion/protection").await.0, 404);
    let parameters = node.get("admin:secret", "parameters").await;
    assert_eq!(parameters, json!([]), "they went with their vhost");
    node.kill();
}

#[tokio::test]
async fn what_cannot_be_taken_changes_nothing_and_the_rest_of_the_defaults_are_rabbitmqs() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path(), &[]);
    let shovel =
        json!({"component": "shovel", "vhost": "/", "name": "s", "value": {"src-queue": "a"}});
    let user = json!([{"name": "u", "password_hash": "kI3GChNpte2FApYFXScl+0dIluk=", "tags": "management"}]);
    #[rustfmt::skip]
    let refused = [
        json!({"users": user, "queues": [{"name": "a", "vhost": "/"}, {"name": "b", "vhost": "/", "arguments": {"x-max-length": -1}}]}),
        json!({"users": user, "exchanges": [{"name": "a", "vhost": "/", "type": "fanout"}, {"name": "b", "vhost": "/", "type": "nope"}]}),
        json!({"users": user, "exchanges": [{"name": "a", "vhost": "/", "type": "headers"}], "bindings": [
            {"source": "a", "vhost": "/", "destination": "amq.topic", "destination_type": "exchange", "arguments": {"x-match": "nope"}}]}),
        json!({"users": user, "vhosts": [{"name": "v"}], "permissions": [{"user": "u", "vhost": "v", "configure": "(", "write": "", "read": ""}]}),
        json!({"users": user, "vhosts": [{"name": "v"}], "policies": [{"vhost": "v", "name": "p", "pattern": "", "definition": {"nope": 1}}]}),
        json!({"users": user, "parameters": [shovel, {"component": "shovel", "vhost": "nope", "name": "s", "value": {}}]}),
    ];
    let before = node.get("guest:guest", "definitions").await;
    for definitions in &refused {
        assert_eq!(node.import(definitions).await.0, 400, "{definitions}");
        assert_eq!(node.get("guest:guest", "definitions").await, before, "{definitions}");
    }
    // An export from before 3.6 does not say that its hashes are MD5.
    let old =
        json!({"rabbit_version": "3.5.7", "users": user, "parameters": [shovel], "queues": null});
    assert_eq!(node.import(&old).await, (204, Value::Null));
    assert_eq!(node.get("u:test12", "whoami").await["name"], "u");
    assert_eq!(node.import(&json!({})).await.0, 204);
    let delete = async || {
        node.ask("guest:guest", Method::DELETE, "parameters/shovel/%2F/s", Vec::new()).await.0
    };
    assert_eq!((delete().await, delete().await), (204, 404));
    node.kill();
}

/// Two syncs for each of them would take more than a minute.
#[tokio::test]
async fn thousands_of_definitions_are_written_down_at_once_and_survive_a_kill() {
    let queue = |at: usize| json!({"name": format!("q{at}"), "vhost": format!("v{}", at % 3)});
    let source = |at: usize| if at.is_multiple_of(2) { "amq.topic" } else { "x" };
    let binding = |at: usize| {
        json!({"source": source(at), "vhost": format!("v{}", at / 2 % 3), "destination": format!("q{}", at / 2),
               "destination_type": "queue", "routing_key": format!("key.{at}")})
    };
    let definitions = json!({
        "vhosts": [{"name": "v0"}, {"name": "v1"}, {"name": "v2"}],
        "permissions": [{"user": "guest", "vhost": "v0", "configure": ".*", "write": ".*", "read": ".*"}],
        "exchanges": (0..3).map(|at| json!({"name": "x", "vhost": format!("v{at}"), "type": "direct"})).collect::<Vec<_>>(),
        "queues": (0..3000).map(queue).collect::<Vec<_>>(),
        "bindings": (0..6000).map(binding).collect::<Vec<_>>(),
    });
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path(), &[]);
    let began = Instant::now();
    assert_eq!(node.import(&definitions).await.0, 204);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "it took {took:?}");
    node.kill();
    let node = Node::start(directory.path(), &[]);
    let exported = node.get("guest:guest", "definitions").await;
    let len = |list: &str| exported[list].as_array().unwrap().len();
    assert_eq!((len("queues"), len("bindings"), len("exchanges")), (3000, 6000, 3));
    node.kill();
}

/// What a user sees who may be in one vhost of two: RabbitMQ 4.3 leaves the node's own facts out.
#[tokio::test]
async fn the_overview_counts_only_what_its_reader_may_see() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path(), &[]);
    let definitions = json!({
        "users": [{"name": "u", "password": "p", "tags": "management"}],
        "vhosts": [{"name": "hidden"}],
        "permissions": [{"user": "u", "vhost": "/", "configure": "", "write": "", "read": ""},
                        {"user": "guest", "vhost": "hidden", "configure": "", "write": ".*", "read": ""}],
        "queues": [{"name": "q", "vhost": "/"}, {"name": "a", "vhost": "hidden"}, {"name": "b", "vhost": "hidden"}],
    });
    assert_eq!(node.import(&definitions).await, (204, Value::Null));
    let message =
        json!({"properties": {}, "routing_key": "a", "payload": "x", "payload_encoding": "string"});
    let path = "exchanges/hidden/amq.default/publish";
    let body = message.to_string().into_bytes();
    assert_eq!(node.ask("guest:guest", Method::POST, path, body).await.0, 200);
    for (login, queues, messages, sees_all) in [("guest:guest", 3, 1, true), ("u:p", 1, 0, false)] {
        let overview = node.get(login, "overview").await;
        assert_eq!(overview["object_totals"]["queues"], queues, "{login}");
        assert_eq!(overview["queue_totals"]["messages"], messages, "{login}");
        for field in ["node", "listeners", "contexts"] {
            assert_eq!(overview.get(field).is_some(), sees_all, "{login}: {field}");
        }
        assert_eq!(overview["object_totals"].get("consumers").is_some(), sees_all, "{login}");
    }
    // A permission for `(?R)` is one for nothing in RabbitMQ 3.10, which refuses it.
    let body = json!({"configure": "(?R)", "write": "", "read": ""}).to_string().into_bytes();
    assert_eq!(node.ask("guest:guest", Method::PUT, "permissions/%2F/u", body).await.0, 400);
    node.kill();
}
