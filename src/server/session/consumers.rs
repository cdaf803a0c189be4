//! The consumers of a connection, and what a delivery remembers of where it came from.

use std::sync::Arc;

use crate::broker::arguments::QueueKind;
use crate::broker::compat::Compat;
use crate::broker::mailbox::ConsumerSlot;
use crate::broker::queue::{ConsumerId, Queue};
use crate::broker::time::Millis;
use crate::wire::ShortStr;

/// The queue and consumer that a delivery came from and may go back to.
#[derive(Debug)]
pub(super) struct DeliveryOrigin {
    pub(super) queue: Arc<Queue>,
    /// `None` for `basic.get`.
    pub(super) consumer: Option<ConsumerId>,
    /// The tag of the consumer, which may be gone; `None` for `basic.get`.
    pub(super) consumer_tag: Option<ShortStr>,
    /// Its deliveries count as settled when they are sent.
    pub(super) no_ack: bool,
    /// Its deliveries have a header with their offset.
    pub(super) is_stream: bool,
    /// The consumer's own `x-consumer-timeout`.
    pub(super) timeout_ms: Option<Millis>,
    /// Its deliveries were taken back; their tags may still be settled, which does nothing.
    pub(super) is_void: bool,
}

impl DeliveryOrigin {
    /// The origin of deliveries of `basic.get`.
    pub(super) fn of_get(queue: Arc<Queue>) -> Self {
        Self {
            queue,
            consumer: None,
            consumer_tag: None,
            no_ack: false,
            is_stream: false,
            timeout_ms: None,
            is_void: false,
        }
    }

    /// The origin of deliveries that were taken back.
    pub(super) fn void(queue: Arc<Queue>) -> Self {
        Self { is_void: true, ..Self::of_get(queue) }
    }
}

/// Headers that deliveries have beside those of their publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Annotation {
    Nothing,
    /// Counts of failed deliveries.
    Counts,
    /// The offset in a stream, in the form of a release.
    Offset(Compat),
}

impl Annotation {
    /// The headers that deliveries of a queue have.
    pub(super) fn of(queue: &Queue, compat: Compat) -> Self {
        match queue.settings().kind {
            QueueKind::Classic => Self::Nothing,
            QueueKind::Quorum => Self::Counts,
            QueueKind::Stream => Self::Offset(compat),
        }
    }

    pub(super) fn is_offset(self) -> bool {
        matches!(self, Self::Offset(_))
    }
}

/// A consumer of this connection.
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub(super) channel: u16,
    pub(super) tag: ShortStr,
    pub(super) annotates: Annotation,
    pub(super) origin: Arc<DeliveryOrigin>,
}

/// All consumers of a connection. Each has its slot until no post in the mailbox names it.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    slots: Vec<Option<Consumer>>,
    free: Vec<ConsumerSlot>,
}

impl Consumers {
    /// Takes a slot for a consumer that is about to subscribe.
    pub(super) fn reserve(&mut self) -> ConsumerSlot {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        self.slots.push(None);
        let at = u32::try_from(self.slots.len() - 1).expect("fewer consumers than 4 billion");
        ConsumerSlot(at)
    }

    pub(super) fn set(&mut self, slot: ConsumerSlot, source: Consumer) {
        self.slots[slot.0 as usize] = Some(source);
    }

    #[inline]
    pub(super) fn get(&self, slot: ConsumerSlot) -> Option<&Consumer> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    /// Forgets a consumer. Its queue must post nothing more, and no post in the mailbox may name it.
    pub(super) fn release(&mut self, slot: ConsumerSlot) {
        self.slots[slot.0 as usize] = None;
        self.free.push(slot);
    }

    /// The consumers with their slots.
    #[cfg(debug_assertions)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConsumerSlot, &Consumer)> {
        let slots = (0..).map(ConsumerSlot).zip(&self.slots);
        slots.filter_map(|(slot, source)| Some((slot, source.as_ref()?)))
    }

    /// Number of slots, free ones included.
    #[cfg(debug_assertions)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Panics unless the free slots are those without a consumer.
    #[cfg(debug_assertions)]
    pub(super) fn assert_sound(&self) {
        let without = self.slots.iter().filter(|source| source.is_none()).count();
        assert_eq!(without, self.free.len(), "free slots have no consumer, and only they");
        assert!(self.free.iter().all(|slot| self.get(*slot).is_none()), "{:?}", self.free);
    }
}
