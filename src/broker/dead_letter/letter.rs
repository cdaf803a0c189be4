//! The content of a dead letter: its headers with its deaths, and the check for a letter that goes round in a ring.
//!
//! `x-death` has a table for each queue and reason, the latest first. RabbitMQ 4 knows which of them are its own and
//! leaves out what a client has put there; so does a message here ([`MessageHistory::has_died`]). 3.10 counts on.

use crate::broker::arguments::DeadLetterTo;
use crate::broker::compat::Compat;
use crate::broker::exchange::{DELAY, told_copies};
use crate::broker::message::{Layout, Message, MessageHistory};
use crate::broker::queue::DeathReason;
use crate::wire::raw::{Property, RawProperties, RawTable};
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, FieldValue, ShortStr, Writer};

const DEATHS: &str = "x-death";
const COUNT: &str = "count";

/// The death of a message: in which queue, why and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death<'a> {
    pub(super) queue: &'a str,
    pub(super) reason: DeathReason,
    /// The number of times it failed in that queue.
    pub(super) failures: u16,
    /// Seconds since 1970.
    pub(super) time_s: u64,
    pub(super) compat: Compat,
}

/// A dead message on its way.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) message: Message,
    /// The keys to route it by.
    pub(super) keys: Vec<ShortStr>,
    /// Its `x-death` header.
    deaths: Vec<FieldTable>,
}

/// Makes a letter of a message that died. All that is not said of deaths stays byte for byte.
pub(super) fn letter(message: &Message, death: Death<'_>, to: &DeadLetterTo) -> Letter {
    if death.reason == DeathReason::Due {
        return due(message);
    }
    let mut properties = RawProperties::split(message.properties());
    let (exchange, key) = message.exchange_and_key();
    let mut headers = properties.headers();
    let mut keys = vec![ShortStr::truncated(key)];
    // The keys of `BCC` are not known any more.
    if !message.past().has_new_key {
        keys.extend(told_copies(&headers));
    }
    let expiration = properties.text(Property::Expiration);
    let expiration = expiration.map(|text| match message.time_to_live_ms() {
        Some(ms) if !death.compat.is_3_10() => ShortStr::truncated(&ms.to_string()),
        _ => text,
    });
    properties.remove(Property::Expiration);
    let died = DeathDetails { exchange, keys: &keys, expiration };
    if death.compat.is_3_10() {
        record_3_10(&mut headers, &died.table_3_10(death), death, exchange);
    } else {
        let earlier = if message.past().has_died { deaths(&headers) } else { Vec::new() };
        record(&mut headers, earlier, died.table(death), death, exchange);
    }
    let mut past = past_of(message, death);
    if let Some(key) = &to.routing_key {
        if death.compat.is_3_10() {
            headers.remove("CC");
        } else {
            past.has_new_key = true;
        }
        keys = vec![key.clone()];
    }
    properties.set_headers(&headers);
    let layout = Layout { past, ..Layout::default() };
    let rewritten = rewritten(message, layout, &to.exchange, &keys[0], &properties);
    Letter { message: rewritten, keys, deaths: deaths(&headers) }
}

/// Returns the history that a letter of a message has; in 3.10 the failures in this queue are not added.
fn past_of(message: &Message, death: Death<'_>) -> MessageHistory {
    let past = MessageHistory { has_died: true, ..message.past() };
    if death.compat.is_3_10() { past } else { past.with_failures(death.failures) }
}

