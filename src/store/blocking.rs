//! Work that blocks, run so that the thread's other work goes on.
//!
//! The store and the broker are plain functions and know no threads of a server. The server says once how work that
//! blocks is run ([`Blocking::set`]); every caller with such work then uses [`Blocking::run`]. Without a server, `run`
//! calls the work directly.

use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

/// Runs work in such a way that the thread's other work goes on.
pub type Runner = fn(&mut dyn FnMut());

/// The runner of work that blocks; a clone shares it.
#[derive(Clone, Debug, Default)]
pub struct Blocking(Arc<OnceLock<Runner>>);

impl Blocking {
    /// Has work run by `runner` from now on. A second call does nothing.
    pub fn set(&self, runner: Runner) {
        // One server uses a broker; another one in its place would set the same runner.
        let _ = self.0.set(runner);
    }

    /// Runs `work`, and waits for it.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(run) = self.0.get() else { return work() };
        let (mut work, mut done) = (Some(work), None);
        run(&mut || done = work.take().map(|work| work()));
        done.expect("what runs it runs it")
    }
}

/// A waker that unparks this thread.
pub(super) fn waker_of_this_thread() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
