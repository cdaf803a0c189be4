//! The times at which the messages of a publisher are due.
//!
//! The plan is fixed before the first message is sent and never waits for the broker: a stall makes messages late, and
//! it does not make them fewer.

/// Nanoseconds in a second.
const SECOND_NS: f64 = 1e9;

/// The timetable of one publisher.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    start_ns: u64,
    interval_ns: f64,
}

impl Pace {
    /// Of publisher `number` of `publishers`, who together send `per_second`; they take turns.
    pub(super) fn new(start_ns: u64, per_second: f64, number: u32, publishers: u32) -> Self {
        let all_ns = SECOND_NS / per_second;
        let start_ns = start_ns + floored(all_ns * f64::from(number));
        Self { start_ns, interval_ns: all_ns * f64::from(publishers) }
    }

    /// The time at which message number `sequence`, from 0 on, is due.
    #[inline]
    pub(super) fn due_ns(&self, sequence: u64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "exact for the messages of a century")]
        let sequence = sequence as f64;
        self.start_ns + floored(sequence * self.interval_ns)
    }

    /// Counts the messages that are due by `now_ns` and are not among the `sent` ones; at most `most`.
    pub(super) fn count_due(&self, sent: u64, now_ns: u64, most: usize) -> usize {
        (0..most as u64).take_while(|more| self.due_ns(sent + more) <= now_ns).count()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nanoseconds of a run are positive and far below 2^64; a cast saturates"
)]
fn floored(nanoseconds: f64) -> u64 {
    nanoseconds as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_even_times_in_turn() {
        let paces = [0, 1].map(|number| Pace::new(1000, 1e6, number, 2));
        let due: Vec<u64> = (0..3).flat_map(|at| paces.map(|pace| pace.due_ns(at))).collect();
        assert_eq!(due, [1000, 2000, 3000, 4000, 5000, 6000]);
    }

    #[test]
    fn a_stall_makes_all_due_that_it_held_up() {
        let pace = Pace::new(0, 1000.0, 0, 1);
        assert_eq!(pace.count_due(0, 0, 100), 1);
        assert_eq!(pace.count_due(1, 999_999, 100), 0);
        assert_eq!(pace.count_due(1, 50_000_000, 100), 50);
        assert_eq!(pace.count_due(1, 500_000_000, 100), 100);
    }
}
