//! Messages on their way out: from the connection's mailbox into frames.
//!
//! [`Sources`] knows what a delivery comes from; [`Unacked`] is what a channel must remember of it until the
//! client settles it.

use std::sync::Arc;

use crate::broker::mailbox::ConsumerSlot;
use crate::broker::message::Message;
use crate::broker::queue::{ConsumerId, Entry, Millis, Queue, Returns};
use crate::wire::constants::{CLASS_BASIC, FRAME_METHOD};
use crate::wire::frame;
use crate::wire::method::basic;
use crate::wire::properties::with_header;
use crate::wire::{FieldValue, Properties, ShortStr};

/// Where a delivery came from and where it goes back to.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) queue: Arc<Queue>,
    /// `None` for `basic.get`.
    pub(super) consumer: Option<ConsumerId>,
    /// Its deliveries count as settled when they are sent.
    pub(super) no_ack: bool,
    /// Its deliveries say which offset they have.
    pub(super) is_stream: bool,
    /// How long it may keep a delivery, where the consumer says so itself.
    pub(super) timeout_ms: Option<Millis>,
    /// Its deliveries were taken back; their tags may still be settled, which does nothing.
    pub(super) is_void: bool,
}

impl Origin {
    /// Where the deliveries of `basic.get` come from.
    pub(super) fn of_get(queue: Arc<Queue>) -> Self {
        Self {
            queue,
            consumer: None,
            no_ack: false,
            is_stream: false,
            timeout_ms: None,
            is_void: false,
        }
    }

    /// Where deliveries came from that were taken back.
    pub(super) fn void(queue: Arc<Queue>) -> Self {
        Self { is_void: true, ..Self::of_get(queue) }
    }
}

/// A consumer of this connection.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) channel: u16,
    pub(super) tag: ShortStr,
    /// Its deliveries may tell more than their publishers said: offsets, or how often they came back.
    pub(super) annotates: bool,
    pub(super) origin: Arc<Origin>,
}

/// All consumers of a connection; the slot of each stays its own until the mailbox is empty of it.
#[derive(Debug, Default)]
pub(super) struct Sources {
    slots: Vec<Option<Source>>,
    free: Vec<ConsumerSlot>,
}

impl Sources {
    /// Takes a slot for a consumer that is about to be.
    pub(super) fn reserve(&mut self) -> ConsumerSlot {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        self.slots.push(None);
        let at = u32::try_from(self.slots.len() - 1).expect("fewer consumers than 4 billion");
        ConsumerSlot(at)
    }

    pub(super) fn set(&mut self, slot: ConsumerSlot, source: Source) {
        self.slots[slot.0 as usize] = Some(source);
    }

    #[inline]
    pub(super) fn get(&self, slot: ConsumerSlot) -> Option<&Source> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    /// Forgets a consumer whose queue posts no more and of whom nothing is in the mailbox.
    pub(super) fn release(&mut self, slot: ConsumerSlot) {
        self.slots[slot.0 as usize] = None;
        self.free.push(slot);
    }
}

/// A delivery the client has not settled.
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) tag: u64,
    pub(super) origin: Arc<Origin>,
    pub(super) entry: Entry,
}

/// A delivery as `basic.deliver` tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery<'a> {
    pub(super) channel: u16,
    pub(super) consumer_tag: &'a ShortStr,
    pub(super) tag: u64,
    pub(super) redelivered: bool,
    pub(super) message: &'a Message,
}

/// Appends `basic.deliver` with its content.
///
/// Cost: three appends; names, properties and body are copied as they came.
#[inline]
pub(super) fn write_delivery(out: &mut Vec<u8>, delivery: &Delivery<'_>, frame_max: u32) {
    write_with_properties(out, delivery, delivery.message.properties(), frame_max);
}

/// The same with these encoded properties instead of the message's own.
fn write_with_properties(
    out: &mut Vec<u8>,
    delivery: &Delivery<'_>,
    properties: &[u8],
    frame_max: u32,
) {
    let body = delivery.message.body();
    let names = delivery.message.names();
    let bytes = names.len() + properties.len() + body.len() + delivery.consumer_tag.len();
    out.reserve(bytes + DELIVERY_OVERHEAD);
    frame::write_with(out, FRAME_METHOD, delivery.channel, |to| {
        to.u16(CLASS_BASIC);
        to.u16(basic::Deliver::METHOD_ID);
        to.short(delivery.consumer_tag);
        to.u64(delivery.tag);
        to.bit(delivery.redelivered);
        to.bytes(names);
    });
    frame::write_content(out, delivery.channel, properties, body, frame_max);
}

/// The properties of a message with headers that tell how often it came back.
#[inline(never)]
fn with_counts(encoded: &[u8], returns: Returns) -> Vec<u8> {
    // They were whole when the message was published.
    let Ok(mut properties) = Properties::decode(encoded) else { return encoded.to_vec() };
    let mut headers = properties.headers.take().unwrap_or_default();
    for (name, count) in returns.headers() {
        headers.remove(name);
        headers = headers.with(name, count);
    }
    properties.headers = Some(headers.sorted());
    properties.to_bytes()
}

/// Bytes of a delivery's frames beside names, properties, body and consumer tag, for one body frame.
const DELIVERY_OVERHEAD: usize = 64;

/// Appends `basic.deliver` of a message whose headers may say how often it came back, or which offset it has in a stream
/// (RabbitMQ: `rabbit_stream_queue:entry_to_msg`).
///
/// Cost: beside a delivery's one small allocation.
#[inline(never)]
pub(super) fn write_annotated_delivery(
    out: &mut Vec<u8>,
    delivery: &Delivery<'_>,
    entry: &Entry,
    is_stream: bool,
    frame_max: u32,
) {
    let properties = delivery.message.properties();
    let properties = if is_stream {
        let offset = FieldValue::I64(i64::try_from(entry.position).unwrap_or(i64::MAX));
        with_header(properties, "x-stream-offset", &offset)
    } else if let Some(returns) = entry.returns.told() {
        with_counts(properties, returns)
    } else {
        return write_delivery(out, delivery, frame_max);
    };
    write_with_properties(out, delivery, &properties, frame_max);
}

/// Appends `basic.get-ok` with its content.
pub(super) fn write_get_ok(
    out: &mut Vec<u8>,
    channel: u16,
    delivery_tag: u64,
    entry: &Entry,
    left: u32,
    frame_max: u32,
) {
    let message = entry.message();
    frame::write_with(out, FRAME_METHOD, channel, |to| {
        to.u16(CLASS_BASIC);
        to.u16(basic::GetOk::METHOD_ID);
        to.u64(delivery_tag);
        to.bit(entry.redelivered);
        to.bytes(message.names());
        to.u32(left);
    });
    let told = entry.returns.told_to_getter();
    let told = told.map(|returns| with_counts(message.properties(), returns));
    let properties = told.as_deref().unwrap_or(message.properties());
    frame::write_content(out, channel, properties, message.body(), frame_max);
}

/// Appends `basic.return` (312 `NO_ROUTE`) with its content.
pub(super) fn write_return(out: &mut Vec<u8>, channel: u16, message: &Message, frame_max: u32) {
    let code = crate::wire::ReplyCode::NoRoute;
    frame::write_with(out, FRAME_METHOD, channel, |to| {
        to.u16(CLASS_BASIC);
        to.u16(basic::Return::METHOD_ID);
        to.u16(code.code());
        to.short(&ShortStr::truncated(code.name()));
        to.bytes(message.names());
    });
    frame::write_content(out, channel, message.properties(), message.body(), frame_max);
}
