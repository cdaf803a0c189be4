//! The firehose: a copy of every message that a traced vhost takes or hands out.
//!
//! The copies go to the topic exchange [`EXCHANGE`], under `publish.` and the exchange's name or `deliver.` and the
//! queue's; their headers describe the message (RabbitMQ: `rabbit_trace`). A message that was published to that
//! exchange is never traced itself. While the firehose is off, it costs one look at a flag.
//!
//! Durable queues keep the copies over a restart, though no property says so (seen with RabbitMQ 4.3.6).

use std::sync::Arc;

use super::exchange::told_copies;
use super::message::{Layout, Message};
use super::queue::Queue;
use super::replies::Replies;
use crate::wire::raw::{RawProperties, RawTable, RawValue};
use crate::wire::shortstr::literal;
use crate::wire::{FieldValue, ShortStr, Writer};

/// The exchange that the copies go to.
const EXCHANGE: &str = "amq.rabbitmq.trace";

/// The source of publishes and deliveries that the firehose reports: a connection, or an HTTP request.
#[derive(Debug)]
pub struct Tracer {
    pub node: Arc<str>,
    pub vhost: ShortStr,
    pub connection: Arc<str>,
    pub user: ShortStr,
}

impl Tracer {
    /// Makes the copy of a message with this key; `tell` adds the last of its headers.
    pub(super) fn of_publish(
        &self,
        message: &Message,
        copies: &[ShortStr],
        queues: &[Arc<Queue>],
        channel: u16,
        is_persistent: bool,
    ) -> Option<Message> {
        let (exchange, key) = message.exchange_and_key();
        // No client knows the queue in which a delayed exchange keeps messages.
        let known = queues.iter().filter(|queue| queue.settings().holds_for().is_none());
        let mut names: Vec<&str> = known.map(|queue| queue.name().as_str()).collect();
        if exchange.is_empty() {
            // The keys are names of queues, which RabbitMQ has not looked for yet.
            names = std::iter::once(key).chain(copies.iter().map(ShortStr::as_str)).collect();
            names.retain(|name| !Replies::is_reply_name(name));
            names.sort_unstable();
            names.dedup();
        }
        let queues = names.into_iter().map(FieldValue::from).collect();
        let tell = |headers: &mut RawTable<'_>| {
            self.tell_whom(headers, channel);
            headers.insert("routed_queues", &FieldValue::Array(queues));
        };
        self.copy(&format!("publish.{exchange}"), message, Some(copies), is_persistent, tell)
    }

    /// The copy of a message that a client is about to get from a queue; none for a copy itself.
    pub(super) fn of_delivery(
        &self,
        message: &Message,
        queue: &str,
        redelivered: bool,
        channel: u16,
        is_persistent: bool,
    ) -> Option<Message> {
        let tell = |headers: &mut RawTable<'_>| {
            headers.insert("redelivered", &FieldValue::I32(redelivered.into()));
            self.tell_whom(headers, channel);
        };
        self.copy(&format!("deliver.{queue}"), message, None, is_persistent, tell)
    }

    fn tell_whom(&self, headers: &mut RawTable<'_>, channel: u16) {
        headers.insert("vhost", &self.vhost.as_str().into());
        headers.insert("connection", &FieldValue::from(&*self.connection));
        headers.insert("channel", &FieldValue::I32(channel.into()));
        headers.insert("user", &self.user.as_str().into());
    }

    /// The copy of a message with this key, of whose headers `tell` adds the last.
    fn copy(
        &self,
        key: &str,
        message: &Message,
        copies: Option<&[ShortStr]>,
        is_persistent: bool,
        tell: impl FnOnce(&mut RawTable<'_>),
    ) -> Option<Message> {
        let (exchange, routing_key) = message.exchange_and_key();
        if exchange == EXCHANGE {
            return None;
        }
        let properties = RawProperties::split(message.properties());
        let told = || told_copies(&properties.headers());
        let copies = copies.map_or_else(told, <[_]>::to_vec);
        let keys = std::iter::once(routing_key).chain(copies.iter().map(ShortStr::as_str));
        let mut headers = RawTable::default();
        headers.insert("exchange_name", &exchange.into());
        headers.insert("routing_keys", &FieldValue::Array(keys.map(FieldValue::from).collect()));
        headers.insert_table("properties", &table_of(&properties));
        headers.insert("node", &(&*self.node).into());
        tell(&mut headers);
        Some(copy_of(message, &ShortStr::truncated(key), &headers, is_persistent))
    }
}

/// The message's body with another key and other properties, of which none says that it is persistent.
fn copy_of(
    message: &Message,
    key: &ShortStr,
    headers: &RawTable<'_>,
    is_persistent: bool,
) -> Message {
    let properties = RawProperties::of_headers(headers).to_bytes();
    let mut bytes = Vec::with_capacity(message.len() + 512);
    let mut to = Writer::new(&mut bytes);
    to.short(&literal(EXCHANGE));
    to.short(key);
    let names_len = bytes.len();
    bytes.extend_from_slice(&properties);
    let properties_len = properties.len();
    bytes.extend_from_slice(message.body());
    Message::new(
        Layout { names_len, properties_len, is_persistent, ..Layout::default() },
        &mut bytes,
    )
}

/// The properties that are there, the last one first, as `rabbit_trace:msg_to_table` puts them.
fn table_of(properties: &RawProperties<'_>) -> RawTable<'static> {
    let mut table = RawTable::default();
    for (name, value) in properties.values().rev() {
        let value = match value {
            RawValue::Short(text) => FieldValue::LongStr(text.into()),
            RawValue::Octet(number) => FieldValue::I32(number.into()),
            RawValue::Timestamp(seconds) => {
                // RabbitMQ keeps the lower half of what does not fit.
                let [.., a, b, c, d] = seconds.to_be_bytes();
                FieldValue::I32(i32::from_be_bytes([a, b, c, d]))
            }
            RawValue::Table(headers) => {
                table.insert_table(name, &RawTable::split(headers));
                continue;
            }
        };
        table.insert(name, &value);
    }
    table
}
