//! The search for the queues of a message, and for the reasons why others do not get it: it asks the management API and
//! publishes nothing.
//!
//! The walk is the broker's (`broker::topology`): each exchange is asked once, and one that finds nothing hands over to
//! its alternate. Whether a binding matches is decided by the broker's own matchers ([`matching`]), so the answer for
//! an `mq serve` cannot differ from what it does; RabbitMQ's rules are the same.
//!
//! Reading order: [`Engine::route`], [`ExchangeStep`] (what one exchange answered), [`matching`], [`words`] (why not).

mod matching;
mod words;

use std::collections::VecDeque;

use serde_json::Value;

use self::matching::Matching;
use crate::broker::exchange::copies;
use crate::engine::error::Error;
use crate::engine::handle::Engine;
use crate::engine::inspect::Inspect;
use crate::engine::management::escape;
use crate::engine::nearest::with_nearest;
use crate::engine::payload;
use crate::wire::{FieldTable, ShortStr};

/// The name of the default exchange in the paths of RabbitMQ's API.
const DEFAULT_IN_PATHS: &str = "amq.default";

/// A message, as far as its way depends on it.
#[derive(Clone, Debug, Default)]
pub struct RouteQuestion {
    pub exchange: ShortStr,
    pub routing_key: ShortStr,
    pub headers: FieldTable,
}

impl RouteQuestion {
    /// The routing key and those of the copies that the headers `CC` and `BCC` ask for; what is no list of keys asks
    /// for none, and the broker refuses it.
    fn keys(&self) -> Vec<ShortStr> {
        let copies = copies(&self.headers).unwrap_or_default();
        std::iter::once(self.routing_key.clone()).chain(copies).collect()
    }
}

/// The way of a message.
#[derive(Clone, Debug, Default)]
pub struct RouteReport {
    /// The exchanges it comes to, in the order they are asked; the first is the publisher's.
    pub exchanges: Vec<ExchangeStep>,
    /// The queues that get it, each once.
    pub queues: Vec<ReachedQueue>,
    /// The reason for which the broker would refuse the message.
    pub refusal: Option<String>,
}

/// A queue that gets the message, or may get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachedQueue {
    pub queue: String,
    pub sure: Certainty,
}

/// Says if a message is certain to be routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    Yes,
    /// An exchange on the way chooses one of several.
    Maybe,
}

/// An exchange and what it made of the message.
#[derive(Clone, Debug)]
pub struct ExchangeStep {
    pub exchange: String,
    pub kind: String,
    pub sure: Certainty,
    /// The rule by which it chooses when it gives a message to one of its bindings only.
    pub chooses: Option<String>,
    pub tried: Vec<BindingStep>,
    pub alternate: Option<AlternateExchange>,
}

/// A binding, and whether the message takes it.
#[derive(Clone, Debug)]
pub struct BindingStep {
    pub to: BindingEnd,
    pub routing_key: String,
    /// As the management API shows them
    pub arguments: Value,
    pub matches: bool,
    pub why: String,
    /// The likeness to a binding that matches, from 0 to 1, for the order of those that do not match.
    pub likeness: f64,
}

/// The end of a binding: a queue or an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingEnd {
    Queue(String),
    Exchange(String),
}

/// The exchange that gets the messages another one cannot route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternateExchange {
    pub exchange: String,
    pub used: AlternateUse,
}

/// Says if an alternate exchange is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlternateUse {
    Yes,
    /// A binding matched.
    NotNeeded,
    /// There is no such exchange.
    Missing,
}

/// An exchange to ask, and whether the message surely comes to it.
struct PendingExchange {
    name: String,
    sure: Certainty,
}

/// An exchange as the management API lists it.
struct ListedExchange {
    name: String,
    kind: String,
    is_internal: bool,
    arguments: FieldTable,
    alternate: Option<String>,
}

impl Engine {
    /// Finds out where a message would go.
    ///
    /// # Errors
    ///
    /// When the exchange is not there, or the management API does not answer.
    pub async fn route(&self, question: &RouteQuestion) -> Result<RouteReport, Error> {
        let mut walk = Walk { inspect: self.inspect(), question, way: RouteReport::default() };
        let Some(first) = walk.exchange(&question.exchange).await? else {
            let doing = format!("look for exchange '{}'", question.exchange);
            let vhost = self.cx.target.vhost();
            let text =
                format!("NOT_FOUND - no exchange '{}' in vhost '{vhost}'", question.exchange);
            let refused = Error::Refused { doing, code: 404, text, nearest: Vec::new() };
            return Err(with_nearest(&self.cx, refused).await);
        };
        if first.is_internal {
            let name = &first.name;
            walk.way.refusal =
                Some(format!("exchange '{name}' is internal: no publisher may use it"));
        }
        walk.go(first).await?;
        Ok(walk.way)
    }
}

struct Walk<'a> {
    inspect: Inspect<'a>,
    question: &'a RouteQuestion,
    way: RouteReport,
}

