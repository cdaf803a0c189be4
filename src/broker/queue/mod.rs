//! A queue: messages in order, and the consumers they are dealt to.
//!
//! A message is in exactly one place: `ready` (waiting), unacknowledged (with the connection it was delivered
//! to, which settles it or gives it back) or gone. Order is 4.7's: what a publisher sends on one channel leaves
//! in the order it came, and what comes back takes its old place.
//!
//! Runs under the one lock in [`Queue`]. Never waits: nothing here is `async` or reads the clock (`now` is
//! passed in), and the only I/O is that of `pages`, once in a thousand messages of a long backlog.
//!
//! A long queue keeps its front in memory and of the rest only where the store has it (`ready`); what is missing is
//! read ahead of the consumers on the store's thread (`fetch`). A stream keeps its messages and does all of this its own
//! way (`stream`).
//!
//! Reading order: [`Queue::push`] (a publish arrives), `State::deal` (a consumer gets it), [`Queue::settle`]
//! and [`Queue::put_back`] (ack, nack, reject), [`Queue::on_time`] (something expires), `ready`, `fetch`, `retry`;
//! [`Queue::subscribe`] for the consumers.

mod consumers;
mod deferred;
mod emptied;
mod end;
mod entry;
mod errands;
mod far;
mod fetch;
mod get;
mod grave;
mod info;
mod levels;
mod limits;
mod pages;
mod patience;
mod quorum;
mod ready;
mod recover;
mod retry;
mod schedule;
mod settle;
mod shared;
mod single;
mod stream;
mod subscribing;
mod window;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub use consumers::{ChannelLimit, ConsumerId, Subscription};
pub use end::{EndIf, InUse};
pub use entry::{Entry, Millis};
pub use info::{Activity, ConsumerInfo, QueueInfo};
pub use patience::Patience;
pub use quorum::{Returns, Shown};
pub use recover::StartedAt;
pub use settle::{Returned, Settled};
pub use shared::Shared;
pub use stream::{Refusal, StreamOrder};
pub use subscribing::Left;

use self::consumers::Consumers;
use self::deferred::Deferred;
use self::end::Life;
use self::errands::{Errands, Held};
use self::grave::Grave;
use self::levels::Levels;
use self::limits::Expired;
use self::pages::Pages;
use self::ready::Ready;
use self::retry::Retry;
use self::schedule::Schedule;
use self::stream::Stream;
use super::arguments::{Limits, QueueArguments, QueueKind};
use super::mailbox::Post;
use super::message::Message;
use super::registry::ConnectionId;
use super::stats::QueueCounters;
use crate::store::{Place, QueueId};
use crate::wire::{FieldTable, ShortStr};

/// What a queue was declared with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the store calls it; only a queue whose messages survive has one.
    pub id: Option<QueueId>,
    pub name: ShortStr,
    pub vhost: ShortStr,
    pub is_durable: bool,
    pub is_auto_delete: bool,
    /// The connection that alone may use the queue.
    pub exclusive_owner: Option<ConnectionId>,
    pub arguments: FieldTable,
    /// What the arguments ask for; what applies is in the queue's state.
    pub wanted: QueueArguments,
}

/// A queue and the lock around its state.
#[derive(Debug)]
pub struct Queue {
    settings: Settings,
    /// The queue itself, for the timers.
    this: Weak<Queue>,
    shared: Shared,
    /// A publish may be refused; told to who looks for a route.
    may_reject: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ready: Ready,
    /// Those of another priority than those in `ready`, where that counts.
    levels: Option<Box<Levels>>,
    /// A publish has something to look at beside the messages and the consumers: [`Self::look_again`].
    is_special: bool,
    consumers: Consumers,
    unacked: u64,
    unacked_bytes: u64,
    counters: QueueCounters,
    life: Life,
    /// What applies, if anything does.
    limits: Option<Box<Limits>>,
    /// There for a stream, which has nothing in `ready`.
    stream: Option<Box<Stream>>,
    /// The earliest time registered with the timers.
    timer_at: Option<Millis>,
    /// When the queue was last used, for its own expiry.
    used_at: Millis,
    errands: Errands,
    /// What died and is not buried yet.
    grave: Grave,
    /// Messages are being read.
    is_fetching: bool,
    /// Memory was short when messages were read last.
    is_frugal: bool,
    /// What could not be read and is tried again.
    retry: Retry,
    /// What came back to a quorum queue and waits before it is ready again.
    deferred: Option<Box<Deferred>>,
    /// For the messages of a delayed exchange.
    schedule: Option<Box<Schedule>>,
    /// Messages that are damaged.
    unreadable: u64,
    /// Bytes in memory that the broker's [`Memory`] knows of.
    reported_bytes: u64,
}

