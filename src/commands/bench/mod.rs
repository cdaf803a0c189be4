//! `mq bench`: how fast is the broker, how soon do messages come, and do all of them come?
//!
//! Like RabbitMQ's `PerfTest`, whose short options it has. The load itself is [`crate::engine::bench`]'s.

mod condition;
mod figure;
mod report;

use std::pin::pin;
use std::time::Duration;

use super::options::argument::{self, Argument};
use super::options::rate::Rate;
use super::options::size::Size;
use super::{Answer, CommandError, Context, Interrupt};
use crate::engine::bench::{
    Acknowledge, BenchDurability, BenchOutcome, Plan, SIZE_MIN_TO_VERIFY, Second, Speed, Stop,
};
use crate::engine::{Engine, ShortStr};
use crate::render::{Format, Output};
use condition::{Condition, Limit};
use report::{Report, Side, second_json, second_words};

/// Largest body, in bytes: what a broker takes at the most.
const SIZE_MAX: u64 = 512 << 20;
/// The time to measure by default.
const DURATION: Duration = Duration::from_secs(10);
/// The time to load before measuring by default.
const WARMUP: Duration = Duration::from_secs(1);
/// Turns each broker gets in a comparison: what comes and goes on the machine then meets both.
const ROUNDS: u32 = 3;
/// Messages in the broker at which publishers pause unless told otherwise: a broker that takes in more than it gives out
/// would else be measured with a backlog that grows and grows.
const BACKLOG_MAX: u64 = 50_000;

/// Measure a broker: rates, latencies and lost messages
///
/// Declares its own queues, publishes and consumes, prints the results, and deletes the queues. Without --rate it
/// publishes as fast as it can, and latencies are those of a loaded broker. With --rate the latency of a message counts
/// from the time at which it was due, so a stall counts for every message that it delayed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Publish on this many connections [default: 1]
    #[arg(long, short = 'x', alias = "producers", value_name = "COUNT", default_value_t = 1, hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    publishers: u32,
    /// Consume on this many connections; 0 only publishes [default: 1]
    #[arg(long, short = 'y', value_name = "COUNT", default_value_t = 1, hide_default_value = true, value_parser = clap::value_parser!(u32).range(..=1000))]
    consumers: u32,
    /// Use this many queues, distributed among publishers and consumers [default: 1]
    #[arg(long, value_name = "COUNT", default_value_t = 1, hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    queues: u32,
    /// Publish bodies of this size, for example 1KiB [default: 1KiB]
    #[arg(
        long,
        short = 's',
        value_name = "SIZE",
        default_value = "1KiB",
        hide_default_value = true
    )]
    size: Size,
    /// Measure for this long, for example 10s or 5m [default: 10s, or until --count is reached]
    #[arg(long, short = 'z', alias = "time", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Load the broker for this long before measuring [default: 1s, or 0s with --count]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, conflicts_with = "count")]
    warmup: Option<Duration>,
    /// Publish this many messages in all, and end after they are delivered
    #[arg(long, short = 'n', value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Make the exchange durable, as the queues always are
    #[arg(long)]
    durable: bool,
    /// Make messages persistent, and the exchange durable
    #[arg(long, short = 'p')]
    persistent: bool,
    /// Publish with confirms, at most this many unconfirmed per publisher [default: without confirms]
    #[arg(long, short = 'c', value_name = "MESSAGES", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    confirm: Option<u32>,
    /// Acknowledge once per this many deliveries [default: automatic acknowledgement]
    #[arg(long, short = 'a', value_name = "MESSAGES", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    ack: Option<u32>,
    /// Let each consumer hold at most this many unacknowledged messages [default: no limit]
    #[arg(long, alias = "qos", value_name = "MESSAGES", requires = "ack")]
    prefetch: Option<u16>,
    /// Publish at this rate, all publishers together, for example 3000/s [default: as fast as possible]
    #[arg(long, short = 'r', value_name = "RATE")]
    rate: Option<Rate>,
    /// Pause publishers while this many messages are in the broker; 0 means no limit [default: 50000, or 0 with --rate]
    #[arg(long, value_name = "MESSAGES", conflicts_with = "rate")]
    max_backlog: Option<u64>,
    /// Publish to an exchange of this type [default: to the default exchange]
    #[arg(long, short = 't', value_name = "TYPE", value_parser = ["direct", "fanout", "topic", "headers"])]
    exchange_type: Option<String>,
    /// Bind this many routing keys; each message has one of them [default: one per queue]
    #[arg(long, value_name = "COUNT", requires = "exchange_type", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    bindings: Option<u32>,
    /// Declare queues with this argument, for example x-queue-type=quorum; may be given several times
    #[arg(long, value_name = "NAME[:TYPE]=VALUE")]
    argument: Vec<Argument>,
    /// Check that every message arrives once, in its publisher's order and unchanged; exit with code 1 if not
    #[arg(long)]
    verify: bool,
    /// Exit with code 1 if this condition holds, for example 'p99>20ms' or 'publish-rate<100k'; may be given several
    /// times
    #[arg(long, value_name = "CONDITION")]
    fail_if: Vec<Condition>,
    /// Also measure the broker at this address, in turns with the first, and compare
    #[arg(long, value_name = "URL")]
    against: Option<String>,
    /// Measure each broker this many times [default: 3]
    #[arg(long, value_name = "COUNT", requires = "against", default_value_t = ROUNDS, hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

