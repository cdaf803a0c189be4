//! One queue argument: everything that the broker and the command line know of it before they obey it.

use super::checks::Check;
use super::kind::QueueKind;
use super::policy_key::PolicyKey;
use crate::broker::compat::{Compat, CompatRelease};
use crate::wire::{FieldTable, FieldValue};

/// A queue argument; `V` has the values that the broker reads.
#[derive(Debug)]
pub struct ArgumentRow<V: 'static> {
    pub name: &'static str,
    rule: Rule,
    rule_3_10: Rule,
    /// With `--compat 4.3`.
    rule_strict: Rule,
    /// Puts a value that was accepted where the broker reads it.
    pub(super) read: fn(&mut V, &FieldValue),
    pub effect: Effect,
    /// The argument in policies, where its name may differ by release.
    pub keys: &'static [PolicyKey],
    pub merge: Merge,
    /// The option of `mq declare-queue`.
    pub flag: Option<Flag>,
}

/// The queues and values that a release accepts.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// The types of queues that know the argument; without any, no type refuses it.
    kinds: &'static [QueueKind],
    check: Check,
}

/// The effect of a name that the broker accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    CarriedOut,
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// The value that listings show if a user's policy and an operator's both have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    Operators,
    /// The smaller of two numbers; otherwise the operator's.
    Smaller,
    /// As [`Self::Smaller`], but a number below 0 is no limit.
    SmallerLimit,
}

/// An option of `mq declare-queue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its place among the options in the help.
    pub place: u8,
    /// Its name, without dashes.
    pub long: &'static str,
    pub alias: Option<&'static str>,
    pub value: FlagValue,
    /// The value's name in the help.
    pub value_name: &'static str,
    /// The help; the argument's name follows in brackets.
    pub help: &'static str,
    /// The default, where the help tells one.
    pub default: Option<&'static str>,
    /// The name of an option without which this one is refused.
    pub requires: Option<&'static str>,
}

/// The value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagValue {
    /// An age like `7D`, given to the broker as text.
    Age,
    /// A number up to 255.
    Byte { min: u8 },
    /// A number of 32 bits.
    Count,
    /// A number of 31 bits, or -1.
    CountOrNone,
    /// A time like `30s`, given to the broker in milliseconds.
    Duration,
    /// The name of an exchange, or a routing key.
    Name,
    /// A size like `64MiB`, given to the broker in bytes.
    Size,
    /// No value: the option is the boolean `true`.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
}

impl Flag {
    /// An option at this place of the help.
    pub const fn new(
        place: u8,
        long: &'static str,
        value: FlagValue,
        value_name: &'static str,
        help: &'static str,
    ) -> Self {
        let (alias, default, requires) = (None, None, None);
        Self { place, long, alias, value, value_name, help, default, requires }
    }
}

impl<V: 'static> ArgumentRow<V> {
    /// An argument that queues of these types accept in every release, and that does something.
    pub(super) const fn new(
        name: &'static str,
        kinds: &'static [QueueKind],
        check: Check,
        read: fn(&mut V, &FieldValue),
    ) -> Self {
        let rule = Rule { kinds, check };
        Self {
            name,
            rule,
            rule_3_10: rule,
            rule_strict: rule,
            read,
            effect: Effect::CarriedOut,
            keys: &[],
            merge: Merge::Operators,
            flag: None,
        }
    }

    /// An argument that is accepted without effect.
    pub(super) const fn without_effect(
        name: &'static str,
        kinds: &'static [QueueKind],
        check: Check,
        reason: &'static str,
    ) -> Self {
        Self { effect: Effect::Nothing(reason), ..Self::new(name, kinds, check, |_, _| {}) }
    }

    /// The argument with another rule in RabbitMQ 3.10.
    pub(super) const fn in_3_10(self, kinds: &'static [QueueKind], check: Check) -> Self {
        Self { rule_3_10: Rule { kinds, check }, ..self }
    }

    /// The argument as one that RabbitMQ 3.10 does not know.
    pub(super) const fn since_4(self) -> Self {
        let check = self.rule.check;
        self.in_3_10(&[], check)
    }

    /// The argument with another rule where 4.3's refusals are wanted.
    pub(super) const fn strictly(self, kinds: &'static [QueueKind], check: Check) -> Self {
        Self { rule_strict: Rule { kinds, check }, ..self }
    }

    pub(super) const fn keys(self, keys: &'static [PolicyKey]) -> Self {
        Self { keys, ..self }
    }

    pub(super) const fn merged(self, merge: Merge) -> Self {
        Self { merge, ..self }
    }

    pub(super) const fn flag(self, flag: Flag) -> Self {
        Self { flag: Some(flag), ..self }
    }

    fn rule(&self, compat: Compat) -> Rule {
        match compat.release() {
            CompatRelease::V3_10 => self.rule_3_10,
            CompatRelease::V4 => self.rule,
            CompatRelease::V4_3 => self.rule_strict,
        }
    }

    /// The types of queues that know the argument in the newest release.
    pub fn kinds(&self) -> &'static [QueueKind] {
        self.rule.kinds
    }

    /// Checks a value; the error is the term of RabbitMQ's refusal.
    pub(super) fn check(
        &self,
        value: &FieldValue,
        all: &FieldTable,
        compat: Compat,
    ) -> Result<(), String> {
        (self.rule(compat).check)(value, all)
    }

    /// Answers if queues of this type know the argument.
    pub(super) fn is_for(&self, kind: QueueKind, compat: Compat) -> bool {
        self.rule(compat).kinds.contains(&kind)
    }

    /// Answers if only queues of other types know the argument.
    pub(super) fn is_for_another(&self, kind: QueueKind, compat: Compat) -> bool {
        !self.rule(compat).kinds.is_empty() && !self.is_for(kind, compat)
    }
}
