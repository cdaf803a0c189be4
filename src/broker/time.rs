//! The broker's time.

/// Milliseconds since the broker started. The broker has no other clock: callers pass the time as `now`.
pub type Millis = u64;

/// One moment on two clocks: the broker's own and the calendar's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartedAt {
    pub now: Millis,
    /// Milliseconds since 1970, as the store's.
    pub unix_ms: u64,
}
