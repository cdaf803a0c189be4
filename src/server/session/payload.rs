//! Payloads of frames: methods decoded or split, and the faults of what is neither.

use crate::wire::constants::FRAME_METHOD;
use crate::wire::frame::{self, Frame};
use crate::wire::{Fault, Method, ReplyCode};

/// Bytes of a content header without properties: class, weight, body size (2.3.5.2). A shorter one is no header.
pub(super) const CONTENT_HEADER_MIN_LEN: usize = 12;

/// The fault of a frame that may not come here.
pub(super) fn unexpected(frame: Frame<'_>) -> Fault {
    Fault::new(ReplyCode::UnexpectedFrame, frame::describe(frame.kind, frame.payload))
}

/// Decodes a method frame.
pub(super) fn decode_method(payload: &[u8]) -> Result<Method, Fault> {
    let (class, method, arguments) = split_method(payload)?;
    Method::decode(class, method, arguments)
        .map_err(|error| Fault::undecodable(error, class, method, arguments))
}

/// Splits a method frame into class number, method number and arguments.
#[inline]
pub(super) fn split_method(payload: &[u8]) -> Result<(u16, u16, &[u8]), Fault> {
    match payload {
        [a, b, c, d, arguments @ ..] => {
            Ok((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]), arguments))
        }
        _ => Err(frame::broken(FRAME_METHOD, payload, "unknown_frame")),
    }
}
