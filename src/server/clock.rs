//! The one clock of a server: milliseconds since it started.

use std::time::{Duration, Instant};

use crate::broker::queue::Millis;

/// A point in time that all `now`s of one server count from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    #[allow(clippy::new_without_default, reason = "a clock that starts is no default value")]
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    #[inline]
    pub(super) fn now(&self) -> Millis {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// The instant at which [`Self::now`] will be `at`.
    pub(super) fn instant(&self, at: Millis) -> Instant {
        self.start + Duration::from_millis(at)
    }
}
