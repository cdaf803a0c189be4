//! Field tables as JSON, the way RabbitMQ's management API writes them.
//!
//! RabbitMQ: `rabbit_misc:amqp_table` and `rabbit_mgmt_format`. Types of numbers are lost on this way; an empty
//! table is `{}`, not RabbitMQ's occasional `[]`.

use serde_json::{Map, Number, Value};

use crate::wire::{FieldTable, FieldValue};

/// A table as a JSON object; of two values with one name the later counts.
pub(super) fn object(table: &FieldTable) -> Value {
    let entries = table.iter().map(|(name, field)| (name.to_string(), value(field)));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// One value.
pub(super) fn value(field: &FieldValue) -> Value {
    match field {
        FieldValue::Bool(value) => (*value).into(),
        FieldValue::I8(value) => (*value).into(),
        FieldValue::U8(value) => (*value).into(),
        FieldValue::I16(value) => (*value).into(),
        FieldValue::U16(value) => (*value).into(),
        FieldValue::I32(value) => (*value).into(),
        FieldValue::U32(value) => (*value).into(),
        FieldValue::I64(value) => (*value).into(),
        FieldValue::F32(value) => float(f64::from(*value)),
        FieldValue::F64(value) => float(*value),
        FieldValue::Decimal { scale, value } => {
            float(f64::from(*value) / 10_f64.powi(i32::from(*scale)))
        }
        FieldValue::LongStr(text) | FieldValue::Bytes(text) => text.to_text().into(),
        FieldValue::Array(values) => values.iter().map(value).collect(),
        FieldValue::Timestamp(seconds) => (*seconds).into(),
        FieldValue::Table(table) => object(table),
        FieldValue::Void => Value::Null,
    }
}

/// JSON has no infinities.
fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_become_objects() {
        let table = FieldTable::new()
            .with("x-message-ttl", FieldValue::I32(600))
            .with("big", FieldValue::I64(i64::MIN))
            .with("half", FieldValue::F64(0.5))
            .with("never", FieldValue::F64(f64::INFINITY))
            .with("money", FieldValue::Decimal { scale: 2, value: 1234 })
            .with("name", "text")
            .with("octets", FieldValue::Bytes(vec![0xff].into()))
            .with("list", FieldValue::Array(vec![true.into(), FieldValue::Void]))
            .with("at", FieldValue::Timestamp(1_700_000_000))
            .with("in", FieldTable::new());
        let expected = json!({
            "x-message-ttl": 600, "big": i64::MIN, "half": 0.5, "never": null, "money": 12.34,
            "name": "text", "octets": "\u{fffd}", "list": [true, null], "at": 1_700_000_000, "in": {},
        });
        assert_eq!(object(&table), expected);
    }
}
