//! The times at which queues have something to do: a message or the queue itself expires.
//!
//! The broker has no clock. The task that has one asks [`Timers::next`] how long to sleep, and then calls
//! `Broker::on_time`. A queue has one timer at most: an earlier one replaces a later one. A queue that is deleted
//! cancels its timer ([`Timers::cancel`]), or its memory would stay until the time came.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, Weak};
use std::task::Waker;

use super::time::Millis;
use crate::lock::Mutex;

/// The number of queues that are taken at once: their due work is done before others get their turn. A queue that is
/// deleted takes some ten microseconds, one that publishes its dead letters some milliseconds.
const DUE_AT_ONCE: usize = 8;

/// The times that some queue waits for; `Q` is a queue.
#[derive(Debug)]
pub struct Timers<Q> {
    inner: Mutex<Inner<Q>>,
}

#[derive(Debug)]
struct Inner<Q> {
    /// By time, and by where the queue is in memory: nothing else is there while it has a timer.
    set: BTreeMap<(Millis, usize), Weak<Q>>,
    waker: Option<Waker>,
}

impl<Q> Default for Timers<Q> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { set: BTreeMap::new(), waker: None }) }
    }
}

impl<Q> Timers<Q> {
    fn lock(&self) -> MutexGuard<'_, Inner<Q>> {
        self.inner.lock()
    }

    /// Asks for a look at `queue` at the time `at`, and not at the time `before` any more; wakes the sleeper when that
    /// is the next one.
    ///
    /// Cost: one lock, and a search among the queues that have a timer.
    pub fn set(&self, before: Option<Millis>, at: Millis, queue: Weak<Q>) {
        let mut inner = self.lock();
        let address = queue.as_ptr().addr();
        if let Some(before) = before {
            inner.set.remove(&(before, address));
        }
        let is_next = inner.next().is_none_or(|next| at < next);
        inner.set.insert((at, address), queue);
        let waker = if is_next { inner.waker.take() } else { None };
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the timer of a queue away.
    pub fn cancel(&self, at: Millis, queue: &Q) {
        self.lock().set.remove(&(at, std::ptr::from_ref(queue).addr()));
    }

    /// Returns the next time at which something is due; the waker is woken when an earlier one comes.
    pub fn next(&self, waker: &Waker) -> Option<Millis> {
        let mut inner = self.lock();
        inner.waker = Some(waker.clone());
        inner.next()
    }

    /// Takes queues whose time has come, the earliest first. If there are many it takes some of them, and the next time
    /// is already over.
    pub fn due(&self, now: Millis) -> Vec<Arc<Q>> {
        let mut inner = self.lock();
        let mut due = Vec::new();
        while due.len() < DUE_AT_ONCE
            && let Some(first) = inner.set.first_entry().filter(|first| first.key().0 <= now)
        {
            due.extend(first.remove().upgrade());
        }
        due
    }
}

impl<Q> Inner<Q> {
    fn next(&self) -> Option<Millis> {
        self.set.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Broker;
    use crate::broker::message::{Layout, Message};
    use crate::broker::queue::{Queue, Shared};
    use crate::broker::registry::ConnectionId;
    use crate::broker::vhost::{DeleteIf, QueueDeclaration};
    use crate::wire::{FieldTable, FieldValue, ShortStr};

    /// A queue with a time to live, and a message in it that expires.
    fn mortal(broker: &Broker, expires_ms: i32) -> Arc<Queue> {
        let vhost = broker.vhost("/").unwrap();
        let arguments = FieldTable::new()
            .with("x-expires", FieldValue::I32(expires_ms))
            .with("x-message-ttl", FieldValue::I32(expires_ms / 2));
        let declaration = QueueDeclaration {
            name: ShortStr::truncated("q"),
            is_durable: false,
            is_exclusive: false,
            is_auto_delete: false,
            declared_by: None,
            arguments,
        };
        let queue = vhost.declare_queue(declaration, false, ConnectionId(1), 0).unwrap();
        _ = queue.push(Message::new(Layout::default(), &mut vec![0; 8]), None, 0);
        queue
    }

    #[test]
    fn a_queue_has_one_timer_and_takes_it_along() {
        let broker = Broker::new("mq@test".into());
        let vhost = broker.vhost("/").unwrap();
        let timers = || broker.timers.lock().set.len();
        for _ in 0..10 {
            let queue = mortal(&broker, 86_400_000);
            assert_eq!(timers(), 1, "the message expires first");
            vhost.delete_queue(queue.name(), DeleteIf::default(), ConnectionId(1)).unwrap();
            assert_eq!(timers(), 0, "{:?} has ended", queue.name());
        }
        // One that is dropped without an end.
        let settings = mortal(&broker, 86_400_000).settings().clone();
        let shared = Shared { timers: Arc::clone(&broker.timers), ..Shared::default() };
        drop(Queue::new(settings, shared, 0));
        assert_eq!(timers(), 1);
    }

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
                declared_by: None,
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
