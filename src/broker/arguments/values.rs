//! The values of arguments that are words or ages.

/// Largest time a queue may be told, in milliseconds: ten years (RabbitMQ: `MAX_EXPIRY_TIMER`).
pub(super) const EXPIRY_MAX_MS: i64 = 315_360_000_000;

/// The rule for a message that a full queue has no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The queue drops its oldest messages.
    #[default]
    DropHead,
    /// The queue refuses the new message.
    RejectPublish,
    /// The queue refuses the new message and dead-letters it.
    RejectPublishDlx,
}

impl Overflow {
    /// Knows the three by RabbitMQ's names.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "drop-head" => Some(Self::DropHead),
            "reject-publish" => Some(Self::RejectPublish),
            "reject-publish-dlx" => Some(Self::RejectPublishDlx),
            _ => None,
        }
    }

    /// Answers whether a full queue refuses publishes.
    pub fn rejects(self) -> bool {
        self != Self::DropHead
    }
}

/// The guarantee for the dead letters of a quorum queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadLetterStrategy {
    /// A dead letter that no queue accepts is dropped.
    #[default]
    AtMostOnce,
    /// A dead letter is kept until all queues that it goes to have it.
    AtLeastOnce,
}

impl DeadLetterStrategy {
    /// Knows both by RabbitMQ's names.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "at-most-once" => Some(Self::AtMostOnce),
            "at-least-once" => Some(Self::AtLeastOnce),
            _ => None,
        }
    }
}

/// The returns to a quorum queue that are delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryKind {
    Disabled,
    All,
    /// Returns that count as failed deliveries.
    Failed,
    /// All others.
    Returned,
}

impl RetryKind {
    /// Knows them by RabbitMQ's names; any other is as if nothing had been said, as there.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "disabled" => Some(Self::Disabled),
            "all" => Some(Self::All),
            "failed" => Some(Self::Failed),
            "returned" => Some(Self::Returned),
            _ => None,
        }
    }

    /// Returns RabbitMQ's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::All => "all",
            Self::Failed => "failed",
            Self::Returned => "returned",
        }
    }
}

/// Reads an age like `7D`, in milliseconds: a number above 0 and one of the units `Y`, `M`, `D`, `h`, `m`, `s`.
pub fn max_age_ms(text: &str) -> Option<u64> {
    const SECOND: u64 = 1000;
    const DAY: u64 = 24 * 3600 * SECOND;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "Y" => 365 * DAY,
        "M" => 30 * DAY,
        "D" => DAY,
        "h" => 3600 * SECOND,
        "m" => 60 * SECOND,
        "s" => SECOND,
        _ => return None,
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0)?;
    Some(number.saturating_mul(unit_ms))
}
