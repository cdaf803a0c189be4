//! Delayed messages: kept until their time by the exchange they were published to, over restarts and kills as well.

use mq::wire::method::{basic, exchange, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, ShortStr, frame};
use tempfile::TempDir;

use super::support::directory::Served;
use super::support::peer::Peer;
use super::support::queues::{persistent, write_publish};
use super::support::session::{Client, Said, broker, ready};

fn declare(durable: bool) -> exchange::Declare {
    let (exchange, kind) = (literal("later"), literal("x-delayed-message"));
    let arguments = FieldTable::new().with("x-delayed-type", "direct");
    exchange::Declare { exchange, kind, durable, arguments, ..Default::default() }
}

fn bind() -> queue::Bind {
    let (queue, exchange, routing_key) = (literal("q"), literal("later"), literal("k"));
    queue::Bind { queue, exchange, routing_key, ..Default::default() }
}

fn delayed(ms: i32, mut properties: Properties) -> Properties {
    properties.headers = Some(FieldTable::new().with("x-delay", FieldValue::I32(ms)));
    properties
}

/// A client with the exchange and a queue bound to it.
fn client() -> (std::sync::Arc<mq::broker::Broker>, Client) {
    let broker = broker();
    let mut client = Client::open(&broker, 0);
    client.send(1, declare(false), 0);
    client.declare("q");
    client.send(1, bind(), 0);
    client.said();
    (broker, client)
}

fn publish(client: &mut Client, properties: &Properties, body: &[u8]) {
    let publish = basic::Publish {
        exchange: literal("later"),
        routing_key: literal("k"),
        mandatory: true,
        ..Default::default()
    };
    let mut bytes = Vec::new();
    frame::write_method(&mut bytes, 1, &publish.into());
    frame::write_content(&mut bytes, 1, &properties.to_bytes(), body, 131_072);
    client.bytes(&bytes, 0);
}

#[test]
fn each_message_comes_when_its_delay_is_over() {
    let (broker, mut client) = client();
    for (ms, body) in [(300, "c"), (100, "a"), (0, "now"), (-5, "then"), (100, "b")] {
        publish(&mut client, &delayed(ms, Properties::default()), body.as_bytes());
    }
    assert!(client.said().is_empty(), "nothing comes back");
    client.consume("q", "tag");
    let mut come = |now| {
        broker.on_time(now);
        let texts = client.deliveries().into_iter().map(|(body, _)| String::from_utf8(body));
        texts.collect::<Result<Vec<_>, _>>().unwrap()
    };
    assert_eq!(come(99), ["now", "then"]);
    assert_eq!(come(100), ["a", "b"]);
    assert_eq!(come(299), [""; 0]);
    assert_eq!(come(300), ["c"]);
    assert_eq!(come(100_000), [""; 0]);
}

#[test]
fn a_delay_that_is_over_is_told_negative_and_all_else_as_it_was() {
    let (broker, mut client) = client();
    let asked = Properties {
        expiration: Some(literal("60000")),
        message_id: Some(literal("m")),
        ..delayed(50, persistent())
    };
    publish(&mut client, &asked, b"body");
    let exchange = broker.vhost("/").unwrap().find_exchange("later").unwrap();
    assert_eq!(exchange.delayed, Some(1));
    broker.on_time(50);
    client.send(1, basic::Get { queue: literal("q"), ..Default::default() }, 50);
    let headers = FieldTable::new().with("x-delay", FieldValue::I32(-50));
    assert_eq!(client.got_properties(), Properties { headers: Some(headers), ..asked });
    let said = client.said();
    let Some(Said::Method(1, Method::BasicGetOk(got))) = said.first() else { panic!("{said:?}") };
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), ("later", "k"));
}

