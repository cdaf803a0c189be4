//! Queues, exchanges and bindings: declared and deleted as the user could over AMQP.

use serde_json::{Value, json};

use crate::broker::auth::{Resource, Right};
use crate::broker::compat::Compat;
use crate::broker::exchange::binding::{Binding, DestinationKind, DestinationName};
use crate::broker::exchange::{ExchangeKind, ExchangeSettings};
use crate::broker::registry::ConnectionId;
use crate::broker::vhost::{BindingRequest, DeleteIf, QueueDeclaration, Vhost};
use crate::management::bindings::position_of_key;
use crate::management::body::Body;
use crate::management::change_request::{ChangeOutcome, ChangeRequest};
use crate::management::json::name_of;
use crate::management::refusal::Refusal;
use crate::wire::ShortStr;

/// No connection: exclusive queues are not its own.
pub(in crate::management) const NOBODY: ConnectionId = ConnectionId(0);

/// `PUT /queues/:vhost/:queue`.
pub(in crate::management) fn declare_queue(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let (vhost, rights) = request.inside()?;
    let body = request.body_with_arguments()?;
    let declaration = read_queue(request.name("queue")?, &body, &request.view.user.name)?;
    let name = &declaration.name;
    rights.check(Right::Configure, Resource::Queue(name))?;
    let is_new = vhost.find_queue(name).is_none();
    if is_new && let Some(to) = declaration.arguments.get("x-dead-letter-exchange") {
        rights.check(Right::Read, Resource::Queue(name))?;
        rights.check(Right::Write, Resource::Exchange(to.as_str().unwrap_or_default()))?;
    }
    request.view.broker.check_new_queue(&vhost, name)?;
    vhost.declare_queue(declaration, false, NOBODY, request.view.uptime_ms)?;
    Ok(if is_new { ChangeOutcome::Created } else { ChangeOutcome::Quietly })
}

/// Reads a queue that `user` declares; its arguments may leave the type to a field of its own.
pub(in crate::management) fn read_queue(
    name: ShortStr,
    body: &Body,
    user: &ShortStr,
) -> Result<QueueDeclaration, Refusal> {
    // An exclusive queue would end with its connection, which a request has not; RabbitMQ then takes it as not durable.
    let is_durable = body.flag("durable")? && !body.flag("exclusive")?;
    Ok(QueueDeclaration {
        name,
        is_durable,
        is_exclusive: false,
        is_auto_delete: body.flag("auto_delete")?,
        declared_by: Some(user.clone()),
        arguments: body.table("arguments")?,
    })
}

/// `DELETE /queues/:vhost/:queue`.
pub(in crate::management) fn delete_queue(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let (vhost, rights) = request.inside()?;
    let name = request.name("queue")?;
    rights.check(Right::Configure, Resource::Queue(&name))?;
    if vhost.find_queue(&name).is_none() {
        return Err(Refusal::NotFound);
    }
    let only =
        DeleteIf { unused: request.says_yes("if-unused"), empty: request.says_yes("if-empty") };
    vhost.delete_queue(&name, only, NOBODY)?;
    Ok(ChangeOutcome::Quietly)
}

/// `DELETE /queues/:vhost/:queue/contents`.
pub(in crate::management) fn purge(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let (vhost, rights) = request.inside()?;
    let name = request.name("queue")?;
    if vhost.find_queue(&name).is_none() {
        return Err(Refusal::NotFound);
    }
    rights.check(Right::Read, Resource::Queue(&name))?;
    let queue = vhost.queue(&name, NOBODY)?;
    queue.check_no_stream(crate::broker::queue::Refusal::Purge)?;
    queue.purge();
    Ok(ChangeOutcome::Quietly)
}

/// `POST /queues/:vhost/:queue/actions`: RabbitMQ 4 has none; those of 3.10 synchronise mirrors, which one node always is.
pub(in crate::management) fn act(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let (vhost, _) = request.inside()?;
    if vhost.find_queue(&request.name("queue")?).is_none() {
        return Err(Refusal::NotFound);
    }
    match request.body()?.text("action")? {
        "sync" | "cancel_sync" if request.view.broker.compat().is_3_10() => {
            Ok(ChangeOutcome::Quietly)
        }
        other => Err(Refusal::BadReason(json!(["unknown", other]))),
    }
}

/// `PUT /exchanges/:vhost/:exchange`.
pub(in crate::management) fn declare_exchange(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let (vhost, rights) = request.inside()?;
    let name = name_of(request.names.exchange("exchange")?)?;
    let body = request.body_with_arguments()?;
    let settings = read_exchange(name, &body, request.view.broker.compat())?;
    let name = settings.name.clone();
    Vhost::check_not_default(&name)?;
    rights.check(Right::Configure, Resource::Exchange(&name))?;
    let is_new = vhost.find_exchange(&name).is_none();
    if is_new && let Some(to) = settings.arguments.get("alternate-exchange") {
        rights.check(Right::Read, Resource::Exchange(&name))?;
        rights.check(Right::Write, Resource::Exchange(to.as_str().unwrap_or_default()))?;
    }
    request.view.broker.check_new_exchange(&vhost, &settings.name)?;
    vhost.declare_exchange(settings)?;
    Ok(if is_new { ChangeOutcome::Created } else { ChangeOutcome::Quietly })
}

