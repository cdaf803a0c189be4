//! Named values with types on the command line: `k=v`, `k:int=5`.
//!
//! Headers of messages, arguments of queues, exchanges and bindings are all written this way.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::engine::{FieldTable, FieldValue, ShortStr};
use crate::json_text;

/// One named value, `NAME[:TYPE]=VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::commands) struct Argument {
    pub name: ShortStr,
    pub value: FieldValue,
}

/// A text that is no named value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::commands) enum InvalidArgument {
    #[error("'{text}' has no '=': write NAME=VALUE or NAME:TYPE=VALUE")]
    NoValue { text: String },
    #[error("'{kind}' is not a type: use one of {}", TYPES.join(", "))]
    UnknownType { kind: String },
    #[error("'{value}' is not a valid {kind}")]
    BadValue { kind: String, value: String },
    #[error("a name may have at most 255 bytes")]
    LongName,
}

/// The types' names; a value without one is text.
const TYPES: [&str; 11] =
    ["str", "int", "int32", "short", "byte", "float", "bool", "time", "bytes", "json", "null"];

impl FromStr for Argument {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let (left, value) = text
            .split_once('=')
            .ok_or_else(|| InvalidArgument::NoValue { text: text.to_owned() })?;
        let (name, kind) = left.rsplit_once(':').unwrap_or((left, "str"));
        Ok(Self {
            name: ShortStr::try_from(name).map_err(|_| InvalidArgument::LongName)?,
            value: typed(kind, value)?,
        })
    }
}

fn typed(kind: &str, value: &str) -> Result<FieldValue, InvalidArgument> {
    let bad = || InvalidArgument::BadValue { kind: kind.to_owned(), value: value.to_owned() };
    Ok(match kind {
        "str" => value.into(),
        "int" => FieldValue::I64(value.parse().map_err(|_| bad())?),
        "int32" => FieldValue::I32(value.parse().map_err(|_| bad())?),
        "short" => FieldValue::I16(value.parse().map_err(|_| bad())?),
        "byte" => FieldValue::I8(value.parse().map_err(|_| bad())?),
        "float" => FieldValue::F64(value.parse().map_err(|_| bad())?),
        "bool" => FieldValue::Bool(value.parse().map_err(|_| bad())?),
        "time" => FieldValue::Timestamp(seconds(value).ok_or_else(bad)?),
        "bytes" => FieldValue::Bytes(BASE64.decode(value).map_err(|_| bad())?.into()),
        "json" => json_text::read(value.as_bytes()).ok().and_then(nested).ok_or_else(bad)?,
        "null" => FieldValue::Void,
        kind => return Err(InvalidArgument::UnknownType { kind: kind.to_owned() }),
    })
}

/// Seconds since 1970, given as such or as a date of RFC 3339.
pub(in crate::commands) fn seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// JSON as AMQP values: integers have 64 bits, other numbers are doubles.
fn nested(value: Value) -> Option<FieldValue> {
    Some(match value {
        Value::Null => FieldValue::Void,
        Value::Bool(value) => FieldValue::Bool(value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => FieldValue::I64(integer),
            None if number.is_u64() => return None,
            None => FieldValue::F64(number.as_f64()?),
        },
        Value::String(text) => FieldValue::LongStr(text.into()),
        Value::Array(values) => {
            FieldValue::Array(values.into_iter().map(nested).collect::<Option<_>>()?)
        }
        Value::Object(fields) => {
            let mut table = FieldTable::new();
            for (name, value) in fields {
                table.insert(ShortStr::try_from(name).ok()?, nested(value)?);
            }
            FieldValue::Table(table)
        }
    })
}

/// The arguments as a table, in their order; a name given twice keeps its last value.
pub(in crate::commands) fn table(arguments: &[Argument]) -> FieldTable {
    let mut table = FieldTable::new();
    for argument in arguments {
        table.insert(argument.name.clone(), argument.value.clone());
    }
    table
}

/// One of an option's possible values, as the broker knows it: by the same name.
pub(in crate::commands) fn word<T: clap::ValueEnum + Copy>(value: T) -> FieldValue {
    let name = value.to_possible_value().expect("no value is skipped");
    FieldValue::from(name.get_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_after_a_colon() {
        #[rustfmt::skip]
        let cases = [
            ("k=v",               FieldValue::from("v")),
            ("k=a=b",             FieldValue::from("a=b")),
            ("k=",                FieldValue::from("")),
            ("k:int=-5",          FieldValue::I64(-5)),
            ("k:int32=5",         FieldValue::I32(5)),
            ("k:short=5",         FieldValue::I16(5)),
            ("k:byte=5",          FieldValue::I8(5)),
            ("k:float=0.5",       FieldValue::F64(0.5)),
            ("k:bool=true",       FieldValue::Bool(true)),
            ("k:time=1700000000", FieldValue::Timestamp(1_700_000_000)),
            ("k:time=2023-11-14T22:13:20Z", FieldValue::Timestamp(1_700_000_000)),
            ("k:bytes=AAE=",      FieldValue::Bytes(vec![0, 1].into())),
            ("k:null=",           FieldValue::Void),
            ("k:json=[1,\"a\"]",  FieldValue::Array(vec![FieldValue::I64(1), FieldValue::from("a")])),
        ];
        for (text, value) in cases {
            let argument: Argument = text.parse().unwrap();
            assert_eq!((&*argument.name, argument.value), ("k", value), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        #[rustfmt::skip]
        let cases = [
            ("k",           "'k' has no '=': write NAME=VALUE or NAME:TYPE=VALUE"),
            ("k:int=x",     "'x' is not a valid int"),
            ("k:bool=yes",  "'yes' is not a valid bool"),
            ("k:json={",    "'{' is not a valid json"),
            ("k:json=[9223372036854775808]",  "'[9223372036854775808]' is not a valid json"),
            ("k:json=[18446744073709551616]", "'[18446744073709551616]' is not a valid json"),
            ("k:number=1",  "'number' is not a type: use one of str, int, int32, short, byte, float, bool, \
                             time, bytes, json, null"),
        ];
        for (text, problem) in cases {
            assert_eq!(text.parse::<Argument>().unwrap_err().to_string(), problem);
        }
    }
}
