//! The topology of a vhost: its exchanges, queues and bindings, and the search for the queues of a message.
//!
//! Plain maps under the vhost's lock. Each destination knows which bindings lead to it, so that deleting a queue
//! costs its own bindings and not those of all queues.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::arguments::exchange_noun;
use super::exchange::binding::{Binding, BindingKey, DestinationKind, DestinationName};
use super::exchange::{Destination, Exchange, LazyDetails, RoutingInput};
use super::queue::Queue;
use super::route::{FoundRoute, Route};
use crate::wire::{Fault, ReplyCode, ShortStr};

/// The exchanges, queues and bindings of a vhost.
#[derive(Debug, Default)]
pub(super) struct Topology {
    pub(super) exchanges: HashMap<ShortStr, Exchange>,
    pub(super) queues: HashMap<ShortStr, Arc<Queue>>,
    /// Bindings by their destinations.
    pub(super) bound_to: HashMap<DestinationName, HashSet<(ShortStr, BindingKey)>>,
}

impl Topology {
    pub(super) fn exchange(&self, name: &str, vhost: &str) -> Result<&Exchange, Fault> {
        self.exchanges.get(name).ok_or_else(|| {
            let noun = exchange_noun(name, vhost);
            Fault::new(ReplyCode::NotFound, format!("no {noun}"))
        })
    }

    /// Answers if this queue is in the vhost, and not another one of its name.
    pub(super) fn is_current(&self, queue: &Arc<Queue>) -> bool {
        self.queues.get(queue.name()).is_some_and(|current| Arc::ptr_eq(current, queue))
    }

    /// Adds a binding between things that exist.
    pub(super) fn bind(&mut self, binding: Binding, destination: &Destination) {
        let (source, key) = (binding.source.clone(), binding.key());
        let name = binding.destination.clone();
        let Some(exchange) = self.exchanges.get_mut(&source) else { return };
        if exchange.bind(binding, destination) {
            self.bound_to.entry(name).or_default().insert((source, key));
        }
    }

    /// Answers if a destination is durable.
    pub(super) fn is_durable(&self, destination: &DestinationName) -> bool {
        let DestinationName { kind, name } = destination;
        match kind {
            DestinationKind::Queue => {
                self.queues.get(name).is_some_and(|queue| queue.settings().is_durable)
            }
            DestinationKind::Exchange => {
                self.exchanges.get(name).is_some_and(|exchange| exchange.settings.is_durable)
            }
        }
    }

    /// Counts the bindings that are deleted with a queue or an exchange, without those of auto-delete exchanges that
    /// follow.
    pub(super) fn bindings_len(&self, kind: DestinationKind, name: &ShortStr) -> usize {
        let bound_to = self.bound_to.get(&DestinationName { kind, name: name.clone() });
        let leads_on = match kind {
            DestinationKind::Queue => None,
            DestinationKind::Exchange => self.exchanges.get(name).map(Exchange::bindings_len),
        };
        bound_to.map_or(0, HashSet::len) + leads_on.unwrap_or(0)
    }

