//! The options of a connection: login, virtual host, limits and times.

use std::time::Duration;

use crate::wire::shortstr::literal;
use crate::wire::url::Password;
use crate::wire::{LongStr, ShortStr};

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
            login: Login::Plain { user: "guest".into(), password: Password::new("guest") },
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
}

impl Login {
    pub(super) fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::External => "EXTERNAL",
        }
    }

    pub(super) fn response(&self) -> LongStr {
        match self {
            Self::Plain { user, password } => format!("\0{user}\0{}", password.reveal()).into(),
            Self::External => LongStr::default(),
        }
    }
}
