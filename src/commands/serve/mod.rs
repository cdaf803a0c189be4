//! `mq serve`: the broker, in the foreground.
//!
//! All its messages go to its log (`log`), from the first line on, because an operator reads nothing else.

pub mod config;
mod first;
mod log;

use std::error::Error as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::config::AppliedSettings;
use self::first::FirstOptions;
use self::log::{LogOptions, ServerLog};
use super::examples::examples;
use super::options::effective::EffectiveValue;
use super::options::node_limits::LimitOptions;
use super::{Answer, CommandError};
use crate::engine::directory::default_directory;
use crate::engine::{self, Address, Compat, Host, HostOptions, StartReport, TlsFiles, TlsVerify};
use crate::render::{Output, words};

/// The ports RabbitMQ has: clients need not be told.
const AMQP: Address = Address::Loopback { port: 5672 };
const HTTP: Address = Address::Loopback { port: 15672 };
const METRICS: Address = Address::Loopback { port: 15692 };

/// Run a broker until Ctrl-C or SIGTERM
///
/// The broker accepts connections from this machine only, unless --listen or --tls-listen names another address. In a
/// script, --listen 127.0.0.1:0 --print-url takes a free port and prints it.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[command(after_help = examples(&[
    "mq serve",
    "mq serve --memory --listen 127.0.0.1:0 --print-url",
    "mq serve --data-dir /srv/mq --listen 0.0.0.0:5672 --http 127.0.0.1:15672",
]))]
pub struct Args {
    /// Read this file in the syntax of rabbitmq.conf, and then all *.conf in conf.d beside it; options of the command
    /// line come first [env: MQ_CONFIG, RABBITMQ_CONFIG_FILE]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the value of every key of the configuration and where it comes from, and start no broker
    #[arg(long)]
    print_config: bool,
    /// The settings that are not from the command line; their values stand in the other fields.
    #[arg(skip)]
    applied: AppliedSettings,
    /// Listen for AMQP on this address; may be given several times; port 0 takes a free port, and localhost means both
    /// 127.0.0.1 and ::1 [default: localhost:5672]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<Address>,
    /// Serve the management API on this address [default: localhost:15672; none if --listen or --tls-listen is given]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<Address>,
    /// Serve metrics for Prometheus on this address, below /metrics and without a login; none turns them off [default:
    /// localhost:15692; none if --listen or --tls-listen is given]
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<OptionalAddress>,
    /// Listen for AMQP over TLS on this address, with --tls-cert and --tls-key; with --tls-ca, clients must present a
    /// certificate as well. SIGHUP reloads the files
    #[arg(long, value_name = "ADDRESS", requires_all = ["tls_cert", "tls_key"])]
    tls_listen: Vec<Address>,
    /// Check the certificates of TLS clients against --tls-ca: none asks for no certificate, optional refuses an
    /// invalid one, required also refuses a client without one [default: required with --tls-ca, else none]
    #[arg(long, value_name = "MODE", value_enum, requires = "tls_listen")]
    tls_verify: Option<Verify>,
    /// Store queues and messages in this directory; --local finds the broker by it [default: $XDG_DATA_HOME/mq or
    /// ~/.local/share/mq]
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    data_dir: Option<PathBuf>,
    /// Store nothing on disk: everything is lost when the broker stops
    #[arg(long)]
    memory: bool,
    /// Serve connections with this many threads [default: one fewer than there are cores, at least one]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Behave like this release of RabbitMQ; 4.3 also refuses what RabbitMQ 4.3 refuses by default, so that a test run
    /// shows what an upgrade breaks [default: like RabbitMQ 4.3.6, but features that it refuses by default still work]
    #[arg(long, value_name = "VERSION")]
    compat: Option<Release>,
    /// Import the definitions in this file, which RabbitMQ exported, before clients can connect
    #[arg(long, value_name = "FILE")]
    definitions: Option<PathBuf>,
    /// Print the AMQP URL, then the management URL and the URL of the metrics, one per line
    #[arg(long)]
    print_url: bool,
    #[command(flatten)]
    first: FirstOptions,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    log: LogOptions,
}

/// An address to listen on, or the word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OptionalAddress(Option<Address>);

