//! The keys of a policy's definition, and the values that are refused.
//!
//! Most keys are queue arguments, in the table of `arguments`; the others are here.

use super::author::Author;
use super::term::{pairs, term};
use crate::broker::arguments::{
    self, Authors, Effect, Merge, ONE_MEMBER, PolicyKey, QueueArguments, Releases, is_above_0,
    is_mirroring, is_text,
};
use crate::broker::compat::Compat;
use crate::wire::{FieldTable, FieldValue, ShortStr};

const ONE_MIRROR: Effect =
    Effect::Nothing("the one node is the only mirror; RabbitMQ 4 has no mirrors");
const NO_FEDERATION: Effect =
    Effect::Nothing("mq has no federation; the setting is kept and exported");

/// A key of mirrored queues, which have one node here.
const fn mirror(name: &'static str, noun: &'static str) -> (PolicyKey, Effect) {
    (PolicyKey::new(name, noun, |_| true).only_in(Releases::UnlessStrict), ONE_MIRROR)
}

/// The keys that are no queue arguments, with their effects.
const OTHER_KEYS: &[(PolicyKey, Effect)] = &[
    (PolicyKey::new("alternate-exchange", "alternate exchange name", is_text), Effect::CarriedOut),
    // Of the federation plugin: kept with the policy, for the RabbitMQ it is exported to.
    (PolicyKey::new("federation-upstream", "federation upstream", is_text), NO_FEDERATION),
    (
        PolicyKey::new("federation-upstream-pattern", "federation upstream pattern", is_text),
        NO_FEDERATION,
    ),
    (PolicyKey::new("federation-upstream-set", "federation upstream set", |_| true), NO_FEDERATION),
    (
        PolicyKey::new("ha-mode", "ha-mode value", is_mirroring).only_in(Releases::UnlessStrict),
        ONE_MIRROR,
    ),
    mirror("ha-params", "ha-params"),
    mirror("ha-promote-on-failure", "ha-promote-on-failure"),
    mirror("ha-promote-on-shutdown", "ha-promote-on-shutdown"),
    (mirror("ha-sync-batch-size", "ha-sync-batch-size").0.of_all(), ONE_MIRROR),
    (mirror("ha-sync-mode", "ha-sync-mode").0.of_all(), ONE_MIRROR),
    (
        PolicyKey::new("target-group-size", "target group size", is_above_0)
            .of_all()
            .only_in(Releases::Since4),
        Effect::Nothing(ONE_MEMBER),
    ),
];

/// All keys, each with its effect.
fn keys() -> impl Iterator<Item = (&'static PolicyKey, Effect)> {
    let others = OTHER_KEYS.iter().map(|(key, effect)| (key, *effect));
    arguments::policy_keys().map(|(row, key)| (key, row.effect)).chain(others)
}

/// The key of that name that such an author may use in a release.
fn find(name: &str, author: Author, compat: Compat) -> Option<&'static PolicyKey> {
    let may_use = |key: &PolicyKey| author == Author::User || key.authors == Authors::All;
    keys()
        .map(|(key, _)| key)
        .find(|key| name == key.name && key.releases.has(compat) && may_use(key))
}

/// The names of all keys in alphabetical order, each with its effect.
pub(in crate::broker) fn policy_keys() -> Vec<(&'static str, Effect)> {
    let mut names: Vec<_> = keys().map(|(key, effect)| (key.name, effect)).collect();
    names.sort_unstable_by_key(|(name, _)| *name);
    names.dedup_by_key(|(name, _)| *name);
    names
}

/// The rule for a key that a user's policy and an operator's both have.
pub(super) fn merge_of(name: &str) -> Merge {
    let row = arguments::policy_keys().find(|(_, key)| key.name == name);
    row.map_or(Merge::Operators, |(row, _)| row.merge)
}

/// The values of a policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PolicyValues {
    pub(super) queues: QueueArguments,
    pub(super) alternate: Option<ShortStr>,
}

/// Checks a definition and reads it.
///
/// # Errors
///
/// The fault of the first setting that has one, or the settings that are not known.
pub(super) fn check(
    definition: &FieldTable,
    author: Author,
    compat: Compat,
) -> Result<PolicyValues, String> {
    if definition.is_empty() {
        return Err("no policy provided".to_owned());
    }
    let find = |name: &ShortStr| find(name, author, compat);
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
    if compat.is_strict() && definition.get("queue-master-locator").is_some() {
        return Err("use of deprecated queue-master-locator argument is not permitted".to_owned());
    }
    check_retry(definition)?;
    Ok(read(definition))
}

