//! Bodies from nothing to 16 MiB, transient and durable.

use mq::wire::method::{basic, queue};

use crate::Plan;
use crate::broker::Broker;
use crate::client::{Client, name};
use crate::flow::{Flow, Publishes, Shape, Take};
use crate::ping::Pinger;
use crate::table::{Table, memory, ms, rate, short};

const SIZES: &[usize] = &[0, 1, 100, 1 << 10, 10 << 10, 100 << 10, 1 << 20, 4 << 20, 16 << 20];

pub(crate) fn run(plan: &Plan) {
    for is_persistent in [false, true] {
        let kind = if is_persistent { "persistent, acknowledged" } else { "transient" };
        let columns = ["body", "msg/s", "MB/s", "us CPU", "MiB", "peak", "ping ms"];
        let table = Table::new(&format!("bodies, {kind}, one publisher, one consumer"), &columns);
        for body_bytes in plan.up_to(SIZES.iter().copied()) {
            row(plan, &table, Shape { body_bytes, is_persistent });
        }
    }
}

fn row(plan: &Plan, table: &Table, shape: Shape) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut consumer = Client::connect(broker.address);
    consumer.ask(
        1,
        queue::Declare { queue: name("q"), durable: shape.is_persistent, ..Default::default() },
    );
    let no_ack = !shape.is_persistent;
    consumer.ask(1, basic::Consume { queue: name("q"), no_ack, ..Default::default() });
    let messages = Publishes::to_queues(["q".to_owned()], shape);
    let mut publishers = [Client::connect(broker.address)];
    let turn = messages.per_write();
    let every = (1 << 20) / (shape.body_bytes as u64).clamp(1 << 10, 1 << 20);
    let take = if no_ack { Take::Free } else { Take::AckEvery(every) };
    let flow = Flow {
        broker: &broker,
        publishers: &mut publishers,
        messages: &messages,
        turn,
        consumer: &mut consumer,
        take,
    };
    let flowed = flow.run(plan.time);
    let [flow_rate, flow_cpu] = rate(flowed);
    let [now, peak] = memory(broker.memory());
    table.row([
        shape.body_bytes.to_string(),
        flow_rate,
        short(flowed.per_s * shape.body_bytes as f64 / 1e6),
        flow_cpu,
        now,
        peak,
        ms(pinger.longest()),
    ]);
}
