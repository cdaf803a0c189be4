//! The consumers of a queue: which of them gets the next message, in turn.
//!
//! As in RabbitMQ (`rabbit_queue_consumers`) a consumer is either active, standing in the round-robin, or
//! blocked because it has no credit; it comes back to the end of the line when credit does. So finding the next
//! receiver costs the same for one consumer and for ten thousand.
//!
//! A consumer of a higher priority stands before all of lower ones, at the end of its own. Of a queue with a single
//! active consumer only that one stands in line (`single_active_consumer`).

pub(in crate::broker::queue) mod channel_limit;
pub(in crate::broker::queue) mod consumer;
mod single_active_consumer;

use std::collections::VecDeque;

use self::consumer::{Consumer, ConsumerId, Subscription};
use self::single_active_consumer::SingleActiveConsumer;
use crate::broker::arguments::{QueueArguments, QueueKind};
use crate::wire::ShortStr;

/// The activity of a consumer: it is served or waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It is served, as all consumers of the queue are.
    Up,
    /// It alone is served.
    SingleActive,
    /// Another one is served.
    Waiting,
}

impl Activity {
    /// Names it as listings do.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::SingleActive => "single_active",
            Self::Waiting => "waiting",
        }
    }
}

/// All consumers of a queue.
#[derive(Debug, Default)]
pub(in crate::broker::queue) struct Consumers {
    slots: Vec<Option<Consumer>>,
    free: Vec<usize>,
    /// The consumers that may have credit, next receiver first.
    active: VecDeque<usize>,
    count: usize,
    next_serial: u64,
    /// The number of times a consumer was blocked.
    blockings: u64,
    /// Some consumer has, or had, a priority.
    has_priorities: bool,
    /// The one consumer that is served, when only one is.
    single_active: Option<Box<SingleActiveConsumer>>,
}

impl Consumers {
    /// Makes the list of a queue with these arguments.
    pub(in crate::broker::queue) fn of(wanted: &QueueArguments) -> Self {
        let gives_way = wanted.kind == QueueKind::Quorum;
        let single = || Box::new(SingleActiveConsumer::new(gives_way));
        let single_active = wanted.is_single_active_consumer.then(single);
        Self { single_active, ..Self::default() }
    }

    /// Answers if only one consumer is served at a time.
    pub(in crate::broker::queue) fn is_one_at_a_time(&self) -> bool {
        self.single_active.is_some()
    }

    #[inline]
    pub(in crate::broker::queue) fn len(&self) -> usize {
        self.count
    }

