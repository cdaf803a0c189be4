//! The options of `mq serve`, and the broker that they describe.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum as _;

use super::config::AppliedSettings;
use super::first::FirstOptions;
use super::http::HttpOptions;
use super::log::LogOptions;
use super::login::LoginOptions;
use super::new_vhosts::NewVhostOptions;
use crate::commands::CommandError;
use crate::commands::examples::examples;
use crate::commands::options::effective::EffectiveValue;
use crate::commands::options::name;
use crate::commands::options::node_limits::LimitOptions;
use crate::commands::options::queue_type::QueueType;
use crate::engine::directory::{default_directory, rabbitmq_directory};
use crate::engine::{
    Address, Compat, Feature, HostOptions, Permit, ShortStr, TlsCipher, TlsFiles, TlsProtocol,
    TlsVerify, TlsVersion, UnchangedDefinitions,
};

/// The ports RabbitMQ has: clients need not be told.
const AMQP: u16 = 5672;
const HTTP: u16 = 15672;
const METRICS: u16 = 15692;

/// Run a broker until Ctrl-C or SIGTERM
///
/// The broker accepts connections from this machine only, unless --listen or --tls-listen names another address. In a
/// script, --listen 127.0.0.1:0 --print-url takes a free port and prints it.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = examples(&[
    "mq serve",
    "mq serve --memory --listen 127.0.0.1:0 --print-url",
    "mq serve --data-dir /srv/mq --listen 0.0.0.0:5672 --http 127.0.0.1:15672",
]))]
pub struct Args {
    /// Read this file in the syntax of rabbitmq.conf, and then all *.conf in conf.d beside it; options of the command
    /// line come first [env: MQ_CONFIG, RABBITMQ_CONFIG_FILE]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print the value of every key of the configuration and where it comes from, and start no broker
    #[arg(long)]
    pub(super) print_config: bool,
    /// The settings that are not from the command line; their values stand in the other fields.
    #[arg(skip)]
    pub(super) applied: AppliedSettings,
    /// Run in the place of rabbitmq-server: AMQP, the management API and metrics are on all addresses by default, data in
    /// RABBITMQ_MNESIA_BASE or /var/lib/rabbitmq, the configuration in /etc/rabbitmq, and the log goes to stdout with
    /// RabbitMQ's words
    #[arg(long)]
    pub(super) as_rabbitmq_server: bool,
    /// Listen for AMQP on this address; none listens for AMQP over TLS only; *:5672 means all addresses; may be given
    /// several times; port 0 takes a free port, and localhost means both 127.0.0.1 and ::1 [default: localhost:5672]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Vec<OptionalAddress>,
    /// Serve the management API on this address; none turns it off [default: localhost:15672; none if --listen or
    /// --tls-listen is given]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) http: Option<OptionalAddress>,
    /// Serve metrics for Prometheus on this address, below /metrics and without a login; none turns them off [default:
    /// localhost:15692; none if --listen or --tls-listen is given]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) metrics: Option<OptionalAddress>,
    /// Listen for AMQP over TLS on this address, with --tls-cert and --tls-key; with --tls-ca, clients must present a
    /// certificate as well. SIGHUP reloads the files
    #[arg(long, value_name = "ADDRESS", requires_all = ["tls_cert", "tls_key"])]
    pub(super) tls_listen: Vec<Address>,
    /// Check the certificates of TLS clients against --tls-ca: none asks for no certificate, optional refuses an
    /// invalid one, required also refuses a client without one [default: required with --tls-ca, else none]
    #[arg(long, value_name = "MODE", value_enum, requires = "tls_listen")]
    pub(super) tls_verify: Option<Verify>,
    /// Speak these versions of TLS only, for example 1.3 or 1.2,1.3 [default: 1.2,1.3]
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',', requires = "tls_listen")]
    pub(super) tls_versions: Vec<TlsVersion>,
    /// Allow these TLS ciphers only, by OpenSSL's names with commas between, for example TLS_AES_256_GCM_SHA384
    /// [default: all of TLS 1.3, and of TLS 1.2 those with ECDHE and GCM or ChaCha20]
    #[arg(long, value_name = "CIPHERS", value_delimiter = ',', requires = "tls_listen")]
    pub(super) tls_ciphers: Vec<TlsCipher>,
    /// Store queues and messages in this directory; --local finds the broker by it [default: $XDG_DATA_HOME/mq or
    /// ~/.local/share/mq]
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    pub(super) data_dir: Option<PathBuf>,
    /// Store nothing on disk: everything is lost when the broker stops
    #[arg(long)]
    pub(super) memory: bool,
    /// Serve connections with this many threads [default: one fewer than there are cores, at least one]
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<NonZeroUsize>,
    /// Behave like this release of RabbitMQ; 4.3 also refuses what RabbitMQ 4.3 refuses by default, so that a test run
    /// shows what an upgrade breaks [default: like RabbitMQ 4.3.6, but features that it refuses by default still work]
    #[arg(long, value_name = "VERSION")]
    pub(super) compat: Option<Release>,
    /// Import the definitions in this file, which RabbitMQ exported, or in all files of this directory, before clients
    /// can connect
    #[arg(long, value_name = "FILE")]
    pub(super) definitions: Option<PathBuf>,
    /// Import no definitions that are those of the last start, so that later changes stay
    #[arg(long, requires = "definitions")]
    pub(super) skip_unchanged_definitions: bool,
    /// Name the cluster, which one node is too [default: the node's name]
    #[arg(long, value_name = "NAME", value_parser = name::not_empty)]
    pub(super) cluster_name: Option<ShortStr>,
    /// Print the AMQP URL, then the management URL and the URL of the metrics, one per line
    #[arg(long)]
    pub(super) print_url: bool,
    #[command(flatten)]
    pub(super) first: FirstOptions,
    /// Declare queues without a type as this one, in virtual hosts that have no default of their own [default: classic]
    #[arg(long, value_name = "TYPE", value_enum)]
    pub(super) default_queue_type: Option<QueueType>,
    /// Permit or deny a deprecated feature by itself: transient_nonexcl_queues, queue_master_locator or global_qos, such
    /// as global_qos=false; may be given several times [default: all are permitted; none with --compat 4.3]
    #[arg(long, value_name = "FEATURE=BOOL")]
    pub(super) permit_deprecated: Vec<PermittedFeature>,
    /// Take clients of AMQP from a proxy that says first where they are from, by version 1 or 2 of the PROXY protocol;
    /// no others are accepted
    #[arg(long)]
    pub(super) proxy_protocol: bool,
    #[command(flatten)]
    pub(super) new_vhosts: NewVhostOptions,
    #[command(flatten)]
    pub(super) login: LoginOptions,
    #[command(flatten)]
    pub(super) limits: LimitOptions,
    #[command(flatten)]
    pub(super) management: HttpOptions,
    #[command(flatten)]
    pub(super) log: LogOptions,
}

