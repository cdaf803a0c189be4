//! The disk alarm: publishers are to pause because the store takes no more messages.
//!
//! As in RabbitMQ (`rabbit_alarm`, "Disk alarms") an alarm concerns the whole broker: a connection that publishes
//! while it is on is told so and is not read from until it is over. Who publishes asks [`Alarm::is_on`], one
//! relaxed load; who is blocked is told the end through its mailbox.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Broker;
use super::mailbox::Post;
use crate::store::{Health, Refused};

/// Whether publishers are to pause.
#[derive(Debug, Default)]
pub struct Alarm {
    is_on: AtomicBool,
    /// A message that should have been kept was taken into memory only, and the log says so.
    has_warned: AtomicBool,
    /// Held while the alarm changes, so that the last to change it knows the last state of the disk.
    change: Mutex<()>,
}

impl Alarm {
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Says in the log, once for each time the store stops taking messages, that some will not survive.
    #[cold]
    pub fn warn_of_unkept(&self, why: Refused) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(%why, "persistent messages published without confirms are in memory only");
        }
    }
}

impl Broker {
    /// Sets the alarm by the health of the store, now and whenever it changes.
    pub fn watch_store(self: &Arc<Self>) {
        let Some(store) = &self.store else { return };
        let broker = Arc::downgrade(self);
        store.watch_health(Box::new(move |_| {
            if let Some(broker) = broker.upgrade() {
                broker.on_health();
            }
        }));
        self.on_health();
    }

    /// Brings the alarm up to date. Two threads may report at once, so each looks for itself.
    fn on_health(&self) {
        let Some(store) = &self.store else { return };
        let _change = self.alarm.change.lock().unwrap_or_else(PoisonError::into_inner);
        match store.health() {
            Health::Well => self.end_alarm(),
            Health::Full | Health::Failed => self.raise_alarm(),
        }
    }

    /// Has publishers pause from now on.
    pub fn raise_alarm(&self) {
        self.alarm.is_on.store(true, Ordering::Relaxed);
    }

    /// Tells every connection that publishers may go on.
    pub fn end_alarm(&self) {
        if !self.alarm.is_on.swap(false, Ordering::Relaxed) {
            return;
        }
        tracing::info!("publishers may go on");
        self.alarm.has_warned.store(false, Ordering::Relaxed);
        for connection in self.registry.list() {
            connection.mailbox.post(Post::Unblocked);
        }
    }
}
