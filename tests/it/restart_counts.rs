//! What a quorum queue knows of its messages after the broker was stopped or killed: how often each came back, and whether
//! it has a priority.

use mq::wire::method::{basic, tx};
use mq::wire::{FieldTable, FieldValue, Method, Properties};
use tempfile::TempDir;

use crate::support::directory::{End, Served};
use crate::support::peer::Peer;
use crate::support::queues::{Came, persistent};

fn quorum() -> FieldTable {
    FieldTable::new().with("x-queue-type", "quorum")
}

/// What is told of a message: its body, priority, `x-acquired-count` and `x-delivery-count`.
type Told = (String, Option<u8>, Option<i64>, Option<i64>);

fn told(came: &Came) -> Told {
    let body = String::from_utf8(came.body.clone()).unwrap();
    let headers = came.properties.headers.clone().unwrap_or_default();
    let count = |name| headers.get(name).and_then(FieldValue::as_integer);
    (body, came.properties.priority, count("x-acquired-count"), count("x-delivery-count"))
}

/// Waits until everything that clients said of their messages so far is on the disk: so is what is committed after it.
fn sync(served: &Served) {
    let mut peer = Peer::on_channel_one(served.address()).confirming();
    peer.declare_durable("synced", FieldTable::new());
    peer.confirmed("synced", &persistent(), b"");
    let mut peer = Peer::on_channel_one(served.address());
    let tag = peer.got("synced").unwrap().delivery_tag;
    assert!(matches!(peer.call(tx::Select::default()), Method::TxSelectOk(_)));
    peer.ack(tag);
    assert!(matches!(peer.call(tx::Commit::default()), Method::TxCommitOk(_)));
}

/// RabbitMQ 4.3.6 was found to tell the same after a `kill -9`, in the order of the returns.
#[test]
fn counts_and_priorities_are_those_of_before() {
    for end in End::BOTH {
        let directory = TempDir::new().unwrap();
        let served = Served::start(directory.path());
        let mut peer = Peer::on_channel_one(served.address()).confirming();
        peer.declare_durable("q", quorum());
        let messages = [("one", None), ("two", None), ("three", None), ("four", None)];
        let others = [("five", None), ("zero", Some(0)), ("usual", Some(4)), ("nine", Some(9))];
        for (body, priority) in messages.into_iter().chain(others) {
            peer.confirmed("q", &Properties { priority, ..persistent() }, body.as_bytes());
        }
        let [nine, one, two, three, _four] = [(); 5].map(|()| peer.got("q").unwrap());
        assert_eq!([&nine, &one, &two].map(|came| told(came).0), ["nine", "one", "two"]);
        let nack = |came: &Came| basic::Nack {
            delivery_tag: came.delivery_tag,
            requeue: true,
            ..Default::default()
        };
        let reject = |came: &Came| basic::Reject { delivery_tag: came.delivery_tag, requeue: true };
        peer.send_method(1, nack(&three));
        peer.send_method(1, reject(&one));
        peer.send_method(1, nack(&nine));
        let again = peer.got("q").unwrap();
        assert_eq!(told(&again), ("three".to_owned(), None, Some(1), None));
        peer.send_method(1, reject(&again));
        assert_eq!(peer.depth("q"), 6);
        sync(&served);
        end.of(served);

        // Nothing has happened in between the first and the second start.
        for _ in 0..2 {
            let served = Served::start(directory.path());
            end.of(served);
        }
        let served = Served::start(directory.path());
        let came = Peer::on_channel_one(served.address()).drained("q");
        let expected = [
            ("one", None, Some(1), Some(1)),
            ("two", None, Some(1), Some(1)), // lost with its client
            ("three", None, Some(2), Some(1)),
            ("four", None, Some(1), Some(1)),
            ("nine", Some(9), Some(1), None),
            ("five", None, None, None),
            ("usual", Some(4), None, None),
            ("zero", Some(0), None, None),
        ];
        let expected =
            expected.map(|(body, priority, all, failed)| (body.to_owned(), priority, all, failed));
        assert_eq!(came.iter().map(told).collect::<Vec<_>>(), expected, "{end:?}");
        served.stop();
    }
}

/// Whatever a message does to the broker, it does so no more often than its queue allows.
#[test]
fn a_message_that_takes_the_broker_down_is_a_dead_letter_in_the_end() {
    for end in End::BOTH {
        let directory = TempDir::new().unwrap();
        let arguments = quorum()
            .with("x-delivery-limit", FieldValue::I32(2))
            .with("x-dead-letter-exchange", "")
            .with("x-dead-letter-routing-key", "dead");
        let served = Served::start(directory.path());
        let mut peer = Peer::on_channel_one(served.address()).confirming();
        peer.declare_durable("dead", FieldTable::new());
        peer.declare_durable("q", arguments);
        peer.confirmed("q", &persistent(), b"poison");
        drop(peer);
        let mut served = Some(served);
        for failures in [None, Some(1), Some(2)] {
            let running = served.take().unwrap();
            let mut peer = Peer::on_channel_one(running.address());
            peer.consume("q", 1, false);
            let came = peer.delivered();
            assert_eq!(told(&came), ("poison".to_owned(), None, failures, failures), "{end:?}");
            sync(&running);
            end.of(running);
            served = Some(Served::start(directory.path()));
        }
        let served = served.unwrap();
        let mut peer = Peer::on_channel_one(served.address());
        assert_eq!(peer.depth("q"), 0, "{end:?}");
        peer.consume("dead", 1, true);
        let dead = peer.delivered();
        assert_eq!(dead.body, b"poison");
        let headers = dead.properties.headers.unwrap();
        assert_eq!(headers.get("x-first-death-reason"), Some(&"delivery_limit".into()));
        served.stop();
    }
}

/// Each client rejects a message and the broker ends in one go: the count grows by one, not by two or none.
#[test]
fn a_count_grows_with_each_start_by_what_was_done_there() {
    for end in End::BOTH {
        let directory = TempDir::new().unwrap();
        let mut served = Served::start(directory.path());
        let mut peer = Peer::on_channel_one(served.address()).confirming();
        peer.declare_durable("q", quorum().with("x-delivery-limit", FieldValue::I32(100)));
        peer.confirmed("q", &persistent(), b"m");
        for nth in 0..6 {
            let mut peer = Peer::on_channel_one(served.address());
            let came = peer.got("q").unwrap();
            let told = told(&came);
            let failed = Some(nth / 2 + nth % 2).filter(|failed| *failed > 0);
            assert_eq!(told, ("m".to_owned(), None, Some(nth).filter(|all| *all > 0), failed));
            if nth % 2 == 1 {
                // Given back, which is no failure; in the other turns it is lost.
                let delivery_tag = came.delivery_tag;
                peer.send_method(1, basic::Nack { delivery_tag, requeue: true, multiple: false });
                assert_eq!(peer.depth("q"), 1);
            }
            sync(&served);
            end.of(served);
            served = Served::start(directory.path());
        }
        served.stop();
    }
}
