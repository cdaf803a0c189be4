//! What applies to a queue now, and what follows when that changes.

use super::end::Life;
use super::{Millis, Queue, State};
use crate::broker::arguments::Limits;
use crate::broker::message::Message;

impl Queue {
    /// Has other limits apply from now on: a policy came, changed or went.
    ///
    /// Messages that wait keep the time to live they came with, as in RabbitMQ.
    pub fn set_limits(&self, limits: Limits, now: Millis) {
        let mut state = self.lock();
        let expires_ms = state.limits.as_deref().and_then(|limits| limits.expires_ms);
        if limits.expires_ms != expires_ms {
            // RabbitMQ: the time begins anew (`rabbit_amqqueue_process:init_exp`).
            state.used_at = state.used_at.max(now);
        }
        state.limits = boxed(limits);
        self.arm(&mut state);
    }

    /// What applies now.
    pub fn limits(&self) -> Limits {
        self.lock().limits.as_deref().cloned().unwrap_or_default()
    }
}

/// A queue without limits has none to look at.
pub(super) fn boxed(limits: Limits) -> Option<Box<Limits>> {
    (!limits.is_none()).then(|| Box::new(limits))
}

impl State {
    /// When an unused queue is deleted: without consumers, `x-expires` after its last use.
    pub(super) fn expires_at(&self) -> Option<Millis> {
        let after = self.limits.as_deref()?.expires_ms?;
        let is_unused = self.consumers.len() == 0 && self.life != Life::Over;
        is_unused.then(|| self.used_at.saturating_add(after))
    }

    /// When a message expires here: the smaller of the queue's and its own time to live (RabbitMQ: "TTL").
    #[inline]
    pub(super) fn deadline(&self, message: &Message, now: Millis) -> Millis {
        let own = self.limits.as_deref().and_then(|limits| limits.message_ttl_ms);
        match (own, message.time_to_live_ms()) {
            (None, None) => Millis::MAX,
            (Some(ttl), None) | (None, Some(ttl)) => now.saturating_add(ttl),
            (Some(one), Some(other)) => now.saturating_add(one.min(other)),
        }
    }
}