impl Walk<'_> {
    /// Asks one exchange after the other, each once, so that cycles end.
    async fn go(&mut self, first: ListedExchange) -> Result<(), Error> {
        let mut known = vec![first.name.clone()];
        let mut first = Some(first);
        let mut waiting =
            VecDeque::from([PendingExchange { name: known[0].clone(), sure: Certainty::Yes }]);
        while let Some(next) = waiting.pop_front() {
            let exchange = match first.take() {
                Some(first) => Some(first),
                None => self.exchange(&next.name).await?,
            };
            // One that was deleted since its binding was read.
            let Some(exchange) = exchange else { continue };
            let asked = self.ask(exchange, next.sure).await?;
            let sure = if asked.chooses.is_some() { Certainty::Maybe } else { asked.sure };
            let mut to = Vec::new();
            for tried in asked.tried.iter().filter(|tried| tried.matches) {
                match &tried.to {
                    BindingEnd::Queue(queue) => self.reach(queue, sure),
                    BindingEnd::Exchange(name) => {
                        to.push(PendingExchange { name: name.clone(), sure });
                    }
                }
            }
            if let Some(AlternateExchange { exchange, used: AlternateUse::Yes }) = &asked.alternate
            {
                to.push(PendingExchange { name: exchange.clone(), sure: asked.sure });
            }
            for next in to {
                if !known.contains(&next.name) {
                    known.push(next.name.clone());
                    waiting.push_back(next);
                }
            }
            self.way.exchanges.push(asked);
        }
        Ok(())
    }

    /// Notes a queue, once; surely when one of the ways to it is sure.
    fn reach(&mut self, queue: &str, sure: Certainty) {
        match self.way.queues.iter_mut().find(|reached| reached.queue == queue) {
            Some(reached) if sure == Certainty::Yes => reached.sure = Certainty::Yes,
            Some(_) => {}
            None => self.way.queues.push(ReachedQueue { queue: queue.to_owned(), sure }),
        }
    }

    async fn ask(&self, exchange: ListedExchange, sure: Certainty) -> Result<ExchangeStep, Error> {
        let (chooses, tried) = if exchange.name.is_empty() {
            let mut tried = Vec::new();
            for key in self.question.keys() {
                tried.push(self.ask_default(&key).await?);
            }
            (None, tried)
        } else {
            let matching = Matching::of(&exchange.kind, &exchange.arguments);
            let rows = self.bindings_from(&exchange.name).await?;
            (matching.chooses(), matching.try_all(rows, self.question))
        };
        let alternate = match exchange.alternate {
            None => None,
            Some(name) => {
                let used = if tried.iter().any(|tried| tried.matches) {
                    AlternateUse::NotNeeded
                } else if self.exchange(&name).await?.is_some() {
                    AlternateUse::Yes
                } else {
                    AlternateUse::Missing
                };
                Some(AlternateExchange { exchange: name, used })
            }
        };
        let ListedExchange { name, kind, .. } = exchange;
        Ok(ExchangeStep { exchange: name, kind, sure, chooses, tried, alternate })
    }

    /// The default exchange: every queue is bound to it by its own name.
    async fn ask_default(&self, key: &str) -> Result<BindingStep, Error> {
        let matches = !key.is_empty() && found(self.inspect.queue(key).await)?.is_some();
        let why = if matches { "it has the key's name" } else { "there is no queue of that name" };
        Ok(BindingStep {
            to: BindingEnd::Queue(key.to_owned()),
            routing_key: key.to_owned(),
            arguments: Value::Object(serde_json::Map::new()),
            matches,
            why: why.to_owned(),
            likeness: 1.0,
        })
    }

    /// An exchange, `None` when there is none of that name.
    async fn exchange(&self, name: &str) -> Result<Option<ListedExchange>, Error> {
        let in_path = if name.is_empty() { DEFAULT_IN_PATHS } else { name };
        let path = self.path("exchanges", in_path);
        let row = found(self.inspect.get(&format!("look at exchange '{name}'"), &path).await)?;
        let Some(row) = row else { return Ok(None) };
        let arguments = table(&row["arguments"]);
        let alternate = match arguments.get("alternate-exchange").and_then(|name| name.as_str()) {
            Some(name) => Some(name.to_owned()),
            None => self.alternate_by_policy(&row).await?,
        };
        Ok(Some(ListedExchange {
            name: if name == DEFAULT_IN_PATHS { String::new() } else { name.to_owned() },
            kind: row["type"].as_str().unwrap_or_default().to_owned(),
            is_internal: row["internal"].as_bool().unwrap_or_default(),
            arguments,
            alternate,
        }))
    }

    /// The alternate exchange that the policy of an exchange names.
    async fn alternate_by_policy(&self, exchange: &Value) -> Result<Option<String>, Error> {
        let Some(policy) = exchange["policy"].as_str() else { return Ok(None) };
        let path = self.path("policies", policy);
        let doing = format!("look at policy '{policy}'");
        let policy = found(self.inspect.get(&doing, &path).await)?.unwrap_or_default();
        Ok(policy["definition"]["alternate-exchange"].as_str().map(str::to_owned))
    }

    async fn bindings_from(&self, exchange: &str) -> Result<Vec<Value>, Error> {
        let path = format!("{}/bindings/source", self.path("exchanges", exchange));
        let doing = format!("list the bindings of exchange '{exchange}'");
        match self.inspect.get(&doing, &path).await? {
            Value::Array(rows) => Ok(rows),
            _ => Ok(Vec::new()),
        }
    }

    fn path(&self, kind: &str, name: &str) -> String {
        format!("{kind}/{}/{}", escape(self.inspect.vhost()), escape(name))
    }
}

/// That something is not there is an answer.
fn found(answer: Result<Value, Error>) -> Result<Option<Value>, Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Error::Refused { code: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Arguments as the management API shows them, which loses the types of numbers; they are compared by value.
fn table(arguments: &Value) -> FieldTable {
    let fields = arguments.as_object().into_iter().flatten();
    let pair = |(name, value): (&String, &Value)| {
        Some((ShortStr::try_from(name.as_str()).ok()?, payload::parse_field(value).ok()?))
    };
    fields.filter_map(pair).collect()
}
