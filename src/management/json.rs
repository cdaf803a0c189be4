//! JSON as values of AMQP: what arguments, policies and parameters are made of.
//!
//! RabbitMQ: `rabbit_misc:to_amqp_table`. Whole numbers become signed 64-bit ones. Those that have no room there become
//! times, as which a broker has exported them, and are refused as arguments ([`check_given`]).

use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::json_text;
use crate::wire::{FieldTable, FieldValue, ShortStr};

/// The depth to which objects may be nested: tables may be no deeper (`wire::field`).
const NESTING_MAX: usize = 32;

/// An object as a table, in its own order.
///
/// # Errors
///
/// [`Refusal::BadRequest`] for names over 255 bytes and what is nested too deep.
pub(super) fn table(object: &Map<String, Value>) -> Result<FieldTable, Refusal> {
    table_at(object, 0)
}

/// An object as a table in the order of its names, all the way down, as RabbitMQ keeps what is no argument.
pub(super) fn sorted(object: &Map<String, Value>) -> Result<FieldTable, Refusal> {
    let mut object = object.clone();
    object.sort_keys();
    for value in object.values_mut() {
        value.sort_all_objects();
    }
    table_at(&object, 0)
}

/// Any value.
pub(super) fn value(value: &Value) -> Result<FieldValue, Refusal> {
    value_at(value, 0)
}

fn table_at(object: &Map<String, Value>, depth: usize) -> Result<FieldTable, Refusal> {
    let entry =
        |(name, value): (&String, &Value)| Ok((name_of(name)?, value_at(value, depth + 1)?));
    object.iter().map(entry).collect::<Result<Vec<_>, Refusal>>().map(FieldTable::from_entries)
}

fn value_at(value: &Value, depth: usize) -> Result<FieldValue, Refusal> {
    if depth > NESTING_MAX {
        return Err(Refusal::bad_request("nested too deep"));
    }
    Ok(match value {
        Value::Null => FieldValue::Void,
        Value::Bool(value) => FieldValue::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => FieldValue::I64(number),
            (None, Some(number)) => FieldValue::Timestamp(number),
            (None, None) => FieldValue::F64(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => FieldValue::LongStr(text.as_str().into()),
        Value::Array(values) => {
            let values = values.iter().map(|value| value_at(value, depth + 1));
            FieldValue::Array(values.collect::<Result<_, _>>()?)
        }
        Value::Object(object) => FieldValue::Table(table_at(object, depth)?),
    })
}

/// Refuses arguments and headers with `null`, as RabbitMQ does, and with whole numbers that are none of AMQP's integers.
pub(super) fn check_given(value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Null => Err(Refusal::bad_request("null_not_allowed")),
        Value::Number(number) if number.is_u64() && !number.is_i64() => {
            Err(Refusal::bad_request(json_text::does_not_fit(number)))
        }
        Value::Array(values) => values.iter().try_for_each(check_given),
        Value::Object(object) => object.values().try_for_each(check_given),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// A name of something.
pub(super) fn name_of(text: &str) -> Result<ShortStr, Refusal> {
    ShortStr::try_from(text).map_err(|error| Refusal::bad_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_become_tables() {
        let Value::Object(object) =
            json!({"n": 5, "f": 1.5, "t": "x", "b": true, "l": [1, null], "a": {"z": 1, "y": 2}})
        else {
            panic!("an object")
        };
        let inner = |first, second| {
            FieldTable::new().with(first, FieldValue::I64(1)).with(second, FieldValue::I64(2))
        };
        let expected = FieldTable::new()
            .with("n", FieldValue::I64(5))
            .with("f", FieldValue::F64(1.5))
            .with("t", "x")
            .with("b", true)
            .with("l", FieldValue::Array(vec![FieldValue::I64(1), FieldValue::Void]))
            .with("a", inner("z", "y"));
        assert_eq!(table(&object), Ok(expected));
        let sorted = sorted(&object).unwrap();
        let names: Vec<_> = sorted.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "f", "l", "n", "t"]);
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!([deep]);
        }
        assert!(value(&deep).is_err());
    }
}
