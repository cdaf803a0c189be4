//! The times that a request asks samples of: `lengths_age=60&lengths_incr=5` and their like.
//!
//! RabbitMQ: `rabbit_mgmt_util:range/1`, its limit and its error text included.

use super::listing::Query;
use super::refusal::Refusal;

/// Most steps of one range (RabbitMQ: `MAX_RANGE`).
const STEPS_MAX: u64 = 500;

/// The times of the samples of one kind of numbers; seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SampleTimes {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) step: u64,
}

impl SampleTimes {
    /// All times, the newest first.
    pub(super) fn newest_first(self) -> impl Iterator<Item = u64> {
        let count = (self.last - self.first) / self.step;
        (0..=count).map(move |step| self.last - step * self.step)
    }
}

/// The kind of numbers that a parameter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeKind {
    Lengths,
    MessageRates,
    DataRates,
    NodeStats,
}

/// The samples that a request asks for, of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ranges {
    lengths: Option<SampleTimes>,
    message_rates: Option<SampleTimes>,
    data_rates: Option<SampleTimes>,
    node_stats: Option<SampleTimes>,
}

impl Ranges {
    /// Reads the parameters of a request that comes at `now_s`.
    ///
    /// # Errors
    ///
    /// [`Refusal::BadRequest`] for a range with too many steps, or of no time.
    pub(super) fn new(query: &Query, now_s: u64) -> Result<Self, Refusal> {
        Ok(Self {
            lengths: read(query, "lengths", now_s)?,
            message_rates: read(query, "msg_rates", now_s)?,
            data_rates: read(query, "data_rates", now_s)?,
            node_stats: read(query, "node_stats", now_s)?,
        })
    }

    pub(super) fn of(&self, kind: RangeKind) -> Option<SampleTimes> {
        match kind {
            RangeKind::Lengths => self.lengths,
            RangeKind::MessageRates => self.message_rates,
            RangeKind::DataRates => self.data_rates,
            RangeKind::NodeStats => self.node_stats,
        }
    }
}

fn read(query: &Query, name: &str, now_s: u64) -> Result<Option<SampleTimes>, Refusal> {
    let number = |part: &str| query.get(&format!("{name}_{part}"))?.parse::<i64>().ok();
    let (Some(age), Some(step)) = (number("age"), number("incr")) else { return Ok(None) };
    let refuse =
        || Refusal::bad_request(format!("Invalid range parameters: age {age}, incr {step}"));
    let positive = |number: i64| u64::try_from(number).ok().filter(|&number| number > 0);
    let (age_s, step_s) = positive(age).zip(positive(step)).ok_or_else(refuse)?;
    if age_s / step_s > STEPS_MAX {
        return Err(refuse());
    }
    let last_s = now_s / step_s * step_s;
    Ok(Some(SampleTimes { first: last_s.saturating_sub(age_s), last: last_s, step: step_s }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(age: &str, step: &str) -> Result<Option<SampleTimes>, Refusal> {
        let query = [("lengths_age", age), ("lengths_incr", step)];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ranges::new(&query.into(), 1004).map(|ranges| ranges.of(RangeKind::Lengths))
    }

    #[test]
    fn a_range_ends_at_a_multiple_of_its_step() {
        let times = range("10", "5").unwrap().unwrap();
        assert_eq!(times.newest_first().collect::<Vec<_>>(), [1000, 995, 990]);
        // What is not a number asks for nothing.
        assert_eq!(range("x", "5"), Ok(None));
    }

    /// Texts seen on RabbitMQ 4.3.6.
    #[test]
    fn impossible_ranges_are_refused_in_the_words_of_rabbitmq() {
        for (age, step) in [("6000", "5"), ("0", "5"), ("60", "-1")] {
            let reason = format!("Invalid range parameters: age {age}, incr {step}");
            assert_eq!(range(age, step), Err(Refusal::bad_request(reason)));
        }
    }
}