/// Many that are due at once go in pieces, which the timers go on with.
#[test]
fn very_many_come_at_once() {
    let (broker, mut client) = client();
    let properties = delayed(10, Properties::default());
    (0..20_000).for_each(|_| publish(&mut client, &properties, b"body"));
    assert_eq!(ready(&broker, "q"), 0);
    let mut rounds = 0;
    while ready(&broker, "q") < 20_000 {
        broker.on_time(10);
        rounds += 1;
        assert!(rounds < 1000, "{} came", ready(&broker, "q"));
    }
    assert!(rounds > 1, "not all under one lock");
}

#[test]
fn what_an_exchange_keeps_goes_with_it() {
    let (broker, mut client) = client();
    publish(&mut client, &delayed(10, Properties::default()), b"body");
    client.send(1, exchange::Delete { exchange: literal("later"), ..Default::default() }, 0);
    client.send(1, declare(false), 0);
    client.send(1, bind(), 0);
    broker.on_time(10);
    assert_eq!(ready(&broker, "q"), 0);
    assert_eq!(broker.vhost("/").unwrap().find_exchange("later").unwrap().delayed, Some(0));
}

#[test]
fn a_delayed_exchange_without_a_type_is_refused() {
    let cases = [
        (None, "Invalid argument, 'x-delayed-type' must be an existing exchange type"),
        (
            Some("x-delayed-message"),
            "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'",
        ),
        (Some("bogus"), "unknown exchange type 'bogus'"),
    ];
    for (kind, told) in cases {
        let broker = broker();
        let mut client = Client::open(&broker, 0);
        let arguments = kind
            .map_or_else(FieldTable::new, |kind| FieldTable::new().with("x-delayed-type", kind));
        client.send(1, exchange::Declare { arguments, ..declare(false) }, 0);
        let said = client.said();
        let Some(Said::Method(1, Method::ChannelClose(close))) = said.last() else {
            panic!("{said:?}")
        };
        assert_eq!(close.reply_code, 406);
        assert_eq!(close.reply_text, *format!("PRECONDITION_FAILED - {told}"));
    }
}

fn confirm_delayed(peer: &mut Peer, numbers: std::ops::Range<u32>, ms: i32) {
    let count = numbers.len() as u64;
    let mut bytes = Vec::new();
    for number in numbers {
        let properties = delayed(ms, persistent());
        write_publish(&mut bytes, ("later", "k"), &properties, &number.to_be_bytes());
    }
    peer.send(&bytes);
    let mut confirmed = 0;
    while confirmed < count {
        match peer.next_method() {
            (1, Method::BasicAck(ack)) if ack.multiple => confirmed = ack.delivery_tag,
            (1, Method::BasicAck(_)) => confirmed += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn confirmed_ones_come_after_a_kill_and_those_not_due_stay() {
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address());
    peer.declare_durable("q", FieldTable::new());
    assert!(matches!(peer.call(declare(true)), Method::ExchangeDeclareOk(_)));
    assert!(matches!(peer.call(bind()), Method::QueueBindOk(_)));
    let mut peer = peer.confirming();
    confirm_delayed(&mut peer, 0..500, 400);
    served.kill();

    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    confirm_delayed(&mut peer, 500..600, 3_600_000);
    peer.consume("q", 0, true);
    let mut come: Vec<u32> = Vec::new();
    while come.len() < 500 {
        come.push(u32::from_be_bytes(peer.delivered().body.try_into().unwrap()));
    }
    assert!(come.iter().copied().eq(0..500), "in the order they were published");
    served.stop();

    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address());
    assert_eq!(peer.depth("q"), 0);
    let deleted = peer.call(exchange::Delete { exchange: literal("later"), ..Default::default() });
    assert!(matches!(deleted, Method::ExchangeDeleteOk(_)));
    served.stop();
    let served = Served::start(directory.path());
    assert_eq!(served.recovered(), "recovered 1 queue, 0 messages", "they went with the exchange");
    let name = ShortStr::try_from("q").unwrap();
    let mut peer = Peer::on_channel_one(served.address());
    assert!(matches!(
        peer.call(queue::Declare { queue: name, passive: true, ..Default::default() }),
        Method::QueueDeclareOk(_)
    ));
    served.stop();
}
