//! A script: one step a line, and what a line means.
//!
//! ```text
//! # a remark
//! a1 queue.declare queue=q durable x-max-length=5      a method on channel 1 of connection a
//! a1 publish routing_key=q body=hello priority=3 k=v   method, header and body; what is no property is a header
//! a1! queue.purge queue=q                              the same without opening the connection or the channel first
//! a0 raw 08000100000000ce                              bytes as they are, on a connection that is logged in
//! a0! raw 414d515000000901                             ... on one that has said nothing yet
//! a0 hangup                                            the client hangs up without a word
//! wait 300                                             milliseconds in which only the broker speaks
//! http PUT policies/%vhost/p {"pattern":"","definition":{"max-length":2}}
//! ```
//!
//! Connections and channels are opened when a step first names them, and again after a broker closed them, so that a
//! step which ends in an error does not hinder the next. What [`super::speaker`] does for a step is in [`Step`].

use std::time::Duration;

use mq::wire::codec::Wire as _;
use mq::wire::constants::FRAME_MAX_DEFAULT;
use mq::wire::method::METHODS;
use mq::wire::{FieldTable, Properties, frame};

use super::values;

/// A step and what is to be done for it.
#[derive(Debug)]
pub(crate) struct Step {
    /// The line as it stands in the script.
    pub(crate) line: String,
    pub(crate) action: Action,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Action {
    /// Bytes for a channel of a connection.
    Send { connection: char, channel: u16, opening: Opening, kind: Kind, bytes: Vec<u8> },
    /// The client hangs up.
    HangUp { connection: char },
    /// Time passes, for what a broker does by itself.
    Wait { time: Duration },
    /// A request to the management API; `%vhost` in the path is the script's own.
    Http { method: String, path: String, body: String },
}

/// Whether connection and channel are opened before the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    First,
    Never,
}

/// What follows the bytes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The channel goes on: a question behind the step shows that it is done.
    Method,
    /// The channel goes on, but takes nothing before it has answered.
    Commit,
    /// The client says goodbye to the channel or the connection.
    Goodbye,
    /// Nothing can be asked behind it.
    Raw,
}

