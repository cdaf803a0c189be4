//! Takes messages out of a stream that are too old or too many: whole segments, never the one that is written to.
//!
//! Before that a marker is appended to the log. The messages are settled when it is on disk; if a crash loses that, the
//! messages that come back are known by their offsets and deleted again.

use super::Stream;
use super::index::{Places, Retention};
use super::marker::Marker;
use crate::broker::time::Millis;
use crate::store::{Batch, Place, QueueId, Store};

/// The pause before a deletion is tried again when the log had no room for the marker.
const RETRY_AFTER_MS: Millis = 1_000;

/// Messages that were taken out, to be settled when their marker is on disk.
#[derive(Debug)]
pub(in crate::broker::queue) struct Retired {
    /// The marker is in this batch.
    pub(in crate::broker::queue) batch: Batch,
    pub(in crate::broker::queue) gone: Vec<Places>,
    /// The marker before.
    pub(in crate::broker::queue) earlier: Option<Place>,
}

impl Stream {
    /// Begins to delete segments if there are too many or too old ones; answers whether [`Self::retire`] is to follow.
    pub(in crate::broker::queue) fn begin_retiring(
        &mut self,
        retention: Retention,
        has_store: bool,
        now: Millis,
    ) -> bool {
        if self.is_retiring || now < self.retire_not_before || !self.index.is_exceeding(retention) {
            return false;
        }
        if has_store {
            self.is_retiring = true;
        } else {
            self.take_out(retention);
        }
        has_store
    }

    /// Ends what [`Self::begin_retiring`] began, because a bug has ended it.
    pub(in crate::broker::queue) fn stop_retiring(&mut self) {
        self.is_retiring = false;
    }

    /// Returns the time at which a segment will be too old, if the broker's time was 0 at `started_unix_ms`.
    pub(in crate::broker::queue) fn retires_at(
        &self,
        age_ms: u64,
        started_unix_ms: u64,
    ) -> Option<Millis> {
        if self.is_retiring {
            return None;
        }
        let at = self.index.reaches_age_at(age_ms)?.saturating_sub(started_unix_ms);
        Some(at.saturating_add(1).max(self.retire_not_before))
    }

    /// Appends a marker and takes the segments out that are not kept. `None` if there are none, or if the log has no
    /// room for the marker.
    pub(in crate::broker::queue) fn retire(
        &mut self,
        id: QueueId,
        retention: Retention,
        store: &Store,
        now: Millis,
    ) -> Option<Retired> {
        self.is_retiring = false;
        let (first, next) = (self.index.first_after(retention), self.index.next());
        if first == self.index.first() {
            return None;
        }
        let queues = [id];
        let Ok(appended) = store.append_without_waking(&Marker::record(&queues, next, first))
        else {
            self.retire_not_before = now.saturating_add(RETRY_AFTER_MS);
            return None;
        };
        let gone = self.take_out(retention);
        let earlier = self.marker.replace(appended.first);
        Some(Retired { batch: appended.batch, gone, earlier })
    }

    fn take_out(&mut self, retention: Retention) -> Vec<Places> {
        let gone = self.index.retire(retention);
        self.recent.forget_before(self.index.first());
        gone
    }
}
