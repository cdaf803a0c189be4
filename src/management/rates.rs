//! The growth of counters: their values now against those of some seconds ago.
//!
//! RabbitMQ's statistics are emitted every five seconds; its `x_details.rate` is the growth between two of them.
//! Here nothing is emitted: every five seconds all counters are read once (a [`Sample`]), off the way of messages,
//! and the two newest samples are kept. A rate then is the growth since the newest sample that is old enough to
//! tell something. An object that no sample knows is younger than it and has counted from zero.
//!
//! Memory: two samples of at most [`SUBJECTS_MAX`] objects.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::broker::registry::ConnectionId;
use crate::lock::Mutex;
use crate::wire::ShortStr;

/// The pause between two readings of all counters (RabbitMQ: `collect_statistics_interval`).
pub(super) const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// The least time a rate is taken over: less would show single messages as bursts.
const OLD_ENOUGH: Duration = Duration::from_millis(2500);
/// Objects in a sample; a broker with more shows average rates since its start for the rest. At about 200 bytes
/// an object two samples take 40 MB at most.
const SUBJECTS_MAX: usize = 100_000;

/// Numbers with their names, always in the same order for the same kind of object.
pub(super) type Numbers = Vec<(&'static str, u64)>;

/// The object that numbers belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Messages,
    Churn,
    Lengths,
    Vhost(ShortStr),
    VhostLengths(ShortStr),
    /// Vhost and name.
    Exchange(ShortStr, ShortStr),
    Queue(ShortStr, ShortStr),
    QueueLengths(ShortStr, ShortStr),
    Connection(ConnectionId),
    Channel(ConnectionId, u16),
}

/// All numbers at one time.
#[derive(Debug)]
pub(super) struct Sample {
    /// Since the broker's start.
    at: Duration,
    numbers: HashMap<Subject, Box<[u64]>>,
}

impl Sample {
    pub(super) fn new(at: Duration, all: impl Iterator<Item = (Subject, Numbers)>) -> Self {
        let values = |numbers: Numbers| numbers.into_iter().map(|(_, value)| value).collect();
        let all = all.take(SUBJECTS_MAX);
        let numbers = all.map(|(subject, numbers)| (subject, values(numbers))).collect();
        Self { at, numbers }
    }
}

/// The two newest samples.
#[derive(Debug)]
pub(super) struct Sampler {
    samples: Mutex<Samples>,
}

#[derive(Debug)]
struct Samples {
    newest: Arc<Sample>,
    before: Arc<Sample>,
}

impl Sampler {
    /// Starts with the moment at which everything was zero.
    pub(super) fn new() -> Self {
        let zero = Arc::new(Sample::new(Duration::ZERO, std::iter::empty()));
        let samples = Samples { newest: Arc::clone(&zero), before: zero };
        Self { samples: Mutex::new(samples) }
    }

    /// Answers whether it is time for the next sample.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let samples = self.samples.lock();
        now.saturating_sub(samples.newest.at) >= SAMPLE_EVERY
    }

    pub(super) fn add(&self, sample: Sample) {
        let mut samples = self.samples.lock();
        let newest = std::mem::replace(&mut samples.newest, Arc::new(sample));
        samples.before = newest;
    }

    /// Returns the sample that rates at `now` are measured against.
    pub(super) fn rates(&self, now: Duration) -> Rates {
        let samples = self.samples.lock();
        let age = now.saturating_sub(samples.newest.at);
        let base = if age >= OLD_ENOUGH { &samples.newest } else { &samples.before };
        Rates { base: Arc::clone(base), now }
    }
}

/// Says if numbers may shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    /// They grow only; a smaller one belongs to a new object of the same name.
    Up,
    UpAndDown,
}

/// Turns numbers into JSON with their rates.
#[derive(Debug)]
pub(super) struct Rates {
    base: Arc<Sample>,
    /// Since the broker's start.
    now: Duration,
}

impl Rates {
    /// Counters and their rates as an object of their own (`message_stats`).
    pub(super) fn counters(&self, subject: &Subject, numbers: &Numbers) -> Value {
        self.counters_of(std::slice::from_ref(subject), numbers)
    }

