//! Dead letters and full queues as a client sees them: headers value by value, who is told and who is not.

use std::sync::Arc;

use mq::broker::Broker;
use mq::broker::compat::Compat;
use mq::wire::method::{basic, confirm, exchange, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, ShortStr};

use super::support::session::{Client, Said};

/// When the broker of these tests started, in seconds since 1970.
const STARTED_S: u64 = 1_700_000_000;

fn broker() -> Arc<Broker> {
    let broker = Broker::new("mq@test".into());
    broker.started_at(STARTED_S * 1000);
    Arc::new(broker)
}

fn broker_of(compat: Compat) -> Arc<Broker> {
    let broker = broker();
    broker.answer_as(compat);
    broker
}

fn broker_of_3_10() -> Arc<Broker> {
    broker_of(Compat::V3_10)
}

fn declare(client: &mut Client, name: &str, arguments: FieldTable) {
    let queue = ShortStr::try_from(name).unwrap();
    client.send(1, queue::Declare { queue, arguments, ..Default::default() }, 0);
    let said = client.said();
    assert!(matches!(&said[..], [Said::Method(1, Method::QueueDeclareOk(_))]), "{said:?}");
}

/// Arguments that lead dead letters through the default exchange to a queue.
fn letters_to(queue: &str) -> FieldTable {
    FieldTable::new().with("x-dead-letter-exchange", "").with("x-dead-letter-routing-key", queue)
}

fn number(value: i64) -> FieldValue {
    FieldValue::I64(value)
}

struct Got {
    redelivered: bool,
    exchange: String,
    routing_key: String,
    properties: Properties,
    body: Vec<u8>,
}

impl Got {
    fn headers(&self) -> FieldTable {
        self.properties.headers.clone().unwrap_or_default()
    }

    /// What `x-death` says: queue, reason and count of each.
    fn deaths(&self) -> Vec<(String, String, i64)> {
        let headers = self.headers();
        let Some(FieldValue::Array(deaths)) = headers.get("x-death") else { return Vec::new() };
        let text = |table: &FieldTable, name| table.get(name).unwrap().as_str().unwrap().to_owned();
        let told = |death: &FieldValue| {
            let FieldValue::Table(death) = death else { panic!("{death:?}") };
            let count = death.get("count").unwrap().as_integer().unwrap();
            (text(death, "queue"), text(death, "reason"), count)
        };
        deaths.iter().map(told).collect()
    }
}

/// Gets a message for good.
fn get(client: &mut Client, name: &str, now: u64) -> Option<Got> {
    let queue = ShortStr::try_from(name).unwrap();
    client.send(1, basic::Get { queue, no_ack: true, ..Default::default() }, now);
    let properties = (client.out.len() > 40).then(|| client.got_properties());
    let said = client.said();
    match &said[..] {
        [Said::Method(1, Method::BasicGetEmpty(_))] => None,
        [Said::Method(1, Method::BasicGetOk(ok)), rest @ ..] => Some(Got {
            redelivered: ok.redelivered,
            exchange: ok.exchange.to_string(),
            routing_key: ok.routing_key.to_string(),
            properties: properties.unwrap(),
            body: match rest {
                [Said::Body(body)] => body.clone(),
                _ => Vec::new(),
            },
        }),
        other => panic!("{other:?}"),
    }
}

/// Takes a message and rejects it.
fn reject(client: &mut Client, name: &str) {
    let queue = ShortStr::try_from(name).unwrap();
    client.send(1, basic::Get { queue, ..Default::default() }, 0);
    let said = client.said();
    let Some(Said::Method(1, Method::BasicGetOk(ok))) = said.first() else { panic!("{said:?}") };
    client.send(1, basic::Reject { delivery_tag: ok.delivery_tag, requeue: false }, 0);
}

fn death(count: i64, reason: &str, queue: &str) -> FieldTable {
    FieldTable::new().with("count", number(count)).with("reason", reason).with("queue", queue)
}

fn deaths(tables: Vec<FieldTable>) -> FieldValue {
    FieldValue::Array(tables.into_iter().map(FieldValue::Table).collect())
}

fn keys(keys: &[&str]) -> FieldValue {
    FieldValue::Array(keys.iter().map(|key| FieldValue::from(*key)).collect())
}

