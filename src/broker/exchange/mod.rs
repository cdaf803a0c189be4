//! An exchange: the bindings that a published message is matched with.
//!
//! Each type of exchange has a file, and [`ExchangeKind`] and `Matcher` have a variant for it; every `match` on them
//! here names all variants. To add a type, write its file, add the variants and follow the compiler.
//!
//! A `Matcher` holds the bindings in the form that its type matches by; the list of bindings as they were asked for
//! stands beside it. Start at [`Exchange::matches`].

pub mod binding;
mod consistent_hash;
mod delayed;
mod direct;
mod fanout;
mod headers;
mod modulus_hash;
mod random;
mod recent_history;
mod targets;
#[cfg(test)]
mod tests;
mod topic;

use std::collections::HashMap;
use std::sync::Arc;

pub use recent_history::History;
pub use targets::Destination;

use self::binding::{Binding, BindingKey};
use self::consistent_hash::ConsistentHash;
use self::direct::Direct;
use self::fanout::Fanout;
use self::headers::Headers;
use self::modulus_hash::ModulusHash;
use self::random::Random;
use self::recent_history::RecentHistory;
use self::topic::Topic;
use super::arguments::QueueKind;
use super::compat::{ChosenCompat, Compat, CompatRelease};
use super::queue::Queue;
pub use super::routing_properties::{
    DELAY, Details, LazyDetails, copies, may_have_copies, told_copies, without_blind_copies,
};
use super::stats::ExchangeCounters;
use crate::wire::{Fault, FieldTable, ReplyCode, ShortStr};

/// The types of exchanges.
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

/// Names that RabbitMQ knows for something else than exchanges, or for those of a plugin that it ships and does not run
/// (`rabbit_exchange:check_type`: any atom of its).
const NO_EXCHANGES: &[&str] = &["", "classic", "quorum", "stream", "x-jms-topic"];

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
            Self::DelayedMessage => delayed::NAME,
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
    /// `PRECONDITION_FAILED` (RabbitMQ 4) or `COMMAND_INVALID` (RabbitMQ 3.10) for a type that is not there.
    pub fn from_name(name: &str, compat: Compat) -> Result<Self, Fault> {
        if let Some(kind) = Self::ALL.into_iter().find(|kind| kind.name() == name) {
            return Ok(kind);
        }
        let fault = if NO_EXCHANGES.contains(&name) { "invalid" } else { "unknown" };
        let text = format!("{fault} exchange type '{name}'");
        let code = match compat.release() {
            CompatRelease::V3_10 => ReplyCode::CommandInvalid,
            CompatRelease::V4 | CompatRelease::V4_3 => ReplyCode::PreconditionFailed,
        };
        Err(Fault::new(code, text))
    }

    /// Checks the arguments that an exchange of this type is declared with.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` in RabbitMQ's words for an argument that the type does not accept.
    pub fn check(
        self,
        arguments: &FieldTable,
        name: &str,
        vhost: &str,
        compat: Compat,
    ) -> Result<(), Fault> {
        match self {
            Self::Direct
            | Self::Fanout
            | Self::Headers
            | Self::Topic
            | Self::LocalRandom
            | Self::ModulusHash
            | Self::Random => Ok(()),
            Self::ConsistentHash => consistent_hash::check(arguments, name, vhost),
            Self::DelayedMessage => {
                let inner = Self::from_name(delayed::inner(arguments)?, compat)?;
                inner.check(arguments, name, vhost, compat)
            }
            Self::RecentHistory => recent_history::check(arguments),
        }
    }

    /// The type by which messages are matched: that of a delayed exchange is among its arguments.
    ///
    /// # Errors
    ///
    /// The refusal of such an exchange, if its arguments name no type that is there.
    pub fn matched_as(self, arguments: &FieldTable) -> Result<Self, Fault> {
        match self {
            Self::DelayedMessage => Self::from_name(delayed::inner(arguments)?, Compat::default()),
            Self::Direct
            | Self::Fanout
            | Self::Headers
            | Self::Topic
            | Self::ConsistentHash
            | Self::LocalRandom
            | Self::ModulusHash
            | Self::Random
            | Self::RecentHistory => Ok(self),
        }
    }

    /// The rule by which an exchange with these arguments matches messages.
    ///
    /// # Errors
    ///
    /// As [`Self::matched_as`].
    pub fn rule(self, arguments: &FieldTable) -> Result<RoutingRule, Fault> {
        Ok(match self.matched_as(arguments)? {
            // A delayed exchange never matches as one.
            Self::Direct | Self::DelayedMessage => RoutingRule::Key,
            Self::Fanout | Self::RecentHistory => RoutingRule::All,
            Self::Headers => RoutingRule::Headers,
            Self::Topic => RoutingRule::Pattern,
            Self::ConsistentHash => RoutingRule::OneBy(consistent_hash::hashed(arguments)),
            Self::LocalRandom | Self::Random => RoutingRule::OneBy("chance".to_owned()),
            Self::ModulusHash => RoutingRule::OneBy("the hash of the routing key".to_owned()),
        })
    }
}

