//! `mq publish`: send messages and wait for their confirms.
//!
//! Every message is confirmed by the broker before the command ends well. Lines are sent as they come, with a
//! bounded number of unconfirmed ones, so memory does not grow with the input.

use std::path::PathBuf;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior};

use super::declare::{Declare, DeclareOptions};
use super::examples::examples;
use super::input::{Bodies, Stdin};
use super::options::name;
use super::options::properties::PropertyOptions;
use super::options::publish_headers::{Delaying, HeaderOptions};
use super::options::queue_type::QueueType;
use super::options::rate::Rate;
use super::{Answer, CommandError, Context, Interrupt};
use crate::engine::{
    Message, PublishOutcome, PublishReport, Publisher, PublisherOptions, ShortStr, payload,
};
use crate::render::words;

/// Publish messages and wait until the broker confirms them
///
/// Bodies come from the arguments, from files, or from stdin. Exit code 0 means that the broker confirmed every
/// message. To wait for replies, use `mq rpc-call`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq publish --queue orders 'Hello World!'",
    "seq 100 | mq publish --queue orders --lines",
    "mq publish --exchange logs --type fanout --header level=error 'disk full'",
]))]
pub struct Args {
    /// The bodies, one message each [default: all of stdin as one body]
    body: Vec<String>,
    #[command(flatten)]
    place: PublishTo,
    #[command(flatten)]
    source: Source,
    /// Publish every message this many times [default: 1]
    #[arg(long, short = 'n', value_name = "TIMES", default_value_t = 1, hide_default_value = true)]
    count: u64,
    /// Publish no faster than this, for example 100/s [default: as fast as the broker confirms]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Exit with code 1 if a message reaches no queue
    #[arg(long)]
    mandatory: bool,
    #[command(flatten)]
    headers: HeaderOptions,
    #[command(flatten)]
    properties: PropertyOptions,
}

#[derive(Clone, Debug, clap::Args)]
struct PublishTo {
    /// Publish to this exchange [default: the default exchange, which routes to the queue named by the routing key]
    #[arg(long, short = 'e', value_name = "EXCHANGE", value_parser = name::exchange)]
    exchange: Option<ShortStr>,
    /// Declare the exchange first, with this type: direct, fanout, topic, headers or another
    #[arg(long = "type", value_name = "TYPE", requires = "exchange")]
    kind: Option<ShortStr>,
    /// Publish with this routing key
    #[arg(long, short = 'k', value_name = "KEY")]
    routing_key: Option<ShortStr>,
    /// Publish to this queue; it is declared if it does not exist
    #[arg(long, value_name = "QUEUE", value_parser = name::queue, conflicts_with_all = ["exchange", "routing_key"])]
    queue: Option<ShortStr>,
    /// Declare the queue with this type if it does not exist [default: the virtual host's default type]
    #[arg(long, value_name = "TYPE", value_enum, requires = "queue")]
    queue_type: Option<QueueType>,
    #[command(flatten)]
    declare: DeclareOptions,
}

#[derive(Clone, Debug, clap::Args)]
struct Source {
    /// Take the body from this file; may be given several times
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "body")]
    file: Vec<PathBuf>,
    /// Publish each line as a message
    #[arg(long, short = 'l', conflicts_with = "body")]
    lines: bool,
    /// Publish each line as a message; a line is a JSON object as `mq consume -o jsonl` prints it
    #[arg(long, conflicts_with_all = ["body", "lines"])]
    jsonl: bool,
}

#[derive(Debug, Serialize)]
struct Published {
    messages: u64,
    unroutable: u64,
}

pub async fn run(mut args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    args.place.check(args.source.jsonl)?;
    args.headers.check(args.place.queue.is_some())?;
    let interrupt = Interrupt::listen()?;
    let stdin = if args.source.lines || args.source.jsonl { Stdin::Lines } else { Stdin::Whole };
    let bodies = Bodies::new(args.body.clone(), args.source.file.clone(), stdin, &mut cx.out)?;
    // What is wrong with the message is told before anything is declared.
    let mut message = args.template()?;
    args.place.declare(cx).await?;
    args.place.apply(&mut message);
    let report = publish_all(&args, message, bodies, interrupt, cx).await?;
    tell(&args, &report, cx)
}