impl FromStr for OptionalAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Release {
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
enum Verify {
    None,
    Optional,
    Required,
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

/// The signals that a broker obeys.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CommandError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the one that stops the broker; calls `reload` for each that does not.
    async fn stop(&mut self, reload: impl Fn()) -> &'static str {
        loop {
            // Cancel-safe: a signal is not lost when another one comes first.
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.hangup.recv() => reload(),
            }
        }
    }
}

pub async fn run(
    args: Args,
    tls: TlsFiles,
    is_quiet: bool,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    if args.print_config {
        return args.print_effective(&tls, out);
    }
    let log = ServerLog::start(&args.log, is_quiet)?;
    for warning in &args.applied.warnings {
        tracing::warn!("{warning}");
    }
    // Listened for from here on, so that a signal during the start is not lost.
    let mut signals = Signals::listen()?;
    let options = args.host_options(tls)?;
    let directory = options.directory.as_ref().map(|directory| directory.display().to_string());
    let directory = directory.as_deref().unwrap_or("none, everything is in memory");
    tracing::info!(
        directory,
        pid = std::process::id(),
        "mq {} starting",
        env!("CARGO_PKG_VERSION")
    );
    let host = Host::start(options).await?;
    say_where(&host);
    if args.print_url {
        let first = [host.urls(), host.http_urls(), host.metrics_urls()];
        for url in first.iter().filter_map(|urls| urls.first()) {
            out.line(url)?;
        }
        out.flush()?;
    }
    let signal = signals.stop(|| reload(&host, &log)).await;
    tracing::info!(signal, "stopping: closing connections and writing messages to disk");
    host.stop().await;
    tracing::info!("stopped");
    Ok(Answer::Yes)
}

/// Says what was recovered and where clients find the broker.
fn say_where(host: &Host) {
    if let Some(recovered) = recovered(host.start_report()) {
        tracing::info!("{recovered}");
    }
    for url in host.urls() {
        tracing::info!("listening on {url}");
    }
    for url in host.http_urls() {
        tracing::info!("management API at {url}api/");
    }
    for url in host.metrics_urls() {
        tracing::info!("metrics at {url}metrics");
    }
}

/// Reads again what SIGHUP is for; what cannot be read stays as it was.
fn reload(host: &Host, log: &ServerLog) {
    tracing::info!("SIGHUP: reloading certificates and the log level");
    log.reload();
    match host.reload() {
        Ok(()) => {}
        Err(error) => {
            let cause = error.source().map(ToString::to_string);
            let hint = engine::Error::hint(&error);
            tracing::error!(%error, cause, hint, "the certificates stay as they were");
        }
    }
}

/// Describes what was found in the directory; `None` for a new one.
fn recovered(start_report: StartReport) -> Option<String> {
    let StartReport { queues, messages, damaged_bytes, took } = start_report;
    if (queues, messages, damaged_bytes) == (0, 0, 0) {
        return None;
    }
    let (queues, messages) = (words::counted(queues, "queue"), words::counted(messages, "message"));
    let recovered = format!("recovered {queues}, {messages} in {} ms", took.as_millis());
    Some(match damaged_bytes {
        0 => recovered,
        damaged => {
            let damaged = words::counted(damaged, "damaged byte");
            format!("{recovered}; copied {damaged} aside, whose messages may have been confirmed")
        }
    })
}

/// The keys of listeners, counted from 1.
fn listeners(name: &str, option: &'static str, addresses: &[Address]) -> Vec<EffectiveValue> {
    let set = |key: String, value| EffectiveValue::new(key, option, Some(value));
    if addresses.is_empty() {
        return vec![set(format!("listeners.{name}"), "none".to_owned())];
    }
    let numbered = (1..).zip(addresses);
    numbered
        .map(|(at, address)| set(format!("listeners.{name}.{at}"), address.to_string()))
        .collect()
}

/// The keys of an HTTP listener.
fn parts(name: &str, option: &'static str, address: Option<Address>) -> [EffectiveValue; 2] {
    let text = address.map(|address| address.to_string());
    let parts = text.as_deref().and_then(|text| text.rsplit_once(':'));
    let ip = parts.map(|(ip, _)| ip.trim_matches(['[', ']']).to_owned());
    let port = parts.map(|(_, port)| port.to_owned());
    [("ip", ip), ("port", port)]
        .map(|(part, value)| EffectiveValue::new(format!("{name}.{part}"), option, value))
}

impl Args {
    /// Says where values come from that were not on the command line.
    pub fn set_applied(&mut self, applied: AppliedSettings) {
        self.applied = applied;
    }

