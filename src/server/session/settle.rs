//! Settlements of deliveries: ack, nack, reject and recover; and deliveries that go back to their queues.
//!
//! Runs of deliveries from one queue are settled under one lock of that queue.

use std::sync::Arc;
use std::task::Waker;

use super::channel::Mode;
use super::consumers::DeliveryOrigin;
use super::round::Round;
use super::state::{Context, Running};
use super::transaction::Settlement;
use super::unacked::Unacked;
use crate::broker::mailbox::{DeadLetterReader, Mailbox};
use crate::broker::queue::{Returned, Settled};
use crate::broker::time::Millis;
use crate::moment;
use crate::wire::method::basic;
use crate::wire::{Fault, ReplyCode};

impl Running {
    pub(super) fn on_ack(
        &mut self,
        number: u16,
        ack: &basic::Ack,
        now: Millis,
    ) -> Result<(), Fault> {
        self.settle(number, ack.delivery_tag, ack.multiple, Settlement::Ack, now)
    }

    pub(super) fn on_nack(
        &mut self,
        cx: &Context,
        number: u16,
        nack: &basic::Nack,
        now: Millis,
    ) -> Result<(), Fault> {
        let requeue = Settlement::Requeue { is_failure: false };
        let drop = Settlement::Drop { is_failure: false };
        let settlement = if nack.requeue { requeue } else { drop };
        self.settle(number, nack.delivery_tag, nack.multiple, settlement, now)?;
        self.await_dead_letters(&cx.connection.mailbox);
        Ok(())
    }

    pub(super) fn on_reject(
        &mut self,
        cx: &Context,
        number: u16,
        reject: &basic::Reject,
        now: Millis,
    ) -> Result<(), Fault> {
        let requeue = Settlement::Requeue { is_failure: true };
        let drop = Settlement::Drop { is_failure: true };
        let settlement = if reject.requeue { requeue } else { drop };
        self.settle(number, reject.delivery_tag, false, settlement, now)?;
        self.await_dead_letters(&cx.connection.mailbox);
        Ok(())
    }

    fn settle(
        &mut self,
        number: u16,
        tag: u64,
        multiple: bool,
        settlement: Settlement,
        now: Millis,
    ) -> Result<(), Fault> {
        moment::reach("session.settle");
        let channel = self.channel(number)?;
        let taken = channel.take_unacked(tag, multiple)?;
        let mut of_streams = taken.iter().filter(|one| one.origin.is_stream);
        if settlement != Settlement::Ack
            && let Some(refused) = of_streams.find_map(|one| one.origin.queue.check_nack().err())
        {
            channel.unacked.put_back(taken);
            return Err(refused);
        }
        if let Mode::Transaction(transaction) = &mut channel.mode {
            transaction.settle(taken, settlement);
            return Ok(());
        }
        self.settle_now(number, taken, settlement, now);
        Ok(())
    }

    /// Holds the connection until the messages that were rejected are published as dead letters, for those queues that
    /// must read them first.
    pub(super) fn await_dead_letters(&mut self, mailbox: &Arc<Mailbox>) {
        let reader = || Waker::from(Arc::new(DeadLetterReader(Arc::clone(mailbox))));
        for queue in std::mem::take(&mut self.round.rejected) {
            if queue.awaits_letters(reader) {
                self.waits.add_dead_letters();
            }
        }
    }

    /// Carries out the settlement of deliveries of a channel.
    pub(super) fn settle_now(
        &mut self,
        number: u16,
        taken: Vec<Unacked>,
        settlement: Settlement,
        now: Millis,
    ) {
        let Some(channel) = self.channels.get(&number) else { return };
        let count = taken.len() as u64;
        if settlement == Settlement::Ack {
            channel.info.counters.ack.add(count);
        }
        let from_consumers = taken.iter().filter(|one| one.origin.consumer.is_some()).count();
        let limit = Arc::clone(&channel.limit);
        match settlement {
            Settlement::Ack => {
                for place in taken.iter().filter_map(|one| one.entry.place) {
                    self.round.settled.push(place);
                }
                settle_runs(taken, now);
            }
            Settlement::Drop { is_failure } => {
                let mut taken = taken;
                for one in &mut taken {
                    one.entry.delivery_count.count(is_failure);
                }
                reject_runs(taken, now, &mut self.round);
            }
            Settlement::Requeue { is_failure: false } => {
                put_back(taken, ReturnReason::Requeued, now);
            }
            Settlement::Requeue { is_failure: true } => {
                put_back(taken, ReturnReason::Rejected, now);
            }
        }
        // Not before, or the queue these were from would have the first go at the room they leave, every time.
        limit.give_back(u32::try_from(from_consumers).unwrap_or(u32::MAX));
        if limit.most() > 0 && from_consumers > 0 {
            self.resume_channel(number, now);
        }
    }

