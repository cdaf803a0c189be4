//! The options of a command line that name a broker.

use std::path::PathBuf;
use std::time::Duration;

/// The options of the command line; `None` is "not given".
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// `--url`
    pub url: Option<String>,
    /// `--http-url`
    pub http_url: Option<String>,
    /// `--local[=DIR]`: `Some(None)` is the default directory
    pub local: Option<Option<PathBuf>>,
    /// `--context`
    pub context: Option<String>,
    /// `--vhost`: beats the one in the URL
    pub vhost: Option<String>,
    /// `--timeout`: for connecting and for each answer
    pub timeout: Option<Duration>,
    /// `--tls-ca`, `--tls-cert`, `--tls-key`
    pub tls: TlsFiles,
    /// The directory in which the search for a project file begins. `None` if neither a project file nor the context in
    /// use may name the broker.
    pub work_directory: Option<PathBuf>,
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

impl TlsFiles {
    /// The same files, and those of `other` where there is none. A certificate and its key stay together.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let ca = self.ca.or(other.ca);
        match (self.cert, self.key) {
            (None, None) => Self { ca, cert: other.cert, key: other.key },
            (cert, key) => Self { ca, cert, key },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_and_its_key_come_from_one_place() {
        let files = |ca: &str, cert: &str, key: &str| {
            let file = |name: &str| (!name.is_empty()).then(|| PathBuf::from(name));
            TlsFiles { ca: file(ca), cert: file(cert), key: file(key) }
        };
        #[rustfmt::skip]
        let cases = [
            (files("", "", ""),   files("a", "b", "c"), files("a", "b", "c")),
            (files("x", "", ""),  files("a", "b", "c"), files("x", "b", "c")),
            (files("", "x", ""),  files("a", "b", "c"), files("a", "x", "")),
            (files("", "x", "y"), files("a", "b", "c"), files("a", "x", "y")),
        ];
        for (given, of_context, expected) in cases {
            assert_eq!(given.or(of_context), expected);
        }
    }
}
