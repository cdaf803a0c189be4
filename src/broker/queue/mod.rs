//! A queue: messages in order, and the consumers they are dealt to.
//!
//! A message is in exactly one place (`kind` shows them): the backlog (waiting), unacknowledged (with the connection
//! it was delivered to, which settles it or gives it back) or gone. Order is 4.7's: what a publisher sends on one
//! channel leaves in the order it came, and what comes back takes its old place.
//!
//! Runs under the one lock in [`Queue`]. Never waits: nothing here is `async` or reads the clock (`now` is
//! passed in), and nothing is read or written there. What is left for then is done when the lock has been given back
//! (`after_unlock`, `lock`).
//!
//! A long queue keeps its front in memory, and of the other messages only their places in the store (`backlog`).
//! Missing messages are read ahead of the consumers on the store's thread (`backlog::read_ahead`). A stream keeps its
//! messages and does all of this its own way (`stream`, `stream_queue`).
//!
//! Reading order: `state` (what a queue is), `push` (a publish arrives), `deal` (a consumer gets it), `settle` (ack,
//! nack, reject), `timer` (something expires), `backlog`; `subscribe` for the consumers.

mod after_unlock;
mod backlog;
mod consumer_timeout;
mod consumers;
mod counts;
mod creation;
mod dead_letters;
mod deal;
mod delayed;
mod deletion;
mod finish;
mod get;
mod holding;
mod kind;
mod life;
mod limits;
mod lock;
mod outbox;
mod purge;
mod push;
mod quorum;
mod reading;
mod recover;
mod returns;
mod settings;
mod settle;
mod settled;
#[cfg(debug_assertions)]
mod sound;
mod state;
mod stats;
mod stream;
mod stream_queue;
mod subscribe;
mod taken;
#[cfg(test)]
mod tests;
mod timer;
mod turn;
mod unacked;

pub use self::consumer_timeout::ConsumerTimeout;
pub use self::consumers::Activity;
pub use self::consumers::channel_limit::ChannelLimit;
pub use self::consumers::consumer::{ConsumerId, Subscription};
pub use self::counts::Counts;
pub use self::deletion::{DeletionIf, InUse};
pub use self::finish::Fate;
pub use self::get::GetAnswer;
pub use self::outbox::DeathReason;
pub(in crate::broker) use self::outbox::{DeadLetter, PREFETCH, RETRY_MS, Unpublished};
pub use self::settings::Settings;
pub use self::settled::{Returned, Settled};
pub use self::state::{LetterOrder, PublishLetters, Queue, Shared};
pub use self::stats::{ConsumerInfo, QueueInfo};
pub use self::stream::StreamInfo;
pub use self::stream::order::StreamOrder;
pub use self::stream_queue::refusals::Refusal;
pub use self::subscribe::Left;
pub use self::taken::Taken;
pub(in crate::broker) use self::turn::letters_after;
