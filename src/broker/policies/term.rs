//! Values the way Erlang prints them, for texts about policies and parameters.

use crate::wire::{FieldTable, FieldValue, erlang};

/// A value that came as JSON, printed as RabbitMQ's term for it.
pub fn term(value: &FieldValue) -> String {
    match value {
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::F32(value) => float(f64::from(*value)),
        FieldValue::F64(value) => float(*value),
        FieldValue::LongStr(text) | FieldValue::Bytes(text) => erlang::binary(text.as_bytes()),
        FieldValue::Array(values) => {
            format!("[{}]", values.iter().map(term).collect::<Vec<_>>().join(","))
        }
        FieldValue::Table(table) => {
            let entry = |(name, value): &(_, FieldValue)| {
                let name: &crate::wire::ShortStr = name;
                format!("{} => {}", erlang::binary(name.as_bytes()), term(value))
            };
            format!("#{{{}}}", table.iter().map(entry).collect::<Vec<_>>().join(","))
        }
        FieldValue::Void => "null".to_owned(),
        other => other.as_integer().unwrap_or_default().to_string(),
    }
}

/// Erlang prints a float with a point.
fn float(value: f64) -> String {
    let text = value.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// Named values as a list of pairs.
pub fn pairs(table: &FieldTable) -> String {
    let pair = |(name, value): &(crate::wire::ShortStr, FieldValue)| {
        format!("{{{},{}}}", erlang::binary(name.as_bytes()), term(value))
    };
    format!("[{}]", table.iter().map(pair).collect::<Vec<_>>().join(","))
}
