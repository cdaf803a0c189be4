//! Declaring, binding, deleting, purging: the methods of the classes `exchange` and `queue`.

use super::names::{is_volatile, strip, unique_name};
use super::state::{Context, Running};
use crate::broker::arguments::queue_noun;
use crate::broker::auth::{Resource, Right};
use crate::broker::compat::Compat;
use crate::broker::exchange::binding::{DestinationKind, DestinationName};
use crate::broker::exchange::{ExchangeKind, ExchangeSettings};
use crate::broker::queue::{Counts, Refusal};
use crate::broker::replies::{REPLY_TO, Replies};
use crate::broker::time::Millis;
use crate::broker::vhost::{BindingRequest, DeleteIf, QueueDeclaration};
use crate::wire::frame;
use crate::wire::method::{exchange, queue};
use crate::wire::{Fault, FieldTable, Method, ReplyCode, ShortStr};

/// Ends of a binding as a method names them.
struct Ends<'a> {
    source: &'a ShortStr,
    destination: DestinationName,
    routing_key: &'a ShortStr,
    arguments: FieldTable,
}

impl Ends<'_> {
    fn request(self) -> BindingRequest {
        BindingRequest {
            source: strip(self.source),
            destination: self.destination,
            routing_key: self.routing_key.clone(),
            arguments: self.arguments,
        }
    }
}

fn exchange_named(name: &ShortStr) -> DestinationName {
    DestinationName { kind: DestinationKind::Exchange, name: strip(name) }
}

impl Running {
    pub(super) fn on_topology_method(
        &mut self,
        cx: &Context,
        number: u16,
        method: Method,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let answer: Option<Method> = match method {
            Method::ExchangeDeclare(declare) => self.on_exchange_declare(cx, declare)?,
            Method::ExchangeDelete(delete) => {
                let only = DeleteIf { unused: delete.if_unused, empty: false };
                let name = strip(&delete.exchange);
                self.check_exchange_deletion(&name)?;
                self.vhost.delete_exchange(&name, only)?;
                (!delete.nowait).then(|| exchange::DeleteOk {}.into())
            }
            Method::ExchangeBind(bind) => {
                let destination = exchange_named(&bind.destination);
                let (source, routing_key) = (&bind.source, &bind.routing_key);
                let ends = Ends { source, destination, routing_key, arguments: bind.arguments };
                self.bind(cx, ends.request(), now)?;
                (!bind.nowait).then(|| exchange::BindOk {}.into())
            }
            Method::ExchangeUnbind(unbind) => {
                let destination = exchange_named(&unbind.destination);
                let (source, routing_key) = (&unbind.source, &unbind.routing_key);
                let ends = Ends { source, destination, routing_key, arguments: unbind.arguments };
                let request = ends.request();
                self.check_binding(&request)?;
                self.vhost.unbind(request, cx.connection.id)?;
                (!unbind.nowait).then(|| exchange::UnbindOk {}.into())
            }
            Method::QueueDeclare(declare) => self.on_queue_declare(cx, number, declare, now)?,
            Method::QueueBind(bind) => self.on_queue_bind(cx, number, bind, now)?,
            Method::QueueUnbind(unbind) => {
                let ends = self.queue_ends(
                    cx.broker.compat(),
                    number,
                    &unbind.queue,
                    &unbind.exchange,
                    &unbind.routing_key,
                    unbind.arguments,
                )?;
                self.check_binding(&ends)?;
                self.vhost.unbind(ends, cx.connection.id)?;
                Some(queue::UnbindOk {}.into())
            }
            Method::QueuePurge(purge) => {
                let name = self.channel(number)?.queue_name(&purge.queue)?;
                let message_count = self.purge(cx, &name)?;
                (!purge.nowait).then(|| queue::PurgeOk { message_count }.into())
            }
            Method::QueueDelete(delete) => {
                let name = self.channel(number)?.queue_name(&delete.queue)?;
                let only = DeleteIf { unused: delete.if_unused, empty: delete.if_empty };
                let message_count = self.delete_queue(cx, &name, only)?;
                (!delete.nowait).then(|| queue::DeleteOk { message_count }.into())
            }
            // A method that only a server sends (RabbitMQ 4: `rabbit_channel:handle_method`).
            _ => return Err(Fault::new(ReplyCode::CommandInvalid, "unimplemented method")),
        };
        if let Some(answer) = answer {
            frame::write_method(out, number, &answer);
        }
        Ok(())
    }

    fn on_exchange_declare(
        &self,
        cx: &Context,
        declare: exchange::Declare,
    ) -> Result<Option<Method>, Fault> {
        let name = strip(&declare.exchange);
        if declare.passive {
            self.check_passive(Resource::Exchange(&name), cx)?;
            self.vhost.check_exchange(&name)?;
        } else {
            let kind = ExchangeKind::from_name(&declare.kind, cx.broker.compat())?;
            self.check_exchange_declaration(&name, &declare.arguments)?;
            cx.broker.check_new_exchange(&self.vhost, &name)?;
            self.vhost.declare_exchange(ExchangeSettings {
                name,
                kind,
                is_durable: declare.durable,
                is_auto_delete: declare.auto_delete,
                is_internal: declare.internal,
                arguments: declare.arguments,
            })?;
        }
        Ok((!declare.nowait).then(|| exchange::DeclareOk {}.into()))
    }

