//! `mq wait`: until the broker answers.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::examples::examples;
use super::{Answer, CommandError, Interrupt};
use crate::engine::{Category, Engine, Error, Target};
use crate::render::Output;

/// The time to wait by default.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The pause between two attempts: short enough not to be felt, long enough to cost nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// Wait until the broker answers, at most --timeout [default: 30s]
///
/// For scripts that have just started a broker. If the broker refuses the login, the command fails at once. To try once
/// only, use `mq ping`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq wait",
    "mq wait --timeout 5s && mq publish --queue orders 'Hello World!'",
]))]
#[command(aliases = ["await-startup", "await_startup"])]
pub struct Args {}

#[derive(Debug, Serialize)]
struct Answering {
    broker: String,
}

pub async fn run(
    _: &Args,
    target: Target,
    timeout: Option<Duration>,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    let limit = timeout.unwrap_or(WAIT_MAX);
    let begin = Instant::now();
    let mut interrupt = Interrupt::listen()?;
    loop {
        let attempt = tokio::time::timeout(limit.saturating_sub(begin.elapsed()), attempt(&target));
        let error = tokio::select! {
            attempt = attempt => match attempt {
                Ok(Ok(())) => {
                    let broker = target.to_string();
                    out.done(&format!("the broker at {broker} answers"), &Answering { broker })?;
                    return Ok(Answer::Yes);
                }
                Ok(Err(error)) => Some(error),
                Err(_) => None,
            },
            () = interrupt.wait() => return Err(CommandError::Interrupted),
        };
        match error {
            Some(error)
                if !matches!(error.category(), Category::Unreachable | Category::TimedOut) =>
            {
                return Err(error.into());
            }
            _ if begin.elapsed() + PAUSE >= limit => {
                let waited = humantime::format_duration(limit);
                let problem = format!("no broker answered at {target} within {waited}");
                return Err(CommandError::TimedOut { problem });
            }
            _ => {}
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = interrupt.wait() => return Err(CommandError::Interrupted),
        }
    }
}

async fn attempt(target: &Target) -> Result<(), Error> {
    let engine = Engine::open(target.clone()).await?;
    engine.connect().await?;
    engine.close().await
}
