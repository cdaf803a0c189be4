//! Frames: their bounds in bytes that have come, and their encoding (4.2.3).
//!
//! [`parse`] looks at bytes that have come and answers with a frame that borrows them, with "more", or with
//! what is wrong in RabbitMQ's words. Nothing is copied and nothing is allocated.

use super::codec::Writer;
use super::constants::{
    CLASS_BASIC, FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD,
    FRAME_OVERHEAD, FRAME_PREFIX, FRAME_SIZE_FUDGE,
};
use super::erlang;
use super::fault::{Fault, ReplyCode};
use super::method::{Method, basic};
use super::shortstr::ShortStr;

/// [`FRAME_OVERHEAD`] in the type of a frame's size.
#[expect(clippy::cast_possible_truncation, reason = "it is 8")]
const OVERHEAD: u32 = FRAME_OVERHEAD as u32;

/// One frame, in the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The frame type, as sent; not checked yet.
    pub kind: u8,
    pub channel: u16,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes the frame takes with its prefix and end octet.
    pub fn encoded_len(&self) -> usize {
        self.payload.len() + FRAME_OVERHEAD
    }
}

/// Finds the frame at the start of `bytes`, or says that more bytes are needed.
///
/// `frame_max` is the largest whole frame in bytes that was agreed on, 0 for no limit.
///
/// # Errors
///
/// `FRAME_ERROR` for a frame that announces more than `frame_max` (before its payload is waited for) and for a
/// wrong end octet. Texts: RabbitMQ, `rabbit_reader:fatal_frame_error`.
#[inline]
pub fn parse(bytes: &[u8], frame_max: u32) -> Result<Option<Frame<'_>>, Fault> {
    let Some((&[kind, ch_high, ch_low, a, b, c, d], rest)) =
        bytes.split_first_chunk::<FRAME_PREFIX>()
    else {
        return Ok(None);
    };
    let channel = u16::from_be_bytes([ch_high, ch_low]);
    let size = u32::from_be_bytes([a, b, c, d]);
    if frame_max != 0 && size > frame_max - OVERHEAD + FRAME_SIZE_FUDGE {
        return Err(too_large(kind, size, frame_max));
    }
    let size = size as usize;
    match rest.get(size) {
        None => Ok(None),
        Some(&FRAME_END) => Ok(Some(Frame { kind, channel, payload: &rest[..size] })),
        Some(end) => Err(wrong_end(kind, &rest[..size], *end)),
    }
}

#[cold]
fn too_large(kind: u8, size: u32, frame_max: u32) -> Fault {
    let most = frame_max - OVERHEAD;
    broken(kind, &[], &format!("{{frame_too_large,{size},{most}}}"))
}

#[cold]
fn wrong_end(kind: u8, payload: &[u8], end: u8) -> Fault {
    broken(kind, payload, &format!("{{invalid_frame_end_marker,{end}}}"))
}

/// Says that a frame is none, in RabbitMQ's words.
#[cold]
pub fn broken(kind: u8, payload: &[u8], why: &str) -> Fault {
    Fault::new(ReplyCode::FrameError, format!("{}: {why}", describe(kind, payload)))
}

/// A frame as RabbitMQ prints it in errors: all of a short payload, the start of a long one.
pub fn describe(kind: u8, payload: &[u8]) -> String {
    if payload.len() <= 16 {
        format!("type {kind}, all octets = {}", erlang::binary(payload))
    } else {
        format!("type {kind}, first 16 octets = {}", erlang::binary(&payload[..16]))
    }
}

/// Returns the bytes in front of a payload of `len` bytes.
#[inline]
fn prefix(kind: u8, channel: u16, len: usize) -> [u8; FRAME_PREFIX] {
    let [high, low] = channel.to_be_bytes();
    let size = u32::try_from(len).expect("a frame of ours is below 4 GiB");
    let [a, b, c, d] = size.to_be_bytes();
    [kind, high, low, a, b, c, d]
}

fn begin(out: &mut Vec<u8>, kind: u8, channel: u16) -> usize {
    out.extend_from_slice(&prefix(kind, channel, 0));
    out.len()
}

fn end(out: &mut Vec<u8>, payload_at: usize) {
    let size = u32::try_from(out.len() - payload_at).expect("a frame of ours is below 4 GiB");
    out[payload_at - 4..payload_at].copy_from_slice(&size.to_be_bytes());
    out.push(FRAME_END);
}

