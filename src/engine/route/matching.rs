//! The test whether a binding matches, by the broker's own matchers.
//!
//! Each binding is given to an exchange of the broker's kind, alone or with others, and its destination's name says
//! which it was. What an exchange chooses by chance or by a hash is not computed: it changes with every binding.

use serde_json::Value;

use super::{BindingEnd, BindingStep, RouteQuestion, table, words};
use crate::broker::compat::{ChosenCompat, Compat};
use crate::broker::exchange::binding::Binding;
use crate::broker::exchange::{
    Destination, Details, Exchange, ExchangeKind, ExchangeSettings, LazyDetails, RoutingInput,
    RoutingRule,
};
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, ShortStr};

/// The way in which the bindings of an exchange are matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matching {
    /// As this type does.
    By(ExchangeKind, RoutingRule),
    /// By the rules of a type that is not known here.
    Unknown(String),
}

impl Matching {
    /// The rules of an exchange of type `kind`.
    pub(super) fn of(kind: &str, arguments: &FieldTable) -> Self {
        let known = ExchangeKind::from_name(kind, Compat::default());
        let known = known.and_then(|kind| Ok((kind.matched_as(arguments)?, kind.rule(arguments)?)));
        known.map_or_else(|_| Self::Unknown(kind.to_owned()), |(kind, rule)| Self::By(kind, rule))
    }

    /// Names the rule that chooses among the bindings, if only one of them takes a message.
    pub(super) fn chooses(&self) -> Option<String> {
        match self {
            Self::By(_, RoutingRule::OneBy(what)) => Some(what.clone()),
            Self::By(..) => None,
            Self::Unknown(kind) => Some(format!("the rules of the type '{kind}'")),
        }
    }

    /// Tries every binding of a list of the management API.
    pub(super) fn try_all(&self, rows: Vec<Value>, question: &RouteQuestion) -> Vec<BindingStep> {
        let bindings: Vec<ListedBinding> =
            rows.into_iter().filter_map(ListedBinding::read).collect();
        let matched = match self {
            Self::By(_, RoutingRule::OneBy(_)) | Self::Unknown(_) => vec![true; bindings.len()],
            Self::By(kind, _) => matched(*kind, &bindings, question),
        };
        let tried = bindings.into_iter().zip(matched);
        tried.map(|(bound, matches)| self.tried(bound, matches, question)).collect()
    }

    fn tried(&self, bound: ListedBinding, matches: bool, question: &RouteQuestion) -> BindingStep {
        let key = &*question.routing_key;
        let rule = match self {
            Self::By(_, rule) => rule,
            Self::Unknown(kind) => &RoutingRule::OneBy(kind.clone()),
        };
        let (why, likeness) = match rule {
            RoutingRule::All => ("everything goes there".to_owned(), 1.0),
            RoutingRule::Key if matches => ("it is the key".to_owned(), 1.0),
            RoutingRule::Key => words::about_key(&bound.routing_key, key),
            RoutingRule::Pattern if matches => ("the key fits".to_owned(), 1.0),
            RoutingRule::Pattern => words::about_topic(&bound.routing_key, key),
            RoutingRule::Headers => {
                words::about_headers(&bound.arguments, &question.headers, matches)
            }
            RoutingRule::OneBy(what) => (format!("it depends on {what}"), 1.0),
        };
        let ListedBinding { to, routing_key, shown, .. } = bound;
        let routing_key = routing_key.to_string();
        BindingStep { to, routing_key, arguments: shown, matches, why, likeness }
    }
}

/// A binding as the management API shows it.
struct ListedBinding {
    to: BindingEnd,
    routing_key: ShortStr,
    arguments: FieldTable,
    shown: Value,
}

impl ListedBinding {
    fn read(mut row: Value) -> Option<Self> {
        let name = row["destination"].as_str()?.to_owned();
        let to = match row["destination_type"].as_str()? {
            "exchange" => BindingEnd::Exchange(name),
            _ => BindingEnd::Queue(name),
        };
        let routing_key = ShortStr::try_from(row["routing_key"].as_str()?).ok()?;
        let shown = row["arguments"].take();
        Some(Self { to, routing_key, arguments: table(&shown), shown })
    }
}

