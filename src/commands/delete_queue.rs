//! `mq delete-queue`: delete a queue and its messages.

use serde::Serialize;

use super::examples::examples;
use super::options::confirm::Confirm;
use super::options::name;
use super::{Answer, CommandError, Context};
use crate::engine::{DeleteQueue, ShortStr};
use crate::render::words;

/// Delete a queue and the messages in it
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq delete-queue recent --if-empty --yes",
    "mq delete-queue events --yes",
]))]
pub struct Args {
    /// The queue to delete
    #[arg(value_parser = name::queue)]
    queue: ShortStr,
    /// Delete only if the queue has no messages
    #[arg(long)]
    if_empty: bool,
    /// Delete only if the queue has no consumers
    #[arg(long)]
    if_unused: bool,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(Debug, Serialize)]
struct Deleted {
    queue: String,
    messages: u32,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = cx.engine.queue_name(&args.queue).await?;
    let queue = name.to_string();
    args.confirm.or_stop(&format!("delete queue '{queue}' and its messages?"), &mut cx.out)?;
    let when = DeleteQueue { if_unused: args.if_unused, if_empty: args.if_empty };
    let messages = cx.engine.delete_queue(&name, when).await?;
    let lost = words::counted(messages.into(), "message");
    cx.out.done(&format!("deleted queue '{queue}' with {lost}"), &Deleted { queue, messages })?;
    Ok(Answer::Yes)
}
