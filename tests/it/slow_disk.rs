//! A disk that takes for ever for a sync, and a `kill -9` meanwhile: what was settled does not come back, and what was
//! only on its way somewhere else is not gone. And one that takes for ever to make a file or to read one, while all but
//! those who wait for that go on.

use mq::wire::method::{basic, exchange, queue, tx};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties};
use tempfile::TempDir;

use crate::support::directory::Served;
use crate::support::peer::Peer;
use crate::support::queues::{name, persistent, write_publish};
use crate::support::slow_disk::{Operation, SlowDisk};

/// Messages of a case.
const COUNT: u32 = 100;
/// The message in `other` whose sync does not return; the operating system has it.
const STALLED: u32 = 1;
/// A broker on a disk that can be stopped, with durable queues `q`, `other` and `dead`.
struct Bench {
    directory: TempDir,
    disk: SlowDisk,
    served: Served,
    /// Has one message of a queue of its own, which it acknowledges last: what was settled before is written down before.
    last: Peer,
}

impl Bench {
    fn new() -> Self {
        let (directory, disk) = (TempDir::new().unwrap(), SlowDisk::new());
        let served = Served::start_slow(directory.path(), &disk);
        let mut peer = Peer::on_channel_one(served.address());
        peer.declare_durable("last", FieldTable::new());
        let mut last = Peer::on_channel_one(served.address()).confirming();
        last.confirmed("last", &persistent(), b"last");
        last.consume("last", 0, false);
        assert_eq!(last.delivered().body, b"last");
        let bench = Self { directory, disk, served, last };
        for queue in ["other", "dead"] {
            peer.declare_durable(queue, FieldTable::new());
        }
        let to_dead = FieldTable::new()
            .with("x-dead-letter-exchange", "")
            .with("x-dead-letter-routing-key", "dead");
        peer.declare_durable("q", to_dead);
        bench
    }

    fn peer(&self) -> Peer {
        Peer::on_channel_one(self.served.address())
    }

    /// Puts the messages into `q`.
    fn fill(&self) {
        let mut peer = self.peer().confirming();
        (0..COUNT).for_each(|number| peer.confirmed("q", &persistent(), &number.to_be_bytes()));
    }

    /// Publishes one message into `other`, whose sync does not return.
    fn stall(&mut self) -> Peer {
        let mut peer = self.peer();
        self.disk.stall();
        let mut bytes = Vec::new();
        write_publish(&mut bytes, ("", "other"), &persistent(), b"stalls");
        peer.send(&bytes);
        self.disk.wait_for_sync();
        peer
    }

    /// Kills the broker when `peer` has been answered and so many slots are written down as settled; answers how many
    /// messages the next one finds.
    fn left_after_kill(mut self, mut peer: Peer, settled: u32) -> u32 {
        peer.depth("q");
        self.last.ack(1);
        self.disk.wait_for_settled(settled + 1);
        self.served.kill();
        let served = Served::start(self.directory.path());
        let recovered = served.recovered();
        let (_, found) = recovered.split_once("queues, ").unwrap();
        let (count, _) = found.split_once(" message").unwrap();
        served.stop();
        count.parse().unwrap()
    }
}

/// Takes the messages of a queue; answers the last delivery's tag.
fn take(peer: &mut Peer, queue: &str) -> u64 {
    peer.consume(queue, 0, false);
    (0..COUNT).map(|_| peer.delivered().delivery_tag).max().unwrap()
}

fn ack_all(peer: &mut Peer, delivery_tag: u64) {
    peer.send_method(1, basic::Ack { delivery_tag, multiple: true });
}

/// Rejects all, so that they go to `dead`.
fn reject_all(peer: &mut Peer, delivery_tag: u64) {
    let nack = basic::Nack { delivery_tag, multiple: true, requeue: false };
    peer.send_method(1, nack);
}

