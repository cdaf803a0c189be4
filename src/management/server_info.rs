//! The server of the process around a broker, which its management API shows.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::configuration::EffectiveConfiguration;
use super::http_settings::HttpSettings;
use super::process::ProcessControls;
use crate::server::{ListenerCertificates, Maintenance};

/// Our name where RabbitMQ says "RabbitMQ".
pub(super) const PRODUCT: &str = "mq";

/// The process around the broker, as far as the management API shows it.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// The moment at which the broker's clock stood at 0.
    pub started: Instant,
    /// The same moment on the wall.
    pub started_at: SystemTime,
    /// The TCP ports that are open.
    pub listeners: Vec<Listener>,
    pub data_directory: Option<PathBuf>,
    pub configuration: EffectiveConfiguration,
    pub process: ProcessControls,
    pub maintenance: Maintenance,
    pub http: Arc<HttpSettings>,
}

/// RabbitMQ's name for the protocol of the metrics.
pub const METRICS: &str = "http/prometheus";

/// A TCP port that is open.
#[derive(Clone, Debug)]
pub struct Listener {
    /// RabbitMQ's name: `amqp`, `amqp/ssl`, `http`, [`METRICS`].
    pub protocol: &'static str,
    pub address: IpAddr,
    pub port: u16,
    /// The certificates, if clients have to speak TLS.
    pub certificates: Option<ListenerCertificates>,
}

impl ServerInfo {
    /// Returns the time since the broker's start: the one clock of this layer, for uptime and rates.
    pub(super) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }
}
