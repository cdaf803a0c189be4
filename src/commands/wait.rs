//! `mq wait`: until the broker answers, or has what is waited for.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::examples::examples;
use super::options::name;
use super::{Answer, CommandError, Interrupt};
use crate::engine::{Category, Engine, Error, ShortStr, Target};
use crate::render::{Output, words};

/// The time to wait by default.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The pause between two attempts: short enough not to be felt, long enough to cost nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// Wait until the broker answers, or until what --for says is true, at most --timeout [default: 30s]
///
/// For scripts that have just started a broker or a worker. If the broker refuses the login, the command fails at once. To
/// try once only, use `mq ping`; to check a broker's state in a test, use `mq expect`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq wait",
    "mq wait --timeout 5s && mq publish --queue orders 'Hello World!'",
    "mq declare-queue mail && mq wait --for queue=mail --for empty=mail",
]))]
#[command(aliases = ["await-startup", "await_startup"])]
pub struct Args {
    /// Wait for this: ready; queue=Q (it exists); exchange=E; empty=Q (no message is ready or unacknowledged);
    /// messages=Q:N (at least N are ready); consumers=Q:N (at least N; 1 if left out). May be given several times
    #[arg(long = "for", value_name = "STATE")]
    conditions: Vec<AwaitedState>,
}

/// The state that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AwaitedState {
    Ready,
    Queue(ShortStr),
    Exchange(ShortStr),
    Empty(ShortStr),
    Messages(ShortStr, u32),
    Consumers(ShortStr, u32),
}

impl FromStr for AwaitedState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let queue = |text: &str| name::queue(text).map_err(|error| error.to_string());
        let (kind, rest) = text.split_once('=').unwrap_or((text, ""));
        let counted = || {
            let counted =
                rest.rsplit_once(':').and_then(|(name, count)| Some((name, count.parse().ok()?)));
            let (name, count) = counted.unwrap_or((rest, 1));
            Ok::<_, String>((queue(name)?, count))
        };
        match kind {
            "ready" if rest.is_empty() => Ok(Self::Ready),
            "queue" => Ok(Self::Queue(queue(rest)?)),
            "exchange" => {
                name::exchange(rest).map(Self::Exchange).map_err(|error| error.to_string())
            }
            "empty" => Ok(Self::Empty(queue(rest)?)),
            "messages" => counted().map(|(name, count)| Self::Messages(name, count)),
            "consumers" => counted().map(|(name, count)| Self::Consumers(name, count)),
            _ => Err(
                "it is none of ready, queue=Q, exchange=E, empty=Q, messages=Q:N and consumers=Q:N"
                    .into(),
            ),
        }
    }
}

/// The answer to the question if a condition is met; `Err` says what is still missing.
type Met = Result<(), String>;

impl AwaitedState {
    async fn is_met(&self, engine: &Engine) -> Result<Met, Error> {
        let name = match self {
            Self::Ready => return Ok(Ok(())),
            Self::Exchange(name) => {
                let is_there = engine.has_exchange(name).await?;
                let missing = || format!("exchange '{name}' is not there");
                return Ok(is_there.then_some(()).ok_or_else(missing));
            }
            Self::Queue(name)
            | Self::Empty(name)
            | Self::Messages(name, _)
            | Self::Consumers(name, _) => name,
        };
        let state = match engine.find_queue(name).await {
            // The queue of another connection is there.
            Err(Error::Refused { code: 405, .. }) if matches!(self, Self::Queue(_)) => {
                return Ok(Ok(()));
            }
            state => state?,
        };
        let Some(state) = state else { return Ok(Err(format!("queue '{name}' is not there"))) };
        let (ready, consumers) = (state.message_count, state.consumer_count);
        Ok(match self {
            Self::Messages(_, least) if ready < *least => {
                Err(format!("queue '{name}' has {}", words::counted(ready.into(), "ready message")))
            }
            Self::Consumers(_, least) if consumers < *least => {
                Err(format!("queue '{name}' has {}", words::counted(consumers.into(), "consumer")))
            }
            Self::Empty(_) if ready > 0 => {
                Err(format!("queue '{name}' has {}", words::counted(ready.into(), "ready message")))
            }
            Self::Empty(_) => match engine.inspect().unacknowledged(name).await? {
                0 => Ok(()),
                count => Err(format!(
                    "queue '{name}' has {}",
                    words::counted(count, "unacknowledged message")
                )),
            },
            _ => Ok(()),
        })
    }
}

