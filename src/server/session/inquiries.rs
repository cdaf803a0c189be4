//! Answers of a connection to questions for its unacknowledged deliveries.

use std::sync::Arc;

use super::channel::{Channel, Mode};
use super::consumers::DeliveryOrigin;
use super::state::{Phase, Running, Session};
use crate::broker::entry::Entry;
use crate::broker::mailbox::{ConsumerSlot, Post};
use crate::broker::unacked::{QueueKey, SentDelivery, UnackedDelivery};

impl Session {
    /// Answers the inquiries in the mailbox, also while the client reads nothing.
    ///
    /// Cost: one look at each delivery of the connection that is not settled.
    pub(super) fn answer_waiting_inquiries(&self) {
        let mailbox = &self.cx.connection.mailbox;
        for inquiry in mailbox.take_inquiries() {
            // A connection that is about to end has given its deliveries back.
            let Phase::Running(running) = &self.phase else { continue };
            let name = &self.cx.connection.peer.name;
            for channel in running.channels.values() {
                inquiry.answer(channel.unsettled_of(inquiry.queue, name));
            }
            let unsent = |post: &Post| running.unsent_of(inquiry.queue, name, post);
            inquiry.answer(self.posts.iter().filter_map(unsent));
            let mut waiting = Vec::new();
            mailbox.for_each(|post| waiting.extend(unsent(post)));
            inquiry.answer(waiting);
        }
    }
}

impl Channel {
    /// Its deliveries of a queue; those that a transaction settles are not settled before its commit.
    fn unsettled_of(
        &self,
        queue: QueueKey,
        connection: &Arc<str>,
    ) -> impl Iterator<Item = UnackedDelivery> {
        let unacked = self.unacked.iter().map(|(tag, delivery)| {
            let sent = SentDelivery { tag, at: delivery.delivered_at, is_uncommitted: false };
            (sent, &delivery.origin, &delivery.entry)
        });
        let settlements = match &self.mode {
            Mode::Transaction(transaction) => transaction.settlements.as_slice(),
            Mode::Plain | Mode::Confirm(_) => &[],
        };
        let uncommitted = settlements.iter().flat_map(|(taken, _)| taken).map(|delivery| {
            let (tag, at) = (delivery.tag, delivery.delivered_at);
            (SentDelivery { tag, at, is_uncommitted: true }, &delivery.origin, &delivery.entry)
        });
        let is_its =
            move |origin: &DeliveryOrigin| QueueKey::of(&origin.queue) == queue && !origin.is_void;
        let all = unacked.chain(uncommitted).filter(move |(_, origin, _)| is_its(origin));
        all.map(|(sent, origin, entry)| row(self.number, connection, origin, Some(sent), entry))
    }
}

impl Running {
    /// The delivery of a queue that a post is, if it must be acknowledged once it is sent.
    fn unsent_of(
        &self,
        queue: QueueKey,
        connection: &Arc<str>,
        post: &Post,
    ) -> Option<UnackedDelivery> {
        let Post::Delivery { slot, entry } = post else { return None };
        let slot: ConsumerSlot = *slot;
        let source = self.consumers.get(slot)?;
        let is_its = QueueKey::of(&source.origin.queue) == queue && !source.origin.no_ack;
        is_its.then(|| row(source.channel, connection, &source.origin, None, entry))
    }
}

fn row(
    channel: u16,
    connection: &Arc<str>,
    origin: &DeliveryOrigin,
    sent: Option<SentDelivery>,
    entry: &Entry,
) -> UnackedDelivery {
    UnackedDelivery {
        connection: Arc::clone(connection),
        channel,
        consumer_tag: origin.consumer_tag.clone(),
        sent,
        redelivered: entry.is_redelivered() && !origin.is_stream,
        body_len: entry.body_len,
        message: entry.message.clone(),
    }
}
