//! Much that is due at one moment: messages that expire, queues that do, messages that were delayed.
//!
//! Everything is made with the time that is left until the moment, so that a broker gets no chance to do it bit by bit.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mq::wire::constants::FRAME_MAX_DEFAULT;
use mq::wire::method::{basic, confirm, exchange, queue};
use mq::wire::{FieldTable, FieldValue, Method, Properties, frame};

use crate::Plan;
use crate::broker::Broker;
use crate::client::{Client, name};
use crate::ping::Pinger;
use crate::queues::{queue_name, timed};
use crate::table::{Table, memory, ms, per_s, short};

/// Time until the moment beside what making everything takes.
const LEAD: Duration = Duration::from_millis(500);
/// Bytes written at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Time for a far too long wait to be given up.
const PATIENCE: Duration = Duration::from_mins(1);
const BODY: &[u8] = &[7; 100];

/// What is kept, and how long making one of it may take: the moment must not come before all is made.
#[derive(Clone, Copy, Debug)]
struct Kind {
    title: &'static str,
    is_durable: bool,
    making: Duration,
}

const TRANSIENT: Kind =
    Kind { title: "transient", is_durable: false, making: Duration::from_micros(30) };
const DURABLE: Kind =
    Kind { title: "durable", is_durable: true, making: Duration::from_micros(60) };

/// A moment in the future.
#[derive(Clone, Copy, Debug)]
struct Moment(Instant);

impl Moment {
    /// Late enough that `count` can be made before.
    fn after(count: usize, making: Duration) -> Self {
        let count = u32::try_from(count).expect("a million at most");
        Self(Instant::now() + LEAD + making * count)
    }

    /// The milliseconds that are left; the moment must not have passed.
    fn left_ms(self) -> i64 {
        let left = self.0.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "making took longer than was allowed for");
        i64::try_from(left.as_millis()).expect("minutes")
    }

    fn wait(self) {
        // It may come back sooner.
        while Instant::now() < self.0 {
            std::thread::park_timeout(self.0.saturating_duration_since(Instant::now()));
        }
    }
}

/// Queues with one message each, all of which expire; and queues that expire themselves.
pub(crate) fn expiry(plan: &Plan) {
    let columns =
        ["queues", "declare/s", "B each", "in/s", "ping ms", "late ms", "ping ms", "MiB", "peak"];
    for kind in [TRANSIENT, DURABLE] {
        let title = format!("messages of as many {} queues with a TTL expire at once", kind.title);
        let table = Table::new(&title, &columns);
        for count in plan.steps(100_000) {
            expire_messages(&table, kind, count);
        }
    }
    let columns = ["queues", "declare/s", "ping ms", "late ms", "ping ms", "MiB", "peak"];
    // Each durable queue is a commit of its own, when it comes and when it goes.
    let durable = Kind { making: Duration::from_micros(900), ..DURABLE };
    for (kind, most) in [(TRANSIENT, 100_000), (durable, 10_000)] {
        let table = Table::new(&format!("{} queues expire at once", kind.title), &columns);
        for count in plan.steps(most) {
            expire_queues(&table, kind, count);
        }
    }
}

fn expire_messages(table: &Table, kind: Kind, count: usize) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut client = Client::connect(broker.address);
    let empty = broker.memory();
    let declared = timed(|| {
        client.ask_each(count, |number| queue::Declare {
            queue: name(&queue_name(number)),
            durable: kind.is_durable,
            arguments: FieldTable::new().with("x-message-ttl", FieldValue::I32(3_600_000)),
            ..Default::default()
        });
    });
    let full = broker.memory();
    pinger.longest();
    let moment = Moment::after(count, kind.making);
    let published = timed(|| {
        publish(&mut client, count, |number| {
            let properties = Properties {
                expiration: Some(name(&moment.left_ms().to_string())),
                ..persistence(kind)
            };
            ("", queue_name(number), properties)
        });
    });
    let making = pinger.longest();
    moment.wait();
    let begin = Instant::now();
    // The last that came, and some of all the others: those of one moment expire in no order.
    for at in (0..count).step_by(count.div_ceil(100)).chain([count - 1]).rev() {
        while waiting_in(&mut client, &queue_name(at)) > 0 {
            assert!(begin.elapsed() < PATIENCE, "expired messages stay");
        }
    }
    let late = begin.elapsed();
    pinger.settle();
    let ping = pinger.longest();
    let [now, peak] = memory(broker.memory());
    table.row([
        short(count as f64),
        per_s(count, declared),
        full.each_since(empty, count).to_string(),
        per_s(count, published),
        ms(making),
        ms(late),
        ms(ping),
        now,
        peak,
    ]);
}

