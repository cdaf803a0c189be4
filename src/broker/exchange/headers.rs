//! The headers exchange: a message goes where a binding's arguments match its headers (3.1.3.4).
//!
//! RabbitMQ's rules (`rabbit_exchange_type_headers`): `x-match` is `all` (the default), `any`, `all-with-x` or
//! `any-with-x`; arguments whose name starts with `x-` take part only in the last two; an argument without a
//! value asks for presence only; numbers are compared by value, whatever their width; RabbitMQ 4.3 does not compare
//! whole numbers with others, which ours does unless it is to be as strict.
//!
//! A binding is filed under what it asks for (`any`: under each, `all`: under what the fewest others ask for), so
//! that only bindings are looked at of which a header holds. Start at [`Headers::matches`].

use std::collections::HashMap;

use indexmap::IndexSet;

use super::binding::{Binding, BindingKey};
use super::targets::Destination;
use crate::broker::compat::{ChosenCompat, Compat};
use crate::broker::policies::term;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, erlang};

/// The number of arguments that must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatchRule {
    All,
    Any,
}

#[derive(Debug)]
struct HeaderPattern {
    rule: MatchRule,
    /// The arguments that take part.
    wanted: Vec<(String, FieldValue)>,
    /// Under which of them it is filed with [`MatchRule::All`].
    filed_under: usize,
    destination: Destination,
}

/// The number of a pattern.
type PatternId = usize;

/// Bindings, and where to find those that a header may match.
#[derive(Debug, Default)]
pub(super) struct Headers {
    compat: ChosenCompat,
    patterns: Vec<Option<HeaderPattern>>,
    free: Vec<PatternId>,
    ids: HashMap<BindingKey, PatternId>,
    /// Patterns that ask for nothing, and so match everything.
    always: IndexSet<PatternId>,
    by_name: HashMap<Box<str>, FiledPatterns>,
}

/// The patterns that are filed under one header.
#[derive(Debug, Default)]
struct FiledPatterns {
    /// They ask for its presence.
    present: IndexSet<PatternId>,
    texts: HashMap<Box<[u8]>, IndexSet<PatternId>>,
    /// By the bits of the number as `f64`, which large numbers may share.
    numbers: HashMap<u64, IndexSet<PatternId>>,
    /// They ask for something rare: a boolean, a table.
    others: IndexSet<PatternId>,
}

/// Reads `x-match`: the rule, and whether `x-` arguments take part.
///
/// # Errors
///
/// `PRECONDITION_FAILED` for another value or type, in RabbitMQ's words.
fn rule(arguments: &FieldTable) -> Result<(MatchRule, bool), Fault> {
    let refuse = |text: String| Err(Fault::new(ReplyCode::PreconditionFailed, text));
    let Some(value) = arguments.get("x-match") else { return Ok((MatchRule::All, false)) };
    let FieldValue::LongStr(text) = value else {
        let shown = match value {
            FieldValue::Void => "undefined".to_owned(),
            other => term(other),
        };
        return refuse(format!(
            "Invalid x-match field type {} (value {shown}); expected longstr",
            value.type_name()
        ));
    };
    match text.as_bytes() {
        b"all" => Ok((MatchRule::All, false)),
        b"any" => Ok((MatchRule::Any, false)),
        b"all-with-x" => Ok((MatchRule::All, true)),
        b"any-with-x" => Ok((MatchRule::Any, true)),
        other => refuse(format!(
            "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x",
            erlang::binary(other)
        )),
    }
}

/// Checks the arguments of a binding to a headers exchange.
pub(super) fn check(arguments: &FieldTable) -> Result<(), Fault> {
    rule(arguments).map(drop)
}

/// The value of a whole number; a time is one, too.
fn whole(value: &FieldValue) -> Option<i128> {
    match value {
        FieldValue::Timestamp(seconds) => Some((*seconds).into()),
        other => other.as_integer().map(i128::from),
    }
}

fn number(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::F32(value) => Some(f64::from(*value)),
        FieldValue::F64(value) => Some(*value),
        #[expect(clippy::cast_precision_loss, reason = "Erlang compares so, too")]
        other => whole(other).map(|value| value as f64),
    }
}

