//! The release of RabbitMQ that the broker behaves like where releases differ.
//!
//! The default is RabbitMQ 4.3.6's, except that some features work that it refuses: transient queues that are not
//! exclusive, prefetch shared by a channel, and more ([`super::deprecated`], [`Compat::is_strict`]). It is chosen once,
//! with `mq serve --compat`, before the first client comes.

use std::sync::{Arc, OnceLock};

/// The releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompatRelease {
    V3_10,
    V4,
    V4_3,
}

/// A release of RabbitMQ that the broker answers like, and the deprecated features that are permitted or denied by
/// themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compat {
    release: CompatRelease,
    permitted: FeatureSet,
    denied: FeatureSet,
}

/// Deprecated features, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FeatureSet(u8);

impl FeatureSet {
    fn has(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }
}

impl Default for Compat {
    fn default() -> Self {
        Self::V4
    }
}

impl Compat {
    /// RabbitMQ 3.10, texts and levels of errors included.
    pub const V3_10: Self = Self::of(CompatRelease::V3_10);
    /// RabbitMQ 4.3.6, but features that it refuses by default work if they can.
    pub const V4: Self = Self::of(CompatRelease::V4);
    /// RabbitMQ 4.3.6 with its defaults: features that it refuses are refused.
    pub const V4_3: Self = Self::of(CompatRelease::V4_3);

    const fn of(release: CompatRelease) -> Self {
        Self { release, permitted: FeatureSet(0), denied: FeatureSet(0) }
    }

    /// The same, with a deprecated feature permitted or denied (RabbitMQ: `deprecated_features.permit`).
    #[must_use]
    pub fn with(mut self, feature: Feature, permit: Permit) -> Self {
        let bit = feature.bit();
        self.permitted.0 &= !bit;
        self.denied.0 &= !bit;
        match permit {
            Permit::Permitted => self.permitted.0 |= bit,
            Permit::Denied => self.denied.0 |= bit,
        }
        self
    }

    /// Answers whether a deprecated feature may be used.
    pub fn permits(self, feature: Feature) -> bool {
        self.permitted.has(feature) || (!self.is_strict() && !self.denied.has(feature))
    }

    pub fn release(self) -> CompatRelease {
        self.release
    }

    pub fn is_3_10(self) -> bool {
        self.release == CompatRelease::V3_10
    }

    /// Answers whether the features are refused that RabbitMQ 4.3 refuses by default.
    pub fn is_strict(self) -> bool {
        self.release == CompatRelease::V4_3
    }

    /// The version told to AMQP and HTTP clients alike. Like the product's name, clients choose their own behaviour by
    /// it (kombu, for one, its use of `basic.qos`).
    pub fn version(self) -> &'static str {
        match self.release {
            CompatRelease::V3_10 => "3.10.8",
            CompatRelease::V4 | CompatRelease::V4_3 => "4.3.6",
        }
    }

    /// Returns the platform that the release names in its server properties.
    pub fn platform(self) -> &'static str {
        match self.release {
            CompatRelease::V3_10 => "Rust",
            CompatRelease::V4 | CompatRelease::V4_3 => "Erlang/OTP 29.1.1",
        }
    }
}

/// Something that RabbitMQ 4.3 denies by default and that works here if it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Queues that are neither durable nor exclusive.
    TransientQueues,
    /// The queue argument `x-queue-master-locator`.
    QueueMasterLocator,
    /// A prefetch that the consumers of a channel share.
    GlobalQos,
}

/// The choice about a deprecated feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    Permitted,
    Denied,
}

impl Feature {
    pub const ALL: [Self; 3] = [Self::TransientQueues, Self::QueueMasterLocator, Self::GlobalQos];

    pub fn name(self) -> &'static str {
        match self {
            Self::TransientQueues => "transient_nonexcl_queues",
            Self::QueueMasterLocator => "queue_master_locator",
            Self::GlobalQos => "global_qos",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::TransientQueues => 1,
            Self::QueueMasterLocator => 2,
            Self::GlobalQos => 4,
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
