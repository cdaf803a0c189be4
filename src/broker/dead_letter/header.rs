//! What a dead letter says of its deaths, and whether it goes round in a ring.
//!
//! `x-death` has a table for each queue and reason, the latest first. RabbitMQ 4 knows which of them are its own and
//! leaves out what a client has put there; so does a message here ([`Message::has_died`]). 3.10 counts on.

use crate::broker::arguments::DeadLetterTo;
use crate::broker::compat::Compat;
use crate::broker::dead_letter::Reason;
use crate::broker::exchange::{DELAY, told_copies};
use crate::broker::message::{Layout, Message};
use crate::wire::properties::Properties;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, FieldValue, ShortStr, Writer};

const DEATHS: &str = "x-death";
const COUNT: &str = "count";

/// How a message died.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) struct Death<'a> {
    pub(in crate::broker) queue: &'a str,
    pub(in crate::broker) reason: Reason,
    /// Seconds since 1970.
    pub(in crate::broker) time_s: u64,
    pub(in crate::broker) compat: Compat,
}

/// A dead message on its way.
#[derive(Debug)]
pub(in crate::broker) struct Letter {
    pub(in crate::broker) message: Message,
    /// The keys to route it by.
    pub(in crate::broker) keys: Vec<ShortStr>,
    pub(in crate::broker) headers: FieldTable,
}

/// Makes a letter of a message that died; `None` when its properties are damaged.
pub(in crate::broker) fn letter(
    message: &Message,
    death: Death<'_>,
    to: &DeadLetterTo,
) -> Option<Letter> {
    if death.reason == Reason::Due {
        return due(message);
    }
    let mut properties = Properties::decode(message.properties()).ok()?;
    let (exchange, key) = message.exchange_and_key();
    let mut headers = properties.headers.take().unwrap_or_default();
    let mut keys = vec![ShortStr::try_from(key).ok()?];
    // Those of `BCC` are known to nobody any more.
    keys.extend(told_copies(&headers));
    let expiration = properties.expiration.take().map(|text| match message.time_to_live_ms() {
        Some(ms) if !death.compat.is_3_10() => ShortStr::truncated(&ms.to_string()),
        _ => text,
    });
    let died = Died { exchange, keys: &keys, expiration };
    if death.compat.is_3_10() {
        headers = record_3_10(headers, &died.table_3_10(death), death, exchange);
    } else {
        let earlier = if message.has_died() { deaths(&headers) } else { Vec::new() };
        headers = record(headers, earlier, died.table(death), death, exchange);
    }
    if let Some(key) = &to.routing_key {
        headers.remove("CC");
        keys = vec![key.clone()];
    }
    properties.headers = Some(headers);
    let layout = Layout { has_died: true, ..Layout::default() };
    let message = rewritten(message, layout, &to.exchange, &keys[0], &properties);
    Some(Letter { message, keys, headers: properties.headers.unwrap_or_default() })
}

/// A message that was kept until now, as it was published, but that its delay is told negative: it is over.
fn due(message: &Message) -> Option<Letter> {
    let mut properties = Properties::decode(message.properties()).ok()?;
    let headers = properties.headers.get_or_insert_default();
    if let Some(delay) = headers.get(DELAY) {
        let over = negated(delay);
        headers.insert(literal(DELAY), over);
    }
    let (exchange, key) = message.exchange_and_key();
    let mut keys = vec![ShortStr::try_from(key).ok()?];
    keys.extend(told_copies(headers));
    let layout = Layout {
        has_died: message.has_died(),
        time_to_live_ms: message.time_to_live_ms(),
        ..Layout::default()
    };
    let exchange = ShortStr::try_from(exchange).ok()?;
    let message = rewritten(message, layout, &exchange, &keys[0], &properties);
    Some(Letter { message, keys, headers: properties.headers.unwrap_or_default() })
}

/// The same number below 0, in the same type where it has one.
fn negated(delay: &FieldValue) -> FieldValue {
    match delay {
        FieldValue::I8(ms) => FieldValue::I8(ms.saturating_neg()),
        FieldValue::I16(ms) => FieldValue::I16(ms.saturating_neg()),
        FieldValue::I32(ms) => FieldValue::I32(ms.saturating_neg()),
        FieldValue::LongStr(text) => FieldValue::from(format!("-{}", text.to_text()).as_str()),
        other => FieldValue::I64(other.as_integer().unwrap_or_default().saturating_neg()),
    }
}

/// The message with these names and properties.
fn rewritten(
    message: &Message,
    layout: Layout,
    exchange: &ShortStr,
    key: &ShortStr,
    properties: &Properties,
) -> Message {
    let mut bytes = Vec::with_capacity(message.len() + 512);
    let mut to = Writer::new(&mut bytes);
    to.short(exchange);
    to.short(key);
    let names_len = bytes.len();
    properties.encode(&mut Writer::new(&mut bytes));
    let layout = Layout {
        names_len,
        properties_len: bytes.len() - names_len,
        is_persistent: properties.is_persistent(),
        priority: properties.priority.unwrap_or_default(),
        ..layout
    };
    bytes.extend_from_slice(message.body());
    Message::new(layout, &mut bytes)
}

/// What a death's table says beside the death itself.
struct Died<'a> {
    exchange: &'a str,
    keys: &'a [ShortStr],
    expiration: Option<ShortStr>,
}

