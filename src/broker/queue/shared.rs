//! What all queues of a broker share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::Millis;
use crate::broker::compat::ChosenCompat;
use crate::broker::memory::Memory;
use crate::broker::timers::Timers;
use crate::broker::vhost::Vhost;
use crate::store::{Aside, Spill, Store};

/// What a queue knows of the broker around it.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    pub timers: Arc<Timers>,
    /// Set once, when its directory has been read; never for a broker that keeps everything in memory.
    pub store: Arc<OnceLock<Arc<Store>>>,
    /// Set once, before its directory is read: queues may be given more than memory has room for.
    pub spill: Arc<OnceLock<Arc<Spill>>>,
    pub memory: Arc<Memory>,
    /// How long work is run.
    pub aside: Aside,
    /// What the wall clock said when `now` was 0, in milliseconds since 1970.
    pub started_unix_ms: Arc<AtomicU64>,
    /// The vhost of the queue, which knows where its dead letters go.
    pub vhost: Weak<Vhost>,
    pub compat: ChosenCompat,
    /// Held from the append of a message to its push by who publishes to streams: see [`StreamOrder`](super::StreamOrder).
    pub stream_order: Arc<Mutex<()>>,
}

impl Shared {
    #[inline]
    pub(super) fn store(&self) -> Option<&Arc<Store>> {
        self.store.get()
    }

    /// The calendar's time, in milliseconds since 1970.
    pub(super) fn unix_ms(&self, now: Millis) -> u64 {
        self.started_unix_ms.load(Ordering::Relaxed).saturating_add(now)
    }
}