    /// The same of several subjects together; `numbers` are their sums.
    pub(super) fn counters_of(&self, subjects: &[Subject], numbers: &Numbers) -> Value {
        let mut object = Map::new();
        self.put(&mut object, subjects, numbers, Growth::Up);
        Value::Object(object)
    }

    /// Adds counters with their rates to an object.
    pub(super) fn put_counters(&self, row: &mut Value, subject: &Subject, numbers: &Numbers) {
        if let Value::Object(row) = row {
            self.put(row, std::slice::from_ref(subject), numbers, Growth::Up);
        }
    }

    /// Adds lengths, which may shrink, with their rates to an object.
    pub(super) fn put_lengths(&self, row: &mut Value, subject: &Subject, numbers: &Numbers) {
        self.put_lengths_of(row, std::slice::from_ref(subject), numbers);
    }

    /// The same of several subjects together; `numbers` are their sums.
    pub(super) fn put_lengths_of(&self, row: &mut Value, subjects: &[Subject], numbers: &Numbers) {
        if let Value::Object(row) = row {
            self.put(row, subjects, numbers, Growth::UpAndDown);
        }
    }

    fn put(
        &self,
        row: &mut Map<String, Value>,
        subjects: &[Subject],
        numbers: &Numbers,
        course: Growth,
    ) {
        let known: Vec<_> =
            subjects.iter().filter_map(|subject| self.base.numbers.get(subject)).collect();
        let elapsed = self.now.saturating_sub(self.base.at).max(OLD_ENOUGH);
        for (at, &(name, value)) in numbers.iter().enumerate() {
            let before = known.iter().filter_map(|values| values.get(at)).sum();
            let rate = growth(before, value, course) / elapsed.as_secs_f64();
            row.insert(name.to_owned(), value.into());
            row.insert(format!("{name}_details"), json!({ "rate": rate }));
        }
    }
}

fn growth(before: u64, now: u64, course: Growth) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
    let as_float = |count: u64| count as f64;
    match course {
        Growth::Up if now < before => as_float(now),
        Growth::UpAndDown if now < before => -as_float(before - now),
        Growth::Up | Growth::UpAndDown => as_float(now - before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: Duration, published: u64) -> Sample {
        Sample::new(at, [(Subject::Messages, vec![("publish", published)])].into_iter())
    }

    /// The rate of `publish` at `now` when it stands at `published`.
    fn rate(sampler: &Sampler, now: Duration, published: u64) -> f64 {
        let numbers = vec![("publish", published)];
        let answer = sampler.rates(now).counters(&Subject::Messages, &numbers);
        assert_eq!(answer["publish"], published);
        answer["publish_details"]["rate"].as_f64().unwrap()
    }

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let at = Duration::from_secs;
        let sampler = Sampler::new();
        let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-9, "{one} {other}");
        close(rate(&sampler, at(4), 40), 10.0);
        sampler.add(sample(at(5), 50));
        // The newest sample is too fresh, so it is measured against the start.
        close(rate(&sampler, at(6), 60), 10.0);
        close(rate(&sampler, at(9), 90), 10.0);
        sampler.add(sample(at(10), 90));
        // Nothing more was published: the rate falls to nothing as the old samples leave.
        close(rate(&sampler, at(11), 90), 40.0 / 6.0);
        close(rate(&sampler, at(14), 90), 0.0);
    }

    #[test]
    fn a_counter_that_starts_again_has_no_negative_rate_and_a_length_has() {
        assert!((growth(100, 10, Growth::Up) - 10.0).abs() < 1e-9);
        assert!((growth(100, 10, Growth::UpAndDown) + 90.0).abs() < 1e-9);
    }

    #[test]
    fn a_sample_is_due_every_five_seconds() {
        let sampler = Sampler::new();
        assert!(!sampler.is_due(Duration::from_secs(4)));
        assert!(sampler.is_due(SAMPLE_EVERY));
        sampler.add(sample(SAMPLE_EVERY, 0));
        assert!(!sampler.is_due(SAMPLE_EVERY));
    }
}
