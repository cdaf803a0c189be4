//! The timer of a queue: the work that is due at a time ([`Queue::on_time`]), and when there is some.

use super::life::Life;
use super::state::{Queue, State};
use crate::broker::time::Millis;
use crate::moment;

/// The pause before work that a bug has ended is tried again.
const LOOK_LATER_MS: Millis = 1_000;

impl Queue {
    /// Does the work that is due at `now`; answers whether the queue itself has expired and must be deleted.
    pub(in crate::broker) fn on_time(&self, now: Millis) -> bool {
        moment::reach("queue.timer");
        let mut state = self.lock();
        if let Some(at) = state.timer_at.take_if(|at| *at <= now) {
            self.shared.timers.cancel(at, self);
        }
        if state.backlog.take_due(now) {
            state.try_again(now);
            state.read_stream_again(now);
        }
        state.publish_due_letters(now);
        state.release_due(now);
        state.retry_due(now);
        self.retire_if_due(&mut state, now);
        state.expire(now);
        state.trim(now);
        let expired = state.expires_at().is_some_and(|at| at <= now);
        if !expired {
            self.arm(&mut state);
        }
        expired && state.life != Life::Deleted
    }

    /// Has the timers call again, because a bug has ended the work that was due now.
    pub(in crate::broker) fn look_later(&self, now: Millis) {
        let at = now.saturating_add(LOOK_LATER_MS);
        let before = self.lock().timer_at.replace(at);
        self.shared.timers.set(before, at, self.this.clone());
    }

    /// Registers with the timers the next time at which there is work. Code that takes the front calls it, because the
    /// next message may have a deadline.
    pub(super) fn arm(&self, state: &mut State) {
        let message = state.backlog.next_expiry();
        let due = [
            message,
            state.expires_at(),
            state.backlog.reads_again_at(),
            state.outbox.due_at(),
            state.trim_at(),
            state.due_at(),
            state.retries_at(),
            self.retires_at(state),
        ];
        let Some(at) = due.into_iter().flatten().min() else {
            return;
        };
        if state.timer_at.is_none_or(|registered| at < registered) {
            let before = state.timer_at.replace(at);
            self.shared.timers.set(before, at, self.this.clone());
        }
    }
}
