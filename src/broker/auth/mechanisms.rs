//! The SASL mechanisms that clients may log in with.

use std::str::FromStr;

use crate::broker::compat::Compat;
use crate::wire::url::Password;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// User and password (RFC 4616).
    Plain,
    /// No user: [`AnonymousLogin`] (RabbitMQ 4).
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

/// The user of ANONYMOUS, and its password, if no others are chosen.
const GUEST: &str = "guest";

/// The mechanisms that a broker accepts (RabbitMQ: `auth_mechanisms`), and the user of ANONYMOUS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms {
    configured: Option<Vec<Mechanism>>,
    anonymous: AnonymousLogin,
}

/// The user that a client is who names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnonymousLogin {
    /// This user, if it has this password and may log in from there (RabbitMQ: `anonymous_login_user`,
    /// `anonymous_login_pass`).
    As { user: String, password: Password },
    /// Nobody: such clients are refused.
    Refused,
}

impl Default for AnonymousLogin {
    fn default() -> Self {
        Self::As { user: GUEST.to_owned(), password: Password::new(GUEST) }
    }
}

impl Mechanisms {
    /// These, and no others.
    pub fn only(mechanisms: Vec<Mechanism>) -> Self {
        Self { configured: Some(mechanisms), ..Self::default() }
    }

    /// The same, with this user for clients that name none.
    #[must_use]
    pub fn with_anonymous(self, anonymous: AnonymousLogin) -> Self {
        Self { anonymous, ..self }
    }

    /// Returns the user that a client is who names none.
    pub fn anonymous(&self) -> &AnonymousLogin {
        &self.anonymous
    }

    /// Answers whether clients may use one; without a configuration, all that need no certificate.
    pub fn has(&self, mechanism: Mechanism, compat: Compat) -> bool {
        if mechanism == Mechanism::Anonymous && self.anonymous == AnonymousLogin::Refused {
            return false;
        }
        match &self.configured {
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
