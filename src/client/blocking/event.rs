//! The events of a blocking connection: deliveries, confirms and replies, found in its frames without copying.
//!
//! The state of a message that is coming in is its tag and how much of its body is missing. A body that came in one
//! frame is handed on where it lies; of one in several frames the first bytes are collected.

use crate::client::error::{Error, Refusal};
use crate::client::handshake::{decode_method, refused};
use crate::wire::constants::{
    FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD, MESSAGE_SIZE_MAX_DEFAULT,
};
use crate::wire::content::ContentHeader;
use crate::wire::fault::FaultLevel;
use crate::wire::frame::Frame;
use crate::wire::method::{basic, channel};
use crate::wire::{DecodeError, Method, Reader};

/// Largest body taken, in bytes: what RabbitMQ takes when it is set to take the most.
const BODY_MAX: u64 = 4 * MESSAGE_SIZE_MAX_DEFAULT;

/// Something a broker has said.
#[derive(Debug, PartialEq)]
pub enum Event<'a> {
    Delivered(Delivered<'a>),
    /// Answers to publishes: the broker has taken them, or will not
    Confirmed {
        tag: u64,
        multiple: bool,
        is_taken: bool,
    },
    /// True if the broker reads no publishes now (`connection.blocked`)
    Blocked(bool),
    /// Says if publishes may be sent (`channel.flow`); to be answered with [`super::BlockingConnection::answer_flow`]
    Flow {
        active: bool,
    },
    /// Any other method: the reply to a call
    Reply(Method),
}

/// A message that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered<'a> {
    /// The number of its consumer
    pub consumer: u32,
    /// The delivery tag: what to acknowledge it by
    pub tag: u64,
    pub is_redelivered: bool,
    /// Its body, or the first bytes of it as far as they were kept
    pub body: &'a [u8],
    /// Bytes of the whole body
    pub body_len: u64,
}

/// The result of reading a frame.
#[derive(Debug, PartialEq)]
pub(super) enum FrameRead {
    /// Nothing whole yet
    Nothing,
    /// A message whose body is this frame's payload; none when it has no body
    InFrame,
    /// A message whose body was collected
    Collected,
    Event(Event<'static>),
}

/// The message that is coming in.
#[derive(Debug)]
pub(super) struct Incoming {
    phase: Phase,
    consumer: u32,
    tag: u64,
    is_redelivered: bool,
    body_len: u64,
    collected: Vec<u8>,
    /// Bytes of a body in several frames that are kept
    kept_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Header,
    /// So many bytes are missing.
    Body(u64),
}

impl Incoming {
    pub(super) fn new(kept_max: usize) -> Self {
        Self {
            phase: Phase::Idle,
            consumer: 0,
            tag: 0,
            is_redelivered: false,
            body_len: 0,
            collected: Vec::new(),
            kept_max,
        }
    }

    /// Takes the next frame.
    #[inline]
    pub(super) fn on_frame(&mut self, frame: Frame<'_>) -> Result<FrameRead, Error> {
        match (frame.kind, self.phase) {
            (FRAME_METHOD, Phase::Idle) => self.on_method(frame),
            (FRAME_HEADER, Phase::Header) => self.on_header(frame.payload),
            (FRAME_BODY, Phase::Body(left)) => self.on_body(frame.payload, left),
            // Other channels may speak in the middle of a message; the only other one is the connection's.
            (FRAME_METHOD, _) if frame.channel == 0 => on_other_method(frame),
            (FRAME_HEARTBEAT, _) => Ok(FrameRead::Nothing),
            (kind, phase) => {
                let why = format!("a frame of type {kind} while a message is {phase:?}");
                Err(Error::protocol(why))
            }
        }
    }

    #[inline]
    fn on_method(&mut self, frame: Frame<'_>) -> Result<FrameRead, Error> {
        if !is_deliver(frame.payload) {
            return on_other_method(frame);
        }
        let read = self.read_deliver(&frame.payload[4..]);
        read.map_err(|error| Error::protocol(format!("basic.deliver: {error}")))?;
        self.phase = Phase::Header;
        Ok(FrameRead::Nothing)
    }

    #[inline]
    fn read_deliver(&mut self, arguments: &[u8]) -> Result<(), DecodeError> {
        let mut from = Reader::new(arguments);
        let digits = from.short_bytes()?;
        self.consumer = digits.iter().fold(0, |number: u32, digit| {
            number.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0')))
        });
        self.tag = from.u64()?;
        self.is_redelivered = from.bit()?;
        Ok(())
    }

    #[inline]
    fn on_header(&mut self, payload: &[u8]) -> Result<FrameRead, Error> {
        let header = ContentHeader::decode(payload)
            .map_err(|error| Error::protocol(format!("a content header: {error}")))?;
        if header.body_size > BODY_MAX {
            let size = header.body_size;
            return Err(Error::protocol(format!("a message of {size} bytes, above {BODY_MAX}")));
        }
        self.body_len = header.body_size;
        self.collected.clear();
        if header.body_size == 0 {
            self.phase = Phase::Idle;
            return Ok(FrameRead::Collected);
        }
        self.phase = Phase::Body(header.body_size);
        Ok(FrameRead::Nothing)
    }

    #[inline]
    fn on_body(&mut self, payload: &[u8], left: u64) -> Result<FrameRead, Error> {
        let len = payload.len() as u64;
        if len == left && self.body_len == len {
            self.phase = Phase::Idle;
            return Ok(FrameRead::InFrame);
        }
        let Some(left) = left.checked_sub(len) else {
            return Err(Error::protocol("a body longer than announced"));
        };
        let room = self.kept_max.saturating_sub(self.collected.len());
        self.collected.extend_from_slice(&payload[..room.min(payload.len())]);
        if left > 0 {
            self.phase = Phase::Body(left);
            return Ok(FrameRead::Nothing);
        }
        self.phase = Phase::Idle;
        Ok(FrameRead::Collected)
    }

