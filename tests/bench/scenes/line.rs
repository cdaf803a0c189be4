//! The publish line in memory: what `server::drive` would read goes in, what it would write comes out.

use mq::wire::method::{basic, channel, confirm, connection, queue};
use mq::wire::{Method, Properties, frame};

use super::Round;
use super::client::{Acks, Client, broker, greeting, name, write_publish};

/// Messages in the bytes of one read: 64 of 1 KiB fill what a connection reads at once.
pub(crate) const BATCH: u64 = 64;
/// Requests in a round, one at a time.
pub(crate) const CALLS: u64 = 20;

/// The bytes of a round of publishes, the `nth` with this routing key.
pub(super) fn publishes(
    exchange: &str,
    key: impl Fn(u64) -> String,
    properties: &Properties,
    body_len: usize,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let body = vec![b'x'; body_len];
    for nth in 0..BATCH {
        write_publish(&mut bytes, (exchange, &key(nth)), properties, &body);
    }
    bytes
}

/// 100 bytes, one queue, one consumer that acknowledges nothing.
pub(super) fn transient() -> Round {
    let broker = broker();
    let (mut publisher, mut consumer) = (Client::open(&broker), Client::open(&broker));
    consumer.declare("queue");
    consumer.consume("queue");
    consumer.take();
    let bytes = publishes("", |_| "queue".to_owned(), &Properties::default(), 100);
    publisher.hear(&bytes);
    assert_eq!(consumer.deliveries(), BATCH);
    publisher.hear(&bytes);
    let expected = consumer.take();
    Box::new(move || {
        publisher.hear(&bytes);
        assert_eq!(consumer.take(), expected);
    })
}

/// 1 KiB, confirms, and an acknowledgement for each delivery.
pub(super) fn confirmed() -> Round {
    let broker = broker();
    let (mut publisher, mut consumer) = (Client::open(&broker), Client::open(&broker));
    consumer.declare("queue");
    consumer.consume_with_acks("queue", 1000);
    consumer.take();
    publisher.call(confirm::Select::default());
    publisher.take();
    let bytes = publishes("", |_| "queue".to_owned(), &Properties::default(), 1024);
    let mut acks = Acks::new(BATCH);
    publisher.hear(&bytes);
    let confirm = basic::Ack { delivery_tag: BATCH, multiple: true };
    assert_eq!(publisher.methods(), [confirm.into()]);
    assert_eq!(consumer.deliveries(), BATCH);
    consumer.hear(acks.next());
    publisher.hear(&bytes);
    let expected = (publisher.take(), consumer.take());
    consumer.hear(acks.next());
    Box::new(move || {
        publisher.hear(&bytes);
        assert_eq!((publisher.take(), consumer.take()), expected);
        consumer.hear(acks.next());
    })
}

/// 256 bytes to five queues with a consumer each.
pub(super) fn fanout() -> Round {
    let broker = broker();
    let mut publisher = Client::open(&broker);
    publisher.declare_exchange("news", "fanout");
    let mut consumers: Vec<Client> = (0..5).map(|_| Client::open(&broker)).collect();
    for (nth, consumer) in consumers.iter_mut().enumerate() {
        let queue = format!("queue-{nth}");
        consumer.declare(&queue);
        consumer.bind(&queue, "news", "");
        consumer.consume(&queue);
        consumer.take();
    }
    let bytes = publishes("news", |_| String::new(), &Properties::default(), 256);
    publisher.hear(&bytes);
    assert!(consumers.iter_mut().all(|consumer| consumer.deliveries() == BATCH));
    publisher.hear(&bytes);
    let expected = consumers.iter_mut().map(Client::take).max();
    Box::new(move || {
        publisher.hear(&bytes);
        for consumer in &mut consumers {
            assert_eq!(Some(consumer.take()), expected);
        }
    })
}

/// 256 bytes and confirms, through 1000 patterns that lead to ten queues, with keys in turn.
pub(super) fn topic() -> Round {
    let broker = broker();
    let (mut publisher, mut consumer) = (Client::open(&broker), Client::open(&broker));
    topic_of_1000(&mut consumer);
    for nth in 0..10 {
        consumer.consume(&format!("queue-{nth}"));
    }
    consumer.take();
    publisher.call(confirm::Select::default());
    publisher.take();
    // Every key is in use: whatever a channel remembers must have room for all of them.
    let key = |nth: u64| format!("k{}.mid.end", nth % 1000);
    let rounds: Vec<Vec<u8>> = (0..16)
        .map(|round| {
            let nth = move |at| key(at + round * BATCH);
            publishes("topic", nth, &Properties::default(), 256)
        })
        .collect();
    for bytes in &rounds {
        publisher.hear(bytes);
        publisher.take();
        assert_eq!(consumer.deliveries(), BATCH);
    }
    let mut expected = Vec::new();
    for bytes in &rounds {
        publisher.hear(bytes);
        expected.push((publisher.take(), consumer.take()));
    }
    let mut at = 0;
    Box::new(move || {
        publisher.hear(&rounds[at]);
        assert_eq!((publisher.take(), consumer.take()), expected[at]);
        at = (at + 1) % rounds.len();
    })
}

