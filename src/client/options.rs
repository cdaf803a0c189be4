//! The options of a connection: login, virtual host, limits and times.

use std::time::Duration;

use crate::wire::shortstr::literal;
use crate::wire::url::Password;
use crate::wire::{LongStr, ShortStr};

const EXTERNAL: &str = "EXTERNAL";
/// The user of a broker that was set up by nobody, and its password.
const GUEST: &str = "guest";

/// The options of a connection. A limit that is `None` is the broker's choice, or the usual one.
#[derive(Clone, Debug)]
pub struct Options {
    pub login: Login,
    pub vhost: ShortStr,
    /// The name the broker shows for this connection
    pub name: ShortStr,
    /// Seconds; 0 turns heartbeats off
    pub heartbeat_s: Option<u16>,
    /// Bytes of the largest frame; 0 is no limit
    pub frame_max: Option<u32>,
    pub channel_max: Option<u16>,
    /// For the handshake as a whole, and for each later answer
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            login: Login::Plain { user: GUEST.into(), password: Password::new(GUEST) },
            vhost: literal("/"),
            name: literal("mq"),
            heartbeat_s: None,
            frame_max: None,
            channel_max: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// The way to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// SASL PLAIN
    Plain { user: String, password: Password },
    /// SASL EXTERNAL: the TLS certificate says who we are.
    External,
    /// On the Unix socket of a data directory: SASL EXTERNAL if the broker offers it, because it runs under our
    /// account; else as `guest`
    Owner,
}

impl Login {
    /// The mechanism and its response, for a broker that offers these mechanisms.
    pub(super) fn by(&self, offered: &str) -> (&'static str, LongStr) {
        let plain = |user: &str, password: &str| ("PLAIN", format!("\0{user}\0{password}").into());
        match self {
            Self::Plain { user, password } => plain(user, password.reveal()),
            Self::Owner if !offered.split(' ').any(|offer| offer == EXTERNAL) => {
                plain(GUEST, GUEST)
            }
            Self::External | Self::Owner => (EXTERNAL, LongStr::default()),
        }
    }
}
