//! Queues with rules: 255 priorities, and messages that are dead-lettered round and round.

use std::time::{Duration, Instant};

use mq::wire::method::{basic, confirm, queue};
use mq::wire::{FieldTable, FieldValue, Properties};

use crate::Plan;
use crate::broker::Broker;
use crate::client::{Client, name};
use crate::flow::{Flow, Publishes, Rate, Shape, Take};
use crate::ping::Pinger;
use crate::queues::timed;
use crate::table::{Table, memory, ms, per_s, rate, short};

/// Messages that wait in a queue with priorities.
const BACKLOG: usize = 100_000;
/// Messages after which everything is rejected.
const REJECT_EVERY: u64 = 500;

/// A backlog of all priorities, in and out, and a flow beside none.
pub(crate) fn priorities(plan: &Plan) {
    let columns = [
        "priorities",
        "in/s",
        "B each",
        "ping ms",
        "out/s",
        "ping ms",
        "msg/s",
        "us CPU",
        "MiB",
        "peak",
    ];
    let table = Table::new("100,000 messages of all priorities of one queue, 100 B", &columns);
    for count in plan.up_to([1, 10, 255]) {
        let highest = u8::try_from(count).expect("255 at most");
        priority_row(plan, &table, highest);
    }
}

fn priority_row(plan: &Plan, table: &Table, highest: u8) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut client = Client::connect(broker.address);
    let arguments = FieldTable::new().with("x-max-priority", FieldValue::I32(i32::from(highest)));
    if !client.is_had(queue::Declare { queue: name("q"), arguments, ..Default::default() }) {
        return table.refused(usize::from(highest));
    }
    let messages = Publishes::new("", (0..=highest).map(prioritised), Shape::SMALL);
    let count = plan.at_most(BACKLOG);
    let empty = broker.memory();
    let filled = timed(|| fill(&broker, &messages, count));
    let full = broker.memory();
    let filling = pinger.longest();
    let consume = basic::Consume { queue: name("q"), no_ack: true, ..Default::default() };
    let drained = timed(|| {
        client.ask(1, consume);
        let mut got = 0;
        while got < count as u64 {
            got += client.receive().deliveries;
        }
    });
    let draining = pinger.longest();
    let mut publishers = [Client::connect(broker.address)];
    let turn = messages.per_write();
    let (publishers, consumer) = (&mut publishers[..], &mut client);
    let flow =
        Flow { broker: &broker, publishers, messages: &messages, turn, consumer, take: Take::Free };
    let [flow_rate, flow_cpu] = rate(flow.run(plan.time));
    let [now, peak] = memory(broker.memory());
    table.row([
        short(f64::from(highest)),
        per_s(count, filled),
        full.each_since(empty, count).to_string(),
        ms(filling),
        per_s(count, drained),
        ms(draining),
        flow_rate,
        flow_cpu,
        now,
        peak,
    ]);
}

/// A message to the queue `q`; that of a priority in a prime step, so that neighbours differ.
fn prioritised(number: u8) -> (String, Vec<u8>) {
    let priority = Some(number.wrapping_mul(97));
    ("q".to_owned(), Properties { priority, ..Properties::default() }.to_bytes())
}

/// Publishes with confirms.
fn fill(broker: &Broker, messages: &Publishes, count: usize) {
    let mut client = Client::connect(broker.address);
    client.ask(1, confirm::Select::default());
    messages.write(&mut client, count as u64, 0);
    let mut confirmed = 0;
    while confirmed < count as u64 {
        confirmed = confirmed.max(client.receive().confirms);
    }
}

/// A consumer that rejects everything, and a queue whose dead letters are its own messages.
pub(crate) fn circles(plan: &Plan) {
    let columns = ["messages", "rejects/s", "us CPU", "ping ms", "MiB", "peak"];
    for is_durable in [false, true] {
        let kind = if is_durable { "durable" } else { "transient" };
        let title = format!("{kind} messages that are rejected and come back as dead letters");
        let table = Table::new(&title, &columns);
        for count in plan.steps(10_000) {
            circle(plan, &table, count, is_durable);
        }
    }
}

fn circle(plan: &Plan, table: &Table, count: usize, is_durable: bool) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut client = Client::connect(broker.address);
    let arguments = FieldTable::new().with("x-dead-letter-exchange", "");
    let durable = is_durable;
    let declare = queue::Declare { queue: name("q"), durable, arguments, ..Default::default() };
    if !client.is_had(declare) {
        return table.refused(count);
    }
    let shape = Shape { is_persistent: is_durable, ..Shape::SMALL };
    let messages = Publishes::to_queues(["q".to_owned()], shape);
    fill(&broker, &messages, count);
    client.ask(1, basic::Qos { prefetch_count: 1000, ..Default::default() });
    client.ask(1, basic::Consume { queue: name("q"), ..Default::default() });
    let rejected = reject_for(&mut client, &broker, count as u64, plan.time * 3);
    let [reject_rate, reject_cpu] = rate(rejected);
    let [now, peak] = memory(broker.memory());
    table.row([short(count as f64), reject_rate, reject_cpu, ms(pinger.longest()), now, peak]);
}

/// Rejects everything that comes for `time`.
fn reject_for(client: &mut Client, broker: &Broker, count: u64, time: Duration) -> Rate {
    let (begin, cpu_s) = (Instant::now(), broker.cpu_s());
    let (mut got, mut open) = (0, 0);
    while begin.elapsed() < time {
        let came = client.receive();
        got += came.deliveries;
        open += came.deliveries;
        if open >= REJECT_EVERY.min(count) {
            let delivery_tag = came.last_tag;
            client.put(1, basic::Nack { delivery_tag, multiple: true, requeue: false });
            client.flush();
            open = 0;
        }
    }
    Rate::of(got, begin.elapsed(), broker.cpu_s() - cpu_s)
}
