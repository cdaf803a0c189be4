//! The growth of counters: their values now against those of some seconds ago.
//!
//! RabbitMQ's statistics are emitted every five seconds; its `x_details.rate` is the growth between two of them.
//! Here nothing is emitted: every five seconds all counters are read once (a [`Sample`]), off the way of messages,
//! and the two newest samples are kept. A rate then is the growth since the newest sample that is old enough to
//! tell something. An object that no sample knows is younger than it and has counted from zero. What a sample has
//! changed goes into the [`Histories`], of which requests ask samples (`msg_rates_age=60&msg_rates_incr=5`).
//!
//! Memory: two samples of at most [`SUBJECTS_MAX`] objects, and the histories.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::histories::Histories;
use super::history;
use super::ranges::{Ranges, SampleTimes};
use super::subject::Subject;
use crate::lock::Mutex;

/// The pause between two readings of all counters (RabbitMQ: `collect_statistics_interval`).
pub(super) const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// The least time a rate is taken over: less would show single messages as bursts.
const OLD_ENOUGH: Duration = Duration::from_millis(2500);
/// Objects in a sample; a broker with more shows average rates since its start for the rest. At about 200 bytes
/// an object two samples take 40 MB at most.
const SUBJECTS_MAX: usize = 100_000;

/// Numbers with their names, always in the same order for the same kind of object.
pub(super) type Numbers = Vec<(&'static str, u64)>;

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

/// The two newest samples, and what came before them.
#[derive(Debug)]
pub(super) struct Sampler {
    /// The moment on the wall at which the broker's clock stood at 0.
    started_at: SystemTime,
    samples: Mutex<Samples>,
}

#[derive(Debug)]
struct Samples {
    newest: Arc<Sample>,
    before: Arc<Sample>,
    histories: Histories,
}

impl Sampler {
    /// Starts with what the broker has at its start, which did not come in this moment.
    pub(super) fn new(started_at: SystemTime, first: Sample) -> Self {
        let first = Arc::new(first);
        let histories = Histories::default();
        let samples = Samples { newest: Arc::clone(&first), before: first, histories };
        Self { started_at, samples: Mutex::new(samples) }
    }

    /// Seconds since 1970 at this time of the broker's clock.
    pub(super) fn unix_s(&self, now: Duration) -> u64 {
        let started = self.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        (started + now).as_secs()
    }

    /// Answers whether it is time for the next sample.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let samples = self.samples.lock();
        now.saturating_sub(samples.newest.at) >= SAMPLE_EVERY
    }

    pub(super) fn add(&self, sample: Sample) {
        let mut samples = self.samples.lock();
        let now_s = self.unix_s(sample.at);
        let Samples { newest, before, histories } = &mut *samples;
        for (subject, values) in &sample.numbers {
            let before = newest.numbers.get(subject).map(|before| &**before);
            histories.note(subject, before, values, now_s);
        }
        histories.tidy(|subject| sample.numbers.contains_key(subject), now_s);
        *before = std::mem::replace(newest, Arc::new(sample));
    }

    /// Returns the sample that rates at `now` are measured against, and the samples that a request asks for.
    pub(super) fn rates(&self, now: Duration, ranges: Ranges) -> Rates<'_> {
        let samples = self.samples.lock();
        let age = now.saturating_sub(samples.newest.at);
        let base = if age >= OLD_ENOUGH { &samples.newest } else { &samples.before };
        let (base, newest) = (Arc::clone(base), Arc::clone(&samples.newest));
        Rates { base, newest, now, ranges, sampler: self }
    }
}

/// Says if numbers may shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    /// They grow only; a smaller one belongs to a new object of the same name.
    Up,
    UpAndDown,
}

/// Turns numbers into JSON with their rates, and with samples if they are asked for.
#[derive(Debug)]
pub(super) struct Rates<'a> {
    base: Arc<Sample>,
    newest: Arc<Sample>,
    /// Since the broker's start.
    now: Duration,
    ranges: Ranges,
    sampler: &'a Sampler,
}

