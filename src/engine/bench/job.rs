//! The job of one thread of a run: its input, and the notes that it sends.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::client::Error;
use crate::lock::{Condvar, Mutex};

use super::counters::{Phase, RunCounters};
use super::plan::{BenchTopology, Plan};
use super::verify::ReceivedMessages;

/// A report of a thread to the run.
#[derive(Debug)]
pub(super) enum Note {
    /// It could begin.
    Ready,
    /// A publisher has ended: messages sent to each queue.
    Published(u32, Result<Vec<u64>, Error>),
    Consumed(Result<ReceivedMessages, Error>),
    /// A bug has ended it.
    Panicked,
}

/// The work of one thread, and its means.
#[derive(Clone, Debug)]
pub(super) struct ThreadJob {
    /// Its number among those of its kind, from 0 on
    pub(super) number: u32,
    pub(super) plan: Arc<Plan>,
    pub(super) layout: Arc<BenchTopology>,
    pub(super) counters: Arc<RunCounters>,
    pub(super) gate: Arc<Gate>,
    pub(super) notes: mpsc::UnboundedSender<Note>,
}

impl ThreadJob {
    pub(super) fn ready(&self) {
        self.tell(Note::Ready);
    }

    /// Waits until all are ready; false when it comes to nothing.
    pub(super) fn wait_for_start(&self) -> bool {
        self.gate.wait();
        !self.counters.has_come_to(Phase::Drain)
    }

    pub(super) fn tell(&self, note: Note) {
        // If it is not received any more, the run has ended.
        let _ = self.notes.send(note);
    }
}

/// Closed until all threads are ready.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(super) fn open(&self) {
        *self.is_open.lock() = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let mut is_open = self.is_open.lock();
        while !*is_open {
            is_open = self.opened.wait(is_open);
        }
    }
}
