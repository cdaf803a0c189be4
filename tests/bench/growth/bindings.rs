//! 1 to 100,000 bindings of one exchange, of each type; chains of exchanges.

use mq::wire::method::{basic, exchange, queue};
use mq::wire::{FieldTable, FieldValue, Writer};

use crate::Plan;
use crate::broker::Broker;
use crate::client::{Client, name};
use crate::flow::{Flow, Publishes, Shape, Take};
use crate::ping::Pinger;
use crate::queues::timed;
use crate::table::{Table, memory, ms, per_s, rate, short};

/// Keys that publishers use at most, spread over all the bindings.
const KEYS_MAX: usize = 10_000;

/// One way to bind many times.
#[derive(Clone, Copy, Debug)]
struct Kind {
    exchange: &'static str,
    title: &'static str,
    /// The pattern of binding `n`.
    pattern: fn(usize) -> String,
    /// A key that only it matches.
    key: fn(usize) -> String,
    arguments: fn(usize) -> FieldTable,
    headers: fn(usize) -> FieldTable,
}

fn integer(number: usize) -> FieldValue {
    FieldValue::I64(i64::try_from(number).expect("a hundred thousand at most"))
}

fn none(_: usize) -> FieldTable {
    FieldTable::new()
}

fn headers(number: usize) -> FieldTable {
    FieldTable::new().with("kind", "order").with("customer", integer(number))
}

const KINDS: &[Kind] = &[
    Kind {
        exchange: "direct",
        title: "direct",
        pattern: |number| format!("key-{number:06}"),
        key: |number| format!("key-{number:06}"),
        arguments: none,
        headers: none,
    },
    Kind {
        exchange: "topic",
        title: "topic `customer-N.*.#`",
        pattern: |number| format!("customer-{number:06}.*.#"),
        key: |number| format!("customer-{number:06}.order.new"),
        arguments: none,
        headers: none,
    },
    Kind {
        exchange: "topic",
        title: "topic `*.customer-N.end`",
        pattern: |number| format!("*.customer-{number:06}.end"),
        key: |number| format!("order.customer-{number:06}.end"),
        arguments: none,
        headers: none,
    },
    Kind {
        exchange: "headers",
        title: "headers, all of two",
        pattern: |_| String::new(),
        key: |_| String::new(),
        arguments: headers,
        headers,
    },
    Kind {
        exchange: "headers",
        title: "headers, any of two",
        pattern: |_| String::new(),
        key: |_| String::new(),
        arguments: |number| {
            FieldTable::new()
                .with("x-match", "any")
                .with("customer", integer(number))
                .with("supplier", integer(number))
        },
        headers,
    },
    Kind {
        exchange: "fanout",
        title: "fanout",
        pattern: |number| format!("key-{number:06}"),
        key: |_| "any".to_owned(),
        arguments: none,
        headers: none,
    },
];

const COLUMNS: &[&str] = &[
    "bindings",
    "bind/s",
    "B each",
    "msg/s",
    "us CPU",
    "unbind/s",
    "again/s",
    "ping ms",
    "del. queue ms",
    "ping ms",
    "del. exchange ms",
    "ping ms",
    "MiB",
    "peak",
];

pub(crate) fn run(plan: &Plan) {
    for kind in KINDS {
        let title = format!(
            "{} bindings of one exchange to one queue, each message matches one",
            kind.title
        );
        let table = Table::new(&title, COLUMNS);
        for count in plan.steps(100_000) {
            row(plan, &table, *kind, count);
        }
    }
}

fn row(plan: &Plan, table: &Table, kind: Kind, count: usize) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut client = Client::connect(broker.address);
    let declare_exchange =
        exchange::Declare { exchange: name("x"), kind: name(kind.exchange), ..Default::default() };
    let declare_queue = queue::Declare { queue: name("q"), ..Default::default() };
    client.ask(1, declare_exchange.clone());
    client.ask(1, declare_queue.clone());
    client.ask(1, basic::Consume { queue: name("q"), no_ack: true, ..Default::default() });
    let empty = broker.memory();
    let bound = timed(|| bind_all(&mut client, kind, count));
    let full = broker.memory();
    let [flow_rate, flow_cpu] = rate(flow(plan, &broker, kind, count, &mut client));
    let unbound = timed(|| {
        client.ask_each(count, |number| queue::Unbind {
            queue: name("q"),
            exchange: name("x"),
            routing_key: name(&(kind.pattern)(number)),
            arguments: (kind.arguments)(number),
            ..Default::default()
        });
    });
    let bound_again = timed(|| bind_all(&mut client, kind, count));
    let until_bound = pinger.longest();
    let delete_queue = queue::Delete { queue: name("q"), ..Default::default() };
    let queue_deleted = timed(|| drop(client.ask(1, delete_queue.clone())));
    pinger.settle();
    let with_queue = pinger.longest();
    client.ask(1, declare_queue);
    bind_all(&mut client, kind, count);
    pinger.longest();
    let delete_exchange = exchange::Delete { exchange: name("x"), ..Default::default() };
    let exchange_deleted = timed(|| drop(client.ask(1, delete_exchange)));
    pinger.settle();
    let [now, peak] = memory(broker.memory());
    table.row([
        short(count as f64),
        per_s(count, bound),
        full.each_since(empty, count).to_string(),
        flow_rate,
        flow_cpu,
        per_s(count, unbound),
        per_s(count, bound_again),
        ms(until_bound),
        ms(queue_deleted),
        ms(with_queue),
        ms(exchange_deleted),
        ms(pinger.longest()),
        now,
        peak,
    ]);
}

