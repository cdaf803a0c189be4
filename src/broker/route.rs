//! A route: the queues that messages with one exchange and routing key go to.
//!
//! A route is found by the topology ([`Topology::route`](super::topology)) and used by `publish`, which keeps the
//! message and hands it out. Nothing else looks into it, so that no message is given to a queue in another way.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::exchange::History;
use super::message::Message;
use super::queue::Queue;
use super::stats::ExchangeCounters;
use crate::store::{Place, QueueId};

/// Queues up to which a list is searched faster than a set.
const LISTED_MAX: usize = 16;

/// The result of a search through the bindings.
#[derive(Debug)]
pub(super) struct FoundRoute {
    /// A queue may be there more than once.
    pub(super) queues: Vec<Arc<Queue>>,
    /// The exchanges on the way that remember their last messages.
    pub(super) histories: Vec<Arc<History>>,
    /// Nothing but the routing key took part.
    pub(super) by_key_alone: bool,
}

/// The queues to which messages with one exchange and routing key go.
#[derive(Clone, Debug)]
pub struct Route {
    /// Each queue once; streams come first, then others that keep every message, then those that keep persistent ones.
    queues: Vec<Arc<Queue>>,
    /// The store's numbers for those that keep messages.
    kept_by: Vec<QueueId>,
    /// The number of them that keep every message: streams and quorum queues.
    always_kept_by: usize,
    /// The first queue is a stream that the store keeps.
    has_streams: bool,
    by_key_alone: bool,
    is_traced: bool,
    counters: Arc<ExchangeCounters>,
    histories: Vec<Arc<History>>,
}

impl Route {
    /// Makes the route to the queues found; `counters` are those of the exchange that the message is published to.
    pub(super) fn new(found: FoundRoute, counters: Arc<ExchangeCounters>) -> Self {
        let FoundRoute { mut queues, histories, by_key_alone } = found;
        dedup(&mut queues);
        let mut route = Self {
            queues,
            kept_by: Vec::new(),
            always_kept_by: 0,
            has_streams: false,
            by_key_alone,
            is_traced: false,
            counters,
            histories,
        };
        route.sort();
        route
    }

    /// A route that leads nowhere.
    pub(super) fn nowhere() -> Self {
        let found = FoundRoute { queues: Vec::new(), histories: Vec::new(), by_key_alone: true };
        Self::new(found, Arc::default())
    }

    /// The route to one queue, whatever leads there.
    pub(super) fn to(queue: &Arc<Queue>) -> Self {
        let queues = vec![Arc::clone(queue)];
        let found = FoundRoute { queues, histories: Vec::new(), by_key_alone: false };
        Self::new(found, Arc::default())
    }

    /// Sets whether messages of the route are traced.
    #[must_use]
    pub(super) fn traced(self, is_traced: bool) -> Self {
        Self { is_traced, ..self }
    }

    /// The queues that messages go to.
    #[inline]
    pub fn queues(&self) -> &[Arc<Queue>] {
        &self.queues
    }

    /// The exchanges on the way that remember their last messages.
    #[inline]
    pub(super) fn histories(&self) -> &[Arc<History>] {
        &self.histories
    }

    /// The counters of the exchange that messages are published to.
    #[inline]
    pub(super) fn counters(&self) -> &ExchangeCounters {
        &self.counters
    }

    /// Answers whether the firehose tells of messages that take this route.
    #[inline]
    pub(super) fn is_traced(&self) -> bool {
        self.is_traced
    }

    /// Answers whether some of the queues are streams whose messages the store keeps.
    #[inline]
    pub(super) fn has_streams(&self) -> bool {
        self.has_streams
    }

    /// Answers whether nothing but the routing key decides on the route, so that it holds until the topology changes.
    #[inline]
    pub(super) fn is_by_key_alone(&self) -> bool {
        self.by_key_alone
    }

    /// Answers whether neither a queue nor a history gets messages by this route.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.histories.is_empty()
    }

    /// The places of a message in the queues that keep it, in their order, by that of the first.
    #[inline]
    pub(super) fn places(
        &self,
        message: &Message,
        first: Place,
    ) -> impl Iterator<Item = Place> + use<> {
        let count = u32::try_from(self.durable_queues(message).len()).unwrap_or(u32::MAX);
        (0..count).map(move |nth| first.nth(nth))
    }

    /// Returns the store's numbers for the queues that keep this message. They are the first of the queues.
    #[inline]
    pub(super) fn durable_queues(&self, message: &Message) -> &[QueueId] {
        if message.is_persistent() { &self.kept_by } else { &self.kept_by[..self.always_kept_by] }
    }

    /// The route without some of its queues.
    #[must_use]
    pub(super) fn without(mut self, is_left_out: impl Fn(&Queue) -> bool) -> Self {
        self.queues.retain(|queue| !is_left_out(queue));
        self.sort();
        self
    }

    /// The route for a message that the histories remember already.
    #[must_use]
    pub(super) fn without_histories(mut self) -> Self {
        self.histories.clear();
        self
    }

    /// The route without the queues that were deleted since it was found.
    #[must_use]
    pub(super) fn living(self) -> Self {
        self.without(Queue::is_deleted)
    }

    /// Brings the queues that keep messages to the front.
    fn sort(&mut self) {
        let rank = |queue: &Arc<Queue>| match queue.settings().id {
            None => 3,
            Some(_) if queue.is_stream() => 0,
            Some(_) if queue.is_quorum() => 1,
            Some(_) => 2,
        };
        if !self.queues.is_sorted_by_key(rank) {
            self.queues.sort_by_key(rank);
        }
        if self.queues.first().is_none_or(|first| first.settings().id.is_none()) {
            // None keeps anything.
            (self.kept_by, self.has_streams, self.always_kept_by) = (Vec::new(), false, 0);
            return;
        }
        self.kept_by = self.queues.iter().map_while(|queue| queue.settings().id).collect();
        let kept = &self.queues[..self.kept_by.len()];
        self.has_streams = kept.first().is_some_and(|queue| queue.is_stream());
        let keeps_all = |queue: &&Arc<Queue>| queue.is_stream() || queue.is_quorum();
        self.always_kept_by = kept.iter().take_while(keeps_all).count();
    }
}

/// Keeps the first of each queue.
fn dedup(queues: &mut Vec<Arc<Queue>>) {
    if queues.len() < 2 {
        return;
    }
    if queues.len() > LISTED_MAX {
        let mut seen = FxHashSet::default();
        return queues.retain(|queue| seen.insert(Arc::as_ptr(queue)));
    }
    let mut at = 1;
    while let Some(queue) = queues.get(at) {
        if queues[..at].iter().any(|seen| Arc::ptr_eq(seen, queue)) {
            queues.remove(at);
        } else {
            at += 1;
        }
    }
}