/// Appends a frame whose payload `fill` writes.
#[inline]
pub fn write_with(out: &mut Vec<u8>, kind: u8, channel: u16, fill: impl FnOnce(&mut Writer<'_>)) {
    let payload_at = begin(out, kind, channel);
    fill(&mut Writer::new(out));
    end(out, payload_at);
}

/// Appends a method frame.
pub fn write_method(out: &mut Vec<u8>, channel: u16, method: &Method) {
    write_with(out, FRAME_METHOD, channel, |to| method.encode(to));
}

/// Appends a heartbeat frame.
pub fn write_heartbeat(out: &mut Vec<u8>) {
    write_with(out, FRAME_HEARTBEAT, 0, |_| {});
}

/// Appends `basic.deliver` (1.8.3.8); `names` are exchange and routing key, encoded.
///
/// Its length is known before its bytes are, which saves the look back that [`write_with`] takes.
#[inline]
pub fn write_deliver(
    out: &mut Vec<u8>,
    channel: u16,
    consumer_tag: &ShortStr,
    delivery_tag: u64,
    redelivered: bool,
    names: &[u8],
) {
    /// Class, method and the length of the consumer tag.
    const IDS: usize = 5;
    const TAG_AND_FLAG: usize = 9;
    let len = IDS + consumer_tag.len() + TAG_AND_FLAG + names.len();
    let mut head = [0; FRAME_PREFIX + IDS];
    head[..FRAME_PREFIX].copy_from_slice(&prefix(FRAME_METHOD, channel, len));
    head[7..9].copy_from_slice(&CLASS_BASIC.to_be_bytes());
    head[9..11].copy_from_slice(&basic::Deliver::METHOD_ID.to_be_bytes());
    head[11] = u8::try_from(consumer_tag.len()).expect("a ShortStr has at most 255 bytes");
    out.extend_from_slice(&head);
    out.extend_from_slice(consumer_tag.as_bytes());
    let mut middle = [0; TAG_AND_FLAG];
    middle[..8].copy_from_slice(&delivery_tag.to_be_bytes());
    middle[8] = redelivered.into();
    out.extend_from_slice(&middle);
    out.extend_from_slice(names);
    out.push(FRAME_END);
}

/// Appends a content: its header frame and as many body frames as `frame_max` asks for.
///
/// `properties` is the encoded property list with its flags; an empty body has no body frame (4.2.6.2).
#[inline]
pub fn write_content(
    out: &mut Vec<u8>,
    channel: u16,
    properties: &[u8],
    body: &[u8],
    frame_max: u32,
) {
    /// Class, weight and body size (2.3.5.2); the weight is 0.
    const FIXED: usize = 12;
    let mut head = [0; FRAME_PREFIX + FIXED];
    let len = FIXED + properties.len();
    head[..FRAME_PREFIX].copy_from_slice(&prefix(FRAME_HEADER, channel, len));
    head[7..9].copy_from_slice(&CLASS_BASIC.to_be_bytes());
    head[11..].copy_from_slice(&(body.len() as u64).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(properties);
    let most = match frame_max {
        0 => usize::MAX,
        frame_max => frame_max as usize - FRAME_OVERHEAD,
    };
    for chunk in body.chunks(most) {
        // The end of the frame before comes with the beginning of this one.
        let mut between = [FRAME_END; 1 + FRAME_PREFIX];
        between[1..].copy_from_slice(&prefix(FRAME_BODY, channel, chunk.len()));
        out.extend_from_slice(&between);
        out.extend_from_slice(chunk);
    }
    out.push(FRAME_END);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_only_when_all_of_it_came() {
        let mut bytes = Vec::new();
        write_with(&mut bytes, FRAME_BODY, 3, |to| to.bytes(b"hello"));
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len], 4096), Ok(None), "{len} bytes");
        }
        let frame = parse(&bytes, 4096).unwrap().unwrap();
        assert_eq!((frame.kind, frame.channel, frame.payload), (FRAME_BODY, 3, &b"hello"[..]));
        assert_eq!(frame.encoded_len(), bytes.len());
    }

    #[test]
    fn a_bad_frame_is_told_in_rabbitmqs_words() {
        let too_large = [1, 0, 0, 0, 3, 13, 64];
        assert_eq!(
            parse(&too_large, 131_072).unwrap_err().to_string(),
            "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,200000,131064}"
        );
        let bad_end = [1, 0, 0, 0, 0, 0, 2, 0, 50, 0];
        assert_eq!(
            parse(&bad_end, 131_072).unwrap_err().to_string(),
            "FRAME_ERROR - type 1, all octets = <<0,50>>: {invalid_frame_end_marker,0}"
        );
    }

    #[test]
    fn a_body_is_cut_into_frames_that_fit() {
        let mut bytes = Vec::new();
        write_content(&mut bytes, 1, &[0, 0], &[7; 5000], 4096);
        let header = parse(&bytes, 4096).unwrap().unwrap();
        let bytes = &bytes[header.encoded_len()..];
        let first = parse(bytes, 4096).unwrap().unwrap();
        assert_eq!(first.encoded_len(), 4096);
        let second = parse(&bytes[4096..], 4096).unwrap().unwrap();
        assert_eq!(first.payload.len() + second.payload.len(), 5000);
    }
}
