//! The answer of a queue to a publish.

/// The answer of a queue to a publish. A queue may begin to refuse at any moment, even if it took messages when the
/// route was found.
#[must_use = "what a queue refuses is lost unless its publisher hears of it"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// There is no room for it; the publisher is to hear of that.
    Refused,
    /// There is no room for it, and the dead letter exchange has it.
    Died,
}

impl Taken {
    /// The answer of several queues together.
    #[inline]
    pub fn and(self, other: Self) -> Self {
        if self == Self::Yes { other } else { self }
    }
}
