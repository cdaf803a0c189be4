//! Gives a stream its messages and their offsets back when the broker starts.

use super::Stream;
use super::index::{Places, SEGMENT_BYTES, kept_places};
use super::marker::Marker;
use crate::broker::queue::backlog::purge::Purged;
use crate::broker::queue::backlog::stored::Stored;
use crate::store::{StoreError, Waiting};

impl Stream {
    /// Takes back a message that was found, or a marker.
    pub(in crate::broker::queue) fn recover(
        &mut self,
        waiting: &Waiting,
        segment_max_bytes: Option<u64>,
    ) {
        if let Some(marker) = Marker::of(waiting) {
            self.found.push(marker);
            return;
        }
        let stored = Stored {
            position: waiting.sequence,
            deadline_and_flag: waiting.published_at << 1,
            place: waiting.place,
            body_len: waiting.body_len,
        };
        self.index.recover(stored, segment_max_bytes.unwrap_or(SEGMENT_BYTES));
    }

    /// Gives every message its offset; returns the messages and markers that are of no use any more.
    ///
    /// # Errors
    ///
    /// A page could not be read.
    pub(in crate::broker::queue) fn recovered(
        &mut self,
        segment_max_bytes: Option<u64>,
    ) -> Result<Purged, StoreError> {
        let found = std::mem::take(&mut self.found);
        let mut dropped = Purged::default();
        self.index.merge_late(segment_max_bytes.unwrap_or(SEGMENT_BYTES))?;
        if let Some(last) = found.iter().max_by_key(|marker| marker.sequence) {
            let older = found.iter().filter(|marker| marker.place != last.place);
            dropped.places.extend(older.map(|marker| marker.place));
            self.marker = Some(last.place);
            let before = self.index.count_before(last.sequence)?;
            self.index.begin_at(last.next.saturating_sub(before));
            for places in self.index.cut_before(last.first)? {
                match places {
                    Places::Here(places) => {
                        dropped.places.extend(kept_places(&places));
                    }
                    Places::Paged(page) => dropped.pages.push(page),
                }
            }
        }
        self.synced.set(self.index.next());
        Ok(dropped)
    }
}
