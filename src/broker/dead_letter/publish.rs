//! A run over the dead letters of a queue: some of them are rewritten, routed, kept where they must be, and handed out.
//!
//! Runs under no lock of the queue. When it ends, by a bug as well, the messages that were handed out are settled, and
//! the others are in the outbox of their queue again. Begin with [`LetterRun::publish_all`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

use super::letter::{self, Death, Letter};
use crate::broker::arguments::{DeadLetterStrategy, DeadLetterTo};
use crate::broker::drops::DropReason;
use crate::broker::incidents::Incident;
use crate::broker::publish::{self, Append};
use crate::broker::queue::{
    DeadLetter, DeathReason, LetterOrder, PREFETCH, PublishLetters, Queue, RETRY_MS, StreamOrder,
    Taken, Unpublished,
};
use crate::broker::route::Route;
use crate::broker::time::Millis;
use crate::broker::vhost::Vhost;
use crate::moment;
use crate::store::{Appended, DEAD_BIT, Health, NewRecord, Place, Refused, SlotRanges, Store};
use crate::wire::ShortStr;

/// A run over dead letters of one queue; it remembers the route of the letter before.
struct LetterRun<'a> {
    queue: &'a Queue,
    vhost: &'a Vhost,
    store: Option<&'a Arc<Store>>,
    to: Option<DeadLetterTo>,
    strategy: DeadLetterStrategy,
    now: Millis,
    known: Option<(u64, Vec<u8>, Route)>,
    /// Letters that are not tried yet.
    letters: VecDeque<DeadLetter>,
    /// The letter that is being handed out.
    in_hand: Option<DeadLetter>,
    /// Letters that no queue takes.
    stuck: VecDeque<DeadLetter>,
    /// Letters behind all others, which are only recorded.
    rest: VecDeque<DeadLetter>,
    /// The number of letters that were tried, or are about to be.
    tried: usize,
    /// The time at which letters are tried again that the disk refuses.
    again_at: Option<Millis>,
    /// The places that are settled when all is done, and those for which another record is kept now.
    settled: SlotRanges,
    replaced: Vec<(Place, Appended)>,
}

/// The reason why a letter cannot be published now.
#[derive(Debug, thiserror::Error)]
enum CannotPublish {
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("a message cannot be read now")]
    Unread,
}

/// The outcome of publishing a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetterOutcome {
    /// It is nowhere for good, or in queues that do not keep it.
    Gone,
    /// Its queues have it, and the store has this record of it.
    Kept(Appended),
    /// Its queues have it, in memory only: the message that died comes back with the next start.
    InMemory,
    /// Some queue it goes to does not have it, and it is to be tried again.
    Stuck,
}

impl Drop for LetterRun<'_> {
    fn drop(&mut self) {
        if let Some(store) = self.store {
            store.wake_writer();
            store.settle(&self.settled);
            store.settle_replaced(&self.replaced);
        }
        let is_bug = thread::panicking() && self.in_hand.is_some();
        let again_at = self.again_at.or_else(|| is_bug.then(|| self.later()));
        let (stuck, mut untried) =
            (std::mem::take(&mut self.stuck), std::mem::take(&mut self.letters));
        untried.append(&mut self.rest);
        let left = Unpublished { stuck, untried, last: self.in_hand.take(), again_at };
        self.queue.end_letters(left, self.now);
    }
}

impl PublishLetters for Vhost {
    fn publish_letters(
        &self,
        queue: &Queue,
        order: LetterOrder,
        most: usize,
        now: Millis,
    ) -> usize {
        let mut run = LetterRun::new(queue, self, order, now);
        run.publish_all(most);
        run.tried
    }
}

impl<'a> LetterRun<'a> {
    fn new(queue: &'a Queue, vhost: &'a Vhost, order: LetterOrder, now: Millis) -> Self {
        let LetterOrder { to, strategy } = order;
        Self {
            queue,
            vhost,
            store: queue.shared().store(),
            to,
            strategy,
            now,
            known: None,
            letters: VecDeque::new(),
            in_hand: None,
            stuck: VecDeque::new(),
            rest: VecDeque::new(),
            tried: 0,
            again_at: None,
            settled: SlotRanges::default(),
            replaced: Vec::new(),
        }
    }

    fn later(&self) -> Millis {
        self.now.saturating_add(RETRY_MS)
    }

