//! The state that all queues of a broker share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::Queue;
use super::dead_letters::PublishLetters;
use crate::broker::compat::ChosenCompat;
use crate::broker::drops::Drops;
use crate::broker::memory::Memory;
use crate::broker::stats::Letters;
use crate::broker::time::Millis;
use crate::broker::timers::Timers;
use crate::lock::Mutex;
use crate::store::{Blocking, Spill, Store};

/// The handles by which a queue reaches the broker around it.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    pub timers: Arc<Timers<Queue>>,
    /// Set once, when its directory has been read; never for a broker that keeps everything in memory.
    pub store: Arc<OnceLock<Arc<Store>>>,
    /// Set once, before its directory is read: queues may be given more than memory has room for.
    pub spill: Arc<OnceLock<Arc<Spill>>>,
    pub memory: Arc<Memory>,
    /// The runner of work that blocks.
    pub blocking: Blocking,
    /// The wall clock's time when `now` was 0, in milliseconds since 1970.
    pub started_unix_ms: Arc<AtomicU64>,
    /// The vhost of the queue, which publishes its dead letters; none for queues without a vhost.
    pub letter_publisher: Option<Weak<dyn PublishLetters>>,
    pub compat: ChosenCompat,
    pub letters: Arc<Letters>,
    /// Messages that were dropped for a reason of the broker's own.
    pub drops: Arc<Drops>,
    /// The publishing of a message to streams holds this from its append to its push: see
    /// [`StreamOrder`](super::StreamOrder).
    pub stream_order: Arc<Mutex<()>>,
}

impl Shared {
    #[inline]
    pub(in crate::broker) fn store(&self) -> Option<&Arc<Store>> {
        self.store.get()
    }

    /// The vhost, if it is still there.
    pub(super) fn letter_publisher(&self) -> Option<Arc<dyn PublishLetters>> {
        self.letter_publisher.as_ref()?.upgrade()
    }

    /// The calendar's time, in milliseconds since 1970.
    #[inline]
    pub(in crate::broker) fn unix_ms(&self, now: Millis) -> u64 {
        self.started_unix_ms.load(Ordering::Relaxed).saturating_add(now)
    }
}
