//! Our own client and engine: whatever the commands ask of a broker, RabbitMQ and `mq` answer the same.

use std::sync::Arc;
use std::time::Duration;

use mq::engine::payload;
use mq::engine::{
    ApiList, BindingSpec, Category, ConsumeOptions, Consumer, DeleteExchange, DeleteQueue,
    Delivery, Destination, Engine, Error, Event, ExchangeSpec, FieldTable, FieldValue, Fields,
    Message, Properties, PublishOutcome, PublisherOptions, QueueSpec, ReplyTo, Requeue, RpcOptions,
    ShortStr, Target, TargetOptions, literal,
};

use crate::broker::Broker;

/// No scenario here waits for anything but the broker.
const SCENARIO_MAX: Duration = Duration::from_mins(1);

on_all! {
    topology_is_made_checked_and_taken_away,
    a_thousand_messages_are_confirmed_and_the_lost_ones_named,
    what_is_not_there_is_told_with_the_names_that_are_close,
    the_engine_goes_on_after_a_refusal,
    a_consumer_settles_its_deliveries,
    a_consumer_hears_that_its_queue_is_gone,
    messages_are_taken_one_by_one,
    calls_find_their_replies,
    a_call_that_nobody_takes_fails_at_once,
    every_list_is_read,
    a_message_survives_its_json_line,
    a_large_body_comes_back_whole,
    a_wrong_login_and_a_wrong_vhost_are_told_apart,
}

/// Runs a scenario on an engine of its own and says goodbye.
fn run(broker: &Broker, scenario: impl AsyncFnOnce(&Engine)) {
    block_on(async {
        let engine = engine(broker).await;
        scenario(&engine).await;
        engine.close().await.expect("the broker says goodbye");
    });
}

fn block_on(scenario: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async { tokio::time::timeout(SCENARIO_MAX, scenario).await });
    ended.expect("the scenario ends");
}

async fn engine(broker: &Broker) -> Engine {
    let options = TargetOptions {
        url: Some(broker.url()),
        http_url: Some(broker.management_url()),
        ..TargetOptions::default()
    };
    let target = Target::resolve(options, |_| None).expect("a target");
    Engine::open(target).await.expect("an engine")
}

fn short(text: &str) -> ShortStr {
    ShortStr::try_from(text).expect("a short name")
}

fn message(key: &str, body: &str) -> Message {
    Message { routing_key: short(key), body: body.to_owned().into(), ..Message::default() }
}

async fn declare(engine: &Engine, name: &str) -> ShortStr {
    let queue = QueueSpec { name: short(name), durable: true, ..QueueSpec::default() };
    engine.declare_queue(&queue).await.expect("a queue is declared").name
}

async fn publish(engine: &Engine, queue: &str, bodies: &[&str]) {
    let mut publisher = engine.publisher(PublisherOptions::default()).await.unwrap();
    for body in bodies {
        publisher.send(&message(queue, body)).await.expect("a message is sent");
    }
    let report = publisher.flush().await.expect("the broker answers");
    assert_eq!(report.confirmed, bodies.len() as u64);
}

async fn delivery(consumer: &mut Consumer) -> Delivery {
    match consumer.next().await.expect("the consumer lives") {
        Event::Delivery(delivery) => delivery,
        Event::Cancelled => panic!("the consumer was cancelled"),
    }
}

