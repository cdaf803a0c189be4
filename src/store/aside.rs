//! Long work on a thread that has other work to do.
//!
//! The store and the broker are plain functions and know no threads of a server; it says once how long work is to be
//! run ([`Aside::set`]), and whoever has some runs it so. Without a server it is simply run.

use std::sync::{Arc, OnceLock};

/// Runs work in such a way that the thread's other work goes on.
pub type Runner = fn(&mut dyn FnMut());

/// How long work is run; a copy is the same one.
#[derive(Clone, Debug, Default)]
pub struct Aside(Arc<OnceLock<Runner>>);

impl Aside {
    /// Has work run by `runner` from now on.
    pub fn set(&self, runner: Runner) {
        // One server uses a broker; another one in its place would say the same.
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
