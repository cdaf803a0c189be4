//! A backlog from nothing to 10 million messages: in, waiting, through a restart, out.

use std::time::{Duration, Instant};

use mq::wire::method::{basic, confirm, queue};

use crate::Plan;
use crate::broker::Broker;
use crate::client::{Client, name};
use crate::flow::{Publishes, Rate, Shape};
use crate::ping::Pinger;
use crate::queues::timed;
use crate::table::{Table, mib, ms, short};

/// Messages after which everything is acknowledged.
const ACK_EVERY: u64 = 500;
/// Confirms that may be outstanding.
const UNCONFIRMED_MAX: u64 = 20_000;

/// One kind of message, and how many of them are tried.
#[derive(Clone, Copy, Debug)]
struct Kind {
    title: &'static str,
    shape: Shape,
    is_durable: bool,
    sizes: &'static [usize],
}

const KINDS: &[Kind] = &[
    Kind {
        title: "transient, 16 B",
        shape: Shape { body_bytes: 16, is_persistent: false },
        is_durable: false,
        sizes: &[1, 1_000, 10_000, 100_000, 1_000_000, 10_000_000],
    },
    Kind {
        title: "durable, 16 B",
        shape: Shape { body_bytes: 16, is_persistent: true },
        is_durable: true,
        sizes: &[1, 1_000, 10_000, 100_000, 1_000_000, 10_000_000],
    },
    Kind {
        title: "durable, 1 KiB",
        shape: Shape { body_bytes: 1024, is_persistent: true },
        is_durable: true,
        sizes: &[1, 1_000, 10_000, 100_000, 1_000_000, 3_000_000],
    },
];

const COLUMNS: &[&str] = &[
    "backlog",
    "in/s",
    "us CPU",
    "last 10%/s",
    "MiB",
    "B each",
    "stop ms",
    "start ms",
    "MiB then",
    "out/s",
    "us CPU",
    "purge ms",
    "peak",
    "ping ms",
    "purge ping",
];

pub(crate) fn run(plan: &Plan) {
    for kind in KINDS {
        let table = Table::new(
            &format!("backlog, {} (confirmed in, acknowledged out)", kind.title),
            COLUMNS,
        );
        for count in plan.up_to(kind.sizes.iter().copied()) {
            row(&table, *kind, count as u64);
        }
    }
}

fn row(table: &Table, kind: Kind, count: u64) {
    let mut broker = Broker::start();
    let mut pinger = Pinger::start(broker.address);
    let empty = broker.memory();
    let (filled, last) = fill(&broker, kind, count);
    let full = broker.memory();
    let longest = pinger.longest();
    let mut restarted = [String::new(), String::new(), String::new()];
    if kind.is_durable {
        drop(pinger);
        let (stopped, started) = broker.restart();
        restarted = [ms(stopped), ms(started), mib(broker.memory().resident)];
        pinger = Pinger::start(broker.address);
    }
    let drained = drain(&broker, count);
    let longest = longest.max(pinger.longest());
    let peak = broker.memory().peak;
    fill(&broker, kind, count);
    pinger.longest();
    let mut client = Client::connect(broker.address);
    let purged =
        timed(|| drop(client.ask(1, queue::Purge { queue: name("q"), ..Default::default() })));
    pinger.settle();
    let [stopped, started, then] = restarted;
    table.row([
        short(count as f64),
        short(filled.per_s),
        format!("{:.2}", filled.cpu_us),
        short(last),
        mib(full.resident),
        full.each_since(empty, usize::try_from(count).unwrap_or(usize::MAX)).to_string(),
        stopped,
        started,
        then,
        short(drained.per_s),
        format!("{:.2}", drained.cpu_us),
        ms(purged),
        mib(peak),
        ms(longest),
        ms(pinger.longest()),
    ]);
}

/// Publishes with confirms; answers the rate of all, and that of the last tenth.
fn fill(broker: &Broker, kind: Kind, count: u64) -> (Rate, f64) {
    let mut client = Client::connect(broker.address);
    let declare =
        queue::Declare { queue: name("q"), durable: kind.is_durable, ..Default::default() };
    client.ask(1, declare);
    client.ask(1, confirm::Select::default());
    let messages = Publishes::to_queues(["q".to_owned()], kind.shape);
    let (mut sent, mut confirmed) = (0, 0);
    let last_tenth = count - count / 10;
    let (begin, cpu_s) = (Instant::now(), broker.cpu_s());
    let mut last_since = None;
    while confirmed < count {
        while sent < count && sent - confirmed < UNCONFIRMED_MAX {
            let turn = messages.per_write().min(count - sent);
            messages.write(&mut client, turn, sent);
            sent += turn;
        }
        confirmed = confirmed.max(client.receive().confirms);
        if confirmed >= last_tenth && last_since.is_none() {
            last_since = Some((Instant::now(), confirmed));
        }
    }
    let (since, before) = last_since.unwrap_or((begin, 0));
    let seconds = since.elapsed().max(Duration::from_micros(1)).as_secs_f64();
    let rate = Rate::of(count, begin.elapsed(), broker.cpu_s() - cpu_s);
    (rate, (count - before) as f64 / seconds)
}

fn drain(broker: &Broker, count: u64) -> Rate {
    let mut client = Client::connect(broker.address);
    client.ask(1, basic::Qos { prefetch_count: 2000, ..Default::default() });
    let (begin, cpu_s) = (Instant::now(), broker.cpu_s());
    client.ask(1, basic::Consume { queue: name("q"), ..Default::default() });
    let (mut got, mut unacked) = (0, 0);
    let mut last_tag = 0;
    while got < count {
        let came = client.receive();
        got += came.deliveries;
        unacked += came.deliveries;
        last_tag = last_tag.max(came.last_tag);
        if unacked >= ACK_EVERY || got == count {
            client.ack(last_tag);
            unacked = 0;
        }
    }
    Rate::of(count, begin.elapsed(), broker.cpu_s() - cpu_s)
}
