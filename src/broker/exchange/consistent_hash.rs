//! `x-consistent-hash`: a message goes to one of the destinations, chosen by a hash of its routing key, a header or a
//! property, and by how much the destinations weigh.
//!
//! Rendezvous hashing: each destination draws a number from the hash and its own name, and the highest number gets the
//! message. A destination that is added or removed moves only its own messages. The hashes never change
//! ([`StableHash`]), so a key keeps its queue over restarts and releases. They are not RabbitMQ's, which chooses by the
//! order in which queues were bound.

use indexmap::IndexMap;

use super::binding::{Binding, BindingKey};
use super::targets::Destination;
use crate::broker::arguments::exchange_noun;
use crate::broker::routing_properties::Details;
use crate::broker::stable_hash::StableHash;
use crate::wire::{Fault, FieldTable, FieldValue, ReplyCode, Writer, erlang};

/// The most a binding may weigh (RabbitMQ 4.3).
const WEIGHT_MAX: u64 = 10_000;

/// The part of a message that is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HashOn {
    RoutingKey,
    Header(String),
    CorrelationId,
    MessageId,
    Timestamp,
}

/// A destination and how much of the messages it is to get.
#[derive(Debug)]
struct Share {
    destination: Destination,
    weight: u32,
    /// The hash of the destination's name.
    seed: u64,
}

/// The bindings, each with its share.
#[derive(Debug)]
pub(super) struct ConsistentHash {
    hash_on: HashOn,
    shares: IndexMap<BindingKey, Share>,
}

fn refused(text: impl Into<String>) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// Checks the arguments of such an exchange (RabbitMQ: `rabbit_exchange_type_consistent_hash:validate`).
///
/// # Errors
///
/// `PRECONDITION_FAILED` in RabbitMQ's words: a value that is no text, both arguments at once, or a property that is
/// not hashed.
pub(super) fn check(arguments: &FieldTable, name: &str, vhost: &str) -> Result<(), Fault> {
    for argument in ["hash-header", "hash-property"] {
        if let Some(value) = arguments.get(argument)
            && value.as_str().is_none()
        {
            let (kind, noun) = (value.type_name(), exchange_noun(name, vhost));
            return Err(refused(format!("invalid type '{kind}' for arg '{argument}' in {noun}")));
        }
    }
    if arguments.get("hash-header").is_some() && arguments.get("hash-property").is_some() {
        return Err(refused("hash-header and hash-property are mutually exclusive"));
    }
    match arguments.get("hash-property").and_then(FieldValue::as_str) {
        Some(other) if property(other).is_none() => {
            Err(refused(format!("Unsupported property: {other}")))
        }
        Some(_) | None => Ok(()),
    }
}

fn property(name: &str) -> Option<HashOn> {
    match name {
        "correlation_id" => Some(HashOn::CorrelationId),
        "message_id" => Some(HashOn::MessageId),
        "timestamp" => Some(HashOn::Timestamp),
        _ => None,
    }
}

/// Checks the routing key of a binding, which is its weight: 1 to 10000.
///
/// # Errors
///
/// `PRECONDITION_FAILED` in RabbitMQ's words for another key.
pub(super) fn check_weight(key: &str) -> Result<(), Fault> {
    match key.parse::<i64>() {
        Err(_) => {
            let shown = erlang::binary(key.as_bytes());
            Err(refused(format!("The binding key must be an integer: {shown}")))
        }
        Ok(weight) if weight < 1 => Err(refused("The binding key must be greater than 0")),
        Ok(weight) if weight.unsigned_abs() > WEIGHT_MAX => {
            Err(refused(format!("The binding key must not exceed {WEIGHT_MAX}")))
        }
        Ok(_) => Ok(()),
    }
}

impl ConsistentHash {
    pub(super) fn new(arguments: &FieldTable) -> Self {
        Self { hash_on: HashOn::of(arguments), shares: IndexMap::new() }
    }

    /// Adds a binding. A second binding of the same two ends changes nothing, as in RabbitMQ.
    pub(super) fn bind(&mut self, binding: &Binding, destination: &Destination) {
        let name = destination.name();
        if self.shares.keys().any(|key| *key.destination() == name) {
            return;
        }
        let weight = binding.routing_key.parse().unwrap_or(1);
        let share = Share { destination: destination.clone(), weight, seed: name.stable_hash() };
        self.shares.insert(binding.key(), share);
    }

