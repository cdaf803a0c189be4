//! How a queue gets its messages back when the broker starts: as places, which are read when somebody wants them.

use super::ready::Ready;
use super::{Millis, Queue};
use crate::store::Waiting;

/// One moment on two clocks: the broker's own and the calendar's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartedAt {
    pub now: Millis,
    /// Milliseconds since 1970, as the store's.
    pub unix_ms: u64,
}

impl Queue {
    /// Gives the queue back a message; [`Self::recovered`] must follow the last, before anybody uses the queue.
    ///
    /// One whose time has passed while the broker was down expires like any other.
    /// Cost: one lock, 32 bytes on a page.
    pub fn recover(&self, waiting: &Waiting, at: StartedAt) {
        let own = waiting.time_to_live_ms;
        let mut state = self.lock();
        if let Some(schedule) = &mut state.schedule {
            return schedule.recover(*waiting);
        }
        if state.stream.is_some() {
            return Self::recover_stream(&mut state, waiting);
        }
        let limit = state.limits.as_deref().and_then(|limits| limits.message_ttl_ms);
        let time_to_live = limit.into_iter().chain(own).min();
        let deadline = time_to_live.map_or(Millis::MAX, |ttl| {
            let expires_at_unix_ms = waiting.published_at.saturating_add(ttl);
            expires_at_unix_ms.saturating_add(at.now).saturating_sub(at.unix_ms)
        });
        // The store does not tell 0 from none, of which none is common.
        state.turn_to_priority(|| Some(waiting.priority).filter(|priority| *priority > 0));
        state.ready.recover(waiting, deadline);
    }

    /// Says that all its messages have been given back. The store must be there by now: it is told which have expired.
    pub fn recovered(&self, at: StartedAt) {
        if let Some(store) = self.shared.store() {
            self.read_schedule(store, at);
        }
        let mut state = self.lock();
        if state.stream.is_some() {
            return self.recovered_stream(&mut state, at.now);
        }
        state.for_each_level(Ready::recovered);
        // Dead letters wait for the queues they go to: the timer is set.
        if !state.has_dead_letter_exchange() {
            state.expire(at.now);
            state.trim(at.now);
        }
        self.arm(&mut state);
    }
}