fn expire_queues(table: &Table, kind: Kind, count: usize) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut client = Client::connect(broker.address);
    let moment = Moment::after(count, kind.making);
    let declared = timed(|| {
        client.ask_each(count, |number| queue::Declare {
            queue: name(&queue_name(number)),
            durable: kind.is_durable,
            arguments: FieldTable::new().with("x-expires", FieldValue::I64(moment.left_ms())),
            ..Default::default()
        });
    });
    let making = pinger.longest();
    moment.wait();
    let begin = Instant::now();
    // The pinger's own stays.
    while queues_of(broker.http) > 1 {
        assert!(begin.elapsed() < PATIENCE, "expired queues stay");
    }
    let late = begin.elapsed();
    pinger.settle();
    let [now, peak] = memory(broker.memory());
    let ping = pinger.longest();
    table.row([
        short(count as f64),
        per_s(count, declared),
        ms(making),
        ms(late),
        ms(ping),
        now,
        peak,
    ]);
}

/// Messages that an exchange holds back, all to be let go at once.
pub(crate) fn delayed(plan: &Plan) {
    let columns =
        ["messages", "in/s", "B each", "ping ms", "late ms", "out/s", "ping ms", "MiB", "peak"];
    for kind in [TRANSIENT, DURABLE] {
        let title = format!("{} messages that were delayed are due at once", kind.title);
        let table = Table::new(&title, &columns);
        for count in plan.steps(100_000) {
            delay(&table, kind, count);
        }
    }
}

fn delay(table: &Table, kind: Kind, count: usize) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut client = Client::connect(broker.address);
    let is_there = client.is_had(exchange::Declare {
        exchange: name("later"),
        kind: name("x-delayed-message"),
        durable: kind.is_durable,
        arguments: FieldTable::new().with("x-delayed-type", "direct"),
        ..Default::default()
    });
    if !is_there {
        return table.refused(count);
    }
    let mut consumer = consumed_queue(&broker, "q", kind, FieldTable::new());
    let bind = queue::Bind {
        queue: name("q"),
        exchange: name("later"),
        routing_key: name("k"),
        ..Default::default()
    };
    client.ask(1, bind);
    let empty = broker.memory();
    let moment = Moment::after(count, kind.making);
    let published = timed(|| {
        publish(&mut client, count, |_| {
            let delay = FieldValue::I64(moment.left_ms());
            let headers = FieldTable::new().with("x-delay", delay);
            let properties = Properties { headers: Some(headers), ..persistence(kind) };
            ("later", "k".to_owned(), properties)
        });
    });
    let full = broker.memory();
    let making = pinger.longest();
    moment.wait();
    let out = timed(|| receive(&mut consumer, count));
    pinger.settle();
    let [now, peak] = memory(broker.memory());
    table.row([
        short(count as f64),
        per_s(count, published),
        full.each_since(empty, count).to_string(),
        ms(making),
        ms(out),
        per_s(count, out),
        ms(pinger.longest()),
        now,
        peak,
    ]);
}

/// Messages that expire at once and are dead-lettered into another queue.
pub(crate) fn dead_letters(plan: &Plan) {
    let columns =
        ["messages", "in/s", "B each", "ping ms", "late ms", "out/s", "ping ms", "MiB", "peak"];
    for kind in [TRANSIENT, DURABLE] {
        let title =
            format!("{} messages of a queue expire at once and are dead-lettered", kind.title);
        let table = Table::new(&title, &columns);
        for count in plan.steps(100_000) {
            dead_letter(&table, kind, count);
        }
    }
}

