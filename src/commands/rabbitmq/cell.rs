//! A value as RabbitMQ's programs show it: in a table as an Erlang term without quotes, in JSON as what it is.

use serde_json::{Value, json};

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// The text in tables and CSV
    pub(super) shown: String,
    pub(super) json: Value,
}

impl Cell {
    pub(super) fn new(shown: impl Into<String>, json: Value) -> Self {
        Self { shown: shown.into(), json }
    }

    /// A value that is not there.
    pub(super) fn empty() -> Self {
        Self::new("", json!(""))
    }

    pub(super) fn text(text: &str) -> Self {
        Self::new(text, json!(text))
    }

    /// A text, a number or a truth value; nothing for what is not there.
    pub(super) fn plain(value: &Value) -> Self {
        match value {
            Value::Null => Self::empty(),
            Value::String(text) => Self::text(text),
            other => Self::new(other.to_string(), other.clone()),
        }
    }

    /// A value as JSON text.
    pub(super) fn json_text(value: &Value) -> Self {
        let text = value.to_string();
        Self::new(text.clone(), json!(text))
    }

    /// A list of names.
    pub(super) fn names(value: &Value) -> Self {
        let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        Self::new(format!("[{}]", names.collect::<Vec<_>>().join(", ")), value.clone())
    }

    /// The arguments of a queue, an exchange, a binding or a consumer.
    pub(super) fn arguments(value: &Value) -> Self {
        Self::new(table(value), json!(typed(value)))
    }

    /// A map of names to values: `#{name => value}`.
    pub(super) fn map(value: &Value) -> Self {
        let mut fields: Vec<_> = value.as_object().into_iter().flatten().collect();
        fields.sort_by_key(|(name, _)| name.as_str());
        let fields = fields.into_iter().map(|(name, value)| format!("{name} => {}", bare(value)));
        Self::new(format!("#{{{}}}", fields.collect::<Vec<_>>().join(", ")), value.clone())
    }

    /// The definition that policies give a queue: `[{<<"name">>, value}]`.
    pub(super) fn definition(value: &Value) -> Self {
        let fields = value.as_object().into_iter().flatten();
        let terms: Vec<_> =
            fields.map(|(name, value)| format!("{{<<\"{name}\">>, {}}}", term(value))).collect();
        let shown =
            if terms.is_empty() { "#{}".to_owned() } else { format!("[{}]", terms.join(", ")) };
        Self::new(shown, value.clone())
    }
}

/// A value without quotes.
fn bare(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(bare).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Arguments in the form of tables: `[{"name",value}]`.
fn table(value: &Value) -> String {
    let written = |value: &Value| match value {
        Value::Object(_) => table(value),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(Value::to_string).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    };
    let fields = value.as_object().into_iter().flatten();
    let fields = fields.map(|(name, value)| format!("{{{},{}}}", json!(name), written(value)));
    format!("[{}]", fields.collect::<Vec<_>>().join(","))
}

/// Arguments with the types that AMQP has for such values: `[["name","long",5]]`.
fn typed(value: &Value) -> Vec<Value> {
    let fields = value.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| {
            let (kind, value) = with_type(value);
            json!([name, kind, value])
        })
        .collect()
}

fn with_type(value: &Value) -> (&'static str, Value) {
    match value {
        Value::Null => ("void", json!("undefined")),
        Value::Bool(_) => ("bool", value.clone()),
        Value::Number(number) if number.is_f64() => ("double", value.clone()),
        Value::Number(_) => ("long", value.clone()),
        Value::String(_) => ("longstr", value.clone()),
        Value::Array(values) => (
            "array",
            values
                .iter()
                .map(|value| {
                    let (kind, value) = with_type(value);
                    json!([kind, value])
                })
                .collect(),
        ),
        Value::Object(_) => ("table", json!(typed(value))),
    }
}

/// A value as an Erlang term.
pub(super) fn term(value: &Value) -> String {
    match value {
        Value::Null => "undefined".to_owned(),
        Value::String(text) => format!("<<{}>>", json!(text)),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(term).collect::<Vec<_>>().join(","))
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{{{},{}}}", json!(name), term(value)));
            format!("[{}]", fields.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_rabbitmqctl_shows_them() {
        let arguments = json!({"x-dead-letter-exchange": "d", "x-max-length": 5, "t": {"a": true}});
        let cell = Cell::arguments(&arguments);
        assert_eq!(
            cell.shown,
            r#"[{"x-dead-letter-exchange","d"},{"x-max-length",5},{"t",[{"a",true}]}]"#
        );
        assert_eq!(
            cell.json,
            json!([
                ["x-dead-letter-exchange", "longstr", "d"],
                ["x-max-length", "long", 5],
                ["t", "table", [["a", "bool", true]]]
            ])
        );
        #[rustfmt::skip]
        let cases = [
            (Cell::arguments(&json!({})),                   "[]"),
            (Cell::names(&json!(["administrator", "x"])),   "[administrator, x]"),
            (Cell::map(&json!({"tags": ["a"], "description": ""})), "#{description => , tags => [a]}"),
            (Cell::definition(&json!({"max-length": 5})),   r#"[{<<"max-length">>, 5}]"#),
            (Cell::definition(&json!({})),                  "#{}"),
            (Cell::plain(&Value::Null),                     ""),
        ];
        for (cell, shown) in cases {
            assert_eq!(cell.shown, shown);
        }
    }
}
