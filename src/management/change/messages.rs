//! Messages over HTTP, one request each: published, and got.
//!
//! For inspection and tests, as in RabbitMQ: there is no consumer, and what is got is settled or given back in the
//! answer.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::broker::auth::{Resource, Right};
use crate::broker::entry::Entry;
use crate::broker::message::Message;
use crate::broker::publish::{self, PropertiesMut, PropertiesSeen, Publish, Receipt, Refusals};
use crate::broker::queue::{Fate, Queue};
use crate::broker::time::Millis;
use crate::management::arguments;
use crate::management::body::Body;
use crate::management::change_request::{ChangeOutcome, ChangeRequest};
use crate::management::json::name_of;
use crate::management::refusal::Refusal;
use crate::moment;
use crate::wire::raw::RawProperties;
use crate::wire::{Fault, Properties, ReplyCode, ShortStr, Writer};

/// Messages of one answer.
const GOT_MAX: u64 = 10_000;

/// The ways to settle what is got.
const ACKMODES: [&str; 4] =
    ["ack_requeue_true", "ack_requeue_false", "reject_requeue_true", "reject_requeue_false"];

/// The channel that the firehose tells: RabbitMQ opens one for each request.
const CHANNEL: u16 = 1;

/// Turns a fault into the text that a channel would have sent.
fn told(fault: Fault) -> Refusal {
    let Fault { code, text, .. } = fault;
    Refusal::bad_request(format!("{} {} - {text}", code.code(), code.name()))
}

/// The refusal of a read: RabbitMQ 4 answers it as it answers one of its API.
fn refused(fault: Fault, request: &ChangeRequest<'_>) -> Refusal {
    if request.view.broker.compat().is_3_10() {
        return told(fault);
    }
    Refusal::AccessRefused { reason: format!("{} - {}", fault.code.name(), fault.text) }
}

/// Reads a number, which may be a text.
fn whole_number(value: &Value) -> Result<u64, Refusal> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| Refusal::BadReason(json!(["not_integer", value])))
}

fn precondition(text: String) -> Refusal {
    told(Fault::new(ReplyCode::PreconditionFailed, text))
}

/// `POST /exchanges/:vhost/:exchange/publish`.
pub(in crate::management) fn publish(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let (vhost, rights) = request.inside()?;
    let exchange = name_of(request.names.exchange("exchange")?)?;
    let is_3_10 = request.view.broker.compat().is_3_10();
    if !is_3_10 && !exchange.is_empty() && vhost.find_exchange(&exchange).is_none() {
        return Err(Refusal::Missing { reason: "exchange_not_found".to_owned() });
    }
    let body = request.body()?;
    body.require(&["routing_key", "properties", "payload", "payload_encoding"])?;
    let key = body.name("routing_key")?;
    let properties = read_properties(&body)?;
    let payload = read_payload(&body)?;
    let (size, max) = (payload.len() as u64, request.view.broker.limits.get().message_bytes_max);
    if size > max {
        return Err(precondition(format!("message size {size} is larger than max size {max}")));
    }
    let mut content = NewMessage::new(&exchange, &key, &properties, &payload);
    let broker = request.view.broker;
    // No consumer of direct replies waits behind a request.
    let sender = broker.sender(&request.view.user.name, false);
    let examined = publish::examine(content.properties(), &sender).map_err(told)?;
    let mut publisher = request.publisher(Arc::clone(&vhost), rights);
    examined.rewrite(&mut content.properties_mut(), None);
    let message = content.into_message(examined.seen);
    let publish = Publish {
        message: &message,
        copies: examined.copies(),
        channel: CHANNEL,
        refusals: Refusals::Reported,
        now: request.view.uptime_ms,
    };
    let outcome = publisher.publish(&publish).map_err(told)?;
    Ok(ChangeOutcome::Published(Receipt::new(outcome, vhost)))
}

/// A message that is being made of what a request says.
struct NewMessage {
    bytes: Vec<u8>,
    names_len: usize,
    properties_len: usize,
}