/// Answers whether a header has the value that is asked for; with `--compat 4.3` a whole number equals only whole
/// numbers, whatever the value.
fn is_same(wanted: &FieldValue, found: &FieldValue, compat: Compat) -> bool {
    match (wanted, found) {
        (FieldValue::Void, _) => true,
        (
            FieldValue::LongStr(one) | FieldValue::Bytes(one),
            FieldValue::LongStr(other) | FieldValue::Bytes(other),
        ) => one == other,
        (one, other) => match (whole(one), whole(other)) {
            (Some(one), Some(other)) => one == other,
            (Some(_), None) | (None, Some(_)) if compat.is_strict() => false,
            _ => match (number(one), number(other)) {
                #[expect(clippy::float_cmp, reason = "equality is what was asked for")]
                (Some(one), Some(other)) => one == other,
                _ => one == other,
            },
        },
    }
}

impl HeaderPattern {
    fn new(arguments: &FieldTable, destination: &Destination) -> Self {
        let (rule, with_x) = rule(arguments).unwrap_or((MatchRule::All, false));
        let takes_part = |name: &str| name != "x-match" && (with_x || !name.starts_with("x-"));
        let wanted = arguments.iter().filter(|(name, _)| takes_part(name));
        let wanted = wanted.map(|(name, value)| (name.to_string(), value.clone())).collect();
        Self { rule, wanted, filed_under: 0, destination: destination.clone() }
    }

    /// Returns the wanted headers that the pattern is filed under.
    fn filed(&self) -> &[(String, FieldValue)] {
        match self.rule {
            MatchRule::Any => &self.wanted,
            MatchRule::All => {
                self.wanted.get(self.filed_under..=self.filed_under).unwrap_or_default()
            }
        }
    }

    fn matches_always(&self) -> bool {
        self.rule == MatchRule::All && self.wanted.is_empty()
    }

    fn matches(&self, headers: &FieldTable, compat: Compat) -> bool {
        let is_found = |(name, wanted): &(String, FieldValue)| {
            headers.get(name).is_some_and(|value| is_same(wanted, value, compat))
        };
        let mut found = self.wanted.iter().map(is_found);
        match self.rule {
            MatchRule::All => found.all(|is_there| is_there),
            MatchRule::Any => found.any(|is_there| is_there),
        }
    }
}

/// The bits by which equal numbers are found: those of its value, of one sort of zero.
fn number_bits(value: &FieldValue) -> Option<u64> {
    number(value).map(|number| (number + 0.0).to_bits())
}

impl FiledPatterns {
    /// The patterns that ask for this value, and maybe some that do not.
    fn find(&self, value: &FieldValue) -> Option<&IndexSet<PatternId>> {
        match value {
            FieldValue::Void => Some(&self.present),
            FieldValue::LongStr(text) | FieldValue::Bytes(text) => self.texts.get(text.as_bytes()),
            other => match number_bits(other) {
                Some(bits) => self.numbers.get(&bits),
                None => Some(&self.others),
            },
        }
    }

    fn add(&mut self, value: &FieldValue, id: PatternId) {
        let asked = match value {
            FieldValue::Void => &mut self.present,
            FieldValue::LongStr(text) | FieldValue::Bytes(text) => {
                self.texts.entry(text.as_bytes().into()).or_default()
            }
            other => match number_bits(other) {
                Some(bits) => self.numbers.entry(bits).or_default(),
                None => &mut self.others,
            },
        };
        asked.insert(id);
    }

    /// Takes a pattern out, and the value itself when no pattern asks for it any more.
    fn remove(&mut self, value: &FieldValue, id: PatternId) {
        let strike = |asked: &mut IndexSet<PatternId>| {
            asked.swap_remove(&id);
            asked.is_empty()
        };
        match value {
            FieldValue::Void => drop(strike(&mut self.present)),
            FieldValue::LongStr(text) | FieldValue::Bytes(text) => {
                if self.texts.get_mut(text.as_bytes()).is_some_and(strike) {
                    self.texts.remove(text.as_bytes());
                }
            }
            other => match number_bits(other) {
                Some(bits) => {
                    if self.numbers.get_mut(&bits).is_some_and(strike) {
                        self.numbers.remove(&bits);
                    }
                }
                None => drop(strike(&mut self.others)),
            },
        }
    }