/// RabbitMQ 4: `mc_amqpl:death_table`, headers in the order of their names.
#[test]
fn a_rejected_message_tells_its_death() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    declare(&mut client, "dead", FieldTable::new());
    declare(&mut client, "q", letters_to("dead"));
    let headers = FieldTable::new().with("k", "v").with("a", true);
    let properties = Properties { headers: Some(headers), ..Properties::default() };
    client.publish_with("q", &properties, b"body");
    reject(&mut client, "q");
    let got = get(&mut client, "dead", 0).unwrap();
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), ("", "dead"));
    assert_eq!(got.body, b"body");
    let table = death(1, "rejected", "q")
        .with("time", FieldValue::Timestamp(STARTED_S))
        .with("exchange", "")
        .with("routing-keys", keys(&["q"]));
    let expected = FieldTable::new()
        .with("a", true)
        .with("k", "v")
        .with("x-death", deaths(vec![table]))
        .with("x-first-death-exchange", "")
        .with("x-first-death-queue", "q")
        .with("x-first-death-reason", "rejected")
        .with("x-last-death-exchange", "")
        .with("x-last-death-queue", "q")
        .with("x-last-death-reason", "rejected");
    assert_eq!(got.headers(), expected);
}

#[test]
fn an_expired_message_lives_on_without_its_time_to_live() {
    let mut counts = Vec::new();
    for broker in [broker(), broker_of_3_10()] {
        let mut client = Client::open(&broker, 0);
        declare(&mut client, "dead", FieldTable::new());
        declare(&mut client, "q", letters_to("dead"));
        let expiration = Some(literal("2000"));
        let properties = Properties { expiration, ..Properties::default() };
        client.publish_with("q", &properties, b"body");
        broker.on_time(1_999);
        assert!(get(&mut client, "dead", 1_999).is_none());
        broker.on_time(2_000);
        let got = get(&mut client, "dead", 3_000_000).unwrap();
        assert_eq!(got.properties.expiration, None);
        let headers = got.headers();
        let Some(FieldValue::Array(told)) = headers.get("x-death") else { panic!("{headers:?}") };
        let [FieldValue::Table(told)] = &told[..] else { panic!("{told:?}") };
        let mut names: Vec<_> = told.iter().map(|(name, _)| name.to_string()).collect();
        let at = names.iter().position(|name| name == "original-expiration").unwrap();
        assert_eq!(names.remove(at), "original-expiration");
        assert_eq!(names, ["count", "reason", "queue", "time", "exchange", "routing-keys"]);
        assert_eq!(told.get("original-expiration"), Some(&"2000".into()));
        assert_eq!(told.get("time"), Some(&FieldValue::Timestamp(STARTED_S + 2)));
        assert_eq!(headers.get("x-first-death-reason"), Some(&"expired".into()));
        counts.push((at, headers.get("x-last-death-queue").is_some()));
    }
    assert_eq!(counts, [(0, true), (6, false)], "4 and 3.10");
}

#[test]
fn a_second_death_of_one_kind_is_counted_and_the_latest_stands_first() {
    for broker in [broker(), broker_of_3_10()] {
        let is_4 = broker.compat() == Compat::V4;
        let mut client = Client::open(&broker, 0);
        declare(&mut client, "wait", letters_to("q").with("x-message-ttl", number(1_000)));
        declare(&mut client, "q", letters_to("wait"));
        client.publish_with("q", &Properties::default(), b"");
        for round in 1..=2 {
            reject(&mut client, "q");
            broker.on_time(round * 10_000);
        }
        let got = get(&mut client, "q", 20_000).unwrap();
        let expected = [("wait", "expired", 2), ("q", "rejected", 2)];
        let expected = expected.map(|(queue, why, count)| (queue.into(), why.into(), count));
        assert_eq!(got.deaths(), expected, "4: {is_4}");
        let headers = got.headers();
        assert_eq!(headers.get("x-first-death-queue"), Some(&"q".into()));
        let last = headers.get("x-last-death-queue");
        assert_eq!(last, is_4.then_some(&"wait".into()));
        let Some(FieldValue::Array(told)) = headers.get("x-death") else { panic!("{headers:?}") };
        let FieldValue::Table(latest) = &told[0] else { panic!("{told:?}") };
        assert_eq!(latest.get("time"), Some(&FieldValue::Timestamp(STARTED_S + 10)), "the first");
    }
}

