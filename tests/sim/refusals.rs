//! A queue that begins to refuse at every moment of a publish, on every way that leads into a queue.
//!
//! A policy makes it full when the way passes its first moment, in the next run its second, until the way has no more.
//! Whatever the moment: a message that was said to be taken is in the queue, and one that no publisher hears of is in the
//! queue or counted as dropped. Start at [`run`].

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mq::broker::Broker;
use mq::broker::admin::PolicyName;
use mq::broker::drops::DropReason;
use mq::broker::message::Message;
use mq::broker::policies::Author;
use mq::broker::publish::{PropertiesSeen, Publish, Published, Receipt, Refusals};
use mq::broker::vhost_metadata::VhostChange;
use mq::moment;
use mq::wire::method::{basic, confirm, exchange, queue, tx};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, Writer, frame};

use crate::kept::Kept;
use crate::session::{Client, Said, ready};

/// What a publisher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Taken,
    Refused,
    /// It does not ask, or there is none.
    Nothing,
}

/// A way into the queue `q`.
struct Way {
    name: &'static str,
    is_persistent: bool,
    prepare: fn(&mut Client),
    act: fn(&Kept, &mut Client) -> Told,
}

const WAYS: &[Way] = &[
    Way {
        name: "a confirmed publish",
        is_persistent: false,
        prepare: ask_confirms,
        act: |kept, client| confirmed(kept, client, "", 1),
    },
    Way {
        name: "a confirmed persistent publish",
        is_persistent: true,
        prepare: ask_confirms,
        act: |kept, client| confirmed(kept, client, "", 2),
    },
    Way {
        name: "a confirmed publish to two queues",
        is_persistent: false,
        prepare: ask_confirms,
        act: |kept, client| confirmed(kept, client, "amq.fanout", 1),
    },
    Way {
        name: "a confirmed persistent publish to two queues",
        is_persistent: true,
        prepare: ask_confirms,
        act: |kept, client| confirmed(kept, client, "amq.fanout", 2),
    },
    Way {
        name: "a publish without confirms",
        is_persistent: true,
        prepare: |_| {},
        act: unconfirmed,
    },
    Way {
        name: "a transaction",
        is_persistent: true,
        prepare: |client| client.send(1, tx::Select::default(), 0),
        act: committed,
    },
    Way { name: "a publish over HTTP", is_persistent: true, prepare: |_| {}, act: alone },
    Way { name: "a dead letter", is_persistent: true, prepare: hold_a_letter, act: rejected },
    Way { name: "a delayed message", is_persistent: true, prepare: delay_one, act: due },
    Way { name: "a remembered message", is_persistent: true, prepare: remember_one, act: replayed },
    Way { name: "a traced message", is_persistent: false, prepare: trace_all, act: traced },
];

pub(crate) fn publish(client: &mut Client, exchange: &'static str, properties: &Properties) {
    let (exchange, routing_key) = (literal(exchange), literal("q"));
    let publish = basic::Publish { exchange, routing_key, ..Default::default() };
    let mut bytes = Vec::new();
    frame::write_method(&mut bytes, 1, &publish.into());
    frame::write_content(&mut bytes, 1, &properties.to_bytes(), b"body", 131_072);
    client.bytes(&bytes, 0);
}

pub(crate) fn with_mode(delivery_mode: u8) -> Properties {
    Properties { delivery_mode: Some(delivery_mode), ..Properties::default() }
}

pub(crate) fn declare(client: &mut Client, queue: &'static str, arguments: FieldTable) {
    let queue = literal(queue);
    client.send(1, queue::Declare { queue, durable: true, arguments, ..Default::default() }, 0);
}

fn declare_exchange(client: &mut Client, kind: &'static str, arguments: FieldTable) {
    let (exchange, kind) = (literal("x"), literal(kind));
    client.send(1, exchange::Declare { exchange, kind, arguments, ..Default::default() }, 0);
}

