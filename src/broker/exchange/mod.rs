//! An exchange: where a published message is matched with bindings.
//!
//! [`Router`] holds one form of the bindings for each type, so that matching needs no filtering; the list of
//! bindings as they were asked for stands beside it.

pub mod binding;
mod direct;
mod headers;
mod topic;

use std::collections::HashMap;
use std::sync::Arc;

use self::binding::{Binding, BindingKey, Destination, Targets};
use self::direct::Direct;
use self::headers::Headers;
use self::topic::Topic;
use super::arguments;
use super::stats::ExchangeCounters;
use crate::wire::{Fault, FieldTable, ReplyCode, ShortStr};

/// The types of exchange there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeKind {
    Direct,
    Fanout,
    Topic,
    Headers,
}

/// Types RabbitMQ has, as plugins or built in, that are not there yet.
const NOT_YET: &[&str] = &[
    "x-consistent-hash",
    "x-delayed-message",
    "x-jms-topic",
    "x-local-random",
    "x-modulus-hash",
    "x-random",
    "x-recent-history",
];

impl ExchangeKind {
    /// All types, in the order listings show them.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Fanout, Self::Headers, Self::Topic];

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }

    /// The type with this name.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` (RabbitMQ 4) for a type nobody knows, `NOT_IMPLEMENTED` for one RabbitMQ has.
    pub fn from_name(name: &str) -> Result<Self, Fault> {
        if let Some(kind) = Self::ALL.into_iter().find(|kind| kind.name() == name) {
            return Ok(kind);
        }
        if NOT_YET.contains(&name) {
            return Err(arguments::not_yet(&format!("exchange type '{name}'")));
        }
        let text = format!("unknown exchange type '{name}'");
        Err(Fault::new(ReplyCode::PreconditionFailed, text))
    }
}

/// What an exchange was declared with.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    pub name: ShortStr,
    pub kind: ExchangeKind,
    pub is_durable: bool,
    pub is_auto_delete: bool,
    /// Publishers may not use it; only other exchanges lead to it.
    pub is_internal: bool,
    pub arguments: FieldTable,
}

impl ExchangeSettings {
    /// Where messages go that this exchange cannot route.
    pub fn alternate(&self) -> Option<ShortStr> {
        let name = self.arguments.get("alternate-exchange")?.as_str()?;
        ShortStr::try_from(name).ok()
    }
}

#[derive(Debug)]
enum Router {
    Direct(Direct),
    Fanout(Targets),
    Topic(Topic),
    Headers(Headers),
}

/// An exchange with its bindings.
#[derive(Debug)]
pub struct Exchange {
    pub settings: ExchangeSettings,
    pub alternate: Option<ShortStr>,
    pub counters: Arc<ExchangeCounters>,
    router: Router,
    bindings: HashMap<BindingKey, Binding>,
}

/// What a message is matched by.
#[derive(Debug)]
pub struct RoutingInput<'a> {
    pub routing_key: &'a str,
    pub headers: &'a FieldTable,
}

impl Exchange {
    pub fn new(settings: ExchangeSettings) -> Self {
        let router = match settings.kind {
            ExchangeKind::Direct => Router::Direct(Direct::default()),
            ExchangeKind::Fanout => Router::Fanout(Targets::default()),
            ExchangeKind::Topic => Router::Topic(Topic::default()),
            ExchangeKind::Headers => Router::Headers(Headers::default()),
        };
        let alternate = settings.alternate();
        let counters = Arc::default();
        Self { settings, alternate, counters, router, bindings: HashMap::new() }
    }

    pub fn has_bindings(&self) -> bool {
        !self.bindings.is_empty()
    }

    pub fn has_binding(&self, key: &BindingKey) -> bool {
        self.bindings.contains_key(key)
    }

    pub fn bindings_len(&self) -> usize {
        self.bindings.len()
    }

    pub fn binding_keys(&self) -> impl Iterator<Item = &BindingKey> {
        self.bindings.keys()
    }

    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.values()
    }

    /// Whether two messages with one routing key always take the same way.
    pub fn routes_by_key_alone(&self) -> bool {
        !matches!(self.router, Router::Headers(_))
    }

    /// Checks the arguments of a binding before it is made.
    pub fn check_binding(&self, arguments: &FieldTable) -> Result<(), Fault> {
        match self.router {
            Router::Headers(_) => headers::check(arguments),
            Router::Direct(_) | Router::Fanout(_) | Router::Topic(_) => Ok(()),
        }
    }

    /// Adds a binding; answers whether it is new.
    pub fn bind(&mut self, binding: Binding, destination: &Destination) -> bool {
        let key = binding.key();
        if self.bindings.contains_key(&key) {
            return false;
        }
        match &mut self.router {
            Router::Direct(direct) => direct.bind(&binding.routing_key, destination),
            Router::Fanout(targets) => targets.add(destination),
            Router::Topic(topic) => topic.bind(&binding.routing_key, destination),
            Router::Headers(headers) => headers.bind(&binding, destination),
        }
        self.bindings.insert(key, binding);
        true
    }

    /// Takes a binding away; answers with it when it was there.
    pub fn unbind(&mut self, key: &BindingKey) -> Option<Binding> {
        let binding = self.bindings.remove(key)?;
        match &mut self.router {
            Router::Direct(direct) => direct.unbind(&binding.routing_key, &binding.destination),
            Router::Fanout(targets) => targets.remove(&binding.destination),
            Router::Topic(topic) => topic.unbind(&binding.routing_key, &binding.destination),
            Router::Headers(headers) => headers.unbind(key),
        }
        Some(binding)
    }

    /// Collects where a message goes; a destination may come more than once.
    pub fn matches<'a>(&'a self, input: &RoutingInput<'_>, into: &mut Vec<&'a Destination>) {
        match &self.router {
            Router::Direct(direct) => direct.matches(input.routing_key, into),
            Router::Fanout(targets) => targets.collect(into),
            Router::Topic(topic) => topic.matches(input.routing_key, into),
            Router::Headers(headers) => headers.matches(input.headers, into),
        }
    }
}
