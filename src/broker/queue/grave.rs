//! The dead of a queue on their way to its dead letter exchange.
//!
//! They are in the order they died in, and one at a time buries them: who let the first one die, or the timer when there
//! are more than one goes on with, when the disk is behind, or when a message could not be read or written just now.
//! A letter is in the queues it goes to, and in the store for those that must not lose it, before the message is settled
//! here. Begin with [`State::die`], then [`Queue::bury`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::end::Life;
use super::pages::may_pass;
use super::{Entry, Millis, Queue, State, StreamOrder};
use crate::broker::arguments::DeadLetterTo;
use crate::broker::dead_letter::{self, Death, Letter, Reason};
use crate::broker::exchange::Details;
use crate::broker::message::Message;
use crate::broker::topology::Route;
use crate::broker::vhost::Vhost;
use crate::store::{Health, Refused, Runs, Store, StoreError};
use crate::wire::ShortStr;

/// How long to wait when the disk is behind.
const BEHIND_MS: Millis = 5;

/// How long to wait when the disk refuses: long enough that it is not kept busy by it.
const REFUSED_MS: Millis = 1_000;

/// Who buries.
#[derive(Debug, Default)]
enum Burial {
    /// There is nobody to bury.
    #[default]
    None,
    /// Somebody is at it.
    UnderWay,
    /// The timer will see to it; keeps a deleted queue until then.
    Later(Millis, #[expect(dead_code, reason = "it is kept, not asked")] Arc<Queue>),
}

/// A message that died.
#[derive(Debug)]
struct Dead {
    entry: Entry,
    reason: Reason,
}

/// The dead that are not buried yet.
#[derive(Debug, Default)]
pub(super) struct Grave {
    dead: VecDeque<Dead>,
    burial: Burial,
}

impl Grave {
    /// When the timer is to see to it.
    pub(super) fn due_at(&self) -> Option<Millis> {
        match self.burial {
            Burial::None | Burial::UnderWay => None,
            Burial::Later(at, _) => Some(at),
        }
    }
}

impl State {
    /// Whether what dies goes anywhere.
    pub(super) fn has_dead_letter_exchange(&self) -> bool {
        self.limits.as_deref().is_some_and(|limits| limits.dead_letter.is_some())
            && self.life != Life::Over
    }

    /// Lets go of a message for good, or for the dead letter exchange.
    pub(super) fn die(&mut self, entry: Entry, reason: Reason, now: Millis) {
        if !self.has_dead_letter_exchange() {
            self.errands.dropped(entry.place);
            return;
        }
        self.grave.dead.push_back(Dead { entry, reason });
        if matches!(self.grave.burial, Burial::None) {
            self.grave.burial = Burial::UnderWay;
            self.errands.bury(now);
        }
    }

    /// Goes on with what was left for later.
    pub(super) fn bury_due(&mut self, now: Millis) {
        if self.grave.due_at().is_some_and(|at| at <= now) {
            self.grave.burial = Burial::UnderWay;
            self.errands.bury(now);
        }
    }
}

impl Queue {
    /// Buries some of the dead, in their order; answers how many. Who calls it is the one who does.
    pub(in crate::broker) fn bury(&self, most: usize, now: Millis) -> usize {
        let is_behind = self.shared.store().is_some_and(|store| store.is_congested());
        let (mut dead, to) = {
            let mut state = self.lock();
            if most == 0 || is_behind {
                let after = if is_behind { BEHIND_MS } else { 0 };
                self.bury_later(&mut state, now.saturating_add(after));
                return 0;
            }
            let len = most.min(state.grave.dead.len());
            let dead: VecDeque<Dead> = state.grave.dead.drain(..len).collect();
            let limits = state.limits.as_deref();
            (dead, limits.and_then(|limits| limits.dead_letter.clone()))
        };
        let count = dead.len();
        let stopped = self.bury_these(&mut dead, to, now);
        let mut state = self.lock();
        while let Some(left) = dead.pop_back() {
            state.grave.dead.push_front(left);
        }
        match stopped {
            Some(at) => self.bury_later(&mut state, at),
            None if state.grave.dead.is_empty() => state.grave.burial = Burial::None,
            None => state.errands.bury(now),
        }
        count
    }

    fn bury_later(&self, state: &mut State, at: Millis) {
        if let Some(this) = self.this.upgrade() {
            state.grave.burial = Burial::Later(at, this);
            self.arm(state);
        }
    }

    /// Hands letters out from the front; leaves those that are to be tried again, and answers when.
    fn bury_these(
        &self,
        dead: &mut VecDeque<Dead>,
        to: Option<DeadLetterTo>,
        now: Millis,
    ) -> Option<Millis> {
        let store = self.shared.store();
        self.read_dead(dead, store);
        let mut burying = Burying {
            queue: self,
            vhost: self.shared.vhost.upgrade(),
            store,
            to,
            now,
            known: None,
            settled: Runs::default(),
        };
        let mut again_at = None;
        while let Some(one) = dead.pop_front() {
            if let Err(refused) = burying.bury(&one) {
                tracing::debug!(queue = %self.name(), %refused, "dead letters wait");
                dead.push_front(one);
                again_at = Some(now.saturating_add(REFUSED_MS));
                break;
            }
        }
        let Burying { settled, .. } = burying;
        if let Some(store) = store {
            store.ring();
            store.settle(&settled);
        }
        again_at
    }

