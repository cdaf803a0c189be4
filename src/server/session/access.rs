//! Which method needs which permission (RabbitMQ: `rabbit_channel`, `check_*_permitted`).
//!
//! Whoever may do everything, as `guest` may, is asked nothing more. The order of checks is RabbitMQ's: what is refused
//! for its name comes first, then permissions, then whether things are there.

use super::{Context, Running};
use crate::broker::auth::{Resource, Right, Rights};
use crate::broker::exchange::ExchangeKind;
use crate::broker::exchange::binding::DestinationKind;
use crate::broker::vhost::{BindingRequest, QueueDeclaration, Vhost};
use crate::wire::{Fault, FieldTable};

/// What a publish needs: to write to the exchange, and its routing key when it is a topic exchange.
pub(super) fn check_publish(
    rights: &Rights,
    vhost: &Vhost,
    exchange: &str,
    routing_key: &str,
) -> Result<(), Fault> {
    if rights.is_everything() {
        return Ok(());
    }
    rights.check(Right::Write, Resource::Exchange(exchange))?;
    check_topic(rights, vhost, Right::Write, exchange, routing_key)
}

/// Routing keys are looked at where they are words: at topic exchanges.
fn check_topic(
    rights: &Rights,
    vhost: &Vhost,
    right: Right,
    exchange: &str,
    routing_key: &str,
) -> Result<(), Fault> {
    let found = vhost.find_exchange(exchange);
    if found.is_some_and(|found| found.settings.kind == ExchangeKind::Topic) {
        return rights.check_topic(right, exchange, routing_key);
    }
    Ok(())
}

impl Running {
    /// What is declared passively is only looked at, which RabbitMQ 4.3 asks any permission for.
    pub(super) fn check_passive(&self, resource: Resource<'_>, cx: &Context) -> Result<(), Fault> {
        let any = [Right::Configure, Right::Write, Right::Read];
        if cx.broker.compat().is_strict()
            && !any.iter().any(|right| self.rights.has(*right, resource))
        {
            return self.rights.check(Right::Configure, resource);
        }
        Ok(())
    }

    /// To configure it; a new one also to read from it and to write to its alternate.
    pub(super) fn check_exchange_declaration(
        &self,
        name: &str,
        arguments: &FieldTable,
    ) -> Result<(), Fault> {
        if self.rights.is_everything() {
            return Ok(());
        }
        Vhost::check_not_default(name)?;
        self.rights.check(Right::Configure, Resource::Exchange(name))?;
        if let Some(alternate) = arguments.get("alternate-exchange").and_then(|name| name.as_str())
            && self.vhost.find_exchange(name).is_none()
        {
            self.rights.check(Right::Read, Resource::Exchange(name))?;
            self.rights.check(Right::Write, Resource::Exchange(alternate))?;
        }
        Ok(())
    }

    /// To configure it.
    pub(super) fn check_exchange_deletion(&self, name: &str) -> Result<(), Fault> {
        if self.rights.is_everything() {
            return Ok(());
        }
        self.vhost.check_deletable(name)?;
        self.rights.check(Right::Configure, Resource::Exchange(name))
    }

    /// To configure it; a new one also to read from it and to write to where its dead letters go.
    pub(super) fn check_queue_declaration(&self, asked: &QueueDeclaration) -> Result<(), Fault> {
        if self.rights.is_everything() {
            return Ok(());
        }
        let QueueDeclaration { name, arguments, .. } = asked;
        self.rights.check(Right::Configure, Resource::Queue(name))?;
        if let Some(letters) =
            arguments.get("x-dead-letter-exchange").and_then(|name| name.as_str())
            && self.vhost.find_queue(name).is_none()
        {
            self.rights.check(Right::Read, Resource::Queue(name))?;
            self.rights.check(Right::Write, Resource::Exchange(letters))?;
        }
        Ok(())
    }

    /// To write to what a binding leads to, and to read from where it comes from; for a topic exchange, with that key.
    pub(super) fn check_binding(&self, request: &BindingRequest) -> Result<(), Fault> {
        if self.rights.is_everything() {
            return Ok(());
        }
        let BindingRequest { source, destination, routing_key, .. } = request;
        let name = &destination.name;
        match destination.kind {
            DestinationKind::Queue => self.rights.check(Right::Write, Resource::Queue(name))?,
            DestinationKind::Exchange => {
                self.rights.check(Right::Write, Resource::Exchange(name))?;
                Vhost::check_not_default(name)?;
            }
        }
        Vhost::check_not_default(source)?;
        self.rights.check(Right::Read, Resource::Exchange(source))?;
        check_topic(&self.rights, &self.vhost, Right::Read, source, routing_key)
    }
}
