//! A consumer: one thread that reads deliveries, counts them and, with `--verify`, checks them.

use std::thread::sleep;

use crate::client::Error;
use crate::client::blocking::{BlockingConnection, Delivered, Event, Wait};
use crate::wire::constants::FRAME_METHOD;
use crate::wire::frame;
use crate::wire::method::basic;

use super::counters::{ConsumerCounters, Phase, RunCounters};
use super::job::ThreadJob;
use super::latency::{EqualTimes, Latency};
use super::plan::{Acknowledge, share};
use super::publish::{GATHER, GOODBYE_MAX};
use super::stamp::{BodyPattern, read_stamp};
use super::verify::ReceivedMessages;

/// Runs a consumer; answers what it has seen.
pub(super) fn consume(
    mut line: BlockingConnection,
    job: &ThreadJob,
) -> Result<ReceivedMessages, Error> {
    let plan = &job.plan;
    if plan.prefetch > 0 {
        line.prefetch(plan.prefetch)?;
    }
    let no_ack = plan.acknowledge == Acknowledge::Automatically;
    for queue in share(job.layout.queues.len(), plan.consumers, job.number) {
        let number = u32::try_from(queue).unwrap_or(u32::MAX);
        line.consume(&job.layout.queues[queue].name, number, no_ack)?;
    }
    job.ready();
    let mut consumer = Consumer::new(job);
    consumer.run(&mut line)?;
    // The broker may have much under way to us still, and the answer is not needed.
    let _ = line.close(GOODBYE_MAX);
    Ok(consumer.witness)
}

struct Consumer<'a> {
    job: &'a ThreadJob,
    counters: &'a ConsumerCounters,
    /// The bodies to expect, if they are verified
    pattern: Option<BodyPattern>,
    witness: ReceivedMessages,
    delivered: u64,
    /// Deliveries since the last acknowledgement
    unacknowledged: u32,
    last_tag: u64,
    /// Acknowledgements that are not written yet
    outbound: Vec<u8>,
}

impl<'a> Consumer<'a> {
    fn new(job: &'a ThreadJob) -> Self {
        Self {
            job,
            counters: &job.counters.consumers[job.number as usize],
            pattern: job.plan.verify.then(|| BodyPattern::new(job.plan.body_bytes)),
            witness: ReceivedMessages::default(),
            delivered: 0,
            unacknowledged: 0,
            last_tag: 0,
            outbound: Vec::new(),
        }
    }

    fn run(&mut self, line: &mut BlockingConnection) -> Result<(), Error> {
        let gathers = self.job.plan.gathers();
        while !self.job.counters.has_come_to(Phase::Over) {
            self.take_in(line)?;
            let is_written = self.write(line)?;
            if gathers && !line.is_behind() {
                sleep(GATHER);
            }
            line.read(if is_written { Wait::Short } else { Wait::Writable })?;
        }
        Ok(())
    }

    /// Takes everything that was read.
    ///
    /// Cost: for each message three frame headers and what [`Self::on_delivery`] costs; one lock for all.
    fn take_in(&mut self, line: &mut BlockingConnection) -> Result<(), Error> {
        let now_ns = self.job.counters.now_ns();
        let counters = self.counters;
        let mut times = counters.times();
        let mut run = EqualTimes::default();
        while let Some(event) = line.next_event()? {
            if let Event::Delivered(delivered) = event {
                self.on_delivery(&delivered, now_ns, &mut run, &mut times);
            }
        }
        run.end(now_ns, &mut times);
        drop(times);
        counters.delivered.set(self.delivered);
        Ok(())
    }

    #[inline]
    fn on_delivery(
        &mut self,
        delivered: &Delivered<'_>,
        now_ns: u64,
        run: &mut EqualTimes,
        times: &mut Latency,
    ) {
        self.delivered += 1;
        if let Some(stamp_ns) = read_stamp(delivered.body) {
            run.add(stamp_ns, now_ns, times);
        }
        if let Some(pattern) = &self.pattern {
            let counters = &self.job.counters;
            self.witness.note(delivered, pattern, |publisher| claimed(counters, publisher));
        }
        if let Acknowledge::Every(count) = self.job.plan.acknowledge {
            self.last_tag = delivered.tag;
            self.unacknowledged += 1;
            if self.unacknowledged >= count {
                self.acknowledge(count > 1);
            }
        }
    }

    fn acknowledge(&mut self, multiple: bool) {
        self.unacknowledged = 0;
        let ack = basic::Ack { delivery_tag: self.last_tag, multiple };
        frame::write_with(&mut self.outbound, FRAME_METHOD, BlockingConnection::CHANNEL, |to| {
            ack.write(to);
        });
    }

    /// Writes acknowledgements as far as the socket takes them; says whether all are written.
    fn write(&mut self, line: &mut BlockingConnection) -> Result<bool, Error> {
        // When nothing more comes, the last ones are not waited for.
        if self.unacknowledged > 0 && self.job.counters.has_come_to(Phase::Drain) {
            self.acknowledge(true);
        }
        while !self.outbound.is_empty() {
            match line.write_some(&self.outbound)? {
                Some(written) => drop(self.outbound.drain(..written)),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

fn claimed(counters: &RunCounters, publisher: u32) -> Option<u64> {
    counters.publishers.get(publisher as usize).map(|counters| counters.claimed.get())
}
