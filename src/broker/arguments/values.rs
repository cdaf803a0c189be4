//! Every queue argument RabbitMQ knows: which types of queues take it, and which values.
//!
//! A check answers with the term of RabbitMQ's refusal (`rabbit_amqqueue`, `declare_args`); the order of [`KNOWN`] is
//! the order of the checks there.

use super::queue::{DeadLetterStrategy, Overflow, QueueKind};
use crate::broker::compat::Compat;
use crate::wire::{FieldTable, FieldValue};

/// Largest time a queue may be told, in milliseconds: ten years (RabbitMQ: `MAX_EXPIRY_TIMER`).
pub(super) const EXPIRY_MAX_MS: i64 = 315_360_000_000;

/// A value's check; it may look at the other arguments. Refusals are Erlang terms.
type Check = fn(&FieldValue, &FieldTable) -> Result<(), String>;

/// An argument that RabbitMQ knows.
pub(super) struct Known {
    pub(super) name: &'static str,
    /// The types that take it.
    kinds: &'static [QueueKind],
    /// The types that took it in 3.10.
    kinds_3_10: &'static [QueueKind],
    check: Check,
}

impl Known {
    const fn new(name: &'static str, kinds: &'static [QueueKind], check: Check) -> Self {
        Self { name, kinds, kinds_3_10: kinds, check }
    }

    const fn new_in_4(name: &'static str, kinds: &'static [QueueKind], check: Check) -> Self {
        Self { name, kinds, kinds_3_10: &[], check }
    }

    fn kinds(&self, compat: Compat) -> &'static [QueueKind] {
        // 4.3 has given up the timeout of classic queues.
        if compat.is_strict() && self.name == "x-consumer-timeout" {
            return Q;
        }
        if compat.is_3_10() { self.kinds_3_10 } else { self.kinds }
    }

    /// Checks a value; answers with the term of RabbitMQ's refusal.
    pub(super) fn check(
        &self,
        value: &FieldValue,
        all: &FieldTable,
        compat: Compat,
    ) -> Result<(), String> {
        (self.check)(value, all)?;
        // 4.3 has given up the first store of classic queues.
        if compat.is_strict() && self.name == "x-queue-version" && value.as_integer() == Some(1) {
            return Err(unsupported_version(1));
        }
        Ok(())
    }

    /// Whether queues of this type take it.
    pub(super) fn is_for(&self, kind: QueueKind, compat: Compat) -> bool {
        self.kinds(compat).contains(&kind)
    }

    /// Whether only queues of other types take it.
    pub(super) fn is_for_another(&self, kind: QueueKind, compat: Compat) -> bool {
        !self.kinds(compat).is_empty() && !self.is_for(kind, compat)
    }
}

const C: &[QueueKind] = &[QueueKind::Classic];
const Q: &[QueueKind] = &[QueueKind::Quorum];
const S: &[QueueKind] = &[QueueKind::Stream];
const CQ: &[QueueKind] = &[QueueKind::Classic, QueueKind::Quorum];
const QS: &[QueueKind] = &[QueueKind::Quorum, QueueKind::Stream];
const ALL: &[QueueKind] = &[QueueKind::Classic, QueueKind::Quorum, QueueKind::Stream];

/// All of them.
pub(super) const KNOWN: &[Known] = &[
    Known::new("x-expires", CQ, expires),
    Known::new("x-message-ttl", CQ, time),
    Known::new("x-dead-letter-exchange", CQ, name),
    Known::new("x-dead-letter-routing-key", CQ, dead_letter_key),
    Known::new("x-dead-letter-strategy", Q, strategy),
    Known::new("x-max-length", CQ, not_negative),
    Known::new("x-max-length-bytes", ALL, not_negative),
    Known::new("x-max-in-memory-length", Q, not_negative),
    Known::new("x-max-in-memory-bytes", Q, not_negative),
    Known::new("x-max-priority", C, priority),
    Known::new("x-overflow", CQ, overflow),
    Known::new("x-queue-mode", C, mode),
    Known::new("x-queue-version", C, version),
    Known::new("x-single-active-consumer", CQ, boolean),
    Known::new("x-queue-type", ALL, anything),
    Known::new("x-quorum-initial-group-size", Q, positive),
    Known::new("x-max-age", S, max_age),
    Known::new("x-stream-max-segment-size-bytes", S, not_negative),
    Known::new_in_4("x-stream-filter-size-bytes", S, not_negative),
    Known::new("x-initial-cluster-size", S, positive),
    Known { name: "x-queue-leader-locator", kinds: ALL, kinds_3_10: QS, check: locator },
    Known::new("x-queue-master-locator", C, anything),
    Known::new("x-delivery-limit", Q, anything),
    Known::new_in_4("x-consumer-timeout", CQ, not_negative),
    Known::new_in_4("x-consumer-disconnected-timeout", Q, not_negative),
    Known::new_in_4("x-delayed-retry-type", Q, name),
    Known::new_in_4("x-delayed-retry-min", Q, not_negative),
    Known::new_in_4("x-delayed-retry-max", Q, not_negative),
];

