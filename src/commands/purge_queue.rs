//! `mq purge-queue`: delete every ready message of a queue.

use serde::Serialize;

use super::examples::examples;
use super::options::confirm::Confirm;
use super::options::name;
use super::{Answer, CommandError, Context};
use crate::engine::ShortStr;
use crate::render::words;

/// Delete every ready message of a queue
///
/// Unacknowledged messages stay. To delete the queue as well, use `mq delete-queue`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq purge-queue orders --yes",
    "mq purge-queue jobs --yes -o json",
]))]
pub struct Args {
    /// The queue to purge
    #[arg(value_parser = name::queue)]
    queue: ShortStr,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(Debug, Serialize)]
struct Purged {
    queue: String,
    messages: u32,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = cx.engine.queue_name(&args.queue).await?;
    let queue = name.to_string();
    args.confirm.or_stop(&format!("drop all messages of queue '{queue}'?"), &mut cx.out)?;
    let messages = cx.engine.purge(&name).await?;
    let dropped = words::counted(messages.into(), "message");
    cx.out.done(&format!("dropped {dropped} of queue '{queue}'"), &Purged { queue, messages })?;
    Ok(Answer::Yes)
}
