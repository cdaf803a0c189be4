//! The operation of a node that runs: its maintenance, listeners, limits and log level. RabbitMQ's API has no such calls.

use serde_json::{Value, json};

use super::given::Given;
use super::row::{AdminRow, AdminWork, Operand, UPGRADE};
use super::{node, show};
use crate::commands::options::size::Size;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, Error, Method, escape};

/// The levels of the log.
const LOG_LEVELS: [&str; 6] = ["debug", "info", "warning", "error", "critical", "none"];

/// The states in which a node accepts no clients, as paths of the management API.
const MAINTENANCE: &str = "maintenance";
const SUSPENSION: &str = "suspension";

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "drain",
        programs: UPGRADE,
        about: "Put the broker into maintenance: close its connections and accept no new ones over TCP",
        examples: &["mq drain || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(drain(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "revive",
        programs: UPGRADE,
        about: "Put the broker back into service after drain; name it by --http-url, because AMQP is closed",
        examples: &["mq revive --http-url \"$MQ_HTTP_URL\" || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(revive(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "suspend-listeners",
        about: "Accept no new clients over TCP; those that are connected stay",
        examples: &["mq suspend-listeners || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(suspend(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "resume-listeners",
        about: "Accept clients again after suspend-listeners; name the broker by --http-url, because AMQP is closed",
        examples: &[
            "mq resume-listeners --http-url \"$MQ_HTTP_URL\" || echo 'this broker has no such call'",
        ],
        work: AdminWork::Run(|_, cx| Box::pin(resume(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "stop-app",
        about: "Do what drain does: close connections and accept no new ones; the process, its messages and its \
                management API stay",
        examples: &["mq stop-app || echo 'this broker has no such call'"],
        work: AdminWork::Run(|_, cx| Box::pin(stop_app(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "start-app",
        about: "Accept clients again after stop-app; name the broker by --http-url, because AMQP is closed",
        examples: &[
            "mq start-app --http-url \"$MQ_HTTP_URL\" || echo 'this broker has no such call'",
        ],
        work: AdminWork::Run(|_, cx| Box::pin(start_app(cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-disk-free-limit",
        about: "Block publishers while the disk has less free space than this, until the broker starts again or gets \
                SIGHUP",
        operands: &[
            Operand::one("disk_limit", "A size such as 50MB, or the word mem_relative"),
            Operand::optional("fraction", "Behind mem_relative: this part of the memory"),
        ],
        examples: &[
            "mq set-disk-free-limit 50MB || echo 'this broker has no such call'",
            "mq set-disk-free-limit mem_relative 0.001 || echo 'this broker has no such call'",
        ],
        work: AdminWork::Run(|given, cx| Box::pin(limit_disk(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-vm-memory-high-watermark",
        about: "Block publishers while the broker uses more memory than this, until it starts again or gets SIGHUP",
        operands: &[
            Operand::one("fraction", "A part of the memory such as 0.6, or the word absolute"),
            Operand::optional("value", "Behind absolute: a size such as 2GB"),
        ],
        examples: &[
            "mq set-vm-memory-high-watermark 0.6 || echo 'this broker has no such call'",
            "mq set-vm-memory-high-watermark absolute 2GB || echo 'this broker has no such call'",
        ],
        work: AdminWork::Run(|given, cx| Box::pin(limit_memory(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-log-level",
        about: "Log messages of this level and of more severe ones, until the broker starts again or gets SIGHUP",
        operands: &[Operand::one(
            "log_level",
            "Lowest level that is logged: debug, info, warning, error, critical or none",
        )],
        examples: &["mq set-log-level info || echo 'this broker has no such call'"],
        work: AdminWork::Run(|given, cx| Box::pin(set_log_level(given, cx))),
        ..AdminRow::PLAIN
    },
];

async fn drain(cx: &mut Context) -> Result<Answer, CommandError> {
    close("drain", MAINTENANCE, "the node is in maintenance and accepts no clients", cx).await
}

async fn revive(cx: &mut Context) -> Result<Answer, CommandError> {
    open("revive", MAINTENANCE, "the node is back in service", cx).await
}

async fn stop_app(cx: &mut Context) -> Result<Answer, CommandError> {
    close("stop-app", MAINTENANCE, "the node has closed its connections and accepts no clients", cx)
        .await
}

async fn start_app(cx: &mut Context) -> Result<Answer, CommandError> {
    open("start-app", MAINTENANCE, "the node accepts clients again", cx).await
}

async fn suspend(cx: &mut Context) -> Result<Answer, CommandError> {
    close("suspend-listeners", SUSPENSION, "the node accepts no new clients", cx).await
}

async fn resume(cx: &mut Context) -> Result<Answer, CommandError> {
    open("resume-listeners", SUSPENSION, "the node accepts clients again", cx).await
}

/// Begins a state in which the node accepts no clients.
async fn close(
    name: &str,
    state: &str,
    done: &str,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    change(name, Call::new(Method::PUT, state.to_owned()), done, cx).await
}

/// Ends such a state.
async fn open(
    name: &str,
    state: &str,
    done: &str,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    change(name, Call::new(Method::DELETE, state.to_owned()), done, cx).await
}

/// Makes a call whose path begins at the node; `name` is the command.
async fn change(
    name: &str,
    call: Call,
    done: &str,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    call_node(name, call, cx).await?;
    show::done(done, cx)
}

/// The same, and nothing is said about it; the answer is the node's.
pub(super) async fn call_node(
    name: &str,
    call: Call,
    cx: &mut Context,
) -> Result<Value, CommandError> {
    let doing = show::doing(name);
    let node = node::node(&doing, cx).await?;
    let path = format!("nodes/{}/{}", escape(&node), call.path);
    match cx.engine.inspect().send(&doing, &Call { path, ..call }).await {
        // RabbitMQ's API has no such call.
        Err(Error::Refused { code: 404 | 405, .. }) => Err(show::not_offered(name)),
        answer => Ok(answer?),
    }
}

async fn limit_disk(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let words: Vec<&str> =
        ["disk_limit", "fraction"].into_iter().filter_map(|name| given.optional(name)).collect();
    let limit = disk_limit(&words)?;
    let body = json!({"disk_free_limit": limit});
    let call = Call { body: Some(body), ..Call::new(Method::PUT, "limits".to_owned()) };
    let done = match words[..] {
        [_, part] => format!("the disk free limit is {part} of the memory"),
        _ => format!("the disk free limit is {}", given.text("disk_limit")),
    };
    change("set-disk-free-limit", call, &done, cx).await
}

async fn limit_memory(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let words: Vec<&str> =
        ["fraction", "value"].into_iter().filter_map(|name| given.optional(name)).collect();
    let limit = memory_limit(&words)?;
    let body = json!({"vm_memory_high_watermark": limit});
    let call = Call { body: Some(body), ..Call::new(Method::PUT, "limits".to_owned()) };
    let done = match words[..] {
        [_, size] => format!("the memory high watermark is {size}"),
        _ => format!("the memory high watermark is {} of the memory", given.text("fraction")),
    };
    change("set-vm-memory-high-watermark", call, &done, cx).await
}

async fn set_log_level(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let level = given.text("log_level");
    check_log_level(level).map_err(CommandError::usage)?;
    let body = Some(json!({"level": level}));
    let call = Call { body, ..Call::new(Method::PUT, "log-level".to_owned()) };
    change("set-log-level", call, &format!("the log level is {level}"), cx).await
}

/// Checks the name of a level; the error is RabbitMQ's.
pub(in crate::commands) fn check_log_level(level: &str) -> Result<(), String> {
    if LOG_LEVELS.contains(&level) {
        return Ok(());
    }
    Err(format!("level {level} is not supported. Try one of {}", LOG_LEVELS.join(", ")))
}

/// Reads the words behind `set_disk_free_limit`: the limit as the management API takes it.
pub(in crate::commands) fn disk_limit(words: &[&str]) -> Result<Value, CommandError> {
    match words {
        ["mem_relative", part] => relative(part, f64::MAX),
        ["mem_relative"] => {
            Err(wrong("mem_relative needs a part of the memory", "mem_relative 1.0"))
        }
        [size] => absolute(size),
        _ => Err(wrong("a word is too many", "50MB, or mem_relative 1.0")),
    }
}

/// The same for `set_vm_memory_high_watermark`.
pub(in crate::commands) fn memory_limit(words: &[&str]) -> Result<Value, CommandError> {
    match words {
        ["absolute", size] => absolute(size),
        ["absolute"] => Err(wrong("absolute needs a size", "absolute 2GB")),
        [part] => relative(part, 1.0),
        _ => Err(wrong("a word is too many", "0.6, or absolute 2GB")),
    }
}

fn absolute(text: &str) -> Result<Value, CommandError> {
    let size = Size::of_rabbitmq(text).map_err(|error| CommandError::usage(error.to_string()))?;
    Ok(json!({"absolute": size.bytes}))
}

fn relative(text: &str, most: f64) -> Result<Value, CommandError> {
    let part = text.parse().ok().filter(|part| (0.0..=most).contains(part));
    let part: f64 = part.ok_or_else(|| {
        let kind = if most > 1.0 { "number from 0 on" } else { "number from 0 to 1" };
        let is_size = most <= 1.0 && Size::of_rabbitmq(text).is_ok();
        let hint = is_size.then(|| format!("write absolute {text}"));
        CommandError::Usage { problem: format!("'{text}' is not a {kind}"), hint }
    })?;
    Ok(json!({"relative": part}))
}

fn wrong(problem: &str, right: &str) -> CommandError {
    CommandError::Usage { problem: problem.to_owned(), hint: Some(format!("write {right}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_rabbitmq_reads_them() {
        #[rustfmt::skip]
        let disk = [
            ("100MB",              Some(json!({"absolute": 100_000_000}))),
            ("1G",                 Some(json!({"absolute": 1 << 30}))),
            ("5000",               Some(json!({"absolute": 5000}))),
            ("mem_relative 1.5",   Some(json!({"relative": 1.5}))),
            ("mem_relative",       None),
            ("mem_relative -1",    None),
            ("mem_relative nan",   None),
            ("x",                  None),
            ("1GB 2",              None),
        ];
        #[rustfmt::skip]
        let memory = [
            ("0.5",                Some(json!({"relative": 0.5}))),
            ("absolute 1GB",       Some(json!({"absolute": 1_000_000_000}))),
            ("absolute",           None),
            ("absolute x",         None),
            ("1.5",                None),
            ("1GB",                None),
            ("0.5 x",              None),
        ];
        let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
        for (text, expected) in disk {
            assert_eq!(disk_limit(&words(text)).ok(), expected, "{text}");
        }
        for (text, expected) in memory {
            assert_eq!(memory_limit(&words(text)).ok(), expected, "{text}");
        }
    }
}
