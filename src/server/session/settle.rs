//! What a client says about deliveries: ack, nack, reject, recover; and what happens to those it leaves.
//!
//! Runs of deliveries from one queue are settled under one lock of that queue.

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::{Channel, Mode};
use super::deliver::{Origin, Unacked};
use super::{Context, Running};
use crate::broker::mailbox::Post;
use crate::broker::queue::{EndIf, Millis, Returned, Settled};
use crate::store::Place;
use crate::wire::method::basic;
use crate::wire::{Fault, ReplyCode};

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ack,
    /// Dropped, or dead-lettered where the queue has an exchange for that.
    Drop,
    /// Given back; a rejection counts as a failure, where those are counted.
    Requeue {
        is_failure: bool,
    },
}

impl Running {
    pub(super) fn on_ack(
        &mut self,
        number: u16,
        ack: &basic::Ack,
        now: Millis,
    ) -> Result<(), Fault> {
        self.settle(number, ack.delivery_tag, ack.multiple, Outcome::Ack, now)
    }

    pub(super) fn on_nack(
        &mut self,
        number: u16,
        nack: &basic::Nack,
        now: Millis,
    ) -> Result<(), Fault> {
        let requeue = Outcome::Requeue { is_failure: false };
        let outcome = if nack.requeue { requeue } else { Outcome::Drop };
        self.settle(number, nack.delivery_tag, nack.multiple, outcome, now)
    }

    pub(super) fn on_reject(
        &mut self,
        number: u16,
        reject: &basic::Reject,
        now: Millis,
    ) -> Result<(), Fault> {
        let requeue = Outcome::Requeue { is_failure: true };
        let outcome = if reject.requeue { requeue } else { Outcome::Drop };
        self.settle(number, reject.delivery_tag, false, outcome, now)
    }

    fn settle(
        &mut self,
        number: u16,
        tag: u64,
        multiple: bool,
        outcome: Outcome,
        now: Millis,
    ) -> Result<(), Fault> {
        let channel = self.channel(number)?;
        let taken = channel.take_unacked(tag, multiple)?;
        let mut of_streams = taken.iter().filter(|one| one.origin.is_stream);
        if outcome != Outcome::Ack
            && let Some(refused) = of_streams.find_map(|one| one.origin.queue.check_nack().err())
        {
            channel.unacked.put_back(taken);
            return Err(refused);
        }
        if let Mode::Transaction(transaction) = &mut channel.mode {
            transaction.settle(taken, outcome);
            return Ok(());
        }
        self.settle_now(number, taken, outcome, now);
        Ok(())
    }