/// A message that was kept until now, as it was published, but that its delay is told negative: it is over.
fn due(message: &Message) -> Letter {
    let mut properties = RawProperties::split(message.properties());
    let mut headers = properties.headers();
    if let Some(delay) = headers.get(DELAY) {
        headers.insert(DELAY, &negated(&delay));
        properties.set_headers(&headers);
    }
    let (exchange, key) = message.exchange_and_key();
    let mut keys = vec![ShortStr::truncated(key)];
    if !message.past().has_new_key {
        keys.extend(told_copies(&headers));
    }
    let layout = Layout {
        past: message.past(),
        time_to_live_ms: message.time_to_live_ms(),
        ..Layout::default()
    };
    let exchange = ShortStr::truncated(exchange);
    let rewritten = rewritten(message, layout, &exchange, &keys[0], &properties);
    Letter { message: rewritten, keys, deaths: Vec::new() }
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
    properties: &RawProperties<'_>,
) -> Message {
    let mut bytes = Vec::with_capacity(message.len() + 512);
    let mut to = Writer::new(&mut bytes);
    to.short(exchange);
    to.short(key);
    let names_len = bytes.len();
    bytes.extend_from_slice(&properties.to_bytes());
    let layout = Layout {
        names_len,
        properties_len: bytes.len() - names_len,
        is_persistent: message.is_persistent(),
        priority: message.priority(),
        ..layout
    };
    bytes.extend_from_slice(message.body());
    Message::new(layout, &mut bytes)
}

/// The facts in a death's table beside the death itself.
struct DeathDetails<'a> {
    exchange: &'a str,
    keys: &'a [ShortStr],
    expiration: Option<ShortStr>,
}

impl DeathDetails<'_> {
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
fn deaths(headers: &RawTable<'_>) -> Vec<FieldTable> {
    let Some(FieldValue::Array(values)) = headers.get(DEATHS) else { return Vec::new() };
    let table = |value| match value {
        FieldValue::Table(table) => Some(table),
        _ => None,
    };
    values.into_iter().filter_map(table).collect()
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
    headers: &mut RawTable<'_>,
    mut earlier: Vec<FieldTable>,
    new: FieldTable,
    death: Death<'_>,
    exchange: &str,
) {
    let is_first = earlier.is_empty();
    let latest = take_same(&mut earlier, death).map_or(new, |same| counted(&same));
    earlier.insert(0, latest);
    headers.insert(DEATHS, &array(earlier));
    let first: &[_] = &["x-first-death-reason", "x-first-death-queue", "x-first-death-exchange"];
    let last: &[_] = &["x-last-death-reason", "x-last-death-queue", "x-last-death-exchange"];
    for names in [is_first.then_some(first), Some(last)].into_iter().flatten() {
        for (name, text) in names.iter().zip([death.reason.name(), death.queue, exchange]) {
            headers.insert(name, &text.into());
        }
    }
    headers.sort();
}

/// Records a death as RabbitMQ 3.10 does: `rabbit_dead_letter:update_x_death_header`, which trusts the header of a
/// client.
fn record_3_10(headers: &mut RawTable<'_>, new: &FieldTable, death: Death<'_>, exchange: &str) {
    match headers.get(DEATHS) {
        None => {
            let first = ["x-first-death-reason", "x-first-death-queue", "x-first-death-exchange"];
            for (name, text) in first.into_iter().zip([death.reason.name(), death.queue, exchange])
            {
                headers.insert(name, &text.into());
            }
            headers.insert(DEATHS, &array(vec![new.clone()]));
        }
        Some(FieldValue::Array(_)) => {
            let mut earlier = grouped(&deaths(headers));
            let latest =
                take_same(&mut earlier, death).map_or_else(|| new.clone(), |same| counted(&same));
            earlier.insert(0, latest.sorted());
            headers.insert(DEATHS, &array(earlier));
        }
        Some(_) => headers.insert(DEATHS, &array(vec![new.clone()])),
    }
    headers.sort();
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

/// Answers whether a letter that goes to this queue has died there before, and no client has rejected it since
/// (RabbitMQ: `rabbit_dead_letter:is_cycle`).
pub(super) fn is_cycle(letter: &Letter, queue: &str) -> bool {
    let queue = FieldValue::from(queue);
    let rejected = FieldValue::from(DeathReason::Rejected.name());
    for death in &letter.deaths {
        if death.get("reason") == Some(&rejected) {
            return false;
        }
        if death.get("queue") == Some(&queue) {
            return true;
        }
    }
    false
}