fn topology_is_made_checked_and_taken_away(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        let exchange = |name: &'static str, kind: &'static str| ExchangeSpec {
            name: literal(name),
            kind: literal(kind),
            ..ExchangeSpec::default()
        };
        engine.declare_exchange(&exchange("logs", "fanout")).await.unwrap();
        engine.declare_exchange(&exchange("in", "topic")).await.unwrap();
        engine.check_exchange(&literal("logs")).await.unwrap();
        let arguments = FieldTable::new().with("x-message-ttl", FieldValue::I32(60_000));
        let spec = QueueSpec { name: literal("q"), arguments, durable: true, ..Default::default() };
        let state = engine.declare_queue(&spec).await.unwrap();
        assert_eq!((state.message_count, state.consumer_count), (0, 0));
        let binding = |source: &str, destination| BindingSpec {
            source: short(source),
            destination,
            routing_key: literal("a.#"),
            arguments: FieldTable::new(),
        };
        let to_queue = binding("logs", Destination::Queue(literal("q")));
        let to_exchange = binding("in", Destination::Exchange(literal("logs")));
        engine.bind(&to_queue).await.unwrap();
        engine.bind(&to_exchange).await.unwrap();
        let mut publisher = engine.publisher(PublisherOptions::default()).await.unwrap();
        let routed = Message { exchange: literal("in"), ..message("a.b", "hi") };
        assert_eq!(publisher.send_and_wait(&routed).await.unwrap(), PublishOutcome::Confirmed);
        assert_eq!(engine.check_queue(&literal("q")).await.unwrap().message_count, 1);
        engine.unbind(&to_exchange).await.unwrap();
        let lost = publisher.send_and_wait(&routed).await.unwrap();
        assert_eq!(lost, PublishOutcome::Unroutable { code: 312, text: "NO_ROUTE".into() });
        assert_eq!(engine.purge(&literal("q")).await.unwrap(), 1);
        publish(engine, "q", &["1", "2"]).await;
        let if_empty = DeleteQueue { if_empty: true, ..DeleteQueue::default() };
        let refused = engine.delete_queue(&literal("q"), if_empty).await.unwrap_err();
        assert_eq!(refused.category(), Category::Refused);
        let deleted = engine.delete_queue(&literal("q"), DeleteQueue::default()).await;
        assert_eq!(deleted.unwrap(), 2);
        engine.delete_exchange(&literal("logs"), DeleteExchange::default()).await.unwrap();
        let gone = engine.delete_exchange(&literal("logs"), DeleteExchange::default()).await;
        assert!(matches!(gone.unwrap_err(), Error::Refused { code: 404, .. }));
    });
}

fn a_thousand_messages_are_confirmed_and_the_lost_ones_named(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        declare(engine, "here").await;
        let options = PublisherOptions { mandatory: true, window: 100 };
        let mut publisher = engine.publisher(options).await.unwrap();
        for number in 1..=1000 {
            let key = if number % 100 == 0 { "nowhere" } else { "here" };
            assert_eq!(publisher.send(&message(key, "body")).await.unwrap(), number);
            assert!(publisher.unconfirmed() <= 100);
        }
        let report = publisher.flush().await.unwrap();
        assert_eq!((report.confirmed, report.unroutable, report.refused), (990, 10, 0));
        let numbers: Vec<u64> = report.failed.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=10).map(|hundreds| hundreds * 100).collect::<Vec<u64>>());
        assert_eq!(engine.check_queue(&literal("here")).await.unwrap().message_count, 990);
    });
}

fn what_is_not_there_is_told_with_the_names_that_are_close(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        declare(engine, "orders").await;
        let error = engine.purge(&literal("ordres")).await.unwrap_err();
        let vhost = broker.vhost();
        assert_eq!(
            error.to_string(),
            format!(
                "the broker refused to purge queue 'ordres': \
                 404 NOT_FOUND - no queue 'ordres' in vhost '{vhost}'"
            )
        );
        assert_eq!(error.hint().as_deref(), Some("did you mean 'orders'?"));
        assert_eq!(error.category(), Category::Refused);
        let mut publisher = engine.publisher(PublisherOptions::default()).await.unwrap();
        let lost = Message { exchange: literal("amq.topik"), ..message("k", "body") };
        let error = publisher.send_and_wait(&lost).await.unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("did you mean 'amq.topic'?"));
    });
}

fn the_engine_goes_on_after_a_refusal(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        declare(engine, "q").await;
        let other = QueueSpec { name: literal("q"), ..QueueSpec::default() };
        let error = engine.declare_queue(&other).await.unwrap_err();
        assert!(matches!(&error, Error::Refused { code: 406, .. }), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(engine.check_queue(&literal("q")).await.unwrap().name, "q");
    });
}

fn a_consumer_settles_its_deliveries(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        let queue = declare(engine, "work").await;
        publish(engine, "work", &["1", "2", "3"]).await;
        let options = ConsumeOptions { queue: queue.clone(), prefetch: 2, ..Default::default() };
        let mut consumer = engine.consume(options.clone()).await.unwrap();
        let (first, second) = (delivery(&mut consumer).await, delivery(&mut consumer).await);
        assert_eq!((&first.body[..], &second.body[..]), (&b"1"[..], &b"2"[..]));
        assert!(!first.redelivered);
        consumer.ack(&first).unwrap();
        let third = delivery(&mut consumer).await;
        assert_eq!(&third.body[..], b"3");
        consumer.settler().nack(&second, Requeue::No).unwrap();
        consumer.close().await.unwrap();
        let mut consumer = engine.consume(options).await.unwrap();
        let again = delivery(&mut consumer).await;
        assert!(again.redelivered);
        assert_eq!(&again.body[..], b"3");
        consumer.settler().ack_up_to(&again).unwrap();
        consumer.cancel().await.unwrap();
        assert_eq!(consumer.next().await.unwrap(), Event::Cancelled);
        consumer.close().await.unwrap();
        let state = engine.check_queue(&queue).await.unwrap();
        assert_eq!((state.message_count, state.consumer_count), (0, 0));
    });
}