    pub(in crate::broker::queue) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.slots.iter().flatten()
    }

    /// Share of the consumers that could take a message now, 0 to 1; 0 without consumers.
    pub(in crate::broker::queue) fn capacity(&self) -> f64 {
        let able = self.iter().filter(|consumer| consumer.has_credit()).count();
        #[expect(clippy::cast_precision_loss, reason = "a share for display")]
        let share = able as f64 / self.count.max(1) as f64;
        share
    }

    pub(in crate::broker::queue) fn has_exclusive(&self) -> bool {
        self.iter().any(|consumer| consumer.subscription().exclusive)
    }

    pub(in crate::broker::queue) fn add(&mut self, subscription: Subscription) -> ConsumerId {
        let serial = self.next_serial;
        self.next_serial += 1;
        let consumer = Consumer::new(serial, subscription);
        self.has_priorities |= consumer.priority != 0;
        let at = self.free.pop().unwrap_or(self.slots.len());
        if at == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[at] = Some(consumer);
        self.count += 1;
        if self.single_active.is_some() {
            self.apply(at);
        } else {
            self.stand_in_line(at);
        }
        ConsumerId { at, serial }
    }

    /// Puts a consumer at the end of the line, or of its priority's part of it.
    ///
    /// Cost: with priorities as many moves as there are consumers of lower ones, eight bytes each.
    #[inline]
    fn stand_in_line(&mut self, at: usize) {
        if self.has_priorities {
            let behind = behind(&self.slots, &self.active, at);
            self.active.insert(behind, at);
        } else {
            self.active.push_back(at);
        }
    }

    /// Takes a consumer out of the line.
    fn leave_line(&mut self, at: usize) {
        self.active.retain(|&other| other != at);
    }

    /// Takes a consumer out; answers whether it was the one that is served, so that [`Self::promote`] is to follow.
    pub(in crate::broker::queue) fn remove(&mut self, id: ConsumerId) -> Option<bool> {
        self.get_mut(id)?;
        self.leave_line(id.at);
        self.count -= 1;
        self.free.push(id.at);
        self.slots[id.at] = None;
        Some(self.single_active.as_mut().is_some_and(|single| single.leave(id.at)))
    }

    pub(in crate::broker::queue) fn remove_all(&mut self) -> Vec<Subscription> {
        self.active.clear();
        self.free.clear();
        self.count = 0;
        if let Some(single) = &mut self.single_active {
            single.forget_all();
        }
        self.slots.drain(..).flatten().map(Consumer::into_subscription).collect()
    }

    fn get_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.slots.get_mut(id.at)?.as_mut().filter(|consumer| consumer.serial == id.serial)
    }

    /// The consumer whose turn it is; one without credit leaves the line.
    #[inline]
    pub(in crate::broker::queue) fn next(&mut self) -> Option<&mut Consumer> {
        loop {
            let &at = self.active.front()?;
            let consumer = self.slots[at].as_mut().expect("who is in line is there");
            if consumer.has_credit() {
                break;
            }
            consumer.blocked = Some(self.blockings);
            self.blockings += 1;
            self.active.pop_front();
        }
        let &at = self.active.front()?;
        self.slots[at].as_mut()
    }

    /// Sends the consumer whose turn it was to the end of the line.
    #[inline]
    pub(in crate::broker::queue) fn rotate(&mut self) {
        if self.active.len() > 1 {
            if self.has_priorities {
                let Some(at) = self.active.pop_front() else { return };
                self.stand_in_line(at);
            } else {
                self.active.rotate_left(1);
            }
        }
    }

    /// Takes the consumer whose turn it is out of the line until it is unblocked.
    pub(in crate::broker::queue) fn block_front(&mut self) {
        if let Some(at) = self.active.pop_front()
            && let Some(consumer) = &mut self.slots[at]
        {
            consumer.blocked = Some(self.blockings);
            self.blockings += 1;
        }
    }

    /// Counts settled deliveries of a consumer, which may bring it back into the line.
    pub(in crate::broker::queue) fn settle(&mut self, id: ConsumerId, count: u32) {
        let Some(consumer) = self.get_mut(id) else { return };
        consumer.count_settled(count);
        self.unblock_at(id.at);
        if self.single_active.is_some() {
            self.retire(id.at);
        }
    }

    fn unblock_at(&mut self, at: usize) {
        if let Some(Some(consumer)) = self.slots.get_mut(at)
            && consumer.blocked.is_some()
            && consumer.has_credit()
        {
            consumer.blocked = None;
            self.stand_in_line(at);
        }
    }

    /// Looks again at consumers: their channel's limit or their mailbox may have room now. Who was blocked first is the
    /// first in line.
    pub(in crate::broker::queue) fn unblock(&mut self, ids: impl IntoIterator<Item = ConsumerId>) {
        let mut blocked = Vec::new();
        for id in ids {
            let consumer = self.get_mut(id);
            blocked.extend(consumer.and_then(|consumer| Some((consumer.blocked?, id.at))));
        }
        blocked.sort_unstable();
        for (_, at) in blocked {
            self.unblock_at(at);
        }
    }

    /// A new consumer asks to be served, where only one is.
    fn apply(&mut self, at: usize) {
        let Some(single) = &mut self.single_active else { return };
        let behind = behind(&self.slots, single.waiting(), at);
        single.wait(at, behind);
        let priority = |at: usize| self.slots[at].as_ref().map(|consumer| consumer.priority);
        if let Some(active) = single.active_to_retire(at, priority) {
            single.retire();
            self.leave_line(active);
            return self.retire(active);
        }
        self.choose();
    }

    /// Lets the next one be served when the active one, which is to retire, has settled everything.
    fn retire(&mut self, at: usize) {
        let Some(single) = &mut self.single_active else { return };
        if !single.is_retiring() || !single.is_active(at) {
            return;
        }
        if self.slots[at].as_ref().is_some_and(|consumer| consumer.in_flight() > 0) {
            return self.leave_line(at);
        }
        single.end_retirement(at, behind(&self.slots, single.waiting(), at));
        self.leave_line(at);
        self.choose();
    }

    /// Notes that all messages of a consumer that has gone are back: the next one may be served.
    pub(in crate::broker::queue) fn promote(&mut self) {
        if let Some(single) = &mut self.single_active {
            single.promote();
            self.choose();
        }
    }

    fn choose(&mut self) {
        if let Some(at) = self.single_active.as_mut().and_then(|single| single.choose()) {
            self.stand_in_line(at);
        }
    }

    /// Returns the tag of the consumer that is served, if only one is.
    pub(in crate::broker::queue) fn active_tag(&self) -> Option<&ShortStr> {
        let active = self.single_active.as_deref()?.active()?;
        self.slots[active].as_ref().map(|consumer| &consumer.subscription().tag)
    }

    /// Lists all consumers, and whether they are served.
    pub(in crate::broker::queue) fn activities(
        &self,
    ) -> impl Iterator<Item = (&Subscription, Activity)> {
        let single = self.single_active.as_deref();
        let activity = move |at| match single {
            None => Activity::Up,
            Some(single) if single.is_active(at) => Activity::SingleActive,
            Some(_) => Activity::Waiting,
        };
        let slots = self.slots.iter().enumerate();
        slots.filter_map(move |(at, slot)| Some((slot.as_ref()?.subscription(), activity(at))))
    }
}