#[test]
fn acknowledged_messages_do_not_come_back() {
    let mut bench = Bench::new();
    bench.fill();
    let mut consumer = bench.peer();
    let last = take(&mut consumer, "q");
    let _publisher = bench.stall();
    ack_all(&mut consumer, last);
    assert_eq!(bench.left_after_kill(consumer, COUNT), STALLED);
}

/// Its record is with the operating system, and so is its settlement.
#[test]
fn a_message_that_is_acknowledged_before_it_is_on_disk_does_not_come_back() {
    let mut bench = Bench::new();
    let mut consumer = bench.peer();
    consumer.consume("other", 0, false);
    let _publisher = bench.stall();
    let tag = consumer.delivered().delivery_tag;
    consumer.ack(tag);
    assert_eq!(bench.left_after_kill(consumer, 1), 0);
}

#[test]
fn purged_messages_do_not_come_back() {
    let mut bench = Bench::new();
    bench.fill();
    let mut peer = bench.stall();
    let answer = peer.call(queue::Purge { queue: name("q"), ..Default::default() });
    assert_eq!(answer, Method::QueuePurgeOk(queue::PurgeOk { message_count: COUNT }));
    assert_eq!(bench.left_after_kill(peer, COUNT), STALLED);
}

#[test]
fn acknowledged_dead_letters_do_not_come_back() {
    let mut bench = Bench::new();
    bench.fill();
    let (mut first, mut second) = (bench.peer(), bench.peer());
    let last = take(&mut first, "q");
    let _publisher = bench.stall();
    reject_all(&mut first, last);
    let last = take(&mut second, "dead");
    ack_all(&mut second, last);
    assert_eq!(bench.left_after_kill(second, 2 * COUNT), STALLED);
}

/// The old place is given up no earlier than the new one is on disk.
#[test]
fn dead_letters_that_are_not_on_disk_are_still_where_they_were() {
    let mut bench = Bench::new();
    bench.fill();
    let (mut first, mut second) = (bench.peer(), bench.peer());
    let last = take(&mut first, "q");
    let _publisher = bench.stall();
    reject_all(&mut first, last);
    take(&mut second, "dead");
    assert_eq!(bench.left_after_kill(second, 0), STALLED + COUNT);
}

#[test]
fn acknowledged_messages_whose_delay_was_over_do_not_come_back() {
    let mut bench = Bench::new();
    let mut peer = bench.peer();
    let declare = exchange::Declare {
        exchange: literal("later"),
        kind: literal("x-delayed-message"),
        durable: true,
        arguments: FieldTable::new().with("x-delayed-type", "direct"),
        ..Default::default()
    };
    assert!(matches!(peer.call(declare), Method::ExchangeDeclareOk(_)));
    let (queue, exchange, routing_key) = (literal("q"), literal("later"), literal("k"));
    let bind = queue::Bind { queue, exchange, routing_key, ..Default::default() };
    assert!(matches!(peer.call(bind), Method::QueueBindOk(_)));
    let mut peer = peer.confirming();
    let headers = FieldTable::new().with("x-delay", FieldValue::I32(2000));
    let delayed = Properties { headers: Some(headers), ..persistent() };
    let mut bytes = Vec::new();
    for _ in 0..COUNT {
        write_publish(&mut bytes, ("later", "k"), &delayed, b"delayed");
    }
    peer.send(&bytes);
    let mut confirmed = 0;
    while confirmed < u64::from(COUNT) {
        let (_, Method::BasicAck(ack)) = peer.next_method() else { panic!("an ack is due") };
        confirmed = ack.delivery_tag;
    }
    let _publisher = bench.stall();
    let mut consumer = bench.peer();
    let last = take(&mut consumer, "q");
    ack_all(&mut consumer, last);
    assert_eq!(bench.left_after_kill(consumer, 2 * COUNT), STALLED);
}

