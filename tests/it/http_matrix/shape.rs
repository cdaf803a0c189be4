//! The shape of a JSON value: its keys and types, all elements of a list in one.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The shape of a value; keys that are the name of the node become `{node}`.
pub(super) fn of(value: &Value, node: &str) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => true.into(),
        Value::Number(_) => 0.into(),
        Value::String(_) => "".into(),
        Value::Array(values) => {
            let shapes = values.iter().map(|value| of(value, node));
            shapes.reduce(merged).map_or_else(|| json!([]), |shape| json!([shape]))
        }
        Value::Object(object) => {
            let name = |key: &str| if key == node { "{node}".to_owned() } else { key.to_owned() };
            object.iter().map(|(key, value)| (name(key), of(value, node))).collect()
        }
    }
}

/// One shape that has the keys of both.
fn merged(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            for (key, shape) in other {
                let before = one.remove(&key);
                let shape =
                    before.map_or_else(|| shape.clone(), |before| merged(before, shape.clone()));
                one.insert(key, shape);
            }
            Value::Object(one)
        }
        (Value::Array(mut one), Value::Array(mut other)) => match (one.pop(), other.pop()) {
            (Some(one), Some(other)) => json!([merged(one, other)]),
            (one, other) => one.or(other).map_or_else(|| json!([]), |shape| json!([shape])),
        },
        (Value::Null, other) => other,
        (one, _) => one,
    }
}

/// Notes what `ours` lacks and has beyond `theirs`, and values of another type.
pub(super) fn compare(theirs: &Value, ours: &Value, path: &str, found: &mut BTreeSet<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => compare_keys(theirs, ours, path, found),
        (Value::Array(theirs), Value::Array(ours)) => match (theirs.first(), ours.first()) {
            (Some(theirs), Some(ours)) => compare(theirs, ours, &format!("{path}[]"), found),
            (Some(_), None) => _ = found.insert(format!("empty {path}[]")),
            (None, _) => {}
        },
        (theirs, ours) if kind(theirs) != kind(ours) => {
            found.insert(format!("type {path}: {}, not {}", kind(ours), kind(theirs)));
        }
        _ => {}
    }
}

fn compare_keys(
    theirs: &Map<String, Value>,
    ours: &Map<String, Value>,
    path: &str,
    found: &mut BTreeSet<String>,
) {
    for (key, shape) in theirs {
        let path = format!("{path}.{key}");
        match ours.get(key) {
            Some(ours) => compare(shape, ours, &path, found),
            None => _ = found.insert(format!("lacks {path}")),
        }
    }
    let more = ours.keys().filter(|key| !theirs.contains_key(*key));
    found.extend(more.map(|key| format!("has {path}.{key}")));
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "flag",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

#[test]
fn shapes_tell_what_is_missing_and_what_is_more() {
    let shape = |value: Value| of(&value, "mq@here");
    let theirs = shape(json!({"a": 1, "l": [{"x": 1}, {"y": null}], "n": {"mq@here": 1}}));
    let ours = shape(json!({"a": "1", "l": [{"x": 2, "z": 1}], "n": {"mq@here": 2}}));
    let mut found = BTreeSet::new();
    compare(&theirs, &ours, "", &mut found);
    let found: Vec<_> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["has .l[].z", "lacks .l[].y", "type .a: text, not number"]);
}