const EXAMPLES: &str = "Examples:
  mq bench                                             one publisher, one consumer, 1 KiB
  mq bench -x 4 -y 4 --queues 4 --persistent -c 500 -a 50 --prefetch 500
  mq bench --rate 3000/s --persistent -c 1000 -a 1 --fail-if 'p99>20ms'
  mq bench -t topic --bindings 1000 --queues 10 --against amqp://other-host
  mq bench -n 1000000 --verify -o json

Conditions compare publish-rate, confirm-rate, deliver-rate, published, confirmed, delivered, nacked; p50, p99.9 or \
any other percentile, min, mean and max of the time to delivery, and of the time to the confirm with the prefix \
confirm-; and, with --verify, lost, duplicates, misordered, corrupt. With --against, a limit such as 0.9x is that many \
times the other broker's figure.";

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let plan = args.plan()?;
    args.check_conditions(&plan)?;
    let mut bench = Bench { stop: Stop::default(), interrupt: Interrupt::listen()?, plan: &plan };
    let mut first =
        Side { target: cx.engine.target().to_string(), outcome: BenchOutcome::default() };
    let mut second = None;
    match &args.against {
        None => first.outcome = bench.run(&plan, &cx.engine, &mut cx.out).await?,
        Some(url) => {
            let other = Engine::open(cx.engine.target().another(url)?).await?;
            let side =
                Side { target: other.target().to_string(), outcome: BenchOutcome::default() };
            let side = second.insert(side);
            let ran = bench
                .take_turns(&args, [(&cx.engine, &mut first), (&other, side)], &mut cx.out)
                .await;
            let closed = other.close().await;
            ran?;
            closed?;
        }
    }
    let is_interrupted = first.outcome.is_interrupted
        || second.as_ref().is_some_and(|side| side.outcome.is_interrupted);
    let failures = if is_interrupted { Vec::new() } else { args.failures(&first, second.as_ref()) };
    let report =
        Report { plan: &plan, first: &first, second: second.as_ref(), failures: &failures };
    report.print(&mut cx.out)?;
    if is_interrupted {
        return Err(CommandError::Interrupted);
    }
    if failures.is_empty() {
        Ok(Answer::Yes)
    } else {
        Err(CommandError::CheckFailed { problems: failures })
    }
}

/// The parts that all runs of a command share.
struct Bench<'a> {
    plan: &'a Plan,
    stop: Stop,
    interrupt: Interrupt,
}

impl Bench<'_> {
    /// Runs a plan; press Ctrl-C to stop in order.
    async fn run(
        &mut self,
        plan: &Plan,
        engine: &Engine,
        out: &mut Output,
    ) -> Result<BenchOutcome, CommandError> {
        let total = plan.duration.unwrap_or_default().as_secs();
        let progress = out.progress_of_seconds(total);
        progress.show(0, "warming up");
        let is_jsonl = out.format() == Some(Format::Jsonl);
        let (mut number, mut unwritten) = (0, Ok(()));
        let mut on_second = |second: &Second| {
            number += 1;
            progress.line(&second_words(plan, second));
            progress.show(number as u64, "");
            if is_jsonl && unwritten.is_ok() {
                unwritten = out.json_line(&second_json(number, second)).and_then(|()| out.flush());
            }
        };
        let outcome = {
            let mut running = pin!(engine.bench(plan, &self.stop, &mut on_second));
            loop {
                // Both arms are cancel-safe: the run is polled on, and a signal is not lost.
                tokio::select! {
                    outcome = &mut running => break outcome,
                    () = self.interrupt.wait() => self.stop.ask(),
                }
            }
        };
        progress.finish();
        unwritten?;
        Ok(outcome?)
    }

    /// Measures two brokers in turns, the other one first in every second round.
    async fn take_turns(
        &mut self,
        args: &Args,
        mut sides: [(&Engine, &mut Side); 2],
        out: &mut Output,
    ) -> Result<(), CommandError> {
        let duration = self.plan.duration.map(|duration| duration / args.rounds);
        let plan = Plan { duration, ..self.plan.clone() };
        for round in 0..args.rounds {
            for (engine, side) in &mut sides {
                out.note(&format!("round {} of {}: {}", round + 1, args.rounds, side.target))?;
                let outcome = self.run(&plan, engine, out).await?;
                let is_interrupted = outcome.is_interrupted;
                side.outcome.absorb(outcome);
                if is_interrupted {
                    return Ok(());
                }
            }
            sides.reverse();
        }
        Ok(())
    }
}

