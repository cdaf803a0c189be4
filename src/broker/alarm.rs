//! The alarms: publishers are to pause because memory or disk space runs out, or the store takes no more messages.
//!
//! As in RabbitMQ (`rabbit_alarm`) an alarm concerns the whole broker: a connection that publishes while one is on is
//! told so and is not read from until the last is over. A connection that only consumes goes on, so that waiting
//! messages can be drained. A publish asks [`Alarm::is_on`], one relaxed load; a connection that is blocked is told the
//! end through its mailbox. The alarm for file descriptors pauses no publisher: new connections wait (`server`, its
//! `slots`).

use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::mailbox::Post;
use super::registry::Registry;
use crate::lock::Mutex;
use crate::store::Refused;

/// A resource that runs out. Each has a bit of its own in [`Alarm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shortage {
    /// The process has more memory than it may.
    Memory = 1,
    /// Less is free on the disk than must stay free.
    DiskSpace = 2,
    /// The store can take no more messages, or a write has failed.
    Store = 4,
    /// Clients wait to be accepted, because the process has no file descriptor for them. No publisher pauses for that
    /// (RabbitMQ: `file_descriptor_limit`).
    Descriptors = 8,
}

impl Shortage {
    /// The shortages for which publishers pause, as bits.
    const PAUSING: u8 = Self::Memory as u8 | Self::DiskSpace as u8 | Self::Store as u8;

    fn pauses_publishers(self) -> bool {
        self as u8 & Self::PAUSING != 0
    }
}

/// A change of the alarm under way.
pub(in crate::broker) type Changing<'a> = MutexGuard<'a, ()>;

/// The alarms that are on; those in `Shortage::PAUSING` pause publishers.
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
        self.short_of.load(Ordering::Relaxed) & Shortage::PAUSING != 0
    }

    pub fn is_short_of_memory(&self) -> bool {
        self.short_of.load(Ordering::Relaxed) & Shortage::Memory as u8 != 0
    }

    pub fn is_short_of_disk(&self) -> bool {
        let of_disk = Shortage::DiskSpace as u8 | Shortage::Store as u8;
        self.short_of.load(Ordering::Relaxed) & of_disk != 0
    }

    /// Answers if clients wait to be accepted, because no file descriptor is left for them.
    pub fn is_short_of_descriptors(&self) -> bool {
        self.short_of.load(Ordering::Relaxed) & Shortage::Descriptors as u8 != 0
    }

    /// Returns the reason why publishers pause, in RabbitMQ's words (`rabbit_reader:format_blocked_by`).
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

    /// Begins a change of the alarm, alone.
    pub(in crate::broker) fn changing(&self) -> Changing<'_> {
        self.change.lock()
    }

    /// Makes publishers pause from now on.
    pub(in crate::broker) fn raise(&self, shortage: Shortage, _change: &Changing<'_>) {
        let before = self.short_of.fetch_or(shortage as u8, Ordering::Relaxed);
        if before & shortage as u8 != 0 {
            return;
        }
        match shortage {
            Shortage::Memory => {
                tracing::warn!("memory alarm set: publishers are blocked until it clears");
            }
            Shortage::DiskSpace => {
                tracing::warn!("disk space alarm set: publishers are blocked until it clears");
            }
            Shortage::Store => tracing::warn!(
                "the store accepts no more messages: publishers are blocked until it does"
            ),
            Shortage::Descriptors => tracing::warn!(
                "file descriptor limit alarm set: new connections wait until others close; raise the limit on open files \
                 (ulimit -n, LimitNOFILE)"
            ),
        }
    }

    /// Ends one shortage. When it was the last for which publishers pause, every connection hears that they may go on.
    pub(in crate::broker) fn end(
        &self,
        shortage: Shortage,
        registry: &Registry,
        _change: &Changing<'_>,
    ) {
        let before = self.short_of.fetch_and(!(shortage as u8), Ordering::Relaxed);
        if before & shortage as u8 == 0 {
            return;
        }
        match shortage {
            Shortage::Memory => tracing::info!("memory alarm cleared"),
            Shortage::DiskSpace => tracing::info!("disk space alarm cleared"),
            Shortage::Store => tracing::info!("the store accepts messages again"),
            Shortage::Descriptors => tracing::info!("file descriptor limit alarm cleared"),
        }
        if !shortage.pauses_publishers() || self.is_on() {
            return;
        }
        tracing::info!("publishers are no longer blocked");
        self.has_warned.store(false, Ordering::Relaxed);
        for connection in registry.list() {
            connection.mailbox.post(Post::Unblocked);
        }
    }
}
