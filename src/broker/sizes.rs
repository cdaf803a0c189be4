//! Messages by the size of their bodies, in RabbitMQ's classes (`rabbit_msg_size_metrics`).
//!
//! A channel mostly publishes messages of one class. So it does not count each in its class: it notes when the class
//! changes, and what the channel has published since then is of that class. Start at [`SizeCounters`].

use super::stats::Counter;
use crate::lock::Mutex;

/// The largest sizes of the classes in bytes; messages of the last class are larger than all of them.
pub const SIZE_BOUNDS: [u64; 8] =
    [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000, 100_000_000];

const CLASSES: usize = SIZE_BOUNDS.len() + 1;

/// Counts of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// By class.
    pub counts: [u64; CLASSES],
    /// Bytes of all bodies.
    pub bytes: u64,
}

/// Sizes of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeClass {
    first: u64,
    /// The number of sizes in it.
    len: u64,
}

impl SizeClass {
    /// The sizes of a class; 0 is counted in the lowest, and is not among its sizes, so that a look at the class tells
    /// empty bodies too.
    fn of(class: usize) -> Self {
        let first = class.checked_sub(1).map_or(1, |below| SIZE_BOUNDS[below] + 1);
        let last = SIZE_BOUNDS.get(class).copied().unwrap_or(u64::MAX - 1);
        Self { first, len: last - first + 1 }
    }

    /// The same without sizes above `max`.
    #[must_use]
    pub fn up_to(self, max: u64) -> Self {
        Self { len: self.len.min((max.saturating_add(1)).saturating_sub(self.first)), ..self }
    }

    #[inline]
    pub fn contains(self, size: u64) -> bool {
        size.wrapping_sub(self.first) < self.len
    }
}

/// The sizes of what a channel publishes.
#[derive(Debug, Default)]
pub struct SizeCounters {
    classes: Mutex<Classes>,
    pub bytes: Counter,
}

#[derive(Debug, Default)]
struct Classes {
    /// Only of a channel that has published in several classes; most stay in one.
    counts: Option<Box<[u64; CLASSES]>>,
    /// The class of the publishes that have no count yet.
    class: usize,
    /// Publishes that have a count.
    counted: u64,
}

impl SizeCounters {
    /// Takes publishes from now on as those of the class of `size`, until it is called again; the channel has published
    /// `published` messages so far.
    pub fn begin(&self, size: u64, published: u64) -> SizeClass {
        let class = SIZE_BOUNDS.partition_point(|bound| *bound < size);
        let mut classes = self.classes.lock();
        let Classes { class: before, counted, .. } = *classes;
        if published > counted {
            classes.counts.get_or_insert_default()[before] += published - counted;
            classes.counted = published;
        }
        classes.class = class;
        SizeClass::of(class)
    }

    /// Adds the counts, when the channel has published as many messages as `published` says then.
    pub fn add_to(&self, sum: &mut Sizes, published: impl FnOnce() -> u64) {
        let classes = self.classes.lock();
        sum.counts[classes.class] += published().saturating_sub(classes.counted);
        for (sum, count) in
            sum.counts.iter_mut().zip(classes.counts.iter().flat_map(|counts| **counts))
        {
            *sum += count;
        }
        sum.bytes += self.bytes.get();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_in_one_class() {
        #[rustfmt::skip]
        let cases = [
            (1,           0), (100,         0), (101,         1), (1_000,       1), (1_001,       2),
            (50_000_000,  6), (50_000_001,  7), (100_000_000, 7), (100_000_001, 8), (1 << 40,     8),
        ];
        for (size, class) in cases {
            let counters = SizeCounters::default();
            assert!(counters.begin(size, 0).contains(size), "{size}");
            let mut sizes = Sizes::default();
            counters.add_to(&mut sizes, || 1);
            assert_eq!(sizes.counts[class], 1, "{size}");
            let holding = (0..CLASSES).filter(|class| SizeClass::of(*class).contains(size));
            assert_eq!(holding.collect::<Vec<_>>(), [class], "{size}");
        }
    }

    #[test]
    fn nothing_above_a_limit_is_in_a_class_that_is_cut_there() {
        let class = SizeClass::of(1).up_to(500);
        let held = [100, 101, 500, 501, 1000].map(|size| class.contains(size));
        assert_eq!(held, [false, true, true, false, false]);
        assert!(!SizeClass::of(2).up_to(500).contains(1_001));
        assert!(!SizeClass::default().contains(1), "none has begun");
        assert!(!SizeClass::of(0).contains(0), "an empty body is looked at");
    }

    #[test]
    fn publishes_belong_to_the_class_that_has_begun() {
        let counters = SizeCounters::default();
        counters.begin(50, 0);
        counters.begin(5_000, 3);
        counters.begin(60, 5);
        counters.bytes.set(10_000);
        let mut sizes = Sizes::default();
        counters.add_to(&mut sizes, || 9);
        assert_eq!(sizes, Sizes { counts: [7, 0, 2, 0, 0, 0, 0, 0, 0], bytes: 10_000 });
    }
}
