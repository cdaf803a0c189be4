//! The headers exchange: a message goes where a binding's arguments match its headers (3.1.3.4).
//!
//! RabbitMQ's rules (`rabbit_exchange_type_headers`): `x-match` is `all` (the default), `any`, `all-with-x` or
//! `any-with-x`; arguments whose name starts with `x-` take part only in the last two; an argument without a
//! value asks for presence only; numbers are compared by value, whatever their width.

use super::binding::{Binding, BindingKey, Destination};
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, erlang};

/// How many of the arguments must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    All,
    Any,
}

#[derive(Debug)]
struct Pattern {
    key: BindingKey,
    rule: Rule,
    /// The arguments that take part.
    wanted: Vec<(String, FieldValue)>,
    destination: Destination,
}

/// Bindings in the order they came.
#[derive(Debug, Default)]
pub(super) struct Headers(Vec<Pattern>);

/// Reads `x-match`: the rule, and whether `x-` arguments take part.
///
/// # Errors
///
/// `PRECONDITION_FAILED` for another value or type, in RabbitMQ's words.
fn rule(arguments: &FieldTable) -> Result<(Rule, bool), Fault> {
    let refuse = |text: String| Err(Fault::new(ReplyCode::PreconditionFailed, text));
    let Some(value) = arguments.get("x-match") else { return Ok((Rule::All, false)) };
    let FieldValue::LongStr(text) = value else {
        let shown = value.as_integer().map_or_else(|| format!("{value:?}"), |n| n.to_string());
        return refuse(format!(
            "Invalid x-match field type {} (value {shown}); expected longstr",
            value.type_name()
        ));
    };
    match text.as_bytes() {
        b"all" => Ok((Rule::All, false)),
        b"any" => Ok((Rule::Any, false)),
        b"all-with-x" => Ok((Rule::All, true)),
        b"any-with-x" => Ok((Rule::Any, true)),
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

fn number(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::F32(value) => Some(f64::from(*value)),
        FieldValue::F64(value) => Some(*value),
        #[expect(clippy::cast_precision_loss, reason = "Erlang compares so, too")]
        other => other.as_integer().map(|value| value as f64),
    }
}

fn is_same(wanted: &FieldValue, found: &FieldValue) -> bool {
    match (wanted, found) {
        (FieldValue::Void, _) => true,
        (
            FieldValue::LongStr(one) | FieldValue::Bytes(one),
            FieldValue::LongStr(other) | FieldValue::Bytes(other),
        ) => one == other,
        (one, other) => match (one.as_integer(), other.as_integer()) {
            (Some(one), Some(other)) => one == other,
            _ => match (number(one), number(other)) {
                #[expect(clippy::float_cmp, reason = "equality is what was asked for")]
                (Some(one), Some(other)) => one == other,
                _ => one == other,
            },
        },
    }
}

impl Pattern {
    fn matches(&self, headers: &FieldTable) -> bool {
        let mut found = self
            .wanted
            .iter()
            .map(|(name, wanted)| headers.get(name).is_some_and(|value| is_same(wanted, value)));
        match self.rule {
            Rule::All => found.all(|is_there| is_there),
            Rule::Any => found.any(|is_there| is_there),
        }
    }
}

impl Headers {
    pub(super) fn bind(&mut self, binding: &Binding, destination: &Destination) {
        let (rule, with_x) = rule(&binding.arguments).unwrap_or((Rule::All, false));
        let takes_part = |name: &str| name != "x-match" && (with_x || !name.starts_with("x-"));
        let wanted = binding.arguments.iter().filter(|(name, _)| takes_part(name));
        let wanted = wanted.map(|(name, value)| (name.to_string(), value.clone())).collect();
        let (key, destination) = (binding.key(), destination.clone());
        self.0.push(Pattern { key, rule, wanted, destination });
    }

    pub(super) fn unbind(&mut self, key: &BindingKey) {
        self.0.retain(|pattern| pattern.key != *key);
    }

    pub(super) fn matches<'a>(&'a self, headers: &FieldTable, into: &mut Vec<&'a Destination>) {
        let matching = self.0.iter().filter(|pattern| pattern.matches(headers));
        into.extend(matching.map(|pattern| &pattern.destination));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::exchange::binding::{DestinationKind, DestinationName};
    use crate::wire::shortstr::literal;

    fn matches(arguments: FieldTable, headers: &FieldTable) -> bool {
        let destination = Destination::Exchange(literal("x"));
        let name = DestinationName { kind: DestinationKind::Exchange, name: literal("x") };
        let (source, routing_key) = (literal("h"), literal(""));
        let binding = Binding { source, destination: name, routing_key, arguments };
        let mut exchange = Headers::default();
        exchange.bind(&binding, &destination);
        let mut found = Vec::new();
        exchange.matches(headers, &mut found);
        !found.is_empty()
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
