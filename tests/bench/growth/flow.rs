//! Messages through a broker as fast as it takes them, for a fixed time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mq::wire::constants::FRAME_MAX_DEFAULT;
use mq::wire::frame;
use mq::wire::method::basic;

use crate::broker::Broker;
use crate::client::Client;

/// Bytes written at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes of bodies that may be under way between publishers and consumer, so that no backlog is measured instead.
const UNDER_WAY_BYTES: u64 = 8 << 20;
/// ... and messages.
const UNDER_WAY_MAX: u64 = 20_000;
/// How soon a publisher that is held looks again.
const LOOK_AGAIN: Duration = Duration::from_micros(100);
/// Time for caches and buffers to fill before anything is counted.
const WARM_UP: Duration = Duration::from_millis(300);

/// Publishes that are encoded once, all of the same length.
#[derive(Debug, Default)]
pub(crate) struct Publishes {
    bytes: Vec<u8>,
    each_bytes: usize,
    body_bytes: u64,
}

/// What a message is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) body_bytes: usize,
    pub(crate) is_persistent: bool,
}

impl Shape {
    pub(crate) const SMALL: Self = Self { body_bytes: 100, is_persistent: false };

    pub(crate) fn properties(self) -> &'static [u8] {
        // The flag of delivery-mode, and 2.
        if self.is_persistent { &[0x10, 0, 2] } else { &[0, 0] }
    }
}

impl Publishes {
    /// One message for each routing key with its properties; all must come out at one length.
    pub(crate) fn new(
        exchange: &str,
        keys: impl IntoIterator<Item = (String, Vec<u8>)>,
        shape: Shape,
    ) -> Self {
        let body = vec![7; shape.body_bytes];
        let mut all = Self { body_bytes: body.len() as u64, ..Self::default() };
        for (key, properties) in keys {
            let exchange = crate::client::name(exchange);
            let routing_key = crate::client::name(&key);
            all.push(
                basic::Publish { exchange, routing_key, ..Default::default() },
                &properties,
                &body,
            );
        }
        // Small sets are repeated, so that they are written many at once.
        while all.bytes.len() < CHUNK_BYTES {
            all.bytes.extend_from_within(..);
        }
        all
    }

    fn push(&mut self, publish: basic::Publish, properties: &[u8], body: &[u8]) {
        let begin = self.bytes.len();
        frame::write_method(&mut self.bytes, 1, &publish.into());
        frame::write_content(&mut self.bytes, 1, properties, body, FRAME_MAX_DEFAULT);
        let each_bytes = self.bytes.len() - begin;
        assert!(self.each_bytes == 0 || self.each_bytes == each_bytes, "one length for all");
        self.each_bytes = each_bytes;
    }

    /// Messages to the default exchange, to these queues in turn.
    pub(crate) fn to_queues(queues: impl IntoIterator<Item = String>, shape: Shape) -> Self {
        Self::new("", queues.into_iter().map(|key| (key, shape.properties().to_vec())), shape)
    }

    /// Writes `count` messages, the first of them number `first` of all that were written.
    pub(crate) fn write(&self, client: &mut Client, count: u64, first: u64) {
        let mut at =
            usize::try_from(first % self.len()).expect("a place in memory") * self.each_bytes;
        let mut left = count;
        while left > 0 {
            let here = (((self.bytes.len() - at) / self.each_bytes) as u64).min(left);
            let end = at + usize::try_from(here).expect("a place in memory") * self.each_bytes;
            client.write(&self.bytes[at..end]);
            at = if end == self.bytes.len() { 0 } else { end };
            left -= here;
        }
    }

    fn len(&self) -> u64 {
        (self.bytes.len() / self.each_bytes) as u64
    }

    /// How many messages make a large write.
    pub(crate) fn per_write(&self) -> u64 {
        (CHUNK_BYTES / self.each_bytes).max(1) as u64
    }
}

/// What a flow came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_s: f64,
    /// Processor time of the broker for a message, in microseconds.
    pub(crate) cpu_us: f64,
}

/// How messages are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Take {
    /// Without acknowledgement.
    Free,
    /// Everything is acknowledged after so many deliveries.
    AckEvery(u64),
}

/// Messages from publishers that write in turn to one consumer, which has subscribed.
#[derive(Debug)]
pub(crate) struct Flow<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) publishers: &'a mut [Client],
    pub(crate) messages: &'a Publishes,
    /// Messages that a publisher writes in its turn.
    pub(crate) turn: u64,
    pub(crate) consumer: &'a mut Client,
    pub(crate) take: Take,
}

impl Flow<'_> {
    /// Lets messages flow for `time`, and waits for the last of them.
    pub(crate) fn run(self, time: Duration) -> Rate {
        let Self { broker, publishers, messages, turn, consumer, take } = self;
        let (received, all) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        std::thread::scope(|scope| {
            scope.spawn(|| consume(consumer, take, &received, &all));
            let begin = Instant::now();
            let mut counted = None;
            let mut sent = 0;
            for at in (0..publishers.len()).cycle() {
                messages.write(&mut publishers[at], turn, sent);
                sent += turn;
                wait_for_room(messages, sent, &received);
                let got = received.load(Ordering::Relaxed);
                let now = Instant::now();
                match counted {
                    None if now - begin > WARM_UP => counted = Some((now, got, broker.cpu_s())),
                    Some((since, before, cpu_s)) if now - since > time => {
                        // The last message comes after its number is known, and so ends the wait for it.
                        all.store(sent + 1, Ordering::Release);
                        messages.write(&mut publishers[at], 1, sent);
                        return Rate::of(got - before, now - since, broker.cpu_s() - cpu_s);
                    }
                    _ => {}
                }
            }
            unreachable!("publishers write in turn until the time is over")
        })
    }
}

impl Rate {
    pub(crate) fn of(messages: u64, time: Duration, cpu_s: f64) -> Self {
        let messages = messages.max(1) as f64;
        Self { per_s: messages / time.as_secs_f64(), cpu_us: cpu_s * 1e6 / messages }
    }
}

/// Holds the publishers while too much is under way.
fn wait_for_room(messages: &Publishes, sent: u64, received: &AtomicU64) {
    let most = (UNDER_WAY_BYTES / messages.body_bytes.max(1)).clamp(4, UNDER_WAY_MAX);
    while sent - received.load(Ordering::Relaxed) > most {
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

fn consume(consumer: &mut Client, take: Take, received: &AtomicU64, all: &AtomicU64) {
    let (mut unacked, mut got) = (0, 0);
    while got < all.load(Ordering::Acquire) {
        let came = consumer.receive();
        got += came.deliveries;
        received.store(got, Ordering::Relaxed);
        unacked += came.deliveries;
        if let Take::AckEvery(every) = take
            && unacked >= every
        {
            consumer.ack(came.last_tag);
            unacked = 0;
        }
    }
}