/// Ready messages and consumers, as `queue.declare-ok` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub ready: u32,
    pub consumers: u32,
}

impl Queue {
    pub fn new(settings: Settings, shared: Shared, now: Millis) -> Arc<Self> {
        let Settings { name, vhost, .. } = &settings;
        let pages = Pages::new(Arc::clone(&shared.spill), name.clone(), vhost.clone());
        let limits = Limits::merge(&settings.wanted, None, None);
        let may_reject = AtomicBool::new(limits.may_reject());
        let limits = limits::boxed(limits);
        let is_stream = settings.wanted.kind == QueueKind::Stream;
        let stream = is_stream.then(|| Box::new(Stream::new(pages.clone())));
        let ready = Ready::new(pages);
        let schedule = settings.holds_for().map(|_| Box::default());
        let consumers = subscribing::consumers_of(&settings.wanted);
        let state =
            State { ready, limits, schedule, stream, consumers, used_at: now, ..State::default() };
        let queue = Arc::new_cyclic(|this| Self {
            settings,
            this: this.clone(),
            shared,
            may_reject,
            state: Mutex::new(state),
        });
        queue.follow_release();
        queue.arm(&mut queue.lock());
        queue
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn name(&self) -> &ShortStr {
        &self.settings.name
    }

    #[inline]
    fn lock(&self) -> Held<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Held::new(state, self)
    }

    /// Takes one published message, which the store has at `place`: hands it to a consumer with credit, or keeps it
    /// at the tail.
    ///
    /// The hottest call of the broker: once for each queue a publish is routed to.
    /// Cost: one lock, one push, one hand-over when a consumer has credit; no allocation once the deque has
    /// grown, no copy of the message (it is shared).
    #[inline]
    pub fn push(&self, message: Message, place: Option<Place>, now: Millis) -> Taken {
        let mut state = self.lock();
        if state.life == Life::Over {
            state.errands.dropped(place);
            return Taken::Yes;
        }
        let message = if state.is_special {
            match self.take_specially(&mut state, message, place, now) {
                Ok(message) => message,
                Err(taken) => return taken,
            }
        } else {
            message
        };
        state.counters.publish += 1;
        let deadline = state.deadline(&message, now);
        let entry = state.ready.place(message, place, deadline);
        if self.belongs_far(&state, place) {
            self.push_far(&mut state, entry);
        } else {
            state.ready.push_back(entry);
        }
        state.bring_up();
        state.deal(now);
        if state.is_special {
            state.trim(now);
            self.arm(&mut state);
        }
        // The message itself, or one behind those that were dealt.
        if state.ready.has_mortal() {
            state.expire(now);
            self.arm(&mut state);
        }
        Taken::Yes
    }

    /// What comes before where limits or priorities apply; answers with the message unless that was all to be done.
    #[inline(never)]
    fn take_specially(
        &self,
        state: &mut State,
        message: Message,
        place: Option<Place>,
        now: Millis,
    ) -> Result<Message, Taken> {
        if state.stream.is_some() {
            return Err(self.push_to_stream(state, message, place, now));
        }
        if state.schedule.is_some() {
            state.hold(message, place, now);
            self.arm(state);
            return Err(Taken::Yes);
        }
        if state.is_full_for(&message) {
            state.refuse(message, place, now);
            return Err(Taken::Refused);
        }
        state.turn_to_priority(|| message.said_priority());
        Ok(message)
    }

    /// The queue as error texts call it.
    fn noun(&self) -> String {
        super::arguments::queue_noun(&self.settings.name, &self.settings.vhost)
    }

    /// Drops every ready message; answers how many.
    pub fn purge(&self) -> u32 {
        self.lock().drop_all()
    }

    /// Marks the queue as used now, which puts off its own expiry (`x-expires`); answers whether it stays, for all
    /// that is known.
    pub fn touch(&self, now: Millis) -> bool {
        let mut state = self.lock();
        state.used_at = state.used_at.max(now);
        state.life == Life::Living
    }

    pub fn counts(&self) -> Counts {
        let state = self.lock();
        // RabbitMQ counts no consumers of a stream here (`rabbit_stream_queue:stat`).
        let consumers = if state.stream.is_some() { 0 } else { state.consumers.len() };
        let ready = u32::try_from(state.len()).unwrap_or(u32::MAX);
        Counts { ready, consumers: count_u32(consumers) }
    }