    /// Carries out what was decided about deliveries of a channel.
    pub(super) fn settle_now(
        &mut self,
        number: u16,
        taken: Vec<Unacked>,
        outcome: Outcome,
        now: Millis,
    ) {
        let Some(channel) = self.channels.get(&number) else { return };
        let count = taken.len() as u64;
        if outcome == Outcome::Ack {
            channel.info.counters.ack.add(count);
        }
        let from_consumers = taken.iter().filter(|one| one.origin.consumer.is_some()).count();
        let limit = Arc::clone(&channel.limit);
        match outcome {
            Outcome::Ack => {
                for place in taken.iter().filter_map(|one| one.entry.place) {
                    self.disk.settled.push(place);
                }
                settle_runs(taken, now);
            }
            Outcome::Drop => {
                reject_runs(taken, now, |place| self.disk.settled.push(place));
            }
            Outcome::Requeue { is_failure: false } => put_back(taken, Why::Requeued, now),
            Outcome::Requeue { is_failure: true } => put_back(taken, Why::Rejected, now),
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
        self.settle_now(number, taken, Outcome::Requeue { is_failure: false }, now);
        Ok(())
    }

    /// Ends what a channel does: its consumers leave, its deliveries go back to their queues.
    ///
    /// Deliveries in the mailbox are sent when they are for other channels, and go back when they are for this.
    pub(super) fn leave_channel(
        &mut self,
        number: u16,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        now: Millis,
        out: &mut Vec<u8>,
    ) {
        let handing_over = self.unsubscribe_channel(number, now);
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let consumers = std::mem::take(&mut channel.consumers);
        if let Some(reply) = channel.reply.take() {
            cx.broker.replies.remove(&reply.name);
        }
        let mode = std::mem::replace(&mut channel.mode, Mode::Plain);
        let mut unacked = channel.take_all_unacked();
        if let Mode::Transaction(transaction) = mode {
            unacked.extend(transaction.into_unsettled());
        }
        if let Some(gone) = cx.connection.remove_channel(number) {
            self.vhost.counters.absorb(&gone.counters);
        }
        cx.broker.churn.channel_closed.add(1);
        let mut unsent = self.flush_posts(cx, posts, Some(number), now, out);
        for slot in consumers.into_values() {
            self.sources.release(slot);
        }
        unacked.append(&mut unsent);
        put_back(unacked, Why::Lost, now);
        for queue in handing_over {
            queue.hand_over(now);
        }
    }

    /// Sends or takes back everything in the mailbox, so that no post names a consumer that is about to go.
    ///
    /// Answers with the deliveries for the channel `leaving`.
    pub(super) fn flush_posts(
        &mut self,
        cx: &Context,
        posts: &mut VecDeque<Post>,
        leaving: Option<u16>,
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Vec<Unacked> {
        let mut unsent = Vec::new();
        let mut later = VecDeque::new();
        let mut fresh = VecDeque::new();
        let drained = cx.connection.mailbox.drain(&mut fresh);
        for post in std::mem::take(posts).into_iter().chain(fresh) {
            match post {
                Post::Delivery { slot, entry } => match self.sources.get(slot) {
                    Some(source) if Some(source.channel) == leaving => {
                        let origin = Arc::clone(&source.origin);
                        unsent.push(Unacked { tag: 0, origin, entry });
                    }
                    Some(_) | None => self.on_delivery(slot, entry, now, out),
                },
                Post::Reply { channel, message } if Some(channel) != leaving => {
                    self.on_reply(channel, &message, out);
                }
                Post::Reply { .. } => {}
                Post::Cancelled { slot } => {
                    if self.sources.get(slot).is_some_and(|source| Some(source.channel) != leaving)
                    {
                        self.on_cancelled(slot, out);
                    }
                }
                Post::TimeLimited { slot } => self.on_time_limited(slot, cx, now),
                Post::Close(_) | Post::Unblocked => later.push_back(post),
            }
        }
        *posts = later;
        self.resume(drained.turned_away, now);
        unsent
    }

    /// Ends all channels of a connection that has ended; `posts` is what was in its mailbox.
    ///
    /// Everything goes back at once, or a waiting consumer would get the later messages before the earlier ones.
    pub(super) fn end(&mut self, cx: &Context, posts: VecDeque<Post>, now: Millis) {
        let mut returned = Vec::new();
        for post in posts {
            if let Post::Delivery { slot, entry } = post
                && let Some(source) = self.sources.get(slot)
            {
                returned.push(Unacked { tag: 0, origin: Arc::clone(&source.origin), entry });
            }
        }
        for (number, mut channel) in self.channels.drain() {
            if channel.awaits_close_ok {
                continue;
            }
            if let Some(reply) = &channel.reply {
                cx.broker.replies.remove(&reply.name);
            }
            returned.append(&mut channel.take_all_unacked());
            if let Mode::Transaction(transaction) = channel.mode {
                returned.extend(transaction.into_unsettled());
            }
            if let Some(gone) = cx.connection.remove_channel(number) {
                self.vhost.counters.absorb(&gone.counters);
            }
            cx.broker.churn.channel_closed.add(1);
        }
        put_back(returned, Why::Lost, now);
        self.disk.tell_settled(cx.broker.store.as_deref());
        for queue in self.exclusive.drain().filter_map(|(_, queue)| queue.upgrade()) {
            self.vhost.remove_queue(&queue, EndIf::default(), now);
        }
    }
}

impl Channel {
    /// Takes the delivery with this tag, or with `multiple` all up to it, out of those to be settled.
    ///
    /// # Errors
    ///
    /// `PRECONDITION_FAILED` for a tag that names no outstanding delivery; tag 0 with `multiple` means all,
    /// be there any or none (RabbitMQ: `rabbit_channel:collect_acks`).
    fn take_unacked(&mut self, tag: u64, multiple: bool) -> Result<Vec<Unacked>, Fault> {
        if tag == 0 && multiple {
            return Ok(self.take_all_unacked());
        }
        let taken = if multiple {
            self.unacked.take_up_to(tag)
        } else {
            self.unacked.take(tag).map(|one| vec![one])
        };
        let taken = taken.ok_or_else(|| {
            let text = format!("unknown delivery tag {tag}");
            Fault::new(ReplyCode::PreconditionFailed, text)
        })?;
        Ok(self.without_void(taken))
    }

    /// Takes all deliveries that are to be settled.
    pub(super) fn take_all_unacked(&mut self) -> Vec<Unacked> {
        let taken = self.unacked.take_all();
        self.without_void(taken)
    }

    /// Leaves out those that were taken back before.
    fn without_void(&mut self, mut taken: Vec<Unacked>) -> Vec<Unacked> {
        if self.has_void {
            taken.retain(|one| !one.origin.is_void);
            self.has_void = self.unacked.len() > 0;
        }
        taken
    }
}

/// Settles deliveries, one queue lock for each run from one consumer.
fn settle_runs(taken: Vec<Unacked>, now: Millis) {
    let mut run: Option<(Arc<Origin>, Settled)> = None;
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

/// Rejects deliveries, one queue lock for each run from one consumer; `settle` gets the places of those that are not
/// dead-lettered.
fn reject_runs(taken: Vec<Unacked>, now: Millis, mut settle: impl FnMut(Place)) {
    let mut taken = taken.into_iter().peekable();
    while let Some(Unacked { origin, entry, .. }) = taken.next() {
        let mut entries = vec![entry];
        while let Some(next) = taken.next_if(|next| Arc::ptr_eq(&next.origin, &origin)) {
            entries.push(next.entry);
        }
        let dropped = origin.queue.reject(origin.consumer, entries, now);
        dropped.iter().filter_map(|entry| entry.place).for_each(&mut settle);
    }
}

/// Why deliveries go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Requeued,
    Rejected,
    Lost,
}

/// Gives deliveries back to their queues, marked as redelivered: to each queue all at once, in the order of their
/// positions, whichever consumers had them. A quorum queue gets them in the order in which they were delivered.
fn put_back(mut returned: Vec<Unacked>, why: Why, now: Millis) {
    returned.sort_by_key(|one| {
        let queue = &one.origin.queue;
        // What was not sent has tag 0, and comes last.
        let order = if queue.is_quorum() { one.tag.wrapping_sub(1) } else { one.entry.position };
        (Arc::as_ptr(queue), order)
    });
    let mut returned = returned.into_iter().peekable();
    while let Some(first) = returned.next() {
        let queue = Arc::clone(&first.origin.queue);
        let mut all = vec![given_back(first, why != Why::Requeued)];
        while let Some(next) = returned.next_if(|next| Arc::ptr_eq(&next.origin.queue, &queue)) {
            all.push(given_back(next, why != Why::Requeued));
        }
        match why {
            Why::Requeued | Why::Rejected => queue.requeue(all, now),
            Why::Lost => queue.put_back(all, now),
        }
    }
}

fn given_back(delivery: Unacked, is_failure: bool) -> Returned {
    let Unacked { origin, mut entry, .. } = delivery;
    let Origin { consumer, no_ack, .. } = *origin;
    entry.redelivered = true;
    entry.returns.count(is_failure);
    Returned { entry, consumer, no_ack, has_failed: is_failure }
}
