//! A scripted AMQP peer on a raw socket: it says exactly what a test tells it to, right or wrong.
//!
//! Every wait has a deadline, so that a broker that falls silent fails the test instead of hanging it. Bytes come
//! from `mq::wire`, which is checked against RabbitMQ's encoder elsewhere. Start at [`Peer::login`].

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mq::wire::constants::{
    FRAME_BODY, FRAME_HEADER, FRAME_MAX_DEFAULT, FRAME_METHOD, PROTOCOL_HEADER,
};
use mq::wire::method::{basic, channel, connection, queue};
use mq::wire::{FieldTable, LongStr, Method, Reader, ShortStr, Writer, frame, shortstr};

/// Longest wait for one answer; RabbitMQ delays some for three seconds.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// One frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: Vec<u8>,
}

impl Received {
    /// The method in a method frame.
    pub(crate) fn method(&self) -> Method {
        assert_eq!(self.kind, FRAME_METHOD, "a method frame was due: {self:?}");
        let mut from = Reader::new(&self.payload);
        let (class, method) = (from.u16().unwrap(), from.u16().unwrap());
        Method::decode(class, method, from.rest()).unwrap()
    }
}

/// Why a broker closed a channel (its number) or the connection (0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) channel: u16,
    pub(crate) code: u16,
    pub(crate) text: String,
    pub(crate) class_id: u16,
    pub(crate) method_id: u16,
}

/// A connection of which the test writes every byte.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    inbound: Vec<u8>,
}

