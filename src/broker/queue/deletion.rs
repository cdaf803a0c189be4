//! The deletion of a queue, in two steps, because the definitions must be without it before it is gone.
//!
//! It begins under the queue's lock, while its conditions hold: from then on no consumer can subscribe, and a declare
//! waits. Messages published meanwhile go with the queue, as messages do in RabbitMQ that reach a queue about to stop.
//! If the definitions keep the queue, it stays with all that came.

use super::life::Life;
use super::state::Queue;
use crate::broker::arguments::QueueKind;
use crate::broker::mailbox::Post;
use crate::broker::time::Millis;

/// The conditions on which a queue is deleted; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletionIf {
    /// It has no consumers.
    pub unused: bool,
    /// No message waits.
    pub empty: bool,
    /// It has been unused for its `x-expires` time, by this time.
    pub expired_at: Option<Millis>,
}

/// The reason why a queue is not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InUse {
    /// It has consumers, or a client has declared it or got a message from it just now.
    ByConsumers,
    ByMessages,
}

impl Queue {
    /// Begins the deletion of the queue; [`Self::delete`] or [`Self::cancel_deletion`] follows.
    ///
    /// # Errors
    ///
    /// Says which condition does not hold.
    pub(in crate::broker) fn begin_deletion(&self, only: DeletionIf) -> Result<(), InUse> {
        let mut state = self.lock();
        if state.kind.is_stream() {
            // RabbitMQ asks a stream for no condition (`rabbit_stream_queue:delete`).
            state.life = Life::BeingDeleted;
            return Ok(());
        }
        let has_expired = |now| state.expires_at().is_some_and(|at| at <= now);
        if (only.unused && state.consumers.len() > 0)
            || only.expired_at.is_some_and(|now| !has_expired(now))
        {
            return Err(InUse::ByConsumers);
        }
        if only.empty && !state.backlog.is_empty() {
            return Err(InUse::ByMessages);
        }
        state.life = Life::BeingDeleted;
        Ok(())
    }

    /// Keeps the queue after all.
    pub(in crate::broker) fn cancel_deletion(&self) {
        self.lock().life = Life::Living;
    }

    /// Answers whether its deletion has begun.
    pub(in crate::broker) fn is_being_deleted(&self) -> bool {
        self.lock().life == Life::BeingDeleted
    }

    /// Answers whether it is deleted, and so keeps nothing any more.
    pub(in crate::broker) fn is_deleted(&self) -> bool {
        self.lock().life == Life::Deleted
    }

    /// Completes the deletion: tells the consumers and drops the messages. The vhost has taken the queue out already.
    pub(in crate::broker) fn delete(&self) -> u32 {
        let mut state = self.lock();
        state.life = Life::Deleted;
        let mut gone = state.consumers.remove_all();
        // Those of one channel are told in the order of their tags (RabbitMQ:
        // `rabbit_channel:handle_consuming_queue_down`).
        gone.sort_by(|one, other| one.tag.cmp(&other.tag));
        for gone in gone {
            gone.mailbox.post(Post::Cancelled { slot: gone.slot });
        }
        state.drop_delayed();
        let dropped = state.drop_all();
        if let Some(at) = state.timer_at.take() {
            self.shared.timers.cancel(at, self);
        }
        // Some dead letters may still have to be published or read.
        self.arm(&mut state);
        let ended = &self.shared.ended;
        let of_kind = match self.settings.kind {
            QueueKind::Classic => &ended.classic,
            QueueKind::Quorum => &ended.quorum,
            QueueKind::Stream => &ended.stream,
        };
        of_kind.add(std::mem::take(&mut state.counters));
        dropped
    }
}
