//! Delayed retries: the time that a message waits after its return to a quorum queue (RabbitMQ 4.3: "delayed retry").

use super::values::{EXPIRY_MAX_MS, RetryKind};

/// The values that arguments or a policy give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetrySaid {
    /// `delayed-retry-type`
    pub kind: Option<RetryKind>,
    /// `delayed-retry-min`
    pub min_ms: Option<u64>,
    /// `delayed-retry-max`
    pub max_ms: Option<u64>,
}

/// The rule of a queue that delays returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelayedRetry {
    kind: RetryKind,
    min_ms: u64,
    max_ms: u64,
}

impl DelayedRetry {
    /// The first of them who speaks of the type has it; of numbers the smallest counts. Without a shortest delay there
    /// is none.
    pub fn merge(said: [RetrySaid; 3]) -> Option<Self> {
        let kind = said.iter().find_map(|one| one.kind)?;
        let least = |of: fn(&RetrySaid) -> Option<u64>| said.iter().filter_map(of).min();
        let min_ms = least(|one| one.min_ms)?;
        let max_ms = least(|one| one.max_ms).unwrap_or(EXPIRY_MAX_MS.unsigned_abs());
        (kind != RetryKind::Disabled).then_some(Self { kind, min_ms, max_ms })
    }

    /// Returns the returns that are delayed.
    pub fn kind(&self) -> RetryKind {
        self.kind
    }

    /// Returns the time for which a message waits that has failed so often, the last time perhaps just now.
    pub fn delay_ms(&self, failures: u16, has_failed: bool) -> Option<u64> {
        let is_delayed = match self.kind {
            RetryKind::Disabled => false,
            RetryKind::All => true,
            RetryKind::Failed => has_failed,
            RetryKind::Returned => !has_failed,
        };
        let delay_ms = self.min_ms.saturating_mul(failures.max(1).into()).min(self.max_ms);
        is_delayed.then_some(delay_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: RetryKind, min_ms: Option<u64>, max_ms: Option<u64>) -> RetrySaid {
        RetrySaid { kind: Some(kind), min_ms, max_ms }
    }

    /// Times measured on RabbitMQ 4.3.5: a nack waits the shortest time again and again, a reject longer each time.
    #[test]
    fn the_delay_grows_with_the_failures_up_to_the_longest() {
        let none = RetrySaid::default();
        let all = said(RetryKind::All, Some(3000), Some(12_000));
        let rule = DelayedRetry::merge([all, none, none]).unwrap();
        for (failures, delay_ms) in
            [(0, 3000), (1, 3000), (2, 6000), (3, 9000), (4, 12_000), (5, 12_000)]
        {
            assert_eq!(rule.delay_ms(failures, true), Some(delay_ms), "{failures}");
        }
        assert_eq!(rule.delay_ms(0, false), Some(3000));
        for (kind, failed, returned) in
            [(RetryKind::Failed, Some(5), None), (RetryKind::Returned, None, Some(5))]
        {
            let rule = DelayedRetry::merge([none, said(kind, Some(5), None), none]).unwrap();
            assert_eq!((rule.delay_ms(1, true), rule.delay_ms(0, false)), (failed, returned));
        }
    }

    #[test]
    fn who_speaks_first_says_which_and_the_smallest_number_counts() {
        let none = RetrySaid::default();
        let off = said(RetryKind::Disabled, Some(1), None);
        let all = said(RetryKind::All, Some(9), Some(20));
        assert_eq!(DelayedRetry::merge([none; 3]), None);
        assert_eq!(DelayedRetry::merge([off, all, none]), None);
        assert_eq!(DelayedRetry::merge([said(RetryKind::All, None, Some(4)), none, none]), None);
        let merged = DelayedRetry::merge([all, off, none]).unwrap();
        assert_eq!(merged, DelayedRetry { kind: RetryKind::All, min_ms: 1, max_ms: 20 });
        assert_eq!(RetryKind::from_name("bogus"), None);
    }
}
