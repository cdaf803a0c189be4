//! A benchmark of a broker: rates, latencies, lost and duplicate messages.
//!
//! Each publisher and each consumer is a thread with a connection of its own ([`crate::client::blocking`]), because
//! what is measured is the broker. The async side sets up, reads the threads' counters once a second, and deletes
//! queues and exchanges at the end, also after an error. Two rules make the latencies honest: the clock of a message
//! starts when it was due, not when it could be sent; and a second's figures are taken while it passes, warm-up thrown
//! away.
//!
//! Reading order: [`Plan`] (the options of a run), [`Engine::bench`] (a run), [`publish`] and [`consume`] (the
//! threads), [`stamp`] (what a body says), [`verify`], [`BenchOutcome`].

mod consume;
mod counters;
mod job;
mod latency;
mod outcome;
mod pace;
mod plan;
mod publish;
mod stamp;
mod threads;
mod verify;
mod window;

use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, Interval, interval_at, sleep_until};

use crate::client::blocking::BlockingConnection;
use crate::client::{self, Options};
use crate::engine::error::Cause;
use crate::engine::error::Error;
use crate::engine::handle::Engine;
use crate::wire::ShortStr;
use counters::{Phase, RunCounters};
use job::Note;
pub use latency::Latency;
use outcome::Watch;
pub use outcome::{BenchOutcome, Second};
use plan::BenchTopology;
pub use plan::{Acknowledge, BenchDurability, Plan, SIZE_MIN_TO_VERIFY, Speed};
use threads::Threads;
use verify::ReceivedMessages;
pub use verify::Verdict;

/// The time after which missing messages are given up if none came: a broker that delivers none for so long has none.
const DRAIN_IDLE_MAX: Duration = Duration::from_secs(5);
/// The time to wait after the last message, for one that comes twice.
const DRAIN_EXTRA: Duration = Duration::from_millis(100);
/// The pause between two looks at a drain.
const DRAIN_PAUSE: Duration = Duration::from_millis(5);
/// Bytes of a consumer's read buffer: some hundred messages with one system call.
const CONSUMER_BUFFER_BYTES: usize = 256 << 10;
/// The same of a publisher, which reads confirms.
const PUBLISHER_BUFFER_BYTES: usize = 16 << 10;

/// Asks a run to end before its time; the run sees it at its next wait.
#[derive(Debug, Default)]
pub struct Stop(Notify);

impl Stop {
    pub fn ask(&self) {
        self.0.notify_one();
    }

    async fn asked(&self) {
        self.0.notified().await;
    }
}

impl Engine {
    /// Runs a plan: makes its queues, loads them, and deletes them again, also after an error and when it is asked to
    /// stop. `on_second` is told what passed in each second that is measured.
    pub async fn bench(
        &self,
        plan: &Plan,
        stop: &Stop,
        on_second: &mut dyn FnMut(&Second),
    ) -> Result<BenchOutcome, Error> {
        let plan = Arc::new(plan.clone());
        let tag = format!("{:08x}", RandomState::new().hash_one(std::process::id()) >> 32);
        let layout = Arc::new(plan.layout(&tag));
        // Each arm is dropped without loss: what was made by then is deleted below.
        let prepared = tokio::select! {
            prepared = self.prepare(&plan, &layout) => prepared.map(Some),
            () = stop.asked() => Ok(None),
        };
        let ran = match prepared {
            Ok(Some(prepared)) => self.run(&plan, prepared, stop, on_second).await,
            Ok(None) => Ok(BenchOutcome { is_interrupted: true, ..BenchOutcome::default() }),
            Err(error) => Err(error),
        };
        let cleaned = self.clean_up(&layout).await;
        ran.and_then(|outcome| cleaned.map(|()| outcome))
    }

