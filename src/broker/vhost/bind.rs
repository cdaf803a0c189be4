//! Bindings: listed, made between things that are there, written down when both ends are durable.

use std::sync::Arc;

use super::refusals::{no_queue, not_default};
use super::requests::BindingRequest;
use super::state::Vhost;
use crate::broker::exchange::binding::{Binding, DestinationKind, DestinationName};
use crate::broker::exchange::{Destination, Exchange, History};
use crate::broker::message::Message;
use crate::broker::registry::ConnectionId;
use crate::broker::removal::Removal;
use crate::broker::route::Route;
use crate::wire::{Fault, FieldTable, ShortStr};

impl Vhost {
    /// All bindings, those of the default exchange included, in the order of source and destination.
    pub fn bindings(&self) -> Vec<Binding> {
        self.bindings_that(|_| true)
    }

    /// Returns the bindings for which `wanted` is true.
    pub fn bindings_that(&self, wanted: impl Fn(&Binding) -> bool) -> Vec<Binding> {
        let topology = self.read();
        let by_name = topology.queues.keys().map(|name| Binding {
            source: ShortStr::empty(),
            destination: DestinationName { kind: DestinationKind::Queue, name: name.clone() },
            routing_key: name.clone(),
            arguments: FieldTable::new(),
        });
        let made = topology.exchanges.values().flat_map(Exchange::bindings);
        let made = made.filter(|binding| wanted(binding)).cloned();
        let mut bindings: Vec<_> = by_name.filter(|binding| wanted(binding)).chain(made).collect();
        drop(topology);
        bindings.sort_by(|one, other| {
            (&one.source, &one.destination, &one.routing_key).cmp(&(
                &other.source,
                &other.destination,
                &other.routing_key,
            ))
        });
        bindings
    }

    /// Binds a queue or an exchange to an exchange; returns the messages that the exchange has for the new destination.
    pub fn bind(
        &self,
        request: BindingRequest,
        connection: ConnectionId,
    ) -> Result<Option<Replay>, Fault> {
        let destination = self.destination(&request, connection)?;
        self.bind_to(request, &destination)
    }

    /// Finds the destination of a binding.
    pub(super) fn destination(
        &self,
        request: &BindingRequest,
        connection: ConnectionId,
    ) -> Result<Destination, Fault> {
        let BindingRequest { source, destination, .. } = request;
        request.check_no_default()?;
        // RabbitMQ names the source first when both are missing.
        self.read().exchange(source, &self.name)?;
        match destination.kind {
            DestinationKind::Queue => {
                Ok(Destination::Queue(self.queue(&destination.name, connection)?))
            }
            DestinationKind::Exchange => {
                self.read().exchange(&destination.name, &self.name)?;
                Ok(Destination::Exchange(destination.name.clone()))
            }
        }
    }

    /// Makes a binding, if both ends are still there: either may have gone since the destination was found, and a
    /// binding to a queue that is gone would stay for ever.
    pub(super) fn bind_to(
        &self,
        request: BindingRequest,
        destination: &Destination,
    ) -> Result<Option<Replay>, Fault> {
        let _changing = self.changing();
        let binding = request.into_binding();
        let topology = self.read();
        let source = topology.exchange(&binding.source, &self.name)?;
        match destination {
            Destination::Queue(queue) if !topology.is_current(queue) => {
                return Err(no_queue(queue.name(), &self.name));
            }
            Destination::Queue(_) => {}
            Destination::Exchange(name) => {
                topology.exchange(name, &self.name)?;
            }
        }
        let compat = self.shared.compat.get();
        source.settings.check_binding(&binding, destination.queue_kind(), compat)?;
        if source.has_binding(&binding.key()) {
            return Ok(None);
        }
        let history = source.history().cloned();
        let is_durable = source.settings.is_durable && topology.is_durable(&binding.destination);
        drop(topology);
        if is_durable {
            self.definitions.add_binding(&binding)?;
        }
        self.write().bind(binding, destination);
        Ok(history.map(|history| Replay { history, destination: destination.clone() }))
    }

    /// Answers whether such a message is kept by every durable queue, as in RabbitMQ 4, or only by those that keep all.
    pub(in crate::broker) fn keeps_own(&self) -> bool {
        !self.shared.compat.get().is_3_10()
    }

    /// The messages of a replay, each with its way.
    pub(in crate::broker) fn replayed(&self, replay: &Replay) -> Vec<(Message, Route)> {
        let topology = self.read();
        let way = |message: &Message| match &replay.destination {
            Destination::Queue(queue) => Some(Route::to(queue)),
            Destination::Exchange(name) => {
                let exchange = topology.exchanges.get(name)?;
                let (_, key) = message.exchange_and_key();
                Some(topology.route(exchange, &[key], message.properties()))
            }
        };
        let messages = replay.history.messages().into_iter();
        messages.filter_map(|message| way(&message).map(|way| (message, way))).collect()
    }

    /// Takes a binding away; one that is not there is no error, nor are its ends, whosever the queue is (RabbitMQ:
    /// `rabbit_binding:remove`, which asks for the queue's owner last).
    pub fn unbind(&self, request: BindingRequest, connection: ConnectionId) -> Result<(), Fault> {
        request.check_no_default()?;
        let source = request.source.clone();
        let destination = request.destination.clone();
        let key = request.into_binding().key();
        let changing = self.changing();
        let has_it = |source: &Exchange| source.has_binding(&key);
        let is_there = self.read().exchange(&source, &self.name).is_ok_and(has_it);
        if is_there && destination.kind == DestinationKind::Queue {
            self.queue(&destination.name, connection)?;
        }
        let removal = Removal::of_binding(&self.read(), &source, &key);
        self.remove(removal, &changing)
    }
}

/// The messages that an exchange gives to a newly bound destination.
#[derive(Debug)]
pub struct Replay {
    history: Arc<History>,
    destination: Destination,
}

impl BindingRequest {
    /// Checks that neither end is the default exchange, whose bindings no client can change.
    pub(super) fn check_no_default(&self) -> Result<(), Fault> {
        not_default(&self.source)?;
        match self.destination.kind {
            DestinationKind::Exchange => not_default(&self.destination.name),
            DestinationKind::Queue => Ok(()),
        }
    }

    pub(super) fn into_binding(self) -> Binding {
        let Self { source, destination, routing_key, arguments } = self;
        Binding { source, destination, routing_key, arguments }
    }
}
