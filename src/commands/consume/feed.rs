//! The messages that come, until it is time to stop; and their acknowledgements.
//!
//! With a count, the broker must not send more than that many: what it sends too much would come back to the
//! queue marked as redelivered. It sends as long as `acknowledged + prefetch` is not reached, so the last
//! `prefetch` acknowledgements are held back until the last wanted message has come and the consumer is cancelled.

use std::time::Duration;

use tokio::time::Instant;

use crate::commands::{CommandError, Interrupt};
use crate::engine::consume::Requeue;
use crate::engine::{Consumer, Delivery, Event};

/// The reason why no more messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// As many as wanted have come.
    Count,
    /// `--timeout`
    Time,
    /// `--idle-timeout`
    Idle,
    /// The queue is gone.
    Cancelled,
    Interrupted,
}

/// The conditions for stopping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stops {
    wanted: Option<u64>,
    idle: Option<Duration>,
    deadline: Option<Instant>,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack")]
pub(super) enum FeedStep {
    Delivery(Delivery),
    StopReason(StopReason),
}

pub(super) struct Feed {
    consumer: Consumer,
    stops: Stops,
    interrupt: Interrupt,
    /// Acknowledgements that may be sent while messages are still wanted.
    credit: u64,
    is_manual: bool,
    come: u64,
    last: Instant,
    is_cancelled: bool,
    held: Vec<Delivery>,
}

impl Stops {
    pub(super) fn new(
        wanted: Option<u64>,
        idle: Option<Duration>,
        limit: Option<Duration>,
    ) -> Self {
        Self { wanted, idle, deadline: limit.map(|limit| Instant::now() + limit) }
    }
}

impl Feed {
    pub(super) fn new(
        consumer: Consumer,
        stops: Stops,
        prefetch: u16,
        is_manual: bool,
        interrupt: Interrupt,
    ) -> Self {
        let credit = stops.wanted.map_or(u64::MAX, |wanted| wanted.saturating_sub(prefetch.into()));
        let last = Instant::now();
        let (come, is_cancelled, held) = (0, false, Vec::new());
        Self { consumer, stops, interrupt, credit, is_manual, come, last, is_cancelled, held }
    }

    /// Returns the number of messages that have come.
    pub(super) fn come(&self) -> u64 {
        self.come
    }

    /// Waits for the next message or the end. Every arm is cancel-safe, and so is this call.
    pub(super) async fn next(&mut self) -> Result<FeedStep, CommandError> {
        if self.has_all() {
            return Ok(FeedStep::StopReason(StopReason::Count));
        }
        let idle = self.stops.idle.map(|idle| self.last + idle);
        tokio::select! {
            biased;
            () = self.interrupt.wait() => Ok(FeedStep::StopReason(StopReason::Interrupted)),
            event = self.consumer.next() => match event? {
                Event::Delivery(delivery) => {
                    self.come += 1;
                    self.last = Instant::now();
                    Ok(FeedStep::Delivery(delivery))
                }
                Event::Cancelled => Ok(FeedStep::StopReason(StopReason::Cancelled)),
            },
            () = until(self.stops.deadline) => Ok(FeedStep::StopReason(StopReason::Time)),
            () = until(idle) => Ok(FeedStep::StopReason(StopReason::Idle)),
        }
    }

    /// Answers whether as many messages have come as are wanted.
    pub(super) fn has_all(&self) -> bool {
        self.stops.wanted.is_some_and(|wanted| self.come >= wanted)
    }

    /// Waits for what ends the command while no further message can be taken. Cancel-safe.
    pub(super) async fn end(&mut self) -> StopReason {
        tokio::select! {
            biased;
            () = self.interrupt.wait() => StopReason::Interrupted,
            () = until(self.stops.deadline) => StopReason::Time,
        }
    }

    /// The next message, if it is here already.
    pub(super) async fn ready(&mut self) -> Result<Option<FeedStep>, CommandError> {
        tokio::select! {
            biased;
            step = self.next() => step.map(Some),
            () = std::future::ready(()) => Ok(None),
        }
    }

    /// Acknowledges these messages, or as many as may be while more are wanted.
    pub(super) fn acknowledge(&mut self, done: &mut Vec<Delivery>) -> Result<(), CommandError> {
        for delivery in done.drain(..) {
            self.acknowledge_one(delivery)?;
        }
        Ok(())
    }

    pub(super) fn acknowledge_one(&mut self, delivery: Delivery) -> Result<(), CommandError> {
        // While a message is worked on the queue is not idle.
        self.last = Instant::now();
        if !self.is_manual {
            return Ok(());
        }
        if self.credit == 0 && !self.is_cancelled {
            self.held.push(delivery);
            return Ok(());
        }
        self.credit = self.credit.saturating_sub(1);
        Ok(self.consumer.ack(&delivery)?)
    }

    /// Gives a message back, or away.
    pub(super) fn refuse(&self, delivery: &Delivery, requeue: Requeue) -> Result<(), CommandError> {
        if self.is_manual {
            self.consumer.nack(delivery, requeue)?;
        }
        Ok(())
    }

    /// Answers whether the broker takes messages as acknowledged when it sends them, so that none that came may be
    /// dropped.
    pub(super) fn is_auto(&self) -> bool {
        !self.is_manual
    }

    /// A message that came before the consumer was cancelled.
    pub(super) async fn left(&mut self) -> Result<Option<Delivery>, CommandError> {
        tokio::select! {
            biased;
            event = self.consumer.next() => match event? {
                Event::Delivery(delivery) => Ok(Some(delivery)),
                Event::Cancelled => Ok(None),
            },
            () = std::future::ready(()) => Ok(None),
        }
    }

    /// Ends the consumer; unacknowledged messages go back to the queue.
    pub(super) async fn finish(mut self) -> Result<(), CommandError> {
        self.cancel().await?;
        Ok(self.consumer.close().await?)
    }

    /// Asks for no more messages, and settles what was held back for that.
    pub(super) async fn cancel(&mut self) -> Result<(), CommandError> {
        if !self.is_cancelled {
            self.consumer.cancel().await?;
            self.is_cancelled = true;
        }
        for delivery in self.held.drain(..) {
            self.consumer.ack(&delivery)?;
        }
        Ok(())
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