#[test]
fn what_a_client_says_of_deaths_counts_in_3_10_only() {
    for (broker, count) in [(broker(), 1), (broker_of_3_10(), 8)] {
        let mut client = Client::open(&broker, 0);
        declare(&mut client, "dead", FieldTable::new());
        declare(&mut client, "q", letters_to("dead"));
        let mine = deaths(vec![death(7, "rejected", "q"), death(3, "expired", "other")]);
        let headers = Some(FieldTable::new().with("x-death", mine));
        let properties = Properties { headers, ..Properties::default() };
        client.publish_with("q", &properties, b"");
        reject(&mut client, "q");
        let told = get(&mut client, "dead", 0).unwrap().deaths();
        assert_eq!(told[0], ("q".into(), "rejected".into(), count));
        assert_eq!(told.len(), if count == 1 { 1 } else { 2 });
    }
}

#[test]
fn without_a_key_of_its_own_a_letter_keeps_the_keys_it_had() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    let exchange = literal("dlx");
    let kind = literal("direct");
    client.send(1, exchange::Declare { exchange, kind, ..Default::default() }, 0);
    client.said();
    for (name, key) in [("first", "q"), ("second", "copy")] {
        declare(&mut client, name, FieldTable::new());
        let (queue, routing_key) = (literal(name), literal(key));
        let exchange = literal("dlx");
        let bind = queue::Bind { queue, exchange, routing_key, ..Default::default() };
        client.send(1, bind, 0);
        client.said();
    }
    let limits = FieldTable::new().with("x-dead-letter-exchange", "dlx");
    declare(&mut client, "q", limits.with("x-message-ttl", number(0)));
    client.publish_with("q", &Properties::default(), b"");
    let got = get(&mut client, "first", 0).unwrap();
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), ("dlx", "q"));
    assert!(get(&mut client, "second", 0).is_none());
}

#[test]
fn a_letter_that_goes_round_by_itself_is_dropped_and_one_that_a_client_rejects_is_not() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    declare(&mut client, "ring", letters_to("ring").with("x-message-ttl", number(5)));
    client.publish_with("ring", &Properties::default(), b"");
    broker.on_time(5);
    assert!(get(&mut client, "ring", 5).is_none());

    client.publish_with("ring", &Properties::default(), b"");
    for count in 1..4 {
        reject(&mut client, "ring");
        let queue = literal("ring");
        client.send(1, basic::Get { queue, ..Default::default() }, 0);
        let headers = client.got_properties().headers.unwrap();
        let said = client.said();
        let Some(Said::Method(_, Method::BasicGetOk(ok))) = said.first() else {
            panic!("{said:?}")
        };
        let FieldValue::Array(told) = headers.get("x-death").unwrap() else { panic!() };
        let FieldValue::Table(told) = &told[0] else { panic!() };
        assert_eq!(told.get("count"), Some(&number(count)));
        client.send(
            1,
            basic::Nack { delivery_tag: ok.delivery_tag, multiple: false, requeue: true },
            0,
        );
        client.said();
    }
}

#[test]
fn a_letter_to_an_exchange_that_is_not_there_is_gone() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    declare(&mut client, "q", FieldTable::new().with("x-dead-letter-exchange", "nowhere"));
    client.publish_with("q", &Properties::default(), b"");
    reject(&mut client, "q");
    assert_eq!(client.said(), []);
    assert!(get(&mut client, "q", 0).is_none());
}

/// Each of them dies at once in the one before it.
#[test]
fn a_chain_of_a_thousand_queues_has_an_end() {
    const QUEUES: usize = 1_000;
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    for at in 0..QUEUES {
        let limits = letters_to(&format!("q{}", at + 1)).with("x-message-ttl", number(0));
        declare(&mut client, &format!("q{at}"), limits);
    }
    declare(&mut client, &format!("q{QUEUES}"), FieldTable::new());
    client.publish_with("q0", &Properties::default(), b"far");
    // What would take long is the timers'.
    (0..QUEUES / 50).for_each(|_| broker.on_time(0));
    let got = get(&mut client, &format!("q{QUEUES}"), 0).unwrap();
    assert_eq!((got.deaths().len(), got.body), (QUEUES, b"far".to_vec()));
}

fn bodies(client: &mut Client, queue: &str) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| get(client, queue, 0)).map(|got| got.body).collect()
}

/// An argument and its value, what is published, and what of that is dropped.
type Case<'a> = (&'a str, i64, &'a [&'a [u8]], &'a [&'a [u8]]);

