//! A queue: messages in order, and the consumers they are dealt to.
//!
//! A message is in exactly one place ([`Kind`] shows them): the backlog (waiting), unacknowledged (with the connection
//! it was delivered to, which settles it or gives it back) or gone. Order is 4.7's: what a publisher sends on one
//! channel leaves in the order it came, and what comes back takes its old place.
//!
//! Runs under the one lock in [`Queue`]. Never waits: nothing here is `async` or reads the clock (`now` is
//! passed in), and nothing is read or written there.
//!
//! A long queue keeps its front in memory, and of the other messages only their places in the store (`backlog`).
//! Missing messages are read ahead of the consumers on the store's thread (`backlog::read_ahead`). A stream keeps its
//! messages and does all of this its own way (`stream`).
//!
//! Reading order: [`Queue::push`] (a publish arrives), `State::deal` (a consumer gets it), [`Queue::settle`] and
//! [`Queue::put_back`] (ack, nack, reject), [`Queue::on_time`] (something expires), `backlog`; [`Queue::subscribe`] for
//! the consumers.

mod after_unlock;
mod backlog;
mod consumer_timeout;
mod consumers;
mod dead_letters;
mod delayed;
mod deletion;
mod finish;
mod get;
mod holding;
mod kind;
mod limits;
mod outbox;
mod purge;
mod quorum;
mod reading;
mod recover;
mod returns;
mod settings;
mod settle;
mod shared;
#[cfg(debug_assertions)]
mod sound;
mod stats;
mod stream;
mod subscribe;
#[cfg(test)]
mod tests;
mod turn;
mod unacked;

use std::sync::{Arc, Weak};
use std::task::Waker;

pub use consumer_timeout::ConsumerTimeout;
pub use consumers::Activity;
pub use consumers::channel_limit::ChannelLimit;
pub use consumers::consumer::{ConsumerId, Subscription};
pub use dead_letters::{LetterOrder, PublishLetters};
pub use deletion::{DeletionIf, InUse};
pub use finish::Fate;
pub use get::Got;
pub use outbox::DeathReason;
pub(in crate::broker) use outbox::{DeadLetter, PREFETCH, RETRY_MS, Unpublished};
pub use recover::StartedAt;
pub use settings::Settings;
pub use settle::{Returned, Settled};
pub use shared::Shared;
pub use stats::{ConsumerInfo, QueueInfo};
pub use stream::{Refusal, StreamOrder};
pub use subscribe::Left;
pub(in crate::broker) use turn::letters_after;

use self::after_unlock::{AfterUnlock, Held};
use self::backlog::Backlog;
use self::backlog::pages::Pages;
use self::backlog::priorities::Rule;
use self::consumers::Consumers;
use self::deletion::Life;
use self::kind::Kind;
use self::limits::Expired;
use self::outbox::Outbox;
use self::stream::Stream;
use self::unacked::Unacked;
use super::arguments::Limits;
use super::delivery_count::CountHeaders;
use super::drops::Why;
use super::mailbox::Post;
use super::message::Message;
use super::stats::QueueCounters;
use super::time::Millis;
use crate::lock::Mutex;
use crate::moment;
use crate::store::{Place, locks};
use crate::wire::ShortStr;

/// A queue and the lock around its state.
#[derive(Debug)]
pub struct Queue {
    settings: Settings,
    /// The queue itself, for the timers.
    this: Weak<Queue>,
    shared: Shared,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kind: Kind,
    /// The messages that wait; none of a stream.
    backlog: Backlog,
    /// A publish must check more than the messages and the consumers: [`Self::look_again`].
    is_special: bool,
    consumers: Consumers,
    unacked: Unacked,
    counters: QueueCounters,
    life: Life,
    /// The limits of the queue, if it has any.
    limits: Option<Box<Limits>>,
    /// The time registered with the timers.
    timer_at: Option<Millis>,
    /// The time of the queue's last use, for its own expiry.
    used_at: Millis,
    after_unlock: AfterUnlock,
    /// Dead letters that are not published yet.
    outbox: Outbox,
    /// Messages that are damaged.
    unreadable: u64,
    /// Bytes in memory that the broker's [`Memory`] knows of.
    reported_bytes: u64,
    /// Counts unlocks, for the walks of `sound`.
    #[cfg(debug_assertions)]
    unlocks: u32,
}

