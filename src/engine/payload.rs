//! A message as one JSON object on one line: what `consume -o jsonl` prints and `publish --jsonl` reads.
//!
//! Names are those of RabbitMQ's management API: `exchange`, `routing_key`, `properties`, `payload`,
//! `payload_encoding` (`string`, or `base64` for a body that is not UTF-8). Reading what was printed gives the same
//! message: a header whose type JSON has no word for is written `{"$type": "int64", "value": 5}`.
//!
//! | JSON | type |
//! |---|---|
//! | `true`, `null`, text, `[...]`, `{...}` | bool, void, long string, array, table |
//! | a whole number | `I` (32 bits) when it fits, else `l` (64 bits) |
//! | a number with a fraction | `d` (double) |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value, json};

use crate::engine::consume::Delivery;
use crate::engine::error::Error;
use crate::engine::publish::Message;
use crate::json_text;
use crate::wire::{FieldTable, FieldValue, LongStr, Properties, ShortStr};

/// The key that marks a value with its type's name.
const TYPE: &str = "$type";
/// The key of such a value.
const VALUE: &str = "value";

/// The delivery as a JSON object that [`parse`] turns into the same message again.
pub fn render(delivery: &Delivery) -> Value {
    let (payload, encoding) = match std::str::from_utf8(&delivery.body) {
        Ok(text) => (text.to_owned(), "string"),
        Err(_) => (STANDARD.encode(&delivery.body), "base64"),
    };
    json!({
        "exchange": delivery.exchange.as_str(),
        "routing_key": delivery.routing_key.as_str(),
        "redelivered": delivery.redelivered,
        "properties": render_properties(&delivery.properties),
        "payload_bytes": delivery.body.len(),
        "payload": payload,
        "payload_encoding": encoding,
    })
}

/// Properties as the management API shows them, with headers as [`render_table`] does.
pub fn render_properties(properties: &Properties) -> Value {
    let Properties {
        content_type,
        content_encoding,
        headers,
        delivery_mode,
        priority,
        correlation_id,
        reply_to,
        expiration,
        message_id,
        timestamp,
        kind,
        user_id,
        app_id,
        cluster_id,
    } = properties;
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<ShortStr>| text.as_ref().map(|text| Value::from(text.as_str()));
    put("content_type", text(content_type));
    put("content_encoding", text(content_encoding));
    put("headers", headers.as_ref().map(render_table));
    put("delivery_mode", delivery_mode.map(Value::from));
    put("priority", priority.map(Value::from));
    put("correlation_id", text(correlation_id));
    put("reply_to", text(reply_to));
    put("expiration", text(expiration));
    put("message_id", text(message_id));
    put("timestamp", timestamp.map(Value::from));
    put("type", text(kind));
    put("user_id", text(user_id));
    put("app_id", text(app_id));
    put("cluster_id", text(cluster_id));
    Value::Object(object)
}

/// A table as a JSON object; as a list of pairs when its names repeat or look like a marked value.
pub fn render_table(table: &FieldTable) -> Value {
    let mut object = Map::new();
    for (name, value) in table {
        object.insert(name.to_string(), render_field(value));
    }
    if object.len() == table.len() && !object.contains_key(TYPE) {
        return Value::Object(object);
    }
    let pair = |(name, value): &(ShortStr, FieldValue)| json!([name.as_str(), render_field(value)]);
    marked("table", table.iter().map(pair).collect::<Vec<_>>())
}

/// A header's or an argument's value.
pub fn render_field(value: &FieldValue) -> Value {
    match value {
        FieldValue::Bool(value) => json!(value),
        FieldValue::I8(value) => marked("int8", *value),
        FieldValue::U8(value) => marked("uint8", *value),
        FieldValue::I16(value) => marked("int16", *value),
        FieldValue::U16(value) => marked("uint16", *value),
        FieldValue::I32(value) => json!(value),
        FieldValue::U32(value) => marked("uint32", *value),
        FieldValue::I64(value) if i32::try_from(*value).is_ok() => marked("int64", *value),
        FieldValue::I64(value) => json!(value),
        // As text: JSON has neither infinities nor a promise about the last digit.
        FieldValue::F32(value) => marked("float", value.to_string()),
        FieldValue::F64(value) if is_plain(*value) => json!(value),
        FieldValue::F64(value) => marked("double", value.to_string()),
        FieldValue::Decimal { scale, value } => {
            marked("decimal", json!({ "scale": scale, "value": value }))
        }
        FieldValue::LongStr(text) => match text.as_str() {
            Some(text) => json!(text),
            None => marked("longstr", STANDARD.encode(text.as_bytes())),
        },
        FieldValue::Bytes(bytes) => marked("binary", STANDARD.encode(bytes.as_bytes())),
        FieldValue::Array(values) => values.iter().map(render_field).collect(),
        FieldValue::Timestamp(seconds) => marked("timestamp", *seconds),
        FieldValue::Table(table) => render_table(table),
        FieldValue::Void => Value::Null,
    }
}