fn bind_all(client: &mut Client, kind: Kind, count: usize) {
    client.ask_each(count, |number| queue::Bind {
        queue: name("q"),
        exchange: name("x"),
        routing_key: name(&(kind.pattern)(number)),
        arguments: (kind.arguments)(number),
        ..Default::default()
    });
}

fn flow(
    plan: &Plan,
    broker: &Broker,
    kind: Kind,
    count: usize,
    consumer: &mut Client,
) -> crate::flow::Rate {
    let keys = count.min(KEYS_MAX);
    // Far apart, so that they are not neighbours in memory either.
    let numbers = (0..keys).map(|at| at * (count / keys));
    let messages = Publishes::new(
        "x",
        numbers.map(|number| ((kind.key)(number), properties(kind, number))),
        Shape::SMALL,
    );
    let mut publishers = [Client::connect(broker.address)];
    let turn = messages.per_write();
    Flow {
        broker,
        publishers: &mut publishers,
        messages: &messages,
        turn,
        consumer,
        take: Take::Free,
    }
    .run(plan.time)
}

fn properties(kind: Kind, number: usize) -> Vec<u8> {
    let headers = (kind.headers)(number);
    if headers.is_empty() {
        return Shape::SMALL.properties().to_vec();
    }
    // The flag of headers, and they.
    let mut bytes = vec![0x20, 0];
    headers.encode(&mut Writer::new(&mut bytes));
    bytes
}

/// Each exchange leads to the next, the last to a queue.
pub(crate) fn chain(plan: &Plan) {
    let columns = [
        "exchanges",
        "bind/s",
        "B each",
        "msg/s",
        "us CPU",
        "new key ms",
        "ping ms",
        "MiB",
        "peak",
    ];
    let table = Table::new("a chain of fanout exchanges, each bound to the next", &columns);
    for count in plan.steps(10_000) {
        chain_row(plan, &table, count);
    }
}

fn chain_row(plan: &Plan, table: &Table, count: usize) {
    let broker = Broker::start();
    let pinger = Pinger::start(broker.address);
    let mut client = Client::connect(broker.address);
    let exchange_name = |number: usize| name(&format!("x-{number:06}"));
    client.ask(1, queue::Declare { queue: name("q"), ..Default::default() });
    client.ask(1, basic::Consume { queue: name("q"), no_ack: true, ..Default::default() });
    let empty = broker.memory();
    let bound = timed(|| {
        client.ask_each(count, |number| exchange::Declare {
            exchange: exchange_name(number),
            kind: name("fanout"),
            ..Default::default()
        });
        client.ask_each(count - 1, |number| exchange::Bind {
            source: exchange_name(number),
            destination: exchange_name(number + 1),
            ..Default::default()
        });
        let last = exchange_name(count - 1);
        client.ask(1, queue::Bind { queue: name("q"), exchange: last, ..Default::default() });
    });
    let full = broker.memory();
    let with_key = |key: &str| {
        Publishes::new(
            "x-000000",
            [(key.to_owned(), Shape::SMALL.properties().to_vec())],
            Shape::SMALL,
        )
    };
    let mut publishers = [Client::connect(broker.address)];
    // The way is found anew for a key that the channel does not remember.
    let new_key = timed(|| {
        with_key("new").write(&mut publishers[0], 1, 0);
        client.receive();
    });
    let messages = with_key("key");
    let turn = messages.per_write();
    let consumer = &mut client;
    let flow = Flow {
        broker: &broker,
        publishers: &mut publishers,
        messages: &messages,
        turn,
        consumer,
        take: Take::Free,
    };
    let [flow_rate, flow_cpu] = rate(flow.run(plan.time));
    let [now, peak] = memory(broker.memory());
    table.row([
        short(count as f64),
        per_s(count, bound),
        full.each_since(empty, count).to_string(),
        flow_rate,
        flow_cpu,
        ms(new_key),
        ms(pinger.longest()),
        now,
        peak,
    ]);
}
