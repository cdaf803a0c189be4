//! The count of a message's returns to a quorum queue, and the headers that tell it to a consumer.

use super::arguments::QueueKind;
use super::compat::{Compat, CompatRelease};
use crate::store::{CountedAt, Counts};
use crate::wire::FieldValue;

/// The rule by which consumers are told how often a message came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountHeaders {
    /// Returns are not counted.
    #[default]
    Never,
    /// Once it came back, and `basic.get` from the first time on, as 3.10 does.
    Always,
    /// Once it came back, failures apart from others, as 4.3 does.
    Failures,
}

impl CountHeaders {
    /// Returns the rule for queues of this type.
    pub(super) fn of(kind: QueueKind, compat: Compat) -> Self {
        match compat.release() {
            _ if kind != QueueKind::Quorum => Self::Never,
            CompatRelease::V3_10 => Self::Always,
            CompatRelease::V4 | CompatRelease::V4_3 => Self::Failures,
        }
    }
}

/// The number of times a message came back, and the rule for telling it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCount {
    counts: Counts,
    count_headers: CountHeaders,
}

impl DeliveryCount {
    /// Makes the count of a message that is new in a queue, or `was_delivered` before the broker started.
    #[inline]
    pub(super) fn new(count_headers: CountHeaders, was_delivered: bool) -> Self {
        let count = u16::from(was_delivered && count_headers != CountHeaders::Never);
        Self { counts: Counts { all: count, failed: count }, count_headers }
    }

    /// Makes the count of a message that came back `counts` times before the broker started.
    pub(super) fn counted(count_headers: CountHeaders, counts: Counts) -> Self {
        let counts = if count_headers == CountHeaders::Never { Counts::default() } else { counts };
        Self { counts, count_headers }
    }

    /// Counts one; a failure also where consumers are told of none, for its dead letter.
    pub fn count(&mut self, is_failure: bool) {
        if self.count_headers == CountHeaders::Never {
            self.counts.failed = self.counts.failed.saturating_add(u16::from(is_failure));
        } else {
            self.counts = self.counts.and_one(is_failure);
        }
    }

    /// Returns the counts for the store to record when the message is delivered; `None` if its being delivered says as
    /// much.
    #[inline]
    pub(super) fn when_given(self) -> Option<(Counts, CountedAt)> {
        (self.counts.all > 0).then(|| (self.counts.and_one(true), CountedAt::Delivery))
    }

    /// Returns the counts for the store to record when the message was given back.
    pub(super) fn when_back(self) -> Option<(Counts, CountedAt)> {
        (self.counts.all > 0).then_some((self.counts, CountedAt::Return))
    }

    /// Returns the number of returns that were failures.
    pub(super) fn failed(self) -> u16 {
        self.counts.failed
    }

    /// Returns the count that a consumer is told, or `None` if it is told none.
    #[inline]
    pub fn for_consumer(self) -> Option<Self> {
        (self.count_headers != CountHeaders::Never && self.counts.all > 0).then_some(self)
    }

    /// Returns the count that a `basic.get` is told, of a message that had failed `before` times in other queues.
    pub fn for_get(self, before: u8) -> Option<Self> {
        match self.count_headers {
            CountHeaders::Always => Some(self),
            CountHeaders::Failures if before > 0 => Some(self),
            CountHeaders::Never | CountHeaders::Failures => self.for_consumer(),
        }
    }

    /// The headers that tell it, of a message that had failed so often `before` in other queues, where it died.
    ///
    /// As in RabbitMQ 4.3.6, which counts such failures toward the limit of this queue as well; here a message that is
    /// retried in another queue has its returns there anew.
    pub fn headers(self, before: u8) -> impl Iterator<Item = (&'static str, FieldValue)> {
        let Counts { all, failed } = self.counts;
        let before = u16::from(before);
        let some = |count: u16| Some(count).filter(|count| *count > 0);
        let acquired =
            some(all).or(some(before)).filter(|_| self.count_headers == CountHeaders::Failures);
        let failed = match self.count_headers {
            CountHeaders::Failures => some(failed.saturating_add(before)),
            CountHeaders::Always => Some(all),
            CountHeaders::Never => None,
        };
        let header = |name, count: Option<u16>| Some((name, FieldValue::I64(count?.into())));
        let headers = [header("x-acquired-count", acquired), header("x-delivery-count", failed)];
        headers.into_iter().flatten()
    }

    /// Returns the number of returns that count toward the limit.
    pub(super) fn limited(self) -> u16 {
        if self.count_headers == CountHeaders::Failures {
            self.counts.failed
        } else {
            self.counts.all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(count: DeliveryCount) -> Vec<(&'static str, FieldValue)> {
        count.for_consumer().map_or(Vec::new(), |count| count.headers(0).collect())
    }

    #[test]
    fn counts_are_told_as_each_release_does() {
        let long = FieldValue::I64;
        let of = |compat| DeliveryCount::new(CountHeaders::of(QueueKind::Quorum, compat), false);
        let [mut old, mut new, mut strict] = [Compat::V3_10, Compat::V4, Compat::V4_3].map(of);
        assert_eq!((told(old), told(new), told(strict)), (vec![], vec![], vec![]));
        let to_getter = old.for_get(0).map(|count| count.headers(0).collect());
        assert_eq!(to_getter, Some(vec![("x-delivery-count", long(0))]));
        assert_eq!(new.for_get(0), None);
        for count in [&mut old, &mut new, &mut strict] {
            count.count(false);
        }
        assert_eq!(told(old), [("x-delivery-count", long(1))]);
        for mut count in [new, strict] {
            assert_eq!(told(count), [("x-acquired-count", long(1))]);
            count.count(true);
            let both = [("x-acquired-count", long(2)), ("x-delivery-count", long(1))];
            assert_eq!((told(count), count.limited()), (both.into(), 1));
        }
        assert_eq!((old.limited(), new.limited()), (1, 0));
        let mut classic =
            DeliveryCount::new(CountHeaders::of(QueueKind::Classic, Compat::V3_10), true);
        classic.count(true);
        assert_eq!((told(classic), classic.counts.all, classic.failed()), (vec![], 0, 1));
    }

    /// As measured on RabbitMQ 4.3.6.
    #[test]
    fn failures_in_the_queues_before_are_told_with_those_here() {
        let long = FieldValue::I64;
        let mut count = DeliveryCount::new(CountHeaders::Failures, false);
        let told = |count: DeliveryCount| count.headers(2).collect::<Vec<_>>();
        assert_eq!(told(count), [("x-acquired-count", long(2)), ("x-delivery-count", long(2))]);
        count.count(false);
        assert_eq!(told(count), [("x-acquired-count", long(1)), ("x-delivery-count", long(2))]);
        count.count(true);
        assert_eq!(told(count), [("x-acquired-count", long(2)), ("x-delivery-count", long(3))]);
        assert_eq!(count.limited(), 1, "they do not count toward the limit");
    }
}
