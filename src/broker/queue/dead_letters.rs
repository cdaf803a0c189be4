//! The dead letters of a queue, on their way to the dead letter exchange.
//!
//! A message that dies goes into the queue's outbox (`outbox`) under the queue's lock. When that is given back, the
//! thread that let the first one die publishes some of them ([`Queue::publish_dead_letters`]); the timer goes on with
//! the others, and after a failure. If some must be read first, the store's reading thread does it, so that no
//! connection waits for the disk. A letter is in the queues it goes to, and in the store for those that must not lose
//! it, before the message is settled here.
//!
//! A quorum queue may send its letters at least once (`x-dead-letter-strategy`). Then a letter that no queue takes
//! stays in the outbox and counts as a message of the queue, and the store knows it as a dead letter, so that it is one
//! after a restart as well (RabbitMQ: `rabbit_fifo_dlx`, `rabbit_fifo_dlx_worker`). Any other queue drops such a
//! letter, and counts that ([`DropReason`]).
//!
//! A queue does not know exchanges: the vhost publishes its letters, as
//! [`PublishLetters`](super::state::PublishLetters).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use super::backlog::pages::may_pass;
use super::life::Life;
use super::outbox::{DeadLetter, DeathReason, NextRun, RETRY_MS, Unpublished, while_reading};
use super::state::{LetterOrder, Queue, State};
use super::turn::in_turn;
use crate::broker::arguments::DeadLetterStrategy;
use crate::broker::drops::DropReason;
use crate::broker::entry::Entry;
use crate::broker::message::Message;
use crate::broker::time::Millis;
use crate::bug;
use crate::store::{Store, StoreError, Waiting};

/// The pause before letters are tried again while the disk is behind.
const BEHIND_MS: Millis = 5;

impl State {
    /// Answers whether messages that die go anywhere.
    pub(super) fn has_dead_letter_exchange(&self) -> bool {
        self.limits.as_deref().is_some_and(|limits| limits.dead_letter.is_some())
            && self.life != Life::Deleted
    }

    fn strategy(&self) -> DeadLetterStrategy {
        let limits = self.limits.as_deref().filter(|_| self.life != Life::Deleted);
        limits.map(|limits| limits.dead_letter_strategy).unwrap_or_default()
    }

    /// The number of letters that count as messages of the queue, and the bytes of their bodies.
    pub(super) fn counted_letters(&self) -> (usize, u64) {
        match self.strategy() {
            DeadLetterStrategy::AtMostOnce => (0, 0),
            DeadLetterStrategy::AtLeastOnce => (self.outbox.len(), self.outbox.bytes()),
        }
    }

    /// Makes a message a dead letter, or drops it if the queue has no dead letter exchange.
    pub(super) fn dead_letter(&mut self, entry: Entry, reason: DeathReason, now: Millis) {
        if !self.has_dead_letter_exchange() {
            self.after_unlock.dropped(entry.place);
        } else if self.outbox.add(entry, reason) {
            self.after_unlock.publish_letters(now);
        }
    }

    /// Goes on with letters that were left for later.
    pub(super) fn publish_due_letters(&mut self, now: Millis) {
        if self.outbox.begins_at(now) {
            self.after_unlock.publish_letters(now);
        }
    }

    /// Drops the letters that count as messages; answers how many. A run that is under way keeps those it has.
    pub(super) fn drop_letters(&mut self) -> u32 {
        match self.strategy() {
            DeadLetterStrategy::AtMostOnce => 0,
            DeadLetterStrategy::AtLeastOnce => self.drop_all_letters(),
        }
    }

    fn drop_all_letters(&mut self) -> u32 {
        let len = u32::try_from(self.outbox.len()).unwrap_or(u32::MAX);
        let dropped = self.outbox.clear();
        self.after_unlock.dropped(dropped.filter_map(|letter| letter.entry.place));
        len
    }

    /// Takes back a letter that the store had when the broker started; answers whether it is one.
    pub(super) fn recover_letter(&mut self, waiting: &Waiting) -> bool {
        self.outbox.recover(waiting)
    }
}

