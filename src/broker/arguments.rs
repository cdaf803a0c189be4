//! The arguments of declarations: what they mean, which values RabbitMQ refuses, and when two sets are the same.
//!
//! Texts and order of checks: RabbitMQ, `rabbit_amqqueue:check_declare_arguments` and
//! `rabbit_misc:assert_args_equivalence`. Arguments RabbitMQ does not know are kept and ignored; those it knows
//! and we do not do yet are refused by name, never taken in silence.

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

/// Largest time a queue may be told, in milliseconds: ten years (RabbitMQ: `MAX_EXPIRY_TIMER`).
const EXPIRY_MAX_MS: i64 = 315_360_000_000;

/// What a queue's arguments ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueArguments {
    /// `x-message-ttl`
    pub message_ttl_ms: Option<u64>,
    /// `x-expires`
    pub expires_ms: Option<u64>,
}

/// Arguments of classic queues that a redeclaration must repeat (RabbitMQ: `rabbit_classic_queue`).
const QUEUE_ARGUMENTS: &[&str] = &[
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    "x-queue-type",
];

/// Arguments that only other queue types know.
const OTHER_TYPES_ARGUMENTS: &[&str] = &[
    "x-delivery-limit",
    "x-dead-letter-strategy",
    "x-initial-cluster-size",
    "x-max-age",
    "x-max-in-memory-bytes",
    "x-max-in-memory-length",
    "x-quorum-initial-group-size",
    "x-stream-filter-size-bytes",
    "x-stream-max-segment-size-bytes",
];

/// Arguments whose meaning is not there yet.
const NOT_YET: &[&str] = &[
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-single-active-consumer",
];

impl QueueArguments {
    /// Reads and checks the arguments of a queue declaration; `noun` is the queue as error texts call it.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` with RabbitMQ's text for a value it refuses, `NOT_IMPLEMENTED` naming an argument
    /// or queue type whose meaning is not there yet.
    pub fn check(arguments: &FieldTable, noun: &str) -> Result<Self, Fault> {
        let invalid =
            |name: &str, why: &str| precondition(format!("invalid arg '{name}' for {noun}: {why}"));
        check_type(arguments, &invalid)?;
        for (name, _) in arguments {
            if OTHER_TYPES_ARGUMENTS.contains(&name.as_str()) {
                let text =
                    format!("invalid arg '{name}' for {noun} of queue type rabbit_classic_queue");
                return Err(precondition(text));
            }
        }
        let mut checked = Self::default();
        for (name, value) in arguments {
            let bad = |why: String| invalid(name, &why);
            match name.as_str() {
                "x-message-ttl" => checked.message_ttl_ms = Some(time(value).map_err(bad)?),
                "x-expires" => {
                    let after = time(value).map_err(bad)?;
                    if after == 0 {
                        return Err(invalid(name, "{value_zero,0}"));
                    }
                    checked.expires_ms = Some(after);
                }
                "x-queue-mode" => one_of(value, "mode", &["default", "lazy"]).map_err(bad)?,
                "x-queue-version" => version(value).map_err(bad)?,
                _ => {}
            }
        }
        match arguments.iter().find(|(name, _)| NOT_YET.contains(&name.as_str())) {
            Some((name, _)) => Err(not_yet(&format!("queue argument '{name}'"))),
            None => Ok(checked),
        }
    }
}

/// A refusal that names what is not there yet.
pub fn not_yet(what: &str) -> Fault {
    Fault::new(ReplyCode::NotImplemented, format!("{what} is not implemented"))
}

fn check_type(arguments: &FieldTable, invalid: &dyn Fn(&str, &str) -> Fault) -> Result<(), Fault> {
    let name = "x-queue-type";
    let Some(value) = arguments.get(name) else { return Ok(()) };
    let FieldValue::LongStr(text) = value else {
        return Err(invalid(name, &format!("{{unacceptable_type,{}}}", value.type_name())));
    };
    match text.to_text().as_str() {
        "classic" | "rabbit_classic_queue" => Ok(()),
        kind @ ("quorum" | "stream") => Err(not_yet(&format!("queue type '{kind}'"))),
        other => Err(invalid(name, &format!("\"unsupported queue type '{other}'\""))),
    }
}

fn time(value: &FieldValue) -> Result<u64, String> {
    let Some(ms) = value.as_integer() else {
        return Err(format!("\"expected integer, got {}\"", value.type_name()));
    };
    match u64::try_from(ms) {
        Err(_) => Err(format!("{{value_negative,{ms}}}")),
        Ok(_) if ms > EXPIRY_MAX_MS => Err(format!("{{value_too_large,{ms}}}")),
        Ok(ms) => Ok(ms),
    }
}

fn one_of(value: &FieldValue, what: &str, known: &[&str]) -> Result<(), String> {
    let FieldValue::LongStr(text) = value else {
        return Err(format!("{{unacceptable_type,{}}}", value.type_name()));
    };
    let text = text.to_text();
    if known.contains(&text.as_str()) {
        return Ok(());
    }
    Err(format!("\"unsupported queue {what} '{text}'\""))
}

fn version(value: &FieldValue) -> Result<(), String> {
    match value.as_integer() {
        None => Err(format!("\"expected integer, got {}\"", value.type_name())),
        Some(1 | 2) => Ok(()),
        Some(other) => Err(format!("\"unsupported queue version '{other}'\"")),
    }
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

/// Checks that a queue is redeclared with the arguments it has.
pub fn assert_queue_equivalence(
    current: &FieldTable,
    received: &FieldTable,
    noun: &str,
) -> Result<(), Fault> {
    for name in QUEUE_ARGUMENTS {
        assert_equivalent(name, current, received, noun)?;
    }
    Ok(())
}

/// Checks that one argument is the same in both tables; integers of all widths compare by value.
pub fn assert_equivalent(
    name: &str,
    current: &FieldTable,
    received: &FieldTable,
    noun: &str,
) -> Result<(), Fault> {
    let classic = |value: &&FieldValue| name == "x-queue-type" && value.as_str() == Some("classic");
    let current = current.get(name).filter(|value| !classic(value));
    let received = received.get(name).filter(|value| !classic(value));
    let told = match (received, current) {
        (None, None) => return Ok(()),
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

    #[test]
    fn redeclared_arguments_are_compared_by_value() {
        let old = FieldTable::new().with("x-message-ttl", FieldValue::I32(1000));
        let wide = FieldTable::new().with("x-message-ttl", FieldValue::I64(1000));
        assert_eq!(assert_queue_equivalence(&old, &wide, "q"), Ok(()));
        let other = FieldTable::new().with("x-message-ttl", FieldValue::I32(2000));
        let told = |old: &FieldTable, new: &FieldTable| {
            assert_queue_equivalence(old, new, "queue 'q' in vhost '/'").unwrap_err().text
        };
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
        assert_eq!(assert_queue_equivalence(&none, &classic, "q"), Ok(()));
    }
}
