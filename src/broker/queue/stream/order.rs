//! The order of streams: a message that the store was given earlier has the lower offset, as it will have after a
//! restart.
//!
//! Two publishers could give the store their messages in one order and a stream in the other, and then an offset would
//! name another message when the broker has started again. So only one thread at a time publishes to streams, from the
//! append to the push. Publishes to other queues do not take part.
//!
//! A push may let a message die in another queue, whose dead letter goes to a stream on the same thread: that thread
//! has the right already.

use std::cell::Cell;

use crate::lock::Mutex;
use crate::store::locks::{self, Locked};
use crate::store::{NewRecord, Store};

thread_local! {
    /// This thread has the right.
    static IS_HELD: Cell<bool> = const { Cell::new(false) };
}

/// The right to publish to streams, once it is [held](Self::hold).
#[derive(Debug, Default)]
pub struct StreamOrder<'a>(Option<PublishTurn<'a>>);

/// The right of this thread.
#[derive(Debug)]
pub(in crate::broker::queue) struct PublishTurn<'a> {
    _guard: Locked<'a, ()>,
}

impl Drop for PublishTurn<'_> {
    fn drop(&mut self) {
        IS_HELD.set(false);
    }
}

impl<'a> StreamOrder<'a> {
    /// Waits for the right and holds it from then on, unless this thread has it already. The store gets `record` next:
    /// if that needs a file of its own, the file is made before anything waits for the right.
    pub fn hold(&mut self, order: &'a Mutex<()>, store: &Store, record: &NewRecord<'_>) {
        if !IS_HELD.get() {
            // The append says that there is no room.
            _ = store.make_room_for(record);
            self.0 = Some(lock(order));
        }
    }
}

/// Waits for the right; this thread must not have it.
pub(in crate::broker::queue) fn lock(order: &Mutex<()>) -> PublishTurn<'_> {
    let guard = locks::lock(order);
    IS_HELD.set(true);
    PublishTurn { _guard: guard }
}
