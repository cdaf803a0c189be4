//! lapin, the Rust client most programs use: what it can ask for, and what must come back.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicPublishOptions, BasicQosOptions, BasicRejectOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{
    AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString, ShortString,
};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    ExchangeKind, message::Delivery,
};

use crate::broker::Broker;

/// No scenario here waits for anything but the broker.
const SCENARIO_MAX: Duration = Duration::from_mins(1);

/// A connection and its first channel.
struct Session {
    connection: Connection,
    channel: Channel,
}

impl Session {
    async fn open(broker: &Broker) -> Self {
        let connection = Connection::connect(&broker.url(), ConnectionProperties::default())
            .await
            .expect("the broker lets lapin in");
        let channel = connection.create_channel().await.expect("a channel opens");
        Self { connection, channel }
    }

    /// A server-named queue that goes with the connection.
    async fn queue(&self) -> ShortString {
        let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let queue = self.channel.queue_declare("".into(), exclusive, FieldTable::default()).await;
        queue.expect("a queue is declared").name().clone()
    }

    async fn send(&self, exchange: &str, key: &str, body: &[u8]) -> Confirmation {
        self.send_with(exchange, key, body, false, BasicProperties::default()).await
    }

    async fn send_with(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        mandatory: bool,
        properties: BasicProperties,
    ) -> Confirmation {
        let options = BasicPublishOptions { mandatory, ..Default::default() };
        let confirm = self
            .channel
            .basic_publish(exchange.into(), key.into(), options, body, properties)
            .await
            .expect("the message is sent");
        confirm.await.expect("the broker answers")
    }

    async fn confirm(&self) {
        let options = ConfirmSelectOptions::default();
        self.channel.confirm_select(options).await.expect("confirms are there");
    }

    async fn consume(&self, queue: &ShortString) -> Consumer {
        let options = BasicConsumeOptions::default();
        let consumer =
            self.channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default());
        consumer.await.expect("a consumer starts")
    }

    /// How many messages are ready and how many consumers there are.
    async fn depth(&self, queue: &ShortString) -> (u32, u32) {
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let queue = self.channel.queue_declare(queue.clone(), passive, FieldTable::default()).await;
        let queue = queue.expect("the queue is there");
        (queue.message_count(), queue.consumer_count())
    }

    async fn close(self) {
        self.connection.close(200, "bye".into()).await.expect("the broker says goodbye");
    }
}

/// Publisher confirms, and a mandatory message that comes back with its confirm.
fn confirms_and_returns(broker: &Broker) {
    run(async {
        let session = Session::open(broker).await;
        let queue = session.queue().await;
        assert_eq!(session.send("", queue.as_str(), b"unasked").await, Confirmation::NotRequested);
        session.confirm().await;
        let mut confirms = Vec::new();
        for number in 0..1000_u32 {
            let body = number.to_be_bytes();
            let (exchange, key) = ("".into(), queue.clone());
            let sent = session.channel.basic_publish(
                exchange,
                key,
                BasicPublishOptions::default(),
                &body,
                BasicProperties::default(),
            );
            confirms.push(sent.await.expect("the message is sent"));
        }
        for confirm in confirms {
            assert_eq!(confirm.await.expect("the broker answers"), Confirmation::Ack(None));
        }
        assert_eq!(session.depth(&queue).await, (1001, 0));
        let properties = BasicProperties::default().with_message_id("7".into());
        let answer = session.send_with("amq.direct", "nobody", b"lost", true, properties).await;
        let Confirmation::Ack(Some(returned)) = answer else { panic!("not returned: {answer:?}") };
        assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
        assert_eq!(returned.exchange.as_str(), "amq.direct");
        assert_eq!(returned.routing_key.as_str(), "nobody");
        assert_eq!(returned.properties.message_id().as_ref().map(ShortString::as_str), Some("7"));
        assert_eq!(returned.data, b"lost");
        session.close().await;
    });
}

