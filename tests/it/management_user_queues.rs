//! `GET /users/:user/queues`: the queues that a user has declared, as RabbitMQ 4.3.6 lists them.

use mq::wire::FieldTable;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::directory::{End, Served};
use crate::support::peer::Peer;

/// Asks as a user whose password is its name; answers the status and the JSON.
async fn ask(served: &Served, user: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
    let http = Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/api/{path}", served.management());
    let request = http.request(method, url).basic_auth(user, Some(user));
    let answer = request.body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

async fn queues(served: &Served, asker: &str, user: &str) -> Vec<String> {
    let path = format!("users/{user}/queues?columns=name");
    let (status, list) = ask(served, asker, Method::GET, &path, Value::Null).await;
    assert_eq!(status, 200, "{list}");
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

async fn put(served: &Served, user: &str, path: &str, body: Value) {
    let (status, told) = ask(served, user, Method::PUT, path, body).await;
    assert!([201, 204].contains(&status), "{path}: {status} {told}");
}

#[tokio::test]
async fn a_user_has_the_queues_that_it_was_the_first_to_declare() {
    for end in End::BOTH {
        let directory = TempDir::new().unwrap();
        let served = Served::start_with_management(directory.path());
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        put(&served, "guest", "vhosts/v", json!({})).await;
        for (user, tags) in [("eve", "administrator"), ("mallory", "management")] {
            let row = json!({"password": user, "tags": tags});
            put(&served, "guest", &format!("users/{user}"), row).await;
            put(&served, "guest", &format!("permissions/%2F/{user}"), all.clone()).await;
        }
        put(&served, "eve", "queues/%2F/e", json!({"durable": true})).await;
        put(&served, "guest", "queues/%2F/e", json!({"durable": true})).await;
        put(&served, "guest", "queues/v/inside", json!({"durable": true})).await;
        let file = json!({"queues": [{"name": "filed", "vhost": "/", "durable": true}]});
        assert_eq!(ask(&served, "eve", Method::POST, "definitions", file).await.0, 204);
        Peer::on_channel_one(served.address()).declare_durable("g", FieldTable::new());
        // A user that is gone leaves its queues.
        assert_eq!(ask(&served, "guest", Method::DELETE, "users/eve", Value::Null).await.0, 204);
        end.of(served);
        let served = Served::start_with_management(directory.path());
        assert_eq!(queues(&served, "guest", "eve").await, ["e", "filed"]);
        assert_eq!(queues(&served, "guest", "guest").await, ["g", "inside"]);
        assert_eq!(queues(&served, "guest", "stranger").await, [] as [&str; 0]);
        // In the vhosts that the asker sees.
        assert_eq!(queues(&served, "mallory", "guest").await, ["g"]);
        let (status, _) = ask(&served, "x", Method::GET, "users/guest/queues", Value::Null).await;
        assert_eq!(status, 401);
        let post = ask(&served, "guest", Method::POST, "users/guest/queues", json!({})).await;
        assert_eq!(post.0, 405);
    }
}
