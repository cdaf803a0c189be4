//! Turns: a message that dies while dead letters are published waits until its queue's turn comes, so that no chain or
//! ring of queues is a recursion.
//!
//! A bug ends the publishing in one queue, whose timer tries again. The turns of the others come all the same.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

use super::state::Queue;
use crate::broker::time::Millis;
use crate::bug;

/// Letters that the thread publishes which let their messages die: a fraction of a millisecond. Timers do the others.
const PUBLISHED_AT_ONCE: usize = 128;

thread_local! {
    /// The queues whose turn comes; `None` while this thread publishes no letters.
    static WAITING: RefCell<Option<VecDeque<Arc<Queue>>>> = const { RefCell::new(None) };
}

thread_local! {
    /// A message is being handed to several queues.
    static IS_HELD: Cell<bool> = const { Cell::new(false) };
    /// Messages that wait for their turn died of that.
    static HAS_HELD: Cell<bool> = const { Cell::new(false) };
}

/// Ends the handing out. If a bug does, the timers publish the letters that wait.
struct ReleaseOnDrop(Millis);

impl Drop for ReleaseOnDrop {
    fn drop(&mut self) {
        IS_HELD.set(false);
        if thread::panicking() && HAS_HELD.replace(false) {
            let waiting = WAITING.take();
            waiting.into_iter().flatten().for_each(|queue| queue.leave_letters_to_timer(self.0));
        }
    }
}

/// Ends the turns.
struct EndOfTurns;

impl Drop for EndOfTurns {
    fn drop(&mut self) {
        WAITING.set(None);
    }
}

/// Publishes the dead letters of a queue, and then those that this causes in others. What would take long is left to
/// their timers.
///
/// Called while that is under way, it only stands in line.
pub(super) fn in_turn(queue: Arc<Queue>, now: Millis) {
    let first = WAITING.with_borrow_mut(|waiting| {
        if let Some(waiting) = waiting {
            waiting.push_back(queue);
            return None;
        }
        if IS_HELD.get() {
            HAS_HELD.set(true);
            *waiting = Some(VecDeque::from([queue]));
            return None;
        }
        *waiting = Some(VecDeque::new());
        Some(queue)
    });
    if let Some(first) = first {
        publish_all(Some(first), now);
    }
}

/// Hands a message to several queues. The dead letters that this causes are published when all of them have it, or one
/// of them could get a letter before the message.
pub(in crate::broker) fn letters_after(now: Millis, hand_out: impl FnOnce()) {
    IS_HELD.set(true);
    let release = ReleaseOnDrop(now);
    hand_out();
    drop(release);
    if HAS_HELD.replace(false) {
        publish_all(None, now);
    }
}

fn publish_all(first: Option<Arc<Queue>>, now: Millis) {
    let _end = EndOfTurns;
    let next_waiting = || WAITING.with_borrow_mut(|waiting| waiting.as_mut()?.pop_front());
    let (mut next, mut left) = (first.or_else(next_waiting), PUBLISHED_AT_ONCE);
    while let Some(queue) = next {
        // After a bug the letter that was in hand is in its queue's outbox again, and the timer is set.
        let publish = || queue.publish_dead_letters(left, now);
        let tried = bug::contain("the publishing of dead letters", publish);
        // A run may try a few more than it was given.
        left = left.saturating_sub(tried.unwrap_or(1));
        next = next_waiting();
    }
}
