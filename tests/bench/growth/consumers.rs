//! Prefetch from 1 to 65,535, and 1 to 10,000 consumers of one queue.

use mq::wire::method::{basic, queue};

use crate::Plan;
use crate::broker::Broker;
use crate::client::{Client, name};
use crate::flow::{Flow, Publishes, Shape, Take};
use crate::ping::Pinger;
use crate::queues::timed;
use crate::table::{Table, memory, ms, per_s, rate, short};

pub(crate) fn prefetch(plan: &Plan) {
    let columns = ["prefetch", "msg/s", "us CPU", "MiB", "peak", "ping ms"];
    let table =
        Table::new("prefetch of one consumer, 100 B, half of it acknowledged at once", &columns);
    for count in plan.up_to([1, 10, 100, 1_000, 10_000, 65_535]) {
        let broker = Broker::start();
        let pinger = Pinger::start(broker.address);
        let mut consumer = Client::connect(broker.address);
        consumer.ask(1, queue::Declare { queue: name("q"), ..Default::default() });
        let prefetch_count = u16::try_from(count).expect("65535 at most");
        consumer.ask(1, basic::Qos { prefetch_count, ..Default::default() });
        consumer.ask(1, basic::Consume { queue: name("q"), ..Default::default() });
        let every = (count as u64 / 2).max(1);
        let flowed = flow(plan, &broker, &mut consumer, Take::AckEvery(every));
        let [now, peak] = memory(broker.memory());
        let [flow_rate, flow_cpu] = flowed;
        table.row([short(count as f64), flow_rate, flow_cpu, now, peak, ms(pinger.longest())]);
    }
}

pub(crate) fn run(plan: &Plan) {
    let columns = [
        "consumers",
        "consume/s",
        "B each",
        "msg/s",
        "us CPU",
        "limited/s",
        "us CPU",
        "cancel/s",
        "MiB",
        "peak",
        "ping ms",
    ];
    let table = Table::new(
        "consumers of one queue on one channel, without limit and with a prefetch of 1",
        &columns,
    );
    for count in plan.steps(10_000) {
        let broker = Broker::start();
        let pinger = Pinger::start(broker.address);
        let mut consumer = Client::connect(broker.address);
        consumer.ask(1, queue::Declare { queue: name("q"), ..Default::default() });
        let empty = broker.memory();
        let subscribed = timed(|| subscribe_all(&mut consumer, count, true));
        let full = broker.memory();
        let [flow_rate, flow_cpu] = flow(plan, &broker, &mut consumer, Take::Free);
        let cancelled = timed(|| {
            consumer.ask_each(count, |number| basic::Cancel {
                consumer_tag: name(&format!("c-{number:06}")),
                nowait: false,
            });
        });
        consumer.ask(1, basic::Qos { prefetch_count: 1, ..Default::default() });
        subscribe_all(&mut consumer, count, false);
        let [limited_rate, limited_cpu] =
            flow(plan, &broker, &mut consumer, Take::AckEvery((count as u64 / 2).max(1)));
        let [now, peak] = memory(broker.memory());
        table.row([
            short(count as f64),
            per_s(count, subscribed),
            full.each_since(empty, count).to_string(),
            flow_rate,
            flow_cpu,
            limited_rate,
            limited_cpu,
            per_s(count, cancelled),
            now,
            peak,
            ms(pinger.longest()),
        ]);
    }
}

fn subscribe_all(consumer: &mut Client, count: usize, no_ack: bool) {
    consumer.ask_each(count, |number| basic::Consume {
        queue: name("q"),
        consumer_tag: name(&format!("c-{number:06}")),
        no_ack,
        ..Default::default()
    });
}

fn flow(plan: &Plan, broker: &Broker, consumer: &mut Client, take: Take) -> [String; 2] {
    let messages = Publishes::to_queues(["q".to_owned()], Shape::SMALL);
    let mut publishers = [Client::connect(broker.address)];
    let turn = messages.per_write();
    let publishers = &mut publishers[..];
    rate(Flow { broker, publishers, messages: &messages, turn, consumer, take }.run(plan.time))
}
