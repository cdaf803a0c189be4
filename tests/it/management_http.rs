//! HTTP around the management API: headers, compression, origins, logins.

use reqwest::{Client, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::serve::MqServe;

struct Api {
    broker: MqServe,
    http: Client,
}

impl Api {
    fn start(options: &[&str]) -> Self {
        let http = Client::builder().no_proxy().build().unwrap();
        Self { broker: MqServe::start_with(options), http }
    }

    fn url(&self, path: &str) -> String {
        format!("{}api/{path}", self.broker.management_url())
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.http.request(method, self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.basic_auth("guest", Some("guest")).send().await.unwrap()
    }

    async fn log_in(&self, password: &str) -> StatusCode {
        let request = self.http.get(self.url("whoami")).basic_auth("guest", Some(password));
        request.send().await.unwrap().status()
    }
}

/// The values of some headers; an empty one of a header that is not there.
fn told<const N: usize>(answer: &Response, names: [&str; N]) -> [String; N] {
    let value = |name| answer.headers().get(name).map_or("", |value| value.to_str().unwrap());
    names.map(|name| value(name).to_owned())
}

#[tokio::test]
async fn answers_have_the_headers_that_rabbitmq_4_3_6_sends() {
    let api = Api::start(&[]);
    let names = ["allow", "cache-control", "vary", "content-security-policy"];
    #[rustfmt::skip]
    let cases = [
        (Method::GET,     "whoami",            "HEAD, GET, OPTIONS",              "no-cache",                            "accept, accept-encoding, origin"),
        (Method::GET,     "queues/%2F/nosuch", "HEAD, GET, PUT, DELETE, OPTIONS", "public, max-age=0, must-revalidate",  "accept, accept-encoding, origin"),
        (Method::PUT,     "overview",          "HEAD, GET, OPTIONS",              "public, max-age=0, must-revalidate",  "origin, accept-encoding"),
        (Method::OPTIONS, "definitions",       "HEAD, GET, POST, OPTIONS",        "public, max-age=0, must-revalidate",  "origin, accept-encoding"),
    ];
    for (method, path, allow, cache, vary) in cases {
        let answer = api.send(method.clone(), path, &[]).await;
        let policy = "script-src 'self'; object-src 'self'";
        assert_eq!(told(&answer, names), [allow, cache, vary, policy], "{method} {path}");
    }
}

#[tokio::test]
async fn long_answers_are_compressed_for_clients_that_take_gzip() {
    let api = Api::start(&["--metrics", "127.0.0.1:0"]);
    let overview = api.send(Method::GET, "overview", &[]).await.bytes().await.unwrap();
    let overview: Value = serde_json::from_slice(&overview).unwrap();
    let mut listeners = overview["listeners"].as_array().unwrap().iter();
    let listener = listeners.find(|one| one["protocol"] == "http/prometheus").unwrap();
    let metrics = format!("http://127.0.0.1:{}/metrics", listener["port"]);
    let plain = api.http.get(&metrics).send().await.unwrap();
    let plain = plain.bytes().await.unwrap();
    let packed = api.http.get(&metrics).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(told(&packed, ["content-encoding"]), ["gzip"]);
    let packed = packed.bytes().await.unwrap();
    assert!(packed.len() * 4 < plain.len(), "{} {}", packed.len(), plain.len());
    assert_eq!(packed[..2], [0x1f, 0x8b]);

    let overview = api.send(Method::GET, "overview", &[("accept-encoding", "br, gzip")]).await;
    assert_eq!(told(&overview, ["content-encoding"]), ["gzip"]);
    let mut text = String::new();
    let bytes = overview.bytes().await.unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*bytes), &mut text).unwrap();
    let overview: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(overview["rates_mode"], "basic");
    // As RabbitMQ, no short ones, and none for clients that do not name gzip.
    for (path, coding) in [("whoami", "gzip"), ("overview", "gzip;q=0"), ("overview", "*")] {
        let answer = api.send(Method::GET, path, &[("accept-encoding", coding)]).await;
        assert_eq!(told(&answer, ["content-encoding"]), [""], "{path} {coding}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_ask_only_if_the_operator_says_so() {
    let options = ["--http-cors-origin", "http://a", "--http-cors-max-age", "60"];
    let api = Api::start(&options);
    let origin = |origin| [("origin", origin), ("access-control-request-headers", "authorization")];
    let names = ["access-control-allow-origin", "access-control-allow-credentials"];
    let answer = api.send(Method::GET, "whoami", &origin("http://a")).await;
    assert_eq!(told(&answer, names), ["http://a", "true"]);
    let answer = api.send(Method::GET, "whoami", &origin("http://b")).await;
    assert_eq!(told(&answer, names), ["", ""]);
    // A browser asks without a login.
    let asked = api.http.request(Method::OPTIONS, api.url("queues/%2F/q"));
    let asked = asked.header("origin", "http://a");
    let asked = asked.header("access-control-request-headers", "authorization");
    let asked = asked.send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::OK);
    let [methods, headers, max_age] = told(
        &asked,
        ["access-control-allow-methods", "access-control-allow-headers", "access-control-max-age"],
    );
    let methods = methods.as_str();
    assert_eq!(
        (methods, headers.as_str(), max_age.as_str()),
        ("HEAD, GET, PUT, DELETE, OPTIONS", "authorization", "60")
    );
}

#[tokio::test]
async fn an_operator_adds_headers() {
    let api = Api::start(&["--http-header", "Referrer-Policy: no-referrer"]);
    let answer = api.send(Method::GET, "whoami", &[]).await;
    assert_eq!(told(&answer, ["referrer-policy"]), ["no-referrer"]);
}

#[tokio::test]
async fn definitions_are_saved_as_a_file_and_sent_again_only_if_they_have_changed() {
    let api = Api::start(&[]);
    let answer = api.send(Method::GET, "definitions?download=my.json", &[]).await;
    let [file, tag] = told(&answer, ["content-disposition", "etag"]);
    assert_eq!(file, "attachment; filename=my.json");
    let known = [("if-none-match", tag.as_str())];
    let again = api.send(Method::GET, "definitions", &known).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again.bytes().await.unwrap().len(), 0);
    api.send(Method::PUT, "vhosts/new", &[]).await;
    let changed = api.send(Method::GET, "definitions", &known).await;
    assert_eq!(changed.status(), StatusCode::OK);
    let refused = api.send(Method::GET, "definitions?download=a%0d%0ab", &[]).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_form_logs_in_without_other_credentials() {
    let api = Api::start(&[]);
    let post = async |form: &str| {
        let request = api.http.post(api.url("login"));
        let kind = "application/x-www-form-urlencoded";
        let request = request.header(header::CONTENT_TYPE, kind).body(form.to_owned());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap())
    };
    let user = json!({"name": "guest", "tags": ["administrator"], "is_internal_user": true});
    let token = json!({"type": "basic", "value": "Z3Vlc3Q6Z3Vlc3Q="});
    let expected = (200, json!({"user": user, "token": token}));
    assert_eq!(post("username=guest&password=guest").await, expected);
    let refused = (401, json!({"error": "not_authorized", "reason": "Not_Authorized"}));
    assert_eq!(post("username=guest&password=x").await, refused);
    assert_eq!(post("username=guest").await, refused);
}