    pub(super) fn on_recover(
        &mut self,
        number: u16,
        requeue: bool,
        now: Millis,
    ) -> Result<(), Fault> {
        if !requeue {
            return Err(Fault::new(ReplyCode::NotImplemented, "requeue=false"));
        }
        let taken = self.channel(number)?.take_all_unacked();
        self.settle_now(number, taken, Settlement::Requeue { is_failure: false }, now);
        Ok(())
    }
}

/// Settles deliveries, one queue lock for each run from one consumer.
fn settle_runs(taken: Vec<Unacked>, now: Millis) {
    let mut run: Option<(Arc<DeliveryOrigin>, Settled)> = None;
    for delivery in taken {
        let bytes = u64::from(delivery.entry.body_len);
        match &mut run {
            Some((origin, settled)) if Arc::ptr_eq(origin, &delivery.origin) => {
                settled.count += 1;
                settled.bytes += bytes;
            }
            _ => {
                let next = (delivery.origin, Settled { count: 1, bytes, is_ack: true });
                if let Some((origin, settled)) = run.replace(next) {
                    origin.queue.settle(origin.consumer, settled, now);
                }
            }
        }
    }
    if let Some((origin, settled)) = run {
        origin.queue.settle(origin.consumer, settled, now);
    }
}

/// Rejects deliveries, one queue lock for each run from one consumer; those that are not dead-lettered are settled.
fn reject_runs(taken: Vec<Unacked>, now: Millis, round: &mut Round) {
    let mut taken = taken.into_iter().peekable();
    while let Some(Unacked { origin, entry, .. }) = taken.next() {
        let mut entries = vec![entry];
        while let Some(next) = taken.next_if(|next| Arc::ptr_eq(&next.origin, &origin)) {
            entries.push(next.entry);
        }
        let count = entries.len();
        let dropped = origin.queue.reject(origin.consumer, entries, now);
        if dropped.len() < count {
            round.rejected.push(Arc::clone(&origin.queue));
        }
        dropped.iter().filter_map(|entry| entry.place).for_each(|place| round.settled.push(place));
    }
}

/// The reason for which deliveries go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReturnReason {
    Requeued,
    Rejected,
    Lost,
}

/// Gives deliveries back to their queues, marked as redelivered: to each queue all at once, in the order of their
/// positions, whichever consumers had them. A quorum queue gets them in the order in which they were delivered.
pub(super) fn put_back(mut returned: Vec<Unacked>, reason: ReturnReason, now: Millis) {
    returned.sort_by_key(|one| {
        let queue = &one.origin.queue;
        // A delivery that was not sent has tag 0, and comes last.
        let order = if queue.is_quorum() { one.tag.wrapping_sub(1) } else { one.entry.position };
        (Arc::as_ptr(queue), order)
    });
    let mut returned = returned.into_iter().peekable();
    while let Some(first) = returned.next() {
        let queue = Arc::clone(&first.origin.queue);
        // What was not sent has tag 0, and a stream gets nothing back.
        let is_unacked = |one: &Unacked| one.tag > 0 && !one.origin.is_stream;
        let mut unacked = usize::from(is_unacked(&first));
        let mut all = vec![given_back(first, reason != ReturnReason::Requeued)];
        while let Some(next) = returned.next_if(|next| Arc::ptr_eq(&next.origin.queue, &queue)) {
            unacked += usize::from(is_unacked(&next));
            all.push(given_back(next, reason != ReturnReason::Requeued));
        }
        match reason {
            ReturnReason::Requeued | ReturnReason::Rejected => queue.requeue(all, now),
            ReturnReason::Lost => {
                queue.count_unacked(unacked);
                queue.put_back(all, now);
            }
        }
    }
}

fn given_back(delivery: Unacked, is_failure: bool) -> Returned {
    let Unacked { origin, mut entry, .. } = delivery;
    let DeliveryOrigin { consumer, no_ack, .. } = *origin;
    entry.redelivered = true;
    entry.delivery_count.count(is_failure);
    Returned { entry, consumer, no_ack, has_failed: is_failure }
}
