//! The messages and the answers that a channel hands out.

use bytes::Bytes;

use crate::wire::{Method, Properties, ShortStr};

/// A message that has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The delivery tag: what to settle it by
    pub tag: u64,
    pub redelivered: bool,
    pub exchange: ShortStr,
    pub routing_key: ShortStr,
    pub properties: Properties,
    pub body: Bytes,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub method: Method,
    /// Properties and body, with `basic.get-ok` only
    pub message: Option<(Properties, Bytes)>,
}
