//! An exchange: where a published message is matched with bindings.
//!
//! [`Router`] holds one form of the bindings for each type, so that matching needs no filtering; the list of
//! bindings as they were asked for stands beside it.

pub mod binding;
mod delayed;
mod details;
mod direct;
mod headers;
mod history;
mod spread;
mod topic;

use std::collections::HashMap;
use std::sync::Arc;

pub use details::{DELAY, Details, copies, may_have_copies, told_copies, without_blind_copies};
pub use history::History;

use self::binding::{Binding, BindingKey, Destination, Targets};
use self::direct::Direct;
use self::headers::Headers;
use self::spread::Spread;
use self::topic::Topic;
use super::arguments::{self, QueueKind};
use super::compat::Compat;
use super::queue::Queue;
use super::stats::ExchangeCounters;
use crate::wire::{Fault, FieldTable, ReplyCode, ShortStr};

/// The types of exchange there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeKind {
    Direct,
    Fanout,
    Topic,
    Headers,
    ConsistentHash,
    DelayedMessage,
    LocalRandom,
    ModulusHash,
    Random,
    RecentHistory,
}

/// Types RabbitMQ has, as plugins or built in, that are not there yet.
const NOT_YET: &[&str] = &["x-jms-topic"];

/// Names that RabbitMQ knows for something else than exchanges (`rabbit_exchange:check_type`: any atom of its).
const NO_EXCHANGES: &[&str] = &["", "classic", "quorum", "stream"];

impl ExchangeKind {
    /// All types, in the order listings show them.
    pub const ALL: [Self; 10] = [
        Self::Direct,
        Self::Fanout,
        Self::Headers,
        Self::Topic,
        Self::ConsistentHash,
        Self::DelayedMessage,
        Self::LocalRandom,
        Self::ModulusHash,
        Self::Random,
        Self::RecentHistory,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
            Self::ConsistentHash => "x-consistent-hash",
            Self::DelayedMessage => "x-delayed-message",
            Self::LocalRandom => "x-local-random",
            Self::ModulusHash => "x-modulus-hash",
            Self::Random => "x-random",
            Self::RecentHistory => "x-recent-history",
        }
    }

    /// The type with this name.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` (RabbitMQ 4) or `COMMAND_INVALID` (RabbitMQ 3.10) for a type nobody knows,
    /// `NOT_IMPLEMENTED` for one RabbitMQ has.
    pub fn from_name(name: &str, compat: Compat) -> Result<Self, Fault> {
        if let Some(kind) = Self::ALL.into_iter().find(|kind| kind.name() == name) {
            return Ok(kind);
        }
        if NOT_YET.contains(&name) {
            return Err(arguments::not_yet(&format!("exchange type '{name}'")));
        }
        let fault = if NO_EXCHANGES.contains(&name) { "invalid" } else { "unknown" };
        let text = format!("{fault} exchange type '{name}'");
        let code = match compat {
            Compat::V3_10 => ReplyCode::CommandInvalid,
            Compat::V4 | Compat::V4_3 => ReplyCode::PreconditionFailed,
        };
        Err(Fault::new(code, text))
    }

    /// Checks the arguments an exchange of this type is declared with.
    pub fn check(
        self,
        arguments: &FieldTable,
        name: &str,
        vhost: &str,
        compat: Compat,
    ) -> Result<(), Fault> {
        match self {
            Self::DelayedMessage => {
                delayed::inner(arguments, compat)?.check(arguments, name, vhost, compat)
            }
            Self::ConsistentHash => spread::check_consistent(arguments, name, vhost),
            Self::RecentHistory => history::check(arguments),
            _ => Ok(()),
        }
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

    /// The type by which messages are matched: that of a delayed exchange is among its arguments.
    fn matched_as(&self) -> ExchangeKind {
        match self.kind {
            ExchangeKind::DelayedMessage => {
                delayed::inner(&self.arguments, Compat::default()).unwrap_or(ExchangeKind::Direct)
            }
            kind => kind,
        }
    }
}

#[derive(Debug)]
enum Router {
    Direct(Direct),
    Fanout(Targets),
    Topic(Topic),
    Headers(Headers),
    Spread(Spread),
    RecentHistory(Targets, Arc<History>),
}

