//! 1 to 10,000 connections, idle and publishing in turn; 1 to 2047 channels of one connection.

use mq::wire::method::{basic, channel, queue};

use crate::Plan;
use crate::broker::Broker;
use crate::client::{Client, name};
use crate::flow::{Flow, Publishes, Shape, Take};
use crate::ping::Pinger;
use crate::queues::timed;
use crate::table::{Table, memory, ms, per_s, rate, short};

/// Messages that a connection writes in its turn: each of them is one packet, as from so many small programs.
const TURN: u64 = 10;

pub(crate) fn run(plan: &Plan) {
    let columns = [
        "connections",
        "open/s",
        "B each",
        "msg/s",
        "us CPU",
        "B each then",
        "close/s",
        "MiB",
        "peak",
        "ping ms",
    ];
    // A limit of the machine: both ends of a connection are files of one user.
    let most = usize::try_from(
        rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20),
    );
    let most = most.unwrap_or(usize::MAX) - 100;
    let table =
        Table::new("connections with a channel, 10 messages of 100 B from each in turn", &columns);
    for count in plan.steps(10_000).into_iter().filter(|count| *count < most) {
        row(plan, &table, count);
    }
}

fn row(plan: &Plan, table: &Table, count: usize) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut consumer = subscribed(&broker);
    let empty = broker.memory();
    let mut clients = Vec::with_capacity(count);
    let opened = timed(|| clients.extend((0..count).map(|_| Client::connect(broker.address))));
    let idle = broker.memory();
    let messages = Publishes::to_queues(["q".to_owned()], Shape::SMALL);
    let flow = Flow {
        broker: &broker,
        publishers: &mut clients,
        messages: &messages,
        turn: TURN,
        consumer: &mut consumer,
        take: Take::Free,
    };
    let [flow_rate, flow_cpu] = rate(flow.run(plan.time));
    let active = broker.memory();
    let closed = timed(|| {
        clients.clear();
        // A name that is free again says that the broker is through with those before.
        drop(Client::connect(broker.address));
    });
    let [now, peak] = memory(broker.memory());
    table.row([
        short(count as f64),
        per_s(count, opened),
        idle.each_since(empty, count).to_string(),
        flow_rate,
        flow_cpu,
        active.each_since(empty, count).to_string(),
        per_s(count, closed),
        now,
        peak,
        ms(pinger.longest()),
    ]);
}

fn subscribed(broker: &Broker) -> Client {
    let mut consumer = Client::connect(broker.address);
    consumer.ask(1, queue::Declare { queue: name("q"), ..Default::default() });
    consumer.ask(1, basic::Consume { queue: name("q"), no_ack: true, ..Default::default() });
    consumer
}

pub(crate) fn channels(plan: &Plan) {
    let columns =
        ["channels", "open/s", "B each", "msg/s", "us CPU", "close/s", "MiB", "peak", "ping ms"];
    let table =
        Table::new("channels of one connection, which publishes 100 B on the first", &columns);
    for count in plan.up_to([1, 10, 100, 1000, 2047]) {
        let broker = Broker::start();
        let pinger = Pinger::start(broker.address);
        let mut consumer = subscribed(&broker);
        let empty = broker.memory();
        let mut publishers = [Client::greet(broker.address)];
        let numbers = || 1..=u16::try_from(count).expect("2047 at most");
        let opened = timed(|| {
            numbers().for_each(|number| publishers[0].put(number, channel::Open::default()));
            publishers[0].flush();
            numbers().for_each(|_| drop(publishers[0].answer()));
        });
        let open = broker.memory();
        let messages = Publishes::to_queues(["q".to_owned()], Shape::SMALL);
        let turn = messages.per_write();
        let flow = Flow {
            broker: &broker,
            publishers: &mut publishers,
            messages: &messages,
            turn,
            consumer: &mut consumer,
            take: Take::Free,
        };
        let [flow_rate, flow_cpu] = rate(flow.run(plan.time));
        let closed = timed(|| {
            numbers().for_each(|number| publishers[0].put(number, channel::Close::default()));
            publishers[0].flush();
            numbers().for_each(|_| drop(publishers[0].answer()));
        });
        let [now, peak] = memory(broker.memory());
        table.row([
            short(count as f64),
            per_s(count, opened),
            open.each_since(empty, count).to_string(),
            flow_rate,
            flow_cpu,
            per_s(count, closed),
            now,
            peak,
            ms(pinger.longest()),
        ]);
    }
}
