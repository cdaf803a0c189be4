//! A message as the store is given it, and as it gives it back.

use super::place::QueueId;

/// Set in the time to live of a record whose message has none, but is dead in a queue that still has it; the bits below
/// say why it is dead. No time to live of a message is as long.
pub const DEAD_BIT: u64 = 1 << 61;

/// A message to be appended.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// The queues it is routed to, at least one.
    pub queues: &'a [QueueId],
    /// The time of the publish, in milliseconds since 1970.
    pub published_at: u64,
    /// The message's own time to live, in milliseconds.
    pub time_to_live_ms: Option<u64>,
    /// The message's priority, if it has one.
    pub priority: Option<u8>,
    /// A byte of the caller, given back as it is.
    pub note: u8,
    /// Bytes of exchange and routing key at the start of `bytes`, and of the properties behind them.
    pub names_len: usize,
    pub properties_len: usize,
    pub bytes: &'a [u8],
}

impl<'a> NewRecord<'a> {
    /// A record of these bytes that are no message of a client: without a time, a limit, names and properties.
    pub fn of_bytes(queues: &'a [QueueId], bytes: &'a [u8]) -> Self {
        Self {
            queues,
            published_at: 0,
            time_to_live_ms: None,
            priority: None,
            note: 0,
            names_len: 0,
            properties_len: 0,
            bytes,
        }
    }
}

/// A message that was read back.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub time_to_live_ms: Option<u64>,
    pub note: u8,
    pub names_len: usize,
    pub properties_len: usize,
    pub bytes: &'a [u8],
}