impl Args {
    /// A message as the command line describes it, without its body.
    fn template(&self) -> Result<Message, CommandError> {
        let properties = self.properties.properties()?;
        let mut message = Message { properties, ..Message::default() };
        self.headers.apply(&mut message.properties)?;
        self.place.apply(&mut message);
        Ok(message)
    }
}

impl PublishTo {
    fn check(&self, is_jsonl: bool) -> Result<(), CommandError> {
        let usage = |problem: &str, hint: &str| {
            Err(CommandError::Usage { problem: problem.into(), hint: Some(hint.into()) })
        };
        let is_named =
            self.exchange.is_some() || self.queue.is_some() || self.routing_key.is_some();
        if !is_named && !is_jsonl {
            let hint = "name a queue with --queue, or an exchange with --exchange";
            return usage("there is no queue or exchange to publish to", hint);
        }
        let is_declared = self.queue.is_some() || self.kind.is_some();
        if self.declare.is_wanted() && !is_declared {
            let hint = "name a queue with --queue, or an exchange with --exchange and --type";
            return usage("--declare has nothing to declare", hint);
        }
        let has_type = self.queue_type.is_some() || self.kind.is_some();
        if self.declare.given() == Some(Declare::No) && has_type {
            return usage(
                "--type and --queue-type are for a declaration, which --declare no forbids",
                "leave out one of them",
            );
        }
        Ok(())
    }

    /// Declares what is named. A queue goes by the name that the broker says it has.
    async fn declare(&mut self, cx: &Context) -> Result<(), CommandError> {
        let Some(durability) = self.declare.or(Declare::Durable) else { return Ok(()) };
        if let (Some(exchange), Some(kind)) = (&self.exchange, &self.kind) {
            cx.engine.ensure_exchange(exchange, kind, durability).await?;
        }
        if let Some(queue) = &mut self.queue {
            let arguments = QueueType::arguments(self.queue_type);
            *queue = cx.engine.ensure_queue(queue, durability, arguments).await?.name;
        }
        Ok(())
    }

    /// Puts what was named on the command line over what the message says.
    fn apply(&self, message: &mut Message) {
        if let Some(queue) = &self.queue {
            message.exchange = ShortStr::default();
            message.routing_key = queue.clone();
        }
        if let Some(exchange) = &self.exchange {
            message.exchange = exchange.clone();
        }
        if let Some(key) = &self.routing_key {
            message.routing_key = key.clone();
        }
    }

    /// The place in words.
    fn words(&self) -> String {
        match (&self.queue, &self.exchange, &self.routing_key) {
            (Some(queue), _, _) => format!(" to queue '{queue}'"),
            (None, Some(exchange), Some(key)) => {
                format!(" to exchange '{exchange}' with key '{key}'")
            }
            (None, Some(exchange), None) => format!(" to exchange '{exchange}'"),
            (None, None, Some(key)) => format!(" with key '{key}'"),
            (None, None, None) => String::new(),
        }
    }
}

/// Publishes everything; an error says what had become of the messages before it.
async fn publish_all(
    args: &Args,
    message: Message,
    bodies: Bodies,
    mut interrupt: Interrupt,
    cx: &mut Context,
) -> Result<PublishReport, CommandError> {
    // Returned messages are always asked for: what reaches no queue is at least told.
    let options = PublisherOptions { mandatory: true, ..PublisherOptions::default() };
    let mut publisher = cx.engine.publisher(options).await?;
    let mut sent = 0;
    // An interrupt drops the sending between two messages; what was sent is answered for below.
    let error = tokio::select! {
        all = send_all(args, message, bodies, &mut publisher, &mut sent, cx) => match all {
            Ok(()) => match publisher.flush().await {
                Ok(report) => return Ok(report),
                Err(error) => error.into(),
            },
            // The channel may be gone, and what it had heard before is known all the same.
            Err(error) => error,
        },
        () = interrupt.wait() => CommandError::Interrupted,
    };
    let report = match &error {
        CommandError::Interrupted => publisher.report(),
        _ => match publisher.flush().await {
            Ok(report) => report,
            Err(_) => publisher.report(),
        },
    };
    Err(if sent == 0 { error } else { error.after(so_far(sent, &report)) })
}

