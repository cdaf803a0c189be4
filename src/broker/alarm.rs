//! The alarms: publishers are to pause because memory or disk space runs out, or the store takes no more messages.
//!
//! As in RabbitMQ (`rabbit_alarm`) an alarm concerns the whole broker: a connection that publishes while one is on is
//! told so and is not read from until the last is over. Who only consumes goes on, so that what waits can be drained.
//! Who publishes asks [`Alarm::is_on`], one relaxed load; who is blocked is told the end through its mailbox.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Broker;
use super::mailbox::Post;
use crate::store::{Health, Refused};

/// What there is too little of. Each has a bit of its own in [`Alarm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shortage {
    /// The process has more memory than it may.
    Memory = 1,
    /// Less is free on the disk than must stay free.
    DiskSpace = 2,
    /// The store can take no more messages, or a write has failed.
    Store = 4,
}

/// Whether publishers are to pause.
#[derive(Debug, Default)]
pub struct Alarm {
    /// The bits of what is short now.
    short_of: AtomicU8,
    /// A message that should have been kept was taken into memory only, and the log says so.
    has_warned: AtomicBool,
    /// Held while the alarm changes, so that the last to change it knows the last state of the disk.
    change: Mutex<()>,
}

impl Alarm {
    #[inline]
    pub fn is_on(&self) -> bool {
        self.short_of.load(Ordering::Relaxed) != 0
    }

    pub fn is_short_of_memory(&self) -> bool {
        self.short_of.load(Ordering::Relaxed) & Shortage::Memory as u8 != 0
    }

    pub fn is_short_of_disk(&self) -> bool {
        self.short_of.load(Ordering::Relaxed) & !(Shortage::Memory as u8) != 0
    }

    /// Why publishers are to pause, in RabbitMQ's words (`rabbit_reader:format_blocked_by`).
    pub fn reason(&self) -> &'static str {
        match (self.is_short_of_memory(), self.is_short_of_disk()) {
            (true, true) => "low on memory & disk",
            (true, false) => "low on memory",
            // One that is over by now was the disk's, or is one more reason to say something.
            (false, _) => "low on disk",
        }
    }

    /// Says in the log, once for each time the store stops taking messages, that some will not survive.
    #[cold]
    pub fn warn_of_unkept(&self, why: Refused) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(%why, "persistent messages published without confirms are in memory only");
        }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
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
        let change = self.alarm.changing();
        match store.health() {
            Health::Well => self.end(Shortage::Store, &change),
            Health::Full | Health::Failed => self.raise(Shortage::Store, &change),
        }
    }

    /// Has publishers pause from now on.
    pub fn raise_alarm(&self, shortage: Shortage) {
        self.raise(shortage, &self.alarm.changing());
    }

    /// Tells every connection that publishers may go on, when nothing else is short.
    pub fn end_alarm(&self, shortage: Shortage) {
        self.end(shortage, &self.alarm.changing());
    }

    fn raise(&self, shortage: Shortage, _change: &MutexGuard<'_, ()>) {
        let before = self.alarm.short_of.fetch_or(shortage as u8, Ordering::Relaxed);
        if before & shortage as u8 == 0 {
            tracing::warn!(reason = self.alarm.reason(), "publishers are to pause");
        }
    }

    fn end(&self, shortage: Shortage, _change: &MutexGuard<'_, ()>) {
        let before = self.alarm.short_of.fetch_and(!(shortage as u8), Ordering::Relaxed);
        if before != shortage as u8 {
            return;
        }
        tracing::info!("publishers may go on");
        self.alarm.has_warned.store(false, Ordering::Relaxed);
        for connection in self.registry.list() {
            connection.mailbox.post(Post::Unblocked);
        }
    }
}
