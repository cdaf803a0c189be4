//! A program run for each message: well ended it acknowledges, badly ended it gives the message back.

use std::time::Duration;

use tokio::task::JoinSet;

use super::feed::{End, Feed, Step};
use crate::commands::CommandError;
use crate::commands::handler::{Ended, Handler, Stdout};
use crate::engine::consume::Requeue;
use crate::engine::{Delivery, ShortStr};
use crate::render::Output;

/// The pause before a message goes back to its queue: it will come again at once, and a program that fails at
/// once must not keep a processor busy.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What becomes of a message whose program failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum OnFailure {
    /// Put it back in the queue
    Requeue,
    /// Drop it, or dead-letter it where the queue says so
    Reject,
}

type Handled = (Delivery, Result<Ended, CommandError>);

/// Handles messages until the end; returns why it came, and how many failed.
pub(super) async fn run(
    command: String,
    jobs: u16,
    on_failure: OnFailure,
    queue: &ShortStr,
    feed: &mut Feed,
    out: &mut Output,
) -> Result<(End, u64), CommandError> {
    let handler = Handler { command };
    let mut running: JoinSet<Handled> = JoinSet::new();
    let mut failed = 0;
    let end = loop {
        // Both arms are cancel-safe: a message that has come is returned, one that is handled stays in the set.
        tokio::select! {
            step = feed.next(), if running.len() < usize::from(jobs) => match step? {
                Step::Delivery(delivery) => {
                    running.spawn(handle(handler.clone(), delivery, queue.clone(), on_failure));
                }
                Step::End(end) => break end,
            },
            Some(finished) = running.join_next() => {
                failed += settle(finished, on_failure, feed, out)?;
            }
        }
    };
    if end == End::Interrupted || end == End::Cancelled {
        // Dropping the set kills the programs; their messages go back.
        return Ok((end, failed));
    }
    feed.cancel().await?;
    while let Some(finished) = running.join_next().await {
        failed += settle(finished, on_failure, feed, out)?;
    }
    Ok((end, failed))
}

async fn handle(
    handler: Handler,
    delivery: Delivery,
    queue: ShortStr,
    on_failure: OnFailure,
) -> Handled {
    let ended = handler.handle(&delivery, &queue, Stdout::Inherited).await;
    let is_well = ended.as_ref().is_ok_and(|ended| ended.status.success());
    if !is_well && on_failure == OnFailure::Requeue {
        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
    }
    (delivery, ended)
}

/// Settles a handled message; returns 1 when it failed.
fn settle(
    finished: Result<Handled, tokio::task::JoinError>,
    on_failure: OnFailure,
    feed: &mut Feed,
    out: &mut Output,
) -> Result<u64, CommandError> {
    let (delivery, ended) = finished.expect("a handler's task neither panics nor is aborted");
    let ended = ended?;
    if ended.status.success() {
        feed.acknowledge_one(delivery)?;
        return Ok(0);
    }
    let (requeue, fate) = match on_failure {
        OnFailure::Requeue => (Requeue::Yes, "goes back to the queue"),
        OnFailure::Reject => (Requeue::No, "is rejected"),
    };
    out.note(&format!("handler ended with {}: message {} {fate}", ended.status, delivery.tag))?;
    feed.refuse(&delivery, requeue)?;
    Ok(1)
}