    /// Makes exchange, queues and bindings, and opens all lines.
    async fn prepare(
        &self,
        plan: &Arc<Plan>,
        layout: &Arc<BenchTopology>,
    ) -> Result<Prepared, Error> {
        if let Some(exchange) = &layout.exchange {
            self.declare_exchange(exchange).await?;
        }
        for queue in &layout.queues {
            self.declare_queue(queue).await?;
        }
        for binding in &layout.bindings {
            self.bind(binding).await?;
        }
        let body_kept = if plan.verify { plan.body_bytes } else { stamp::STAMP_BYTES };
        let mut prepared = Prepared::default();
        for number in 0..plan.consumers {
            let name = format!("mq bench, consumer {number}");
            prepared.consumers.push(self.line(&name, CONSUMER_BUFFER_BYTES, body_kept).await?);
        }
        for number in 0..plan.publishers {
            let name = format!("mq bench, publisher {number}");
            prepared.publishers.push(self.line(&name, PUBLISHER_BUFFER_BYTES, 0).await?);
        }
        prepared.layout = Arc::clone(layout);
        Ok(prepared)
    }

    async fn line(
        &self,
        name: &str,
        inbound: usize,
        body_kept: usize,
    ) -> Result<BlockingConnection, Error> {
        let target = self.target();
        let options = Options { name: ShortStr::truncated(name), ..target.options.clone() };
        let opened = BlockingConnection::open(&target.place(), &options, inbound, body_kept).await;
        opened.map_err(|error| self.cx.failed("open a connection", error))
    }

    /// Starts the threads and looks on until the end.
    async fn run(
        &self,
        plan: &Arc<Plan>,
        prepared: Prepared,
        stop: &Stop,
        on_second: &mut dyn FnMut(&Second),
    ) -> Result<BenchOutcome, Error> {
        let counters = Arc::new(RunCounters::new(plan.publishers, plan.consumers, plan.copies()));
        let threads = Threads::new(Arc::clone(plan), prepared.layout, Arc::clone(&counters));
        let mut run = Run {
            engine: self,
            plan: Arc::clone(plan),
            sent_counts: vec![Vec::new(); plan.publishers as usize],
            publishing: plan.publishers,
            consuming: plan.consumers,
            received: Vec::new(),
            is_interrupted: false,
            threads,
            counters,
        };
        run.start(prepared.consumers, prepared.publishers, stop).await?;
        let mut watch = Watch::start(&run.counters);
        run.threads.open();
        if !plan.warmup.is_zero() {
            run.wait_for(plan.warmup, stop).await?;
            watch = Watch::start(&run.counters);
        }
        run.measure(&mut watch, stop, on_second).await?;
        // Of a number of messages the whole way is measured; of a time, what passed in it.
        let outcome = if plan.count.is_some() {
            run.drain(stop).await?;
            watch.finish(&run.counters)
        } else {
            let outcome = watch.finish(&run.counters);
            run.drain(stop).await?;
            outcome
        };
        run.end(outcome).await
    }

    /// Deletes all that the run has made.
    async fn clean_up(&self, layout: &BenchTopology) -> Result<(), Error> {
        for queue in &layout.queues {
            self.remove_queue(&queue.name).await?;
        }
        match &layout.exchange {
            Some(exchange) => self.remove_exchange(&exchange.name).await,
            None => Ok(()),
        }
    }
}

/// Open lines, and what they are for.
#[derive(Debug, Default)]
struct Prepared {
    layout: Arc<BenchTopology>,
    consumers: Vec<BlockingConnection>,
    publishers: Vec<BlockingConnection>,
}

/// A run in progress.
struct Run<'a> {
    engine: &'a Engine,
    plan: Arc<Plan>,
    counters: Arc<RunCounters>,
    threads: Threads,
    /// Threads that have not ended
    publishing: u32,
    consuming: u32,
    /// The number of messages that each publisher sent to each queue
    sent_counts: Vec<Vec<u64>>,
    received: Vec<ReceivedMessages>,
    is_interrupted: bool,
}