#[test]
fn a_full_queue_drops_its_oldest_messages() {
    #[rustfmt::skip]
    let cases: [Case<'_>; 4] = [
        ("x-max-length",       2, &[b"a", b"b", b"c", b"d"],  &[b"a", b"b"]),
        ("x-max-length",       0, &[b"a"],                    &[b"a"]),
        ("x-max-length-bytes", 3, &[b"aa", b"b", b"c", b""],  &[b"aa"]),
        ("x-max-length-bytes", 3, &[b"a", b"bbbb"],           &[b"a", b"bbbb"]),
    ];
    for (argument, most, published, dropped) in cases {
        let broker = broker();
        let mut client = Client::open(&broker, 0);
        declare(&mut client, "dead", FieldTable::new());
        let mut limits = letters_to("dead");
        limits.insert(literal(argument), number(most));
        declare(&mut client, "q", limits);
        client.publish("q", published, 0);
        let kept = &published[dropped.len()..];
        assert_eq!(bodies(&mut client, "q"), kept, "{argument} {most}");
        assert_eq!(bodies(&mut client, "dead"), dropped, "{argument} {most}");
    }
}

#[test]
fn a_consumer_gets_what_a_queue_has_no_room_for() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    declare(&mut client, "q", FieldTable::new().with("x-max-length", number(0)));
    client.consume("q", "c");
    client.said();
    client.publish("q", &[b"a", b"b"], 0);
    let taken: Vec<_> = client.deliveries().into_iter().map(|(body, _)| body).collect();
    assert_eq!(taken, [b"a", b"b"]);
}

#[test]
fn the_publisher_of_a_full_queue_is_told_when_it_asks_for_confirms() {
    for (overflow, dead) in [("reject-publish", 0), ("reject-publish-dlx", 2)] {
        let broker = broker();
        let mut client = Client::open(&broker, 0);
        declare(&mut client, "dead", FieldTable::new());
        let limits =
            letters_to("dead").with("x-max-length", number(1)).with("x-overflow", overflow);
        declare(&mut client, "q", limits);
        client.publish("q", &[b"a", b"b"], 0);
        assert_eq!(client.said(), [], "{overflow}");
        client.send(1, confirm::Select::default(), 0);
        client.said();
        client.publish("q", &[b"c"], 0);
        let nack = basic::Nack { delivery_tag: 1, multiple: true, requeue: false };
        assert_eq!(client.said(), [Said::Method(1, nack.into())], "{overflow}");
        assert_eq!(bodies(&mut client, "q"), [b"a"]);
        client.publish("q", &[b"d"], 0);
        let ack = basic::Ack { delivery_tag: 2, multiple: false };
        assert_eq!(client.said(), [Said::Method(1, ack.into())]);
        assert_eq!(bodies(&mut client, "dead").len(), dead, "{overflow}");
    }
}

#[test]
fn one_full_queue_keeps_no_message_from_the_others() {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    declare(&mut client, "roomy", FieldTable::new());
    let limits = FieldTable::new().with("x-max-length", number(0));
    declare(&mut client, "full", limits.with("x-overflow", "reject-publish"));
    for queue in ["roomy", "full"] {
        let (queue, exchange) = (literal(queue), literal("amq.fanout"));
        client.send(1, queue::Bind { queue, exchange, ..Default::default() }, 0);
    }
    client.send(1, confirm::Select::default(), 0);
    client.said();
    let mut bytes = Vec::new();
    let publish = basic::Publish { exchange: literal("amq.fanout"), ..Default::default() };
    mq::wire::frame::write_method(&mut bytes, 1, &publish.into());
    mq::wire::frame::write_content(&mut bytes, 1, &Properties::default().to_bytes(), b"x", 4096);
    client.bytes(&bytes, 0);
    let nack = basic::Nack { delivery_tag: 1, multiple: true, requeue: false };
    assert_eq!(client.said(), [Said::Method(1, nack.into())]);
    assert_eq!(bodies(&mut client, "roomy"), [b"x"]);
    assert!(bodies(&mut client, "full").is_empty());
}

/// How a client lets go of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Nack { requeue: bool },
    Reject { requeue: bool },
}

use Step::{Nack, Reject};