impl Rates<'_> {
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

    /// Forgets the past of all numbers.
    pub(super) fn forget_past(&self) {
        self.sampler.samples.lock().histories = Histories::default();
    }

    /// Adds mean times, given in microseconds, to an object: in milliseconds, as RabbitMQ has them.
    pub(super) fn put_times(&self, row: &mut Value, subject: &Subject, numbers: &Numbers) {
        let mut micros = Map::new();
        self.put(&mut micros, std::slice::from_ref(subject), numbers, Growth::UpAndDown);
        for (name, mut value) in micros {
            in_milliseconds(&mut value);
            row[name] = value;
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
        let past = self.past(subjects);
        for (at, &(name, value)) in numbers.iter().enumerate() {
            let before = known.iter().filter_map(|values| values.get(at)).sum();
            let rate = growth(before, value, course) / elapsed.as_secs_f64();
            row.insert(name.to_owned(), value.into());
            let mut details = json!({ "rate": rate });
            if let Some(past) = &past {
                past.put(at, value, &mut details);
            }
            row.insert(format!("{name}_details"), details);
        }
    }

    /// The past of some subjects, all of one kind, if the request asks for it.
    fn past(&self, subjects: &[Subject]) -> Option<Past> {
        let times = self.ranges.of(subjects.first()?.range_kind())?;
        let times_s: Vec<_> = times.newest_first().collect();
        let now_s = self.sampler.unix_s(self.now);
        let samples = self.sampler.samples.lock();
        let values = subjects.iter().map(|subject| {
            samples.histories.at(subject, &times_s, now_s).unwrap_or_else(|| {
                // What has not changed was always so.
                let always = self.newest.numbers.get(subject).cloned().unwrap_or_default();
                vec![always; times_s.len()]
            })
        });
        let values = values.collect();
        let is_open = history::is_open(times.last, times.first, now_s);
        Some(Past { times, values, is_open })
    }
}

/// The values of some subjects at the times of a range.
struct Past {
    times: SampleTimes,
    /// For each subject, for each time, each number.
    values: Vec<Vec<Box<[u64]>>>,
    /// The newest time has the present values.
    is_open: bool,
}

impl Past {
    /// Adds the samples of one number, which is `present` now, their mean, and their growth in a second.
    fn put(&self, number: usize, present: u64, details: &mut Value) {
        let at = |time: usize| -> u64 {
            if time == 0 && self.is_open {
                return present;
            }
            let values = self.values.iter().filter_map(|subject| subject.get(time)?.get(number));
            values.sum()
        };
        let samples: Vec<_> =
            self.times.newest_first().enumerate().map(|(time, at_s)| (at_s, at(time))).collect();
        let (newest, oldest) = (samples.first(), samples.last());
        let span_s = as_float(self.times.last - self.times.first);
        let grown = newest
            .zip(oldest)
            .map_or(0.0, |(newest, oldest)| growth(oldest.1, newest.1, Growth::UpAndDown));
        let sum: f64 = samples.iter().map(|(_, value)| as_float(*value)).sum();
        details["avg"] = (sum / as_float(samples.len() as u64)).into();
        details["avg_rate"] = (grown / span_s).into();
        let sample = |(at_s, value): (u64, u64)| json!({"sample": value, "timestamp": at_s * 1000});
        details["samples"] = samples.into_iter().map(sample).collect();
    }
}

