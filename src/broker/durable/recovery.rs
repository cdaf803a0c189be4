//! Gives the messages of a directory back to their queues.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use crate::broker::queue::Queue;
use crate::broker::time::StartedAt;
use crate::store::{QueueId, Recovered, Spill, Waiting};

/// The queues that messages are given back to, by the store's numbers for them.
#[derive(Debug)]
pub struct Recovery {
    queues: FxHashMap<QueueId, Arc<Queue>>,
    /// The queues'.
    spill: Arc<OnceLock<Arc<Spill>>>,
    at: StartedAt,
}

impl Recovery {
    pub(in crate::broker) fn new(
        queues: impl Iterator<Item = Arc<Queue>>,
        spill: Arc<OnceLock<Arc<Spill>>>,
        started_unix_ms: u64,
    ) -> Self {
        let queues = queues.filter_map(|queue| Some((queue.settings().id?, queue))).collect();
        Self { queues, spill, at: StartedAt { now: 0, unix_ms: started_unix_ms } }
    }

    /// Returns the number of queues.
    pub fn queues_len(&self) -> usize {
        self.queues.len()
    }

    /// Says that every message has been given back; the broker has its store.
    pub fn finish(self) {
        for queue in self.queues.values() {
            queue.recovered(self.at);
        }
    }
}

impl Recovered for Recovery {
    fn on_spill(&mut self, spill: &Arc<Spill>) {
        // There is one, and this is called once.
        let _ = self.spill.set(Arc::clone(spill));
    }

    fn is_known(&self, queue: QueueId) -> bool {
        self.queues.contains_key(&queue)
    }

    fn on_waiting(&mut self, queue: QueueId, waiting: Waiting) {
        if let Some(queue) = self.queues.get(&queue) {
            queue.recover(&waiting, self.at);
        }
        if let Some(spill) = self.spill.get() {
            spill.wait_for_room();
        }
    }
}
