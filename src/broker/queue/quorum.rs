//! What is different about a quorum queue, on one node: how often each message came back is counted, told to whoever gets
//! it, and limited.
//!
//! RabbitMQ 3.10 counts every return and tells `basic.get` the count from the first time on; 4 has a limit without being asked,
//! and 4.3 counts only failures toward it: rejections and consumers that were lost (`rabbit_fifo`). A count does not
//! survive the broker: what was delivered before counts as returned once.
//!
//! What comes back stands behind what came back before it and in front of all else; but what a client gave back without
//! any limit of returns begins anew behind all others (`rabbit_fifo`: `return`, `requeue`).

use super::levels::{Levels, Rule};
use super::{Entry, Millis, Queue, State};
use crate::broker::arguments::QueueKind;
use crate::broker::compat::Compat;
use crate::broker::dead_letter::Reason;
use crate::wire::FieldValue;

/// Returns that RabbitMQ 4 allows when nothing is said.
const DELIVERY_LIMIT: u16 = 20;

/// Whether and when a consumer is told how often a message came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// Nobody counts.
    #[default]
    Never,
    /// Once it came back, and `basic.get` from the first time on, as 3.10 does.
    Always,
    /// Once it came back.
    Returned,
    /// The same, failures apart from others, as 4.3 does.
    Failures,
}

impl Shown {
    /// What queues of this type do.
    pub(super) fn of(kind: QueueKind, compat: Compat) -> Self {
        match compat {
            _ if kind != QueueKind::Quorum => Self::Never,
            Compat::V3_10 => Self::Always,
            Compat::V4 => Self::Returned,
            Compat::V4_3 => Self::Failures,
        }
    }
}

/// How often a message came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    all: u16,
    /// Rejected, or lost with its consumer.
    failed: u16,
    shown: Shown,
}

impl Returns {
    /// Those of a message in a queue that is new there, or `was_delivered` before the broker started.
    #[inline]
    pub(super) fn new(shown: Shown, was_delivered: bool) -> Self {
        let count = u16::from(was_delivered && shown != Shown::Never);
        Self { all: count, failed: count, shown }
    }

    /// Counts one, where that is done.
    pub fn count(&mut self, is_failure: bool) {
        if self.shown != Shown::Never {
            self.all = self.all.saturating_add(1);
            self.failed = self.failed.saturating_add(u16::from(is_failure));
        }
    }

    /// What a consumer is told of, if of anything.
    #[inline]
    pub fn told(self) -> Option<Self> {
        (self.shown != Shown::Never && self.all > 0).then_some(self)
    }

    /// The same for who asked with `basic.get`.
    pub fn told_to_getter(self) -> Option<Self> {
        if self.shown == Shown::Always { Some(self) } else { self.told() }
    }

    /// The headers that tell it.
    pub fn headers(self) -> impl Iterator<Item = (&'static str, FieldValue)> {
        let acquired = matches!(self.shown, Shown::Returned | Shown::Failures).then_some(self.all);
        let failed = match self.shown {
            Shown::Failures => Some(self.failed).filter(|count| *count > 0),
            Shown::Always | Shown::Returned => Some(self.all),
            Shown::Never => None,
        };
        let header = |name, count: Option<u16>| Some((name, FieldValue::I64(count?.into())));
        let headers = [header("x-acquired-count", acquired), header("x-delivery-count", failed)];
        headers.into_iter().flatten()
    }

    /// Those that count toward the limit.
    pub(super) fn limited(self) -> u16 {
        if self.shown == Shown::Failures { self.failed } else { self.all }
    }
}

/// Where what comes back to a queue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it stood.
    Old,
    /// Behind what came back before it.
    Returned,
    /// Behind all others.
    Last,
}

/// Why something comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Who had it gave it back.
    Client,
    /// Who had it is gone.
    Loss,
}

/// How many returns a message may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeliveryRule(u16);

impl Queue {
    /// The limit of returns, if there is one.
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

    /// Follows the release that was chosen: what is told of returns, how priorities count. Before anybody uses it.
    pub(in crate::broker) fn follow_release(&self) {
        let (wanted, compat) = (&self.settings.wanted, self.shared.compat.get());
        let mut state = self.lock();
        state.ready.show(Shown::of(wanted.kind, compat));
        state.levels = Rule::of(wanted, compat).map(|rule| Box::new(Levels::new(rule)));
        state.look_again();
    }

    /// Where what comes back for this reason stands.
    pub(super) fn place_of_returned(&self, rule: Option<DeliveryRule>, cause: Cause) -> Place {
        match (rule, cause) {
            _ if !self.is_quorum() => Place::Old,
            (None, Cause::Client) => Place::Last,
            (Some(_), _) | (None, Cause::Loss) => Place::Returned,
        }
    }

    /// Whether it is a quorum queue.
    pub fn is_quorum(&self) -> bool {
        self.settings.wanted.kind == QueueKind::Quorum
    }
}

impl State {
    /// Lets go of what came back too often; answers the others.
    pub(super) fn let_go_of_poison(
        &mut self,
        entries: Vec<Entry>,
        DeliveryRule(limit): DeliveryRule,
        now: Millis,
    ) -> Vec<Entry> {
        let is_poison = |entry: &Entry| entry.returns.limited() > limit;
        let (poison, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_poison);
        for entry in poison {
            self.die(entry, Reason::DeliveryLimit, now);
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::queue::fetch::tests::Bench;
    use crate::broker::queue::{QueueArguments, Returned};

    fn told(returns: Returns) -> Vec<(&'static str, FieldValue)> {
        returns.told().map_or(Vec::new(), |returns| returns.headers().collect())
    }

    #[test]
    fn counts_are_told_as_each_release_does() {
        let long = FieldValue::I64;
        let of = |compat| Returns::new(Shown::of(QueueKind::Quorum, compat), false);
        let [mut old, mut lenient, mut strict] = [Compat::V3_10, Compat::V4, Compat::V4_3].map(of);
        assert_eq!((told(old), told(lenient), told(strict)), (vec![], vec![], vec![]));
        let to_getter = old.told_to_getter().map(|returns| returns.headers().collect());
        assert_eq!(to_getter, Some(vec![("x-delivery-count", long(0))]));
        assert_eq!(lenient.told_to_getter(), None);
        for returns in [&mut old, &mut lenient, &mut strict] {
            returns.count(false);
        }
        assert_eq!(told(old), [("x-delivery-count", long(1))]);
        assert_eq!(told(lenient), [("x-acquired-count", long(1)), ("x-delivery-count", long(1))]);
        assert_eq!(told(strict), [("x-acquired-count", long(1))]);
        strict.count(true);
        assert_eq!(told(strict), [("x-acquired-count", long(2)), ("x-delivery-count", long(1))]);
        assert_eq!((lenient.limited(), strict.limited()), (1, 1));
        let mut classic = Returns::new(Shown::of(QueueKind::Classic, Compat::V3_10), true);
        classic.count(true);
        assert_eq!(classic, Returns::default());
    }

    /// What is left of five messages, by number, when the first three were gotten and the third and first given back.
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
        assert_eq!(after_returns(None, false), [3, 4, 2, 0]);
    }
}
