//! The highest values that counters were sent with.

use std::collections::HashMap;

use crate::lock::Mutex;

/// The highest values that counters were sent with. One that is read while an object ends may be without that object's
/// counts; Prometheus would take the fall for a restart of the broker.
#[derive(Debug, Default)]
pub(super) struct Highest(Mutex<HashMap<String, u64>>);

impl Highest {
    /// The value to send for a counter that has grown to `value`.
    pub(super) fn raise(&self, counter: String, value: u64) -> u64 {
        let mut all = self.0.lock();
        let highest = all.entry(counter).or_default();
        *highest = value.max(*highest);
        *highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_never_falls() {
        let highest = Highest::default();
        let sent = |counter: &str, value| highest.raise(counter.to_owned(), value);
        assert_eq!([sent("a", 5), sent("a", 3), sent("b", 1), sent("a", 6)], [5, 5, 1, 6]);
    }
}
