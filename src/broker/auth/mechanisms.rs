//! The SASL mechanisms that clients may log in with.

use std::str::FromStr;

use crate::broker::compat::Compat;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// User and password (RFC 4616).
    Plain,
    /// The user `guest` (RabbitMQ 4).
    Anonymous,
    /// User and password in a field table.
    AmqPlain,
    /// The user that the TLS certificate of the client names.
    External,
}

impl Mechanism {
    pub const ALL: [Self; 4] = [Self::Plain, Self::Anonymous, Self::AmqPlain, Self::External];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Anonymous => "ANONYMOUS",
            Self::AmqPlain => "AMQPLAIN",
            Self::External => "EXTERNAL",
        }
    }

    /// RabbitMQ's description.
    pub fn description(self) -> &'static str {
        match self {
            Self::Plain => "SASL PLAIN authentication mechanism",
            Self::Anonymous => "SASL ANONYMOUS authentication mechanism",
            Self::AmqPlain => "QPid AMQPLAIN mechanism",
            Self::External => {
                "TLS peer verification-based authentication plugin. Used in combination with the EXTERNAL SASL mechanism."
            }
        }
    }
}

impl FromStr for Mechanism {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|mechanism| mechanism.name() == text);
        named.ok_or_else(|| "it must be PLAIN, AMQPLAIN, ANONYMOUS or EXTERNAL".to_owned())
    }
}

/// The mechanisms that a broker accepts (RabbitMQ: `auth_mechanisms`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms(Option<Vec<Mechanism>>);

impl Mechanisms {
    /// These, and no others.
    pub fn only(mechanisms: Vec<Mechanism>) -> Self {
        Self(Some(mechanisms))
    }

    /// Answers whether clients may use one; without a configuration, all that need no certificate.
    pub fn has(&self, mechanism: Mechanism, compat: Compat) -> bool {
        match &self.0 {
            Some(configured) => configured.contains(&mechanism),
            None => match mechanism {
                Mechanism::Plain | Mechanism::AmqPlain => true,
                Mechanism::Anonymous => !compat.is_3_10(),
                Mechanism::External => false,
            },
        }
    }

    /// The names that a client is offered, in RabbitMQ's order. EXTERNAL is offered over TLS only.
    pub fn offered(&self, compat: Compat, is_tls: bool) -> String {
        let offered = Mechanism::ALL.into_iter().filter(|mechanism| {
            self.has(*mechanism, compat) && (is_tls || *mechanism != Mechanism::External)
        });
        offered.map(Mechanism::name).collect::<Vec<_>>().join(" ")
    }
}
