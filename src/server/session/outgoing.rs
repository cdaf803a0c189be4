//! Messages on their way out, and the frames that carry them: `basic.deliver`, `get-ok` and `return`.

use std::sync::Arc;

use super::consumers::{Annotation, DeliveryOrigin};
use crate::broker::delivery_count::DeliveryCount;
use crate::broker::entry::Entry;
use crate::broker::message::Message;
use crate::broker::queue::Returned;
use crate::broker::time::Millis;
use crate::wire::constants::{CLASS_BASIC, FRAME_METHOD};
use crate::wire::frame;
use crate::wire::method::basic;
use crate::wire::properties::{as_streams_deliver, with_header};
use crate::wire::raw::RawProperties;
use crate::wire::{FieldValue, Properties, ReplyCode, ShortStr};

/// A message that is being written. If a bug ends that, it goes back to its queue.
#[derive(Debug)]
pub(super) struct OutgoingDelivery<'a> {
    /// `None` once it is written.
    entry: Option<Entry>,
    origin: &'a Arc<DeliveryOrigin>,
    now: Millis,
}

impl<'a> OutgoingDelivery<'a> {
    #[inline]
    pub(super) fn new(entry: Entry, origin: &'a Arc<DeliveryOrigin>, now: Millis) -> Self {
        Self { entry: Some(entry), origin, now }
    }

    #[inline]
    pub(super) fn entry(&self) -> &Entry {
        self.entry.as_ref().expect("it is there until it is written")
    }

    #[inline]
    pub(super) fn entry_mut(&mut self) -> &mut Entry {
        self.entry.as_mut().expect("it is there until it is written")
    }

    /// Takes the entry of a message that has been written.
    #[inline]
    pub(super) fn end(mut self) -> Entry {
        self.entry.take().expect("it is there until it is written")
    }
}

impl Drop for OutgoingDelivery<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            give_back(entry, self.origin, self.now);
        }
    }
}

#[cold]
fn give_back(mut entry: Entry, origin: &Arc<DeliveryOrigin>, now: Millis) {
    let DeliveryOrigin { consumer, no_ack, .. } = **origin;
    entry.redelivered = true;
    origin.queue.put_back(vec![Returned { entry, consumer, no_ack, has_failed: false }], now);
}

/// The arguments of `basic.deliver`, and the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deliver<'a> {
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
pub(super) fn write_delivery(out: &mut Vec<u8>, delivery: &Deliver<'_>, frame_max: u32) {
    write_with_properties(out, delivery, delivery.message.properties(), frame_max);
}

/// Appends `basic.deliver` with these encoded properties instead of the message's own.
fn write_with_properties(
    out: &mut Vec<u8>,
    delivery: &Deliver<'_>,
    properties: &[u8],
    frame_max: u32,
) {
    let body = delivery.message.body();
    let names = delivery.message.names();
    let bytes = names.len() + properties.len() + body.len() + delivery.consumer_tag.len();
    out.reserve(bytes + DELIVERY_OVERHEAD);
    frame::write_deliver(
        out,
        delivery.channel,
        delivery.consumer_tag,
        delivery.tag,
        delivery.redelivered,
        names,
    );
    frame::write_content(out, delivery.channel, properties, body, frame_max);
}

/// The properties of a message with headers that count its failed deliveries, here and in the queues before.
#[inline(never)]
fn with_counts(encoded: &[u8], returns: DeliveryCount, before: u8) -> Vec<u8> {
    let mut properties = RawProperties::split(encoded);
    let mut headers = properties.headers();
    for (name, count) in returns.headers(before) {
        headers.insert(name, &count);
    }
    headers.sort();
    properties.set_headers(&headers);
    properties.to_bytes()
}

/// The properties of a dead letter with the expiration it had before it was dead-lettered first: RabbitMQ 4 keeps it in
/// a stream.
fn with_old_expiration(encoded: &[u8]) -> Vec<u8> {
    let Ok(mut properties) = Properties::decode(encoded) else { return encoded.to_vec() };
    let headers = properties.headers.as_ref();
    if let Some(FieldValue::Array(deaths)) = headers.and_then(|headers| headers.get("x-death")) {
        let told = deaths.iter().find_map(|death| match death {
            FieldValue::Table(death) => death.get("original-expiration")?.as_str(),
            _ => None,
        });
        properties.expiration = told.map(ShortStr::truncated).or(properties.expiration);
    }
    properties.to_bytes()
}

/// Bytes of a delivery's frames beside names, properties, body and consumer tag, for one body frame.
const DELIVERY_OVERHEAD: usize = 64;

/// Appends `basic.deliver` of a message with headers for its failed deliveries, or for its offset in a stream
/// (RabbitMQ: `rabbit_stream_queue:entry_to_msg`).
///
/// Cost: beside a delivery's one small allocation.
#[inline(never)]
pub(super) fn write_annotated_delivery(
    out: &mut Vec<u8>,
    delivery: &Deliver<'_>,
    entry: &Entry,
    annotation: Annotation,
    frame_max: u32,
) {
    const OFFSET: &str = "x-stream-offset";
    let properties = delivery.message.properties();
    let before = delivery.message.past().failures;
    let properties = match annotation {
        Annotation::Offset(compat) => {
            let offset = FieldValue::I64(i64::try_from(entry.position).unwrap_or(i64::MAX));
            if compat.is_3_10() {
                with_header(properties, OFFSET, &offset)
            } else if delivery.message.past().has_died {
                with_old_expiration(&as_streams_deliver(properties, OFFSET, &offset))
            } else {
                as_streams_deliver(properties, OFFSET, &offset)
            }
        }
        Annotation::Counts if before > 0 || entry.delivery_count.for_consumer().is_some() => {
            with_counts(properties, entry.delivery_count, before)
        }
        Annotation::Counts | Annotation::Nothing => {
            return write_delivery(out, delivery, frame_max);
        }
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
        to.bit(entry.is_redelivered());
        to.bytes(message.names());
        to.u32(left);
    });
    let before = message.past().failures;
    let told = entry.delivery_count.for_get(before);
    let told = told.map(|returns| with_counts(message.properties(), returns, before));
    let properties = told.as_deref().unwrap_or(message.properties());
    frame::write_content(out, channel, properties, message.body(), frame_max);
}

/// Appends `basic.return` (312 `NO_ROUTE`) with its content.
pub(super) fn write_return(out: &mut Vec<u8>, channel: u16, message: &Message, frame_max: u32) {
    let code = ReplyCode::NoRoute;
    frame::write_with(out, FRAME_METHOD, channel, |to| {
        to.u16(CLASS_BASIC);
        to.u16(basic::Return::METHOD_ID);
        to.u16(code.code());
        to.short(&ShortStr::truncated(code.name()));
        to.bytes(message.names());
    });
    frame::write_content(out, channel, message.properties(), message.body(), frame_max);
}
