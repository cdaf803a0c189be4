//! The definition that results from a user's policy and an operator's, as listings show it.
//!
//! RabbitMQ: `rabbit_policy:merge_operator_definitions`, `rabbit_policies:merge_policy_value`.

use super::keys::merge_of;
use crate::broker::arguments::Merge;
use crate::wire::{FieldTable, FieldValue, ShortStr};

/// Merges two definitions.
pub fn merge(user: Option<&FieldTable>, operator: Option<&FieldTable>) -> FieldTable {
    let mut merged = user.cloned().unwrap_or_default();
    for (name, value) in operator.into_iter().flatten() {
        let applies = match merged.get(name) {
            None => value.clone(),
            Some(users) => both(name, users, value),
        };
        merged.insert(name.clone(), applies);
    }
    merged
}

fn both(name: &ShortStr, user: &FieldValue, operator: &FieldValue) -> FieldValue {
    let is_users = match (user.as_integer(), operator.as_integer()) {
        (Some(users), Some(operators)) => match merge_of(name) {
            Merge::Operators => false,
            // Below 0 is none, and the larger then is the other.
            Merge::SmallerLimit if users < 0 || operators < 0 => users > operators,
            Merge::Smaller | Merge::SmallerLimit => users < operators,
        },
        (None, _) | (_, None) => false,
    };
    if is_users { user.clone() } else { operator.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_takes_away_and_adds_nothing() {
        let number = FieldValue::I64;
        let user = FieldTable::new()
            .with("max-length", number(5))
            .with("message-ttl", number(50))
            .with("overflow", "drop-head")
            .with("delivery-limit", number(-1))
            .with("alternate-exchange", "x");
        let operator = FieldTable::new()
            .with("max-length", number(9))
            .with("message-ttl", number(9))
            .with("overflow", "reject-publish")
            .with("delivery-limit", number(3))
            .with("expires", number(1));
        let expected = FieldTable::new()
            .with("max-length", number(5))
            .with("message-ttl", number(9))
            .with("overflow", "reject-publish")
            .with("delivery-limit", number(3))
            .with("alternate-exchange", "x")
            .with("expires", number(1));
        assert_eq!(merge(Some(&user), Some(&operator)), expected);
        assert_eq!(merge(None, Some(&operator)), operator);
        assert_eq!(merge(None, None), FieldTable::new());
    }
}
