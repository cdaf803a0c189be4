//! The frame of a publish that a channel expects next: a method, a header, then bodies.
//!
//! ```text
//! Idle --basic.publish--> Header --size > 0--> Body --last byte--> Idle
//!                            '-----size = 0------------------------^
//! ```
//! Any other frame is `UNEXPECTED_FRAME` and ends the connection (4.2.6; texts: RabbitMQ,
//! `rabbit_command_assembler`). The bytes are gathered in the form a [`Message`] has: names, properties, body.

use crate::broker::Broker;
use crate::broker::compat::Compat;
use crate::broker::message::Message;
use crate::broker::node_limits::NodeLimits;
use crate::broker::publish::{PropertiesMut, PropertiesSeen};
use crate::broker::registry;
use crate::broker::sizes::SizeClass;
use crate::wire::constants::CLASS_BASIC;
use crate::wire::content::ContentHeader;
use crate::wire::method::basic;
use crate::wire::{Fault, ReplyCode};

/// Bytes an idle channel may keep allocated for its next message.
const KEEP_BYTES: usize = 2 << 10;

/// The arguments of `basic.publish`; exchange and routing key are with the [`Assembly`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PublishArguments {
    pub(super) names_len: usize,
    pub(super) is_mandatory: bool,
    pub(super) is_immediate: bool,
}

/// The frame that comes next, as the diagram above shows.
#[derive(Clone, Copy, Debug, Default)]
enum AssemblyStep {
    #[default]
    Idle,
    Header(PublishArguments),
    Body {
        publish: PublishArguments,
        properties_len: usize,
        left: u64,
    },
}

/// A publish that is coming in.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    step: AssemblyStep,
    bytes: Vec<u8>,
    /// The sizes that bodies may have without a look at the limit and at the class that they are counted in.
    class: SizeClass,
}

/// A publish that has come in; its bytes are still with the [`Assembly`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    pub(super) publish: PublishArguments,
    pub(super) properties_len: usize,
}

