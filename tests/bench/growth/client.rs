//! A client that costs little: what is sent many times is encoded once, what comes is counted rather than read.
//!
//! It blocks, and gives up with a panic when the broker does not answer: a figure of a broken run is worth nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mq::wire::constants::{FRAME_BODY, FRAME_MAX_DEFAULT, FRAME_METHOD, PROTOCOL_HEADER};
use mq::wire::method::{basic, channel, connection};
use mq::wire::{FieldTable, LongStr, Method, Reader, ShortStr, frame, shortstr};

/// Longest wait for an answer: nothing that is asked here may take that long.
const ANSWER_MAX: Duration = Duration::from_mins(2);
/// Room for what is read at once: some thousand small deliveries.
const READ_BYTES: usize = 256 << 10;
/// Requests that are under way at once in [`Client::ask_each`]: enough that the wait for answers is not measured.
const ASKED_AT_ONCE: usize = 64;

/// A connection with a channel 1.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// What came and was not looked at begins at `seen` and ends at `filled`.
    inbound: Vec<u8>,
    seen: usize,
    filled: usize,
    outbound: Vec<u8>,
}

/// What [`Client::receive`] found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    pub(crate) deliveries: u64,
    pub(crate) confirms: u64,
    pub(crate) body_bytes: u64,
    pub(crate) last_tag: u64,
}

pub(crate) fn name(text: &str) -> ShortStr {
    ShortStr::try_from(text).expect("names here are short")
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let mut client = Self::greet(address);
        client.ask(1, channel::Open::default());
        client
    }

    /// A connection without a channel.
    pub(crate) fn greet(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(ANSWER_MAX)).expect("a socket");
        let mut client =
            Self { stream, inbound: Vec::new(), seen: 0, filled: 0, outbound: Vec::new() };
        client.outbound.extend_from_slice(&PROTOCOL_HEADER);
        client.flush();
        client.answer();
        let start = connection::StartOk {
            client_properties: FieldTable::new(),
            mechanism: shortstr::literal("PLAIN"),
            response: LongStr::from(&b"\0guest\0guest"[..]),
            locale: shortstr::literal("en_US"),
        };
        let Method::ConnectionTune(tune) = client.ask(0, start) else { panic!("tune was due") };
        let (channel_max, frame_max) = (tune.channel_max, FRAME_MAX_DEFAULT);
        client.put(0, connection::TuneOk { channel_max, frame_max, heartbeat: 0 });
        let virtual_host = shortstr::literal("/");
        client.ask(0, connection::Open { virtual_host, ..Default::default() });
        client
    }

    /// Puts a method into the buffer.
    pub(crate) fn put(&mut self, channel: u16, method: impl Into<Method>) {
        frame::write_method(&mut self.outbound, channel, &method.into());
    }

    pub(crate) fn flush(&mut self) {
        self.stream.write_all(&self.outbound).expect("the broker reads");
        self.outbound.clear();
    }

    /// Writes what is encoded already.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    pub(crate) fn ask(&mut self, channel: u16, method: impl Into<Method>) -> Method {
        self.put(channel, method);
        self.flush();
        self.answer()
    }

    /// Asks on channel 1; answers whether the broker has it. After a refusal the client is of no use any more.
    pub(crate) fn is_had(&mut self, method: impl Into<Method>) -> bool {
        self.put(1, method);
        self.flush();
        !matches!(self.said(), Method::ConnectionClose(_) | Method::ChannelClose(_))
    }

    /// Asks for `count` things on channel 1, many at once, and waits for all the answers.
    pub(crate) fn ask_each<M: Into<Method>>(&mut self, count: usize, ask: impl Fn(usize) -> M) {
        for first in (0..count).step_by(ASKED_AT_ONCE) {
            let last = count.min(first + ASKED_AT_ONCE);
            (first..last).for_each(|number| self.put(1, ask(number)));
            self.flush();
            (first..last).for_each(|_| drop(self.answer()));
        }
    }

    /// The next method, deliveries left out; a close ends the run.
    pub(crate) fn answer(&mut self) -> Method {
        match self.said() {
            Method::ConnectionClose(close) => panic!("closed: {close:?}"),
            Method::ChannelClose(close) => panic!("channel closed: {close:?}"),
            other => other,
        }
    }

    /// The next method, deliveries left out.
    fn said(&mut self) -> Method {
        loop {
            let bytes = &self.inbound[self.seen..self.filled];
            let Some(frame) = frame::parse(bytes, 0).expect("a frame") else {
                self.read_more();
                continue;
            };
            self.seen += frame.encoded_len();
            if frame.kind != FRAME_METHOD {
                continue;
            }
            match method(frame.payload) {
                Method::BasicDeliver(_) => {}
                other => return other,
            }
        }
    }

    /// Reads once, unless something is there already, and counts what came.
    pub(crate) fn receive(&mut self) -> Received {
        let mut received = Received::default();
        self.count_into(&mut received);
        if received.deliveries == 0 && received.confirms == 0 && received.body_bytes == 0 {
            self.read_more();
            self.count_into(&mut received);
        }
        received
    }

    fn count_into(&mut self, received: &mut Received) {
        loop {
            let bytes = &self.inbound[self.seen..self.filled];
            let Some(frame) = frame::parse(bytes, 0).expect("a frame") else { return };
            self.seen += frame.encoded_len();
            match (frame.kind, frame.payload) {
                (FRAME_BODY, body) => received.body_bytes += body.len() as u64,
                (FRAME_METHOD, &[0, 60, 0, 60, tag_len, ref rest @ ..]) => {
                    received.deliveries += 1;
                    received.last_tag = number_at(rest, usize::from(tag_len));
                }
                (FRAME_METHOD, &[0, 60, 0, 80, ref rest @ ..]) => {
                    received.confirms = received.confirms.max(number_at(rest, 0));
                }
                (FRAME_METHOD, payload) => {
                    let said = method(payload);
                    assert!(
                        !matches!(said, Method::ConnectionClose(_) | Method::ChannelClose(_)),
                        "{said:?}"
                    );
                }
                _ => {}
            }
        }
    }

    fn read_more(&mut self) {
        self.inbound.copy_within(self.seen..self.filled, 0);
        (self.filled, self.seen) = (self.filled - self.seen, 0);
        if self.inbound.len() < self.filled + READ_BYTES / 2 {
            self.inbound.resize(self.filled + READ_BYTES, 0);
        }
        let read = self.stream.read(&mut self.inbound[self.filled..]).expect("an answer in time");
        assert!(read > 0, "the broker closed the connection");
        self.filled += read;
    }

    /// Acknowledges everything up to a delivery.
    pub(crate) fn ack(&mut self, delivery_tag: u64) {
        self.put(1, basic::Ack { delivery_tag, multiple: true });
        self.flush();
    }
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |number| u64::from_be_bytes(*number))
}

fn method(payload: &[u8]) -> Method {
    let mut from = Reader::new(payload);
    let (class, id) = (from.u16().expect("a class"), from.u16().expect("a method"));
    Method::decode(class, id, from.rest()).expect("a method")
}
