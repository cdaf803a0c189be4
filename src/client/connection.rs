//! A connection: opened on a stream, used through channels, closed with `connection.close`.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use super::channel::Channel;
use super::drive::Driver;
use super::error::Error;
use super::handshake::{HandshakeResult, shake};
use super::options::Options;
use super::state::{Phase, Shared};
use crate::lock::Mutex;
use crate::wire::method::connection;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, frame};

/// Longest wait for the broker's answer to our goodbye; by then everything sent has been handled or lost.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// An open connection and the task that serves it.
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
    server_properties: FieldTable,
    timeout: Duration,
    /// Taken by the one who closes.
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl Connection {
    /// Logs in and opens the vhost on a fresh stream.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the broker does not want us, [`Error::TimedOut`] when it says nothing.
    pub async fn open<S>(mut stream: S, options: &Options) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let timeout = options.timeout;
        let shaken = tokio::time::timeout(timeout, shake(&mut stream, options)).await;
        let HandshakeResult { server_properties, tuned, inbound } =
            shaken.map_err(|_| Error::TimedOut { waited: timeout })??;
        let shared = Arc::new(Shared::new(tuned));
        let driver = Driver::new(Arc::clone(&shared), tuned.heartbeat_s, inbound);
        let driver = tokio::spawn(driver.drive(stream));
        Ok(Self { shared, server_properties, timeout, driver: Mutex::new(Some(driver)) })
    }

    /// Returns the properties that the broker sent when the connection was opened.
    pub fn server_properties(&self) -> &FieldTable {
        &self.server_properties
    }

    /// Opens a channel. Costs no round trip: whether it opened shows with its first answer.
    pub fn channel(&self) -> Result<Channel, Error> {
        Channel::open(&self.shared, self.timeout)
    }

    /// The reason why the broker blocks publishes now, if it does (`connection.blocked`).
    pub fn blocked(&self) -> Option<String> {
        self.shared.lock().blocked.clone()
    }

    /// The reason why the connection ended, if it has.
    pub fn ended(&self) -> Option<Error> {
        self.shared.lock().check_open().err()
    }

    /// Sends everything that waits, says goodbye, and waits for the broker's.
    ///
    /// # Errors
    ///
    /// When the connection had ended before, or the goodbye is not answered within 5 seconds.
    pub async fn close(&self) -> Result<(), Error> {
        {
            let mut state = self.shared.lock();
            state.check_open()?;
            let close = connection::Close {
                reply_code: 200,
                reply_text: literal("goodbye"),
                ..Default::default()
            };
            frame::write_method(&mut state.outbound, 0, &close.into());
            state.phase = Phase::Closing;
        }
        self.shared.bell.notify_one();
        let Some(mut driver) = self.take_driver() else { return Err(Error::Closed) };
        if tokio::time::timeout(GOODBYE_MAX, &mut driver).await.is_err() {
            driver.abort();
            return Err(Error::TimedOut { waited: GOODBYE_MAX });
        }
        match &self.shared.lock().phase {
            Phase::Over(Error::Closed) => Ok(()),
            Phase::Over(error) => Err(error.clone()),
            Phase::Open | Phase::Closing => {
                Err(Error::Lost { why: "the broker did not answer connection.close".into() })
            }
        }
    }

    fn take_driver(&self) -> Option<JoinHandle<()>> {
        self.driver.lock().take()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(driver) = self.take_driver() {
            driver.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, BytesMut};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::client::handshake::decode_method;
    use crate::wire::ShortStr;
    use crate::wire::constants::{FRAME_HEARTBEAT, FRAME_METHOD, PROTOCOL_HEADER};
    use crate::wire::fault::FaultLevel;
    use crate::wire::method::{basic, channel, queue};
    use crate::wire::{LongStr, Method};

    /// Bytes that fit between the two ends.
    const PIPE: usize = 256 << 10;

    /// A broker that says what the test tells it to.
    struct Peer {
        stream: DuplexStream,
        inbound: BytesMut,
        heartbeats: usize,
    }

    impl Peer {
        /// Both ends, the client's side still to be opened.
        fn pair() -> (Self, DuplexStream) {
            let (ours, stream) = duplex(PIPE);
            (Self { stream, inbound: BytesMut::new(), heartbeats: 0 }, ours)
        }

        /// An open connection with `heartbeat` seconds agreed on.
        async fn connected(heartbeat: u16) -> (Self, Connection) {
            let (mut peer, ours) = Self::pair();
            let options = options();
            let opening = Connection::open(ours, &options);
            let shaking = async {
                peer.shake(heartbeat).await;
                peer
            };
            let (connection, peer) = tokio::join!(opening, shaking);
            (peer, connection.expect("the handshake is done"))
        }

        async fn shake(&mut self, heartbeat: u16) {
            self.start().await;
            self.send(0, connection::Tune { channel_max: 0, frame_max: 131_072, heartbeat }).await;
            assert!(matches!(self.next().await, (0, Method::ConnectionTuneOk(_))));
            assert!(matches!(self.next().await, (0, Method::ConnectionOpen(_))));
            self.send(0, connection::OpenOk::default()).await;
        }

        /// Up to `connection.start-ok`.
        async fn start(&mut self) {
            let mut header = [0; 8];
            self.stream.read_exact(&mut header).await.unwrap();
            assert_eq!(header, PROTOCOL_HEADER);
            let mechanisms = LongStr::from("PLAIN AMQPLAIN");
            let start = connection::Start { version_minor: 9, mechanisms, ..Default::default() };
            self.send(0, start).await;
            let (0, Method::ConnectionStartOk(start_ok)) = self.next().await else {
                panic!("no connection.start-ok");
            };
            assert_eq!(start_ok.response.as_bytes(), b"\0guest\0guest");
        }

        async fn send(&mut self, channel: u16, method: impl Into<Method>) {
            let mut bytes = Vec::new();
            frame::write_method(&mut bytes, channel, &method.into());
            self.stream.write_all(&bytes).await.unwrap();
        }

        async fn deliver(&mut self, tag: &ShortStr, number: u64, body: &[u8]) {
            let deliver = basic::Deliver {
                consumer_tag: tag.clone(),
                delivery_tag: number,
                ..Default::default()
            };
            let mut bytes = Vec::new();
            frame::write_method(&mut bytes, 1, &deliver.into());
            frame::write_content(&mut bytes, 1, &[0, 0], body, 131_072);
            self.stream.write_all(&bytes).await.unwrap();
        }

        /// The next method; heartbeats are counted, contents passed over.
        async fn next(&mut self) -> (u16, Method) {
            loop {
                let found = frame::parse(&self.inbound, 131_072).expect("the client sends frames");
                let taken = found.map(|frame| {
                    self.heartbeats += usize::from(frame.kind == FRAME_HEARTBEAT);
                    let is_method = frame.kind == FRAME_METHOD;
                    let method = is_method.then(|| decode_method(frame.payload).unwrap());
                    (frame.encoded_len(), method.map(|method| (frame.channel, method)))
                });
                if let Some((len, method)) = taken {
                    self.inbound.advance(len);
                    match method {
                        Some(method) => return method,
                        None => continue,
                    }
                }
                let read = self.stream.read_buf(&mut self.inbound).await.unwrap();
                assert_ne!(read, 0, "the client hung up");
            }
        }

        /// Answers `channel.open` of the first channel.
        async fn open_channel(&mut self) {
            assert!(matches!(self.next().await, (_, Method::ChannelOpen(_))));
            self.send(1, channel::OpenOk::default()).await;
        }

        async fn start_consumer(&mut self) -> ShortStr {
            self.open_channel().await;
            let (1, Method::BasicConsume(consume)) = self.next().await else {
                panic!("no basic.consume");
            };
            let consumer_tag = consume.consumer_tag;
            self.send(1, basic::ConsumeOk { consumer_tag: consumer_tag.clone() }).await;
            consumer_tag
        }
    }

    fn options() -> Options {
        Options { timeout: Duration::from_secs(20), ..Options::default() }
    }

    fn run(scenario: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let limit = Duration::from_mins(1);
        let ended = runtime.block_on(async { tokio::time::timeout(limit, scenario).await });
        ended.expect("the scenario ends");
    }

    fn declare() -> queue::Declare {
        queue::Declare { queue: literal("q"), ..Default::default() }
    }

    /// Returns the error of a call to a broker that sends `bytes` instead of an answer, and then hangs up.
    async fn answered_with(bytes: &[u8]) -> Error {
        let (mut peer, connection) = Peer::connected(0).await;
        let channel = connection.channel().unwrap();
        let breaking = async {
            peer.open_channel().await;
            assert!(matches!(peer.next().await, (1, Method::QueueDeclare(_))));
            peer.stream.write_all(bytes).await.unwrap();
            drop(peer);
        };
        let (answer, ()) = tokio::join!(channel.call(declare()), breaking);
        assert!(connection.ended().is_some(), "the connection is over");
        answer.unwrap_err()
    }

    fn encoded(channel: u16, method: impl Into<Method>) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::write_method(&mut bytes, channel, &method.into());
        bytes
    }

    #[test]
    fn a_peer_that_is_no_amqp_broker_is_told_apart() {
        let cases: [(&[u8], &str); 4] = [
            (b"AMQP\x00\x01\x00\x00", "it speaks AMQP 1-0-0 and not 0-9-1"),
            (b"HTTP/1.1 400 Bad Request\r\n", "a web server answers at this port"),
            (b"220 mail.example SMTP ready\r\n", "frame_too_large"),
            (b"", "the broker closed the connection"),
        ];
        run(async {
            for (bytes, told) in cases {
                let (mut peer, ours) = Peer::pair();
                peer.stream.write_all(bytes).await.unwrap();
                peer.stream.shutdown().await.unwrap();
                let error = Connection::open(ours, &options()).await.unwrap_err();
                assert!(error.to_string().contains(told), "{bytes:?}: {error}");
            }
        });
    }

    #[test]
    fn a_peer_that_says_nothing_is_given_up() {
        run(async {
            let (_peer, ours) = Peer::pair();
            let options = Options { timeout: Duration::from_millis(20), ..options() };
            let error = Connection::open(ours, &options).await.unwrap_err();
            assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        });
    }

    #[test]
    fn a_refused_login_is_a_refusal() {
        run(async {
            let (mut peer, ours) = Peer::pair();
            let refusing = async {
                peer.start().await;
                let reply_text = literal("ACCESS_REFUSED - Login was refused");
                let close = connection::Close { reply_code: 403, reply_text, ..Default::default() };
                peer.send(0, close).await;
                assert!(matches!(peer.next().await, (0, Method::ConnectionCloseOk(_))));
            };
            let options = options();
            let (opened, ()) = tokio::join!(Connection::open(ours, &options), refusing);
            let error = opened.unwrap_err();
            assert_eq!(error.refusal().unwrap().code, 403);
        });
    }

    /// Whatever comes instead of an answer ends the call with an error, never with a panic or for ever.
    #[test]
    fn a_peer_that_breaks_the_rules_ends_the_connection() {
        let header_first = {
            let mut bytes = Vec::new();
            frame::write_content(&mut bytes, 1, &[0, 0], b"body", 4096);
            bytes
        };
        let long_body = {
            let mut bytes = encoded(1, basic::Deliver::default());
            frame::write_content(&mut bytes, 1, &[0, 0], b"body", 4096);
            let body = bytes.len() - 12;
            let (header, body) = bytes.split_at(body);
            [header, body, body].concat()
        };
        let interrupted =
            [encoded(1, basic::GetOk::default()), encoded(1, queue::BindOk {})].concat();
        #[rustfmt::skip]
        let cases: [(&str, Vec<u8>, &str); 11] = [
            ("nothing",           vec![],                                      "the broker closed the connection"),
            ("half a frame",      vec![1, 0, 1, 0, 0, 0, 9, 0],                "the broker closed the connection"),
            ("a huge frame",      vec![1, 0, 1, 255, 255, 255, 255],           "frame_too_large"),
            ("a bad frame end",   vec![1, 0, 1, 0, 0, 0, 1, 0, 7],             "invalid_frame_end_marker"),
            ("an unknown method", vec![1, 0, 1, 0, 0, 0, 4, 0, 99, 0, 99, 206], "there is no method 99 in class 99"),
            ("an unknown frame",  vec![4, 0, 1, 0, 0, 0, 0, 206],              "a frame of type 4 on channel 1"),
            ("the wrong answer",  encoded(1, queue::BindOk {}),                "queue.bind-ok answers no call"),
            ("a strange channel", encoded(9, queue::DeclareOk::default()),     "channel 9, which is not open"),
            ("a header alone",    header_first,                                "belongs to no message"),
            ("too much body",     long_body,                                   "belongs to no message"),
            ("half a message",    interrupted,                                 "in the middle of a message"),
        ];
        run(async {
            for (name, bytes, told) in cases {
                let error = answered_with(&bytes).await;
                assert!(error.to_string().contains(told), "{name}: {error}");
            }
        });
    }

    #[test]
    fn a_refused_call_closes_its_channel_only() {
        run(async {
            let (mut peer, connection) = Peer::connected(0).await;
            let first = connection.channel().unwrap();
            let refusing = async {
                peer.open_channel().await;
                assert!(matches!(peer.next().await, (1, Method::QueueDeclare(_))));
                let reply_text = literal("NOT_FOUND - no queue 'q' in vhost '/'");
                let close =
                    channel::Close { reply_code: 404, reply_text, class_id: 50, method_id: 10 };
                peer.send(1, close).await;
                assert!(matches!(peer.next().await, (1, Method::ChannelCloseOk(_))));
            };
            let (answer, ()) = tokio::join!(first.call(declare()), refusing);
            let error = answer.unwrap_err();
            let refusal = error.refusal().unwrap();
            assert_eq!((refusal.level, refusal.code), (FaultLevel::Channel, 404));
            assert_eq!(first.tell(basic::Ack::default()).unwrap_err().refusal(), Some(refusal));
            drop(first);
            let second = connection.channel().unwrap();
            let answering = async {
                peer.open_channel().await; // the number is free again
                assert!(matches!(peer.next().await, (1, Method::QueueDeclare(_))));
                peer.send(1, queue::DeclareOk::default()).await;
            };
            let (answer, ()) = tokio::join!(second.call(declare()), answering);
            assert_eq!(answer.unwrap().method, Method::from(queue::DeclareOk::default()));
        });
    }

    #[test]
    fn a_closed_connection_tells_everybody_and_says_goodbye() {
        run(async {
            let (mut peer, connection) = Peer::connected(0).await;
            let (one, two) = (connection.channel().unwrap(), connection.channel().unwrap());
            let closing = async {
                let reply_text = literal("CONNECTION_FORCED - shutdown");
                let close = connection::Close { reply_code: 320, reply_text, ..Default::default() };
                for _ in 0..4 {
                    peer.next().await; // two channel.open, two queue.declare
                }
                peer.send(0, close).await;
                assert!(matches!(peer.next().await, (0, Method::ConnectionCloseOk(_))));
            };
            let calls = async { tokio::join!(one.call(declare()), two.call(declare())) };
            let ((first, second), ()) = tokio::join!(calls, closing);
            for answer in [first, second] {
                assert_eq!(answer.unwrap_err().refusal().unwrap().code, 320);
            }
            assert!(connection.channel().is_err());
        });
    }

    #[test]
    fn publishing_waits_for_no_answer_but_the_confirm() {
        run(async {
            let (mut peer, connection) = Peer::connected(0).await;
            let channel = connection.channel().unwrap();
            channel.confirm().unwrap();
            let publish = basic::Publish::default();
            assert_eq!(channel.publish(&publish, &[0, 0], b"1", None).unwrap(), 1);
            assert_eq!(channel.publish(&publish, &[0, 0], b"2", None).unwrap(), 2);
            let answering = async {
                assert!(matches!(peer.next().await, (1, Method::ChannelOpen(_))));
                assert!(matches!(peer.next().await, (1, Method::ConfirmSelect(_))));
                assert!(matches!(peer.next().await, (1, Method::BasicPublish(_))));
                assert!(matches!(peer.next().await, (1, Method::BasicPublish(_))));
                peer.send(1, channel::OpenOk::default()).await;
                peer.send(1, basic::Ack { delivery_tag: 2, multiple: true }).await;
            };
            let (answered, ()) = tokio::join!(channel.unanswered_at_most(0), answering);
            answered.unwrap();
            assert_eq!(channel.take_report().confirmed, 2);
        });
    }

    #[test]
    fn a_reader_that_is_slow_makes_the_broker_wait() {
        const COUNT: u64 = 600;
        const BODY: usize = 100_000; // 60 MB altogether
        run(async {
            let (mut peer, connection) = Peer::connected(0).await;
            let channel = Arc::new(connection.channel().unwrap());
            let consume = basic::Consume { consumer_tag: literal("c"), ..Default::default() };
            let (inbox, tag) = tokio::join!(channel.consume(consume), peer.start_consumer());
            let mut inbox = inbox.unwrap();
            let flood = tokio::spawn(async move {
                for number in 1..=COUNT {
                    peer.deliver(&tag, number, &vec![7; BODY]).await;
                }
                peer
            });
            while connection.shared.lock().may_read() {
                tokio::task::yield_now().await;
            }
            assert!(!flood.is_finished(), "the broker is made to wait");
            for number in 1..=COUNT {
                assert_eq!(inbox.next().await.unwrap().unwrap().tag, number);
            }
            let mut peer = flood.await.unwrap();
            peer.send(1, basic::Cancel { consumer_tag: literal("c"), nowait: true }).await;
            assert_eq!(inbox.next().await.unwrap(), None);
        });
    }

    #[test]
    fn a_blocked_connection_knows_why() {
        run(async {
            let (mut peer, connection) = Peer::connected(0).await;
            let channel = connection.channel().unwrap();
            assert_eq!(connection.blocked(), None);
            let answering = async {
                peer.open_channel().await;
                peer.next().await;
                let reason = literal("low on memory");
                peer.send(0, connection::Blocked { reason }).await;
                peer.send(1, queue::DeclareOk::default()).await;
            };
            let (answer, ()) = tokio::join!(channel.call(declare()), answering);
            answer.unwrap();
            assert_eq!(connection.blocked().as_deref(), Some("low on memory"));
        });
    }

    /// Takes two seconds: the shortest heartbeat is one, and two are waited for.
    #[test]
    fn heartbeats_are_sent_and_missed() {
        run(async {
            let (mut peer, connection) = Peer::connected(1).await;
            let channel = connection.channel().unwrap();
            let listening = async {
                peer.open_channel().await;
                assert!(matches!(peer.next().await, (1, Method::QueueDeclare(_))));
                // Says nothing more, and reads on until the client hangs up.
                let mut heard = Vec::new();
                peer.stream.read_to_end(&mut heard).await.unwrap();
                heard
            };
            let (answer, heard) = tokio::join!(channel.call(declare()), listening);
            let error = answer.unwrap_err().to_string();
            assert!(error.contains("the broker sent nothing for 2s"), "{error}");
            let heartbeat = [8, 0, 0, 0, 0, 0, 0, 206];
            assert!(heard.chunks(8).filter(|frame| *frame == heartbeat).count() >= 2, "{heard:?}");
        });
    }

    #[test]
    fn a_goodbye_comes_after_everything_that_was_said() {
        run(async {
            let (mut peer, connection) = Peer::connected(0).await;
            let channel = connection.channel().unwrap();
            channel.tell(basic::Ack { delivery_tag: 1, multiple: false }).unwrap();
            let answering = async {
                assert!(matches!(peer.next().await, (1, Method::ChannelOpen(_))));
                assert!(matches!(peer.next().await, (1, Method::BasicAck(_))));
                assert!(matches!(peer.next().await, (0, Method::ConnectionClose(_))));
                peer.send(0, connection::CloseOk {}).await;
            };
            let (closed, ()) = tokio::join!(connection.close(), answering);
            closed.unwrap();
            assert!(matches!(connection.close().await, Err(Error::Closed)));
        });
    }
}