fn bind(client: &mut Client, exchange: &'static str, queue: &'static str, key: &'static str) {
    let (exchange, queue, routing_key) = (literal(exchange), literal(queue), literal(key));
    client.send(1, queue::Bind { queue, exchange, routing_key, ..Default::default() }, 0);
}

pub(crate) fn ask_confirms(client: &mut Client) {
    client.send(1, confirm::Select::default(), 0);
}

fn synced(kept: &Kept, client: &mut Client) -> Vec<Said> {
    kept.sync();
    client.on_synced();
    client.said()
}

fn confirmed(kept: &Kept, client: &mut Client, exchange: &'static str, mode: u8) -> Told {
    publish(client, exchange, &with_mode(mode));
    match synced(kept, client)[..] {
        [Said::Method(1, Method::BasicAck(_))] => Told::Taken,
        [Said::Method(1, Method::BasicNack(_))] => Told::Refused,
        ref said => panic!("{said:?}"),
    }
}

fn unconfirmed(_: &Kept, client: &mut Client) -> Told {
    publish(client, "", &with_mode(2));
    Told::Nothing
}

fn committed(kept: &Kept, client: &mut Client) -> Told {
    publish(client, "", &with_mode(2));
    client.send(1, tx::Commit::default(), 0);
    match &synced(kept, client)[..] {
        [Said::Method(1, Method::TxCommitOk(_))] => Told::Taken,
        [Said::Method(1, Method::ChannelClose(close))] => {
            assert_eq!(close.reply_text, "PRECONDITION_FAILED - partial tx completion");
            Told::Refused
        }
        said => panic!("{said:?}"),
    }
}

/// Publishes a persistent message as a request over HTTP does.
pub(crate) fn over_http(kept: &Kept, exchange: &'static str) -> Poll<Published> {
    let (mut bytes, properties) = (Vec::new(), with_mode(2).to_bytes());
    let mut names = Writer::new(&mut bytes);
    names.short(&literal(exchange));
    names.short(&literal("q"));
    let seen = PropertiesSeen { is_persistent: true, ..PropertiesSeen::default() };
    let layout = seen.layout(bytes.len(), properties.len());
    bytes.extend(properties);
    bytes.extend(b"body");
    let message = Message::new(layout, &mut bytes);
    let vhost = kept.broker.vhost("/").unwrap();
    let rights = kept.broker.permissions.rights("guest", "/").unwrap();
    let user = literal("guest");
    let mut publisher = kept.broker.publisher(Arc::clone(&vhost), rights, user, "http".into());
    let (refusals, copies) = (Refusals::Reported, &[]);
    let publish = Publish { message: &message, copies, channel: 1, refusals, now: 0 };
    let receipt = Receipt::new(publisher.publish(&publish).unwrap(), vhost);
    kept.sync();
    receipt.poll(&Context::from_waker(Waker::noop()))
}

fn alone(kept: &Kept, _: &mut Client) -> Told {
    match over_http(kept, "") {
        Poll::Ready(Published::InMemory | Published::OnDisk(_)) => Told::Taken,
        Poll::Ready(Published::Refused | Published::NotKept) => Told::Refused,
        Poll::Ready(Published::Nowhere) => panic!("it leads to a queue"),
        Poll::Pending => panic!("it is synced"),
    }
}

fn hold_a_letter(client: &mut Client) {
    let to_q =
        FieldTable::new().with("x-dead-letter-exchange", "").with("x-dead-letter-routing-key", "q");
    declare(client, "source", to_q);
    client.publish_with("source", &with_mode(2), b"body");
    client.send(1, basic::Get { queue: literal("source"), ..Default::default() }, 0);
}

fn rejected(kept: &Kept, client: &mut Client) -> Told {
    client.send(1, basic::Reject { delivery_tag: 1, requeue: false }, 0);
    // What is only on the disk is read before it is handed on.
    kept.sync();
    Told::Nothing
}

