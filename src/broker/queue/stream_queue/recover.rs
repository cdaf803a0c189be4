//! Gives a stream its messages back when the broker starts.

use crate::broker::queue::backlog::purge::Purged;
use crate::broker::queue::state::{Queue, State};
use crate::broker::time::Millis;
use crate::store::Waiting;

impl Queue {
    /// Takes back a message that was found, or a marker.
    ///
    /// Cost: 32 bytes on a page.
    pub(in crate::broker::queue) fn recover_stream(state: &mut State, waiting: &Waiting) {
        let segment_max_bytes = segment_max_bytes(state);
        if let Some(stream) = state.kind.stream_mut() {
            stream.recover(waiting, segment_max_bytes);
        }
    }

    /// Says that all has been taken back: each message has its offset again.
    pub(in crate::broker::queue) fn recovered_stream(&self, state: &mut State, now: Millis) {
        let segment_max_bytes = segment_max_bytes(state);
        let Some(stream) = state.kind.stream_mut() else { return };
        let dropped = stream.recovered(segment_max_bytes).unwrap_or_else(|error| {
            tracing::error!(queue = %self.settings.name, vhost = %self.settings.vhost, %error,
                "the offsets of a stream cannot be determined");
            Purged::default()
        });
        state.after_unlock.purged(dropped, now);
        self.retire_if_due(state, now);
        self.arm(state);
    }
}

fn segment_max_bytes(state: &State) -> Option<u64> {
    state.limits.as_deref()?.segment_max_bytes
}
