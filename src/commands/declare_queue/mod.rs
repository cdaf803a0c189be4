//! `mq declare-queue`: make a queue, or check that it is there and the same.
//!
//! Every `x-` argument of RabbitMQ has an option; [`Limits`] and [`Kind`] say which is which, [`fit`] which go together.

mod fit;

use std::time::Duration;

use serde::Serialize;

use self::fit::Declaration;
use super::age::Age;
use super::argument::{self, Argument, word};
use super::queue_type::QueueType;
use super::size::Size;
use super::{Answer, CommandError, Context};
use crate::engine::{FieldValue, QueueSpec, ShortStr, literal};
use crate::render::words;

/// Make a queue
///
/// One that is there already must have the same properties and arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The queue's name; without one the broker chooses it, and it is printed
    queue: Option<ShortStr>,
    /// Let it be gone when the broker restarts
    #[arg(long)]
    transient: bool,
    /// Delete it when its last consumer goes
    #[arg(long)]
    auto_delete: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    kind: Kind,
    /// Add any other argument, as NAME=VALUE or NAME:TYPE=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    argument: Vec<Argument>,
}

#[derive(Clone, Debug, clap::Args)]
struct Limits {
    /// Drop or dead-letter messages that have waited this long, for example 30s (x-message-ttl)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// Delete the queue when nobody has used it this long (x-expires)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    /// Keep at most this many messages (x-max-length)
    #[arg(long, value_name = "MESSAGES")]
    max_length: Option<u32>,
    /// Keep at most this many bytes of bodies, for example 64MiB (x-max-length-bytes)
    #[arg(long, value_name = "SIZE")]
    max_length_bytes: Option<Size>,
    /// What to do when it is full: drop the oldest message, or refuse new ones (x-overflow) [default: drop-head]
    #[arg(long, value_name = "RULE", value_enum)]
    overflow: Option<Overflow>,
    /// Send dropped and rejected messages to this exchange (x-dead-letter-exchange)
    #[arg(long, value_name = "EXCHANGE")]
    dead_letter_exchange: Option<ShortStr>,
    /// Give them this routing key [default: their own] (x-dead-letter-routing-key)
    #[arg(long, value_name = "KEY", requires = "dead_letter_exchange")]
    dead_letter_routing_key: Option<ShortStr>,
    /// How sure dead-lettering of a quorum queue is (x-dead-letter-strategy) [default: at-most-once]
    #[arg(long, value_name = "STRATEGY", value_enum)]
    dead_letter_strategy: Option<Strategy>,
    /// Drop or dead-letter a message that came back more often than this; -1 is never (x-delivery-limit)
    #[arg(
        long,
        value_name = "TIMES",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(-1..)
    )]
    delivery_limit: Option<i32>,
    /// End consumers that hold a message longer than this (x-consumer-timeout)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    consumer_timeout: Option<Duration>,
}

