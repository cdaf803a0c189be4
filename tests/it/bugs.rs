//! A panic at every layer of a broker: it loses no message and ends its own connection at most.
//!
//! The built binary panics once at the moment that its environment names (`mq::moment`); a bystander on another connection
//! looks at what is left. The release build has no moments, so these tests are those of a debug build.
#![cfg(debug_assertions)]

use std::io::{Read, Write};
use std::net::TcpStream;

use mq::wire::method::basic;
use mq::wire::{FieldTable, FieldValue, Method};
use tempfile::TempDir;

use crate::support::directory::Served;
use crate::support::peer::Peer;
use crate::support::queues::{name, persistent, write_publish};

const MESSAGES: u32 = 10;

/// A broker that is about to panic, its directory, and a connection that has nothing to do with that.
struct Scene {
    served: Served,
    bystander: Peer,
    directory: TempDir,
}

impl Scene {
    fn with(moment: &str) -> Self {
        Self::on(TempDir::new().unwrap(), moment)
    }

    fn on(directory: TempDir, moment: &str) -> Self {
        let served = Served::start_planted(directory.path(), moment);
        let mut bystander = Peer::on_channel_one(served.address()).confirming();
        bystander.declare_durable("own", FieldTable::new());
        Self { served, bystander, directory }
    }

    fn actor(&self) -> Peer {
        Peer::on_channel_one(self.served.address()).confirming()
    }

    /// A queue with messages whose dead letters go to `dead`.
    fn fill(&mut self, arguments: FieldTable) {
        self.bystander.declare_durable("dead", FieldTable::new());
        self.bystander.declare_durable("work", letters_to_dead(arguments));
        for number in 0..MESSAGES {
            self.bystander.confirmed("work", &persistent(), number.to_string().as_bytes());
        }
    }

    /// The broker goes on for others: what is published is confirmed and comes, also with a new connection; and the directory
    /// has what waits, over a kill too.
    fn goes_on(mut self, waiting: &[(&str, u32)]) {
        for queue in ["own", "work"] {
            self.bystander.declare_durable(
                queue,
                if queue == "own" { FieldTable::new() } else { letters_to_dead(FieldTable::new()) },
            );
        }
        self.bystander.confirmed("own", &persistent(), b"new");
        for (queue, count) in waiting {
            assert_eq!(self.bystander.depth(queue), *count, "{queue}");
        }
        let mut other = self.actor();
        assert_eq!(other.taken("own").map(|came| came.body), Some(b"new".to_vec()));
        self.served.kill();
        let served = Served::start(self.directory.path());
        let mut peer = Peer::on_channel_one(served.address());
        for (queue, count) in waiting {
            assert!(peer.depth(queue) >= *count, "{queue} after a kill");
        }
        served.stop();
    }
}

fn letters_to_dead(arguments: FieldTable) -> FieldTable {
    arguments.with("x-dead-letter-exchange", "").with("x-dead-letter-routing-key", "dead")
}

fn hangs_up(mut peer: Peer) {
    while peer.next_frame().is_some() {}
}

fn got(peer: &mut Peer, queue: &str) -> u64 {
    match peer.call(basic::Get { queue: name(queue), ..Default::default() }) {
        Method::BasicGetOk(ok) => {
            peer.next_frame().expect("a header");
            peer.next_frame().expect("a body");
            ok.delivery_tag
        }
        answer => panic!("{answer:?}"),
    }
}

/// Publishes persistent messages until the broker hangs up, refuses or blocks the connection, which leaves the message that
/// is on its way without an answer; answers how many it confirmed.
fn publish_until_stopped(peer: &mut Peer, queue: &str) -> u32 {
    for confirmed in 0.. {
        let mut bytes = Vec::new();
        write_publish(&mut bytes, ("", queue), &persistent(), b"body");
        peer.send_until_refused(&bytes);
        match peer.next_frame().map(|frame| frame.method()) {
            Some(Method::BasicAck(_)) => {}
            Some(Method::BasicNack(_) | Method::ConnectionBlocked(_)) | None => return confirmed,
            Some(other) => panic!("{other:?}"),
        }
    }
    0
}

