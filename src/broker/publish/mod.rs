//! Publishing: the only way of a message into queues.
//!
//! | what is published | begins at |
//! |---|---|
//! | by a channel, with confirms or without | [`Publisher::publish`] |
//! | by a channel in a transaction | [`Publisher::stage`], then [`Publisher::commit`] |
//! | over HTTP | [`Publisher::publish`], then [`Receipt::poll`] |
//! | dead letters, and delayed messages whose time has come | `dead_letter`, one letter at a time |
//! | what a recent-history exchange remembers | `Vhost::replay` |
//! | copies for the firehose | [`Publisher`], with the message itself |
//!
//! All of them pass [`keep`] and [`hand_out`], and so obey the same rules:
//!
//! 1. The firehose hears of a message before its queues get it.
//! 2. The store has a message that must survive before any queue has it; only then can it be confirmed.
//! 3. Messages reach a stream in the order in which the store was given them ([`StreamOrder`]).
//! 4. A queue may refuse at any moment. The others get the message nevertheless, and the publisher hears of the refusal
//!    (RabbitMQ: `rabbit_channel`, "reject-publish") or, if nothing waits for an answer, the log does.
//! 5. What the message makes queues drop becomes dead letters after all of its queues have it, so that no queue gets a
//!    dead letter before the message that caused it.
//! 6. Clients' messages are counted at their exchange; those of the broker itself are not (RabbitMQ counts per channel).

mod examine;
mod own;
mod routes;
mod transaction;

use std::sync::Arc;
use std::task::{self, Poll};

pub use self::examine::{Examined, PropertiesMut, PropertiesSeen, Sender, examine};
pub use self::transaction::{NotCommitted, Staged};

use self::routes::Routes;
use super::alarm::Alarm;
use super::auth::Rights;
use super::drops::Why;
use super::message::Message;
use super::queue::{Queue, Shared, StreamOrder, Taken, letters_after};
use super::replies::{REPLY_TO, Replies};
use super::route::Route;
use super::trace::Tracer;
use super::vhost::Vhost;
use crate::broker::time::Millis;
use crate::store::{Appended, Batch, Outcome, Refused};
use crate::wire::{Fault, ShortStr};

/// A message that a client publishes.
#[derive(Clone, Copy, Debug)]
pub struct Publish<'a> {
    pub message: &'a Message,
    /// Routing keys beside the message's own, from the headers `CC` and `BCC`.
    pub copies: &'a [ShortStr],
    /// The number of the channel, which the firehose tells.
    pub channel: u16,
    pub refusals: Refusals,
    pub now: Millis,
}

/// The consequence if the store or a queue does not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// The publisher hears of it: by `basic.nack`, at the commit, or in an HTTP answer.
    Reported,
    /// No publisher waits for an answer. The log tells of it, and a message that the store refuses stays in memory.
    Logged,
}

/// The outcome of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// No queue is bound for the message.
    Nowhere,
    /// Its queues have it, and none needs to keep it over a restart.
    InMemory,
    /// Its queues have it, and it is safe when this batch is on disk.
    OnDisk(Batch),
    /// A queue has refused it.
    Refused,
    /// The store has refused it, and no queue has it.
    NotKept,
}

/// One user's side of publishing, in one vhost: a connection's, or that of an HTTP request.
#[derive(Debug)]
pub struct Publisher {
    vhost: Arc<Vhost>,
    routes: Routes,
    tracer: Tracer,
    replies: Arc<Replies>,
    alarm: Arc<Alarm>,
}

impl Publisher {
    pub(super) fn new(
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
            None if route.queues().is_empty() => Published::Nowhere,
            None => Published::InMemory,
        })
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
    fn reply(&self, name: &str, message: &Message) -> Published {
        let is_there = self.replies.post(name, message.clone());
        // To RabbitMQ 3.10 it has gone to no queue.
        let is_routed = is_there && !self.vhost.shared().compat.get().is_3_10();
        if is_routed { Published::InMemory } else { Published::Nowhere }
    }

    /// Gives the memory of remembered routes back if nothing was published since this was called last.
    pub fn rest(&mut self) {
        self.routes.rest();
    }
}