fn marked(name: &str, value: impl Into<Value>) -> Value {
    json!({ TYPE: name, VALUE: value.into() })
}

/// True if every reader gets a double back that is written in JSON: it has few digits, and a fraction to tell it from
/// a whole number.
fn is_plain(value: f64) -> bool {
    let text = value.to_string();
    value.is_finite() && value.fract() != 0.0 && text.len() <= 15
}

/// Reads one line of JSON as a message.
///
/// # Errors
///
/// [`Error::Usage`] that names what is wrong with it.
pub fn parse(line: &str) -> Result<Message, Error> {
    parse_message(line).map_err(|why| {
        Error::usage(
            format!("a line is not a message: {why}"),
            "write messages like `mq consume -o jsonl` prints them: \
             {\"routing_key\": \"k\", \"payload\": \"text\"}",
        )
    })
}

fn parse_message(line: &str) -> Result<Message, String> {
    let value = json_text::read(line.as_bytes()).map_err(|error| error.to_string())?;
    let Value::Object(object) = value else { return Err("it is not a JSON object".into()) };
    let text = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("'{name}' is not text")),
    };
    let payload = text("payload")?.ok_or("there is no 'payload'")?;
    let body = match text("payload_encoding")?.unwrap_or("string") {
        "string" => payload.as_bytes().to_vec(),
        "base64" => decode_base64("payload", payload)?,
        other => {
            return Err(format!("the payload_encoding '{other}' is neither string nor base64"));
        }
    };
    let properties = match object.get("properties") {
        None | Some(Value::Null) => Properties::default(),
        Some(Value::Object(properties)) => parse_properties(properties)?,
        // RabbitMQ's API writes no properties as an empty list.
        Some(Value::Array(none)) if none.is_empty() => Properties::default(),
        Some(_) => return Err("'properties' is not an object".into()),
    };
    Ok(Message {
        exchange: short("exchange", text("exchange")?.unwrap_or_default())?,
        routing_key: short("routing_key", text("routing_key")?.unwrap_or_default())?,
        properties,
        body: body.into(),
    })
}

fn parse_properties(object: &Map<String, Value>) -> Result<Properties, String> {
    let mut properties = Properties::default();
    for (name, value) in object {
        let text = || match value {
            Value::String(text) => short(name, text).map(Some),
            _ => Err(format!("the property '{name}' is not text")),
        };
        let octet = || match value.as_u64().map(u8::try_from) {
            Some(Ok(number)) => Ok(Some(number)),
            _ => Err(format!("the property '{name}' is not a number from 0 to 255")),
        };
        match name.as_str() {
            "content_type" => properties.content_type = text()?,
            "content_encoding" => properties.content_encoding = text()?,
            "headers" => match parse_field(value)? {
                FieldValue::Table(table) => properties.headers = Some(table),
                _ => return Err("the property 'headers' is not an object".into()),
            },
            "delivery_mode" => properties.delivery_mode = octet()?,
            "priority" => properties.priority = octet()?,
            "correlation_id" => properties.correlation_id = text()?,
            "reply_to" => properties.reply_to = text()?,
            "expiration" => properties.expiration = text()?,
            "message_id" => properties.message_id = text()?,
            "timestamp" => {
                let seconds = value.as_u64();
                let told = || format!("the property '{name}' is not a number of seconds");
                properties.timestamp = Some(seconds.ok_or_else(told)?);
            }
            "type" => properties.kind = text()?,
            "user_id" => properties.user_id = text()?,
            "app_id" => properties.app_id = text()?,
            "cluster_id" => properties.cluster_id = text()?,
            _ => return Err(format!("there is no property '{name}'")),
        }
    }
    Ok(properties)
}

