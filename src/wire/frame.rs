//! Where a frame begins and ends (4.2.3).
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
use super::method::Method;

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
        let most = frame_max - OVERHEAD;
        let why = format!("{{frame_too_large,{size},{most}}}");
        return Err(broken(kind, &[], &why));
    }
    let size = size as usize;
    match rest.get(size) {
        None => Ok(None),
        Some(&FRAME_END) => Ok(Some(Frame { kind, channel, payload: &rest[..size] })),
        Some(end) => {
            let why = format!("{{invalid_frame_end_marker,{end}}}");
            Err(broken(kind, &rest[..size], &why))
        }
    }
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

fn begin(out: &mut Vec<u8>, kind: u8, channel: u16) -> usize {
    let [high, low] = channel.to_be_bytes();
    out.extend_from_slice(&[kind, high, low, 0, 0, 0, 0]);
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
    write_with(out, FRAME_HEADER, channel, |to| {
        to.u16(CLASS_BASIC);
        to.u16(0);
        to.u64(body.len() as u64);
        to.bytes(properties);
    });
    let most = match frame_max {
        0 => usize::MAX,
        frame_max => frame_max as usize - FRAME_OVERHEAD,
    };
    for chunk in body.chunks(most) {
        write_with(out, FRAME_BODY, channel, |to| to.bytes(chunk));
    }
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
