//! A blocking connection with one channel for a thread that does nothing else, at the least cost a message.
//!
//! [`super::Connection`] is for programs that work with messages; this is for those that measure brokers and must not
//! be what is measured. Publishes are encoded once and patched ([`EncodedPublishes`]), many leave in one write, many
//! frames come with one read, and a delivery is looked at where it lies in the read buffer ([`event`]). Calls block the
//! thread; heartbeats are off. What the peer can make us hold is one frame, and of a body in several frames as many
//! bytes as were asked for.
//!
//! Reading order: [`BlockingConnection::open`], [`BlockingConnection::call`] (setting up),
//! [`BlockingConnection::write_some`], [`BlockingConnection::read`] and [`BlockingConnection::next_event`] (the work),
//! [`encoded`].

mod encoded;
mod event;
mod stream;

use std::time::{Duration, Instant};

use super::connect::{Dialed, Endpoint};
use super::error::Error;
use super::handshake::HandshakeResult;
use super::options::Options;
use crate::wire::constants::FRAME_PREFIX;
use crate::wire::method::{basic, channel, confirm, connection};
use crate::wire::shortstr::literal;
use crate::wire::{Method, ShortStr, frame};
pub use encoded::{EncodedPublishes, Envelope};
pub use event::{Delivered, Event};
use event::{FrameRead, Incoming};
use stream::BlockingStream;

/// The only channel of a line.
const CHANNEL: u16 = 1;
/// Bytes of the read buffer behind which no further read begins while there is room before.
const TAIL_PART: usize = 4;
/// Longest that a wait without a time of its own lasts, so that a thread sees that it shall stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// The time to wait for something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all
    No,
    /// Until something came; a tenth of a second at most
    Short,
    /// The same, or until something can be written
    Writable,
    /// At most so long
    For(Duration),
}

/// One connection with one open channel.
#[derive(Debug)]
pub struct BlockingConnection {
    stream: BlockingStream,
    /// Bytes read and not used are `inbound[start..end]`.
    inbound: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read brought as much as there was room for.
    is_behind: bool,
    incoming: Incoming,
    frame_max: u32,
    timeout: Duration,
}

impl BlockingConnection {
    /// The number of its channel, for frames that its user writes.
    pub const CHANNEL: u16 = CHANNEL;

    /// Connects to `place`, logs in, and opens the channel. `inbound_bytes` is the size of the read buffer, and of a
    /// body that comes in several frames `body_kept` bytes can be seen.
    pub async fn open(
        place: &Endpoint,
        options: &Options,
        inbound_bytes: usize,
        body_kept: usize,
    ) -> Result<Self, Error> {
        // A thread that sends as fast as it can, or waits for its time, has none to send heartbeats.
        let options = Options { heartbeat_s: Some(0), ..options.clone() };
        let dialed = Dialed::to(place, options.timeout).await?;
        let (stream, opened) = dialed.open_bare(&options).await?;
        let HandshakeResult { tuned, inbound: early, .. } = opened;
        let stream = BlockingStream::new(stream, LOOK_UP).map_err(|error| Error::lost(&error))?;
        let mut inbound = vec![0; inbound_bytes.max(early.len())];
        inbound[..early.len()].copy_from_slice(&early);
        let mut line = Self {
            stream,
            inbound,
            start: 0,
            end: early.len(),
            is_behind: false,
            incoming: Incoming::new(body_kept),
            frame_max: tuned.frame_max,
            timeout: options.timeout,
        };
        let mut open = Vec::new();
        frame::write_method(&mut open, CHANNEL, &channel::Open::default().into());
        line.write_all(&open)?;
        Ok(line)
    }

    /// Bytes of the largest frame, framing included; 0 is no limit.
    pub fn frame_max(&self) -> u32 {
        self.frame_max
    }

    /// Turns publisher confirms on.
    pub fn confirm(&mut self) -> Result<(), Error> {
        self.call(confirm::Select::default())
    }

    /// Limits how many deliveries of a consumer may be unacknowledged.
    pub fn prefetch(&mut self, count: u16) -> Result<(), Error> {
        self.call(basic::Qos { prefetch_count: count, ..basic::Qos::default() })
    }

    /// Starts a consumer; its deliveries are told apart by `number`.
    pub fn consume(&mut self, queue: &ShortStr, number: u32, no_ack: bool) -> Result<(), Error> {
        let consumer_tag = ShortStr::truncated(&number.to_string());
        let queue = queue.clone();
        self.call(basic::Consume { queue, consumer_tag, no_ack, ..basic::Consume::default() })
    }

