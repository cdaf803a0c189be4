//! The checks of values that a declaration gives, and their refusals.
//!
//! A refusal is the Erlang term in RabbitMQ's error text (`rabbit_amqqueue`, `declare_args`).

use super::values::{DeadLetterStrategy, EXPIRY_MAX_MS, Overflow, max_age_ms};
use crate::wire::{FieldTable, FieldValue};

/// A value's check; it may look at the other arguments. Refusals are Erlang terms.
pub(super) type Check = fn(&FieldValue, &FieldTable) -> Result<(), String>;

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
pub(super) fn anything(_: &FieldValue, _: &FieldTable) -> Result<(), String> {
    Ok(())
}

pub(super) fn not_negative(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        number if number < 0 => Err(format!("{{value_negative,{number}}}")),
        _ => Ok(()),
    }
}

pub(super) fn positive(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    not_negative(value, all)?;
    match integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn time(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    not_negative(value, all)?;
    match integer(value)? {
        ms if ms > EXPIRY_MAX_MS => Err(format!("{{value_too_large,{ms}}}")),
        _ => Ok(()),
    }
}

pub(super) fn expires(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => time(value, all),
    }
}

pub(super) fn priority(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    not_negative(value, all)?;
    match integer(value)? {
        number if number > 255 => Err(format!("{{max_value_exceeded,{number}}}")),
        _ => Ok(()),
    }
}

/// A name that a message can carry; RabbitMQ takes a longer one and fails when it is used.
pub(super) fn name(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match text(value)? {
        name if name.len() > 255 => Err("\"expected at most 255 bytes\"".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn dead_letter_key(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    name(value, all)?;
    match all.get("x-dead-letter-exchange") {
        None => Err("routing_key_but_no_dlx_defined".to_owned()),
        Some(_) => Ok(()),
    }
}

pub(super) fn strategy(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    let known = DeadLetterStrategy::from_name(&text(value)?);
    known.map(drop).ok_or_else(|| "invalid_dlx_strategy".to_owned())
}

pub(super) fn overflow(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    let known = Overflow::from_name(&text(value)?);
    known.map(drop).ok_or_else(|| "invalid_overflow".to_owned())
}

pub(super) fn mode(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match text(value)? {
        mode if mode == "default" || mode == "lazy" => Ok(()),
        other => Err(format!("\"unsupported queue mode '{other}'\"")),
    }
}

pub(super) fn version(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    not_negative(value, all)?;
    match integer(value)? {
        1 | 2 => Ok(()),
        other => Err(unsupported_version(other)),
    }
}

/// RabbitMQ 4.3 has only the second.
pub(super) fn version_2(value: &FieldValue, all: &FieldTable) -> Result<(), String> {
    version(value, all)?;
    match integer(value)? {
        1 => Err(unsupported_version(1)),
        _ => Ok(()),
    }
}

fn unsupported_version(version: i64) -> String {
    format!("\"unsupported queue version '{version}'\"")
}

pub(super) fn boolean(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match value {
        FieldValue::Bool(_) => Ok(()),
        other => Err(format!("{{unacceptable_type,{}}}", other.type_name())),
    }
}

pub(super) fn locator(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match text(value)?.as_str() {
        "client-local" | "balanced" | "random" | "least-leaders" => Ok(()),
        _ => Err("invalid_queue_locator_arg".to_owned()),
    }
}

pub(super) fn max_age(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    let ms = max_age_ms(&text(value)?);
    ms.map(drop).ok_or_else(|| "invalid_max_age".to_owned())
}
