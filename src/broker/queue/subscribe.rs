//! Adds consumers to a queue and takes them away. Begin with [`Queue::subscribe`].

use super::consumers::consumer::{ConsumerId, Subscription};
use super::life::Life;
use super::state::{Queue, State};
use crate::broker::time::Millis;
use crate::wire::{Fault, ReplyCode};

/// The step that follows when a consumer has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The queue stays.
    Stays,
    /// It stays, and serves its next consumer when it is told that everything of this one is back.
    Promotes,
    /// It was the last consumer of an auto-delete queue: delete it.
    DeleteQueue,
}

impl Queue {
    /// Adds a consumer and deals it the messages that wait.
    ///
    /// # Errors
    ///
    /// `ACCESS_REFUSED` when an exclusive consumer is there, or exclusive use is asked for and others are.
    pub fn subscribe(&self, subscription: Subscription, now: Millis) -> Result<ConsumerId, Fault> {
        if self.is_stream() {
            return self.subscribe_to_stream(subscription, now);
        }
        let mut state = self.lock();
        if self.is_taken_for(&state, &subscription) {
            let text = format!("{} in exclusive use", self.noun());
            return Err(Fault::new(ReplyCode::AccessRefused, text));
        }
        if state.life != Life::Living {
            return Err(Fault::new(ReplyCode::NotFound, format!("no {}", self.noun())));
        }
        let id = state.consumers.add(subscription);
        state.deal(now);
        self.arm(&mut state);
        Ok(id)
    }

    /// Answers whether a consumer is refused because of those that are there. Quorum queues know no exclusive ones
    /// (RabbitMQ ignores the flag).
    fn is_taken_for(&self, state: &State, subscription: &Subscription) -> bool {
        let wants_alone = subscription.exclusive && !self.is_quorum();
        let is_shared = state.consumers.len() > 0 || state.consumers.is_one_at_a_time();
        (wants_alone && is_shared) || (!self.is_quorum() && state.consumers.has_exclusive())
    }

    /// Takes a consumer away; its unacknowledged messages stay with its channel.
    ///
    /// When its channel ends, its unacknowledged messages come back next, and then [`Self::promote`] follows.
    pub fn unsubscribe(&self, id: ConsumerId, now: Millis) -> Left {
        let mut state = self.lock();
        let removed = state.consumers.remove(id);
        Self::leave_stream(&mut state, id);
        state.used_at = state.used_at.max(now);
        // An exclusive consumer may have kept others from being served.
        state.deal(now);
        self.arm(&mut state);
        if removed.is_some() && self.settings.is_auto_delete && state.consumers.len() == 0 {
            return Left::DeleteQueue;
        }
        if removed == Some(true) { Left::Promotes } else { Left::Stays }
    }

    /// Serves the next consumer, when only one is served at a time and that one has gone.
    pub fn promote(&self, now: Millis) {
        let mut state = self.lock();
        state.consumers.promote();
        state.deal(now);
        self.arm(&mut state);
    }

    /// Deals again to consumers whose channel's limit changed, or whose full mailbox was emptied; all of them stand in
    /// line before the first gets anything.
    pub fn resume(&self, consumers: impl IntoIterator<Item = ConsumerId>, now: Millis) {
        let mut state = self.lock();
        if state.kind.is_stream() {
            return self.resume_stream(&mut state, consumers, now);
        }
        state.consumers.unblock(consumers);
        state.deal(now);
        self.arm(&mut state);
    }
}
