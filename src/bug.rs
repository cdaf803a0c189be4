//! Bugs that must not spread: a panic is caught at a border and logged.
//!
//! The borders: a connection (`server::drive`), an HTTP request (`management`), what a queue does when its lock has
//! been given back, the publishing of dead letters, a queue whose time has come (`broker`), and a job of the store's
//! threads. What was in hand goes back where it was: a session gives back its deliveries, a queue keeps its dead
//! letters. A thread of the store that a panic has ended fails the store, which then confirms nothing more.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does `work`; `None` when a bug has ended it, which the log has then.
///
/// Data that `work` was changing stays as it was at that moment: a [`lock`](crate::lock) is taken also after a panic
/// under it, so each keeps what it guards whole between two calls. A queue whose lock was held is shown as `crashed`
/// from then on.
pub fn contain<T>(what: &str, work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Some(done),
        Err(panic) => {
            tracing::error!(bug = message(&*panic), "a bug has ended {what}; please report it");
            None
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_its_work_and_no_more() {
        assert_eq!(contain("nothing", || 7), Some(7));
        assert_eq!(contain("something", || -> u8 { panic!("on purpose") }), None);
        let panic = catch_unwind(|| panic!("number {}", 7)).unwrap_err();
        assert_eq!(message(&*panic), "number 7");
    }
}
