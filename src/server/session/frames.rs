//! Frames of a client: reads one after the other and gives each to the part of the session that handles it.

use std::collections::VecDeque;

use super::assembly::Assembly;
use super::payload::{CONTENT_HEADER_MIN_LEN, decode_method, split_method, unexpected};
use super::state::{Context, Phase, Running, Session};
use crate::broker::mailbox::Post;
use crate::broker::time::Millis;
use crate::wire::constants::{
    CLASS_BASIC, FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD,
};
use crate::wire::frame::{self, Frame};
use crate::wire::method::basic;
use crate::wire::{DecodeError, Fault, Reader};

/// Bytes of answers after which a round of frames ends, so that no more waits for a peer than it takes: a few
/// bytes can ask for a large message many times.
pub const ROUND_BYTES: usize = 1 << 20;

/// The reason for which a run of frames of channels ends.
#[derive(Debug)]
enum RoundEnd<'a> {
    /// The bytes are used up, the answers have [`ROUND_BYTES`], or a commit is to be waited for.
    RoundOver,
    /// A content, while an alarm is on.
    Alarm,
    /// This frame is not of a channel.
    OfConnection(Frame<'a>),
    /// A frame was refused; `channel` is 0 if the fault is the connection's.
    Fault { channel: u16, fault: Fault },
}

impl Session {
    /// Handles the frames of one round; answers how many bytes they have.
    #[inline]
    pub(super) fn handle_bytes(&mut self, bytes: &[u8], now: Millis, out: &mut Vec<u8>) -> usize {
        self.cx.heartbeat.on_received(now);
        if self.is_blocked() {
            return 0;
        }
        let start = out.len();
        let mut used = 0;
        while out.len() - start < ROUND_BYTES {
            let frame_max = match &mut self.phase {
                Phase::Running(running) => {
                    let rest = &bytes[used..];
                    let (len, halt) = running.on_frames(&self.cx, &mut self.posts, rest, now, out);
                    used += len;
                    match halt {
                        RoundEnd::RoundOver => break,
                        RoundEnd::Alarm => {
                            self.block(out);
                            break;
                        }
                        RoundEnd::OfConnection(frame) => self.on_frame(frame, now, out),
                        RoundEnd::Fault { channel, fault } => {
                            self.on_fault(channel, &fault, now, out);
                        }
                    }
                    continue;
                }
                Phase::Handshake(handshake) if handshake.awaits_header() => {
                    match self.on_header(&bytes[used..], out) {
                        Some(len) => used += len,
                        None => break,
                    }
                    continue;
                }
                Phase::Handshake(handshake) => handshake.frame_max(&self.cx.broker.limits.get()),
                Phase::Closing { .. } => self.cx.broker.limits.get().frame_bytes_max,
                Phase::Silent { .. } => {
                    used = bytes.len();
                    break;
                }
                Phase::Closed | Phase::Dropped => break,
            };
            match frame::parse(&bytes[used..], frame_max) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    used += frame.encoded_len();
                    self.on_frame(frame, now, out);
                }
                Err(fault) => {
                    // The start of the next frame is not known any more.
                    used = bytes.len();
                    self.on_fault(0, &fault, now, out);
                    break;
                }
            }
        }
        self.cx.connection.counters.received_bytes.add(used as u64);
        self.cx.connection.counters.received_packets.add(1);
        if let Phase::Running(running) = &mut self.phase {
            running.finish_round(&self.cx, now, out);
        }
        used
    }

    /// Handles a frame that is not of a channel, or comes before or after there are channels.
    fn on_frame(&mut self, frame: Frame<'_>, now: Millis, out: &mut Vec<u8>) {
        let handled = match &mut self.phase {
            Phase::Running(_) => self.on_connection_frame(frame, now, out),
            Phase::Handshake(_) => self.on_handshake_frame(frame, now, out),
            Phase::Closing { .. } => {
                self.on_frame_while_closing(frame, out);
                Ok(())
            }
            Phase::Silent { .. } | Phase::Closed | Phase::Dropped => Ok(()),
        };
        if let Err(fault) = handled {
            self.on_fault(frame.channel, &fault, now, out);
        }
    }

    /// Handles a frame on channel 0, a heartbeat, or one of no known type.
    fn on_connection_frame(
        &mut self,
        frame: Frame<'_>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match (frame.kind, frame.channel, frame.payload) {
            (FRAME_HEARTBEAT, 0, []) => Ok(()),
            (FRAME_HEARTBEAT, 1.., _) | (FRAME_BODY, ..) => Err(unexpected(frame)),
            (FRAME_HEADER, ..) if frame.payload.len() >= CONTENT_HEADER_MIN_LEN => {
                Err(unexpected(frame))
            }
            (FRAME_METHOD, ..) => {
                self.on_connection_method(&decode_method(frame.payload)?, now, out)
            }
            _ => Err(frame::broken(frame.kind, frame.payload, "unknown_frame")),
        }
    }
}