impl NewMessage {
    fn new(exchange: &ShortStr, key: &ShortStr, properties: &Properties, payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(payload.len() + 512);
        let mut to = Writer::new(&mut bytes);
        to.short(exchange);
        to.short(key);
        let names_len = bytes.len();
        bytes.extend_from_slice(&properties.to_bytes());
        let properties_len = bytes.len() - names_len;
        bytes.extend_from_slice(payload);
        Self { bytes, names_len, properties_len }
    }

    fn properties(&self) -> &[u8] {
        &self.bytes[self.names_len..self.names_len + self.properties_len]
    }

    fn properties_mut(&mut self) -> PropertiesMut<'_> {
        let Self { bytes, names_len, properties_len } = self;
        PropertiesMut { bytes, start: *names_len, len: properties_len }
    }

    fn into_message(mut self, seen: PropertiesSeen) -> Message {
        Message::new(seen.layout(self.names_len, self.properties_len), &mut self.bytes)
    }
}

fn read_payload(body: &Body) -> Result<Vec<u8>, Refusal> {
    let payload = body.text("payload")?;
    match body.text("payload_encoding")? {
        "string" => Ok(payload.as_bytes().to_vec()),
        "base64" => {
            STANDARD.decode(payload).map_err(|_| Refusal::BadReason(json!(["not_base64", payload])))
        }
        other => Err(Refusal::BadReason(json!(["unsupported_encoding", other]))),
    }
}

/// Reads properties; others than AMQP's are passed over.
fn read_properties(body: &Body) -> Result<Properties, Refusal> {
    let given = match body.get("properties") {
        Some(Value::Object(given)) => Body(given.clone()),
        // RabbitMQ prints none so.
        Some(Value::Array(none)) if none.is_empty() => Body::default(),
        _ => return Err(Refusal::bad_request("properties should be an object")),
    };
    let refused = |type_name: &str, name: &str| Refusal::BadReason(json!([type_name, name]));
    let text = |name: &str| -> Result<Option<ShortStr>, Refusal> {
        let Some(value) = given.get(name) else { return Ok(None) };
        name_of(value.as_str().ok_or_else(|| refused("not_string", name))?).map(Some)
    };
    let number = |name: &str| {
        let whole = |value: &Value| value.as_u64().ok_or_else(|| refused("not_int", name));
        given.get(name).map(whole).transpose()
    };
    let byte = |name: &str| {
        let fits = |number| u8::try_from(number).map_err(|_| refused("not_int", name));
        number(name)?.map(fits).transpose()
    };
    let headers = match given.get("headers") {
        None => None,
        Some(Value::Null) => return Err(Refusal::bad_request("headers should be an object")),
        Some(_) => given.check_given("headers").and_then(|()| given.table("headers")).map(Some)?,
    };
    Ok(Properties {
        content_type: text("content_type")?,
        content_encoding: text("content_encoding")?,
        headers,
        delivery_mode: byte("delivery_mode")?,
        priority: byte("priority")?,
        correlation_id: text("correlation_id")?,
        reply_to: text("reply_to")?,
        expiration: text("expiration")?,
        message_id: text("message_id")?,
        timestamp: number("timestamp")?,
        kind: text("type")?,
        user_id: text("user_id")?,
        app_id: text("app_id")?,
        cluster_id: text("cluster_id")?,
    })
}

