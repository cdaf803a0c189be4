//! Publishing: the only way of a message into queues.
//!
//! | what is published | begins at |
//! |---|---|
//! | by a channel, with confirms or without | [`Publisher::publish`] |
//! | by a channel in a transaction | [`Publisher::stage`], then [`Publisher::commit`] |
//! | over HTTP | [`Publisher::publish`], then [`Receipt::poll`] |
//! | dead letters, and delayed messages whose time has come | `dead_letter`, one letter at a time |
//! | what a recent-history exchange remembers | `Vhost::replay` |
//! | copies for the firehose | [`Publisher`], with the message itself |
//!
//! All of them pass `keep` and `hand_out` (`keep.rs`), and so obey the same rules:
//!
//! 1. The firehose hears of a message before its queues get it.
//! 2. The store has a message that must survive before any queue has it; only then can it be confirmed.
//! 3. Messages reach a stream in the order in which the store was given them (`StreamOrder`).
//! 4. A queue may refuse at any moment. The others get the message nevertheless, and the publisher hears of the refusal
//!    (RabbitMQ: `rabbit_channel`, "reject-publish") or, if nothing waits for an answer, the log does.
//! 5. What the message makes queues drop becomes dead letters after all of its queues have it, so that no queue gets a
//!    dead letter before the message that caused it.
//! 6. Clients' messages are counted at their exchange; those of the broker itself are not (RabbitMQ counts per channel).

mod examine;
mod keep;
mod own;
mod publisher;
mod receipt;
mod request;
mod routes;
mod transaction;

pub use self::examine::{Examined, PropertiesMut, PropertiesSeen, Sender, examine};
pub(super) use self::keep::{Append, hand_out, keep};
pub use self::publisher::Publisher;
pub use self::receipt::Receipt;
pub use self::request::{Publish, Published, Refusals};
pub use self::transaction::{NotCommitted, Staged};
