//! What a policy may say, and which values are refused.
//!
//! Texts: RabbitMQ, `rabbit_policies:validate_policy0` and the validators of its other modules.

use super::Author;
use super::term::{pairs, term};
use crate::broker::arguments::{
    DeadLetterStrategy, Overflow, PolicyLimits, RetryKind, RetrySaid, max_age_ms,
};
use crate::broker::compat::Compat;
use crate::wire::{FieldTable, FieldValue, ShortStr};

/// Bytes of a stream's segment beyond which RabbitMQ refuses.
const SEGMENT_MAX_BYTES: u64 = 3_000_000_000;

/// A setting: its name, what RabbitMQ says of a wrong value, and whether a value is right.
struct Key {
    name: &'static str,
    says: &'static str,
    noun: &'static str,
    is_valid: fn(&FieldValue) -> bool,
    authors: &'static [Author],
    releases: Releases,
}

/// Which releases know a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Releases {
    All,
    Only3,
    /// Of mirrors, which 4.0 gave up: one node is every mirror a policy asks for, so it is taken, and refused only where
    /// 4.3's refusals are wanted.
    UnlessStrict,
    Since4,
}

const USER: &[Author] = &[Author::User];
const BOTH: &[Author] = &Author::BOTH;

const fn key(
    name: &'static str,
    noun: &'static str,
    is_valid: fn(&FieldValue) -> bool,
    authors: &'static [Author],
) -> Key {
    Key { name, says: "is not a valid", noun, is_valid, authors, releases: Releases::All }
}

impl Key {
    const fn only_in(self, releases: Releases) -> Self {
        Self { releases, ..self }
    }

    fn is_known_to(&self, author: Author, compat: Compat) -> bool {
        let is_released = match self.releases {
            Releases::All => true,
            Releases::Only3 => compat.is_3_10(),
            Releases::UnlessStrict => !compat.is_strict(),
            Releases::Since4 => !compat.is_3_10(),
        };
        is_released && self.authors.contains(&author)
    }
}

/// All settings, in the order of their names.
const KEYS: &[Key] = &[
    key("alternate-exchange", "alternate exchange name", is_text, USER),
    key("consumer-disconnected-timeout", "consumer disconnected timeout", is_count, USER)
        .only_in(Releases::Since4),
    key("consumer-timeout", "consumer timeout", is_count, USER).only_in(Releases::Since4),
    key("dead-letter-exchange", "dead letter exchange name", is_text, USER),
    key("dead-letter-routing-key", "dead letter routing key", is_text, USER),
    key("dead-letter-strategy", "dead letter strategy", is_strategy, USER),
    key("delayed-retry-max", "delayed retry max", is_count, BOTH).only_in(Releases::Since4),
    key("delayed-retry-min", "delayed retry min", is_count, BOTH).only_in(Releases::Since4),
    key("delayed-retry-type", "delayed retry type", is_text, BOTH).only_in(Releases::Since4),
    key("delivery-limit", "delivery limit", is_count, BOTH).only_in(Releases::Only3),
    key("delivery-limit", "delivery limit", is_integer, BOTH).only_in(Releases::Since4),
    key("expires", "queue expiry", is_above_0, BOTH),
    key("ha-mode", "ha-mode value", is_mirroring, USER).only_in(Releases::UnlessStrict),
    key("ha-params", "ha-params", |_| true, USER).only_in(Releases::UnlessStrict),
    key("ha-promote-on-failure", "ha-promote-on-failure", |_| true, USER)
        .only_in(Releases::UnlessStrict),
    key("ha-promote-on-shutdown", "ha-promote-on-shutdown", |_| true, USER)
        .only_in(Releases::UnlessStrict),
    key("ha-sync-batch-size", "ha-sync-batch-size", |_| true, BOTH).only_in(Releases::UnlessStrict),
    key("ha-sync-mode", "ha-sync-mode", |_| true, BOTH).only_in(Releases::UnlessStrict),
    key("initial-cluster-size", "cluster size", is_count, USER),
    key("max-age", "max age", is_age, USER),
    key("max-in-memory-bytes", "maximum memory in bytes", is_count, BOTH),
    key("max-in-memory-length", "maximum memory in bytes", is_count, BOTH),
    key("max-length", "maximum length", is_count, BOTH),
    key("max-length-bytes", "maximum length in bytes", is_count, BOTH),
    key("message-ttl", "message TTL", is_count, BOTH),
    key("overflow", "overflow value", is_overflow, USER).only_in(Releases::Only3),
    key("overflow", "overflow value", is_overflow, BOTH).only_in(Releases::Since4),
    key("queue-leader-locator", "queue leader locator value", is_locator, USER),
    Key {
        says: "invalid",
        ..key("queue-master-locator", "queue-master-locator value", is_master, USER)
    }
    .only_in(Releases::Only3),
    key("queue-master-locator", "master locator", is_locator, USER).only_in(Releases::Since4),
    key("queue-mode", "queue-mode value", is_mode, USER),
    key("queue-version", "queue-version value", is_version, USER).only_in(Releases::Only3),
    key("queue-version", "queue-version value", is_version, BOTH).only_in(Releases::Since4),
    key("stream-filter-size-bytes", "filter size", is_filter_size, USER).only_in(Releases::Since4),
    key("stream-max-segment-size-bytes", "segment size", is_segment_size, USER),
    key("target-group-size", "target group size", is_above_0, BOTH).only_in(Releases::Since4),
];

