//! Facts about the process of a node: its log, its command line and environment, TLS, the sizes of messages. RabbitMQ's
//! API has no such calls.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::given::Given;
use super::operation::call_node;
use super::row::{AdminRow, AdminWork, CTL_DIAGNOSTICS, DIAGNOSTICS, Switch};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Method};

/// Lines of the log that are shown if nobody says how many (RabbitMQ: `log_tail`).
const LINES: u64 = 50;
/// The pause between two looks at a log that is followed.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "log-location",
        programs: DIAGNOSTICS,
        about: "Print where the broker writes its log",
        switches: &[Switch::flag("all", "Print all places, not just the first").short('a')],
        examples: &["mq log-location || echo 'this broker has no such call'"],
        work: AdminWork::Run(|given, cx| Box::pin(log_location(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "log-tail",
        programs: DIAGNOSTICS,
        about: "Print the last lines of the broker's log; it remembers 1000",
        switches: &[
            Switch::number("number", "LINES", "Print so many lines [default: 50]").short('N')
        ],
        examples: &["mq log-tail --number 5 || echo 'this broker has no such call'"],
        work: AdminWork::Run(|given, cx| Box::pin(log_tail(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "log-tail-stream",
        programs: DIAGNOSTICS,
        about: "Print lines of the broker's log as they are written",
        switches: &[DURATION],
        examples: &["mq log-tail-stream --duration 1 || echo 'this broker has no such call'"],
        work: AdminWork::Run(|given, cx| Box::pin(log_stream(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "command-line-arguments",
        programs: DIAGNOSTICS,
        about: "Print the command line of the broker, without passwords",
        examples: &["mq command-line-arguments || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(command_line(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "os-env",
        programs: DIAGNOSTICS,
        about: "Print the environment variables of the broker that are about it, without secrets",
        examples: &["mq os-env || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(variables(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "tls-versions",
        programs: DIAGNOSTICS,
        about: "Print the versions of TLS that the broker can speak",
        examples: &["mq tls-versions || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(tls_list("tls-versions", "versions", cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "cipher-suites",
        programs: DIAGNOSTICS,
        about: "Print the TLS ciphers that the broker has, by OpenSSL's names",
        examples: &["mq cipher-suites || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(tls_list("cipher-suites", "cipher_suites", cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "certificates",
        programs: DIAGNOSTICS,
        about: "Print the certificates of the addresses that listen with TLS",
        examples: &["mq certificates || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(certificates(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "message-size-stats",
        programs: DIAGNOSTICS,
        about: "Count the messages that clients have published by the sizes of their bodies",
        examples: &["mq message-size-stats || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(message_sizes(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "activate-free-disk-space-monitoring",
        programs: CTL_DIAGNOSTICS,
        about: "Watch the free space of the disk again",
        examples: &[
            "mq activate-free-disk-space-monitoring || echo 'this broker has no such call'",
        ],
        work: AdminWork::Run(|_, cx| {
            Box::pin(switch(
                "activate-free-disk-space-monitoring",
                Call::new(Method::PUT, "disk-monitoring"),
                "the free space of the disk is watched",
                cx,
            ))
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "deactivate-free-disk-space-monitoring",
        programs: CTL_DIAGNOSTICS,
        about: "Block no publishers for want of free space on the disk, until the broker starts again or gets SIGHUP",
        examples: &[
            "mq deactivate-free-disk-space-monitoring || echo 'this broker has no such call'",
        ],
        work: AdminWork::Run(|_, cx| {
            Box::pin(switch(
                "deactivate-free-disk-space-monitoring",
                Call::new(Method::DELETE, "disk-monitoring"),
                "the free space of the disk is not watched",
                cx,
            ))
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "enable-auth-attempt-source-tracking",
        programs: DIAGNOSTICS,
        about: "Count logins by address and user: list-node-auth-attempt-stats --by-source shows them",
        examples: &[
            "mq enable-auth-attempt-source-tracking || echo 'this broker has no such call'",
        ],
        work: AdminWork::Run(|_, cx| {
            Box::pin(switch(
                "enable-auth-attempt-source-tracking",
                Call::new(Method::PUT, "auth-attempt-source-tracking"),
                "logins are counted by address and user",
                cx,
            ))
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "disable-auth-attempt-source-tracking",
        programs: DIAGNOSTICS,
        about: "Count logins by address and user no longer, and forget these counts",
        examples: &[
            "mq disable-auth-attempt-source-tracking || echo 'this broker has no such call'",
        ],
        work: AdminWork::Run(|_, cx| {
            Box::pin(switch(
                "disable-auth-attempt-source-tracking",
                Call::new(Method::DELETE, "auth-attempt-source-tracking"),
                "logins are not counted by address and user",
                cx,
            ))
        }),
        ..AdminRow::PLAIN
    },
];

const DURATION: Switch =
    Switch::number("duration", "SECONDS", "End after so many seconds [default: until Ctrl-C]")
        .short('d');

/// The log behind a line of this number.
async fn log_after(name: &str, after: u64, cx: &mut Context) -> Result<Value, CommandError> {
    call_node(name, Call::get(format!("log/{after}")), cx).await
}

/// The lines of an answer, and the number of the last one.
fn lines(log: &Value) -> (Vec<&str>, Option<u64>) {
    let all = log["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = all.iter().filter_map(|line| line["text"].as_str()).collect();
    (texts, all.last().and_then(|line| line["number"].as_u64()))
}

async fn log_location(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let log = log_after("log-location", u64::MAX, cx).await?;
    let places = log["places"].as_array().cloned().unwrap_or_default();
    let shown = if given.is_set("all") { places.len() } else { 1 };
    print(places.iter().filter_map(Value::as_str).take(shown), cx)
}

async fn log_tail(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let log = log_after("log-tail", 0, cx).await?;
    let (all, _) = lines(&log);
    let most = usize::try_from(given.number("number").unwrap_or(LINES)).unwrap_or(usize::MAX);
    print(all[all.len().saturating_sub(most)..].iter().copied(), cx)
}

async fn log_stream(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let until =
        given.number("duration").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first = log_after("log-tail-stream", 0, cx).await?;
    let mut after = lines(&first).1.unwrap_or_default();
    loop {
        let next = Instant::now() + LOOK_AGAIN;
        match until {
            Some(until) if until <= next => {
                sleep_until(until).await;
            }
            _ => sleep(LOOK_AGAIN).await,
        }
        let log = log_after("log-tail-stream", after, cx).await?;
        let (new, last) = lines(&log);
        after = last.unwrap_or(after);
        print(new.into_iter(), cx)?;
        cx.out.flush()?;
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Answer::Yes);
        }
    }
}

/// Prints lines of text.
fn print<'a>(
    lines: impl Iterator<Item = &'a str>,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    for line in lines {
        show::text(line, cx)?;
    }
    Ok(Answer::Yes)
}

async fn command_line(cx: &mut Context) -> Result<Answer, CommandError> {
    let told = call_node("command-line-arguments", Call::get("command-line"), cx).await?;
    let arguments = told["arguments"].as_array().cloned().unwrap_or_default();
    print(arguments.iter().filter_map(Value::as_str), cx)
}

async fn variables(cx: &mut Context) -> Result<Answer, CommandError> {
    let told = call_node("os-env", Call::get("environment-variables"), cx).await?;
    let all = told["variables"].as_array().cloned().unwrap_or_default();
    let line = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        format!("{}={}", text("name"), text("value"))
    };
    let lines: Vec<_> = all.iter().map(line).collect();
    print(lines.iter().map(String::as_str), cx)
}

async fn tls_list(name: &str, field: &str, cx: &mut Context) -> Result<Answer, CommandError> {
    let told = call_node(name, Call::get("tls"), cx).await?;
    let all = told[field].as_array().cloned().unwrap_or_default();
    print(all.iter().filter_map(Value::as_str), cx)
}

async fn certificates(cx: &mut Context) -> Result<Answer, CommandError> {
    let told = call_node("certificates", Call::get("tls"), cx).await?;
    let listeners = told["listeners"].as_array().cloned().unwrap_or_default();
    let rows = listeners.iter().flat_map(|listener| {
        let found = listener["certificates"].as_array().cloned().unwrap_or_default();
        let name = listener["listener"].clone();
        let of_error =
            listener["error"].as_str().map(|why| json!({"listener": name, "subject": why}));
        let rows = found.into_iter().map(|mut row| {
            row["listener"] = listener["listener"].clone();
            row
        });
        rows.chain(of_error).collect::<Vec<_>>()
    });
    let rows: Vec<_> = rows.collect();
    show::rows(&["listener", "subject", "issuer", "validity", "serial_number"], &rows, cx)
}

async fn message_sizes(cx: &mut Context) -> Result<Answer, CommandError> {
    let told = call_node("message-size-stats", Call::get("message-sizes"), cx).await?;
    let rows = told.as_array().cloned().unwrap_or_default();
    show::rows(&["size", "count", "percentage"], &rows, cx)
}

/// Turns something on with PUT, or off with DELETE.
async fn switch(
    name: &str,
    call: Call,
    done: &str,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    call_node(name, call, cx).await?;
    show::done(done, cx)
}
