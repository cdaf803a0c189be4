//! The steps of the publish line, each alone.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::task::Waker;

use mq::broker::mailbox::{ConsumerSlot, Mailbox};
use mq::broker::message::{Layout, Message};
use mq::broker::queue::Subscription;
use mq::wire::constants::{FRAME_BODY, FRAME_HEADER, FRAME_MAX_DEFAULT, FRAME_METHOD};
use mq::wire::content::ContentHeader;
use mq::wire::method::basic;
use mq::wire::properties::Encoded;
use mq::wire::{FieldTable, Method, Properties, frame};

use super::Round;
use super::client::{Client, broker, name};
use super::line::{BATCH, publishes, topic_of_1000};

/// Keys that are routed in a round.
pub(crate) const KEYS: u64 = 1000;

/// The frames of publishes, read into values.
pub(super) fn decode() -> Round {
    let properties = Properties {
        content_type: Some(name("application/json")),
        delivery_mode: Some(2),
        message_id: Some(name("0123456789abcdef")),
        ..Properties::default()
    };
    let bytes = publishes("exchange", |_| "routing.key".to_owned(), &properties, 100);
    Box::new(move || {
        let mut rest = &bytes[..];
        let mut bodies = 0;
        while let Some(found) = frame::parse(rest, FRAME_MAX_DEFAULT).expect("good frames") {
            rest = &rest[found.encoded_len()..];
            match found.kind {
                FRAME_METHOD => {
                    let method = Method::decode(60, 40, &found.payload[4..]).expect("a publish");
                    black_box(method);
                }
                FRAME_HEADER => {
                    let header = ContentHeader::decode(found.payload).expect("a header");
                    black_box(Encoded::scan(header.properties).expect("properties"));
                }
                FRAME_BODY => bodies += u64::from(found.payload.len() == 100),
                _ => {}
            }
        }
        assert!(rest.is_empty() && bodies == BATCH);
    })
}

/// The frames of deliveries, written.
pub(super) fn encode() -> Round {
    let mut out = Vec::new();
    let properties = Properties::default().to_bytes();
    let body = [b'x'; 100];
    let deliver = basic::Deliver {
        consumer_tag: name("amq.ctag-0123456789abcdef"),
        delivery_tag: 7,
        redelivered: false,
        exchange: name("exchange"),
        routing_key: name("routing.key"),
    };
    let deliver = Method::from(deliver);
    Box::new(move || {
        out.clear();
        for _ in 0..BATCH {
            frame::write_method(&mut out, 1, black_box(&deliver));
            frame::write_content(&mut out, 1, &properties, black_box(&body), FRAME_MAX_DEFAULT);
        }
        assert!(out.len() > 100 * 64);
    })
}

/// Finds the queues of [`KEYS`] keys through an exchange, as a channel does that has not remembered any of them.
fn route(exchange: &'static str, prepare: fn(&mut Client), key: fn(u64) -> String) -> Round {
    let broker = broker();
    let mut client = Client::open(&broker);
    prepare(&mut client);
    let vhost = broker.vhost("/").expect("it is there from the start");
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    let count = |key: &String| {
        let route = vhost.route(exchange, &[key], &[]).expect("a route");
        route.queues().len()
    };
    let expected: usize = keys.iter().map(count).sum();
    assert!(expected >= keys.len(), "each key leads somewhere");
    Box::new(move || {
        let mut found = 0;
        for key in &keys {
            let route = vhost.route(exchange, &[black_box(key)], &[]);
            found += route.expect("a route").queues().len();
        }
        assert_eq!(found, expected);
    })
}

/// A direct exchange with 1000 bindings.
pub(super) fn route_direct() -> Round {
    let prepare = |client: &mut Client| {
        client.declare("queue");
        client.declare_exchange("direct", "direct");
        for nth in 0..1000 {
            client.bind("queue", "direct", &format!("k{nth}"));
        }
        client.take();
    };
    route("direct", prepare, |nth| format!("k{nth}"))
}

/// A topic exchange with 1000 patterns.
pub(super) fn route_topic() -> Round {
    route("topic", topic_of_1000, |nth| format!("k{nth}.mid.end"))
}

/// A fanout exchange with five queues.
pub(super) fn route_fanout() -> Round {
    let prepare = |client: &mut Client| {
        client.declare_exchange("news", "fanout");
        for nth in 0..5 {
            let queue = format!("queue-{nth}");
            client.declare(&queue);
            client.bind(&queue, "news", "");
        }
        client.take();
    };
    route("news", prepare, |nth| format!("k{nth}"))
}

/// A queue with one consumer: pushed, dealt, taken out of the mailbox.
pub(super) fn push_deal() -> Round {
    let broker = broker();
    let mut client = Client::open(&broker);
    client.declare("queue");
    client.take();
    let queue = broker.vhost("/").expect("it is there").queues().remove(0);
    let mailbox = Arc::new(Mailbox::default());
    let subscription = Subscription {
        tag: name("tag"),
        connection: "connection".into(),
        channel: 1,
        slot: ConsumerSlot(0),
        mailbox: Arc::clone(&mailbox),
        limit: Arc::default(),
        prefetch: 0,
        no_ack: true,
        exclusive: false,
        arguments: FieldTable::new(),
    };
    queue.subscribe(subscription, 1).expect("nobody else is there");
    let mut bytes = b"\x00\x05queue\x00\x00".to_vec();
    let layout = Layout { names_len: 7, properties_len: 2, ..Layout::default() };
    bytes.extend([b'x'; 100]);
    let message = Message::new(layout, &mut bytes);
    let mut posts = VecDeque::new();
    Box::new(move || {
        let _keeps_the_queue = &client;
        for _ in 0..BATCH {
            _ = queue.push(message.clone(), None, 1);
        }
        mailbox.drain(&mut posts);
        assert_eq!(posts.len() as u64, BATCH);
        posts.clear();
        mailbox.register(Waker::noop());
    })
}
