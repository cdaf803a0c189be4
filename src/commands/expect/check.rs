//! One expectation, and the reason why it is not met.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::commands::CommandError;
use crate::commands::options::properties::PropertyOptions;
use crate::engine::{Delivery, Engine, Error, Properties, ShortStr, escape, payload};
use crate::render::words;

/// An expectation of the state of a broker.
#[derive(Clone, Debug)]
pub(super) enum Expectation {
    Exchange(ShortStr),
    Queue(ShortStr),
    Binding { exchange: ShortStr, queue: ShortStr, routing_key: Option<ShortStr> },
    Messages(ShortStr, CountRule),
    Consumers(ShortStr, CountRule),
    Message(ShortStr, Box<MessageRule>),
}

/// A count, and how it compares to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CountRule {
    sign: &'static str,
    count: u32,
}

impl FromStr for CountRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The longer ones first.
        let signs = [">=", "<=", "==", ">", "<", "="];
        let found = signs.into_iter().find_map(|sign| Some((sign, text.strip_prefix(sign)?)));
        let (sign, count) = found.unwrap_or(("==", text));
        let sign = if sign == "=" { "==" } else { sign };
        let count = count.trim().parse();
        count
            .map(|count| Self { sign, count })
            .map_err(|_| "it is no count such as 3 or '>=3'".to_owned())
    }
}

impl CountRule {
    /// The rule with what is counted: `1 message`, `>=1 messages`.
    fn of(self, noun: &str) -> String {
        if self.sign == "==" {
            words::counted(self.count.into(), noun)
        } else {
            format!("{self} {noun}s")
        }
    }

    fn is_met(self, count: u32) -> bool {
        let order = count.cmp(&self.count);
        match self.sign {
            ">=" => order != Ordering::Less,
            "<=" => order != Ordering::Greater,
            ">" => order == Ordering::Greater,
            "<" => order == Ordering::Less,
            _ => order == Ordering::Equal,
        }
    }
}

/// `3` or `>=3`
impl fmt::Display for CountRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.sign == "==" { "" } else { self.sign };
        write!(f, "{sign}{}", self.count)
    }
}

/// A message that is expected.
#[derive(Clone, Debug)]
pub(super) struct MessageRule {
    body: Option<String>,
    body_part: Option<String>,
    properties: PropertyOptions,
    /// The properties that were given, on an empty message.
    given: Properties,
    look_at: u32,
}

impl MessageRule {
    /// `None` if nothing is expected of a message.
    pub(super) fn new(
        body: Option<String>,
        body_part: Option<String>,
        properties: PropertyOptions,
        look_at: u32,
    ) -> Result<Option<Self>, CommandError> {
        let mut given = Properties::default();
        properties.apply(&mut given)?;
        let rule = Self { body, body_part, properties, given, look_at };
        let is_any =
            rule.body.is_none() && rule.body_part.is_none() && rule.given == Properties::default();
        Ok((!is_any).then_some(rule))
    }

    fn is_met(&self, delivery: &Delivery) -> bool {
        let part = self.body_part.as_deref().unwrap_or_default().as_bytes();
        let has_part = part.is_empty() || delivery.body.windows(part.len()).any(|one| one == part);
        let has_body = self.body.as_ref().is_none_or(|body| delivery.body == body.as_bytes());
        has_part && has_body && self.has_properties(&delivery.properties)
    }

    /// True if what was given, put over the properties, changes nothing. Types of numbers do not count.
    fn has_properties(&self, properties: &Properties) -> bool {
        let mut wanted = properties.clone();
        if self.properties.apply(&mut wanted).is_err() {
            return false;
        }
        // A message without a delivery mode is transient.
        let with_mode = |mut properties: Properties| {
            properties.delivery_mode.get_or_insert(1);
            payload::render_properties(&properties)
        };
        with_mode(wanted) == with_mode(properties.clone())
    }
}

/// Completes "a message".
impl fmt::Display for MessageRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.body.as_ref().map(|body| format!("body '{body}'")));
        parts.extend(self.body_part.as_ref().map(|part| format!("'{part}' in its body")));
        if let Some(given) = payload::render_properties(&self.given).as_object() {
            parts.extend(given.iter().map(|(name, value)| format!("{name} {value}")));
        }
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(name) => write!(f, "exchange '{name}' exists"),
            Self::Queue(name) => write!(f, "queue '{name}' exists"),
            Self::Binding { exchange, queue, routing_key } => {
                write!(f, "exchange '{exchange}' is bound to queue '{queue}'")?;
                match routing_key {
                    Some(key) => write!(f, " with routing key '{key}'"),
                    None => Ok(()),
                }
            }
            Self::Messages(name, count) => {
                write!(f, "queue '{name}' has {}", count.of("ready message"))
            }
            Self::Consumers(name, count) => {
                write!(f, "queue '{name}' has {}", count.of("consumer"))
            }
            Self::Message(name, rule) => write!(f, "queue '{name}' has a message with {rule}"),
        }
    }
}

