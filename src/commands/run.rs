//! `mq run`: a program beside a broker of its own.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use clap::ValueEnum;
use rustix::process::{Pid, Signal as UnixSignal, kill_process};
use tokio::process::{Child, Command};

use super::examples::examples;
use super::serve::Release;
use super::signals::{SignalName, Signals};
use super::{Answer, CommandError};
use crate::engine::{Address, Ending, FirstAccess, Host, HostOptions, Incident, escape};
use crate::render::{Output, words};

/// A loopback address with a free port.
const FREE: &str = "127.0.0.1:0";
/// The time that connections of the program may take to end when it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Run a program beside a broker of its own, and exit with its code
///
/// The broker begins empty, in memory, on free ports of 127.0.0.1, and ends with the program. The program finds it by
/// AMQP_URL, RABBITMQ_URL, CELERY_BROKER_URL and MQ_URL, the management API by MQ_HTTP_URL, and the parts by
/// RABBITMQ_HOST, RABBITMQ_PORT, RABBITMQ_USER, RABBITMQ_PASSWORD, RABBITMQ_VHOST and the same with AMQP_. SIGTERM and
/// SIGHUP are passed on to the program. The exit code is the program's, 128 and the number of the signal that ended it,
/// 127 if there is no such program, 126 if it cannot be run, or 1 if --fail-on finds something. To keep a broker running,
/// use `mq serve`.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[command(after_help = examples(&[
    "mq run -- sh -c 'mq publish --queue jobs hello && mq get --queue jobs'",
    "mq run --fail-on left -- mq publish --queue jobs hello || echo 'not all is consumed'",
]))]
pub struct Args {
    /// Import the definitions in this file, which RabbitMQ exported, before the program starts
    #[arg(long, value_name = "FILE")]
    definitions: Option<PathBuf>,
    /// Behave like this release of RabbitMQ; 4.3 also refuses what RabbitMQ 4.3 refuses by default
    #[arg(long, value_name = "VERSION")]
    compat: Option<Release>,
    /// Fail if messages were left in queues, published to no queue, dead-lettered, or delivered and never acknowledged
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_enum)]
    fail_on: Vec<FailOn>,
    /// Store queues and messages in this directory, which stays
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Listen for AMQP on this address [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", default_value = FREE, hide_default_value = true)]
    listen: Address,
    /// Serve the management API on this address [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", default_value = FREE, hide_default_value = true)]
    http: Address,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// The end of a message that is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Delivered, and not acknowledged when the channel or connection ended
    Unacked,
    /// Published, and no queue was bound for it
    Unroutable,
    /// Rejected, expired or too many for a queue that has a dead letter exchange
    DeadLettered,
    /// Still in a queue at the end; streams do not count
    Left,
}

impl FailOn {
    fn of(incident: &Incident) -> Option<Self> {
        match incident {
            Incident::Unacked { .. } => Some(Self::Unacked),
            Incident::Unroutable { .. } => Some(Self::Unroutable),
            Incident::DeadLettered { .. } => Some(Self::DeadLettered),
            Incident::Elsewhere => None,
        }
    }
}

pub async fn run(args: Args, out: &mut Output) -> Result<Answer, CommandError> {
    let options = HostOptions {
        listen: vec![args.listen],
        http: Some(args.http),
        compat: args.compat.map(Into::into).unwrap_or_default(),
        definitions: args.definitions.clone(),
        directory: args.keep.clone(),
        has_first_access_always: true,
        watches_incidents: !args.fail_on.is_empty(),
        ..HostOptions::default()
    };
    // Listened for before there is a program that they are for.
    let mut signals = Signals::listen()?;
    let host = Host::start(options).await?;
    let started = start(&args.program, &host);
    let mut child = match started {
        Ok(child) => child,
        Err(source) => {
            host.stop().await;
            return Err(CommandError::Program { program: args.program[0].clone(), source });
        }
    };
    let status = ended(&mut child, &mut signals).await?;
    host.quiet(LAST_WORDS).await;
    let found = found(&host.end().await, &args.fail_on);
    for line in &found {
        out.complain(line)?;
    }
    let code = exit_code(status);
    Ok(Answer::Exit(if code == 0 && !found.is_empty() { 1 } else { code }))
}

fn start(program: &[OsString], host: &Host) -> io::Result<Child> {
    let (name, arguments) = program.split_first().expect("clap asks for one");
    Command::new(name)
        .args(arguments)
        .env_remove("MQ_LOCAL")
        .env_remove("MQ_CONTEXT")
        .envs(variables(host))
        .spawn()
}

/// The variables by which programs find the broker.
fn variables(host: &Host) -> Vec<(String, String)> {
    let access = FirstAccess::default();
    let [user, password, vhost] =
        [access.user.as_str(), access.password.reveal(), access.vhost.as_str()];
    let login = format!("{}:{}", escape(user), escape(password));
    let mut variables = Vec::new();
    if let Some(address) = host.amqp_addresses()[0].first() {
        let url = format!("amqp://{login}@{address}/{}", escape(vhost));
        for name in ["AMQP_URL", "RABBITMQ_URL", "CELERY_BROKER_URL", "MQ_URL"] {
            variables.push((name.to_owned(), url.clone()));
        }
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let parts = [
            ("HOST", host.as_str()),
            ("PORT", &port),
            ("USER", user),
            ("PASSWORD", password),
            ("VHOST", vhost),
        ];
        for (name, value) in parts {
            variables.extend(
                ["RABBITMQ", "AMQP"].map(|before| (format!("{before}_{name}"), value.to_owned())),
            );
        }
    }
    if let Some(url) = host.http_urls().first() {
        variables.push(("MQ_HTTP_URL".to_owned(), url.clone()));
    }
    variables
}

/// Waits for the end of the program, to which signals are passed on. Ctrl-C is sent to it by the terminal.
async fn ended(child: &mut Child, signals: &mut Signals) -> Result<ExitStatus, CommandError> {
    loop {
        let signal = tokio::select! {
            status = child.wait() => return Ok(status?),
            signal = signals.next() => match signal {
                SignalName::Interrupt => continue,
                SignalName::Terminate => UnixSignal::TERM,
                SignalName::Hangup => UnixSignal::HUP,
            },
        };
        let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(id) = id {
            // If it has just ended, it needs no signal.
            let _ = kill_process(id, signal);
        }
    }
}

/// The exit code that a shell would give.
fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;

    let of_signal = || status.signal().map_or(1, |signal| 128 + signal);
    u8::try_from(status.code().unwrap_or_else(of_signal)).unwrap_or(1)
}

/// The failures that are looked for, a line each.
fn found(ending: &Ending, fail_on: &[FailOn]) -> Vec<String> {
    let mut lines = Vec::new();
    for (incident, count) in &ending.incidents {
        if FailOn::of(incident).is_none_or(|kind| fail_on.contains(&kind)) {
            lines.push(format!("mq run: {} {incident}", words::counted(*count, "message")));
        }
    }
    if fail_on.contains(&FailOn::Left) {
        for left in &ending.left {
            lines.push(format!("mq run: {left}"));
        }
    }
    lines
}
