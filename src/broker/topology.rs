//! The exchanges, queues and bindings of a vhost, and the way of a message through them.
//!
//! Plain maps under the vhost's lock. Each destination knows which bindings lead to it, so that deleting a queue
//! costs its own bindings and not everybody's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::arguments::exchange_noun;
use super::exchange::binding::{
    Binding, BindingKey, Destination, DestinationKind, DestinationName,
};
use super::exchange::{Details, Exchange, History, RoutingInput};
use super::message::Message;
use super::queue::Queue;
use super::removal::Removal;
use super::stats::ExchangeCounters;
use crate::store::{Place, QueueId};
use crate::wire::{Fault, ReplyCode, ShortStr};

/// The things that are declared.
#[derive(Debug, Default)]
pub(super) struct Topology {
    pub(super) exchanges: HashMap<ShortStr, Exchange>,
    pub(super) queues: HashMap<ShortStr, Arc<Queue>>,
    /// Bindings by what they lead to.
    pub(super) bound_to: HashMap<DestinationName, HashSet<(ShortStr, BindingKey)>>,
}

/// What was taken out and takes its time to drop.
#[derive(Debug, Default)]
pub(super) struct Remains {
    exchanges: Vec<Exchange>,
    bound_to: Vec<HashSet<(ShortStr, BindingKey)>>,
    bindings: Vec<(ShortStr, BindingKey)>,
}

/// Where messages with one exchange and routing key go.
#[derive(Clone, Debug)]
pub struct Route {
    /// Each queue once; streams come first, then others that keep every message, then those that keep persistent ones.
    pub queues: Vec<Arc<Queue>>,
    /// What the store calls those that keep messages.
    pub kept_by: Vec<QueueId>,
    /// How many of them keep every message: streams and quorum queues.
    always_kept_by: usize,
    /// How many are streams.
    pub streams: usize,
    pub counters: Arc<ExchangeCounters>,
    /// Nothing but the key takes part, so the route may be remembered until the topology changes.
    pub by_key_alone: bool,
    /// The exchanges on the way that remember their last messages.
    pub histories: Vec<Arc<History>>,
    /// Nobody on the way remembers messages, and none of the queues may refuse one because it is full.
    pub is_plain: bool,
    /// The firehose tells of what goes here.
    pub is_traced: bool,
}

impl Route {
    /// The way to one queue, whatever leads there.
    pub(super) fn to(queue: &Arc<Queue>) -> Self {
        let mut route = Self::nowhere(Arc::default());
        route.by_key_alone = false;
        route.queues.push(Arc::clone(queue));
        route.sort();
        route
    }

    /// The places of a message in the queues that keep it, by that of the first.
    #[inline]
    pub fn places(&self, message: &Message, first: Place) -> impl Iterator<Item = Place> + use<> {
        let count = u32::try_from(self.keepers(message).len()).unwrap_or(u32::MAX);
        (0..count).map(move |nth| first.nth(nth))
    }

    /// What the store calls the queues that keep this message; no more of them are given a place.
    #[inline]
    pub fn keepers(&self, message: &Message) -> &[QueueId] {
        if message.is_persistent() { &self.kept_by } else { &self.kept_by[..self.always_kept_by] }
    }

    /// A route that leads nowhere yet.
    pub(super) fn nowhere(counters: Arc<ExchangeCounters>) -> Self {
        Self {
            queues: Vec::new(),
            kept_by: Vec::new(),
            always_kept_by: 0,
            streams: 0,
            counters,
            by_key_alone: true,
            histories: Vec::new(),
            is_plain: true,
            is_traced: false,
        }
    }

    /// The route without some of its queues.
    pub(super) fn without(mut self, is_left_out: impl Fn(&Queue) -> bool) -> Self {
        self.queues.retain(|queue| !is_left_out(queue));
        self.sort();
        self
    }

    /// The route without the queues that have been deleted since it was found.
    #[must_use]
    pub fn living(self) -> Self {
        self.without(Queue::is_over)
    }

    /// Brings the queues that keep messages to the front.
    fn sort(&mut self) {
        self.is_plain =
            self.histories.is_empty() && !self.queues.iter().any(|queue| queue.may_reject());
        let rank = |queue: &Arc<Queue>| match queue.settings().id {
            None => 3,
            Some(_) if queue.is_stream() => 0,
            Some(_) if queue.is_quorum() => 1,
            Some(_) => 2,
        };
        if !self.queues.is_sorted_by_key(rank) {
            self.queues.sort_by_key(rank);
        }
        if self.queues.first().is_none_or(|first| first.settings().id.is_none()) {
            // None keeps anything.
            (self.kept_by, self.streams, self.always_kept_by) = (Vec::new(), 0, 0);
            return;
        }
        self.kept_by = self.queues.iter().map_while(|queue| queue.settings().id).collect();
        let kept = &self.queues[..self.kept_by.len()];
        self.streams = kept.iter().take_while(|queue| queue.is_stream()).count();
        let keeps_all = |queue: &&Arc<Queue>| queue.is_stream() || queue.is_quorum();
        self.always_kept_by = kept.iter().take_while(keeps_all).count();
    }
}

impl Remains {
    /// The queues in which exchanges that were taken out kept messages.
    pub(super) fn holders(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.exchanges.iter().filter_map(|exchange| exchange.holder.as_ref())
    }
}