    /// Hands letters on from the front, `most` of them; leaves those that are to be tried again.
    fn publish_all(&mut self, most: usize) {
        let mut left = most;
        loop {
            while self.stuck.len() < PREFETCH
                && let Some(dead) = self.letters.pop_front()
            {
                left -= 1;
                if let Err(refused) = self.publish_one(dead) {
                    tracing::debug!(queue = %self.queue.name(), %refused, "dead letters wait");
                    self.again_at = Some(self.later());
                    return;
                }
            }
            if self.stuck.len() >= PREFETCH {
                return self.record_rest();
            }
            self.letters = self.queue.take_letters(left.min(PREFETCH));
            if self.letters.is_empty() {
                return;
            }
            self.tried += self.letters.len();
            self.read();
        }
    }

    fn count(
        &self,
        reason: DeathReason,
        is_new: bool,
        outcome: &Result<LetterOutcome, CannotPublish>,
    ) {
        let letters = &self.queue.shared().letters;
        let counters = match self.strategy {
            DeadLetterStrategy::AtMostOnce if self.queue.is_quorum() => &letters.quorum,
            DeadLetterStrategy::AtMostOnce => &letters.classic,
            DeadLetterStrategy::AtLeastOnce => &letters.at_least_once,
        };
        let died = match reason {
            DeathReason::Rejected => &counters.rejected,
            DeathReason::Expired => &counters.expired,
            DeathReason::MaxLen => &counters.maxlen,
            DeathReason::DeliveryLimit => &counters.delivery_limit,
            DeathReason::Due => return,
        };
        died.add(u64::from(is_new));
        let is_sure = self.strategy == DeadLetterStrategy::AtLeastOnce;
        counters.confirmed.add(u64::from(
            is_sure && matches!(outcome, Ok(LetterOutcome::Gone | LetterOutcome::Kept(_))),
        ));
    }

    /// Reads letters that are not in memory.
    fn read(&mut self) {
        if let Some(store) = self.store {
            self.queue.read_letters(&mut self.letters, store);
        }
    }

    fn publish_one(&mut self, dead: DeadLetter) -> Result<(), CannotPublish> {
        // A bug finds it in hand.
        let mut dead = self.in_hand.insert(dead).clone();
        let is_new = dead.died_at_unix_ms.is_none();
        let outcome = self.publish_letter(&mut dead);
        self.in_hand = None;
        self.count(dead.reason, is_new && dead.died_at_unix_ms.is_some(), &outcome);
        match outcome {
            Ok(LetterOutcome::Gone) => {
                dead.entry.place.into_iter().for_each(|at| self.settled.push(at));
            }
            Ok(LetterOutcome::Kept(appended)) => {
                self.replaced.extend(dead.entry.place.map(|at| (at, appended)));
            }
            Ok(LetterOutcome::InMemory) => {}
            Ok(LetterOutcome::Stuck) => {
                self.record(&mut dead);
                self.stuck.push_back(dead);
            }
            Err(refused) => {
                self.letters.push_front(dead);
                return Err(refused);
            }
        }
        Ok(())
    }

    /// Records in the store that messages are dead, also for letters behind as many as may wait.
    fn record_rest(&mut self) {
        for mut dead in std::mem::take(&mut self.letters) {
            self.record(&mut dead);
            self.letters.push_back(dead);
        }
        while let Some(more) = self.queue.take_unrecorded_letters() {
            self.rest = more;
            if let Some(store) = self.store {
                self.queue.read_letters(&mut self.rest, store);
            }
            for mut dead in std::mem::take(&mut self.rest) {
                self.record(&mut dead);
                self.letters.push_back(dead);
            }
        }
    }

    /// Hands one letter to the queues it goes to.
    fn publish_letter(&mut self, dead: &mut DeadLetter) -> Result<LetterOutcome, CannotPublish> {
        let Some(message) = dead.entry.message.clone() else {
            // One that is gone has lost its place as well.
            return if dead.entry.place.is_some() {
                Err(CannotPublish::Unread)
            } else {
                Ok(LetterOutcome::Gone)
            };
        };
        let unix_ms = self.queue.shared().unix_ms(self.now);
        let death = Death {
            queue: self.queue.name(),
            reason: dead.reason,
            failures: dead.entry.delivery_count.failed(),
            time_s: *dead.died_at_unix_ms.get_or_insert(unix_ms) / 1000,
            compat: self.queue.shared().compat.get(),
        };
        let Some(to) = &self.to else {
            return Ok(self.on_unroutable(DropReason::UnroutableLetter));
        };
        let letter = letter::letter(&message, death, to);
        let outcome = self.hand_out(&letter, dead)?;
        if dead.reason != DeathReason::Due && !matches!(outcome, LetterOutcome::Stuck) {
            let settings = self.queue.settings();
            self.queue.shared().incidents.count(1, || Incident::DeadLettered {
                vhost: settings.vhost.clone(),
                queue: settings.name.clone(),
                reason: dead.reason.name(),
            });
        }
        Ok(outcome)
    }

