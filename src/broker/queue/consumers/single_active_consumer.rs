//! Single active consumer: one consumer of a queue is served, the others wait until it has gone.
//!
//! The first consumer is served first; after it the first of the highest priority among those that wait. The messages
//! that the active one leaves unsettled come back before the next is chosen ([`SingleActiveConsumer::promote`]), or the
//! next would get later messages before earlier ones. On a quorum queue a consumer of a higher priority takes over,
//! once the active one has settled its messages (RabbitMQ 4: `rabbit_fifo`): until then the active one retires.

use std::collections::VecDeque;

/// The active consumer and those that wait, by where they stand in the list of consumers.
///
/// ```text
///   waiting --choose--> active --retire, all settled--> waiting
///      |                  |  (a consumer of a higher priority has come)
///      | leave            | leave
///      v                  v
///     gone             leaving --promote--> gone; the next is chosen
/// ```
#[derive(Debug, Default)]
pub(super) struct SingleActiveConsumer {
    active: Option<usize>,
    /// In the order in which they are to be served.
    waiting: VecDeque<usize>,
    /// Consumers that have gone while they were active, and may bring messages back.
    leaving: usize,
    /// A consumer of a higher priority takes over.
    gives_way: bool,
    /// The active one gets no more messages, and makes room when it has settled those that it has.
    is_retiring: bool,
}

impl SingleActiveConsumer {
    pub(super) fn new(gives_way: bool) -> Self {
        Self { gives_way, ..Self::default() }
    }

    /// Forgets all consumers: the queue is deleted.
    pub(super) fn forget_all(&mut self) {
        *self = Self::new(self.gives_way);
    }

    pub(super) fn is_active(&self, at: usize) -> bool {
        self.active == Some(at)
    }

    pub(super) fn active(&self) -> Option<usize> {
        self.active
    }

    pub(super) fn waiting(&self) -> &VecDeque<usize> {
        &self.waiting
    }

    pub(super) fn is_retiring(&self) -> bool {
        self.is_retiring
    }

    /// Makes a consumer wait behind so many others.
    pub(super) fn wait(&mut self, at: usize, behind: usize) {
        self.waiting.insert(behind, at);
    }

    /// Answers with the active consumer if it is to make room for one that waits in front of all others.
    pub(super) fn active_to_retire(
        &self,
        at: usize,
        priority: impl Fn(usize) -> Option<i64>,
    ) -> Option<usize> {
        let is_next = self.gives_way && self.waiting.front() == Some(&at);
        self.active.filter(|&active| is_next && priority(at) > priority(active))
    }

    /// Makes the active consumer give way when it has settled its messages.
    pub(super) fn retire(&mut self) {
        self.is_retiring = true;
    }

    /// The active consumer, which was to retire, has settled everything and waits behind so many others.
    pub(super) fn end_retirement(&mut self, at: usize, behind: usize) {
        self.wait(at, behind);
        self.active = None;
        self.is_retiring = false;
    }

    /// A consumer has gone; answers if it was the active one, so that [`Self::promote`] follows.
    pub(super) fn leave(&mut self, at: usize) -> bool {
        let was_active = self.is_active(at);
        if was_active {
            self.active = None;
            self.is_retiring = false;
            self.leaving += 1;
        } else {
            self.waiting.retain(|&other| other != at);
        }
        was_active
    }

    /// Notes that all messages of a consumer that has gone are back.
    pub(super) fn promote(&mut self) {
        // A queue that was deleted meanwhile has forgotten who left.
        self.leaving = self.leaving.saturating_sub(1);
    }

    /// Chooses the next consumer to be served, if none is and nothing is to come back.
    pub(super) fn choose(&mut self) -> Option<usize> {
        if self.active.is_some() || self.leaving > 0 {
            return None;
        }
        self.active = self.waiting.pop_front();
        self.active
    }
}
