//! The result of a run: its figures, as a whole and second by second.

use std::time::Duration;

use super::counters::{RunCounters, Totals};
use super::latency::Latency;
use super::verify::Verdict;

/// The figures of a run, warm-up left out.
#[derive(Clone, Debug, Default)]
pub struct BenchOutcome {
    /// The time that was measured
    pub elapsed: Duration,
    pub published: u64,
    pub confirmed: u64,
    /// Publishes that the broker did not take
    pub refused: u64,
    pub delivered: u64,
    /// From when a message was due to its delivery
    pub latency: Latency,
    /// From when a message was due to its confirm
    pub confirm_latency: Latency,
    /// The delay with which messages were sent: the part of the other times that is the bench's own
    pub lag: Latency,
    /// The time that publishers had to wait because the broker was blocking them, all together
    pub blocked: Duration,
    pub seconds: Vec<Second>,
    /// `None` when nothing was verified
    pub verdict: Option<Verdict>,
    /// It was ended before its time.
    pub is_interrupted: bool,
}

/// The figures of one second, or of the shorter rest at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    pub elapsed: Duration,
    pub published: u64,
    pub confirmed: u64,
    pub delivered: u64,
    /// Times of this second's deliveries: median, 99th percentile, longest; `None` when nothing has a stamp
    pub latency: Option<[Duration; 3]>,
}

impl BenchOutcome {
    /// Adds what another run of the same plan has shown.
    pub fn absorb(&mut self, other: Self) {
        self.elapsed += other.elapsed;
        self.published += other.published;
        self.confirmed += other.confirmed;
        self.refused += other.refused;
        self.delivered += other.delivered;
        self.latency.absorb(&other.latency);
        self.confirm_latency.absorb(&other.confirm_latency);
        self.lag.absorb(&other.lag);
        self.blocked += other.blocked;
        self.seconds.extend(other.seconds);
        self.verdict = match (self.verdict, other.verdict) {
            (Some(mut verdict), Some(more)) => {
                verdict.absorb(&more);
                Some(verdict)
            }
            (verdict, more) => verdict.or(more),
        };
        self.is_interrupted |= other.is_interrupted;
    }
}

/// Looks at the counters at intervals.
#[derive(Debug)]
pub(super) struct Watch {
    at_ns: u64,
    totals: Totals,
    outcome: BenchOutcome,
}

impl Watch {
    /// Begins to measure; what was before is forgotten.
    pub(super) fn start(counters: &RunCounters) -> Self {
        counters.take_times();
        Self {
            at_ns: counters.now_ns(),
            totals: counters.totals(),
            outcome: BenchOutcome::default(),
        }
    }

    /// Notes what has passed since the last time.
    pub(super) fn look(&mut self, counters: &RunCounters) -> &Second {
        let (now_ns, totals) = (counters.now_ns(), counters.totals());
        let [latency, confirm, lag] = counters.take_times();
        let second = Second {
            elapsed: Duration::from_nanos(now_ns - self.at_ns),
            published: totals.sent - self.totals.sent,
            confirmed: totals.confirmed - self.totals.confirmed,
            delivered: totals.delivered - self.totals.delivered,
            latency: (!latency.is_empty())
                .then(|| [latency.quantile(0.5), latency.quantile(0.99), latency.max()]),
        };
        let outcome = &mut self.outcome;
        outcome.elapsed += second.elapsed;
        outcome.published += second.published;
        outcome.confirmed += second.confirmed;
        outcome.delivered += second.delivered;
        outcome.refused += totals.refused - self.totals.refused;
        outcome.blocked += Duration::from_nanos(totals.blocked_ns - self.totals.blocked_ns);
        outcome.latency.absorb(&latency);
        outcome.confirm_latency.absorb(&confirm);
        outcome.lag.absorb(&lag);
        (self.at_ns, self.totals) = (now_ns, totals);
        outcome.seconds.push(second);
        outcome.seconds.last().expect("it was just pushed")
    }

    /// Ends the last second, unless it has hardly begun.
    pub(super) fn finish(mut self, counters: &RunCounters) -> BenchOutcome {
        if counters.now_ns() > self.at_ns + LEAST_SECOND_NS || self.outcome.seconds.is_empty() {
            self.look(counters);
        }
        self.outcome
    }
}

/// A rest at the end that is shorter than this is not worth a line of its own: one millisecond.
const LEAST_SECOND_NS: u64 = 1_000_000;