    /// Waits until the channel is open: for a line that makes no call.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.await_reply(|method| matches!(method, Method::ChannelOpenOk(_)))
    }

    /// Sends a method and waits for its reply. For setting up, when there are no deliveries and confirms yet.
    fn call(&mut self, method: impl Into<Method>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        frame::write_method(&mut bytes, CHANNEL, &method.into());
        self.write_all(&bytes)?;
        // The channel's own reply may still be under way.
        self.await_reply(|method| !matches!(method, Method::ChannelOpenOk(_)))
    }

    fn await_reply(&mut self, is_it: impl Fn(&Method) -> bool) -> Result<(), Error> {
        let begin = now();
        loop {
            match self.next_event()? {
                Some(Event::Reply(method)) if is_it(&method) => return Ok(()),
                Some(_) => {}
                None => {
                    self.read(Wait::Short)?;
                    self.check_time(begin)?;
                }
            }
        }
    }

    fn check_time(&self, begin: Instant) -> Result<(), Error> {
        if begin.elapsed() > self.timeout {
            return Err(Error::TimedOut { waited: self.timeout });
        }
        Ok(())
    }

    /// Writes what the socket takes now; `None` when it takes nothing.
    #[inline]
    pub fn write_some(&mut self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        self.stream.send(bytes).map_err(|error| Error::lost(&error))
    }

    /// Writes everything. For setting up: a broker that itself waits for us to read is waited for until the time is up.
    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let begin = now();
        while !bytes.is_empty() {
            if let Some(count) = self.write_some(bytes)? {
                bytes = &bytes[count..];
            } else {
                self.read(Wait::Writable)?;
                self.check_time(begin)?;
            }
        }
        Ok(())
    }

    /// Reads more; says whether something came.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] at the end of the stream.
    ///
    /// Cost: one system call when something is there; no allocation unless a frame is larger than the buffer.
    pub fn read(&mut self, wait: Wait) -> Result<bool, Error> {
        let len = self.inbound.len();
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if len - self.end < len / TAIL_PART {
            self.inbound.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == len {
            self.inbound.resize(2 * len, 0);
        }
        let room = &mut self.inbound[self.end..];
        let room_len = room.len();
        let read = self.stream.receive(room, wait).map_err(|error| Error::lost(&error))?;
        self.is_behind = read == Some(room_len);
        match read {
            Some(0) => Err(Error::Lost { why: "the broker closed the connection".into() }),
            Some(count) => {
                self.end += count;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Answers whether the last read left something behind: then there is no use in waiting for more.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// The next thing the broker has to say, out of what was read; `None` when more must be read.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the broker has closed the channel or the connection.
    ///
    /// Cost: no allocation and no copy for deliveries that came in one frame, and for confirms.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, Error> {
        loop {
            let parsed = frame::parse(&self.inbound[self.start..self.end], self.frame_max);
            let Some(frame) = parsed.map_err(|fault| Error::protocol(fault.to_string()))? else {
                return Ok(None);
            };
            let payload =
                self.start + FRAME_PREFIX..self.start + FRAME_PREFIX + frame.payload.len();
            self.start += frame.encoded_len();
            match self.incoming.on_frame(frame)? {
                FrameRead::Nothing => {}
                FrameRead::InFrame => {
                    return Ok(Some(self.incoming.delivered(&self.inbound[payload])));
                }
                FrameRead::Collected => return Ok(Some(self.incoming.collected())),
                FrameRead::Event(event) => return Ok(Some(event)),
            }
        }
    }

    /// Answers [`Event::Flow`]; never in the middle of a publish.
    pub fn answer_flow(&mut self, active: bool) -> Result<(), Error> {
        let mut answer = Vec::new();
        frame::write_method(&mut answer, CHANNEL, &channel::FlowOk { active }.into());
        self.write_all(&answer)
    }

    /// Sends `connection.close` and waits at most `timeout` for the answer: then the broker has read everything that
    /// was sent.
    pub fn close(mut self, timeout: Duration) -> Result<(), Error> {
        let close = connection::Close {
            reply_code: 200,
            reply_text: literal("goodbye"),
            ..connection::Close::default()
        };
        let mut bytes = Vec::new();
        frame::write_method(&mut bytes, 0, &close.into());
        self.timeout = timeout;
        self.write_all(&bytes)?;
        self.await_reply(|method| matches!(method, Method::ConnectionCloseOk(_)))
    }
}

#[expect(clippy::disallowed_methods, reason = "the client owns its time limits")]
fn now() -> Instant {
    Instant::now()
}
