//! The arguments of declarations: what they mean, which values RabbitMQ refuses, and when two sets are the same.
//!
//! Texts and order of checks: RabbitMQ, `rabbit_amqqueue:check_declare_arguments` and
//! `rabbit_misc:assert_args_equivalence`. Arguments RabbitMQ does not know are kept and ignored.

mod limits;
mod queue;
mod retry;
mod values;

pub use limits::{DeadLetterTo, Limits, PolicyLimits};
pub use queue::{DeadLetterStrategy, Lifetime, Overflow, QueueArguments, QueueKind};
pub use retry::{DelayedRetry, RetryKind, RetrySaid};
pub use values::max_age_ms;

use self::values::EXPIRY_MAX_MS;
use super::compat::Compat;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode};

/// A queue as error texts call it.
pub fn queue_noun(name: &str, vhost: &str) -> String {
    format!("queue '{name}' in vhost '{vhost}'")
}

/// An exchange as error texts call it; the default exchange has no name of its own.
pub fn exchange_noun(name: &str, vhost: &str) -> String {
    let name = if name.is_empty() { "amq.default" } else { name };
    format!("exchange '{name}' in vhost '{vhost}'")
}

fn precondition(text: String) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// A refusal that names what is not there yet.
pub fn not_yet(what: &str) -> Fault {
    Fault::new(ReplyCode::NotImplemented, format!("{what} is not implemented"))
}

/// Reads the `expiration` property: a text of milliseconds.
///
/// # Errors
///
/// `PRECONDITION_FAILED` with the texts of RabbitMQ's `rabbit_basic:parse_expiration`.
pub fn parse_expiration(text: &str) -> Result<u64, Fault> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    let why = if len == 0 {
        "no_integer".to_owned()
    } else if len < digits.len() {
        format!("{{leftover_string,\"{}\"}}", &digits[len..])
    } else if text.starts_with('-') && digits.bytes().any(|digit| digit != b'0') {
        format!("{{value_negative,{text}}}")
    } else {
        match digits.parse::<u64>() {
            Ok(ms) if ms <= EXPIRY_MAX_MS.unsigned_abs() => return Ok(ms),
            _ => too_large(digits, text),
        }
    };
    Err(precondition(format!("invalid expiration '{text}': {why}")))
}

/// Erlang's printer breaks the line and indents when the whole term passes 80 columns.
fn too_large(digits: &str, text: &str) -> String {
    let digits = digits.trim_start_matches('0');
    let column = "invalid expiration '': {".len() + text.len();
    if column + "value_too_large,".len() + digits.len() + 1 > 80 {
        return format!("{{value_too_large,\n{}{digits}}}", " ".repeat(column));
    }
    format!("{{value_too_large,{digits}}}")
}

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
    let mut known = values::KNOWN.iter().collect::<Vec<_>>();
    if kind == QueueKind::Quorum {
        known.sort_by_key(|argument| values::place_in_quorum(argument.name));
    }
    for argument in known {
        if argument.is_for(kind, context.compat) {
            assert_equivalent(argument.name, current, received, context.noun)?;
        }
    }
    Ok(())
}

/// Whom a text is about, and whose words it has.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub noun: &'a str,
    pub compat: Compat,
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

    /// Texts seen on RabbitMQ 3.10.8.
    #[test]
    fn bad_expirations_are_refused_in_rabbitmqs_words() {
        let cases = [
            ("abc", "invalid expiration 'abc': no_integer"),
            ("", "invalid expiration '': no_integer"),
            ("-1", "invalid expiration '-1': {value_negative,-1}"),
            ("1.5", "invalid expiration '1.5': {leftover_string,\".5\"}"),
            (
                "99999999999999",
                "invalid expiration '99999999999999': {value_too_large,99999999999999}",
            ),
            (
                "99999999999999999999",
                "invalid expiration '99999999999999999999': {value_too_large,\n                                            99999999999999999999}",
            ),
        ];
        for (text, told) in cases {
            assert_eq!(parse_expiration(text).unwrap_err().text, told, "{text:?}");
        }
        assert_eq!(parse_expiration("60000"), Ok(60_000));
        assert_eq!(parse_expiration("0"), Ok(0));
    }

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