impl Assembly {
    /// Tells whether the next frame may be a method.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.step, AssemblyStep::Idle)
    }

    /// Begins a publish to the exchange and routing key in `names`, two encoded short strings.
    #[inline]
    pub(super) fn begin(&mut self, names: &[u8], is_mandatory: bool, is_immediate: bool) {
        self.bytes.clear();
        self.bytes.extend_from_slice(names);
        let publish = PublishArguments { names_len: names.len(), is_mandatory, is_immediate };
        self.step = AssemblyStep::Header(publish);
    }

    /// Takes a content header; answers with the content when there is no body.
    #[inline]
    pub(super) fn on_header(
        &mut self,
        payload: &[u8],
        body_bytes_max: u64,
        broker: &Broker,
        info: &registry::Channel,
    ) -> Result<Option<Content>, Fault> {
        let AssemblyStep::Header(publish) = self.step else { return Err(self.unexpected_header()) };
        let header = ContentHeader::decode(payload)
            .map_err(|error| Fault::undecodable(error, CLASS_BASIC, 0, payload))?;
        if header.class_id != CLASS_BASIC {
            let got = format!("got one for class {} instead", header.class_id);
            return Err(unexpected(&format!("expected content header for class 60, {got}")));
        }
        if !self.class.contains(header.body_size) {
            self.begin_class(header.body_size, body_bytes_max, broker, info)?;
            // No class contains a body that is empty.
            if header.body_size == 0 {
                self.bytes.extend_from_slice(header.properties);
                self.step = AssemblyStep::Idle;
                return Ok(Some(Content { publish, properties_len: header.properties.len() }));
            }
        }
        info.sizes.bytes.add_alone(header.body_size);
        self.bytes.extend_from_slice(header.properties);
        let properties_len = header.properties.len();
        self.step = AssemblyStep::Body { publish, properties_len, left: header.body_size };
        Ok(None)
    }

    /// Checks the size of a body that is of another class than the one before it, and counts those to come in this one.
    #[cold]
    fn begin_class(
        &mut self,
        size: u64,
        body_bytes_max: u64,
        broker: &Broker,
        info: &registry::Channel,
    ) -> Result<(), Fault> {
        if size > body_bytes_max {
            return Err(too_large(size, body_bytes_max, broker.compat()));
        }
        self.class = info.begin_size(size).up_to(body_bytes_max);
        Ok(())
    }

    /// Takes a piece of body; answers with the content when it was the last one.
    ///
    /// The buffer grows with the bytes that came; it is not sized by the length the peer announced.
    #[inline]
    pub(super) fn on_body(&mut self, chunk: &[u8]) -> Result<Option<Content>, Fault> {
        let AssemblyStep::Body { publish, properties_len, left } = &mut self.step else {
            return Err(self.unexpected_body());
        };
        let Some(still) = left.checked_sub(chunk.len() as u64) else {
            let text = "content body frame exceeds remaining content size";
            return Err(of_publish(Fault::new(ReplyCode::FrameError, text)));
        };
        *left = still;
        let content = Content { publish: *publish, properties_len: *properties_len };
        self.bytes.extend_from_slice(chunk);
        if still > 0 {
            return Ok(None);
        }
        self.step = AssemblyStep::Idle;
        Ok(Some(content))
    }

    /// The fault of a method frame in the middle of a publish.
    pub(super) fn unexpected_method(&self) -> Fault {
        match self.step {
            AssemblyStep::Idle | AssemblyStep::Header(_) => unexpected(
                "expected content header for class 60, got non content header frame instead",
            ),
            AssemblyStep::Body { .. } => {
                unexpected("expected content body, got non content body frame instead")
            }
        }
    }

    fn unexpected_header(&self) -> Fault {
        match self.step {
            AssemblyStep::Idle | AssemblyStep::Header(_) => out_of_place(),
            AssemblyStep::Body { .. } => {
                unexpected("expected content body, got non content body frame instead")
            }
        }
    }

    fn unexpected_body(&self) -> Fault {
        match self.step {
            AssemblyStep::Idle | AssemblyStep::Body { .. } => out_of_place(),
            AssemblyStep::Header(_) => unexpected(
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

    /// The same, to be changed.
    pub(super) fn properties_mut<'a>(&'a mut self, content: &'a mut Content) -> PropertiesMut<'a> {
        let start = content.publish.names_len;
        PropertiesMut { bytes: &mut self.bytes, start, len: &mut content.properties_len }
    }

    /// Makes the message of the content that has come.
    #[inline]
    pub(super) fn message(&mut self, content: &Content, seen: PropertiesSeen) -> Message {
        let layout = seen.layout(content.publish.names_len, content.properties_len);
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

fn of_publish(fault: Fault) -> Fault {
    fault.in_method(CLASS_BASIC, basic::Publish::METHOD_ID)
}

fn unexpected(text: &str) -> Fault {
    of_publish(Fault::new(ReplyCode::UnexpectedFrame, text))
}

/// A message that is too large ends the channel (RabbitMQ: `rabbit_channel:check_msg_size`); one that no configuration
/// allows ends the connection since 4.3, as a broken frame does.
///
/// RabbitMQ takes the whole body of the first kind in before it answers; the announced size is enough to know, and
/// saves its memory.
fn too_large(size: u64, max: u64, compat: Compat) -> Fault {
    const CAP: u64 = NodeLimits::MESSAGE_BYTES_CAP;
    if size > CAP && !compat.is_3_10() {
        let text = format!("content body size {size} exceeds maximum allowed size {CAP}");
        return of_publish(Fault::new(ReplyCode::FrameError, text));
    }
    let configured = if max == CAP { "" } else { "configured " };
    let text = format!("message size {size} is larger than {configured}max size {max}");
    of_publish(Fault::new(ReplyCode::PreconditionFailed, text))
}
