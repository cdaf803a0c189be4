//! The test whether a binding matches, by the broker's own matchers.
//!
//! Each binding is given to an exchange of the broker's kind, alone or with others, and its destination's name says
//! which it was. What an exchange chooses by chance or by a hash is not computed: it changes with every binding.

use serde_json::Value;

use super::{BindingEnd, BindingStep, RouteQuestion, table, words};
use crate::broker::compat::ChosenCompat;
use crate::broker::exchange::binding::Binding;
use crate::broker::exchange::{
    Destination, Details, Exchange, ExchangeKind, ExchangeSettings, LazyDetails, RoutingInput,
};
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, ShortStr};

/// The way in which the bindings of an exchange are matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matching {
    /// Every binding that matches takes the message.
    By(ExchangeKind),
    /// One binding takes it: chosen so.
    OneOf(String),
    /// A type whose rules are not known here.
    Unknown(String),
}

impl Matching {
    /// The rules of an exchange of type `kind`.
    pub(super) fn of(kind: &str, arguments: &FieldTable) -> Self {
        let text = |name: &str| arguments.get(name).and_then(|value| value.as_str());
        match kind {
            "direct" => Self::By(ExchangeKind::Direct),
            "fanout" | "x-recent-history" => Self::By(ExchangeKind::Fanout),
            "topic" => Self::By(ExchangeKind::Topic),
            "headers" => Self::By(ExchangeKind::Headers),
            // One delay leads to another no further.
            "x-delayed-message" => match text("x-delayed-type") {
                Some("x-delayed-message") | None => Self::Unknown(kind.to_owned()),
                Some(kind) => Self::of(kind, arguments),
            },
            "x-consistent-hash" => {
                Self::OneOf(match (text("hash-header"), text("hash-property")) {
                    (Some(header), _) => format!("the hash of the header '{header}'"),
                    (None, Some(property)) => format!("the hash of the property '{property}'"),
                    (None, None) => "the hash of the routing key".to_owned(),
                })
            }
            "x-modulus-hash" => Self::OneOf("the hash of the routing key".to_owned()),
            "x-random" | "x-local-random" => Self::OneOf("chance".to_owned()),
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// Names the rule that chooses among the bindings, if only one of them takes a message.
    pub(super) fn chooses(&self) -> Option<String> {
        match self {
            Self::By(_) => None,
            Self::OneOf(how) => Some(how.clone()),
            Self::Unknown(kind) => Some(format!("the rules of the type '{kind}'")),
        }
    }

    /// Tries every binding of a list of the management API.
    pub(super) fn try_all(&self, rows: Vec<Value>, question: &RouteQuestion) -> Vec<BindingStep> {
        let bindings: Vec<Bound> = rows.into_iter().filter_map(Bound::read).collect();
        let matched = match self {
            Self::By(kind) => matched(*kind, &bindings, question),
            Self::OneOf(_) | Self::Unknown(_) => vec![true; bindings.len()],
        };
        let tried = bindings.into_iter().zip(matched);
        tried.map(|(bound, matches)| self.tried(bound, matches, question)).collect()
    }

    fn tried(&self, bound: Bound, matches: bool, question: &RouteQuestion) -> BindingStep {
        let key = &*question.routing_key;
        let (why, likeness) = match self {
            Self::By(ExchangeKind::Headers) => {
                words::about_headers(&bound.arguments, &question.headers, matches)
            }
            Self::By(ExchangeKind::Topic) if matches => ("the key fits".to_owned(), 1.0),
            Self::By(ExchangeKind::Topic) => words::about_topic(&bound.routing_key, key),
            Self::By(ExchangeKind::Direct) if !matches => words::about_key(&bound.routing_key, key),
            Self::By(ExchangeKind::Direct) => ("it is the key".to_owned(), 1.0),
            Self::By(_) => ("everything goes there".to_owned(), 1.0),
            Self::OneOf(how) | Self::Unknown(how) => (format!("it depends on {how}"), 1.0),
        };
        let Bound { to, routing_key, shown, .. } = bound;
        let routing_key = routing_key.to_string();
        BindingStep { to, routing_key, arguments: shown, matches, why, likeness }
    }
}

/// A binding as the management API shows it.
struct Bound {
    to: BindingEnd,
    routing_key: ShortStr,
    arguments: FieldTable,
    shown: Value,
}

impl Bound {
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
fn matched(kind: ExchangeKind, bindings: &[Bound], question: &RouteQuestion) -> Vec<bool> {
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
