//! The body of a request: a JSON object, and RabbitMQ's errors for an invalid one.

use serde_json::{Map, Value, json};

use super::json::{self as convert, name_of};
use super::refusal::Refusal;
use crate::json_text;
use crate::wire::{FieldTable, ShortStr};

/// Columns after which Erlang's printer breaks a list.
const LINE_MAX: usize = 78;

/// The object that was sent; nothing is an empty one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Body(pub(super) Map<String, Value>);

impl Body {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        match json_text::read(bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Err(error) if error.is_data() => Err(Refusal::bad_request(error.to_string())),
            Ok(_) | Err(_) => Err(Refusal::bad_request("not_json")),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Says what a field is that is not there, or `null`.
    pub(super) fn assume(&mut self, name: &str, value: impl Into<Value>) {
        let field = self.0.entry(name).or_insert(Value::Null);
        if field.is_null() {
            *field = value.into();
        }
    }

    /// Refuses an object without these.
    pub(super) fn require(&self, names: &[&str]) -> Result<(), Refusal> {
        let missing = names.iter().filter(|name| !self.0.contains_key(**name));
        let missing: Vec<_> = missing.map(|name| format!("{{key_missing,{name}}}")).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let line = format!("[{}]", missing.join(","));
        let told = if line.len() > LINE_MAX { format!("[{}]", missing.join(",\n ")) } else { line };
        Err(Refusal::bad_request(told))
    }

    /// A text that must be one.
    pub(super) fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.require(&[name])?;
        self.get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| Refusal::bad_request(format!("{name} should be a string")))
    }

    /// A text, when there is one.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    /// A name that must be there.
    pub(super) fn name(&self, name: &str) -> Result<ShortStr, Refusal> {
        name_of(self.text(name)?)
    }

    /// A name, the empty one when there is none.
    pub(super) fn optional_name(&self, name: &str) -> Result<ShortStr, Refusal> {
        name_of(self.optional_text(name)?.unwrap_or_default())
    }

    /// Refuses a table that a client may not give, though an export may have it.
    pub(super) fn check_given(&self, name: &str) -> Result<(), Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(()),
            Some(given) => convert::check_given(given),
        }
    }

    /// A flag, which may be a text; off when it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(other) => Err(Refusal::BadReason(json!(["not_boolean", other]))),
        }
    }

    /// Arguments, also as only an export has them; an empty list is an empty table (RabbitMQ prints it so).
    pub(super) fn table(&self, name: &str) -> Result<FieldTable, Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(FieldTable::new()),
            Some(Value::Object(object)) => convert::table(object),
            Some(Value::Array(list)) if list.is_empty() => Ok(FieldTable::new()),
            Some(_) => Err(Refusal::bad_request(format!("{name} should be an object"))),
        }
    }

    /// Tags: a list, or a text with commas between them.
    pub(super) fn tags(&self) -> Result<Option<Vec<String>>, Refusal> {
        let parts: Vec<&str> = match self.get("tags") {
            None => return Ok(None),
            Some(Value::String(text)) => text.split(',').collect(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(Refusal::bad_request("tags should be a list")),
        };
        let tags = parts.into_iter().map(str::trim).filter(|tag| !tag.is_empty());
        Ok(Some(tags.map(str::to_owned).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: &Value) -> Body {
        Body::read(value.to_string().as_bytes()).unwrap()
    }

    /// Texts seen on RabbitMQ 3.10.8.
    #[test]
    fn what_is_missing_is_listed_as_erlang_prints_it() {
        let told = |names: &[&str]| match body(&json!({"a": 1})).require(names) {
            Err(Refusal::BadRequest { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            told(&["a", "ackmode", "encoding"]),
            "[{key_missing,ackmode},{key_missing,encoding}]"
        );
        assert_eq!(
            told(&["properties", "payload", "payload_encoding"]),
            "[{key_missing,properties},\n {key_missing,payload},\n {key_missing,payload_encoding}]"
        );
        assert_eq!(body(&json!({"a": 1})).require(&["a"]), Ok(()));
        assert_eq!(Body::read(b"[]"), Err(Refusal::bad_request("not_json")));
    }

    #[test]
    fn flags_and_tags_come_in_two_forms() {
        let body = body(&json!({"a": "true", "b": false, "c": "no", "tags": " x, y,,z"}));
        assert_eq!(
            [body.flag("a"), body.flag("b"), body.flag("d")],
            [Ok(true), Ok(false), Ok(false)]
        );
        assert_eq!(body.flag("c"), Err(Refusal::BadReason(json!(["not_boolean", "no"]))));
        assert_eq!(body.tags(), Ok(Some(["x", "y", "z"].map(str::to_owned).to_vec())));
    }
}