    fn on_queue_declare(
        &mut self,
        cx: &Context,
        number: u16,
        declare: queue::Declare,
        now: Millis,
    ) -> Result<Option<Method>, Fault> {
        let name = strip(&declare.queue);
        if name == REPLY_TO || Replies::is_reply_name(&name) {
            if name != REPLY_TO && !cx.broker.replies.is_alive(&name) {
                let text = format!("no {}", queue_noun(&name, self.vhost.name()));
                return Err(Fault::new(ReplyCode::NotFound, text));
            }
            let counts = Counts { ready: 0, consumers: 1 };
            return Ok((!declare.nowait).then(|| declare_ok(name, counts)));
        }
        let queue = if declare.passive {
            // An empty name is none here, not the last one declared (RabbitMQ: `rabbit_channel`, `queue.declare`).
            self.check_passive(Resource::Queue(&name), cx)?;
            let queue = self.vhost.queue(&name, cx.connection.id)?;
            queue.touch(now);
            queue
        } else {
            let name = match name.as_str() {
                "" => unique_name("amq.gen-"),
                _ => name,
            };
            let asked = QueueDeclaration {
                name,
                is_durable: declare.durable,
                is_exclusive: declare.exclusive,
                is_auto_delete: declare.auto_delete,
                declared_by: Some(self.user.clone()),
                arguments: declare.arguments,
            };
            self.check_queue_declaration(&asked)?;
            let server_named = declare.queue.is_empty();
            cx.broker.check_new_queue(&self.vhost, &asked.name)?;
            self.vhost.declare_queue(asked, server_named, cx.connection.id, now)?
        };
        if declare.exclusive && !declare.passive {
            self.exclusive.get_or_insert_default().add(&queue);
        }
        let name = queue.name().clone();
        self.channel(number)?.last_queue = Some(name.clone());
        Ok((!declare.nowait).then(|| declare_ok(name, queue.counts())))
    }

    fn purge(&self, cx: &Context, name: &ShortStr) -> Result<u32, Fault> {
        self.rights.check(Right::Read, Resource::Queue(name))?;
        if is_volatile(&cx.broker, name) {
            return Ok(0);
        }
        let queue = self.vhost.queue(name, cx.connection.id)?;
        queue.check_no_stream(Refusal::Purge)?;
        Ok(queue.purge())
    }

    fn delete_queue(&self, cx: &Context, name: &ShortStr, only: DeleteIf) -> Result<u32, Fault> {
        self.rights.check(Right::Configure, Resource::Queue(name))?;
        if is_volatile(&cx.broker, name) {
            cx.broker.replies.remove(name);
            return Ok(0);
        }
        self.vhost.delete_queue(name, only, cx.connection.id)
    }

    fn on_queue_bind(
        &mut self,
        cx: &Context,
        number: u16,
        bind: queue::Bind,
        now: Millis,
    ) -> Result<Option<Method>, Fault> {
        let ends = self.queue_ends(
            cx.broker.compat(),
            number,
            &bind.queue,
            &bind.exchange,
            &bind.routing_key,
            bind.arguments,
        )?;
        self.bind(cx, ends, now)?;
        Ok((!bind.nowait).then(|| queue::BindOk {}.into()))
    }

    /// Makes a binding; an exchange with a recent history publishes it to the new destination.
    fn bind(&self, cx: &Context, request: BindingRequest, now: Millis) -> Result<(), Fault> {
        self.check_binding(&request)?;
        if let Some(replay) = self.vhost.bind(request, cx.connection.id)? {
            self.vhost.replay(&replay, now);
        }
        Ok(())
    }

    /// The ends of a queue's binding; with no queue named, the last declared one also gives an empty key its name
    /// (RabbitMQ: `rabbit_channel:expand_routing_key_shortcut`).
    fn queue_ends(
        &mut self,
        compat: Compat,
        number: u16,
        queue: &ShortStr,
        exchange: &ShortStr,
        routing_key: &ShortStr,
        arguments: FieldTable,
    ) -> Result<BindingRequest, Fault> {
        let name = self.channel(number)?.queue_name(queue)?;
        if !compat.is_3_10() && Replies::is_reply_name(&name) {
            let text = "cannot bind or unbind to a volatile (direct reply-to) queue";
            return Err(Fault::new(ReplyCode::AccessRefused, text));
        }
        let routing_key =
            if queue.is_empty() && routing_key.is_empty() { &name } else { routing_key };
        let destination = DestinationName { kind: DestinationKind::Queue, name: name.clone() };
        Ok(Ends { source: exchange, destination, routing_key, arguments }.request())
    }
}

fn declare_ok(queue: ShortStr, counts: Counts) -> Method {
    let Counts { ready, consumers } = counts;
    queue::DeclareOk { queue, message_count: ready, consumer_count: consumers }.into()
}
