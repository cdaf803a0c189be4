//! The options of `mq serve` for its management API, under RabbitMQ's names in the configuration.

use std::str::FromStr;

use crate::commands::options::effective::EffectiveValue;
use crate::engine::{HeaderName, HeaderValue, HttpSettings};

#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[expect(clippy::struct_field_names, reason = "the names of the options")]
#[command(next_help_heading = "Management API")]
pub(super) struct HttpOptions {
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
    pub(super) fn settings(&self) -> HttpSettings {
        let usual = HttpSettings::default();
        let mut headers = usual.headers;
        for Header { name, value } in &self.http_header {
            headers.insert(name.clone(), value.clone());
        }
        HttpSettings {
            cors_origins: self.http_cors_origin.clone(),
            cors_max_age_s: self.http_cors_max_age,
            headers,
            disable_stats: self.http_disable_stats,
            enable_queue_totals: self.http_queue_totals,
            failed_logins_max: self.http_failed_logins.unwrap_or(usual.failed_logins_max),
        }
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
        let max_age = settings.cors_max_age_s.map(|seconds| seconds.to_string());
        let others = [
            ("management.cors.max_age", "http-cors-max-age", max_age),
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
        origins.chain(headers).chain(others).collect()
    }
}
