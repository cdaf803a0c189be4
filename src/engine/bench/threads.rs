//! The threads of a run: they are started, begin together, report, and are joined at the end.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc;

use crate::client::blocking::BlockingConnection;

use super::consume::consume;
use super::counters::{Phase, RunCounters};
use super::job::{Note, ThreadJob};
use super::plan::{BenchTopology, Plan};
use super::publish::publish;

/// Tells of a panic of its thread, so that the run does not wait for it.
struct PanicGuard(mpsc::UnboundedSender<Note>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(Note::Panicked);
        }
    }
}

/// All threads of a run; dropping it stops them.
#[derive(Debug)]
pub(super) struct Threads {
    job: ThreadJob,
    /// At most three notes a thread
    notes: mpsc::UnboundedReceiver<Note>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) fn new(
        plan: Arc<Plan>,
        layout: Arc<BenchTopology>,
        counters: Arc<RunCounters>,
    ) -> Self {
        let (sender, notes) = mpsc::unbounded_channel();
        let job =
            ThreadJob { number: 0, plan, layout, counters, gate: Arc::default(), notes: sender };
        Self { job, notes, handles: Vec::new() }
    }

    pub(super) fn consumer(&mut self, number: u32, line: BlockingConnection) -> io::Result<()> {
        self.start(format!("consumer {number}"), number, move |job| {
            job.tell(Note::Consumed(consume(line, &job)));
        })
    }

    /// Starts a publisher, which waits for [`Self::open`].
    pub(super) fn publisher(&mut self, number: u32, line: BlockingConnection) -> io::Result<()> {
        self.start(format!("publisher {number}"), number, move |job| {
            job.tell(Note::Published(number, publish(line, &job)));
        })
    }

    fn start(
        &mut self,
        name: String,
        number: u32,
        work: impl FnOnce(ThreadJob) + Send + 'static,
    ) -> io::Result<()> {
        let job = ThreadJob { number, ..self.job.clone() };
        let thread = Builder::new().name(name).spawn(move || {
            let _guard = PanicGuard(job.notes.clone());
            work(job);
        });
        self.handles.push(thread?);
        Ok(())
    }

    /// Lets the publishers begin.
    pub(super) fn open(&self) {
        self.job.gate.open();
    }

    /// The next thing a thread has to say. Cancel-safe.
    pub(super) async fn note(&mut self) -> Note {
        // `job` holds a sender, so the channel does not end while this lives.
        self.notes.recv().await.expect("the job of the run holds a sender")
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.job.counters.go_on_to(Phase::Over);
        self.open();
        for thread in self.handles.drain(..) {
            if let Err(panic) = thread.join()
                && !std::thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
