//! Every way of publishing against every rule of `broker::publish`.
//!
//! Each way brings one persistent message to the fanout exchange `to`, which leads to the queues `a` and `b`. `a` has no
//! room: its dead letters go to `b`. Start at [`WAYS`].

use std::task::Poll;

use mq::broker::publish::Published;
use mq::broker::vhost_metadata::VhostChange;
use mq::wire::method::{basic, exchange, queue, tx};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties};

use crate::kept::Kept;
use crate::refusals::{ask_confirms, declare, over_http, publish, with_mode};
use crate::session::{Client, Said, ready};

/// A way of publishing, with the rules that do not hold for all ways.
struct Way {
    name: &'static str,
    prepare: fn(&mut Client),
    act: fn(&Kept, &mut Client),
    /// The firehose tells of it, and its exchange counts it: a client publishes it.
    is_of_client: bool,
}

#[rustfmt::skip]
const WAYS: &[Way] = &[
    Way { name: "without confirms",    prepare: |_| {},        act: plain,     is_of_client: true },
    Way { name: "with confirms",       prepare: ask_confirms,  act: plain,     is_of_client: true },
    Way { name: "in a transaction",    prepare: ask_tx,        act: committed, is_of_client: true },
    Way { name: "over HTTP",           prepare: |_| {},        act: requested, is_of_client: true },
    Way { name: "a dead letter",       prepare: hold_a_letter, act: rejected,  is_of_client: false },
    Way { name: "a delayed message",   prepare: delay_one,     act: due,       is_of_client: false },
    Way { name: "a remembered message", prepare: remember_one, act: replayed,  is_of_client: false },
    Way { name: "a traced message",    prepare: lead_traces,   act: traced,    is_of_client: false },
];

fn make_exchange(client: &mut Client, name: &'static str, kind: &'static str) {
    let arguments = match kind {
        "x-delayed-message" => FieldTable::new().with("x-delayed-type", "fanout"),
        _ => FieldTable::new(),
    };
    let (exchange, kind) = (literal(name), literal(kind));
    let declare = exchange::Declare { exchange, kind, arguments, ..Default::default() };
    client.send(1, declare, 0);
}

/// Binds `to` to another exchange.
fn lead_to(client: &mut Client, source: &'static str, key: &'static str) {
    let (source, routing_key) = (literal(source), literal(key));
    let bind =
        exchange::Bind { destination: literal("to"), source, routing_key, ..Default::default() };
    client.send(1, bind, 0);
}

fn plain(_: &Kept, client: &mut Client) {
    publish(client, "to", &with_mode(2));
}

fn ask_tx(client: &mut Client) {
    client.send(1, tx::Select::default(), 0);
}

fn committed(_: &Kept, client: &mut Client) {
    publish(client, "to", &with_mode(2));
    client.send(1, tx::Commit::default(), 0);
}

fn requested(kept: &Kept, _: &mut Client) {
    let published = over_http(kept, "to");
    assert!(matches!(published, Poll::Ready(Published::OnDisk(_))), "{published:?}");
}

fn hold_a_letter(client: &mut Client) {
    declare(client, "source", FieldTable::new().with("x-dead-letter-exchange", "to"));
    client.publish_with("source", &with_mode(2), b"body");
    client.send(1, basic::Get { queue: literal("source"), ..Default::default() }, 0);
}

fn rejected(_: &Kept, client: &mut Client) {
    client.send(1, basic::Reject { delivery_tag: 1, requeue: false }, 0);
}

fn delay_one(client: &mut Client) {
    make_exchange(client, "delayed", "x-delayed-message");
    lead_to(client, "delayed", "");
    let headers = Some(FieldTable::new().with("x-delay", FieldValue::I32(10)));
    publish(client, "delayed", &Properties { headers, ..with_mode(2) });
}

fn due(kept: &Kept, _: &mut Client) {
    kept.broker.on_time(10);
}

fn remember_one(client: &mut Client) {
    make_exchange(client, "history", "x-recent-history");
    publish(client, "history", &with_mode(2));
}

fn replayed(_: &Kept, client: &mut Client) {
    lead_to(client, "history", "");
}

fn lead_traces(client: &mut Client) {
    lead_to(client, "amq.rabbitmq.trace", "publish.amq.direct");
}

fn traced(_: &Kept, client: &mut Client) {
    publish(client, "amq.direct", &with_mode(2));
}

/// Takes a message from a queue; answers whether it is a dead letter of `a`.
fn is_letter(client: &mut Client, queue: &'static str) -> bool {
    client.said();
    client.send(1, basic::Get { queue: literal(queue), ..Default::default() }, 0);
    let headers = client.got_properties().headers.unwrap_or_default();
    let said = client.said();
    assert!(matches!(said[..], [Said::Method(1, Method::BasicGetOk(_)), ..]), "{said:?}");
    headers.get("x-last-death-queue") == Some(&"a".into())
}

fn run(way: &Way) {
    let kept = Kept::new();
    let mut client = Client::open(&kept.broker, 0);
    let to_b =
        FieldTable::new().with("x-dead-letter-exchange", "").with("x-dead-letter-routing-key", "b");
    declare(&mut client, "a", to_b.with("x-max-length", FieldValue::I32(0)));
    declare(&mut client, "b", FieldTable::new());
    declare(&mut client, "log", FieldTable::new());
    make_exchange(&mut client, "to", "fanout");
    for (queue, exchange, key) in
        [("a", "to", ""), ("b", "to", ""), ("log", "amq.rabbitmq.trace", "publish.to")]
    {
        let (queue, exchange, routing_key) = (literal(queue), literal(exchange), literal(key));
        client.send(1, queue::Bind { queue, exchange, routing_key, ..Default::default() }, 0);
    }
    (way.prepare)(&mut client);
    let change = VhostChange { is_traced: Some(true), ..VhostChange::default() };
    kept.broker.put_vhost(&literal("/"), change, None).unwrap();
    let exchange = || {
        let vhost = kept.broker.vhost("/").unwrap();
        vhost.find_exchange("to").unwrap().counters
    };
    (way.act)(&kept, &mut client);
    // What is only on the disk is read before it is handed on.
    kept.sync();
    kept.sync();
    client.on_synced();

    let name = way.name;
    assert_eq!((ready(&kept.broker, "a"), ready(&kept.broker, "b")), (0, 2), "{name}");
    let copies = u64::from(way.is_of_client);
    assert_eq!(ready(&kept.broker, "log"), copies, "{name}: traced");
    assert_eq!(exchange().publish_in.get(), copies, "{name}: counted");
    assert_eq!(exchange().publish_out.get(), 2 * copies, "{name}: counted");
    let waiting: u64 = ["b", "log"].iter().map(|queue| ready(&kept.broker, queue)).sum();
    let order = [is_letter(&mut client, "b"), is_letter(&mut client, "b")];
    assert_eq!(order, [false, true], "{name}: the letter is behind the message");
    drop(client);
    assert_eq!(kept.left_on_disk(), waiting, "{name}: all of them survive");
}

#[test]
fn every_way_of_publishing_obeys_every_rule() {
    for way in WAYS {
        run(way);
    }
}