    /// Does what is due at `now`; answers whether the queue itself has expired and must be deleted.
    pub(super) fn on_time(&self, now: Millis) -> bool {
        let mut state = self.lock();
        // A timer that was set before an earlier one took its place is not the one that counts.
        if state.timer_at.is_some_and(|at| at <= now) {
            state.timer_at = None;
        }
        if state.retry.take_due(now) {
            state.try_again(now);
            state.read_stream_again(now);
        }
        state.bury_due(now);
        state.release_due(now);
        state.undefer(now);
        self.retire_if_due(&mut state, now);
        state.expire(now);
        state.trim(now);
        let expired = state.expires_at().is_some_and(|at| at <= now);
        if !expired {
            self.arm(&mut state);
        }
        expired && state.life != Life::Over
    }

    /// Registers with the timers when something is next to be done. Whoever takes the front calls it: the next message
    /// may have a deadline.
    fn arm(&self, state: &mut State) {
        let message = state.next_expiry();
        let due = [
            message,
            state.expires_at(),
            state.retry.at,
            state.grave.due_at(),
            state.trim_at(),
            state.due_at(),
            state.undefer_at(),
            self.retires_at(state),
        ];
        let Some(at) = due.into_iter().flatten().min() else {
            return;
        };
        if state.timer_at.is_none_or(|registered| at < registered) {
            state.timer_at = Some(at);
            self.shared.timers.set(at, self.this.clone());
        }
    }
}

/// Whether a queue has taken a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// It is full, and its publisher is to hear of it.
    Refused,
}

impl State {
    /// Hands waiting messages to consumers with credit, one each in turn (RabbitMQ: round-robin).
    ///
    /// Cost: one mailbox lock for a run of messages to one consumer.
    #[inline]
    fn deal(&mut self, now: Millis) {
        let mut has_dealt = false;
        while !self.ready.is_empty() {
            // What expires just now may still be delivered (a time to live of 0 means "at once or never").
            if self.expire(now.saturating_sub(1)) == Expired::Some {
                return;
            }
            let alone =
                self.consumers.len() == 1 && !self.ready.has_mortal() && self.levels.is_none();
            let Some(consumer) = self.consumers.next() else { break };
            if self.ready.is_front_missing() {
                self.fetch(now);
                return;
            }
            let run = if alone { consumer.credit() } else { 1 };
            let no_ack = consumer.subscription.no_ack;
            let Some(share) = consumer.share() else {
                self.consumers.block_front();
                continue;
            };
            let mut open = consumer.subscription.mailbox.open();
            let (mut taken, mut bytes) = (0, 0);
            while taken < run && open.has_room() {
                let Some(entry) = self.ready.pop_resident() else { break };
                self.counters.redeliver += u64::from(entry.redelivered);
                bytes += u64::from(entry.body_len);
                if !no_ack {
                    self.errands.delivered(entry.place);
                }
                open.push(Post::Delivery { slot: consumer.subscription.slot, entry });
                taken += 1;
            }
            if taken == 0 {
                open.turn_away(consumer.subscription.slot);
            }
            // Counted before the other side can see them, and so before it can settle them.
            share.count(&consumer.subscription.limit, taken);
            drop(open);
            if no_ack {
                self.counters.deliver_no_ack += u64::from(taken);
            } else {
                self.counters.deliver += u64::from(taken);
                self.unacked += u64::from(taken);
                self.unacked_bytes += bytes;
            }
            consumer.count_deliveries(taken);
            if taken == 0 {
                self.consumers.block_front();
            } else {
                has_dealt = true;
                self.consumers.rotate();
                self.bring_up_next();
            }
        }
        if has_dealt && self.ready.is_missing_any() {
            self.fetch_ahead(now);
        }
    }

    /// Drops every waiting message; answers how many there were. Those of a stream wait for nobody.
    fn drop_all(&mut self) -> u32 {
        if let Some(stream) = &mut self.stream {
            let emptied = stream.drop_all();
            self.errands.emptied(emptied, self.used_at);
            return 0;
        }
        let emptied = self.take_all();
        let count = count_u32(emptied.len());
        self.errands.emptied(emptied, self.used_at);
        count.saturating_add(self.drop_deferred())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let of_stream = state.stream.as_deref().map_or(0, Stream::reported_bytes);
        self.shared.memory.report(state.reported_bytes + of_stream, 0);
    }
}

fn count_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
