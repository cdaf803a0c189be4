//! `mq consume`: receive messages; print them, save them, or give each to a program.
//!
//! A message is acknowledged after what was asked for has been done with it, never before. However the command
//! ends, what is not acknowledged by then goes back to the queue.
//!
//! Reading order: [`Args`], [`source`] (queue or exchange), [`subscription`] (priority, place in a stream), [`feed`]
//! (what comes and when to stop), [`print`], [`exec`].

mod exec;
mod feed;
mod print;
mod source;
mod subscription;

use std::path::PathBuf;
use std::time::Duration;

pub(super) use print::Printer;

use self::feed::{Feed, StopReason, Stops};
use self::source::SourceOptions;
use self::subscription::SubscriptionOptions;
use super::examples::examples;
use super::failing::FailingOptions;
use super::options::queue_type::QueueType;
use super::template::Template;
use super::{Answer, CommandError, Context, Interrupt};
use crate::engine::ConsumeOptions;
use crate::render::{Format, words};

/// Messages on their way while earlier ones are printed, unless told otherwise.
const PREFETCH: u16 = 100;

/// Consume messages from a queue, or from an exchange through a temporary queue
///
/// Each message is acknowledged after it is printed, saved or handled. To take one message and not wait for it, use `mq
/// get`.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[command(after_help = examples(&[
    "mq consume --queue orders --count 10",
    "mq consume --queue orders --count 10 --exec 'wc -c' --jobs 4",
    "mq consume --exchange logs --type fanout --idle-timeout 1s --template '{body}'",
]))]
pub struct Args {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    subscription: SubscriptionOptions,
    /// Stop after this many messages [default: no limit]
    #[arg(long, short = 'n', value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stop if no message arrives for this time, for example 5s [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    idle_timeout: Option<Duration>,
    /// Hold at most this many unacknowledged messages [default: 100; with --exec the number of --jobs]
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(u16).range(1..))]
    prefetch: Option<u16>,
    /// Acknowledge each message after it is handled (manual), or have the broker drop it as soon as it is sent (auto)
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Ack::Manual)]
    ack: Ack,
    /// Print each message in this form, for example '{routing_key}: {body}'
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<Template>,
    /// Save each body as a file in this directory, and its properties in a file beside it
    #[arg(long, value_name = "DIR", conflicts_with = "template")]
    save_dir: Option<PathBuf>,
    /// Run this shell command for each message, with the body on its stdin and the properties in MQ_* variables
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["template", "save_dir"])]
    exec: Option<String>,
    /// Run at most this many commands at a time [default: 1]
    #[arg(
        long,
        short = 'j',
        value_name = "HANDLERS",
        requires = "exec",
        default_value_t = 1,
        hide_default_value = true,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    jobs: u16,
    #[command(flatten)]
    failing: FailingOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Ack {
    Manual,
    Auto,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    if args.ack == Ack::Auto && args.count.is_some() {
        return Err(CommandError::Usage {
            problem:
                "--ack auto with --count loses messages, because the broker sends more than --count"
                    .into(),
            hint: Some("leave out --ack auto".into()),
        });
    }
    if args.ack == Ack::Auto && args.subscription.is_of_stream() {
        return Err(CommandError::Usage {
            problem: "a stream's messages must be acknowledged".into(),
            hint: Some("leave out --ack auto".into()),
        });
    }
    args.source.check()?;
    args.check(cx.out.format())?;
    let printer =
        Printer::new(cx.out.format(), args.template.clone())?.saving_to(args.save_dir.clone())?;
    let interrupt = Interrupt::listen()?;
    let usual = args.subscription.is_of_stream().then_some(QueueType::Stream);
    let queue = args.source.prepare(usual, cx).await?;
    let prefetch = args.prefetch();
    let options = ConsumeOptions {
        queue: queue.clone(),
        prefetch,
        auto_ack: args.ack == Ack::Auto,
        exclusive: args.subscription.is_exclusive(),
        arguments: args.subscription.arguments(),
        ..ConsumeOptions::default()
    };
    let consumer = cx.engine.consume(options).await?;
    let stops = Stops::new(args.count, args.idle_timeout, cx.timeout);
    let mut feed = Feed::new(consumer, stops, prefetch, args.ack == Ack::Manual, interrupt);
    cx.out.note(&format!(
        "waiting for messages in {}; press Ctrl-C to stop",
        args.source.words(&queue)
    ))?;
    let (end, failed) = match args.exec.clone() {
        Some(command) => {
            exec::run(command, args.jobs, args.failing, &queue, &mut feed, &mut cx.out).await?
        }
        None => (print::run(printer, &queue, &mut feed, &mut cx.out).await?, 0),
    };
    let come = feed.come();
    feed.finish().await?;
    answer(end, come, failed, &args, &queue, cx)
}

impl Args {
    /// Options that exclude each other.
    fn check(&self, format: Option<Format>) -> Result<(), CommandError> {
        let usage = |problem: &str, hint: &str| {
            Err(CommandError::Usage { problem: problem.into(), hint: Some(hint.into()) })
        };
        if self.ack == Ack::Auto && self.exec.is_some() {
            return usage(
                "with --ack auto a message is lost when its command fails",
                "leave out --ack auto: then a message is acknowledged after its command succeeds",
            );
        }
        if self.ack == Ack::Auto && self.prefetch.is_some() {
            return usage("--prefetch has no effect with --ack auto", "leave out one of them");
        }
        if format.is_some() && self.exec.is_some() {
            return usage(
                "--format has no effect with --exec, because the command gets the message",
                "leave out --format",
            );
        }
        if format.is_some() && self.save_dir.is_some() {
            return usage(
                "--format has no effect with --save-dir, because the files have one form",
                "leave out --format",
            );
        }
        Ok(())
    }

    /// Never more than are wanted: what we do not take must stay where others can have it.
    fn prefetch(&self) -> u16 {
        let usual = if self.exec.is_some() { self.jobs } else { PREFETCH };
        let prefetch = self.prefetch.unwrap_or(usual);
        let wanted = self.count.and_then(|count| u16::try_from(count).ok()).unwrap_or(u16::MAX);
        prefetch.min(wanted)
    }
}

fn answer(
    end: StopReason,
    come: u64,
    failed: u64,
    args: &Args,
    queue: &str,
    cx: &mut Context,
) -> Result<Answer, CommandError> {
    match end {
        StopReason::Interrupted => return Err(CommandError::Interrupted),
        StopReason::Cancelled => {
            return Err(CommandError::Cancelled { queue: queue.to_owned() });
        }
        StopReason::Time | StopReason::Idle if args.count.is_some() => {
            let problem = format!(
                "{} came from {} in time, not {}",
                words::counted(come, "message"),
                args.source.words(queue),
                words::grouped(args.count.unwrap_or_default()),
            );
            return Err(CommandError::TimedOut { problem });
        }
        StopReason::Count | StopReason::Time | StopReason::Idle => {}
    }
    if failed == 0 {
        return Ok(Answer::Yes);
    }
    cx.out.note(&format!(
        "{} of {} failed",
        words::grouped(failed),
        words::counted(come, "message")
    ))?;
    Ok(Answer::No)
}
