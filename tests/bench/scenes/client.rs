//! One connection of a scene: a session without its socket, and the frames that are said to it.
//!
//! It does to the session what `server::drive` does: a mailbox has somebody to wake, and bytes that were appended are
//! taken to have left. Start at [`Client::open`].

use std::sync::Arc;
use std::task::Waker;
use std::time::SystemTime;

use mq::broker::Broker;
use mq::broker::auth::Origin;
use mq::broker::registry::{Connection, Peer};
use mq::server::session::Session;
use mq::wire::constants::{CHANNEL_MAX_DEFAULT, FRAME_MAX_DEFAULT, PROTOCOL_HEADER};
use mq::wire::method::{basic, channel, connection, exchange, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, ShortStr, frame};

/// A client, its session and what the session has said.
pub(super) struct Client {
    pub(super) session: Session,
    connection: Arc<Connection>,
    pub(super) said: Vec<u8>,
}

/// A broker that keeps everything in memory.
pub(super) fn broker() -> Arc<Broker> {
    Arc::new(Broker::new("mq@bench".into()))
}

/// A name; those of scenes are short.
pub(super) fn name(text: &str) -> ShortStr {
    text.parse().expect("a name of a scene is short")
}

impl Client {
    /// A client that has said nothing yet.
    pub(super) fn new(broker: &Arc<Broker>) -> Self {
        let peer = Peer {
            name: "127.0.0.1:40000 -> 127.0.0.1:5672".into(),
            host: "127.0.0.1".into(),
            port: 5672,
            peer_host: "127.0.0.1".into(),
            peer_port: 40_000,
            is_tls: false,
            certificate: None,
            connected_at: SystemTime::UNIX_EPOCH,
        };
        let connection = broker.connect(peer);
        let session = Session::new(Arc::clone(broker), Arc::clone(&connection), Origin::Local, 0);
        Self { session, connection, said: Vec::new() }
    }

    /// A client with an open connection and channel 1.
    pub(super) fn open(broker: &Arc<Broker>) -> Self {
        let mut client = Self::new(broker);
        client.hear(&greeting());
        assert!(!client.session.is_closed(), "a good handshake is taken");
        client.take();
        client
    }

    /// Gives the session bytes, all of which it must use.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let used = self.session.on_bytes(bytes, 1, &mut self.said);
        assert_eq!(used, bytes.len(), "whole frames are used");
    }

    /// Says a method on channel 1.
    pub(super) fn call(&mut self, method: impl Into<Method>) {
        let mut bytes = Vec::new();
        frame::write_method(&mut bytes, 1, &method.into());
        self.hear(&bytes);
    }

    /// Appends what waits for the client to what was said.
    pub(super) fn drain(&mut self) {
        while self.session.on_mailbox(1, &mut self.said) {}
        self.connection.mailbox.register(Waker::noop());
        self.session.on_sent(1);
    }

    /// Takes everything that was said, the mailbox included; answers how many bytes.
    pub(super) fn take(&mut self) -> usize {
        self.drain();
        let len = self.said.len();
        self.said.clear();
        len
    }

    /// The methods that were said since the last time, on any channel.
    pub(super) fn methods(&mut self) -> Vec<Method> {
        self.drain();
        let mut rest = &self.said[..];
        let mut found = Vec::new();
        while let Some(frame) = frame::parse(rest, 0).expect("a session writes frames") {
            rest = &rest[frame.encoded_len()..];
            if let (1, [a, b, c, d, arguments @ ..]) = (frame.kind, frame.payload) {
                let (class, method) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                found.push(Method::decode(class, method, arguments).expect("and good methods"));
            }
        }
        self.said.clear();
        found
    }

    /// How many messages came since the last time.
    pub(super) fn deliveries(&mut self) -> u64 {
        let deliver = |method: &&Method| matches!(method, Method::BasicDeliver(_));
        self.methods().iter().filter(deliver).count() as u64
    }

    pub(super) fn declare(&mut self, queue: &str) {
        self.call(queue::Declare { queue: name(queue), ..Default::default() });
    }

    pub(super) fn declare_exchange(&mut self, exchange: &str, kind: &str) {
        let (exchange, kind) = (name(exchange), name(kind));
        self.call(exchange::Declare { exchange, kind, ..Default::default() });
    }

    pub(super) fn bind(&mut self, queue: &str, exchange: &str, routing_key: &str) {
        let (queue, exchange, routing_key) = (name(queue), name(exchange), name(routing_key));
        self.call(queue::Bind { queue, exchange, routing_key, ..Default::default() });
    }

    /// Consumes without acknowledgements.
    pub(super) fn consume(&mut self, queue: &str) {
        self.call(basic::Consume { queue: name(queue), no_ack: true, ..Default::default() });
    }

    /// Consumes with acknowledgements and a prefetch of this many.
    pub(super) fn consume_with_acks(&mut self, queue: &str, prefetch_count: u16) {
        self.call(basic::Qos { prefetch_count, ..Default::default() });
        self.call(basic::Consume { queue: name(queue), ..Default::default() });
    }
}