/// An exchange `topic` with 1000 patterns, each of which matches one of the keys `k0.mid.end` to `k999.mid.end`.
pub(super) fn topic_of_1000(client: &mut Client) {
    client.declare_exchange("topic", "topic");
    for nth in 0..1000 {
        let queue = format!("queue-{}", nth % 10);
        if nth < 10 {
            client.declare(&queue);
        }
        client.bind(&queue, "topic", &format!("k{nth}.#"));
    }
    client.take();
}

/// Requests and replies of 64 bytes through direct reply-to, one at a time.
pub(super) fn rpc() -> Round {
    let broker = broker();
    let (mut caller, mut server) = (Client::open(&broker), Client::open(&broker));
    server.declare("requests");
    server.consume("requests");
    server.take();
    caller.consume("amq.rabbitmq.reply-to");
    caller.take();
    let correlation_id = Some(name("0123456789abcdef"));
    let reply_to = Some(name("amq.rabbitmq.reply-to"));
    let asking =
        Properties { correlation_id: correlation_id.clone(), reply_to, ..Properties::default() };
    let mut request = Vec::new();
    write_publish(&mut request, ("", "requests"), &asking, &[b'x'; 64]);
    caller.hear(&request);
    server.drain();
    let reply_to = reply_name(&server.said);
    let answering = Properties { correlation_id, ..Properties::default() };
    let mut reply = Vec::new();
    write_publish(&mut reply, ("", &reply_to), &answering, &[b'y'; 64]);
    server.take();
    server.hear(&reply);
    assert_eq!(caller.deliveries(), 1);
    caller.hear(&request);
    let asked = server.take();
    server.hear(&reply);
    let answered = caller.take();
    Box::new(move || {
        for _ in 0..CALLS {
            caller.hear(&request);
            assert_eq!(server.take(), asked);
            server.hear(&reply);
            assert_eq!(caller.take(), answered);
        }
    })
}

/// The `reply_to` of the delivery in these frames.
fn reply_name(said: &[u8]) -> String {
    let method = frame::parse(said, 0).expect("a frame").expect("all of it");
    let header = frame::parse(&said[method.encoded_len()..], 0).expect("a frame").expect("whole");
    // Behind class, weight and body size.
    let properties = Properties::decode(&header.payload[12..]).expect("properties");
    properties.reply_to.expect("the request says whom to answer").to_string()
}

/// A connection's whole life: greeting, queue, publish, get, goodbye.
pub(super) fn churn() -> Round {
    let broker = broker();
    let mut bytes = greeting();
    let mut say = |channel, method: Method| frame::write_method(&mut bytes, channel, &method);
    let queue = name("own");
    let declare = queue::Declare { queue: queue.clone(), exclusive: true, ..Default::default() };
    say(1, declare.into());
    write_publish(&mut bytes, ("", "own"), &Properties::default(), &[b'x'; 64]);
    let mut say = |channel, method: Method| frame::write_method(&mut bytes, channel, &method);
    say(1, basic::Get { queue, no_ack: true, ..Default::default() }.into());
    say(1, channel::Close { reply_code: 200, ..Default::default() }.into());
    say(0, connection::Close { reply_code: 200, ..Default::default() }.into());
    let live = move || {
        let mut client = Client::new(&broker);
        client.hear(&bytes);
        client
    };
    let said = live().methods();
    let got = said.iter().filter(|method| matches!(method, Method::BasicGetOk(_))).count();
    assert!(got == 1 && said.last() == Some(&connection::CloseOk {}.into()), "{said:?}");
    let expected = live().take();
    Box::new(move || assert_eq!(live().take(), expected))
}

/// Messages that wait: published to a queue nobody consumes from, then got by one who comes later.
pub(super) fn backlog() -> Round {
    let broker = broker();
    let (mut publisher, mut consumer) = (Client::open(&broker), Client::open(&broker));
    publisher.declare("queue");
    publisher.take();
    let bytes = publishes("", |_| "queue".to_owned(), &Properties::default(), 100);
    let consumer_tag = name("late");
    let mut coming = Vec::new();
    let consume =
        basic::Consume { queue: name("queue"), consumer_tag, no_ack: true, ..Default::default() };
    frame::write_method(&mut coming, 1, &consume.into());
    let mut leaving = Vec::new();
    let cancel = basic::Cancel { consumer_tag: name("late"), ..Default::default() };
    frame::write_method(&mut leaving, 1, &cancel.into());
    publisher.hear(&bytes);
    consumer.hear(&coming);
    assert_eq!(consumer.deliveries(), BATCH);
    consumer.hear(&leaving);
    consumer.take();
    let mut turn = move || {
        publisher.hear(&bytes);
        consumer.hear(&coming);
        let came = consumer.take();
        consumer.hear(&leaving);
        came + consumer.take()
    };
    let expected = turn();
    Box::new(move || assert_eq!(turn(), expected))
}
