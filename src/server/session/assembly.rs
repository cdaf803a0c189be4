//! What a channel expects next of a publish: a method, a header, then bodies.
//!
//! ```text
//! Idle --basic.publish--> Header --size > 0--> Body --last byte--> Idle
//!                            '-----size = 0------------------------^
//! ```
//! Any other frame is `UNEXPECTED_FRAME` and ends the connection (4.2.6; texts: RabbitMQ,
//! `rabbit_command_assembler`). The bytes are gathered in the form a [`Message`] has: names, properties, body.

use std::ops::Range;

use crate::broker::Broker;
use crate::broker::compat::Compat;
use crate::broker::limits::NodeLimits;
use crate::broker::message::{Layout, Message};
use crate::wire::constants::CLASS_BASIC;
use crate::wire::content::ContentHeader;
use crate::wire::method::basic;
use crate::wire::{Fault, ReplyCode};

/// Bytes an idle channel may keep allocated for its next message.
const KEEP_BYTES: usize = 2 << 10;

/// What `basic.publish` said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Publish {
    pub(super) names_len: usize,
    pub(super) is_mandatory: bool,
    pub(super) is_immediate: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Step {
    #[default]
    Idle,
    Header(Publish),
    Body {
        publish: Publish,
        properties_len: usize,
        left: u64,
    },
}

/// A publish that is coming in.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    step: Step,
    bytes: Vec<u8>,
}

/// A publish that has come in; its bytes are still with the [`Assembly`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    pub(super) publish: Publish,
    pub(super) properties_len: usize,
}

/// What the properties of a content say that the broker must know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) is_persistent: bool,
    pub(super) time_to_live_ms: Option<u64>,
    pub(super) priority: u8,
}

impl Assembly {
    /// Whether the next frame may be a method.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.step, Step::Idle)
    }

    /// Begins a publish to the exchange and routing key in `names`, two encoded short strings.
    #[inline]
    pub(super) fn begin(&mut self, names: &[u8], is_mandatory: bool, is_immediate: bool) {
        self.bytes.clear();
        self.bytes.extend_from_slice(names);
        let publish = Publish { names_len: names.len(), is_mandatory, is_immediate };
        self.step = Step::Header(publish);
    }

    /// Takes a content header; answers with the content when there is no body.
    #[inline]
    pub(super) fn on_header(
        &mut self,
        payload: &[u8],
        body_bytes_max: u64,
        broker: &Broker,
    ) -> Result<Option<Content>, Fault> {
        let Step::Header(publish) = self.step else { return Err(self.unexpected_header()) };
        let header = ContentHeader::decode(payload)
            .map_err(|error| Fault::undecodable(error, CLASS_BASIC, 0, payload))?;
        if header.class_id != CLASS_BASIC {
            let got = format!("got one for class {} instead", header.class_id);
            return Err(unexpected(&format!("expected content header for class 60, {got}")));
        }
        if header.body_size > body_bytes_max {
            return Err(too_large(header.body_size, body_bytes_max, broker.compat()));
        }
        self.bytes.extend_from_slice(header.properties);
        let properties_len = header.properties.len();
        if header.body_size == 0 {
            self.step = Step::Idle;
            return Ok(Some(Content { publish, properties_len }));
        }
        self.step = Step::Body { publish, properties_len, left: header.body_size };
        Ok(None)
    }

    /// Takes a piece of body; answers with the content when it was the last one.
    ///
    /// The buffer grows with the bytes that came; it is not sized by the length the peer announced.
    #[inline]
    pub(super) fn on_body(&mut self, chunk: &[u8]) -> Result<Option<Content>, Fault> {
        let Step::Body { publish, properties_len, left } = &mut self.step else {
            return Err(self.unexpected_body());
        };
        let Some(still) = left.checked_sub(chunk.len() as u64) else {
            let text = "content body frame exceeds remaining content size";
            return Err(Fault::new(ReplyCode::FrameError, text));
        };
        *left = still;
        let content = Content { publish: *publish, properties_len: *properties_len };
        self.bytes.extend_from_slice(chunk);
        if still > 0 {
            return Ok(None);
        }
        self.step = Step::Idle;
        Ok(Some(content))
    }

    /// What a method frame meets in the middle of a publish.
    pub(super) fn unexpected_method(&self) -> Fault {
        match self.step {
            Step::Idle | Step::Header(_) => unexpected(
                "expected content header for class 60, got non content header frame instead",
            ),
            Step::Body { .. } => {
                unexpected("expected content body, got non content body frame instead")
            }
        }
    }

    fn unexpected_header(&self) -> Fault {
        match self.step {
            Step::Idle | Step::Header(_) => out_of_place(),
            Step::Body { .. } => {
                unexpected("expected content body, got non content body frame instead")
            }
        }
    }

    fn unexpected_body(&self) -> Fault {
        match self.step {
            Step::Idle | Step::Body { .. } => out_of_place(),
            Step::Header(_) => unexpected(
                "expected content header for class 60, got non content header frame instead",
            ),
        }
    }

    /// The encoded properties of the content that has come.
    #[inline]
    pub(super) fn properties(&self, content: &Content) -> &[u8] {
        let start = content.publish.names_len;
        &self.bytes[start..start + content.properties_len]
    }

    /// Puts other bytes in the place of some of the encoded properties.
    pub(super) fn splice_properties(
        &mut self,
        content: &mut Content,
        old: Range<usize>,
        new: &[u8],
    ) {
        let start = content.publish.names_len;
        content.properties_len = content.properties_len - old.len() + new.len();
        self.bytes.splice(start + old.start..start + old.end, new.iter().copied());
    }

    /// Makes the message of the content that has come.
    #[inline]
    pub(super) fn message(&mut self, content: &Content, facts: Facts) -> Message {
        let Facts { is_persistent, time_to_live_ms, priority } = facts;
        let names_len = content.publish.names_len;
        let properties_len = content.properties_len;
        let layout = Layout {
            names_len,
            properties_len,
            is_persistent,
            time_to_live_ms,
            priority,
            has_died: false,
        };
        Message::new(layout, &mut self.bytes)
    }

    /// Gives memory back that a large message left behind.
    pub(super) fn shrink(&mut self) {
        if self.is_idle() && self.bytes.capacity() > KEEP_BYTES {
            self.bytes = Vec::new();
        }
    }
}

/// A frame that no publish has begun for.
pub(super) fn out_of_place() -> Fault {
    let text = "expected method frame, got non method frame instead";
    Fault::new(ReplyCode::UnexpectedFrame, text)
}

fn unexpected(text: &str) -> Fault {
    Fault::new(ReplyCode::UnexpectedFrame, text).in_method(CLASS_BASIC, basic::Publish::METHOD_ID)
}

/// A message that is too large ends the channel (RabbitMQ: `rabbit_channel:check_msg_size`).
///
/// RabbitMQ takes the whole body in first; the announced size is enough to know, and saves its memory. So RabbitMQ 4.3
/// has it as well, where the announcement alone ends the connection.
fn too_large(size: u64, max: u64, compat: Compat) -> Fault {
    if compat.is_strict() {
        let text = format!("content body size {size} exceeds maximum allowed size {max}");
        return Fault::new(ReplyCode::FrameError, text);
    }
    let configured = if max == NodeLimits::MESSAGE_BYTES_CAP { "" } else { "configured " };
    let text = format!("message size {size} is larger than {configured}max size {max}");
    let fault = Fault::new(ReplyCode::PreconditionFailed, text);
    fault.in_method(CLASS_BASIC, basic::Publish::METHOD_ID)
}
