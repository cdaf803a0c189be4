//! The consumer timeout (`consumer_timeout`): a channel with a delivery that is unacknowledged for longer is closed,
//! and its deliveries go back.
//!
//! RabbitMQ 4.3 times quorum queues' consumers only: such a consumer is cancelled if its client knows `basic.cancel`
//! from the broker, and its overdue deliveries go back. Their tags may still be settled, to no effect. Deliveries that
//! go back for this reason have not failed, also if a channel is closed for it. The default does the same for quorum
//! queues, and times the others as releases before 4.3 do.
//!
//! Begin with [`Session::enforce_consumer_timeouts`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::Channel;
use super::consumers::DeliveryOrigin;
use super::overdue::{NextCheck, OverdueDeliveries};
use super::state::{Context, Phase, Running, Session};
use super::transaction::Settlement;
use super::unacked::Unsettled;
use crate::broker::compat::{Compat, CompatRelease};
use crate::broker::mailbox::{ConsumerSlot, Post};
use crate::broker::queue::ConsumerTimeout;
use crate::broker::time::Millis;
use crate::wire::{Fault, ReplyCode};

/// Deliveries that a channel keeps for too long.
struct TimedOut {
    /// Deliveries of quorum queues, which go back.
    overdue: Vec<OverdueDeliveries>,
    /// The channel is to be closed, and this was the timeout.
    close_after_ms: Option<Millis>,
}

impl Channel {
    /// The deliveries that are kept for too long, if there are any.
    fn timed_out(
        &self,
        (compat, node_ms): (Compat, Option<Millis>),
        check: NextCheck,
        now: Millis,
    ) -> Option<TimedOut> {
        let oldest = self.overdue_oldest(node_ms, now);
        let (overdue, of_oldest) = match compat.release() {
            CompatRelease::V3_10 => (Vec::new(), oldest.map(|(_, timeout_ms)| timeout_ms)),
            CompatRelease::V4 => {
                let of_others = oldest.filter(|(origin, _)| !origin.queue.is_quorum());
                (
                    self.overdue_of_quorum(node_ms, check, now),
                    of_others.map(|(_, timeout_ms)| timeout_ms),
                )
            }
            CompatRelease::V4_3 => (self.overdue_of_quorum(node_ms, check, now), None),
        };
        // A getter cannot be cancelled.
        let gotten = overdue.iter().find(|overdue| overdue.origin.consumer.is_none());
        let close_after_ms = of_oldest.or(gotten.map(|overdue| overdue.timeout_ms));
        (close_after_ms.is_some() || !overdue.is_empty())
            .then_some(TimedOut { overdue, close_after_ms })
    }

    /// The oldest delivery if it is overdue, and its timeout: no other counts before 4.3 (RabbitMQ 4:
    /// `rabbit_channel:evaluate_consumer_timeout`).
    fn overdue_oldest(
        &self,
        node_ms: Option<Millis>,
        now: Millis,
    ) -> Option<(&DeliveryOrigin, Millis)> {
        let (_, oldest) = self.unacked.iter().next()?;
        let timeout_ms = timeout_of(&oldest.origin, node_ms)?;
        oldest.is_overdue(timeout_ms, now).then_some((&*oldest.origin, timeout_ms))
    }

    /// The overdue deliveries of quorum queues, of which each counts (4.3).
    ///
    /// Cost: one check of each delivery that is older than the shortest timeout.
    fn overdue_of_quorum(
        &self,
        node_ms: Option<Millis>,
        check: NextCheck,
        now: Millis,
    ) -> Vec<OverdueDeliveries> {
        let mut overdue: Vec<OverdueDeliveries> = Vec::new();
        let mut last: Option<(&Arc<DeliveryOrigin>, Option<Millis>)> = None;
        let is_old = |delivery: &Unsettled| delivery.is_overdue(check.shortest_ms, now);
        for (tag, delivery) in self.unacked.iter().take_while(|(_, delivery)| is_old(delivery)) {
            let origin = &delivery.origin;
            let timeout_ms = match last {
                _ if origin.is_void || !origin.queue.is_quorum() => continue,
                Some((known, timeout_ms)) if Arc::ptr_eq(known, origin) => timeout_ms,
                Some(_) | None => timeout_of(origin, node_ms),
            };
            last = Some((origin, timeout_ms));
            let Some(timeout_ms) = timeout_ms else { continue };
            if !delivery.is_overdue(timeout_ms, now) {
                continue;
            }
            match overdue.iter_mut().rev().find(|known| Arc::ptr_eq(&known.origin, origin)) {
                Some(known) => known.up_to = tag,
                None => overdue.push(OverdueDeliveries {
                    origin: Arc::clone(origin),
                    up_to: tag,
                    timeout_ms,
                }),
            }
        }
        overdue
    }
}

