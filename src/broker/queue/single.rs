//! Single active consumer: one consumer of a queue is served, the others wait until it has gone.
//!
//! Who comes first is served first; after it the first of the highest priority among those that wait. What the one
//! that goes leaves unsettled comes back before the next is chosen ([`Consumers::hand_over`]), or the next would get
//! later messages before earlier ones. On a quorum queue one of a higher priority takes over, once the one before has
//! settled what it has (RabbitMQ 4: `rabbit_fifo`).

use std::collections::VecDeque;

use super::consumers::{Consumers, behind};
use super::{Activity, Subscription};
use crate::wire::ShortStr;

/// Who is served and who waits.
#[derive(Debug, Default)]
pub(super) struct Single {
    current: Option<usize>,
    /// In the order in which they are to be served.
    waiting: VecDeque<usize>,
    /// Consumers that have gone while they were served, and may bring messages back.
    going: usize,
    /// A consumer of a higher priority takes over.
    gives_way: bool,
    /// The current one is about to.
    is_fading: bool,
}

impl Single {
    pub(super) fn new(gives_way: bool) -> Self {
        Self { gives_way, ..Self::default() }
    }

    /// Forgets all consumers: the queue has ended.
    pub(super) fn forget_all(&mut self) {
        *self = Self::new(self.gives_way);
    }

    pub(super) fn is_current(&self, at: usize) -> bool {
        self.current == Some(at)
    }
}

impl Consumers {
    /// A new consumer asks to be served.
    pub(super) fn apply(&mut self, at: usize) {
        let Some(single) = &mut self.single else { return };
        let behind = behind(&self.slots, &single.waiting, at);
        single.waiting.insert(behind, at);
        if single.gives_way
            && behind == 0
            && let Some(current) = single.current
        {
            let priority = |at: usize| self.slots[at].as_ref().map(|consumer| consumer.priority);
            if priority(at) > priority(current) {
                single.is_fading = true;
                self.leave_line(current);
                return self.fade(current);
            }
        }
        self.choose();
    }

    /// Lets the next one be served when the one before has settled everything.
    pub(super) fn fade(&mut self, at: usize) {
        let Some(single) = &mut self.single else { return };
        if !single.is_fading || !single.is_current(at) {
            return;
        }
        if self.slots[at].as_ref().is_some_and(|consumer| consumer.in_flight > 0) {
            return self.leave_line(at);
        }
        let behind = behind(&self.slots, &single.waiting, at);
        single.waiting.insert(behind, at);
        single.current = None;
        single.is_fading = false;
        self.leave_line(at);
        self.choose();
    }

    /// A consumer has gone; answers whether it was the one that is served.
    pub(super) fn left(&mut self, at: usize) -> bool {
        let Some(single) = &mut self.single else { return false };
        let was_current = single.is_current(at);
        if was_current {
            single.current = None;
            single.is_fading = false;
            single.going += 1;
        } else {
            single.waiting.retain(|&other| other != at);
        }
        was_current
    }

    /// What a consumer that has gone had is back: the next one may be served.
    pub(super) fn hand_over(&mut self) {
        let Some(single) = &mut self.single else { return };
        single.going = single.going.saturating_sub(1);
        self.choose();
    }

    /// The tag of the one that is served, when only one is.
    pub(super) fn single_active(&self) -> Option<&ShortStr> {
        let current = self.single.as_deref()?.current?;
        self.slots[current].as_ref().map(|consumer| &consumer.subscription.tag)
    }

    /// All consumers, and whether they are served.
    pub(super) fn activities(&self) -> impl Iterator<Item = (&Subscription, Activity)> {
        let single = self.single.as_deref();
        let activity = move |at| match single {
            None => Activity::Up,
            Some(single) if single.is_current(at) => Activity::SingleActive,
            Some(_) => Activity::Waiting,
        };
        let slots = self.slots.iter().enumerate();
        slots.filter_map(move |(at, slot)| Some((&slot.as_ref()?.subscription, activity(at))))
    }

    fn choose(&mut self) {
        let Some(single) = &mut self.single else { return };
        if single.current.is_some() || single.going > 0 {
            return;
        }
        single.current = single.waiting.pop_front();
        if let Some(at) = single.current {
            self.stand_in_line(at);
        }
    }
}