/// Everything a client says until channel 1 is open.
pub(super) fn greeting() -> Vec<u8> {
    let capabilities = FieldTable::new()
        .with("authentication_failure_close", true)
        .with("basic.nack", true)
        .with("connection.blocked", true)
        .with("consumer_cancel_notify", true)
        .with("publisher_confirms", true);
    let start_ok = connection::StartOk {
        client_properties: FieldTable::new().with("capabilities", FieldValue::Table(capabilities)),
        mechanism: literal("PLAIN"),
        response: "\0guest\0guest".into(),
        locale: literal("en_US"),
    };
    let tune_ok = connection::TuneOk {
        channel_max: CHANNEL_MAX_DEFAULT,
        frame_max: FRAME_MAX_DEFAULT,
        heartbeat: 60,
    };
    let open = connection::Open { virtual_host: literal("/"), ..Default::default() };
    let mut bytes = PROTOCOL_HEADER.to_vec();
    frame::write_method(&mut bytes, 0, &start_ok.into());
    frame::write_method(&mut bytes, 0, &tune_ok.into());
    frame::write_method(&mut bytes, 0, &open.into());
    frame::write_method(&mut bytes, 1, &channel::Open::default().into());
    bytes
}

/// Appends a publish on channel 1.
pub(super) fn write_publish(
    into: &mut Vec<u8>,
    (exchange, routing_key): (&str, &str),
    properties: &Properties,
    body: &[u8],
) {
    let (exchange, routing_key) = (name(exchange), name(routing_key));
    let publish = basic::Publish { exchange, routing_key, ..Default::default() };
    frame::write_method(into, 1, &publish.into());
    frame::write_content(into, 1, &properties.to_bytes(), body, FRAME_MAX_DEFAULT);
}

/// Acknowledgements on channel 1, one frame each, of deliveries whose tags go on from round to round.
pub(super) struct Acks {
    bytes: Vec<u8>,
    frame_len: usize,
    next_tag: u64,
}

impl Acks {
    /// So many in a round.
    pub(super) fn new(count: u64) -> Self {
        let mut frame = Vec::new();
        frame::write_method(&mut frame, 1, &basic::Ack::default().into());
        let bytes = (0..count).flat_map(|_| frame.clone()).collect();
        Self { bytes, frame_len: frame.len(), next_tag: 1 }
    }

    /// The acknowledgements of the next round.
    pub(super) fn next(&mut self) -> &[u8] {
        // The tag stands behind 7 bytes of frame and 4 of method.
        for frame in self.bytes.chunks_exact_mut(self.frame_len) {
            frame[11..19].copy_from_slice(&self.next_tag.to_be_bytes());
            self.next_tag += 1;
        }
        &self.bytes
    }
}