impl Died<'_> {
    fn told(&self, death: Death<'_>) -> FieldTable {
        let keys = self.keys.iter().map(|key| FieldValue::from(key.as_str())).collect();
        FieldTable::new()
            .with(COUNT, FieldValue::I64(1))
            .with("reason", death.reason.name())
            .with("queue", death.queue)
            .with("time", FieldValue::Timestamp(death.time_s))
            .with("exchange", self.exchange)
            .with("routing-keys", FieldValue::Array(keys))
    }

    /// The fields in the order of RabbitMQ 4 (`mc_amqpl:death_table`).
    fn table(&self, death: Death<'_>) -> FieldTable {
        let told = self.told(death);
        let Some(text) = &self.expiration else { return told };
        let first = (literal("original-expiration"), FieldValue::from(text.as_str()));
        std::iter::once(first).chain(told.iter().cloned()).collect()
    }

    fn table_3_10(&self, death: Death<'_>) -> FieldTable {
        let told = self.told(death);
        match &self.expiration {
            Some(text) => told.with("original-expiration", text.as_str()),
            None => told,
        }
    }
}

/// The tables of an `x-death` header.
fn deaths(headers: &FieldTable) -> Vec<FieldTable> {
    let Some(FieldValue::Array(values)) = headers.get(DEATHS) else { return Vec::new() };
    let table = |value: &FieldValue| match value {
        FieldValue::Table(table) => Some(table.clone()),
        _ => None,
    };
    values.iter().filter_map(table).collect()
}

fn is_of(table: &FieldTable, queue: &FieldValue, reason: &FieldValue) -> bool {
    table.get("queue") == Some(queue) && table.get("reason") == Some(reason)
}

fn counted(table: &FieldTable) -> FieldTable {
    let count = table.get(COUNT).and_then(FieldValue::as_integer).unwrap_or(0);
    let mut table = table.clone();
    table.insert(literal(COUNT), FieldValue::I64(count.saturating_add(1)));
    table
}

/// Takes the table of the same queue and reason out.
fn take_same(tables: &mut Vec<FieldTable>, death: Death<'_>) -> Option<FieldTable> {
    let (queue, reason) = (FieldValue::from(death.queue), FieldValue::from(death.reason.name()));
    let at = tables.iter().position(|table| is_of(table, &queue, &reason))?;
    Some(tables.remove(at))
}

fn array(tables: Vec<FieldTable>) -> FieldValue {
    FieldValue::Array(tables.into_iter().map(FieldValue::Table).collect())
}

/// RabbitMQ 4: `mc:record_death`, `mc_amqpl:protocol_state`.
fn record(
    mut headers: FieldTable,
    mut earlier: Vec<FieldTable>,
    new: FieldTable,
    death: Death<'_>,
    exchange: &str,
) -> FieldTable {
    let is_first = earlier.is_empty();
    let latest = take_same(&mut earlier, death).map_or(new, |same| counted(&same));
    earlier.insert(0, latest);
    headers.insert(literal(DEATHS), array(earlier));
    let first: &[_] = &["x-first-death-reason", "x-first-death-queue", "x-first-death-exchange"];
    let last: &[_] = &["x-last-death-reason", "x-last-death-queue", "x-last-death-exchange"];
    for names in [is_first.then_some(first), Some(last)].into_iter().flatten() {
        for (name, text) in names.iter().zip([death.reason.name(), death.queue, exchange]) {
            headers.insert(literal(name), text.into());
        }
    }
    headers.sorted()
}

/// RabbitMQ 3.10: `rabbit_dead_letter:update_x_death_header`, which trusts what a client has put there.
fn record_3_10(
    mut headers: FieldTable,
    new: &FieldTable,
    death: Death<'_>,
    exchange: &str,
) -> FieldTable {
    match headers.get(DEATHS) {
        None => {
            let first = ["x-first-death-reason", "x-first-death-queue", "x-first-death-exchange"];
            for (name, text) in first.into_iter().zip([death.reason.name(), death.queue, exchange])
            {
                headers.insert(literal(name), text.into());
            }
            headers.insert(literal(DEATHS), array(vec![new.clone()]));
        }
        Some(FieldValue::Array(_)) => {
            let mut earlier = grouped(&deaths(&headers));
            let latest =
                take_same(&mut earlier, death).map_or_else(|| new.clone(), |same| counted(&same));
            earlier.insert(0, latest.sorted());
            headers.insert(literal(DEATHS), array(earlier));
        }
        Some(_) => headers.insert(literal(DEATHS), array(vec![new.clone()])),
    }
    headers.sorted()
}

/// One table for each queue and reason; 3.10 turns their order round when there are several.
fn grouped(tables: &[FieldTable]) -> Vec<FieldTable> {
    let key = |table: &FieldTable| (table.get("queue").cloned(), table.get("reason").cloned());
    let mut grouped: Vec<FieldTable> = Vec::new();
    for table in tables {
        if grouped.iter().any(|known| key(known) == key(table)) {
            continue;
        }
        let mut one = table.clone();
        if tables.len() > 1 && one.get(COUNT).is_none() {
            let alike = tables.iter().filter(|other| key(other) == key(table)).count();
            one.insert(literal(COUNT), FieldValue::I64(i64::try_from(alike).unwrap_or(i64::MAX)));
        }
        grouped.push(one);
    }
    grouped.reverse();
    grouped
}

/// Whether a letter that goes to this queue has died there before, and no client has rejected it since
/// (RabbitMQ: `rabbit_dead_letter:is_cycle`).
pub(in crate::broker) fn is_cycle(letter: &Letter, queue: &str) -> bool {
    let queue = FieldValue::from(queue);
    let rejected = FieldValue::from(Reason::Rejected.name());
    let Some(FieldValue::Array(deaths)) = letter.headers.get(DEATHS) else { return false };
    for death in deaths {
        let FieldValue::Table(death) = death else { continue };
        if death.get("reason") == Some(&rejected) {
            return false;
        }
        if death.get("queue") == Some(&queue) {
            return true;
        }
    }
    false
}
