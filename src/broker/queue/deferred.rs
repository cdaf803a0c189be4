//! What has come back to a quorum queue and waits before it is delivered again.
//!
//! It is neither ready nor unacknowledged meanwhile, and is not in memory where the store has it. When its time has
//! come it takes its place among the ready again. Begin with [`State::defer`], then [`State::undefer`].

use std::collections::BTreeMap;

use super::quorum::Place;
use super::{Entry, Millis, State};

/// Messages that come back under one lock; the timer goes on with more.
const PIECE_LEN: usize = 256;

/// Messages by when they are ready again; of one time in the order they came.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    waiting: BTreeMap<(Millis, u64), Entry>,
    next: u64,
}

impl State {
    /// Keeps those that are to wait; answers the others.
    pub(super) fn defer(
        &mut self,
        entries: Vec<Entry>,
        has_failed: bool,
        now: Millis,
    ) -> Vec<Entry> {
        let Some(rule) = self.limits.as_deref().and_then(|limits| limits.delayed_retry) else {
            return entries;
        };
        let mut others = Vec::new();
        for mut entry in entries {
            match rule.delay_ms(entry.returns.limited(), has_failed) {
                Some(delay_ms) if delay_ms > 0 => {
                    entry.forget_message();
                    let deferred = self.deferred.get_or_insert_default();
                    deferred.waiting.insert((now.saturating_add(delay_ms), deferred.next), entry);
                    deferred.next += 1;
                }
                Some(_) | None => others.push(entry),
            }
        }
        others
    }

    /// When the first is ready again.
    pub(super) fn undefer_at(&self) -> Option<Millis> {
        let (first, _) = self.deferred.as_deref()?.waiting.first_key_value()?;
        Some(first.0)
    }

    /// Makes those ready whose time has come.
    pub(super) fn undefer(&mut self, now: Millis) {
        let Some(deferred) = &mut self.deferred else { return };
        let mut due = Vec::new();
        while due.len() < PIECE_LEN
            && let Some(first) = deferred.waiting.first_entry().filter(|first| first.key().0 <= now)
        {
            due.push(first.remove());
        }
        if deferred.waiting.is_empty() {
            self.deferred = None;
        }
        if !due.is_empty() {
            self.put_back_all(due, Place::Returned);
            self.deal(now);
        }
    }

    /// Drops them all; answers how many.
    pub(super) fn drop_deferred(&mut self) -> u32 {
        let Some(deferred) = self.deferred.take() else { return 0 };
        let count = deferred.waiting.len();
        self.errands.dropped(deferred.waiting.into_values().filter_map(|entry| entry.place));
        super::count_u32(count)
    }
}
