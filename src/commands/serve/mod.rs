//! `mq serve`: the broker, in the foreground.
//!
//! All its messages go to its log (`log`), from the first line on, because an operator reads nothing else.
//!
//! Reading order: `args` (the options), `config` (files and variables that set them), `effective` (what they come to),
//! `reload` (SIGHUP).

mod args;
pub mod config;
mod effective;
mod first;
mod http;
mod log;
mod log_levels;
mod log_lines;
mod login;
pub(in crate::commands) mod manual;
mod new_vhosts;
mod reload;
mod systemd;

pub use self::args::Args;
pub(in crate::commands) use self::args::Release;
use self::log::ServerLog;
use self::reload::Reload;
use self::systemd::ServiceManager;
use super::signals::{SignalName, Signals};
use super::{Answer, CommandError};
use crate::engine::{Host, StartReport, StopControl, TlsFiles};
use crate::render::{Output, words};

/// Waits for the signal that stops the broker, or for a client that asks for it; calls `reload` for each that does not.
async fn stopped(
    signals: &mut Signals,
    asked: &StopControl,
    mut reload: impl FnMut(),
) -> &'static str {
    loop {
        // Cancel-safe: neither a signal nor what was asked is lost when the other comes first.
        tokio::select! {
            () = asked.asked() => return "stop, over the management API",
            signal = signals.next() => match signal {
                SignalName::Interrupt => return "SIGINT",
                SignalName::Terminate => return "SIGTERM",
                SignalName::Hangup => reload(),
            },
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
    let log = ServerLog::start(&args.log, is_quiet, args.as_rabbitmq_server)?;
    for warning in &args.applied.warnings {
        tracing::warn!("{warning}");
    }
    // Listened for from here on, so that a signal during the start is not lost.
    let mut signals = Signals::listen()?;
    let mut options = args.host_options(tls.clone())?;
    options.log = log.control();
    options.stop = StopControl::new();
    let stop = options.stop.clone();
    options.configuration = args.entries(args.effective(&tls)?.into_iter());
    let directory = options.directory.as_ref().map(|directory| directory.display().to_string());
    let directory = directory.as_deref().unwrap_or("none, everything is in memory");
    tracing::info!(
        directory,
        pid = std::process::id(),
        "mq {} starting",
        env!("CARGO_PKG_VERSION")
    );
    let host = Host::start(options).await?;
    say_where(&host, args.as_rabbitmq_server);
    if args.print_url {
        let first = [host.urls(), host.http_urls(), host.metrics_urls()];
        for url in first.iter().filter_map(|urls| urls.first()) {
            out.line(url)?;
        }
        out.flush()?;
    }
    let _manager = ServiceManager::ready(&format!("listening on {}", host.urls().join(", ")));
    let mut reload = Reload::new(args, tls);
    let reload = || ServiceManager::around_reload(|| reload.run(&host, &log));
    let signal = stopped(&mut signals, &stop, reload).await;
    ServiceManager::stopping();
    tracing::info!(signal, "stopping: closing connections and writing messages to disk");
    host.stop().await;
    tracing::info!("stopped");
    Ok(Answer::Yes)
}

/// Says what was recovered and where clients find the broker; in RabbitMQ's words if it runs in its place, because
/// programs wait for them.
fn say_where(host: &Host, is_server: bool) {
    if let Some(recovered) = recovered(host.start_report()) {
        tracing::info!("{recovered}");
    }
    if is_server {
        let [plain, encrypted] = host.amqp_addresses();
        for address in plain {
            tracing::info!("started TCP listener on {address}");
        }
        for address in encrypted {
            tracing::info!("started TLS (SSL) listener on {address}");
        }
    } else {
        for url in host.urls() {
            tracing::info!("listening on {url}");
        }
    }
    for url in host.http_urls() {
        tracing::info!("management API at {url}api/");
    }
    for url in host.metrics_urls() {
        tracing::info!("metrics at {url}metrics");
    }
    let plugins = host.plugins();
    tracing::info!("Server startup complete; {} plugins started.", plugins.len());
    for plugin in plugins {
        tracing::info!(" * {plugin}");
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
