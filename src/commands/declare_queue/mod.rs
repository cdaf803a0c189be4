//! `mq declare-queue`: declare a queue, or check that the existing one is the same.
//!
//! Queue arguments have options by the broker's table of them ([`options`]); [`fit`] says which go together.

mod fit;
mod options;

use serde::Serialize;

use self::fit::Declaration;
use self::options::QueueOptions;
use super::examples::examples;
use super::options::argument::{self, Argument};
use super::options::name;
use super::{Answer, CommandError, Context};
use crate::engine::{QueueSpec, ShortStr};
use crate::render::words;

/// Declare a queue
///
/// If the queue exists, it must have the same properties and arguments.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq declare-queue jobs --queue-type quorum --delivery-limit 5",
    "mq declare-queue events --queue-type stream --max-age 7D",
    "mq declare-queue recent --max-length 1000 --overflow drop-head",
]))]
pub struct Args {
    /// The name of the queue [default: the broker chooses a name, which is printed]
    #[arg(value_parser = name::queue)]
    queue: Option<ShortStr>,
    /// Delete the queue when the broker restarts
    #[arg(long)]
    transient: bool,
    /// Delete the queue when its last consumer is cancelled
    #[arg(long)]
    auto_delete: bool,
    #[command(flatten)]
    options: QueueOptions,
    /// Add any other argument, as NAME=VALUE or NAME:TYPE=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    argument: Vec<Argument>,
}

#[derive(Debug, Serialize)]
struct Declared {
    queue: String,
    messages: u32,
    consumers: u32,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let mut arguments = args.options.arguments()?;
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
