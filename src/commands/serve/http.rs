//! The options of `mq serve` for its management API, under RabbitMQ's names in the configuration.

use std::path::PathBuf;
use std::str::FromStr;

use super::args::Verify;
use crate::commands::CommandError;
use crate::commands::options::effective::EffectiveValue;
use crate::engine::{Address, HeaderName, HeaderValue, HttpSettings, TlsFiles, TlsVerify};

#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[command(next_help_heading = "Management API")]
pub(super) struct HttpOptions {
    /// Serve the management API over TLS on this address, for example 0.0.0.0:15671
    #[arg(long, value_name = "ADDRESS")]
    https: Option<Address>,
    /// Show this certificate chain to clients of --https, in PEM [default: that of --tls-cert]
    #[arg(long, value_name = "FILE", requires = "https_key")]
    https_cert: Option<PathBuf>,
    /// Use this private key with --https-cert, in PEM [default: that of --tls-key]
    #[arg(long, value_name = "FILE", requires = "https_cert")]
    https_key: Option<PathBuf>,
    /// Check the certificates of clients of --https against these authorities, in PEM, as --https-verify says
    #[arg(long, value_name = "FILE")]
    https_ca: Option<PathBuf>,
    /// Check the certificates of clients of --https: none asks for no certificate, optional refuses an invalid one,
    /// required also refuses a client without one. A login is asked for in any case [default: none]
    #[arg(long, value_name = "MODE", value_enum)]
    https_verify: Option<Verify>,
    /// Let pages of this origin call the management API from a browser (CORS), for example https://example.com; * lets
    /// all do so; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    http_cors_origin: Vec<String>,
    /// Let browsers remember for this many seconds that a page may call the management API
    #[arg(long, value_name = "SECONDS")]
    http_cors_max_age: Option<u32>,
    /// Add this header to every answer of the management API, for example 'Referrer-Policy: no-referrer'; may be given
    /// several times
    #[arg(long, value_name = "HEADER", value_parser = Header::from_str)]
    http_header: Vec<Header>,
    /// Leave statistics out of the answers of the management API; Prometheus still has them
    #[arg(long)]
    http_disable_stats: bool,
    /// Tell the lengths of queues also with --http-disable-stats
    #[arg(long)]
    http_queue_totals: bool,
    /// Refuse the logins of an address to the management API for the rest of a minute in which this many have failed; 0
    /// refuses none [default: 60]
    #[arg(long, value_name = "NUMBER")]
    http_failed_logins: Option<u32>,
    /// Serve the management API below this path, for example /rabbitmq
    #[arg(long, value_name = "PATH")]
    http_path_prefix: Option<String>,
    /// Tell at /metrics of each queue, connection and channel, not of their sums
    #[arg(long)]
    per_object_metrics: bool,
}

/// A header of an answer.
#[derive(Clone, Debug)]
struct Header {
    name: HeaderName,
    value: HeaderValue,
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("it must be NAME: VALUE")?;
        let name = name.trim().parse().map_err(|_| "it has no name of a header")?;
        let value = value
            .trim()
            .parse()
            .map_err(|_| "its value has characters that headers cannot have")?;
        Ok(Self { name, value })
    }
}

/// The keys of the configuration for headers, and the header of each.
const HEADERS: [(&str, &str); 6] = [
    ("management.csp.policy", "content-security-policy"),
    ("management.hsts.policy", "strict-transport-security"),
    ("management.headers.content_type_options", "x-content-type-options"),
    ("management.headers.frame_options", "x-frame-options"),
    ("management.headers.referrer_policy", "referrer-policy"),
    ("management.headers.xss_protection", "x-xss-protection"),
];

