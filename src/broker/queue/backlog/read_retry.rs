//! Reading that failed though nothing says that the message is damaged: the process has too many files open, or the
//! disk does not answer.
//!
//! Nothing is taken out for it. The timer of the queue has it tried again after one second, and until then a
//! `basic.get` is told that the message cannot be read.

use std::any::Any;
use std::sync::Arc;

use super::pages::Page;
use crate::broker::time::Millis;

/// The pause after a failed read: long enough not to keep a failing disk busy, and short enough that a waiting client
/// hardly notices.
pub(in crate::broker::queue) const RETRY_AFTER_MS: Millis = 1_000;

/// The time at which reading is tried again, and the pages that are read then beside the front.
#[derive(Debug, Default)]
pub(super) struct ReadRetry {
    at: Option<Millis>,
    /// The last reading failed, which has been logged.
    is_failing: bool,
    /// Purged pages that could not be read, though their messages must be settled.
    purged: Vec<Page>,
    /// Keeps a deleted queue until they have been.
    queue: Option<Arc<dyn Any + Send + Sync>>,
}

impl ReadRetry {
    pub(super) fn at(&self) -> Option<Millis> {
        self.at
    }

    /// Answers if it is too early to try again.
    #[inline]
    pub(super) fn is_put_off(&self, now: Millis) -> bool {
        self.at.is_some_and(|at| now < at)
    }

    /// Answers if it is time to try again, and no longer after this.
    pub(super) fn take_due(&mut self, now: Millis) -> bool {
        self.at.take_if(|at| *at <= now).is_some()
    }

    /// Has reading tried again later; answers if it is the first failure of a row.
    pub(super) fn put_off(&mut self, now: Millis) -> bool {
        self.put_off_silently(now);
        !std::mem::replace(&mut self.is_failing, true)
    }

    /// Has reading tried again later, though the store has not failed.
    pub(super) fn put_off_silently(&mut self, now: Millis) {
        self.at = Some(now.saturating_add(RETRY_AFTER_MS));
    }

    pub(super) fn has_read(&mut self) {
        self.is_failing = false;
    }

    pub(super) fn keep_purged(
        &mut self,
        pages: Vec<Page>,
        queue: Option<Arc<dyn Any + Send + Sync>>,
    ) {
        self.purged.extend(pages);
        self.queue = queue;
    }

    pub(super) fn take_purged(&mut self) -> Vec<Page> {
        self.queue = None;
        std::mem::take(&mut self.purged)
    }
}

#[cfg(test)]
impl ReadRetry {
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing
    }

    pub(super) fn purged_len(&self) -> usize {
        self.purged.len()
    }
}
