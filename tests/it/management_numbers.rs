//! Numbers of the node, and the past of all numbers, over HTTP.

use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use reqwest::Client;
use serde_json::Value;

use crate::management::Site;
use crate::serve::MqServe;
use crate::support::directory::Served;

/// The longest wait for a sample: they are 5 seconds apart.
const SAMPLE_MAX: Duration = Duration::from_mins(1);

#[tokio::test]
async fn the_memory_of_the_node_is_told_in_bytes_and_in_percent() {
    let site = Site::start().await;
    let memory = site.read("nodes/mq@test/memory").await["memory"].clone();
    let sum: u64 = memory.as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(memory["total"]["rss"], sum);
    assert!(memory["code"].as_u64() > Some(0), "{memory}");
    let relative = site.read("nodes/mq@test/memory/relative").await["memory"].clone();
    assert_eq!(relative["total"], 100);
    let bytes = memory["other_system"].as_f64().unwrap() / memory["total"]["rss"].as_f64().unwrap();
    let percent = relative["other_system"].as_f64().unwrap();
    assert!((bytes * 100.0 - percent).abs() < 5.0, "{bytes} {percent}");
    let node = site.client().get_node_memory_footprint("mq@test").await.unwrap();
    assert!(node.breakdown.is_some());
}

#[tokio::test]
async fn the_node_tells_what_it_has_done_and_has_in_use() {
    let site = Site::start().await;
    let node = site.read("nodes/mq@test").await;
    assert_eq!(node["queue_created"], 3);
    assert_eq!(node["queue_created_details"]["rate"], 0.0);
    for name in ["mem_used", "fd_used", "proc_used", "context_switches"] {
        assert!(node[name].as_u64() > Some(0), "{name}: {}", node[name]);
        assert!(node[format!("{name}_details")]["rate"].is_number(), "{name}");
    }
}

/// The samples of a number, from the newest to the oldest.
fn samples(details: &Value) -> Vec<u64> {
    let samples = details["samples"].as_array().expect("samples were asked for").iter();
    samples.map(|sample| sample["sample"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn samples_tell_the_past_of_a_queue_of_its_vhost_and_of_the_broker() {
    let broker = MqServe::start();
    let http = Client::builder().no_proxy().build().unwrap();
    let ask = async |path: &str| -> Value {
        let url = format!("{}api/{path}", broker.management_url());
        let answer = http.get(url).basic_auth("guest", Some("guest")).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    let url = format!("amqp://guest:guest@{}/%2f", broker.address());
    let client = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = client.create_channel().await.unwrap();
    channel
        .queue_declare("q".into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await
        .unwrap();
    for _ in 0..3 {
        let (options, plain) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish("".into(), "q".into(), options, b"x", plain).await.unwrap();
    }
    let asked = "msg_rates_age=60&msg_rates_incr=5&lengths_age=60&lengths_incr=5\
        &data_rates_age=60&data_rates_incr=5&node_stats_age=60&node_stats_incr=5";
    let end = Instant::now() + SAMPLE_MAX;
    let queue = loop {
        let queue = ask(&format!("queues/%2F/q?{asked}")).await;
        let lengths = &queue["messages_details"];
        // A client that sees a rate finds it in the samples as well (Hop's tests ask for both).
        if lengths["rate"].as_f64() > Some(0.0) {
            assert!(lengths["avg"].as_f64() > Some(0.0), "{lengths}");
        }
        if samples(lengths)[0] == 3 {
            break queue;
        }
        assert!(Instant::now() < end, "no sample has the messages: {queue}");
    };
    let lengths = samples(&queue["messages_details"]);
    assert_eq!((lengths.len(), lengths[12]), (13, 0));
    assert_eq!(samples(&queue["message_stats"]["publish_details"])[0], 3);
    assert!(queue["messages_details"]["avg"].as_f64() > Some(0.0));
    let rate = queue["messages_details"]["avg_rate"].as_f64().unwrap();
    assert!((rate - 3.0 / 60.0).abs() < 1e-9, "{rate}");
    let vhost = ask(&format!("vhosts/%2F?{asked}")).await;
    assert_eq!(samples(&vhost["messages_details"])[0], 3);
    assert_eq!(samples(&vhost["message_stats"]["publish_details"])[0], 3);
    assert!(samples(&vhost["recv_oct_details"])[0] > 0);
    let overview = ask(&format!("overview?{asked}")).await;
    assert_eq!(samples(&overview["queue_totals"]["messages_ready_details"])[0], 3);
    assert_eq!(samples(&overview["message_stats"]["publish_details"])[0], 3);
    assert_eq!(samples(&overview["churn_rates"]["queue_created_details"])[0], 1);
    let nodes = ask(&format!("nodes?{asked}")).await;
    assert!(samples(&nodes[0]["mem_used_details"])[0] > 0);
    let listed = ask(&format!("queues?{asked}")).await;
    assert_eq!(samples(&listed[0]["messages_details"])[0], 3);
    // Without the parameters there are none.
    let plain = ask("queues/%2F/q").await;
    assert_eq!(plain["messages_details"]["samples"], Value::Null);
    let refused = ask("queues/%2F/q?lengths_age=6000&lengths_incr=5").await;
    assert_eq!(refused["reason"], "Invalid range parameters: age 6000, incr 5");
}

#[tokio::test]
async fn the_cluster_has_an_identity_that_stays_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let http = Client::builder().no_proxy().build().unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let served = Served::start_with_management(directory.path());
        let path = "api/global-parameters/internal_cluster_id";
        let url = format!("http://{}/{path}", served.management());
        let answer = http.get(url).basic_auth("guest", Some("guest")).send().await.unwrap();
        let id: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert!(id["value"].as_str().unwrap().starts_with("rabbitmq-cluster-id-"), "{id}");
        told.push(id["value"].clone());
        served.stop();
    }
    assert_eq!(told[0], told[1]);
}
