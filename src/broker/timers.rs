//! Queues that must be looked at when a time has come: a message or the queue itself expires.
//!
//! The broker has no clock. Whoever has one asks [`Timers::next`] how long to sleep and calls
//! `Broker::on_time` then; a queue registers at most one time that is earlier than what it registered before.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use super::queue::{Millis, Queue};

/// Queues that are taken at once: what is due for all of them is done before others get their turn. A queue that is
/// deleted takes some ten microseconds, one that buries its dead letters some milliseconds.
const DUE_AT_ONCE: usize = 8;

/// All times some queue waits for.
#[derive(Debug, Default)]
pub struct Timers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    heap: BinaryHeap<Reverse<Timer>>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Timer {
    at: Millis,
    queue: Weak<Queue>,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a look at `queue` at the time `at`; wakes the sleeper when that is the next one.
    pub fn set(&self, at: Millis, queue: Weak<Queue>) {
        let mut inner = self.lock();
        let is_next = inner.heap.peek().is_none_or(|Reverse(first)| at < first.at);
        inner.heap.push(Reverse(Timer { at, queue }));
        let waker = if is_next { inner.waker.take() } else { None };
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next time something is due; remembers whom to wake when an earlier one comes.
    pub fn next(&self, waker: &Waker) -> Option<Millis> {
        let mut inner = self.lock();
        inner.waker = Some(waker.clone());
        inner.heap.peek().map(|Reverse(first)| first.at)
    }

    /// Takes queues whose time has come, the earliest first: some of them when they are many, and the next time is over
    /// then.
    pub fn due(&self, now: Millis) -> Vec<Arc<Queue>> {
        let mut inner = self.lock();
        let mut due = Vec::new();
        while due.len() < DUE_AT_ONCE
            && inner.heap.peek().is_some_and(|Reverse(first)| first.at <= now)
        {
            due.extend(inner.heap.pop().and_then(|Reverse(timer)| timer.queue.upgrade()));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Broker;
    use crate::broker::registry::ConnectionId;
    use crate::broker::vhost::QueueDeclaration;
    use crate::wire::{FieldTable, FieldValue, ShortStr};

    #[test]
    fn very_many_that_are_due_at_once_are_done_in_pieces() {
        let broker = Broker::new("mq@test".into());
        let vhost = broker.vhost("/").unwrap();
        for number in 0..=DUE_AT_ONCE {
            let declaration = QueueDeclaration {
                name: ShortStr::truncated(&format!("q{number}")),
                is_durable: false,
                is_exclusive: false,
                is_auto_delete: false,
                arguments: FieldTable::new().with("x-expires", FieldValue::I32(1)),
            };
            vhost.declare_queue(declaration, false, ConnectionId(1), 0).unwrap();
        }
        assert_eq!(vhost.queues().len(), DUE_AT_ONCE + 1);
        broker.on_time(1);
        assert_eq!(vhost.queues().len(), 1);
        assert_eq!(broker.timers.next(Waker::noop()), Some(1), "the rest is due now");
        broker.on_time(1);
        assert_eq!((vhost.queues().len(), broker.timers.next(Waker::noop())), (0, None));
    }
}
