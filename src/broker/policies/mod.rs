//! Policies: settings that apply to queues and exchanges by their names, without declaring them anew.
//!
//! Of a vhost's policies the one with the highest priority applies to an object, and beside it the highest of the
//! operator's; [`Limits::merge`](crate::broker::arguments::Limits::merge) says who wins. Which those are is looked up
//! whenever it is asked, so nothing can disagree; a queue is told its limits when it is declared and when policies
//! change.
//!
//! Reading order: [`Policy::read`], [`Policies`], `keys` (what a policy may say), `merged`.

mod author;
mod keys;
mod merged;
mod term;

use std::sync::Arc;

use self::keys::PolicyValues;
use crate::broker::arguments::{QueueArguments, QueueKind};
use crate::broker::auth::Pattern;
use crate::broker::compat::Compat;
use crate::lock::RwLock;
use crate::wire::{FieldTable, FieldValue, ShortStr};

pub use author::Author;
pub(in crate::broker) use keys::policy_keys;
pub use merged::merge;
pub use term::{pairs, term};

/// The kind of things that a policy applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyTo {
    All,
    Exchanges,
    Queues,
    QueuesOf(QueueKind),
}

/// Something a policy may apply to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicySubject<'a> {
    Queue(&'a str, QueueKind),
    Exchange(&'a str),
}

impl ApplyTo {
    fn from_name(name: &str, compat: Compat) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "exchanges" => Self::Exchanges,
            "queues" => Self::Queues,
            _ if compat.is_3_10() => return None,
            "classic_queues" => Self::QueuesOf(QueueKind::Classic),
            "quorum_queues" => Self::QueuesOf(QueueKind::Quorum),
            "streams" => Self::QueuesOf(QueueKind::Stream),
            _ => return None,
        })
    }

    fn takes(self, subject: PolicySubject<'_>) -> bool {
        match (self, subject) {
            (Self::All, _)
            | (Self::Exchanges, PolicySubject::Exchange(_))
            | (Self::Queues, PolicySubject::Queue(..)) => true,
            (Self::QueuesOf(wanted), PolicySubject::Queue(_, kind)) => wanted == kind,
            (Self::Exchanges, PolicySubject::Queue(..))
            | (Self::Queues | Self::QueuesOf(_), PolicySubject::Exchange(_)) => false,
        }
    }
}

/// A policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub name: ShortStr,
    pub pattern: Pattern,
    pub apply_to: ApplyTo,
    pub definition: FieldTable,
    priority: f64,
    said: PolicyValues,
}

impl Policy {
    /// Reads a policy from the value of its parameter: `pattern`, `definition`, `priority`, `apply-to`.
    ///
    /// # Errors
    ///
    /// All faults in RabbitMQ's words (`rabbit_policy:validate`), a line each.
    pub fn read(
        name: ShortStr,
        author: Author,
        value: &FieldTable,
        compat: Compat,
    ) -> Result<Self, String> {
        Self::read_with(name, value, compat, |definition| keys::check(definition, author, compat))
    }

    /// Reads a policy that was taken before, perhaps by another release: settings that would not be taken now have no
    /// effect, the others apply.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], but for the definition.
    pub fn read_kept(
        name: ShortStr,
        author: Author,
        value: &FieldTable,
        compat: Compat,
    ) -> Result<Self, String> {
        Self::read_with(name, value, compat, |definition| {
            Ok(keys::kept(definition, author, compat))
        })
    }

