//! The threads of a log: writer, marker, maintenance and reader.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::log::{Log, LogDurability};
use crate::bug;

/// The work of a thread, until the log is closed.
type ThreadWork = fn(&Log);

/// Starts the threads of a log.
pub(super) fn start(log: &Arc<Log>) -> Vec<JoinHandle<()>> {
    let mut threads: Vec<(&str, ThreadWork)> = vec![
        ("mq-writer", Log::write_until_closed),
        ("mq-marker", Log::mark_until_closed),
        ("mq-maintenance", Log::maintain_until_closed),
    ];
    // Spilled messages are read by the same thread as those that are kept.
    if log.durability == LogDurability::Kept {
        threads.push(("mq-reader", Log::read_until_closed));
    }
    let start = |(name, work): (&'static str, ThreadWork)| {
        let log = Arc::clone(log);
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            until_done(&log, name, work);
        });
        started.expect("the operating system has room for a thread")
    };
    threads.into_iter().map(start).collect()
}

/// Bugs after which a thread of the store is not begun again.
const BUGS_MAX: usize = 100;

/// Does a thread's work to its end. A bug fails the store; then the work goes on, as queues still read what they have.
fn until_done(log: &Log, thread: &str, work: impl Fn(&Log)) {
    for _ in 0..BUGS_MAX {
        if bug::contain("work on the messages' files", || work(log)).is_some() {
            return;
        }
        log.fail_by_bug(thread);
    }
}