/// The pause before work that a bug has ended is tried again.
const LOOK_LATER_MS: Millis = 1_000;

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
        let limits = limits::boxed(limits);
        let is_holder = settings.holds_for().is_some();
        let kind = Kind::new(settings.wanted.kind, is_holder, &pages);
        let backlog = Backlog::new(pages);
        let consumers = Consumers::of(&settings.wanted);
        let state = State { kind, backlog, limits, consumers, used_at: now, ..State::default() };
        let queue = Arc::new_cyclic(|this| Self {
            settings,
            this: this.clone(),
            shared,
            state: Mutex::new(state),
        });
        queue.follow_release();
        queue.arm(&mut queue.lock());
        queue
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the state that the queue shares with the other queues of the broker.
    pub(in crate::broker) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub fn name(&self) -> &ShortStr {
        &self.settings.name
    }

    #[inline]
    fn lock(&self) -> Held<'_> {
        Held::new(locks::lock(&self.state), self)
    }

    /// Takes one published message, which the store has at `place`: hands it to a consumer with credit, or keeps it
    /// at the tail.
    ///
    /// The hottest call of the broker: once for each queue a publish is routed to.
    /// Cost: one lock, one push, one hand-over when a consumer has credit; no allocation once the deque has
    /// grown, no copy of the message (it is shared).
    #[inline]
    pub fn push(&self, message: Message, place: Option<Place>, now: Millis) -> Taken {
        moment::reach("queue.push");
        let mut state = self.lock();
        if state.life == Life::Deleted {
            state.after_unlock.dropped(place);
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
        let entry = state.backlog.place(message, place, deadline);
        if self.belongs_on_disk(&state, place) {
            self.push_on_disk(&mut state, entry);
        } else {
            state.backlog.push_back(entry);
        }
        state.backlog.select_highest();
        state.deal(now);
        if state.is_special {
            state.trim(now);
            self.arm(&mut state);
        }
        // The message itself, or one behind those that were dealt.
        if state.backlog.has_deadlines() {
            state.expire(now);
            self.arm(&mut state);
        }
        Taken::Yes
    }

    /// Counts a message that was dropped here for a reason of the broker's own, and tells the log.
    #[cold]
    pub fn count_drop(&self, why: Why, now: Millis) {
        self.shared.drops.count(&self.settings.vhost, &self.settings.name, why, now);
    }

    /// Does the first steps of a publish where a kind, limits or priorities apply; returns the message unless the
    /// publish is done with that.
    #[inline(never)]
    fn take_specially(
        &self,
        state: &mut State,
        message: Message,
        place: Option<Place>,
        now: Millis,
    ) -> Result<Message, Taken> {
        match state.kind {
            Kind::Stream(_) => return Err(self.push_to_stream(state, message, place, now)),
            Kind::Delayed(_) => {
                state.hold(message, place, now);
                self.arm(state);
                return Err(Taken::Yes);
            }
            Kind::Classic | Kind::Quorum(_) => {}
        }
        if state.is_full_for(&message) {
            return Err(state.refuse(message, place, now));
        }
        state.backlog.select_priority(|| message.said_priority());
        Ok(message)
    }

    /// Follows the release that was chosen, in how returns are told and how priorities count. Called before the queue
    /// is used.
    pub(super) fn follow_release(&self) {
        let (wanted, compat) = (&self.settings.wanted, self.shared.compat.get());
        let mut state = self.lock();
        let count_headers = CountHeaders::of(wanted.kind, compat);
        state.backlog.follow(count_headers, Rule::of(wanted, compat));
        state.look_again();
    }

    /// The queue as error texts call it.
    pub fn noun(&self) -> String {
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
        let consumers = if state.kind.is_stream() { 0 } else { state.consumers.len() };
        let ready = u32::try_from(state.len()).unwrap_or(u32::MAX);
        Counts { ready, consumers: count_u32(consumers) }
    }

    /// Does the work that is due at `now`; answers whether the queue itself has expired and must be deleted.
    pub(super) fn on_time(&self, now: Millis) -> bool {
        moment::reach("queue.timer");
        let mut state = self.lock();
        if let Some(at) = state.timer_at.take_if(|at| *at <= now) {
            self.shared.timers.cancel(at, self);
        }
        if state.backlog.take_due(now) {
            state.try_again(now);
            state.read_stream_again(now);
        }
        state.publish_due_letters(now);
        state.release_due(now);
        state.retry_due(now);
        self.retire_if_due(&mut state, now);
        state.expire(now);
        state.trim(now);
        let expired = state.expires_at().is_some_and(|at| at <= now);
        if !expired {
            self.arm(&mut state);
        }
        expired && state.life != Life::Deleted
    }

    /// Has the timers call again, because a bug has ended the work that was due now.
    pub(super) fn look_later(&self, now: Millis) {
        let at = now.saturating_add(LOOK_LATER_MS);
        let before = self.lock().timer_at.replace(at);
        self.shared.timers.set(before, at, self.this.clone());
    }

    /// Registers with the timers the next time at which there is work. Code that takes the front calls it, because the
    /// next message may have a deadline.
    fn arm(&self, state: &mut State) {
        let message = state.backlog.next_expiry();
        let due = [
            message,
            state.expires_at(),
            state.backlog.reads_again_at(),
            state.outbox.due_at(),
            state.trim_at(),
            state.due_at(),
            state.retries_at(),
            self.retires_at(state),
        ];
        let Some(at) = due.into_iter().flatten().min() else {
            return;
        };
        if state.timer_at.is_none_or(|registered| at < registered) {
            let before = state.timer_at.replace(at);
            self.shared.timers.set(before, at, self.this.clone());
        }
    }
}

