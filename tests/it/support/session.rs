//! A connection without its socket, spoken to in frames: what tests of a session share. Start at [`Client::open`].

use std::sync::Arc;
use std::time::SystemTime;

use mq::broker::Broker;
use mq::broker::auth::Origin;
use mq::broker::registry::{Connection, Peer};
use mq::server::session::Session;
use mq::wire::constants::{FRAME_BODY, FRAME_HEADER, FRAME_METHOD, PROTOCOL_HEADER};
use mq::wire::content::ContentHeader;
use mq::wire::method::{basic, channel, connection, queue};
use mq::wire::shortstr::literal;
use mq::wire::{FieldTable, FieldValue, Method, Properties, ShortStr, frame};

/// A client that talks to a session in memory.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) connection: Arc<Connection>,
    pub(crate) out: Vec<u8>,
    /// What a session that an alarm has stopped is to handle when the alarm is over.
    unread: Vec<u8>,
}

/// One thing a session said.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Method(u16, Method),
    Body(Vec<u8>),
    Heartbeat,
}

impl Client {
    pub(crate) fn new(broker: &Arc<Broker>, now: u64) -> Self {
        let peer = Peer {
            name: "peer -> broker".into(),
            host: "broker".into(),
            port: 5672,
            peer_host: "peer".into(),
            peer_port: 1,
            is_tls: false,
            certificate: None,
            connected_at: SystemTime::UNIX_EPOCH,
        };
        let connection = broker.connect(peer);
        let session = Session::new(Arc::clone(broker), Arc::clone(&connection), Origin::Local, now);
        Self { session, connection, out: Vec::new(), unread: Vec::new() }
    }

    /// A client that has opened a connection with this heartbeat, and channel 1.
    pub(crate) fn open(broker: &Arc<Broker>, heartbeat: u16) -> Self {
        Self::logged_in(broker, heartbeat, start_ok("guest", true))
    }

    /// The same with these client properties.
    pub(crate) fn open_with(
        broker: &Arc<Broker>,
        heartbeat: u16,
        client_properties: FieldTable,
    ) -> Self {
        let start_ok = start_ok("guest", true);
        Self::logged_in(broker, heartbeat, connection::StartOk { client_properties, ..start_ok })
    }