impl Queue {
    /// Publishes some of the dead letters, in their order; answers how many were tried. Only the thread calls it that
    /// has begun the run.
    pub(super) fn publish_dead_letters(&self, most: usize, now: Millis) -> usize {
        let is_behind = self.shared.store().is_some_and(|store| store.is_congested());
        let order = {
            let mut state = self.lock();
            if most == 0 || is_behind {
                let after = if is_behind { BEHIND_MS } else { 0 };
                self.publish_letters_later(&mut state, now.saturating_add(after));
                return 0;
            }
            if state.outbox.leave_to_reader() {
                drop(state);
                self.publish_letters_by_reader(now);
                return 0;
            }
            let to = state.limits.as_deref().and_then(|limits| limits.dead_letter.clone());
            LetterOrder { to, strategy: state.strategy() }
        };
        match self.shared.letter_publisher() {
            Some(publisher) => publisher.publish_letters(self, order, most, now),
            None => self.drop_unroutable_letters(now),
        }
    }

    /// Drops the letters of a queue whose vhost is gone, and its exchanges with it.
    fn drop_unroutable_letters(&self, now: Millis) -> usize {
        let mut state = self.lock();
        let dropped = state.drop_all_letters();
        let (next, _) = state.outbox.end_run(Unpublished::default(), now);
        debug_assert_eq!(next, NextRun::Nothing);
        drop(state);
        (0..dropped).for_each(|_| self.count_drop(DropReason::UnroutableLetter, now));
        dropped as usize
    }

    /// Has the store's reading thread publish the letters, as some must be read first.
    fn publish_letters_by_reader(&self, now: Millis) {
        let (Some(store), Some(queue)) = (self.shared.store(), self.this.upgrade()) else { return };
        store.read_later(Box::new(move |_| {
            let turn = || in_turn(Arc::clone(&queue), now);
            let is_done =
                while_reading(|| bug::contain("the publishing of dead letters", turn)).is_some();
            let mut state = queue.lock();
            if !is_done {
                queue.publish_letters_later(&mut state, now.saturating_add(RETRY_MS));
            }
            let waiting = state.outbox.end_reading();
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }));
    }

    /// Answers whether dead letters are being read before they are published. If they are, the waker that `reader`
    /// makes is woken when those are published that died until now, or as many of them as one run publishes.
    pub fn awaits_letters(&self, reader: impl FnOnce() -> Waker) -> bool {
        self.lock().outbox.await_reading(reader)
    }

    /// Takes out the first letters for the run that is under way; none if another thread is to read some of them.
    pub(in crate::broker) fn take_letters(&self, most: usize) -> VecDeque<DeadLetter> {
        self.lock().outbox.take(most)
    }

    /// Takes out some letters as long as there are any that the store does not know to be dead letters.
    pub(in crate::broker) fn take_unrecorded_letters(&self) -> Option<VecDeque<DeadLetter>> {
        self.lock().outbox.take_unrecorded()
    }

    /// Takes back the letters that a run leaves, and begins the next step.
    pub(in crate::broker) fn end_letters(&self, left: Unpublished, now: Millis) {
        let mut state = self.lock();
        let (next, is_newly_stuck) = state.outbox.end_run(left, now);
        if is_newly_stuck {
            let (queue, vhost) = (&self.settings.name, &self.settings.vhost);
            tracing::warn!(%queue, %vhost, "dead letters wait because no queue accepts them");
        }
        match next {
            NextRun::Nothing => {}
            NextRun::Now => state.after_unlock.publish_letters(now),
            NextRun::At(at) => self.publish_letters_later(&mut state, at),
        }
    }

    /// Has the timer publish the letters that were there before the start.
    pub(super) fn publish_letters_when_started(&self, state: &mut State, now: Millis) {
        if state.outbox.is_empty() {
            return;
        }
        if state.has_dead_letter_exchange() {
            return self.publish_letters_later(state, now);
        }
        state.drop_all_letters();
    }

    /// Leaves the letters to the timer, which comes at once.
    pub(super) fn leave_letters_to_timer(&self, now: Millis) {
        self.publish_letters_later(&mut self.lock(), now);
    }