    fn is_empty(&self) -> bool {
        self.present.is_empty()
            && self.texts.is_empty()
            && self.numbers.is_empty()
            && self.others.is_empty()
    }
}

impl Headers {
    pub(super) fn new(compat: ChosenCompat) -> Self {
        Self { compat, ..Self::default() }
    }

    pub(super) fn bind(&mut self, binding: &Binding, destination: &Destination) {
        let mut pattern = HeaderPattern::new(&binding.arguments, destination);
        let asked_by = |(_, (name, value)): &(usize, &(String, FieldValue))| {
            let asked = self.by_name.get(name.as_str());
            asked.and_then(|asked| asked.find(value)).map_or(0, IndexSet::len)
        };
        let rarest = pattern.wanted.iter().enumerate().min_by_key(asked_by);
        pattern.filed_under = rarest.map_or(0, |(at, _)| at);
        let id = self.free.pop().unwrap_or(self.patterns.len());
        for (name, value) in pattern.filed() {
            self.by_name.entry(name.as_str().into()).or_default().add(value, id);
        }
        if pattern.matches_always() {
            self.always.insert(id);
        }
        if id == self.patterns.len() {
            self.patterns.push(None);
        }
        self.patterns[id] = Some(pattern);
        self.ids.insert(binding.key(), id);
    }

    pub(super) fn unbind(&mut self, key: &BindingKey) {
        let Some(id) = self.ids.remove(key) else { return };
        let Some(pattern) = self.patterns[id].take() else { return };
        self.free.push(id);
        self.always.swap_remove(&id);
        for (name, value) in pattern.filed() {
            let Some(asked) = self.by_name.get_mut(name.as_str()) else { continue };
            asked.remove(value, id);
            if asked.is_empty() {
                self.by_name.remove(name.as_str());
            }
        }
    }

