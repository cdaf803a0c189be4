//! Latencies: a high dynamic range histogram of times.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Digits of a time that are kept: a thousandth of it is close enough.
const DIGITS: u8 = 3;
/// Times below are not told apart, in nanoseconds: no message takes so little.
const LEAST_NS: u64 = 256;

/// Times, each counted.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Latency {
    pub fn new() -> Self {
        let mut histogram = Histogram::new_with_bounds(LEAST_NS, 2 * LEAST_NS, DIGITS)
            .expect("the bounds are ours");
        // It grows with the longest time it has seen.
        histogram.auto(true);
        Self(histogram)
    }

    /// Counts `count` times of `time_ns` nanoseconds.
    ///
    /// Cost: an index and an addition; an allocation when no time was ever so long.
    #[inline]
    pub fn record(&mut self, time_ns: u64, count: u64) {
        // It grows, so every time fits.
        let _ = self.0.record_n(time_ns, count);
    }

    /// Adds what another has counted.
    pub fn absorb(&mut self, other: &Self) {
        // It grows, so every time fits.
        let _ = self.0.add(&other.0);
    }

    pub(super) fn clear(&mut self) {
        self.0.reset();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time within which this part of all was done, between 0 and 1.
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(part))
    }

    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.0.min())
    }

    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e9)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

/// Equal times that follow each other, counted at once: a write sends many messages, and a read brings many.
#[derive(Debug, Default)]
pub(super) struct EqualTimes {
    stamp_ns: u64,
    count: u64,
}

impl EqualTimes {
    /// One more that began at `stamp_ns` and ended at `now_ns`, which is the same until [`Self::end`].
    #[inline]
    pub(super) fn add(&mut self, stamp_ns: u64, now_ns: u64, into: &mut Latency) {
        if stamp_ns != self.stamp_ns {
            self.end(now_ns, into);
            self.stamp_ns = stamp_ns;
        }
        self.count += 1;
    }

    #[inline]
    pub(super) fn end(&mut self, now_ns: u64, into: &mut Latency) {
        if self.count > 0 {
            into.record(now_ns.saturating_sub(self.stamp_ns), self.count);
            self.count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_a_thousandth() {
        let mut latency = Latency::new();
        for millisecond in 1..=1000 {
            latency.record(millisecond * 1_000_000, 1);
        }
        for (part, expected) in [(0.5, 0.5), (0.99, 0.99), (0.999, 0.999), (1.0, 1.0)] {
            let got = latency.quantile(part).as_secs_f64();
            assert!((got - expected).abs() < expected / 500.0, "{part}: {got}");
        }
        assert!(
            latency.max() >= Duration::from_secs(1) && latency.min() < Duration::from_millis(2)
        );
        let mut all = Latency::new();
        all.absorb(&latency);
        all.record(3_600_000_000_000, 1);
        assert!(all.max() >= Duration::from_hours(1) && all.quantile(0.5) < Duration::from_secs(1));
    }

    #[test]
    fn equal_times_are_counted_at_once() {
        let (mut latency, mut run) = (Latency::new(), EqualTimes::default());
        for stamp in [10, 10, 10, 500_000, 500_000] {
            run.add(stamp, 1_000_000, &mut latency);
        }
        run.end(1_000_000, &mut latency);
        run.end(1_000_000, &mut latency);
        assert_eq!(latency.0.len(), 5);
        assert!(latency.min() < Duration::from_micros(501));
        assert!(latency.quantile(0.6) > Duration::from_micros(998));
    }
}
