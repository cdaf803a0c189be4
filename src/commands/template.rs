//! A message as text: `{routing_key}: {body}`, and the same names as `MQ_*` variables for programs.

use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::engine::{Delivery, FieldValue};

/// The names that every message has a value for, if only an empty one.
const NAMES: [&str; 19] = [
    "body",
    "queue",
    "exchange",
    "routing_key",
    "redelivered",
    "delivery_tag",
    "content_type",
    "content_encoding",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
];
/// In front of the name of a header.
const HEADER: &str = "header.";

/// Text with names in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(&'static str),
    Header(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidTemplate {
    #[error("'{name}' is not a field of a message: use {}, or {HEADER}NAME", NAMES.join(", "))]
    UnknownField { name: String },
    #[error("a '{{' is not closed; write '{{{{' for a literal brace")]
    Unclosed,
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(template: &str) -> Result<Self, InvalidTemplate> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template.chars();
        while let Some(c) = rest.next() {
            let after = rest.as_str();
            match c {
                '{' | '}' if after.starts_with(c) => {
                    text.push(c);
                    rest.next();
                }
                '{' => {
                    let (name, behind) = after.split_once('}').ok_or(InvalidTemplate::Unclosed)?;
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(field(name)?);
                    rest = behind.chars();
                }
                '\\' => match rest.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('0') => text.push('\0'),
                    Some(other) => text.push(other),
                    None => text.push('\\'),
                },
                c => text.push(c),
            }
        }
        parts.push(Part::Text(text));
        Ok(Self(parts))
    }
}

fn field(name: &str) -> Result<Part, InvalidTemplate> {
    if let Some(header) = name.strip_prefix(HEADER) {
        return Ok(Part::Header(header.to_owned()));
    }
    let known = NAMES.iter().find(|known| **known == name);
    known
        .map(|known| Part::Field(known))
        .ok_or_else(|| InvalidTemplate::UnknownField { name: name.to_owned() })
}

impl Template {
    /// The text for one message. The body's bytes stay as they are.
    pub(super) fn fill(&self, delivery: &Delivery, queue: &str) -> Vec<u8> {
        let mut filled = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.extend_from_slice(text.as_bytes()),
                Part::Field("body") => filled.extend_from_slice(&delivery.body),
                Part::Field(name) => {
                    filled.extend_from_slice(value(name, delivery, queue).as_bytes());
                }
                Part::Header(name) => {
                    let headers = delivery.properties.headers.as_ref();
                    let header = headers.and_then(|headers| headers.get(name));
                    filled.extend_from_slice(header.map(field_text).unwrap_or_default().as_bytes());
                }
            }
        }
        filled
    }
}

/// A delivery's fields as environment variables: `MQ_ROUTING_KEY`, `MQ_HEADER_X_RETRIES`. What a message has not
/// is not set.
pub(super) fn variables(delivery: &Delivery, queue: &str) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for name in NAMES.into_iter().filter(|name| *name != "body") {
        let is_place = matches!(name, "queue" | "exchange" | "routing_key");
        let text = value(name, delivery, queue);
        if is_place || !text.is_empty() {
            variables.push((format!("MQ_{}", shouted(name)), text));
        }
    }
    for (name, header) in delivery.properties.headers.iter().flat_map(|headers| headers.iter()) {
        variables.push((format!("MQ_HEADER_{}", shouted(name)), field_text(header)));
    }
    // The operating system takes no zero byte in a variable.
    variables.retain(|(_, text)| !text.contains('\0'));
    variables
}