/// Reads an exchange.
pub(in crate::management) fn read_exchange(
    name: ShortStr,
    body: &Body,
    compat: Compat,
) -> Result<ExchangeSettings, Refusal> {
    let kind = ExchangeKind::from_name(body.optional_text("type")?.unwrap_or("direct"), compat)?;
    Ok(ExchangeSettings {
        name,
        kind,
        is_durable: body.flag("durable")?,
        is_auto_delete: body.flag("auto_delete")?,
        is_internal: body.flag("internal")?,
        arguments: body.table("arguments")?,
    })
}

/// `DELETE /exchanges/:vhost/:exchange`.
pub(in crate::management) fn delete_exchange(
    request: &ChangeRequest<'_>,
) -> Result<ChangeOutcome, Refusal> {
    let (vhost, rights) = request.inside()?;
    let name = name_of(request.names.exchange("exchange")?)?;
    if vhost.find_exchange(&name).is_none() {
        return Err(Refusal::NotFound);
    }
    vhost.check_deletable(&name)?;
    rights.check(Right::Configure, Resource::Exchange(&name))?;
    let only = DeleteIf { unused: request.says_yes("if-unused"), empty: false };
    vhost.delete_exchange(&name, only)?;
    Ok(ChangeOutcome::Quietly)
}

/// `POST /bindings/:vhost/e/:exchange/q/:queue` and `.../e/:destination`.
pub(in crate::management) fn bind(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let (vhost, rights) = request.inside()?;
    let body = request.body_with_arguments()?;
    let (source, destination) = ends(request)?;
    let (routing_key, arguments) = (body.optional_name("routing_key")?, body.table("arguments")?);
    let binding = BindingRequest { source, destination, routing_key, arguments };
    let name = &binding.destination.name;
    match binding.destination.kind {
        DestinationKind::Queue => rights.check(Right::Write, Resource::Queue(name))?,
        DestinationKind::Exchange => rights.check(Right::Write, Resource::Exchange(name))?,
    }
    rights.check(Right::Read, Resource::Exchange(&binding.source))?;
    let BindingRequest { source, destination, routing_key, arguments } = binding.clone();
    let key = Binding { source, destination, routing_key, arguments }.properties_key();
    if let Some(replay) = vhost.bind(binding.clone(), NOBODY)? {
        vhost.replay(&replay, request.view.uptime_ms);
    }
    // Quoted once more: it is a part of a path.
    let location = format!("{}/{}", binding.destination.name, key.replace('%', "%25"));
    Ok(ChangeOutcome::Bound { location })
}

/// `DELETE .../:properties_key`.
pub(in crate::management) fn unbind(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let (vhost, rights) = request.inside()?;
    let (source, destination) = ends(request)?;
    let key = request.names.get("properties_key")?;
    let found = vhost
        .bindings_that(|binding| binding.source == source && binding.destination == destination);
    let keys: Vec<_> = found.iter().map(Binding::properties_key).collect();
    let at = position_of_key(&keys.iter().map(String::as_str), key).ok_or(Refusal::NotFound)?;
    let binding = found.into_iter().nth(at).ok_or(Refusal::NotFound)?;
    match destination.kind {
        DestinationKind::Queue => rights.check(Right::Write, Resource::Queue(&destination.name))?,
        DestinationKind::Exchange => {
            rights.check(Right::Write, Resource::Exchange(&destination.name))?;
        }
    }
    rights.check(Right::Read, Resource::Exchange(&source))?;
    let Binding { source, destination, routing_key, arguments } = binding;
    vhost.unbind(BindingRequest { source, destination, routing_key, arguments }, NOBODY)?;
    Ok(ChangeOutcome::Quietly)
}

/// The ends of the binding in the path.
fn ends(request: &ChangeRequest<'_>) -> Result<(ShortStr, DestinationName), Refusal> {
    let exchange = |name| request.names.exchange(name).and_then(name_of);
    let destination = match request.names.0.get("queue") {
        Some(_) => DestinationName { kind: DestinationKind::Queue, name: request.name("queue")? },
        None => DestinationName { kind: DestinationKind::Exchange, name: exchange("destination")? },
    };
    Ok((exchange("exchange")?, destination))
}

/// Reads a binding of definitions.
pub(in crate::management) fn read_binding(body: &Body) -> Result<BindingRequest, Refusal> {
    let kind = match body.get("destination_type").and_then(Value::as_str) {
        Some("exchange") => DestinationKind::Exchange,
        _ => DestinationKind::Queue,
    };
    Ok(BindingRequest {
        source: body.name("source")?,
        destination: DestinationName { kind, name: body.name("destination")? },
        routing_key: body.optional_name("routing_key")?,
        arguments: body.table("arguments")?,
    })
}