    /// The message that was found, with its body.
    #[inline]
    pub(super) fn delivered<'a>(&self, body: &'a [u8]) -> Event<'a> {
        Event::Delivered(Delivered {
            consumer: self.consumer,
            tag: self.tag,
            is_redelivered: self.is_redelivered,
            body,
            body_len: self.body_len,
        })
    }

    /// The message whose body was collected.
    pub(super) fn collected(&self) -> Event<'_> {
        self.delivered(&self.collected)
    }
}

#[inline]
fn is_deliver(payload: &[u8]) -> bool {
    const IDS: [u8; 4] = {
        let [class_high, class_low] = basic::CLASS_ID.to_be_bytes();
        let [method_high, method_low] = basic::Deliver::METHOD_ID.to_be_bytes();
        [class_high, class_low, method_high, method_low]
    };
    payload.starts_with(&IDS)
}

fn on_other_method(frame: Frame<'_>) -> Result<FrameRead, Error> {
    Ok(FrameRead::Event(match decode_method(frame.payload)? {
        Method::BasicAck(basic::Ack { delivery_tag: tag, multiple }) => {
            Event::Confirmed { tag, multiple, is_taken: true }
        }
        Method::BasicNack(basic::Nack { delivery_tag: tag, multiple, .. }) => {
            Event::Confirmed { tag, multiple, is_taken: false }
        }
        Method::ConnectionBlocked(_) => Event::Blocked(true),
        Method::ConnectionUnblocked(_) => Event::Blocked(false),
        Method::ChannelFlow(channel::Flow { active }) => Event::Flow { active },
        Method::ConnectionClose(close) => return Err(refused(&close)),
        Method::ChannelClose(close) => return Err(channel_refused(&close)),
        Method::BasicCancel(_) => {
            return Err(Error::protocol("the consumer was cancelled: its queue is gone"));
        }
        other => Event::Reply(other),
    }))
}

fn channel_refused(close: &channel::Close) -> Error {
    let refusal = Refusal {
        level: FaultLevel::Channel,
        code: close.reply_code,
        text: close.reply_text.to_string(),
        method: (close.class_id, close.method_id),
    };
    Error::Refused(refusal.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame;
    use crate::wire::shortstr::literal;

    /// Reads frames that hold one delivery with this body, and returns the deliveries found.
    fn incoming(
        body: &[u8],
        frame_max: u32,
        kept_max: usize,
    ) -> Vec<(u32, u64, bool, Vec<u8>, u64)> {
        let mut bytes = Vec::new();
        let deliver = basic::Deliver {
            consumer_tag: literal("407"),
            delivery_tag: 9,
            redelivered: true,
            exchange: literal("x"),
            routing_key: literal("k"),
        };
        frame::write_method(&mut bytes, 1, &deliver.into());
        frame::write_content(&mut bytes, 1, &[0, 0], body, frame_max);
        let (mut incoming, mut at, mut found) = (Incoming::new(kept_max), 0, Vec::new());
        while let Some(frame) = frame::parse(&bytes[at..], 0).unwrap() {
            at += frame.encoded_len();
            let event = match incoming.on_frame(frame).unwrap() {
                FrameRead::Nothing => continue,
                FrameRead::InFrame => incoming.delivered(frame.payload),
                FrameRead::Collected => incoming.collected(),
                FrameRead::Event(event) => event,
            };
            let Event::Delivered(got) = event else { panic!("{event:?}") };
            let body = got.body.to_vec();
            found.push((got.consumer, got.tag, got.is_redelivered, body, got.body_len));
        }
        found
    }

    #[test]
    fn a_delivery_is_found_however_its_body_is_cut() {
        for (len, frame_max, kept_max, seen) in
            [(0_usize, 0, 0, 0), (5, 0, 0, 5), (5000, 4096, 5000, 5000), (50_000, 4096, 10, 10)]
        {
            let body: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let found = incoming(&body, frame_max, kept_max);
            let expected = (407, 9, true, body[..seen].to_vec(), len as u64);
            assert_eq!(found, [expected], "{len} {frame_max} {kept_max}");
        }
    }

    #[test]
    fn a_message_that_is_cut_short_or_too_long_is_told() {
        let payload = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0];
        let header = Frame { kind: FRAME_HEADER, channel: 1, payload: &payload };
        let mut incoming = Incoming::new(0);
        incoming.on_frame(header).unwrap_err();
        incoming.phase = Phase::Header;
        assert_eq!(incoming.on_frame(header).unwrap(), FrameRead::Nothing);
        incoming.on_frame(header).unwrap_err();
        let body = Frame { kind: FRAME_BODY, channel: 1, payload: &[1, 2, 3] };
        incoming.on_frame(body).unwrap_err();
    }

    #[test]
    fn a_close_is_an_error_and_confirms_are_events() {
        let found = |method: Method| {
            let mut bytes = Vec::new();
            frame::write_method(&mut bytes, 1, &method);
            let frame = frame::parse(&bytes, 0).unwrap().unwrap();
            Incoming::new(0).on_frame(frame)
        };
        let ack = basic::Ack { delivery_tag: 7, multiple: true };
        let confirmed = Event::Confirmed { tag: 7, multiple: true, is_taken: true };
        assert_eq!(found(ack.into()).unwrap(), FrameRead::Event(confirmed));
        let close = channel::Close { reply_code: 404, ..channel::Close::default() };
        let error = found(close.into()).unwrap_err();
        assert_eq!(error.refusal().unwrap().code, 404);
    }
}
