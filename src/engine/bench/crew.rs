//! The threads of a run: started, told to begin, listened to, and waited for.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc;

use crate::client::Error;
use crate::client::line::Line;

use super::board::{Boards, Phase};
use super::consume::consume;
use super::plan::{Layout, Plan};
use super::publish::publish;
use super::verify::Witness;

/// What a thread has to say.
#[derive(Debug)]
pub(super) enum Note {
    /// It could begin.
    Ready,
    /// A publisher has ended: messages sent to each queue.
    Published(u32, Result<Vec<u64>, Error>),
    Consumed(Result<Witness, Error>),
    /// A bug has ended it.
    Panicked,
}

/// Tells of a panic of its thread, so that nobody waits for it.
struct Mourner(mpsc::UnboundedSender<Note>);

impl Drop for Mourner {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(Note::Panicked);
        }
    }
}

/// What a thread is given.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Its number among those of its kind, from 0 on
    pub(super) number: u32,
    pub(super) plan: Arc<Plan>,
    pub(super) layout: Arc<Layout>,
    pub(super) boards: Arc<Boards>,
    gate: Arc<Gate>,
    notes: mpsc::UnboundedSender<Note>,
}

impl Job {
    pub(super) fn ready(&self) {
        self.tell(Note::Ready);
    }

    /// Waits until all are ready; false when it comes to nothing.
    pub(super) fn wait_for_start(&self) -> bool {
        self.gate.wait();
        !self.boards.has_come_to(Phase::Drain)
    }

    fn tell(&self, note: Note) {
        // Who does not listen any more has ended the run.
        let _ = self.notes.send(note);
    }
}

/// Closed until everybody is ready.
#[derive(Debug, Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let mut is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_open {
            is_open = self.opened.wait(is_open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// All threads of a run; dropping it stops them.
#[derive(Debug)]
pub(super) struct Crew {
    job: Job,
    /// At most three notes a thread
    notes: mpsc::UnboundedReceiver<Note>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    pub(super) fn new(plan: Arc<Plan>, layout: Arc<Layout>, boards: Arc<Boards>) -> Self {
        let (sender, notes) = mpsc::unbounded_channel();
        let job = Job { number: 0, plan, layout, boards, gate: Arc::default(), notes: sender };
        Self { job, notes, threads: Vec::new() }
    }

    pub(super) fn consumer(&mut self, number: u32, line: Line) -> io::Result<()> {
        self.start(format!("consumer {number}"), number, move |job| {
            job.tell(Note::Consumed(consume(line, &job)));
        })
    }

    /// Starts a publisher, which waits for [`Self::open`].
    pub(super) fn publisher(&mut self, number: u32, line: Line) -> io::Result<()> {
        self.start(format!("publisher {number}"), number, move |job| {
            job.tell(Note::Published(number, publish(line, &job)));
        })
    }

    fn start(
        &mut self,
        name: String,
        number: u32,
        work: impl FnOnce(Job) + Send + 'static,
    ) -> io::Result<()> {
        let job = Job { number, ..self.job.clone() };
        let thread = Builder::new().name(name).spawn(move || {
            let _mourner = Mourner(job.notes.clone());
            work(job);
        });
        self.threads.push(thread?);
        Ok(())
    }

    /// Lets the publishers begin.
    pub(super) fn open(&self) {
        self.job.gate.open();
    }

    /// The next thing a thread has to say. Cancel-safe.
    pub(super) async fn note(&mut self) -> Note {
        // The crew holds a sender itself, so there is an end only to a crew that is gone.
        self.notes.recv().await.expect("the crew listens to itself")
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.job.boards.go_on_to(Phase::Over);
        self.open();
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join()
                && !std::thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