impl Run<'_> {
    /// Starts consumers, then publishers, and waits until all are ready.
    async fn start(
        &mut self,
        consumers: Vec<BlockingConnection>,
        publishers: Vec<BlockingConnection>,
        stop: &Stop,
    ) -> Result<(), Error> {
        let not_started = |error: std::io::Error| Error::Threads { source: Cause::from(error) };
        for (number, line) in (0..).zip(consumers) {
            self.threads.consumer(number, line).map_err(not_started)?;
        }
        for (number, line) in (0..).zip(publishers) {
            self.threads.publisher(number, line).map_err(not_started)?;
        }
        let mut waiting = self.plan.publishers + self.plan.consumers;
        while waiting > 0 && !self.is_interrupted {
            // Both arms are cancel-safe.
            tokio::select! {
                note = self.threads.note() => {
                    waiting -= u32::from(matches!(note, Note::Ready));
                    self.on_note(note)?;
                }
                () = stop.asked() => self.interrupt(),
            }
        }
        Ok(())
    }

    /// Ends everything at once.
    fn interrupt(&mut self) {
        self.is_interrupted = true;
        self.counters.go_on_to(Phase::Over);
    }

    fn on_note(&mut self, note: Note) -> Result<(), Error> {
        let failed = |doing: &str, error: client::Error| {
            // The others would only report what follows from it.
            self.counters.go_on_to(Phase::Over);
            self.engine.cx.failed(doing, error)
        };
        match note {
            Note::Ready => {}
            Note::Published(number, ended) => {
                let sent = ended.map_err(|error| failed("publish", error))?;
                self.publishing -= 1;
                self.sent_counts[number as usize] = sent;
            }
            Note::Consumed(ended) => {
                let witness = ended.map_err(|error| failed("consume", error))?;
                self.consuming -= 1;
                self.received.push(witness);
            }
            Note::Panicked => {
                return Err(Error::Threads { source: Cause::new("a thread panicked") });
            }
        }
        Ok(())
    }

    /// Listens to the threads for some time, or until it is asked to stop.
    async fn wait_for(&mut self, time: Duration, stop: &Stop) -> Result<(), Error> {
        let deadline = Instant::now() + time;
        while !self.is_interrupted {
            // All arms are cancel-safe.
            tokio::select! {
                note = self.threads.note() => self.on_note(note)?,
                () = sleep_until(deadline) => break,
                () = stop.asked() => self.interrupt(),
            }
        }
        Ok(())
    }

    /// Looks at the counters every second until the time is up or everything is published.
    async fn measure(
        &mut self,
        watch: &mut Watch,
        stop: &Stop,
        on_second: &mut dyn FnMut(&Second),
    ) -> Result<(), Error> {
        let end = self.plan.duration.map(|duration| Instant::now() + duration);
        let mut ticks = every_second();
        while self.publishing > 0 && !self.is_interrupted {
            // All arms are cancel-safe.
            tokio::select! {
                note = self.threads.note() => self.on_note(note)?,
                _ = ticks.tick() => on_second(watch.look(&self.counters)),
                () = until(end) => break,
                () = stop.asked() => self.interrupt(),
            }
        }
        Ok(())
    }

    /// Lets publishers end in order and everything come that is under way, where it is to be counted.
    async fn drain(&mut self, stop: &Stop) -> Result<(), Error> {
        if !self.plan.verify && self.plan.count.is_none() {
            return Ok(());
        }
        self.counters.go_on_to(Phase::Drain);
        let mut totals = self.counters.totals();
        let mut idle_since = Instant::now();
        while !self.is_interrupted && idle_since.elapsed() < DRAIN_IDLE_MAX {
            let now = self.counters.totals();
            let is_all = now.delivered >= now.sent * self.plan.copies() || self.plan.consumers == 0;
            if self.publishing == 0 && is_all {
                break;
            }
            if now != totals {
                (totals, idle_since) = (now, Instant::now());
            }
            self.wait_for(DRAIN_PAUSE, stop).await?;
        }
        if self.plan.verify {
            self.wait_for(DRAIN_EXTRA, stop).await?;
        }
        Ok(())
    }

    /// Ends the threads and takes their verdict.
    async fn end(mut self, mut outcome: BenchOutcome) -> Result<BenchOutcome, Error> {
        self.counters.go_on_to(Phase::Over);
        while self.publishing > 0 || self.consuming > 0 {
            let note = self.threads.note().await;
            self.on_note(note)?;
        }
        outcome.is_interrupted = self.is_interrupted;
        // What was cut short is not judged.
        if self.plan.verify && !self.is_interrupted {
            let (refused, copies) = (self.counters.totals().refused, self.plan.copies());
            outcome.verdict = Some(Verdict::of(&self.sent_counts, refused, copies, self.received));
        }
        Ok(outcome)
    }
}

fn every_second() -> Interval {
    let second = Duration::from_secs(1);
    interval_at(Instant::now() + second, second)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