/// The consumer timeout of a consumer: its own, its queue's or the node's.
fn timeout_of(origin: &DeliveryOrigin, node_ms: Option<Millis>) -> Option<Millis> {
    origin.queue.consumer_timeout(ConsumerTimeout { consumer_ms: origin.timeout_ms, node_ms })
}

impl Running {
    /// Checks the channels as often as the timeout of this origin asks for.
    pub(super) fn apply_consumer_timeout(
        &mut self,
        origin: &DeliveryOrigin,
        cx: &Context,
        now: Millis,
    ) {
        let node_ms = cx.broker.limits.get().consumer_timeout_ms;
        let Some(timeout_ms) = timeout_of(origin, node_ms) else { return };
        match self.next_check {
            Some(check) if check.shortest_ms <= timeout_ms => {}
            Some(_) | None => self.next_check = Some(NextCheck::new(timeout_ms, now)),
        }
    }

    /// Applies the new consumer timeout of a consumer's queue.
    pub(super) fn on_time_limited(&mut self, slot: ConsumerSlot, cx: &Context, now: Millis) {
        if let Some(source) = self.consumers.get(slot) {
            let origin = Arc::clone(&source.origin);
            self.apply_consumer_timeout(&origin, cx, now);
        }
    }

    /// The channels whose clients have kept a delivery for too long.
    fn timed_out(&mut self, cx: &Context, now: Millis) -> Vec<(u16, TimedOut)> {
        let Some(check) = &mut self.next_check else { return Vec::new() };
        if now < check.at {
            return Vec::new();
        }
        check.postpone(now);
        let check = *check;
        let said = (cx.broker.compat(), cx.broker.limits.get().consumer_timeout_ms);
        let mut all = Vec::new();
        for channel in self.channels.values() {
            all.extend(channel.timed_out(said, check, now).map(|found| (channel.number, found)));
        }
        all
    }

    /// Takes overdue deliveries of a consumer back and cancels it.
    fn cancel_overdue(
        &mut self,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        number: u16,
        OverdueDeliveries { origin, up_to, .. }: &OverdueDeliveries,
        now: Millis,
        out: &mut Vec<u8>,
    ) {
        let is_its = |slot: &ConsumerSlot| {
            self.consumers.get(*slot).is_some_and(|source| Arc::ptr_eq(&source.origin, origin))
        };
        let Some(channel) = self.channels.get(&number) else { return };
        // Its client may have cancelled it long ago.
        let consumer = channel.consumers.iter().find(|(_, slot)| is_its(slot));
        let consumer = consumer.map(|(tag, slot)| (tag.clone(), *slot));
        let to_promote = consumer.as_ref().and_then(|(_, slot)| self.unsubscribe(*slot, now));
        // Messages dealt before the consumer left are sent before it is cancelled.
        self.flush_posts(cx, posts, None, now, out);
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let taken = channel.unacked.take_back(origin, *up_to);
        channel.has_void = true;
        self.settle_now(number, taken, Settlement::Requeue { is_failure: false }, now);
        if let Some((tag, slot)) = consumer
            && self.consumers.get(slot).is_some()
        {
            self.on_cancelled(slot, out);
            tracing::info!(connection = %cx.connection.peer.name, channel = number, %tag, "consumer timed out");
        }
        if let Some(queue) = to_promote {
            queue.promote(now);
        }
    }
}

impl Session {
    /// Closes the channels whose clients have kept a delivery for too long, or cancels the consumers that have.
    pub(super) fn enforce_consumer_timeouts(&mut self, now: Millis, out: &mut Vec<u8>) {
        let Phase::Running(running) = &mut self.phase else { return };
        for (number, TimedOut { overdue, close_after_ms }) in running.timed_out(&self.cx, now) {
            let Phase::Running(running) = &mut self.phase else { return };
            let unable = overdue.first().filter(|_| !running.wants_cancel_notify);
            let Some(timeout_ms) = close_after_ms.or(unable.map(|overdue| overdue.timeout_ms))
            else {
                for overdue in &overdue {
                    running.cancel_overdue(&self.cx, &mut self.posts, number, overdue, now, out);
                }
                continue;
            };
            if let Some(channel) = running.channels.get_mut(&number) {
                channel.overdue = overdue;
            }
            let text = format!(
                "delivery acknowledgement on channel {number} timed out. Timeout value used: {timeout_ms} ms. \
                 This timeout value can be configured, see consumers doc guide to learn more"
            );
            self.on_fault(number, &Fault::new(ReplyCode::PreconditionFailed, text), now, out);
        }
    }
}