/// Topic routing into two queues, and an unbound queue that gets nothing more.
fn topic_routing(broker: &Broker) {
    run(async {
        let session = Session::open(broker).await;
        let exchange = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
        let declared = session.channel.exchange_declare(
            "rust.topic".into(),
            ExchangeKind::Topic,
            exchange,
            FieldTable::default(),
        );
        declared.await.expect("an exchange is declared");
        let (some, all) = (session.queue().await, session.queue().await);
        for (queue, key) in [(&some, "*.stone.#"), (&some, "#.rock"), (&all, "#")] {
            let bound = session.channel.queue_bind(
                queue.clone(),
                "rust.topic".into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            bound.await.expect("a binding is made");
        }
        session.confirm().await;
        let keys = ["a.stone", "a.stone.b.c", "rock", "x.stone.rock", "stone", "a.b.stone", ""];
        for key in keys {
            session.send("rust.topic", key, key.as_bytes()).await;
        }
        assert_eq!(session.depth(&some).await, (4, 0));
        assert_eq!(session.depth(&all).await, (7, 0));
        let mut consumer = session.consume(&some).await;
        for wanted in &keys[..4] {
            assert_eq!(next(&mut consumer).await.routing_key.as_str(), *wanted);
        }
        let unbound = session.channel.queue_unbind(
            some.clone(),
            "rust.topic".into(),
            "#.rock".into(),
            FieldTable::default(),
        );
        unbound.await.expect("a binding is removed");
        session.send("rust.topic", "rock", b"").await;
        session.send("rust.topic", "last.stone", b"").await;
        assert_eq!(next(&mut consumer).await.routing_key.as_str(), "last.stone");
        session.close().await;
    });
}

/// A prefetch of two holds the rest back; what is refused comes again in its place, marked.
fn prefetch_and_requeue(broker: &Broker) {
    run(async {
        let session = Session::open(broker).await;
        session.confirm().await;
        let queue = session.queue().await;
        for body in [b"1", b"2", b"3", b"4"] {
            session.send("", queue.as_str(), body).await;
        }
        session.channel.basic_qos(2, BasicQosOptions::default()).await.expect("a prefetch is set");
        let mut consumer = session.consume(&queue).await;
        let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
        assert_eq!([&first.data[..], &second.data[..]], [b"1", b"2"]);
        assert_eq!((first.redelivered, first.delivery_tag), (false, 1));
        assert_eq!(session.depth(&queue).await, (2, 1));
        let again = BasicNackOptions { multiple: true, requeue: true };
        second.nack(again).await.expect("both are given back");
        let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
        assert_eq!([&first.data[..], &second.data[..]], [b"1", b"2"]);
        assert!(first.redelivered && second.redelivered);
        first.ack(BasicAckOptions::default()).await.expect("one is acknowledged");
        assert_eq!(next(&mut consumer).await.data, b"3");
        second.reject(BasicRejectOptions { requeue: false }).await.expect("one is dropped");
        let fourth = next(&mut consumer).await;
        assert_eq!((&fourth.data[..], fourth.redelivered), (&b"4"[..], false));
        let tag = consumer.tag();
        let cancelled = session.channel.basic_cancel(tag, BasicCancelOptions::default());
        cancelled.await.expect("the consumer is cancelled");
        assert_eq!(session.depth(&queue).await, (0, 0));
        session.channel.close(200, "bye".into()).await.expect("the channel closes");
        let other = session.connection.create_channel().await.expect("another channel opens");
        let session = Session { channel: other, ..session };
        assert_eq!(session.depth(&queue).await, (2, 0), "what was unacknowledged is ready again");
        session.close().await;
    });
}

/// `basic.get` one by one, with the number that is left; nothing from an empty queue.
fn get(broker: &Broker) {
    run(async {
        let session = Session::open(broker).await;
        session.confirm().await;
        let queue = session.queue().await;
        for body in [b"1", b"2"] {
            session.send("", queue.as_str(), body).await;
        }
        let get = |no_ack| session.channel.basic_get(queue.clone(), BasicGetOptions { no_ack });
        let first = get(false).await.expect("get is answered").expect("a message is there");
        assert_eq!((first.message_count, &first.data[..]), (1, &b"1"[..]));
        first.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.expect("sent");
        let again = get(true).await.expect("get is answered").expect("a message is there");
        assert_eq!((again.redelivered, again.message_count, &again.data[..]), (true, 1, &b"1"[..]));
        let second = get(true).await.expect("get is answered").expect("a message is there");
        assert_eq!((second.redelivered, &second.data[..]), (false, &b"2"[..]));
        assert!(get(true).await.expect("get is answered").is_none());
        session.close().await;
    });
}

/// Publishes and acknowledgements of a transaction count at its commit, or not at all.
fn transactions(broker: &Broker) {
    run(async {
        let session = Session::open(broker).await;
        let queue = session.queue().await;
        session.channel.tx_select().await.expect("a transaction begins");
        session.send("", queue.as_str(), b"dropped").await;
        session.channel.tx_rollback().await.expect("it is rolled back");
        session.send("", queue.as_str(), b"kept").await;
        assert_eq!(session.depth(&queue).await, (0, 0), "not before the commit");
        session.channel.tx_commit().await.expect("it is committed");
        assert_eq!(session.depth(&queue).await, (1, 0));
        let options = BasicGetOptions::default();
        let got = session.channel.basic_get(queue.clone(), options).await.expect("answered");
        let got = got.expect("the committed message is there");
        assert_eq!(got.data, b"kept");
        got.ack(BasicAckOptions::default()).await.expect("it is acknowledged");
        session.channel.tx_commit().await.expect("that is committed too");
        session.channel.close(200, "bye".into()).await.expect("the channel closes");
        let other = session.connection.create_channel().await.expect("another channel opens");
        let session = Session { channel: other, ..session };
        assert_eq!(session.depth(&queue).await, (0, 0), "gone for good");
        session.close().await;
    });
}

/// A consumer ends by itself when somebody deletes its queue.
fn a_deleted_queue_cancels_its_consumers(broker: &Broker) {
    run(async {
        let session = Session::open(broker).await;
        let queue = session.queue().await;
        let mut consumer = session.consume(&queue).await;
        session.send("", queue.as_str(), b"last").await;
        assert_eq!(next(&mut consumer).await.data, b"last");
        let other = session.connection.create_channel().await.expect("a channel opens");
        let deleted = other.queue_delete(queue, QueueDeleteOptions::default()).await;
        assert_eq!(deleted.expect("the queue is deleted"), 0, "nothing was ready");
        assert!(consumer.next().await.is_none(), "the broker cancels the consumer");
        assert!(session.channel.status().connected(), "and leaves the channel open");
        session.close().await;
    });
}

/// Five mebibytes in many frames, and nothing at all.
fn bodies_of_any_size(broker: &Broker) {
    run(async {
        let session = Session::open(broker).await;
        session.confirm().await;
        let queue = session.queue().await;
        let mut consumer = session.consume(&queue).await;
        let pattern: Vec<u8> = (0..=250).cycle().take(5 << 20).collect();
        for size in [5 << 20, 0, 1, 131_064, 131_065, 2 * 131_064] {
            let body = &pattern[..size];
            let confirmed = session.send("", queue.as_str(), body).await;
            assert_eq!(confirmed, Confirmation::Ack(None), "{size} bytes");
            let got = next(&mut consumer).await;
            assert!(got.data == body, "{size} bytes came back as {}", got.data.len());
        }
        session.close().await;
    });
}

/// Every property and every type a header can have come back as they were sent.
fn properties_and_headers(broker: &Broker) {
    let text = |text: &str| AMQPValue::LongString(LongString::from(text.as_bytes().to_vec()));
    let mut inner = FieldTable::default();
    inner.insert("text".into(), text("深い"));
    inner.insert("empty".into(), AMQPValue::FieldTable(FieldTable::default()));
    let list = vec![text("one"), AMQPValue::LongInt(2), AMQPValue::FieldTable(inner.clone())];
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("t", AMQPValue::Boolean(true)),
        ("b", AMQPValue::ShortShortInt(-8)),
        ("B", AMQPValue::ShortShortUInt(200)),
        ("s", AMQPValue::ShortInt(-30_000)),
        ("u", AMQPValue::ShortUInt(60_000)),
        ("I", AMQPValue::LongInt(i32::MIN)),
        ("i", AMQPValue::LongUInt(u32::MAX)),
        ("l", AMQPValue::LongLongInt(i64::MIN)),
        ("f", AMQPValue::Float(0.5)),
        ("d", AMQPValue::Double(0.1)),
        ("D", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 314 })),
        ("S", text("grüße")),
        ("A", AMQPValue::FieldArray(FieldArray::from(list))),
        ("T", AMQPValue::Timestamp(1_600_000_000)),
        ("F", AMQPValue::FieldTable(inner)),
        ("x", AMQPValue::ByteArray(ByteArray::from(vec![0, 255, 206]))),
        ("V", AMQPValue::Void),
    ] {
        headers.insert(name.into(), value);
    }
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_priority(7)
        .with_correlation_id("correlation".into())
        .with_reply_to("reply".into())
        .with_expiration("60000".into())
        .with_message_id("message".into())
        .with_timestamp(1_234_567_890)
        .with_type("type".into())
        .with_user_id("guest".into())
        .with_app_id("app".into())
        .with_cluster_id("cluster".into());
    run(async {
        let session = Session::open(broker).await;
        session.confirm().await;
        let queue = session.queue().await;
        session.send_with("", queue.as_str(), b"body", false, properties.clone()).await;
        let mut consumer = session.consume(&queue).await;
        let got = next(&mut consumer).await;
        assert_eq!(got.properties, properties);
        assert_eq!(got.data, b"body");
        session.close().await;
    });
}

