//! Nobody is alone: consumers settle and the marker writes that down while the writer waits for a sync and while sparse
//! files are given up, and messages are handed on from queue to queue as dead letters are.
//!
//! Start reading at [`World::step_in_company`] and [`World::replace`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mq::store::{NewRecord, QueueId};

use crate::crashes::{ENDS, crash_everywhere, left, with_trace, work, world};
use crate::model::{Left, Mark};
use crate::random::Random;
use crate::world::{Habit, World};

/// Operations of the disk in which somebody comes in between, at most, from the beginning of a step.
const OPERATIONS: u64 = 8;

impl World {
    /// Steps, and in the middle of some operation of the disk messages are settled and marked.
    pub(crate) fn step_in_company(&mut self) {
        let keys = self.settleable();
        let slots = self.slots(&keys);
        let at = self.disk.operations() + self.random.below(OPERATIONS);
        self.note(|| format!("settle {keys:?} in operation {at} of"));
        let is_marked = Arc::new(AtomicBool::new(false));
        let (store, disk, marked) =
            (Arc::clone(self.store()), self.disk.clone(), Arc::clone(&is_marked));
        self.disk.interrupt(at, move || {
            store.settle(&slots);
            marked.store(store.step_marks() && !disk.has_crashed(), Ordering::SeqCst);
        });
        if self.random.one_in(4) {
            self.step_round();
        } else {
            self.step();
        }
        if !self.disk.end_interruption() {
            return;
        }
        // However the step ends.
        let settled = if is_marked.load(Ordering::SeqCst) { Mark::Written } else { Mark::Told };
        self.note(|| format!("they are {settled:?}"));
        for key in keys {
            self.model.messages.get_mut(&key).unwrap().settled = settled;
        }
    }

    /// Some of what waits and does not stay for ever.
    fn settleable(&mut self) -> Vec<(QueueId, u64)> {
        let mut keys = self.some_waiting(6);
        keys.retain(|(_, number)| self.habit == Habit::InOrder || number % 12 != 0);
        keys
    }

    /// Hands a message on: another one takes its place.
    pub(crate) fn replace(&mut self) -> Result<(), String> {
        let Some(old) = self.settleable().first().copied() else { return self.append() };
        let all: Vec<QueueId> = self.model.queues.iter().copied().collect();
        let queues = if self.random.one_in(2) { all } else { vec![all[0]] };
        let number = self.model.next_number();
        let content = self.content(number);
        let new = NewRecord {
            queues: &queues,
            published_at: content.published_at,
            time_to_live_ms: content.time_to_live_ms,
            priority: Some(content.priority).filter(|priority| *priority < 9),
            note: content.priority,
            names_len: content.names_len,
            properties_len: content.properties_len,
            bytes: &content.bytes,
        };
        let place = self.model.messages[&old].place;
        let appended = self.store().append_replacement(&new);
        self.note(|| format!("{number} of {queues:?} takes the place of {old:?}: {appended:?}"));
        let appended = match appended {
            Ok(appended) => appended,
            Err(_) if self.disk.has_crashed() || self.is_faulty => return Ok(()),
            Err(refused) => return Err(format!("a message is refused: {refused:?}")),
        };
        let keys: Vec<_> = queues.iter().map(|queue| (*queue, number)).collect();
        for (nth, queue) in (0..).zip(queues) {
            self.model.add(queue, number, appended.first.nth(nth), appended.batch);
        }
        // A consumer may be faster than who hands it on.
        if self.random.one_in(4) {
            self.settle_keys(&keys);
        }
        self.store().settle_replaced(&[(place, appended)]);
        self.model.replace(old, keys, appended.batch);
        Ok(())
    }
}

fn in_company(seed: u64, habit: Habit) -> World {
    World { has_company: true, ..world(seed, habit) }
}

#[test]
fn what_is_settled_during_a_sync_stays_so_wherever_the_broker_ends() {
    crash_everywhere(1, || in_company(1, Habit::InOrder));
}

#[test]
fn what_is_settled_while_sparse_files_are_given_up_stays_so() {
    crash_everywhere(1, || in_company(1, Habit::Sparse));
}

/// A directory that lives through many brokers.
fn live_long(seed: u64, habit: Habit, brokers: usize) {
    let mut world = in_company(seed, habit);
    let mut random = Random::new(!seed);
    with_trace(&format!("long life {seed}"), &mut world, |world| {
        let mut kind = Left::Closed;
        for _ in 0..brokers {
            if world.open(kind)? {
                kind = Left::Closed;
                world.disk.crash_at(world.disk.operations() + random.below(120));
                work(world, 150)?;
            }
            let end = ENDS[random.index(ENDS.len())];
            if kind != Left::PowerCut {
                kind = left(end);
            }
            world.end(end, random.next());
        }
        world.open(kind)?;
        Ok(())
    });
}

#[test]
fn nothing_settled_returns_over_many_brokers() {
    for seed in 1..=12 {
        live_long(seed, Habit::InOrder, 40);
        live_long(seed, Habit::Sparse, 40);
    }
}