/// The invariants that hold whenever the lock of the queue is free.
#[cfg(debug_assertions)]
impl Consumers {
    /// Asserts that each consumer has one place: in line, blocked, or waiting behind the active one.
    ///
    /// Cost: all consumers are visited.
    pub(in crate::broker::queue) fn assert_whole(&self) {
        assert_eq!(self.count, self.iter().count());
        let in_line: std::collections::HashSet<_> = self.active.iter().copied().collect();
        assert_eq!(in_line.len(), self.active.len(), "a consumer stands in line once");
        for (at, slot) in self.slots.iter().enumerate() {
            let Some(consumer) = slot else {
                assert!(!in_line.contains(&at) && self.free.contains(&at), "nobody is at {at}");
                continue;
            };
            let prefetch = consumer.subscription().prefetch;
            assert!(prefetch == 0 || consumer.in_flight() <= prefetch, "credit is not negative");
            let (is_in_line, is_blocked) = (in_line.contains(&at), consumer.blocked.is_some());
            assert!(!is_in_line || !is_blocked, "a blocked consumer is not in line");
            match self.single_active.as_deref() {
                None => assert!(is_in_line || is_blocked, "a consumer is in line or blocked"),
                Some(single) => {
                    assert_ne!(single.is_active(at), single.waiting().contains(&at));
                    assert!(!is_in_line || single.is_active(at), "only the active one is in line");
                }
            }
        }
        let priority = |at: &usize| self.slots[*at].as_ref().map(|consumer| consumer.priority);
        assert!(self.active.iter().is_sorted_by_key(|at| std::cmp::Reverse(priority(at))));
    }

    /// Counts the deliveries that the consumers have not settled.
    pub(in crate::broker::queue) fn in_flight(&self) -> u64 {
        self.iter().map(|consumer| u64::from(consumer.in_flight())).sum()
    }
}

/// Finds where in a line a consumer belongs: behind all of its priority or a higher one.
fn behind(slots: &[Option<Consumer>], line: &VecDeque<usize>, at: usize) -> usize {
    let priority = |at: usize| slots[at].as_ref().map(|consumer| consumer.priority);
    let own = priority(at);
    line.partition_point(|&other| priority(other) >= own)
}