#[derive(Debug, Serialize)]
struct Answering {
    broker: String,
}

/// The state of the wait after one look.
enum Look {
    Done,
    /// The broker answers, and this is not true yet.
    Missing(String),
    NoAnswer(Option<Error>),
}

pub async fn run(
    args: &Args,
    target: Target,
    timeout: Option<Duration>,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    let limit = timeout.unwrap_or(WAIT_MAX);
    let begin = Instant::now();
    let mut interrupt = Interrupt::listen()?;
    let mut engine = None;
    // What was not there when the broker last answered.
    let mut missing = None;
    loop {
        let left = limit.saturating_sub(begin.elapsed());
        let look = tokio::select! {
            look = tokio::time::timeout(left, look(&target, &mut engine, &args.conditions)) => {
                look.unwrap_or(Look::NoAnswer(None))
            }
            () = interrupt.wait() => return Err(CommandError::Interrupted),
        };
        match look {
            Look::Done => {
                if let Some(engine) = engine {
                    engine.close().await?;
                }
                let broker = target.to_string();
                let words = if args.conditions.is_empty() {
                    format!("the broker at {broker} answers")
                } else {
                    format!("the broker at {broker} has all that was waited for")
                };
                out.done(&words, &Answering { broker })?;
                return Ok(Answer::Yes);
            }
            Look::NoAnswer(Some(error))
                if !matches!(error.category(), Category::Unreachable | Category::TimedOut) =>
            {
                return Err(error.into());
            }
            Look::Missing(what) => missing = Some(what),
            // The next attempt connects again.
            Look::NoAnswer(_) => engine = None,
        }
        if begin.elapsed() + PAUSE >= limit {
            let waited = humantime::format_duration(limit);
            let problem = match missing {
                Some(what) => format!("{what} after {waited}"),
                None => format!("no broker answered at {target} within {waited}"),
            };
            return Err(CommandError::TimedOut { problem });
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = interrupt.wait() => return Err(CommandError::Interrupted),
        }
    }
}

/// Looks once; connects if that is not done.
async fn look(target: &Target, engine: &mut Option<Engine>, conditions: &[AwaitedState]) -> Look {
    let looking = async {
        let engine = match engine {
            Some(engine) => engine,
            None => engine.insert(Engine::open(target.clone()).await?),
        };
        engine.connect().await?;
        for condition in conditions {
            if let Err(missing) = condition.is_met(engine).await? {
                return Ok(Look::Missing(missing));
            }
        }
        Ok(Look::Done)
    };
    looking.await.unwrap_or_else(|error| Look::NoAnswer(Some(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::literal;

    #[test]
    fn conditions_are_read() {
        let cases = [
            ("ready", Ok(AwaitedState::Ready)),
            ("queue=a=b", Ok(AwaitedState::Queue(literal("a=b")))),
            ("empty=q", Ok(AwaitedState::Empty(literal("q")))),
            ("consumers=q", Ok(AwaitedState::Consumers(literal("q"), 1))),
            ("consumers=a:b:2", Ok(AwaitedState::Consumers(literal("a:b"), 2))),
            ("messages=a:b", Ok(AwaitedState::Messages(literal("a:b"), 1))),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<AwaitedState>(), expected, "{text}");
        }
        for text in ["", "ready=now", "queue=", "depth=q", "consumers=:2"] {
            assert!(text.parse::<AwaitedState>().is_err(), "{text}");
        }
    }
}