/// `POST /queues/:vhost/:queue/get`.
pub(in crate::management) fn get(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let (vhost, rights) = request.inside()?;
    let name = request.name("queue")?;
    let queue = vhost.queue(&name, super::topology::NOBODY);
    let queue = queue.map_err(|fault| match fault.code {
        ReplyCode::NotFound if !request.view.broker.compat().is_3_10() => {
            Refusal::Missing { reason: "queue_not_found".to_owned() }
        }
        _ => fault.into(),
    })?;
    let body = request.body()?;
    body.require(&["ackmode", "count", "encoding"])?;
    let count = whole_number(body.get("count").unwrap_or(&Value::Null))?.min(GOT_MAX);
    let fate = match body.text("ackmode")? {
        "ack_requeue_false" => Fate::Acknowledged,
        "reject_requeue_false" => Fate::Rejected,
        "ack_requeue_true" => Fate::Requeued,
        "reject_requeue_true" => Fate::Returned,
        other => {
            return Err(Refusal::bad_request(format!(
                "Invalid ackmode value: {other}. Valid values are: {}",
                ACKMODES.join(", ")
            )));
        }
    };
    let encoding = body.text("encoding")?;
    if !["auto", "base64"].contains(&encoding) {
        return Err(Refusal::bad_request("Unsupported encoding. Please use auto or base64."));
    }
    let truncate = body.get("truncate").map_or(Ok(u64::MAX), whole_number)?;
    let truncate = usize::try_from(truncate).unwrap_or(usize::MAX);
    rights.check(Right::Read, Resource::Queue(&name)).map_err(|fault| refused(fault, request))?;
    let now = request.view.uptime_ms;
    let publisher = request.publisher(vhost, Arc::clone(&rights));
    let mut got = GotMessages { queue: &queue, entries: Vec::new(), now };
    let mut rows = Vec::new();
    let mut failed = None;
    for _ in 0..count {
        match queue.get_waiting(false, now) {
            Ok(Some((entry, left))) => {
                got.entries.push(entry);
                moment::reach("http.get");
                let Some(entry) = got.entries.last() else { continue };
                let redelivered = entry.is_redelivered();
                publisher.trace_delivery(entry.message(), &name, redelivered, CHANNEL, now);
                rows.push(row(entry, left, encoding, truncate));
            }
            Ok(None) => break,
            Err(fault) => {
                failed = Some(fault);
                break;
            }
        }
    }
    match (failed, got.entries.is_empty()) {
        (Some(fault), true) => return Err(told(fault)),
        (_, true) => {}
        (_, false) => got.finish(fate),
    }
    Ok(ChangeOutcome::Told(rows.into()))
}

/// Messages that were got from a queue; they go back unless it is said what is to become of them.
struct GotMessages<'a> {
    queue: &'a Arc<Queue>,
    entries: Vec<Entry>,
    now: Millis,
}

impl GotMessages<'_> {
    fn finish(&mut self, fate: Fate) {
        let entries = std::mem::take(&mut self.entries);
        self.queue.finish(entries, fate, self.now);
    }
}

impl Drop for GotMessages<'_> {
    fn drop(&mut self) {
        if !self.entries.is_empty() {
            self.finish(Fate::Requeued);
        }
    }
}

fn row(entry: &Entry, left: u32, encoding: &str, truncate: usize) -> Value {
    let message = entry.message();
    let (exchange, routing_key) = message.exchange_and_key();
    let body = message.body();
    let shown = &body[..body.len().min(truncate)];
    let text = std::str::from_utf8(shown).ok().filter(|_| encoding == "auto");
    let (payload, payload_encoding) = match text {
        Some(text) => (text.to_owned(), "string"),
        None => (STANDARD.encode(shown), "base64"),
    };
    let properties = RawProperties::split(message.properties()).readable();
    json!({
        "payload_bytes": body.len(),
        "redelivered": entry.is_redelivered(),
        "exchange": exchange,
        "routing_key": routing_key,
        "message_count": left,
        "properties": write_properties(&properties),
        "payload": payload,
        "payload_encoding": payload_encoding,
    })
}

/// The properties that are there; none are an empty list, as RabbitMQ prints them.
fn write_properties(properties: &Properties) -> Value {
    let text = |value: &Option<ShortStr>| value.as_ref().map(|text| text.as_str().into());
    let values: [(&str, Option<Value>); 14] = [
        ("content_type", text(&properties.content_type)),
        ("content_encoding", text(&properties.content_encoding)),
        ("headers", properties.headers.as_ref().map(arguments::object)),
        ("delivery_mode", properties.delivery_mode.map(Value::from)),
        ("priority", properties.priority.map(Value::from)),
        ("correlation_id", text(&properties.correlation_id)),
        ("reply_to", text(&properties.reply_to)),
        ("expiration", text(&properties.expiration)),
        ("message_id", text(&properties.message_id)),
        ("timestamp", properties.timestamp.map(Value::from)),
        ("type", text(&properties.kind)),
        ("user_id", text(&properties.user_id)),
        ("app_id", text(&properties.app_id)),
        ("cluster_id", text(&properties.cluster_id)),
    ];
    let given = values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let given: Map<String, Value> = given.collect();
    if given.is_empty() { json!([]) } else { given.into() }
}
