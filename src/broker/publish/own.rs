//! Messages that the broker publishes itself: copies for the firehose, and what a recent-history exchange remembers.
//!
//! No client waits for an answer. A message that the store does not take is handed out all the same, one that a queue
//! has no room for is dropped, and the log tells of both.

use std::sync::Arc;

use super::keep::{Append, hand_out, keep};
use super::request::Publish;
use crate::broker::drops::DropReason;
use crate::broker::message::Message;
use crate::broker::queue::{Queue, StreamOrder, Taken};
use crate::broker::route::Route;
use crate::broker::time::Millis;
use crate::broker::trace::Tracer;
use crate::broker::vhost::{Replay, Vhost};

/// Publishes a message of the broker's own. The store is to be rung after it.
fn publish_own(vhost: &Vhost, message: &Message, route: &Route, now: Millis) {
    let mut order = StreamOrder::default();
    let kept = keep(vhost.shared(), route, message, Append::Plain, now, &mut order);
    let kept = kept.unwrap_or_else(|refused| {
        tracing::warn!(vhost = %vhost.name(), %refused, "a message is not kept");
        None
    });
    hand_out(route, message, kept, now, |queue, taken| {
        if taken == Taken::Refused {
            queue.count_drop(DropReason::RefusedLetter, now);
        }
    });
}

/// Publishes a copy for the firehose.
fn publish_copy(vhost: &Vhost, copy: &Message, now: Millis) {
    let (exchange, key) = copy.exchange_and_key();
    let route = vhost.route_within(exchange, &[key], copy.properties());
    if !route.is_empty() {
        publish_own(vhost, copy, &route, now);
        vhost.wake_store();
    }
}

/// Tells the firehose of a message that these queues are about to get; a direct reply goes to none.
#[cold]
pub(super) fn trace_publish(
    vhost: &Vhost,
    tracer: &Tracer,
    publish: &Publish<'_>,
    queues: &[Arc<Queue>],
) {
    let Publish { message, copies, channel, now, .. } = *publish;
    let keeps_copies = vhost.keeps_own();
    if let Some(copy) = tracer.of_publish(message, copies, queues, channel, keeps_copies) {
        publish_copy(vhost, &copy, now);
    }
}

/// Tells the firehose of a message that a client is about to get from a queue.
#[cold]
pub(super) fn trace_delivery(
    vhost: &Vhost,
    tracer: &Tracer,
    message: &Message,
    queue: &str,
    redelivered: bool,
    channel: u16,
    now: Millis,
) {
    let keeps_copies = vhost.keeps_own();
    if let Some(copy) = tracer.of_delivery(message, queue, redelivered, channel, keeps_copies) {
        publish_copy(vhost, &copy, now);
    }
}

impl Vhost {
    /// Gives a destination newly bound to a recent-history exchange the messages that the exchange remembers.
    pub fn replay(&self, replay: &Replay, now: Millis) {
        for (message, route) in self.replayed(replay) {
            publish_own(self, &message, &route, now);
        }
        self.wake_store();
    }
}