impl Router {
    fn new(settings: &ExchangeSettings) -> Self {
        match settings.matched_as() {
            ExchangeKind::Direct => Self::Direct(Direct::default()),
            ExchangeKind::Fanout => Self::Fanout(Targets::default()),
            ExchangeKind::Topic => Self::Topic(Topic::default()),
            // A delayed exchange never matches as one.
            ExchangeKind::Headers | ExchangeKind::DelayedMessage => {
                Self::Headers(Headers::default())
            }
            ExchangeKind::ConsistentHash => Self::Spread(Spread::consistent(&settings.arguments)),
            ExchangeKind::LocalRandom | ExchangeKind::Random => Self::Spread(Spread::random()),
            ExchangeKind::ModulusHash => Self::Spread(Spread::modulus()),
            ExchangeKind::RecentHistory => {
                let history = Arc::new(History::new(&settings.arguments));
                Self::RecentHistory(Targets::default(), history)
            }
        }
    }
}

/// An exchange with its bindings.
#[derive(Debug)]
pub struct Exchange {
    pub settings: ExchangeSettings,
    pub alternate: Option<ShortStr>,
    pub counters: Arc<ExchangeCounters>,
    /// Where a delayed exchange keeps messages until their time has come.
    pub holder: Option<Arc<Queue>>,
    router: Router,
    bindings: HashMap<BindingKey, Binding>,
}

/// What a message is matched by.
#[derive(Debug)]
pub struct RoutingInput<'a> {
    pub routing_key: &'a str,
    pub details: &'a Details,
}

impl Exchange {
    pub fn new(settings: ExchangeSettings) -> Self {
        let router = Router::new(&settings);
        let alternate = settings.alternate();
        let counters = Arc::default();
        Self { settings, alternate, counters, holder: None, router, bindings: HashMap::new() }
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
        self.holder.is_none() && !matches!(self.router, Router::Headers(_) | Router::Spread(_))
    }

    /// Whether each of a message's keys is asked for on its own; other types look at a message once.
    pub fn looks_at_keys(&self) -> bool {
        matches!(self.router, Router::Direct(_) | Router::Topic(_))
    }

    /// What it gives to whoever is bound to it newly.
    pub fn history(&self) -> Option<&Arc<History>> {
        match &self.router {
            Router::RecentHistory(_, history) => Some(history),
            _ => None,
        }
    }

    /// Checks a binding before it is made.
    pub fn check_binding(&self, binding: &Binding, to: &Destination) -> Result<(), Fault> {
        match self.settings.matched_as() {
            ExchangeKind::Headers => headers::check(&binding.arguments),
            ExchangeKind::ConsistentHash => spread::check_weight(&binding.routing_key),
            ExchangeKind::LocalRandom => check_local(&binding.routing_key, to),
            _ => Ok(()),
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
            Router::Fanout(targets) | Router::RecentHistory(targets, _) => targets.add(destination),
            Router::Topic(topic) => topic.bind(&binding.routing_key, destination),
            Router::Headers(headers) => headers.bind(&binding, destination),
            Router::Spread(spread) => spread.bind(&binding, destination),
        }
        self.bindings.insert(key, binding);
        true
    }

    /// Takes a binding away; answers with it when it was there.
    pub fn unbind(&mut self, key: &BindingKey) -> Option<Binding> {
        let binding = self.bindings.remove(key)?;
        match &mut self.router {
            Router::Direct(direct) => direct.unbind(&binding.routing_key, &binding.destination),
            Router::Fanout(targets) | Router::RecentHistory(targets, _) => {
                targets.remove(&binding.destination);
            }
            Router::Topic(topic) => topic.unbind(&binding.routing_key, &binding.destination),
            Router::Headers(headers) => headers.unbind(key),
            Router::Spread(spread) => spread.unbind(key),
        }
        Some(binding)
    }

    /// Collects where a message goes; a destination may come more than once.
    pub fn matches<'a>(&'a self, input: &RoutingInput<'_>, into: &mut Vec<&'a Destination>) {
        match &self.router {
            Router::Direct(direct) => direct.matches(input.routing_key, into),
            Router::Fanout(targets) | Router::RecentHistory(targets, _) => targets.collect(into),
            Router::Topic(topic) => topic.matches(input.routing_key, into),
            Router::Headers(headers) => headers.matches(&input.details.headers, into),
            Router::Spread(spread) => spread.matches(input.routing_key, input.details, into),
        }
    }
}

/// RabbitMQ: `rabbit_exchange_type_local_random:validate_binding`.
fn check_local(routing_key: &str, to: &Destination) -> Result<(), Fault> {
    let text = match to {
        _ if !routing_key.is_empty() => {
            format!("Non empty binding '{routing_key}' key not permitted")
        }
        Destination::Queue(queue) => match QueueKind::of(&queue.settings().arguments) {
            QueueKind::Classic => return Ok(()),
            kind => format!("Queue type {} not valid for this exchange type", kind.module()),
        },
        Destination::Exchange(_) => "Destination not found".to_owned(),
    };
    Err(Fault::new(ReplyCode::PreconditionFailed, text))
}