    fn publish_letters_later(&self, state: &mut State, at: Millis) {
        if let Some(this) = self.this.upgrade() {
            state.outbox.wait_until(at, this);
            self.arm(state);
        }
    }

    /// Reads the messages that are not in memory. What is damaged is left out and stays in the store; from the first
    /// that cannot be read now nothing goes on.
    pub(in crate::broker) fn read_letters(
        &self,
        letters: &mut VecDeque<DeadLetter>,
        store: &Arc<Store>,
    ) {
        let places: Vec<_> = letters.iter().filter_map(DeadLetter::unread_place).collect();
        if places.is_empty() {
            return;
        }
        let mut found = VecDeque::with_capacity(places.len());
        store.read(&places, &mut |_, read| {
            found.push_back(read.map(|record| Message::from_record(&record)));
        });
        for letter in letters.iter_mut().filter(|letter| letter.unread_place().is_some()) {
            match found.pop_front() {
                Some(Ok(message)) => letter.entry.message = Some(message),
                Some(Err(error)) => self.on_unread(letter, &error),
                None => {}
            }
        }
    }

    /// Notes that the message of a letter cannot be read.
    fn on_unread(&self, letter: &mut DeadLetter, error: &StoreError) {
        if may_pass(error) {
            return;
        }
        if let (Some(place), StoreError::Damaged { .. }) = (letter.entry.place, error) {
            self.lock().unreadable += 1;
            self.log_unreadable(place, error);
        }
        letter.entry.place = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::durable::VhostDefinitions;
    use crate::broker::message::Layout;
    use crate::broker::queue::tests::{Bench, numbers};
    use crate::broker::registry::ConnectionId;
    use crate::broker::vhost::{DeleteIf, QueueDeclaration, Vhost};
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
            declared_by: None,
            arguments,
        };
        vhost.declare_queue(asked, false, ME, 0).unwrap()
    }

    /// A vhost of the bench's store, a queue that leads its dead letters to another one, and that one.
    fn queues(bench: &Bench) -> (Arc<Vhost>, Arc<Queue>, Arc<Queue>) {
        let name = literal("/");
        let definitions = VhostDefinitions::new(name.clone(), None);
        let vhost = Vhost::new(name, (*bench.queue.shared).clone(), Arc::default(), definitions);
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
        std::iter::from_fn(|| queue.get_waiting(true, 0).unwrap()).map(|(entry, _)| entry).collect()
    }

    #[test]
    fn messages_that_only_the_store_has_are_read_and_settled_when_their_letters_are_published() {
        let bench = Bench::new();
        let (_vhost, source, dead) = queues(&bench);
        let entries: Vec<Entry> = (0..5)
            .map(|number| {
                let (message, queues) = (message(number), [QueueId(1)]);
                let appended = bench.store.append(&message.to_record(&queues, 0)).unwrap();
                Entry { body_len: 4, ..Entry::unplaced(Some(appended.first)) }
            })
            .collect();
        assert!(source.reject_as_got(entries).is_empty());
        while dead.counts().ready < 5 {
            std::thread::yield_now();
        }
        assert_eq!(numbers(&taken(&dead)), [0, 1, 2, 3, 4]);
        let found = bench.reopened();
        assert_eq!(found.0.len(), 0);
    }

    #[test]
    fn very_many_letters_are_published_in_their_order_and_most_of_them_by_the_timer() {
        let bench = Bench::new();
        let (_vhost, source, dead) = queues(&bench);
        assert!(source.reject_as_got((0..1_000).map(in_memory).collect()).is_empty());
        let at_once = dead.counts().ready;
        assert!((1..1_000).contains(&at_once), "{at_once}");
        (0..10).for_each(|_| assert!(!source.on_time(0)));
        assert_eq!(numbers(&taken(&dead)), (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_queue_that_is_deleted_publishes_its_dead_letters() {
        let bench = Bench::new();
        let (vhost, source, dead) = queues(&bench);
        source.reject_as_got((0..300).map(in_memory).collect());
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
            ring.reject_as_got(entries);
            entries = taken(&ring);
            assert_eq!(numbers(&entries), [0]);
        }
    }
}
