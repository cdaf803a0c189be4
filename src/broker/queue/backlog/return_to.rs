//! The places for messages that come back to a queue.

/// The position that a message which comes back to a queue gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::queue) enum ReturnTo {
    /// The position it had.
    OldPosition,
    /// Behind the messages that came back before it, in front of all others.
    BehindReturned,
    /// Behind all others.
    Back,
}