async fn send_all(
    args: &Args,
    mut message: Message,
    mut bodies: Bodies,
    publisher: &mut Publisher,
    sent: &mut u64,
    cx: &mut Context,
) -> Result<(), CommandError> {
    let total = bodies.count().map(|count| count.saturating_mul(args.count));
    let progress = cx.out.progress(total.filter(|total| *total > 1), "messages");
    let mut pace = args.rate.map(pace);
    let mut delaying = Delaying::default();
    let mut line: u64 = 0;
    while let Some(body) = bodies.next().await? {
        line += 1;
        if args.source.jsonl {
            if body.trim_ascii().is_empty() {
                continue;
            }
            message = parsed(&body, line, args)?;
        } else {
            message.body = body;
        }
        if args.headers.is_delayed() {
            delaying.check(&message.exchange, cx).await?;
        }
        for _ in 0..args.count {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            publisher.send(&message).await?;
            *sent += 1;
            progress.step();
        }
    }
    Ok(())
}

/// Says in words what had become of the messages when an error came.
fn so_far(sent: u64, report: &PublishReport) -> String {
    let confirmed = words::grouped(report.confirmed + report.unroutable);
    let mut parts = vec![format!("{confirmed} of {} confirmed", words::counted(sent, "message"))];
    let others = [(report.unroutable, "reached no queue"), (report.refused, "not taken")];
    let others = others.into_iter().filter(|(count, _)| *count > 0);
    parts.extend(others.map(|(count, what)| format!("{} {what}", words::grouped(count))));
    parts.join(", ")
}

fn pace(rate: Rate) -> Interval {
    let mut pace = tokio::time::interval(rate.interval);
    // A tick that comes late is caught up with, or the rate would never be reached.
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    pace
}

fn parsed(body: &Bytes, line: u64, args: &Args) -> Result<Message, CommandError> {
    let wrong = |why: String| CommandError::Usage {
        problem: format!("line {line} is not a message: {why}"),
        hint: Some("write each line as `mq consume -o jsonl` prints it".into()),
    };
    let text = std::str::from_utf8(body).map_err(|error| wrong(error.to_string()))?;
    let mut message = payload::parse(text).map_err(|error| wrong(error.to_string()))?;
    args.place.apply(&mut message);
    args.properties.apply(&mut message.properties)?;
    args.headers.apply(&mut message.properties)?;
    Ok(message)
}

fn tell(args: &Args, report: &PublishReport, cx: &mut Context) -> Result<Answer, CommandError> {
    let sent = report.confirmed + report.unroutable + report.refused;
    if report.refused > 0 {
        return Err(CommandError::NotTaken { refused: report.refused, sent });
    }
    let published = Published { messages: sent, unroutable: report.unroutable };
    let place = args.place.words();
    cx.out.done(&format!("published {}{place}", words::counted(sent, "message")), &published)?;
    if report.unroutable == 0 {
        return Ok(Answer::Yes);
    }
    let reason = report.failed.iter().find_map(|(_, outcome)| match outcome {
        PublishOutcome::Unroutable { code, text } => Some(format!(" ({code} {text})")),
        PublishOutcome::Confirmed | PublishOutcome::Refused => None,
    });
    cx.out.note(&format!(
        "note: {} of {} reached no queue{}",
        words::grouped(report.unroutable),
        words::counted(sent, "message"),
        reason.unwrap_or_default(),
    ))?;
    Ok(if args.mandatory { Answer::No } else { Answer::Yes })
}
