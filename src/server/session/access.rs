//! The permissions that a method needs (RabbitMQ: `rabbit_channel`, `check_*_permitted`).
//!
//! A user with all permissions, such as `guest`, is checked no further. The order of checks is RabbitMQ's: first names
//! that are refused, then permissions, then whether exchanges and queues exist.

use super::state::{Context, Running};
use crate::broker::auth::{Resource, Right};
use crate::broker::exchange::binding::DestinationKind;
use crate::broker::vhost::{BindingRequest, QueueDeclaration, Vhost};
use crate::wire::{Fault, FieldTable};

impl Running {
    /// Checks a passive declaration, for which any permission is enough. 3.10 checks none, and so tells every user
    /// which names exist.
    pub(super) fn check_passive(&self, resource: Resource<'_>, cx: &Context) -> Result<(), Fault> {
        let any = [Right::Configure, Right::Write, Right::Read];
        if !cx.broker.compat().is_3_10()
            && !any.iter().any(|right| self.rights.has(*right, resource))
        {
            return self.rights.check(Right::Configure, resource);
        }
        Ok(())
    }

    /// Checks the permission to configure an exchange; a new one also needs those to read from it and to write to its
    /// alternate exchange.
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

    /// Checks the permission to configure an exchange.
    pub(super) fn check_exchange_deletion(&self, name: &str) -> Result<(), Fault> {
        if self.rights.is_everything() {
            return Ok(());
        }
        self.vhost.check_deletable(name)?;
        self.rights.check(Right::Configure, Resource::Exchange(name))
    }

    /// Checks the permission to configure a queue; a new one also needs those to read from it and to write to the
    /// exchange of its dead letters.
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

    /// Checks the permissions to write to the destination of a binding and to read from its source; from a topic
    /// exchange, with the binding's key.
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
        self.vhost.check_topic(&self.rights, Right::Read, source, routing_key)
    }
}
