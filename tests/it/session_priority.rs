//! Priority queues as a client sees them, over a restart too.

use mq::broker::compat::Compat;
use mq::wire::method::{basic, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties};
use tempfile::TempDir;

use super::support::directory::Served;
use super::support::peer::Peer;
use super::support::queues::persistent;
use super::support::session::{Client, Said, broker};

fn levels(highest: i32) -> FieldTable {
    FieldTable::new().with("x-max-priority", FieldValue::I32(highest))
}

fn declare(client: &mut Client, arguments: FieldTable) {
    let (queue, durable) = (literal("q"), true);
    client.send(1, queue::Declare { queue, durable, arguments, ..Default::default() }, 0);
    let said = client.said();
    assert!(matches!(&said[..], [Said::Method(1, Method::QueueDeclareOk(_))]), "{said:?}");
}

/// Publishes messages with these priorities as bodies.
fn publish(client: &mut Client, priorities: &[Option<u8>]) {
    for priority in priorities {
        let properties = Properties { priority: *priority, ..Properties::default() };
        client.publish_with("q", &properties, &[priority.unwrap_or(b'-')]);
    }
}

fn bodies(client: &mut Client) -> Vec<u8> {
    client.deliveries().into_iter().flat_map(|(body, _)| body).collect()
}

#[test]
fn higher_priorities_come_first_higher_than_the_highest_are_as_it_and_none_is_the_lowest() {
    let mut client = Client::open(&broker(), 0);
    declare(&mut client, levels(5));
    publish(&mut client, &[Some(3), None, Some(9), Some(0), Some(5), Some(3), Some(255)]);
    client.consume("q", "a");
    assert_eq!(bodies(&mut client), [9, 5, 255, 3, 3, b'-', 0]);
}

#[test]
fn a_queue_without_levels_knows_no_priorities() {
    for arguments in [FieldTable::new(), levels(0)] {
        let mut client = Client::open(&broker(), 0);
        declare(&mut client, arguments);
        publish(&mut client, &[Some(3), None, Some(9)]);
        client.consume("q", "a");
        assert_eq!(bodies(&mut client), [3, b'-', 9]);
    }
}

#[test]
fn quorum_queues_have_the_levels_of_their_release() {
    for (compat, expected) in [
        (Compat::V3_10, [1, 9, 4, 5, 8, 2]),
        (Compat::V4, [9, 8, 5, 4, 2, 1]),
        (Compat::V4_3, [9, 8, 5, 4, 2, 1]),
    ] {
        let broker = broker();
        broker.answer_as(compat);
        let mut client = Client::open(&broker, 0);
        declare(&mut client, FieldTable::new().with("x-queue-type", "quorum"));
        publish(&mut client, &[1, 9, 4, 5, 8, 2].map(Some));
        client.consume("q", "a");
        assert_eq!(bodies(&mut client), expected, "{compat:?}");
    }
}

/// As seen on RabbitMQ 4.3.5: who says nothing stands between 2 and 8.
#[test]
fn for_4_3_a_message_without_priority_is_in_the_middle_of_a_quorum_queue() {
    let broker = broker();
    broker.answer_as(Compat::V4_3);
    let mut client = Client::open(&broker, 0);
    declare(&mut client, FieldTable::new().with("x-queue-type", "quorum"));
    publish(&mut client, &[None, Some(2), Some(100), Some(0), Some(4), Some(8)]);
    client.consume("q", "a");
    assert_eq!(bodies(&mut client), [100, 8, b'-', 4, 2, 0]);
}

#[test]
fn what_expires_at_the_head_makes_way_for_the_next_level() {
    let mut client = Client::open(&broker(), 0);
    declare(&mut client, levels(5));
    let expiration = Some(literal("10"));
    let mortal = Properties { priority: Some(5), expiration, ..Properties::default() };
    client.publish_with("q", &mortal, b"1");
    publish(&mut client, &[Some(1)]);
    client.said();
    client.send(1, basic::Get { queue: literal("q"), ..Default::default() }, 11);
    let said = client.said();
    let [Said::Method(1, Method::BasicGetOk(ok)), Said::Body(body)] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!((ok.message_count, body.as_slice()), (0, &[1][..]));
}

#[test]
fn levels_are_as_they_were_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("q", levels(9));
    for priority in [2, 7, 0, 7, 9, 2] {
        let properties = Properties { priority: Some(priority), ..persistent() };
        peer.confirmed("q", &properties, &[priority]);
    }
    served.kill();

    let served = Served::start(directory.path());
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.confirmed("q", &Properties { priority: Some(7), ..persistent() }, &[77]);
    assert_eq!(peer.depth("q"), 7);
    let bodies: Vec<_> = (0..7).flat_map(|_| peer.taken("q").unwrap().body).collect();
    assert_eq!(bodies, [9, 7, 7, 77, 2, 2, 0]);
    assert_eq!(peer.taken("q"), None);
    served.stop();
}