impl Peer {
    /// Connects and says nothing yet.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Speaks over a stream that is connected already.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        stream.set_write_timeout(Some(ANSWER_MAX)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, inbound: Vec::new() }
    }

    /// Connects and goes through the handshake as guest, up to an open connection.
    pub(crate) fn login(address: SocketAddr) -> Self {
        let mut peer = Self::connect(address);
        peer.greet();
        peer.send_method(0, start_ok("PLAIN", b"\0guest\0guest"));
        let (_, tune) = peer.next_method();
        let Method::ConnectionTune(tune) = tune else { panic!("tune was due, not {tune:?}") };
        peer.send_method(
            0,
            connection::TuneOk {
                channel_max: tune.channel_max,
                frame_max: tune.frame_max,
                heartbeat: 0,
            },
        );
        peer.send_method(
            0,
            connection::Open { virtual_host: shortstr::literal("/"), ..Default::default() },
        );
        let (_, answer) = peer.next_method();
        assert!(matches!(answer, Method::ConnectionOpenOk(_)), "{answer:?}");
        peer
    }

    /// A logged-in peer with channel 1 open.
    pub(crate) fn on_channel_one(address: SocketAddr) -> Self {
        let mut peer = Self::login(address);
        peer.open_channel(1);
        peer
    }

    /// Says the protocol header and waits for connection.start.
    pub(crate) fn greet(&mut self) {
        self.send(&PROTOCOL_HEADER);
        let (_, start) = self.next_method();
        assert!(matches!(start, Method::ConnectionStart(_)), "{start:?}");
    }

    pub(crate) fn open_channel(&mut self, number: u16) {
        self.send_method(number, channel::Open::default());
        let (channel, answer) = self.next_method();
        assert!(matches!(answer, Method::ChannelOpenOk(_)), "{answer:?}");
        assert_eq!(channel, number);
    }

    /// Declares an exclusive queue on channel 1 and answers its name.
    pub(crate) fn declare_queue(&mut self) -> ShortStr {
        self.send_method(1, queue::Declare { exclusive: true, ..Default::default() });
        let (_, answer) = self.next_method();
        let Method::QueueDeclareOk(ok) = answer else { panic!("declare-ok, not {answer:?}") };
        ok.queue
    }

    /// Writes bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Says that nothing more will come; what the broker says is still read.
    pub(crate) fn shut_down_writing(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Writes bytes that the broker may refuse to take: it may have hung up in the middle of them.
    pub(crate) fn send_until_refused(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Ok(()) => {}
            Err(error) if is_hung_up(&error) => {}
            Err(error) => panic!("the broker neither takes the bytes nor hangs up: {error}"),
        }
    }

    pub(crate) fn send_method(&mut self, channel: u16, method: impl Into<Method>) {
        let mut bytes = Vec::new();
        frame::write_method(&mut bytes, channel, &method.into());
        self.send(&bytes);
    }

    /// Publishes on channel 1 through the default exchange.
    pub(crate) fn publish(&mut self, queue: &ShortStr, properties: &[u8], body: &[u8]) {
        let publish = basic::Publish { routing_key: queue.clone(), ..Default::default() };
        let mut bytes = Vec::new();
        frame::write_method(&mut bytes, 1, &publish.into());
        frame::write_content(&mut bytes, 1, properties, body, FRAME_MAX_DEFAULT);
        self.send(&bytes);
    }

    /// Gets a message on channel 1: its encoded properties and its body.
    pub(crate) fn get(&mut self, queue: &ShortStr) -> (Vec<u8>, Vec<u8>) {
        self.send_method(
            1,
            basic::Get { queue: queue.clone(), no_ack: true, ..Default::default() },
        );
        let (_, answer) = self.next_method();
        assert!(matches!(answer, Method::BasicGetOk(_)), "{answer:?}");
        let header = self.next_frame().expect("a header frame");
        assert_eq!(header.kind, FRAME_HEADER);
        let size: [u8; 8] = header.payload[4..12].try_into().unwrap();
        let size = usize::try_from(u64::from_be_bytes(size)).unwrap();
        let mut body = Vec::new();
        while body.len() < size {
            let chunk = self.next_frame().expect("a body frame");
            assert_eq!(chunk.kind, FRAME_BODY);
            body.extend(chunk.payload);
        }
        (header.payload[12..].to_vec(), body)
    }

    /// The next frame, or `None` when the broker closed the connection.
    pub(crate) fn next_frame(&mut self) -> Option<Received> {
        loop {
            if let Some(found) = frame::parse(&self.inbound, 0).unwrap() {
                let taken = found.encoded_len();
                let (kind, channel, payload) = (found.kind, found.channel, found.payload.to_vec());
                self.inbound.drain(..taken);
                return Some(Received { kind, channel, payload });
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// The next method and its channel; anything else fails the test.
    pub(crate) fn next_method(&mut self) -> (u16, Method) {
        let frame = self.next_frame().expect("the broker answers instead of hanging up");
        (frame.channel, frame.method())
    }

    /// Reads to the end of the stream: what the broker still said, and how it ended.
    ///
    /// A `connection.close` is answered.
    pub(crate) fn end(mut self) -> (Vec<Received>, End) {
        let mut said = Vec::new();
        loop {
            while let Some(found) = frame::parse(&self.inbound, 0).ok().flatten() {
                let taken = found.encoded_len();
                let (kind, channel, payload) = (found.kind, found.channel, found.payload.to_vec());
                self.inbound.drain(..taken);
                let frame = Received { kind, channel, payload };
                if kind == FRAME_METHOD && matches!(frame.method(), Method::ConnectionClose(_)) {
                    let mut bytes = Vec::new();
                    frame::write_method(&mut bytes, 0, &connection::CloseOk {}.into());
                    self.send_until_refused(&bytes);
                }
                said.push(frame);
            }
            let mut chunk = [0; 8 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return (said, End::Closed),
                Ok(count) => self.inbound.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return (said, End::Reset);
                }
                Err(error) => panic!("no end within {ANSWER_MAX:?}: {error}"),
            }
        }
    }

    /// The local address of the stream: what the broker calls its peer.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Reads once, at most so many bytes, and forgets them.
    pub(crate) fn read_and_forget(&mut self, bytes_max: usize) -> usize {
        self.stream.read(&mut vec![0; bytes_max]).unwrap()
    }

    /// Everything the broker still says until it hangs up.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        while self.read_more() {}
        self.inbound
    }

    /// Waits for a close of channel or connection and answers it; frames before it are skipped.
    ///
    /// A closed connection must end in the broker hanging up.
    pub(crate) fn next_close(&mut self) -> Closed {
        loop {
            let frame = self.next_frame().expect("the broker says why it hangs up");
            if frame.kind != FRAME_METHOD {
                continue;
            }
            match frame.method() {
                Method::ConnectionClose(close) => {
                    let mut bytes = Vec::new();
                    frame::write_method(&mut bytes, 0, &connection::CloseOk {}.into());
                    self.send_until_refused(&bytes);
                    assert_eq!(self.next_frame(), None, "nothing follows connection.close-ok");
                    return Closed {
                        channel: 0,
                        code: close.reply_code,
                        text: close.reply_text.to_string(),
                        class_id: close.class_id,
                        method_id: close.method_id,
                    };
                }
                Method::ChannelClose(close) => {
                    self.send_method(frame.channel, channel::CloseOk {});
                    return Closed {
                        channel: frame.channel,
                        code: close.reply_code,
                        text: close.reply_text.to_string(),
                        class_id: close.class_id,
                        method_id: close.method_id,
                    };
                }
                _ => {}
            }
        }
    }

    /// Reads once; `false` when the broker closed the connection.
    fn read_more(&mut self) -> bool {
        let mut chunk = [0; 8 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.inbound.extend_from_slice(&chunk[..count]);
                true
            }
            Err(error) if is_hung_up(&error) => false,
            Err(error) => panic!("no answer within {ANSWER_MAX:?}: {error}"),
        }
    }
}

/// How a broker ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

/// Whether the other side ended the connection, orderly or not.
fn is_hung_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

/// The bytes of one frame.
pub(crate) fn frame_of(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_with(&mut bytes, kind, channel, |to| to.bytes(payload));
    bytes
}

/// The payload of a method frame.
pub(crate) fn method_payload(method: impl Into<Method>) -> Vec<u8> {
    let mut bytes = Vec::new();
    method.into().encode(&mut Writer::new(&mut bytes));
    bytes
}

/// A start-ok of a client that wants to be told about a failed login.
pub(crate) fn start_ok(mechanism: &'static str, response: &[u8]) -> connection::StartOk {
    let capabilities = FieldTable::new()
        .with("authentication_failure_close", true)
        .with("connection.blocked", true);
    connection::StartOk {
        client_properties: FieldTable::new().with("capabilities", capabilities),
        mechanism: shortstr::literal(mechanism),
        response: LongStr::from(response),
        locale: shortstr::literal("en_US"),
    }
}
