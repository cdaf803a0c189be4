//! Counts of what a directory's files were read, written and synced.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One kind of operation: how many there were, their bytes and their time.
#[derive(Debug, Default)]
pub struct Operations {
    count: AtomicU64,
    bytes: AtomicU64,
    time_ns: AtomicU64,
}

impl Operations {
    /// Carries an operation out and counts it if it succeeds; it answers the bytes that it was about.
    pub(super) fn timed<T>(
        &self,
        operation: impl FnOnce() -> io::Result<T>,
        bytes: impl FnOnce(&T) -> u64,
    ) -> io::Result<T> {
        let began = now();
        let done = operation()?;
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: they are read for display only, and order nothing.
        self.count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes(&done), Ordering::Relaxed);
        self.time_ns.fetch_add(took, Ordering::Relaxed);
        Ok(done)
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.time_ns.load(Ordering::Relaxed))
    }
}

#[expect(clippy::disallowed_methods, reason = "the time that the disk takes, for display only")]
fn now() -> Instant {
    Instant::now()
}

/// All operations on a store's files.
#[derive(Debug, Default)]
pub struct IoCounters {
    pub reads: Operations,
    pub writes: Operations,
    pub syncs: Operations,
}

/// The counts of a store since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// Messages that are to survive.
    pub records: u64,
    /// Batches in which they were written, each with one sync.
    pub batches: u64,
    /// Bytes of their records in those batches: the messages with their names, properties and headers.
    pub record_bytes: u64,
}
