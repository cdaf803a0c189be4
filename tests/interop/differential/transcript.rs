//! What was said, as text: one line a frame, without what differs from run to run.
//!
//! A transcript has the script's steps, each behind `>`, and under each the broker's frames in the order of connection
//! and channel, each behind `<`. Names that a broker makes, the vhost's name, times, versions and processes' names are
//! replaced by what they are.

use mq::wire::constants::{FRAME_BODY, FRAME_HEADER, FRAME_METHOD};
use mq::wire::{FieldTable, Method, Properties, Reader};

use super::speaker::{self, Place};
use super::values;

/// A step of a transcript: the line of the script, and what the broker answered.
pub(crate) type Exchange = (String, Vec<String>);

/// A frame in one line.
pub(crate) fn shown(kind: u8, payload: &[u8], place: &Place) -> String {
    let line = match kind {
        FRAME_METHOD => match speaker::decoded(payload) {
            Some(method) => method_shown(&method),
            None => format!("method {}", values::shown(payload)),
        },
        FRAME_HEADER => header_shown(payload, place.sorts_headers),
        FRAME_BODY => format!("body {}", values::shown(payload)),
        other => format!("frame of type {other}: {}", values::shown(payload)),
    };
    let line = line.replace(&format!("vhost '{}'", place.vhost), "vhost '/'");
    generated(&generated(&line, "amq.gen-", 22), "amq.ctag-", 22)
}

/// Replaces what follows a prefix that a broker puts in front of names it makes.
fn generated(line: &str, prefix: &str, len: usize) -> String {
    let mut parts = line.split(prefix);
    let mut normal = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        normal += prefix;
        normal += "<made>";
        normal += part.get(len..).unwrap_or_default();
    }
    normal
}

fn method_shown(method: &Method) -> String {
    let name = method.name();
    match method {
        Method::ConnectionStart(start) => {
            let mut mechanisms: Vec<_> =
                start.mechanisms.to_text().split(' ').map(str::to_owned).collect();
            mechanisms.sort();
            format!(
                "{name} version={}-{} mechanisms={} locales={}",
                start.version_major,
                start.version_minor,
                mechanisms.join(","),
                values::shown(start.locales.as_bytes())
            )
        }
        Method::ConnectionTune(tune) => format!(
            "{name} channel_max={} frame_max={} heartbeat={}",
            tune.channel_max, tune.frame_max, tune.heartbeat
        ),
        Method::ConnectionClose(close) => {
            closed(name, close.reply_code, &close.reply_text, close.class_id, close.method_id)
        }
        Method::ChannelClose(close) => {
            closed(name, close.reply_code, &close.reply_text, close.class_id, close.method_id)
        }
        Method::QueueDeclareOk(ok) => format!(
            "{name} queue={} messages={} consumers={}",
            ok.queue, ok.message_count, ok.consumer_count
        ),
        Method::QueuePurgeOk(ok) => format!("{name} messages={}", ok.message_count),
        Method::QueueDeleteOk(ok) => format!("{name} messages={}", ok.message_count),
        Method::BasicConsumeOk(ok) => format!("{name} tag={}", ok.consumer_tag),
        Method::BasicCancel(cancel) => {
            format!("{name} tag={} nowait={}", cancel.consumer_tag, cancel.nowait)
        }
        Method::BasicCancelOk(ok) => format!("{name} tag={}", ok.consumer_tag),
        Method::BasicReturn(back) => format!(
            "{name} {} {} exchange={} key={}",
            back.reply_code, back.reply_text, back.exchange, back.routing_key
        ),
        Method::BasicDeliver(deliver) => format!(
            "{name} consumer={} tag={} redelivered={} exchange={} key={}",
            deliver.consumer_tag,
            deliver.delivery_tag,
            deliver.redelivered,
            deliver.exchange,
            reply_key(&deliver.routing_key)
        ),
        Method::BasicGetOk(ok) => format!(
            "{name} tag={} redelivered={} exchange={} key={} left={}",
            ok.delivery_tag, ok.redelivered, ok.exchange, ok.routing_key, ok.message_count
        ),
        Method::BasicAck(ack) => {
            format!("{name} tag={} multiple={}", ack.delivery_tag, ack.multiple)
        }
        Method::BasicNack(nack) => {
            format!("{name} tag={} multiple={}", nack.delivery_tag, nack.multiple)
        }
        Method::ChannelFlowOk(ok) => format!("{name} active={}", ok.active),
        Method::AccessRequestOk(ok) => format!("{name} ticket={}", ok.ticket),
        Method::ConnectionBlocked(blocked) => format!("{name} {}", blocked.reason),
        _ => name.to_owned(),
    }
}