impl Topology {
    pub(super) fn exchange(&self, name: &str, vhost: &str) -> Result<&Exchange, Fault> {
        self.exchanges.get(name).ok_or_else(|| {
            let noun = exchange_noun(name, vhost);
            Fault::new(ReplyCode::NotFound, format!("no {noun}"))
        })
    }

    /// Whether this very queue is there, and not another one of its name.
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

    /// Whether what a binding leads to outlives the broker.
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

    /// How many bindings go with a queue or an exchange, those of others that follow not counted.
    pub(super) fn bindings_len(&self, kind: DestinationKind, name: &ShortStr) -> usize {
        let bound_to = self.bound_to.get(&DestinationName { kind, name: name.clone() });
        let leads_on = match kind {
            DestinationKind::Queue => None,
            DestinationKind::Exchange => self.exchanges.get(name).map(Exchange::bindings_len),
        };
        bound_to.map_or(0, HashSet::len) + leads_on.unwrap_or(0)
    }

    /// Takes out what was found to go together, or of its bindings a piece. What that leaves of large things is for the caller to drop, who holds
    /// no lock then.
    pub(super) fn remove(&mut self, removal: Removal) -> Remains {
        let Removal { queue, exchanges, bindings, left_over: _ } = removal;
        let mut remains = Remains::default();
        for name in exchanges {
            remains.exchanges.extend(self.exchanges.remove(&name));
            let exchange = DestinationName { kind: DestinationKind::Exchange, name };
            remains.bound_to.extend(self.bound_to.remove(&exchange));
        }
        if let Some(name) = queue {
            self.queues.remove(&name);
            let queue = DestinationName { kind: DestinationKind::Queue, name };
            remains.bound_to.extend(self.bound_to.remove(&queue));
        }
        for bound in &bindings {
            let (source, key) = bound;
            // Gone as a whole, or it loses one of its bindings.
            if let Some(exchange) = self.exchanges.get_mut(source) {
                exchange.unbind(key);
            }
            self.forget_bound(bound);
        }
        remains.bindings = bindings;
        remains
    }

    fn forget_bound(&mut self, binding: &(ShortStr, BindingKey)) {
        let (_, key) = binding;
        let Some(bound) = self.bound_to.get_mut(key.destination()) else { return };
        bound.remove(binding);
        if bound.is_empty() {
            self.bound_to.remove(key.destination());
        }
    }

    /// Finds the queues a message goes to, through bindings, exchanges bound to exchanges, and alternates.
    ///
    /// RabbitMQ (`rabbit_exchange:route`): each exchange is asked once, so cycles end; an exchange that finds
    /// nothing hands over to its alternate.
    ///
    /// All of `keys` lead on, each queue gets the message once.
    pub(super) fn route(&self, exchange: &Exchange, keys: &[&str], details: &Details) -> Route {
        let counters = Arc::clone(&exchange.counters);
        let mut route = Route::nowhere(counters);
        if exchange.settings.name.is_empty() {
            self.name_queues(keys, &mut route.queues);
            dedup(&mut route.queues);
            route.sort();
            return route;
        }
        let mut asked = Asked::new(exchange);
        let mut at = 0;
        while let Some(exchange) = asked.nth(at) {
            at += 1;
            route.by_key_alone &= exchange.routes_by_key_alone();
            if let Some(holder) = &exchange.holder
                && details.delay_ms().is_some()
            {
                route.queues.push(Arc::clone(holder));
                continue;
            }
            if let Some(history) = exchange.history() {
                route.histories.push(Arc::clone(history));
            }
            let mut found = Vec::new();
            let keys_len = if exchange.looks_at_keys() { keys.len() } else { 1 };
            for routing_key in &keys[..keys_len.min(keys.len())] {
                exchange.matches(&RoutingInput { routing_key, details }, &mut found);
            }
            let alternate = if found.is_empty() { exchange.alternate.as_ref() } else { None };
            self.take(&found, keys, &mut route.queues, &mut asked);
            if let Some(exchange) = alternate.and_then(|name| self.exchanges.get(name)) {
                self.ask(exchange, keys, &mut route.queues, &mut asked);
            }
        }
        dedup(&mut route.queues);
        route.sort();
        route
    }

    fn take<'a>(
        &'a self,
        found: &[&Destination],
        keys: &[&str],
        queues: &mut Vec<Arc<Queue>>,
        asked: &mut Asked<'a>,
    ) {
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
        asked: &mut Asked<'a>,
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

/// Exchanges or queues up to which a list is searched faster than a set.
const LISTED_MAX: usize = 16;

/// The exchanges to ask where a message goes, each once, in the order they were found.
struct Asked<'a> {
    first: &'a Exchange,
    /// None for most messages.
    further: Vec<&'a Exchange>,
    /// All of them by identity, when there are many.
    known: FxHashSet<*const Exchange>,
}

impl<'a> Asked<'a> {
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

/// Keeps the first of each queue.
fn dedup(queues: &mut Vec<Arc<Queue>>) {
    if queues.len() < 2 {
        return;
    }
    if queues.len() > LISTED_MAX {
        let mut seen = FxHashSet::default();
        return queues.retain(|queue| seen.insert(Arc::as_ptr(queue)));
    }
    let mut at = 1;
    while let Some(queue) = queues.get(at) {
        if queues[..at].iter().any(|seen| Arc::ptr_eq(seen, queue)) {
            queues.remove(at);
        } else {
            at += 1;
        }
    }
}