/// Divides the numbers of a time, its rate and its samples by 1000.
fn in_milliseconds(value: &mut Value) {
    match value {
        Value::Number(number) => *value = (number.as_f64().unwrap_or(0.0) / 1000.0).into(),
        Value::Array(samples) => samples.iter_mut().for_each(in_milliseconds),
        Value::Object(details) => {
            let numbers = details.iter_mut().filter(|(name, _)| *name != "timestamp");
            numbers.for_each(|(_, value)| in_milliseconds(value));
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number for display")]
fn as_float(count: u64) -> f64 {
    count as f64
}

fn growth(before: u64, now: u64, course: Growth) -> f64 {
    match course {
        Growth::Up if now < before => as_float(now),
        Growth::UpAndDown if now < before => -as_float(before - now),
        Growth::Up | Growth::UpAndDown => as_float(now - before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> Sampler {
        let zero = Sample::new(Duration::ZERO, std::iter::empty());
        Sampler::new(UNIX_EPOCH + Duration::from_secs(1000), zero)
    }

    fn sample(at: Duration, published: u64) -> Sample {
        Sample::new(at, [(Subject::Messages, vec![("publish", published)])].into_iter())
    }

    /// The rate of `publish` at `now` when it stands at `published`.
    fn rate(sampler: &Sampler, now: Duration, published: u64) -> f64 {
        let numbers = vec![("publish", published)];
        let answer = sampler.rates(now, Ranges::default()).counters(&Subject::Messages, &numbers);
        assert_eq!(answer["publish"], published);
        answer["publish_details"]["rate"].as_f64().unwrap()
    }

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let at = Duration::from_secs;
        let sampler = new();
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

    /// 5 seconds between samples, as RabbitMQ 4.3.6 was seen to tell them.
    #[test]
    fn samples_are_told_from_the_newest_to_the_oldest_with_their_mean_and_growth() {
        let at = Duration::from_secs;
        let sampler = new();
        sampler.add(sample(at(5), 0));
        sampler.add(sample(at(10), 5));
        sampler.add(sample(at(15), 5));
        let query = [("msg_rates_age", "15"), ("msg_rates_incr", "5")];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let ranges = Ranges::new(&query.into(), sampler.unix_s(at(16))).unwrap();
        let numbers = vec![("publish", 5)];
        let rates = sampler.rates(at(16), ranges);
        let answer = rates.counters(&Subject::Messages, &numbers);
        let expected = json!([
            {"sample": 5, "timestamp": 1_015_000}, {"sample": 5, "timestamp": 1_010_000},
            {"sample": 0, "timestamp": 1_005_000}, {"sample": 0, "timestamp": 1_000_000},
        ]);
        let details = &answer["publish_details"];
        assert_eq!(details["samples"], expected);
        assert_eq!(
            (details["avg"].as_f64(), details["avg_rate"].as_f64()),
            (Some(2.5), Some(5.0 / 15.0))
        );
        // What has grown since the newest sample is in the samples as in the rate.
        let grown = rates.counters(&Subject::Messages, &vec![("publish", 9)]);
        assert_eq!(grown["publish_details"]["samples"][0]["sample"], 9);
        assert_eq!(grown["publish_details"]["avg"], 3.5);
        // What no sample knows is younger than it, and each kind of numbers has its own parameters.
        let constant = rates.counters(&Subject::Churn, &vec![("queue_created", 7)]);
        assert_eq!(constant["queue_created_details"]["samples"][3]["sample"], 0);
        let mut lengths = json!({});
        rates.put_lengths(&mut lengths, &Subject::Lengths, &vec![("messages", 7)]);
        assert_eq!(lengths["messages_details"], json!({"rate": 7.0 / 6.0}));
    }

    #[test]
    fn a_counter_that_starts_again_has_no_negative_rate_and_a_length_has() {
        assert!((growth(100, 10, Growth::Up) - 10.0).abs() < 1e-9);
        assert!((growth(100, 10, Growth::UpAndDown) + 90.0).abs() < 1e-9);
    }

    #[test]
    fn a_sample_is_due_every_five_seconds() {
        let sampler = new();
        assert!(!sampler.is_due(Duration::from_secs(4)));
        assert!(sampler.is_due(SAMPLE_EVERY));
        sampler.add(sample(SAMPLE_EVERY, 0));
        assert!(!sampler.is_due(SAMPLE_EVERY));
    }
}