fn count(value: &FieldValue) -> Option<u64> {
    u64::try_from(value.as_integer()?).ok()
}

fn is_integer(value: &FieldValue) -> bool {
    value.as_integer().is_some()
}

fn is_count(value: &FieldValue) -> bool {
    count(value).is_some()
}

fn is_above_0(value: &FieldValue) -> bool {
    count(value).is_some_and(|count| count > 0)
}

fn is_text(value: &FieldValue) -> bool {
    value.as_str().is_some_and(|text| ShortStr::try_from(text).is_ok())
}

fn is_one_of(value: &FieldValue, known: &[&str]) -> bool {
    value.as_str().is_some_and(|text| known.contains(&text))
}

fn is_strategy(value: &FieldValue) -> bool {
    value.as_str().is_some_and(|text| DeadLetterStrategy::from_name(text).is_some())
}

fn is_overflow(value: &FieldValue) -> bool {
    value.as_str().is_some_and(|text| Overflow::from_name(text).is_some())
}

fn is_age(value: &FieldValue) -> bool {
    value.as_str().is_some_and(|text| max_age_ms(text).is_some())
}

fn is_mode(value: &FieldValue) -> bool {
    is_one_of(value, &["default", "lazy"])
}

fn is_mirroring(value: &FieldValue) -> bool {
    is_one_of(value, &["all", "exactly", "nodes"])
}

fn is_master(value: &FieldValue) -> bool {
    is_one_of(value, &["client-local", "min-masters", "random"])
}

fn is_locator(value: &FieldValue) -> bool {
    is_one_of(value, &["client-local", "balanced", "random", "least-leaders"])
}

fn is_version(value: &FieldValue) -> bool {
    matches!(count(value), Some(1 | 2))
}

fn is_filter_size(value: &FieldValue) -> bool {
    matches!(count(value), Some(16..=255))
}

fn is_segment_size(value: &FieldValue) -> bool {
    count(value).is_some_and(|bytes| bytes <= SEGMENT_MAX_BYTES)
}

/// What a policy says, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) limits: PolicyLimits,
    pub(super) alternate: Option<ShortStr>,
}

/// Checks a definition and reads it.
///
/// # Errors
///
/// What is wrong with the first setting that is, or which settings nobody knows.
pub(super) fn check(
    definition: &FieldTable,
    author: Author,
    compat: Compat,
) -> Result<Said, String> {
    if definition.is_empty() {
        return Err("no policy provided".to_owned());
    }
    let find = |name: &ShortStr| {
        KEYS.iter().find(|key| *name == key.name && key.is_known_to(author, compat))
    };
    let unknown = definition.iter().filter(|(name, _)| find(name).is_none());
    let unknown = FieldTable::from_entries(unknown.cloned().collect());
    if !unknown.is_empty() {
        return Err(format!("{} are not recognised policy settings", pairs(&unknown)));
    }
    for (name, value) in definition {
        if let Some(key) = find(name)
            && !(key.is_valid)(value)
        {
            return Err(format!("{} {} {}", term(value), key.says, key.noun));
        }
    }
    if compat.is_strict() {
        check_4_3(definition)?;
    }
    Ok(read(definition))
}

/// What 4.3 has given up.
fn check_4_3(definition: &FieldTable) -> Result<(), String> {
    if definition.get("queue-master-locator").is_some() {
        return Err("use of deprecated queue-master-locator argument is not permitted".to_owned());
    }
    match definition.get("queue-version").and_then(count) {
        Some(1) => Err("1 is not a valid queue-version value".to_owned()),
        Some(_) | None => Ok(()),
    }
}

