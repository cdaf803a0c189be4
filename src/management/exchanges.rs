//! Exchanges as RabbitMQ's management API shows them.

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::subject::Subject;
use super::view::{INTERNAL_USER, Names, View};
use super::{arguments, bindings, policies};
use crate::broker::exchange::ExchangeKind;
use crate::broker::vhost::{ExchangeInfo, Vhost};

/// `GET /exchanges` and `/exchanges/:vhost`.
pub(super) fn list(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let exchanges = view.vhosts(names)?.into_iter().flat_map(|vhost| vhost.exchanges());
    Ok(exchanges.map(|exchange| row(view, &exchange)).collect())
}

/// `GET /exchanges/:vhost/:exchange`.
pub(super) fn one(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let vhost = view.vhost(names.vhost()?)?;
    let exchange = find(&vhost, names)?;
    let mut row = row(view, &exchange);
    // Counted by channel and by queue in RabbitMQ's detailed mode only.
    row["incoming"] = json!([]);
    row["outgoing"] = json!([]);
    Ok(row)
}

/// `GET /exchanges/:vhost/:exchange/bindings/source`: what leaves it. One that is not there has none, as in RabbitMQ.
pub(super) fn bindings_from(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let vhost = view.vhost(names.vhost()?)?;
    Ok(bindings::from_exchange(&vhost, names.exchange("exchange")?))
}

/// `GET /exchanges/:vhost/:exchange/bindings/destination`: what leads to it, in the same way.
pub(super) fn bindings_to(view: &View<'_>, names: &Names) -> Result<Vec<Value>, Refusal> {
    let vhost = view.vhost(names.vhost()?)?;
    Ok(bindings::to_exchange(&vhost, names.exchange("exchange")?))
}

/// The types of exchange there are, for the overview and the nodes.
pub(super) fn types() -> Value {
    let description = |kind: ExchangeKind| {
        format!("AMQP {} exchange, as per the AMQP specification", kind.name())
    };
    let each = ExchangeKind::ALL.into_iter();
    each.map(|kind| json!({"name": kind.name(), "description": description(kind), "enabled": true}))
        .collect()
}

fn find(vhost: &Vhost, names: &Names) -> Result<ExchangeInfo, Refusal> {
    let name = names.exchange("exchange")?;
    vhost.find_exchange(name).ok_or(Refusal::NotFound)
}

fn row(view: &View<'_>, exchange: &ExchangeInfo) -> Value {
    let settings = &exchange.settings;
    let subject = Subject::Exchange(exchange.vhost.clone(), settings.name.clone());
    let is_ours = settings.name.is_empty() || settings.name.starts_with("amq.");
    let mut row = json!({
        "name": settings.name.as_str(),
        "vhost": exchange.vhost.as_str(),
        "type": settings.kind.name(),
        "durable": settings.is_durable,
        "auto_delete": settings.is_auto_delete,
        "internal": settings.is_internal,
        "arguments": arguments::object(&settings.arguments),
    });
    if view.has_statistics() {
        row["message_stats"] = view.rates.counters(&subject, &exchange.counters.snapshot());
    }
    if let Ok(vhost) = view.broker.vhost(&exchange.vhost) {
        policies::put_applied(&mut row, &vhost, policies::PolicySubject::Exchange(&settings.name));
    }
    if let Some(delayed) = exchange.delayed {
        row["messages_delayed"] = delayed.into();
    }
    // Who declared the others is not kept.
    if is_ours {
        row["user_who_performed_action"] = INTERNAL_USER.into();
    }
    row
}
