//! Whose behaviour ours follows where RabbitMQ's releases differ.
//!
//! The default is RabbitMQ 4's, except that what 4.3 deprecates and refuses (transient queues that are not exclusive,
//! prefetch shared by a channel) works. Chosen once, with `mq serve --compat`, before the first client comes.

use std::sync::{Arc, OnceLock};

/// A RabbitMQ release whose answers ours are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// RabbitMQ 3.10, texts and levels of errors included.
    V3_10,
    /// RabbitMQ 4, lenient with what it deprecates.
    #[default]
    V4,
    /// RabbitMQ 4.3 with its defaults: what it deprecates is refused.
    V4_3,
}

impl Compat {
    pub fn is_3_10(self) -> bool {
        self == Self::V3_10
    }

    /// Whether what RabbitMQ 4.3 deprecates is refused.
    pub fn is_strict(self) -> bool {
        self == Self::V4_3
    }

    /// The version told to AMQP and HTTP clients alike. Like the product's name, clients choose their own behaviour by it
    /// (kombu, for one, its use of `basic.qos`).
    pub fn version(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10.8",
            Self::V4 => "4.1.0",
            Self::V4_3 => "4.3.5",
        }
    }
}

/// The choice, which everything in a broker shares.
#[derive(Clone, Debug, Default)]
pub struct ChosenCompat(Arc<OnceLock<Compat>>);

impl ChosenCompat {
    /// Chooses; a second choice changes nothing.
    pub(super) fn choose(&self, compat: Compat) {
        let _ = self.0.set(compat);
    }

    pub fn get(&self) -> Compat {
        self.0.get().copied().unwrap_or_default()
    }
}