    /// Finds the queues a message goes to, through bindings, exchanges bound to exchanges, and alternates.
    ///
    /// RabbitMQ (`rabbit_exchange:route`): each exchange is asked once, so cycles end; an exchange that finds
    /// nothing hands over to its alternate.
    ///
    /// All of `keys` lead on, each queue gets the message once. The encoded properties are read once, and only if an
    /// exchange on the way looks at more than the keys.
    pub(super) fn route(&self, exchange: &Exchange, keys: &[&str], properties: &[u8]) -> Route {
        let mut found =
            FoundRoute { queues: Vec::new(), histories: Vec::new(), by_key_alone: true };
        if exchange.settings.name.is_empty() {
            self.name_queues(keys, &mut found.queues);
            return Route::new(found, Arc::clone(&exchange.counters));
        }
        let details = LazyDetails::new(properties);
        let mut asked = VisitedExchanges::new(exchange);
        let mut at = 0;
        while let Some(exchange) = asked.nth(at) {
            at += 1;
            found.by_key_alone &= exchange.routes_by_key_alone();
            if let Some(holder) = &exchange.holder
                && details.get().delay_ms().is_some()
            {
                found.queues.push(Arc::clone(holder));
                continue;
            }
            if let Some(history) = exchange.history() {
                found.histories.push(Arc::clone(history));
            }
            let mut matched = Vec::with_capacity(MATCHED_USUAL);
            let keys_len = if exchange.looks_at_keys() { keys.len() } else { 1 };
            for routing_key in &keys[..keys_len.min(keys.len())] {
                exchange.matches(&RoutingInput { routing_key, details: &details }, &mut matched);
            }
            let alternate = if matched.is_empty() { exchange.alternate.as_ref() } else { None };
            self.take(&matched, keys, &mut found.queues, &mut asked);
            if let Some(exchange) = alternate.and_then(|name| self.exchanges.get(name)) {
                self.ask(exchange, keys, &mut found.queues, &mut asked);
            }
        }
        Route::new(found, Arc::clone(&asked.first.counters))
    }

    fn take<'a>(
        &'a self,
        found: &[&Destination],
        keys: &[&str],
        queues: &mut Vec<Arc<Queue>>,
        asked: &mut VisitedExchanges<'a>,
    ) {
        if queues.capacity() == 0 {
            *queues = Vec::with_capacity(found.len());
        }
        for destination in found {
            match destination {
                Destination::Queue(queue) => queues.push(Arc::clone(queue)),
                Destination::Exchange(name) => {
                    if let Some(exchange) = self.exchanges.get(name) {
                        self.ask(exchange, keys, queues, asked);
                    }
                }
            }
        }
    }

    /// Puts an exchange on the list of those to ask, once; the default exchange answers right away.
    fn ask<'a>(
        &'a self,
        exchange: &'a Exchange,
        keys: &[&str],
        queues: &mut Vec<Arc<Queue>>,
        asked: &mut VisitedExchanges<'a>,
    ) {
        if exchange.settings.name.is_empty() {
            self.name_queues(keys, queues);
        } else {
            asked.add(exchange);
        }
    }

    /// Finds the queues that have these names.
    fn name_queues(&self, keys: &[&str], queues: &mut Vec<Arc<Queue>>) {
        queues.extend(keys.iter().filter_map(|key| self.queues.get(*key).cloned()));
    }
}

/// Room for so many destinations is made before an exchange is asked, as that is cheaper than to grow.
const MATCHED_USUAL: usize = 8;
/// Exchanges or queues up to which a list is searched faster than a set.
const LISTED_MAX: usize = 16;

/// The exchanges to ask where a message goes, each once, in the order they were found.
struct VisitedExchanges<'a> {
    first: &'a Exchange,
    /// None for most messages.
    further: Vec<&'a Exchange>,
    /// All of them by identity, when there are many.
    known: FxHashSet<*const Exchange>,
}

impl<'a> VisitedExchanges<'a> {
    fn new(first: &'a Exchange) -> Self {
        Self { first, further: Vec::new(), known: FxHashSet::default() }
    }

    fn nth(&self, at: usize) -> Option<&'a Exchange> {
        match at.checked_sub(1) {
            None => Some(self.first),
            Some(at) => self.further.get(at).copied(),
        }
    }

    fn all(&self) -> impl Iterator<Item = *const Exchange> {
        let further = self.further.iter().map(|exchange| std::ptr::from_ref(*exchange));
        std::iter::once(std::ptr::from_ref(self.first)).chain(further)
    }

    fn add(&mut self, exchange: &'a Exchange) {
        let added = std::ptr::from_ref(exchange);
        let is_new = if self.further.len() < LISTED_MAX {
            self.all().all(|known| !std::ptr::eq(known, added))
        } else {
            if self.known.is_empty() {
                self.known = self.all().collect();
            }
            self.known.insert(added)
        };
        if is_new {
            self.further.push(exchange);
        }
    }
}
