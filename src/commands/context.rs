//! The broker and the output that a command is given, and the ways in which it may end.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine::Engine;
use crate::render::Output;

/// The broker to work with and the place to answer.
pub struct Context {
    pub engine: Engine,
    pub out: Output,
    /// `--timeout`, when given; the engine already keeps to it for single answers.
    pub timeout: Option<Duration>,
}

/// The answer of a command that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    /// Asked and answered no: exit code 1.
    No,
    /// A program has run; this is its exit code, or that of what was found.
    Exit(u8),
}

/// Ctrl-C, for those who end their work in order.
pub struct Interrupt(Signal);

impl Interrupt {
    /// From here on Ctrl-C does not end the process by itself.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::interrupt()).map(Self)
    }

    /// Waits for Ctrl-C. Cancel-safe.
    pub async fn wait(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
