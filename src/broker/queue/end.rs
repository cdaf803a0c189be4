//! The end of a queue, in two steps, as the definitions must be without it before it is gone.
//!
//! Begun under the queue's lock, while what it depends on holds: from then on nobody subscribes, and a declare waits.
//! What is published meanwhile goes with the queue, as in RabbitMQ what reaches a queue that is about to stop; when
//! the definitions keep it, it stays with all that came.

use super::{Millis, Queue};
use crate::broker::mailbox::Post;

/// What must hold for a queue to be ended; nothing, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndIf {
    /// It has no consumers.
    pub unused: bool,
    /// No message waits.
    pub empty: bool,
    /// Nobody has used it for as long as it was declared for, by this time.
    pub expired_at: Option<Millis>,
}

/// Why a queue is not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InUse {
    /// By consumers, or whoever has declared it or got from it just now.
    ByConsumers,
    ByMessages,
}

/// How far a queue is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Life {
    #[default]
    Living,
    /// It is being struck out of the definitions; it goes, unless the disk refuses.
    Ending,
    Over,
}

impl Queue {
    /// Begins the end of the queue; [`Self::end`] or [`Self::cancel_end`] follows.
    ///
    /// # Errors
    ///
    /// Says which condition does not hold.
    pub(in crate::broker) fn begin_end(&self, only: EndIf) -> Result<(), InUse> {
        let mut state = self.lock();
        if state.stream.is_some() {
            // RabbitMQ asks a stream for no condition (`rabbit_stream_queue:delete`).
            state.life = Life::Ending;
            return Ok(());
        }
        let has_expired = |now| state.expires_at().is_some_and(|at| at <= now);
        if (only.unused && state.consumers.len() > 0)
            || only.expired_at.is_some_and(|now| !has_expired(now))
        {
            return Err(InUse::ByConsumers);
        }
        if only.empty && !state.ready.is_empty() {
            return Err(InUse::ByMessages);
        }
        state.life = Life::Ending;
        Ok(())
    }

    /// The queue stays after all.
    pub(in crate::broker) fn cancel_end(&self) {
        self.lock().life = Life::Living;
    }

    /// Whether its end has begun.
    pub(in crate::broker) fn is_ending(&self) -> bool {
        self.lock().life == Life::Ending
    }

    /// Whether it has ended: nothing is kept there any more.
    pub(in crate::broker) fn is_over(&self) -> bool {
        self.lock().life == Life::Over
    }

    /// Ends the queue: tells its consumers and drops its messages. The vhost has taken it out already.
    pub(in crate::broker) fn end(&self) -> u32 {
        let mut state = self.lock();
        state.life = Life::Over;
        let mut gone = state.consumers.remove_all();
        // Those of one channel are told in the order of their tags (RabbitMQ: `rabbit_channel:handle_consuming_queue_down`).
        gone.sort_by(|one, other| one.tag.cmp(&other.tag));
        for gone in gone {
            gone.mailbox.post(Post::Cancelled { slot: gone.slot });
        }
        state.drop_held();
        state.drop_all()
    }
}
