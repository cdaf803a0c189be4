//! The messages to systemd (`sd_notify(3)`): ready, reloading, stopping, and that the process is alive.
//!
//! They go to the socket in `NOTIFY_SOCKET`, which systemd sets for a unit of `Type=notify`; without it nothing is sent.
//! A message that cannot be sent is no reason to stop: systemd acts on messages that it does not get.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;

/// The process manager that started the broker, if it wants to know.
#[derive(Debug)]
pub(super) struct ServiceManager {
    /// Says again and again that the process is alive.
    watchdog: Option<JoinHandle<()>>,
}

impl ServiceManager {
    /// Says that clients can connect, and from now on that the broker is alive, if a watchdog waits for it.
    pub(super) fn ready(status: &str) -> Self {
        send(&[NotifyState::Ready, NotifyState::Status(status)]);
        // On the threads that serve connections: if they hang, the watchdog is to notice.
        let watchdog = sd_notify::watchdog_enabled().map(|most| tokio::spawn(keep_alive(most / 2)));
        Self { watchdog }
    }

    /// Says that the configuration is read again, and that this is done when `reload` returns.
    pub(super) fn around_reload(reload: impl FnOnce()) {
        // The time tells this message from an earlier one; without a clock there is none to tell.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => send(&[NotifyState::Reloading, now]),
            Err(_) => send(&[NotifyState::Reloading]),
        }
        reload();
        send(&[NotifyState::Ready]);
    }

    /// Says that the broker stops, which may take a while; the watchdog waits on until the process ends.
    pub(super) fn stopping() {
        send(&[NotifyState::Stopping, NotifyState::Status("closing connections")]);
    }
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.abort();
        }
    }
}

async fn keep_alive(every: Duration) {
    // An interval of nothing would be no pause at all.
    let mut tick = tokio::time::interval(every.max(Duration::from_millis(1)));
    loop {
        tick.tick().await;
        send(&[NotifyState::Watchdog]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd of the state of the broker");
    }
}