/// Reads a definition that was taken before: settings that this release would not take have no effect.
pub(super) fn kept(definition: &FieldTable, author: Author, compat: Compat) -> PolicyValues {
    let is_good = |(name, value): &&(ShortStr, FieldValue)| {
        find(name, author, compat).is_some_and(|key| (key.is_valid)(value))
    };
    read(&definition.iter().filter(is_good).cloned().collect())
}

/// Checks that the settings of delayed retries go together (RabbitMQ 4.3: `rabbit_policies`); older releases have none.
fn check_retry(definition: &FieldTable) -> Result<(), String> {
    let integer = |name: &str| definition.get(name)?.as_integer();
    let number = |name: &str| integer(name).and_then(|number| u64::try_from(number).ok());
    let (min, max) = (number("delayed-retry-min"), number("delayed-retry-max"));
    match definition.get("delayed-retry-type").and_then(FieldValue::as_str) {
        Some(kind) if kind != "disabled" && min.is_none() => {
            Err(format!("delayed-retry-min is required when delayed-retry-type is {kind}"))
        }
        _ => match (min, max) {
            (Some(min), Some(max)) if max < min => Err(format!(
                "delayed-retry-max ({max}) must not be smaller than delayed-retry-min ({min})"
            )),
            _ => Ok(()),
        },
    }
}

fn read(definition: &FieldTable) -> PolicyValues {
    let alternate = definition.get("alternate-exchange").and_then(FieldValue::as_str);
    let alternate = alternate.and_then(|text| ShortStr::try_from(text).ok());
    PolicyValues { queues: QueueArguments::read_policy(definition), alternate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::arguments::Overflow;
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
        assert!(check(&version, Author::User, Compat::V4_3).is_ok());
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

    /// Texts seen on RabbitMQ 4.3.6.
    #[test]
    fn delayed_retries_are_looked_at_together() {
        let number = FieldValue::I64;
        let kind = |name: &str| one("delayed-retry-type", name);
        let min = |ms| one("delayed-retry-min", number(ms));
        #[rustfmt::skip]
        let cases = [
            (kind("bogus"), "<<\"bogus\">> is not a valid delayed retry type. Must be one of: all, failed, returned, disabled"),
            (one("delayed-retry-type", number(1)), "1 is not a valid delayed retry type. Must be one of: all, failed, returned, disabled"),
            (kind("failed"), "delayed-retry-min is required when delayed-retry-type is failed"),
            (kind("all").with("delayed-retry-max", number(5)), "delayed-retry-min is required when delayed-retry-type is all"),
            (min(0), "0 is not a valid delayed retry minimum delay. Must be a positive integer"),
            (one("delayed-retry-max", "a"), "<<\"a\">> is not a valid delayed retry maximum delay. Must be a positive integer"),
            (min(10).with("delayed-retry-max", number(5)), "delayed-retry-max (5) must not be smaller than delayed-retry-min (10)"),
        ];
        for (definition, told) in cases {
            for author in Author::BOTH {
                assert_eq!(check(&definition, author, Compat::V4).unwrap_err(), told);
                assert_eq!(check(&definition, author, Compat::V4_3).unwrap_err(), told);
            }
        }
        let good = [
            kind("disabled"),
            min(5),
            one("delayed-retry-max", number(1 << 60)),
            kind("all").with("delayed-retry-min", number(5)).with("delayed-retry-max", number(5)),
        ];
        for definition in good {
            assert!(check(&definition, Author::Operator, Compat::V4).is_ok(), "{definition:?}");
        }
    }

    #[test]
    fn a_definition_is_read() {
        let definition = one("max-length", FieldValue::I64(7))
            .with("overflow", "reject-publish")
            .with("alternate-exchange", "x")
            .with("max-age", "1D");
        let said = check(&definition, Author::User, Compat::V4).unwrap();
        assert_eq!(said.queues.max_length, Some(7));
        assert_eq!(said.queues.overflow, Some(Overflow::RejectPublish));
        assert_eq!(said.queues.max_age_ms, Some(86_400_000));
        assert_eq!(said.alternate, Some(literal("x")));
    }
}
