//! A publish that a client asks for, and its outcome.

use crate::broker::message::Message;
use crate::broker::time::Millis;
use crate::store::Batch;
use crate::wire::ShortStr;

/// A message that a client publishes.
#[derive(Clone, Copy, Debug)]
pub struct Publish<'a> {
    pub message: &'a Message,
    /// Routing keys beside the message's own, from the headers `CC` and `BCC`.
    pub copies: &'a [ShortStr],
    /// The number of the channel, which the firehose tells.
    pub channel: u16,
    pub refusals: Refusals,
    pub now: Millis,
}

/// The consequence if the store or a queue does not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// The publisher hears of it: by `basic.nack`, at the commit, or in an HTTP answer.
    Reported,
    /// No publisher waits for an answer. The log tells of it, and a message that the store refuses stays in memory.
    Logged,
}

/// The outcome of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// No queue is bound for the message.
    Nowhere,
    /// Its queues have it, and none needs to keep it over a restart.
    InMemory,
    /// Its queues have it, and it is safe when this batch is on disk.
    OnDisk(Batch),
    /// A queue has refused it.
    Refused,
    /// The store has refused it, and no queue has it.
    NotKept,
}
