//! The publishing side of one connection or HTTP request.

use std::sync::Arc;

use super::keep::{Append, hand_out, keep};
use super::own;
use super::request::{Publish, Published, Refusals};
use super::routes::Routes;
use crate::broker::alarm::Alarm;
use crate::broker::auth::Rights;
use crate::broker::drops::DropReason;
use crate::broker::incidents::Incident;
use crate::broker::message::Message;
use crate::broker::queue::{StreamOrder, Taken};
use crate::broker::replies::{REPLY_TO, Replies};
use crate::broker::route::Route;
use crate::broker::time::Millis;
use crate::broker::trace::Tracer;
use crate::broker::vhost::Vhost;
use crate::store::Appended;
use crate::wire::{Fault, ShortStr};

/// One user's side of publishing, in one vhost: a connection's, or that of an HTTP request.
#[derive(Debug)]
pub struct Publisher {
    pub(super) vhost: Arc<Vhost>,
    pub(super) routes: Routes,
    pub(super) tracer: Tracer,
    replies: Arc<Replies>,
    alarm: Arc<Alarm>,
}

impl Publisher {
    pub(in crate::broker) fn new(
        vhost: Arc<Vhost>,
        rights: Arc<Rights>,
        tracer: Tracer,
        replies: Arc<Replies>,
        alarm: Arc<Alarm>,
    ) -> Self {
        let routes = Routes::new(Arc::clone(&vhost), rights);
        Self { vhost, routes, tracer, replies, alarm }
    }

    /// Publishes a message. What is to be on disk is written with [`Vhost::wake_store`] at the latest.
    ///
    /// Cost: one hash of exchange and routing key if the route is known, a look at a flag for each rule that does not
    /// apply, and one lock for each queue. A message that is to survive is copied once, under the store's lock.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` if there is no such exchange, `ACCESS_REFUSED` if it is internal or the user may not write to it.
    #[inline]
    pub fn publish(&mut self, publish: &Publish<'_>) -> Result<Published, Fault> {
        let Publish { message, copies, refusals, now, .. } = *publish;
        if let Some(name) = reply_name(message) {
            self.routes.check_default()?;
            if self.vhost.is_traced() {
                own::trace_publish(&self.vhost, &self.tracer, publish, &[]);
            }
            return Ok(self.reply(name, message));
        }
        let route = self.routes.find_all(message, copies)?;
        if route.is_traced() {
            own::trace_publish(&self.vhost, &self.tracer, publish, route.queues());
        }
        let shared = self.vhost.shared();
        let mut order = StreamOrder::default();
        let kept = match keep(shared, route, message, Append::Plain, now, &mut order) {
            Ok(kept) => kept,
            Err(refused) if refusals == Refusals::Logged => {
                self.alarm.warn_of_unkept(refused);
                None
            }
            Err(_) => return Ok(Published::NotKept),
        };
        let taken = hand_out_counted(route, message, kept, refusals, now);
        if taken != Taken::Yes && refusals == Refusals::Reported {
            return Ok(Published::Refused);
        }
        Ok(match kept {
            Some(Appended { batch, .. }) => Published::OnDisk(batch),
            None if route.queues().is_empty() => self.to_nowhere(message),
            None => Published::InMemory,
        })
    }

    /// The outcome of a message that no queue is bound for.
    #[cold]
    pub(super) fn to_nowhere(&self, message: &Message) -> Published {
        self.vhost.shared().incidents.count(1, || {
            let (exchange, routing_key) = message.exchange_and_key();
            Incident::Unroutable {
                vhost: self.vhost.name().clone(),
                exchange: ShortStr::truncated(exchange),
                routing_key: ShortStr::truncated(routing_key),
            }
        });
        Published::Nowhere
    }

    /// Returns the fault of a publish whose properties are refused: RabbitMQ looks first for its route
    /// (`rabbit_channel`, `basic.publish`).
    #[cold]
    pub fn refuse(&mut self, message: &Message, fault: Fault) -> Fault {
        match reply_name(message) {
            Some(_) => self.routes.check_default().err(),
            None => self.routes.find_all(message, &[]).err(),
        }
        .unwrap_or(fault)
    }

    /// Hands a direct reply to the channel that waits for it.
    pub(super) fn reply(&self, name: &str, message: &Message) -> Published {
        let is_there = self.replies.post(name, message.clone());
        // To RabbitMQ 3.10 it has gone to no queue.
        let is_routed = is_there && !self.vhost.shared().compat.get().is_3_10();
        if is_routed { Published::InMemory } else { self.to_nowhere(message) }
    }

    /// Tells the firehose of a message that a client is about to get from a queue, if the vhost is traced.
    #[inline]
    pub fn trace_delivery(
        &self,
        message: &Message,
        queue: &str,
        redelivered: bool,
        channel: u16,
        now: Millis,
    ) {
        if self.vhost.is_traced() {
            own::trace_delivery(
                &self.vhost,
                &self.tracer,
                message,
                queue,
                redelivered,
                channel,
                now,
            );
        }
    }

    /// Gives the memory of remembered routes back if nothing was published since this was called last.
    pub fn rest(&mut self) {
        self.routes.rest();
    }
}

/// The reply name that a message is for: the default exchange (an empty first string) leads there as it does to queues.
#[inline]
pub(super) fn reply_name(message: &Message) -> Option<&str> {
    let names = message.names();
    if names.first() != Some(&0) {
        return None;
    }
    let key = names.get(2..).filter(|key| key.starts_with(REPLY_TO.as_bytes()))?;
    std::str::from_utf8(key).ok().filter(|key| Replies::is_reply_name(key))
}

/// Hands out a client's message; answers whether all of its queues have it.
#[inline]
pub(super) fn hand_out_counted(
    route: &Route,
    message: &Message,
    kept: Option<Appended>,
    refusals: Refusals,
    now: Millis,
) -> Taken {
    let counters = route.counters();
    counters.publish_in.add(1);
    counters.publish_out.add(route.queues().len() as u64);
    let mut all = Taken::Yes;
    hand_out(route, message, kept, now, |queue, taken| {
        if taken == Taken::Refused && refusals == Refusals::Logged {
            queue.count_drop(DropReason::Refused, now);
        }
        all = all.and(taken);
    });
    all
}