/// Matches bindings by one exchange that has them all; answers for each if it matches.
fn matched(kind: ExchangeKind, bindings: &[ListedBinding], question: &RouteQuestion) -> Vec<bool> {
    let mut exchange = exchange(kind);
    for (number, bound) in bindings.iter().enumerate() {
        bind(&mut exchange, number, &bound.routing_key, &bound.arguments);
    }
    let mut matched = vec![false; bindings.len()];
    let details = Details { headers: question.headers.clone(), ..Details::default() };
    let details = LazyDetails::known(details);
    let mut found = Vec::new();
    for key in question.keys() {
        exchange.matches(&RoutingInput { routing_key: &key, details: &details }, &mut found);
    }
    for destination in found {
        let number = destination.name().name.parse::<usize>();
        if let Some(place) = number.ok().and_then(|number| matched.get_mut(number)) {
            *place = true;
        }
    }
    matched
}

/// True if a message with these headers has the one that a binding asks for.
pub(super) fn has_header(name: &ShortStr, wanted: &FieldTable, headers: &FieldTable) -> bool {
    let Some(value) = wanted.get(name) else { return false };
    let arguments: FieldTable =
        [(literal("x-match"), "all-with-x".into()), (name.clone(), value.clone())]
            .into_iter()
            .collect();
    let mut exchange = exchange(ExchangeKind::Headers);
    bind(&mut exchange, 0, &ShortStr::default(), &arguments);
    let mut found = Vec::new();
    let details = Details { headers: headers.clone(), ..Details::default() };
    let details = LazyDetails::known(details);
    exchange.matches(&RoutingInput { routing_key: "", details: &details }, &mut found);
    !found.is_empty()
}

fn exchange(kind: ExchangeKind) -> Exchange {
    let settings = ExchangeSettings {
        name: literal("asked"),
        kind,
        is_durable: false,
        is_auto_delete: false,
        is_internal: false,
        arguments: FieldTable::new(),
    };
    Exchange::new(settings, &ChosenCompat::default())
}

/// Binds an exchange to one that has the number as its name.
fn bind(exchange: &mut Exchange, number: usize, routing_key: &ShortStr, arguments: &FieldTable) {
    let destination = Destination::Exchange(ShortStr::truncated(&number.to_string()));
    let binding = Binding {
        source: literal("asked"),
        destination: destination.name(),
        routing_key: routing_key.clone(),
        arguments: arguments.clone(),
    };
    exchange.bind(binding, &destination);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chooses_among_bindings_is_named() {
        let header: &[(&str, &str)] = &[("hash-header", "id")];
        let property: &[(&str, &str)] = &[("hash-property", "message_id")];
        let delayed: &[(&str, &str)] = &[("x-delayed-type", "x-random")];
        let cases = [
            ("direct", &[][..], None),
            ("fanout", &[], None),
            ("headers", &[], None),
            ("topic", &[], None),
            ("x-recent-history", &[], None),
            ("x-consistent-hash", &[], Some("the hash of the routing key")),
            ("x-consistent-hash", header, Some("the hash of the header 'id'")),
            ("x-consistent-hash", property, Some("the hash of the property 'message_id'")),
            ("x-modulus-hash", &[], Some("the hash of the routing key")),
            ("x-random", &[], Some("chance")),
            ("x-local-random", &[], Some("chance")),
            ("x-delayed-message", delayed, Some("chance")),
            ("x-delayed-message", &[], Some("the rules of the type 'x-delayed-message'")),
            ("x-jms-topic", &[], Some("the rules of the type 'x-jms-topic'")),
        ];
        for (kind, arguments, chooses) in cases {
            let pairs = arguments.iter().map(|(name, value)| (literal(name), (*value).into()));
            let matching = Matching::of(kind, &pairs.collect());
            assert_eq!(matching.chooses().as_deref(), chooses, "{kind} {arguments:?}");
        }
    }
}
