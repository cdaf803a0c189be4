//! `mq get`: take one message, or say that there is none.

use super::examples::examples;
use super::options::name;
use super::template::Template;
use super::{Answer, CommandError, Context};
use crate::commands::consume::Printer;
use crate::engine::ShortStr;

/// Take one message from a queue
///
/// Exits with code 1 if the queue is empty. To receive messages as they arrive, use `mq consume`.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
#[command(after_help = examples(&[
    "mq get --queue orders",
    "mq get --queue orders --peek -o json",
]))]
pub struct Args {
    /// Take the message from this queue
    #[arg(long, value_name = "QUEUE", value_parser = name::queue)]
    queue: ShortStr,
    /// Return the message to its place in the queue after printing it
    #[arg(long)]
    peek: bool,
    /// Print the message in this form, for example '{routing_key}: {body}'
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<Template>,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let mut printer = Printer::new(cx.out.format(), args.template)?;
    let queue = cx.engine.queue_name(&args.queue).await?;
    let Some(fetched) = cx.engine.get(&queue).await? else {
        cx.out.note(&format!("queue '{queue}' has no message to get"))?;
        return Ok(Answer::No);
    };
    printer.print(&fetched.delivery, &queue, &mut cx.out)?;
    printer.finish(&mut cx.out)?;
    // Only what was written for good may be taken from the queue.
    cx.out.flush()?;
    if args.peek {
        fetched.requeue()?;
    } else {
        fetched.ack()?;
    }
    Ok(Answer::Yes)
}