/// The rule by which an exchange matches a message with its bindings, for those who explain a message's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutingRule {
    /// Every binding takes the message.
    All,
    /// The bindings with its routing key take it.
    Key,
    /// The bindings whose pattern its routing key fits take it.
    Pattern,
    /// The bindings whose arguments its headers fit take it.
    Headers,
    /// One binding takes it; the text names what chooses it.
    OneBy(String),
}

/// The properties that an exchange was declared with.
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
    /// The exchange that gets the messages that this one cannot route.
    pub fn alternate(&self) -> Option<ShortStr> {
        let name = self.arguments.get("alternate-exchange")?.as_str()?;
        ShortStr::try_from(name).ok()
    }

    fn matched_as(&self) -> ExchangeKind {
        self.kind.matched_as(&self.arguments).unwrap_or(ExchangeKind::Direct)
    }

    /// Checks a binding of such an exchange before it is made; `queue` is the type of the queue that it leads to,
    /// `None` for an exchange.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` in RabbitMQ's words, if the type of the exchange does not accept the binding.
    pub fn check_binding(
        &self,
        binding: &Binding,
        queue: Option<QueueKind>,
        compat: Compat,
    ) -> Result<(), Fault> {
        match self.matched_as() {
            ExchangeKind::Direct
            | ExchangeKind::Fanout
            | ExchangeKind::DelayedMessage
            | ExchangeKind::ModulusHash
            | ExchangeKind::Random
            | ExchangeKind::RecentHistory => Ok(()),
            ExchangeKind::ConsistentHash => consistent_hash::check_weight(&binding.routing_key),
            ExchangeKind::Headers => headers::check(&binding.arguments),
            ExchangeKind::LocalRandom => random::check_local(&binding.routing_key, queue),
            ExchangeKind::Topic => topic::check(&binding.routing_key, compat),
        }
    }
}

/// The bindings of an exchange in the form that its type matches by.
#[derive(Debug)]
enum Matcher {
    ConsistentHash(ConsistentHash),
    Direct(Direct),
    Fanout(Fanout),
    Headers(Headers),
    ModulusHash(ModulusHash),
    Random(Random),
    RecentHistory(RecentHistory),
    Topic(Topic),
}

impl Matcher {
    fn new(settings: &ExchangeSettings, compat: &ChosenCompat) -> Self {
        let arguments = &settings.arguments;
        match settings.matched_as() {
            ExchangeKind::ConsistentHash => Self::ConsistentHash(ConsistentHash::new(arguments)),
            // A delayed exchange never matches as one.
            ExchangeKind::Direct | ExchangeKind::DelayedMessage => Self::Direct(Direct::default()),
            ExchangeKind::Fanout => Self::Fanout(Fanout::default()),
            ExchangeKind::Headers => Self::Headers(Headers::new(compat.clone())),
            ExchangeKind::LocalRandom | ExchangeKind::Random => Self::Random(Random::default()),
            ExchangeKind::ModulusHash => Self::ModulusHash(ModulusHash::default()),
            ExchangeKind::RecentHistory => Self::RecentHistory(RecentHistory::new(arguments)),
            ExchangeKind::Topic => Self::Topic(Topic::default()),
        }
    }

    /// The part that a message's routing key has in matching.
    fn key_use(&self) -> KeyUse {
        match self {
            Self::Direct(_) | Self::Topic(_) => KeyUse::Each,
            Self::Fanout(_) | Self::RecentHistory(_) => KeyUse::None,
            Self::ConsistentHash(_) | Self::Headers(_) | Self::ModulusHash(_) | Self::Random(_) => {
                KeyUse::NotAlone
            }
        }
    }

    fn bind(&mut self, binding: &Binding, destination: &Destination) {
        match self {
            Self::ConsistentHash(shares) => shares.bind(binding, destination),
            Self::Direct(direct) => direct.bind(&binding.routing_key, destination),
            Self::Fanout(fanout) => fanout.bind(destination),
            Self::Headers(headers) => headers.bind(binding, destination),
            Self::ModulusHash(modulus) => modulus.bind(binding, destination),
            Self::Random(random) => random.bind(binding, destination),
            Self::RecentHistory(recent) => recent.bind(destination),
            Self::Topic(topic) => topic.bind(&binding.routing_key, destination),
        }
    }