/// The lines of a script that are steps.
pub(crate) fn lines(script: &str) -> impl Iterator<Item = &str> {
    script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The same step where RabbitMQ refuses queues that are neither durable nor exclusive.
pub(crate) fn made_durable(line: &str) -> String {
    let says = |word: &str| line.split_whitespace().any(|said| said == word);
    let is_refused = line.contains(" queue.declare ")
        && !line.contains("! ")
        && !line.contains(" x-queue-type=")
        && !["durable", "exclusive", "passive"].into_iter().any(says);
    if is_refused { format!("{line} durable") } else { line.to_owned() }
}

/// The step on a line.
pub(crate) fn step(line: &str) -> Step {
    let mut words = line.split_whitespace();
    let place = words.next().expect("a line that is not empty");
    let verb = words.next().unwrap_or_else(|| panic!("'{line}' does nothing"));
    if place == "wait" {
        let time = Duration::from_millis(verb.parse().expect("milliseconds"));
        return Step { line: line.to_owned(), action: Action::Wait { time } };
    }
    if place == "http" {
        let path = words.next().expect("a path").to_owned();
        let body = words.collect::<Vec<_>>().join(" ");
        let action = Action::Http { method: verb.to_owned(), path, body };
        return Step { line: line.to_owned(), action };
    }
    let words: Vec<&str> = words.collect();
    let (place, opening) = match place.strip_suffix('!') {
        Some(place) => (place, Opening::Never),
        None => (place, Opening::First),
    };
    let connection = place.chars().next().expect("a connection's letter");
    let channel: u16 = place[1..].parse().unwrap_or_else(|_| panic!("no channel in '{line}'"));
    let mut bytes = Vec::new();
    let kind = match verb {
        "hangup" => return Step { line: line.to_owned(), action: Action::HangUp { connection } },
        "raw" => {
            for word in &words {
                hex(word, &mut bytes);
            }
            Kind::Raw
        }
        "publish" => {
            publish(&words, channel, &mut bytes);
            Kind::Method
        }
        "channel.close" | "connection.close" => {
            method(verb, &words, channel, &mut bytes);
            Kind::Goodbye
        }
        "tx.commit" => {
            method(verb, &words, channel, &mut bytes);
            Kind::Commit
        }
        _ if opening == Opening::Never => {
            method(verb, &words, channel, &mut bytes);
            Kind::Raw
        }
        _ => {
            method(verb, &words, channel, &mut bytes);
            Kind::Method
        }
    };
    let action = Action::Send { connection, channel, opening, kind, bytes };
    Step { line: line.to_owned(), action }
}

/// Bytes written as hexadecimal digits, or as text in quotes.
fn hex(word: &str, to: &mut Vec<u8>) {
    if let Some(text) = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        to.extend(values::text(text));
        return;
    }
    let (count, digits) = word.split_once('*').unwrap_or(("1", word));
    for _ in 0..count.parse::<u32>().unwrap() {
        for at in (0..digits.len()).step_by(2) {
            to.push(u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
        }
    }
}

/// Writes the method called `name`, its fields taken from `words`; what is no field is an argument.
fn method(name: &str, words: &[&str], channel: u16, to: &mut Vec<u8>) {
    let layout = METHODS.iter().find(|layout| layout.name == name);
    let layout = layout.unwrap_or_else(|| panic!("there is no method '{name}'"));
    let given = |field: &str| {
        words.iter().find_map(|word| match word.split_once('=') {
            Some((key, value)) => (key == field).then_some(value),
            None => (*word == field).then_some("true"),
        })
    };
    let is_field = |word: &&&str| {
        let key = word.split_once('=').map_or(**word, |(key, _)| key);
        layout.fields.iter().any(|(name, _)| *name == key)
    };
    let arguments: FieldTable =
        words.iter().filter(|word| !is_field(word)).map(|word| values::entry(word)).collect();
    frame::write_with(to, 1, channel, |to| {
        to.u16(layout.class_id);
        to.u16(layout.method_id);
        for (field, of_type) in layout.fields {
            let word = given(field).unwrap_or_default();
            let number = || word.parse::<u64>().unwrap_or_default();
            match *of_type {
                "bool" => to.bit(word == "true"),
                "u8" => to.u8(number().try_into().unwrap()),
                "u16" => to.u16(number().try_into().unwrap()),
                "u32" => to.u32(number().try_into().unwrap()),
                "u64" => to.u64(number()),
                "ShortStr" => to.short(&values::short(word)),
                "LongStr" => to.long(&values::text(word)),
                "FieldTable" => arguments.write(to),
                other => panic!("a field of type {other}"),
            }
        }
    });
}

/// Writes a publish: method, header and body.
fn publish(words: &[&str], channel: u16, to: &mut Vec<u8>) {
    const FIELDS: [&str; 4] = ["exchange", "routing_key", "mandatory", "immediate"];
    let mut properties = Properties::default();
    let (mut fields, mut headers, mut body) = (Vec::new(), Vec::new(), Vec::new());
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, "true"));
        match key {
            _ if FIELDS.contains(&key) => fields.push(*word),
            "body" => body = values::text(value),
            "content_type" => properties.content_type = Some(values::short(value)),
            "delivery_mode" => properties.delivery_mode = Some(value.parse().unwrap()),
            "priority" => properties.priority = Some(value.parse().unwrap()),
            "correlation_id" => properties.correlation_id = Some(values::short(value)),
            "reply_to" => properties.reply_to = Some(values::short(value)),
            "expiration" => properties.expiration = Some(values::short(value)),
            "message_id" => properties.message_id = Some(values::short(value)),
            "timestamp" => properties.timestamp = Some(value.parse().unwrap()),
            "type" => properties.kind = Some(values::short(value)),
            "user_id" => properties.user_id = Some(values::short(value)),
            "app_id" => properties.app_id = Some(values::short(value)),
            _ => headers.push(values::entry(word)),
        }
    }
    if !headers.is_empty() {
        properties.headers = Some(headers.into_iter().collect());
    }
    method("basic.publish", &fields, channel, to);
    frame::write_content(to, channel, &properties.to_bytes(), &body, FRAME_MAX_DEFAULT);
}
