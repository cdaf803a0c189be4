//! A publisher: one thread that sends as fast as it may, or when messages are due.
//!
//! It never blocks in a write while there is something to read, so a broker that answers before it reads on is no
//! deadlock. When the run is over it stops at once, in the middle of a message if it must.

use std::num::NonZeroU64;
use std::thread::sleep;
use std::time::Duration;

use crate::client::Error;
use crate::client::blocking::{BlockingConnection, EncodedPublishes, Envelope, Event, Wait};

use super::counters::{Phase, PublisherCounters};
use super::job::ThreadJob;
use super::latency::EqualTimes;
use super::pace::Pace;
use super::plan::{Speed, share};
use super::stamp::{BodyPattern, EVERY_QUEUE, MessageIdentity, write_head, write_stamp};
use super::window::Window;

/// The time to let confirms or deliveries gather (see [`Plan::gathers`]).
pub(super) const GATHER: Duration = Duration::from_micros(200);
/// The pause before the next look whether the broker has few enough messages.
const BACKLOG_PAUSE: Duration = Duration::from_micros(200);
/// The time that confirms may take to come after the last publish.
const CONFIRMS_MAX: Duration = Duration::from_secs(10);
/// The time that closing a connection may take when no result depends on it.
pub(super) const GOODBYE_MAX: Duration = Duration::from_millis(500);
/// The delay, in nanoseconds, with which the system may wake a thread that waits for a time: the usual 50 microseconds
/// would be half of what a message takes.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// Runs a publisher; answers how many messages it sent to each queue.
pub(super) fn publish(mut line: BlockingConnection, job: &ThreadJob) -> Result<Vec<u64>, Error> {
    if job.plan.unconfirmed_max > 0 {
        line.confirm()?;
    } else {
        line.settle()?;
    }
    let mut publisher = Publisher::new(line, job);
    job.ready();
    if job.wait_for_start() {
        publisher.run()?;
    }
    let Publisher { line, sent_to, is_cut, .. } = publisher;
    if !job.counters.has_come_to(Phase::Over) {
        // What was sent without confirms has reached the broker when it answers.
        line.close(CONFIRMS_MAX)?;
    } else if !is_cut {
        // The answer is not needed any more.
        let _ = line.close(GOODBYE_MAX);
    }
    Ok(sent_to)
}

struct Publisher<'a> {
    line: BlockingConnection,
    job: &'a ThreadJob,
    counters: &'a PublisherCounters,
    encoded: EncodedPublishes,
    /// The queue of each encoded publish, where all are counted as one in a fanout
    queues: Vec<u32>,
    /// Messages sent to each queue
    sent_to: Vec<u64>,
    sent: u64,
    /// Messages to send; no end in a run of some duration
    count: u64,
    window: Option<Window>,
    confirmed: u64,
    refused: u64,
    blocked_ns: u64,
    is_blocked: bool,
    is_flow_off: bool,
    /// A `channel.flow` that is to be answered
    flow: Option<bool>,
    /// The last message was not written to its end.
    is_cut: bool,
}

impl<'a> Publisher<'a> {
    fn new(line: BlockingConnection, job: &'a ThreadJob) -> Self {
        let plan = &job.plan;
        let routes = share(job.layout.routes.len(), plan.publishers, job.number);
        let routes: Vec<_> = routes.map(|at| &job.layout.routes[at]).collect();
        let envelopes: Vec<Envelope> = routes.iter().map(|route| route.envelope.clone()).collect();
        let pattern = BodyPattern::new(plan.body_bytes);
        let encoded = EncodedPublishes::new(&envelopes, pattern.body(job.number), line.frame_max());
        let (number, publishers) = (u64::from(job.number), u64::from(plan.publishers));
        let count = plan
            .count
            .map_or(u64::MAX, |count| count / publishers + u64::from(number < count % publishers));
        Self {
            line,
            job,
            counters: &job.counters.publishers[job.number as usize],
            encoded,
            queues: routes.iter().map(|route| route.queue).collect(),
            sent_to: vec![0; plan.queues as usize],
            sent: 0,
            count,
            window: (plan.unconfirmed_max > 0).then(|| Window::new(plan.unconfirmed_max)),
            confirmed: 0,
            refused: 0,
            blocked_ns: 0,
            is_blocked: false,
            is_flow_off: false,
            flow: None,
            is_cut: false,
        }
    }

    fn run(&mut self) -> Result<(), Error> {
        match self.job.plan.speed {
            Speed::Flat { backlog_max } => self.run_flat(backlog_max)?,
            Speed::PerSecond(rate) => self.run_paced(rate)?,
        }
        let end = self.job.counters.now_ns() + nanoseconds(CONFIRMS_MAX);
        while self.window.as_ref().is_some_and(|window| !window.is_empty())
            && !self.job.counters.has_come_to(Phase::Over)
            && self.job.counters.now_ns() < end
        {
            self.pump(Wait::Short)?;
        }
        Ok(())
    }

    fn is_to_go_on(&self) -> bool {
        self.sent < self.count && !self.is_cut && !self.job.counters.has_come_to(Phase::Drain)
    }