/// Nothing of a transaction is settled before what it publishes is on disk: it was not committed.
#[test]
fn a_transaction_without_an_answer_settles_nothing() {
    let mut bench = Bench::new();
    bench.fill();
    let mut consumer = bench.peer();
    assert!(matches!(consumer.call(tx::Select {}), Method::TxSelectOk(_)));
    let last = take(&mut consumer, "q");
    let publisher = bench.stall();
    let mut bytes = Vec::new();
    write_publish(&mut bytes, ("", "dead"), &persistent(), b"moved");
    consumer.send(&bytes);
    ack_all(&mut consumer, last);
    consumer.send_method(1, tx::Commit {});
    assert_eq!(bench.left_after_kill(publisher, 0), STALLED + COUNT);
}

/// Messages that fill one file and a part of the next.
const LARGE: (u64, usize) = (40, 512 << 10);

#[test]
fn others_go_on_while_a_file_is_made_and_its_messages_are_confirmed_then() {
    let mut bench = Bench::new();
    bench.fill();
    let mut consumer = bench.peer();
    let last = take(&mut consumer, "q");
    let mut publisher = bench.peer().confirming();
    bench.disk.hold(Operation::Creating);
    let mut bytes = Vec::new();
    for _ in 0..LARGE.0 {
        write_publish(&mut bytes, ("", "other"), &persistent(), &vec![7; LARGE.1]);
    }
    publisher.send(&bytes);
    bench.disk.wait_for(Operation::Creating);
    // What is acknowledged takes the way to the disk that messages take.
    for tag in 1..=last {
        consumer.ack(tag);
        assert_eq!(consumer.depth("q"), 0);
    }
    let mut other = bench.peer();
    bytes.clear();
    write_publish(&mut bytes, ("", "dead"), &Properties::default(), b"transient");
    other.send(&bytes);
    assert_eq!(other.depth("dead"), 1);
    assert_eq!(other.taken("dead").unwrap().body, b"transient");
    bench.disk.release(Operation::Creating);
    let mut confirmed = 0;
    while confirmed < LARGE.0 {
        let (_, Method::BasicAck(ack)) = publisher.next_method() else { panic!("an ack is due") };
        confirmed = ack.delivery_tag;
    }
    assert_eq!(publisher.depth("other"), u32::try_from(LARGE.0).unwrap());
    bench.served.stop();
}

/// More connections than the broker has threads for on most machines.
const GETTERS: usize = 8;

#[test]
fn others_go_on_while_messages_are_read_and_a_get_is_answered_before_what_was_asked_after_it() {
    let Bench { directory, mut disk, served, .. } = Bench::new();
    let queues: Vec<String> = (0..GETTERS).map(|nth| format!("stored-{nth}")).collect();
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    for queue in &queues {
        peer.declare_durable(queue, FieldTable::new());
        peer.confirmed(queue, &persistent(), queue.as_bytes());
    }
    served.stop();
    let served = Served::start_slow(directory.path(), &disk);
    disk.hold(Operation::Reading);
    let peer = || Peer::on_channel_one(served.address());
    let mut getters: Vec<Peer> = queues.iter().map(|_| peer()).collect();
    for (getter, queue) in getters.iter_mut().zip(&queues) {
        getter
            .send_method(1, basic::Get { queue: name(queue), no_ack: true, ..Default::default() });
        getter.send_method(
            1,
            queue::Declare { queue: name(queue), passive: true, ..Default::default() },
        );
    }
    disk.wait_for(Operation::Reading);
    let mut other = peer().confirming();
    other.confirmed("dead", &persistent(), b"in memory");
    assert_eq!(other.taken("dead").unwrap().body, b"in memory");
    for queue in &queues {
        other.confirmed(queue, &persistent(), b"behind it");
        assert_eq!(other.depth(queue), 2);
    }
    disk.release(Operation::Reading);
    for (getter, queue) in getters.iter_mut().zip(&queues) {
        assert_eq!(getter.answered_get().unwrap().body, queue.as_bytes());
        let (_, Method::QueueDeclareOk(declared)) = getter.next_method() else { panic!("{queue}") };
        assert_eq!(declared.message_count, 1);
    }
    served.stop();
}
