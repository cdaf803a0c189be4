//! The comparison of a redeclaration with the queue or exchange that exists.
//!
//! Texts and order of checks: RabbitMQ, `rabbit_misc:assert_args_equivalence`.

use super::kind::QueueKind;
use super::noun::{Context, precondition};
use super::table::ROWS;
use crate::wire::{Fault, FieldTable, FieldValue};

/// Checks that a queue of this type is redeclared with the arguments it has.
///
/// # Errors
///
/// `PRECONDITION_FAILED` naming the first of the type's arguments that differs.
pub fn assert_queue_equivalence(
    kind: QueueKind,
    current: &FieldTable,
    received: &FieldTable,
    context: Context<'_>,
) -> Result<(), Fault> {
    let mut known = ROWS.iter().collect::<Vec<_>>();
    if kind == QueueKind::Quorum {
        known.sort_by_key(|argument| place_in_quorum(argument.name));
    }
    for argument in known {
        if argument.name == "x-queue-type" && !context.compat.is_3_10() {
            assert_same_type(kind, received, context.noun)?;
        } else if argument.is_for(kind, context.compat) {
            assert_equivalent(argument.name, current, received, context.noun)?;
        }
    }
    Ok(())
}

/// The place of an argument among those that RabbitMQ compares of a quorum queue (`rabbit_quorum_queue:capabilities`):
/// as in [`ROWS`], but for the times.
fn place_in_quorum(name: &str) -> usize {
    let behind = match name {
        "x-expires" => "x-dead-letter-strategy",
        "x-message-ttl" => "x-delivery-limit",
        name => name,
    };
    let at = ROWS.iter().position(|argument| argument.name == behind).unwrap_or_default();
    2 * at + usize::from(behind != name)
}

/// RabbitMQ 4 fills the type in where none is said.
fn assert_same_type(current: QueueKind, received: &FieldTable, noun: &str) -> Result<(), Fault> {
    let name = "x-queue-type";
    let received = received.get(name).map_or_else(|| QueueKind::default().name().to_owned(), show);
    assert_text(name, current.name(), &received, noun)
}

/// Checks that one argument is the same in both tables; integers of all widths compare by value.
pub fn assert_equivalent(
    name: &str,
    current: &FieldTable,
    received: &FieldTable,
    noun: &str,
) -> Result<(), Fault> {
    let (current, received) = (current.get(name), received.get(name));
    let is_default =
        |value: &FieldValue| name == "x-queue-type" && value.as_str() == Some("classic");
    let told = match (received, current) {
        (None, None) => return Ok(()),
        (Some(only), None) | (None, Some(only)) if is_default(only) => return Ok(()),
        (Some(new), Some(old)) if is_same(new, old) => return Ok(()),
        (Some(new), Some(old)) => {
            format!("received '{}' but current is '{}'", show(new), show(old))
        }
        (new, old) => format!("received {} but current is {}", describe(new), describe(old)),
    };
    Err(precondition(format!("inequivalent arg '{name}' for {noun}: {told}")))
}

fn describe(value: Option<&FieldValue>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) => format!("the value '{}' of type '{}'", show(value), value.type_name()),
    }
}

fn is_same(one: &FieldValue, other: &FieldValue) -> bool {
    match (one.as_integer(), other.as_integer()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// A value the way RabbitMQ's `val/1` prints it.
fn show(value: &FieldValue) -> String {
    match value {
        FieldValue::LongStr(text) | FieldValue::Bytes(text) => text.to_text(),
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::F32(value) => value.to_string(),
        FieldValue::F64(value) => value.to_string(),
        other => match other.as_integer() {
            Some(number) => number.to_string(),
            None => other.type_name().to_owned(),
        },
    }
}

/// Checks that a flag is redeclared with the value it has.
pub fn assert_flag(name: &str, current: bool, received: bool, noun: &str) -> Result<(), Fault> {
    assert_text(name, &current.to_string(), &received.to_string(), noun)
}

/// Checks that a property is redeclared with the value it has.
pub fn assert_text(name: &str, current: &str, received: &str, noun: &str) -> Result<(), Fault> {
    if current == received {
        return Ok(());
    }
    let told = format!("received '{received}' but current is '{current}'");
    Err(precondition(format!("inequivalent arg '{name}' for {noun}: {told}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::compat::Compat;

    fn same(current: &FieldTable, received: &FieldTable) -> Result<(), Fault> {
        let context = Context { noun: "queue 'q' in vhost '/'", compat: Compat::V4 };
        assert_queue_equivalence(QueueKind::Classic, current, received, context)
    }

    #[test]
    fn redeclared_arguments_are_compared_by_value() {
        let old = FieldTable::new().with("x-message-ttl", FieldValue::I32(1000));
        let wide = FieldTable::new().with("x-message-ttl", FieldValue::I64(1000));
        assert_eq!(same(&old, &wide), Ok(()));
        let other = FieldTable::new().with("x-message-ttl", FieldValue::I32(2000));
        let told = |old: &FieldTable, new: &FieldTable| same(old, new).unwrap_err().text;
        let prefix = "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received ";
        assert_eq!(told(&old, &other), format!("{prefix}'2000' but current is '1000'"));
        let text = FieldTable::new().with("x-message-ttl", "a");
        assert_eq!(told(&old, &text), format!("{prefix}'a' but current is '1000'"));
        let none = FieldTable::new();
        assert_eq!(
            told(&old, &none),
            format!("{prefix}none but current is the value '1000' of type 'signedint'")
        );
        assert_eq!(
            told(&none, &other),
            format!("{prefix}the value '2000' of type 'signedint' but current is none")
        );
        let classic = FieldTable::new().with("x-queue-type", "classic");
        assert_eq!(same(&none, &classic), Ok(()));
    }

    #[test]
    fn the_first_that_differs_is_named_in_the_order_of_the_type() {
        let new = FieldTable::new()
            .with("x-queue-type", "quorum")
            .with("x-message-ttl", FieldValue::I32(1))
            .with("x-delivery-limit", FieldValue::I32(1))
            .with("x-expires", FieldValue::I32(1))
            .with("x-dead-letter-exchange", "e");
        let mut left = new;
        let of_quorum =
            ["x-dead-letter-exchange", "x-expires", "x-delivery-limit", "x-message-ttl"];
        for name in of_quorum {
            let context = Context { noun: "queue 'q'", compat: Compat::V4 };
            let none = FieldTable::new();
            let told = assert_queue_equivalence(QueueKind::Quorum, &none, &left, context);
            let told = told.unwrap_err().text;
            assert!(told.starts_with(&format!("inequivalent arg '{name}'")), "{told}");
            left.remove(name);
        }
    }
}
