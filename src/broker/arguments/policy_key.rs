//! A policy key: the name of an argument in a policy, and the values that RabbitMQ accepts there.
//!
//! Texts: RabbitMQ, `rabbit_policies:validate_policy0` and the validators of its other modules.

use super::values::{DeadLetterStrategy, Overflow, RetryKind, max_age_ms};
use crate::broker::compat::Compat;
use crate::wire::{FieldValue, ShortStr};

/// Bytes of a stream's segment beyond which RabbitMQ refuses.
const SEGMENT_MAX_BYTES: u64 = 3_000_000_000;

/// A key of a policy's definition.
#[derive(Clone, Copy, Debug)]
pub struct PolicyKey {
    pub name: &'static str,
    /// The words between a wrong value and `noun` in RabbitMQ's refusal.
    pub says: &'static str,
    pub noun: &'static str,
    pub is_valid: fn(&FieldValue) -> bool,
    pub authors: Authors,
    pub releases: Releases,
}

/// The policies that may have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authors {
    /// Policies of users only.
    Users,
    /// Policies of users and of operators.
    All,
}

/// The releases that know a policy key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Releases {
    All,
    Only3,
    /// A key for mirrors, which 4.0 gave up. One node is every mirror that a policy asks for, so the key is accepted,
    /// and refused only with `--compat 4.3`.
    UnlessStrict,
    Since4,
}

impl Releases {
    pub fn has(self, compat: Compat) -> bool {
        match self {
            Self::All => true,
            Self::Only3 => compat.is_3_10(),
            Self::UnlessStrict => !compat.is_strict(),
            Self::Since4 => !compat.is_3_10(),
        }
    }
}

impl PolicyKey {
    /// A key of users' policies that every release knows.
    pub const fn new(
        name: &'static str,
        noun: &'static str,
        is_valid: fn(&FieldValue) -> bool,
    ) -> Self {
        let (authors, releases) = (Authors::Users, Releases::All);
        Self { name, says: "is not a valid", noun, is_valid, authors, releases }
    }

    /// The key in operators' policies, too.
    #[must_use]
    pub const fn of_all(self) -> Self {
        Self { authors: Authors::All, ..self }
    }

    /// The key in some releases only.
    #[must_use]
    pub const fn only_in(self, releases: Releases) -> Self {
        Self { releases, ..self }
    }
}

fn count(value: &FieldValue) -> Option<u64> {
    u64::try_from(value.as_integer()?).ok()
}

pub(super) fn is_integer(value: &FieldValue) -> bool {
    value.as_integer().is_some()
}

pub(super) fn is_count(value: &FieldValue) -> bool {
    count(value).is_some()
}

pub fn is_above_0(value: &FieldValue) -> bool {
    count(value).is_some_and(|count| count > 0)
}

pub fn is_text(value: &FieldValue) -> bool {
    value.as_str().is_some_and(|text| ShortStr::try_from(text).is_ok())
}

fn is_one_of(value: &FieldValue, known: &[&str]) -> bool {
    value.as_str().is_some_and(|text| known.contains(&text))
}

pub(super) fn is_strategy(value: &FieldValue) -> bool {
    value.as_str().is_some_and(|text| DeadLetterStrategy::from_name(text).is_some())
}

pub(super) fn is_retry(value: &FieldValue) -> bool {
    value.as_str().is_some_and(|text| RetryKind::from_name(text).is_some())
}

pub(super) fn is_overflow(value: &FieldValue) -> bool {
    value.as_str().is_some_and(|text| Overflow::from_name(text).is_some())
}

pub(super) fn is_age(value: &FieldValue) -> bool {
    value.as_str().is_some_and(|text| max_age_ms(text).is_some())
}

pub(super) fn is_mode(value: &FieldValue) -> bool {
    is_one_of(value, &["default", "lazy"])
}

pub fn is_mirroring(value: &FieldValue) -> bool {
    is_one_of(value, &["all", "exactly", "nodes"])
}

pub(super) fn is_master(value: &FieldValue) -> bool {
    is_one_of(value, &["client-local", "min-masters", "random"])
}

pub(super) fn is_locator(value: &FieldValue) -> bool {
    is_one_of(value, &["client-local", "balanced", "random", "least-leaders"])
}

/// Answers whether it is a locator of any release, those of 3.x included, because exports from there have them.
pub(super) fn is_any_locator(value: &FieldValue) -> bool {
    is_master(value) || is_locator(value)
}

pub(super) fn is_version(value: &FieldValue) -> bool {
    matches!(count(value), Some(1 | 2))
}

pub(super) fn is_filter_size(value: &FieldValue) -> bool {
    matches!(count(value), Some(16..=255))
}

pub(super) fn is_segment_size(value: &FieldValue) -> bool {
    count(value).is_some_and(|bytes| bytes <= SEGMENT_MAX_BYTES)
}
