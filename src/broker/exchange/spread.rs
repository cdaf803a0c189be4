//! Exchanges that give a message to one of the destinations bound to them: `x-random`, `x-local-random`,
//! `x-modulus-hash` and `x-consistent-hash`.
//!
//! Hashes are the same in every run, so that a message of one key keeps its queue over a restart.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};

use indexmap::IndexMap;

use super::Details;
use super::binding::{Binding, BindingKey, Destination};
use crate::broker::arguments::exchange_noun;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, erlang};

/// The most a binding of a consistent hash exchange may weigh (RabbitMQ 4.3).
const WEIGHT_MAX: u64 = 10_000;

/// What a consistent hash exchange hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HashOn {
    RoutingKey,
    Header(String),
    CorrelationId,
    MessageId,
    Timestamp,
}

/// How one of the destinations is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    Random,
    Modulus,
    Consistent(HashOn),
}

/// A destination and how much of the messages it is to get.
#[derive(Debug)]
struct Share {
    destination: Destination,
    weight: u32,
    /// The hash of the destination's name.
    seed: u64,
}

/// Bindings of which each message takes one.
#[derive(Debug)]
pub(super) struct Spread {
    choice: Choice,
    shares: IndexMap<BindingKey, Share>,
    random: RandomState,
    /// Grows with every random choice.
    serial: std::sync::atomic::AtomicU64,
}

fn refused(text: impl Into<String>) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// Checks the arguments of a consistent hash exchange (RabbitMQ: `rabbit_exchange_type_consistent_hash:validate`).
pub(super) fn check_consistent(
    arguments: &FieldTable,
    name: &str,
    vhost: &str,
) -> Result<(), Fault> {
    for argument in ["hash-header", "hash-property"] {
        if let Some(value) = arguments.get(argument)
            && value.as_str().is_none()
        {
            let (kind, noun) = (value.type_name(), exchange_noun(name, vhost));
            return Err(refused(format!("invalid type '{kind}' for arg '{argument}' in {noun}")));
        }
    }
    if arguments.get("hash-header").is_some() && arguments.get("hash-property").is_some() {
        return Err(refused("hash-header and hash-property are mutually exclusive"));
    }
    match arguments.get("hash-property").and_then(FieldValue::as_str) {
        Some(other) if property(other).is_none() => {
            Err(refused(format!("Unsupported property: {other}")))
        }
        Some(_) | None => Ok(()),
    }
}

fn property(name: &str) -> Option<HashOn> {
    match name {
        "correlation_id" => Some(HashOn::CorrelationId),
        "message_id" => Some(HashOn::MessageId),
        "timestamp" => Some(HashOn::Timestamp),
        _ => None,
    }
}

/// Checks the routing key of a binding to a consistent hash exchange: its weight.
pub(super) fn check_weight(key: &str) -> Result<(), Fault> {
    match key.parse::<i64>() {
        Err(_) => {
            let shown = erlang::binary(key.as_bytes());
            Err(refused(format!("The binding key must be an integer: {shown}")))
        }
        Ok(weight) if weight < 1 => Err(refused("The binding key must be greater than 0")),
        Ok(weight) if weight.unsigned_abs() > WEIGHT_MAX => {
            Err(refused(format!("The binding key must not exceed {WEIGHT_MAX}")))
        }
        Ok(_) => Ok(()),
    }
}

fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Spread {
    fn new(choice: Choice) -> Self {
        Self { choice, shares: IndexMap::new(), random: RandomState::new(), serial: 0.into() }
    }

    pub(super) fn random() -> Self {
        Self::new(Choice::Random)
    }

    pub(super) fn modulus() -> Self {
        Self::new(Choice::Modulus)
    }

    pub(super) fn consistent(arguments: &FieldTable) -> Self {
        let text = |name: &str| arguments.get(name).and_then(FieldValue::as_str);
        let on = match (text("hash-header"), text("hash-property").and_then(property)) {
            (Some(header), _) => HashOn::Header(header.to_owned()),
            (None, Some(property)) => property,
            (None, None) => HashOn::RoutingKey,
        };
        Self::new(Choice::Consistent(on))
    }

    pub(super) fn bind(&mut self, binding: &Binding, destination: &Destination) {
        let weight = match self.choice {
            // A second binding of the same two ends changes nothing (RabbitMQ).
            Choice::Consistent(_) if self.leads_to(destination) => return,
            Choice::Consistent(_) => binding.routing_key.parse().unwrap_or(1),
            Choice::Random | Choice::Modulus => 1,
        };
        let seed = hash_of(destination.name());
        let share = Share { destination: destination.clone(), weight, seed };
        self.shares.insert(binding.key(), share);
        if self.choice == Choice::Modulus {
            // In an order that does not depend on when they were bound.
            self.shares.sort_by(|_, one, _, other| one.seed.cmp(&other.seed));
        }
    }

    fn leads_to(&self, destination: &Destination) -> bool {
        let name = destination.name();
        self.shares.keys().any(|key| *key.destination() == name)
    }

    pub(super) fn unbind(&mut self, key: &BindingKey) {
        self.shares.shift_remove(key);
    }

    /// Chooses where the message goes.
    ///
    /// Cost: for `x-consistent-hash` a hash for each binding (rendezvous hashing: as even as chance, and a destination that
    /// comes or goes moves only what it gets or had); for the others the same for any number of them.
    pub(super) fn matches<'a>(
        &'a self,
        key: &str,
        details: &Details,
        into: &mut Vec<&'a Destination>,
    ) {
        let nth = |hash: u64| {
            let count = self.shares.len().max(1) as u64;
            usize::try_from(hash % count).ok().and_then(|at| self.shares.get_index(at))
        };
        let chosen = match &self.choice {
            Choice::Random => {
                let serial = self.serial.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                nth(self.random.hash_one(serial)).map(|(_, share)| share)
            }
            Choice::Modulus => nth(hash_of(key)).map(|(_, share)| share),
            Choice::Consistent(on) => self.consistently(on.hash(key, details)),
        };
        into.extend(chosen.map(|share| &share.destination));
    }

    fn consistently(&self, hash: u64) -> Option<&Share> {
        let score = |share: &Share| {
            #[expect(clippy::cast_precision_loss, reason = "a number between 0 and 1")]
            let drawn = (hash_of((hash, share.seed)) as f64 + 1.0) / (u64::MAX as f64 + 2.0);
            -f64::from(share.weight) / drawn.ln()
        };
        self.shares.values().max_by(|one, other| score(one).total_cmp(&score(other)))
    }
}