/// The outcome of a message whose publisher waits for the answer.
#[derive(Clone, Debug)]
pub struct Receipt {
    published: Published,
    vhost: Arc<Vhost>,
}

impl Receipt {
    pub fn new(published: Published, vhost: Arc<Vhost>) -> Self {
        vhost.wake_store();
        Self { published, vhost }
    }

    /// Answers whether some queue is bound for the message.
    pub fn is_routed(&self) -> bool {
        self.published != Published::Nowhere
    }

    /// The outcome, once it is known: a message that is to be on disk is there.
    pub fn poll(&self, cx: &task::Context<'_>) -> Poll<Published> {
        let Published::OnDisk(batch) = self.published else { return Poll::Ready(self.published) };
        let Some(store) = self.vhost.shared().store() else { return Poll::Ready(self.published) };
        match store.outcome(batch) {
            Outcome::Waiting => {
                store.wake_after(batch, cx.waker());
                Poll::Pending
            }
            Outcome::Synced => Poll::Ready(self.published),
            Outcome::Failed => Poll::Ready(Published::NotKept),
        }
    }
}

/// The reply name that a message is for: the default exchange (an empty first string) leads there as it does to queues.
#[inline]
fn reply_name(message: &Message) -> Option<&str> {
    let names = message.names();
    if names.first() != Some(&0) {
        return None;
    }
    let key = names.get(2..).filter(|key| key.starts_with(REPLY_TO.as_bytes()))?;
    std::str::from_utf8(key).ok().filter(|key| Replies::is_reply_name(key))
}

/// The way in which a message is given to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Append {
    /// As a publish: refused while the disk has no room.
    Plain,
    /// In place of a message that the store has, and that is settled when this one is on disk.
    Replacement,
}

/// Gives a message to the store if one of its queues must keep it; returns none for any other. If it takes `order`, the
/// caller holds that until [`hand_out`] is done.
///
/// Cost: one test for a message that no queue keeps; else one lock and one copy in the store.
#[inline]
pub(super) fn keep<'a>(
    shared: &'a Shared,
    route: &Route,
    message: &Message,
    how: Append,
    now: Millis,
    order: &mut StreamOrder<'a>,
) -> Result<Option<Appended>, Refused> {
    if route.keepers(message).is_empty() {
        return Ok(None);
    }
    append(shared, route, message, how, now, order)
}

#[inline(never)]
fn append<'a>(
    shared: &'a Shared,
    route: &Route,
    message: &Message,
    how: Append,
    now: Millis,
    order: &mut StreamOrder<'a>,
) -> Result<Option<Appended>, Refused> {
    let Some(store) = shared.store() else { return Ok(None) };
    let record = message.to_record(route.keepers(message), shared.unix_ms(now));
    if route.has_streams() {
        order.hold(&shared.stream_order, store, &record);
    }
    match how {
        Append::Plain => store.append_without_waking(&record),
        Append::Replacement => store.append_replacement(&record),
    }
    .map(Some)
}

/// Hands a message to the histories and queues of a route, those that keep it with its place; `on_taken` is given each
/// queue's answer. A queue settles the place of what it refuses.
#[inline]
pub(super) fn hand_out(
    route: &Route,
    message: &Message,
    kept: Option<Appended>,
    now: Millis,
    mut on_taken: impl FnMut(&Arc<Queue>, Taken),
) {
    for history in route.histories() {
        history.add(message);
    }
    match (route.queues(), kept) {
        ([], _) => {}
        ([only], kept) => {
            let place = kept.and_then(|kept| route.places(message, kept.first).next());
            on_taken(only, only.push(message.clone(), place, now));
        }
        (queues, None) => letters_after(now, || {
            for queue in queues {
                on_taken(queue, queue.push(message.clone(), None, now));
            }
        }),
        (queues, Some(kept)) => letters_after(now, || {
            // The queues that keep it come first.
            let mut places = route.places(message, kept.first);
            for queue in queues {
                on_taken(queue, queue.push(message.clone(), places.next(), now));
            }
        }),
    }
}

/// Hands out a client's message; answers whether all of its queues have it.
#[inline]
fn hand_out_counted(
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
            queue.count_drop(Why::Refused, now);
        }
        all = all.and(taken);
    });
    all
}
