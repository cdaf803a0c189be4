//! `GET /queues/:vhost/:queue/unacked`: the unacknowledged messages of a queue, over the binary.

use std::time::{Duration, Instant};

use mq::wire::method::{basic, channel, tx};
use mq::wire::{FieldTable, Method, Properties};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::serve::MqServe;
use crate::support::directory::Served;
use crate::support::peer::Peer;
use crate::support::queues::{name, persistent, write_publish};

/// The longest wait for a list to be as wanted.
const WAIT_MAX: Duration = Duration::from_secs(20);

struct Site {
    broker: MqServe,
    http: Client,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    fn start() -> Self {
        let http = Client::builder().no_proxy().build().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Self { broker: MqServe::start(), http, runtime }
    }

    fn peer(&self) -> Peer {
        Peer::on_channel_one(self.broker.address())
    }

    fn ask(&self, user: &str, path: &str) -> (u16, Value) {
        let url = format!("{}api/{path}", self.broker.management_url());
        self.runtime.block_on(async {
            let answer = self.http.get(url).basic_auth(user, Some(user)).send().await.unwrap();
            let status = answer.status().as_u16();
            (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
        })
    }

    fn change(&self, method: reqwest::Method, path: &str, body: &Value) {
        let url = format!("{}api/{path}", self.broker.management_url());
        let request = self.http.request(method, url).basic_auth("guest", Some("guest"));
        let sent = self.runtime.block_on(request.body(body.to_string()).send()).unwrap();
        assert!(sent.status().is_success(), "{path}: {}", sent.status());
    }

    /// The list of a queue, once it has so many rows.
    fn unacked(&self, queue: &str, rows: usize) -> Vec<Value> {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let (status, list) = self.ask("guest", &format!("queues/%2F/{queue}/unacked"));
            assert_eq!(status, 200, "{list}");
            let list = list.as_array().unwrap().clone();
            if list.len() == rows {
                return list;
            }
            assert!(Instant::now() < until, "{rows} rows were due: {list:#?}");
        }
    }
}

fn tags(rows: &[Value]) -> Vec<Option<u64>> {
    rows.iter().map(|row| row["delivery_tag"].as_u64()).collect()
}

#[test]
fn deliveries_are_listed_with_their_consumer_until_they_are_settled() {
    let site = Site::start();
    let mut peer = site.peer();
    peer.declare_durable("q", FieldTable::new());
    for body in [b"one".as_slice(), b"three"] {
        let mut bytes = Vec::new();
        write_publish(&mut bytes, ("", "q"), &Properties::default(), body);
        peer.send(&bytes);
    }
    let mut confirmed = site.peer().confirming();
    confirmed.confirmed("q", &persistent(), b"kept");
    assert_eq!(site.unacked("q", 0), [] as [Value; 0]);
    // One by a getter, which gives it back, and gets it once more.
    peer.got("q").unwrap();
    let nack = basic::Nack { delivery_tag: 1, requeue: true, ..Default::default() };
    peer.send_method(1, nack);
    peer.got("q").unwrap();
    peer.consume("q", 10, false);
    peer.delivered();
    peer.delivered();
    let rows = site.unacked("q", 3);
    assert_eq!(tags(&rows), [Some(2), Some(3), Some(4)]);
    let channel = json!(format!("{} -> {} (1)", peer.local_address(), site.broker.address()));
    let seen = |row: &Value| {
        assert_eq!(row["channel_details"]["name"], channel);
        assert_eq!(row["channel_details"]["user"], "guest");
        assert_eq!(row["queue"], json!({"name": "q", "vhost": "/"}));
        assert!(row["age_ms"].as_u64().is_some_and(|age| age < 60_000), "{row}");
        let fields = ["state", "delivered_by", "redelivered", "payload_bytes", "routing_key"];
        json!(fields.map(|field| row[field].clone()))
    };
    let seen: Vec<_> = rows.iter().map(seen).collect();
    let expected = [
        json!(["delivered", "basic.get", true, 3, "q"]),
        json!(["delivered", "basic.deliver", false, 5, "q"]),
        json!(["delivered", "basic.deliver", false, 4, "q"]),
    ];
    assert_eq!(seen, expected);
    assert_eq!(rows[0]["consumer_tag"], Value::Null);
    assert!(rows[1]["consumer_tag"].is_string());
    let properties = [1, 2].map(|at: usize| rows[at]["properties_bytes"].as_u64());
    assert_eq!(properties, [Some(2), Some(3)]);
    // A page, an order, columns.
    let (_, page) = site.ask(
        "guest",
        "queues/%2F/q/unacked?page=1&page_size=2&sort=payload_bytes&sort_reverse=true&columns=payload_bytes",
    );
    assert_eq!(page["items"], json!([{"payload_bytes": 5}, {"payload_bytes": 4}]));
    assert_eq!((&page["total_count"], &page["page_count"]), (&json!(3), &json!(2)));
    // The consumer goes, and its deliveries stay its own.
    let consumer_tag = rows[1]["consumer_tag"].as_str().unwrap().to_owned();
    peer.call(basic::Cancel { consumer_tag: name(&consumer_tag), nowait: false });
    assert_eq!(site.unacked("q", 3)[1]["consumer_tag"], json!(consumer_tag));
    peer.ack(3);
    assert_eq!(tags(&site.unacked("q", 2)), [Some(2), Some(4)]);
    peer.call(channel::Close::default());
    assert_eq!(site.unacked("q", 0), [] as [Value; 0]);
}