impl Expectation {
    /// The reason why it is not met; `None` if it is.
    pub(super) async fn failure(&self, engine: &Engine) -> Result<Option<String>, Error> {
        match self {
            Self::Exchange(name) => {
                let is_there = engine.has_exchange(name).await?;
                Ok((!is_there).then(|| "it is not there".to_owned()))
            }
            Self::Queue(name) => match engine.find_queue(name).await {
                // The queue of another connection is there.
                Err(Error::Refused { code: 405, .. }) => Ok(None),
                state => Ok(state?.is_none().then(|| "it is not there".to_owned())),
            },
            Self::Binding { exchange, queue, routing_key } => {
                binding_failure(engine, exchange, queue, routing_key.as_ref()).await
            }
            Self::Messages(name, rule) => {
                counted(engine, name, *rule, |[messages, _]| messages).await
            }
            Self::Consumers(name, rule) => {
                counted(engine, name, *rule, |[_, consumers]| consumers).await
            }
            Self::Message(name, rule) => message_failure(engine, name, rule).await,
        }
    }
}

async fn counted(
    engine: &Engine,
    name: &ShortStr,
    rule: CountRule,
    which: fn([u32; 2]) -> u32,
) -> Result<Option<String>, Error> {
    let Some(state) = engine.find_queue(name).await? else {
        return Ok(Some("the queue is not there".to_owned()));
    };
    let count = which([state.message_count, state.consumer_count]);
    Ok((!rule.is_met(count)).then(|| format!("it has {}", words::grouped(count.into()))))
}

async fn binding_failure(
    engine: &Engine,
    exchange: &ShortStr,
    queue: &ShortStr,
    routing_key: Option<&ShortStr>,
) -> Result<Option<String>, Error> {
    let inspect = engine.inspect();
    let vhost = escape(inspect.vhost());
    let source = if exchange.is_empty() { "amq.default".into() } else { escape(exchange) };
    let path = format!("bindings/{vhost}/e/{source}/q/{}", escape(queue));
    let rows = inspect.rows("list bindings", &path).await?;
    let keys: Vec<_> = rows.iter().filter_map(|row| row["routing_key"].as_str()).collect();
    let is_met = routing_key.map_or(!keys.is_empty(), |key| keys.contains(&key.as_str()));
    Ok((!is_met).then(|| {
        if keys.is_empty() {
            "there is no binding".to_owned()
        } else {
            format!("the routing keys are {}", words::listed(keys))
        }
    }))
}

/// Looks for the message; all that is taken goes back.
async fn message_failure(
    engine: &Engine,
    name: &ShortStr,
    rule: &MessageRule,
) -> Result<Option<String>, Error> {
    if engine.find_queue(name).await?.is_none() {
        return Ok(Some("the queue is not there".to_owned()));
    }
    let mut taken = Vec::new();
    let mut is_met = false;
    while !is_met && taken.len() < rule.look_at as usize {
        let Some(fetched) = engine.get(name).await? else { break };
        is_met = rule.is_met(&fetched.delivery);
        taken.push(fetched);
    }
    let looked_at = words::counted(taken.len() as u64, "ready message");
    for fetched in taken {
        fetched.requeue()?;
    }
    Ok((!is_met).then(|| format!("it is none of {looked_at}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_compared() {
        for (rule, count, is_met) in [
            ("3", 3, true),
            ("3", 2, false),
            ("=3", 3, true),
            ("==3", 4, false),
            (">=3", 3, true),
            (">= 3", 2, false),
            ("<=3", 3, true),
            (">3", 3, false),
            ("<3", 2, true),
        ] {
            assert_eq!(rule.parse::<CountRule>().unwrap().is_met(count), is_met, "{rule} {count}");
        }
        for wrong in ["", "x", ">", "-1", "=>3"] {
            assert!(wrong.parse::<CountRule>().is_err(), "{wrong}");
        }
    }
}