    fn logged_in(broker: &Arc<Broker>, heartbeat: u16, start_ok: connection::StartOk) -> Self {
        let mut client = Self::new(broker, 0);
        client.bytes(&PROTOCOL_HEADER, 0);
        client.send(0, start_ok, 0);
        let tune_ok = connection::TuneOk { channel_max: 100, frame_max: 131_072, heartbeat };
        client.send(0, tune_ok, 0);
        let virtual_host = literal("/");
        client.send(0, connection::Open { virtual_host, ..Default::default() }, 0);
        client.send(1, channel::Open::default(), 0);
        let said = client.said();
        assert!(matches!(said.last(), Some(Said::Method(1, Method::ChannelOpenOk(_)))), "{said:?}");
        client
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8], now: u64) {
        self.unread.extend_from_slice(bytes);
        let used = self.session.on_bytes(&self.unread, now, &mut self.out);
        self.unread.drain(..used);
        assert!(self.unread.is_empty() || self.session.is_blocked(), "whole frames are used");
    }

    pub(crate) fn send(&mut self, channel: u16, method: impl Into<Method>, now: u64) {
        let mut bytes = Vec::new();
        frame::write_method(&mut bytes, channel, &method.into());
        self.bytes(&bytes, now);
    }

    /// Publishes `bodies` to a queue, all in one piece of bytes.
    pub(crate) fn publish(&mut self, queue: &'static str, bodies: &[&[u8]], now: u64) {
        let mut bytes = Vec::new();
        for body in bodies {
            write_publish(&mut bytes, &literal(queue), &Properties::default(), body);
        }
        self.bytes(&bytes, now);
    }

    pub(crate) fn publish_with(
        &mut self,
        queue: &'static str,
        properties: &Properties,
        body: &[u8],
    ) {
        self.publish_to(&literal(queue), properties, body);
    }

    pub(crate) fn publish_to(
        &mut self,
        routing_key: &ShortStr,
        properties: &Properties,
        body: &[u8],
    ) {
        let mut bytes = Vec::new();
        write_publish(&mut bytes, routing_key, properties, body);
        self.bytes(&bytes, 0);
    }

    /// The properties of the content header that was said last.
    pub(crate) fn got_properties(&mut self) -> Properties {
        let mut rest = &self.out[..];
        let mut properties = None;
        while let Some(found) = frame::parse(rest, 0).unwrap() {
            if found.kind == FRAME_HEADER {
                let header = ContentHeader::decode(found.payload).unwrap();
                properties = Some(Properties::decode(header.properties).unwrap());
            }
            rest = &rest[found.encoded_len()..];
        }
        properties.expect("a content was said")
    }

    pub(crate) fn declare(&mut self, queue: &'static str) {
        self.send(1, queue::Declare { queue: literal(queue), ..Default::default() }, 0);
    }

    pub(crate) fn declare_durable(&mut self, queue: &'static str) {
        let (queue, durable) = (literal(queue), true);
        self.send(1, queue::Declare { queue, durable, ..Default::default() }, 0);
    }

    pub(crate) fn consume(&mut self, queue: &'static str, tag: &'static str) {
        let (queue, consumer_tag) = (literal(queue), literal(tag));
        self.send(1, basic::Consume { queue, consumer_tag, ..Default::default() }, 0);
    }

    /// Has the session do what the disk has made due; answers whether there was anything.
    pub(crate) fn on_synced(&mut self) -> bool {
        self.session.on_synced(0, &mut self.out)
    }

    /// Everything the session has said since the last time, mailbox included.
    pub(crate) fn said(&mut self) -> Vec<Said> {
        while self.session.on_mailbox(0, &mut self.out) {}
        if !self.unread.is_empty() && !self.session.is_blocked() {
            self.bytes(&[], 0);
        }
        let bytes = std::mem::take(&mut self.out);
        let mut rest = &bytes[..];
        let mut said = Vec::new();
        while let Some(found) = frame::parse(rest, 0).expect("a session writes frames") {
            rest = &rest[found.encoded_len()..];
            match found.kind {
                FRAME_METHOD => {
                    let [a, b, c, d, arguments @ ..] = found.payload else { panic!("{found:?}") };
                    let (class, method) =
                        (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                    let method = Method::decode(class, method, arguments).unwrap();
                    said.push(Said::Method(found.channel, method));
                }
                FRAME_HEADER => {}
                FRAME_BODY => said.push(Said::Body(found.payload.to_vec())),
                _ => said.push(Said::Heartbeat),
            }
        }
        assert!(rest.is_empty(), "only whole frames are written");
        said
    }

    /// The bodies of the deliveries, and whether each was delivered before.
    pub(crate) fn deliveries(&mut self) -> Vec<(Vec<u8>, bool)> {
        let mut redelivered = false;
        let mut found = Vec::new();
        for said in self.said() {
            match said {
                Said::Method(_, Method::BasicDeliver(deliver)) => redelivered = deliver.redelivered,
                Said::Body(body) => found.push((body, redelivered)),
                Said::Method(..) | Said::Heartbeat => {}
            }
        }
        found
    }
}

pub(crate) fn write_publish(
    out: &mut Vec<u8>,
    routing_key: &ShortStr,
    properties: &Properties,
    body: &[u8],
) {
    let publish = basic::Publish { routing_key: routing_key.clone(), ..Default::default() };
    frame::write_method(out, 1, &publish.into());
    frame::write_content(out, 1, &properties.to_bytes(), body, 131_072);
}

pub(crate) fn start_ok(password: &str, takes_refusals: bool) -> connection::StartOk {
    let capabilities = FieldTable::new()
        .with("authentication_failure_close", takes_refusals)
        .with("consumer_cancel_notify", true)
        .with("connection.blocked", true);
    connection::StartOk {
        client_properties: FieldTable::new().with("capabilities", FieldValue::Table(capabilities)),
        mechanism: literal("PLAIN"),
        response: format!("\0guest\0{password}").into(),
        locale: literal("en_US"),
    }
}

pub(crate) fn broker() -> Arc<Broker> {
    Arc::new(Broker::new("mq@test".into()))
}

pub(crate) fn ready(broker: &Broker, queue: &str) -> u64 {
    let queues = broker.vhost("/").unwrap().queues();
    queues.iter().find(|one| *one.name() == queue).map_or(0, |queue| queue.info().ready)
}