    pub(super) fn unbind(&mut self, key: &BindingKey) {
        self.shares.shift_remove(key);
    }

    /// Collects the one destination of a message.
    ///
    /// Cost: a hash of the message and one for each binding.
    pub(super) fn matches<'a>(
        &'a self,
        key: &str,
        details: &Details,
        into: &mut Vec<&'a Destination>,
    ) {
        let hash = self.hash_on.hash(key, details);
        let score = |share: &Share| {
            let both = StableHash::new().number(hash).number(share.seed).finish();
            #[expect(clippy::cast_precision_loss, reason = "a number between 0 and 1")]
            let drawn = (both as f64 + 1.0) / (u64::MAX as f64 + 2.0);
            -f64::from(share.weight) / drawn.ln()
        };
        let shares = self.shares.values();
        let chosen = shares.max_by(|one, other| score(one).total_cmp(&score(other)));
        into.extend(chosen.map(|share| &share.destination));
    }
}

/// Names what chooses the destination of a message.
pub(super) fn hashed(arguments: &FieldTable) -> String {
    let part = match HashOn::of(arguments) {
        HashOn::RoutingKey => "routing key".to_owned(),
        HashOn::Header(name) => format!("header '{name}'"),
        HashOn::CorrelationId => "property 'correlation_id'".to_owned(),
        HashOn::MessageId => "property 'message_id'".to_owned(),
        HashOn::Timestamp => "property 'timestamp'".to_owned(),
    };
    format!("the hash of the {part}")
}

impl HashOn {
    fn of(arguments: &FieldTable) -> Self {
        let text = |name: &str| arguments.get(name).and_then(FieldValue::as_str);
        match (text("hash-header"), text("hash-property").and_then(property)) {
            (Some(header), _) => Self::Header(header.to_owned()),
            (None, Some(property)) => property,
            (None, None) => Self::RoutingKey,
        }
    }

    fn hash(&self, key: &str, details: &Details) -> u64 {
        let text = |text: Option<&str>| StableHash::of_text(text.unwrap_or_default());
        match self {
            Self::RoutingKey => StableHash::of_text(key),
            Self::Header(name) => details.headers.get(name).map_or(0, hash_of_header),
            Self::CorrelationId => text(details.correlation_id.as_deref()),
            Self::MessageId => text(details.message_id.as_deref()),
            Self::Timestamp => match details.timestamp {
                None => StableHash::new().number(0).finish(),
                Some(at) => StableHash::new().number(1).number(at).finish(),
            },
        }
    }
}

/// The hash of a header: of the bytes of a text, of the encoded form of any other value.
fn hash_of_header(value: &FieldValue) -> u64 {
    if let FieldValue::LongStr(text) = value {
        return StableHash::new().counted(text.as_bytes()).finish();
    }
    let mut bytes = Vec::new();
    value.encode(&mut Writer::new(&mut bytes));
    StableHash::new().counted(&bytes).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_arguments_and_weights_are_refused_in_rabbitmqs_words() {
        let refused = |table: FieldTable| check(&table, "x", "/").map_err(|fault| fault.text);
        let both = FieldTable::new().with("hash-header", "h").with("hash-property", "message_id");
        let told = "hash-header and hash-property are mutually exclusive";
        assert_eq!(refused(both), Err(told.to_owned()));
        let bogus = FieldTable::new().with("hash-property", "bogus");
        assert_eq!(refused(bogus), Err("Unsupported property: bogus".to_owned()));
        assert_eq!(refused(FieldTable::new().with("hash-property", "timestamp")), Ok(()));
        let weight = |key: &str| check_weight(key).map_err(|fault| fault.text);
        let told = "The binding key must be an integer: <<\"abc\">>";
        assert_eq!(weight("abc"), Err(told.to_owned()));
        assert_eq!(weight("0"), Err("The binding key must be greater than 0".to_owned()));
        assert_eq!(weight("10001"), Err("The binding key must not exceed 10000".to_owned()));
        assert_eq!(weight("10"), Ok(()));
    }
}
