//! A queue: its settings, its state, and the handles by which it reaches the broker around it.
//!
//! This is the data that the parts of a queue work on. Each of them adds its methods to [`Queue`], or to [`State`] if
//! they are called under the lock.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;

use super::after_unlock::AfterUnlock;
use super::backlog::Backlog;
use super::consumers::Consumers;
use super::kind::Kind;
use super::life::Life;
use super::outbox::Outbox;
use super::settings::Settings;
use super::stream::Stream;
use super::unacked::Unacked;
use crate::broker::arguments::{DeadLetterStrategy, DeadLetterTo, Limits, QueueKind, queue_noun};
use crate::broker::compat::ChosenCompat;
use crate::broker::drops::{DropReason, Drops};
use crate::broker::ended::EndedCounts;
use crate::broker::incidents::{Incident, Incidents};
use crate::broker::memory::Memory;
use crate::broker::stats::{Letters, QueueCounters};
use crate::broker::time::Millis;
use crate::broker::timers::Timers;
use crate::lock::Mutex;
use crate::store::{Blocking, Spill, Store};
use crate::wire::ShortStr;

/// A queue and the lock around its state.
#[derive(Debug)]
pub struct Queue {
    pub(super) settings: Settings,
    /// The queue itself, for the timers.
    pub(super) this: Weak<Queue>,
    pub(super) shared: Arc<Shared>,
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) kind: Kind,
    /// The messages that wait; none of a stream.
    pub(super) backlog: Backlog,
    /// A publish must check more than the messages and the consumers: [`Self::refresh_fast_path`].
    pub(super) is_special: bool,
    pub(super) consumers: Consumers,
    pub(super) unacked: Unacked,
    pub(super) counters: QueueCounters,
    pub(super) life: Life,
    /// The limits of the queue, if it has any.
    pub(super) limits: Option<Box<Limits>>,
    /// The time registered with the timers.
    pub(super) timer_at: Option<Millis>,
    /// The time of the queue's last use, for its own expiry.
    pub(super) used_at: Millis,
    pub(super) after_unlock: AfterUnlock,
    /// Dead letters that are not published yet.
    pub(super) outbox: Outbox,
    /// Messages that are damaged.
    pub(super) unreadable: u64,
    /// Bytes in memory that the broker's [`Memory`] knows of.
    pub(super) reported_bytes: u64,
    /// Counts unlocks, for the walks of `sound`.
    #[cfg(debug_assertions)]
    pub(super) unlocks: u32,
}

impl Queue {
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the state that the queue shares with the other queues of the broker.
    pub(in crate::broker) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub fn name(&self) -> &ShortStr {
        &self.settings.name
    }

    /// The queue as error texts call it.
    pub fn noun(&self) -> String {
        queue_noun(&self.settings.name, &self.settings.vhost)
    }

    /// Answers whether it is a stream.
    #[inline]
    pub fn is_stream(&self) -> bool {
        self.settings.kind == QueueKind::Stream
    }

    /// Answers whether it is a quorum queue.
    pub fn is_quorum(&self) -> bool {
        self.settings.kind == QueueKind::Quorum
    }

    /// Counts deliveries whose channel or connection has ended without settling them.
    #[cold]
    pub fn count_unacked(&self, count: usize) {
        let Settings { vhost, name, .. } = &self.settings;
        self.shared.incidents.count(count as u64, || Incident::Unacked {
            vhost: vhost.clone(),
            queue: name.clone(),
        });
    }

    /// Counts a message that was dropped here for a reason of the broker's own, and tells the log.
    #[cold]
    pub fn count_drop(&self, why: DropReason, now: Millis) {
        self.shared.drops.count(&self.settings.vhost, &self.settings.name, why, now);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let of_stream = state.kind.stream().map_or(0, Stream::reported_bytes);
        self.shared.memory.report(state.reported_bytes + of_stream, 0);
        let timer_at = state.timer_at;
        state.backlog.take_readers().into_iter().for_each(Waker::wake);
        if let Some(at) = timer_at {
            self.shared.timers.cancel(at, self);
        }
    }
}

impl State {
    /// Returns the number of messages that wait for a consumer, or of a stream may be read.
    pub(super) fn len(&self) -> u64 {
        self.kind.stream().map_or(self.backlog.len() as u64, Stream::len)
    }

    /// Bytes of their bodies.
    pub(super) fn bytes(&self) -> u64 {
        self.kind.stream().map_or(self.backlog.bytes(), Stream::body_bytes)
    }
}

/// The handles by which the queues of a vhost reach the broker around them.
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
    /// The type of queues that are declared without one in a vhost that has no default of its own; set once.
    pub default_queue_type: Arc<OnceLock<String>>,
    pub letters: Arc<Letters>,
    /// The counts of queues and other objects that are gone.
    pub ended: Arc<EndedCounts>,
    /// Messages that were dropped for a reason of the broker's own.
    pub drops: Arc<Drops>,
    /// The incidents that a test wants to hear of.
    pub incidents: Arc<Incidents>,
    /// The publishing of a message to streams holds this from its append to its push: see
    /// [`StreamOrder`](super::stream::order::StreamOrder).
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

/// The publisher of the dead letters of queues: their vhost.
pub trait PublishLetters: Debug + Send + Sync {
    /// Publishes letters of a queue, at most `most`; answers how many it has tried.
    fn publish_letters(&self, queue: &Queue, order: LetterOrder, most: usize, now: Millis)
    -> usize;
}

/// The destination of a queue's dead letters, and the strategy for publishing them.
#[derive(Clone, Debug)]
pub struct LetterOrder {
    /// None if the queue has no dead letter exchange any more.
    pub to: Option<DeadLetterTo>,
    pub strategy: DeadLetterStrategy,
}