    /// Decides about a letter that no queue takes.
    fn on_unroutable(&self, why: DropReason) -> LetterOutcome {
        if self.strategy == DeadLetterStrategy::AtLeastOnce && self.to.is_some() {
            return LetterOutcome::Stuck;
        }
        self.queue.count_drop(why, self.now);
        LetterOutcome::Gone
    }

    fn hand_out(
        &mut self,
        letter: &Letter,
        dead: &mut DeadLetter,
    ) -> Result<LetterOutcome, CannotPublish> {
        let mut route = self.route(letter);
        let is_unroutable = route.queues().is_empty();
        if !matches!(dead.reason, DeathReason::Rejected | DeathReason::Due) {
            route = route.without(|queue| letter::is_cycle(letter, queue.name()));
        }
        if route.is_empty() {
            return Ok(self.on_unroutable(match dead.reason {
                DeathReason::Due => DropReason::UnroutableDelayed,
                _ if is_unroutable => DropReason::UnroutableLetter,
                _ => DropReason::Cycle,
            }));
        }
        if !dead.taken_by.is_empty() {
            route = route.without(|queue| dead.taken_by.contains(queue.name())).without_histories();
        }
        // Until its queues have it.
        let mut order = StreamOrder::default();
        let (message, shared) = (&letter.message, self.queue.shared());
        let kept =
            publish::keep(shared, &route, message, Append::Replacement, self.now, &mut order);
        let (kept, mut outcome) = match kept {
            Ok(None) => (None, LetterOutcome::Gone),
            Ok(Some(appended)) => (Some(appended), LetterOutcome::Kept(appended)),
            Err(Refused(Health::Failed)) => (None, LetterOutcome::InMemory),
            Err(refused) => return Err(refused.into()),
        };
        moment::reach("dead_letter.hand_on");
        publish::hand_out(&route, message, kept, self.now, |queue, taken| {
            match (taken, self.strategy) {
                (Taken::Yes | Taken::Died, _) => dead.taken_by.push(queue.name().clone()),
                (Taken::Refused, DeadLetterStrategy::AtLeastOnce) => outcome = LetterOutcome::Stuck,
                (Taken::Refused, DeadLetterStrategy::AtMostOnce) => {
                    queue.count_drop(DropReason::RefusedLetter, self.now);
                }
            }
        });
        Ok(outcome)
    }

    /// Finds the route of the letter; most go where the one before has gone.
    fn route(&mut self, letter: &Letter) -> Route {
        let epoch = self.vhost.epoch();
        let names = letter.message.names();
        if let Some((at, known, route)) = &self.known
            && *at == epoch
            && known == names
            && letter.keys.len() == 1
        {
            return route.clone();
        }
        let exchange = self.to.as_ref().map_or("", |to| &to.exchange);
        let keys: Vec<&str> = letter.keys.iter().map(ShortStr::as_str).collect();
        let route = self.vhost.route_within(exchange, &keys, letter.message.properties());
        if route.is_by_key_alone() && letter.keys.len() == 1 {
            self.known = Some((epoch, names.to_vec(), route.clone()));
        }
        route
    }

    /// Records in the store that a message is dead, or it would be one to be delivered after a restart. It is written
    /// once more, with the reason and the time of its death, and read when it is tried again.
    fn record(&mut self, dead: &mut DeadLetter) {
        let (Some(store), Some(id)) = (self.store, self.queue.settings().id) else { return };
        let (Some(place), Some(message)) = (dead.entry.place, &dead.entry.message) else { return };
        if !dead.is_recorded {
            let queues = [id];
            let record = NewRecord {
                time_to_live_ms: Some(DEAD_BIT | dead.reason.code()),
                ..message.to_record(&queues, dead.died_at_unix_ms.unwrap_or_default())
            };
            // A record that the disk does not take is tried again with the letter.
            let Ok(appended) = store.append_replacement(&record) else { return };
            self.replaced.push((place, appended));
            dead.entry.place = Some(appended.first);
            dead.is_recorded = true;
        }
        dead.entry.forget_message();
    }
}
