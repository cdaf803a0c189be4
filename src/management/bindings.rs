//! Bindings as RabbitMQ's management API shows them, those of the default exchange included.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::arguments;
use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::exchange::binding::{Binding, DestinationKind};
use crate::broker::vhost::Vhost;

/// `GET /bindings` and `/bindings/:vhost`.
pub(super) fn list(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    Ok(view.vhosts(names)?.iter().flat_map(|vhost| rows(vhost, |_| true)).collect())
}

/// `GET /bindings/:vhost/e/:exchange/q/:queue`: none if one of them is not there (as RabbitMQ 3.10 and 4.3.6 answer).
pub(super) fn between_exchange_and_queue(
    view: &View<'_>,
    names: &Names,
) -> Result<Vec<Value>, Refusal> {
    let vhost = view.vhost(names.vhost()?)?;
    let queue = names.get("queue")?;
    between(&vhost, names, &BindingDestination { kind: DestinationKind::Queue, name: queue })
}

/// `GET /bindings/:vhost/e/:exchange/e/:destination`.
pub(super) fn between_exchanges(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let vhost = view.vhost(names.vhost()?)?;
    let name = names.exchange("destination")?;
    between(&vhost, names, &BindingDestination { kind: DestinationKind::Exchange, name })
}

/// `GET .../:properties_key`: one binding between an exchange and a queue.
pub(super) fn one_to_queue(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    pick(between_exchange_and_queue(view, names)?, names)
}

/// `GET .../:properties_key`: one binding between two exchanges.
pub(super) fn one_to_exchange(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    pick(between_exchanges(view, names)?, names)
}

/// Lists the bindings that lead to a queue.
pub(super) fn to_queue(vhost: &Vhost, name: &str) -> Vec<Value> {
    let end = BindingDestination { kind: DestinationKind::Queue, name };
    rows(vhost, |binding| end.is_of(binding))
}

/// Lists the bindings that lead to an exchange.
pub(super) fn to_exchange(vhost: &Vhost, name: &str) -> Vec<Value> {
    let end = BindingDestination { kind: DestinationKind::Exchange, name };
    rows(vhost, |binding| end.is_of(binding))
}

/// Lists the bindings that leave an exchange.
pub(super) fn from_exchange(vhost: &Vhost, name: &str) -> Vec<Value> {
    rows(vhost, |binding| binding.source == name)
}

/// The far end of a binding.
#[derive(Debug)]
struct BindingDestination<'a> {
    kind: DestinationKind,
    name: &'a str,
}

impl BindingDestination<'_> {
    fn is_of(&self, binding: &Binding) -> bool {
        binding.destination.kind == self.kind && binding.destination.name == self.name
    }
}

fn between(
    vhost: &Vhost,
    names: &Names,
    end: &BindingDestination<'_>,
) -> Result<Vec<Value>, Refusal> {
    let source = names.exchange("exchange")?;
    Ok(rows(vhost, |binding| binding.source == source && end.is_of(binding)))
}

fn pick(rows: Vec<Value>, names: &Names) -> Result<Value, Refusal> {
    let key = names.get("properties_key")?;
    let known = rows.iter().map(|row| row["properties_key"].as_str().unwrap_or_default());
    let at = position_of_key(&known, key).ok_or(Refusal::NotFound)?;
    rows.into_iter().nth(at).ok_or(Refusal::NotFound)
}

/// The place of a key among those of bindings. A client may send it as it is listed, or unquoted once: RabbitMQ unquotes
/// what it finds in a path once more.
pub(super) fn position_of_key<'a>(
    known: &(impl Iterator<Item = &'a str> + Clone),
    key: &str,
) -> Option<usize> {
    let unquoted = |known: &str| percent_decode_str(known).collect::<Vec<u8>>() == key.as_bytes();
    known.clone().position(|known| known == key).or_else(|| known.clone().position(unquoted))
}

fn rows(vhost: &Vhost, wanted: impl Fn(&Binding) -> bool) -> Vec<Value> {
    vhost.bindings_that(wanted).iter().map(|binding| row(vhost, binding)).collect()
}

fn row(vhost: &Vhost, binding: &Binding) -> Value {
    let kind = match binding.destination.kind {
        DestinationKind::Queue => "queue",
        DestinationKind::Exchange => "exchange",
    };
    json!({
        "source": binding.source.as_str(),
        "vhost": vhost.name().as_str(),
        "destination": binding.destination.name.as_str(),
        "destination_type": kind,
        "routing_key": binding.routing_key.as_str(),
        "arguments": arguments::object(&binding.arguments),
        "properties_key": binding.properties_key(),
    })
}