#[test]
fn a_publisher_that_meets_a_bug_is_dropped_and_what_was_confirmed_is_there() {
    for moment in ["session.publish", "queue.push"] {
        let mut scene = Scene::with(&format!("{moment}:6"));
        scene.bystander.declare_durable("work", letters_to_dead(FieldTable::new()));
        let mut actor = scene.actor();
        assert_eq!(publish_until_stopped(&mut actor, "work"), 5, "{moment}");
        scene.goes_on(&[("work", 5)]);
    }
}

#[test]
fn a_bug_under_a_queues_lock_leaves_the_queue_whole_and_shows_it_as_crashed() {
    let mut scene = Scene::with("queue.deal:6");
    scene.bystander.declare_durable("work", letters_to_dead(FieldTable::new()));
    let mut consumer = scene.actor();
    consumer.consume("work", 0, false);
    let mut actor = scene.actor();
    let confirmed = publish_until_stopped(&mut actor, "work");
    assert!(confirmed < 6, "{confirmed}");
    for (queue, state) in [("work", "crashed"), ("own", "running")] {
        let get = format!("GET /api/queues/%2F/{queue}?columns=state");
        let told = answer(&scene, &get, "");
        assert!(told.ends_with(&format!(r#"{{"state":"{state}"}}"#)), "{told}");
    }
    for _ in 0..MESSAGES {
        scene.bystander.confirmed("work", &persistent(), b"later");
    }
    // The one that was never confirmed may come as well.
    let mut came: Vec<_> = (0..confirmed + MESSAGES).map(|_| consumer.delivered().body).collect();
    let of = |came: &[Vec<u8>], body: &[u8]| came.iter().filter(|one| *one == body).count();
    if of(&came, b"body") > confirmed as usize {
        came.push(consumer.delivered().body);
    }
    assert_eq!(of(&came, b"later"), MESSAGES as usize);
    drop(consumer);
    scene.served.kill();
}

#[test]
fn deliveries_that_meet_a_bug_go_back_to_their_queue() {
    type Act = fn(&mut Peer);
    let get: Act =
        |peer| peer.send_method(1, basic::Get { queue: name("work"), ..Default::default() });
    let consume: Act =
        |peer| peer.send_method(1, basic::Consume { queue: name("work"), ..Default::default() });
    let requeue: Act = |peer| {
        let delivery_tag = got(peer, "work");
        peer.send_method(1, basic::Reject { delivery_tag, requeue: true });
    };
    let reject: Act = |peer| {
        let delivery_tag = got(peer, "work");
        peer.send_method(1, basic::Reject { delivery_tag, requeue: false });
    };
    for (moment, act) in [
        ("session.delivery:3", consume),
        ("session.get", get),
        ("session.settle", requeue),
        ("session.settle", reject),
        ("queue.settle", requeue),
        ("queue.settle", reject),
    ] {
        let mut scene = Scene::with(moment);
        scene.fill(FieldTable::new());
        let mut actor = scene.actor();
        act(&mut actor);
        hangs_up(actor);
        assert_eq!(scene.bystander.depth("work"), MESSAGES, "{moment}");
        scene.goes_on(&[("work", MESSAGES), ("dead", 0)]);
    }
}

#[test]
fn dead_letters_that_meet_a_bug_are_handed_on_a_second_later_and_those_of_others_meanwhile() {
    let mut scene = Scene::with("dead_letter.hand_on:4");
    scene.fill(FieldTable::new());
    let mut consumer = scene.actor();
    consumer.consume("dead", 0, false);
    let mut actor = scene.actor();
    let last = (0..MESSAGES).map(|_| got(&mut actor, "work")).last().unwrap();
    actor.send_method(1, basic::Nack { delivery_tag: last, multiple: true, requeue: false });
    let mut came: Vec<_> = (0..MESSAGES).map(|_| consumer.delivered().body).collect();
    came.sort();
    assert_eq!(
        came,
        (0..MESSAGES).map(|number| number.to_string().into_bytes()).collect::<Vec<_>>()
    );
    // It is neither that connection that ends, nor the dead letters of its thread.
    scene.bystander.confirmed("work", &persistent(), b"last");
    let delivery_tag = got(&mut actor, "work");
    actor.send_method(1, basic::Reject { delivery_tag, requeue: false });
    assert_eq!(consumer.delivered().body, b"last");
    drop(consumer);
    scene.goes_on(&[("work", 0), ("dead", MESSAGES + 1)]);
}

#[test]
fn timers_go_on_after_a_bug() {
    let mut scene = Scene::with("queue.timer");
    let mut consumer = scene.actor();
    scene.fill(FieldTable::new().with("x-message-ttl", FieldValue::I32(20)));
    consumer.consume("dead", 0, true);
    for number in 0..MESSAGES {
        assert_eq!(consumer.delivered().body, number.to_string().into_bytes());
    }
    scene.served.kill();
}

#[test]
fn what_a_queue_tells_and_asks_the_store_is_asked_again_after_a_bug() {
    for moment in ["queue.after_unlock", "queue.fetch"] {
        let directory = TempDir::new().unwrap();
        let mut scene = Scene::on(directory, "none");
        scene.fill(FieldTable::new());
        scene.served.stop();
        let mut scene = Scene::on(scene.directory, moment);
        let mut consumer = scene.actor();
        consumer.consume("work", 0, false);
        for number in 0..MESSAGES {
            let came = consumer.delivered();
            assert_eq!(came.body, number.to_string().into_bytes(), "{moment}");
            consumer.ack(came.delivery_tag);
        }
        drop(consumer);
        scene.bystander.confirmed("own", &persistent(), b"still");
        assert!(scene.bystander.taken("own").is_some());
        scene.goes_on(&[("work", 0)]);
    }
}

#[test]
fn a_bug_in_a_thread_of_the_store_ends_the_confirms_and_nothing_else() {
    for moment in ["store.write:20", "store.maintain:3"] {
        let mut scene = Scene::with(moment);
        scene.bystander.declare_durable("work", letters_to_dead(FieldTable::new()));
        let mut actor = scene.actor();
        let confirmed = publish_until_stopped(&mut actor, "work");
        scene.served.wait_for("nothing is confirmed any more");
        // Consumers go on.
        let taken = std::iter::from_fn(|| scene.bystander.taken("work").map(|_| ())).count();
        assert!(taken >= confirmed as usize, "{moment}: {taken} of {confirmed}");
        scene.served.kill();
    }
}

#[test]
fn what_was_confirmed_before_a_bug_in_the_store_is_there_after_a_restart() {
    let mut scene = Scene::with("store.write:20");
    scene.bystander.declare_durable("work", letters_to_dead(FieldTable::new()));
    let confirmed = publish_until_stopped(&mut scene.actor(), "work");
    assert!(confirmed > 0);
    scene.served.kill();
    let served = Served::start(scene.directory.path());
    let found = Peer::on_channel_one(served.address()).depth("work");
    assert!(found >= confirmed, "{found} of {confirmed}");
    served.stop();
}

/// Asks over HTTP; answers the status.
fn status(scene: &Scene, request: &str, body: &str) -> u16 {
    let answer = answer(scene, request, body);
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line")
}

/// Asks over HTTP; answers everything that comes.
fn answer(scene: &Scene, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(scene.served.management()).unwrap();
    let len = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: mq\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_http_request_that_meets_a_bug_is_answered_and_gives_back_what_it_got() {
    let scene = Scene::with("http.read");
    let overview = "GET /api/overview";
    assert_eq!([status(&scene, overview, ""), status(&scene, overview, "")], [500, 200]);
    scene.goes_on(&[]);

    let mut scene = Scene::with("http.get:3");
    scene.fill(FieldTable::new());
    let queue = "work";
    let get = format!("POST /api/queues/%2F/{queue}/get");
    let body = r#"{"count":5,"ackmode":"ack_requeue_false","encoding":"auto"}"#;
    assert_eq!(status(&scene, &get, body), 500);
    assert_eq!(scene.bystander.depth("work"), MESSAGES);
    assert_eq!(status(&scene, &get, body), 200);
    scene.goes_on(&[("work", MESSAGES - 5)]);
}
