//! Dead letters: messages that a queue lets go of and hands to another exchange.
//!
//! A queue gathers its dead under its lock (`queue::grave`) and buries them when that has been given back: each is made
//! a letter here ([`letter`]), routed, appended to the store where it must survive, and only then settled where it was.
//! Whoever lets messages die buries them, a few hundred at most; the queue's timer has the others. What dies in a target
//! is buried after, never within ([`in_turn`]), so no chain or ring of queues is too long.
//!
//! RabbitMQ: `rabbit_dead_letter`; 4's `mc:record_death` for the headers.

mod header;
mod turn;

pub(super) use header::{Death, Letter, is_cycle, letter};
pub(super) use turn::in_turn;
pub use turn::letters_after;

/// Why a message died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A client has rejected it.
    Rejected,
    /// Its time to live has passed.
    Expired,
    /// Its queue had no room for it.
    MaxLen,
    /// It was delivered too often.
    DeliveryLimit,
    /// It has not died: a delayed exchange has kept it, and its time has come.
    Due,
}

impl Reason {
    /// The name in the headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLen => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
            Self::Due => "due",
        }
    }
}