#[tokio::test]
async fn an_address_that_fails_too_often_has_to_wait() {
    let api = Api::start(&["--http-failed-logins", "3"]);
    for _ in 0..3 {
        assert_eq!(api.log_in("wrong").await, StatusCode::UNAUTHORIZED);
    }
    let refused = api.send(Method::GET, "whoami", &[]).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let [wait] = told(&refused, ["retry-after"]);
    assert!((1..=60).contains(&wait.parse::<u64>().unwrap()), "{wait}");
    let unlimited = Api::start(&["--http-failed-logins", "0"]);
    for _ in 0..100 {
        assert_eq!(unlimited.log_in("wrong").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(unlimited.log_in("guest").await, StatusCode::OK);
}

#[tokio::test]
async fn statistics_are_left_out_if_the_request_or_the_operator_says_so() {
    let read = async |api: &Api, path: &str| -> Value {
        let answer = api.send(Method::GET, path, &[]).await.bytes().await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    };
    let never = Api::start(&["--http-disable-stats", "--http-queue-totals"]);
    let api = Api::start(&[]);
    for api in [&api, &never] {
        let body = json!({"durable": true}).to_string();
        let put = api.http.put(api.url("queues/%2F/q")).basic_auth("guest", Some("guest"));
        assert_eq!(put.body(body).send().await.unwrap().status(), StatusCode::CREATED);
    }
    let has = |object: &Value, names: [&str; 3]| names.map(|name| object.get(name).is_some());
    let names = ["messages", "message_stats", "memory"];
    assert_eq!(has(&read(&api, "queues/%2F/q").await, names), [true; 3]);
    let queue = read(&api, "queues/%2F/q?disable_stats=true").await;
    assert_eq!((has(&queue, names), &queue["state"]), ([false; 3], &json!("running")));
    let lengths = [true, false, false];
    let path = "queues?disable_stats=true&enable_queue_totals=true";
    assert_eq!(has(&read(&api, path).await[0], names), lengths);
    assert_eq!(has(&read(&never, "queues").await[0], names), lengths);
    let overview = read(&never, "overview").await;
    let names = ["message_stats", "queue_totals", "churn_rates"];
    assert_eq!((has(&overview, names), &overview["disable_stats"]), ([false; 3], &json!(true)));
    assert_eq!(overview["object_totals"]["queues"], 1);
    assert_eq!(has(&read(&api, "vhosts?disable_stats=true").await[0], names), [false; 3]);
    assert_eq!(
        has(&read(&api, "nodes?disable_stats=true").await[0], ["mem_used", "fd_used", "uptime"]),
        [false; 3]
    );
}
