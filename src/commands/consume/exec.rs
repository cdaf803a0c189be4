//! A program run for each message: its exit code says what becomes of the message.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::feed::{Feed, FeedStep, StopReason};
use crate::commands::CommandError;
use crate::commands::failing::{FailingOptions, NextStep};
use crate::commands::handler::{Ended, Handler, Stdout};
use crate::engine::consume::Requeue;
use crate::engine::{Delivery, ShortStr};
use crate::render::Output;

/// A message, how often it was tried, and how its program ended the last time.
struct Handled {
    delivery: Delivery,
    attempts: u32,
    /// `None` when it was not tried again, because the command ends.
    ended: Option<Result<Ended, CommandError>>,
}

/// The programs that run, and what they are for.
struct Handlers {
    handler: Handler,
    failing: FailingOptions,
    queue: ShortStr,
    running: JoinSet<Handled>,
    /// Messages that came to nothing.
    failed: u64,
    /// True once no more messages come.
    ending: watch::Sender<bool>,
}

/// Handles messages until the end; returns why it came, and how many failed.
pub(super) async fn run(
    command: String,
    jobs: u16,
    failing: FailingOptions,
    queue: &ShortStr,
    feed: &mut Feed,
    out: &mut Output,
) -> Result<(StopReason, u64), CommandError> {
    let mut work = Handlers {
        handler: Handler { command },
        failing,
        queue: queue.clone(),
        running: JoinSet::new(),
        failed: 0,
        ending: watch::Sender::new(false),
    };
    let end = loop {
        let has_room = work.running.len() < usize::from(jobs);
        let next = async {
            if has_room { feed.next().await } else { Ok(FeedStep::StopReason(feed.end().await)) }
        };
        // Both arms are cancel-safe: a message that has come is returned, one that is handled stays in the set.
        tokio::select! {
            step = next => match step? {
                FeedStep::Delivery(delivery) => work.start(delivery, 1, Duration::ZERO),
                FeedStep::StopReason(end) => break end,
            },
            Some(finished) = work.running.join_next() => work.settle(finished, feed, out)?,
        }
    };
    if end == StopReason::Interrupted || end == StopReason::Cancelled {
        // Dropping the set kills the programs; their messages go back.
        return Ok((end, work.failed));
    }
    feed.cancel().await?;
    work.ending.send_replace(true);
    while let Some(finished) = work.running.join_next().await {
        work.settle(finished, feed, out)?;
    }
    Ok((end, work.failed))
}

impl Handlers {
    /// Runs the program for a message after a pause. A message that is tried again keeps its place among the jobs.
    fn start(&mut self, delivery: Delivery, attempts: u32, pause: Duration) {
        let (handler, queue, failing) = (self.handler.clone(), self.queue.clone(), self.failing);
        let mut ending = self.ending.subscribe();
        self.running.spawn(async move {
            let ended = if pause.is_zero() || failing.pause(pause, &mut ending).await {
                Some(handler.handle(&delivery, &queue, Stdout::Inherited).await)
            } else {
                None
            };
            Handled { delivery, attempts, ended }
        });
    }

    /// Settles a handled message, or has it tried again.
    fn settle(
        &mut self,
        finished: Result<Handled, tokio::task::JoinError>,
        feed: &mut Feed,
        out: &mut Output,
    ) -> Result<(), CommandError> {
        let Handled { delivery, attempts, ended } =
            finished.expect("a handler's task neither panics nor is aborted");
        let Some(ended) = ended else {
            self.failed += 1;
            return feed.refuse(&delivery, Requeue::Yes);
        };
        let status = ended?.status;
        let is_ending = *self.ending.borrow() || feed.has_all();
        let fate = self.failing.fate(status, attempts, is_ending);
        let requeue = match fate {
            NextStep::Done => return feed.acknowledge_one(delivery),
            NextStep::Stop { what, hint } => return Err(self.handler.hopeless(what, hint)),
            NextStep::Again(_) | NextStep::GiveBack => Requeue::Yes,
            NextStep::Reject => Requeue::No,
        };
        let told =
            format!("handler ended with {status}: message {} {}", delivery.tag, fate.words());
        out.note(&told)?;
        if let NextStep::Again(pause) = fate {
            self.start(delivery, attempts + 1, pause);
            return Ok(());
        }
        self.failed += 1;
        feed.refuse(&delivery, requeue)
    }
}