/// Reads a header's or an argument's value; the inverse of [`render_field`].
///
/// # Errors
///
/// What is wrong with it, in words. Depth is bounded by the JSON reader (128 levels) and the encoder's peer.
pub fn parse_field(value: &Value) -> Result<FieldValue, String> {
    match value {
        Value::Null => Ok(FieldValue::Void),
        Value::Bool(value) => Ok(FieldValue::Bool(*value)),
        Value::Number(number) => parse_number(number),
        Value::String(text) => Ok(FieldValue::LongStr(text.as_str().into())),
        Value::Array(values) => {
            values.iter().map(parse_field).collect::<Result<_, _>>().map(FieldValue::Array)
        }
        Value::Object(object) => match (object.get(TYPE), object.get(VALUE)) {
            (Some(Value::String(name)), Some(value)) if object.len() == 2 => {
                parse_marked(name, value)
            }
            _ => {
                let entry = |(name, value): (&String, &Value)| {
                    Ok((short("a header's name", name)?, parse_field(value)?))
                };
                let entries: Result<FieldTable, String> = object.iter().map(entry).collect();
                entries.map(FieldValue::Table)
            }
        },
    }
}

fn parse_number(number: &Number) -> Result<FieldValue, String> {
    if let Some(value) = number.as_i64() {
        return Ok(match i32::try_from(value) {
            Ok(value) => FieldValue::I32(value),
            Err(_) => FieldValue::I64(value),
        });
    }
    match number.as_f64() {
        Some(value) if !number.is_u64() => Ok(FieldValue::F64(value)),
        _ => Err(json_text::does_not_fit(number)),
    }
}

fn parse_marked(name: &str, value: &Value) -> Result<FieldValue, String> {
    let wrong = || format!("{value} is not a value of the type '{name}'");
    let signed = || value.as_i64().ok_or_else(wrong);
    let unsigned = || value.as_u64().ok_or_else(wrong);
    let text = || value.as_str().ok_or_else(wrong);
    let bytes = || decode_base64(name, text()?).map(LongStr::from);
    Ok(match name {
        "int8" => FieldValue::I8(fit(signed()?, wrong)?),
        "uint8" => FieldValue::U8(fit(unsigned()?, wrong)?),
        "int16" => FieldValue::I16(fit(signed()?, wrong)?),
        "uint16" => FieldValue::U16(fit(unsigned()?, wrong)?),
        "int32" => FieldValue::I32(fit(signed()?, wrong)?),
        "uint32" => FieldValue::U32(fit(unsigned()?, wrong)?),
        "int64" => FieldValue::I64(signed()?),
        "float" => FieldValue::F32(text()?.parse().map_err(|_| wrong())?),
        "double" => FieldValue::F64(text()?.parse().map_err(|_| wrong())?),
        "decimal" => FieldValue::Decimal {
            scale: fit(value["scale"].as_u64().ok_or_else(wrong)?, wrong)?,
            value: fit(value["value"].as_i64().ok_or_else(wrong)?, wrong)?,
        },
        "longstr" => FieldValue::LongStr(bytes()?),
        "binary" => FieldValue::Bytes(bytes()?),
        "timestamp" => FieldValue::Timestamp(unsigned()?),
        "table" => FieldValue::Table(parse_pairs(value.as_array().ok_or_else(wrong)?)?),
        _ => return Err(format!("there is no type '{name}'")),
    })
}

fn parse_pairs(pairs: &[Value]) -> Result<FieldTable, String> {
    let mut entries = Vec::new();
    for pair in pairs {
        let Some([Value::String(name), value]) = pair.as_array().map(Vec::as_slice) else {
            return Err(format!("{pair} is not a pair of a name and a value"));
        };
        entries.push((short("a header's name", name)?, parse_field(value)?));
    }
    Ok(FieldTable::from_entries(entries))
}

fn fit<Wide, Narrow: TryFrom<Wide>>(
    value: Wide,
    wrong: impl Fn() -> String,
) -> Result<Narrow, String> {
    Narrow::try_from(value).map_err(|_| wrong())
}

fn short(name: &str, text: &str) -> Result<ShortStr, String> {
    ShortStr::try_from(text).map_err(|error| format!("'{name}': {error}"))
}