impl HashOn {
    fn hash(&self, key: &str, details: &Details) -> u64 {
        match self {
            Self::RoutingKey => hash_of(key),
            Self::Header(name) => match details.headers.get(name) {
                Some(FieldValue::LongStr(text)) => hash_of(text.as_bytes()),
                Some(other) => hash_of(format!("{other:?}")),
                None => 0,
            },
            Self::CorrelationId => hash_of(details.correlation_id.as_deref().unwrap_or_default()),
            Self::MessageId => hash_of(details.message_id.as_deref().unwrap_or_default()),
            Self::Timestamp => hash_of(details.timestamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::broker::exchange::binding::{DestinationKind, DestinationName};
    use crate::wire::ShortStr;
    use crate::wire::shortstr::literal;

    fn bound(spread: &mut Spread, name: &str, key: &str) -> BindingKey {
        let name = ShortStr::try_from(name).unwrap();
        let destination = Destination::Exchange(name.clone());
        let binding = Binding {
            source: literal("x"),
            destination: DestinationName { kind: DestinationKind::Exchange, name },
            routing_key: ShortStr::try_from(key).unwrap(),
            arguments: FieldTable::new(),
        };
        spread.bind(&binding, &destination);
        binding.key()
    }

    fn chosen(spread: &Spread, key: &str, details: &Details) -> Option<String> {
        let mut into = Vec::new();
        spread.matches(key, details, &mut into);
        assert!(into.len() <= 1);
        into.first().map(|destination| destination.name().name.to_string())
    }

    fn placed(spread: &Spread) -> Vec<String> {
        let place = |at: usize| chosen(spread, &format!("key.{at}"), &Details::default()).unwrap();
        (0..10_000).map(place).collect()
    }

    fn counts(placed: &[String]) -> HashMap<&str, usize> {
        placed.iter().fold(HashMap::new(), |mut counts, name| {
            *counts.entry(name.as_str()).or_default() += 1;
            counts
        })
    }

    #[test]
    fn a_consistent_hash_spreads_by_weight_and_moves_only_what_it_must() {
        let mut spread = Spread::consistent(&FieldTable::new());
        assert_eq!(chosen(&spread, "a", &Details::default()), None);
        for (name, weight) in [("one", "1"), ("two", "2"), ("three", "3")] {
            bound(&mut spread, name, weight);
        }
        let before = placed(&spread);
        for (name, share) in [("one", 1667), ("two", 3333), ("three", 5000)] {
            let got = counts(&before)[name];
            assert!(got.abs_diff(share) < 250, "{name} has {got}");
        }
        let four = bound(&mut spread, "four", "2");
        let with_four = placed(&spread);
        let pairs = before.iter().zip(&with_four);
        assert!(pairs.clone().all(|(old, new)| old == new || new == "four"));
        assert!(pairs.filter(|(_, new)| *new == "four").count().abs_diff(2500) < 250);
        spread.unbind(&four);
        assert_eq!(placed(&spread), before);
        bound(&mut spread, "one", "9");
        assert_eq!(placed(&spread), before, "a second binding of the same ends changes nothing");
    }

    #[test]
    fn a_hash_on_a_header_or_a_property_leaves_the_key_out() {
        let on = |argument: &'static str, value: &'static str| {
            let mut spread = Spread::consistent(&FieldTable::new().with(argument, value));
            (0..8).for_each(|at| drop(bound(&mut spread, &format!("q{at}"), "1")));
            spread
        };
        let with_header = |value: &str| Details {
            headers: FieldTable::new().with("h", value),
            message_id: Some(ShortStr::try_from(value).unwrap()),
            ..Details::default()
        };
        for spread in [on("hash-header", "h"), on("hash-property", "message_id")] {
            let places: Vec<_> = (0..100)
                .map(|at| {
                    let details = with_header(&at.to_string());
                    let one = chosen(&spread, "a", &details);
                    assert_eq!(one, chosen(&spread, "b", &details));
                    one
                })
                .collect();
            assert!(places.iter().any(|place| *place != places[0]));
        }
    }

    #[test]
    fn random_uses_all_and_modulus_keeps_to_the_key() {
        let mut random = Spread::random();
        let mut modulus = Spread::modulus();
        for at in 0..4 {
            bound(&mut random, &format!("q{at}"), "");
            bound(&mut modulus, &format!("q{at}"), "");
        }
        let details = Details::default();
        let drawn: Vec<String> =
            (0..4000).map(|_| chosen(&random, "same", &details).unwrap()).collect();
        assert!(counts(&drawn).values().all(|count| count.abs_diff(1000) < 200));
        let placed_once = placed(&modulus);
        assert_eq!(placed_once, placed(&modulus));
        assert!(counts(&placed_once).values().all(|count| count.abs_diff(2500) < 300));
    }

    #[test]
    fn bad_arguments_and_weights_are_refused_in_rabbitmqs_words() {
        let check =
            |table: FieldTable| check_consistent(&table, "x", "/").map_err(|fault| fault.text);
        let both = FieldTable::new().with("hash-header", "h").with("hash-property", "message_id");
        let told = "hash-header and hash-property are mutually exclusive";
        assert_eq!(check(both), Err(told.to_owned()));
        let bogus = FieldTable::new().with("hash-property", "bogus");
        assert_eq!(check(bogus), Err("Unsupported property: bogus".to_owned()));
        assert_eq!(check(FieldTable::new().with("hash-property", "timestamp")), Ok(()));
        let weight = |key: &str| check_weight(key).map_err(|fault| fault.text);
        let told = "The binding key must be an integer: <<\"abc\">>";
        assert_eq!(weight("abc"), Err(told.to_owned()));
        assert_eq!(weight("0"), Err("The binding key must be greater than 0".to_owned()));
        assert_eq!(weight("10001"), Err("The binding key must not exceed 10000".to_owned()));
        assert_eq!(weight("10"), Ok(()));
    }
}
