//! Decides the place of messages that come back to a queue, and which of them get none: those that came back too often,
//! and those that wait before they are delivered again.

use super::backlog::return_to::ReturnTo;
use super::counts::count_u32;
use super::outbox::DeathReason;
use super::quorum::{DELIVERY_LIMIT, DeliveryRule};
use super::state::{Queue, State};
use crate::broker::entry::Entry;
use crate::broker::time::Millis;

/// The reason why a message comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReturnCause {
    /// The client that had it gave it back.
    Client,
    /// The client that had it is gone.
    Loss,
}

impl Queue {
    /// Returns the limit of returns, if there is one.
    pub(super) fn delivery_rule(&self, state: &State) -> Option<DeliveryRule> {
        if !self.is_quorum() {
            return None;
        }
        let said = state.limits.as_deref().and_then(|limits| limits.delivery_limit);
        match said {
            // Below 0 there is none.
            Some(limit) => Some(DeliveryRule(u16::try_from(limit.max(-1)).ok()?)),
            None if self.shared.compat.get().is_3_10() => None,
            None => Some(DeliveryRule(DELIVERY_LIMIT)),
        }
    }

    /// Returns the place for messages that come back for this reason.
    pub(super) fn place_of_returned(
        &self,
        rule: Option<DeliveryRule>,
        cause: ReturnCause,
    ) -> ReturnTo {
        match (rule, cause) {
            _ if !self.is_quorum() => ReturnTo::OldPosition,
            (None, ReturnCause::Client) if self.shared.compat.get().is_3_10() => ReturnTo::Back,
            (Some(_), _) | (None, ReturnCause::Client | ReturnCause::Loss) => {
                ReturnTo::BehindReturned
            }
        }
    }
}

impl State {
    /// Drops the messages that came back too often; returns the others.
    pub(super) fn drop_over_limit(
        &mut self,
        entries: Vec<Entry>,
        rule: DeliveryRule,
        now: Millis,
    ) -> Vec<Entry> {
        let is_poison = |entry: &Entry| rule.is_passed_by(entry.delivery_count);
        let (poison, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_poison);
        for entry in poison {
            self.dead_letter(entry, DeathReason::DeliveryLimit, now);
        }
        others
    }

    /// Takes out messages that must wait before they are delivered again; returns the others.
    pub(super) fn delay_retry(
        &mut self,
        entries: Vec<Entry>,
        has_failed: bool,
        now: Millis,
    ) -> Vec<Entry> {
        let rule = self.limits.as_deref().and_then(|limits| limits.delayed_retry);
        let (Some(rule), Some(quorum)) = (rule, self.kind.quorum_mut()) else {
            return entries;
        };
        let mut others = Vec::new();
        for entry in entries {
            match rule.delay_ms(entry.delivery_count.limited(), has_failed) {
                Some(delay_ms) if delay_ms > 0 => {
                    quorum.delayed_retry.insert(now.saturating_add(delay_ms), entry);
                }
                Some(_) | None => others.push(entry),
            }
        }
        others
    }

    /// Returns the time at which the first of the waiting messages is ready again.
    pub(super) fn retries_at(&self) -> Option<Millis> {
        self.kind.quorum()?.delayed_retry.due_at()
    }

    /// Makes messages ready whose time has come.
    pub(super) fn retry_due(&mut self, now: Millis) {
        let Some(quorum) = self.kind.quorum_mut() else { return };
        let due = quorum.delayed_retry.take_due(now);
        if !due.is_empty() {
            self.backlog.put_back(due, ReturnTo::BehindReturned);
            self.deal(now);
        }
    }

    /// Drops those that wait before they are delivered again; answers how many.
    pub(super) fn drop_delayed_retry(&mut self) -> u32 {
        let Some(quorum) = self.kind.quorum_mut() else { return 0 };
        let dropped = quorum.delayed_retry.take_all();
        let count = count_u32(dropped.len());
        self.after_unlock.dropped(dropped.into_values().filter_map(|entry| entry.place));
        count
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::arguments::{QueueArguments, QueueKind};
    use crate::broker::queue::settled::Returned;
    use crate::broker::queue::tests::Bench;

    /// Returns the numbers left of five messages when the first three were gotten and the third and first given back.
    fn after_returns(limit: Option<i64>, is_lost: bool) -> Vec<u32> {
        let arguments = QueueArguments {
            kind: QueueKind::Quorum,
            delivery_limit: Some(limit.unwrap_or(-1)),
            ..QueueArguments::default()
        };
        let bench = Bench::of(arguments);
        (0..5).for_each(|number| bench.push_kept(number));
        let mut gotten: Vec<_> = (0..3).map(|_| bench.get(false, 0).unwrap().0).collect();
        for at in [2, 0] {
            let returned = vec![Returned {
                entry: gotten.remove(at),
                consumer: None,
                no_ack: false,
                has_failed: false,
            }];
            if is_lost {
                bench.queue.put_back(returned, 0);
            } else {
                bench.queue.requeue(returned, 0);
            }
        }
        (0..4).map(|_| Bench::number(&bench.get(true, 0).unwrap().0)).collect()
    }

    #[test]
    fn what_comes_back_stands_in_front_unless_it_may_do_so_for_ever() {
        assert_eq!(after_returns(Some(3), false), [2, 0, 3, 4]);
        assert_eq!(after_returns(Some(3), true), [2, 0, 3, 4]);
        assert_eq!(after_returns(None, true), [2, 0, 3, 4]);
        assert_eq!(after_returns(None, false), [2, 0, 3, 4]);
    }
}