/// A name as variables have it: capitals, digits and underscores.
fn shouted(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

/// The text of one of [`NAMES`], empty when the message has none.
pub(super) fn value(name: &str, delivery: &Delivery, queue: &str) -> String {
    let properties = &delivery.properties;
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let text = match name {
        "queue" => return queue.to_owned(),
        "exchange" => return delivery.exchange.to_string(),
        "routing_key" => return delivery.routing_key.to_string(),
        "redelivered" => return delivery.redelivered.to_string(),
        "delivery_tag" => return delivery.tag.to_string(),
        "delivery_mode" => {
            return number(properties.delivery_mode.map(u64::from)).unwrap_or_default();
        }
        "priority" => return number(properties.priority.map(u64::from)).unwrap_or_default(),
        "timestamp" => return number(properties.timestamp).unwrap_or_default(),
        "content_type" => &properties.content_type,
        "content_encoding" => &properties.content_encoding,
        "correlation_id" => &properties.correlation_id,
        "reply_to" => &properties.reply_to,
        "expiration" => &properties.expiration,
        "message_id" => &properties.message_id,
        "type" => &properties.kind,
        "user_id" => &properties.user_id,
        "app_id" => &properties.app_id,
        "cluster_id" => &properties.cluster_id,
        _ => return String::new(),
    };
    text.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// A header's value as people write it; what is nested looks like JSON.
fn field_text(value: &FieldValue) -> String {
    match value {
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::F32(value) => value.to_string(),
        FieldValue::F64(value) => value.to_string(),
        FieldValue::Decimal { scale, value } => format!("{value}e-{scale}"),
        FieldValue::LongStr(text) => text.to_text(),
        FieldValue::Bytes(bytes) => BASE64.encode(bytes.as_bytes()),
        FieldValue::Timestamp(seconds) => seconds.to_string(),
        FieldValue::Void => String::new(),
        FieldValue::Array(values) => {
            let texts: Vec<String> = values.iter().map(inner_text).collect();
            format!("[{}]", texts.join(","))
        }
        FieldValue::Table(table) => {
            let mut text = String::from("{");
            for (place, (name, value)) in table.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                let _ = write!(text, "{comma}{name:?}:{}", inner_text(value));
            }
            text + "}"
        }
        integer => integer.as_integer().map(|integer| integer.to_string()).unwrap_or_default(),
    }
}

fn inner_text(value: &FieldValue) -> String {
    match value {
        FieldValue::LongStr(text) => format!("{:?}", text.to_text()),
        FieldValue::Void => "null".to_owned(),
        other => field_text(other),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::engine::{FieldTable, Properties, ShortStr};

    fn delivery() -> Delivery {
        let headers = FieldTable::new().with("x-retries", true).with("name", "Ada");
        Delivery {
            tag: 7,
            redelivered: true,
            exchange: ShortStr::try_from("logs").unwrap(),
            routing_key: ShortStr::try_from("kern.info").unwrap(),
            properties: Properties {
                headers: Some(headers),
                content_type: ShortStr::try_from("text/plain").ok(),
                ..Properties::default()
            },
            body: Bytes::from_static(b"hello \xff"),
        }
    }

    #[test]
    fn names_in_braces_are_filled_in() {
        #[rustfmt::skip]
        let cases = [
            ("{routing_key}: {exchange}",    "kern.info: logs"),
            ("{queue}\\t{redelivered}\\n",   "q\ttrue\n"),
            ("{{{delivery_tag}}}",           "{7}"),
            ("{header.name}/{header.none}",  "Ada/"),
            ("{content_type}{message_id}",   "text/plain"),
            ("",                             ""),
        ];
        for (template, filled) in cases {
            let template: Template = template.parse().unwrap();
            assert_eq!(String::from_utf8(template.fill(&delivery(), "q")).unwrap(), filled);
        }
    }

    #[test]
    fn the_bytes_of_a_body_stay_as_they_are() {
        let template: Template = "<{body}>".parse().unwrap();
        assert_eq!(template.fill(&delivery(), "q"), b"<hello \xff>");
    }

    #[test]
    fn unknown_names_are_refused() {
        assert_eq!("{".parse::<Template>(), Err(InvalidTemplate::Unclosed));
        let unknown = "{key}".parse::<Template>().unwrap_err().to_string();
        assert!(
            unknown.starts_with("'key' is not a field of a message: use body, queue,"),
            "{unknown}"
        );
    }

    #[test]
    fn a_program_sees_what_the_message_has() {
        let variables = variables(&delivery(), "q");
        let texts: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            texts,
            [
                "MQ_QUEUE=q",
                "MQ_EXCHANGE=logs",
                "MQ_ROUTING_KEY=kern.info",
                "MQ_REDELIVERED=true",
                "MQ_DELIVERY_TAG=7",
                "MQ_CONTENT_TYPE=text/plain",
                "MQ_HEADER_X_RETRIES=true",
                "MQ_HEADER_NAME=Ada",
            ]
        );
    }
}
