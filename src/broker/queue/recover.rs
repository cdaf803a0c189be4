//! Gives a queue its messages back when the broker starts: as places, which are read when a client wants the messages.

use super::outbox::DeathReason;
use super::state::Queue;
use crate::broker::entry::Entry;
use crate::broker::time::Millis;
use crate::broker::time::StartedAt;
use crate::store::{Waiting, locks};

impl Queue {
    /// Gives the queue back a message; [`Self::recovered`] must follow the last, before the queue is used.
    ///
    /// One whose time has passed while the broker was down expires like any other, and one that was lost with its
    /// client once too often dies. Cost: one lock, 32 bytes on a page.
    pub fn recover(&self, waiting: &Waiting, at: StartedAt) {
        let own = waiting.time_to_live_ms;
        let mut state = self.lock();
        if let Some(delayed) = state.kind.delayed_mut() {
            return delayed.recover(*waiting);
        }
        if state.kind.is_stream() {
            return Self::recover_stream(&mut state, waiting);
        }
        if state.recover_letter(waiting) {
            return;
        }
        let limit = state.limits.as_deref().and_then(|limits| limits.message_ttl_ms);
        let time_to_live = limit.into_iter().chain(own).min();
        let deadline = time_to_live.map_or(Millis::MAX, |ttl| {
            let expires_at_unix_ms = waiting.published_at.saturating_add(ttl);
            expires_at_unix_ms.saturating_add(at.now).saturating_sub(at.unix_ms)
        });
        if waiting.redelivered {
            let delivery_count = state.backlog.delivery_count_of(waiting);
            if self.delivery_rule(&state).is_some_and(|rule| rule.is_passed_by(delivery_count)) {
                let entry = Entry { delivery_count, ..Entry::recovered(waiting, deadline) };
                return state.outbox.add_before_start(entry, DeathReason::DeliveryLimit);
            }
        }
        state.backlog.recover(waiting, deadline, waiting.redelivered && self.is_quorum());
    }

    /// Says that all its messages have been given back. The store must be there by now: it is told which have expired.
    pub fn recovered(&self, at: StartedAt) {
        if let Some(store) = self.shared.store() {
            self.read_delayed(store, at);
        }
        let mut state = self.lock();
        if state.kind.is_stream() {
            return locks::before_publishers(|| self.recovered_stream(&mut state, at.now));
        }
        locks::before_publishers(|| state.backlog.recovered());
        // Dead letters wait for the queues they go to: the timer is set.
        if !state.has_dead_letter_exchange() {
            state.expire(at.now);
            state.trim(at.now);
        }
        self.publish_letters_when_started(&mut state, at.now);
        self.arm(&mut state);
    }
}