/// Where an argument stands when RabbitMQ compares those of quorum queues (`rabbit_quorum_queue:capabilities`): as in
/// [`KNOWN`], but for the times.
pub(super) fn place_in_quorum(name: &str) -> usize {
    let behind = match name {
        "x-expires" => "x-dead-letter-strategy",
        "x-message-ttl" => "x-delivery-limit",
        name => name,
    };
    let at = KNOWN.iter().position(|argument| argument.name == behind).unwrap_or_default();
    2 * at + usize::from(behind != name)
}

/// The argument of that name.
pub(super) fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|argument| argument.name == name)
}

fn integer(value: &FieldValue) -> Result<i64, String> {
    value.as_integer().ok_or_else(|| format!("\"expected integer, got {}\"", value.type_name()))
}

fn text(value: &FieldValue) -> Result<String, String> {
    match value {
        FieldValue::LongStr(text) => Ok(text.to_text()),
        other => Err(format!("{{unacceptable_type,{}}}", other.type_name())),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is one check among others")]
fn anything(_: &FieldValue, _: &FieldTable) -> Result<(), String> {
    Ok(())
}

fn not_negative(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        number if number < 0 => Err(format!("{{value_negative,{number}}}")),
        _ => Ok(()),
    }
}

fn positive(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    not_negative(value, all)?;
    match integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => Ok(()),
    }
}

fn time(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    not_negative(value, all)?;
    match integer(value)? {
        ms if ms > EXPIRY_MAX_MS => Err(format!("{{value_too_large,{ms}}}")),
        _ => Ok(()),
    }
}

fn expires(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => time(value, all),
    }
}

fn priority(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    not_negative(value, all)?;
    match integer(value)? {
        number if number > 255 => Err(format!("{{max_value_exceeded,{number}}}")),
        _ => Ok(()),
    }
}

/// A name that a message can carry; RabbitMQ takes a longer one and fails when it is used.
fn name(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match text(value)? {
        name if name.len() > 255 => Err("\"expected at most 255 bytes\"".to_owned()),
        _ => Ok(()),
    }
}

fn dead_letter_key(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    name(value, all)?;
    match all.get("x-dead-letter-exchange") {
        None => Err("routing_key_but_no_dlx_defined".to_owned()),
        Some(_) => Ok(()),
    }
}

fn strategy(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    let known = DeadLetterStrategy::from_name(&text(value)?);
    known.map(drop).ok_or_else(|| "invalid_dlx_strategy".to_owned())
}

fn overflow(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    let known = Overflow::from_name(&text(value)?);
    known.map(drop).ok_or_else(|| "invalid_overflow".to_owned())
}

fn mode(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match text(value)? {
        mode if mode == "default" || mode == "lazy" => Ok(()),
        other => Err(format!("\"unsupported queue mode '{other}'\"")),
    }
}

fn version(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    not_negative(value, all)?;
    match integer(value)? {
        1 | 2 => Ok(()),
        other => Err(unsupported_version(other)),
    }
}

fn unsupported_version(version: i64) -> String {
    format!("\"unsupported queue version '{version}'\"")
}

fn boolean(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match value {
        FieldValue::Bool(_) => Ok(()),
        other => Err(format!("{{unacceptable_type,{}}}", other.type_name())),
    }
}

fn locator(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match text(value)?.as_str() {
        "client-local" | "balanced" | "random" | "least-leaders" => Ok(()),
        _ => Err("invalid_queue_locator_arg".to_owned()),
    }
}

fn max_age(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    let ms = max_age_ms(&text(value)?);
    ms.map(drop).ok_or_else(|| "invalid_max_age".to_owned())
}

/// Reads an age like `7D`, in milliseconds: a number above 0 and one of the units `Y`, `M`, `D`, `h`, `m`, `s`.
pub fn max_age_ms(text: &str) -> Option<u64> {
    const SECOND: u64 = 1000;
    const DAY: u64 = 24 * 3600 * SECOND;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "Y" => 365 * DAY,
        "M" => 30 * DAY,
        "D" => DAY,
        "h" => 3600 * SECOND,
        "m" => 60 * SECOND,
        "s" => SECOND,
        _ => return None,
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0)?;
    Some(number.saturating_mul(unit_ms))
}
