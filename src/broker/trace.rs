//! The firehose: of every message a traced vhost takes or hands out, a copy that tells what became of it.
//!
//! The copies go to the topic exchange [`EXCHANGE`], under `publish.` and the exchange's name or `deliver.` and the
//! queue's; what is told of the message stands in their headers (RabbitMQ: `rabbit_trace`). A message that was published
//! to that exchange is never traced itself. Nothing is done, and a flag is all that is looked at, while it is off.

use std::sync::Arc;

use super::exchange::{Details, told_copies};
use super::message::{Layout, Message};
use super::queue::{Millis, Queue};
use super::replies::Replies;
use super::vhost::Vhost;
use crate::wire::properties::Properties;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, FieldValue, ShortStr, Writer};

/// Where the copies go.
const EXCHANGE: &str = "amq.rabbitmq.trace";

/// Who publishes and gets messages on a connection, as the firehose tells it.
#[derive(Debug)]
pub struct Tracer {
    pub node: String,
    pub vhost: Arc<Vhost>,
    pub connection: Arc<str>,
    pub user: ShortStr,
}

impl Tracer {
    /// Tells of a message that these queues are about to get, on a vhost that is traced.
    #[cold]
    pub fn published(
        &self,
        message: &Message,
        copies: &[ShortStr],
        queues: &[Arc<Queue>],
        channel: u16,
        now: Millis,
    ) {
        let (exchange, key) = message.exchange_and_key();
        // What a delayed exchange keeps is in no queue that anybody knows.
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
        let tell = |headers: FieldTable| {
            self.with_whom(headers, channel).with("routed_queues", FieldValue::Array(queues))
        };
        self.send(&format!("publish.{exchange}"), message, Some(copies), tell, now);
    }

    /// Tells of a message that a client is about to get from a queue, on a vhost that is traced.
    #[cold]
    pub fn delivered(
        &self,
        message: &Message,
        queue: &str,
        redelivered: bool,
        channel: u16,
        now: Millis,
    ) {
        let tell = |headers: FieldTable| {
            let headers = headers.with("redelivered", FieldValue::I32(redelivered.into()));
            self.with_whom(headers, channel)
        };
        self.send(&format!("deliver.{queue}"), message, None, tell, now);
    }

    fn with_whom(&self, headers: FieldTable, channel: u16) -> FieldTable {
        headers
            .with("vhost", self.vhost.name().as_str())
            .with("connection", &*self.connection)
            .with("channel", FieldValue::I32(channel.into()))
            .with("user", self.user.as_str())
    }

    /// Publishes a copy, of whose headers `tell` adds the last.
    fn send(
        &self,
        key: &str,
        message: &Message,
        copies: Option<&[ShortStr]>,
        tell: impl FnOnce(FieldTable) -> FieldTable,
        now: Millis,
    ) {
        let (exchange, routing_key) = message.exchange_and_key();
        if exchange == EXCHANGE {
            return;
        }
        let Ok(properties) = Properties::decode(message.properties()) else { return };
        let told = || properties.headers.as_ref().map(told_copies).unwrap_or_default();
        let copies = copies.map_or_else(told, <[_]>::to_vec);
        let keys = std::iter::once(routing_key).chain(copies.iter().map(ShortStr::as_str));
        let headers = FieldTable::new()
            .with("exchange_name", exchange)
            .with("routing_keys", FieldValue::Array(keys.map(FieldValue::from).collect()))
            .with("properties", table_of(&properties))
            .with("node", self.node.as_str());
        let headers = tell(headers);
        let key = ShortStr::truncated(key);
        let details = || Details { headers: headers.clone(), ..Details::default() };
        let route = self.vhost.route_within(EXCHANGE, &[&key], details);
        if route.queues.is_empty() && route.histories.is_empty() {
            return;
        }
        let copy = copy_of(message, &key, headers);
        for history in &route.histories {
            history.add(&copy);
        }
        for queue in &route.queues {
            queue.push(copy.clone(), None, now);
        }
    }
}

/// The message's body with another key and other properties; it need not survive anything.
fn copy_of(message: &Message, key: &ShortStr, headers: FieldTable) -> Message {
    let properties = Properties { headers: Some(headers), ..Properties::default() };
    let mut bytes = Vec::with_capacity(message.len() + 512);
    let mut to = Writer::new(&mut bytes);
    to.short(&literal(EXCHANGE));
    to.short(key);
    let names_len = bytes.len();
    properties.encode(&mut Writer::new(&mut bytes));
    let properties_len = bytes.len() - names_len;
    bytes.extend_from_slice(message.body());
    Message::new(Layout { names_len, properties_len, ..Layout::default() }, &mut bytes)
}

/// The properties that are there, the last one first, as `rabbit_trace:msg_to_table` puts them.
fn table_of(properties: &Properties) -> FieldTable {
    let text = |value: &Option<ShortStr>| value.as_ref().map(|text| text.as_str().into());
    let number = |value: Option<u8>| value.map(|number| FieldValue::I32(number.into()));
    // RabbitMQ keeps the lower half of what does not fit.
    let [.., a, b, c, d] = properties.timestamp.unwrap_or_default().to_be_bytes();
    let timestamp = FieldValue::I32(i32::from_be_bytes([a, b, c, d]));
    let values = [
        ("cluster_id", text(&properties.cluster_id)),
        ("app_id", text(&properties.app_id)),
        ("user_id", text(&properties.user_id)),
        ("type", text(&properties.kind)),
        ("timestamp", properties.timestamp.map(|_| timestamp)),
        ("message_id", text(&properties.message_id)),
        ("expiration", text(&properties.expiration)),
        ("reply_to", text(&properties.reply_to)),
        ("correlation_id", text(&properties.correlation_id)),
        ("priority", number(properties.priority)),
        ("delivery_mode", number(properties.delivery_mode)),
        ("headers", properties.headers.clone().map(FieldValue::Table)),
        ("content_encoding", text(&properties.content_encoding)),
        ("content_type", text(&properties.content_type)),
    ];
    let given = values.into_iter().filter_map(|(name, value)| Some((literal(name), value?)));
    FieldTable::from_entries(given.collect())
}
