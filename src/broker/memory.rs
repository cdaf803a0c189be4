//! Counts the memory that the waiting messages of all queues take, so that each queue can tell when to keep less.
//!
//! Every queue counts for itself, under its own lock, and tells [`Memory`] only when its count has moved by
//! [`REPORT_BYTES`]: a message costs no access to what all queues share. A message that went to several queues is
//! counted in each, so the sum is never too small by more than a step for each queue.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes by which a queue's count must have moved before it is told.
pub const REPORT_BYTES: u64 = 64 << 10;

/// Above this many bytes queues leave messages that the store has in the store: enough for the messages that consumers
/// are about to get, little beside the memory of an idle broker.
pub const STORED_BYTES_MAX: u64 = 32 << 20;

/// Above this many bytes also messages that need not survive are written away. Writing costs more than memory does,
/// so this is higher; a broker of many queues still fits a small machine.
pub const UNSTORED_BYTES_MAX: u64 = 256 << 20;

/// The memory that waiting messages take, all queues together.
#[derive(Debug, Default)]
pub struct Memory {
    resident_bytes: AtomicU64,
}

impl Memory {
    /// Counts that a queue has `now` bytes in memory, and no longer `before`.
    pub fn report(&self, before: u64, now: u64) {
        // Relaxed: the count is a hint, and orders nothing.
        if now > before {
            self.resident_bytes.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.resident_bytes.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    pub fn resident_bytes(&self) -> u64 {
        self.resident_bytes.load(Ordering::Relaxed)
    }

    /// Answers whether messages that the store has should be in memory only when they are about to be delivered.
    #[inline]
    pub fn is_short(&self) -> bool {
        self.resident_bytes() > STORED_BYTES_MAX
    }

    /// Answers whether even messages that the store does not have should be written away.
    #[inline]
    pub fn is_very_short(&self) -> bool {
        self.resident_bytes() > UNSTORED_BYTES_MAX
    }
}
