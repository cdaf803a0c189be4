//! The one clock of a server: milliseconds since it started.

use std::time::{Duration, Instant, SystemTime};

use crate::broker::time::Millis;

/// A point in time that all `now`s of one broker count from.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_unix_ms: u64,
}

impl Clock {
    #[allow(clippy::new_without_default, reason = "a clock that starts is no default value")]
    pub fn start() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A wall clock that stands before 1970 counts as 1970.
        let since_ms = since.unwrap_or_default().as_millis();
        let start_unix_ms = u64::try_from(since_ms).unwrap_or(u64::MAX);
        Self { start: Instant::now(), start_unix_ms }
    }

    /// The wall clock's time when this one stood at zero, in milliseconds since 1970.
    pub fn start_unix_ms(&self) -> u64 {
        self.start_unix_ms
    }

    #[inline]
    pub fn now(&self) -> Millis {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// The same clock, finer: microseconds.
    #[inline]
    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The instant at which [`Self::now`] will be `at`.
    pub(super) fn instant(&self, at: Millis) -> Instant {
        self.start + Duration::from_millis(at)
    }
}