    /// Reads the messages that are not in memory. What is damaged is left out and stays in the store; from the first
    /// that cannot be read now nothing goes on.
    fn read_dead(&self, dead: &mut VecDeque<Dead>, store: Option<&Arc<Store>>) {
        let missing =
            |dead: &Dead| if dead.entry.message.is_none() { dead.entry.place } else { None };
        let places: Vec<_> = dead.iter().filter_map(missing).collect();
        let Some(store) = store.filter(|_| !places.is_empty()) else { return };
        let mut found = VecDeque::with_capacity(places.len());
        self.shared.aside.run(|| {
            store.read(&places, &mut |_, read| {
                found.push_back(read.map(|record| Message::from_record(&record)));
            });
        });
        for dead in dead.iter_mut().filter(|dead| missing(dead).is_some()) {
            match found.pop_front() {
                Some(Ok(message)) => dead.entry.message = Some(message),
                Some(Err(error)) => self.on_unread(dead, &error),
                None => {}
            }
        }
    }

    /// A message that is not there to be buried.
    fn on_unread(&self, dead: &mut Dead, error: &StoreError) {
        if may_pass(error) {
            return;
        }
        if let (Some(place), StoreError::Damaged { .. }) = (dead.entry.place, error) {
            self.lock().unreadable += 1;
            self.log_unreadable(place, error);
        }
        dead.entry.place = None;
    }
}

/// A burial, which knows the route of the letter before.
struct Burying<'a> {
    queue: &'a Queue,
    vhost: Option<Arc<Vhost>>,
    store: Option<&'a Arc<Store>>,
    to: Option<DeadLetterTo>,
    now: Millis,
    known: Option<(u64, Vec<u8>, Route)>,
    /// What is settled when all is done.
    settled: Runs,
}

/// Why a letter cannot go now.
#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("a message cannot be read just now")]
    Unread,
}

impl Burying<'_> {
    /// Hands one letter to the queues it goes to.
    fn bury(&mut self, dead: &Dead) -> Result<(), NotNow> {
        let Some(message) = &dead.entry.message else {
            // One that is gone has lost its place as well.
            return if dead.entry.place.is_some() { Err(NotNow::Unread) } else { Ok(()) };
        };
        let is_kept = match (self.letter(message, dead.reason), self.vhost.clone()) {
            (Some(letter), Some(vhost)) => self.hand_out(&letter, dead.reason, &vhost)?,
            _ => Kept::WhereItMust,
        };
        if let (Some(place), Kept::WhereItMust) = (dead.entry.place, is_kept) {
            self.settled.push(place);
        }
        Ok(())
    }

    fn letter(&self, message: &Message, reason: Reason) -> Option<Letter> {
        let unix_ms = self.queue.shared.unix_ms(self.now);
        let death = Death {
            queue: self.queue.name(),
            reason,
            time_s: unix_ms / 1000,
            compat: self.queue.shared.compat.get(),
        };
        dead_letter::letter(message, death, self.to.as_ref()?)
    }

    fn hand_out(&mut self, letter: &Letter, reason: Reason, vhost: &Vhost) -> Result<Kept, NotNow> {
        let mut route = self.route(letter, vhost);
        if !matches!(reason, Reason::Rejected | Reason::Due) {
            route = route.without(|queue| dead_letter::is_cycle(letter, queue.name()));
        }
        let message = &letter.message;
        let mut kept = Kept::WhereItMust;
        let mut first = None;
        let kept_by = route.keepers(message);
        // Until its queues have it.
        let mut order = StreamOrder::default();
        if let Some(store) = self.store
            && !kept_by.is_empty()
        {
            order.hold_of(&self.queue.shared.stream_order, &route);
            let published_at = self.queue.shared.unix_ms(self.now);
            match store.append_quietly(&message.to_record(kept_by, published_at)) {
                Ok(appended) => first = Some(appended.first),
                // Nothing is written any more: what it was comes back with the next start.
                Err(Refused(Health::Failed)) => kept = Kept::InMemory,
                Err(refused) => return Err(refused.into()),
            }
        }
        for history in &route.histories {
            history.add(message);
        }
        let mut places = first.map(|first| route.places(message, first)).into_iter().flatten();
        for queue in &route.queues {
            queue.push(message.clone(), places.next(), self.now);
        }
        Ok(kept)
    }

    /// Where the letter goes; most go where the one before has gone.
    fn route(&mut self, letter: &Letter, vhost: &Vhost) -> Route {
        let epoch = vhost.epoch();
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
        let details = || Details::read(letter.message.properties()).unwrap_or_default();
        let route = vhost.route_within(exchange, &keys, details);
        if route.by_key_alone && letter.keys.len() == 1 {
            self.known = Some((epoch, names.to_vec(), route.clone()));
        }
        route
    }
}

