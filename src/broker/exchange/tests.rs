//! The types that choose one of several destinations, as one exchange each.

use std::collections::HashMap;

use super::binding::{Binding, BindingKey, DestinationKind, DestinationName};
use super::{
    Destination, Details, Exchange, ExchangeKind, ExchangeSettings, LazyDetails, RoutingInput,
};
use crate::broker::compat::ChosenCompat;
use crate::wire::shortstr::literal;
use crate::wire::{FieldTable, ShortStr};

fn exchange(kind: ExchangeKind, arguments: FieldTable) -> Exchange {
    let settings = ExchangeSettings {
        name: literal("x"),
        kind,
        is_durable: false,
        is_auto_delete: false,
        is_internal: false,
        arguments,
    };
    Exchange::new(settings, &ChosenCompat::default())
}

fn consistent(arguments: FieldTable) -> Exchange {
    exchange(ExchangeKind::ConsistentHash, arguments)
}

fn modulus() -> Exchange {
    exchange(ExchangeKind::ModulusHash, FieldTable::new())
}

fn bound(exchange: &mut Exchange, name: &str, key: &str) -> BindingKey {
    let name = ShortStr::try_from(name).unwrap();
    let destination = Destination::Exchange(name.clone());
    let binding = Binding {
        source: literal("x"),
        destination: DestinationName { kind: DestinationKind::Exchange, name },
        routing_key: ShortStr::try_from(key).unwrap(),
        arguments: FieldTable::new(),
    };
    let key = binding.key();
    exchange.bind(binding, &destination);
    key
}

fn chosen(exchange: &Exchange, routing_key: &str, details: &Details) -> Option<String> {
    let mut into = Vec::new();
    let details = &LazyDetails::known(details.clone());
    exchange.matches(&RoutingInput { routing_key, details }, &mut into);
    assert!(into.len() <= 1);
    into.first().map(|destination| destination.name().name.to_string())
}

fn placed(exchange: &Exchange) -> Vec<String> {
    let place = |at: usize| chosen(exchange, &format!("key.{at}"), &Details::default()).unwrap();
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
    let mut exchange = consistent(FieldTable::new());
    assert_eq!(chosen(&exchange, "a", &Details::default()), None);
    for (name, weight) in [("one", "1"), ("two", "2"), ("three", "3")] {
        bound(&mut exchange, name, weight);
    }
    let before = placed(&exchange);
    for (name, share) in [("one", 1667), ("two", 3333), ("three", 5000)] {
        let got = counts(&before)[name];
        assert!(got.abs_diff(share) < 250, "{name} has {got}");
    }
    let four = bound(&mut exchange, "four", "2");
    let with_four = placed(&exchange);
    let pairs = before.iter().zip(&with_four);
    assert!(pairs.clone().all(|(old, new)| old == new || new == "four"));
    assert!(pairs.filter(|(_, new)| *new == "four").count().abs_diff(2500) < 250);
    exchange.unbind(&four);
    assert_eq!(placed(&exchange), before);
    bound(&mut exchange, "one", "9");
    assert_eq!(placed(&exchange), before, "a second binding of the same ends changes nothing");
}

#[test]
fn a_hash_on_a_header_or_a_property_leaves_the_key_out() {
    let on = |argument: &'static str, value: &'static str| {
        let mut exchange = consistent(FieldTable::new().with(argument, value));
        (0..8).for_each(|at| drop(bound(&mut exchange, &format!("q{at}"), "1")));
        exchange
    };
    let with_header = |value: &str| Details {
        headers: FieldTable::new().with("h", value),
        message_id: Some(ShortStr::try_from(value).unwrap()),
        ..Details::default()
    };
    for exchange in [on("hash-header", "h"), on("hash-property", "message_id")] {
        let places: Vec<_> = (0..100)
            .map(|at| {
                let details = with_header(&at.to_string());
                let one = chosen(&exchange, "a", &details);
                assert_eq!(one, chosen(&exchange, "b", &details));
                one
            })
            .collect();
        assert!(places.iter().any(|place| *place != places[0]));
    }
}

/// The queues that earlier releases chose; a release that differs moves keys of a running system.
#[test]
fn a_key_has_the_queue_that_it_had_in_every_release() {
    let four = |mut exchange: Exchange| {
        (0..4).for_each(|at| drop(bound(&mut exchange, &format!("q{at}"), "1")));
        let place =
            |at: usize| chosen(&exchange, &format!("key.{at}"), &Details::default()).unwrap();
        (0..12).map(place).collect::<Vec<_>>().join(" ")
    };
    let consistent = four(consistent(FieldTable::new()));
    assert_eq!(consistent, "q1 q3 q3 q3 q0 q0 q1 q3 q1 q2 q3 q0");
    assert_eq!(four(modulus()), "q2 q1 q0 q2 q3 q2 q3 q3 q0 q0 q1 q2");
}

#[test]
fn random_uses_all_and_modulus_keeps_to_the_key() {
    let mut random = exchange(ExchangeKind::Random, FieldTable::new());
    let mut by_modulus = modulus();
    for at in 0..4 {
        bound(&mut random, &format!("q{at}"), "");
        bound(&mut by_modulus, &format!("q{at}"), "");
    }
    let details = Details::default();
    let drawn: Vec<String> =
        (0..4000).map(|_| chosen(&random, "same", &details).unwrap()).collect();
    assert!(counts(&drawn).values().all(|count| count.abs_diff(1000) < 200));
    let placed_once = placed(&by_modulus);
    assert_eq!(placed_once, placed(&by_modulus));
    assert!(counts(&placed_once).values().all(|count| count.abs_diff(2500) < 300));
}