/// Takes the message of a queue and lets go of it.
fn take(client: &mut Client, name: &str, step: Step) {
    let queue = ShortStr::try_from(name).unwrap();
    client.send(1, basic::Get { queue, ..Default::default() }, 0);
    let said = client.said();
    let Some(Said::Method(1, Method::BasicGetOk(ok))) = said.first() else { panic!("{said:?}") };
    let delivery_tag = ok.delivery_tag;
    let multiple = false;
    match step {
        Nack { requeue } => client.send(1, basic::Nack { delivery_tag, multiple, requeue }, 0),
        Reject { requeue } => client.send(1, basic::Reject { delivery_tag, requeue }, 0),
    }
}

fn declare_durable(client: &mut Client, name: &str, arguments: FieldTable) {
    let queue = ShortStr::try_from(name).unwrap();
    client.send(1, queue::Declare { queue, durable: true, arguments, ..Default::default() }, 0);
    let said = client.said();
    assert!(matches!(&said[..], [Said::Method(1, Method::QueueDeclareOk(_))]), "{said:?}");
}

/// As measured on RabbitMQ 4.3.6: a message that a client has rejected once is redelivered wherever it goes from there;
/// `basic.nack` is no failure.
#[test]
fn a_letter_that_has_failed_is_redelivered() {
    let (back, gone) = (true, false);
    #[rustfmt::skip]
    let cases: [(&[Step], bool); 7] = [
        (&[Reject { requeue: gone }],                           true),
        (&[Nack { requeue: gone }],                             false),
        (&[Nack { requeue: back }, Reject { requeue: gone }],   true),
        (&[Nack { requeue: back }, Nack { requeue: gone }],     false),
        (&[Reject { requeue: back }, Nack { requeue: gone }],   true),
        (&[Reject { requeue: back }, Reject { requeue: gone }], true),
        (&[Reject { requeue: back }, Nack { requeue: back }, Nack { requeue: gone }], true),
    ];
    for compat in [Compat::V3_10, Compat::V4, Compat::V4_3] {
        for kind in ["classic", "quorum"] {
            for (steps, has_failed) in cases {
                let mut client = Client::open(&broker_of(compat), 0);
                declare_durable(&mut client, "dead", FieldTable::new());
                declare_durable(&mut client, "q", letters_to("dead").with("x-queue-type", kind));
                client.publish("q", &[b"1"], 0);
                for step in steps {
                    take(&mut client, "q", *step);
                }
                let expected = has_failed && compat != Compat::V3_10;
                let got = get(&mut client, "dead", 0).unwrap();
                assert_eq!(got.redelivered, expected, "{compat:?} {kind} {steps:?}");
            }
        }
    }
}

#[test]
fn a_letter_is_redelivered_at_every_later_stop_and_one_that_never_failed_is_not() {
    for compat in [Compat::V3_10, Compat::V4, Compat::V4_3] {
        let broker = broker_of(compat);
        let mut client = Client::open(&broker, 0);
        let is_4 = compat != Compat::V3_10;
        declare_durable(&mut client, "dead", FieldTable::new());
        let short = |to| letters_to(to).with("x-message-ttl", number(5));
        declare_durable(&mut client, "expires", short("dead"));
        declare_durable(&mut client, "full", letters_to("dead").with("x-max-length", number(0)));
        declare_durable(&mut client, "retry", letters_to("wait"));
        declare_durable(&mut client, "wait", short("retry"));
        let limited = letters_to("dead").with("x-queue-type", "quorum");
        declare_durable(&mut client, "limited", limited.with("x-delivery-limit", number(0)));

        client.publish("limited", &[b"1"], 0);
        take(&mut client, "limited", Reject { requeue: true });
        assert_eq!(get(&mut client, "dead", 0).unwrap().redelivered, is_4, "{compat:?}");
        client.publish("full", &[b"1"], 0);
        assert!(!get(&mut client, "dead", 0).unwrap().redelivered, "{compat:?}");
        for (step, expected) in [(Nack { requeue: true }, false), (Reject { requeue: true }, is_4)]
        {
            client.publish("expires", &[b"1"], 0);
            take(&mut client, "expires", step);
            broker.on_time(10);
            assert_eq!(get(&mut client, "dead", 10).unwrap().redelivered, expected, "{step:?}");
        }
        client.publish("retry", &[b"1"], 0);
        take(&mut client, "retry", Reject { requeue: false });
        broker.on_time(20);
        client.consume("retry", "c");
        assert_eq!(client.deliveries(), [(b"1".to_vec(), is_4)], "{compat:?}");
    }
}

