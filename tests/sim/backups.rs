//! A copy of a store at work holds what the store holds, whatever is written, settled and given up before and meanwhile.
//!
//! Start reading at [`World::back_up`].

use std::sync::Arc;

use mq::store::check_on;

use crate::crashes::{with_trace, work, world};
use crate::disk::Disk;
use crate::model::{Left, Mark};
use crate::world::{Habit, World};

/// Operations of the copy's disk in which somebody comes in between, at most.
const OPERATIONS: u64 = 12;

impl World {
    /// Copies the store while messages are settled and a batch is written; answers the copy, as a new world.
    fn back_up(&mut self) -> Result<Self, String> {
        let keys = self.some_waiting(6);
        let slots = self.slots(&keys);
        let at = self.random.below(OPERATIONS);
        self.note(|| format!("copy, and in operation {at} settle {keys:?}"));
        let (copy, store) = (Disk::default(), Arc::clone(self.store()));
        copy.interrupt(at, move || {
            store.settle(&slots);
            store.step_writer();
        });
        let copied = self.store().step_backup(&copy).map_err(|error| error.to_string())?;
        let has_settled = copy.end_interruption();
        self.look();
        let checked = check_on(&copy).map_err(|error| error.to_string())?;
        if !checked.is_sound() || checked.files != copied.files {
            return Err(format!("{copied:?} is found as {checked:?}"));
        }
        for key in keys.iter().filter(|_| has_settled) {
            self.model.messages.get_mut(key).unwrap().settled = Mark::Told;
        }
        Ok(self.on(copy))
    }
}

/// Works, copies, opens the copy, works on it and opens it again; the first goes on, too.
fn copy_again_and_again(seed: u64, habit: Habit, has_company: bool) {
    let mut world = World { has_company, ..world(seed, habit) };
    with_trace(&format!("copies of {seed}"), &mut world, |world| {
        world.open(Left::Closed)?;
        for _ in 0..6 {
            work(world, 120)?;
            let mut copy = world.back_up()?;
            copy.open(Left::PowerCut)?;
            work(&mut copy, 60)?;
            copy.close()?;
        }
        world.close()
    });
}

#[test]
fn a_copy_has_what_was_confirmed_and_not_settled() {
    for seed in 1..=40 {
        copy_again_and_again(seed, Habit::InOrder, false);
        copy_again_and_again(seed, Habit::Sparse, false);
    }
}

#[test]
fn a_copy_has_what_is_moved_between_queues() {
    for seed in 1..=40 {
        copy_again_and_again(seed, Habit::InOrder, true);
        copy_again_and_again(seed, Habit::Sparse, true);
    }
}