/// A mistake closes its channel with the broker's words; the connection and its neighbours live on.
fn an_error_closes_one_channel(broker: &Broker) {
    run(async {
        let session = Session::open(broker).await;
        let victim = session.connection.create_channel().await.expect("a channel opens");
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let refused = victim.queue_declare("missing".into(), passive, FieldTable::default()).await;
        let wanted = format!("NOT_FOUND - no queue 'missing' in vhost '{}'", broker.vhost());
        let refused = refused.expect_err("there is no such queue").to_string();
        assert!(refused.contains(&wanted), "{refused}");
        assert!(!victim.status().connected());
        let queue = session.queue().await;
        assert_eq!(session.depth(&queue).await, (0, 0));
        session.close().await;
    });
}

/// The next delivery of a consumer.
async fn next(consumer: &mut Consumer) -> Delivery {
    consumer.next().await.expect("the consumer goes on").expect("the channel is well")
}

/// Runs a scenario to its end, which must come in time.
fn run(scenario: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    let scenario = async { tokio::time::timeout(SCENARIO_MAX, scenario).await };
    runtime.block_on(scenario).expect("the scenario ends in time");
}

on_both!(
    confirms_and_returns,
    topic_routing,
    prefetch_and_requeue,
    get,
    transactions,
    a_deleted_queue_cancels_its_consumers,
    bodies_of_any_size,
    properties_and_headers,
    an_error_closes_one_channel,
);