/// A row says what the session has in memory; the disk is not read for it.
#[test]
fn of_a_message_that_only_the_disk_has_only_its_size_is_listed() {
    let directory = TempDir::new().unwrap();
    let served = Served::start_with_management(directory.path());
    let mut peer = Peer::on_channel_one(served.address());
    peer.declare_durable("q", FieldTable::new());
    let mut confirmed = Peer::on_channel_one(served.address()).confirming();
    confirmed.confirmed("q", &persistent(), b"kept");
    confirmed.confirmed("q", &Properties::default(), b"transient");
    peer.got("q").unwrap();
    peer.got("q").unwrap();
    let url = format!("http://{}/api/queues/%2F/q/unacked", served.management());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows: Value = runtime.block_on(async {
        let http = Client::builder().no_proxy().build().unwrap();
        let asked = http.get(url).basic_auth("guest", Some("guest"));
        serde_json::from_slice(&asked.send().await.unwrap().bytes().await.unwrap()).unwrap()
    });
    let fields = ["payload_bytes", "properties_bytes", "exchange", "routing_key"];
    let seen = [0, 1].map(|at: usize| json!(fields.map(|field| rows[at][field].clone())));
    assert_eq!(seen, [json!([4, null, null, null]), json!([9, 2, "", "q"])]);
}

#[test]
fn deliveries_that_a_transaction_settles_are_unacknowledged_until_its_commit() {
    let site = Site::start();
    let mut peer = site.peer();
    peer.declare_durable("q", FieldTable::new());
    site.peer().confirming().confirmed("q", &persistent(), b"x");
    assert!(matches!(peer.call(tx::Select {}), Method::TxSelectOk(_)));
    peer.got("q").unwrap();
    assert_eq!(site.unacked("q", 1)[0]["state"], "delivered");
    peer.ack(1);
    peer.depth("q");
    assert_eq!(site.unacked("q", 1)[0]["state"], "uncommitted");
    assert!(matches!(peer.call(tx::Commit {}), Method::TxCommitOk(_)));
    assert_eq!(site.unacked("q", 0), [] as [Value; 0]);
}

/// Such a client is the one whose deliveries somebody wants to see.
#[test]
fn a_client_that_reads_nothing_is_listed_with_all_that_waits_for_it() {
    const MESSAGES: usize = 400;
    let site = Site::start();
    let mut deaf = site.peer();
    deaf.declare_durable("q", FieldTable::new());
    deaf.consume("q", 0, false);
    let mut publisher = site.peer().confirming();
    let body = vec![7; 50_000];
    for _ in 0..MESSAGES {
        publisher.confirmed("q", &Properties::default(), &body);
    }
    // The queue keeps what its consumer's mailbox has no room for.
    let until = Instant::now() + WAIT_MAX;
    let rows = loop {
        let (_, queue) = site.ask("guest", "queues/%2F/q");
        let unacked = queue["messages_unacknowledged"].as_u64().unwrap();
        let (_, rows) = site.ask("guest", "queues/%2F/q/unacked");
        let rows = rows.as_array().unwrap().clone();
        if rows.len() as u64 == unacked {
            break rows;
        }
        assert!(Instant::now() < until, "{unacked} are unacknowledged, {} are listed", rows.len());
    };
    let sent = rows.iter().take_while(|row| row["state"] == "delivered").count();
    assert!(sent > 0 && sent < rows.len(), "{sent} of {}", rows.len());
    for row in &rows[sent..] {
        assert_eq!(row["state"], "waiting");
        assert_eq!((&row["delivery_tag"], &row["age_ms"]), (&Value::Null, &Value::Null));
        assert_eq!((&row["payload_bytes"], &row["properties_bytes"]), (&json!(50_000), &json!(2)));
    }
}

#[test]
fn the_list_is_for_those_who_see_the_queue() {
    let site = Site::start();
    site.peer().declare_durable("q", FieldTable::new());
    let none = json!({"configure": "^$", "write": "^$", "read": "^$"});
    for (user, tags) in [("inside", "management"), ("outside", "management"), ("nobody", "")] {
        let user_row = json!({"password": user, "tags": tags});
        site.change(reqwest::Method::PUT, &format!("users/{user}"), &user_row);
    }
    site.change(reqwest::Method::PUT, "permissions/%2F/inside", &none);
    let cases = [
        ("guest", "queues/%2F/q/unacked", 200),
        ("guest", "queues/%2F/nope/unacked", 404),
        ("guest", "queues/nope/q/unacked", 404),
        ("guest", "queues/%2F/q/unacked?page=0", 400),
        ("inside", "queues/%2F/q/unacked", 200),
        ("outside", "queues/%2F/q/unacked", 404),
        ("nobody", "queues/%2F/q/unacked", 401),
        ("stranger", "queues/%2F/q/unacked", 401),
    ];
    for (user, path, status) in cases {
        assert_eq!(site.ask(user, path).0, status, "{user} {path}");
    }
}