/// How many queues RabbitMQ may take: 4.3 that has just started sends no `basic.cancel` for its first queue if that queue
/// goes within some 30 ms.
const ATTEMPTS: usize = 3;

fn a_consumer_hears_that_its_queue_is_gone(broker: &Broker) {
    /// `basic.cancel` comes within milliseconds, if it comes.
    const HEARS_MAX: Duration = Duration::from_secs(10);
    run(broker, async |engine: &Engine| {
        let attempts = if broker.is_mq() { 1 } else { ATTEMPTS };
        let mut heard = None;
        for _ in 0..attempts {
            let queue = declare(engine, "short-lived").await;
            let options = ConsumeOptions { queue: queue.clone(), ..Default::default() };
            let mut consumer = engine.consume(options).await.unwrap();
            publish(engine, "short-lived", &["1"]).await;
            let first = delivery(&mut consumer).await;
            consumer.ack(&first).unwrap();
            engine.delete_queue(&queue, DeleteQueue::default()).await.unwrap();
            heard = tokio::time::timeout(HEARS_MAX, consumer.next()).await.ok();
            if heard.is_some() {
                break;
            }
        }
        assert_eq!(heard.expect("the broker cancels the consumer").unwrap(), Event::Cancelled);
    });
}

fn messages_are_taken_one_by_one(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        let queue = declare(engine, "q").await;
        assert!(engine.get(&queue).await.unwrap().is_none());
        publish(engine, "q", &["1", "2"]).await;
        let first = engine.get(&queue).await.unwrap().expect("a message");
        assert_eq!((first.remaining, first.delivery.redelivered), (1, false));
        assert_eq!(&first.requeue().unwrap().body[..], b"1");
        let again = engine.get(&queue).await.unwrap().expect("a message");
        assert!(again.delivery.redelivered);
        assert_eq!(&again.ack().unwrap().body[..], b"1");
        assert_eq!(&engine.get(&queue).await.unwrap().unwrap().ack().unwrap().body[..], b"2");
        assert!(engine.get(&queue).await.unwrap().is_none());
    });
}

fn calls_find_their_replies(broker: &Broker) {
    block_on(async {
        let (near, far) = (engine(broker).await, engine(broker).await);
        let queue = declare(&far, "rpc_queue").await;
        let mut server = far.rpc_server(&queue, 1).await.unwrap();
        let serving = tokio::spawn(async move {
            let replier = server.replier();
            for _ in 0..20 {
                let request = server.next().await.unwrap().expect("a request");
                let reply = [b"re: ", &request.body[..]].concat();
                let taken = replier.answer(&request, reply.into(), Properties::default()).await;
                assert!(taken.unwrap(), "the caller waits");
            }
            server.close().await.unwrap();
        });
        for reply_to in [ReplyTo::Direct, ReplyTo::ExclusiveQueue] {
            let options =
                RpcOptions { routing_key: queue.clone(), reply_to, ..RpcOptions::default() };
            let caller = Arc::new(near.rpc_caller(options).await.unwrap());
            let calls = (0..10).map(|number| {
                let caller = Arc::clone(&caller);
                tokio::spawn(async move {
                    let body = number.to_string().into_bytes();
                    let limit = Duration::from_secs(30);
                    let reply = caller.call(body.into(), Properties::default(), limit).await;
                    assert_eq!(reply.unwrap().body, format!("re: {number}"), "{reply_to:?}");
                })
            });
            for call in calls.collect::<Vec<_>>() {
                call.await.unwrap();
            }
            Arc::into_inner(caller).expect("all calls are done").close().await.unwrap();
        }
        serving.await.unwrap();
        near.close().await.unwrap();
        far.close().await.unwrap();
    });
}

fn a_call_that_nobody_takes_fails_at_once(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        let options = RpcOptions { routing_key: literal("nobody"), ..RpcOptions::default() };
        let caller = engine.rpc_caller(options).await.unwrap();
        let limit = Duration::from_secs(30);
        let error = caller.call("x".into(), Properties::default(), limit).await.unwrap_err();
        assert!(matches!(&error, Error::Refused { code: 312, .. }), "{error}");
        let queue = declare(engine, "silent").await;
        let options = RpcOptions { routing_key: queue, ..RpcOptions::default() };
        let caller = engine.rpc_caller(options).await.unwrap();
        let limit = Duration::from_millis(50);
        let error = caller.call("x".into(), Properties::default(), limit).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer to 'call queue 'silent'' within 50ms");
    });
}