fn decode_base64(name: &str, text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| format!("'{name}' is not base64: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shortstr::literal;

    fn every_type() -> FieldTable {
        FieldTable::new()
            .with("t", true)
            .with("b", FieldValue::I8(-1))
            .with("B", FieldValue::U8(255))
            .with("s", FieldValue::I16(-300))
            .with("u", FieldValue::U16(65535))
            .with("I", FieldValue::I32(-70_000))
            .with("i", FieldValue::U32(u32::MAX))
            .with("l small", FieldValue::I64(5))
            .with("l", FieldValue::I64(i64::MIN))
            .with("f", FieldValue::F32(0.1))
            .with("f inf", FieldValue::F32(f32::INFINITY))
            .with("d", FieldValue::F64(-2.25))
            .with("d whole", FieldValue::F64(3.0))
            .with("d long", FieldValue::F64(0.1 + 0.2))
            .with("d huge", FieldValue::F64(1e300))
            .with("D", FieldValue::Decimal { scale: 2, value: -12345 })
            .with("S", "text")
            .with("S raw", FieldValue::LongStr(vec![255, 0].into()))
            .with("x", FieldValue::Bytes(vec![0, 255].into()))
            .with("A", FieldValue::Array(vec![FieldValue::Void, true.into(), "x".into()]))
            .with("T", FieldValue::Timestamp(1_700_000_000))
            .with("F", FieldTable::new().with("in", "side"))
            .with("F marked", FieldTable::new().with("$type", "int8").with("value", "x"))
            .with("V", FieldValue::Void)
    }

    fn delivery(body: &'static [u8]) -> Delivery {
        let properties = Properties {
            content_type: Some(literal("text/plain")),
            content_encoding: Some(literal("utf-8")),
            headers: Some(every_type()),
            delivery_mode: Some(2),
            priority: Some(9),
            correlation_id: Some(literal("c")),
            reply_to: Some(literal("r")),
            expiration: Some(literal("60000")),
            message_id: Some(literal("m")),
            timestamp: Some(1_700_000_000),
            kind: Some(literal("t")),
            user_id: Some(literal("guest")),
            app_id: Some(literal("a")),
            cluster_id: Some(literal("x")),
        };
        Delivery {
            tag: 7,
            redelivered: true,
            exchange: literal("x"),
            routing_key: literal("k"),
            properties,
            body: body.into(),
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same_message() {
        let bodies: [&[u8]; 3] = [b"text \xc3\xa9 \"quoted\"\n", &[0, 159, 146, 150], b""];
        for body in bodies {
            let delivery = delivery(body);
            let line = render(&delivery).to_string();
            assert!(!line.contains('\n'), "{line}");
            let message = parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(message.properties, delivery.properties, "{line}");
            assert_eq!(message.body, delivery.body, "{line}");
            assert_eq!((message.exchange, message.routing_key), (literal("x"), literal("k")));
        }
    }

    #[test]
    fn a_table_whose_names_repeat_keeps_them() {
        let twice = vec![(literal("k"), FieldValue::I32(1)), (literal("k"), FieldValue::I32(2))];
        let table = FieldTable::from_entries(twice);
        assert_eq!(parse_field(&render_table(&table)), Ok(FieldValue::Table(table)));
    }

    #[test]
    fn a_message_written_by_hand_needs_little() {
        let message = parse(r#"{"payload": "hi", "properties": {"headers": {"n": 3}}}"#).unwrap();
        assert_eq!(&message.body[..], b"hi");
        let headers = message.properties.headers.unwrap();
        assert_eq!(headers.get("n"), Some(&FieldValue::I32(3)));
    }

    #[test]
    fn what_is_no_message_is_told() {
        #[rustfmt::skip]
        let cases = [
            ("[]",                                              "it is not a JSON object"),
            ("{}",                                              "there is no 'payload'"),
            (r#"{"payload": 1}"#,                               "'payload' is not text"),
            (r#"{"payload": "", "payload_encoding": "gzip"}"#,  "the payload_encoding 'gzip' is neither string nor base64"),
            (r#"{"payload": "", "properties": {"prio": 1}}"#,   "there is no property 'prio'"),
            (r#"{"payload": "", "properties": {"priority": 300}}"#, "the property 'priority' is not a number from 0 to 255"),
            (r#"{"payload": "", "properties": {"headers": {"k": {"$type": "int8", "value": 300}}}}"#,
                "300 is not a value of the type 'int8'"),
            (r#"{"payload": "", "properties": {"headers": {"k": 18446744073709551615}}}"#,
                "the number 18446744073709551615 does not fit 64 bits"),
            (r#"{"payload": "", "properties": {"headers": {"k": 18446744073709551616}}}"#,
                "the number 18446744073709551616 does not fit 64 bits"),
        ];
        for (line, why) in cases {
            let error = parse(line).expect_err(line);
            assert_eq!(error.to_string(), format!("a line is not a message: {why}"), "{line}");
        }
    }
}
