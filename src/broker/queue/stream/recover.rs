//! Gives a stream its messages and their offsets back when the broker starts.

use super::Stream;
use super::index::{Places, SEGMENT_BYTES};
use super::publish::kept_places;
pub(super) use super::retention::Marker;
use crate::broker::queue::backlog::purge::Purged;
use crate::broker::queue::backlog::stored::Stored;
use crate::broker::queue::state::{Queue, State};
use crate::broker::time::Millis;
use crate::store::{StoreError, Waiting};

impl Queue {
    /// Takes back a message that was found, or a marker.
    ///
    /// Cost: 32 bytes on a page.
    pub(in crate::broker::queue) fn recover_stream(state: &mut State, waiting: &Waiting) {
        let segment_bytes = segment_bytes(state);
        let Some(stream) = state.kind.stream_mut() else { return };
        if let Some(marker) = Marker::of(waiting) {
            stream.found.push(marker);
            return;
        }
        let stored = Stored {
            position: waiting.sequence,
            deadline_and_flag: waiting.published_at << 1,
            place: waiting.place,
            body_len: waiting.body_len,
        };
        stream.index.recover(stored, segment_bytes);
    }

    /// Says that all has been taken back: each message has its offset again.
    pub(in crate::broker::queue) fn recovered_stream(&self, state: &mut State, now: Millis) {
        let segment_bytes = segment_bytes(state);
        let Some(stream) = state.kind.stream_mut() else { return };
        let found = std::mem::take(&mut stream.found);
        let dropped = stream.recovered(&found, segment_bytes);
        let dropped = dropped.unwrap_or_else(|error| {
            tracing::error!(queue = %self.settings.name, vhost = %self.settings.vhost, %error,
                "the offsets of a stream cannot be determined");
            Purged::default()
        });
        state.after_unlock.purged(dropped, now);
        self.retire_if_due(state, now);
        self.arm(state);
    }
}

fn segment_bytes(state: &State) -> u64 {
    let limits = state.limits.as_deref();
    limits.and_then(|limits| limits.segment_max_bytes).unwrap_or(SEGMENT_BYTES)
}

impl Stream {
    /// Gives every message its offset; returns the messages and markers that are of no use any more.
    fn recovered(&mut self, found: &[Marker], segment_bytes: u64) -> Result<Purged, StoreError> {
        let mut dropped = Purged::default();
        self.index.merge_late(segment_bytes)?;
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