/// As measured on RabbitMQ 4.3.6, which counts them toward the limit of the new queue as well; here they are only told.
#[test]
fn a_quorum_queue_tells_how_often_a_letter_has_failed_before() {
    for kind in ["classic", "quorum"] {
        let mut client = Client::open(&broker_of(Compat::V4_3), 0);
        let quorum = FieldTable::new().with("x-queue-type", "quorum");
        declare_durable(&mut client, "dead", quorum.with("x-delivery-limit", number(1)));
        declare_durable(&mut client, "q", letters_to("dead").with("x-queue-type", kind));
        client.publish("q", &[b"1"], 0);
        take(&mut client, "q", Reject { requeue: true });
        take(&mut client, "q", Reject { requeue: false });
        for (next, acquired, failed) in [
            (Nack { requeue: true }, 2, 2),
            (Reject { requeue: true }, 1, 2),
            (Nack { requeue: true }, 2, 3),
        ] {
            client.send(1, basic::Get { queue: literal("dead"), ..Default::default() }, 0);
            let headers = client.got_properties().headers.unwrap();
            let told = ["x-acquired-count", "x-delivery-count"].map(|name| headers.get(name));
            assert_eq!(told, [Some(&number(acquired)), Some(&number(failed))], "{kind}");
            let said = client.said();
            let Some(Said::Method(1, Method::BasicGetOk(ok))) = said.first() else {
                panic!("{said:?}")
            };
            assert!(ok.redelivered);
            let (delivery_tag, multiple) = (ok.delivery_tag, false);
            match next {
                Nack { requeue } => {
                    client.send(1, basic::Nack { delivery_tag, multiple, requeue }, 0);
                }
                Reject { requeue } => client.send(1, basic::Reject { delivery_tag, requeue }, 0),
            }
        }
    }
}

/// As measured on RabbitMQ 4.3.6: the header stays, and leads nowhere any more.
#[test]
fn further_keys_are_told_of_a_letter_with_a_key_of_its_own_and_lead_nowhere() {
    for compat in [Compat::V3_10, Compat::V4, Compat::V4_3] {
        let mut client = Client::open(&broker_of(compat), 0);
        let exchange = || literal("dlx");
        let declare = exchange::Declare {
            exchange: exchange(),
            kind: literal("direct"),
            ..Default::default()
        };
        client.send(1, declare, 0);
        for key in ["q", "copy", "blind", "other"] {
            let queue = ShortStr::try_from(format!("last.{key}")).unwrap();
            client.send(
                1,
                queue::Declare { queue: queue.clone(), durable: true, ..Default::default() },
                0,
            );
            let routing_key = ShortStr::try_from(key).unwrap();
            let bind =
                queue::Bind { queue, exchange: exchange(), routing_key, ..Default::default() };
            client.send(1, bind, 0);
        }
        let durable = |name, arguments| queue::Declare {
            queue: literal(name),
            durable: true,
            arguments,
            ..Default::default()
        };
        client.send(1, durable("q", letters_to("other")), 0);
        let onward = FieldTable::new().with("x-dead-letter-exchange", "dlx");
        client.send(1, durable("other", onward), 0);
        client.said();
        let headers = FieldTable::new().with("CC", keys(&["copy"])).with("BCC", keys(&["blind"]));
        let properties = Properties { headers: Some(headers), ..Properties::default() };
        client.publish_with("q", &properties, b"");
        reject(&mut client, "q");
        reject(&mut client, "other");
        let got = get(&mut client, "last.other", 0).unwrap();
        let told = (compat != Compat::V3_10).then(|| keys(&["copy"]));
        assert_eq!(got.headers().get("CC"), told.as_ref(), "{compat:?}");
        let Some(FieldValue::Array(deaths)) = got.headers().remove("x-death") else { panic!() };
        let routed = |death: &FieldValue| match death {
            FieldValue::Table(death) => death.get("routing-keys").cloned(),
            other => panic!("{other:?}"),
        };
        let expected = [Some(keys(&["other"])), Some(keys(&["q", "copy"]))];
        assert_eq!(deaths.iter().map(routed).collect::<Vec<_>>(), expected, "{compat:?}");
        for key in ["q", "copy", "blind"] {
            assert!(get(&mut client, &format!("last.{key}"), 0).is_none(), "{compat:?} {key}");
        }
    }
}