/// Whether a letter is as safe as the message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    WhereItMust,
    InMemory,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::durable::Ledger;
    use crate::broker::message::Layout;
    use crate::broker::queue::fetch::tests::{Bench, Kept, numbers};
    use crate::broker::registry::ConnectionId;
    use crate::broker::vhost::{DeleteIf, QueueDeclaration};
    use crate::store::QueueId;
    use crate::wire::FieldTable;
    use crate::wire::shortstr::literal;

    const ME: ConnectionId = ConnectionId(1);

    fn declare(vhost: &Vhost, name: &'static str, arguments: FieldTable) -> Arc<Queue> {
        let asked = QueueDeclaration {
            name: literal(name),
            is_durable: false,
            is_exclusive: false,
            is_auto_delete: false,
            arguments,
        };
        vhost.declare_queue(asked, false, ME, 0).unwrap()
    }

    /// A vhost of the bench's store, a queue that leads its dead letters to another one, and that one.
    fn queues(bench: &Bench) -> (Arc<Vhost>, Arc<Queue>, Arc<Queue>) {
        let name = literal("/");
        let ledger = Ledger::new(name.clone(), None);
        let vhost = Vhost::new(name, bench.queue.shared.clone(), Arc::default(), ledger);
        let dead = declare(&vhost, "dead", FieldTable::new());
        let to_dead = FieldTable::new()
            .with("x-dead-letter-exchange", "")
            .with("x-dead-letter-routing-key", "dead");
        let source = declare(&vhost, "q", to_dead);
        (vhost, source, dead)
    }

    /// A message with properties, though none of them is set.
    fn message(number: u32) -> Message {
        let mut bytes = vec![0, 0];
        bytes.extend(number.to_be_bytes());
        Message::new(Layout { properties_len: 2, ..Layout::default() }, &mut bytes)
    }

    fn in_memory(number: u32) -> Entry {
        let message = Some(message(number));
        Entry { message, body_len: 4, ..Entry::unplaced(None) }
    }

    fn taken(queue: &Queue) -> Vec<Entry> {
        std::iter::from_fn(|| queue.get(true, 0).unwrap()).map(|(entry, _)| entry).collect()
    }

    #[test]
    fn messages_that_only_the_store_has_are_read_and_settled_when_they_are_buried() {
        let bench = Bench::new();
        let (_vhost, source, dead) = queues(&bench);
        let entries: Vec<Entry> = (0..5)
            .map(|number| {
                let (message, queues) = (message(number), [QueueId(1)]);
                let appended = bench.store.append(&message.to_record(&queues, 0)).unwrap();
                Entry { body_len: 4, ..Entry::unplaced(Some(appended.first)) }
            })
            .collect();
        assert!(source.reject(None, entries, 0).is_empty());
        assert_eq!(numbers(&taken(&dead)), [0, 1, 2, 3, 4]);
        bench.store.close();
        let mut found = Kept::default();
        let (store, _) = Store::open(bench.directory.path(), &mut found).unwrap();
        store.close();
        assert_eq!(found.0.len(), 0);
    }

    #[test]
    fn very_many_dead_are_buried_in_their_order_and_most_of_them_by_the_timer() {
        let bench = Bench::new();
        let (_vhost, source, dead) = queues(&bench);
        assert!(source.reject(None, (0..1_000).map(in_memory).collect(), 0).is_empty());
        let at_once = dead.counts().ready;
        assert!((1..1_000).contains(&at_once), "{at_once}");
        (0..10).for_each(|_| assert!(!source.on_time(0)));
        assert_eq!(numbers(&taken(&dead)), (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_queue_that_is_deleted_buries_its_dead() {
        let bench = Bench::new();
        let (vhost, source, dead) = queues(&bench);
        source.reject(None, (0..300).map(in_memory).collect(), 0);
        vhost.delete_queue(&literal("q"), DeleteIf::default(), ME).unwrap();
        drop(source);
        for _ in 0..10 {
            bench.queue.shared.timers.due(0).iter().for_each(|queue| _ = queue.on_time(0));
        }
        assert_eq!(numbers(&taken(&dead)), (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn a_queue_that_leads_to_itself_is_no_recursion() {
        let bench = Bench::new();
        let (vhost, ..) = queues(&bench);
        let ring = FieldTable::new()
            .with("x-dead-letter-exchange", "")
            .with("x-dead-letter-routing-key", "ring");
        let ring = declare(&vhost, "ring", ring);
        let mut entries = vec![in_memory(0)];
        for _ in 0..50 {
            ring.reject(None, entries, 0);
            entries = taken(&ring);
            assert_eq!(numbers(&entries), [0]);
        }
    }
}
