//! `mq serve`: the broker, in the foreground.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::node_limits::LimitOptions;
use super::{Answer, CommandError};
use crate::engine::local::default_directory;
use crate::engine::{Compat, Found, Host, HostOptions, TlsFiles};
use crate::render::{Output, words};

/// The ports RabbitMQ has: clients need not be told.
const AMQP: SocketAddr = SocketAddr::new(LOOPBACK, 5672);
const HTTP: SocketAddr = SocketAddr::new(LOOPBACK, 15672);
const LOOPBACK: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Run a broker, until Ctrl-C or SIGTERM
///
/// It listens on this machine only unless other addresses are named. For scripts: --listen 127.0.0.1:0 --print-url.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
pub struct Args {
    /// Listen for AMQP on this address; may be given several times; port 0 takes a free one
    /// [default: 127.0.0.1:5672]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    /// Serve the management API on this address [default: 127.0.0.1:15672; with --listen none]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Listen for AMQP over TLS on this address, with --tls-cert and --tls-key; --tls-ca asks clients for theirs
    #[arg(long, value_name = "ADDRESS", requires_all = ["tls_cert", "tls_key"])]
    tls_listen: Vec<SocketAddr>,
    /// Keep the broker in this directory, where --local finds it [default: $XDG_DATA_HOME/mq or ~/.local/share/mq]
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    data_dir: Option<PathBuf>,
    /// Keep nothing on disk, and use no directory
    #[arg(long)]
    memory: bool,
    /// Threads that serve connections [default: one less than there are cores, at least one]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Answer as this release of RabbitMQ does; 4.3 refuses what RabbitMQ 4.3 refuses by default, so that a test run shows
    /// what an upgrade breaks [default: as RabbitMQ 4 does, and what 4.3 deprecates still works]
    #[arg(long, value_name = "VERSION")]
    compat: Option<Release>,
    /// Load this file of definitions, as RabbitMQ exports them, over what is there before clients are let in
    #[arg(long, value_name = "FILE")]
    definitions: Option<PathBuf>,
    /// Write the log on stderr in this format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Print the URL that is listened on as the first line of stdout, the management API's as the second
    #[arg(long)]
    print_url: bool,
    #[command(flatten)]
    limits: LimitOptions,
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
enum LogFormat {
    Text,
    Json,
}

pub async fn run(args: Args, tls: TlsFiles, out: &mut Output) -> Result<Answer, CommandError> {
    start_log(args.log_format);
    // Listened for from here on, so that a signal during the start is not lost.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let host = Host::start(args.host_options(tls)?).await?;
    if let Some(recovered) = recovered(host.found()) {
        out.note(&recovered)?;
    }
    for url in host.urls() {
        out.note(&format!("listening on {url}"))?;
    }
    if let Some(url) = host.http_url() {
        out.note(&format!("management API at {url}api/"))?;
    }
    if args.print_url {
        for url in host.urls().into_iter().take(1).chain(host.http_url()) {
            out.line(&url)?;
        }
        out.flush()?;
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    host.stop().await;
    Ok(Answer::Yes)
}

/// What there is to say about what was found; nothing about a new directory.
fn recovered(found: Found) -> Option<String> {
    let Found { queues, messages, cut_bytes, took } = found;
    if (queues, messages, cut_bytes) == (0, 0, 0) {
        return None;
    }
    let (queues, messages) = (words::counted(queues, "queue"), words::counted(messages, "message"));
    let recovered = format!("recovered {queues}, {messages} in {} ms", took.as_millis());
    Some(match cut_bytes {
        0 => recovered,
        cut => {
            let cut = words::counted(cut, "byte");
            format!("{recovered}, cut {cut} that were never confirmed")
        }
    })
}

impl Args {
    /// How many threads are to serve connections. One core is left to the thread that writes to the disk, to the
    /// kernel's network and to clients on the same machine: with as many threads as cores a message costs more.
    pub fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or_else(|| (cores - 1).max(1), NonZeroUsize::get)
    }

    fn host_options(&self, tls: TlsFiles) -> Result<HostOptions, CommandError> {
        let directory = match (&self.data_dir, self.memory) {
            (_, true) => None,
            (Some(directory), false) => Some(directory.clone()),
            (None, false) => Some(default_directory(|name| std::env::var(name).ok())?),
        };
        let is_usual = self.listen.is_empty() && self.tls_listen.is_empty();
        let compat = self.compat.map(Compat::from).unwrap_or_default();
        Ok(HostOptions {
            listen: if is_usual { vec![AMQP] } else { self.listen.clone() },
            tls_listen: self.tls_listen.clone(),
            tls,
            http: self.http.or(is_usual.then_some(HTTP)),
            compat,
            definitions: self.definitions.clone(),
            limits: self.limits.limits(compat)?,
            memory: self.limits.watermark(),
            directory,
        })
    }
}

/// Sends what the broker has to say to stderr; `RUST_LOG` chooses how much [default: warnings].
fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A log that was started already, by a test, stays.
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}