fn read(definition: &FieldTable) -> Said {
    let number = |name: &str| definition.get(name).and_then(count);
    let text = |name: &str| definition.get(name).and_then(FieldValue::as_str);
    let short = |name: &str| text(name).and_then(|text| ShortStr::try_from(text).ok());
    let limits = PolicyLimits {
        message_ttl_ms: number("message-ttl"),
        expires_ms: number("expires"),
        max_length: number("max-length"),
        max_length_bytes: number("max-length-bytes"),
        overflow: text("overflow").and_then(Overflow::from_name),
        dead_letter_exchange: short("dead-letter-exchange"),
        dead_letter_routing_key: short("dead-letter-routing-key"),
        dead_letter_strategy: text("dead-letter-strategy").and_then(DeadLetterStrategy::from_name),
        delivery_limit: definition.get("delivery-limit").and_then(FieldValue::as_integer),
        delayed_retry: RetrySaid {
            kind: text("delayed-retry-type").and_then(RetryKind::from_name),
            min_ms: number("delayed-retry-min"),
            max_ms: number("delayed-retry-max"),
        },
        consumer_timeout_ms: number("consumer-timeout"),
        max_age_ms: text("max-age").and_then(max_age_ms),
        segment_max_bytes: number("stream-max-segment-size-bytes"),
    };
    Said { limits, alternate: short("alternate-exchange") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shortstr::literal;

    fn one(name: &'static str, value: impl Into<FieldValue>) -> FieldTable {
        FieldTable::new().with(name, value)
    }

    /// Texts seen on RabbitMQ 3.10.8.
    #[test]
    fn values_are_refused_in_rabbitmqs_words() {
        let number = FieldValue::I64;
        #[rustfmt::skip]
        let cases = [
            (FieldTable::new(), "no policy provided"),
            (one("bogus", number(5)), "[{<<\"bogus\">>,5}] are not recognised policy settings"),
            (one("a", number(1)).with("b", "x"), "[{<<\"a\">>,1},{<<\"b\">>,<<\"x\">>}] are not recognised policy settings"),
            (one("bogus", FieldTable::new().with("a", FieldValue::Array(vec![number(1), FieldValue::Void, FieldValue::F64(1.5)]))),
                "[{<<\"bogus\">>,#{<<\"a\">> => [1,null,1.5]}}] are not recognised policy settings"),
            (one("max-length", "x"), "<<\"x\">> is not a valid maximum length"),
            (one("max-length-bytes", number(-5)), "-5 is not a valid maximum length in bytes"),
            (one("message-ttl", FieldValue::Void), "null is not a valid message TTL"),
            (one("expires", number(0)), "0 is not a valid queue expiry"),
            (one("dead-letter-exchange", number(3)), "3 is not a valid dead letter exchange name"),
            (one("dead-letter-routing-key", number(5)), "5 is not a valid dead letter routing key"),
            (one("dead-letter-strategy", "z"), "<<\"z\">> is not a valid dead letter strategy"),
            (one("alternate-exchange", number(4)), "4 is not a valid alternate exchange name"),
            (one("delivery-limit", number(-1)), "-1 is not a valid delivery limit"),
            (one("queue-mode", "q"), "<<\"q\">> is not a valid queue-mode value"),
            (one("queue-version", number(9)), "9 is not a valid queue-version value"),
            (one("max-in-memory-length", number(-1)), "-1 is not a valid maximum memory in bytes"),
            (one("stream-max-segment-size-bytes", number(5_000_000_000)), "5000000000 is not a valid segment size"),
            (one("queue-leader-locator", "x"), "<<\"x\">> is not a valid queue leader locator value"),
            (one("overflow", "x"), "<<\"x\">> is not a valid overflow value"),
            (one("queue-master-locator", "x"), "<<\"x\">> invalid queue-master-locator value"),
            (one("ha-mode", "x"), "<<\"x\">> is not a valid ha-mode value"),
            (one("stream-filter-size-bytes", number(20)), "[{<<\"stream-filter-size-bytes\">>,20}] are not recognised policy settings"),
        ];
        for (definition, told) in cases {
            let refused = check(&definition, Author::User, Compat::V3_10).unwrap_err();
            assert_eq!(refused, told);
        }
    }

    #[test]
    fn some_settings_are_not_an_operators_or_not_every_releases() {
        let mirrored = one("ha-mode", "all");
        assert!(check(&mirrored, Author::User, Compat::V3_10).is_ok());
        assert!(check(&mirrored, Author::User, Compat::V4).is_ok());
        assert!(check(&mirrored, Author::User, Compat::V4_3).is_err());
        let without = one("delivery-limit", FieldValue::I64(-1));
        assert!(check(&without, Author::User, Compat::V4).is_ok());
        let overflow = one("overflow", "reject-publish");
        assert!(check(&overflow, Author::Operator, Compat::V4).is_ok());
        assert!(check(&overflow, Author::Operator, Compat::V3_10).is_err());
        let version = one("queue-version", FieldValue::I64(1));
        assert!(check(&version, Author::User, Compat::V4).is_ok());
        let told = check(&version, Author::User, Compat::V4_3).unwrap_err();
        assert_eq!(told, "1 is not a valid queue-version value");
        let master = one("queue-master-locator", "client-local");
        assert!(check(&master, Author::User, Compat::V4).is_ok());
        let told = check(&master, Author::User, Compat::V4_3).unwrap_err();
        assert_eq!(told, "use of deprecated queue-master-locator argument is not permitted");
        let letters = one("dead-letter-exchange", "x");
        let refused = check(&letters, Author::Operator, Compat::V4).unwrap_err();
        assert_eq!(
            refused,
            "[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings"
        );
    }

    #[test]
    fn a_definition_is_read() {
        let definition = one("max-length", FieldValue::I64(7))
            .with("overflow", "reject-publish")
            .with("alternate-exchange", "x")
            .with("max-age", "1D");
        let said = check(&definition, Author::User, Compat::V4).unwrap();
        assert_eq!(said.limits.max_length, Some(7));
        assert_eq!(said.limits.overflow, Some(Overflow::RejectPublish));
        assert_eq!(said.limits.max_age_ms, Some(86_400_000));
        assert_eq!(said.alternate, Some(literal("x")));
    }
}
