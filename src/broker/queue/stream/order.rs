//! The order of streams: what the store was given first has the lower offset, as it will have after a restart.
//!
//! Two publishers could give the store their messages in one order and a stream in the other, and then an offset would
//! name another message when the broker has started again. So whoever publishes to a stream is alone with that from
//! the append to the push. Publishes to other queues know nothing of it.
//!
//! A push may let a message die elsewhere, whose dead letter goes to a stream on the same thread: it has the right
//! already.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::broker::{Broker, Route};

thread_local! {
    /// This thread has the right.
    static IS_HELD: Cell<bool> = const { Cell::new(false) };
}

/// The right to publish to streams, once it is [held](Self::hold).
#[derive(Debug, Default)]
pub struct StreamOrder<'a>(Option<Right<'a>>);

/// The right of this thread.
#[derive(Debug)]
pub(super) struct Right<'a> {
    _guard: MutexGuard<'a, ()>,
}

impl Drop for Right<'_> {
    fn drop(&mut self) {
        IS_HELD.set(false);
    }
}

impl<'a> StreamOrder<'a> {
    /// Waits for the right, if the route leads to a stream that the store keeps, and holds it from then on.
    #[inline]
    pub fn hold(&mut self, broker: &'a Broker, route: &Route) {
        self.hold_of(&broker.shared.stream_order, route);
    }

    /// The same for who knows what all queues share.
    #[inline]
    pub(in crate::broker) fn hold_of(&mut self, order: &'a Mutex<()>, route: &Route) {
        if route.streams > 0 && !IS_HELD.get() {
            self.0 = Some(lock(order));
        }
    }
}

/// Waits for the right; this thread must not have it.
pub(super) fn lock(order: &Mutex<()>) -> Right<'_> {
    let guard = order.lock().unwrap_or_else(PoisonError::into_inner);
    IS_HELD.set(true);
    Right { _guard: guard }
}
