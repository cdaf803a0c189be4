//! `await_startup` and `wait`: until a broker answers.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::asked::Asked;
use super::failure::{Failure, TIMED_OUT, UNAVAILABLE};
use super::reached::{EndedWork, Reached, node_asked_for};
use super::shown::Shown;
use super::work::{CommandWork, WorkKind};
use crate::render::Output;

/// The time to wait by default.
const WAIT_MAX: Duration = Duration::from_mins(5);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork { name: "await_startup", work: WorkKind::Wait, ..CommandWork::PLAIN },
    CommandWork { name: "wait", words: (0, 1), work: WorkKind::Wait, ..CommandWork::PLAIN },
];

/// Waits; `wait` tells what for.
pub(super) async fn run(asked: &Asked, mut out: Output) -> EndedWork {
    #[expect(clippy::disallowed_methods, reason = "it waits for a broker in real time")]
    let begin = Instant::now();
    let limit = asked.timeout().unwrap_or(WAIT_MAX);
    let node = node_asked_for(asked);
    let is_told = asked.name.as_deref() == Some("wait") && !asked.is_quiet();
    let say = |words: String, out: &mut Output| {
        // What cannot be written now cannot be written at the end.
        let _ = if is_told { out.line(&words).and_then(|()| out.flush()) } else { Ok(()) };
    };
    let timed_out = || {
        let name = asked.name.as_deref().unwrap_or_default();
        let text = format!(
            "Error: operation {name} on node {node} timed out. Timeout value used: {}",
            limit.as_millis()
        );
        Failure::plain(TIMED_OUT, text)
    };
    let Some(pid) = process_id(asked, begin, limit, &mut out, &say).await else {
        return (Err(timed_out()), out);
    };
    if let Some(pid) = &pid {
        say(
            format!(
                "Waiting for erlang distribution on node '{node}' while OS process '{pid}' is running"
            ),
            &mut out,
        );
    }
    say(
        format!("Waiting for applications 'rabbit_and_plugins' to start on node '{node}'"),
        &mut out,
    );
    loop {
        match Reached::open(asked, out).await {
            Ok(reached) => {
                let crate::commands::Context { engine, out: back, .. } = reached.cx;
                let _ = engine.close().await;
                out = back;
                say(
                    format!("Applications 'rabbit_and_plugins' are running on node '{node}'"),
                    &mut out,
                );
                return (Ok(Shown::Nothing), out);
            }
            Err((failure, back)) => {
                out = back;
                let is_over = begin.elapsed() >= limit;
                let has_ended = |pid: &String| !Path::new(&format!("/proc/{pid}")).exists();
                if pid.as_ref().is_some_and(has_ended) {
                    return (Err(Failure::error(UNAVAILABLE, "process_not_running")), out);
                }
                if is_over || failure.code != UNAVAILABLE {
                    return (Err(if is_over { timed_out() } else { failure }), out);
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The process id: that of `--pid`, or the one in the file, which is waited for. `None` if the time is up.
async fn process_id(
    asked: &Asked,
    begin: Instant,
    limit: Duration,
    out: &mut Output,
    say: &impl Fn(String, &mut Output),
) -> Option<Option<String>> {
    let mut pid = asked.optional("pid").map(str::to_owned);
    let Some(file) = asked.words.first() else { return Some(pid) };
    say(format!("Waiting for pid file '{file}' to appear"), out);
    while pid.is_none() {
        let text = fs::read_to_string(file).unwrap_or_default();
        let word = text.split_whitespace().next();
        pid = word.filter(|word| word.parse::<u32>().is_ok()).map(str::to_owned);
        if pid.is_none() {
            if begin.elapsed() >= limit {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    say(format!("pid is {}", pid.as_deref().unwrap_or_default()), out);
    Some(pid)
}