fn every_list_is_read(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        let queue = declare(engine, "listed").await;
        let options = ConsumeOptions { queue, prefetch: 3, ..Default::default() };
        let _consumer = engine.consume(options).await.unwrap();
        let rows = async |listing| engine.inspect().list(listing, Fields::All).await.unwrap();
        assert_eq!(rows(ApiList::Queues).await[0]["name"], "listed");
        assert!(rows(ApiList::Exchanges).await.iter().any(|row| row["name"] == "amq.topic"));
        assert_eq!(rows(ApiList::Bindings).await[0]["destination"], "listed");
        assert!(rows(ApiList::Vhosts).await.iter().any(|row| row["name"] == broker.vhost()));
        assert!(!engine.inspect().rows("list nodes", "nodes").await.unwrap().is_empty());
        assert_eq!(engine.inspect().queue("listed").await.unwrap()["durable"], true);
        assert!(engine.inspect().overview().await.unwrap()["rabbitmq_version"].is_string());
        // RabbitMQ tells of these only after its next round of statistics.
        while rows(ApiList::Consumers).await.is_empty()
            || rows(ApiList::Connections).await.is_empty()
            || rows(ApiList::Channels).await.is_empty()
        {
            tokio::task::yield_now().await;
        }
        let consumers = rows(ApiList::Consumers).await;
        assert_eq!(consumers[0]["queue"]["name"], "listed");
        assert_eq!(consumers[0]["prefetch_count"], 3);
        let error = engine.inspect().queue("nowhere").await.unwrap_err();
        assert_eq!(error.category(), Category::Refused);
    });
}

fn a_message_survives_its_json_line(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        let queue = declare(engine, "q").await;
        // RabbitMQ 4.3 delivers headers by the order of their names.
        let line = r#"{"routing_key": "q", "payload": "AP8=", "payload_encoding": "base64",
            "properties": {"content_type": "a/b", "priority": 3, "timestamp": 5, "type": "t",
            "headers": {"a": [1, {"k": "v"}], "b": true, "d": 0.5,
            "l": {"$type": "int64", "value": 2}, "n": 1, "s": "x",
            "t": {"$type": "timestamp", "value": 9}, "v": null,
            "x": {"$type": "binary", "value": "AAE="}}}}"#;
        let sent = payload::parse(line).unwrap();
        let mut publisher = engine.publisher(PublisherOptions::default()).await.unwrap();
        assert_eq!(publisher.send_and_wait(&sent).await.unwrap(), PublishOutcome::Confirmed);
        let got = engine.get(&queue).await.unwrap().unwrap().ack().unwrap();
        let again = payload::parse(&payload::render(&got).to_string()).unwrap();
        assert_eq!(again, sent);
    });
}

fn a_large_body_comes_back_whole(broker: &Broker) {
    run(broker, async |engine: &Engine| {
        let queue = declare(engine, "q").await;
        let body: Vec<u8> =
            (0..3_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
        let sent = Message { body: body.into(), ..message("q", "") };
        let mut publisher = engine.publisher(PublisherOptions::default()).await.unwrap();
        assert_eq!(publisher.send_and_wait(&sent).await.unwrap(), PublishOutcome::Confirmed);
        let got = engine.get(&queue).await.unwrap().unwrap().ack().unwrap();
        assert!(got.body == sent.body, "{} of {} bytes", got.body.len(), sent.body.len());
    });
}

fn a_wrong_login_and_a_wrong_vhost_are_told_apart(broker: &Broker) {
    let port = broker.port();
    let cases = [
        (format!("amqp://guest:secret@127.0.0.1:{port}"), Category::Denied),
        (format!("amqp://guest:guest@127.0.0.1:{port}/no-such-vhost"), Category::Refused),
    ];
    block_on(async {
        for (url, category) in cases {
            let options = TargetOptions { url: Some(url), ..TargetOptions::default() };
            let engine = Engine::open(Target::resolve(options, |_| None).unwrap()).await.unwrap();
            let error = engine.connect().await.unwrap_err();
            assert_eq!(error.category(), category, "{error}");
            assert!(error.hint().is_some(), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    });
}
