//! A binding: the rule that leads from an exchange to a queue or to another exchange.

use std::fmt::Write as _;

use crate::broker::stable_hash::StableHash;
use crate::wire::{FieldTable, ShortStr, Writer};

/// The kind of thing that a binding leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DestinationKind {
    Queue,
    Exchange,
}

/// The name of the destination of a binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationName {
    pub kind: DestinationKind,
    pub name: ShortStr,
}

impl DestinationName {
    /// The hash that exchanges choose a destination by; it is the same in every release.
    pub(super) fn stable_hash(&self) -> u64 {
        let kind = match self.kind {
            DestinationKind::Queue => 0,
            DestinationKind::Exchange => 1,
        };
        StableHash::new().number(kind).text(&self.name).finish()
    }
}

/// A binding as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    pub source: ShortStr,
    pub destination: DestinationName,
    pub routing_key: ShortStr,
    pub arguments: FieldTable,
}

/// The identity of a binding of an exchange: destination, key and arguments in any order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BindingKey {
    destination: DestinationName,
    routing_key: ShortStr,
    arguments: Vec<u8>,
}

impl BindingKey {
    pub fn destination(&self) -> &DestinationName {
        &self.destination
    }

    pub fn routing_key(&self) -> &ShortStr {
        &self.routing_key
    }

    /// The arguments in the one order that all who are given the same ones have.
    pub fn arguments(&self) -> &[u8] {
        &self.arguments
    }
}

impl Binding {
    pub fn key(&self) -> BindingKey {
        BindingKey {
            destination: self.destination.clone(),
            routing_key: self.routing_key.clone(),
            arguments: canonical(&self.arguments),
        }
    }

    /// The short name of the binding that the management API uses: `~` when there is nothing to tell it apart.
    pub fn properties_key(&self) -> String {
        if self.arguments.is_empty() {
            return match self.routing_key.as_str() {
                "" => "~".to_owned(),
                key => quote(key),
            };
        }
        let hash =
            canonical(&self.arguments).iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        format!("{}~{hash:x}", quote(&self.routing_key))
    }
}

/// Percent-encodes all but letters, digits and `-_.` (RabbitMQ: `mochiweb_util:quote_plus`, `~` included).
fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                quoted.push(char::from(byte));
            }
            _ => {
                let _ = write!(quoted, "%{byte:02X}");
            }
        }
    }
    quoted
}

fn canonical(arguments: &FieldTable) -> Vec<u8> {
    let mut entries: Vec<_> = arguments.iter().cloned().collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut bytes = Vec::new();
    entries.into_iter().collect::<FieldTable>().encode(&mut Writer::new(&mut bytes));
    bytes
}
