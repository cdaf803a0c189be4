//! The settings of the HTTP API that an operator makes (RabbitMQ: `management.*` of its configuration).

use axum::http::HeaderMap;
pub use axum::http::{HeaderName, HeaderValue};

/// Failed logins that an address may have in a minute.
const FAILED_LOGINS_MAX: u32 = 60;

/// The settings of the HTTP API.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The origins whose pages may ask (RabbitMQ: `management.cors.allow_origins`); `*` stands for all.
    pub cors_origins: Vec<String>,
    /// The seconds for which a browser may remember that it may ask (RabbitMQ: `management.cors.max_age`).
    pub cors_max_age_s: Option<u32>,
    /// The headers that every answer has beside its own.
    pub headers: HeaderMap,
    /// Answers with no statistics, as if every request said `disable_stats=true` (RabbitMQ: `management.disable_stats`).
    pub disable_stats: bool,
    /// Tells the lengths of queues nevertheless (RabbitMQ: `management.enable_queue_totals`).
    pub enable_queue_totals: bool,
    /// Failed logins that an address may have in a minute; 0 is no limit.
    pub failed_logins_max: u32,
    /// `/metrics` tells of each object (RabbitMQ: `prometheus.return_per_object_metrics`).
    pub has_object_metrics: bool,
    path_prefix: String,
}

impl HttpSettings {
    /// Puts a path before `/api` on listeners of TCP; it may have slashes around it (RabbitMQ:
    /// `management.path_prefix`).
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        let parts = prefix.split('/').filter(|part| !part.is_empty());
        Self { path_prefix: parts.flat_map(|part| ["/", part]).collect(), ..self }
    }

    /// The path before `/api`: empty, or with a slash at its beginning and none at its end.
    pub fn path_prefix(&self) -> &str {
        &self.path_prefix
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        let policy = HeaderValue::from_static("script-src 'self'; object-src 'self'");
        let headers = [(HeaderName::from_static("content-security-policy"), policy)];
        Self {
            cors_origins: Vec::new(),
            cors_max_age_s: None,
            headers: headers.into_iter().collect(),
            disable_stats: false,
            enable_queue_totals: false,
            failed_logins_max: FAILED_LOGINS_MAX,
            has_object_metrics: false,
            path_prefix: String::new(),
        }
    }
}