fn closed(name: &str, code: u16, text: &str, class: u16, method: u16) -> String {
    format!("{name} {code} {} class={class} method={method}", values::shown(text.as_bytes()))
}

/// The address of a reply queue, which a broker makes up.
fn reply_key(key: &str) -> &str {
    if key.starts_with("amq.rabbitmq.reply-to.") { "amq.rabbitmq.reply-to.<made>" } else { key }
}

fn header_shown(payload: &[u8], is_sorted: bool) -> String {
    let mut from = Reader::new(payload);
    let (Ok(class), Ok(_), Ok(size)) = (from.u16(), from.u16(), from.u64()) else {
        return format!("header {}", values::shown(payload));
    };
    let Ok(properties) = Properties::decode(from.rest()) else {
        return format!("header class={class} size={size} {}", values::shown(from.rest()));
    };
    let mut line = format!("header class={class} size={size}");
    let texts = [
        ("content_type", &properties.content_type),
        ("content_encoding", &properties.content_encoding),
        ("correlation_id", &properties.correlation_id),
        ("expiration", &properties.expiration),
        ("message_id", &properties.message_id),
        ("type", &properties.kind),
        ("user_id", &properties.user_id),
        ("app_id", &properties.app_id),
        ("cluster_id", &properties.cluster_id),
    ];
    for (name, text) in texts {
        line += &text.as_ref().map(|text| format!(" {name}={text}")).unwrap_or_default();
    }
    line +=
        &properties.reply_to.map(|to| format!(" reply_to={}", reply_key(&to))).unwrap_or_default();
    line +=
        &properties.delivery_mode.map(|mode| format!(" delivery_mode={mode}")).unwrap_or_default();
    line +=
        &properties.priority.map(|priority| format!(" priority={priority}")).unwrap_or_default();
    line += &properties.timestamp.map(|time| format!(" timestamp={time}")).unwrap_or_default();
    line + &properties
        .headers
        .map(|table| format!(" headers={}", values::shown_table(&headers(&table, is_sorted))))
        .unwrap_or_default()
}

/// The headers as they came, or by the order of their names.
fn headers(table: &FieldTable, is_sorted: bool) -> FieldTable {
    let mut entries: Vec<_> =
        table.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    if is_sorted {
        entries.sort_by(|one, other| one.0.cmp(&other.0));
    }
    entries.into_iter().collect()
}

/// A transcript as it is kept.
pub(crate) fn written(exchanges: &[Exchange]) -> String {
    let mut text = String::new();
    for (step, answers) in exchanges {
        for line in [("> ", step)].into_iter().chain(answers.iter().map(|answer| ("< ", answer))) {
            text.extend([line.0, line.1, "\n"]);
        }
    }
    text
}

/// A transcript that was kept.
pub(crate) fn read(text: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in text.lines() {
        if let Some(step) = line.strip_prefix("> ") {
            exchanges.push((step.to_owned(), Vec::new()));
        } else if let Some(answer) = line.strip_prefix("< ") {
            exchanges.last_mut().expect("a step before its answer").1.push(answer.to_owned());
        }
    }
    exchanges
}
