//! The broker's time.

/// Milliseconds since the broker started. The broker has no other clock: callers pass the time as `now`.
pub type Millis = u64;