fn delay_one(client: &mut Client) {
    declare_exchange(
        client,
        "x-delayed-message",
        FieldTable::new().with("x-delayed-type", "fanout"),
    );
    bind(client, "x", "q", "");
    let headers = Some(FieldTable::new().with("x-delay", FieldValue::I32(10)));
    publish(client, "x", &Properties { headers, ..with_mode(2) });
}

fn due(kept: &Kept, _: &mut Client) -> Told {
    kept.broker.on_time(10);
    kept.sync();
    Told::Nothing
}

fn remember_one(client: &mut Client) {
    declare_exchange(client, "x-recent-history", FieldTable::new());
    publish(client, "x", &with_mode(2));
}

fn replayed(_: &Kept, client: &mut Client) -> Told {
    bind(client, "x", "q", "");
    Told::Nothing
}

fn trace_all(client: &mut Client) {
    bind(client, "amq.rabbitmq.trace", "q", "publish.#");
}

fn traced(_: &Kept, client: &mut Client) -> Told {
    publish(client, "amq.direct", &Properties::default());
    Told::Nothing
}

/// Leaves no room in `q`, which has one message.
fn fill(broker: &Broker) {
    let name = PolicyName { author: Author::User, vhost: literal("/"), name: literal("full") };
    let definition = FieldTable::new().with("max-length", FieldValue::I64(1));
    let value = FieldTable::new().with("pattern", "^q$").with("definition", definition);
    broker.put_policy(&name, value, 0).unwrap();
}

/// Whether the way has as many moments, and what was told.
fn run(way: &Way, moment: u32) -> Option<Told> {
    let kept = Kept::new();
    let mut client = Client::open(&kept.broker, 0);
    declare(&mut client, "q", FieldTable::new().with("x-overflow", "reject-publish"));
    declare(&mut client, "other", FieldTable::new());
    for queue in ["q", "other"] {
        bind(&mut client, "amq.fanout", queue, "");
    }
    client.publish_with("q", &with_mode(2), b"body");
    (way.prepare)(&mut client);
    let change = VhostChange { is_traced: Some(way.name.contains("traced")), ..Default::default() };
    kept.broker.put_vhost(&literal("/"), change, None).unwrap();
    kept.sync();
    client.on_synced();
    client.said();
    assert_eq!(ready(&kept.broker, "q"), 1, "{}", way.name);

    let passed = Rc::new(Cell::new(0));
    let (broker, count) = (Arc::clone(&kept.broker), Rc::clone(&passed));
    let watching = moment::watch(move |_| {
        count.set(count.get() + 1);
        if count.get() == moment {
            fill(&broker);
        }
    });
    let told = (way.act)(&kept, &mut client);
    drop(watching);

    let taken = ready(&kept.broker, "q") - 1;
    let dropped =
        [DropReason::Refused, DropReason::RefusedLetter].map(|why| kept.broker.drops().of(why));
    let dropped: u64 = dropped.iter().sum();
    let case = format!("{} at moment {moment}: told {told:?}", way.name);
    match told {
        Told::Taken => assert_eq!((taken, dropped), (1, 0), "{case}"),
        Told::Refused => assert_eq!((taken, dropped), (0, 0), "{case}"),
        Told::Nothing => assert_eq!(taken + dropped, 1, "{case}"),
    }
    let told = if told == Told::Nothing && dropped > 0 { Told::Refused } else { told };
    drop(client);
    if way.is_persistent {
        let queues = kept.broker.vhost("/").unwrap().queues();
        let waiting: u64 = queues.iter().map(|queue| queue.info().ready).sum();
        assert_eq!(kept.left_on_disk(), waiting, "{case}: what is refused is not kept either");
    }
    (passed.get() >= moment).then_some(told)
}

#[test]
fn what_a_queue_refuses_is_told_whatever_the_moment() {
    for way in WAYS {
        let all: Vec<Told> = (1..).map_while(|moment| run(way, moment)).collect();
        assert!(all.contains(&Told::Refused), "{}: refused at none of {}", way.name, all.len());
    }
}
