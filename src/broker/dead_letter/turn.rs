//! One queue after the other: what dies while dead letters are handed out waits for its turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use crate::broker::queue::{Millis, Queue};

/// Messages that are buried by whoever let them die, and by no timer: a fraction of a millisecond.
const BURIED_AT_ONCE: usize = 128;

thread_local! {
    /// The queues whose turn comes; `None` while nobody on this thread buries anything.
    static WAITING: RefCell<Option<VecDeque<Arc<Queue>>>> = const { RefCell::new(None) };
}

thread_local! {
    /// A message is being handed to several queues.
    static IS_HELD: Cell<bool> = const { Cell::new(false) };
    /// Some of what waits was let die by that.
    static HAS_HELD: Cell<bool> = const { Cell::new(false) };
}

/// Ends the handing out, also when a bug does.
struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        IS_HELD.set(false);
    }
}

/// Ends the turns, also when a bug does.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        WAITING.set(None);
    }
}

/// Buries what has died in a queue, and then what that lets die in others; left to their timers is what would take long.
///
/// Called while that is under way, it only stands in line.
pub(in crate::broker) fn in_turn(queue: Arc<Queue>, now: Millis) {
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
        bury_all(Some(first), now);
    }
}

/// Hands a message to several queues; what that lets die is buried when all of them have it, or one of them could get its
/// letter before it.
pub fn letters_after(now: Millis, hand_out: impl FnOnce()) {
    IS_HELD.set(true);
    let release = Release;
    hand_out();
    drop(release);
    if HAS_HELD.replace(false) {
        bury_all(None, now);
    }
}

fn bury_all(first: Option<Arc<Queue>>, now: Millis) {
    let _end = End;
    let next_waiting = || WAITING.with_borrow_mut(|waiting| waiting.as_mut()?.pop_front());
    let (mut next, mut left) = (first.or_else(next_waiting), BURIED_AT_ONCE);
    while let Some(queue) = next {
        left = left.saturating_sub(queue.bury(left, now));
        next = next_waiting();
    }
}