#[derive(Clone, Debug, clap::Args)]
struct Kind {
    /// The type (x-queue-type) [default: the virtual host's]
    #[arg(long, value_name = "TYPE", value_enum)]
    queue_type: Option<QueueType>,
    /// Deliver messages by priority, 0 to this number (x-max-priority)
    #[arg(long, value_name = "NUMBER")]
    max_priority: Option<u8>,
    /// Deliver to one consumer at a time; others wait (x-single-active-consumer)
    #[arg(long)]
    single_active_consumer: bool,
    /// Keep messages on disk rather than in memory; the same as --queue-mode lazy
    #[arg(long, conflicts_with = "queue_mode")]
    lazy: bool,
    /// Whether messages are kept on disk rather than in memory (x-queue-mode)
    #[arg(long, value_name = "MODE", value_enum)]
    queue_mode: Option<QueueMode>,
    /// The version of a classic queue's storage, 1 or 2 (x-queue-version)
    #[arg(long, value_name = "VERSION")]
    queue_version: Option<u8>,
    /// Which node leads (x-queue-leader-locator)
    #[arg(long, value_name = "RULE", value_enum)]
    leader_locator: Option<Locator>,
    /// How many nodes keep a quorum queue at first (x-quorum-initial-group-size)
    #[arg(long, value_name = "NODES")]
    quorum_initial_group_size: Option<u32>,
    /// How many nodes keep a stream at first (x-initial-cluster-size)
    #[arg(long, value_name = "NODES")]
    initial_cluster_size: Option<u32>,
    /// Keep a stream's messages this long, for example 7D or 12h (x-max-age)
    #[arg(long, value_name = "AGE")]
    max_age: Option<Age>,
    /// The size of a stream's files, for example 500MB; whole files are dropped (x-stream-max-segment-size-bytes)
    #[arg(long, alias = "stream-max-segment-size-bytes", value_name = "SIZE")]
    segment_size: Option<Size>,
    /// Bytes of a stream's filter for each of its files, 16 to 255 (x-stream-filter-size-bytes)
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u8).range(16..))]
    filter_size: Option<u8>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Overflow {
    DropHead,
    RejectPublish,
    RejectPublishDlx,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Strategy {
    AtMostOnce,
    AtLeastOnce,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum QueueMode {
    Default,
    Lazy,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Locator {
    ClientLocal,
    Balanced,
}

#[derive(Debug, Serialize)]
struct Declared {
    queue: String,
    messages: u32,
    consumers: u32,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let mut arguments = Vec::new();
    args.limits.arguments(&mut arguments)?;
    args.kind.arguments(&mut arguments)?;
    arguments.extend(args.argument);
    let is_named = args.queue.is_some();
    let arguments = argument::table(&arguments);
    let declaration = Declaration {
        is_named,
        is_transient: args.transient,
        is_auto_delete: args.auto_delete,
        arguments: &arguments,
    };
    declaration.check()?;
    let queue = QueueSpec {
        name: args.queue.unwrap_or_default(),
        durable: !args.transient,
        exclusive: false,
        auto_delete: args.auto_delete,
        arguments,
    };
    let state = cx.engine.declare_queue(&queue).await?;
    let name = state.name.to_string();
    let (messages, consumers) = (state.message_count, state.consumer_count);
    if !is_named && cx.out.format().is_none() {
        cx.out.line(&name)?;
    }
    let words = format!(
        "queue '{name}' is there, with {} and {}",
        words::counted(messages.into(), "message"),
        words::counted(consumers.into(), "consumer"),
    );
    cx.out.done(&words, &Declared { queue: name, messages, consumers })?;
    Ok(Answer::Yes)
}

impl Limits {
    fn arguments(self, to: &mut Vec<Argument>) -> Result<(), CommandError> {
        let put = |to: &mut Vec<Argument>, name, value: Option<FieldValue>| {
            to.extend(value.map(|value| Argument { name: literal(name), value }));
        };
        put(to, "x-message-ttl", self.ttl.map(milliseconds).transpose()?);
        put(to, "x-expires", self.expires.map(milliseconds).transpose()?);
        put(to, "x-max-length", self.max_length.map(integer));
        put(to, "x-max-length-bytes", self.max_length_bytes.map(bytes).transpose()?);
        put(to, "x-overflow", self.overflow.map(word));
        put(to, "x-dead-letter-exchange", self.dead_letter_exchange.as_ref().map(text));
        put(to, "x-dead-letter-routing-key", self.dead_letter_routing_key.as_ref().map(text));
        put(to, "x-dead-letter-strategy", self.dead_letter_strategy.map(word));
        put(to, "x-delivery-limit", self.delivery_limit.map(integer));
        put(to, "x-consumer-timeout", self.consumer_timeout.map(milliseconds).transpose()?);
        Ok(())
    }
}

impl Kind {
    fn arguments(self, to: &mut Vec<Argument>) -> Result<(), CommandError> {
        let put = |to: &mut Vec<Argument>, name, value: Option<FieldValue>| {
            to.extend(value.map(|value| Argument { name: literal(name), value }));
        };
        let mode = if self.lazy { Some(QueueMode::Lazy) } else { self.queue_mode };
        put(to, "x-queue-type", self.queue_type.map(word));
        put(to, "x-max-priority", self.max_priority.map(integer));
        put(to, "x-single-active-consumer", self.single_active_consumer.then(|| true.into()));
        put(to, "x-queue-mode", mode.map(word));
        put(to, "x-queue-version", self.queue_version.map(integer));
        put(to, "x-queue-leader-locator", self.leader_locator.map(word));
        put(to, "x-quorum-initial-group-size", self.quorum_initial_group_size.map(integer));
        put(to, "x-initial-cluster-size", self.initial_cluster_size.map(integer));
        put(to, "x-max-age", self.max_age.map(|age| age.as_str().into()));
        let segment_size = self.segment_size.map(bytes).transpose()?;
        put(to, "x-stream-max-segment-size-bytes", segment_size);
        put(to, "x-stream-filter-size-bytes", self.filter_size.map(integer));
        Ok(())
    }
}

fn text(text: &ShortStr) -> FieldValue {
    FieldValue::from(&**text)
}

fn integer(number: impl Into<i64>) -> FieldValue {
    FieldValue::I64(number.into())
}

fn milliseconds(duration: Duration) -> Result<FieldValue, CommandError> {
    let long = |_| CommandError::usage("a time is longer than the broker can count");
    Ok(FieldValue::I64(i64::try_from(duration.as_millis()).map_err(long)?))
}

fn bytes(size: Size) -> Result<FieldValue, CommandError> {
    let large = |_| CommandError::usage("a size is larger than the broker can count");
    Ok(FieldValue::I64(i64::try_from(size.bytes).map_err(large)?))
}
