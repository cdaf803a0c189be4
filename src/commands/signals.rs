//! The signals that a command which stays obeys in an order of its own.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::CommandError;

/// A signal that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalName {
    /// SIGINT: Ctrl-C
    Interrupt,
    /// SIGTERM
    Terminate,
    /// SIGHUP
    Hangup,
}

/// The signals that would end the process if nobody listened.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// From here on none of them ends the process by itself.
    pub(super) fn listen() -> Result<Self, CommandError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. Cancel-safe: a signal is not lost when another one comes first.
    pub(super) async fn next(&mut self) -> SignalName {
        tokio::select! {
            _ = self.interrupt.recv() => SignalName::Interrupt,
            _ = self.terminate.recv() => SignalName::Terminate,
            _ = self.hangup.recv() => SignalName::Hangup,
        }
    }
}