    fn read_with(
        name: ShortStr,
        value: &FieldTable,
        compat: Compat,
        said_by: impl FnOnce(&FieldTable) -> Result<keys::PolicyValues, String>,
    ) -> Result<Self, String> {
        let mut wrong = String::new();
        let mut note = |why: String| {
            wrong.push_str(&why);
            wrong.push('\n');
        };
        let definition = match value.get("definition") {
            Some(FieldValue::Table(definition)) => definition.clone(),
            _ => FieldTable::new(),
        };
        let said = said_by(&definition).map_err(&mut note).ok();
        let apply_to = match value.get("apply-to") {
            None => Some(ApplyTo::All),
            Some(given) => {
                let known = given.as_str().and_then(|name| ApplyTo::from_name(name, compat));
                if known.is_none() {
                    note(unrecognised(given, compat));
                }
                known
            }
        };
        let pattern = match value.get("pattern").map(|given| (given, given.as_str())) {
            Some((_, Some(text))) => Pattern::new(text)
                .map_err(|bad| {
                    note(format!("pattern should be regular expression but is invalid: {bad}"));
                })
                .ok(),
            Some((other, None)) => {
                note(format!("pattern should be a binary but was {}", term(other)));
                None
            }
            None => {
                note(format!("Key \"pattern\" not found in {name}"));
                None
            }
        };
        let priority = match value.get("priority") {
            None => Some(0.0),
            Some(given) => {
                let number = number(given);
                if number.is_none() {
                    note(format!("priority should be a number, actually was {}", term(given)));
                }
                number
            }
        };
        let whole = (said, apply_to, pattern, priority);
        let (Some(said), Some(apply_to), Some(pattern), Some(priority)) = whole else {
            return Err(wrong);
        };
        Ok(Self { name, pattern, apply_to, definition, priority, said })
    }

    /// Returns its settings for queues.
    pub fn limits(&self) -> &QueueArguments {
        &self.said.queues
    }

    /// Returns the exchange for messages that an exchange cannot route.
    pub fn alternate(&self) -> Option<&ShortStr> {
        self.said.alternate.as_ref()
    }

    fn applies_to(&self, subject: PolicySubject<'_>) -> bool {
        let (PolicySubject::Queue(name, _) | PolicySubject::Exchange(name)) = subject;
        self.apply_to.takes(subject) && self.pattern.matches(name)
    }
}

fn unrecognised(given: &FieldValue, compat: Compat) -> String {
    let given = given.as_str().map_or_else(|| term(given), str::to_owned);
    let known = if compat.is_3_10() {
        "should be 'queues', 'exchanges' or 'all'"
    } else {
        "should be one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', or 'all'"
    };
    format!("apply-to '{given}' unrecognised; {known}")
}

#[expect(clippy::cast_precision_loss, reason = "priorities that large are none")]
fn number(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::F64(number) => Some(*number),
        other => other.as_integer().map(|number| number as f64),
    }
}

/// The policies that apply to something.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    pub user: Option<Arc<Policy>>,
    pub operator: Option<Arc<Policy>>,
}

/// The policies of a vhost, the highest priority first.
#[derive(Debug, Default)]
pub struct Policies {
    all: RwLock<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    user: Vec<Arc<Policy>>,
    operator: Vec<Arc<Policy>>,
}

impl Lists {
    fn of(&mut self, author: Author) -> &mut Vec<Arc<Policy>> {
        match author {
            Author::User => &mut self.user,
            Author::Operator => &mut self.operator,
        }
    }
}

impl Policies {
    /// Puts a policy in, in the place of the one of that name.
    pub(in crate::broker) fn put(&self, author: Author, policy: Policy) {
        let mut all = self.all.write();
        let list = all.of(author);
        list.retain(|one| one.name != policy.name);
        let at = list.partition_point(|one| {
            one.priority > policy.priority
                || (one.priority >= policy.priority && one.name < policy.name)
        });
        list.insert(at, Arc::new(policy));
    }

    /// Takes a policy out.
    pub(in crate::broker) fn remove(&self, author: Author, name: &str) {
        let mut all = self.all.write();
        all.of(author).retain(|one| one.name != name);
    }

    /// The policies that apply to something; nothing, mostly.
    pub fn applied(&self, subject: PolicySubject<'_>) -> Applied {
        let all = self.all.read();
        let first = |list: &[Arc<Policy>]| {
            list.iter().find(|policy| policy.applies_to(subject)).map(Arc::clone)
        };
        Applied { user: first(&all.user), operator: first(&all.operator) }
    }