    /// Sends as much as confirms, the backlog and the broker allow.
    fn run_flat(&mut self, backlog_max: u64) -> Result<(), Error> {
        let gathers = self.job.plan.gathers();
        // To send one message for every confirm that comes would cost a write each.
        let few = self.encoded.batch().min((self.job.plan.unconfirmed_max / 4).max(1) as usize);
        while self.is_to_go_on() {
            if self.await_leave()? {
                continue;
            }
            let left = usize::try_from(self.count - self.sent).unwrap_or(usize::MAX);
            let room = self.window.as_ref().map_or(usize::MAX, Window::room);
            if room < few.min(left) {
                if gathers {
                    sleep(GATHER);
                }
                self.pump(Wait::Short)?;
                continue;
            }
            if backlog_max > 0 && self.job.counters.backlog() >= backlog_max {
                self.pump(Wait::For(BACKLOG_PAUSE))?;
                continue;
            }
            let now_ns = self.job.counters.now_ns();
            self.send(room.min(left), |_| now_ns)?;
            self.pump(Wait::No)?;
        }
        Ok(())
    }

    /// Sends each message when it is due, or as soon after as it can be.
    fn run_paced(&mut self, per_second: f64) -> Result<(), Error> {
        // It only makes waits more exact.
        let _ = rustix::thread::set_current_timer_slack(Some(TIMER_SLACK_NS));
        let publishers = self.job.plan.publishers;
        let pace = Pace::new(self.job.counters.now_ns(), per_second, self.job.number, publishers);
        while self.is_to_go_on() {
            if self.await_leave()? {
                continue;
            }
            let left = usize::try_from(self.count - self.sent).unwrap_or(usize::MAX);
            let room = self.window.as_ref().map_or(usize::MAX, Window::room);
            if room == 0 {
                self.pump(Wait::Short)?;
                continue;
            }
            let now_ns = self.job.counters.now_ns();
            let most = self.encoded.batch().min(room).min(left);
            let due = pace.count_due(self.sent, now_ns, most);
            if due == 0 {
                let wait_ns = pace.due_ns(self.sent).saturating_sub(now_ns);
                self.pump(Wait::For(Duration::from_nanos(wait_ns).min(BLOCKED_LOOK)))?;
                continue;
            }
            let first = self.sent;
            let sent = self.send(due, |at| pace.due_ns(first + at))?;
            let mut times = self.counters.times();
            for at in first..first + sent as u64 {
                times.lag.record(now_ns.saturating_sub(pace.due_ns(at)), 1);
            }
            drop(times);
            self.pump(Wait::No)?;
        }
        Ok(())
    }

    /// Waits a little while the broker wants no messages; says whether it had to.
    fn await_leave(&mut self) -> Result<bool, Error> {
        if let Some(active) = self.flow.take() {
            self.line.answer_flow(active)?;
            self.is_flow_off = !active;
        }
        if !self.is_blocked && !self.is_flow_off {
            return Ok(false);
        }
        let begin_ns = self.job.counters.now_ns();
        self.pump(Wait::Short)?;
        self.blocked_ns += self.job.counters.now_ns() - begin_ns;
        self.counters.blocked_ns.set(self.blocked_ns);
        Ok(true)
    }

    /// Sends up to `most` messages, of which the one at `at` was due at `stamp_ns(at)`; answers how many.
    ///
    /// Cost: some bytes patched in each, one write for all.
    fn send(&mut self, most: usize, stamp_ns: impl Fn(u64) -> u64) -> Result<usize, Error> {
        let Self { encoded, queues, sent_to, window, job, .. } = self;
        let publisher = job.number;
        let is_fanout = job.plan.is_fanout();
        let most = most.min(encoded.batch());
        // Said before a consumer can see them.
        self.counters.claimed.set(self.sent + most as u64);
        let mut at = 0;
        let (bytes, count) = encoded.take(most, |envelope, body| {
            let stamp_ns = stamp_ns(at);
            at += 1;
            if job.plan.verify {
                let place = &mut sent_to[queues[envelope] as usize];
                let queue = if is_fanout { EVERY_QUEUE } else { queues[envelope] };
                write_head(body, stamp_ns, MessageIdentity { publisher, queue, sequence: *place });
                *place += 1;
            } else {
                write_stamp(body, stamp_ns);
            }
            if let Some(window) = window {
                window.push(stamp_ns);
            }
        });
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.line.write_some(rest)? {
                Some(written) => rest = &rest[written..],
                None if job.counters.has_come_to(Phase::Over) => {
                    self.is_cut = true;
                    return Ok(0);
                }
                None => {
                    self.line.read(Wait::Writable)?;
                    // Answers are taken between writes; here they only make room for the broker's next.
                }
            }
        }
        self.sent += count as u64;
        self.counters.sent.set(self.sent);
        Ok(count)
    }

    /// Takes in what the broker has to say.
    fn pump(&mut self, wait: Wait) -> Result<(), Error> {
        self.line.read(wait)?;
        let now_ns = self.job.counters.now_ns();
        let mut times = self.counters.times();
        let mut run = EqualTimes::default();
        while let Some(event) = self.line.next_event()? {
            match event {
                Event::Confirmed { tag, multiple, is_taken } => {
                    let Some(window) = &mut self.window else { continue };
                    let (mut count, confirm) = (0, &mut times.confirm);
                    window.answer(tag, multiple, |stamp_ns| {
                        count += 1;
                        if is_taken {
                            run.add(stamp_ns, now_ns, confirm);
                        }
                    })?;
                    *(if is_taken { &mut self.confirmed } else { &mut self.refused }) += count;
                }
                Event::Blocked(is_blocked) => self.is_blocked = is_blocked,
                Event::Flow { active } => self.flow = Some(active),
                Event::Delivered(_) | Event::Reply(_) => {}
            }
        }
        run.end(now_ns, &mut times.confirm);
        drop(times);
        self.counters.confirmed.set(self.confirmed);
        self.counters.refused.set(self.refused);
        Ok(())
    }
}

/// Longest sleep before the run's phase is looked at again.
const BLOCKED_LOOK: Duration = Duration::from_millis(100);

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