impl Running {
    /// Handles the frames of channels that `bytes` begins with, in one round; answers how many bytes they have.
    #[inline]
    fn on_frames<'a>(
        &mut self,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        bytes: &'a [u8],
        now: Millis,
        out: &mut Vec<u8>,
    ) -> (usize, RoundEnd<'a>) {
        let is_alarmed = cx.broker.alarm.is_on();
        let out_max = out.len() + ROUND_BYTES;
        let mut used = 0;
        // Frames behind a commit wait for it.
        while !self.waits.holds_frames() && out.len() < out_max {
            let frame = match frame::parse(&bytes[used..], self.frame_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                // The start of the next frame is not known any more.
                Err(fault) => return (bytes.len(), RoundEnd::Fault { channel: 0, fault }),
            };
            if is_alarmed && matches!(frame.kind, FRAME_HEADER | FRAME_BODY) {
                return (used, RoundEnd::Alarm);
            }
            used += frame.encoded_len();
            if frame.channel == 0 || !matches!(frame.kind, FRAME_METHOD | FRAME_HEADER | FRAME_BODY)
            {
                return (used, RoundEnd::OfConnection(frame));
            }
            if let Err(fault) = self.on_channel_frame(cx, posts, frame, now, out) {
                return (used, RoundEnd::Fault { channel: frame.channel, fault });
            }
        }
        (used, RoundEnd::RoundOver)
    }

    /// Takes a method, header or body frame of a channel.
    ///
    /// Cost: one hash look-up; the three frames of a publish are handled without decoding into values.
    #[inline]
    fn on_channel_frame(
        &mut self,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        frame: Frame<'_>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(channel) = self.channels.get_mut(&frame.channel) else {
            return self.on_unopened(cx, frame, now, out);
        };
        if channel.awaits_close_ok {
            self.on_frame_while_closing_channel(frame, out);
            return Ok(());
        }
        let content = match frame.kind {
            FRAME_METHOD => {
                channel.join(&mut self.round);
                if !channel.assembly.is_idle() {
                    return Err(channel.assembly.unexpected_method());
                }
                let (class, method, arguments) = split_method(frame.payload)?;
                if (class, method) != (CLASS_BASIC, basic::Publish::METHOD_ID) {
                    let decoded = decode_method(frame.payload)?;
                    return self
                        .on_method(cx, posts, frame.channel, decoded, now, out)
                        .map_err(|fault| fault.in_method(class, method));
                }
                begin_publish(&mut channel.assembly, arguments)
                    .map_err(|error| Fault::undecodable(error, class, method, arguments))?;
                return Ok(());
            }
            FRAME_HEADER if frame.payload.len() >= CONTENT_HEADER_MIN_LEN => channel
                .assembly
                .on_header(frame.payload, self.message_bytes_max, &cx.broker, &channel.info)?,
            FRAME_BODY => channel.assembly.on_body(frame.payload)?,
            _ => return Err(frame::broken(frame.kind, frame.payload, "unknown_frame")),
        };
        match content {
            None => Ok(()),
            Some(content) => {
                // The round of its method may have ended.
                channel.join(&mut self.round);
                self.on_publish(cx, frame.channel, content, now, out)
                    .map_err(|fault| fault.in_method(CLASS_BASIC, basic::Publish::METHOD_ID))
            }
        }
    }
}

/// Reads the arguments of `basic.publish` where they stand.
#[inline]
fn begin_publish(assembly: &mut Assembly, arguments: &[u8]) -> Result<(), DecodeError> {
    let mut from = Reader::new(arguments);
    let _ticket = from.u16()?;
    let names = from.rest();
    from.skip_short_text()?;
    from.skip_short_text()?;
    let names = &names[..names.len() - from.rest().len()];
    let (is_mandatory, is_immediate) = (from.bit()?, from.bit()?);
    from.finish()?;
    assembly.begin(names, is_mandatory, is_immediate);
    Ok(())
}