    /// Answers whether there are none.
    pub fn is_empty(&self) -> bool {
        let all = self.all.read();
        all.user.is_empty() && all.operator.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shortstr::literal;

    pub(super) fn policy(name: &'static str, pattern: &str, definition: FieldTable) -> FieldTable {
        let _ = name;
        FieldTable::new().with("pattern", pattern).with("definition", definition)
    }

    fn length(most: i64) -> FieldTable {
        FieldTable::new().with("max-length", FieldValue::I64(most))
    }

    fn read(name: &'static str, value: &FieldTable) -> Policy {
        Policy::read(literal(name), Author::User, value, Compat::V4).unwrap()
    }

    #[test]
    fn the_highest_priority_applies() {
        let policies = Policies::default();
        let with = |name, pattern: &str, priority, to: &str| {
            let value = policy(name, pattern, length(1));
            read(name, &value.with("priority", FieldValue::I64(priority)).with("apply-to", to))
        };
        policies.put(Author::User, with("low", "", 0, "all"));
        policies.put(Author::User, with("queues", "^q", 5, "queues"));
        policies.put(Author::User, with("high", "^qq", 7, "quorum_queues"));
        policies.put(Author::Operator, with("operator", "q$", 0, "exchanges"));
        #[rustfmt::skip]
        let cases = [
            (PolicySubject::Queue("a", QueueKind::Classic),  Some("low"),    None),
            (PolicySubject::Queue("q", QueueKind::Classic),  Some("queues"), None),
            (PolicySubject::Queue("qq", QueueKind::Quorum),  Some("high"),   None),
            (PolicySubject::Queue("qq", QueueKind::Classic), Some("queues"), None),
            (PolicySubject::Exchange("qq"),                  Some("low"),    Some("operator")),
        ];
        for (subject, user, operator) in cases {
            let applied = policies.applied(subject);
            let name =
                |policy: &Option<Arc<Policy>>| policy.as_ref().map(|one| one.name.to_string());
            let found = (name(&applied.user), name(&applied.operator));
            let expected = (user.map(str::to_owned), operator.map(str::to_owned));
            assert_eq!(found, expected, "{subject:?}");
        }
        policies.put(Author::User, with("low", "^z", 9, "all"));
        assert!(policies.applied(PolicySubject::Exchange("qq")).user.is_none());
        policies.remove(Author::User, "queues");
        assert!(policies.applied(PolicySubject::Queue("q", QueueKind::Classic)).user.is_none());
    }

    /// RabbitMQ does not look at policies again that it has taken.
    #[test]
    fn a_policy_that_was_taken_before_applies_as_far_as_it_would_be_taken_now() {
        let definition = length(7).with("delayed-retry-type", "all").with("bogus", true);
        let value = policy("p", "a", definition);
        let read = Policy::read(literal("p"), Author::User, &value, Compat::V4);
        assert!(read.is_err());
        let kept = Policy::read_kept(literal("p"), Author::User, &value, Compat::V4).unwrap();
        assert_eq!(kept.limits().max_length, Some(7));
        let broken = policy("p", "(", length(7));
        assert!(Policy::read_kept(literal("p"), Author::User, &broken, Compat::V4).is_err());
    }

    /// Texts seen on RabbitMQ 3.10.8.
    #[test]
    fn what_is_wrong_with_a_policy_is_said_in_rabbitmqs_words() {
        let definition = || FieldTable::new().with("max-length", FieldValue::I64(1));
        let whole = || policy("p", "a", definition());
        #[rustfmt::skip]
        let cases = [
            (policy("p", "(", definition()), "pattern should be regular expression but is invalid: {\"missing )\",1}\n"),
            (policy("p", "(", FieldTable::new()), "no policy provided\npattern should be regular expression but is invalid: {\"missing )\",1}\n"),
            (whole().with("pattern", FieldValue::I64(5)), "pattern should be a binary but was 5\n"),
            (whole().with("priority", "1"), "priority should be a number, actually was <<\"1\">>\n"),
            (whole().with("apply-to", "foo"), "apply-to 'foo' unrecognised; should be 'queues', 'exchanges' or 'all'\n"),
        ];
        for (value, told) in cases {
            let wrong = Policy::read(literal("p"), Author::User, &value, Compat::V3_10);
            assert_eq!(wrong.unwrap_err(), told);
        }
        let value = whole().with("priority", FieldValue::F64(2.5));
        assert!(Policy::read(literal("p"), Author::User, &value, Compat::V3_10).is_ok());
    }
}
