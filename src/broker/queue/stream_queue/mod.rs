//! A queue that is a stream (RabbitMQ: `rabbit_stream_queue`).
//!
//! For a stream these modules do what `push`, `subscribe`, `deal`, `reading` and `recover` do for other queues, with
//! the messages and consumers of its [`Stream`](super::stream::Stream). Reading order: `publish`, `consume`, `deal`,
//! `reading` (a consumer is behind), `retention`, `recover`; `refusals` for the operations that streams do not support.

mod consume;
mod deal;
mod publish;
mod reading;
mod recover;
pub(in crate::broker::queue) mod refusals;
mod retention;

use crate::broker::queue::state::Queue;
use crate::broker::time::Millis;

impl Queue {
    /// A time of the broker's in milliseconds since 1970, as the store has them.
    fn unix_ms(&self, now: Millis) -> u64 {
        self.shared.unix_ms(now)
    }
}