    /// Prints the configuration in effect, in the syntax of its file.
    fn print_effective(&self, tls: &TlsFiles, out: &mut Output) -> Result<Answer, CommandError> {
        for EffectiveValue { key, option, value } in self.effective(tls)? {
            let source = self.applied.source(option);
            match value {
                Some(value) => out.line(&format!("{key} = {value} # {source}"))?,
                None => out.line(&format!("# {key} is not set"))?,
            }
        }
        Ok(Answer::Yes)
    }

    /// The value of each key.
    fn effective(&self, tls: &TlsFiles) -> Result<Vec<EffectiveValue>, CommandError> {
        let set = |key: &str, option, value| EffectiveValue::new(key, option, value);
        let options = self.host_options(tls.clone())?;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let flag = |is_set: bool| is_set.then(|| "true".to_owned());
        let compat = self.compat.and_then(|release| release.to_possible_value());
        let mut all = listeners("tcp", "listen", &options.listen);
        all.extend(listeners("ssl", "tls-listen", &options.tls_listen));
        all.extend(parts("management.tcp", "http", options.http));
        all.extend(parts("prometheus.tcp", "metrics", options.metrics));
        all.extend([
            set("ssl_options.cacertfile", "tls-ca", path(&options.tls.ca)),
            set("ssl_options.certfile", "tls-cert", path(&options.tls.cert)),
            set("ssl_options.keyfile", "tls-key", path(&options.tls.key)),
        ]);
        if let Some(verify) = self.tls_verify {
            let [peer, required] = match verify {
                Verify::None => ["verify_none", "false"],
                Verify::Optional => ["verify_peer", "false"],
                Verify::Required => ["verify_peer", "true"],
            };
            all.extend([
                set("ssl_options.verify", "tls-verify", Some(peer.to_owned())),
                set("ssl_options.fail_if_no_peer_cert", "tls-verify", Some(required.to_owned())),
            ]);
        }
        all.extend([
            set("load_definitions", "definitions", path(&options.definitions)),
            set("mq.data_dir", "data-dir", path(&options.directory)),
            set("mq.memory", "memory", flag(self.memory)),
            set("mq.threads", "threads", Some(self.threads().to_string())),
            set("mq.compat", "compat", compat.map(|release| release.get_name().to_owned())),
            set("mq.print_url", "print-url", flag(self.print_url)),
        ]);
        all.extend(self.first.effective());
        all.extend(self.limits.effective(options.compat)?);
        all.extend(self.log.effective());
        Ok(all)
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

    fn host_options(&self, tls: TlsFiles) -> Result<HostOptions, CommandError> {
        if tls.ca.is_none() && matches!(self.tls_verify, Some(Verify::Optional | Verify::Required))
        {
            return Err(CommandError::Usage {
                problem: "--tls-verify asks clients for a certificate, but no certificate authority is named"
                    .into(),
                hint: Some("name the one that signs them with --tls-ca FILE".into()),
            });
        }
        let directory = match (&self.data_dir, self.memory) {
            (_, true) => None,
            (Some(directory), false) => Some(directory.clone()),
            (None, false) => Some(default_directory(|name| std::env::var(name).ok())?),
        };
        if self.tls_listen.is_empty() && tls != TlsFiles::default() {
            return Err(CommandError::Usage {
                problem: "TLS files are given, but no address listens with TLS".into(),
                hint: Some("name an address with --tls-listen, for example 0.0.0.0:5671".into()),
            });
        }
        let is_usual = self.listen.is_empty() && self.tls_listen.is_empty();
        let compat = self.compat.map(Compat::from).unwrap_or_default();
        Ok(HostOptions {
            listen: if is_usual { vec![AMQP] } else { self.listen.clone() },
            tls_listen: self.tls_listen.clone(),
            tls,
            tls_verify: self.tls_verify.map(TlsVerify::from).unwrap_or_default(),
            http: self.http.or(is_usual.then_some(HTTP)),
            metrics: self.metrics.map_or(is_usual.then_some(METRICS), |OptionalAddress(at)| at),
            compat,
            definitions: self.definitions.clone(),
            node: self.first.node(),
            first: self.first.access(),
            guest_from_anywhere: self.first.guest_from_anywhere(),
            limits: self.limits.limits(compat)?,
            memory: self.limits.watermark(),
            directory,
        })
    }
}