fn dead_letter(table: &Table, kind: Kind, count: usize) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut client = Client::connect(broker.address);
    let mut consumer = consumed_queue(&broker, "dead", kind, FieldTable::new());
    let arguments = FieldTable::new()
        .with("x-dead-letter-exchange", "")
        .with("x-dead-letter-routing-key", "dead");
    let durable = kind.is_durable;
    let declare = queue::Declare { queue: name("q"), durable, arguments, ..Default::default() };
    if !client.is_had(declare) {
        return table.refused(count);
    }
    let empty = broker.memory();
    let moment = Moment::after(count, kind.making);
    let published = timed(|| {
        publish(&mut client, count, |_| {
            let expiration = Some(name(&moment.left_ms().to_string()));
            ("", "q".to_owned(), Properties { expiration, ..persistence(kind) })
        });
    });
    let full = broker.memory();
    let making = pinger.longest();
    moment.wait();
    let out = timed(|| receive(&mut consumer, count));
    pinger.settle();
    let [now, peak] = memory(broker.memory());
    table.row([
        short(count as f64),
        per_s(count, published),
        full.each_since(empty, count).to_string(),
        ms(making),
        ms(out),
        per_s(count, out),
        ms(pinger.longest()),
        now,
        peak,
    ]);
}

/// A queue with a consumer that acknowledges nothing.
fn consumed_queue(broker: &Broker, queue: &str, kind: Kind, arguments: FieldTable) -> Client {
    let mut consumer = Client::connect(broker.address);
    let durable = kind.is_durable;
    let declare = queue::Declare { queue: name(queue), durable, arguments, ..Default::default() };
    consumer.ask(1, declare);
    consumer.ask(1, basic::Consume { queue: name(queue), no_ack: true, ..Default::default() });
    consumer
}

/// Takes `count` deliveries.
fn receive(consumer: &mut Client, count: usize) {
    let mut got = 0;
    while got < count as u64 {
        got += consumer.receive().deliveries;
    }
}

fn persistence(kind: Kind) -> Properties {
    Properties { delivery_mode: kind.is_durable.then_some(2), ..Properties::default() }
}

/// Publishes `count` messages and waits until the broker has all of them.
fn publish(
    client: &mut Client,
    count: usize,
    message: impl Fn(usize) -> (&'static str, String, Properties),
) {
    client.ask(1, confirm::Select::default());
    let mut bytes = Vec::new();
    for number in 0..count {
        let (exchange, key, properties) = message(number);
        let (exchange, routing_key) = (name(exchange), name(&key));
        let publish = basic::Publish { exchange, routing_key, ..Default::default() };
        frame::write_method(&mut bytes, 1, &publish.into());
        frame::write_content(&mut bytes, 1, &properties.to_bytes(), BODY, FRAME_MAX_DEFAULT);
        if bytes.len() > CHUNK_BYTES || number + 1 == count {
            client.write(&bytes);
            bytes.clear();
        }
    }
    let mut confirmed = 0;
    while confirmed < count as u64 {
        confirmed = confirmed.max(client.receive().confirms);
    }
}

fn waiting_in(client: &mut Client, queue: &str) -> u32 {
    let passive = queue::Declare { queue: name(queue), passive: true, ..Default::default() };
    match client.ask(1, passive) {
        Method::QueueDeclareOk(state) => state.message_count,
        other => panic!("declare-ok, not {other:?}"),
    }
}

/// How many queues there are, by the overview.
fn queues_of(http: SocketAddr) -> usize {
    let mut stream = TcpStream::connect(http).expect("the API is served");
    let head = "Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\nConnection: close\r\nHost: localhost";
    write!(stream, "GET /api/overview HTTP/1.1\r\n{head}\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, totals) = answer.split_once("\"object_totals\"").expect("an overview");
    let (_, count) = totals.split_once("\"queues\":").expect("a count");
    let digits: String = count.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}
