//! Messages that come and go without a channel, as over HTTP.
//!
//! What must survive is given to the store before any queue has it, as on a channel (`server::session::publish`); who has
//! published asks [`Receipt::poll`] until it is on disk. Nothing that was got is settled or given back but by
//! [`Broker::finish`].

use std::sync::Arc;
use std::task::{Context, Poll};

use super::Broker;
use super::exchange::Details;
use super::message::Message;
use super::queue::{Entry, Millis, Queue, Returned, Settled, StreamOrder, Taken};
use super::replies::Replies;
use super::vhost::Vhost;
use crate::store::{Batch, Outcome, Runs};
use crate::wire::{Fault, ReplyCode};

/// What has become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub is_routed: bool,
    /// What it is safe with, if it must survive.
    kept: Option<Batch>,
    is_refused: bool,
}

impl Receipt {
    /// Whether the message is taken, once that is known: on disk if it must be there, and refused by no queue.
    pub fn poll(&self, broker: &Broker, cx: &Context<'_>) -> Poll<bool> {
        let (Some(batch), Some(store)) = (self.kept, &broker.store) else {
            return Poll::Ready(!self.is_refused);
        };
        match store.outcome(batch) {
            Outcome::Waiting => {
                store.wake_after(batch, cx.waker());
                Poll::Pending
            }
            Outcome::Synced => Poll::Ready(!self.is_refused),
            Outcome::Failed => Poll::Ready(false),
        }
    }
}

/// What is to become of messages that were got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Acknowledged,
    Rejected,
    /// Back they go.
    Requeued,
    /// The same, and that counts as a failure.
    Returned,
}

impl Broker {
    /// Hands a message to every queue that these keys lead to.
    ///
    /// # Errors
    ///
    /// As a publish on a channel; `RESOURCE_ERROR` when the store does not take it.
    pub fn publish_alone(
        &self,
        vhost: &Vhost,
        keys: &[&str],
        message: &Message,
        now: Millis,
    ) -> Result<Receipt, Fault> {
        let (exchange, key) = message.exchange_and_key();
        if exchange.is_empty() && Replies::is_reply_name(key) {
            let is_routed = self.replies.post(key, message.clone());
            return Ok(Receipt { is_routed, kept: None, is_refused: false });
        }
        let details = || Ok(Details::read(message.properties()).unwrap_or_default());
        let route = vhost.route(exchange, keys, details)?;
        let mut order = StreamOrder::default();
        let keepers = route.keepers(message);
        let kept = match &self.store {
            Some(store) if !keepers.is_empty() => {
                order.hold(self, &route);
                let published_at = self.started_unix_ms().saturating_add(now);
                let appended = store.append(&message.to_record(keepers, published_at));
                let refused = |_| Fault::new(ReplyCode::ResourceError, "the disk takes no message");
                Some(appended.map_err(refused)?)
            }
            Some(_) | None => None,
        };
        route.counters.publish_in.add(1);
        route.counters.publish_out.add(route.queues.len() as u64);
        for history in &route.histories {
            history.add(message);
        }
        let mut places = kept.map(|kept| route.places(message, kept.first)).into_iter().flatten();
        let mut is_refused = false;
        for queue in &route.queues {
            is_refused |= queue.push(message.clone(), places.next(), now) == Taken::Refused;
        }
        let is_routed = !route.queues.is_empty();
        Ok(Receipt { is_routed, kept: kept.map(|kept| kept.batch), is_refused })
    }

    /// Does with the messages got from a queue what is to become of them; they are in the order they were got in.
    pub fn finish(&self, queue: &Arc<Queue>, entries: Vec<Entry>, fate: Fate, now: Millis) {
        let settle = |entries: &[Entry]| {
            let mut places = Runs::default();
            entries.iter().filter_map(|entry| entry.place).for_each(|place| places.push(place));
            if let Some(store) = &self.store
                && !places.is_empty()
            {
                store.settle(&places);
            }
        };
        match fate {
            Fate::Acknowledged => {
                let bytes = entries.iter().map(|entry| u64::from(entry.body_len)).sum();
                let count = entries.len() as u64;
                queue.settle(None, Settled { count, bytes, is_ack: true }, now);
                settle(&entries);
            }
            Fate::Rejected => settle(&queue.reject(None, entries, now)),
            Fate::Requeued | Fate::Returned => {
                let has_failed = fate == Fate::Returned;
                let mut returned: Vec<_> = entries
                    .into_iter()
                    .map(|mut entry| {
                        entry.redelivered = true;
                        entry.returns.count(has_failed);
                        Returned { entry, consumer: None, no_ack: false, has_failed }
                    })
                    .collect();
                if !queue.is_quorum() {
                    returned.sort_by_key(|one| one.entry.position);
                }
                queue.requeue(returned, now);
            }
        }
    }
}
