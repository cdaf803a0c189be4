//! The exclusive queues that a connection has declared, which end with it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::broker::queue::Queue;
use crate::wire::ShortStr;

/// Exclusive queues by name: one that is declared again takes no more room.
#[derive(Debug, Default)]
pub(super) struct ExclusiveQueues(HashMap<ShortStr, Weak<Queue>>);

impl ExclusiveQueues {
    pub(super) fn add(&mut self, queue: &Arc<Queue>) {
        let Self(queues) = self;
        // Before the table grows, those that were deleted are taken out.
        if queues.len() == queues.capacity() && !queues.contains_key(queue.name()) {
            queues.retain(|_, queue| queue.strong_count() > 0);
        }
        queues.insert(queue.name().clone(), Arc::downgrade(queue));
    }

    /// The queues that are still there.
    pub(super) fn into_queues(self) -> impl Iterator<Item = Arc<Queue>> {
        self.0.into_values().filter_map(|queue| queue.upgrade())
    }
}