/// An address to listen on, or the word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OptionalAddress(pub(super) Option<Address>);

impl FromStr for OptionalAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address)))
    }
}

/// A deprecated feature that is permitted or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PermittedFeature {
    pub(super) feature: Feature,
    pub(super) is_permitted: bool,
}

impl FromStr for PermittedFeature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once('=').ok_or("it must be a feature, = and true or false")?;
        let feature = Feature::ALL.into_iter().find(|feature| feature.name() == name);
        let feature = feature.ok_or_else(|| {
            let names = Feature::ALL.map(Feature::name).join(", ");
            format!("'{name}' is none of {names}")
        })?;
        let is_permitted = value.parse().map_err(|_| "it must be true or false".to_owned())?;
        Ok(Self { feature, is_permitted })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum Release {
    #[value(name = "3.10")]
    V3_10,
    #[value(name = "4.3")]
    V4_3,
}

impl From<Release> for Compat {
    fn from(release: Release) -> Self {
        match release {
            Release::V3_10 => Self::V3_10,
            Release::V4_3 => Self::V4_3,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Verify {
    None,
    Optional,
    Required,
}

impl Verify {
    /// The two keys that choose it below `prefix`.
    pub(super) fn effective(self, prefix: &str, option: &'static str) -> [EffectiveValue; 2] {
        let [peer, required] = match self {
            Self::None => ["verify_none", "false"],
            Self::Optional => ["verify_peer", "false"],
            Self::Required => ["verify_peer", "true"],
        };
        [("verify", peer), ("fail_if_no_peer_cert", required)].map(|(key, value)| {
            EffectiveValue::new(format!("{prefix}.{key}"), option, Some(value.to_owned()))
        })
    }
}

impl From<Verify> for TlsVerify {
    fn from(verify: Verify) -> Self {
        match verify {
            Verify::None => Self::None,
            Verify::Optional => Self::Optional,
            Verify::Required => Self::Required,
        }
    }
}

impl Args {
    /// Says where values come from that were not on the command line.
    pub fn set_applied(&mut self, applied: AppliedSettings) {
        self.applied = applied;
    }

    /// Takes over the options that change while the broker runs.
    pub(super) fn take_live(&mut self, other: Self) {
        self.limits = other.limits;
        self.first.take_live(other.first);
        self.log = other.log;
    }

    /// Returns the number of threads that serve connections. One core is left to the thread that writes to the disk, to
    /// the kernel's network and to clients on the same machine: with as many threads as cores a message costs more.
    pub fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or_else(|| (cores - 1).max(1), NonZeroUsize::get)
    }

    /// Answers whether everything on stderr is to be JSON.
    pub fn logs_json(&self) -> bool {
        self.log.is_json()
    }

    /// The data directory; none for a broker that keeps everything in memory.
    fn directory(&self) -> Result<Option<PathBuf>, CommandError> {
        let variable = |name: &str| std::env::var(name).ok();
        Ok(match (&self.data_dir, self.memory) {
            (_, true) => None,
            (Some(directory), false) => Some(directory.clone()),
            (None, false) if self.as_rabbitmq_server => Some(rabbitmq_directory(variable)),
            (None, false) => Some(default_directory(variable)?),
        })
    }

    /// The release, with the deprecated features that are permitted or denied by themselves.
    fn compat_with_features(&self) -> Compat {
        let compat = self.compat.map(Compat::from).unwrap_or_default();
        self.permit_deprecated.iter().fold(compat, |compat, one| {
            let permit = if one.is_permitted { Permit::Permitted } else { Permit::Denied };
            compat.with(one.feature, permit)
        })
    }

    fn default_queue_type(&self) -> Option<String> {
        let kind = self.default_queue_type?.to_possible_value()?;
        Some(kind.get_name().to_owned())
    }

    pub(super) fn host_options(&self, tls: TlsFiles) -> Result<HostOptions, CommandError> {
        if tls.ca.is_none() && matches!(self.tls_verify, Some(Verify::Optional | Verify::Required))
        {
            return Err(CommandError::Usage {
                problem: "--tls-verify asks clients for a certificate, but no certificate authority is named"
                    .into(),
                hint: Some("name the one that signs them with --tls-ca FILE".into()),
            });
        }
        let directory = self.directory()?;
        let (https, https_tls) = self.management.https(&tls)?;
        if self.tls_listen.is_empty() && https.is_none() && tls != TlsFiles::default() {
            return Err(CommandError::Usage {
                problem: "TLS files are given, but no address listens with TLS".into(),
                hint: Some("name an address with --tls-listen, for example 0.0.0.0:5671".into()),
            });
        }
        let is_server = self.as_rabbitmq_server;
        let usual = |port| {
            if is_server { Address::Everywhere { port } } else { Address::Loopback { port } }
        };
        // RabbitMQ's listeners do not turn each other off.
        let is_usual = is_server || (self.listen.is_empty() && self.tls_listen.is_empty());
        let named = self.listen.iter().filter_map(|OptionalAddress(address)| *address).collect();
        let listen = if is_usual && self.listen.is_empty() { vec![usual(AMQP)] } else { named };
        if listen.is_empty() && self.tls_listen.is_empty() {
            return Err(CommandError::Usage {
                problem: "no address listens for AMQP".into(),
                hint: Some("name one with --listen or --tls-listen".into()),
            });
        }
        let or_usual = |named: Option<OptionalAddress>, port| {
            named.map_or_else(|| is_usual.then(|| usual(port)), |OptionalAddress(address)| address)
        };
        let compat = self.compat_with_features();
        Ok(HostOptions {
            listen,
            tls_listen: self.tls_listen.clone(),
            tls,
            tls_protocol: TlsProtocol {
                versions: self.tls_versions.clone(),
                ciphers: self.tls_ciphers.clone(),
            },
            tls_verify: self.tls_verify.map(TlsVerify::from).unwrap_or_default(),
            https,
            https_tls,
            https_verify: self.management.verify(),
            logins: self.login.logins(),
            http_settings: self.management.settings(),
            http: or_usual(self.http, HTTP),
            metrics: or_usual(self.metrics, METRICS),
            compat,
            definitions: self.definitions.clone(),
            unchanged_definitions: if self.skip_unchanged_definitions {
                UnchangedDefinitions::Skip
            } else {
                UnchangedDefinitions::Import
            },
            cluster_name: self.cluster_name.clone(),
            node: self.first.node(),
            first: self.first.access(),
            local_only: self.first.local_only(),
            vhost_defaults: self.new_vhosts.defaults()?,
            default_queue_type: self.default_queue_type(),
            proxy_protocol: self.proxy_protocol,
            limits: self.limits.limits(compat)?,
            memory: self.limits.watermark(),
            directory,
            ..HostOptions::default()
        })
    }
}
