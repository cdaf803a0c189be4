//! The release of RabbitMQ that the broker behaves like where releases differ.
//!
//! The default is RabbitMQ 4.3.6's, except that some features work that it refuses: transient queues that are not
//! exclusive, prefetch shared by a channel, and more ([`super::deprecated`], [`Compat::is_strict`]). It is chosen once,
//! with `mq serve --compat`, before the first client comes.

use std::sync::{Arc, OnceLock};

/// A release of RabbitMQ that the broker answers like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// RabbitMQ 3.10, texts and levels of errors included.
    V3_10,
    /// RabbitMQ 4.3.6, but features that it refuses by default work if they can.
    #[default]
    V4,
    /// RabbitMQ 4.3.6 with its defaults: features that it refuses are refused.
    V4_3,
}

impl Compat {
    pub fn is_3_10(self) -> bool {
        self == Self::V3_10
    }

    /// Answers whether the features are refused that RabbitMQ 4.3 refuses by default.
    pub fn is_strict(self) -> bool {
        self == Self::V4_3
    }

    /// The version told to AMQP and HTTP clients alike. Like the product's name, clients choose their own behaviour by
    /// it (kombu, for one, its use of `basic.qos`).
    pub fn version(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10.8",
            Self::V4 | Self::V4_3 => "4.3.6",
        }
    }

    /// Returns the platform that the release names in its server properties.
    pub fn platform(self) -> &'static str {
        match self {
            Self::V3_10 => "Rust",
            Self::V4 | Self::V4_3 => "Erlang/OTP 29.1.1",
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