    /// Collects where a message with these headers goes.
    ///
    /// Cost: two look-ups for each header, and a comparison with each binding that is filed under one that holds;
    /// the number of bindings takes no part.
    pub(super) fn matches<'a>(&'a self, headers: &FieldTable, into: &mut Vec<&'a Destination>) {
        let compat = self.compat.get();
        let pattern = |id: &PatternId| self.patterns[*id].as_ref();
        let always = self.always.iter().filter_map(pattern);
        into.extend(always.map(|pattern| &pattern.destination));
        for (name, value) in headers {
            let Some(asked) = self.by_name.get(&**name) else { continue };
            let present = asked.find(&FieldValue::Void);
            // A header without a value is only present.
            let equal = asked.find(value).filter(|_| *value != FieldValue::Void);
            let candidates = present.into_iter().chain(equal).flatten().filter_map(pattern);
            let found = candidates.filter(|pattern| pattern.matches(headers, compat));
            into.extend(found.map(|pattern| &pattern.destination));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::exchange::binding::{DestinationKind, DestinationName};
    use crate::wire::ShortStr;
    use crate::wire::shortstr::literal;

    fn binding(destination: &str, arguments: FieldTable) -> Binding {
        let name = ShortStr::try_from(destination).unwrap();
        let destination = DestinationName { kind: DestinationKind::Exchange, name };
        Binding { source: literal("h"), destination, routing_key: literal(""), arguments }
    }

    fn to(binding: &Binding) -> Destination {
        Destination::Exchange(binding.destination.name.clone())
    }

    fn matches(arguments: FieldTable, headers: &FieldTable) -> bool {
        let binding = binding("x", arguments);
        let mut exchange = Headers::default();
        exchange.bind(&binding, &to(&binding));
        let mut found = Vec::new();
        exchange.matches(headers, &mut found);
        !found.is_empty()
    }

    /// Every pattern and every message of a small world, the bindings coming and going: those found are those that a
    /// look at each of them finds.
    #[test]
    fn bindings_are_found_by_what_they_ask_for() {
        let values = [
            None,
            Some(FieldValue::Void),
            Some(FieldValue::from("1")),
            Some(FieldValue::I32(1)),
            Some(FieldValue::F64(1.0)),
            Some(FieldValue::F64(-0.0)),
            Some(FieldValue::U8(0)),
            Some(FieldValue::Bool(true)),
        ];
        let table = |a: &Option<FieldValue>, b: &Option<FieldValue>| {
            let pairs = [("a", a), ("b", b)].into_iter();
            let pairs = pairs.filter_map(|(name, value)| Some((literal(name), value.clone()?)));
            pairs.collect::<FieldTable>()
        };
        let pairs: Vec<_> =
            values.iter().flat_map(|a| values.iter().map(move |b| (a, b))).collect();
        let rules = ["all", "any"];
        let bindings: Vec<Binding> = rules
            .iter()
            .flat_map(|rule| pairs.iter().map(|(a, b)| table(a, b).with("x-match", *rule)))
            .enumerate()
            .map(|(number, arguments)| binding(&format!("q{number}"), arguments))
            .collect();
        let mut exchange = Headers::default();
        let rounds: [fn(usize) -> bool; 4] = [|_| true, |at| at % 3 == 0, |_| true, |_| false];
        for (round, stays) in rounds.iter().enumerate() {
            for (at, binding) in bindings.iter().enumerate() {
                exchange.unbind(&binding.key());
                if stays(at) {
                    exchange.bind(binding, &to(binding));
                }
            }
            for (a, b) in &pairs {
                let headers = table(a, b);
                let mut found = Vec::new();
                exchange.matches(&headers, &mut found);
                let mut found: Vec<_> = found.into_iter().map(Destination::name).collect();
                found.sort();
                found.dedup();
                let kept = bindings.iter().enumerate().filter(|(at, _)| stays(*at));
                let expected = kept.filter(|(_, binding)| {
                    HeaderPattern::new(&binding.arguments, &to(binding))
                        .matches(&headers, Compat::V4)
                });
                let mut expected: Vec<_> =
                    expected.map(|(_, one)| one.destination.clone()).collect();
                expected.sort();
                assert_eq!(found, expected, "round {round}, {headers:?}");
            }
        }
        assert!(exchange.by_name.is_empty() && exchange.ids.is_empty());
    }

    /// A header that all bindings ask for is no help: `all` is filed under a header that tells them apart.
    #[test]
    fn a_binding_is_filed_under_the_rarest_of_what_it_asks_for() {
        let mut exchange = Headers::default();
        for number in 0..100 {
            let arguments =
                FieldTable::new().with("kind", "order").with("n", FieldValue::I32(number));
            let one = binding("q", arguments);
            exchange.bind(&one, &to(&one));
        }
        let kind = exchange.by_name["kind"].find(&FieldValue::from("order")).unwrap();
        assert_eq!(kind.len(), 1, "only the first, when nothing was known");
    }

    #[test]
    fn header_patterns() {
        let table = FieldTable::new;
        let headers = table().with("a", "1").with("b", FieldValue::I32(2)).with("x-c", "3");
        let cases = [
            ("nothing asked", table(), true),
            ("all there", table().with("a", "1").with("b", FieldValue::I64(2)), true),
            ("one differs", table().with("a", "1").with("b", FieldValue::I32(3)), false),
            ("any", table().with("x-match", "any").with("a", "1").with("z", "9"), true),
            ("any of nothing", table().with("x-match", "any"), false),
            ("present", table().with("a", FieldValue::Void), true),
            ("absent", table().with("z", FieldValue::Void), false),
            ("x- is skipped", table().with("x-c", "other"), true),
            ("x- takes part", table().with("x-match", "all-with-x").with("x-c", "4"), false),
            ("any x-", table().with("x-match", "any-with-x").with("x-c", "3"), true),
            ("another type", table().with("b", "2"), false),
        ];
        for (case, arguments, expected) in cases {
            assert_eq!(matches(arguments, &headers), expected, "{case}");
        }
    }
}