impl Args {
    fn plan(&self) -> Result<Plan, CommandError> {
        let bytes = self.size.bytes;
        if bytes > SIZE_MAX {
            return Err(CommandError::usage(
                "--size may be at most 512MiB, the largest message of RabbitMQ",
            ));
        }
        let acknowledge = self.ack.map_or(Acknowledge::Automatically, Acknowledge::Every);
        if let (Some(ack), Some(prefetch)) = (self.ack, self.prefetch)
            && prefetch > 0
            && ack > u32::from(prefetch)
        {
            return Err(CommandError::Usage {
                problem: format!(
                    "--ack {ack} is more than --prefetch {prefetch}: a consumer could never have so many unacknowledged messages"
                ),
                hint: Some("make --prefetch at least --ack".into()),
            });
        }
        let backlog_max = self.max_backlog.unwrap_or(BACKLOG_MAX);
        let speed = match self.rate {
            Some(rate) => Speed::PerSecond(1.0 / rate.interval.as_secs_f64()),
            None if self.consumers == 0 => Speed::Flat { backlog_max: 0 },
            None => Speed::Flat { backlog_max },
        };
        let duration = self.duration.or_else(|| self.count.is_none().then_some(DURATION));
        if duration.is_some_and(|duration| duration.is_zero()) {
            return Err(CommandError::usage("--duration must be longer than 0s"));
        }
        let warmup = if self.count.is_some() { Duration::ZERO } else { WARMUP };
        let plan = Plan {
            publishers: self.publishers,
            consumers: self.consumers,
            queues: self.queues,
            bindings: self.bindings.unwrap_or(0),
            exchange_kind: self.exchange_type.as_deref().map(ShortStr::truncated),
            queue_arguments: argument::table(&self.argument),
            body_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            durability: match (self.persistent, self.durable) {
                (true, _) => BenchDurability::Messages,
                (false, true) => BenchDurability::Exchange,
                (false, false) => BenchDurability::Queues,
            },
            unconfirmed_max: self.confirm.unwrap_or(0),
            acknowledge,
            prefetch: self.prefetch.unwrap_or(0),
            speed,
            warmup: self.warmup.unwrap_or(warmup),
            duration,
            count: self.count,
            verify: self.verify,
        };
        self.check_verify(&plan)?;
        Ok(plan)
    }

    fn check_verify(&self, plan: &Plan) -> Result<(), CommandError> {
        if !self.verify {
            return Ok(());
        }
        if plan.consumers == 0 {
            return Err(CommandError::usage("--verify needs consumers"));
        }
        if plan.body_bytes < SIZE_MIN_TO_VERIFY {
            return Err(CommandError::Usage {
                problem: format!(
                    "--verify needs bodies of at least {SIZE_MIN_TO_VERIFY} bytes, because each body holds its number"
                ),
                hint: Some(format!("give --size {SIZE_MIN_TO_VERIFY} or more")),
            });
        }
        Ok(())
    }

    /// A condition on what is not measured would never hold, and is a mistake.
    fn check_conditions(&self, plan: &Plan) -> Result<(), CommandError> {
        for condition in &self.fail_if {
            let figure = condition.figure;
            let hint = match (figure.missing(plan), condition.limit) {
                (Some(hint), _) => hint,
                (None, Limit::Times(_)) if self.against.is_none() => {
                    "name the broker to compare with: --against URL"
                }
                (None, Limit::Times(_) | Limit::Value(_)) => continue,
            };
            return Err(CommandError::Usage {
                problem: format!(
                    "--fail-if '{condition}' names a figure that this run does not measure"
                ),
                hint: Some(hint.into()),
            });
        }
        Ok(())
    }

    /// Everything that is not as it should be.
    fn failures(&self, first: &Side, second: Option<&Side>) -> Vec<String> {
        let mut failures = Vec::new();
        for side in [Some(first), second].into_iter().flatten() {
            let Some(verdict) = side.outcome.verdict.filter(|verdict| !verdict.is_clean()) else {
                continue;
            };
            failures.push(format!(
                "{} did not deliver every message once and in order: {} lost, {} twice, {} out of order, {} corrupt",
                side.target, verdict.lost, verdict.duplicates, verdict.misordered, verdict.corrupt
            ));
        }
        let held = self.fail_if.iter().filter_map(|condition| {
            let other = second.and_then(|side| condition.figure.of(&side.outcome));
            match condition.figure.of(&first.outcome) {
                Some(value) => condition.holds(value, other),
                None => {
                    Some(format!("{} was not measured: --fail-if '{condition}'", condition.figure))
                }
            }
        });
        failures.extend(held);
        failures
    }
}
