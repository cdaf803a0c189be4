//! 1 to 10,000 queues: declared, consumed from, published to in turn, listed, deleted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use mq::wire::method::{basic, queue};

use crate::Plan;
use crate::broker::{Broker, program};
use crate::client::{Client, name};
use crate::flow::{Flow, Publishes, Shape, Take};
use crate::ping::Pinger;
use crate::table::{Table, memory, ms, per_s, rate, short};

pub(crate) fn run(plan: &Plan) {
    for is_durable in [false, true] {
        let kind = if is_durable { "durable" } else { "transient" };
        let columns = [
            "queues",
            "declare/s",
            "B each",
            "consume/s",
            "B each",
            "msg/s",
            "us CPU",
            "list ms",
            "API ms",
            "delete/s",
            "MiB",
            "peak",
            "ping ms",
        ];
        let table =
            Table::new(&format!("{kind} queues, messages of 100 B to all in turn"), &columns);
        for count in plan.steps(10_000) {
            row(plan, &table, count, is_durable);
        }
    }
}

pub(crate) fn queue_name(number: usize) -> String {
    format!("q-{number:06}")
}

fn row(plan: &Plan, table: &Table, count: usize, is_durable: bool) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut client = Client::connect(broker.address);
    let empty = broker.memory();
    let declared = timed(|| {
        client.ask_each(count, |number| queue::Declare {
            queue: name(&queue_name(number)),
            durable: is_durable,
            ..Default::default()
        });
    });
    let with_queues = broker.memory();
    let consumed = timed(|| {
        client.ask_each(count, |number| basic::Consume {
            queue: name(&queue_name(number)),
            consumer_tag: name(&format!("c-{number:06}")),
            no_ack: true,
            ..Default::default()
        });
    });
    let with_consumers = broker.memory();
    let messages = Publishes::to_queues((0..count).map(queue_name), Shape::SMALL);
    let mut publishers = [Client::connect(broker.address)];
    let turn = messages.per_write();
    let flow = Flow {
        broker: &broker,
        publishers: &mut publishers,
        messages: &messages,
        turn,
        consumer: &mut client,
        take: Take::Free,
    };
    let flowed = flow.run(plan.time);
    let listed = timed(|| list(broker.address, broker.http));
    let asked = timed(|| get(broker.http, "/api/queues?page=1&page_size=100"));
    let mut other = Client::connect(broker.address);
    let deleted = timed(|| {
        other.ask_each(count, |number| queue::Delete {
            queue: name(&queue_name(number)),
            ..Default::default()
        });
    });
    let [flow_rate, flow_cpu] = rate(flowed);
    let [now, peak] = memory(broker.memory());
    table.row([
        short(count as f64),
        per_s(count, declared),
        with_queues.each_since(empty, count).to_string(),
        per_s(count, consumed),
        with_consumers.each_since(with_queues, count).to_string(),
        flow_rate,
        flow_cpu,
        ms(listed),
        ms(asked),
        per_s(count, deleted),
        now,
        peak,
        ms(pinger.longest()),
    ]);
}

pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// What `mq list-queues` takes, with the start of its process.
fn list(amqp: SocketAddr, http: SocketAddr) {
    let done = Command::new(program())
        .args(["list-queues", "--format", "json", "--url", &format!("amqp://guest:guest@{amqp}/")])
        .args(["--http-url", &format!("http://guest:guest@{http}/")])
        .output()
        .expect("the built mq can be started");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn get(http: SocketAddr, path: &str) {
    let mut stream = TcpStream::connect(http).expect("the API is served");
    let head = "Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\nConnection: close\r\nHost: localhost";
    write!(stream, "GET {path} HTTP/1.1\r\n{head}\r\n\r\n").expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
