//! The ways in which the management API has the process around the broker stop, or begin anew.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Notify;

use super::configuration::LogControl;

/// The ways in which the management API works on the process around the broker.
#[derive(Clone, Debug, Default)]
pub struct ProcessControls {
    pub log: LogControl,
    pub stop: StopControl,
    pub reset: ResetControl,
}

/// The way to have the process stop, if it can be asked to; copies share it.
#[derive(Clone, Debug, Default)]
pub struct StopControl(Option<Arc<Notify>>);

impl StopControl {
    /// Makes one for a process that waits for [`Self::asked`].
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// Asks the process to stop; answers whether it can be asked.
    pub(super) fn ask(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| {
            asked.notify_one();
            true
        })
    }

    /// Ready when the process has been asked to stop.
    pub async fn asked(&self) {
        match &self.0 {
            Some(asked) => asked.notified().await,
            None => std::future::pending().await,
        }
    }
}

/// Resets the broker; the error says why it cannot.
type Reset = dyn Fn() -> Result<(), String> + Send + Sync;

/// The way to bring the broker back to its first state; copies share it.
#[derive(Clone)]
pub struct ResetControl(Arc<Reset>);

impl ResetControl {
    /// Takes the function that does it.
    pub fn new(reset: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(reset))
    }

    /// Resets the broker.
    pub(super) fn reset(&self) -> Result<(), String> {
        (self.0)()
    }
}

impl Default for ResetControl {
    /// It refuses.
    fn default() -> Self {
        Self::new(|| Err("it is not known how this broker began".to_owned()))
    }
}

impl fmt::Debug for ResetControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetControl")
    }
}