impl HttpOptions {
    /// The address for TLS, and the certificate and key for it: `usual` if no other is given.
    ///
    /// # Errors
    ///
    /// If there is an address and no certificate, or a certificate and no address.
    pub(super) fn https(
        &self,
        usual: &TlsFiles,
    ) -> Result<(Option<Address>, TlsFiles), CommandError> {
        let ca = self.https_ca.clone();
        let own = TlsFiles { cert: self.https_cert.clone(), key: self.https_key.clone(), ca };
        let files = if own.cert.is_some() { own } else { TlsFiles { ca: own.ca, ..usual.clone() } };
        let is_checked = matches!(self.https_verify, Some(Verify::Optional | Verify::Required));
        if is_checked && files.ca.is_none() {
            return Err(CommandError::Usage {
                problem: "--https-verify asks clients for a certificate, but no certificate authority is named"
                    .into(),
                hint: Some("name the one that signs them with --https-ca FILE".into()),
            });
        }
        let given = [("--https-cert", &self.https_cert), ("--https-ca", &self.https_ca)];
        let given = given.into_iter().find(|(_, file)| file.is_some());
        if self.https.is_none()
            && let Some((option, _)) = given
        {
            return Err(CommandError::Usage {
                problem: format!(
                    "{option} is given, but the management API does not listen with TLS"
                ),
                hint: Some("name an address with --https, for example 0.0.0.0:15671".into()),
            });
        }
        if self.https.is_some() && (files.cert.is_none() || files.key.is_none()) {
            return Err(CommandError::Usage {
                problem: "--https needs a certificate and its key".into(),
                hint: Some("name them with --https-cert FILE and --https-key FILE".into()),
            });
        }
        Ok((self.https, files))
    }

    /// The check of the certificates of clients.
    pub(super) fn verify(&self) -> TlsVerify {
        self.https_verify.map_or(TlsVerify::None, TlsVerify::from)
    }

    pub(super) fn settings(&self) -> HttpSettings {
        let prefix = self.http_path_prefix.as_deref().unwrap_or_default();
        let mut settings = HttpSettings::default().with_prefix(prefix);
        for Header { name, value } in &self.http_header {
            settings.headers.insert(name.clone(), value.clone());
        }
        settings.cors_origins.clone_from(&self.http_cors_origin);
        settings.cors_max_age_s = self.http_cors_max_age;
        settings.disable_stats = self.http_disable_stats;
        settings.enable_queue_totals = self.http_queue_totals;
        settings.has_object_metrics = self.per_object_metrics;
        if let Some(most) = self.http_failed_logins {
            settings.failed_logins_max = most;
        }
        settings
    }

    /// The value of each key, and the option that sets it.
    pub(super) fn effective(&self) -> Vec<EffectiveValue> {
        let settings = self.settings();
        let flag = |is_set: bool| is_set.then(|| "true".to_owned());
        let origins = (1..).zip(&settings.cors_origins).map(|(at, origin)| {
            let key = format!("management.cors.allow_origins.{at}");
            EffectiveValue::new(key, "http-cors-origin", Some(origin.clone()))
        });
        let headers = HEADERS.iter().map(|(key, name)| {
            let value = settings.headers.get(*name).and_then(|value| value.to_str().ok());
            EffectiveValue::new(*key, "http-header", value.map(str::to_owned))
        });
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let files = [
            ("management.ssl.certfile", "https-cert", path(&self.https_cert)),
            ("management.ssl.keyfile", "https-key", path(&self.https_key)),
            ("management.ssl.cacertfile", "https-ca", path(&self.https_ca)),
        ];
        let files = files.map(|(key, option, value)| EffectiveValue::new(key, option, value));
        let verify = self
            .https_verify
            .into_iter()
            .flat_map(|verify| verify.effective("management.ssl", "https-verify"));
        let max_age = settings.cors_max_age_s.map(|seconds| seconds.to_string());
        let others = [
            ("management.cors.max_age", "http-cors-max-age", max_age),
            ("management.path_prefix", "http-path-prefix", self.http_path_prefix.clone()),
            (
                "prometheus.return_per_object_metrics",
                "per-object-metrics",
                flag(settings.has_object_metrics),
            ),
            ("management.disable_stats", "http-disable-stats", flag(settings.disable_stats)),
            (
                "management.enable_queue_totals",
                "http-queue-totals",
                flag(settings.enable_queue_totals),
            ),
            (
                "mq.http_failed_logins",
                "http-failed-logins",
                Some(settings.failed_logins_max.to_string()),
            ),
        ];
        let others = others.map(|(key, option, value)| EffectiveValue::new(key, option, value));
        files.into_iter().chain(verify).chain(origins).chain(headers).chain(others).collect()
    }
}