/// The answer of a queue to a publish. A queue may begin to refuse at any moment, even if it took messages when the
/// route was found.
#[must_use = "what a queue refuses is lost unless its publisher hears of it"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// There is no room for it; the publisher is to hear of that.
    Refused,
    /// There is no room for it, and the dead letter exchange has it.
    Died,
}

impl Taken {
    /// The answer of several queues together.
    #[inline]
    pub fn and(self, other: Self) -> Self {
        if self == Self::Yes { other } else { self }
    }
}

impl State {
    /// Hands waiting messages to consumers with credit, one each in turn (RabbitMQ: round-robin).
    ///
    /// Cost: one mailbox lock for a run of messages to one consumer.
    #[inline]
    fn deal(&mut self, now: Millis) {
        moment::reach_locked("queue.deal");
        let mut has_dealt = false;
        while !self.backlog.is_empty() {
            // A message that expires just now may still be delivered (a time to live of 0 means "at once or never").
            if self.expire(now.saturating_sub(1)) == Expired::Some {
                return;
            }
            let alone = self.consumers.len() == 1
                && !self.backlog.has_deadlines()
                && !self.backlog.has_priorities();
            let Some(consumer) = self.consumers.next() else { break };
            if self.backlog.is_front_missing() {
                self.ask_to_read(now);
                return;
            }
            let run = if alone { consumer.credit() } else { 1 };
            let subscription = consumer.subscription();
            let no_ack = subscription.no_ack;
            let Some(share) = consumer.share() else {
                self.consumers.block_front();
                continue;
            };
            let mut open = subscription.mailbox.open();
            let (mut taken, mut bytes) = (0, 0);
            while taken < run && open.has_room() {
                let Some(entry) = self.backlog.pop_resident() else { break };
                self.counters.redeliver += u64::from(entry.is_redelivered());
                bytes += u64::from(entry.body_len);
                if !no_ack {
                    self.after_unlock.delivered(&entry);
                }
                open.push(Post::Delivery { slot: subscription.slot, entry });
                taken += 1;
            }
            if taken == 0 {
                open.turn_away(subscription.slot);
            }
            // Counted before the other side can see them, and so before it can settle them.
            share.count(&subscription.limit, taken);
            drop(open);
            if no_ack {
                self.counters.deliver_no_ack += u64::from(taken);
            } else {
                self.counters.deliver += u64::from(taken);
                self.unacked.add(taken.into(), bytes);
            }
            consumer.count_deliveries(taken);
            if taken == 0 {
                self.consumers.block_front();
            } else {
                has_dealt = true;
                self.consumers.rotate();
                self.backlog.select_highest();
            }
        }
        if has_dealt && self.backlog.is_missing_any() {
            self.ask_ahead(now);
        }
    }

    /// Drops every waiting message and returns their number, which is 0 for a stream.
    fn drop_all(&mut self) -> u32 {
        if let Some(stream) = self.kind.stream_mut() {
            let purged = stream.drop_all();
            self.after_unlock.purged(purged, self.used_at);
            return 0;
        }
        let purged = self.backlog.purge();
        let count = count_u32(purged.len());
        self.after_unlock.purged(purged, self.used_at);
        count.saturating_add(self.drop_delayed_retry()).saturating_add(self.drop_letters())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let of_stream = state.kind.stream().map_or(0, Stream::reported_bytes);
        self.shared.memory.report(state.reported_bytes + of_stream, 0);
        let timer_at = state.timer_at;
        state.backlog.take_readers().into_iter().for_each(Waker::wake);
        if let Some(at) = timer_at {
            self.shared.timers.cancel(at, self);
        }
    }
}

fn count_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