    fn unbind(&mut self, key: &BindingKey) {
        match self {
            Self::ConsistentHash(shares) => shares.unbind(key),
            Self::Direct(direct) => direct.unbind(key.routing_key(), key.destination()),
            Self::Fanout(fanout) => fanout.unbind(key.destination()),
            Self::Headers(headers) => headers.unbind(key),
            Self::ModulusHash(modulus) => modulus.unbind(key),
            Self::Random(random) => random.unbind(key),
            Self::RecentHistory(recent) => recent.unbind(key.destination()),
            Self::Topic(topic) => topic.unbind(key.routing_key(), key.destination()),
        }
    }

    #[inline]
    fn matches<'a>(&'a self, input: &RoutingInput<'_>, into: &mut Vec<&'a Destination>) {
        let RoutingInput { routing_key, details } = *input;
        match self {
            Self::ConsistentHash(shares) => shares.matches(routing_key, details.get(), into),
            Self::Direct(direct) => direct.matches(routing_key, into),
            Self::Fanout(fanout) => fanout.matches(into),
            Self::Headers(headers) => headers.matches(&details.get().headers, into),
            Self::ModulusHash(modulus) => modulus.matches(routing_key, into),
            Self::Random(random) => random.matches(into),
            Self::RecentHistory(recent) => recent.matches(into),
            Self::Topic(topic) => topic.matches(routing_key, into),
        }
    }

    fn history(&self) -> Option<&Arc<History>> {
        match self {
            Self::RecentHistory(recent) => Some(recent.history()),
            Self::ConsistentHash(_)
            | Self::Direct(_)
            | Self::Fanout(_)
            | Self::Headers(_)
            | Self::ModulusHash(_)
            | Self::Random(_)
            | Self::Topic(_) => None,
        }
    }
}

/// The part that a message's routing keys have in matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyUse {
    /// Each key is matched on its own, and nothing else takes part.
    Each,
    /// Every message takes the same way.
    None,
    /// A message is matched once; its properties or chance take part, and of its keys the first at most.
    NotAlone,
}

/// An exchange with its bindings.
#[derive(Debug)]
pub struct Exchange {
    pub settings: ExchangeSettings,
    pub alternate: Option<ShortStr>,
    pub counters: Arc<ExchangeCounters>,
    /// The queue in which a delayed exchange keeps messages until their time has come.
    pub holder: Option<Arc<Queue>>,
    matcher: Matcher,
    bindings: HashMap<BindingKey, Binding>,
}

/// The part of a message that it is matched by.
#[derive(Debug)]
pub struct RoutingInput<'a> {
    pub routing_key: &'a str,
    pub details: &'a LazyDetails<'a>,
}

impl Exchange {
    pub fn new(settings: ExchangeSettings, compat: &ChosenCompat) -> Self {
        let matcher = Matcher::new(&settings, compat);
        let alternate = settings.alternate();
        let counters = Arc::default();
        Self { settings, alternate, counters, holder: None, matcher, bindings: HashMap::new() }
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

    /// Answers if two messages with one routing key always take the same way.
    pub fn routes_by_key_alone(&self) -> bool {
        self.holder.is_none() && self.matcher.key_use() != KeyUse::NotAlone
    }

    /// Answers if each of a message's keys is matched on its own; other types match a message once.
    pub fn looks_at_keys(&self) -> bool {
        self.matcher.key_use() == KeyUse::Each
    }

    /// The messages that it gives to each new binding, if it is of a type that does.
    pub fn history(&self) -> Option<&Arc<History>> {
        self.matcher.history()
    }

    /// Adds a binding; answers whether it is new.
    pub fn bind(&mut self, binding: Binding, destination: &Destination) -> bool {
        let key = binding.key();
        if self.bindings.contains_key(&key) {
            return false;
        }
        self.matcher.bind(&binding, destination);
        self.bindings.insert(key, binding);
        true
    }

    /// Takes a binding away; answers with it when it was there.
    pub fn unbind(&mut self, key: &BindingKey) -> Option<Binding> {
        let binding = self.bindings.remove(key)?;
        self.matcher.unbind(key);
        Some(binding)
    }

    /// Collects where a message goes; a destination may come more than once.
    pub fn matches<'a>(&'a self, input: &RoutingInput<'_>, into: &mut Vec<&'a Destination>) {
        self.matcher.matches(input, into);
    }
}
